/* What the files of the OpenCL backend share: the API opened at run time, devices, programs, launches.
 *
 * libOpenCL is opened by dlopen (the framework on macOS), so a binary starts on a machine without it. Every call
 * goes through the table `ocl`, which tests may make fail. OpenCL C 1.2 and its host API are all that is needed;
 * anything more is a bit in ocl_caps, learnt by a probe, with a way around that is tested by masking the bit. */
#ifndef TOTO_BACKEND_OPENCL_OCL_H
#define TOTO_BACKEND_OPENCL_OCL_H

#define CL_TARGET_OPENCL_VERSION 120
#ifdef __APPLE__
#include <OpenCL/cl.h>
#else
#include <CL/cl.h>
#endif

#include "../backend.h"

/* ---- Devices --------------------------------------------------------------------------------------- */

enum ocl_cap {
    OCL_CAP_FP64 = 1,        /* double in kernels */
    OCL_CAP_FP16 = 2,        /* half arithmetic (storage by vload_half needs no extension) */
    OCL_CAP_LOCAL_32K = 4,   /* 32 KB of local memory in a kernel */
    OCL_CAP_GROUP_256 = 8,   /* work-groups of 256 */
    OCL_CAP_NVIDIA = 16,     /* inline PTX builds */
};

/* A device of any platform, as `toto devices` numbers them (the built-in CPU is 0 and not among these). */
struct ocl_device {
    cl_platform_id platform;
    cl_device_id id;
    char platform_name[64], name[96], driver[64], version[64];
    cl_device_type type;
    bool unified_memory;
    cl_ulong memory_bytes, largest_alloc_bytes, local_bytes;
    cl_uint compute_units;
    size_t max_group;
};

/* Opens libOpenCL and lists every device of every platform; n 0 with the reason in `why` where there is none. Never
 * fails otherwise. The list is the process's and stays. */
const struct ocl_device *ocl_devices(size_t *n, char why[256]);

/* ---- Backend --------------------------------------------------------------------------------------- */

enum { OCL_KERNELS_MAX = 96 };

struct ocl_backend {
    struct backend base;
    const struct ocl_device *device;
    unsigned caps;           /* of enum ocl_cap, after TOTO_OPENCL_MASK */
    enum dtype dtype;        /* storage of weights and activations: F32, F16 or BF16 */
    cl_context context;
    cl_command_queue queue;
    struct ocl_kernel {
        char name[64];       /* file:kernel:options */
        cl_program program;
        cl_kernel kernel;
    } kernels[OCL_KERNELS_MAX];
    size_t n_kernels;
    size_t used_bytes, peak_bytes, limit_bytes; /* of device memory */
};

enum toto_status ocl_backend_open(const struct ocl_device *device, enum dtype dtype, size_t limit_bytes,
                                  struct backend **backend, struct toto_error *err);

static inline struct ocl_backend *ocl_of(struct backend *backend)
{
    return (struct ocl_backend *)backend;
}

/* ---- Programs and launches -------------------------------------------------------------------------- */

/* The kernel `name` of kernels/FILE.cl (prelude.cl before it), built with `options` ("-DTILE=64 ...") on first use and
 * kept; from the cache of built binaries where it can. NULL: the backend has failed (backend_fail). */
cl_kernel ocl_kernel_get(struct ocl_backend *backend, const char *file, const char *name,
                         const char *options);

/* One argument of a kernel: its size and where it stands; a tensor is its cl_mem followed by its offset. */
struct ocl_arg {
    size_t size;
    const void *value;
};
#define OCL_ARG(variable) {sizeof(variable), &(variable)}

/* Sets the arguments in order and enqueues; global sizes are rounded up to the group. Does nothing once the backend has
 * failed. A tensor's cl_mem is tensor.memory; an absent tensor passes a NULL cl_mem. */
void ocl_launch(struct ocl_backend *backend, cl_kernel kernel, const struct ocl_arg *args, size_t n_args,
                unsigned dims, const size_t *global, const size_t *group);

/* backend_fail with the call, the code's name and the device. */
void ocl_fail(struct ocl_backend *backend, const char *call, cl_int code);
const char *ocl_code_name(cl_int code);

/* ---- The API, opened at run time --------------------------------------------------------------------- */

/* Each call that is used, under OpenCL's name; filled by ocl_devices. */
#define OCL_CALLS(X) \
    X(clGetPlatformIDs) X(clGetPlatformInfo) X(clGetDeviceIDs) X(clGetDeviceInfo) X(clCreateContext) \
    X(clReleaseContext) X(clCreateCommandQueue) X(clReleaseCommandQueue) X(clCreateBuffer) \
    X(clReleaseMemObject) X(clCreateProgramWithSource) X(clCreateProgramWithBinary) X(clBuildProgram) \
    X(clReleaseProgram) X(clGetProgramInfo) X(clGetProgramBuildInfo) X(clCreateKernel) \
    X(clReleaseKernel) X(clSetKernelArg) X(clGetKernelWorkGroupInfo) X(clEnqueueNDRangeKernel) \
    X(clEnqueueReadBuffer) X(clEnqueueWriteBuffer) X(clEnqueueMapBuffer) X(clEnqueueUnmapMemObject) \
    X(clEnqueueCopyBuffer) X(clEnqueueFillBuffer) X(clFlush) X(clFinish) X(clWaitForEvents) \
    X(clReleaseEvent) X(clGetEventProfilingInfo)

struct ocl_api {
#define OCL_MEMBER(name) __typeof__(&name) name;
    OCL_CALLS(OCL_MEMBER)
#undef OCL_MEMBER
};
extern struct ocl_api ocl;

#endif
