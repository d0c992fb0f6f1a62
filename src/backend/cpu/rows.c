/* Ops that treat each row by itself: RMS norm, copies, and the split of a projection into heads. */
#include <math.h>
#include <string.h>

#include "cpu_backend.h"

/* ---- RMS norm ------------------------------------------------------------------------------------- */

struct norm_job {
    const struct rms_norm_args *args;
    const struct cpu_kernels *kernels;
};

static void norm_rows(void *context, size_t begin, size_t end, size_t thread)
{
    (void)thread;
    const struct norm_job *job = context;
    const struct rms_norm_args *args = job->args;
    for (size_t row = begin; row < end; row++)
        job->kernels->rms_norm(floats(args->x) + row * args->width, floats(args->scale), args->eps, args->width,
                               floats(args->out) + row * args->width);
}

void cpu_rms_norm(struct backend *backend, const struct rms_norm_args *args)
{
    struct norm_job job = {args, cpu_of(backend)->kernels};
    if (!backend->status)
        rows_run(cpu_of(backend), args->n_rows, args->width / 4, norm_rows, &job);
}

/* ---- Copies --------------------------------------------------------------------------------------- */

struct copy_job {
    const struct copy_rows_args *args;
    size_t element; /* bytes */
};

static void copy_rows(void *context, size_t begin, size_t end, size_t thread)
{
    (void)thread;
    const struct copy_job *job = context;
    const struct copy_rows_args *args = job->args;
    const int32_t *to = integers(args->dst_row), *from = integers(args->src_row);
    size_t bytes = args->width * job->element;
    char *dst = (char *)args->dst.memory + args->dst.offset * job->element;
    const char *src = (const char *)args->src.memory + args->src.offset * job->element;
    for (size_t row = begin; row < end; row++) {
        if ((to && to[row] < 0) || (from && from[row] < 0))
            continue;
        memcpy(dst + (to ? (size_t)to[row] : row) * bytes, src + (from ? (size_t)from[row] : row) * bytes, bytes);
    }
}

void cpu_copy_rows(struct backend *backend, const struct copy_rows_args *args)
{
    struct copy_job job = {args, backend->ops->element_bytes(backend, args->src.kind)};
    assert(args->dst.kind == args->src.kind);
    if (backend->status)
        return;
    /* Two sources may go to one row, and then the last stands: only plain copies are shared. */
    if (args->dst_row.memory)
        copy_rows(&job, 0, args->n_rows, 0);
    else
        rows_run(cpu_of(backend), args->n_rows, args->width * job.element / 8, copy_rows, &job);
}

/* ---- Heads ---------------------------------------------------------------------------------------- */

/* Gathers one part of a row into heads [H, h], and turns it; xpos NULL: no rotation. */
static void head_part(const struct split_qkv_args *args, const float *z, const float *cos_sin, const float *xpos,
                      bool inverse, float *out)
{
    size_t h = args->head_dim, n_heads = args->n_heads;
    if (args->layout == HEAD_OUTER)
        memcpy(out, z, n_heads * h * sizeof *out);
    else
        for (size_t k = 0; k < n_heads; k++)
            for (size_t d = 0; d < h; d++)
                out[k * h + d] = z[d * n_heads + k];
    if (!xpos)
        return;
    size_t dims = (size_t)args->rope.rotary_dims;
    for (size_t k = 0; k < n_heads; k++) {
        float *head = out + k * h;
        for (size_t d = 0; d < dims; d += 2) {
            float c = cos_sin[d], s = cos_sin[d + 1], even = head[d], odd = head[d + 1];
            float turned = even * c - odd * s, other = odd * c + even * s;
            head[d] = inverse ? turned / xpos[d] : turned * xpos[d];
            head[d + 1] = inverse ? other / xpos[d + 1] : other * xpos[d + 1];
        }
    }
}

static void split_rows(void *context, size_t begin, size_t end, size_t thread)
{
    (void)thread;
    const struct split_qkv_args *args = context;
    const struct token_row *rows = (const struct token_row *)(const void *)integers(args->rows);
    const float *cos_sin = floats(args->rope.cos_sin), *xpos = floats(args->rope.xpos);
    size_t width = args->n_heads * args->head_dim;
    size_t n_parts = !!(args->parts & QKV_Q) + !!(args->parts & QKV_K) + !!(args->parts & QKV_V);
    size_t dims = (size_t)args->rope.rotary_dims;
    for (size_t i = begin; i < end; i++) {
        const struct token_row *row = &rows[i];
        const float *z = floats(args->z) + i * n_parts * width;
        if (row->slot < 0)
            continue;
        const float *angles = NULL, *factors = NULL;
        if (cos_sin) {
            int32_t offset = row->position - row->center;
            assert(offset >= -args->rope.max_offset && offset <= args->rope.max_offset);
            angles = cos_sin + (size_t)row->position * dims;
            factors = xpos + (size_t)(offset + args->rope.max_offset) * dims;
        }
        if (args->parts & QKV_Q) {
            head_part(args, z, angles, factors, false, floats(args->q) + i * width);
            z += width;
        }
        if (args->parts & QKV_K) {
            head_part(args, z, angles, factors, true, floats(args->keys) + (size_t)row->slot * width);
            z += width;
        }
        if (args->parts & QKV_V)
            head_part(args, z, NULL, NULL, false, floats(args->values) + (size_t)row->slot * width);
    }
}

void cpu_split_qkv(struct backend *backend, const struct split_qkv_args *args)
{
    struct split_qkv_args copy = *args;
    if (!backend->status)
        rows_run(cpu_of(backend), args->n_rows, 3 * args->n_heads * args->head_dim, split_rows, &copy);
}
