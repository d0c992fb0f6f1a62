/* The output distribution: parameters from the heads' raw outputs, the mean, and draws. Reference:
 * toto/model/distribution.py; draws by R. W. Bailey: Polar generation of random variates with the
 * t-distribution, Mathematics of Computation 62, 1994. */
#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "cpu_backend.h"

struct mixture_job {
    const struct cpu_kernels *kernels;
    float **scratch;
    const struct mixture_params_args *params;
    const struct mixture_next_args *next;
    bool draws;
};

static float softplus(float x)
{
    return x > 20.0f ? x : log1pf(expf(x));
}

static float at_least(float x, float least)
{
    return x < least ? least : x;
}

static float df_of(float raw)
{
    return 2.0f + at_least(softplus(raw), FLT_EPSILON);
}

static float scale_of(float raw)
{
    return at_least(softplus(raw), FLT_EPSILON);
}

/* probs = softmax of the logits. */
static void softmax(const struct cpu_kernels *kernels, const float *logits, size_t n, float *probs)
{
    memcpy(probs, logits, n * sizeof *probs);
    float sum = kernels->exp_sum(probs, kernels->max(probs, n), n);
    for (size_t k = 0; k < n; k++)
        probs[k] /= sum;
}

static size_t raw_width(const struct mixture_shape *shape)
{
    return shape->n_components * (shape->has_logits ? 4 : 3);
}

/* ---- Parameters ------------------------------------------------------------------------------ */

static void params_rows(void *context, size_t begin, size_t end, size_t thread)
{
    (void)thread;
    const struct mixture_job *job = context;
    const struct mixture_params_args *args = job->params;
    size_t n = args->shape.n_components;
    for (size_t i = begin * args->shape.n_steps; i < end * args->shape.n_steps; i++) {
        const float *raw = floats(args->raw) + i * raw_width(&args->shape);
        for (size_t k = 0; k < n; k++) {
            floats(args->df)[i * n + k] = df_of(raw[k]);
            floats(args->loc)[i * n + k] = raw[n + k];
            floats(args->scale)[i * n + k] = scale_of(raw[2 * n + k]);
        }
        if (args->shape.has_logits) {
            memcpy(floats(args->logits) + i * n, raw + 3 * n, n * sizeof *raw);
            softmax(job->kernels, raw + 3 * n, n, floats(args->probs) + i * n);
        }
    }
}

void cpu_mixture_params(struct backend *backend, const struct mixture_params_args *args)
{
    struct mixture_job job = {.kernels = cpu_of(backend)->kernels, .params = args};
    if (!backend->status)
        rows_run(cpu_of(backend), args->n_rows, args->shape.n_steps * args->shape.n_components * 50,
                 params_rows, &job);
}

/* ---- The next values ------------------------------------------------------------------------- */

static float clean(float value)
{
    return fabsf(value) < FLT_MAX / 2 ? value : 0.0f;
}

/* A NaN or an infinity times 0 is NaN, and any number times 0 is 0. */
static bool all_finite(const float *x, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * 0.0f;
    return sum == 0;
}

/* Student-t with df degrees of freedom from two uniforms in (0, 1]. */
static float student_t(float df, float a, float b)
{
    const float two_pi = 6.2831853071795865f;
    return sqrtf(df * expm1f(-2.0f / df * logf(a))) * cosf(two_pi * b);
}

/* The mixture's mean or a draw, in scaled space, of step j of a row. */
static float value_make(const struct mixture_job *job, const struct draw_row *row, size_t i,
                        size_t j, const float *raw, float *probs)
{
    const struct mixture_next_args *args = job->next;
    size_t n = args->shape.n_components;
    const float *df = raw, *loc = raw + n, *scale = raw + 2 * n;
    if (args->shape.has_logits)
        softmax(job->kernels, raw + 3 * n, n, probs);
    else
        probs[0] = 1.0f;
    if (!job->draws) {
        float mean = 0;
        for (size_t k = 0; k < n; k++)
            mean += probs[k] * loc[k];
        return mean;
    }
    float u, t, a = 0, b = 0;
    bool injected = args->inject_u.memory != NULL;
    if (injected) {
        u = floats(args->inject_u)[i * args->shape.patch + j];
    } else {
        const uint32_t counter[4] = {args->first_step + (uint32_t)j, (uint32_t)row->sample,
                                     (uint32_t)row->variate, 0};
        uint32_t random[4];
        philox4x32(counter, row->key, random);
        u = uniform_open(random[0]);
        a = uniform_open(random[1]);
        b = uniform_open(random[2]);
    }
    size_t k = 0;
    float cumulative = probs[0];
    while (k + 1 < n && cumulative <= u)
        cumulative += probs[++k];
    t = injected ? floats(args->inject_t)[i * args->shape.patch + j]
                 : student_t(df_of(df[k]), a, b);
    return loc[k] + scale_of(scale[k]) * t;
}

static void next_rows(void *context, size_t begin, size_t end, size_t thread)
{
    const struct mixture_job *job = context;
    const struct mixture_next_args *args = job->next;
    const struct draw_row *rows = (const struct draw_row *)(const void *)integers(args->rows);
    size_t patch = args->shape.patch, n_steps = args->shape.n_steps,
           width = raw_width(&args->shape);
    float *probs = job->scratch[thread];
    for (size_t i = begin; i < end; i++) {
        const struct draw_row *row = &rows[i];
        if (row->param_row < 0)
            continue;
        size_t at = (size_t)row->param_row;
        const float *raw = floats(args->raw) + at * n_steps * width;
        const float *loc = floats(args->loc) + at * patch,
                    *scale = floats(args->scale) + at * patch;
        float *next = floats(args->next) + i * patch;
        if (!all_finite(raw, n_steps * width) && args->flags.memory)
            __atomic_store_n(&integers(args->flags)[row->series], 1, __ATOMIC_RELAXED);
        for (size_t j = 0; j < n_steps; j++) {
            if (row->override_row >= 0)
                next[j] = floats(args->overrides)[(size_t)row->override_row * patch + j];
            else
                next[j] =
                    clean(value_make(job, row, i, j, raw + j * width, probs) * scale[j] + loc[j]);
        }
        if (!args->out.memory)
            continue;
        float *out = floats(args->out) + ((size_t)row->out_high << 31) + (size_t)row->out_low;
        for (size_t j = 0; j < args->n_out; j++)
            out[j * args->out_stride] = next[j];
    }
}

static void next_run(struct backend *backend, const struct mixture_next_args *args, bool draws)
{
    struct cpu_backend *cpu = cpu_of(backend);
    struct mixture_job job = {.kernels = cpu->kernels, .next = args, .draws = draws};
    assert(args->shape.n_components <= SCRATCH_FLOATS && args->n_out <= args->shape.n_steps);
    if (backend->status || !scratch_reserve(cpu))
        return;
    job.scratch = cpu->scratch;
    rows_run(cpu, args->n_rows, args->shape.n_steps * (100 + 4 * args->shape.n_components),
             next_rows, &job);
}

void cpu_mixture_mean(struct backend *backend, const struct mixture_next_args *args)
{
    next_run(backend, args, false);
}

void cpu_mixture_sample(struct backend *backend, const struct mixture_next_args *args)
{
    next_run(backend, args, true);
}
