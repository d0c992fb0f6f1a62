/* Regularize: the rows of one key become points of one step, gaps and missing cells filled. */
#ifndef TOTO_SERIES_REGULARIZE_H
#define TOTO_SERIES_REGULARIZE_H

#include "../table/table.h"

/* The rows of a key on their own time grid, last - k * step, in places of the calendar. Rows after
 * those of the context hold the future of known covariates, and no target. */
struct key_axis {
    const uint32_t *rows; /* [n_rows] of the table, by time */
    size_t n_rows, n_context;
    int64_t first, last, step; /* last: of the context */
    int64_t end;               /* of all rows */
    struct time_calendar calendar;
};

/* Sorts the key's rows by time and finds its step, which all times must fit. Months where every row stands on one day
 * of its month (the last, too) at one time of day: as many as divide all differences. Else the most frequent difference
 * of neighbours (of equally frequent ones the smallest): days where every row stands at one time of day, in the zone of
 * its cell, and a fixed length where not. Days are business days where no row falls on a weekend, two weeks or more are
 * passed and at least every other business day has a row. The future is what the table has from a file of its own,
 * which has no say in the step but that it may hold weekends; else, where covariates are known ahead, the rows at the
 * end without any target or covariate of the past, from the first that has a known value on. TOTO_STATUS_DATA on two
 * rows of one time, on a single row, on times off the grid and on a future that does not come after the context. */
enum toto_status key_axis_find(const struct toto_table *table, uint32_t *rows, size_t n_rows,
                               struct key_axis *axis, struct toto_error *err);

/* Makes an axis of business days one of all days, its weekends gaps. */
void key_axis_count_days(const struct toto_table *table, struct key_axis *axis);

/* Points that the grid from place first to place last has, at most `most`. */
size_t grid_points(int64_t first, int64_t last, int64_t step, size_t most);

/* Fills values and observed [n_steps] of the grid that ends at last; axis fits that grid. What was
 * observed before the window counts in the fill; rows after it are passed over. */
void regularize_values(const struct toto_table *table, const struct key_axis *axis, size_t value,
                       int64_t last, size_t n_steps, enum toto_fill fill, float *values,
                       uint8_t *observed);

/* The same of an array: the last n_steps of n points (n_steps <= n), NaN where missing. */
void regularize_array(const float *points, size_t n, size_t n_steps, enum toto_fill fill,
                      float *values, uint8_t *observed);

#endif
