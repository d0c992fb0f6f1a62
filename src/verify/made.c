/* Made up: series with a level, a trend, a season and noise, and a model of pseudo-random weights. */
#include "made.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/memory.h"

/* Uniform in [-1, 1): Marsaglia's xorshift32 (Xorshift RNGs, Journal of Statistical Software 8, 2003). */
static float random_next(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return (float)(int32_t)(*state >> 8) * 0x1p-23f - 1.0f;
}

/* ---- Series ---------------------------------------------------------------------------------------------- */

static const struct made_group {
    size_t n_variates, n_steps;
    bool gaps;
    double level, size; /* of the values */
} made_groups[MADE_GROUPS] = {
    {3, 400, true, 20.0, 5.0}, {3, 512, false, -3.0, 1.0},  {1, 200, false, 1000.0, 40.0},
    {1, 97, true, 0.0, 1e-3},  {1, 11, false, 0.5, 0.25},   {1, 200, false, 5e6, 2e6},
};

static void fill_row(const struct made_group *made, size_t variate, uint32_t *state, float *values,
                     uint8_t *observed)
{
    static const double turn = 6.283185307179586;
    double phase = 0.7 * (double)variate, period = variate % 2 ? 7.0 : 24.0;
    for (size_t t = 0; t < made->n_steps; t++) {
        double season = sin(turn * (double)t / period + phase), trend = 0.002 * (double)t;
        values[t] = (float)(made->level + made->size * (season + trend + 0.3 * (double)random_next(state)));
        /* A run of gaps, and one here and there; the last value before them stands in their place. */
        observed[t] = !made->gaps || t == 0 || (t % 29 != 5 && (t < 60 || t > 84));
        if (!observed[t])
            values[t] = values[t - 1];
    }
}

static bool fill_group(struct toto_series *series, size_t g, const struct made_group *made, size_t number)
{
    struct arena *arena = &series->arena;
    size_t n = made->n_variates, points = n * made->n_steps;
    float *values = arena_alloc(arena, points * sizeof *values);
    uint8_t *observed = arena_alloc(arena, points);
    size_t *variates = arena_alloc(arena, n * sizeof *variates);
    uint32_t state = 2463534242u + (uint32_t)number;
    if (!values || !observed || !variates)
        return false;
    for (size_t v = 0; v < n; v++) {
        char id[32];
        snprintf(id, sizeof id, "made-%zu-%zu", number, v);
        variates[v] = series->n_variates++;
        series->variates[variates[v]] =
            (struct variate){.id = arena_strndup(arena, id, strlen(id)), .group = g, .row = v};
        if (!series->variates[variates[v]].id)
            return false;
        fill_row(made, v, &state, values + v * made->n_steps, observed + v * made->n_steps);
    }
    series->groups[g] = (struct group){
        .n_variates = n, .n_steps = made->n_steps, .values = values, .observed = observed, .variates = variates,
    };
    return true;
}

enum toto_status made_series(size_t first, size_t n, struct toto_series **out, struct toto_error *err)
{
    struct toto_series *series = mem_calloc(1, sizeof *series);
    size_t n_variates = 0;
    *out = NULL;
    if (!series)
        return toto_fail_memory(err, "the series", sizeof *series);
    for (size_t g = first; g < first + n; g++)
        n_variates += made_groups[g].n_variates;
    series->variates = arena_alloc(&series->arena, n_variates * sizeof *series->variates);
    series->groups = arena_alloc(&series->arena, n * sizeof *series->groups);
    bool made = series->variates && series->groups;
    for (size_t g = 0; made && g < n; g++)
        made = fill_group(series, g, &made_groups[first + g], first + g);
    if (!made) {
        toto_series_free(series);
        return toto_fail_memory(err, "the series", n_variates * sizeof *series->variates);
    }
    series->n_groups = n;
    series->id_name = "unique_id";
    series->time_name = "ds";
    series->delimiter = ',';
    *out = series;
    return TOTO_STATUS_OK;
}

/* ---- Model ----------------------------------------------------------------------------------------------- */

static const struct toto1_config made_config = {
    .patch = 16, .d_model = 64, .n_layers = 3, .n_heads = 4, .head_dim = 16, .d_ff = 128,
    .space_every = 3, .scaler = SCALER_CAUSAL_PATCH, .stabilize = true, .exponent = 10.0,
    .is_mixture = true, .n_components = 4, .n_params = 16,
};

enum { TENSORS_MOST = 64 };

struct maker {
    struct checkpoint *checkpoint;
    uint32_t state;
    bool failed;
};

/* A matrix [n_out, n_in] that keeps the size of its input; or a vector [n_out] around `center`. */
static void make_tensor(struct maker *maker, const char *name, size_t n_out, size_t n_in, float center)
{
    struct checkpoint *checkpoint = maker->checkpoint;
    size_t n = n_out * (n_in ? n_in : 1);
    float *values = arena_alloc(&checkpoint->arena, n * sizeof *values);
    char *own_name = arena_strndup(&checkpoint->arena, name, strlen(name));
    float size = n_in ? sqrtf(3.0f / (float)n_in) : 0.1f;
    maker->failed |= !values || !own_name;
    if (maker->failed)
        return;
    for (size_t i = 0; i < n; i++)
        values[i] = center + size * random_next(&maker->state);
    checkpoint->tensors[checkpoint->n_tensors++] = (struct tensor_view){
        .name = own_name, .file = checkpoint->path, .dtype = DTYPE_F32, .dtype_text = "F32",
        .n_dims = n_in ? 2 : 1, .dims = {n_out, n_in}, .n_elements = n, .data = values,
    };
}

/* NAME.weight and NAME.bias */
static void make_layer(struct maker *maker, const char *name, size_t n_out, size_t n_in)
{
    char full[96];
    snprintf(full, sizeof full, "%s.weight", name);
    make_tensor(maker, full, n_out, n_in, 0.0f);
    snprintf(full, sizeof full, "%s.bias", name);
    make_tensor(maker, full, n_out, 0, 0.0f);
}

static void make_tensors(struct maker *maker)
{
    static const char *const heads[] = {"df", "loc_proj", "scale_proj", "mixture_weights"};
    const struct toto1_config *config = &made_config;
    size_t d = config->d_model, p = config->patch, f = config->d_ff;
    const struct { const char *name; size_t n_out, n_in; } parts[] = {
        {"attention.wQKV", 3 * d, d}, {"attention.wO", d, d}, {"mlp.0", 2 * f, d}, {"mlp.2", d, f}};
    char name[80];
    make_layer(maker, "model.patch_embed.projection", d, p);
    make_layer(maker, "model.unembed", p * d, d);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        snprintf(name, sizeof name, "model.output_distribution.%s", heads[i]);
        make_layer(maker, name, config->n_components, d);
    }
    for (size_t layer = 0; layer < config->n_layers; layer++) {
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            snprintf(name, sizeof name, "model.transformer.layers.%zu.%s", layer, parts[i].name);
            make_layer(maker, name, parts[i].n_out, parts[i].n_in);
        }
        for (int norm = 1; norm <= 2; norm++) {
            snprintf(name, sizeof name, "model.transformer.layers.%zu.norm%d.scale", layer, norm);
            make_tensor(maker, name, d, 0, 1.0f);
        }
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct tensor_view *)a)->name, ((const struct tensor_view *)b)->name);
}

enum toto_status made_model(struct toto_model **out, struct toto_error *err)
{
    struct toto_model *model = mem_calloc(1, sizeof *model);
    *out = NULL;
    if (!model)
        return toto_fail_memory(err, "the model", sizeof *model);
    struct checkpoint *checkpoint = &model->checkpoint;
    struct maker maker = {.checkpoint = checkpoint, .state = 88172645u};
    checkpoint->path = checkpoint->config_path = "the made-up model";
    checkpoint->tensors = mem_alloc(TENSORS_MOST * sizeof *checkpoint->tensors);
    if (checkpoint->tensors)
        make_tensors(&maker);
    model->family = FAMILY_TOTO1;
    model->toto1.config = made_config;
    enum toto_status status = TOTO_STATUS_OK;
    if (!checkpoint->tensors || maker.failed) {
        status = toto_fail_memory(err, "the made-up model", TENSORS_MOST * sizeof *checkpoint->tensors);
    } else {
        qsort(checkpoint->tensors, checkpoint->n_tensors, sizeof *checkpoint->tensors, compare_names);
        status = toto1_tensors_find(checkpoint, &model->toto1.config, &model->toto1.tensors, err);
    }
    if (status != TOTO_STATUS_OK) {
        toto_model_free(model);
        return status;
    }
    *out = model;
    return TOTO_STATUS_OK;
}
