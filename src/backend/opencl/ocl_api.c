/* libOpenCL, opened at run time, and names of its codes. */
#include "ocl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct ocl_api ocl;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool opened;
static char reason[256];

static void *library_open(void)
{
    static const char *const names[] = {
#ifdef __APPLE__
        "/System/Library/Frameworks/OpenCL.framework/OpenCL",
#endif
        "libOpenCL.so.1",
        "libOpenCL.so",
    };
    const char *named = getenv("TOTO_OPENCL_LIBRARY");
    if (named && *named)
        return dlopen(named, RTLD_NOW | RTLD_LOCAL);
    void *library = NULL;
    for (size_t i = 0; !library && i < sizeof names / sizeof *names; i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    return library;
}

static void api_open(void)
{
    void *library = library_open();
    if (!library) {
        const char *text = dlerror();
        snprintf(reason, sizeof reason, "libOpenCL cannot be opened: %s",
                 text ? text : "not found");
        return;
    }
#define OCL_LOAD(name) \
    *(void **)&ocl.name = dlsym(library, #name); \
    if (!ocl.name) { \
        snprintf(reason, sizeof reason, "this libOpenCL is older than 1.2: it has no %s", #name); \
        return; \
    }
    OCL_CALLS(OCL_LOAD)
#undef OCL_LOAD
    ocl_fault_install(&ocl);
    opened = true;
}

bool ocl_api_open(char why[256])
{
    pthread_once(&once, api_open);
    snprintf(why, sizeof reason, "%s", reason);
    return opened;
}

const char *ocl_code_name(cl_int code)
{
#define CODE(name) case name: return #name;
    switch (code) {
    CODE(CL_SUCCESS) CODE(CL_DEVICE_NOT_FOUND) CODE(CL_DEVICE_NOT_AVAILABLE)
    CODE(CL_COMPILER_NOT_AVAILABLE) CODE(CL_MEM_OBJECT_ALLOCATION_FAILURE)
    CODE(CL_OUT_OF_RESOURCES) CODE(CL_OUT_OF_HOST_MEMORY) CODE(CL_PROFILING_INFO_NOT_AVAILABLE)
    CODE(CL_MEM_COPY_OVERLAP) CODE(CL_BUILD_PROGRAM_FAILURE) CODE(CL_MAP_FAILURE)
    CODE(CL_MISALIGNED_SUB_BUFFER_OFFSET) CODE(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST)
    CODE(CL_COMPILE_PROGRAM_FAILURE) CODE(CL_LINKER_NOT_AVAILABLE) CODE(CL_LINK_PROGRAM_FAILURE)
    CODE(CL_DEVICE_PARTITION_FAILED) CODE(CL_KERNEL_ARG_INFO_NOT_AVAILABLE)
    CODE(CL_INVALID_VALUE) CODE(CL_INVALID_DEVICE_TYPE) CODE(CL_INVALID_PLATFORM)
    CODE(CL_INVALID_DEVICE) CODE(CL_INVALID_CONTEXT) CODE(CL_INVALID_QUEUE_PROPERTIES)
    CODE(CL_INVALID_COMMAND_QUEUE) CODE(CL_INVALID_HOST_PTR) CODE(CL_INVALID_MEM_OBJECT)
    CODE(CL_INVALID_BINARY) CODE(CL_INVALID_BUILD_OPTIONS) CODE(CL_INVALID_PROGRAM)
    CODE(CL_INVALID_PROGRAM_EXECUTABLE) CODE(CL_INVALID_KERNEL_NAME)
    CODE(CL_INVALID_KERNEL_DEFINITION) CODE(CL_INVALID_KERNEL) CODE(CL_INVALID_ARG_INDEX)
    CODE(CL_INVALID_ARG_VALUE) CODE(CL_INVALID_ARG_SIZE) CODE(CL_INVALID_KERNEL_ARGS)
    CODE(CL_INVALID_WORK_DIMENSION) CODE(CL_INVALID_WORK_GROUP_SIZE)
    CODE(CL_INVALID_WORK_ITEM_SIZE) CODE(CL_INVALID_GLOBAL_OFFSET)
    CODE(CL_INVALID_EVENT_WAIT_LIST) CODE(CL_INVALID_EVENT) CODE(CL_INVALID_OPERATION)
    CODE(CL_INVALID_BUFFER_SIZE) CODE(CL_INVALID_GLOBAL_WORK_SIZE) CODE(CL_INVALID_PROPERTY)
    CODE(CL_INVALID_COMPILER_OPTIONS)
    case -1001: return "CL_PLATFORM_NOT_FOUND_KHR"; /* cl_khr_icd */
    case -9999: return "an illegal access to memory"; /* NVIDIA's own */
    }
#undef CODE
    return "a code that OpenCL does not name";
}

enum toto_status ocl_error(const struct ocl_device *device, const char *call, cl_int code,
                           struct toto_error *err)
{
    return toto_fail(err, TOTO_STATUS_RESOURCE, "OpenCL device %s: %s failed: %s (%d)",
                     device->name, call, ocl_code_name(code), (int)code);
}
