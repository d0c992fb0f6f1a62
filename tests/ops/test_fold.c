/* fold against float64: heads in parts and of any type, steps fewer than a patch, equal bytes for
 * any number of threads; and the folded weight does as the two products do. */
#include "ops.h"

#include <float.h>

struct fold_case {
    struct backend *backend;
    float *heads, *unembed; /* as float32 */
    char *unembed_bytes;
    struct fold_args args;
};

static struct fold_case case_make(struct backend *backend, size_t n_heads, size_t depth,
                                  size_t n_in, size_t n_steps, enum dtype dtype)
{
    size_t n = (n_steps + 1) * depth * n_in;
    struct fold_case made = {.backend = backend,
                             .heads = mem_alloc(n_heads * depth * 4),
                             .unembed = mem_alloc(n * 4),
                             .unembed_bytes = mem_alloc(n * 4 + 1)};
    for (size_t i = 0; i < n_heads * depth; i++)
        made.heads[i] = random_float();
    char *data = made.unembed_bytes + 1;
    for (size_t i = 0; i < n; i++) {
        float value = random_float();
        uint16_t half[2];
        memcpy(half, &value, 4);
        memcpy(data + i * dtype_size(dtype), dtype == DTYPE_BF16 ? &half[1] : (void *)&value,
               dtype_size(dtype));
    }
    dtype_widen(dtype, data, n, made.unembed);
    size_t cut = n_heads / 3;
    const struct weight_part parts[] = {{DTYPE_F32, made.heads, cut},
                                        {DTYPE_F32, made.heads + cut * depth, n_heads - cut}};
    struct weight *heads, *unembed;
    struct toto_error err;
    assert_int_equal(backend->ops->weight_open(backend, parts, 2, depth, &heads, &err),
                     TOTO_STATUS_OK);
    assert_int_equal(backend->ops->weight_open(
                         backend, &(struct weight_part){dtype, data, (n_steps + 1) * depth}, 1,
                         n_in, &unembed, &err),
                     TOTO_STATUS_OK);
    made.args = (struct fold_args){.heads = heads,
                                   .unembed = unembed,
                                   .heads_bias = tensor_random(backend, TENSOR_F32, n_heads),
                                   .unembed_bias =
                                       tensor_random(backend, TENSOR_F32, (n_steps + 1) * depth),
                                   .n_steps = n_steps,
                                   .bias = tensor_make(backend, TENSOR_F32, n_steps * n_heads)};
    return made;
}

static void case_end(struct fold_case *made)
{
    made->backend->ops->weight_close(made->backend, (struct weight *)made->args.heads);
    made->backend->ops->weight_close(made->backend, (struct weight *)made->args.unembed);
    tensor_end(made->backend, made->args.heads_bias);
    tensor_end(made->backend, made->args.unembed_bias);
    tensor_end(made->backend, made->args.bias);
    mem_free(made->heads);
    mem_free(made->unembed);
    mem_free(made->unembed_bytes);
}

static void fold_check(size_t n_heads, size_t depth, size_t n_in, size_t n_steps, enum dtype dtype)
{
    struct backend *backend = backend_start(2);
    struct fold_case made = case_make(backend, n_heads, depth, n_in, n_steps, dtype);
    struct weight *folded = NULL, *again = NULL;
    backend->ops->fold(backend, &made.args, &folded);
    assert_non_null(folded);
    assert_int_equal(folded->n_out, n_steps * n_heads);
    for (size_t s = 0; s < n_steps; s++)
        for (size_t c = 0; c < n_heads; c++) {
            double bias = (double)floats(made.args.heads_bias)[c];
            for (size_t i = 0; i < n_in; i++) {
                double want = 0, magnitude = 0;
                for (size_t d = 0; d < depth; d++) {
                    double product = (double)made.heads[c * depth + d] *
                                     (double)made.unembed[(s * depth + d) * n_in + i];
                    want += product;
                    magnitude += fabs(product);
                }
                assert_close((double)((const float *)(const void *)folded->parts[0]
                                          .data)[(s * n_heads + c) * n_in + i],
                             want, (0.1 * (double)depth + 4) * FLT_EPSILON * magnitude,
                             "step %zu head %zu in %zu", s, c, i);
            }
            for (size_t d = 0; d < depth; d++)
                bias += (double)made.heads[c * depth + d] *
                        (double)floats(made.args.unembed_bias)[s * depth + d];
            assert_close((double)floats(made.args.bias)[s * n_heads + c], bias,
                         FLT_EPSILON * (fabs(bias) + 1), "bias of step %zu head %zu", s, c);
        }
    struct backend *alone = backend_start(1);
    alone->ops->fold(alone, &made.args, &again);
    assert_bytes(folded->parts[0].data, again->parts[0].data, n_steps * n_heads * n_in * 4,
                 "1 or 2 threads");
    alone->ops->weight_close(alone, again);
    backend_stop(alone);
    backend->ops->weight_close(backend, folded);
    case_end(&made);
    backend_stop(backend);
}

static void test_values(void **state)
{
    (void)state;
    fold_check(96, 96, 96, 3, DTYPE_F32);
    fold_check(3, 32, 32, 16, DTYPE_BF16);
    fold_check(17, 300, 100, 2, DTYPE_BF16);
    fold_check(3, 5, 7, 1, DTYPE_F32);
}

static int checks(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values)};
    return cmocka_run_group_tests_name("fold", tests, NULL, NULL);
}

static void fold_run(void *context)
{
    const struct fold_case *made = context;
    struct weight *folded = NULL;
    made->backend->ops->fold(made->backend, &made->args, &folded);
    made->backend->ops->weight_close(made->backend, folded);
}

static void bench(void)
{
    struct backend *backend = backend_start(0);
    struct fold_case made = case_make(backend, 96, 768, 768, 64, DTYPE_F32);
    bench_print("fold", "heads 96 width 768 steps 64", bench_seconds(fold_run, &made),
                2.0 * 64 * 96 * 768 * 768 * 1e-9, "GFLOP/s");
    case_end(&made);
    backend_stop(backend);
}

int main(int argc, char **argv)
{
    return ops_main(argc, argv, checks, bench);
}
