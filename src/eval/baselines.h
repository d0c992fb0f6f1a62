/* Baselines: the four simple methods that a model has to beat, with Gaussian quantiles.
 *
 * Source: Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd edition (2021), 5.2 (the methods), 5.5
 * (equation 5.1 and table 5.2: the standard deviation of a forecast from that of the one-step residuals). Where values
 * are missing, residuals are those of pairs that were both observed, and naive and drift count their steps from the last
 * value that was observed. Seasonal naive repeats the last season of values in which a missing one is the value before
 * it (the first of all: the value after it); a history shorter than a season is forecast as if its season were 1. */
#ifndef TOTO_EVAL_BASELINES_H
#define TOTO_EVAL_BASELINES_H

#include "../base/status.h"

/* The standard normal's quantile; of 0 and 1 infinite. */
double normal_quantile(double probability);

/* The points that a baseline sees, NaN where missing: n >= 1, one of them observed. */
struct baseline_history {
    const float *y;
    size_t n, season; /* season >= 1 */
};

/* Forecasts `horizon` steps: point [horizon], and, unless NULL, quantiles [n_scores][horizon], of which scores are the
 * standard normal's. The standard deviation is 0 where there are too few residuals. All are finite: what leaves float32
 * stops at its end. */
void baseline_forecast(enum toto_baseline baseline, const struct baseline_history *history, size_t horizon,
                       const double *scores, size_t n_scores, float *point, float *quantiles);

#endif
