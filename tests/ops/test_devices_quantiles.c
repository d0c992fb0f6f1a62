/* quantiles of OpenCL devices against the CPU's: rows from one sample to more than local memory
 * holds, sorted in place; equal, tiny and huge values; either output alone. */
#include "devices.h"

static void quantiles_check(size_t n_rows, size_t n_samples, int kind)
{
    static const double levels[] = {0, 0.1, 0.25, 0.5, 0.999, 1};
    enum { QUANTILES = sizeof levels / sizeof *levels };
    struct quantile_position positions[QUANTILES];
    size_t n = n_rows * n_samples;
    float *values = mem_alloc(n * sizeof *values), factor[] = {1e6f, 3, 1e-30f, 3e38f};
    for (size_t q = 0; q < QUANTILES; q++) {
        double at = levels[q] * (double)(n_samples - 1);
        positions[q] = (struct quantile_position){(int32_t)at, (float)(at - floor(at))};
    }
    for (size_t i = 0; i < n; i++) {
        values[i] = random_float() * factor[kind];
        values[i] = kind == 1 ? floorf(values[i]) + 0.0f : values[i]; /* many equal, no -0 */
    }
    struct twin samples = twin_make(TENSOR_F32, n, values);
    struct twin where = twin_make(TENSOR_I32, sizeof positions / 4, positions);
    struct twin quantiles = twin_make(TENSOR_F32, QUANTILES * n_rows, NULL);
    struct twin mean = twin_make(TENSOR_F32, n_rows, NULL);
    struct quantiles_args args[2];
    for (int i = 0; i < 2; i++) {
        args[i] = (struct quantiles_args){
            .samples = OF(samples), .n_rows = n_rows, .n_samples = n_samples,
            .positions = OF(where), .n_quantiles = QUANTILES};
        if (kind != 2)
            args[i].quantiles = OF(quantiles);
        if (kind != 1)
            args[i].mean = OF(mean);
    }
    RUN(quantiles, args);
    float *want = twin_read(cpu, samples.cpu), *got = twin_read(device, samples.device);
    assert_bytes(got, want, twin_words(n) * 4, "%zu samples of kind %d, sorted", n_samples, kind);
    mem_free(want);
    mem_free(got);
    /* A mean may be small beside its samples: 48 bits of the largest are what the sum has. */
    twin_compare(mean, 1, 2 * FLT_EPSILON, 1e-6 * (double)factor[kind], "mean");
    twin_compare(quantiles, n_rows, 4 * FLT_EPSILON, 0, "quantiles");
    twin_end(samples);
    twin_end(where);
    twin_end(quantiles);
    twin_end(mean);
    mem_free(values);
}

static void test_quantiles(void **state)
{
    static const size_t small[] = {1, 3, 64, 1000, 1024, 2049};
    static const size_t wide[] = {2, 5, 63, 65, 100, 128, 255, 256, 257, 512, 1023, 2048, 5001};
    (void)state;
    for (size_t i = 0; i < (devices_size() == TINY ? 2 : sizeof small / sizeof *small); i++)
        for (int kind = 0; kind < 4; kind++)
            quantiles_check(small[i] > 200 ? 3 : 17, small[i], kind);
    for (size_t i = 0; devices_size() == WIDE && i < sizeof wide / sizeof *wide; i++)
        for (int kind = 0; kind < 4; kind++)
            quantiles_check(wide[i] > 200 ? 5 : 97, wide[i], kind);
    if (devices_size() == TINY)
        quantiles_check(1, 2049, 0);
}

static int checks(const char *name)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_quantiles)};
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

/* ---- Benchmarks ------------------------------------------------------------------------------ */

struct quantiles_bench {
    struct copy_rows_args restore;
    struct quantiles_args args;
};

static void restore_run(void *context)
{
    struct quantiles_bench *run = context;
    device->ops->copy_rows(device, &run->restore);
}

static void quantiles_run(void *context)
{
    struct quantiles_bench *run = context;
    restore_run(context);
    device->ops->quantiles(device, &run->args);
}

/* Samples are put back each time, and what that takes is taken off. */
static void quantiles_bench(size_t n_rows, size_t n_samples)
{
    enum { QUANTILES = 9 };
    struct quantile_position positions[QUANTILES];
    for (int q = 0; q < QUANTILES; q++)
        positions[q] = (struct quantile_position){(int32_t)n_samples * q / QUANTILES, 0.5f};
    size_t n = n_rows * n_samples;
    struct twin samples = twin_random(TENSOR_F32, n), kept = twin_random(TENSOR_F32, n);
    struct twin where = twin_make(TENSOR_I32, sizeof positions / 4, positions);
    struct twin quantiles = twin_make(TENSOR_F32, QUANTILES * n_rows, NULL);
    struct twin mean = twin_make(TENSOR_F32, n_rows, NULL);
    struct quantiles_bench run = {
        {.dst = samples.device, .src = kept.device, .n_rows = n_rows, .width = n_samples},
        {.samples = samples.device, .n_rows = n_rows, .n_samples = n_samples,
         .positions = where.device, .n_quantiles = QUANTILES, .quantiles = quantiles.device,
         .mean = mean.device}};
    char shape[64];
    snprintf(shape, sizeof shape, "rows %zu samples %zu", n_rows, n_samples);
    device_print("quantiles", shape,
                 device_seconds(quantiles_run, &run) - device_seconds(restore_run, &run),
                 (double)n * 8e-9, "GB/s");
    twin_end(samples);
    twin_end(kept);
    twin_end(where);
    twin_end(quantiles);
    twin_end(mean);
}

static void bench(void)
{
    quantiles_bench(8, 1024);
    quantiles_bench(336, 256);
    quantiles_bench(7 * 336, 256);
    quantiles_bench(7 * 336, 1024);
}

int main(int argc, char **argv)
{
    return devices_main(argc, argv, &(struct devices_tests){checks, bench, true});
}
