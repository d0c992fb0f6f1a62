/* Toto 1.0's scalers: running statistics in float64. Reference: toto/model/scaler.py. */
#include <math.h>

#include "cpu_backend.h"

struct scale_state {
    double weight, sum, squares; /* W, S, M of the values so far */
    double lo, hi;               /* clamp of the deviation */
    double loc, scale;           /* STATIC */
};

size_t scale_state_bytes(void)
{
    return sizeof(struct scale_state);
}

/* Count, mean and summed squared deviation of the observed values of a prefix. */
static void prefix_moments(const float *values, const uint8_t *mask, size_t n, double *weight,
                           double *mean, double *squares)
{
    double sum = 0;
    *weight = *squares = 0;
    for (size_t i = 0; i < n; i++) {
        double w = mask ? mask[i] != 0 : 1;
        *weight += w;
        sum += w * (double)values[i];
    }
    *weight = *weight < 1 ? 1 : *weight;
    *mean = sum / *weight;
    *mean = isnan(*mean) ? 0 : *mean;
    for (size_t i = 0; i < n; i++) {
        double w = mask ? mask[i] != 0 : 1, off = ((double)values[i] - *mean) * w;
        *squares += off * off;
    }
}

static void prefix_begin(const struct causal_scale_args *args, struct scale_state *state,
                         const float *values, const uint8_t *mask, size_t n)
{
    *state = (struct scale_state){.lo = -INFINITY, .hi = INFINITY};
    if (args->scaler == SCALER_CAUSAL || (args->scaler == SCALER_CAUSAL_PATCH && !args->stabilize))
        return;
    double weight, mean, squares;
    prefix_moments(values, mask, n, &weight, &mean, &squares);
    if (args->scaler == SCALER_STATIC) {
        state->loc = mean;
        state->scale = sqrt(squares / weight + 0.001);
        return;
    }
    double deviation = sqrt(squares / weight + 0.1);
    state->lo = deviation * pow(10.0, -args->exponent);
    state->lo = state->lo < 0.1 ? 0.1 : state->lo;
    state->hi = deviation * pow(10.0, args->exponent);
}

/* Takes the value of one time step in; leaves its statistics in loc and scale. */
static void state_step(struct scale_state *state, double x, double w, float *loc, float *scale)
{
    double before = state->sum / (state->weight < 1 ? 1 : state->weight);
    state->weight += w;
    state->sum += w * x;
    double count = state->weight < 1 ? 1 : state->weight;
    double mean = state->sum / count;
    state->squares += (x - before) * (x - mean) * w;
    double deviation = sqrt(state->squares / (count - 1 < 1 ? 1 : count - 1) + 0.1);
    deviation = deviation < state->lo ? state->lo : deviation;
    deviation = deviation > state->hi ? state->hi : deviation;
    *loc = (float)mean;
    *scale = (float)deviation;
}

static void scale_sequences(void *context, size_t begin, size_t end, size_t thread)
{
    (void)thread;
    const struct causal_scale_args *args = context;
    const struct scale_sequence *sequences =
        (const struct scale_sequence *)(const void *)integers(args->sequences);
    struct scale_state *states = args->states.memory;
    if (states)
        states += args->states.offset;
    for (size_t i = begin; i < end; i++) {
        const struct scale_sequence *sequence = &sequences[i];
        size_t first = (size_t)sequence->first_value, patch = args->patch;
        const float *x = floats(args->values) + first;
        const uint8_t *mask =
            args->mask.memory ? (uint8_t *)args->mask.memory + args->mask.offset + first : NULL;
        size_t at = (size_t)sequence->first_row * patch, n = (size_t)sequence->n_patches * patch;
        float *loc = floats(args->loc) + at, *scale = floats(args->scale) + at;
        float *scaled = floats(args->scaled) + at;
        struct scale_state state;
        if (sequence->state_in >= 0)
            state = states[sequence->state_in];
        else
            prefix_begin(args, &state, x, mask, n);
        for (size_t t = 0; t < n; t++) {
            if (args->scaler == SCALER_STATIC) {
                loc[t] = (float)state.loc;
                scale[t] = (float)state.scale;
            } else {
                state_step(&state, (double)x[t], mask ? mask[t] != 0 : 1, &loc[t], &scale[t]);
            }
        }
        for (size_t t = 0; t < n; t++) {
            if (args->scaler == SCALER_CAUSAL_PATCH) {
                size_t last = t - t % patch + patch - 1;
                loc[t] = loc[last];
                scale[t] = scale[last];
            }
            scaled[t] = (x[t] - loc[t]) / scale[t];
        }
        if (sequence->state_out >= 0)
            states[sequence->state_out] = state;
    }
}

void cpu_causal_scale(struct backend *backend, const struct causal_scale_args *args)
{
    struct causal_scale_args copy = *args;
    if (backend->status || !args->n_sequences)
        return;
    const struct scale_sequence *first =
        (const struct scale_sequence *)(const void *)integers(args->sequences);
    size_t work = (size_t)first->n_patches * args->patch * 10;
    rows_run(cpu_of(backend), args->n_sequences, work, scale_sequences, &copy);
}
