/* Inner loops of the ops, in one variant an instruction set (kernels_template.h holds the code).
 *
 * Within a variant, each output element is the same sequence of operations whatever the number of
 * rows and columns and wherever it stands among them. */
#ifndef TOTO_BACKEND_CPU_KERNELS_H
#define TOTO_BACKEND_CPU_KERNELS_H

#include "../../base/dtype.h"
#include "../../base/status.h"

struct cpu_kernels {
    const char *name;
    /* y[r, o] = sum_k x[r, k] w[o, k]; ld* are the strides of rows, in floats. w may be unaligned.
     */
    void (*dots)(const float *x, size_t ldx, size_t n_rows, const void *w, size_t ldw,
                 size_t n_outs, size_t n_in, float *y, size_t ldy);
    /* y[r, o] += sum_k x[r, k] b[k, o], the sum going on from y in the order of k. */
    void (*gemm_add)(const float *x, size_t ldx, size_t n_rows, const float *b, size_t ldb,
                     size_t n_outs, size_t n_in, float *y, size_t ldy);
    /* out[i] = element i of src as float32, exactly. */
    void (*widen)(enum dtype dtype, const void *src, size_t n, float *out);
    /* out = silu(a) c, or a silu(c) if second. */
    void (*swiglu)(const float *a, const float *c, bool second, size_t n, float *out);
    /* out = alpha (y + bias) + beta residual; bias and residual may be NULL. */
    void (*affine)(const float *y, const float *bias, float alpha, const float *residual,
                   float beta, size_t n, float *out);
    /* out = x / sqrt(mean(x^2) + eps) * scale; scale may be NULL. */
    void (*rms_norm)(const float *x, const float *scale, float eps, size_t n, float *out);
    /* x[i] = exp(x[i] - shift), and their sum. */
    float (*exp_sum)(float *x, float shift, size_t n);
    /* The largest; a NaN among them may be passed over. n > 0. */
    float (*max)(const float *x, size_t n);
    /* x *= factor. */
    void (*scale)(float *x, float factor, size_t n);
};

/* The best variant that this processor runs. */
const struct cpu_kernels *cpu_kernels_best(void);
/* Variant i that this processor runs, the best first; NULL past the last. For tests. */
const struct cpu_kernels *cpu_kernels_at(size_t i);

#endif
