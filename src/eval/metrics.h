/* Metrics: what a forecast is worth, from sums over the points whose outcome was observed.
 *
 * y is the outcome, f the point forecast, q a quantile's forecast, all of one point; means and sums are over the
 * observed points of all windows of a series. man/toto-eval.1 says the same with its sources.
 *
 *     MAE    mean |y - f|          RMSE   sqrt MSE
 *     MSE    mean (y - f)^2        sMAPE  mean 2 |y - f| / (|y| + |f|), 0 where both are 0
 *     MASE   mean |y - f| / a      RMSSE  sqrt mean (y - f)^2 / b,   a and b of the window's scale
 *     WQL    mean over quantiles k of 2 sum max(k (y - q), (k - 1) (y - q)) / sum |y|
 *     coverage of a level          share of lo <= y <= hi
 */
#ifndef TOTO_EVAL_METRICS_H
#define TOTO_EVAL_METRICS_H

#include "../base/status.h"

/* What errors are scaled by: in-sample errors of seasonal naive over the pairs of points a season apart that were both
 * observed (Hyndman and Koehler 2006, section 3, with the season as in Hyndman and Athanasopoulos 2021, 5.8). Grown
 * point by point; zeroed, it has none. */
struct metric_scale {
    size_t n_pairs;
    double absolute, squared; /* sums */
};

/* Adds the pairs that end at the points from .. to - 1 of y (NaN: missing). season >= 1. */
void metric_scale_grow(struct metric_scale *scale, const float *y, size_t from, size_t to, size_t season);

/* What is scored: quantiles of the weighted loss, then lo and hi of each level, as forecasts hold them. */
struct metric_layout {
    size_t horizon;
    const double *quantiles; /* [n_quantiles], each in [0, 1] */
    size_t n_quantiles, n_levels;
};

/* A series' sums; zeroed but for `covered`, they are empty. */
struct metric_sums {
    size_t n_windows;  /* with any observed outcome */
    size_t n_points;   /* observed outcomes */
    size_t n_unscaled; /* windows among them whose scale is 0 or has no pair */
    size_t n_scaled;   /* points of all others */
    double absolute, squared, symmetric, outcome; /* of |y - f|, (y - f)^2, the term of sMAPE, |y| */
    double scaled_absolute, scaled_squared;
    double pinball;    /* summed over quantiles too */
    size_t n_pinball;  /* points whose quantiles were forecast */
    size_t *covered;   /* [n_levels] of these points; zeroed at first; not owned */
};

/* Adds a window. outcomes and point are [horizon], NaN where the outcome is missing; quantiles is
 * [n_quantiles + 2 n_levels][horizon], or NULL: only points were forecast. */
void metric_sums_add(struct metric_sums *sums, const struct metric_layout *layout, const struct metric_scale *scale,
                     const float *outcomes, const float *point, const float *quantiles);

/* The score, or NAN if its divisor is 0. metric: an enum toto_metric, or TOTO_N_METRICS + the number of a level. */
double metric_score(const struct metric_sums *sums, const struct metric_layout *layout, size_t metric);

/* Mean of the n values that are not NaN, and how many they are; NAN of none. */
double metric_mean(const double *values, size_t n, size_t *n_counted);

/* The same of ratios, geometric. A ratio below 0.01 counts as 0.01, so that one perfect series does not make all of
 * the others' errors 0. */
double metric_geometric_mean(const double *values, size_t n, size_t *n_counted);

#endif
