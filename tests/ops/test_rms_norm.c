/* rms_norm against float64, in every variant; in place; equal bytes for a row in any company. */
#include "ops.h"

#include <float.h>

static void norm_check(struct backend *backend, size_t n_rows, size_t width, bool scaled,
                       bool in_place)
{
    struct tensor x = tensor_random(backend, TENSOR_ACTIVATION, n_rows * width);
    struct tensor scale = tensor_random(backend, TENSOR_F32, width);
    struct tensor out = in_place ? x : tensor_make(backend, TENSOR_ACTIVATION, n_rows * width);
    float *before = mem_alloc(n_rows * width * 4);
    memcpy(before, floats(x), n_rows * width * 4);
    struct rms_norm_args args = {
        .x = x, .out = out, .n_rows = n_rows, .width = width, .eps = 1e-8f};
    if (scaled)
        args.scale = scale;
    backend->ops->rms_norm(backend, &args);
    for (size_t r = 0; r < n_rows; r++) {
        double sum = 0;
        for (size_t d = 0; d < width; d++)
            sum += (double)before[r * width + d] * (double)before[r * width + d];
        double factor = 1 / sqrt(sum / (double)width + 1e-8);
        for (size_t d = 0; d < width; d++) {
            double want =
                (double)before[r * width + d] * factor * (scaled ? (double)floats(scale)[d] : 1);
            assert_close((double)floats(out)[r * width + d], want,
                         (4 + 0.05 * (double)width) * FLT_EPSILON * fabs(want) + 1e-30,
                         "row %zu dim %zu of %zu", r, d, width);
        }
    }
    struct tensor alone =
        tensor_of(backend, TENSOR_ACTIVATION, width, before + (n_rows - 1) * width);
    args.x = args.out = alone;
    args.n_rows = 1;
    backend->ops->rms_norm(backend, &args);
    assert_bytes(floats(alone), floats(out) + (n_rows - 1) * width, width * 4,
                 "last of %zu rows alone", n_rows);
    tensor_end(backend, alone);
    mem_free(before);
    tensor_end(backend, x);
    tensor_end(backend, scale);
    if (!in_place)
        tensor_end(backend, out);
}

static void test_values(void **state)
{
    (void)state;
    const struct cpu_kernels *kernels;
    for (size_t i = 0; (kernels = cpu_kernels_at(i)) != NULL; i++) {
        struct backend *backend = backend_start(3);
        cpu_of(backend)->kernels = kernels;
        const size_t widths[] = {1, 16, 48, 96, 100, 768};
        for (size_t w = 0; w < 6; w++)
            for (size_t n_rows = 1; n_rows < 400; n_rows = n_rows * 3 + 1)
                norm_check(backend, n_rows, widths[w], n_rows % 2, w % 2);
        backend_stop(backend);
    }
}

static void test_nan(void **state)
{
    (void)state;
    struct backend *backend = backend_start(1);
    struct tensor x = tensor_random(backend, TENSOR_ACTIVATION, 100);
    floats(x)[99] = NAN;
    backend->ops->rms_norm(backend, &(struct rms_norm_args){
                                        .x = x, .out = x, .n_rows = 1, .width = 100, .eps = 1e-8f});
    for (size_t d = 0; d < 100; d++)
        assert_true(isnan(floats(x)[d]));
    tensor_end(backend, x);
    backend_stop(backend);
}

static int checks(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_nan)};
    return cmocka_run_group_tests_name("rms_norm", tests, NULL, NULL);
}

struct norm_bench {
    struct backend *backend;
    struct rms_norm_args args;
};

static void norm_run(void *context)
{
    const struct norm_bench *bench = context;
    bench->backend->ops->rms_norm(bench->backend, &bench->args);
}

static void bench(void)
{
    struct backend *backend = backend_start(0);
    struct tensor x = tensor_random(backend, TENSOR_ACTIVATION, 256 * 768);
    struct tensor out = tensor_make(backend, TENSOR_ACTIVATION, 256 * 768);
    struct norm_bench run = {backend,
                             {.x = x, .out = out, .n_rows = 256, .width = 768, .eps = 1e-8f}};
    bench_print("rms_norm", "rows 256 width 768", bench_seconds(norm_run, &run), 256 * 768 * 8e-9,
                "GB/s");
    tensor_end(backend, x);
    tensor_end(backend, out);
    backend_stop(backend);
}

int main(int argc, char **argv)
{
    return ops_main(argc, argv, checks, bench);
}
