/* Windows: parts of long series become series of their own, cut off as if the rest had never been read. */
#ifndef TOTO_SERIES_WINDOWS_H
#define TOTO_SERIES_WINDOWS_H

#include "series.h"

/* The points of a group before `origin`, which is in 1 .. n_steps. */
struct series_window {
    size_t group, origin;
};

/* Where a variate of the windows comes from. */
struct window_variate {
    size_t window, variate; /* indices into the windows, and into history->variates */
};

/* The whole of a table's series, to cut windows from: values are NaN where missing, so they are not for forecasting.
 * options as toto_series_make takes them; context and fill have no say. */
enum toto_status series_history_make(const struct toto_table *table, const struct toto_series_options *options,
                                     struct toto_series **history, struct toto_error *err);

/* Makes series of the last `context` points (0: the default) before each window's origin, filled: a group a window. A
 * target without any value before the origin is left out, and with it a group that has no other. Known covariates are
 * handed on up to `horizon` steps after the origin. (*variates)[i] tells where the i-th variate of *series comes from; it
 * lives as long as the series do. The variates' time axes are not told. */
enum toto_status series_windows_make(const struct toto_series *history, const struct series_window *windows,
                                     size_t n_windows, size_t context, size_t horizon, enum toto_fill fill,
                                     struct toto_series **series, const struct window_variate **variates,
                                     struct toto_error *err);

/* Whether the row has a value before the origin. */
bool series_window_has(const struct group *group, size_t row, size_t origin);

#endif
