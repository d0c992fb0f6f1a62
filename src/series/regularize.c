/* Rows to points of one step. */
#include "regularize.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct point {
    int64_t ticks;
    uint32_t row;
};

static bool point_before(struct point a, struct point b)
{
    return a.ticks != b.ticks ? a.ticks < b.ticks : a.row < b.row;
}

/* Moves the point at `root` down a heap of n whose later points are in order. */
static void sift_down(struct point *points, size_t root, size_t n)
{
    struct point moved = points[root];
    for (size_t child = 2 * root + 1; child < n; root = child, child = 2 * root + 1) {
        child += child + 1 < n && point_before(points[child], points[child + 1]);
        if (!point_before(moved, points[child]))
            break;
        points[root] = points[child];
    }
    points[root] = moved;
}

/* Heapsort: in place, and no order of rows makes it slow. */
static void points_sort(struct point *points, size_t n)
{
    for (size_t root = n / 2; root-- > 0;)
        sift_down(points, root, n);
    for (size_t end = n; end-- > 1;) {
        struct point largest = points[0];
        points[0] = points[end];
        points[end] = largest;
        sift_down(points, 0, end);
    }
}

/* b - a of a <= b, which may not fit int64_t. */
static uint64_t distance(int64_t a, int64_t b)
{
    assert(a <= b);
    return (uint64_t)b - (uint64_t)a;
}

/* The row's place on the axis; false if its calendar does not hold the time. */
static bool row_place(const struct toto_table *table, const struct key_axis *axis, size_t i, int64_t *place)
{
    *place = table->time_column == SIZE_MAX ? (int64_t)i : table_time(table, axis->rows[i]);
    if (axis->calendar.unit == COUNT_TICKS)
        return true;
    struct time_format format = table_time_format(table, axis->rows[i]);
    return time_calendar_place(&axis->calendar, &format, *place, place);
}

/* The same where all rows are known to be on the axis. */
static int64_t row_time(const struct toto_table *table, const struct key_axis *axis, size_t i)
{
    int64_t place;
    bool held = row_place(table, axis, i, &place);
    assert(held);
    (void)held;
    return place;
}

static void axis_ends_set(const struct toto_table *table, struct key_axis *axis)
{
    axis->first = row_time(table, axis, 0);
    axis->last = row_time(table, axis, axis->n_context - 1);
    axis->end = row_time(table, axis, axis->n_rows - 1);
}

/* A step for a person. */
static void step_show(const struct toto_table *table, const struct key_axis *axis, char out[TIME_TEXT_SIZE])
{
    static const struct {
        int64_t ns;
        const char *name;
    } units[] = {{86400000000000, "d"}, {3600000000000, "h"}, {60000000000, "min"},
                 {1000000000, "s"},     {1000000, "ms"},      {1, "ns"}};
    enum time_kind kind = table->keys[table_key(table, axis->rows[0])].format.kind;
    int64_t step = axis->step;
    size_t i = 0;
    if (axis->calendar.unit != COUNT_TICKS) {
        const char *unit = axis->calendar.unit == COUNT_MONTHS ? "month"
                           : axis->calendar.unit == COUNT_DAYS ? "day"
                                                               : "business day";
        snprintf(out, TIME_TEXT_SIZE, "%" PRId64 " %s%s", step, unit, step == 1 ? "" : "s");
    } else if (kind == TIME_STAMP) {
        while (step % units[i].ns)
            i++;
        snprintf(out, TIME_TEXT_SIZE, "%" PRId64 " %s", step / units[i].ns, units[i].name);
    } else {
        snprintf(out, TIME_TEXT_SIZE, "%" PRId64, step);
    }
}

/* The time of a row as its cell has it, offset and all. */
static void time_show(const struct toto_table *table, size_t row, char out[TIME_TEXT_SIZE])
{
    struct time_format format = table_time_format(table, row);
    timestamp_format(&format, table_time(table, row), out);
}

/* "series "a": " in long input, nothing in wide. */
static const char *key_show(const struct toto_table *table, size_t row, char out[80])
{
    out[0] = '\0';
    if (table->layout == TOTO_LAYOUT_LONG)
        snprintf(out, 80, "series \"%.60s\": ", table->ids.entries[table_key(table, row)].text);
    return out;
}

static enum toto_status rows_sort(const struct toto_table *table, uint32_t *rows, size_t n_rows,
                                  struct toto_error *err)
{
    size_t i = 1, bytes = SIZE_MAX;
    while (i < n_rows && table_time(table, rows[i - 1]) <= table_time(table, rows[i]))
        i++;
    if (i >= n_rows)
        return TOTO_STATUS_OK;
    struct point *points = size_mul(n_rows, sizeof *points, &bytes) ? mem_alloc(bytes) : NULL;
    if (!points)
        return toto_fail_memory(err, "sorting rows by time", bytes);
    for (i = 0; i < n_rows; i++)
        points[i] = (struct point){table_time(table, rows[i]), rows[i]};
    points_sort(points, n_rows);
    for (i = 0; i < n_rows; i++)
        rows[i] = points[i].row;
    mem_free(points);
    return TOTO_STATUS_OK;
}

static enum toto_status check_distinct(const struct toto_table *table, const struct key_axis *axis,
                                       struct toto_error *err)
{
    for (size_t i = 1; i < axis->n_rows; i++) {
        uint32_t earlier = axis->rows[i - 1], later = axis->rows[i];
        if (table_time(table, earlier) != table_time(table, later))
            continue;
        size_t line, other_line;
        char time[TIME_TEXT_SIZE], key[80];
        const char *path = table_place(table, later, &line);
        const char *other_path = table_place(table, earlier, &other_line);
        time_show(table, later, time);
        return table_fail(table, TOTO_STATUS_DATA, path, line, table->time_column, err,
                          "%sthe time %s stands at %s:%zu too; keep one of the two rows",
                          key_show(table, later, key), time, other_path, other_line);
    }
    return TOTO_STATUS_OK;
}

/* Rows of a file of the future come after all others. */
static enum toto_status check_future(const struct toto_table *table, const struct key_axis *axis,
                                     size_t n_input, struct toto_error *err)
{
    size_t future = 0, latest = axis->n_rows, line, latest_line;
    while (future < axis->n_rows && axis->rows[future] < table->future.first_row)
        future++;
    while (axis->rows[latest - 1] >= table->future.first_row)
        latest--;
    if (future == axis->n_rows || (future == n_input && row_time(table, axis, future) >
                                                            row_time(table, axis, future - 1)))
        return TOTO_STATUS_OK;
    char time[TIME_TEXT_SIZE], latest_time[TIME_TEXT_SIZE], key[80];
    const char *path = table_place(table, axis->rows[future], &line);
    const char *latest_path = table_place(table, axis->rows[latest - 1], &latest_line);
    time_show(table, axis->rows[future], time);
    time_show(table, axis->rows[latest - 1], latest_time);
    return table_fail(table, TOTO_STATUS_DATA, path, line, table->time_column, err,
                      "%sthe future begins after %s, the last time of the input (%s:%zu), and %s "
                      "is not; leave out the row",
                      key_show(table, axis->rows[future], key), latest_time, latest_path,
                      latest_line, time);
}

static bool has_value(const struct toto_table *table, size_t row, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++)
        if (!isnan(table_value(table, row, i)))
            return true;
    return false;
}

/* The rows before those that only tell what is known ahead; all of them where no target would be
 * left. */
static size_t context_rows(const struct toto_table *table, const struct key_axis *axis)
{
    size_t n_seen = table->n_targets + table->n_pasts, n_context = axis->n_rows;
    for (size_t i = axis->n_rows; i > 0; i--) {
        if (has_value(table, axis->rows[i - 1], 0, n_seen))
            return n_context;
        if (has_value(table, axis->rows[i - 1], n_seen, table->n_knowns))
            n_context = i - 1;
    }
    return axis->n_rows;
}

/* The most frequent difference of neighbours among the first n_rows. */
static enum toto_status step_find(const struct toto_table *table, struct key_axis *axis,
                                  size_t n_rows, struct toto_error *err)
{
    size_t n = n_rows - 1, i = 1, bytes = SIZE_MAX;
    if (n_rows == 1) {
        size_t line;
        char key[80];
        const char *path = table_place(table, axis->rows[0], &line);
        return table_fail(
            table, TOTO_STATUS_DATA, path, line, table->time_column, err,
            "%sone row has no time step to infer; give two rows, or leave out the time "
            "column",
            key_show(table, axis->rows[0], key));
    }
    axis->step = (int64_t)distance(axis->first, row_time(table, axis, 1));
    while (i < n &&
           distance(row_time(table, axis, i), row_time(table, axis, i + 1)) == (uint64_t)axis->step)
        i++;
    if (i == n && axis->step > 0)
        return TOTO_STATUS_OK;
    struct point *steps = size_mul(n, sizeof *steps, &bytes) ? mem_alloc(bytes) : NULL;
    if (!steps)
        return toto_fail_memory(err, "finding the time step", bytes);
    for (i = 0; i < n; i++) {
        /* A difference beyond int64_t turns negative here, and is passed over below. */
        uint64_t step = distance(row_time(table, axis, i), row_time(table, axis, i + 1));
        steps[i] = (struct point){.ticks = (int64_t)step};
    }
    points_sort(steps, n);
    size_t most = 0;
    axis->step = 0;
    for (size_t start = 0; start < n; start = i) {
        for (i = start; i < n && steps[i].ticks == steps[start].ticks; i++)
            ;
        if (steps[start].ticks > 0 && i - start > most) {
            most = i - start;
            axis->step = steps[start].ticks;
        }
    }
    mem_free(steps);
    return TOTO_STATUS_OK;
}

/* Whether the rows first .. first + n - 1 stand on one day of their months at one time of day, no two of them in one
 * month. Where each is the last of its month that is the day: 30 April and 30 June are month ends. */
static bool months_find(const struct toto_table *table, const struct key_axis *axis, size_t first, size_t n,
                        struct time_calendar *calendar)
{
    int64_t before = 0, place;
    bool ends = true;
    *calendar = (struct time_calendar){.unit = COUNT_MONTHS};
    for (size_t i = first; i < first + n; i++) {
        struct time_format format = table_time_format(table, axis->rows[i]);
        struct time_date date;
        if (!time_date_find(&format, table_time(table, axis->rows[i]), &date))
            return false;
        place = date.year * 12 + date.month;
        if (i > first && (place <= before || date.clock != calendar->clock))
            return false;
        before = place;
        calendar->clock = date.clock;
        calendar->day = date.day > calendar->day ? date.day : calendar->day;
        ends &= date.day == date.month_days;
    }
    if (ends)
        calendar->day = 31;
    for (size_t i = first; i < first + n; i++) {
        struct time_format format = table_time_format(table, axis->rows[i]);
        if (!time_calendar_place(calendar, &format, table_time(table, axis->rows[i]), &place))
            return false;
    }
    return true;
}

static int64_t greatest_common_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* A step of months, if the first n_rows make one. It goes before any fixed length: times on one day of their months are
 * 28 to 31 days apart, or 365 and 366, and only in a short series do these happen to be equal; a step of one day, which
 * always fits, would leave almost all points missing. */
static bool months_step_find(const struct toto_table *table, struct key_axis *axis, size_t n_rows)
{
    struct time_calendar calendar;
    if (n_rows < 2 || !months_find(table, axis, 0, n_rows, &calendar))
        return false;
    axis->calendar = calendar;
    axis->step = 0;
    for (size_t i = 1; i < n_rows; i++)
        axis->step = greatest_common_divisor(row_time(table, axis, i) - row_time(table, axis, i - 1), axis->step);
    return true;
}

/* Counts in another calendar, if each row has a place in it, after that of the row before; else leaves the axis. */
static bool axis_recount(const struct toto_table *table, struct key_axis *axis, struct time_calendar calendar)
{
    struct key_axis counted = *axis;
    int64_t before = 0, place;
    counted.calendar = calendar;
    for (size_t i = 0; i < axis->n_rows; i++, before = place)
        if (!row_place(table, &counted, i, &place) || (i > 0 && place <= before))
            return false;
    axis_ends_set(table, &counted);
    *axis = counted;
    return true;
}

/* Rows that all stand at one time of day are days, even where the zone changes, as with summer time, and they are 23 to
 * 25 hours apart. */
static void days_find(const struct toto_table *table, struct key_axis *axis)
{
    struct time_format format = table_time_format(table, axis->rows[0]);
    struct time_date first;
    if (time_date_find(&format, axis->first, &first))
        axis_recount(table, axis, (struct time_calendar){.unit = COUNT_DAYS, .clock = first.clock});
}

/* A step of one day becomes one of business days, where the rows keep to them. */
static void business_days_find(const struct toto_table *table, struct key_axis *axis)
{
    struct key_axis business = *axis;
    struct time_calendar calendar = {.unit = COUNT_BUSINESS_DAYS, .clock = axis->calendar.clock};
    if (axis->calendar.unit != COUNT_DAYS || axis->step != 1 || distance(axis->first, axis->end) < 14)
        return;
    if (axis_recount(table, &business, calendar) && distance(business.first, business.end) / 2 <= axis->n_rows)
        *axis = business;
}

/* Where at least half of the rows are whole months after the one before: the first row that keeps those up to it from
 * being a calendar of months; else 0. */
static size_t months_break(const struct toto_table *table, const struct key_axis *axis)
{
    size_t n_pairs = axis->n_rows - 1, n_months = 0;
    struct time_calendar calendar;
    for (size_t i = 0; i < n_pairs; i++)
        n_months += months_find(table, axis, i, 2, &calendar);
    if (!n_months || 2 * n_months < n_pairs)
        return 0;
    /* If some rows are none, no more rows are. */
    size_t held = 1, broken = axis->n_rows;
    while (broken - held > 1) {
        size_t middle = held + (broken - held) / 2;
        *(months_find(table, axis, 0, middle, &calendar) ? &held : &broken) = middle;
    }
    return broken - 1;
}

/* All times must be whole steps apart. */
static enum toto_status check_grid(const struct toto_table *table, const struct key_axis *axis,
                                   struct toto_error *err)
{
    int64_t before, place;
    size_t i = 1, line, other_line, months = 0;
    row_place(table, axis, 0, &before);
    for (; i < axis->n_rows && axis->step; i++, before = place)
        if (!row_place(table, axis, i, &place) || place <= before ||
            distance(before, place) % (uint64_t)axis->step)
            break;
    if (i == axis->n_rows)
        return TOTO_STATUS_OK;
    if (axis->calendar.unit != COUNT_MONTHS && (months = months_break(table, axis)))
        i = months;
    char time[TIME_TEXT_SIZE], other_time[TIME_TEXT_SIZE], step[TIME_TEXT_SIZE], key[80];
    const char *path = table_place(table, axis->rows[i], &line);
    const char *other_path = table_place(table, axis->rows[i - 1], &other_line);
    time_show(table, axis->rows[i], time);
    time_show(table, axis->rows[i - 1], other_time);
    step_show(table, axis, step);
    key_show(table, axis->rows[i], key);
    if (months)
        return table_fail(table, TOTO_STATUS_DATA, path, line, table->time_column, err,
                          "%sno fixed time step: %s is not on the day of the month, or at the time of day, of the rows "
                          "before it (%s at %s:%zu); correct the time or leave out the row",
                          key, time, other_time, other_path, other_line);
    bool zone_moves = table_offset_minutes(table, axis->rows[i]) != table_offset_minutes(table, axis->rows[i - 1]);
    return table_fail(table, TOTO_STATUS_DATA, path, line, table->time_column, err,
                      "%sno fixed time step: from %s (%s:%zu) to %s is no multiple of %s, the %s; %s",
                      key, other_time, other_path, other_line, time, step,
                      axis->calendar.unit == COUNT_MONTHS ? "step of the series" : "most frequent step",
                      zone_moves ? "the zone changes between the two: write the times without it, days as dates alone"
                                 : "correct the time or leave out the row");
}

/* The step of the first n_input rows, and the calendar that it counts in. */
static enum toto_status axis_step_find(const struct toto_table *table, struct key_axis *axis, size_t n_input,
                                       struct toto_error *err)
{
    enum toto_status status = TOTO_STATUS_OK;
    if (!months_step_find(table, axis, n_input)) {
        days_find(table, axis);
        if ((status = step_find(table, axis, n_input, err)))
            return status;
        business_days_find(table, axis);
    }
    return check_grid(table, axis, err);
}

enum toto_status key_axis_find(const struct toto_table *table, uint32_t *rows, size_t n_rows,
                               struct key_axis *axis, struct toto_error *err)
{
    size_t n_input = n_rows;
    while (n_input > 0 && rows[n_input - 1] >= table->future.first_row)
        n_input--;
    assert(n_input > 0);
    *axis = (struct key_axis){.rows = rows, .n_rows = n_rows, .n_context = n_input, .step = 1};
    enum toto_status status = TOTO_STATUS_OK;
    if (table->time_column != SIZE_MAX && (status = rows_sort(table, rows, n_rows, err)))
        return status;
    if (table->future.first_row == SIZE_MAX && table->n_knowns)
        axis->n_context = context_rows(table, axis);
    axis_ends_set(table, axis);
    if (table->time_column == SIZE_MAX)
        return TOTO_STATUS_OK;
    if ((status = check_future(table, axis, n_input, err)) ||
        (status = check_distinct(table, axis, err)) ||
        (status = axis_step_find(table, axis, n_input, err))) {
        axis->step = 0;
        axis->calendar = (struct time_calendar){0};
        return status;
    }
    axis_ends_set(table, axis);
    return TOTO_STATUS_OK;
}

void key_axis_count_days(const struct toto_table *table, struct key_axis *axis)
{
    axis->calendar.unit = COUNT_DAYS;
    axis_ends_set(table, axis);
}

size_t grid_points(int64_t first, int64_t last, int64_t step, size_t most)
{
    uint64_t steps = distance(first, last) / (uint64_t)step;
    return steps >= most ? most : (size_t)steps + 1;
}

/* The last value that was observed before a gap, and its place; places before the window are
 * negative and may be far away, so they are doubles. */
struct anchor {
    bool known;
    double place;
    float value;
};

/* Points start to stop - 1 after the anchor, before the value at stop. */
static void gap_fill(enum toto_fill fill, struct anchor before, size_t start, size_t stop,
                     float after, float *values)
{
    for (size_t i = start; i < stop; i++) {
        if (fill == TOTO_FILL_NONE || !before.known)
            values[i] = 0;
        else if (fill == TOTO_FILL_FFILL)
            values[i] = before.value;
        else
            values[i] =
                (float)(before.value + ((double)after - before.value) * ((double)i - before.place) /
                                           ((double)stop - before.place));
    }
}

/* Points on their way into an array that is zeroed where nothing was observed. */
struct filling {
    enum toto_fill fill;
    struct anchor before;
    size_t next; /* the first point that is not written yet */
    float *values;
    uint8_t *observed;
};

/* An observed value, at a later place than the one before it; the gap between the two is filled. */
static void point_put(struct filling *to, size_t place, float x)
{
    gap_fill(to->fill, to->before, to->next, place, x, to->values);
    to->values[place] = x;
    to->observed[place] = 1;
    to->before = (struct anchor){true, (double)place, x};
    to->next = place + 1;
}

/* What is left behind the last value. */
static void filling_end(const struct filling *to, size_t n_steps)
{
    gap_fill(to->fill, to->before, to->next, n_steps, to->before.value, to->values);
}

void regularize_values(const struct toto_table *table, const struct key_axis *axis, size_t value,
                       int64_t last, size_t n_steps, enum toto_fill fill, float *values,
                       uint8_t *observed)
{
    uint64_t step = (uint64_t)axis->step;
    struct filling to = {.fill = fill, .values = values, .observed = observed};
    size_t n_rows = axis->n_rows;
    while (n_rows > 0 && row_time(table, axis, n_rows - 1) > last)
        n_rows--;
    size_t i = n_rows;
    /* Back to the first row in the window, and on to the last observed row before it. */
    while (i > 0) {
        uint64_t back = distance(row_time(table, axis, i - 1), last) / step;
        float x = table_value(table, axis->rows[i - 1], value);
        if (back >= n_steps && !isnan(x)) {
            to.before = (struct anchor){true, (double)(n_steps - 1) - (double)back, x};
            break;
        }
        i--;
    }
    memset(observed, 0, n_steps);
    for (; i < n_rows; i++) {
        uint64_t back = distance(row_time(table, axis, i), last) / step;
        float x = table_value(table, axis->rows[i], value);
        if (back >= n_steps || isnan(x))
            continue;
        point_put(&to, n_steps - 1 - (size_t)back, x);
    }
    filling_end(&to, n_steps);
}

void regularize_array(const float *points, size_t n, size_t n_steps, enum toto_fill fill,
                      float *values, uint8_t *observed)
{
    struct filling to = {.fill = fill, .values = values, .observed = observed};
    size_t first = n - n_steps, i = first;
    while (i > 0 && !to.before.known) {
        i--;
        if (!isnan(points[i]))
            to.before = (struct anchor){true, -(double)(first - i), points[i]};
    }
    memset(observed, 0, n_steps);
    for (size_t place = 0; place < n_steps; place++)
        if (!isnan(points[first + place]))
            point_put(&to, place, points[first + place]);
    filling_end(&to, n_steps);
}
