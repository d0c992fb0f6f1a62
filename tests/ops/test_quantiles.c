/* quantiles against qsort and float64: order, interpolation, mean, few and many samples. */
#include "ops.h"

static int floats_compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void quantile_check(struct backend *backend, size_t n_rows, size_t n_samples, int kind)
{
    double levels[] = {0, 0.1, 0.25, 0.5, 0.999, 1};
    struct quantile_position positions[6];
    for (size_t q = 0; q < 6; q++) {
        double at = levels[q] * (double)(n_samples - 1);
        positions[q] = (struct quantile_position){(int32_t)at, (float)(at - floor(at))};
    }
    struct tensor samples = tensor_random(backend, TENSOR_F32, n_rows * n_samples);
    for (size_t i = 0; i < samples.n; i++) {
        float *at = &floats(samples)[i];
        *at = kind == 0   ? *at * 1e6f
              : kind == 1 ? floorf(*at * 3)
              : kind == 2 ? 7.5f
                          : *at * 1e-40f;
    }
    float *sorted = mem_alloc(samples.n * 4);
    memcpy(sorted, floats(samples), samples.n * 4);
    struct tensor quantiles = tensor_make(backend, TENSOR_F32, 6 * n_rows);
    struct tensor mean = tensor_make(backend, TENSOR_F32, n_rows);
    struct tensor where = tensor_of(backend, TENSOR_I32, sizeof positions / 4, positions);
    backend->ops->quantiles(backend, &(struct quantiles_args){.samples = samples,
                                                              .n_rows = n_rows,
                                                              .n_samples = n_samples,
                                                              .positions = where,
                                                              .n_quantiles = 6,
                                                              .quantiles = quantiles,
                                                              .mean = mean});
    for (size_t r = 0; r < n_rows; r++) {
        float *row = sorted + r * n_samples;
        double sum = 0;
        for (size_t i = 0; i < n_samples; i++)
            sum += (double)row[i];
        assert_true(floats(mean)[r] == (float)(sum / (double)n_samples));
        qsort(row, n_samples, 4, floats_compare);
        for (size_t i = 0; i < n_samples; i++)
            assert_true(floats(samples)[r * n_samples + i] == row[i]);
        for (size_t q = 0; q < 6; q++) {
            size_t i = (size_t)positions[q].index, next = i + 1 < n_samples ? i + 1 : i;
            double want = (double)row[i] +
                          (double)positions[q].fraction * ((double)row[next] - (double)row[i]);
            double step = (double)row[next] - (double)row[i];
            assert_close((double)floats(quantiles)[q * n_rows + r], want,
                         2e-7 * (fabs(want) + step) + 1e-45, "row %zu quantile %zu", r, q);
        }
    }
    mem_free(sorted);
    tensor_end(backend, samples);
    tensor_end(backend, quantiles);
    tensor_end(backend, mean);
    tensor_end(backend, where);
}

static void test_values(void **state)
{
    (void)state;
    struct backend *backend = backend_start(3);
    const size_t counts[] = {1, 2, 3, 30, 256, 1000, 5001};
    for (size_t i = 0; i < 7; i++)
        for (int kind = 0; kind < 4; kind++)
            quantile_check(backend, i < 5 ? 97 : 3, counts[i], kind);
    backend_stop(backend);
}

static void test_mean_alone(void **state)
{
    (void)state;
    struct backend *backend = backend_start(1);
    float values[4] = {3, -1, 2, 0};
    struct tensor samples = tensor_of(backend, TENSOR_F32, 4, values);
    struct tensor mean = tensor_make(backend, TENSOR_F32, 1);
    backend->ops->quantiles(
        backend,
        &(struct quantiles_args){.samples = samples, .n_rows = 1, .n_samples = 4, .mean = mean});
    assert_true(floats(mean)[0] == 1.0f);
    assert_true(floats(samples)[0] == -1.0f && floats(samples)[3] == 3.0f);
    tensor_end(backend, samples);
    tensor_end(backend, mean);
    backend_stop(backend);
}

static int checks(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values),
                                       cmocka_unit_test(test_mean_alone)};
    return cmocka_run_group_tests_name("quantiles", tests, NULL, NULL);
}

struct quantile_bench {
    struct backend *backend;
    struct quantiles_args args;
    const float *values;
};

static void quantile_run(void *context)
{
    const struct quantile_bench *bench = context;
    bench->backend->ops->upload(bench->backend, bench->args.samples, bench->values);
    bench->backend->ops->quantiles(bench->backend, &bench->args);
}

static void bench(void)
{
    struct backend *backend = backend_start(0);
    struct tensor samples = tensor_random(backend, TENSOR_F32, 672 * 256);
    struct tensor mean = tensor_make(backend, TENSOR_F32, 672);
    float *values = mem_alloc(samples.n * 4);
    memcpy(values, floats(samples), samples.n * 4);
    struct quantile_bench run = {
        backend, {.samples = samples, .n_rows = 672, .n_samples = 256, .mean = mean}, values};
    bench_print("quantiles", "rows 672 samples 256", bench_seconds(quantile_run, &run),
                672 * 256 * 1e-9, "Gsample/s");
    mem_free(values);
    tensor_end(backend, samples);
    tensor_end(backend, mean);
    backend_stop(backend);
}

int main(int argc, char **argv)
{
    return ops_main(argc, argv, checks, bench);
}
