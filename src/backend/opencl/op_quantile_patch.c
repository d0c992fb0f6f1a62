/* quantile_patch: a work-group a row. */
#include "ocl_args.h"
#include "ocl_ops.h"

enum { GROUP = 64 };

void ocl_quantile_patch(struct backend *base, const struct quantile_patch_args *args)
{
    struct ocl_backend *backend = ocl_of(base);
    struct ocl_args list = {0};
    if (base->status || !args->n_rows)
        return;
    arg_tensor(&list, args->head);
    arg_tensor(&list, args->loc);
    arg_tensor(&list, args->scale);
    arg_tensor(&list, args->caps);
    arg_tensor(&list, args->rows);
    arg_tensor(&list, args->out);
    arg_tensor(&list, args->values);
    arg_tensor(&list, args->mask);
    arg_int(&list, args->patch);
    arg_offset(&list, args->out_width);
    arg_float(&list, args->cap_k);
    ocl_launch_rows(backend, ocl_kernel_get(backend, "quantile_patch", "quantile_patch", ""), &list,
                    1, GROUP, args->n_rows);
}
