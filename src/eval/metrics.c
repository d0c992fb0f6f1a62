/* Metrics: sums, and scores made of them. */
#include "metrics.h"

#include <assert.h>
#include <math.h>

static const double least_ratio = 0.01;

void metric_scale_grow(struct metric_scale *scale, const float *y, size_t from, size_t to, size_t season)
{
    assert(season >= 1);
    for (size_t t = from > season ? from : season; t < to; t++) {
        if (isnan(y[t]) || isnan(y[t - season]))
            continue;
        double error = (double)y[t] - (double)y[t - season];
        scale->n_pairs++;
        scale->absolute += fabs(error);
        scale->squared += error * error;
    }
}

/* The loss of a quantile's forecast, twice that of Koenker and Bassett (1978), so that the median's is |y - q|. */
static double pinball(double quantile, double outcome, double forecast)
{
    double error = outcome - forecast;
    return 2 * fmax(quantile * error, (quantile - 1) * error);
}

static void add_quantiles(struct metric_sums *sums, const struct metric_layout *layout, size_t step, double outcome,
                          const float *quantiles)
{
    size_t horizon = layout->horizon;
    for (size_t q = 0; q < layout->n_quantiles; q++)
        sums->pinball += pinball(layout->quantiles[q], outcome, (double)quantiles[q * horizon + step]);
    const float *levels = quantiles + layout->n_quantiles * horizon;
    for (size_t i = 0; i < layout->n_levels; i++) {
        double lo = (double)levels[2 * i * horizon + step], hi = (double)levels[(2 * i + 1) * horizon + step];
        sums->covered[i] += lo <= outcome && outcome <= hi;
    }
    sums->n_pinball++;
}

void metric_sums_add(struct metric_sums *sums, const struct metric_layout *layout, const struct metric_scale *scale,
                     const float *outcomes, const float *point, const float *quantiles)
{
    size_t n_points = 0;
    double absolute = 0, squared = 0;
    for (size_t step = 0; step < layout->horizon; step++) {
        if (isnan(outcomes[step]))
            continue;
        double outcome = (double)outcomes[step], forecast = (double)point[step], error = outcome - forecast;
        double size = fabs(outcome) + fabs(forecast);
        n_points++;
        absolute += fabs(error);
        squared += error * error;
        sums->symmetric += size > 0 ? 2 * fabs(error) / size : 0;
        sums->outcome += fabs(outcome);
        if (quantiles)
            add_quantiles(sums, layout, step, outcome, quantiles);
    }
    if (!n_points)
        return;
    sums->n_windows++;
    sums->n_points += n_points;
    sums->absolute += absolute;
    sums->squared += squared;
    /* Not one of the differences is other than 0 where their sum is 0. */
    if (!(scale->absolute > 0)) {
        sums->n_unscaled++;
        return;
    }
    sums->n_scaled += n_points;
    sums->scaled_absolute += absolute / (scale->absolute / (double)scale->n_pairs);
    sums->scaled_squared += squared / (scale->squared / (double)scale->n_pairs);
}

static double ratio(double sum, double divisor)
{
    return divisor > 0 ? sum / divisor : NAN;
}

double metric_score(const struct metric_sums *sums, const struct metric_layout *layout, size_t metric)
{
    double n = (double)sums->n_points, n_scaled = (double)sums->n_scaled;
    switch (metric) {
    case TOTO_METRIC_MAE:
        return ratio(sums->absolute, n);
    case TOTO_METRIC_MSE:
        return ratio(sums->squared, n);
    case TOTO_METRIC_RMSE:
        return sqrt(ratio(sums->squared, n));
    case TOTO_METRIC_SMAPE:
        return ratio(sums->symmetric, n);
    case TOTO_METRIC_MASE:
        return ratio(sums->scaled_absolute, n_scaled);
    case TOTO_METRIC_RMSSE:
        return sqrt(ratio(sums->scaled_squared, n_scaled));
    case TOTO_METRIC_WQL:
        return sums->n_pinball ? ratio(sums->pinball, (double)layout->n_quantiles * sums->outcome) : NAN;
    default:
        assert(metric < TOTO_N_METRICS + layout->n_levels);
        return ratio((double)sums->covered[metric - TOTO_N_METRICS], (double)sums->n_pinball);
    }
}

double metric_mean(const double *values, size_t n, size_t *n_counted)
{
    double sum = 0;
    *n_counted = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(values[i]))
            continue;
        sum += values[i];
        ++*n_counted;
    }
    return ratio(sum, (double)*n_counted);
}

double metric_geometric_mean(const double *values, size_t n, size_t *n_counted)
{
    double sum = 0;
    *n_counted = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(values[i]))
            continue;
        sum += log(fmax(values[i], least_ratio));
        ++*n_counted;
    }
    return *n_counted ? exp(sum / (double)*n_counted) : NAN;
}
