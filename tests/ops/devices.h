/* What the tests of OpenCL devices share: an op's tensors twice, on the CPU and on a device. Inputs
 * that a device stores narrower are rounded for the CPU too, so that only the op's own arithmetic
 * and the rounding of what it writes are compared. */
#ifndef TOTO_TESTS_DEVICES_H
#define TOTO_TESTS_DEVICES_H

#include <float.h>

#include "backend/opencl/ocl.h"
#include "ops.h"

/* The CPU and the device that is tested now. */
static struct backend *cpu, *device;
static double stored_epsilon; /* half an ulp of 1 of what the device stores */

struct twin {
    struct tensor cpu, device;
};

static inline struct twin twin_at(struct twin twin, size_t offset, size_t n)
{
    return (struct twin){tensor_at(twin.cpu, offset, n), tensor_at(twin.device, offset, n)};
}

static inline size_t twin_words(size_t n)
{
    return n + 2 * GUARD;
}

/* n elements of src between guard bands; of poison without src. */
static inline struct twin twin_make(enum tensor_kind kind, size_t n, const void *src)
{
    struct toto_error err;
    size_t bytes = kind == TENSOR_U8 ? 1 : kind == TENSOR_SCALE_STATE ? 64 : 4;
    char *whole = mem_alloc(twin_words(n) * bytes);
    struct twin twin;
    for (size_t i = 0; i + 4 <= twin_words(n) * bytes; i += 4)
        memcpy(whole + i, &(uint32_t){POISON}, 4);
    if (src)
        memcpy(whole + GUARD * bytes, src, n * bytes);
    if (cpu->ops->alloc(cpu, kind, twin_words(n), &twin.cpu, &err) ||
        device->ops->alloc(device, kind, twin_words(n), &twin.device, &err))
        fail_msg("%s", err.message);
    if (kind != TENSOR_SCALE_STATE) {
        device->ops->upload(device, twin.device, whole);
        if (device->ops->download(device, twin.device, whole, &err))
            fail_msg("%s", err.message);
        cpu->ops->upload(cpu, twin.cpu, whole);
    }
    mem_free(whole);
    return twin_at(twin, GUARD, n);
}

static inline struct twin twin_random(enum tensor_kind kind, size_t n)
{
    float *values = mem_alloc((n + 1) * sizeof *values);
    for (size_t i = 0; i < n; i++)
        values[i] = random_float();
    struct twin twin = twin_make(kind, n, values);
    mem_free(values);
    return twin;
}

/* Elements of a tensor with its guard bands, of which the device's must be whole. */
static inline float *twin_read(struct backend *backend, struct tensor tensor)
{
    struct toto_error err;
    float *values = mem_alloc(twin_words(tensor.n) * sizeof *values);
    struct tensor whole = {tensor.memory, tensor.kind, tensor.offset - GUARD, twin_words(tensor.n)};
    if (backend->ops->download(backend, whole, values, &err))
        fail_msg("%s", err.message);
    for (size_t i = 0; i < GUARD; i++)
        assert_true(isnan(values[i]) && isnan(values[GUARD + tensor.n + i]));
    return values;
}

/* Every element of the device's tensor within `tolerance` times the largest magnitude of its row
 * (or `floor_size`, of what was summed there), and the rounding of what is stored; NaN only where the CPU has it. */
static inline void twin_compare(struct twin twin, size_t width, double tolerance, double floor_size,
                                const char *what)
{
    float *want = twin_read(cpu, twin.cpu), *got = twin_read(device, twin.device);
    if (twin.cpu.kind == TENSOR_ACTIVATION)
        tolerance += stored_epsilon;
    for (size_t row = 0; row * width < twin.cpu.n; row++) {
        const float *w = want + GUARD + row * width, *g = got + GUARD + row * width;
        double most = floor_size + 1e-30;
        for (size_t i = 0; i < width; i++)
            if (isfinite(w[i]) && fabs((double)w[i]) > most)
                most = fabs((double)w[i]);
        for (size_t i = 0; i < width; i++) {
            if ((isnan(w[i]) && isnan(g[i])) || (isinf(w[i]) && g[i] == w[i]))
                continue;
            assert_close((double)g[i], (double)w[i], tolerance * most, "%s: row %zu of %zu, %zu",
                         what, row, width, i);
        }
    }
    mem_free(want);
    mem_free(got);
}

static inline void twin_end(struct twin twin)
{
    cpu->ops->free(cpu, &twin.cpu);
    device->ops->free(device, &twin.device);
}

/* The device's bytes in an F32 or ACTIVATION tensor, widened. */
static inline float *twin_bytes(struct tensor tensor)
{
    struct toto_error err;
    float *values = mem_alloc((tensor.n + 1) * sizeof *values);
    if (device->ops->download(device, tensor, values, &err))
        fail_msg("%s", err.message);
    return values;
}

/* Both run an op: `args` is an array of two, the CPU's and the device's. */
#define RUN(op, args) (cpu->ops->op(cpu, &(args)[0]), device->ops->op(device, &(args)[1]))
/* A twin's tensor for the i-th of the two. */
#define OF(twin) (i ? (twin).device : (twin).cpu)

/* ---- Weights --------------------------------------------------------------------------------- */

struct twin_weight {
    struct weight *cpu, *device;
    float *values;
};

static inline struct twin_weight weight_of(float *values, size_t n_out, size_t n_in)
{
    struct toto_error err;
    struct twin_weight made = {.values = values};
    struct weight_part part = {DTYPE_F32, values, n_out};
    if (cpu->ops->weight_open(cpu, &part, 1, n_in, &made.cpu, &err) ||
        device->ops->weight_open(device, &part, 1, n_in, &made.device, &err))
        fail_msg("%s", err.message);
    return made;
}

/* Of seven bits: every stored type holds them. */
static inline struct twin_weight weight_random(size_t n_out, size_t n_in)
{
    float *values = mem_alloc(n_out * n_in * sizeof *values);
    for (size_t i = 0; i < n_out * n_in; i++)
        values[i] = (float)((int)(random_bits() % 255) - 127) / 128.0f;
    return weight_of(values, n_out, n_in);
}

static inline void weight_end(struct twin_weight *weight)
{
    cpu->ops->weight_close(cpu, weight->cpu);
    device->ops->weight_close(device, weight->device);
    mem_free(weight->values);
}

/* ---- How much, and on what ------------------------------------------------------------------- */

/* SMALL: each kernel variant once, with few shapes. TOTO_TEST_SIZE=tiny: what a simulator can take;
 * TOTO_TEST_SIZE=wide: many shapes. */
enum devices_size { TINY, SMALL, WIDE };

static inline enum devices_size devices_size(void)
{
    const char *size = getenv("TOTO_TEST_SIZE");
    if (size && strcmp(size, "wide") == 0)
        return WIDE;
    return size && strcmp(size, "tiny") == 0 ? TINY : SMALL;
}

/* What a test program has for devices. */
struct devices_tests {
    int (*checks)(const char *name);
    void (*bench)(void);
    bool typeless; /* no kernel reads or writes what is stored narrower: float32 will do */
};

/* Seconds of run(context) on the device: the median of batches of launches with one wait each, so
 * that neither the wait nor, for work of more than some microseconds, the launches count. */
static inline double device_seconds(void (*run)(void *), void *context)
{
    enum { BATCHES = 15 };
    double times[BATCHES], start, once;
    struct toto_error err;
    size_t launches;
    run(context);
    device->ops->sync(device, &err);
    start = clock_seconds();
    run(context);
    device->ops->sync(device, &err);
    once = clock_seconds() - start;
    launches = once > 0.01 ? 1 : once > 1e-5 ? (size_t)(0.01 / once) : 1000;
    for (size_t i = 0; i < BATCHES; i++) {
        start = clock_seconds();
        for (size_t j = 0; j < launches; j++)
            run(context);
        if (device->ops->sync(device, &err)) {
            fprintf(stderr, "%s\n", err.message);
            exit(1);
        }
        times[i] = (clock_seconds() - start) / (double)launches;
    }
    qsort(times, BATCHES, sizeof *times, doubles_compare);
    return times[BATCHES / 2];
}

/* As bench_print, with the stored type before the shape. */
static inline void device_print(const char *op, const char *shape, double seconds, double work,
                                const char *unit)
{
    char text[96];
    snprintf(text, sizeof text, "%s %s", dtype_name(ocl_of(device)->dtype), shape);
    bench_print(op, text, seconds, work, unit);
}

/* Bytes of a stored element, in 1e9. */
static inline double stored_gigabytes(double n)
{
    return n * 1e-9 * (double)device->ops->element_bytes(device, TENSOR_ACTIVATION);
}

/* Runs the tests on every OpenCL device in every stored type, or only on the devices whose name
 * holds TOTO_TEST_DEVICE, and in the type TOTO_TEST_DTYPE. Benchmarks leave processors out unless
 * they are named. */
static inline int devices_run(const struct devices_tests *tests, bool bench)
{
    static const double epsilons[] = {0, 0x1p-11, 0x1p-8};
    const char *only = getenv("TOTO_TEST_DEVICE"), *only_type = getenv("TOTO_TEST_DTYPE");
    char why[256];
    size_t n;
    struct toto_error err;
    int failed = 0;
    const struct ocl_device *list = ocl_devices(&n, why);
    if (!n)
        printf("ok 1 - on OpenCL devices # SKIP %s\n", why);
    for (size_t i = 0; i < n; i++)
        for (int dtype = DTYPE_F32; dtype <= DTYPE_BF16; dtype++) {
            if ((only && !strstr(list[i].name, only)) ||
                (only_type && strcmp(only_type, dtype_name((enum dtype)dtype)) != 0) ||
                (bench && !only && list[i].type == CL_DEVICE_TYPE_CPU) ||
                (tests->typeless && dtype != DTYPE_F32))
                continue;
            if (cpu_backend_open(0, &cpu, &err) ||
                ocl_backend_open(&list[i], (enum dtype)dtype, 0, &device, &err)) {
                fprintf(stderr, "%s: %s\n", list[i].name, err.message);
                return 1;
            }
            stored_epsilon = epsilons[dtype];
            if (!bench)
                failed += tests->checks(device->name);
            else if (tests->bench)
                tests->bench();
            cpu->ops->close(cpu);
            device->ops->close(device);
        }
    return failed;
}

static inline int devices_main(int argc, char **argv, const struct devices_tests *tests)
{
    random_seed();
    return devices_run(tests, argc > 1 && strcmp(argv[1], "--bench") == 0);
}

#endif
