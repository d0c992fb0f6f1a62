/* Ops that treat each row by itself: RMS norm, copies, and the split of a projection into heads. */
#include <math.h>
#include <string.h>

#include "cpu_backend.h"

/* ---- RMS norm -------------------------------------------------------------------------------- */

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
        job->kernels->rms_norm(floats(args->x) + row * args->width, floats(args->scale), args->eps,
                               args->width, floats(args->out) + row * args->width);
}

void cpu_rms_norm(struct backend *backend, const struct rms_norm_args *args)
{
    struct norm_job job = {args, cpu_of(backend)->kernels};
    if (!backend->status)
        rows_run(cpu_of(backend), args->n_rows, args->width / 4, norm_rows, &job);
}

/* ---- Copies ---------------------------------------------------------------------------------- */

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
        memcpy(dst + (to ? (size_t)to[row] : row) * bytes,
               src + (from ? (size_t)from[row] : row) * bytes, bytes);
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

/* ---- Heads ----------------------------------------------------------------------------------- */

/* One part of a row on its way to its heads. */
struct head_part {
    size_t n_heads, dim;
    bool norm;
    const float *norm_scale, *scale;  /* [dim] or NULL */
    const float *cos_sin, *xpos;      /* of the row; cos_sin NULL: no rotation */
    bool inverse;                     /* xpos divides */
};

static void head_rotate(const struct head_part *part, size_t dims, float *head)
{
    for (size_t d = 0; d < dims; d += 2) {
        float c = part->cos_sin[d], s = part->cos_sin[d + 1], even = head[d], odd = head[d + 1];
        float turned = even * c - odd * s, other = odd * c + even * s;
        if (!part->xpos) {
            head[d] = turned;
            head[d + 1] = other;
        } else {
            head[d] = part->inverse ? turned / part->xpos[d] : turned * part->xpos[d];
            head[d + 1] = part->inverse ? other / part->xpos[d + 1] : other * part->xpos[d + 1];
        }
    }
}

/* Gathers one part of a row into heads [n_heads, dim]; norms, scales and turns them. */
static void head_part(const struct split_qkv_args *args, const struct cpu_kernels *kernels,
                      const struct head_part *part, const float *z, float *out)
{
    size_t dim = part->dim, n_heads = part->n_heads;
    if (args->layout == HEAD_OUTER)
        memcpy(out, z, n_heads * dim * sizeof *out);
    else
        for (size_t k = 0; k < n_heads; k++)
            for (size_t d = 0; d < dim; d++)
                out[k * dim + d] = z[d * n_heads + k];
    for (size_t k = 0; k < n_heads; k++) {
        float *head = out + k * dim;
        if (part->norm)
            kernels->rms_norm(head, part->norm_scale, args->norm_eps, dim, head);
        for (size_t d = 0; part->scale && d < dim; d++)
            head[d] *= part->scale[d];
        if (part->cos_sin)
            head_rotate(part, (size_t)args->rope.rotary_dims, head);
    }
}

struct split_job {
    const struct split_qkv_args *args;
    const struct cpu_kernels *kernels;
};

static void split_rows(void *context, size_t begin, size_t end, size_t thread)
{
    (void)thread;
    const struct split_job *job = context;
    const struct split_qkv_args *args = job->args;
    const struct token_row *rows = (const struct token_row *)(const void *)integers(args->rows);
    const float *cos_sin = floats(args->rope.cos_sin), *xpos = floats(args->rope.xpos);
    size_t q_width = args->n_heads * args->head_dim, k_width = args->n_groups * args->head_dim;
    size_t v_width = args->n_groups * args->value_dim, dims = (size_t)args->rope.rotary_dims;
    size_t width = (args->parts & QKV_Q ? q_width : 0) + (args->parts & QKV_K ? k_width : 0) +
                   (args->parts & QKV_V ? v_width : 0);
    struct head_part q = {.n_heads = args->n_heads, .dim = args->head_dim, .norm = args->head_norm,
                          .norm_scale = floats(args->q_norm), .scale = floats(args->q_scale)};
    struct head_part k = {.n_heads = args->n_groups, .dim = args->head_dim, .norm = args->head_norm,
                          .norm_scale = floats(args->k_norm), .inverse = true};
    const struct head_part v = {.n_heads = args->n_groups, .dim = args->value_dim};
    for (size_t i = begin; i < end; i++) {
        const struct token_row *row = &rows[i];
        const float *z = floats(args->z) + i * width;
        if (row->slot < 0)
            continue;
        if (cos_sin) {
            int32_t offset = row->position - row->center;
            assert(offset >= -args->rope.max_offset && offset <= args->rope.max_offset);
            q.cos_sin = k.cos_sin = cos_sin + (size_t)row->position * dims;
            if (xpos)
                q.xpos = k.xpos = xpos + (size_t)(offset + args->rope.max_offset) * dims;
        }
        if (args->parts & QKV_Q) {
            head_part(args, job->kernels, &q, z, floats(args->q) + i * q_width);
            z += q_width;
        }
        if (args->parts & QKV_K) {
            head_part(args, job->kernels, &k, z, floats(args->keys) + (size_t)row->slot * k_width);
            z += k_width;
        }
        if (args->parts & QKV_V)
            head_part(args, job->kernels, &v, z,
                      floats(args->values) + (size_t)row->slot * v_width);
    }
}

void cpu_split_qkv(struct backend *backend, const struct split_qkv_args *args)
{
    struct split_job job = {args, cpu_of(backend)->kernels};
    if (!backend->status)
        rows_run(cpu_of(backend), args->n_rows, 3 * args->n_heads * args->head_dim, split_rows,
                 &job);
}
