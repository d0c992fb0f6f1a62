/* What the files of the OpenCL backend share: the API opened at run time, devices, programs,
 * launches.
 *
 * libOpenCL is opened by dlopen (the framework on macOS), so a binary starts on a machine without
 * it. Every call goes through the table `ocl`, which tests may make fail. OpenCL C 1.2 and its host
 * API are all that is needed; anything more is a bit in ocl_caps, learnt by a probe, with a way
 * around that is tested by masking the bit. */
#ifndef TOTO_BACKEND_OPENCL_OCL_H
#define TOTO_BACKEND_OPENCL_OCL_H

#define CL_TARGET_OPENCL_VERSION 120
#ifdef __APPLE__
#define CL_SILENCE_DEPRECATION
#include <OpenCL/cl.h>
#else
#include <CL/cl.h>
#endif

#include "../backend.h"

/* ---- Devices --------------------------------------------------------------------------------- */

enum ocl_cap {
    OCL_CAP_FP64 = 1,        /* double in kernels */
    OCL_CAP_FP16 = 2,        /* half arithmetic (storage by vload_half needs no extension) */
    OCL_CAP_LOCAL_32K = 4,   /* 32 KB of local memory in a kernel */
    OCL_CAP_GROUP_256 = 8,   /* work-groups of 256 */
    OCL_CAP_NVIDIA = 16,     /* inline PTX builds */
};

/* A device of any platform, as `toto devices` numbers them (the built-in CPU is 0 and not among
 * these). */
struct ocl_device {
    cl_platform_id platform;
    cl_device_id id;
    char platform_name[64], name[96], driver[64], version[64];
    cl_device_type type;
    bool unified_memory;
    cl_ulong memory_bytes, largest_alloc_bytes, local_bytes;
    cl_uint compute_units, vendor_id;
    size_t max_group;
    bool has_fp16, has_fp64; /* as the device says; ocl_device_caps tells what works */
};

/* Opens libOpenCL and lists every device of every platform; n 0 with the reason in `why` where
 * there is none. Never fails otherwise. The list is the process's and stays. */
const struct ocl_device *ocl_devices(size_t *n, char why[256]);

/* What the device can do (enum ocl_cap), learnt by building tiny kernels once a process in
 * `context`, or in one of its own where that is NULL. TOTO_OPENCL_MASK
 * ("fp64,fp16,local32k,group256,nvidia") takes bits away. */
unsigned ocl_device_caps(const struct ocl_device *device, cl_context context);

/* ---- Backend --------------------------------------------------------------------------------- */

enum {
    OCL_PROGRAMS_MAX = 64,
    OCL_KERNELS_MAX = 128,
    OCL_RING_SLOTS = 3,
    OCL_RING_BYTES = 4 << 20, /* of a slot */
};

/* SHA-256 of all that a built program depends on. */
struct ocl_cache_key {
    unsigned char hash[32];
};

struct ocl_program {
    char *key; /* file and options */
    cl_program program;
    bool stored; /* in the cache of binaries, or not to be stored */
    struct ocl_cache_key cache;
};

struct ocl_kernel {
    char *key; /* kernel, file and options */
    cl_kernel kernel;
};

/* Pinned memory that uploads go through, so that their source may be reused at once. */
struct ocl_ring_slot {
    cl_mem memory;
    char *host;      /* the mapping; NULL: not yet made */
    size_t used;     /* bytes on their way to the device */
    cl_event last;   /* of the last write from here */
};

struct ocl_backend {
    struct backend base;
    const struct ocl_device *device;
    unsigned caps;           /* of enum ocl_cap, after TOTO_OPENCL_MASK */
    enum dtype dtype;        /* storage of weights and activations: F32, F16 or BF16 */
    cl_context context;
    cl_command_queue queue;  /* in order */
    struct ocl_program programs[OCL_PROGRAMS_MAX];
    struct ocl_kernel kernels[OCL_KERNELS_MAX];
    size_t n_programs, n_kernels;
    struct ocl_ring_slot ring[OCL_RING_SLOTS];
    size_t ring_at;          /* the slot that is being filled */
    struct thread_pool *pool; /* converts weights; NULL until the first */
};

/* limit_bytes 0: what the device has. */
enum toto_status ocl_backend_open(const struct ocl_device *device, enum dtype dtype,
                                  size_t limit_bytes, struct backend **backend,
                                  struct toto_error *err);

static inline struct ocl_backend *ocl_of(struct backend *backend)
{
    return (struct ocl_backend *)backend;
}

/* A buffer within the limits; its first bytes are touched, since drivers that allocate late fail
 * there. NULL with the message in err (TOTO_STATUS_RESOURCE). `what` names it for a person.
 * ocl_buffer_free takes NULL. */
cl_mem ocl_buffer_make(struct ocl_backend *backend, size_t bytes, const char *what,
                       struct toto_error *err);
void ocl_buffer_free(struct ocl_backend *backend, cl_mem memory);

/* Space for at least one and at most `bytes` bytes (*got) of pinned memory whose earlier writes
 * have arrived; whoever fills it sends it by ocl_ring_send. NULL: the backend has failed. */
char *ocl_ring_take(struct ocl_backend *backend, size_t bytes, size_t *got);
void ocl_ring_send(struct ocl_backend *backend, const char *from, size_t bytes, cl_mem to,
                   size_t offset);
void ocl_ring_close(struct ocl_backend *backend);

/* out[i] = in[i] as F32, F16 or BF16, to nearest even. */
void ocl_narrow(enum dtype dtype, const float *in, size_t n, void *out);

/* ---- Programs and launches ------------------------------------------------------------------- */

/* The kernel `name` of kernels/FILE.cl (prelude.cl before it), built with `options` ("-DTILE=64
 * ...") on first use and kept; from the cache of built binaries where it can. NULL: the backend has
 * failed (backend_fail). FILE may name a folder, too: "nvidia/linear". Every program is built with
 * -cl-std=CL1.2, -DDTYPE_F32, -DDTYPE_F16 or -DDTYPE_BF16 (what weights and activations are stored
 * as), and -DHAS_FP64, -DHAS_FP16, -DHAS_LOCAL_32K, -DHAS_GROUP_256, -DHAS_NVIDIA for the bits of
 * caps. */
cl_kernel ocl_kernel_get(struct ocl_backend *backend, const char *file, const char *name,
                         const char *options);
void ocl_programs_close(struct ocl_backend *backend);

/* A source that is part of toto: kernels/NAME.cl. The table ends in a NULL name. */
struct ocl_source {
    const char *name;
    const unsigned char *text;
    size_t length;
};
extern const struct ocl_source ocl_sources[]; /* made by scripts/embed_kernels.sh */

/* The folder of built programs (ocl_cache.c), each under the hash of all that it depends on. */
void ocl_cache_key_make(const struct ocl_device *device, const char *const *parts, size_t n_parts,
                        struct ocl_cache_key *key);
/* The payload of an entry that is whole and of this key, or NULL; freed by mem_free. */
unsigned char *ocl_cache_load(const struct ocl_cache_key *key, size_t *bytes);
/* Replaces the entry; any trouble is passed over (said with -vv). */
void ocl_cache_store(const struct ocl_cache_key *key, const unsigned char *payload, size_t bytes);

/* One argument of a kernel: its size and where it stands; a tensor is its cl_mem followed by its
 * offset. */
struct ocl_arg {
    size_t size;
    const void *value;
};
#define OCL_ARG(variable) {sizeof(variable), &(variable)}

/* Sets the arguments in order and enqueues; global sizes are rounded up to the group. Does nothing
 * once the backend has failed. A tensor's cl_mem is tensor.memory; an absent tensor passes a NULL
 * cl_mem. */
void ocl_launch(struct ocl_backend *backend, cl_kernel kernel, const struct ocl_arg *args,
                size_t n_args, unsigned dims, const size_t *global, const size_t *group);

/* backend_fail with the call, the code's name and the device. */
void ocl_fail(struct ocl_backend *backend, const char *call, cl_int code);
/* The same message in err; CL_OUT_OF_HOST_MEMORY and all others alike are TOTO_STATUS_RESOURCE. */
enum toto_status ocl_error(const struct ocl_device *device, const char *call, cl_int code,
                           struct toto_error *err);
const char *ocl_code_name(cl_int code);

/* ---- The API, opened at run time ------------------------------------------------------------- */

/* Each call that is used, under OpenCL's name; filled by ocl_api_open. */
#define OCL_CALLS(X) \
    X(clGetPlatformIDs) X(clGetPlatformInfo) X(clGetDeviceIDs) X(clGetDeviceInfo) \
    X(clCreateContext) X(clReleaseContext) X(clCreateCommandQueue) X(clReleaseCommandQueue) \
    X(clCreateBuffer) X(clReleaseMemObject) X(clCreateProgramWithSource) \
    X(clCreateProgramWithBinary) X(clBuildProgram) X(clReleaseProgram) X(clGetProgramInfo) \
    X(clGetProgramBuildInfo) X(clCreateKernel) X(clReleaseKernel) X(clSetKernelArg) \
    X(clGetKernelWorkGroupInfo) X(clEnqueueNDRangeKernel) X(clEnqueueReadBuffer) \
    X(clEnqueueWriteBuffer) X(clEnqueueMapBuffer) X(clEnqueueUnmapMemObject) \
    X(clEnqueueCopyBuffer) X(clEnqueueFillBuffer) X(clFlush) X(clFinish) X(clWaitForEvents) \
    X(clReleaseEvent) X(clGetEventProfilingInfo) X(clGetMemObjectInfo)

struct ocl_api {
#define OCL_MEMBER(name) __typeof__(&name) name;
    OCL_CALLS(OCL_MEMBER)
#undef OCL_MEMBER
};
extern struct ocl_api ocl;

/* Opens the library named by TOTO_OPENCL_LIBRARY, else the system's, once a process; false with the
 * reason. */
bool ocl_api_open(char why[256]);

/* Tests: TOTO_OPENCL_FAIL="clCreateBuffer:3" makes the third such call fail ("3+": every one from
 * then on), and TOTO_OPENCL_COUNT=FILE writes at exit how often each was called. Without these
 * variables nothing is wrapped. */
void ocl_fault_install(struct ocl_api *api);

#endif
