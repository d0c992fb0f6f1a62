/* Windows: groups cut off at an origin. */
#include "windows.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "regularize.h"

/* Everything that the windows are made with. */
struct cutter {
    const struct toto_series *history;
    size_t context, horizon;
    enum toto_fill fill;
    struct toto_series *series;
    struct window_variate *variates; /* in the series' arena */
};

enum toto_status series_history_make(const struct toto_table *table, const struct toto_series_options *options,
                                     struct toto_series **history, struct toto_error *err)
{
    struct toto_series_options whole = *options;
    whole.context = SIZE_MAX;
    whole.fill = TOTO_FILL_NONE;
    enum toto_status status = toto_series_make(table, &whole, history, err);
    for (size_t g = 0; !status && g < (*history)->n_groups; g++) {
        const struct group *group = &(*history)->groups[g];
        for (size_t i = 0; i < group->n_variates * group->n_steps; i++)
            if (!group->observed[i])
                group->values[i] = NAN;
    }
    return status;
}

bool series_window_has(const struct group *group, size_t row, size_t origin)
{
    return memchr(group->observed + row * group->n_steps, 1, origin) != NULL;
}

static bool cut_known(struct cutter *cutter, const struct group *from, size_t origin, struct group *to)
{
    struct arena *arena = &cutter->series->arena;
    size_t start = origin - to->n_steps, n = size_min(to->n_steps + cutter->horizon, from->n_known_steps - start);
    size_t points, bytes;
    if (!size_mul(n, from->n_known, &points) || !size_mul(points, sizeof *to->known, &bytes))
        return false;
    to->n_known = from->n_known;
    to->n_known_steps = n;
    to->known = arena_alloc(arena, bytes);
    to->known_observed = arena_alloc(arena, points);
    if (!to->known || !to->known_observed)
        return false;
    for (size_t row = 0; row < from->n_known; row++) {
        size_t at = row * from->n_known_steps + start;
        memcpy(to->known + row * n, from->known + at, n * sizeof *to->known);
        memcpy(to->known_observed + row * n, from->known_observed + at, n);
    }
    return true;
}

/* Adds the window's group, unless none of its targets was observed; false if there is no memory. */
static bool cut_window(struct cutter *cutter, const struct series_window *window, size_t number)
{
    struct toto_series *series = cutter->series;
    const struct group *from = &cutter->history->groups[window->group];
    struct group *to = &series->groups[series->n_groups];
    size_t n_targets = from->n_variates - from->n_past, n_steps = size_min(window->origin, cutter->context);
    size_t points, bytes, origin = window->origin;
    assert(origin >= 1 && origin <= from->n_steps);
    *to = (struct group){.n_past = from->n_past, .n_steps = n_steps};
    if (!size_mul(n_steps, from->n_variates, &points) || !size_mul(points, sizeof *to->values, &bytes))
        return false;
    float *values = to->values = arena_alloc(&series->arena, bytes);
    uint8_t *observed = to->observed = arena_alloc(&series->arena, points);
    size_t *variates = arena_alloc(&series->arena, from->n_variates * sizeof *variates);
    to->variates = variates;
    if (!values || !observed || !variates)
        return false;
    for (size_t row = 0; row < from->n_variates; row++) {
        if (row < n_targets && !series_window_has(from, row, origin))
            continue;
        if (row >= n_targets && to->n_variates == 0)
            break;
        size_t at = to->n_variates++;
        regularize_array(from->values + row * from->n_steps, origin, n_steps, cutter->fill, values + at * n_steps,
                         observed + at * n_steps);
        variates[at] = row < n_targets ? series->n_variates : SIZE_MAX;
        if (row >= n_targets)
            continue;
        size_t source = from->variates[row];
        cutter->variates[series->n_variates] = (struct window_variate){number, source};
        series->variates[series->n_variates++] = (struct variate){
            .id = cutter->history->variates[source].id, .group = series->n_groups, .row = at};
    }
    if (to->n_variates == 0)
        return true;
    series->n_groups++;
    return !from->n_known || cut_known(cutter, from, origin, to);
}

/* Room for all groups and variates that there may be; false if there is no memory. */
static bool make_room(struct cutter *cutter, const struct series_window *windows, size_t n_windows)
{
    struct toto_series *series = cutter->series;
    const struct toto_series *history = cutter->history;
    size_t n_targets = 0, bytes;
    for (size_t i = 0; i < n_windows; i++) {
        const struct group *group = &history->groups[windows[i].group];
        if (!size_add(n_targets, group->n_variates - group->n_past, &n_targets))
            return false;
    }
    if (!size_mul(n_targets, sizeof *series->variates + sizeof *cutter->variates, &bytes))
        return false;
    series->variates = arena_alloc(&series->arena, n_targets * sizeof *series->variates);
    cutter->variates = arena_alloc(&series->arena, n_targets * sizeof *cutter->variates);
    series->groups = arena_alloc(&series->arena, n_windows * sizeof *series->groups);
    series->id_name = arena_strndup(&series->arena, history->id_name, strlen(history->id_name));
    series->time_name = arena_strndup(&series->arena, history->time_name, strlen(history->time_name));
    series->delimiter = history->delimiter;
    return series->variates && cutter->variates && series->groups && series->id_name && series->time_name;
}

enum toto_status series_windows_make(const struct toto_series *history, const struct series_window *windows,
                                     size_t n_windows, size_t context, size_t horizon, enum toto_fill fill,
                                     struct toto_series **series, const struct window_variate **variates,
                                     struct toto_error *err)
{
    struct cutter cutter = {.history = history, .context = context ? context : DEFAULT_CONTEXT,
                            .horizon = horizon, .fill = fill};
    *series = NULL;
    *variates = NULL;
    cutter.series = mem_calloc(1, sizeof *cutter.series);
    bool made = cutter.series && make_room(&cutter, windows, n_windows);
    for (size_t i = 0; made && i < n_windows; i++)
        made = cut_window(&cutter, &windows[i], i);
    if (!made) {
        toto_series_free(cutter.series);
        return toto_fail_memory(err, "the windows", n_windows);
    }
    *series = cutter.series;
    *variates = cutter.variates;
    return TOTO_STATUS_OK;
}
