/* Baselines: naive, seasonal naive, drift and mean. */
#include "baselines.h"

#include <assert.h>
#include <float.h>
#include <math.h>

double normal_quantile(double probability)
{
    double lo = -40, hi = 40;
    if (probability <= 0 || probability >= 1)
        return probability <= 0 ? -INFINITY : INFINITY;
    /* Bisection until the two are neighbours: a run needs a handful of these, once. */
    for (;;) {
        double middle = lo + (hi - lo) / 2;
        if (!(middle > lo && middle < hi))
            return middle;
        if (0.5 * erfc(-middle / sqrt(2.0)) < probability)
            lo = middle;
        else
            hi = middle;
    }
}

/* Root of the residuals' squares over their degrees of freedom; 0 if there are none. */
static double residual_deviation(double squares, size_t n, size_t n_parameters)
{
    return n > n_parameters ? sqrt(squares / (double)(n - n_parameters)) : 0;
}

/* Deviation of y[t] - y[t - lag] - slope over the pairs that were both observed. */
static double pair_deviation(const struct baseline_history *history, size_t lag, double slope, size_t n_parameters)
{
    const float *y = history->y;
    double squares = 0;
    size_t n = 0;
    for (size_t t = lag; t < history->n; t++) {
        if (isnan(y[t]) || isnan(y[t - lag]))
            continue;
        double residual = (double)y[t] - (double)y[t - lag] - slope;
        squares += residual * residual;
        n++;
    }
    return residual_deviation(squares, n, n_parameters);
}

/* A forecast's normal distribution. */
struct normal {
    double mean, deviation;
};

/* What the steps of a baseline are computed from. */
struct fit {
    enum toto_baseline baseline;
    const struct baseline_history *history;
    size_t first, last;     /* points that were observed */
    double level, slope;    /* of naive, drift and mean */
    size_t n_observed, season;
    double deviation;       /* of the residuals */
};

static void fit_mean(struct fit *fit)
{
    const float *y = fit->history->y;
    double sum = 0, squares = 0;
    for (size_t t = fit->first; t <= fit->last; t++)
        sum += isnan(y[t]) ? 0 : (double)y[t];
    fit->level = sum / (double)fit->n_observed;
    for (size_t t = fit->first; t <= fit->last; t++)
        squares += isnan(y[t]) ? 0 : ((double)y[t] - fit->level) * ((double)y[t] - fit->level);
    fit->deviation = residual_deviation(squares, fit->n_observed, 1);
}

static struct fit fit_baseline(enum toto_baseline baseline, const struct baseline_history *history)
{
    const float *y = history->y;
    struct fit fit = {.baseline = baseline, .history = history, .first = history->n};
    for (size_t t = 0; t < history->n; t++) {
        if (isnan(y[t]))
            continue;
        fit.first = fit.n_observed ? fit.first : t;
        fit.last = t;
        fit.n_observed++;
    }
    assert(fit.n_observed > 0);
    fit.level = (double)y[fit.last];
    fit.season = history->n < history->season ? 1 : history->season;
    switch (baseline) {
    case TOTO_BASELINE_NAIVE:
        fit.deviation = pair_deviation(history, 1, 0, 0);
        break;
    case TOTO_BASELINE_SEASONAL_NAIVE:
        fit.deviation = pair_deviation(history, fit.season, 0, 0);
        break;
    case TOTO_BASELINE_DRIFT:
        if (fit.last > fit.first)
            fit.slope = (fit.level - (double)y[fit.first]) / (double)(fit.last - fit.first);
        fit.deviation = pair_deviation(history, 1, fit.slope, 1);
        break;
    case TOTO_BASELINE_MEAN:
        fit_mean(&fit);
        break;
    case TOTO_BASELINE_NONE:
        assert(!"a baseline");
    }
    return fit;
}

/* The value at a point, or the one before it that was observed. */
static double filled(const struct fit *fit, size_t t)
{
    const float *y = fit->history->y;
    t = t < fit->first ? fit->first : t;
    while (isnan(y[t]))
        t--;
    return (double)y[t];
}

/* The step-th point after the history; the first is 1. Table 5.2 of the source. */
static struct normal fit_step(const struct fit *fit, size_t step)
{
    size_t n = fit->history->n;
    double ahead = (double)step + (double)(n - 1 - fit->last);
    switch (fit->baseline) {
    case TOTO_BASELINE_SEASONAL_NAIVE:
        return (struct normal){filled(fit, n - fit->season + (step - 1) % fit->season),
                               fit->deviation * sqrt((double)((step - 1) / fit->season) + 1)};
    case TOTO_BASELINE_DRIFT: {
        double span = fit->last > fit->first ? (double)(fit->last - fit->first) : 1;
        return (struct normal){fit->level + ahead * fit->slope, fit->deviation * sqrt(ahead * (1 + ahead / span))};
    }
    case TOTO_BASELINE_MEAN:
        return (struct normal){fit->level, fit->deviation * sqrt(1 + 1 / (double)fit->n_observed)};
    case TOTO_BASELINE_NAIVE:
    default:
        return (struct normal){fit->level, fit->deviation * sqrt(ahead)};
    }
}

/* What leaves float32 stops at its end. */
static float narrowed(double x)
{
    return (float)fmax(fmin(x, (double)FLT_MAX), -(double)FLT_MAX);
}

void baseline_forecast(enum toto_baseline baseline, const struct baseline_history *history, size_t horizon,
                       const double *scores, size_t n_scores, float *point, float *quantiles)
{
    struct fit fit = fit_baseline(baseline, history);
    for (size_t h = 0; h < horizon; h++) {
        struct normal normal = fit_step(&fit, h + 1);
        point[h] = narrowed(normal.mean);
        for (size_t q = 0; quantiles && q < n_scores; q++)
            quantiles[q * horizon + h] =
                narrowed(normal.deviation > 0 ? normal.mean + scores[q] * normal.deviation : normal.mean);
    }
}
