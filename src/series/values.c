/* Values: arrays of a program become series, without a table. */
#include <math.h>
#include <string.h>

#include "regularize.h"
#include "series.h"

/* A variate of its own name, or NULL. */
static struct variate *add_variate(struct toto_series *series, const char *id, size_t group, size_t row,
                                   size_t n_steps)
{
    struct variate *variate = &series->variates[series->n_variates++];
    *variate = (struct variate){
        .id = arena_strndup(&series->arena, id, strlen(id)), .group = group, .row = row,
        .axis = {.format = {.kind = TIME_NONE}, .last = (int64_t)n_steps - 1, .step = 1},
    };
    return variate->id ? variate : NULL;
}

/* The variates first .. first + n - 1 of the values become a group. */
static enum toto_status add_group(struct toto_series *series, const struct toto_values *from, size_t first, size_t n,
                                  const struct toto_series_options *options, struct toto_error *err)
{
    struct arena *arena = &series->arena;
    size_t n_steps = size_min(from->n_steps, options->context), points, bytes;
    bool fits = size_mul(n, n_steps, &points) && size_mul(points, sizeof(float), &bytes);
    float *values = fits ? arena_alloc(arena, bytes) : NULL;
    uint8_t *observed = fits ? arena_alloc(arena, points) : NULL;
    size_t *variates = arena_alloc(arena, n * sizeof *variates);
    if (!values || !observed || !variates)
        return toto_fail_memory(err, "the series", fits ? bytes : SIZE_MAX);
    for (size_t v = 0; v < n; v++) {
        const char *id = from->ids[first + v];
        const float *own = from->values + (first + v) * (from->stride ? from->stride : from->n_steps);
        float *row = values + v * n_steps;
        regularize_array(own, from->n_steps, n_steps, options->fill, row, observed + v * n_steps);
        for (size_t i = 0; i < n_steps; i++)
            if (!isfinite(row[i]))
                return toto_fail(err, TOTO_STATUS_DATA, "series \"%.60s\": point %zu is not finite", id,
                                 from->n_steps - n_steps + i);
        variates[v] = series->n_variates;
        if (!add_variate(series, id, series->n_groups, v, from->n_steps))
            return toto_fail_memory(err, "the series' names", 0);
    }
    series->groups[series->n_groups++] = (struct group){
        .n_variates = n, .n_steps = n_steps, .values = values, .observed = observed, .variates = variates,
    };
    return TOTO_STATUS_OK;
}

/* Sizes that are checked, and room for so many variates and groups. */
static enum toto_status prepare(struct toto_series *series, const struct toto_values *groups, size_t n_groups,
                                struct toto_error *err)
{
    size_t n = 0, bytes = SIZE_MAX;
    for (size_t g = 0; g < n_groups; g++) {
        if (!groups[g].n_variates || !groups[g].n_steps)
            return toto_fail(err, TOTO_STATUS_DATA, "group %zu of the series has no values", g);
        if (!size_add(n, groups[g].n_variates, &n))
            return toto_fail_memory(err, "the series", SIZE_MAX);
    }
    if (size_mul(n, sizeof *series->variates + sizeof *series->groups, &bytes)) {
        series->variates = arena_alloc(&series->arena, n * sizeof *series->variates);
        series->groups = arena_alloc(&series->arena, n * sizeof *series->groups);
    }
    series->id_name = "unique_id";
    series->time_name = "ds";
    series->delimiter = ',';
    return series->variates && series->groups ? TOTO_STATUS_OK : toto_fail_memory(err, "the series", bytes);
}

enum toto_status toto_series_from_values(const struct toto_values *groups, size_t n_groups,
                                         const struct toto_series_options *options, struct toto_series **out,
                                         struct toto_error *err)
{
    struct toto_series_options settled = options ? *options : (struct toto_series_options){.context = 0};
    struct toto_series *series = mem_calloc(1, sizeof *series);
    *out = NULL;
    if (!series)
        return toto_fail_memory(err, "the series", sizeof *series);
    if (!settled.context)
        settled.context = DEFAULT_CONTEXT;
    enum toto_status status = TOTO_STATUS_OK;
    if (settled.group == TOTO_GROUP_COLUMN)
        status = toto_fail(err, TOTO_STATUS_USAGE, "arrays have no column to be grouped by");
    if (status == TOTO_STATUS_OK)
        status = prepare(series, groups, n_groups, err);
    for (size_t g = 0; g < n_groups && status == TOTO_STATUS_OK; g++) {
        size_t n = groups[g].n_variates, together = settled.group == TOTO_GROUP_NONE ? 1 : n;
        for (size_t first = 0; first < n && status == TOTO_STATUS_OK; first += together)
            status = add_group(series, &groups[g], first, together, &settled, err);
    }
    if (status != TOTO_STATUS_OK) {
        toto_series_free(series);
        return status;
    }
    *out = series;
    return TOTO_STATUS_OK;
}
