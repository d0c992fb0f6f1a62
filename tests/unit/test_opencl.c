#define _XOPEN_SOURCE 700 /* nftw */
/* The OpenCL backend without its ops: the list of devices, masks, the cache of built programs,
 * memory and its limits, a call that fails at any place, and the choice of a device. What OpenCL is
 * opened with is the process's for good, so each case runs in a child. Without a device, the cases
 * that need one are skipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/opencl/ocl.h"
#include "base/log.h"
#include "base/memory.h"

static char folder[64]; /* of this run: kernels/, cache/ and what the cases make */

/* ---- Children -------------------------------------------------------------------------------- */

enum { CHILD_OK, CHILD_FAILED, CHILD_SKIPPED };
typedef int child_case(const char *argument);

#define CHECK(condition)                                                                  \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);       \
            return CHILD_FAILED;                                                          \
        }                                                                                 \
    } while (0)

static char last_line[1024];
static size_t n_warnings;

static void keep_line(void *user, enum toto_log_level level, const char *line)
{
    (void)user;
    n_warnings += level == TOTO_LOG_WARN;
    snprintf(last_line, sizeof last_line, "%s", line);
}

/* Runs the case in a child, with "NAME=VALUE" set; the status it ends with, or -1 if it was killed.
 */
static int run_child(child_case *run, const char *argument, const char *variable, bool normal_exit)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        char name[64];
        const char *equals = variable ? strchr(variable, '=') : NULL;
        if (equals) {
            snprintf(name, sizeof name, "%.*s", (int)(equals - variable), variable);
            setenv(name, equals + 1, 1);
        }
        toto_log_set(TOTO_LOG_DEBUG, keep_line, NULL);
        alarm(300);
        int status = run(argument);
        fflush(NULL);
        if (normal_exit)
            exit(status);
        _exit(status); /* what a driver keeps for itself is not looked for */
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

static void expect_ok(child_case *run, const char *argument, const char *variable)
{
    int status = run_child(run, argument, variable, false);
    if (status == CHILD_SKIPPED) {
        print_message("there is no OpenCL device: skipped\n");
        skip();
    }
    assert_int_equal(status, CHILD_OK);
}

/* The first device, or NULL. */
static const struct ocl_device *device_first(void)
{
    char why[256];
    size_t n;
    const struct ocl_device *list = ocl_devices(&n, why);
    return n ? list : NULL;
}

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

/* ---- The cache, which needs no device -------------------------------------------------------- */

static const struct ocl_device paper_device = {.platform_name = "platform",
                                               .name = "device",
                                               .driver = "1"};
static const unsigned char payload[] = "a program that a driver built";

static struct ocl_cache_key key_of(const char *source)
{
    struct ocl_cache_key key;
    ocl_cache_key_make(&paper_device, &source, 1, &key);
    return key;
}

static void entry_name(const struct ocl_cache_key *key, char path[256])
{
    int n = snprintf(path, 256, "%s/toto/", getenv("XDG_CACHE_HOME"));
    for (size_t i = 0; i < sizeof key->hash; i++)
        n += snprintf(path + n, 256 - (size_t)n, "%02x", key->hash[i]);
    snprintf(path + n, 256 - (size_t)n, ".clb");
}

static bool cached(const struct ocl_cache_key *key)
{
    size_t bytes = 0;
    unsigned char *found = ocl_cache_load(key, &bytes);
    bool good = found && bytes == sizeof payload && memcmp(found, payload, bytes) == 0;
    assert_true(good || !found);
    mem_free(found);
    return good;
}

static void cache_here(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    setenv("XDG_CACHE_HOME", path, 1);
}

static void test_cache(void **state)
{
    (void)state;
    char path[256], other[256], whole[sizeof payload + 80];
    struct ocl_cache_key key = key_of("kernel a"), second = key_of("kernel b");
    struct stat info;
    cache_here("entries");
    assert_memory_not_equal(key.hash, second.hash, sizeof key.hash);
    assert_false(cached(&key));
    ocl_cache_store(&key, payload, sizeof payload);
    assert_true(cached(&key));
    assert_false(cached(&second));
    entry_name(&key, path);
    entry_name(&second, other);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(info.st_size, sizeof whole);

    int fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, whole, sizeof whole), sizeof whole);
    close(fd);
    for (size_t i = 0; i < sizeof whole; i++) { /* any bit */
        whole[i] ^= (char)(1 << i % 8);
        fd = open(path, O_WRONLY | O_TRUNC);
        assert_int_equal(write(fd, whole, sizeof whole), sizeof whole);
        close(fd);
        assert_false(cached(&key));
        whole[i] ^= (char)(1 << i % 8);
    }
    for (size_t length = 0; length < sizeof whole; length += 7) { /* cut */
        fd = open(path, O_WRONLY | O_TRUNC);
        assert_int_equal(write(fd, whole, length), length);
        close(fd);
        assert_false(cached(&key));
    }
    ocl_cache_store(&key, payload, sizeof payload); /* replaced */
    assert_true(cached(&key));
    assert_int_equal(rename(path, other), 0); /* another's entry */
    assert_false(cached(&second));
    assert_int_equal(symlink(other, path), 0);
    assert_false(cached(&key));
}

static void test_cache_keys_differ(void **state)
{
    (void)state;
    const char *ab_c[] = {"ab", "c"}, *a_bc[] = {"a", "bc"};
    struct ocl_device other = paper_device;
    struct ocl_cache_key one, two;
    ocl_cache_key_make(&paper_device, ab_c, 2, &one);
    ocl_cache_key_make(&paper_device, a_bc, 2, &two);
    assert_memory_not_equal(one.hash, two.hash, sizeof one.hash);
    snprintf(other.driver, sizeof other.driver, "2");
    ocl_cache_key_make(&other, ab_c, 2, &two);
    assert_memory_not_equal(one.hash, two.hash, sizeof one.hash);
}

static void test_cache_folders(void **state)
{
    (void)state;
    char path[256];
    struct ocl_cache_key key = key_of("kernel c");
    struct stat info;

    cache_here("kept/in/a/deep/folder");
    ocl_cache_store(&key, payload, sizeof payload);
    assert_true(cached(&key));
    snprintf(path, sizeof path, "%s/toto", getenv("XDG_CACHE_HOME"));
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(chmod(path, 0777), 0); /* others could put programs there */
    assert_false(cached(&key));
    assert_int_equal(chmod(path, 0700), 0);
    assert_true(cached(&key));
    setenv("TOTO_CACHE", "off", 1);
    assert_false(cached(&key));
    unsetenv("TOTO_CACHE");

    static const char *const without[] = {"/proc/none", "/dev/null", "relative"};
    char *home = getenv("HOME") ? mem_strdup(getenv("HOME")) : NULL;
    unsetenv("HOME");
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        setenv("XDG_CACHE_HOME", without[i], 1);
        ocl_cache_store(&key, payload, sizeof payload);
        assert_false(cached(&key));
    }
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", folder, 1);
    ocl_cache_store(&key, payload, sizeof payload);
    assert_true(cached(&key));
    if (home)
        setenv("HOME", home, 1);
    mem_free(home);
    cache_here("cache");
}

/* ---- The backend ----------------------------------------------------------------------------- */

/* A whole use of the backend but for the ops; what it computes is checked. */
static enum toto_status use(enum dtype dtype, bool *right, struct toto_error *err)
{
    enum { N = 700000, MOVED = 5, ADDED = 1000 };
    struct backend *backend = NULL;
    struct tensor tensor = {0};
    struct weight *weight = NULL;
    float *in = mem_alloc(N * sizeof *in), *out = mem_alloc(N * sizeof *out);
    *right = false;
    for (size_t i = 0; i < N; i++)
        in[i] = (float)(i % 251);
    enum toto_status status = ocl_backend_open(device_first(), dtype, 0, &backend, err);
    if (status)
        goto done;
    const struct weight_part part = {DTYPE_F32, in, 100};
    if ((status = backend->ops->alloc(backend, TENSOR_ACTIVATION, N, &tensor, err)) ||
        (status = backend->ops->weight_open(backend, &part, 1, 1000, &weight, err)))
        goto done;
    backend->ops->upload(backend, tensor, in);
    cl_ulong first = MOVED;
    cl_uint n = ADDED;
    const struct ocl_arg args[] = {{sizeof(cl_mem), &tensor.memory}, OCL_ARG(first), OCL_ARG(n)};
    size_t global = ADDED, group = 64;
    if (dtype == DTYPE_F32)
        ocl_launch(ocl_of(backend), ocl_kernel_get(ocl_of(backend), "probe", "add", "-DADDED=1"),
                   args, 3, 1, &global, &group);
    if ((status = backend->ops->download(backend, tensor, out, err)))
        goto done;
    *right = true;
    for (size_t i = 0; i < N; i++)
        if (out[i] != in[i] + (dtype == DTYPE_F32 && i >= MOVED && i < MOVED + ADDED ? 1.0f : 0.0f))
            *right = false;
    status = backend->ops->sync(backend, err);
done:
    if (backend) {
        backend->ops->weight_close(backend, weight);
        backend->ops->free(backend, &tensor);
        backend->ops->close(backend);
    }
    mem_free(in);
    mem_free(out);
    return status;
}

static int use_case(const char *argument)
{
    struct toto_error err = {""};
    size_t before = toto_memory_used();
    bool right;
    if (!device_first())
        return CHILD_SKIPPED;
    for (int dtype = DTYPE_F32; dtype <= DTYPE_BF16; dtype++) {
        if (use((enum dtype)dtype, &right, &err))
            fprintf(stderr, "%s\n", err.message);
        CHECK(right);
        if (argument) /* one is enough */
            break;
    }
    CHECK(toto_memory_used() == before);
    return CHILD_OK;
}

static void test_use(void **state)
{
    (void)state;
    expect_ok(use_case, NULL, NULL);
}

/* The program of `use` is built, or comes from the cache, as the argument says. */
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
    CHECK(device->used_bytes == 4 * MB && device->peak_bytes == 4 * MB);
    CHECK(backend->ops->alloc(backend, TENSOR_F32, 2 * MB, &b, &err) == TOTO_STATUS_RESOURCE &&
          !b.memory);
    CHECK(strstr(err.message, "largest allocation is 6 MiB"));
    CHECK(backend->ops->alloc(backend, TENSOR_U8, 6 * MB + 1, &b, &err) == TOTO_STATUS_RESOURCE &&
          !b.memory);
    CHECK(backend->ops->alloc(backend, TENSOR_U8, 6 * MB, &b, &err) == TOTO_STATUS_OK);
    CHECK(device->used_bytes == 10 * MB);
    const struct weight_part part = {DTYPE_F32, in, 10};
    CHECK(backend->ops->weight_open(backend, &part, 1, 100, &weight, &err) ==
              TOTO_STATUS_RESOURCE &&
          !weight);
    CHECK(strstr(err.message, "what is left of its memory is 0 MiB"));
    backend->ops->free(backend, &b);
    CHECK(device->used_bytes == 4 * MB && device->peak_bytes == 10 * MB);
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

/* ---- Rounding -------------------------------------------------------------------------------- */

static void test_narrow(void **state)
{
    (void)state;
    static const struct {
        float in;
        uint16_t f16, bf16;
    } cases[] = {
        {0.0f, 0, 0},
        {-0.0f, 0x8000, 0x8000},
        {1.0f, 0x3C00, 0x3F80},
        {-2.5f, 0xC100, 0xC020},
        {1.0f + 0x1p-11f, 0x3C00, 0x3F80}, /* ties go to even */
        {1.0f + 0x3p-11f, 0x3C02, 0x3F80},
        {1.0f + 0x1p-8f, 0x3C04, 0x3F80},
        {1.0f + 0x3p-8f, 0x3C0C, 0x3F82},
        {0x1p-14f, 0x0400, 0x3880},
        {0x1p-24f, 0x0001, 0x3380},
        {0x1p-25f, 0x0000, 0x3300},
        {0x1.8p-24f, 0x0002, 0x33C0},
        {0x1.ff8p-15f, 0x03FF, 0x3880},
        {0x1.ffcp-15f, 0x0400, 0x3880},
        {65504.0f, 0x7BFF, 0x4780},
        {65520.0f, 0x7BFF, 0x4780},
        {-1e30f, 0xFBFF, 0xF14A},
        {INFINITY, 0x7C00, 0x7F80},
        {-INFINITY, 0xFC00, 0xFF80},
        {3.4e38f, 0x7BFF, 0x7F80},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint16_t got;
        ocl_narrow(DTYPE_F16, &cases[i].in, 1, &got);
        assert_int_equal(got, cases[i].f16);
        ocl_narrow(DTYPE_BF16, &cases[i].in, 1, &got);
        assert_int_equal(got, cases[i].bf16);
    }
    float wide;
    uint16_t got;
    for (uint32_t bits = 0; bits < 0x10000; bits++) { /* what a type holds comes back as it was */
        uint16_t half = (uint16_t)bits;
        static const enum dtype types[] = {DTYPE_F16, DTYPE_BF16};
        for (size_t t = 0; t < 2; t++) {
            dtype_widen(types[t], &half, 1, &wide);
            ocl_narrow(types[t], &wide, 1, &got);
            if (isnan(wide))
                dtype_widen(types[t], &got, 1, &wide), assert_true(isnan(wide));
            else
                assert_int_equal(got, half);
        }
    }
}

/* ---- Faults ---------------------------------------------------------------------------------- */

static unsigned long count_of(const char *call)
{
    char path[128], name[64];
    unsigned long n, found = 0;
    snprintf(path, sizeof path, "%s/counts", folder);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fscanf(file, "%63s %lu", name, &n) == 2)
        if (strcmp(name, call) == 0)
            found = n;
    fclose(file);
    return found;
}

/* Either all is right, or the error names the call or the device, and nothing is kept. */
static int fault_case(const char *argument)
{
    struct toto_error err = {""};
    bool right;
    size_t before = toto_memory_used();
    if (!device_first())
        return CHILD_OK;
    size_t listed = toto_memory_used();
    enum toto_status status = use(DTYPE_F32, &right, &err);
    CHECK(before == listed && toto_memory_used() == before);
    if (status == TOTO_STATUS_OK) {
        CHECK(right);
        return CHILD_OK;
    }
    if (!strstr(err.message, "CL_") || !strstr(err.message, device_first()->name))
        fprintf(stderr, "%s: %s\n", argument, err.message);
    CHECK(status == TOTO_STATUS_RESOURCE);
    CHECK(strstr(err.message, "CL_") && strstr(err.message, device_first()->name));
    return CHILD_OK;
}

/* Counts the calls of a use, and of each handle that was made. */
static void count_calls(void)
{
    char variable[128];
    snprintf(variable, sizeof variable, "TOTO_OPENCL_COUNT=%s/counts", folder);
    int status = run_child(use_case, "once", variable, true);
    if (status == CHILD_SKIPPED)
        skip();
}

static void test_nothing_is_kept(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"clCreateContext", "clReleaseContext"}, {"clCreateCommandQueue", "clReleaseCommandQueue"},
        {"clCreateBuffer", "clReleaseMemObject"}, {"clCreateKernel", "clReleaseKernel"},
        {"clEnqueueMapBuffer", "clEnqueueUnmapMemObject"},
    };
    count_calls();
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        assert_true(count_of(pairs[i][0]) > 0);
        assert_int_equal(count_of(pairs[i][0]), count_of(pairs[i][1]));
    }
    assert_int_equal(count_of("clCreateProgramWithSource") + count_of("clCreateProgramWithBinary"),
                     count_of("clReleaseProgram"));
}

static void test_every_call_fails(void **state)
{
    (void)state;
    static const char *const calls[] = {
#define NAME(name) #name,
        OCL_CALLS(NAME)
#undef NAME
    };
    enum { MOST = 40 };
    count_calls();
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        bool questions = strncmp(calls[i], "clGet", 5) == 0 ||
                         strncmp(calls[i], "clRelease", 9) == 0 ||
                         strcmp(calls[i], "clSetKernelArg") == 0;
        unsigned long n = count_of(calls[i]), most = questions ? 1 : MOST;
        for (unsigned long at = 1; at <= n && at <= most; at++) {
            char variable[128];
            snprintf(variable, sizeof variable, "TOTO_OPENCL_FAIL=%s:%lu", calls[i], at);
            int status = run_child(fault_case, variable, variable, false);
            if (status != CHILD_OK)
                fail_msg("%s: the child ended with %d", variable, status);
        }
    }
    assert_int_equal(run_child(fault_case, "build", "TOTO_OPENCL_FAIL=clBuildProgram:1+", false),
                     CHILD_OK);
    assert_int_equal(run_child(fault_case, "lost", "TOTO_OPENCL_FAIL=clFinish:1+", false),
                     CHILD_OK);
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

/* ---- The folder of the run ------------------------------------------------------------------- */

static void text_write(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int folder_make(void **state)
{
    (void)state;
    char path[128];
    snprintf(folder, sizeof folder, "/tmp/toto-opencl-XXXXXX");
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/none", folder);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/kernels", folder);
    mkdir(path, 0700);
    setenv("TOTO_KERNEL_DIR", path, 1);
    text_write("kernels/prelude.cl", "#define PLUS(x) ((x) + ADDED)\n");
    text_write("kernels/probe.cl",
               "kernel void add(global float *x, ulong first, uint n)\n"
               "{\n"
               "    uint i = get_global_id(0);\n"
               "    if (i < n)\n"
               "        x[first + i] = PLUS(x[first + i]);\n"
               "}\n");
    text_write("kernels/wrong.cl",
               "kernel void add(global float *x)\n{\n    x[0] = undeclared;\n}\n");
    cache_here("cache");
    unsetenv("TOTO_CACHE");
    unsetenv("TOTO_OPENCL_MASK");
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    return remove(path);
}

static int folder_remove(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
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
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_cache_keys_differ),
        cmocka_unit_test(test_cache_folders),
        cmocka_unit_test(test_use),
        cmocka_unit_test(test_programs_are_cached),
        cmocka_unit_test(test_build_log),
        cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_narrow),
        cmocka_unit_test(test_nothing_is_kept),
        cmocka_unit_test(test_every_call_fails),
        cmocka_unit_test(test_auto),
    };
    return cmocka_run_group_tests_name("opencl", tests, folder_make, folder_remove);
}
