/* The ops of OpenCL devices against the CPU's: linear, attention and what treats rows; tidy and
 * awkward shapes; equal bytes for a row alone and in company. --bench times the device's. */
#include "devices.h"

#define RUN(op, args) (cpu->ops->op(cpu, &(args)), device->ops->op(device, &(args##_device)))

/* ---- Linear ---------------------------------------------------------------------------------- */

struct twin_weight {
    struct weight *cpu, *device;
    float *values;
};

static struct twin_weight weight_start(size_t n_out, size_t n_in)
{
    struct toto_error err;
    struct twin_weight made = {.values = mem_alloc(n_out * n_in * 4)};
    for (size_t i = 0; i < n_out * n_in; i++) {
        /* Seven bits: every stored type holds them. */
        made.values[i] = (float)((int)(random_bits() % 255) - 127) / 128.0f;
    }
    struct weight_part part = {DTYPE_F32, made.values, n_out};
    if (cpu->ops->weight_open(cpu, &part, 1, n_in, &made.cpu, &err) ||
        device->ops->weight_open(device, &part, 1, n_in, &made.device, &err))
        fail_msg("%s", err.message);
    return made;
}

static void weight_end(struct twin_weight *weight)
{
    cpu->ops->weight_close(cpu, weight->cpu);
    device->ops->weight_close(device, weight->device);
    mem_free(weight->values);
}

enum linear_kind { PLAIN, FULL, GAINED, TO_F32, N_KINDS };

static void linear_check(size_t n_rows, size_t n_out, size_t n_in, size_t block,
                         enum linear_kind kind)
{
    size_t more = kind == FULL ? 4 : 0;
    enum tensor_kind out_kind = kind == TO_F32 ? TENSOR_F32 : TENSOR_ACTIVATION;
    struct twin_weight weight = weight_start(n_out + 2 * more, n_in);
    struct twin x = twin_random(TENSOR_ACTIVATION, n_rows * n_in);
    struct twin bias = twin_random(TENSOR_F32, n_out + 2 * more);
    struct twin out = kind == FULL ? twin_random(out_kind, n_rows * n_out)
                                   : twin_make(out_kind, n_rows * n_out, NULL);
    struct linear_args args = {.x = x.cpu, .weight = weight.cpu, .first_out = more, .n_out = n_out,
                               .alpha = 0.75f, .out = out.cpu, .n_rows = n_rows, .row_block = 1};
    struct linear_args args_device = args;
    if (kind != PLAIN)
        args.bias = bias.cpu, args_device.bias = bias.device;
    if (kind == FULL) {
        args.residual = out.cpu, args_device.residual = out.device;
        args.beta = args_device.beta = 0.5f;
    }
    args.silu_gain = args_device.silu_gain = kind == GAINED ? 1.5f : 0.0f;
    args_device.x = x.device;
    args_device.weight = weight.device;
    args_device.out = out.device;
    args_device.row_block = block;
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
    struct twin_weight weight = weight_start(2 * n_ff, n_in);
    struct twin x = twin_random(TENSOR_ACTIVATION, n_rows * n_in);
    struct twin bias = twin_random(TENSOR_F32, 2 * n_ff);
    struct twin out = twin_make(TENSOR_ACTIVATION, n_rows * n_ff, NULL);
    struct linear_swiglu_args args = {.x = x.cpu, .weight = weight.cpu, .bias = bias.cpu,
                                      .alpha = 1.0f, .silu_second = second, .out = out.cpu,
                                      .n_rows = n_rows, .row_block = 1};
    struct linear_swiglu_args args_device = args;
    args_device.x = x.device;
    args_device.weight = weight.device;
    args_device.bias = bias.device;
    args_device.out = out.device;
    args_device.row_block = block;
    RUN(linear_swiglu, args);
    twin_compare(out, n_ff, (0.02 * (double)n_in + 16) * FLT_EPSILON, 1 + 0.1 * (double)n_in,
                 "linear_swiglu");
    twin_end(x);
    twin_end(bias);
    twin_end(out);
    weight_end(&weight);
}

static void test_linear(void **state)
{
    static const size_t rows[] = {1, 2, 3, 7, 9, 64, 70, 257}, outs[] = {1, 5, 64, 100, 388};
    static const size_t ins[] = {1, 16, 64, 100, 301};
    (void)state;
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
        linear_check(1200, 260, 96, 8, (enum linear_kind)kind); /* the largest tiles */
        linear_check(16, 768, 768, 1, (enum linear_kind)kind);
    }
    swiglu_check(1200, 132, 96, 8, false);
}

/* Rows alone, in a few and among all: equal bytes, for both kernels. */
static void test_equal_bytes(void **state)
{
    enum { ROWS = 1100, OUTS = 260, IN = 96 };
    (void)state;
    struct twin_weight weight = weight_start(OUTS, IN);
    struct twin x = twin_random(TENSOR_ACTIVATION, ROWS * IN);
    struct twin all = twin_make(TENSOR_ACTIVATION, ROWS * OUTS, NULL);
    struct twin few = twin_make(TENSOR_ACTIVATION, ROWS * OUTS, NULL);
    for (size_t block = 1; block <= 8; block += 7) {
        struct linear_args args = {.x = x.device, .weight = weight.device, .n_out = OUTS,
                                   .alpha = 1.0f, .out = all.device, .n_rows = ROWS,
                                   .row_block = block};
        device->ops->linear(device, &args);
        float *want = twin_bytes(all.device);
        static const size_t companies[] = {1, 2, 3, 8, 40, 70, 500};
        for (size_t i = 0; i < sizeof companies / sizeof *companies; i++) {
            size_t n = companies[i], at = 8 * i;
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

/* ---- Rows ------------------------------------------------------------------------------------ */

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
            struct rms_norm_args args = {.x = x.cpu, .out = out.cpu, .n_rows = rows,
                                         .width = width, .eps = 1e-8f};
            struct rms_norm_args args_device = args;
            args_device.x = x.device;
            args_device.out = out.device;
            if (rows > 1)
                args.scale = scale.cpu, args_device.scale = scale.device;
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
        struct copy_rows_args args = {.dst = dst.cpu, .src = src.cpu, .n_rows = 6, .width = width};
        struct copy_rows_args args_device = args;
        args_device.dst = dst.device;
        args_device.src = src.device;
        if (form & 1)
            args.dst_row = dst_row.cpu, args_device.dst_row = dst_row.device;
        if (form & 2)
            args.src_row = src_row.cpu, args_device.src_row = src_row.device;
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
#define OF(twin) (i ? (twin).device : (twin).cpu)
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
    cpu->ops->split_qkv(cpu, &all[0]);
    device->ops->split_qkv(device, &all[1]);
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

/* ---- Attention -------------------------------------------------------------------------------- */

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
    cpu->ops->attention(cpu, &all[0]);
    device->ops->attention(device, &all[1]);
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

static void test_attention(void **state)
{
    static const size_t dims[] = {8, 30, 64, 128};
    (void)state;
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++) {
        for (int32_t i = 0; i < 146; i++) /* two contexts */
            rows[i] = (struct attention_row){.first_a = i / 73 * 73, .count_a = i % 73 + 1,
                                             .stride = 1};
        attention_check(146, 2, 2, dims[d], dims[d], 146, false, 1);
        for (int32_t i = 0; i < 150; i++) /* samples: shared keys, then their own */
            rows[i] = (struct attention_row){.first_a = i / 75 * 33, .count_a = 33,
                                             .first_b = 66 + i * 12, .count_b = i % 13,
                                             .stride = 1};
        attention_check(150, 2, 1, dims[d], 2 * dims[d] % 96, 66 + 150 * 12, false, 75);
        for (int32_t i = 0; i < 200; i++) { /* variates of a patch, in groups */
            groups[i] = i / 5 % 3;
            rows[i] = (struct attention_row){.first_a = i % 5, .count_a = 40, .stride = 5,
                                             .group = groups[i]};
        }
        rows[7].group = 99;
        attention_check(200, 3, 3, dims[d], dims[d], 200, true, 1);
    }
    for (int32_t i = 0; i < 10; i++) /* no keys at all */
        rows[i] = (struct attention_row){.stride = 1, .count_a = i % 2};
    attention_check(10, 1, 1, 16, 16, 20, false, 1);
}

/* ---- All -------------------------------------------------------------------------------------- */

static int checks(const char *name)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),    cmocka_unit_test(test_equal_bytes),
        cmocka_unit_test(test_rms_norm),  cmocka_unit_test(test_copy_rows),
        cmocka_unit_test(test_split_qkv), cmocka_unit_test(test_attention),
    };
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
    random_seed();
    return devices_run(checks);
}
