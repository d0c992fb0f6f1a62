/* Select: which cells make which variate, which variates form a group, and what becomes of bad
 * ones. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../base/log.h"
#include "regularize.h"
#include "series.h"

/* A variate on its way: series->variates has the same index. */
struct choice {
    uint32_t key, value;
};

/* A group on its way. */
struct grid {
    int64_t first, last, step;
    struct time_calendar calendar;
    int64_t end;     /* the latest time of any row, future rows among them */
    size_t last_row; /* of the table: a row of the latest time */
    size_t n_variates;
    size_t n_keys;   /* whose covariates join it */
    size_t key;      /* the last of them; SIZE_MAX: none yet */
};

struct maker {
    const struct toto_table *table;
    struct toto_series_options options;
    struct toto_series *series;
    uint32_t *rows;     /* of the table, by key */
    size_t *key_starts; /* [n_keys + 1] into rows */
    struct key_axis *axes;
    struct choice *choices;
    struct grid *grids;
    size_t *named_groups; /* number of a group cell to group; SIZE_MAX: not met yet */
    size_t all_group;     /* the one group of TOTO_GROUP_ALL, or SIZE_MAX */
};

/* mem_alloc of count items; sets err if there is no memory. */
static void *items_alloc(size_t count, size_t size, struct toto_error *err)
{
    size_t bytes;
    void *items = size_mul(count, size, &bytes) ? mem_alloc(bytes) : NULL;
    if (!items)
        toto_fail_memory(err, "the series", count);
    return items;
}

static void *arena_items(struct arena *arena, size_t count, size_t size, struct toto_error *err)
{
    size_t bytes;
    void *items = size_mul(count, size, &bytes) ? arena_alloc(arena, bytes) : NULL;
    if (!items)
        toto_fail_memory(err, "the series", count);
    return items;
}

/* Counting sort of rows by key; rows of a key keep the order of the input. */
static enum toto_status rows_by_key(struct maker *maker, struct toto_error *err)
{
    const struct toto_table *table = maker->table;
    size_t n_keys = table->ids.n_entries;
    maker->rows = items_alloc(table->n_rows, sizeof *maker->rows, err);
    maker->key_starts = items_alloc(n_keys + 1, sizeof *maker->key_starts, err);
    if (!maker->rows || !maker->key_starts)
        return TOTO_STATUS_RESOURCE;
    size_t start = 0;
    for (size_t key = 0; key < n_keys; key++) {
        maker->key_starts[key] = start;
        start += table->keys[key].n_rows;
    }
    for (size_t row = 0; row < table->n_rows; row++)
        maker->rows[maker->key_starts[table_key(table, row)]++] = (uint32_t)row;
    for (size_t key = n_keys; key > 0; key--)
        maker->key_starts[key] = maker->key_starts[key - 1];
    maker->key_starts[0] = 0;
    return TOTO_STATUS_OK;
}

/* The name of a variate in the output. */
static const char *variate_id(struct maker *maker, size_t key, size_t value)
{
    const struct toto_table *table = maker->table;
    const char *column = table->columns[table->values[value]].name;
    if (table->layout == TOTO_LAYOUT_WIDE)
        return arena_strndup(&maker->series->arena, column, strlen(column));
    const struct dict_entry *id = &table->ids.entries[key];
    if (table->n_targets == 1)
        return arena_strndup(&maker->series->arena, id->text, id->length);
    size_t length = id->length + 1 + strlen(column);
    char *name = arena_alloc(&maker->series->arena, length + 1);
    if (name)
        snprintf(name, length + 1, "%s/%s", id->text, column);
    return name;
}

static const char *spoil_find(const struct table_key *key, size_t value)
{
    const char *first = NULL; /* the list begins with the latest */
    for (const struct table_spoil *spoil = key->spoils; spoil; spoil = spoil->next)
        if (spoil->value == value || spoil->value == SIZE_MAX)
            first = spoil->message;
    return first;
}

static bool is_all_missing(const struct toto_table *table, const struct key_axis *axis,
                           size_t value)
{
    for (size_t i = 0; i < axis->n_rows; i++)
        if (!isnan(table_value(table, axis->rows[i], value)))
            return false;
    return true;
}

static enum toto_status fail_missing(const struct toto_table *table, size_t key, size_t value,
                                     struct toto_error *err)
{
    size_t line;
    const char *path = table_place(table, table->keys[key].first_row, &line);
    if (table->layout == TOTO_LAYOUT_WIDE)
        return table_fail(table, TOTO_STATUS_DATA, path, line, table->values[value], err,
                          "all values are missing; leave the column out with --drop");
    return table_fail(table, TOTO_STATUS_DATA, path, line, table->values[value], err,
                      "series \"%.60s\": all values are missing; leave its rows out",
                      table->ids.entries[key].text);
}

/* The group that the key's variates join: an index into grids, or SIZE_MAX for a new one. */
static size_t *group_slot(struct maker *maker, size_t key)
{
    if (maker->options.group == TOTO_GROUP_COLUMN)
        return &maker->named_groups[maker->table->keys[key].group];
    return maker->options.group == TOTO_GROUP_ALL ? &maker->all_group : NULL;
}

/* Days and business days in one group: all count days. The axes of the keys that joined before follow when the groups
 * are made. */
static void days_settle(struct maker *maker, struct grid *grid, size_t key)
{
    struct key_axis *axis = &maker->axes[key];
    if (axis->calendar.unit == COUNT_BUSINESS_DAYS && grid->calendar.unit == COUNT_DAYS && grid->step == 1) {
        key_axis_count_days(maker->table, axis);
    } else if (axis->calendar.unit == COUNT_DAYS && axis->step == 1 && grid->calendar.unit == COUNT_BUSINESS_DAYS) {
        struct time_format format = table_time_format(maker->table, grid->last_row);
        struct time_calendar days = {.unit = COUNT_DAYS, .clock = grid->calendar.clock};
        int64_t *ends[] = {&grid->first, &grid->last, &grid->end}, ticks;
        for (size_t i = 0; i < 3; i++) {
            time_calendar_ticks(&grid->calendar, &format, *ends[i], &ticks);
            time_calendar_place(&days, &format, ticks, ends[i]);
        }
        grid->calendar = days;
    }
}

/* Members of a group share one grid. */
static enum toto_status check_member(const struct maker *maker, const struct grid *grid, size_t key,
                                     struct toto_error *err)
{
    const struct key_axis *axis = &maker->axes[key];
    int64_t low = axis->last < grid->last ? axis->last : grid->last;
    int64_t high = axis->last < grid->last ? grid->last : axis->last;
    uint64_t apart = (uint64_t)high - (uint64_t)low;
    const struct time_format *form = &maker->table->keys[key].format;
    struct time_format other_form = table_time_format(maker->table, grid->last_row);
    bool same_form = time_format_same(form, &other_form);
    bool same_step = axis->step == grid->step && axis->calendar.unit == grid->calendar.unit;
    if (same_form && same_step && time_calendar_same(&axis->calendar, &grid->calendar) &&
        apart % (uint64_t)grid->step == 0)
        return TOTO_STATUS_OK;
    size_t line;
    const char *path = table_place(maker->table, maker->table->keys[key].first_row, &line);
    if (!same_form)
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s:%zu: series \"%.60s\" writes its times in another form than the series of its group "
                         "before it; write them in one form, or forecast each alone with --group none",
                         path, line, maker->table->ids.entries[key].text);
    return toto_fail(
        err, TOTO_STATUS_DATA,
        "%s:%zu: series \"%.60s\" has %s the series of its group before it; group "
        "series of one step, or forecast each alone with --group none",
        path, line, maker->table->ids.entries[key].text,
        same_step ? "times between those of" : "another time step than");
}

/* Adds a good variate to its group. */
static void group_join(struct maker *maker, size_t variate, size_t key)
{
    const struct key_axis *axis = &maker->axes[key];
    size_t *slot = group_slot(maker, key);
    size_t index = slot ? *slot : SIZE_MAX;
    size_t last_row = axis->rows[axis->n_context - 1];
    if (index == SIZE_MAX) {
        index = maker->series->n_groups++;
        maker->grids[index] = (struct grid){.first = axis->first,
                                            .last = axis->last,
                                            .step = axis->step,
                                            .calendar = axis->calendar,
                                            .end = axis->end,
                                            .last_row = last_row,
                                            .key = SIZE_MAX};
        if (slot)
            *slot = index;
    }
    struct grid *grid = &maker->grids[index];
    if (axis->first < grid->first)
        grid->first = axis->first;
    if (axis->last > grid->last) {
        grid->last = axis->last;
        grid->last_row = last_row;
    }
    if (axis->end > grid->end)
        grid->end = axis->end;
    /* The variates of a key come one after the other. */
    grid->n_keys += grid->key != key;
    grid->key = key;
    maker->series->variates[variate].group = index;
    maker->series->variates[variate].row = grid->n_variates++;
}

/* A series writes its times in its own form, at the offset of its group's last row. */
static struct time_axis axis_make(const struct maker *maker, size_t key, size_t last_row, int64_t last,
                                  int64_t step, struct time_calendar calendar)
{
    struct time_axis axis = {maker->table->keys[key].format, last, step, calendar};
    axis.format.offset_minutes = table_offset_minutes(maker->table, last_row);
    return axis;
}

/* What is wrong with the variate, in err; OK if nothing. `of_key`: what is wrong with all of its
 * key. */
static enum toto_status variate_check(struct maker *maker, size_t key, size_t value,
                                      const struct toto_error *of_key, struct toto_error *err)
{
    const struct toto_table *table = maker->table;
    const char *spoiled = spoil_find(&table->keys[key], value);
    if (spoiled)
        return toto_fail(err, TOTO_STATUS_DATA, "%s", spoiled);
    if (of_key->message[0])
        return toto_fail(err, TOTO_STATUS_DATA, "%s", of_key->message);
    if (is_all_missing(table, &maker->axes[key], value))
        return fail_missing(table, key, value, err);
    const size_t *slot = group_slot(maker, key);
    if (!slot || *slot == SIZE_MAX)
        return TOTO_STATUS_OK;
    struct grid *grid = &maker->grids[*slot], before = *grid;
    days_settle(maker, grid, key);
    enum toto_status status = check_member(maker, grid, key, err);
    if (status)
        *grid = before;
    return status;
}

/* The variates of one key. */
static enum toto_status key_select(struct maker *maker, size_t key, struct toto_error *err)
{
    const struct toto_table *table = maker->table;
    struct toto_series *series = maker->series;
    struct key_axis *axis = &maker->axes[key];
    struct toto_error of_key = {.message = ""};
    size_t start = maker->key_starts[key], n_rows = maker->key_starts[key + 1] - start;
    enum toto_status status;
    *axis = (struct key_axis){
        .rows = maker->rows + start, .n_rows = n_rows, .n_context = n_rows};
    if (!spoil_find(&table->keys[key], SIZE_MAX) &&
        (status = key_axis_find(table, maker->rows + start, n_rows, axis, &of_key))) {
        if (status != TOTO_STATUS_DATA || table->layout == TOTO_LAYOUT_WIDE)
            return toto_fail(err, status, "%s", of_key.message);
    }
    for (size_t value = 0; value < table->n_targets; value++) {
        status = variate_check(maker, key, value, &of_key, err);
        if (status) {
            if (maker->options.on_error == TOTO_ON_ERROR_FAIL)
                return status;
            log_warn("%s", err->message);
            series->n_bad++;
            if (maker->options.on_error == TOTO_ON_ERROR_SKIP)
                continue;
        }
        struct variate *variate = &series->variates[series->n_variates];
        *variate = (struct variate){.id = variate_id(maker, key, value), .group = SIZE_MAX};
        if (!variate->id)
            return toto_fail_memory(err, "the series' names", 0);
        maker->choices[series->n_variates] = (struct choice){(uint32_t)key, (uint32_t)value};
        if (status)
            variate->axis = axis_make(maker, key, axis->rows[axis->n_context - 1],
                                      axis->last, axis->step, axis->calendar);
        else
            group_join(maker, series->n_variates, key);
        series->n_variates++;
    }
    return TOTO_STATUS_OK;
}

/* Steps that are known beyond the context. */
static size_t future_steps(const struct maker *maker, const struct grid *grid)
{
    size_t most = maker->options.future_steps;
    /* The last point of the context is one of those counted. */
    most = most && most < SIZE_MAX ? most + 1 : SIZE_MAX;
    return grid_points(grid->last, grid->end, grid->step, most) - 1;
}

/* A group's memory: exactly what the context and the future need. */
static enum toto_status group_alloc(struct maker *maker, const struct grid *grid,
                                    struct group *group, struct toto_error *err)
{
    struct arena *arena = &maker->series->arena;
    size_t n_steps = grid_points(grid->first, grid->last, grid->step, maker->options.context);
    size_t n_past, n_known, n_rows, n_known_steps, n_points, n_known_points;
    if (!size_mul(grid->n_keys, maker->table->n_pasts, &n_past) ||
        !size_mul(grid->n_keys, maker->table->n_knowns, &n_known) ||
        !size_add(grid->n_variates, n_past, &n_rows) || !size_mul(n_steps, n_rows, &n_points) ||
        !size_add(n_steps, future_steps(maker, grid), &n_known_steps) ||
        !size_mul(n_known_steps, n_known, &n_known_points))
        return toto_fail_memory(err, "the series", SIZE_MAX);
    *group = (struct group){.n_variates = n_rows,
                            .n_past = n_past,
                            .n_steps = n_steps,
                            .n_known = n_known,
                            .n_known_steps = n_known_steps};
    group->values = arena_items(arena, n_points, sizeof *group->values, err);
    group->observed = arena_items(arena, n_points, sizeof *group->observed, err);
    group->variates = arena_items(arena, n_rows, sizeof *group->variates, err);
    if (!group->values || !group->observed || !group->variates)
        return TOTO_STATUS_RESOURCE;
    if (!n_known)
        return TOTO_STATUS_OK;
    group->known = arena_items(arena, n_known_points, sizeof *group->known, err);
    group->known_observed = arena_items(arena, n_known_points, sizeof *group->known_observed, err);
    return group->known && group->known_observed ? TOTO_STATUS_OK : TOTO_STATUS_RESOURCE;
}

/* The key's covariates become the next rows of its group. */
static void covariates_join(const struct maker *maker, struct grid *grid, struct group *group,
                            size_t key)
{
    const struct toto_table *table = maker->table;
    const struct key_axis *axis = &maker->axes[key];
    size_t n_targets = group->n_variates - group->n_past;
    /* Times may be further apart than int64_t can tell. */
    uint64_t ahead = (uint64_t)(group->n_known_steps - group->n_steps) * (uint64_t)grid->step;
    int64_t end = (int64_t)((uint64_t)grid->last + ahead);
    for (size_t i = 0; i < table->n_pasts; i++) {
        size_t row = n_targets + grid->n_keys * table->n_pasts + i, at = row * group->n_steps;
        regularize_values(table, axis, table->n_targets + i, grid->last, group->n_steps,
                          maker->options.fill, group->values + at, group->observed + at);
        ((size_t *)group->variates)[row] = SIZE_MAX;
    }
    for (size_t i = 0; i < table->n_knowns; i++) {
        size_t at = (grid->n_keys * table->n_knowns + i) * group->n_known_steps;
        regularize_values(table, axis, table->n_targets + table->n_pasts + i, end,
                          group->n_known_steps, TOTO_FILL_NONE, group->known + at,
                          group->known_observed + at);
    }
    grid->n_keys++;
}

static enum toto_status groups_make(struct maker *maker, struct toto_error *err)
{
    struct toto_series *series = maker->series;
    series->groups = arena_items(&series->arena, series->n_groups, sizeof *series->groups, err);
    if (!series->groups)
        return TOTO_STATUS_RESOURCE;
    for (size_t i = 0; i < series->n_groups; i++) {
        enum toto_status status = group_alloc(maker, &maker->grids[i], &series->groups[i], err);
        if (status)
            return status;
        /* Counted again as they are filled in. */
        maker->grids[i].n_keys = 0;
        maker->grids[i].key = SIZE_MAX;
    }
    for (size_t i = 0; i < series->n_variates; i++) {
        struct variate *variate = &series->variates[i];
        if (variate->group == SIZE_MAX)
            continue;
        struct grid *grid = &maker->grids[variate->group];
        struct group *group = &series->groups[variate->group];
        size_t at = variate->row * group->n_steps, key = maker->choices[i].key;
        if (maker->axes[key].calendar.unit != grid->calendar.unit)
            key_axis_count_days(maker->table, &maker->axes[key]);
        ((size_t *)group->variates)[variate->row] = i;
        regularize_values(maker->table, &maker->axes[key], maker->choices[i].value, grid->last,
                          group->n_steps, maker->options.fill, group->values + at,
                          group->observed + at);
        if (grid->key != key)
            covariates_join(maker, grid, group, key);
        grid->key = key;
        variate->axis =
            axis_make(maker, key, grid->last_row, grid->last, grid->step, grid->calendar);
    }
    return TOTO_STATUS_OK;
}

/* Which variates see each other, where the options leave it open. */
static enum toto_status options_settle(struct maker *maker,
                                       const struct toto_series_options *options,
                                       struct toto_error *err)
{
    const struct toto_table *table = maker->table;
    if (options)
        maker->options = *options;
    if (maker->options.context == 0)
        maker->options.context = DEFAULT_CONTEXT;
    bool column = table->group_column != SIZE_MAX;
    if (maker->options.group == TOTO_GROUP_AUTO)
        maker->options.group = table->layout == TOTO_LAYOUT_WIDE ? TOTO_GROUP_ALL
                               : column                          ? TOTO_GROUP_COLUMN
                                                                 : TOTO_GROUP_NONE;
    if (maker->options.group == TOTO_GROUP_COLUMN && !column)
        return toto_fail(
            err, TOTO_STATUS_USAGE,
            "series are to be grouped by a column, but the table was read without one");
    return TOTO_STATUS_OK;
}

/* The parts of the maker and of the series whose sizes are known before the first key. */
static enum toto_status maker_alloc(struct maker *maker, struct toto_error *err)
{
    const struct toto_table *table = maker->table;
    struct toto_series *series = maker->series;
    size_t n_keys = table->ids.n_entries, most;
    const char *id =
        table->id_column == SIZE_MAX ? "unique_id" : table->columns[table->id_column].name;
    const char *time =
        table->time_column == SIZE_MAX ? "ds" : table->columns[table->time_column].name;
    series->delimiter = table->delimiter;
    series->id_name = arena_strndup(&series->arena, id, strlen(id));
    series->time_name = arena_strndup(&series->arena, time, strlen(time));
    if (!series->id_name || !series->time_name || !size_mul(n_keys, table->n_targets, &most))
        return toto_fail_memory(err, "the series", 0);
    series->variates = arena_items(&series->arena, most, sizeof *series->variates, err);
    maker->axes = items_alloc(n_keys, sizeof *maker->axes, err);
    maker->choices = items_alloc(most, sizeof *maker->choices, err);
    maker->grids = items_alloc(most, sizeof *maker->grids, err);
    maker->named_groups = items_alloc(table->groups.n_entries, sizeof *maker->named_groups, err);
    if (!series->variates || !maker->axes || !maker->choices || !maker->grids ||
        !maker->named_groups)
        return TOTO_STATUS_RESOURCE;
    maker->all_group = SIZE_MAX;
    for (size_t i = 0; i < table->groups.n_entries; i++)
        maker->named_groups[i] = SIZE_MAX;
    return rows_by_key(maker, err);
}

enum toto_status toto_series_make(const struct toto_table *table,
                                  const struct toto_series_options *options,
                                  struct toto_series **out, struct toto_error *err)
{
    struct maker maker = {.table = table};
    struct toto_error ignored;
    enum toto_status status;
    *out = NULL;
    if (!err)
        err = &ignored;
    if ((status = options_settle(&maker, options, err)))
        return status;
    if (!(maker.series = mem_calloc(1, sizeof *maker.series)))
        return toto_fail_memory(err, "the series", sizeof *maker.series);
    if ((status = maker_alloc(&maker, err)))
        goto done;
    for (size_t key = 0; key < table->ids.n_entries; key++)
        if ((status = key_select(&maker, key, err)))
            goto done;
    if ((status = groups_make(&maker, err)))
        goto done;
    log_info("%zu series in %zu group%s, %zu bad", maker.series->n_variates, maker.series->n_groups,
             maker.series->n_groups == 1 ? "" : "s", maker.series->n_bad);
    *out = maker.series;
    maker.series = NULL;

done:
    mem_free(maker.rows);
    mem_free(maker.key_starts);
    mem_free(maker.axes);
    mem_free(maker.choices);
    mem_free(maker.grids);
    mem_free(maker.named_groups);
    toto_series_free(maker.series);
    return status;
}

void toto_series_free(struct toto_series *series)
{
    if (!series)
        return;
    arena_free(&series->arena);
    mem_free(series);
}

size_t toto_series_count(const struct toto_series *series)
{
    return series->n_variates;
}

size_t toto_series_bad_count(const struct toto_series *series)
{
    return series->n_bad;
}
