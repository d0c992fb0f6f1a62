/* split_qkv against the definition: both layouts, each set of parts, rotation with xPos, padding
 * rows. */
#include "ops.h"

#include <float.h>

enum { POSITIONS = 40, MOST_OFFSET = 20 };

/* One part of a row: its heads and their width, and what is done to them. */
struct part {
    size_t n_heads, dim;
    const float *norm, *scale; /* or NULL */
    bool normed, turns, inverse;
};

/* What element d of head k must be, apart from the rotation. */
static double plain_at(const struct split_qkv_args *args, const struct part *part, const float *z,
                       size_t k, size_t d)
{
    double squares = 0, value = 0;
    for (size_t i = 0; i < part->dim; i++) {
        double x =
            (double)z[args->layout == HEAD_INNER ? i * part->n_heads + k : k * part->dim + i];
        squares += x * x;
        value = i == d ? x : value;
    }
    if (part->normed)
        value /= sqrt(squares / (double)part->dim + (double)args->norm_eps);
    return value * (part->normed && part->norm ? (double)part->norm[d] : 1.0) *
           (part->scale ? (double)part->scale[d] : 1.0);
}

static double want_at(const struct split_qkv_args *args, const struct part *part, const float *z,
                      size_t k, size_t d, int32_t position, int32_t offset)
{
    size_t dims = (size_t)args->rope.rotary_dims;
    double here = plain_at(args, part, z, k, d);
    if (!part->turns || d >= dims)
        return here;
    double there = plain_at(args, part, z, k, d ^ 1);
    const float *angle = floats(args->rope.cos_sin) + (size_t)position * dims + d / 2 * 2;
    double turned = here * (double)angle[0] + (d % 2 ? there : -there) * (double)angle[1];
    if (!args->rope.xpos.memory)
        return turned;
    double factor = (double)floats(args->rope.xpos)[(size_t)(offset + MOST_OFFSET) * dims + d];
    return part->inverse ? turned / factor : turned * factor;
}

/* H query heads, G heads of keys and values, h and e dims; dims 0: no rotation. `more`: norms over
 * heads with and without scales, factors of a query, no xPos. */
static void split_check(struct backend *backend, unsigned parts, enum head_layout layout,
                        size_t n_heads, size_t n_groups, size_t h, size_t e, int32_t dims, int more)
{
    enum { ROWS = 50, SLOTS = 60 };
    size_t widths[3] = {n_heads * h, n_groups * h, n_groups * e}, width = 0;
    for (size_t i = 0; i < 3; i++)
        width += parts >> i & 1 ? widths[i] : 0;
    struct token_row rows[ROWS];
    for (int32_t i = 0; i < ROWS; i++)
        rows[i] = (struct token_row){.position = (i * 7) % POSITIONS,
                                     .center = (i * 7) % POSITIONS - (i % 41) + 20,
                                     .slot = i % 9 == 4 ? -1 : SLOTS - 1 - i};
    struct split_qkv_args args = {
        .z = tensor_random(backend, TENSOR_ACTIVATION, ROWS * width),
        .parts = parts, .layout = layout,
        .rows = tensor_of(backend, TENSOR_I32, sizeof rows / 4, rows),
        .head_norm = more > 0, .norm_eps = 1e-4f,
        .q = tensor_make(backend, TENSOR_ACTIVATION, ROWS * widths[0]),
        .keys = tensor_make(backend, TENSOR_ACTIVATION, SLOTS * widths[1]),
        .values = tensor_make(backend, TENSOR_ACTIVATION, SLOTS * widths[2]),
        .n_rows = ROWS, .n_heads = n_heads, .n_groups = n_groups, .head_dim = h, .value_dim = e};
    if (dims) {
        args.rope = (struct rope_table){
            .cos_sin = tensor_random(backend, TENSOR_F32, POSITIONS * (size_t)dims),
            .max_offset = MOST_OFFSET, .rotary_dims = dims};
        if (more < 2)
            args.rope.xpos =
                tensor_random(backend, TENSOR_F32, (2 * MOST_OFFSET + 1) * (size_t)dims);
        for (size_t i = 0; i < args.rope.xpos.n; i++)
            floats(args.rope.xpos)[i] = 1.5f + floats(args.rope.xpos)[i];
    }
    if (more > 1) {
        args.q_norm = tensor_random(backend, TENSOR_F32, h);
        args.k_norm = tensor_random(backend, TENSOR_F32, h);
        args.q_scale = tensor_random(backend, TENSOR_F32, h);
    }
    const struct part made[3] = {
        {n_heads, h, floats(args.q_norm), floats(args.q_scale), more > 0, dims > 0, false},
        {n_groups, h, floats(args.k_norm), NULL, more > 0, dims > 0, true},
        {.n_heads = n_groups, .dim = e},
    };
    backend->ops->split_qkv(backend, &args);
    for (size_t i = 0; i < ROWS; i++) {
        const float *z = floats(args.z) + i * width;
        for (unsigned p = 0; p < 3; p++) {
            bool written = (parts >> p & 1) && rows[i].slot >= 0;
            struct tensor to = p == 0 ? args.q : p == 1 ? args.keys : args.values;
            size_t row = p == 0 ? i : (size_t)(rows[i].slot < 0 ? 0 : rows[i].slot);
            for (size_t at = 0; at < widths[p] && (written || p == 0); at++) {
                float got = floats(to)[row * widths[p] + at];
                if (!written) {
                    assert_true(isnan(got));
                    continue;
                }
                double want = want_at(&args, &made[p], z, at / made[p].dim, at % made[p].dim,
                                      rows[i].position, rows[i].position - rows[i].center);
                assert_close((double)got, want,
                             16 * FLT_EPSILON * (1 + fabs(want)) * (more ? 2 : 1),
                             "row %zu part %u element %zu", i, p, at);
            }
            if (parts >> p & 1)
                z += widths[p];
        }
    }
    for (size_t at = 0; at < (SLOTS - ROWS) * widths[1]; at++) /* slots that no row names */
        assert_true(isnan(floats(args.keys)[at]));
    for (size_t at = 0; at < (SLOTS - ROWS) * widths[2]; at++)
        assert_true(isnan(floats(args.values)[at]));
    struct tensor tensors[] = {args.z,      args.rows,         args.q,         args.keys,
                               args.values, args.rope.cos_sin, args.rope.xpos, args.q_norm,
                               args.k_norm, args.q_scale};
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++)
        if (tensors[i].memory)
            tensor_end(backend, tensors[i]);
}

static void test_splits(void **state)
{
    (void)state;
    struct backend *backend = backend_start(2);
    for (unsigned parts = 1; parts < 8; parts++)
        for (int layout = 0; layout < 2; layout++) {
            split_check(backend, parts, (enum head_layout)layout, 3, 3, 8, 8, 8, 0);
            split_check(backend, parts, (enum head_layout)layout, 12, 12, 64, 64, 64, 0);
            split_check(backend, parts, (enum head_layout)layout, 2, 2, 10, 10, 4, 0);
            split_check(backend, parts, (enum head_layout)layout, 5, 5, 20, 20, 0, 0);
            split_check(backend, parts, (enum head_layout)layout, 6, 3, 8, 12, 4, 1);
            split_check(backend, parts, (enum head_layout)layout, 4, 1, 20, 16, 10, 2);
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
    struct split_bench run = {backend,
                              {.z = tensor_random(backend, TENSOR_ACTIVATION, ROWS * 3 * WIDTH),
                               .parts = QKV_Q | QKV_K | QKV_V,
                               .layout = HEAD_INNER,
                               .rows = tensor_of(backend, TENSOR_I32, sizeof rows / 4, rows),
                               .rope = {.cos_sin = tensor_random(backend, TENSOR_F32, 64),
                                        .xpos = tensor_random(backend, TENSOR_F32, 64),
                                        .rotary_dims = 64},
                               .q = tensor_make(backend, TENSOR_ACTIVATION, ROWS * WIDTH),
                               .keys = tensor_make(backend, TENSOR_ACTIVATION, ROWS * WIDTH),
                               .values = tensor_make(backend, TENSOR_ACTIVATION, ROWS * WIDTH),
                               .n_rows = ROWS,
                               .n_heads = 12,
                               .n_groups = 12,
                               .head_dim = 64,
                               .value_dim = 64}};
    bench_print("split_qkv", "rows 256 H 12 h 64", bench_seconds(split_run, &run),
                ROWS * 3 * WIDTH * 8e-9, "GB/s");
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
