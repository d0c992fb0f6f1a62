/* Ops of OpenCL devices that treat each row by itself, against the CPU's: RMS norm, copies, and the
 * split of a projection into heads. */
#include "devices.h"

static void test_rms_norm(void **state)
{
    static const size_t widths[] = {1, 7, 64, 100, 768};
    (void)state;
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
        for (size_t rows = 1; rows < 10; rows += 4) {
            size_t width = widths[w];
            struct twin x = twin_random(TENSOR_ACTIVATION, rows * width);
            struct twin scale = twin_random(TENSOR_F32, width);
            struct twin out = twin_make(TENSOR_ACTIVATION, rows * width, NULL);
            struct rms_norm_args args[2];
            for (int i = 0; i < 2; i++) {
                args[i] = (struct rms_norm_args){
                    .x = OF(x), .out = OF(out), .n_rows = rows, .width = width, .eps = 1e-8f};
                if (rows > 1)
                    args[i].scale = OF(scale);
            }
            RUN(rms_norm, args);
            twin_compare(out, width, 16 * FLT_EPSILON, 0, "rms_norm");
            twin_end(x);
            twin_end(scale);
            twin_end(out);
        }
}

static void copy_check(enum tensor_kind kind, size_t width)
{
    const int32_t to[6] = {5, -1, 0, 3, 7, 1}, from[6] = {0, 1, -1, 5, 2, 4};
    struct twin src = twin_random(kind, 8 * width), dst = twin_random(kind, 8 * width);
    struct twin dst_row = twin_make(TENSOR_I32, 6, to), src_row = twin_make(TENSOR_I32, 6, from);
    for (int form = 0; form < 4; form++) {
        struct copy_rows_args args[2];
        for (int i = 0; i < 2; i++) {
            args[i] = (struct copy_rows_args){
                .dst = OF(dst), .src = OF(src), .n_rows = 6, .width = width};
            if (form & 1)
                args[i].dst_row = OF(dst_row);
            if (form & 2)
                args[i].src_row = OF(src_row);
        }
        RUN(copy_rows, args);
        float *want = twin_read(cpu, dst.cpu), *got = twin_read(device, dst.device);
        assert_bytes(got, want, twin_words(8 * width) * 4, "copy_rows form %d", form);
        mem_free(want);
        mem_free(got);
    }
    twin_end(src);
    twin_end(dst);
    twin_end(dst_row);
    twin_end(src_row);
}

static void test_copy_rows(void **state)
{
    (void)state;
    for (size_t width = 1; width < 70; width += 1 + width / 2) {
        copy_check(TENSOR_F32, width);
        copy_check(TENSOR_ACTIVATION, width);
    }
}

/* heads, groups, head_dim, value_dim; norm: also scaled, and rotary dims only half. */
static void split_check(size_t h, size_t g, size_t dim, size_t value_dim, unsigned parts,
                        enum head_layout layout, bool norm, bool rope)
{
    enum { ROWS = 9, SLOTS = 12, OFFSET = 16 };
    size_t width = (parts & QKV_Q ? h * dim : 0) + (parts & QKV_K ? g * dim : 0) +
                   (parts & QKV_V ? g * value_dim : 0);
    size_t rotary = norm ? dim / 4 * 2 : dim;
    struct token_row rows[ROWS];
    for (int32_t i = 0; i < ROWS; i++)
        rows[i] = (struct token_row){.position = i, .center = 4, .slot = i == 3 ? -1 : 11 - i};
    struct twin z = twin_random(TENSOR_ACTIVATION, ROWS * width);
    struct twin tokens = twin_make(TENSOR_I32, sizeof rows / 4, rows);
    struct twin cos_sin = twin_random(TENSOR_F32, OFFSET * dim);
    struct twin xpos = twin_random(TENSOR_F32, (2 * OFFSET + 1) * dim);
    struct twin norms = twin_random(TENSOR_F32, 3 * dim);
    struct twin q = twin_random(TENSOR_ACTIVATION, ROWS * h * dim);
    struct twin keys = twin_random(TENSOR_ACTIVATION, SLOTS * g * dim);
    struct twin values = twin_random(TENSOR_ACTIVATION, SLOTS * g * value_dim);
    struct split_qkv_args all[2];
    for (int i = 0; i < 2; i++) {
        all[i] = (struct split_qkv_args){
            .z = OF(z), .parts = parts, .layout = layout, .rows = OF(tokens), .head_norm = norm,
            .norm_eps = 1e-6f, .q = OF(q), .keys = OF(keys), .values = OF(values), .n_rows = ROWS,
            .n_heads = h, .n_groups = g, .head_dim = dim, .value_dim = value_dim};
        if (norm) {
            all[i].q_norm = tensor_at(OF(norms), 0, dim);
            all[i].q_scale = tensor_at(OF(norms), 2 * dim, dim);
        }
        if (rope)
            all[i].rope = (struct rope_table){.cos_sin = OF(cos_sin), .max_offset = OFFSET,
                                              .rotary_dims = (int32_t)rotary};
        if (rope && !norm)
            all[i].rope.xpos = OF(xpos);
    }
    RUN(split_qkv, all);
    twin_compare(q, h * dim, 32 * FLT_EPSILON, 0, "split q");
    twin_compare(keys, 1, 64 * FLT_EPSILON + 2 * stored_epsilon, 0, "split keys");
    twin_compare(values, g * value_dim, FLT_EPSILON, 0, "split values");
    twin_end(z);
    twin_end(tokens);
    twin_end(cos_sin);
    twin_end(xpos);
    twin_end(norms);
    twin_end(q);
    twin_end(keys);
    twin_end(values);
}

static void test_split_qkv(void **state)
{
    (void)state;
    split_check(3, 3, 8, 8, QKV_Q | QKV_K | QKV_V, HEAD_INNER, false, true);
    split_check(4, 4, 20, 20, QKV_K | QKV_V, HEAD_INNER, false, true);
    split_check(4, 2, 16, 24, QKV_Q | QKV_K | QKV_V, HEAD_OUTER, true, true);
    split_check(4, 4, 16, 16, QKV_V, HEAD_INNER, false, false);
    split_check(2, 1, 64, 64, QKV_Q, HEAD_OUTER, true, false);
}

static int checks(const char *name)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rms_norm),
                                       cmocka_unit_test(test_copy_rows),
                                       cmocka_unit_test(test_split_qkv)};
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

/* ---- Benchmarks ------------------------------------------------------------------------------ */

static void norm_run(void *context)
{
    device->ops->rms_norm(device, context);
}

static void copy_run(void *context)
{
    device->ops->copy_rows(device, context);
}

static void bench(void)
{
    enum { WIDTH = 768 };
    static const size_t rows[] = {1, 256, 1792};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        struct twin x = twin_random(TENSOR_ACTIVATION, rows[r] * WIDTH);
        struct twin out = twin_make(TENSOR_ACTIVATION, rows[r] * WIDTH, NULL);
        struct twin scale = twin_random(TENSOR_F32, WIDTH);
        char shape[64];
        snprintf(shape, sizeof shape, "rows %zu width %d", rows[r], WIDTH);
        double moved = stored_gigabytes(2.0 * (double)rows[r] * WIDTH);
        device_print("rms_norm", shape,
                     device_seconds(norm_run, &(struct rms_norm_args){
                                                  .x = x.device, .out = out.device,
                                                  .scale = scale.device, .n_rows = rows[r],
                                                  .width = WIDTH, .eps = 1e-8f}),
                     moved, "GB/s");
        device_print("copy_rows", shape,
                     device_seconds(copy_run, &(struct copy_rows_args){
                                                  .dst = out.device, .src = x.device,
                                                  .n_rows = rows[r], .width = WIDTH}),
                     moved, "GB/s");
        twin_end(x);
        twin_end(out);
        twin_end(scale);
    }
}

int main(int argc, char **argv)
{
    return devices_main(argc, argv, &(struct devices_tests){checks, bench, false});
}
