/* Devices: one list over all platforms, and what each can do. A platform without devices, a driver
 * that fails and answers of any length are passed over: the list holds what answered. */
#include "ocl.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../base/log.h"
#include "../../base/memory.h"

enum { PLATFORMS_MAX = 32, DEVICES_MAX = 64, VENDOR_NVIDIA = 0x10DE };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct ocl_device devices[DEVICES_MAX];
static size_t n_devices;
static char reason[256];

static pthread_mutex_t caps_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    bool known;
    unsigned caps;
} probes[DEVICES_MAX];

/* ---- The list -------------------------------------------------------------------------------- */

/* Copies text without the blanks around it, cut to the field; what is not printable ASCII becomes
 * '?'. */
static void text_copy(const char *text, char *field, size_t size)
{
    text += strspn(text, " \t\n");
    size_t length = strlen(text);
    while (length && strchr(" \t\n", text[length - 1]))
        length--;
    length = length < size ? length : size - 1;
    for (size_t i = 0; i < length; i++)
        field[i] = text[i];
    field[length] = '\0';
    for (char *at = field; *at; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
}

static char *device_string(cl_device_id id, cl_device_info what)
{
    size_t bytes = 0;
    if (ocl.clGetDeviceInfo(id, what, 0, NULL, &bytes) || bytes > 1 << 20)
        return NULL;
    char *text = mem_calloc(1, bytes + 1);
    if (text && ocl.clGetDeviceInfo(id, what, bytes, text, NULL)) {
        mem_free(text);
        return NULL;
    }
    return text;
}

static void device_text(cl_device_id id, cl_device_info what, char *field, size_t size)
{
    char *text = device_string(id, what);
    text_copy(text ? text : "?", field, size);
    mem_free(text);
}

static void platform_name(cl_platform_id id, char *field, size_t size)
{
    size_t bytes = 0;
    char *text = NULL;
    if (!ocl.clGetPlatformInfo(id, CL_PLATFORM_NAME, 0, NULL, &bytes) && bytes <= 1 << 20)
        text = mem_calloc(1, bytes + 1);
    if (text && ocl.clGetPlatformInfo(id, CL_PLATFORM_NAME, bytes, text, NULL))
        *text = '\0';
    text_copy(text && *text ? text : "?", field, size);
    mem_free(text);
}

/* Whether the list of extensions holds a name as a whole word. */
static bool word_in(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = words; at && (at = strstr(at, word)); at += length)
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

#define ANSWER(id, what, field) ocl.clGetDeviceInfo(id, what, sizeof(field), &(field), NULL)

/* False if the device does not say what cannot be done without. */
static bool device_read(cl_platform_id platform, cl_device_id id, struct ocl_device *device)
{
    cl_bool available = CL_FALSE, compiler = CL_FALSE, unified = CL_FALSE;
    cl_device_fp_config doubles = 0;
    *device = (struct ocl_device){.platform = platform, .id = id};
    platform_name(platform, device->platform_name, sizeof device->platform_name);
    device_text(id, CL_DEVICE_NAME, device->name, sizeof device->name);
    if (ANSWER(id, CL_DEVICE_AVAILABLE, available) ||
        ANSWER(id, CL_DEVICE_COMPILER_AVAILABLE, compiler) ||
        ANSWER(id, CL_DEVICE_TYPE, device->type) ||
        ANSWER(id, CL_DEVICE_GLOBAL_MEM_SIZE, device->memory_bytes) ||
        ANSWER(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, device->largest_alloc_bytes) ||
        ANSWER(id, CL_DEVICE_LOCAL_MEM_SIZE, device->local_bytes) ||
        ANSWER(id, CL_DEVICE_MAX_COMPUTE_UNITS, device->compute_units) ||
        ANSWER(id, CL_DEVICE_MAX_WORK_GROUP_SIZE, device->max_group)) {
        log_info("OpenCL device %s does not answer, and is left out", device->name);
        return false;
    }
    if (!available || !compiler) {
        log_info("OpenCL device %s is not available, and is left out", device->name);
        return false;
    }
    device_text(id, CL_DRIVER_VERSION, device->driver, sizeof device->driver);
    device_text(id, CL_DEVICE_VERSION, device->version, sizeof device->version);
    device->unified_memory = !ANSWER(id, CL_DEVICE_HOST_UNIFIED_MEMORY, unified) && unified;
    if (ANSWER(id, CL_DEVICE_VENDOR_ID, device->vendor_id))
        device->vendor_id = 0;
    char *extensions = device_string(id, CL_DEVICE_EXTENSIONS);
    device->has_fp64 = word_in(extensions, "cl_khr_fp64") ||
                       (!ANSWER(id, CL_DEVICE_DOUBLE_FP_CONFIG, doubles) && doubles);
    device->has_fp16 = word_in(extensions, "cl_khr_fp16");
    mem_free(extensions);
    return true;
}

static void platform_list(cl_platform_id platform)
{
    cl_device_id ids[DEVICES_MAX];
    cl_uint n = 0;
    cl_int code = ocl.clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, DEVICES_MAX, ids, &n);
    if (code) {
        char name[64];
        platform_name(platform, name, sizeof name);
        log_info("OpenCL platform %s lists no devices: %s", name, ocl_code_name(code));
        return;
    }
    for (cl_uint i = 0; i < n && i < DEVICES_MAX && n_devices < DEVICES_MAX; i++)
        if (device_read(platform, ids[i], &devices[n_devices]))
            n_devices++;
}

static void devices_list(void)
{
    cl_platform_id platforms[PLATFORMS_MAX];
    cl_uint n = 0;
    if (!ocl_api_open(reason))
        return;
    cl_int code = ocl.clGetPlatformIDs(PLATFORMS_MAX, platforms, &n);
    if (code || !n) {
        snprintf(reason, sizeof reason, "OpenCL has no platform: %s", ocl_code_name(code));
        return;
    }
    for (cl_uint i = 0; i < n && i < PLATFORMS_MAX; i++)
        platform_list(platforms[i]);
    if (!n_devices)
        snprintf(reason, sizeof reason,
                 "no OpenCL platform (there are %u) has a device that is available", n);
}

const struct ocl_device *ocl_devices(size_t *n, char why[256])
{
    pthread_once(&once, devices_list);
    snprintf(why, sizeof reason, "%s", reason);
    *n = n_devices;
    return devices;
}

/* ---- Probes ---------------------------------------------------------------------------------- */

static const struct {
    unsigned bit;
    const char *mask;   /* its name in TOTO_OPENCL_MASK */
    const char *source; /* NULL: a question of size alone */
} cap_table[] = {
    {OCL_CAP_FP64, "fp64",
     "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n"
     "kernel void probe(global float *x) { double d = x[0]; x[0] = (float)sqrt(d * d + 1.0); }\n"},
    {OCL_CAP_FP16, "fp16",
     "#pragma OPENCL EXTENSION cl_khr_fp16 : enable\n"
     "kernel void probe(global float *x) { half h = (half)x[0]; x[0] = (float)(h * h + (half)1); "
     "}\n"},
    {OCL_CAP_LOCAL_32K, "local32k",
     "kernel void probe(global float *x) { local float y[8192]; int i = get_local_id(0);\n"
     "y[i] = x[i]; barrier(CLK_LOCAL_MEM_FENCE); x[i] = y[8191 - i]; }\n"},
    {OCL_CAP_GROUP_256, "group256", NULL},
    {OCL_CAP_NVIDIA, "nvidia",
     "kernel void probe(global uint *x) { uint lane;\n"
     "asm volatile(\"mov.u32 %0, %%laneid;\" : \"=r\"(lane)); x[lane] = lane; }\n"},
};
enum { N_CAPS = sizeof cap_table / sizeof *cap_table };

static unsigned caps_masked(unsigned caps)
{
    const char *mask = getenv("TOTO_OPENCL_MASK");
    for (size_t i = 0; mask && i < N_CAPS; i++) {
        size_t length = strlen(cap_table[i].mask);
        for (const char *at = mask; (at = strstr(at, cap_table[i].mask)); at += length)
            if ((at == mask || at[-1] == ',') && (at[length] == ',' || at[length] == '\0'))
                caps &= ~cap_table[i].bit;
    }
    return caps;
}

/* What the device says of itself; only these are probed, since some compilers die of inline
 * assembly that is not theirs. */
static unsigned caps_claimed(const struct ocl_device *device)
{
    /* NVIDIA builds half, though its driver 580 does not list it. */
    bool nvidia = device->vendor_id == VENDOR_NVIDIA;
    return (device->has_fp64 ? OCL_CAP_FP64 : 0) |
           (device->has_fp16 || nvidia ? OCL_CAP_FP16 : 0) |
           (device->local_bytes >= 32768 ? OCL_CAP_LOCAL_32K : 0) |
           (device->max_group >= 256 ? OCL_CAP_GROUP_256 : 0) |
           (nvidia ? OCL_CAP_NVIDIA : 0);
}

/* Whether the probe builds, and makes a kernel. */
static bool probe_builds(const struct ocl_device *device, cl_context context, const char *source)
{
    cl_int code;
    cl_kernel kernel = NULL;
    cl_program program = ocl.clCreateProgramWithSource(context, 1, &source, NULL, &code);
    if (!program)
        return false;
    if (!ocl.clBuildProgram(program, 1, &device->id, "-cl-std=CL1.2", NULL, NULL))
        kernel = ocl.clCreateKernel(program, "probe", &code);
    if (kernel)
        ocl.clReleaseKernel(kernel);
    ocl.clReleaseProgram(program);
    return kernel != NULL;
}

/* The bits that were found earlier, by this or another process; the driver's version is part of the
 * key. */
static bool caps_load(const struct ocl_cache_key *key, unsigned *caps)
{
    size_t bytes;
    unsigned char *entry = ocl_cache_load(key, &bytes);
    bool found = entry && bytes == 1;
    if (found)
        *caps = *entry;
    mem_free(entry);
    return found;
}

static unsigned caps_probe(const struct ocl_device *device, cl_context context)
{
    unsigned caps = caps_claimed(device);
    const char *parts[N_CAPS + 1];
    char claims[16];
    struct ocl_cache_key key;
    cl_int code;
    cl_context own = NULL;
    for (size_t i = 0; i < N_CAPS; i++)
        parts[i] = cap_table[i].source ? cap_table[i].source : cap_table[i].mask;
    snprintf(claims, sizeof claims, "%u", caps);
    parts[N_CAPS] = claims;
    ocl_cache_key_make(device, parts, N_CAPS + 1, &key);
    if (caps_load(&key, &caps))
        return caps;
    if (!context)
        context = own = ocl.clCreateContext(NULL, 1, &device->id, NULL, NULL, &code);
    if (!context)
        return 0;
    for (size_t i = 0; i < N_CAPS; i++)
        if ((caps & cap_table[i].bit) && cap_table[i].source &&
            !probe_builds(device, context, cap_table[i].source))
            caps &= ~cap_table[i].bit;
    if (own)
        ocl.clReleaseContext(own);
    ocl_cache_store(&key, &(unsigned char){(unsigned char)caps}, 1);
    return caps;
}

unsigned ocl_device_caps(const struct ocl_device *device, cl_context context)
{
    size_t i = 0;
    while (i + 1 < n_devices && devices[i].id != device->id)
        i++;
    pthread_mutex_lock(&caps_lock);
    if (!probes[i].known) {
        probes[i].caps = caps_probe(device, context);
        probes[i].known = true;
    }
    unsigned caps = probes[i].caps;
    pthread_mutex_unlock(&caps_lock);
    return caps_masked(caps);
}
