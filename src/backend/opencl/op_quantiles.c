/* quantiles: a work-group a row, sorted in local memory where it fits. */
#include <stdio.h>

#include "ocl_args.h"
#include "ocl_ops.h"

enum { GROUP = 64, LOCAL_LEAST = 64, LOCAL_MOST = 2048 };

void ocl_quantiles(struct backend *base, const struct quantiles_args *args)
{
    struct ocl_backend *backend = ocl_of(base);
    struct ocl_args list = {0};
    char options[64] = "";
    size_t sort = LOCAL_LEAST;
    if (base->status || !args->n_rows || !args->n_samples)
        return;
    arg_tensor(&list, args->samples);
    arg_tensor(&list, args->positions);
    arg_tensor(&list, args->quantiles);
    arg_tensor(&list, args->mean);
    arg_int(&list, args->n_samples);
    arg_int(&list, args->n_quantiles);
    arg_int(&list, args->n_rows);
    while (sort < args->n_samples && sort <= LOCAL_MOST)
        sort *= 2;
    if (sort <= LOCAL_MOST)
        snprintf(options, sizeof options, "-DSORT=%zu", sort);
    ocl_launch_rows(backend, ocl_kernel_get(backend, "quantiles", "quantiles", options), &list, 1,
                    GROUP, args->n_rows);
}
