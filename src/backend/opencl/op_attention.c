/* attention: one kernel, built for the head's width. */
#include <stdio.h>

#include "ocl_args.h"
#include "ocl_ops.h"

enum { ROWS = 64 }; /* of a work-group, an item each */

void ocl_attention(struct backend *base, const struct attention_args *args)
{
    struct ocl_backend *backend = ocl_of(base);
    struct ocl_args list = {0};
    char options[64];
    if (base->status || !args->n_rows)
        return;
    size_t all = args->head_dim | args->value_dim | args->q.offset | args->keys.offset |
                 args->values.offset | args->out.offset;
    arg_tensor(&list, args->q);
    arg_tensor(&list, args->keys);
    arg_tensor(&list, args->values);
    arg_tensor(&list, args->rows);
    arg_tensor(&list, args->slot_groups);
    arg_tensor(&list, args->out);
    arg_int(&list, args->n_rows);
    arg_int(&list, args->n_heads);
    arg_int(&list, args->n_groups);
    arg_int(&list, args->run);
    arg_float(&list, args->scale);
    snprintf(options, sizeof options, "-DHEAD_DIM=%zu -DVALUE_DIM=%zu -DVEC=%d", args->head_dim,
             args->value_dim, all % 4 == 0);
    ocl_launch_rows(backend, ocl_kernel_get(backend, "attention", "attention", options), &list,
                    (args->n_rows + ROWS - 1) / ROWS, ROWS, args->n_heads);
}
