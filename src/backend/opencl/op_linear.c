/* linear and linear_swiglu. Few rows: a kernel whose items share the inputs of one row, bound by
 * the reading of weights. Many rows: tiles. The two sum in different orders, so row_block chooses
 * between them from the rows of one series; tile sizes all give the same bytes and are chosen
 * freely. */
#include <stdio.h>

#include "ocl_args.h"
#include "ocl_ops.h"
#include "ocl_weight.h"

enum {
    FEW_ROWS = 32,   /* of a series: up to here linear_rows */
    TILED_BLOCK = 8, /* row_block of the others: tiles take any number, so little padding will do */
    ROWS_GROUP = 64,
};

/* Portable first; the last row is run that the device has the caps for, and whose tiles give
 * each compute unit `fill` / 4 work-groups. Measured on an H100 with 1,792 rows, f32: 128 x 128
 * tiles reach 42 TFLOP/s for 2,304 outs, those of 128 items 29 for 768 outs, where large ones
 * reach 25. */
static const struct tile_variant {
    const char *options;
    unsigned caps;
    bool plain_only; /* an item has no pair of SwiGLU outs */
    size_t rows, outs, group, fill;
} tile_variants[] = {
    {"-DBM=64 -DBN=64 -DTM=8 -DTN=8", 0, false, 64, 64, 64, 0},
    {"-DBM=64 -DBN=64 -DTM=8 -DTN=4", OCL_CAP_GROUP_256, true, 64, 64, 128, 0},
    {"-DBM=128 -DBN=128 -DTM=8 -DTN=8", OCL_CAP_LOCAL_32K | OCL_CAP_GROUP_256, false, 128, 128, 256,
     7},
};

size_t ocl_row_block(const struct backend *backend, size_t series_rows, size_t width)
{
    (void)backend;
    (void)width;
    return series_rows <= FEW_ROWS ? 1 : TILED_BLOCK;
}

static const struct tile_variant *tile_choose(const struct ocl_backend *backend, size_t n_rows,
                                              size_t n_outs, bool swiglu)
{
    const struct tile_variant *chosen = tile_variants;
    for (size_t i = 1; i < sizeof tile_variants / sizeof *tile_variants; i++) {
        const struct tile_variant *variant = &tile_variants[i];
        size_t tiles = ((n_rows + variant->rows - 1) / variant->rows) *
                       ((n_outs + variant->outs - 1) / variant->outs);
        if ((variant->caps & ~backend->caps) == 0 && !(swiglu && variant->plain_only) &&
            4 * tiles >= variant->fill * backend->device->compute_units)
            chosen = variant;
    }
    return chosen;
}

/* Both ops: args as linear's, of which swiglu leaves the residual out; n_out is that of the
 * result. */
static void run(struct ocl_backend *backend, const struct linear_args *args, bool swiglu,
                bool silu_second)
{
    const struct weight *weight = args->weight;
    size_t n_in = weight->n_in, first = args->first_out * n_in;
    if (backend->base.status || !args->n_rows || !args->n_out)
        return;
    assert(args->x.kind == TENSOR_ACTIVATION && args->bias.kind == TENSOR_F32);
    assert(!args->residual.memory || args->residual.kind == args->out.kind);
    bool vec =
        (n_in | args->n_out | args->x.offset | args->out.offset | args->residual.offset) % 4 == 0;
    const char *result =
        args->out.kind == TENSOR_F32 && backend->dtype != DTYPE_F32 ? " -DOUT_F32" : "";
    struct ocl_args list = {0};
    struct tensor bias = args->bias;
    bias.offset += args->first_out;
    arg_tensor(&list, args->x);
    arg_tensor(&list, (struct tensor){weight->memory, TENSOR_ACTIVATION, first, 0});
    arg_tensor(&list, bias);
    arg_tensor(&list, args->residual);
    arg_tensor(&list, args->out);
    arg_int(&list, n_in);
    arg_int(&list, args->n_out);
    arg_int(&list, args->n_rows);
    arg_float(&list, args->alpha);
    arg_float(&list, args->beta);
    arg_float(&list, args->silu_gain);
    arg_int(&list, silu_second);

    char options[128];
    size_t parts = swiglu ? 2 : 1;
    if (args->row_block == 1) {
        size_t rows = args->n_rows >= 5 ? 8 : args->n_rows >= 3 ? 4 : args->n_rows;
        size_t outs = n_in >= 2048 && rows < 8 ? 2 : 4; /* long rows: more groups, as many loads */
        snprintf(options, sizeof options, "-DRT=%zu -DNT=%zu -DVEC=%d%s%s", rows, outs, vec,
                 swiglu ? " -DSWIGLU" : "", result);
        ocl_launch_rows(backend, ocl_kernel_get(backend, "linear", "linear_rows", options), &list,
                        (args->n_out * parts + outs - 1) / outs, ROWS_GROUP,
                        (args->n_rows + rows - 1) / rows);
        return;
    }
    const struct tile_variant *tile =
        tile_choose(backend, args->n_rows, args->n_out * parts, swiglu);
    snprintf(options, sizeof options, "%s -DVEC=%d%s%s", tile->options, vec,
             swiglu ? " -DSWIGLU" : "", result);
    ocl_launch_rows(backend, ocl_kernel_get(backend, "linear", "linear_tile", options), &list,
                    (args->n_out * parts + tile->outs - 1) / tile->outs, tile->group,
                    (args->n_rows + tile->rows - 1) / tile->rows);
}

void ocl_linear(struct backend *backend, const struct linear_args *args)
{
    assert(args->first_out + args->n_out <= args->weight->n_out);
    run(ocl_of(backend), args, false, false);
}

void ocl_linear_swiglu(struct backend *backend, const struct linear_swiglu_args *args)
{
    const struct linear_args linear = {
        .x = args->x,
        .weight = args->weight,
        .n_out = args->weight->n_out / 2,
        .bias = args->bias,
        .alpha = args->alpha,
        .out = args->out,
        .n_rows = args->n_rows,
        .row_block = args->row_block,
    };
    run(ocl_of(backend), &linear, true, args->silu_second);
}
