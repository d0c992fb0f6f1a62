/* The CPU backend: memory, weights, and the table of ops. */
#include "cpu_backend.h"

#include <stdio.h>
#include <string.h>

#include "../../base/memory.h"
#include "openblas.h"

static void cpu_close(struct backend *backend)
{
    struct cpu_backend *cpu = cpu_of(backend);
    if (!cpu)
        return;
    thread_pool_close(cpu->pool);
    for (size_t i = 0; cpu->scratch && i < cpu->base.n_threads; i++)
        mem_free(cpu->scratch[i]);
    mem_free(cpu->scratch);
    mem_free(cpu);
}

bool scratch_reserve(struct cpu_backend *cpu)
{
    for (size_t i = 0; i < cpu->base.n_threads; i++) {
        if (cpu->scratch[i])
            continue;
        cpu->scratch[i] = mem_alloc(SCRATCH_FLOATS * sizeof(float));
        if (!cpu->scratch[i]) {
            struct toto_error err;
            toto_fail_memory(&err, "the threads' scratch", SCRATCH_FLOATS * sizeof(float));
            backend_fail(&cpu->base, TOTO_STATUS_RESOURCE, &err);
            return false;
        }
    }
    return true;
}

/* ---- Loops over rows ------------------------------------------------------------------------- */

struct rows_job {
    rows_task *fn;
    void *context;
    size_t n_rows, n_tasks;
};

static void rows_part(void *context, size_t task, size_t thread)
{
    const struct rows_job *job = context;
    size_t each = job->n_rows / job->n_tasks, more = job->n_rows % job->n_tasks;
    size_t begin = task * each + (task < more ? task : more);
    job->fn(job->context, begin, begin + each + (task < more), thread);
}

void rows_run(struct cpu_backend *cpu, size_t n_rows, size_t work, rows_task *fn, void *context)
{
    /* Handing work to another thread costs some microseconds. */
    enum { WORTH_SHARING = 20000, TASKS_PER_THREAD = 4 };
    size_t most = cpu->base.n_threads * TASKS_PER_THREAD;
    struct rows_job job = {fn, context, n_rows, n_rows < most ? n_rows : most};
    if (n_rows * work < WORTH_SHARING || cpu->base.n_threads == 1) {
        if (n_rows)
            fn(context, 0, n_rows, 0);
        return;
    }
    thread_pool_run(cpu->pool, job.n_tasks, rows_part, &job);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static size_t cpu_element_bytes(const struct backend *backend, enum tensor_kind kind)
{
    (void)backend;
    switch (kind) {
    case TENSOR_U8: return 1;
    case TENSOR_SCALE_STATE: return scale_state_bytes();
    case TENSOR_F32:
    case TENSOR_ACTIVATION:
    case TENSOR_I32: break;
    }
    return 4;
}

static enum toto_status cpu_alloc(struct backend *backend, enum tensor_kind kind, size_t n,
                                  struct tensor *tensor, struct toto_error *err)
{
    size_t bytes;
    *tensor = (struct tensor){.kind = kind, .n = n};
    if (!size_mul(n, cpu_element_bytes(backend, kind), &bytes))
        return toto_fail(err, TOTO_STATUS_RESOURCE,
                         "a tensor of %zu elements is more than memory can hold", n);
    tensor->memory = mem_alloc(bytes);
    if (!tensor->memory)
        return toto_fail_memory(err, "a tensor", bytes);
    return TOTO_STATUS_OK;
}

static void cpu_free(struct backend *backend, struct tensor *tensor)
{
    (void)backend;
    mem_free(tensor->memory);
    *tensor = (struct tensor){0};
}

static void cpu_upload(struct backend *backend, struct tensor dst, const void *src)
{
    size_t size = cpu_element_bytes(backend, dst.kind);
    if (!backend->status && dst.n)
        memcpy((char *)dst.memory + dst.offset * size, src, dst.n * size);
}

static enum toto_status cpu_sync(struct backend *backend, struct toto_error *err)
{
    if (backend->status && err)
        *err = backend->error;
    return backend->status;
}

static enum toto_status cpu_download(struct backend *backend, struct tensor src, void *dst,
                                     struct toto_error *err)
{
    size_t size = cpu_element_bytes(backend, src.kind);
    enum toto_status status = cpu_sync(backend, err);
    if (!status && src.n)
        memcpy(dst, (const char *)src.memory + src.offset * size, src.n * size);
    return status;
}

/* ---- Weights --------------------------------------------------------------------------------- */

static enum toto_status cpu_weight_open(struct backend *backend, const struct weight_part *parts,
                                        size_t n_parts, size_t n_in, struct weight **weight,
                                        struct toto_error *err)
{
    (void)backend;
    size_t bytes;
    *weight = NULL;
    if (n_in > WEIGHT_IN_MOST)
        return toto_fail(err, TOTO_STATUS_RESOURCE,
                         "a weight has %zu inputs; the CPU backend takes at most %d", n_in,
                         WEIGHT_IN_MOST);
    if (!size_mul(n_parts, sizeof(struct weight_piece), &bytes) ||
        !size_add(bytes, sizeof **weight, &bytes) || !(*weight = mem_calloc(1, bytes)))
        return toto_fail_memory(err, "a weight", bytes);
    (*weight)->n_in = n_in;
    (*weight)->n_parts = n_parts;
    for (size_t i = 0; i < n_parts; i++) {
        (*weight)->parts[i] = (struct weight_piece){.dtype = parts[i].dtype,
                                                    .data = parts[i].data,
                                                    .first_out = (*weight)->n_out,
                                                    .n_out = parts[i].rows,
                                                    .row_bytes = n_in * dtype_size(parts[i].dtype)};
        (*weight)->n_out += parts[i].rows;
    }
    return TOTO_STATUS_OK;
}

static void cpu_weight_close(struct backend *backend, struct weight *weight)
{
    (void)backend;
    if (!weight)
        return;
    mem_free(weight->owned);
    mem_free(weight);
}

struct weight *weight_make(struct cpu_backend *cpu, size_t n_out, size_t n_in)
{
    struct toto_error err;
    struct weight *weight = NULL;
    size_t bytes = SIZE_MAX;
    float *data = NULL;
    if (size_mul(n_out, n_in, &bytes) && size_mul(bytes, sizeof *data, &bytes))
        data = mem_alloc(bytes);
    enum toto_status status = TOTO_STATUS_OK;
    if (!data)
        status = toto_fail_memory(&err, "a folded weight", bytes);
    else
        status = cpu_weight_open(&cpu->base, &(struct weight_part){DTYPE_F32, data, n_out}, 1, n_in,
                                 &weight, &err);
    if (status) {
        mem_free(data);
        backend_fail(&cpu->base, status, &err);
        return NULL;
    }
    weight->owned = data;
    return weight;
}

void weight_widen(const struct cpu_kernels *kernels, const struct weight *weight, size_t first,
                  size_t n, float *out)
{
    for (size_t i = 0; i < weight->n_parts && n; i++) {
        const struct weight_piece *piece = &weight->parts[i];
        if (first >= piece->first_out + piece->n_out)
            continue;
        size_t row = first - piece->first_out;
        size_t rows = piece->n_out - row < n ? piece->n_out - row : n;
        kernels->widen(piece->dtype, piece->data + row * piece->row_bytes, rows * weight->n_in,
                       out);
        out += rows * weight->n_in;
        first += rows;
        n -= rows;
    }
}

/* ---- Opening --------------------------------------------------------------------------------- */

static size_t cpu_scratch_bytes(const struct backend *backend, size_t width)
{
    (void)width;
    return backend->n_threads * SCRATCH_FLOATS * sizeof(float);
}

static const struct backend_ops cpu_ops = {
    .close = cpu_close,
    .alloc = cpu_alloc,
    .free = cpu_free,
    .element_bytes = cpu_element_bytes,
    .upload = cpu_upload,
    .download = cpu_download,
    .sync = cpu_sync,
    .weight_open = cpu_weight_open,
    .weight_close = cpu_weight_close,
    .row_block = cpu_row_block,
    .scratch_bytes = cpu_scratch_bytes,
    .linear = cpu_linear,
    .linear_swiglu = cpu_linear_swiglu,
    .rms_norm = cpu_rms_norm,
    .copy_rows = cpu_copy_rows,
    .split_qkv = cpu_split_qkv,
    .attention = cpu_attention,
    .causal_scale = cpu_causal_scale,
    .mixture_params = cpu_mixture_params,
    .mixture_mean = cpu_mixture_mean,
    .mixture_sample = cpu_mixture_sample,
    .quantiles = cpu_quantiles,
    .fold = cpu_fold,
    .patch_tokens = cpu_patch_tokens,
    .quantile_patch = cpu_quantile_patch,
};

const struct backend_ops *cpu_backend_ops(void)
{
    return &cpu_ops;
}

enum toto_status cpu_backend_open(size_t n_threads, struct backend **backend,
                                  struct toto_error *err)
{
    *backend = NULL;
    struct cpu_backend *cpu = mem_calloc(1, sizeof *cpu);
    if (!cpu)
        return toto_fail_memory(err, "the CPU backend", sizeof *cpu);
    cpu->base.ops = &cpu_ops;
    cpu->base.n_threads = n_threads ? n_threads : thread_count_available();
    cpu->kernels = cpu_kernels_best();
    snprintf(cpu->base.name, sizeof cpu->base.name, "CPU (%s)", cpu->kernels->name);
    enum toto_status status = TOTO_STATUS_OK;
    cpu->scratch = mem_calloc(cpu->base.n_threads, sizeof *cpu->scratch);
    if (!cpu->scratch)
        status = toto_fail_memory(err, "the threads", cpu->base.n_threads * sizeof *cpu->scratch);
    if (!status)
        status = thread_pool_open(cpu->base.n_threads, &cpu->pool, err);
    if (status) {
        cpu_close(&cpu->base);
        return status;
    }
    *backend = &cpu->base;
    return TOTO_STATUS_OK;
}
