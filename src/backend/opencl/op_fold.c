/* fold: unembedding and heads as one matrix, in the backend's dtype. */
#include "ocl_args.h"
#include "ocl_ops.h"
#include "ocl_weight.h"

enum { GROUP = 64, HEADS = 16 };

void ocl_fold(struct backend *base, const struct fold_args *args, struct weight **folded)
{
    struct ocl_backend *backend = ocl_of(base);
    struct toto_error err;
    struct ocl_args list = {0}, bias = {0};
    size_t n_heads = args->heads->n_out, depth = args->heads->n_in, n_in = args->unembed->n_in;
    *folded = NULL;
    assert(args->n_steps * depth <= args->unembed->n_out);
    if (base->status)
        return;
    enum toto_status status = ocl_weight_make(backend, args->n_steps * n_heads, n_in, folded, &err);
    if (status) {
        backend_fail(base, status, &err);
        return;
    }
    arg_memory(&list, args->heads->memory);
    arg_memory(&list, args->unembed->memory);
    arg_memory(&list, (*folded)->memory);
    arg_int(&list, n_heads);
    arg_int(&list, depth);
    arg_int(&list, n_in);
    ocl_launch_rows(backend, ocl_kernel_get(backend, "fold", "fold", ""), &list,
                    (n_in + GROUP - 1) / GROUP, GROUP,
                    args->n_steps * ((n_heads + HEADS - 1) / HEADS));
    arg_memory(&bias, args->heads->memory);
    arg_tensor(&bias, args->unembed_bias);
    arg_tensor(&bias, args->heads_bias);
    arg_tensor(&bias, args->bias);
    arg_int(&bias, n_heads);
    arg_int(&bias, depth);
    arg_int(&bias, args->n_steps);
    ocl_launch_rows(backend, ocl_kernel_get(backend, "fold", "fold_bias", ""), &bias,
                    (args->n_steps * n_heads + GROUP - 1) / GROUP, GROUP, 1);
}
