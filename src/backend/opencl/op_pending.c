/* Ops that no file has yet: delete a line when the op's file comes, and this file with its last line. */
#include "ocl_ops.h"

#define PENDING(name, args) \
    void name(struct backend *backend, const struct args *a) \
    { \
        struct toto_error err; \
        (void)a; \
        toto_fail(&err, TOTO_STATUS_BUG, #name " does not exist yet"); \
        backend_fail(backend, TOTO_STATUS_BUG, &err); \
    }
PENDING(ocl_attention, attention_args)
PENDING(ocl_causal_scale, causal_scale_args)
PENDING(ocl_mixture_params, mixture_params_args)
PENDING(ocl_mixture_mean, mixture_next_args)
PENDING(ocl_mixture_sample, mixture_next_args)
PENDING(ocl_quantiles, quantiles_args)
void ocl_fold(struct backend *backend, const struct fold_args *a, struct weight **weight)
{
    (void)backend;
    (void)a;
    *weight = NULL;
}
