/* What the files of the CPU backend share: its struct, loops over rows, scratch, and the ops. */
#ifndef TOTO_BACKEND_CPU_CPU_BACKEND_H
#define TOTO_BACKEND_CPU_CPU_BACKEND_H

#include <assert.h>

#include "cpu.h"
#include "kernels.h"
#include "threads.h"

/* Each thread's scratch; every op cuts its work to fit. */
enum { SCRATCH_FLOATS = 1 << 20, WEIGHT_IN_MOST = 1 << 18 };

struct cpu_backend {
    struct backend base;
    struct thread_pool *pool;
    const struct cpu_kernels *kernels;
    float **scratch; /* [n_threads], allocated by scratch_reserve */
};

struct weight {
    size_t n_in, n_out, n_parts;
    float *owned; /* data of a weight that fold made, or NULL */
    struct weight_piece {
        enum dtype dtype;
        const char *data;
        size_t first_out, n_out;
        size_t row_bytes;
    } parts[];
};

static inline struct cpu_backend *cpu_of(struct backend *backend)
{
    return (struct cpu_backend *)backend;
}

static inline float *floats(struct tensor tensor)
{
    assert(tensor.kind == TENSOR_F32 || tensor.kind == TENSOR_ACTIVATION);
    return tensor.memory ? (float *)tensor.memory + tensor.offset : NULL;
}

static inline int32_t *integers(struct tensor tensor)
{
    assert(!tensor.memory || tensor.kind == TENSOR_I32);
    return tensor.memory ? (int32_t *)tensor.memory + tensor.offset : NULL;
}

/* False (and the backend failed) if there is no memory for the threads' scratch. */
bool scratch_reserve(struct cpu_backend *cpu);

/* Runs rows begin .. end - 1. */
typedef void rows_task(void *context, size_t begin, size_t end, size_t thread);

/* Runs fn over rows 0 .. n_rows - 1 in threads when n_rows * work (about nanoseconds a row) is
 * worth it. */
void rows_run(struct cpu_backend *cpu, size_t n_rows, size_t work, rows_task *fn, void *context);

/* Copies rows first .. first + n of a weight, widened, to out [n, n_in]. */
void weight_widen(const struct cpu_kernels *kernels, const struct weight *weight, size_t first,
                  size_t n, float *out);
/* A weight of n_out x n_in float32 that owns its data; NULL (and the backend failed) without
 * memory. */
struct weight *weight_make(struct cpu_backend *cpu, size_t n_out, size_t n_in);

/* linear.c */
size_t cpu_row_block(const struct backend *, size_t series_rows, size_t width);
void cpu_linear(struct backend *, const struct linear_args *);
void cpu_linear_swiglu(struct backend *, const struct linear_swiglu_args *);
/* rows.c */
void cpu_rms_norm(struct backend *, const struct rms_norm_args *);
void cpu_copy_rows(struct backend *, const struct copy_rows_args *);
void cpu_split_qkv(struct backend *, const struct split_qkv_args *);
/* attention.c, causal_scale.c, mixture.c, quantiles.c, fold.c */
void cpu_attention(struct backend *, const struct attention_args *);
size_t scale_state_bytes(void);
void cpu_causal_scale(struct backend *, const struct causal_scale_args *);
void cpu_mixture_params(struct backend *, const struct mixture_params_args *);
void cpu_mixture_mean(struct backend *, const struct mixture_next_args *);
void cpu_mixture_sample(struct backend *, const struct mixture_next_args *);
void cpu_quantiles(struct backend *, const struct quantiles_args *);
void cpu_fold(struct backend *, const struct fold_args *, struct weight **);
/* patch_tokens.c */
void cpu_patch_tokens(struct backend *, const struct patch_tokens_args *);
void cpu_quantile_patch(struct backend *, const struct quantile_patch_args *);

#endif
