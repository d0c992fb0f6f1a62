/* split_qkv against the definition: both layouts, each set of parts, rotation with xPos, padding rows. */
#include "ops.h"

#include <float.h>

enum { POSITIONS = 40, MOST_OFFSET = 20 };

/* What element d of head k must be. */
static double want_at(const struct split_qkv_args *args, const float *z, size_t k, size_t d, bool turns, bool inverse,
                      int32_t position, int32_t offset)
{
    size_t h = args->head_dim, n_heads = args->n_heads, dims = (size_t)args->rope.rotary_dims;
    size_t other = d ^ 1;
    double here = (double)z[args->layout == HEAD_INNER ? d * n_heads + k : k * h + d];
    if (!turns || d >= dims)
        return here;
    double there = (double)z[args->layout == HEAD_INNER ? other * n_heads + k : k * h + other];
    const float *angle = floats(args->rope.cos_sin) + (size_t)position * dims + d / 2 * 2;
    double turned = here * (double)angle[0] + (d % 2 ? there : -there) * (double)angle[1];
    double factor = (double)floats(args->rope.xpos)[(size_t)(offset + MOST_OFFSET) * dims + d];
    return inverse ? turned / factor : turned * factor;
}

static void split_check(struct backend *backend, unsigned parts, enum head_layout layout, size_t n_heads, size_t h,
                        int32_t dims)
{
    enum { ROWS = 50, SLOTS = 60 };
    size_t width = n_heads * h, n_parts = (parts & 1) + (parts >> 1 & 1) + (parts >> 2 & 1);
    struct token_row rows[ROWS];
    for (int32_t i = 0; i < ROWS; i++)
        rows[i] = (struct token_row){.position = (i * 7) % POSITIONS, .center = (i * 7) % POSITIONS - (i % 41) + 20,
                                     .slot = i % 9 == 4 ? -1 : SLOTS - 1 - i};
    struct split_qkv_args args = {
        .z = tensor_random(backend, TENSOR_ACTIVATION, ROWS * n_parts * width),
        .parts = parts, .layout = layout,
        .rows = tensor_of(backend, TENSOR_I32, sizeof rows / 4, rows),
        .q = tensor_make(backend, TENSOR_ACTIVATION, ROWS * width),
        .keys = tensor_make(backend, TENSOR_ACTIVATION, SLOTS * width),
        .values = tensor_make(backend, TENSOR_ACTIVATION, SLOTS * width),
        .n_rows = ROWS, .n_heads = n_heads, .head_dim = h};
    if (dims) {
        args.rope = (struct rope_table){
            .cos_sin = tensor_random(backend, TENSOR_F32, POSITIONS * (size_t)dims),
            .xpos = tensor_random(backend, TENSOR_F32, (2 * MOST_OFFSET + 1) * (size_t)dims),
            .max_offset = MOST_OFFSET, .rotary_dims = dims};
        for (size_t i = 0; i < args.rope.xpos.n; i++)
            floats(args.rope.xpos)[i] = 1.5f + floats(args.rope.xpos)[i];
    }
    backend->ops->split_qkv(backend, &args);
    for (size_t i = 0; i < ROWS; i++) {
        const float *z = floats(args.z) + i * n_parts * width;
        for (unsigned part = 1; part <= 4; part *= 2) {
            bool written = (parts & part) && rows[i].slot >= 0;
            struct tensor to = part == QKV_Q ? args.q : part == QKV_K ? args.keys : args.values;
            size_t row = part == QKV_Q ? i : (size_t)(rows[i].slot < 0 ? 0 : rows[i].slot);
            for (size_t e = 0; e < width && (written || part == QKV_Q); e++) {
                float got = floats(to)[row * width + e];
                if (!written) {
                    assert_true(isnan(got));
                    continue;
                }
                double want = want_at(&args, z, e / h, e % h, dims && part != QKV_V, part == QKV_K, rows[i].position,
                                      rows[i].position - rows[i].center);
                assert_close((double)got, want, 8 * FLT_EPSILON, "row %zu part %u element %zu", i, part, e);
            }
            if (parts & part)
                z += width;
        }
    }
    for (size_t e = 0; e < (SLOTS - ROWS) * width; e++) /* slots that no row names */
        assert_true(isnan(floats(args.keys)[e]) && isnan(floats(args.values)[e]));
    tensor_end(backend, args.z);
    tensor_end(backend, args.rows);
    tensor_end(backend, args.q);
    tensor_end(backend, args.keys);
    tensor_end(backend, args.values);
    if (dims) {
        tensor_end(backend, args.rope.cos_sin);
        tensor_end(backend, args.rope.xpos);
    }
}

static void test_splits(void **state)
{
    (void)state;
    struct backend *backend = backend_start(2);
    for (unsigned parts = 1; parts < 8; parts++)
        for (int layout = 0; layout < 2; layout++) {
            split_check(backend, parts, (enum head_layout)layout, 3, 8, 8);
            split_check(backend, parts, (enum head_layout)layout, 12, 64, 64);
            split_check(backend, parts, (enum head_layout)layout, 2, 10, 4);
            split_check(backend, parts, (enum head_layout)layout, 5, 20, 0);
        }
    backend_stop(backend);
}

static int checks(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_splits)};
    return cmocka_run_group_tests_name("split_qkv", tests, NULL, NULL);
}

struct split_bench {
    struct backend *backend;
    struct split_qkv_args args;
};

static void split_run(void *context)
{
    const struct split_bench *bench = context;
    bench->backend->ops->split_qkv(bench->backend, &bench->args);
}

static void bench(void)
{
    enum { ROWS = 256, WIDTH = 768 };
    struct backend *backend = backend_start(0);
    struct token_row rows[ROWS];
    for (int32_t i = 0; i < ROWS; i++)
        rows[i] = (struct token_row){.slot = i};
    struct split_bench run = {backend, {
        .z = tensor_random(backend, TENSOR_ACTIVATION, ROWS * 3 * WIDTH),
        .parts = QKV_Q | QKV_K | QKV_V, .layout = HEAD_INNER,
        .rows = tensor_of(backend, TENSOR_I32, sizeof rows / 4, rows),
        .rope = {.cos_sin = tensor_random(backend, TENSOR_F32, 64), .xpos = tensor_random(backend, TENSOR_F32, 64),
                 .rotary_dims = 64},
        .q = tensor_make(backend, TENSOR_ACTIVATION, ROWS * WIDTH),
        .keys = tensor_make(backend, TENSOR_ACTIVATION, ROWS * WIDTH),
        .values = tensor_make(backend, TENSOR_ACTIVATION, ROWS * WIDTH),
        .n_rows = ROWS, .n_heads = 12, .head_dim = 64}};
    bench_print("split_qkv", "rows 256 H 12 h 64", bench_seconds(split_run, &run), ROWS * 3 * WIDTH * 8e-9, "GB/s");
    tensor_end(backend, run.args.z);
    tensor_end(backend, run.args.rows);
    tensor_end(backend, run.args.rope.cos_sin);
    tensor_end(backend, run.args.rope.xpos);
    tensor_end(backend, run.args.q);
    tensor_end(backend, run.args.keys);
    tensor_end(backend, run.args.values);
    backend_stop(backend);
}

int main(int argc, char **argv)
{
    return ops_main(argc, argv, checks, bench);
}
