/* attention of OpenCL devices against the CPU's: contexts, samples that share keys, variates in
 * groups, heads of any width; equal bytes for a row alone and in company. */
#include "devices.h"

static struct attention_row rows[600];
static int32_t groups[2000];

static void attention_check(size_t n_rows, size_t h, size_t g, size_t dim, size_t value_dim,
                            size_t n_slots, bool grouped, size_t run)
{
    struct twin q = twin_random(TENSOR_ACTIVATION, n_rows * h * dim);
    struct twin keys = twin_random(TENSOR_ACTIVATION, n_slots * g * dim);
    struct twin values = twin_random(TENSOR_ACTIVATION, n_slots * g * value_dim);
    struct twin tables = twin_make(TENSOR_I32, n_rows * sizeof *rows / 4, rows);
    struct twin slot_groups = twin_make(TENSOR_I32, n_slots, groups);
    struct twin out = twin_make(TENSOR_ACTIVATION, n_rows * h * value_dim, NULL);
    struct attention_args all[2];
    for (int i = 0; i < 2; i++) {
        all[i] = (struct attention_args){
            .q = OF(q), .keys = OF(keys), .values = OF(values), .rows = OF(tables), .out = OF(out),
            .n_rows = n_rows, .n_heads = h, .n_groups = g, .head_dim = dim,
            .value_dim = value_dim, .run = run, .scale = 0.7f};
        if (grouped)
            all[i].slot_groups = OF(slot_groups);
    }
    RUN(attention, all);
    twin_compare(out, h * value_dim, 64 * FLT_EPSILON, 0, "attention");
    /* A row in the middle alone: equal bytes. */
    float *among = twin_bytes(all[1].out);
    size_t at = n_rows / 2;
    all[1].q = tensor_at(q.device, at * h * dim, h * dim);
    all[1].rows = tensor_at(tables.device, at * sizeof *rows / 4, sizeof *rows / 4);
    all[1].n_rows = all[1].run = 1;
    device->ops->attention(device, &all[1]);
    float *alone = twin_bytes(tensor_at(out.device, 0, h * value_dim));
    assert_bytes(alone, among + at * h * value_dim, h * value_dim * 4, "attention of a row alone");
    mem_free(among);
    mem_free(alone);
    twin_end(q);
    twin_end(keys);
    twin_end(values);
    twin_end(tables);
    twin_end(slot_groups);
    twin_end(out);
}

/* Heads of `dim`, with one row in `few` of each case. */
static void dim_check(size_t dim, int32_t few)
{
    int32_t context = 73 / few, samples = 75 / few, variates = 200 / few;
    for (int32_t i = 0; i < 2 * context; i++) /* two contexts */
        rows[i] = (struct attention_row){
            .first_a = i / context * context, .count_a = i % context + 1, .stride = 1};
    attention_check((size_t)(2 * context), 2, 2, dim, dim, (size_t)(2 * context), false, 1);
    for (int32_t i = 0; i < 2 * samples; i++) /* samples: shared keys, then their own */
        rows[i] = (struct attention_row){.first_a = i / samples * 33, .count_a = 33,
                                         .first_b = 66 + i * 12, .count_b = i % 13, .stride = 1};
    size_t value_dim = devices_size() == WIDE ? 2 * dim % 96 : dim;
    attention_check((size_t)(2 * samples), 2, 1, dim, value_dim, (size_t)(66 + 24 * samples), false,
                    (size_t)samples);
    for (int32_t i = 0; i < variates; i++) { /* variates of a patch, in groups */
        groups[i] = i / 5 % 3;
        rows[i] = (struct attention_row){
            .first_a = i % 5, .count_a = variates / 5, .stride = 5, .group = groups[i]};
    }
    rows[7].group = 99;
    attention_check((size_t)variates, 3, 3, dim, dim, (size_t)variates, true, 1);
}

static void test_attention(void **state)
{
    (void)state;
    if (devices_size() == WIDE) {
        static const size_t dims[] = {8, 30, 64, 128};
        for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
            dim_check(dims[d], 1);
    }
    dim_check(8, devices_size() == TINY ? 8 : 1);
    for (int32_t i = 0; i < 10; i++) /* awkward heads, and no keys at all */
        rows[i] = (struct attention_row){.stride = 1, .count_a = i % 2};
    attention_check(10, 1, 1, 7, 13, 20, false, 1);
}

static int checks(const char *name)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_attention)};
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

/* ---- Benchmarks ------------------------------------------------------------------------------ */

static void attention_run(void *context)
{
    device->ops->attention(device, context);
}

/* A step of `samples` rows that share the keys of a context, each with `own` keys of its own; or,
 * without samples, a context that sees what came before. 12 heads of 64. Rate: of scores and sums. */
static void attention_bench(size_t context, size_t samples, size_t own)
{
    enum { HEADS = 12, DIM = 64 };
    size_t n = samples ? samples : context, slots = context + samples * own;
    struct attention_row *table = mem_calloc(n, sizeof *table);
    double pairs = 0;
    for (size_t i = 0; i < n; i++) {
        table[i] = (struct attention_row){.count_a = (int32_t)(samples ? context : i + 1),
                                          .first_b = (int32_t)(context + i * own),
                                          .count_b = (int32_t)(samples ? own : 0), .stride = 1};
        pairs += table[i].count_a + table[i].count_b;
    }
    struct twin q = twin_random(TENSOR_ACTIVATION, n * HEADS * DIM);
    struct twin keys = twin_random(TENSOR_ACTIVATION, slots * HEADS * DIM);
    struct twin values = twin_random(TENSOR_ACTIVATION, slots * HEADS * DIM);
    struct twin out = twin_make(TENSOR_ACTIVATION, n * HEADS * DIM, NULL);
    struct twin tables = twin_make(TENSOR_I32, n * sizeof *table / 4, table);
    char shape[64];
    snprintf(shape, sizeof shape, "rows %zu shared %zu own %zu heads 12x64", n, context, own);
    device_print("attention", shape,
                 device_seconds(attention_run,
                                &(struct attention_args){
                                    .q = q.device, .keys = keys.device, .values = values.device,
                                    .rows = tables.device, .out = out.device, .n_rows = n,
                                    .n_heads = HEADS, .n_groups = HEADS, .head_dim = DIM,
                                    .value_dim = DIM, .run = n, .scale = 0.125f}),
                 4e-12 * pairs * HEADS * DIM, "TFLOP/s");
    twin_end(q);
    twin_end(keys);
    twin_end(values);
    twin_end(out);
    twin_end(tables);
    mem_free(table);
}

static void bench(void)
{
    attention_bench(64, 256, 6);
    attention_bench(64, 1792, 6);
    attention_bench(8, 1024, 1);
    attention_bench(448, 0, 0);
    attention_bench(1792, 0, 0);
}

int main(int argc, char **argv)
{
    return devices_main(argc, argv, &(struct devices_tests){checks, bench, false});
}
