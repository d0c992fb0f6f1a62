/* Small cases of the ops that all else rests on, on a device and on the CPU. Inputs are multiples
 * of 1/8 below 2, which every stored type holds exactly, so the two differ by the rounding of what
 * is written and the order of sums. */
#include "self_test.h"

#include <math.h>
#include <string.h>

#include "cpu/cpu.h"

enum {
    ROWS = 5, N_IN = 64, N_OUT = 36,
    HEADS = 2, HEAD_DIM = 8, SLOTS = 12,
    COMPONENTS = 4, STEPS = 8,
    Q_SIZE = ROWS * HEADS * HEAD_DIM,
    CACHE_SIZE = SLOTS * HEADS * HEAD_DIM,
    RAW_SIZE = ROWS * STEPS * COMPONENTS * 4,
    TENSORS_MAX = 12,
};

struct outcome {
    float linear[ROWS * N_OUT], attention[Q_SIZE], sample[ROWS * STEPS];
};

/* The tensors of a case, freed together. */
struct bench {
    struct backend *backend;
    struct tensor tensors[TENSORS_MAX];
    size_t n;
    uint32_t random;
    enum toto_status status;
    struct toto_error *err;
};

static struct tensor tensor_make(struct bench *bench, enum tensor_kind kind, size_t n,
                                 const void *src)
{
    struct tensor *tensor = &bench->tensors[bench->n++];
    if (!bench->status)
        bench->status = bench->backend->ops->alloc(bench->backend, kind, n, tensor, bench->err);
    if (!bench->status && src)
        bench->backend->ops->upload(bench->backend, *tensor, src);
    return *tensor;
}

/* Marsaglia's xorshift32 (Xorshift RNGs, Journal of Statistical Software 8, 2003). */
static void values_make(struct bench *bench, float *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bench->random ^= bench->random << 13;
        bench->random ^= bench->random >> 17;
        bench->random ^= bench->random << 5;
        values[i] = (float)(int)(bench->random >> 27) / 8.0f - 2.0f;
    }
}

static struct tensor tensor_random(struct bench *bench, enum tensor_kind kind, size_t n)
{
    float values[RAW_SIZE > N_IN * N_OUT ? RAW_SIZE : N_IN * N_OUT];
    values_make(bench, values, n);
    return tensor_make(bench, kind, n, values);
}

/* Waits for the case, hands its output over, and frees its tensors. */
static void bench_end(struct bench *bench, struct tensor out, float *values)
{
    if (!bench->status)
        bench->status = bench->backend->ops->download(bench->backend, out, values, bench->err);
    while (bench->n)
        bench->backend->ops->free(bench->backend, &bench->tensors[--bench->n]);
}

static void linear_run(struct bench *bench, float *values)
{
    float matrix[N_OUT * N_IN];
    struct weight *weight = NULL;
    const struct backend_ops *ops = bench->backend->ops;
    values_make(bench, matrix, N_OUT * N_IN);
    struct tensor x = tensor_random(bench, TENSOR_ACTIVATION, ROWS * N_IN);
    struct tensor bias = tensor_random(bench, TENSOR_F32, N_OUT);
    struct tensor out = tensor_make(bench, TENSOR_ACTIVATION, ROWS * N_OUT, NULL);
    const struct weight_part part = {DTYPE_F32, matrix, N_OUT};
    if (!bench->status)
        bench->status = ops->weight_open(bench->backend, &part, 1, N_IN, &weight, bench->err);
    if (!bench->status)
        ops->linear(bench->backend, &(struct linear_args){.x = x,
                                                          .weight = weight,
                                                          .n_out = N_OUT,
                                                          .bias = bias,
                                                          .alpha = 1.0f,
                                                          .out = out,
                                                          .n_rows = ROWS,
                                                          .row_block = 1});
    bench_end(bench, out, values);
    ops->weight_close(bench->backend, weight);
}

static void attention_run(struct bench *bench, float *values)
{
    struct attention_row rows[ROWS];
    for (int32_t i = 0; i < ROWS; i++)
        rows[i] = (struct attention_row){.count_a = 6, .first_b = 6, .count_b = i + 1, .stride = 1};
    struct tensor q = tensor_random(bench, TENSOR_ACTIVATION, Q_SIZE);
    struct tensor keys = tensor_random(bench, TENSOR_ACTIVATION, CACHE_SIZE);
    struct tensor cache = tensor_random(bench, TENSOR_ACTIVATION, CACHE_SIZE);
    struct tensor at = tensor_make(bench, TENSOR_I32, sizeof rows / (sizeof(int32_t)), rows);
    struct tensor out = tensor_make(bench, TENSOR_ACTIVATION, Q_SIZE, NULL);
    if (!bench->status)
        bench->backend->ops->attention(bench->backend,
                                       &(struct attention_args){.q = q,
                                                                .keys = keys,
                                                                .values = cache,
                                                                .rows = at,
                                                                .out = out,
                                                                .n_rows = ROWS,
                                                                .n_heads = HEADS,
                                                                .n_groups = HEADS,
                                                                .head_dim = HEAD_DIM,
                                                                .value_dim = HEAD_DIM,
                                                                .run = 1,
                                                                .scale = 0.25f});
    bench_end(bench, out, values);
}

static void sample_run(struct bench *bench, float *values)
{
    struct draw_row rows[ROWS];
    for (int32_t i = 0; i < ROWS; i++)
        rows[i] =
            (struct draw_row){.param_row = i, .override_row = -1, .sample = i, .key = {7, 11}};
    const int32_t unflagged = 0;
    struct tensor raw = tensor_random(bench, TENSOR_F32, RAW_SIZE);
    struct tensor loc = tensor_random(bench, TENSOR_F32, ROWS * STEPS);
    struct tensor scale = tensor_random(bench, TENSOR_F32, ROWS * STEPS);
    struct tensor at = tensor_make(bench, TENSOR_I32, sizeof rows / (sizeof(int32_t)), rows);
    struct tensor flags = tensor_make(bench, TENSOR_I32, 1, &unflagged);
    struct tensor next = tensor_make(bench, TENSOR_F32, ROWS * STEPS, NULL);
    if (!bench->status)
        bench->backend->ops->mixture_sample(
            bench->backend, &(struct mixture_next_args){.shape = {.n_components = COMPONENTS,
                                                                  .has_logits = true,
                                                                  .n_steps = STEPS,
                                                                  .patch = STEPS},
                                                        .raw = raw,
                                                        .loc = loc,
                                                        .scale = scale,
                                                        .rows = at,
                                                        .next = next,
                                                        .flags = flags,
                                                        .n_rows = ROWS});
    bench_end(bench, next, values);
}

static enum toto_status all_run(struct backend *backend, struct outcome *outcome,
                                struct toto_error *err)
{
    struct bench bench = {.backend = backend, .random = 2463534242u, .err = err};
    linear_run(&bench, outcome->linear);
    if (!bench.status)
        attention_run(&bench, outcome->attention);
    if (!bench.status)
        sample_run(&bench, outcome->sample);
    return bench.status;
}

/* Values agree within `tolerance` of the largest wanted one. */
static enum toto_status compare(const struct backend *backend, const char *op, const float *got,
                                const float *wanted, size_t n, float tolerance,
                                struct toto_error *err)
{
    float largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmaxf(largest, fabsf(wanted[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(got[i] - wanted[i]) <= tolerance * largest))
            return toto_fail(err, TOTO_STATUS_RESOURCE,
                             "%s computes wrong numbers: %s gave %.7g where the CPU gives %.7g; "
                             "its driver may be "
                             "broken",
                             backend->name, op, (double)got[i], (double)wanted[i]);
    return TOTO_STATUS_OK;
}

enum toto_status backend_self_test(struct backend *backend, enum dtype dtype,
                                   struct toto_error *err)
{
    struct outcome got, wanted;
    struct backend *cpu = NULL;
    float rounding = dtype == DTYPE_F32 ? 2e-6f : dtype == DTYPE_F16 ? 1e-3f : 8e-3f;
    memset(&got, 0xFF, sizeof got); /* NaN */
    enum toto_status status = all_run(backend, &got, err);
    if (status || (status = cpu_backend_open(1, &cpu, err)))
        return status;
    if (!(status = all_run(cpu, &wanted, err)) &&
        !(status =
              compare(backend, "linear", got.linear, wanted.linear, ROWS * N_OUT, rounding, err)) &&
        !(status = compare(backend, "attention", got.attention, wanted.attention, Q_SIZE,
                           2 * rounding, err)))
        status = compare(backend, "sampling", got.sample, wanted.sample, ROWS * STEPS, 1e-4f, err);
    cpu->ops->close(cpu);
    return status;
}
