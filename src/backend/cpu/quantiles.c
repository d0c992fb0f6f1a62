/* Quantiles of samples: each row is sorted in place, by bits from the top (radix exchange: R.
 * Sedgewick, Algorithms), which needs no room and whose time has a bound. */
#include <string.h>

#include "cpu_backend.h"

/* Floats in ascending order are these keys in ascending order (-0 before 0). */
static uint32_t key_of(uint32_t bits)
{
    return bits ^ ((bits & 0x80000000u) ? 0xFFFFFFFFu : 0x80000000u);
}

static uint32_t bits_of(uint32_t key)
{
    return key ^ ((key & 0x80000000u) ? 0x80000000u : 0xFFFFFFFFu);
}

static void insertion_sort(uint32_t *keys, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint32_t key = keys[i];
        size_t at = i;
        for (; at && keys[at - 1] > key; at--)
            keys[at] = keys[at - 1];
        keys[at] = key;
    }
}

/* Sorts by the bits from `bit` down; those above are alike. Depth is at most 32. */
static void bits_sort(uint32_t *keys, size_t n, uint32_t bit)
{
    while (n > 24 && bit) {
        size_t zeros = 0;
        for (size_t i = 0; i < n; i++) {
            uint32_t key = keys[i];
            keys[i] = keys[zeros];
            keys[zeros] = key;
            zeros += !(key & bit);
        }
        bit >>= 1;
        bits_sort(keys + zeros, n - zeros, bit);
        n = zeros;
    }
    if (bit)
        insertion_sort(keys, n);
}

static void quantile_rows(void *context, size_t begin, size_t end, size_t thread)
{
    (void)thread;
    const struct quantiles_args *args = context;
    const struct quantile_position *positions =
        (const struct quantile_position *)(const void *)integers(args->positions);
    for (size_t row = begin; row < end; row++) {
        float *samples = floats(args->samples) + row * args->n_samples;
        if (args->mean.memory) {
            double sum = 0;
            for (size_t i = 0; i < args->n_samples; i++)
                sum += (double)samples[i];
            floats(args->mean)[row] = (float)(sum / (double)args->n_samples);
        }
        uint32_t *keys = (uint32_t *)(void *)samples;
        for (size_t i = 0; i < args->n_samples; i++)
            keys[i] = key_of(keys[i]);
        bits_sort(keys, args->n_samples, 0x80000000u);
        for (size_t i = 0; i < args->n_samples; i++)
            keys[i] = bits_of(keys[i]);
        if (!args->quantiles.memory)
            continue;
        for (size_t q = 0; q < args->n_quantiles; q++) {
            size_t at = (size_t)positions[q].index;
            float value = samples[at];
            if (positions[q].fraction != 0)
                value += positions[q].fraction * (samples[at + 1] - value);
            floats(args->quantiles)[q * args->n_rows + row] = value;
        }
    }
}

void cpu_quantiles(struct backend *backend, const struct quantiles_args *args)
{
    struct quantiles_args copy = *args;
    if (!backend->status && args->n_samples)
        rows_run(cpu_of(backend), args->n_rows, args->n_samples * 20, quantile_rows, &copy);
}
