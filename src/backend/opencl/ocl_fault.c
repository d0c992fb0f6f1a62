/* Faults for tests: each call of OpenCL counted, and one made to fail. */
#include "ocl.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum call {
#define CALL(name) CALL_##name,
    OCL_CALLS(CALL)
#undef CALL
    N_CALLS
};

static const char *const call_names[N_CALLS] = {
#define NAME(name) #name,
    OCL_CALLS(NAME)
#undef NAME
};

static struct ocl_api real;
static atomic_ulong counts[N_CALLS];
static enum call fail_call = N_CALLS;
static unsigned long fail_at;
static bool fail_on; /* and ever after */

static cl_int code_of(enum call call)
{
    switch (call) {
    case CALL_clGetPlatformIDs: return -1001;
    case CALL_clGetDeviceIDs: return CL_DEVICE_NOT_FOUND;
    case CALL_clCreateBuffer: return CL_MEM_OBJECT_ALLOCATION_FAILURE;
    case CALL_clBuildProgram: return CL_BUILD_PROGRAM_FAILURE;
    case CALL_clCreateProgramWithBinary: return CL_INVALID_BINARY;
    case CALL_clCreateContext: return CL_DEVICE_NOT_AVAILABLE;
    case CALL_clEnqueueMapBuffer: return CL_MAP_FAILURE;
    case CALL_clCreateKernel: return CL_INVALID_KERNEL_NAME;
    case CALL_clWaitForEvents: return CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST;
    default: return CL_OUT_OF_RESOURCES;
    }
}

static bool fails(enum call call)
{
    unsigned long n = atomic_fetch_add(&counts[call], 1) + 1;
    return call == fail_call && (n == fail_at || (fail_on && n > fail_at));
}

#define STATUS_CALL(name, params, args) \
    static cl_int CL_API_CALL counted_##name params \
    { \
        return fails(CALL_##name) ? code_of(CALL_##name) : real.name args; \
    }
/* The call's last parameter is where the code goes, `code`; it may be NULL. */
#define HANDLE_CALL(type, name, params, args) \
    static type CL_API_CALL counted_##name params \
    { \
        if (!fails(CALL_##name)) \
            return real.name args; \
        if (code) \
            *code = code_of(CALL_##name); \
        return NULL; \
    }
/* A release happens even where it is told to fail, so that nothing leaks. */
#define RELEASE_CALL(name, type) \
    static cl_int CL_API_CALL counted_##name(type handle) \
    { \
        cl_int code = real.name(handle); \
        return fails(CALL_##name) ? code_of(CALL_##name) : code; \
    }

typedef void CL_CALLBACK context_notify(const char *, const void *, size_t, void *);
typedef void CL_CALLBACK build_notify(cl_program, void *);

STATUS_CALL(clGetPlatformIDs, (cl_uint n, cl_platform_id *ids, cl_uint *got), (n, ids, got))
STATUS_CALL(clGetPlatformInfo,
            (cl_platform_id id, cl_platform_info what, size_t n, void *value, size_t *got),
            (id, what, n, value, got))
STATUS_CALL(clGetDeviceIDs,
            (cl_platform_id id, cl_device_type type, cl_uint n, cl_device_id *ids, cl_uint *got),
            (id, type, n, ids, got))
STATUS_CALL(clGetDeviceInfo,
            (cl_device_id id, cl_device_info what, size_t n, void *value, size_t *got),
            (id, what, n, value, got))
HANDLE_CALL(cl_context, clCreateContext,
            (const cl_context_properties *properties, cl_uint n, const cl_device_id *ids,
             context_notify *notify, void *user, cl_int *code),
            (properties, n, ids, notify, user, code))
RELEASE_CALL(clReleaseContext, cl_context)
HANDLE_CALL(cl_command_queue, clCreateCommandQueue,
            (cl_context context, cl_device_id id, cl_command_queue_properties properties,
             cl_int *code),
            (context, id, properties, code))
RELEASE_CALL(clReleaseCommandQueue, cl_command_queue)
HANDLE_CALL(cl_mem, clCreateBuffer,
            (cl_context context, cl_mem_flags flags, size_t n, void *host, cl_int *code),
            (context, flags, n, host, code))
RELEASE_CALL(clReleaseMemObject, cl_mem)
HANDLE_CALL(cl_program, clCreateProgramWithSource,
            (cl_context context, cl_uint n, const char **texts, const size_t *lengths,
             cl_int *code),
            (context, n, texts, lengths, code))
HANDLE_CALL(cl_program, clCreateProgramWithBinary,
            (cl_context context, cl_uint n, const cl_device_id *ids, const size_t *lengths,
             const unsigned char **binaries, cl_int *each, cl_int *code),
            (context, n, ids, lengths, binaries, each, code))
STATUS_CALL(clBuildProgram,
            (cl_program program, cl_uint n, const cl_device_id *ids, const char *options,
             build_notify *notify, void *user),
            (program, n, ids, options, notify, user))
RELEASE_CALL(clReleaseProgram, cl_program)
STATUS_CALL(clGetProgramInfo,
            (cl_program program, cl_program_info what, size_t n, void *value, size_t *got),
            (program, what, n, value, got))
STATUS_CALL(clGetProgramBuildInfo,
            (cl_program program, cl_device_id id, cl_program_build_info what, size_t n, void *value,
             size_t *got),
            (program, id, what, n, value, got))
HANDLE_CALL(cl_kernel, clCreateKernel, (cl_program program, const char *name, cl_int *code),
            (program, name, code))
RELEASE_CALL(clReleaseKernel, cl_kernel)
STATUS_CALL(clSetKernelArg, (cl_kernel kernel, cl_uint i, size_t n, const void *value),
            (kernel, i, n, value))
STATUS_CALL(clGetKernelWorkGroupInfo,
            (cl_kernel kernel, cl_device_id id, cl_kernel_work_group_info what, size_t n,
             void *value, size_t *got),
            (kernel, id, what, n, value, got))
STATUS_CALL(clEnqueueNDRangeKernel,
            (cl_command_queue queue, cl_kernel kernel, cl_uint dims, const size_t *offset,
             const size_t *global, const size_t *group, cl_uint n, const cl_event *wait,
             cl_event *event),
            (queue, kernel, dims, offset, global, group, n, wait, event))
STATUS_CALL(clEnqueueReadBuffer,
            (cl_command_queue queue, cl_mem memory, cl_bool blocking, size_t offset, size_t bytes,
             void *to, cl_uint n, const cl_event *wait, cl_event *event),
            (queue, memory, blocking, offset, bytes, to, n, wait, event))
STATUS_CALL(clEnqueueWriteBuffer,
            (cl_command_queue queue, cl_mem memory, cl_bool blocking, size_t offset, size_t bytes,
             const void *from, cl_uint n, const cl_event *wait, cl_event *event),
            (queue, memory, blocking, offset, bytes, from, n, wait, event))
HANDLE_CALL(void *, clEnqueueMapBuffer,
            (cl_command_queue queue, cl_mem memory, cl_bool blocking, cl_map_flags flags,
             size_t offset, size_t bytes, cl_uint n, const cl_event *wait, cl_event *event,
             cl_int *code),
            (queue, memory, blocking, flags, offset, bytes, n, wait, event, code))
STATUS_CALL(clEnqueueUnmapMemObject,
            (cl_command_queue queue, cl_mem memory, void *host, cl_uint n, const cl_event *wait,
             cl_event *event),
            (queue, memory, host, n, wait, event))
STATUS_CALL(clEnqueueCopyBuffer,
            (cl_command_queue queue, cl_mem from, cl_mem to, size_t from_offset, size_t to_offset,
             size_t bytes, cl_uint n, const cl_event *wait, cl_event *event),
            (queue, from, to, from_offset, to_offset, bytes, n, wait, event))
STATUS_CALL(clEnqueueFillBuffer,
            (cl_command_queue queue, cl_mem memory, const void *pattern, size_t pattern_bytes,
             size_t offset, size_t bytes, cl_uint n, const cl_event *wait, cl_event *event),
            (queue, memory, pattern, pattern_bytes, offset, bytes, n, wait, event))
STATUS_CALL(clFlush, (cl_command_queue queue), (queue))
STATUS_CALL(clFinish, (cl_command_queue queue), (queue))
STATUS_CALL(clWaitForEvents, (cl_uint n, const cl_event *events), (n, events))
RELEASE_CALL(clReleaseEvent, cl_event)
STATUS_CALL(clGetEventProfilingInfo,
            (cl_event event, cl_profiling_info what, size_t n, void *value, size_t *got),
            (event, what, n, value, got))
STATUS_CALL(clGetMemObjectInfo,
            (cl_mem memory, cl_mem_info what, size_t n, void *value, size_t *got),
            (memory, what, n, value, got))

static void counts_write(void)
{
    const char *path = getenv("TOTO_OPENCL_COUNT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file)
        return;
    for (size_t i = 0; i < N_CALLS; i++)
        fprintf(file, "%s %lu\n", call_names[i], atomic_load(&counts[i]));
    fclose(file);
}

void ocl_fault_install(struct ocl_api *api)
{
    const char *fail = getenv("TOTO_OPENCL_FAIL"), *count = getenv("TOTO_OPENCL_COUNT");
    if (!fail && !count)
        return;
    const char *colon = fail ? strchr(fail, ':') : NULL;
    for (enum call call = 0; colon && call < N_CALLS; call++)
        if (strlen(call_names[call]) == (size_t)(colon - fail) &&
            strncmp(call_names[call], fail, (size_t)(colon - fail)) == 0)
            fail_call = call;
    if (colon) {
        char *end;
        fail_at = strtoul(colon + 1, &end, 10);
        fail_on = *end == '+';
    }
    if (count)
        atexit(counts_write);
    real = *api;
#define WRAP(name) api->name = counted_##name;
    OCL_CALLS(WRAP)
#undef WRAP
}
