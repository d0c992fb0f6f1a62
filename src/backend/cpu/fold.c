/* Folds the heads into the unembedding: for each step of a patch, heads [C, D] times the D rows of
 * the unembedding that make that step. A task makes a strip of columns of one step; each element is
 * one chain of float32 sums along d, so neither strips nor threads show in it. */
#include <string.h>

#include "../../base/memory.h"
#include "cpu_backend.h"

/* Columns of a task, wide since the unembedding comes from memory in one sweep; rows of it in
 * scratch at once; floats between them, an odd number of cache lines, so that a column's lines
 * spread over the first cache. */
enum { STRIP = 1024, CHAIN = 64, STRIDE = STRIP + 16 };

struct fold_job {
    struct cpu_backend *cpu;
    const struct weight *unembed;
    const float *heads; /* [C, D] */
    size_t n_heads, depth, n_in, n_strips; /* C, D, columns of the result, tasks a step */
    float *out;
};

/* Columns first .. first + n of a weight's row. */
static void row_widen(const struct cpu_kernels *kernels, const struct weight *weight, size_t row,
                      size_t first, size_t n, float *out)
{
    const struct weight_piece *piece = weight->parts;
    while (row >= piece->first_out + piece->n_out)
        piece++;
    kernels->widen(piece->dtype,
                   piece->data + (row - piece->first_out) * piece->row_bytes +
                       first * dtype_size(piece->dtype),
                   n, out);
}

static void fold_task(void *context, size_t task, size_t thread)
{
    const struct fold_job *job = context;
    const struct cpu_kernels *kernels = job->cpu->kernels;
    float *strip = job->cpu->scratch[thread];
    size_t step = task / job->n_strips, first = task % job->n_strips * STRIP, depth = job->depth;
    size_t n = job->n_in - first < STRIP ? job->n_in - first : STRIP;
    float *out = job->out + step * job->n_heads * job->n_in + first;
    for (size_t c = 0; c < job->n_heads; c++)
        memset(out + c * job->n_in, 0, n * sizeof *out);
    for (size_t d = 0; d < depth; d += CHAIN) {
        size_t rows = depth - d < CHAIN ? depth - d : CHAIN;
        for (size_t i = 0; i < rows; i++)
            row_widen(kernels, job->unembed, step * depth + d + i, first, n, strip + i * STRIDE);
        kernels->gemm_add(job->heads + d, depth, job->n_heads, strip, STRIDE, n, rows, out,
                          job->n_in);
    }
}

/* bias[s C + c], in float64. */
static void bias_fold(const struct fold_args *args, const float *heads, size_t n_heads,
                      size_t depth)
{
    const float *unembed_bias = floats(args->unembed_bias), *heads_bias = floats(args->heads_bias);
    for (size_t step = 0; step < args->n_steps; step++)
        for (size_t c = 0; c < n_heads; c++) {
            double sum = heads_bias ? (double)heads_bias[c] : 0;
            for (size_t d = 0; unembed_bias && d < depth; d++)
                sum += (double)heads[c * depth + d] * (double)unembed_bias[step * depth + d];
            floats(args->bias)[step * n_heads + c] = (float)sum;
        }
}

void cpu_fold(struct backend *backend, const struct fold_args *args, struct weight **folded)
{
    struct cpu_backend *cpu = cpu_of(backend);
    size_t n_heads = args->heads->n_out, depth = args->heads->n_in, n_in = args->unembed->n_in;
    struct weight *heads = NULL, *made = NULL;
    *folded = NULL;
    assert(args->n_steps * depth <= args->unembed->n_out);
    if (backend->status || !scratch_reserve(cpu) || !(heads = weight_make(cpu, n_heads, depth)) ||
        !(made = weight_make(cpu, args->n_steps * n_heads, n_in)))
        goto done;
    weight_widen(cpu->kernels, args->heads, 0, n_heads, heads->owned);
    struct fold_job job = {.cpu = cpu,
                           .unembed = args->unembed,
                           .heads = heads->owned,
                           .n_heads = n_heads,
                           .depth = depth,
                           .n_in = n_in,
                           .n_strips = (n_in + STRIP - 1) / STRIP,
                           .out = made->owned};
    thread_pool_run(cpu->pool, args->n_steps * job.n_strips, fold_task, &job);
    bias_fold(args, heads->owned, n_heads, depth);
    *folded = made;
done:
    backend->ops->weight_close(backend, heads);
}
