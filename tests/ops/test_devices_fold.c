/* fold of OpenCL devices against the CPU's: heads and widths that fill no tile, few steps of many,
 * no bias. What is folded is read through linear, from rows of the identity. */
#include "devices.h"

static void fold_check(size_t n_heads, size_t depth, size_t n_in, size_t n_steps, bool biased)
{
    size_t n_out = n_steps * n_heads;
    struct twin_weight heads = weight_random(n_heads, depth);
    struct twin_weight unembed = weight_random((n_steps + 1) * depth, n_in);
    struct twin heads_bias = twin_random(TENSOR_F32, n_heads);
    struct twin unembed_bias = twin_random(TENSOR_F32, (n_steps + 1) * depth);
    struct twin bias = twin_make(TENSOR_F32, n_out, NULL);
    struct twin out = twin_make(TENSOR_F32, n_in * n_out, NULL);
    float *identity = mem_calloc(n_in * n_in, sizeof *identity);
    for (size_t i = 0; i < n_in; i++)
        identity[i * n_in + i] = 1;
    struct twin x = twin_make(TENSOR_ACTIVATION, n_in * n_in, identity);
    struct weight *folded[2] = {NULL, NULL};
    struct fold_args args[2];
    struct linear_args read[2];
    for (int i = 0; i < 2; i++) {
        args[i] = (struct fold_args){.heads = OF(heads), .unembed = OF(unembed),
                                     .n_steps = n_steps, .bias = OF(bias)};
        if (biased) {
            args[i].heads_bias = OF(heads_bias);
            args[i].unembed_bias = OF(unembed_bias);
        }
    }
    cpu->ops->fold(cpu, &args[0], &folded[0]);
    device->ops->fold(device, &args[1], &folded[1]);
    assert_true(folded[0] && folded[1]);
    for (int i = 0; i < 2; i++)
        read[i] = (struct linear_args){.x = OF(x), .weight = folded[i], .n_out = n_out,
                                       .alpha = 1, .out = OF(out), .n_rows = n_in, .row_block = 1};
    RUN(linear, read);
    twin_compare(bias, 1, 2 * FLT_EPSILON, 0.1, "bias of fold");
    twin_compare(out, 1, (0.02 * (double)depth + 8) * FLT_EPSILON + stored_epsilon,
                 0.1 * (double)depth, "folded");
    cpu->ops->weight_close(cpu, folded[0]);
    device->ops->weight_close(device, folded[1]);
    weight_end(&heads);
    weight_end(&unembed);
    twin_end(heads_bias);
    twin_end(unembed_bias);
    twin_end(bias);
    twin_end(out);
    twin_end(x);
    mem_free(identity);
}

static void test_fold(void **state)
{
    (void)state;
    fold_check(3, 5, 7, 2, true);
    if (devices_size() == TINY)
        return;
    fold_check(17, 100, 67, 3, true);
    fold_check(16, 32, 63, 1, false);
    if (devices_size() == WIDE) {
        fold_check(96, 96, 96, 3, true);
        fold_check(33, 300, 130, 5, true);
        fold_check(1, 1, 1, 1, false);
        fold_check(16, 32, 64, 1, false);
    }
}

static int checks(const char *name)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fold)};
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

/* ---- Benchmarks ------------------------------------------------------------------------------ */

static void fold_run(void *context)
{
    struct weight *folded = NULL;
    device->ops->fold(device, context, &folded);
    device->ops->weight_close(device, folded);
}

/* The full-size model's; making and freeing of the result included. */
static void bench(void)
{
    enum { HEADS = 96, WIDTH = 768, STEPS = 64 };
    struct twin_weight heads = weight_random(HEADS, WIDTH);
    struct twin_weight unembed = weight_random(STEPS * WIDTH, WIDTH);
    struct twin bias = twin_make(TENSOR_F32, STEPS * HEADS, NULL);
    struct fold_args args = {
        .heads = heads.device, .unembed = unembed.device, .n_steps = STEPS, .bias = bias.device};
    device_print("fold", "heads 96 width 768 steps 64", device_seconds(fold_run, &args),
                 2e-12 * STEPS * HEADS * WIDTH * WIDTH, "TFLOP/s");
    weight_end(&heads);
    weight_end(&unembed);
    twin_end(bias);
}

int main(int argc, char **argv)
{
    return devices_main(argc, argv, &(struct devices_tests){checks, bench, false});
}
