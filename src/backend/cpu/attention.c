/* Attention. A row meets its keys in tiles of KEY_TILE, first those of span a, then those of span
 * b, with a running maximum and sum (Milakov and Gimelshein: Online normalizer calculation for
 * softmax, 2018), so the work space is the same for any number of keys. Tiles start at fixed places
 * in the row's own list of keys, so nothing depends on the rows beside it; neighbours that start at
 * the same key share the reading of each tile. */
#include <string.h>

#include "cpu_backend.h"

enum { KEY_TILE = 128, ROW_TILE = 64, ROWS_WORTH_PACKING = 4 };

struct attention_job {
    const struct attention_args *args;
    const struct cpu_kernels *kernels;
    float **scratch;
    const struct attention_row *rows;
    const int32_t *slot_groups;
};

/* What a thread holds for its rows of one head. */
struct row_tile {
    float most[ROW_TILE], sum[ROW_TILE]; /* of the keys so far; sum 0: there was none */
    size_t n_keys[ROW_TILE];             /* of the key tile that the row sees */
    int32_t slots[KEY_TILE], index[KEY_TILE];
    size_t head;
    float *out;    /* [ROW_TILE, e] */
    float *scores; /* [ROW_TILE, KEY_TILE] */
    float *keys, *values; /* [KEY_TILE, h] and [KEY_TILE, e]: a tile in one piece */
};

/* The slots of the next keys of a span that the group sees, at most KEY_TILE; index is that in the
 * span. */
static size_t keys_next(const struct attention_job *job, const struct attention_row *row,
                        int32_t first, int32_t count, int32_t *next, struct row_tile *tile)
{
    size_t n = 0;
    for (; *next < count && n < KEY_TILE; ++*next) {
        int32_t slot = first + *next * row->stride;
        if (job->slot_groups && job->slot_groups[slot] != row->group)
            continue;
        tile->slots[n] = slot;
        tile->index[n++] = *next;
    }
    return n;
}

/* Scores become weights under the row's maximum; what was summed under a smaller one shrinks. */
static void weights_make(const struct attention_job *job, struct row_tile *tile, size_t r)
{
    const struct cpu_kernels *kernels = job->kernels;
    float *scores = tile->scores + r * KEY_TILE;
    size_t n = tile->n_keys[r];
    if (!n)
        return;
    kernels->scale(scores, job->args->scale, n);
    float most = kernels->max(scores, n);
    if (tile->sum[r] == 0) {
        tile->most[r] = most;
    } else if (most > tile->most[r]) {
        float shrink = tile->most[r] - most;
        kernels->exp_sum(&shrink, 0.0f, 1);
        tile->sum[r] *= shrink;
        kernels->scale(tile->out + r * job->args->value_dim, shrink, job->args->value_dim);
        tile->most[r] = most;
    }
    tile->sum[r] += kernels->exp_sum(scores, tile->most[r], n);
}

/* Takes a span into rows row .. row + n_rows, local indices from r on: keys first + i * stride, of
 * which a row sees those with i < its count. */
static void span_run(const struct attention_job *job, struct row_tile *tile, size_t row, size_t r,
                     size_t n_rows, int32_t first, const int32_t *counts)
{
    const struct attention_args *args = job->args;
    size_t h = args->head_dim, e = args->value_dim, q_width = args->n_heads * h;
    size_t k_width = args->n_groups * h, v_width = args->n_groups * e;
    size_t group = tile->head * args->n_groups / args->n_heads;
    const float *q = floats(args->q) + row * q_width + tile->head * h;
    const float *all_keys = floats(args->keys) + group * h;
    const float *all_values = floats(args->values) + group * e;
    int32_t most = 0, next = 0;
    for (size_t i = 0; i < n_rows; i++)
        most = counts[i] > most ? counts[i] : most;
    size_t n;
    while ((n = keys_next(job, &job->rows[row], first, most, &next, tile)) != 0) {
        const float *keys = all_keys + (size_t)tile->slots[0] * k_width;
        const float *values = all_values + (size_t)tile->slots[0] * v_width;
        size_t k_stride = (size_t)job->rows[row].stride * k_width;
        size_t v_stride = (size_t)job->rows[row].stride * v_width;
        if (job->slot_groups || n_rows >= ROWS_WORTH_PACKING) {
            for (size_t i = 0; i < n; i++) {
                size_t slot = (size_t)tile->slots[i];
                memcpy(tile->keys + i * h, all_keys + slot * k_width, h * sizeof *keys);
                memcpy(tile->values + i * e, all_values + slot * v_width, e * sizeof *values);
            }
            keys = tile->keys;
            values = tile->values;
            k_stride = h;
            v_stride = e;
        }
        float *scores = tile->scores + r * KEY_TILE, *out = tile->out + r * e;
        job->kernels->dots(q, q_width, n_rows, keys, k_stride, n, h, scores, KEY_TILE);
        size_t common = n;
        for (size_t i = 0; i < n_rows; i++) {
            size_t seen = n;
            while (seen && tile->index[seen - 1] >= counts[i])
                seen--;
            tile->n_keys[r + i] = seen;
            common = seen < common ? seen : common;
            weights_make(job, tile, r + i);
        }
        job->kernels->gemm_add(scores, KEY_TILE, n_rows, values, v_stride, e, common, out, e);
        for (size_t i = 0; i < n_rows; i++)
            job->kernels->gemm_add(scores + i * KEY_TILE + common, KEY_TILE, 1,
                                   values + common * v_stride, v_stride, e,
                                   tile->n_keys[r + i] - common, out + i * e, e);
    }
}

static bool shares_span(const struct attention_job *job, const struct attention_row *a,
                        const struct attention_row *b)
{
    return a->first_a == b->first_a && a->stride == b->stride &&
           (!job->slot_groups || a->group == b->group);
}

static void attention_task(void *context, size_t task, size_t thread)
{
    const struct attention_job *job = context;
    const struct attention_args *args = job->args;
    size_t h = args->head_dim, e = args->value_dim;
    size_t begin = task / args->n_heads * ROW_TILE;
    size_t n_rows = args->n_rows - begin < ROW_TILE ? args->n_rows - begin : ROW_TILE;
    struct row_tile tile = {.head = task % args->n_heads, .out = job->scratch[thread]};
    tile.scores = tile.out + ROW_TILE * e;
    tile.keys = tile.scores + ROW_TILE * KEY_TILE;
    tile.values = tile.keys + KEY_TILE * h;
    memset(tile.out, 0, n_rows * e * sizeof *tile.out);
    int32_t counts[ROW_TILE];
    for (size_t r = 0, n; r < n_rows; r += n) {
        for (n = 0;
             r + n < n_rows && shares_span(job, &job->rows[begin + r], &job->rows[begin + r + n]);
             n++)
            counts[n] = job->rows[begin + r + n].count_a;
        span_run(job, &tile, begin + r, r, n, job->rows[begin + r].first_a, counts);
    }
    for (size_t r = 0; r < n_rows; r++) {
        const struct attention_row *row = &job->rows[begin + r];
        span_run(job, &tile, begin + r, r, 1, row->first_b, &row->count_b);
        float *out = floats(args->out) + ((begin + r) * args->n_heads + tile.head) * e;
        if (tile.sum[r] == 0)
            memset(out, 0, e * sizeof *out);
        else
            for (size_t d = 0; d < e; d++)
                out[d] = tile.out[r * e + d] / tile.sum[r];
    }
}

void cpu_attention(struct backend *backend, const struct attention_args *args)
{
    struct cpu_backend *cpu = cpu_of(backend);
    struct attention_job job = {
        .args = args,
        .kernels = cpu->kernels,
        .rows = (const struct attention_row *)(const void *)integers(args->rows),
        .slot_groups = integers(args->slot_groups),
    };
    if (backend->status || !args->n_rows || !scratch_reserve(cpu))
        return;
    job.scratch = cpu->scratch;
    size_t h = args->head_dim, e = args->value_dim;
    assert(KEY_TILE * (h + e) + ROW_TILE * (e + KEY_TILE) <= SCRATCH_FLOATS);
    size_t n_tasks = (args->n_rows + ROW_TILE - 1) / ROW_TILE * args->n_heads;
    size_t n_keys = 0;
    for (size_t i = 0; i < args->n_rows; i++)
        n_keys += (size_t)(job.rows[i].count_a + job.rows[i].count_b);
    if (n_keys * args->n_heads * args->head_dim < 50000)
        for (size_t task = 0; task < n_tasks; task++)
            attention_task(&job, task, 0);
    else
        thread_pool_run(cpu->pool, n_tasks, attention_task, &job);
}
