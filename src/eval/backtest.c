/* Backtest: windows of a table's series are cut off at their origins, forecast together, and scored. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "../base/log.h"
#include "../base/memory.h"
#include "../forecast/engine.h"
#include "../series/windows.h"
#include "../table/season.h"
#include "baselines.h"
#include "metrics.h"
#include "plan.h"

/* Bytes of contexts that are forecast in one run: enough windows to fill any batch. */
enum { RUN_BYTES = 64 << 20 };

struct toto_backtest {
    enum toto_fill fill;
    size_t context;
    enum toto_on_error on_error;
    struct toto_series *history;   /* whole; a target is a variate */
    struct metric_layout layout;
    double *quantiles;             /* [n_quantiles] of the layout, then lo and hi of each level */
    size_t n_quantiles;            /* of all these */
    size_t *seasons;               /* [n_variates] */
    bool *scored;                  /* [n_variates] whether there are windows of it */
    struct series_window *windows; /* group by group, from the earliest */
    size_t n_windows, n_targets;   /* targets: of all windows */
    size_t *first_scale;           /* [n_windows] */
    struct metric_scale *scales;   /* a target of a window, by its row */
    struct metric_sums *naive;     /* [n_variates] of seasonal naive, without quantiles but those of levels */
    size_t *naive_covered;
    size_t n_bad;
};

static size_t n_scores_of(const struct toto_backtest *backtest)
{
    return TOTO_N_METRICS + backtest->layout.n_levels;
}

static size_t group_targets(const struct group *group)
{
    return group->n_variates - group->n_past;
}

/* Empty sums of n series, and what they own in *covered; NULL if there is no memory. */
static struct metric_sums *make_sums(size_t n, size_t n_levels, size_t **covered)
{
    size_t n_covered;
    struct metric_sums *sums = mem_calloc(n, sizeof *sums);
    *covered = size_mul(n, n_levels, &n_covered) ? mem_calloc(n_covered, sizeof **covered) : NULL;
    if (!sums || !*covered) {
        mem_free(sums);
        mem_free(*covered);
        *covered = NULL;
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        sums[i].covered = *covered + i * n_levels;
    return sums;
}

/* ---- Windows ------------------------------------------------------------------------------------------- */

/* How many of the windows have a point before their origin. */
static size_t fitting_windows(const struct group *group, const struct toto_backtest_options *options)
{
    if (group->n_steps <= options->horizon)
        return 0;
    return size_min(options->n_windows, (group->n_steps - options->horizon - 1) / options->step + 1);
}

/* A group that no window fits is bad. */
static enum toto_status refuse_group(struct toto_backtest *backtest, const struct group *group, size_t horizon,
                                     struct toto_error *err)
{
    const char *id = backtest->history->variates[group->variates[0]].id;
    struct toto_error own;
    toto_fail(&own, TOTO_STATUS_DATA,
              "series \"%.60s\": its %zu point%s hold no window, which is a point and a horizon of %zu; lower --horizon",
              id, group->n_steps, group->n_steps == 1 ? "" : "s", horizon);
    if (backtest->on_error == TOTO_ON_ERROR_FAIL)
        return toto_fail(err, TOTO_STATUS_DATA, "%s", own.message);
    log_warn("%s", own.message);
    backtest->n_bad += group_targets(group);
    return TOTO_STATUS_OK;
}

/* Counts windows, and their targets, of which there is room in memory afterwards. */
static enum toto_status count_windows(struct toto_backtest *backtest, const struct toto_backtest_options *options,
                                      struct toto_error *err)
{
    const struct toto_series *history = backtest->history;
    size_t n_short = 0, first_short = 0;
    for (size_t g = 0; g < history->n_groups; g++) {
        const struct group *group = &history->groups[g];
        size_t n = fitting_windows(group, options), n_targets;
        if (!n) {
            enum toto_status status = refuse_group(backtest, group, options->horizon, err);
            if (status)
                return status;
            continue;
        }
        if (!size_mul(n, group_targets(group), &n_targets) ||
            !size_add(backtest->n_targets, n_targets, &backtest->n_targets))
            return toto_fail_memory(err, "the windows", SIZE_MAX);
        backtest->n_windows += n;
        if (n < options->n_windows && n_short++ == 0)
            first_short = g;
    }
    if (n_short) {
        const struct group *group = &history->groups[first_short];
        log_warn("%zu of %zu windows fit the %zu points of series \"%.60s\"%s", fitting_windows(group, options),
                 options->n_windows, group->n_steps, history->variates[group->variates[0]].id,
                 n_short > 1 ? ", and less than all fit others" : "");
    }
    return TOTO_STATUS_OK;
}

/* Scales of a window's targets: those of the window before it of the same group, grown. */
static void grow_scales(struct toto_backtest *backtest, size_t window)
{
    const struct series_window *own = &backtest->windows[window];
    const struct group *group = &backtest->history->groups[own->group];
    bool first = window == 0 || own[-1].group != own->group;
    struct metric_scale *scales = backtest->scales + backtest->first_scale[window];
    for (size_t row = 0; row < group_targets(group); row++) {
        scales[row] = first ? (struct metric_scale){0} : backtest->scales[backtest->first_scale[window - 1] + row];
        metric_scale_grow(&scales[row], group->values + row * group->n_steps, first ? 0 : own[-1].origin, own->origin,
                          backtest->seasons[group->variates[row]]);
    }
}

static enum toto_status make_windows(struct toto_backtest *backtest, const struct toto_backtest_options *options,
                                     struct toto_error *err)
{
    const struct toto_series *history = backtest->history;
    enum toto_status status = count_windows(backtest, options, err);
    if (status)
        return status;
    size_t n = backtest->n_windows, window = 0, target = 0;
    backtest->windows = mem_calloc(n, sizeof *backtest->windows);
    backtest->first_scale = mem_calloc(n, sizeof *backtest->first_scale);
    backtest->scales = mem_calloc(backtest->n_targets, sizeof *backtest->scales);
    if (!backtest->windows || !backtest->first_scale || !backtest->scales)
        return toto_fail_memory(err, "the windows", n);
    for (size_t g = 0; g < history->n_groups; g++) {
        const struct group *group = &history->groups[g];
        for (size_t left = fitting_windows(group, options); left > 0; left--) {
            size_t origin = group->n_steps - options->horizon - (left - 1) * options->step;
            backtest->windows[window] = (struct series_window){g, origin};
            backtest->first_scale[window] = target;
            grow_scales(backtest, window);
            target += group_targets(group);
            window++;
        }
        for (size_t row = 0; row < group_targets(group); row++)
            backtest->scored[group->variates[row]] = fitting_windows(group, options) > 0;
    }
    return TOTO_STATUS_OK;
}

/* ---- Scoring of a window ------------------------------------------------------------------------------- */

/* Adds the forecast of a target of a window to the sums of its series. */
static void add_forecast(const struct toto_backtest *backtest, const struct metric_layout *layout, size_t window,
                         size_t row, const float *point, const float *quantiles, struct metric_sums *sums)
{
    const struct series_window *own = &backtest->windows[window];
    const struct group *group = &backtest->history->groups[own->group];
    metric_sums_add(&sums[group->variates[row]], layout, &backtest->scales[backtest->first_scale[window] + row],
                    group->values + row * group->n_steps + own->origin, point, quantiles);
}

/* ---- Baselines ----------------------------------------------------------------------------------------- */

/* The sums of a baseline over all windows. scores: the standard normal's quantiles of the layout's, lo and hi of each
 * level among them. */
static enum toto_status run_baseline(const struct toto_backtest *backtest, enum toto_baseline baseline,
                                     const struct metric_layout *layout, const double *scores,
                                     toto_progress *progress, void *user, struct metric_sums *sums,
                                     struct toto_error *err)
{
    size_t n_scores = layout->n_quantiles + 2 * layout->n_levels, n_values;
    float *point = NULL;
    if (size_mul(layout->horizon, 1 + n_scores, &n_values))
        point = mem_calloc(n_values, sizeof *point);
    if (!point)
        return toto_fail_memory(err, "the baseline", SIZE_MAX);
    for (size_t w = 0; w < backtest->n_windows; w++) {
        const struct series_window *window = &backtest->windows[w];
        const struct group *group = &backtest->history->groups[window->group];
        for (size_t row = 0; row < group_targets(group); row++) {
            if (!series_window_has(group, row, window->origin))
                continue;
            struct baseline_history history = {group->values + row * group->n_steps, window->origin,
                                               backtest->seasons[group->variates[row]]};
            baseline_forecast(baseline, &history, layout->horizon, scores, n_scores, point, point + layout->horizon);
            add_forecast(backtest, layout, w, row, point, point + layout->horizon, sums);
        }
        if (progress)
            progress(user, w + 1, backtest->n_windows);
    }
    mem_free(point);
    return TOTO_STATUS_OK;
}

/* The standard normal's quantiles; NULL if there is no memory. */
static double *normal_scores(const double *quantiles, size_t n)
{
    double *scores = mem_calloc(n, sizeof *scores);
    for (size_t i = 0; scores && i < n; i++)
        scores[i] = normal_quantile(quantiles[i]);
    return scores;
}

/* What relative scores are divided by. */
static enum toto_status score_naive(struct toto_backtest *backtest, struct toto_error *err)
{
    struct metric_layout layout = backtest->layout;
    layout.n_quantiles = 0; /* its quantile loss is that of its point forecast */
    double *scores = normal_scores(backtest->quantiles + backtest->layout.n_quantiles, 2 * layout.n_levels);
    backtest->naive = make_sums(backtest->history->n_variates, layout.n_levels, &backtest->naive_covered);
    enum toto_status status = scores && backtest->naive
                                  ? run_baseline(backtest, TOTO_BASELINE_SEASONAL_NAIVE, &layout, scores, NULL, NULL,
                                                 backtest->naive, err)
                                  : toto_fail_memory(err, "the baseline", SIZE_MAX);
    mem_free(scores);
    return status;
}

/* Says of how many series scores that are read will be missing, and why. */
static void tell_missing(const struct toto_backtest *backtest, unsigned unread)
{
    static const struct {
        unsigned kind; /* 0: scores of every kind */
        const char *scores, *reason;
    } missing[] = {
        {0, "scores", "no window has a value before its origin and one after it"},
        {TOTO_SCORE_SCALED, "MASE and RMSSE",
         "no origin has a value before it that differs from the one a season earlier"},
        {TOTO_SCORE_WEIGHTED, "WQL", "all outcomes are 0"},
        {TOTO_SCORE_RELATIVE, "relative scores", "seasonal naive makes no error"},
    };
    for (size_t reason = 0; reason < sizeof missing / sizeof *missing; reason++) {
        if (missing[reason].kind & unread)
            continue;
        size_t n = 0, first = 0;
        for (size_t i = 0; i < backtest->history->n_variates; i++) {
            const struct metric_sums *naive = &backtest->naive[i];
            unsigned kind = missing[reason].kind;
            bool holds = kind == 0                     ? !naive->n_points
                         : kind == TOTO_SCORE_SCALED   ? naive->n_points && !naive->n_scaled
                         : kind == TOTO_SCORE_WEIGHTED ? naive->n_points && !(naive->outcome > 0)
                                                       : naive->n_points && !(naive->absolute > 0);
            if (backtest->scored[i] && holds && n++ == 0)
                first = i;
        }
        if (n)
            log_warn("no %s of %zu series (the first is \"%.60s\"): %s", missing[reason].scores, n,
                     backtest->history->variates[first].id, missing[reason].reason);
    }
}

/* ---- Make ---------------------------------------------------------------------------------------------- */

static enum toto_status copy_layout(struct toto_backtest *backtest, const struct toto_backtest_options *options,
                                    struct toto_error *err)
{
    size_t n_quantiles = options->n_quantiles, n_levels = options->n_levels;
    backtest->n_quantiles = n_quantiles + 2 * n_levels;
    double *all = backtest->quantiles = mem_calloc(backtest->n_quantiles, sizeof *all);
    if (!all)
        return toto_fail_memory(err, "the quantiles", backtest->n_quantiles * sizeof *all);
    for (size_t i = 0; i < n_quantiles; i++)
        all[i] = options->quantiles[i];
    for (size_t i = 0; i < n_levels; i++) {
        double lo = (1 - options->levels[i] / 100) / 2;
        all[n_quantiles + 2 * i] = lo;
        all[n_quantiles + 2 * i + 1] = 1 - lo;
    }
    backtest->layout = (struct metric_layout){options->horizon, all, n_quantiles, n_levels};
    return TOTO_STATUS_OK;
}

/* Seasons as given, or as the times of each series say. */
static enum toto_status find_seasons(struct toto_backtest *backtest, size_t season, struct toto_error *err)
{
    const struct toto_series *history = backtest->history;
    size_t n = history->n_variates;
    bool untold = false;
    backtest->seasons = mem_calloc(n, sizeof *backtest->seasons);
    backtest->scored = mem_calloc(n, sizeof *backtest->scored);
    if (!backtest->seasons || !backtest->scored)
        return toto_fail_memory(err, "the seasons", n * sizeof *backtest->seasons);
    for (size_t i = 0; i < n; i++) {
        enum time_kind kind = history->variates[i].axis.format.kind;
        backtest->seasons[i] = season ? season : time_axis_season(&history->variates[i].axis);
        untold |= !season && backtest->seasons[i] == 1 && (kind == TIME_NONE || kind == TIME_INTEGER);
    }
    if (untold)
        log_warn("the times say no frequency, so the season is 1 step; --season gives another");
    return TOTO_STATUS_OK;
}

enum toto_status toto_backtest_make(const struct toto_table *table, const struct toto_series_options *series,
                                    const struct toto_backtest_options *options, struct toto_backtest **out,
                                    struct toto_error *err)
{
    struct toto_series_options settled = series ? *series : (struct toto_series_options){.context = 0};
    struct toto_backtest_options own = *options;
    enum toto_status status;
    *out = NULL;
    if (!own.horizon || !own.n_windows)
        return toto_fail(err, TOTO_STATUS_USAGE, "a backtest has a horizon and windows of at least 1");
    own.step = own.step ? own.step : own.horizon;
    struct toto_backtest *backtest = mem_calloc(1, sizeof *backtest);
    if (!backtest)
        return toto_fail_memory(err, "the backtest", sizeof *backtest);
    backtest->fill = settled.fill;
    backtest->context = settled.context ? settled.context : DEFAULT_CONTEXT;
    backtest->on_error = settled.on_error;
    if ((status = series_history_make(table, &settled, &backtest->history, err)) ||
        (status = copy_layout(backtest, &own, err)) || (status = find_seasons(backtest, own.season, err)))
        goto done;
    backtest->n_bad = backtest->history->n_bad;
    if ((status = make_windows(backtest, &own, err)) || (status = score_naive(backtest, err)))
        goto done;
    tell_missing(backtest, options->unread);
    *out = backtest;
    backtest = NULL;
done:
    toto_backtest_free(backtest);
    return status;
}

void toto_backtest_free(struct toto_backtest *backtest)
{
    if (!backtest)
        return;
    toto_series_free(backtest->history);
    mem_free(backtest->quantiles);
    mem_free(backtest->seasons);
    mem_free(backtest->scored);
    mem_free(backtest->windows);
    mem_free(backtest->first_scale);
    mem_free(backtest->scales);
    mem_free(backtest->naive);
    mem_free(backtest->naive_covered);
    mem_free(backtest);
}

size_t toto_backtest_window_count(const struct toto_backtest *backtest)
{
    return backtest->n_windows;
}

size_t toto_backtest_bad_count(const struct toto_backtest *backtest)
{
    return backtest->n_bad;
}

/* ---- Models -------------------------------------------------------------------------------------------- */

/* A run over windows that are in memory together. */
struct model_run {
    const struct toto_backtest *backtest;
    const struct window_variate *variates; /* of the windows from `first` on */
    size_t first;
    bool has_quantiles;
    struct metric_sums *sums;
    toto_progress *progress;
    void *user;
};

static enum toto_status score_forecast(void *user, const struct toto_forecast *forecast, struct toto_error *err)
{
    struct model_run *run = user;
    const struct window_variate *source = &run->variates[forecast->series];
    size_t window = run->first + source->window;
    (void)err;
    assert(!forecast->missing);
    add_forecast(run->backtest, &run->backtest->layout, window,
                 run->backtest->history->variates[source->variate].row, forecast->point,
                 run->has_quantiles ? forecast->quantiles : NULL, run->sums);
    if (run->progress)
        run->progress(run->user, window + 1, run->backtest->n_windows);
    return TOTO_STATUS_OK;
}

/* The windows from `first` on whose contexts take up to `most` bytes, at least one. */
static size_t run_length(const struct toto_backtest *backtest, size_t first, size_t most)
{
    size_t n = 0, total = 0;
    for (; first + n < backtest->n_windows; n++) {
        const struct group *group = &backtest->history->groups[backtest->windows[first + n].group];
        size_t steps = size_min(backtest->context, backtest->windows[first + n].origin);
        size_t points = steps * group->n_variates + (steps + backtest->layout.horizon) * group->n_known;
        total += points * (sizeof *group->values + sizeof *group->observed);
        if (n && total > most)
            break;
    }
    return n;
}

/* The series of the n windows from `first` on. */
static enum toto_status make_run(void *user, size_t n, struct toto_series **series, struct toto_error *err)
{
    struct model_run *run = user;
    const struct toto_backtest *backtest = run->backtest;
    return series_windows_make(backtest->history, backtest->windows + run->first, n, backtest->context,
                               backtest->layout.horizon, backtest->fill, series, &run->variates, err);
}

static enum toto_status run_model(const struct toto_backtest *backtest, const struct toto_forecaster *forecaster,
                                  const struct toto_forecast_options *given, toto_progress *progress, void *user,
                                  struct metric_sums *sums, struct toto_error *err)
{
    struct model_run run = {.backtest = backtest, .sums = sums, .progress = progress, .user = user};
    struct toto_forecast_options options = *given;
    size_t most = options.memory ? size_min(RUN_BYTES, options.memory / 4) : RUN_BYTES;
    run.has_quantiles = options.n_samples > 0 || !engine_of(forecaster->model)->has_samples;
    options.horizon = backtest->layout.horizon;
    options.quantiles = backtest->quantiles;
    options.n_quantiles = run.has_quantiles ? backtest->n_quantiles : 0;
    options.keep_samples = false;
    enum toto_status status = TOTO_STATUS_OK;
    for (size_t n; run.first < backtest->n_windows && !status; run.first += n) {
        struct toto_series *series = NULL;
        n = run_length(backtest, run.first, most);
        status = windows_plan(forecaster, &options, make_run, &run, &n, &series, err);
        if (!status)
            status = toto_forecast_run(forecaster->model, forecaster->device, series, &options, score_forecast, &run,
                                       err);
        toto_series_free(series);
    }
    return status;
}

/* ---- Report -------------------------------------------------------------------------------------------- */

/* The report and all that it points to are one block. */
static struct toto_backtest_report *alloc_report(size_t n_series, size_t n_scores)
{
    struct toto_backtest_report *report;
    size_t n_doubles, bytes, series_bytes;
    /* Scores and relative scores of each series and of the mean, and geometric means; counts of both. */
    if (!size_mul(2 * n_scores, n_series + 3, &n_doubles) || !size_mul(n_doubles, sizeof(double), &bytes) ||
        !size_mul(n_series, sizeof *report->series, &series_bytes) || !size_add(bytes, series_bytes, &bytes) ||
        !size_add(bytes, sizeof *report + 2 * n_scores * sizeof(size_t), &bytes))
        return NULL;
    report = mem_calloc(1, bytes);
    if (!report)
        return NULL;
    *report = (struct toto_backtest_report){.n_series = n_series, .n_scores = n_scores};
    report->series = (struct toto_backtest_score *)(report + 1);
    double *next = (double *)(report->series + n_series);
    for (size_t i = 0; i <= n_series; i++, next += 2 * n_scores) {
        struct toto_backtest_score *score = i < n_series ? &report->series[i] : &report->mean;
        score->scores = next;
        score->relative = next + n_scores;
    }
    report->geometric_mean = next;
    report->n_scored = (size_t *)(next + n_scores);
    report->n_related = report->n_scored + n_scores;
    return report;
}

/* The score divided by that of seasonal naive, NAN where that is 0. Both of WQL are divided by the sum of |y|, which
 * may be 0. */
static double relative_score(const struct metric_layout *layout, const struct metric_sums *sums,
                             const struct metric_sums *naive, size_t metric)
{
    double own = metric_score(sums, layout, metric), divisor = metric_score(naive, layout, metric);
    if (metric == TOTO_METRIC_WQL) {
        own = sums->n_pinball ? sums->pinball / (double)layout->n_quantiles : NAN;
        divisor = naive->absolute;
    }
    return divisor > 0 ? own / divisor : NAN;
}

static void report_series(const struct toto_backtest *backtest, size_t variate, const struct metric_sums *sums,
                          struct toto_backtest_score *score)
{
    score->id = backtest->history->variates[variate].id;
    score->season = backtest->seasons[variate];
    score->n_windows = sums->n_windows;
    score->n_points = sums->n_points;
    score->n_unscaled = sums->n_unscaled;
    for (size_t i = 0; i < n_scores_of(backtest); i++) {
        score->scores[i] = metric_score(sums, &backtest->layout, i);
        score->relative[i] = relative_score(&backtest->layout, sums, &backtest->naive[variate], i);
    }
}

static void report_means(struct toto_backtest_report *report, double *values)
{
    struct toto_backtest_score *mean = &report->mean;
    for (size_t i = 0; i < report->n_series; i++) {
        mean->n_windows += report->series[i].n_windows;
        mean->n_points += report->series[i].n_points;
        mean->n_unscaled += report->series[i].n_unscaled;
    }
    for (size_t metric = 0; metric < report->n_scores; metric++) {
        size_t n = report->n_series;
        for (size_t i = 0; i < n; i++)
            values[i] = report->series[i].scores[metric];
        mean->scores[metric] = metric_mean(values, n, &report->n_scored[metric]);
        for (size_t i = 0; i < n; i++)
            values[i] = report->series[i].relative[metric];
        mean->relative[metric] = metric_mean(values, n, &report->n_related[metric]);
        report->geometric_mean[metric] = metric_geometric_mean(values, n, &report->n_related[metric]);
    }
}

static enum toto_status make_report(const struct toto_backtest *backtest, const struct metric_sums *sums,
                                    struct toto_backtest_report **out, struct toto_error *err)
{
    size_t n = 0, n_variates = backtest->history->n_variates;
    for (size_t i = 0; i < n_variates; i++)
        n += backtest->scored[i] || backtest->on_error == TOTO_ON_ERROR_NULL;
    struct toto_backtest_report *report = alloc_report(n, n_scores_of(backtest));
    double *values = mem_calloc(n, sizeof *values);
    if (!report || !values) {
        mem_free(report);
        mem_free(values);
        return toto_fail_memory(err, "the scores", n);
    }
    n = 0;
    for (size_t i = 0; i < n_variates; i++)
        if (backtest->scored[i] || backtest->on_error == TOTO_ON_ERROR_NULL)
            report_series(backtest, i, &sums[i], &report->series[n++]);
    report_means(report, values);
    mem_free(values);
    *out = report;
    return TOTO_STATUS_OK;
}

void toto_backtest_report_free(struct toto_backtest_report *report)
{
    mem_free(report);
}

/* ---- Run ----------------------------------------------------------------------------------------------- */

static enum toto_status check_gaussian(const struct metric_layout *layout, struct toto_error *err)
{
    for (size_t i = 0; i < layout->n_quantiles; i++)
        if (layout->quantiles[i] <= 0 || layout->quantiles[i] >= 1)
            return toto_fail(err, TOTO_STATUS_USAGE,
                             "the quantile %g of a baseline is not finite; leave it out of --quantiles",
                             layout->quantiles[i]);
    return TOTO_STATUS_OK;
}

enum toto_status toto_backtest_run(const struct toto_backtest *backtest, const struct toto_forecaster *forecaster,
                                   const struct toto_forecast_options *options, toto_progress *progress, void *user,
                                   struct toto_backtest_report **report, struct toto_error *err)
{
    size_t *covered;
    double *scores = NULL;
    enum toto_status status;
    *report = NULL;
    struct metric_sums *sums = make_sums(backtest->history->n_variates, backtest->layout.n_levels, &covered);
    if (!sums)
        return toto_fail_memory(err, "the scores", backtest->history->n_variates * sizeof *sums);
    if (forecaster->model) {
        status = run_model(backtest, forecaster, options, progress, user, sums, err);
    } else if (!(status = check_gaussian(&backtest->layout, err))) {
        scores = normal_scores(backtest->quantiles, backtest->n_quantiles);
        status = scores ? run_baseline(backtest, forecaster->baseline, &backtest->layout, scores, progress, user, sums,
                                       err)
                        : toto_fail_memory(err, "the baseline", backtest->n_quantiles * sizeof *scores);
    }
    if (!status)
        status = make_report(backtest, sums, report, err);
    mem_free(scores);
    mem_free(sums);
    mem_free(covered);
    return status;
}
