/* Backtests: origins, what stands before them and what came, on tables of a few rows; then a model, window by window,
 * against forecasts of tables that end at the origins. */
#include "table_text.h"

#include <math.h>

#include "forecast/engine.h"
#include "series/windows.h"
#include "table/season.h"
#include "verify/made.h"

static const double deciles[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9}, eighty[] = {80};

static void assert_near(double got, double wanted)
{
    if (isnan(got) != isnan(wanted) || fabs(got - wanted) > 1e-6 * fmax(1, fabs(wanted)))
        fail_msg("%.9g, wanted %.9g", got, wanted);
}

static struct toto_backtest_options windows_of(size_t horizon, size_t n_windows, size_t step)
{
    return (struct toto_backtest_options){horizon, n_windows, step, .season = 0, deciles, 9, eighty, 1};
}

/* Reads and makes in one; err and status of whichever fails. */
static enum toto_status make(const char *text, const struct toto_table_options *table_options,
                             const struct toto_series_options *series_options,
                             const struct toto_backtest_options *options, struct toto_backtest **backtest,
                             struct toto_error *err)
{
    struct toto_table *table;
    *backtest = NULL;
    enum toto_status status = text_read(text, table_options, &table, err);
    if (!status)
        status = toto_backtest_make(table, series_options, options, backtest, err);
    toto_table_free(table);
    return status;
}

static struct toto_backtest *must_make(const char *text, const struct toto_series_options *series_options,
                                       const struct toto_backtest_options *options)
{
    struct toto_backtest *backtest;
    struct toto_error err;
    if (make(text, NULL, series_options, options, &backtest, &err))
        fail_msg("%s\n%s", text, err.message);
    return backtest;
}

static struct toto_backtest_report *must_run(const struct toto_backtest *backtest, enum toto_baseline baseline)
{
    const struct toto_forecaster forecaster = {.baseline = baseline};
    struct toto_forecast_options options = toto_forecast_defaults();
    struct toto_backtest_report *report;
    struct toto_error err;
    if (toto_backtest_run(backtest, &forecaster, &options, NULL, NULL, &report, &err))
        fail_msg("%s", err.message);
    return report;
}

/* Both, of a table whose series are reported in the order given. */
static struct toto_backtest_report *report_of(const char *text, const struct toto_series_options *series_options,
                                              const struct toto_backtest_options *options,
                                              enum toto_baseline baseline, struct toto_backtest **backtest)
{
    *backtest = must_make(text, series_options, options);
    return must_run(*backtest, baseline);
}

/* Values 1 2 4 7 11 16 and origins after the third and the fourth. */
static void test_origins(void **state)
{
    (void)state;
    struct toto_backtest *backtest;
    const struct toto_backtest_options options = windows_of(2, 2, 1);
    struct toto_backtest_report *report = report_of("ds,a\n2020-01-01,1\n2020-01-02,2\n2020-01-03,4\n2020-01-04,7\n"
                                                    "2020-01-05,11\n2020-01-06,16\n",
                                                    NULL, &options, TOTO_BASELINE_NAIVE, &backtest);
    assert_int_equal(toto_backtest_window_count(backtest), 2);
    assert_int_equal(toto_backtest_bad_count(backtest), 0);
    assert_int_equal(report->n_series, 1);
    assert_int_equal(report->n_scores, TOTO_N_METRICS + 1);
    const struct toto_backtest_score *a = &report->series[0];
    assert_string_equal(a->id, "a");
    assert_int_equal(a->season, 7);
    assert_int_equal(a->n_windows, 2);
    assert_int_equal(a->n_points, 4);
    /* Errors of 3 and 7, of 4 and 9. */
    assert_near(a->scores[TOTO_METRIC_MAE], 23.0 / 4);
    assert_near(a->scores[TOTO_METRIC_MSE], (9 + 49 + 16 + 81) / 4.0);
    /* No pairs a week apart; seasonal naive is naive before a week is full. */
    assert_int_equal(a->n_unscaled, 2);
    assert_near(a->scores[TOTO_METRIC_MASE], NAN);
    assert_near(a->relative[TOTO_METRIC_MAE], 1);
    assert_part(log_text, "no MASE and RMSSE of 1 series (the first is \"a\"): no origin has a value");
    toto_backtest_report_free(report);
    toto_backtest_free(backtest);
    assert_int_equal(toto_memory_used(), 0);
}

/* The same without times, so that the season is 1. */
static void test_scales(void **state)
{
    (void)state;
    struct toto_backtest *backtest;
    const struct toto_backtest_options options = windows_of(2, 2, 1);
    struct toto_backtest_report *report =
        report_of("a\n1\n2\n4\n7\n11\n16\n", NULL, &options, TOTO_BASELINE_DRIFT, &backtest);
    const struct toto_backtest_score *a = &report->series[0];
    assert_part(log_text, "--season");
    assert_int_equal(a->season, 1);
    /* Slopes of 3/2 and 2: forecasts 5.5, 7 of 7, 11 and 9, 11 of 11, 16. Scales: 3/2 and 2. */
    assert_near(a->scores[TOTO_METRIC_MAE], (1.5 + 4 + 2 + 5) / 4);
    assert_near(a->scores[TOTO_METRIC_MASE], (5.5 / 1.5 + 7.0 / 2) / 4);
    /* Mean squares of 5/2 and 14/3. */
    assert_near(a->scores[TOTO_METRIC_RMSSE], sqrt((18.25 / 2.5 + 29 * 3.0 / 14) / 4));
    assert_near(a->relative[TOTO_METRIC_MAE], 12.5 / 23);
    assert_near(a->relative[TOTO_METRIC_MASE], (5.5 / 1.5 + 3.5) / (10 / 1.5 + 6.5));
    assert_near(report->mean.scores[TOTO_METRIC_MAE], 12.5 / 4);
    assert_near(report->geometric_mean[TOTO_METRIC_MAE], 12.5 / 23);
    assert_int_equal(report->n_scored[TOTO_METRIC_MASE], 1);
    toto_backtest_report_free(report);
    toto_backtest_free(backtest);
}

/* A quantile loss is related to that of seasonal naive's points, so its own, with quantiles, is below 1. */
static void test_quantiles(void **state)
{
    (void)state;
    struct toto_backtest *backtest;
    const double ends[] = {0, 0.5, 1}, hundred[] = {100};
    struct toto_backtest_options options = windows_of(1, 1, 1);
    options.season = 1;
    options.quantiles = (const double[]){0.5};
    options.n_quantiles = 1;
    options.levels = hundred;
    struct toto_backtest_report *report =
        report_of("a\n1\n2\n4\n9\n", NULL, &options, TOTO_BASELINE_SEASONAL_NAIVE, &backtest);
    assert_near(report->series[0].scores[TOTO_METRIC_WQL], 5.0 / 9);
    assert_near(report->series[0].relative[TOTO_METRIC_WQL], 1);
    assert_near(report->series[0].scores[TOTO_N_METRICS], 1);
    toto_backtest_report_free(report);
    toto_backtest_free(backtest);

    /* 4 + z sqrt(5/2): below 9 from end to end, so 2 k (9 - q) of each. */
    options.quantiles = (const double[]){0.1, 0.9};
    options.n_quantiles = 2;
    report = report_of("a\n1\n2\n4\n9\n", NULL, &options, TOTO_BASELINE_SEASONAL_NAIVE, &backtest);
    double z = 1.2815515655446004 * sqrt(2.5);
    assert_near(report->series[0].relative[TOTO_METRIC_WQL], (2 * 0.1 * (5 + z) + 2 * 0.9 * (5 - z)) / 2 / 5);
    toto_backtest_report_free(report);
    toto_backtest_free(backtest);

    /* Outcomes of 0 have no weight, and are related all the same. */
    report = report_of("a\n1\n2\n4\n0\n", NULL, &options, TOTO_BASELINE_NAIVE, &backtest);
    assert_near(report->series[0].scores[TOTO_METRIC_WQL], NAN);
    assert_near(report->series[0].relative[TOTO_METRIC_WQL], (2 * 0.9 * (4 - z) + 2 * 0.1 * (4 + z)) / 2 / 4);
    toto_backtest_report_free(report);
    toto_backtest_free(backtest);

    options.quantiles = ends;
    options.n_quantiles = 3;
    backtest = must_make("a\n1\n2\n4\n9\n", NULL, &options);
    const struct toto_forecaster forecaster = {.baseline = TOTO_BASELINE_MEAN};
    struct toto_forecast_options forecast = toto_forecast_defaults();
    struct toto_error err;
    assert_int_equal(toto_backtest_run(backtest, &forecaster, &forecast, NULL, NULL, &report, &err),
                     TOTO_STATUS_USAGE);
    assert_null(report);
    assert_part(err.message, "quantile 0 of a baseline");
    toto_backtest_free(backtest);
    assert_int_equal(toto_memory_used(), 0);
}

/* Outcomes and pasts that are missing, and series that cannot be scored. */
static void test_missing(void **state)
{
    (void)state;
    struct toto_backtest *backtest;
    struct toto_backtest_options options = windows_of(2, 2, 2);
    options.season = 1;
    /* Origins after the second and the fourth row. a: one outcome is missing. b: begins behind the first origin. c: is
     * constant before both. d: has no outcome. e: is constant to the end. */
    struct toto_backtest_report *report = report_of("a,b,c,d,e\n"
                                                    "1,,5,3,7\n"
                                                    "2,,5,4,7\n"
                                                    "4,8,5,,7\n"
                                                    ",6,5,,7\n"
                                                    "5,7,6,,7\n"
                                                    "9,8,8,,7\n",
                                                    NULL, &options, TOTO_BASELINE_NAIVE, &backtest);
    const struct toto_backtest_score *s = report->series;
    assert_int_equal(report->n_series, 5);
    assert_int_equal(s[0].n_windows, 2);
    assert_int_equal(s[0].n_points, 3);
    assert_near(s[0].scores[TOTO_METRIC_MAE], (2 + 1 + 5) / 3.0);
    /* Scales 1 and, of 1 2 4, 1.5. */
    assert_near(s[0].scores[TOTO_METRIC_MASE], (2 / 1.0 + 6 / 1.5) / 3);
    assert_int_equal(s[1].n_windows, 1);
    assert_near(s[1].scores[TOTO_METRIC_MAE], 1.5);
    assert_near(s[1].scores[TOTO_METRIC_MASE], 0.75);
    assert_int_equal(s[2].n_windows, 2);
    assert_int_equal(s[2].n_unscaled, 2);
    assert_near(s[2].scores[TOTO_METRIC_MAE], 1);
    assert_near(s[2].scores[TOTO_METRIC_MASE], NAN);
    assert_near(s[2].relative[TOTO_METRIC_MASE], NAN);
    assert_near(s[2].relative[TOTO_METRIC_MAE], 1);
    assert_int_equal(s[3].n_windows, 0);
    assert_near(s[3].scores[TOTO_METRIC_MAE], NAN);
    assert_near(s[4].scores[TOTO_METRIC_MAE], 0);
    assert_near(s[4].relative[TOTO_METRIC_MAE], NAN);
    assert_int_equal(report->n_scored[TOTO_METRIC_MAE], 4);
    assert_int_equal(report->n_scored[TOTO_METRIC_MASE], 2);
    assert_int_equal(report->n_related[TOTO_METRIC_MAE], 3);
    assert_int_equal(report->mean.n_windows, 7);
    assert_int_equal(report->mean.n_points, 3 + 2 + 4 + 4);
    assert_int_equal(report->mean.n_unscaled, 4);
    assert_near(report->mean.scores[TOTO_METRIC_MAE], (8 / 3.0 + 1.5 + 1 + 0) / 4);
    assert_part(log_text, "no scores of 1 series (the first is \"d\"): no window has a value");
    assert_part(log_text, "no MASE and RMSSE of 2 series (the first is \"c\")");
    assert_part(log_text, "no relative scores of 1 series (the first is \"e\"): seasonal naive makes no error");
    toto_backtest_report_free(report);
    toto_backtest_free(backtest);
}

static void test_short(void **state)
{
    (void)state;
    static const char text[] = "unique_id,ds,y\na,1,1\na,2,2\nb,1,5\nb,2,6\nb,3,8\nb,4,9\nc,1,1\nc,2,2\nc,3,2\nc,4,4\n"
                               "c,5,5\n";
    struct toto_backtest *backtest;
    struct toto_error err;
    struct toto_backtest_options options = windows_of(2, 3, 1);
    struct toto_series_options series = {.on_error = TOTO_ON_ERROR_FAIL};
    options.season = 1;
    assert_int_equal(make(text, NULL, &series, &options, &backtest, &err), TOTO_STATUS_DATA);
    assert_null(backtest);
    assert_part(err.message, "series \"a\": its 2 points hold no window, which is a point and a horizon of 2");
    assert_int_equal(toto_memory_used(), 0);

    series.on_error = TOTO_ON_ERROR_SKIP;
    struct toto_backtest_report *report = report_of(text, &series, &options, TOTO_BASELINE_NAIVE, &backtest);
    assert_part(log_text, "series \"a\"");
    assert_part(log_text, "2 of 3 windows fit the 4 points of series \"b\"");
    assert_int_equal(toto_backtest_bad_count(backtest), 1);
    assert_int_equal(toto_backtest_window_count(backtest), 5);
    assert_int_equal(report->n_series, 2);
    assert_int_equal(report->series[0].n_windows, 2);
    assert_near(report->series[0].scores[TOTO_METRIC_MAE], (1 + 3 + 2 + 3) / 4.0);
    toto_backtest_report_free(report);
    toto_backtest_free(backtest);

    series.on_error = TOTO_ON_ERROR_NULL;
    report = report_of(text, &series, &options, TOTO_BASELINE_NAIVE, &backtest);
    assert_int_equal(report->n_series, 3);
    assert_int_equal(report->series[0].n_windows, 0);
    assert_near(report->series[0].scores[TOTO_METRIC_MAE], NAN);
    toto_backtest_report_free(report);
    toto_backtest_free(backtest);

    /* Not one that fits. */
    options.horizon = 50;
    report = report_of(text, &series, &options, TOTO_BASELINE_NAIVE, &backtest);
    assert_int_equal(toto_backtest_window_count(backtest), 0);
    assert_int_equal(toto_backtest_bad_count(backtest), 3);
    assert_near(report->mean.scores[TOTO_METRIC_MAE], NAN);
    toto_backtest_report_free(report);
    toto_backtest_free(backtest);

    options.horizon = 0;
    assert_int_equal(make(text, NULL, &series, &options, &backtest, &err), TOTO_STATUS_USAGE);
    assert_int_equal(toto_memory_used(), 0);
}

/* The points of a window's row, a question mark where nothing was observed. */
static void assert_points(const float *values, const uint8_t *observed, size_t n, const char *wanted)
{
    char text[256] = "";
    for (size_t t = 0, used = 0; t < n; t++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%g%s", t ? " " : "", (double)values[t],
                                 observed[t] ? "" : "?");
    assert_string_equal(text, wanted);
}

/* Nothing behind the origin is seen but what is known ahead. */
static void test_windows(void **state)
{
    (void)state;
    static const char text[] = "ds,a,b,p,k\n1,1,,10,1\n2,,,,2\n3,3,,30,3\n4,,,,4\n5,,5,50,\n6,6,6,60,6\n7,7,7,70,7\n";
    const struct toto_table_options table_options = {
        .pasts = (const char *const[]){"p"}, .n_pasts = 1, .knowns = (const char *const[]){"k"}, .n_knowns = 1};
    const struct toto_series_options options = {.context = 2};
    const struct series_window windows[] = {{0, 5}, {0, 4}};
    struct toto_table *table;
    struct toto_series *history, *series;
    const struct window_variate *variates;
    struct toto_error err;
    assert_int_equal(text_read(text, &table_options, &table, &err), TOTO_STATUS_OK);
    assert_int_equal(series_history_make(table, &options, &history, &err), TOTO_STATUS_OK);
    toto_table_free(table);
    assert_int_equal(history->groups[0].n_steps, 7);
    assert_true(isnan(history->groups[0].values[1]));
    assert_true(series_window_has(&history->groups[0], 1, 5));
    assert_false(series_window_has(&history->groups[0], 1, 4));

    assert_int_equal(series_windows_make(history, windows, 2, 4, 2, TOTO_FILL_LINEAR, &series, &variates, &err),
                     TOTO_STATUS_OK);
    assert_int_equal(series->n_groups, 2);
    const struct group *group = &series->groups[0];
    assert_int_equal(group->n_variates, 3);
    assert_int_equal(group->n_past, 1);
    assert_points(group->values, group->observed, 4, "2? 3 3? 3?");
    assert_points(group->values + 4, group->observed + 4, 4, "0? 0? 0? 5");
    assert_points(group->values + 8, group->observed + 8, 4, "20? 30 40? 50");
    assert_int_equal(group->n_known_steps, 6);
    assert_points(group->known, group->known_observed, 6, "2 3 4 0? 6 7");
    assert_int_equal(variates[1].window, 0);
    assert_int_equal(variates[1].variate, 1);

    /* b has no value yet, and is left out. */
    group = &series->groups[1];
    assert_int_equal(group->n_variates, 2);
    assert_int_equal(group->n_past, 1);
    assert_points(group->values, group->observed, 4, "1 2? 3 3?");
    assert_points(group->values + 4, group->observed + 4, 4, "10 20? 30 30?");
    assert_points(group->known, group->known_observed, 6, "1 2 3 4 0? 6");
    assert_int_equal(toto_series_count(series), 3);
    assert_int_equal(variates[2].window, 1);
    assert_int_equal(variates[2].variate, 0);
    assert_int_equal(group->variates[0], 2);
    assert_true(group->variates[1] == SIZE_MAX);
    toto_series_free(series);
    toto_series_free(history);
    assert_int_equal(toto_memory_used(), 0);
}

static void test_seasons(void **state)
{
    (void)state;
    static const int64_t second = 1000000000, day = 86400000000000;
    const struct {
        enum time_kind kind;
        int64_t last, step;
        size_t season;
    } cases[] = {
        {TIME_NONE, 9, 1, 1},
        {TIME_STAMP, 0, second / 10, 1},
        {TIME_STAMP, 0, second, 3600},
        {TIME_STAMP, 0, 10 * second, 360},
        {TIME_STAMP, 0, 7 * second, 1},
        {TIME_STAMP, 0, 60 * second, 1440},
        {TIME_STAMP, 0, 900 * second, 96},
        {TIME_STAMP, 0, 1800 * second, 48},
        {TIME_STAMP, 0, 3600 * second, 24},
        {TIME_STAMP, 0, 7200 * second, 12},
        {TIME_STAMP, 0, 5 * 3600 * second, 1},
        {TIME_STAMP, 0, day, 7},
        {TIME_STAMP, 0, day + second, 1},
        {TIME_DATE, 0, 1, 7},
        {TIME_DATE, 0, 2, 1},
        {TIME_DATE, 0, 7, 52},
        {TIME_DATE, 0, 14, 26},
        {TIME_DATE, 0, 21, 1},
        {TIME_DATE, 0, 30, 12},
        {TIME_DATE, 0, 31, 12},
        {TIME_DATE, 0, 91, 4},
        {TIME_DATE, 0, 92, 4},
        {TIME_DATE, 0, 365, 1},
        {TIME_INTEGER, 2020, 1, 1},
        {TIME_INTEGER, 1600000000, 3600, 24},
        {TIME_INTEGER, 1600000000, 86400, 7},
        {TIME_INTEGER, 1600000000, 1, 1},
        {TIME_INTEGER, 1600000000000, 3600000, 24},
        {TIME_INTEGER, 1600000000000, INT64_MAX / 60000 * 60000, 1},
        {TIME_DATE, 0, INT64_MAX, 1},
        {TIME_DATE, 0, 0, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct time_axis axis = {.format.kind = cases[i].kind, .last = cases[i].last, .step = cases[i].step};
        if (time_axis_season(&axis) != cases[i].season)
            fail_msg("case %zu: %zu, wanted %zu", i, time_axis_season(&axis), cases[i].season);
    }
    static const size_t months[] = {1, 12, 6, 4, 3, 1, 2, 1, 1, 1, 1, 1, 1}; /* by the months of a step */
    for (int64_t step = 0; step <= 12; step++) {
        struct time_axis axis = {.format.kind = TIME_DATE, .step = step, .calendar = {COUNT_MONTHS, 1, 0}};
        assert_int_equal(time_axis_season(&axis), months[step]);
    }
    struct time_axis decades = {.format.kind = TIME_DATE, .step = 120, .calendar = {COUNT_MONTHS, 31, 0}};
    assert_int_equal(time_axis_season(&decades), 1);
    struct time_axis business = {.format.kind = TIME_STAMP, .step = 1, .calendar = {COUNT_BUSINESS_DAYS, 0, 0}};
    assert_int_equal(time_axis_season(&business), 5);
}

/* ---- A model ------------------------------------------------------------------------------------------ */

enum { ROWS = 1500, HORIZON = 5, WINDOWS = 6, STEP = 40, CONTEXT = 1200 };

/* The first n rows of three columns with gaps. */
static void write_rows(size_t n, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "a,b,c\n");
    for (size_t i = 0; i < n; i++) {
        const size_t values[] = {(i * 37) % 11 + 3, (i * i) % 13, 20 + (i % 4) * 2};
        for (size_t v = 0; v < 3; v++)
            used += (size_t)snprintf(text + used, size - used, (i * 3 + v) % 17 == 9 ? "%s" : "%s%zu", v ? "," : "",
                                     values[v]);
        used += (size_t)snprintf(text + used, size - used, "\n");
    }
}

struct captured {
    float points[3][HORIZON];
};

static enum toto_status capture(void *user, const struct toto_forecast *forecast, struct toto_error *err)
{
    struct captured *captured = user;
    (void)err;
    memcpy(captured->points[forecast->series], forecast->point, sizeof captured->points[0]);
    return TOTO_STATUS_OK;
}

/* Runs that were planned. */
static size_t log_runs;

static void count_runs(void *user, enum toto_log_level level, const char *line)
{
    (void)user;
    (void)level;
    log_runs += strncmp(line, "planned ", 8) == 0;
}

static void count_progress(void *user, size_t done, size_t total)
{
    size_t *calls = user;
    assert_true(done <= total && total == WINDOWS);
    ++*calls;
}

/* The sum of errors of windows that are forecast as tables of their own. */
static double errors_alone(const struct toto_model *model, struct toto_device *device,
                           const struct toto_forecast_options *options, const struct toto_series_options *how, size_t v)
{
    static char text[16384];
    struct toto_table *table;
    struct toto_series *series;
    struct toto_error err;
    double sum = 0;
    size_t n = 0;
    for (size_t w = 0; w < WINDOWS; w++) {
        struct captured captured;
        size_t origin = ROWS - HORIZON - (WINDOWS - 1 - w) * STEP;
        write_rows(origin, text, sizeof text);
        assert_int_equal(text_read(text, NULL, &table, &err), TOTO_STATUS_OK);
        assert_int_equal(toto_series_make(table, how, &series, &err), TOTO_STATUS_OK);
        toto_table_free(table);
        assert_int_equal(toto_forecast_run(model, device, series, options, capture, &captured, &err), TOTO_STATUS_OK);
        toto_series_free(series);
        write_rows(ROWS, text, sizeof text);
        assert_int_equal(text_read(text, NULL, &table, &err), TOTO_STATUS_OK);
        for (size_t h = 0; h < HORIZON; h++) {
            double outcome = (double)table_value(table, origin + h, v);
            if (isnan(outcome))
                continue;
            sum += fabs(outcome - (double)captured.points[v][h]);
            n++;
        }
        toto_table_free(table);
    }
    return sum / (double)n;
}

static void test_model(void **state)
{
    (void)state;
    static char text[16384];
    struct toto_model *model;
    struct toto_device *device;
    struct toto_error err;
    struct toto_backtest_options options = windows_of(HORIZON, WINDOWS, STEP);
    struct toto_forecast_options forecast = toto_forecast_defaults();
    forecast.n_samples = 4;
    forecast.horizon = HORIZON;
    options.season = 4;
    assert_int_equal(made_model(&model, &err), TOTO_STATUS_OK);
    assert_int_equal(toto_device_open("cpu", TOTO_DTYPE_F32, 2, &device, &err), TOTO_STATUS_OK);
    const struct toto_forecaster forecaster = {.model = model, .device = device};
    toto_log_set(TOTO_LOG_INFO, count_runs, NULL);
    for (int group = TOTO_GROUP_ALL; group <= TOTO_GROUP_NONE; group++) {
        const struct toto_series_options how = {
            .group = (enum toto_group)group, .context = CONTEXT, .fill = TOTO_FILL_LINEAR};
        struct toto_backtest_report *report, *again;
        size_t calls = 0;
        write_rows(ROWS, text, sizeof text);
        struct toto_backtest *backtest = must_make(text, &how, &options);
        assert_int_equal(toto_backtest_window_count(backtest), group == TOTO_GROUP_ALL ? WINDOWS : 3 * WINDOWS);
        assert_int_equal(toto_backtest_run(backtest, &forecaster, &forecast,
                                           group == TOTO_GROUP_ALL ? count_progress : NULL, &calls, &report, &err),
                         TOTO_STATUS_OK);
        assert_true(group != TOTO_GROUP_ALL || calls > 0);
        for (size_t v = 0; v < 3; v++)
            assert_near(report->series[v].scores[TOTO_METRIC_MAE], errors_alone(model, device, &forecast, &how, v));

        /* The same bits from the least memory that does, where the windows are run a few at a time. */
        enum toto_status status = TOTO_STATUS_RESOURCE;
        forecast.samples_per_batch = 1;
        log_runs = 0;
        for (forecast.memory = 1 << 20; status == TOTO_STATUS_RESOURCE; forecast.memory += 8 << 10) {
            toto_memory_set_limit(0);
            status = toto_backtest_run(backtest, &forecaster, &forecast, NULL, NULL, &again, &err);
        }
        toto_memory_set_limit(0);
        assert_int_equal(status, TOTO_STATUS_OK);
        assert_true(log_runs > 1);
        forecast.memory = forecast.samples_per_batch = 0;
        for (size_t v = 0; v < 3; v++)
            assert_memory_equal(report->series[v].scores, again->series[v].scores,
                                2 * report->n_scores * sizeof(double));
        toto_backtest_report_free(again);
        toto_backtest_report_free(report);

        /* The mean forecast alone has no quantiles to be scored. */
        struct toto_forecast_options mean = forecast;
        mean.n_samples = 0;
        assert_int_equal(toto_backtest_run(backtest, &forecaster, &mean, NULL, NULL, &report, &err), TOTO_STATUS_OK);
        assert_near(report->mean.scores[TOTO_METRIC_WQL], NAN);
        assert_near(report->mean.scores[TOTO_N_METRICS], NAN);
        assert_false(isnan(report->mean.scores[TOTO_METRIC_MASE]));
        toto_backtest_report_free(report);
        toto_backtest_free(backtest);
    }
    toto_log_set(TOTO_LOG_WARN, log_keep, NULL);
    toto_device_free(device);
    toto_model_free(model);
}

static void test_no_memory(void **state)
{
    (void)state;
    const struct toto_backtest_options options = windows_of(2, 2, 1);
    const struct toto_forecaster forecaster = {.baseline = TOTO_BASELINE_MEAN};
    const struct toto_forecast_options forecast = toto_forecast_defaults();
    for (size_t n = 1;; n++) {
        struct toto_table *table;
        struct toto_backtest *backtest;
        struct toto_backtest_report *report = NULL;
        struct toto_error err;
        assert_int_equal(text_read("a,b\n1,2\n2,2\n3,5\n4,1\n", NULL, &table, &err), TOTO_STATUS_OK);
        mem_fail_after(n);
        enum toto_status status = toto_backtest_make(table, NULL, &options, &backtest, &err);
        if (!status)
            status = toto_backtest_run(backtest, &forecaster, &forecast, NULL, NULL, &report, &err);
        mem_fail_after(0);
        toto_table_free(table);
        toto_backtest_free(backtest);
        toto_backtest_report_free(report);
        assert_int_equal(toto_memory_used(), 0);
        if (!status) {
            assert_true(n > 20);
            break;
        }
        assert_int_equal(status, TOTO_STATUS_RESOURCE);
        assert_null(report);
        assert_part(err.message, "memory");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_origins), cmocka_unit_test(test_scales),  cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_missing), cmocka_unit_test(test_short),   cmocka_unit_test(test_windows),
        cmocka_unit_test(test_seasons), cmocka_unit_test(test_model),   cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
