/* Ops that treat each row by itself: RMS norm, copies, and the split of a projection into heads. */
#include <stdio.h>

#include "ocl_args.h"
#include "ocl_ops.h"

enum { GROUP = 64 };

void ocl_rms_norm(struct backend *base, const struct rms_norm_args *args)
{
    struct ocl_backend *backend = ocl_of(base);
    struct ocl_args list = {0};
    if (base->status || !args->n_rows)
        return;
    arg_tensor(&list, args->x);
    arg_tensor(&list, args->scale);
    arg_tensor(&list, args->out);
    arg_int(&list, args->width);
    arg_float(&list, args->eps);
    ocl_launch_rows(backend, ocl_kernel_get(backend, "rms_norm", "rms_norm", ""), &list, 1, GROUP,
                    args->n_rows);
}

/* The same elements as units of `size` bytes. */
static struct tensor units(struct tensor tensor, size_t element, size_t size)
{
    tensor.offset = tensor.offset * element / size;
    return tensor;
}

void ocl_copy_rows(struct backend *base, const struct copy_rows_args *args)
{
    static const struct unit {
        size_t size;
        const char *options;
    } all_units[] = {{1, "-DELEMENT=uchar"},
                     {2, "-DELEMENT=ushort"},
                     {4, "-DELEMENT=uint"},
                     {16, "-DELEMENT=uint4"}};
    struct ocl_backend *backend = ocl_of(base);
    size_t element = base->ops->element_bytes(base, args->src.kind);
    struct ocl_args list = {0};
    assert(args->dst.kind == args->src.kind);
    if (base->status || !args->n_rows || !args->width)
        return;
    const struct unit *unit = all_units;
    for (size_t i = 1; i < sizeof all_units / sizeof *all_units; i++)
        if ((args->width * element | args->src.offset * element | args->dst.offset * element) %
                all_units[i].size ==
            0)
            unit = &all_units[i];
    size_t width = args->width * element / unit->size;
    arg_tensor(&list, units(args->dst, element, unit->size));
    arg_tensor(&list, args->dst_row);
    arg_tensor(&list, units(args->src, element, unit->size));
    arg_tensor(&list, args->src_row);
    arg_int(&list, width);
    ocl_launch_rows(backend, ocl_kernel_get(backend, "copy_rows", "copy_rows", unit->options),
                    &list, (width + GROUP - 1) / GROUP, GROUP, args->n_rows);
}

void ocl_split_qkv(struct backend *base, const struct split_qkv_args *args)
{
    struct ocl_backend *backend = ocl_of(base);
    struct ocl_args list = {0};
    size_t q_width = args->parts & QKV_Q ? args->n_heads * args->head_dim : 0;
    size_t k_width = args->parts & QKV_K ? args->n_groups * args->head_dim : 0;
    size_t v_width = args->parts & QKV_V ? args->n_groups * args->value_dim : 0;
    if (base->status || !args->n_rows)
        return;
    size_t pairs = (q_width + k_width) / args->head_dim * ((args->head_dim + 1) / 2) +
                   v_width / args->value_dim * ((args->value_dim + 1) / 2);
    arg_tensor(&list, args->z);
    arg_tensor(&list, args->rows);
    arg_tensor(&list, args->q_norm);
    arg_tensor(&list, args->k_norm);
    arg_tensor(&list, args->q_scale);
    arg_tensor(&list, args->rope.cos_sin);
    arg_tensor(&list, args->rope.xpos);
    arg_tensor(&list, args->q);
    arg_tensor(&list, args->keys);
    arg_tensor(&list, args->values);
    arg_int(&list, q_width);
    arg_int(&list, k_width);
    arg_int(&list, v_width);
    arg_int(&list, args->head_dim);
    arg_int(&list, args->value_dim);
    arg_int(&list, args->layout == HEAD_INNER);
    arg_int(&list, (size_t)args->rope.max_offset);
    arg_int(&list, (size_t)args->rope.rotary_dims);
    arg_float(&list, args->norm_eps);
    ocl_launch_rows(
        backend,
        ocl_kernel_get(backend, "split_qkv", "split_qkv", args->head_norm ? "-DHEAD_NORM=1" : ""),
        &list, (pairs + GROUP - 1) / GROUP, GROUP, args->n_rows);
}
