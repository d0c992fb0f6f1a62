/* Toto 2.0's way in and out of scaled space: tokens from values, quantiles from the head. Reference:
 * toto2/toto2/model.py. */
#include <math.h>

#include "cpu_backend.h"

/* ---- Tokens ---------------------------------------------------------------------------------------- */

/* Mean and unbiased deviation of the observed values so far. */
struct running {
    double count, sum, squares;
};

static void running_step(struct running *running, double x)
{
    double before = running->count > 0 ? running->sum / running->count : 0;
    running->count += 1;
    running->sum += x;
    running->squares += (x - before) * (x - running->sum / running->count);
}

static void running_read(const struct running *running, float *loc, float *scale)
{
    double count = running->count < 1 ? 1 : running->count;
    double deviation = sqrt(running->squares / (count - 1 < 1 ? 1 : count - 1));
    *loc = (float)(running->sum / count);
    *scale = (float)(deviation < 1e-6 ? 1e-6 : deviation);
}

/* The first min_obs observed values of n, in float32. */
static void fallback_read(const float *x, const uint8_t *mask, size_t n, size_t min_obs, float *loc, float *scale)
{
    float sum = 0, squares = 0;
    size_t count = 0;
    for (size_t t = 0; t < n && count < min_obs; t++)
        if (mask[t]) {
            sum += x[t];
            count++;
        }
    *loc = sum / (float)(count ? count : 1);
    size_t seen = 0;
    for (size_t t = 0; t < n && seen < count; t++)
        if (mask[t]) {
            squares += (x[t] - *loc) * (x[t] - *loc);
            seen++;
        }
    *scale = sqrtf(squares / (float)(count > 1 ? count - 1 : 1));
    *scale = *scale < 1e-6f ? 1e-6f : *scale;
}

static void token_write(const float *x, const uint8_t *mask, size_t patch, float loc, float scale, bool clear,
                        float *token)
{
    for (size_t t = 0; t < patch; t++) {
        token[t] = mask[t] ? asinhf((x[t] - loc) / scale) : 0.0f;
        token[patch + t] = mask[t] || clear ? 0.0f : 1.0f;
    }
}

static void caps_write(const float *x, const uint8_t *mask, size_t n, float margin, float *caps)
{
    float least = 0, most = 0;
    bool any = false;
    for (size_t t = 0; t < n; t++) {
        if (!mask[t])
            continue;
        least = !any || x[t] < least ? x[t] : least;
        most = !any || x[t] > most ? x[t] : most;
        any = true;
    }
    caps[0] = least - margin;
    caps[1] = most + margin;
}

static void sequence_tokens(const struct patch_tokens_args *args, const struct token_sequence *sequence)
{
    size_t patch = args->patch, n = (size_t)sequence->n_patches * patch;
    const float *x = floats(args->values) + sequence->first_value;
    const uint8_t *mask = (const uint8_t *)args->mask.memory + args->mask.offset + sequence->first_value;
    struct running running = {0};
    float first_loc = 0, first_scale = 1;
    if (args->min_obs)
        fallback_read(x, mask, n, args->min_obs, &first_loc, &first_scale);
    for (int32_t i = 0; i < sequence->n_patches; i++) {
        const float *values = x + (size_t)i * patch;
        const uint8_t *observed = mask + (size_t)i * patch;
        for (size_t t = 0; t < patch; t++)
            if (observed[t])
                running_step(&running, (double)values[t]);
        float loc = first_loc, scale = first_scale;
        if (running.count >= (double)args->min_obs)
            running_read(&running, &loc, &scale);
        if (i == sequence->n_context - 1 && sequence->cap >= 0 && args->cap_k > 0)
            caps_write(x, mask, (size_t)sequence->n_context * patch, args->cap_k * scale,
                       floats(args->caps) + 2 * (size_t)sequence->cap);
        if (i < sequence->first_patch || i >= sequence->first_patch + sequence->n_tokens)
            continue;
        size_t row = (size_t)(sequence->row + i - sequence->first_patch);
        floats(args->loc)[row] = loc;
        floats(args->scale)[row] = scale;
        token_write(values, observed, patch, loc, scale, i < sequence->clear_before,
                    floats(args->tokens) + row * 2 * patch);
    }
}

static void token_rows(void *context, size_t begin, size_t end, size_t thread)
{
    (void)thread;
    const struct patch_tokens_args *args = context;
    const struct token_sequence *sequences = (const struct token_sequence *)(const void *)integers(args->sequences);
    for (size_t i = begin; i < end; i++)
        sequence_tokens(args, &sequences[i]);
}

void cpu_patch_tokens(struct backend *backend, const struct patch_tokens_args *args)
{
    struct patch_tokens_args copy = *args;
    if (backend->status || !args->n_sequences)
        return;
    const struct token_sequence *first = (const struct token_sequence *)(const void *)integers(args->sequences);
    rows_run(cpu_of(backend), args->n_sequences, (size_t)first->n_patches * args->patch * 20, token_rows, &copy);
}

/* ---- Quantiles -------------------------------------------------------------------------------------- */

enum { QUANTILES = 9 };

/* Infinities of one quantile's steps give way to its largest and smallest finite value. */
static void settle(float *v, size_t stride, size_t n)
{
    float most = -INFINITY, least = INFINITY;
    for (size_t t = 0; t < n; t++) {
        float x = v[t * stride];
        most = isfinite(x) && x > most ? x : most;
        least = isfinite(x) && x < least ? x : least;
    }
    for (size_t t = 0; t < n; t++)
        if (isinf(v[t * stride]))
            v[t * stride] = v[t * stride] > 0 ? most : least;
}

/* Ascending, NaN last. */
static void sort_nine(float *v)
{
    for (size_t i = 1; i < QUANTILES; i++) {
        float x = v[i];
        size_t at = i;
        for (; at && (v[at - 1] > x || (isnan(v[at - 1]) && !isnan(x))); at--)
            v[at] = v[at - 1];
        v[at] = x;
    }
}

static void patch_quantiles(const struct quantile_patch_args *args, const struct quantile_row *row, float *v)
{
    size_t patch = args->patch;
    const float *head = floats(args->head) + (size_t)row->head_row * patch * QUANTILES;
    float loc = floats(args->loc)[row->scale_row], scale = floats(args->scale)[row->scale_row];
    for (size_t i = 0; i < patch * QUANTILES; i++) {
        float spread = sinhf(head[i]) * scale;
        v[i] = spread + loc;
    }
    for (size_t q = 0; q < QUANTILES; q++)
        settle(v + q, QUANTILES, patch);
    if (args->cap_k > 0) {
        const float *caps = floats(args->caps) + 2 * (size_t)row->cap;
        for (size_t i = 0; i < patch * QUANTILES; i++) {
            v[i] = v[i] < caps[0] ? caps[0] : v[i];
            v[i] = v[i] > caps[1] ? caps[1] : v[i];
        }
    }
    float *out = floats(args->out) + (size_t)row->out_row * QUANTILES * args->out_width + row->out_step;
    for (size_t t = 0; t < patch; t++) {
        sort_nine(v + t * QUANTILES);
        for (size_t q = 0; q < QUANTILES; q++)
            out[q * args->out_width + t] = v[t * QUANTILES + q];
        if (row->feedback < 0)
            continue;
        floats(args->values)[(size_t)row->feedback + t] = v[t * QUANTILES + QUANTILES / 2];
        ((uint8_t *)args->mask.memory)[args->mask.offset + (size_t)row->feedback + t] = 1;
    }
}

struct quantile_job {
    const struct quantile_patch_args *args;
    float **scratch;
};

static void quantile_patches(void *context, size_t begin, size_t end, size_t thread)
{
    const struct quantile_job *job = context;
    const struct quantile_row *rows = (const struct quantile_row *)(const void *)integers(job->args->rows);
    for (size_t i = begin; i < end; i++)
        if (rows[i].head_row >= 0)
            patch_quantiles(job->args, &rows[i], job->scratch[thread]);
}

void cpu_quantile_patch(struct backend *backend, const struct quantile_patch_args *args)
{
    struct cpu_backend *cpu = cpu_of(backend);
    struct quantile_job job = {.args = args};
    assert(args->patch * QUANTILES <= SCRATCH_FLOATS);
    if (backend->status || !scratch_reserve(cpu))
        return;
    job.scratch = cpu->scratch;
    rows_run(cpu, args->n_rows, args->patch * QUANTILES * 20, quantile_patches, &job);
}
