#define _XOPEN_SOURCE 700 /* nftw */
/* OpenCL: the list of devices, masks, programs and their cache, memory and its limits, and the
 * choice of a device. Without a device, the cases that need one are skipped. */
#include "opencl_cases.h"

#include <fcntl.h>

/* ---- The list -------------------------------------------------------------------------------- */

static int list_case(const char *argument)
{
    (void)argument;
    struct toto_device_info *devices;
    struct toto_error err;
    size_t n, n_chosen = 0;
    CHECK(toto_devices_list(&devices, &n, &err) == TOTO_STATUS_OK && n >= 1);
    CHECK(strcmp(devices[0].type, "cpu") == 0 && strcmp(devices[0].platform, "built-in") == 0);
    CHECK(devices[0].memory_bytes > 1 << 20 && devices[0].compute_units >= 1);
    for (size_t i = 0; i < n; i++) {
        n_chosen += devices[i].chosen;
        CHECK(*devices[i].name && *devices[i].why && *devices[i].driver);
    }
    CHECK(n_chosen == 1);
    toto_devices_free(devices);
    toto_devices_free(NULL);
    return n > 1 ? CHILD_OK : CHILD_SKIPPED;
}

/* With no device, for the reason that `argument` is part of. */
static int no_device_case(const char *argument)
{
    char why[256];
    size_t n = 7;
    struct toto_device *device;
    struct toto_error err;
    ocl_devices(&n, why);
    CHECK(n == 0);
    if (!strstr(why, argument)) {
        fprintf(stderr, "\"%s\" is not in \"%s\"\n", argument, why);
        return CHILD_FAILED;
    }
    CHECK(toto_device_open("gpu", TOTO_DTYPE_AUTO, 1, &device, &err) == TOTO_STATUS_RESOURCE);
    CHECK(!device && strstr(err.message, argument));
    CHECK(toto_device_open("1", TOTO_DTYPE_AUTO, 1, &device, &err) == TOTO_STATUS_RESOURCE &&
          !device);
    CHECK(toto_device_open("nvidia", TOTO_DTYPE_AUTO, 1, &device, &err) == TOTO_STATUS_RESOURCE &&
          !device);
    CHECK(toto_device_open("auto", TOTO_DTYPE_AUTO, 1, &device, &err) == TOTO_STATUS_OK);
    toto_device_free(device);
    CHECK(n_warnings == 0);
    CHECK(toto_device_open(NULL, TOTO_DTYPE_BF16, 1, &device, &err) == TOTO_STATUS_OK);
    toto_device_free(device);
    CHECK(n_warnings == 1); /* the CPU stores float32 */
    return CHILD_OK;
}

static int cpu_case(const char *argument)
{
    (void)argument;
    struct toto_device *device;
    struct toto_error err;
    static const char *const names[] = {"cpu", "0", "00"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CHECK(toto_device_open(names[i], TOTO_DTYPE_F32, 1, &device, &err) == TOTO_STATUS_OK);
        toto_device_free(device);
        CHECK(toto_device_open(names[i], TOTO_DTYPE_F16, 1, &device, &err) == TOTO_STATUS_USAGE);
        CHECK(!device && strstr(err.message, "--dtype f16"));
    }
    CHECK(!ocl.clGetPlatformIDs); /* no library was opened */
    return CHILD_OK;
}

static void test_list(void **state)
{
    (void)state;
    expect_ok(list_case, NULL, NULL);
}

static void test_cpu_opens_no_library(void **state)
{
    (void)state;
    expect_ok(cpu_case, NULL, NULL);
}

static void test_no_library(void **state)
{
    (void)state;
    expect_ok(no_device_case, "libOpenCL cannot be opened",
              "TOTO_OPENCL_LIBRARY=/nonexistent/libOpenCL.so");
}

/* A library that is no OpenCL, and a folder of vendors that names none. */
static void test_no_platform(void **state)
{
    (void)state;
    char variable[128];
    snprintf(variable, sizeof variable, "OCL_ICD_VENDORS=%s/none", folder);
    if (run_child(list_case, NULL, NULL, false) == CHILD_SKIPPED)
        skip();
    expect_ok(no_device_case, "no platform", variable);
    expect_ok(no_device_case, "no platform", "TOTO_OPENCL_FAIL=clGetPlatformIDs:1");
    expect_ok(no_device_case, "has a device", "TOTO_OPENCL_FAIL=clGetDeviceIDs:1+");
    expect_ok(no_device_case, "has a device", "TOTO_OPENCL_FAIL=clGetDeviceInfo:1+");
}

static cl_int CL_API_CALL long_names(cl_device_id id, cl_device_info what, size_t n, void *value,
                                     size_t *got);
static __typeof__(&long_names) real_info;
static const char *odd_name;
static cl_device_type odd_type;

/* Answers with the name and the type that the case wants. */
static cl_int CL_API_CALL long_names(cl_device_id id, cl_device_info what, size_t n, void *value,
                                     size_t *got)
{
    if (what == CL_DEVICE_NAME && odd_name) {
        size_t bytes = strlen(odd_name) + 1;
        if (got)
            *got = bytes;
        if (value && n < bytes)
            return CL_INVALID_VALUE;
        if (value)
            memcpy(value, odd_name, bytes);
        return CL_SUCCESS;
    }
    cl_int code = real_info(id, what, n, value, got);
    if (what == CL_DEVICE_TYPE && odd_type && value)
        *(cl_device_type *)value = odd_type;
    return code;
}

static bool answers_bend(const char *name, cl_device_type type)
{
    char why[256];
    odd_name = name;
    odd_type = type;
    if (!ocl_api_open(why))
        return false;
    real_info = ocl.clGetDeviceInfo;
    ocl.clGetDeviceInfo = long_names;
    return device_first() != NULL;
}

static int long_name_case(const char *argument)
{
    static char name[5000];
    (void)argument;
    memset(name, 'n', sizeof name - 1);
    memcpy(name, "  \xC3\xA4\x01", 5);
    if (!answers_bend(name, 0))
        return CHILD_SKIPPED;
    const struct ocl_device *device = device_first();
    CHECK(strlen(device->name) == sizeof device->name - 1);
    CHECK(strncmp(device->name, "???nnn", 6) == 0);
    return CHILD_OK;
}

static void test_long_name(void **state)
{
    (void)state;
    expect_ok(long_name_case, NULL, NULL);
}

static int mask_case(const char *argument)
{
    (void)argument;
    const struct ocl_device *device = device_first();
    if (!device)
        return CHILD_SKIPPED;
    unsigned all = ocl_device_caps(device, NULL);
    CHECK(all & OCL_CAP_GROUP_256);
    setenv("TOTO_OPENCL_MASK", "group256", 1);
    CHECK(ocl_device_caps(device, NULL) == (all & ~(unsigned)OCL_CAP_GROUP_256));
    setenv("TOTO_OPENCL_MASK", "fp64,xgroup256,local32k", 1);
    CHECK(ocl_device_caps(device, NULL) == (all & ~(unsigned)(OCL_CAP_FP64 | OCL_CAP_LOCAL_32K)));
    setenv("TOTO_OPENCL_MASK", "fp64,fp16,local32k,group256,nvidia", 1);
    CHECK(ocl_device_caps(device, NULL) == 0);
    return CHILD_OK;
}

static void test_mask(void **state)
{
    (void)state;
    expect_ok(mask_case, NULL, NULL);
}

/* ---- The backend ----------------------------------------------------------------------------- */

/* The kernel is built, or comes from the cache, as the argument says. */
static int built_case(const char *argument)
{
    struct backend *backend;
    struct toto_error err;
    if (!device_first())
        return CHILD_SKIPPED;
    CHECK(ocl_backend_open(device_first(), DTYPE_F32, 0, &backend, &err) == TOTO_STATUS_OK);
    *last_line = '\0';
    CHECK(ocl_kernel_get(ocl_of(backend), "probe", "add", "-DADDED=2"));
    if (!strstr(last_line, argument))
        fprintf(stderr, "%s\n", last_line);
    CHECK(strstr(last_line, argument));
    CHECK(!ocl_kernel_get(ocl_of(backend), "probe", "no_such_kernel", "-DADDED=2"));
    CHECK(backend->status == TOTO_STATUS_RESOURCE &&
          strstr(backend->error.message, "no_such_kernel"));
    backend->ops->close(backend);
    return CHILD_OK;
}

static int flip_entry(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)at;
    if (type != FTW_F || info->st_size < 100)
        return 0;
    int fd = open(path, O_RDWR);
    char byte;
    if (fd < 0 || pread(fd, &byte, 1, info->st_size / 2) != 1)
        return 1;
    byte ^= 16;
    ssize_t n = pwrite(fd, &byte, 1, info->st_size / 2);
    close(fd);
    return n != 1;
}

static void test_programs_are_cached(void **state)
{
    (void)state;
    cache_here("programs");
    expect_ok(built_case, "built in", NULL);
    expect_ok(built_case, "from the cache", NULL);
    expect_ok(built_case, "built in", "TOTO_CACHE=off");
    expect_ok(built_case, "built in", "TOTO_OPENCL_FAIL=clCreateProgramWithBinary:1");
    expect_ok(built_case, "from the cache", NULL);
    assert_int_equal(nftw(getenv("XDG_CACHE_HOME"), flip_entry, 8, FTW_PHYS), 0);
    expect_ok(built_case, "built in", NULL);
    expect_ok(built_case, "from the cache", NULL);
    cache_here("cache");
}

static int build_log_case(const char *argument)
{
    struct backend *backend;
    struct toto_error err;
    (void)argument;
    if (!device_first())
        return CHILD_SKIPPED;
    CHECK(ocl_backend_open(device_first(), DTYPE_F32, 0, &backend, &err) == TOTO_STATUS_OK);
    CHECK(!ocl_kernel_get(ocl_of(backend), "wrong", "add", NULL));
    CHECK(backend->status == TOTO_STATUS_RESOURCE);
    CHECK(strstr(backend->error.message, "CL_BUILD_PROGRAM_FAILURE"));
    CHECK(strstr(backend->error.message, "kernels/wrong.cl:3")); /* the real file and line */
    CHECK(!strchr(backend->error.message, '\n'));
    CHECK(backend->ops->sync(backend, &err) == TOTO_STATUS_RESOURCE &&
          strstr(err.message, "wrong.cl"));
    backend->ops->close(backend);
    CHECK(ocl_backend_open(device_first(), DTYPE_F32, 0, &backend, &err) == TOTO_STATUS_OK);
    CHECK(!ocl_kernel_get(ocl_of(backend), "nowhere", "add", NULL));
    CHECK(strstr(backend->error.message, "nowhere.cl"));
    backend->ops->close(backend);
    return CHILD_OK;
}

static void test_build_log(void **state)
{
    (void)state;
    expect_ok(build_log_case, NULL, NULL);
}

static int limit_case(const char *argument)
{
    enum { MB = 1 << 20 };
    struct backend *backend;
    struct tensor a, b;
    struct toto_error err;
    struct weight *weight;
    float in[1000] = {0};
    (void)argument;
    if (!device_first())
        return CHILD_SKIPPED;
    struct ocl_device small = *device_first();
    small.largest_alloc_bytes = 6 * MB;
    CHECK(ocl_backend_open(&small, DTYPE_F16, 10 * MB, &backend, &err) == TOTO_STATUS_OK);
    struct ocl_backend *device = ocl_of(backend);
    CHECK(backend->ops->alloc(backend, TENSOR_ACTIVATION, 2 * MB, &a, &err) == TOTO_STATUS_OK);
    CHECK(device->base.used_bytes == 4 * MB && device->base.peak_bytes == 4 * MB);
    CHECK(backend->ops->alloc(backend, TENSOR_F32, 2 * MB, &b, &err) == TOTO_STATUS_RESOURCE &&
          !b.memory);
    CHECK(strstr(err.message, "largest allocation is 6 MiB"));
    CHECK(backend->ops->alloc(backend, TENSOR_U8, 6 * MB + 1, &b, &err) == TOTO_STATUS_RESOURCE &&
          !b.memory);
    CHECK(backend->ops->alloc(backend, TENSOR_U8, 6 * MB, &b, &err) == TOTO_STATUS_OK);
    CHECK(device->base.used_bytes == 10 * MB);
    const struct weight_part part = {DTYPE_F32, in, 10};
    CHECK(backend->ops->weight_open(backend, &part, 1, 100, &weight, &err) ==
              TOTO_STATUS_RESOURCE &&
          !weight);
    CHECK(strstr(err.message, "what is left of its memory is 0 MiB"));
    backend->ops->free(backend, &b);
    CHECK(device->base.used_bytes == 4 * MB && device->base.peak_bytes == 10 * MB);
    CHECK(backend->ops->alloc(backend, TENSOR_F32, SIZE_MAX / 2, &b, &err) ==
              TOTO_STATUS_RESOURCE &&
          !b.memory);
    CHECK(backend->ops->alloc(backend, TENSOR_F32, 0, &b, &err) == TOTO_STATUS_OK && b.memory);
    backend->ops->upload(backend, b, in);
    CHECK(backend->ops->download(backend, b, in, &err) == TOTO_STATUS_OK);
    backend->ops->free(backend, &b);
    backend->ops->free(backend, &a);
    backend->ops->free(backend, &a);
    backend->ops->close(backend);
    return CHILD_OK;
}

static void test_memory_limit(void **state)
{
    (void)state;
    expect_ok(limit_case, NULL, NULL);
}

/* ---- The choice ------------------------------------------------------------------------------ */

static cl_int CL_API_CALL wrong_read(cl_command_queue queue, cl_mem memory, cl_bool blocking,
                                     size_t offset, size_t bytes, void *to, cl_uint n,
                                     const cl_event *wait, cl_event *event);
static __typeof__(&wrong_read) real_read;

/* A device that computes one wrong number. */
static cl_int CL_API_CALL wrong_read(cl_command_queue queue, cl_mem memory, cl_bool blocking,
                                     size_t offset, size_t bytes, void *to, cl_uint n,
                                     const cl_event *wait, cl_event *event)
{
    cl_int code = real_read(queue, memory, blocking, offset, bytes, to, n, wait, event);
    if (bytes >= sizeof(float))
        *(float *)to += 0.01f;
    return code;
}

/* The first device, said to be a GPU, runs where auto chooses; with "wrong", its numbers are. */
static int auto_case(const char *argument)
{
    struct toto_device *device;
    struct toto_error err;
    unsetenv("TOTO_KERNEL_DIR");
    setenv("OCL_ICD_VENDORS", "/etc/OpenCL/vendors", 0); /* drivers are asked, whatever /dev shows */
    if (!answers_bend("Some GPU", CL_DEVICE_TYPE_GPU))
        return CHILD_SKIPPED;
    if (strcmp(argument, "right") == 0) {
        if (toto_device_open("auto", TOTO_DTYPE_AUTO, 1, &device, &err))
            fprintf(stderr, "%s\n", err.message);
        CHECK(device && strstr(device->backend->name, "Some GPU"));
        toto_device_free(device);
        CHECK(toto_device_open("gpu", TOTO_DTYPE_BF16, 1, &device, &err) == TOTO_STATUS_OK);
        CHECK(strstr(device->backend->name, "BF16"));
        toto_device_free(device);
        CHECK(toto_device_open("OME g", TOTO_DTYPE_F32, 1, &device, &err) == TOTO_STATUS_OK);
        toto_device_free(device);
        CHECK(toto_device_open("1", TOTO_DTYPE_F32, 1, &device, &err) == TOTO_STATUS_OK);
        toto_device_free(device);
        CHECK(toto_device_open("99", TOTO_DTYPE_F32, 1, &device, &err) == TOTO_STATUS_RESOURCE &&
              !device);
        CHECK(toto_device_open("", TOTO_DTYPE_F32, 1, &device, &err) == TOTO_STATUS_RESOURCE &&
              !device);
        CHECK(n_warnings == 0);
        return CHILD_OK;
    }
    if (strcmp(argument, "wrong") == 0) {
        real_read = ocl.clEnqueueReadBuffer;
        ocl.clEnqueueReadBuffer = wrong_read;
    }
    CHECK(toto_device_open("gpu", TOTO_DTYPE_AUTO, 1, &device, &err) == TOTO_STATUS_RESOURCE &&
          !device);
    CHECK(strstr(err.message, "Some GPU"));
    CHECK(
        strstr(err.message, strcmp(argument, "wrong") == 0 ? "wrong numbers" : "clCreateContext"));
    CHECK(n_warnings == 0);
    CHECK(toto_device_open("auto", TOTO_DTYPE_AUTO, 1, &device, &err) == TOTO_STATUS_OK);
    CHECK(strncmp(device->backend->name, "CPU", 3) == 0);
    CHECK(n_warnings == 1);
    toto_device_free(device);
    return CHILD_OK;
}

static void test_auto(void **state)
{
    (void)state;
    expect_ok(auto_case, "right", NULL);
    expect_ok(auto_case, "wrong", NULL);
    expect_ok(auto_case, "fails", "TOTO_OPENCL_FAIL=clCreateContext:1+");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_cpu_opens_no_library),
        cmocka_unit_test(test_no_library),
        cmocka_unit_test(test_no_platform),
        cmocka_unit_test(test_long_name),
        cmocka_unit_test(test_mask),
        cmocka_unit_test(test_programs_are_cached),
        cmocka_unit_test(test_build_log),
        cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_auto),
    };
    return cmocka_run_group_tests_name("opencl", tests, folder_make, folder_remove);
}
