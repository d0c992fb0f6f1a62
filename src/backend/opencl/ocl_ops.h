/* The ops of the OpenCL backend, each in its op_*.c; contracts in backend.h. */
#ifndef TOTO_BACKEND_OPENCL_OCL_OPS_H
#define TOTO_BACKEND_OPENCL_OCL_OPS_H

#include "../backend.h"

/* Bytes of one element of TENSOR_SCALE_STATE: 16 floats. */
enum { OCL_STATE_BYTES = 64 };

size_t ocl_row_block(const struct backend *, size_t series_rows, size_t width);
void ocl_linear(struct backend *, const struct linear_args *);
void ocl_linear_swiglu(struct backend *, const struct linear_swiglu_args *);
void ocl_rms_norm(struct backend *, const struct rms_norm_args *);
void ocl_copy_rows(struct backend *, const struct copy_rows_args *);
void ocl_split_qkv(struct backend *, const struct split_qkv_args *);
void ocl_attention(struct backend *, const struct attention_args *);
void ocl_causal_scale(struct backend *, const struct causal_scale_args *);
void ocl_mixture_params(struct backend *, const struct mixture_params_args *);
void ocl_mixture_mean(struct backend *, const struct mixture_next_args *);
void ocl_mixture_sample(struct backend *, const struct mixture_next_args *);
void ocl_quantiles(struct backend *, const struct quantiles_args *);
void ocl_fold(struct backend *, const struct fold_args *, struct weight **);
void ocl_patch_tokens(struct backend *, const struct patch_tokens_args *);
void ocl_quantile_patch(struct backend *, const struct quantile_patch_args *);

#endif
