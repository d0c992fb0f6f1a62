/* linear and linear_swiglu of OpenCL devices against the CPU's: each kernel variant, tidy and awkward
 * shapes; equal bytes for a row alone and in company. */
#include "devices.h"

enum linear_kind { PLAIN, FULL, GAINED, TO_F32, N_KINDS };

static void linear_check(size_t n_rows, size_t n_out, size_t n_in, size_t block,
                         enum linear_kind kind)
{
    size_t more = kind == FULL ? 4 : 0;
    enum tensor_kind out_kind = kind == TO_F32 ? TENSOR_F32 : TENSOR_ACTIVATION;
    struct twin_weight weight = weight_random(n_out + 2 * more, n_in);
    struct twin x = twin_random(TENSOR_ACTIVATION, n_rows * n_in);
    struct twin bias = twin_random(TENSOR_F32, n_out + 2 * more);
    struct twin out = kind == FULL ? twin_random(out_kind, n_rows * n_out)
                                   : twin_make(out_kind, n_rows * n_out, NULL);
    struct linear_args args[2];
    for (int i = 0; i < 2; i++) {
        args[i] = (struct linear_args){
            .x = OF(x), .weight = OF(weight), .first_out = more, .n_out = n_out, .alpha = 0.75f,
            .silu_gain = kind == GAINED ? 1.5f : 0.0f, .out = OF(out), .n_rows = n_rows,
            .row_block = i ? block : 1};
        if (kind != PLAIN)
            args[i].bias = OF(bias);
        if (kind == FULL) {
            args[i].residual = OF(out);
            args[i].beta = 0.5f;
        }
    }
    RUN(linear, args);
    char what[80];
    snprintf(what, sizeof what, "linear %d [%zu %zu] block %zu", (int)kind, n_out, n_in, block);
    twin_compare(out, n_out, (0.02 * (double)n_in + 8) * FLT_EPSILON, 1 + 0.1 * (double)n_in,
                 what);
    twin_end(x);
    twin_end(bias);
    twin_end(out);
    weight_end(&weight);
}

static void swiglu_check(size_t n_rows, size_t n_ff, size_t n_in, size_t block, bool second)
{
    struct twin_weight weight = weight_random(2 * n_ff, n_in);
    struct twin x = twin_random(TENSOR_ACTIVATION, n_rows * n_in);
    struct twin bias = twin_random(TENSOR_F32, 2 * n_ff);
    struct twin out = twin_make(TENSOR_ACTIVATION, n_rows * n_ff, NULL);
    struct linear_swiglu_args args[2];
    for (int i = 0; i < 2; i++)
        args[i] = (struct linear_swiglu_args){
            .x = OF(x), .weight = OF(weight), .bias = OF(bias), .alpha = 1.0f,
            .silu_second = second, .out = OF(out), .n_rows = n_rows, .row_block = i ? block : 1};
    RUN(linear_swiglu, args);
    twin_compare(out, n_ff, (0.02 * (double)n_in + 16) * FLT_EPSILON, 1 + 0.1 * (double)n_in,
                 "linear_swiglu");
    twin_end(x);
    twin_end(bias);
    twin_end(out);
    weight_end(&weight);
}

/* Each variant once: rows in one go of 8, 1, 2 and 4, long rows, tiles of three sizes; widths that
 * divide by 4 and others. */
static void small_checks(void)
{
    static const struct {
        size_t n_rows, n_out, n_in, block;
        enum linear_kind kind;
    } all[] = {
        {9, 20, 36, 1, FULL},    {5, 9, 21, 8, TO_F32},   {67, 101, 36, 8, GAINED},
        {1, 12, 36, 1, FULL},    {2, 5, 7, 1, GAINED},    {3, 12, 100, 1, TO_F32},
        {2, 6, 2052, 1, PLAIN},  {70, 100, 36, 8, FULL},  {300, 388, 36, 8, PLAIN},
    };
    enum { NARROW = 3 }; /* the first so many do for types that differ in loads and stores alone */
    bool narrow = stored_epsilon > 0 && devices_size() == SMALL, tiny = devices_size() == TINY;
    for (size_t i = 0; i < (narrow ? NARROW : sizeof all / sizeof *all); i++)
        if (!tiny || all[i].n_rows < 67)
            linear_check(all[i].n_rows, all[i].n_out, all[i].n_in, all[i].block, all[i].kind);
    swiglu_check(tiny ? 9 : 70, 52, 36, 8, false);
    if (narrow)
        return;
    swiglu_check(1, 12, 36, 1, true);
    swiglu_check(9, 7, 21, 1, false);
    if (!tiny)
        swiglu_check(300, 196, 36, 8, true);
}

static void wide_checks(void)
{
    static const size_t rows[] = {1, 2, 3, 7, 9, 64, 70, 257}, outs[] = {1, 5, 64, 100, 388};
    static const size_t ins[] = {1, 16, 64, 100, 301};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (size_t o = 0; o < sizeof outs / sizeof *outs; o++)
            for (size_t k = 0; k < sizeof ins / sizeof *ins; k++) {
                size_t block = (r + o + k) % 2 ? 1 : 8;
                linear_check(rows[r], outs[o], ins[k], block,
                             (enum linear_kind)((r + o + k) / 2 % N_KINDS));
                if (k == (r + o) % 5)
                    swiglu_check(rows[r], outs[o], ins[k], block, o % 2);
            }
    for (int kind = 0; kind < N_KINDS; kind++) {
        linear_check(1200, 260, 96, 8, (enum linear_kind)kind);
        linear_check(2000, 2100, 32, 8, (enum linear_kind)kind); /* the largest tiles of a GPU */
        linear_check(16, 768, 768, 1, (enum linear_kind)kind);
    }
    swiglu_check(2000, 1052, 32, 8, false);
}

static void test_linear(void **state)
{
    (void)state;
    small_checks();
    if (devices_size() == WIDE)
        wide_checks();
}

/* Rows alone, in a few and among all: equal bytes, for both kernels. Widths as test_linear has them,
 * so that few kernels are built. */
static void test_equal_bytes(void **state)
{
    enum { MOST_ROWS = 1100, OUTS = 260, IN = 36 };
    const size_t n_rows = devices_size() == WIDE ? MOST_ROWS : 150;
    (void)state;
    if (devices_size() == TINY)
        skip();
    struct twin_weight weight = weight_random(OUTS, IN);
    struct twin x = twin_random(TENSOR_ACTIVATION, n_rows * IN);
    struct twin all = twin_make(TENSOR_ACTIVATION, n_rows * OUTS, NULL);
    struct twin few = twin_make(TENSOR_ACTIVATION, n_rows * OUTS, NULL);
    for (size_t block = 1; block <= 8; block += 7) {
        struct linear_args args = {.x = x.device, .weight = weight.device, .n_out = OUTS,
                                   .alpha = 1.0f, .out = all.device, .n_rows = n_rows,
                                   .row_block = block};
        device->ops->linear(device, &args);
        float *want = twin_bytes(all.device);
        static const size_t companies[] = {1, 2, 3, 8, 40, 70, 500};
        for (size_t i = 0; i < sizeof companies / sizeof *companies; i++) {
            size_t n = companies[i], at = 8 * i;
            if (at + n > n_rows)
                break;
            args.x = tensor_at(x.device, at * IN, n * IN);
            args.out = tensor_at(few.device, 0, n * OUTS);
            args.n_rows = n;
            device->ops->linear(device, &args);
            float *got = twin_bytes(args.out);
            assert_bytes(got, want + at * OUTS, n * OUTS * 4, "%zu rows, block %zu", n, block);
            mem_free(got);
        }
        mem_free(want);
    }
    twin_end(x);
    twin_end(all);
    twin_end(few);
    weight_end(&weight);
}

static int checks(const char *name)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_linear),
                                       cmocka_unit_test(test_equal_bytes)};
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

/* ---- Benchmarks ------------------------------------------------------------------------------ */

static void linear_run(void *context)
{
    device->ops->linear(device, context);
}

static void swiglu_run(void *context)
{
    device->ops->linear_swiglu(device, context);
}

/* Rate: of products and sums where they bound it, else of the weights' bytes. */
static void linear_bench(size_t n_rows, size_t n_out, size_t n_in, bool swiglu)
{
    struct twin_weight weight = weight_random(n_out, n_in);
    struct twin x = twin_random(TENSOR_ACTIVATION, n_rows * n_in);
    struct twin bias = twin_random(TENSOR_F32, n_out);
    struct twin out = twin_make(TENSOR_ACTIVATION, n_rows * n_out, NULL);
    size_t block = device->ops->row_block(device, n_rows, n_in);
    struct linear_args args = {.x = x.device, .weight = weight.device, .n_out = n_out,
                               .bias = bias.device, .alpha = 1.0f, .out = out.device,
                               .n_rows = n_rows, .row_block = block};
    struct linear_swiglu_args pair = {.x = x.device, .weight = weight.device, .bias = bias.device,
                                      .alpha = 1.0f, .out = tensor_at(out.device, 0,
                                      n_rows * n_out / 2), .n_rows = n_rows, .row_block = block};
    double seconds = swiglu ? device_seconds(swiglu_run, &pair) : device_seconds(linear_run, &args);
    char shape[64];
    snprintf(shape, sizeof shape, "rows %zu weight %zux%zu", n_rows, n_out, n_in);
    bool few = n_rows <= 8;
    device_print(swiglu ? "linear_swiglu" : "linear", shape, seconds,
                 few ? stored_gigabytes((double)(n_out * n_in))
                     : 2e-12 * (double)n_rows * (double)n_out * (double)n_in,
                 few ? "GB/s" : "TFLOP/s");
    twin_end(x);
    twin_end(bias);
    twin_end(out);
    weight_end(&weight);
}

static void bench(void)
{
    static const size_t rows[] = {1, 8, 256, 1792};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        linear_bench(rows[r], 2304, 768, false);
        linear_bench(rows[r], 768, 768, false);
        linear_bench(rows[r], 6144, 768, false);
        linear_bench(rows[r], 768, 3072, false);
        linear_bench(rows[r], 6144, 768, true);
    }
}

int main(int argc, char **argv)
{
    return devices_main(argc, argv, &(struct devices_tests){checks, bench, false});
}
