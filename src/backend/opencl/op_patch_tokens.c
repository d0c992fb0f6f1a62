/* patch_tokens: loc and scale by a work-group a sequence, then the tokens by several. */
#include "ocl_args.h"
#include "ocl_ops.h"

enum { LANES = 64, TOKEN_GROUPS = 16 };

static void shared_put(struct ocl_args *list, const struct patch_tokens_args *args)
{
    arg_tensor(list, args->values);
    arg_tensor(list, args->mask);
    arg_tensor(list, args->sequences);
    arg_tensor(list, args->loc);
    arg_tensor(list, args->scale);
}

void ocl_patch_tokens(struct backend *base, const struct patch_tokens_args *args)
{
    struct ocl_backend *backend = ocl_of(base);
    struct ocl_args scales = {0}, tokens = {0};
    if (base->status || !args->n_sequences)
        return;
    shared_put(&scales, args);
    arg_tensor(&scales, args->caps);
    arg_int(&scales, args->patch);
    arg_int(&scales, args->min_obs < INT32_MAX ? args->min_obs : INT32_MAX);
    arg_float(&scales, args->cap_k);
    ocl_launch_rows(backend, ocl_kernel_get(backend, "patch_tokens", "patch_tokens_scale", ""),
                    &scales, 1, LANES, args->n_sequences);
    shared_put(&tokens, args);
    arg_tensor(&tokens, args->tokens);
    arg_int(&tokens, args->patch);
    ocl_launch_rows(backend, ocl_kernel_get(backend, "patch_tokens", "patch_tokens", ""), &tokens,
                    TOKEN_GROUPS, LANES, args->n_sequences);
}
