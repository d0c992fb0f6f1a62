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
    ocl_launch_rows(backend, ocl_kernel_get(backend, "rms_norm", "rms_norm", ""), &list, 1, GROUP, args->n_rows);
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
    } all_units[] = {{1, "-DELEMENT=uchar"}, {2, "-DELEMENT=ushort"}, {4, "-DELEMENT=uint"}, {16, "-DELEMENT=uint4"}};
    struct ocl_backend *backend = ocl_of(base);
    size_t element = base->ops->element_bytes(base, args->src.kind);
    struct ocl_args list = {0};
    assert(args->dst.kind == args->src.kind);
    if (base->status || !args->n_rows || !args->width)
        return;
    const struct unit *unit = all_units;
    for (size_t i = 1; i < sizeof all_units / sizeof *all_units; i++)
        if ((args->width * element | args->src.offset * element | args->dst.offset * element) % all_units[i].size == 0)
            unit = &all_units[i];
    size_t width = args->width * element / unit->size;
    arg_tensor(&list, units(args->dst, element, unit->size));
    arg_tensor(&list, args->dst_row);
    arg_tensor(&list, units(args->src, element, unit->size));
    arg_tensor(&list, args->src_row);
    arg_int(&list, width);
    ocl_launch_rows(backend, ocl_kernel_get(backend, "copy_rows", "copy_rows", unit->options), &list,
                    (width + GROUP - 1) / GROUP, GROUP, args->n_rows);
}

/* Index of a part among those that z has, or -1. */
static void arg_part(struct ocl_args *list, unsigned parts, unsigned part, int *n)
{
    list->values[list->n].i = parts & part ? (*n)++ : -1;
    arg_put(list, sizeof(cl_int));
}

void ocl_split_qkv(struct backend *base, const struct split_qkv_args *args)
{
    struct ocl_backend *backend = ocl_of(base);
    struct ocl_args list = {0};
    int n_parts = 0;
    if (base->status || !args->n_rows)
        return;
    arg_tensor(&list, args->z);
    arg_tensor(&list, args->rows);
    arg_tensor(&list, args->rope.cos_sin);
    arg_tensor(&list, args->rope.xpos);
    arg_tensor(&list, args->q);
    arg_tensor(&list, args->keys);
    arg_tensor(&list, args->values);
    arg_part(&list, args->parts, QKV_Q, &n_parts);
    arg_part(&list, args->parts, QKV_K, &n_parts);
    arg_part(&list, args->parts, QKV_V, &n_parts);
    arg_int(&list, (size_t)n_parts);
    arg_int(&list, args->n_heads);
    arg_int(&list, args->head_dim);
    arg_int(&list, args->layout == HEAD_INNER);
    arg_int(&list, (size_t)args->rope.max_offset);
    arg_int(&list, (size_t)args->rope.rotary_dims);
    size_t pairs = (size_t)n_parts * args->n_heads * args->head_dim / 2;
    ocl_launch_rows(backend, ocl_kernel_get(backend, "split_qkv", "split_qkv", ""), &list,
                    (pairs + GROUP - 1) / GROUP, GROUP, args->n_rows);
}
