/* Linear layers. Few rows: our own dot products, which read each weight once, where it lies, and
 * give a row the same bytes in any company. Many rows: OpenBLAS on blocks of row_block rows x
 * BLAS_OUTS outs, each computed by one thread, so that a row's bytes depend on its place in its
 * block and on nothing else. */
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "../../base/log.h"
#include "cpu_backend.h"
#include "openblas.h"

enum {
    BLAS_OUTS = 192, /* outs of a block; fixed, since OpenBLAS's sums depend on it */
    BLAS_ROWS_MOST = 256,
    BLAS_FLOATS = 2 * BLAS_OUTS * BLAS_ROWS_MOST, /* of scratch: results of two blocks (swiglu) */
    STREAM_OUTS = 96,
    STREAM_ROWS = 64,
    STREAM_FLOATS = 2 * STREAM_OUTS * STREAM_ROWS,
    STREAM_CACHED = 48 * 1024, /* floats of x that stay in the second cache while weights pass by */
};

/* One linear op. With swiglu, outs n_out .. 2 n_out of the weight stand beside 0 .. n_out. */
struct linear_job {
    struct cpu_backend *cpu;
    const struct weight *weight;
    const float *x, *bias, *residual;
    float *out;
    size_t first_out, n_out, n_rows;
    float alpha, beta, silu_gain;
    bool swiglu, silu_second;
    size_t outs, rows;    /* of a task */
    size_t n_row_tasks;
    size_t row_block;     /* BLAS: rows of a block, of which a task may do several */
};

/* Time of a row in blocks of 64, 128 and 256 against our own kernel's. Measured with AVX2 on a Zen
 * 3, width 768; with AVX-512, where OpenBLAS's kernels for it are known to gain more, and
 * elsewhere, estimated. */
static const struct block_costs {
    const char *kernels;
    double costs[3];
} block_costs[] = {
    {"AVX-512", {0.95, 0.8, 0.7}}, {"AVX2", {1.0, 0.95, 0.88}}, {"portable", {0.9, 0.85, 0.8}}};

size_t cpu_row_block(const struct backend *backend, size_t series_rows, size_t width)
{
    const char *kernels = ((const struct cpu_backend *)backend)->kernels->name;
    const struct block_costs *costs = block_costs;
    size_t best = 1;
    double least = (double)series_rows;
    while (strcmp(costs->kernels, kernels) != 0)
        costs++;
    /* Below these our own kernel is as fast. */
    for (size_t i = 0; i < 3 && series_rows >= 48 && width >= 256; i++) {
        size_t block = (size_t)64 << i;
        double cost = (double)((series_rows + block - 1) / block * block) * costs->costs[i];
        if (cost < least) {
            least = cost;
            best = block;
        }
    }
    if (best > 1) /* else the library need not be loaded */
        return openblas_available() ? best : 1;
    static atomic_flag told = ATOMIC_FLAG_INIT;
    if (log_enabled(TOTO_LOG_INFO) && !atomic_flag_test_and_set(&told))
        log_info("passes too short for OpenBLAS run on toto's own %s kernels", kernels);
    return 1;
}

/* out = the op's result from the sums of one task: y_a, and y_c for swiglu, of rows of `stride`
 * floats. */
static void finish(const struct linear_job *job, float *y_a, float *y_c, size_t stride, size_t row,
                   size_t n_rows, size_t out, size_t n_outs)
{
    const struct cpu_kernels *kernels = job->cpu->kernels;
    for (size_t r = 0; r < n_rows; r++) {
        size_t at = (row + r) * job->n_out + out;
        float *a = y_a + r * stride, *c = y_c + r * stride;
        const float *bias = job->bias ? job->bias + job->first_out + out : NULL;
        if (job->silu_gain != 0) {
            kernels->affine(a, bias, job->alpha, NULL, 0, n_outs, a);
            for (size_t i = 0; i < n_outs; i++)
                c[i] = job->silu_gain;
            kernels->swiglu(a, c, false, n_outs, job->out + at);
            continue;
        }
        if (!job->swiglu) {
            kernels->affine(a, bias, job->alpha, job->residual ? job->residual + at : NULL,
                            job->beta, n_outs, job->out + at);
            continue;
        }
        kernels->affine(a, bias, job->alpha, NULL, 0, n_outs, a);
        kernels->affine(c, bias ? bias + job->n_out : NULL, job->alpha, NULL, 0, n_outs, c);
        kernels->swiglu(a, c, job->silu_second, n_outs, job->out + at);
    }
}

/* ---- Our own kernel -------------------------------------------------------------------------- */

/* y [n_rows, STREAM_OUTS] = sums of outs first .. first + n. */
static void stream_dots(const struct linear_job *job, size_t row, size_t n_rows, size_t first,
                        size_t n, float *y, float *scratch)
{
    const struct cpu_kernels *kernels = job->cpu->kernels;
    const struct weight *weight = job->weight;
    size_t n_in = weight->n_in;
    const float *x = job->x + row * n_in;
    /* A quarter of the scratch is about what the second cache holds. */
    size_t widened = (SCRATCH_FLOATS - STREAM_FLOATS) / (4 * n_in);
    if (!widened)
        widened = 1;
    for (size_t i = 0; i < weight->n_parts && n; i++) {
        const struct weight_piece *piece = &weight->parts[i];
        while (n && first < piece->first_out + piece->n_out) {
            size_t at = first - piece->first_out;
            size_t outs = piece->n_out - at < n ? piece->n_out - at : n;
            const void *data = piece->data + at * piece->row_bytes;
            if (piece->dtype != DTYPE_F32) {
                outs = outs < widened ? outs : widened;
                kernels->widen(piece->dtype, data, outs * n_in, scratch);
                data = scratch;
            }
            kernels->dots(x, n_in, n_rows, data, n_in, outs, n_in, y, STREAM_OUTS);
            y += outs;
            first += outs;
            n -= outs;
        }
    }
}

static void stream_task(void *context, size_t task, size_t thread)
{
    const struct linear_job *job = context;
    float *scratch = job->cpu->scratch[thread];
    float *y_a = scratch, *y_c = y_a + STREAM_FLOATS / 2, *wide = scratch + STREAM_FLOATS;
    size_t row = task % job->n_row_tasks * job->rows, out = task / job->n_row_tasks * job->outs;
    size_t rows = job->n_rows - row < job->rows ? job->n_rows - row : job->rows;
    size_t outs = job->n_out - out < job->outs ? job->n_out - out : job->outs;
    stream_dots(job, row, rows, job->first_out + out, outs, y_a, wide);
    if (job->swiglu)
        stream_dots(job, row, rows, job->n_out + out, outs, y_c, wide);
    finish(job, y_a, y_c, STREAM_OUTS, row, rows, out, outs);
}

static void stream_run(struct linear_job *job)
{
    size_t n_in = job->weight->n_in, n_threads = job->cpu->base.n_threads;
    size_t rows = STREAM_CACHED / n_in / 12 * 12;
    rows = rows < 12 ? 12 : rows > STREAM_ROWS ? STREAM_ROWS : rows;
    job->rows = rows < job->n_rows ? rows : job->n_rows;
    job->n_row_tasks = (job->n_rows + job->rows - 1) / job->rows;
    /* Tiny products are one task's work; else some tasks for each thread, of whole register
     * tiles. */
    size_t work = job->n_rows * n_in * job->n_out;
    size_t outs = work < 200000 ? job->n_out : job->n_out / (4 * n_threads) + 1;
    outs = (outs + 23) / 24 * 24;
    job->outs = outs > STREAM_OUTS ? STREAM_OUTS : outs;
    size_t n_tasks = (job->n_out + job->outs - 1) / job->outs * job->n_row_tasks;
    if (work < 200000)
        for (size_t task = 0; task < n_tasks; task++)
            stream_task(job, task, 0);
    else
        thread_pool_run(job->cpu->pool, n_tasks, stream_task, job);
}

/* ---- OpenBLAS -------------------------------------------------------------------------------- */

/* The rows first .. first + n of the weight as aligned float32 in one piece: in place, or in
 * scratch. */
static const float *blas_weight(const struct linear_job *job, size_t first, size_t n,
                                float *scratch)
{
    const struct weight *weight = job->weight;
    for (size_t i = 0; i < weight->n_parts; i++) {
        const struct weight_piece *piece = &weight->parts[i];
        if (first < piece->first_out || first + n > piece->first_out + piece->n_out)
            continue;
        const void *data = piece->data + (first - piece->first_out) * piece->row_bytes;
        if (piece->dtype == DTYPE_F32 && (uintptr_t)data % sizeof(float) == 0)
            return data;
    }
    weight_widen(job->cpu->kernels, weight, first, n, scratch);
    return scratch;
}

static void blas_task(void *context, size_t task, size_t thread)
{
    const struct linear_job *job = context;
    float *scratch = job->cpu->scratch[thread];
    float *y_a = scratch, *y_c = y_a + BLAS_FLOATS / 2, *wide = scratch + BLAS_FLOATS;
    size_t n_in = job->weight->n_in;
    size_t first_row = task % job->n_row_tasks * job->rows,
           out = task / job->n_row_tasks * job->outs;
    size_t end = first_row + job->rows < job->n_rows ? first_row + job->rows : job->n_rows;
    size_t outs = job->n_out - out < job->outs ? job->n_out - out : job->outs;
    const float *w_a = blas_weight(job, job->first_out + out, outs, wide);
    const float *w_c = job->swiglu ? blas_weight(job, job->n_out + out, outs,
                                                 wide + (w_a == wide ? outs * n_in : 0))
                                   : NULL;
    for (size_t row = first_row; row < end; row += job->row_block) {
        const float *x = job->x + row * n_in;
        openblas_dots(x, n_in, job->row_block, w_a, n_in, outs, n_in, y_a, BLAS_OUTS);
        if (w_c)
            openblas_dots(x, n_in, job->row_block, w_c, n_in, outs, n_in, y_c, BLAS_OUTS);
        finish(job, y_a, y_c, BLAS_OUTS, row, job->row_block, out, outs);
    }
}

static void blas_run(struct linear_job *job)
{
    assert(job->row_block <= BLAS_ROWS_MOST && job->n_rows % job->row_block == 0);
    const struct weight *weight = job->weight;
    size_t fits = (SCRATCH_FLOATS - BLAS_FLOATS) / (weight->n_in * (job->swiglu ? 2 : 1));
    job->outs = fits < BLAS_OUTS ? (fits ? fits : 1) : BLAS_OUTS;
    bool in_place = true;
    for (size_t i = 0; i < weight->n_parts; i++)
        in_place = in_place && weight->parts[i].dtype == DTYPE_F32 &&
                   (uintptr_t)weight->parts[i].data % 4 == 0;
    /* A weight that is widened is widened once for all rows. */
    job->rows = in_place ? job->row_block : job->n_rows;
    job->n_row_tasks = job->n_rows / job->rows;
    size_t n_tasks = (job->n_out + job->outs - 1) / job->outs * job->n_row_tasks;
    thread_pool_run(job->cpu->pool, n_tasks, blas_task, job);
}

/* ---- The ops --------------------------------------------------------------------------------- */

static void linear_run(struct linear_job *job)
{
    if (job->cpu->base.status || !job->n_rows || !job->n_out || !scratch_reserve(job->cpu))
        return;
    if (job->row_block > 1)
        blas_run(job);
    else
        stream_run(job);
}

void cpu_linear(struct backend *backend, const struct linear_args *args)
{
    struct linear_job job = {
        .cpu = cpu_of(backend),
        .weight = args->weight,
        .x = floats(args->x),
        .bias = floats(args->bias),
        .residual = floats(args->residual),
        .out = floats(args->out),
        .first_out = args->first_out,
        .n_out = args->n_out,
        .n_rows = args->n_rows,
        .alpha = args->alpha,
        .beta = args->beta,
        .silu_gain = args->silu_gain,
        .row_block = args->row_block,
    };
    assert(args->first_out + args->n_out <= args->weight->n_out);
    assert(args->silu_gain == 0 || !args->residual.memory);
    linear_run(&job);
}

void cpu_linear_swiglu(struct backend *backend, const struct linear_swiglu_args *args)
{
    struct linear_job job = {
        .cpu = cpu_of(backend),
        .weight = args->weight,
        .x = floats(args->x),
        .bias = floats(args->bias),
        .out = floats(args->out),
        .n_out = args->weight->n_out / 2,
        .n_rows = args->n_rows,
        .alpha = args->alpha,
        .swiglu = true,
        .silu_second = args->silu_second,
        .row_block = args->row_block,
    };
    linear_run(&job);
}
