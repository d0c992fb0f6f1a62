/* A device against the CPU: forecasts of made-up series with the same draws, and what must be the same to the byte. */
#include <math.h>
#include <string.h>

#include "../base/log.h"
#include "../base/memory.h"
#include "made.h"

enum { SAMPLES = 64, CACHED_SAMPLES = 1024, CACHED_HORIZON = 8 };

static const double levels[] = {0.1, 0.25, 0.5, 0.75, 0.9};
enum { N_LEVELS = sizeof levels / sizeof *levels, LEVEL_LOW = 1, LEVEL_HIGH = 3 };

/* A device that is tested, and the CPU that it is compared with. */
struct test {
    const struct toto_model *model;
    struct toto_device *device, *cpu;
    size_t patch;
    bool narrow;  /* it stores 16 bits */
    double limit; /* of the dtype */
    toto_check_report *report;
    void *user;
};

/* ---- Forecasts that are kept ------------------------------------------------------------------------------- */

/* All numbers of a forecast: of each variate the point forecast, the quantiles and the samples. */
struct kept {
    float *values; /* [n_variates][1 + quantiles + samples][horizon] */
    size_t n_variates, n_rows, n_quantiles, horizon, n;
    double seconds;
};

static enum toto_status keep(void *user, const struct toto_forecast *forecast, struct toto_error *err)
{
    struct kept *kept = user;
    size_t row = kept->horizon, n_samples = kept->n_rows - 1 - kept->n_quantiles;
    float *to = kept->values + kept->n * kept->n_rows * row;
    if (forecast->missing || kept->n == kept->n_variates)
        return toto_fail(err, TOTO_STATUS_BUG, "a made-up series has no forecast");
    memcpy(to, forecast->point, row * sizeof *to);
    if (kept->n_quantiles)
        memcpy(to + row, forecast->quantiles, kept->n_quantiles * row * sizeof *to);
    if (n_samples)
        memcpy(to + (1 + kept->n_quantiles) * row, forecast->samples, n_samples * row * sizeof *to);
    kept->n++;
    return TOTO_STATUS_OK;
}

static struct toto_forecast_options forecast_options(const struct test *test, size_t horizon, size_t n_samples)
{
    struct toto_forecast_options options = toto_forecast_defaults();
    bool toto1 = test->model->family == FAMILY_TOTO1;
    options.horizon = horizon;
    options.n_samples = n_samples;
    options.quantiles = levels;
    options.n_quantiles = toto1 && !n_samples ? 0 : N_LEVELS;
    options.keep_samples = toto1 && n_samples;
    return options;
}

/* Forecasts the made-up groups first .. first + n - 1 behind those that are kept already. */
static enum toto_status forecast_more(const struct test *test, struct toto_device *device, size_t first, size_t n,
                                      const struct toto_forecast_options *options, struct kept *kept,
                                      struct toto_error *err)
{
    struct toto_series *series;
    double start = clock_seconds();
    enum toto_status status = made_series(first, n, &series, err);
    if (status == TOTO_STATUS_OK)
        status = toto_forecast_run(test->model, device, series, options, keep, kept, err);
    toto_series_free(series);
    kept->seconds += clock_seconds() - start;
    return status;
}

/* Room for a forecast of all made-up series. */
static enum toto_status kept_open(const struct toto_forecast_options *options, struct kept *kept,
                                  struct toto_error *err)
{
    struct toto_series *series;
    enum toto_status status = made_series(0, MADE_GROUPS, &series, err);
    if (status != TOTO_STATUS_OK)
        return status;
    *kept = (struct kept){
        .n_variates = toto_series_count(series), .n_quantiles = options->n_quantiles,
        .n_rows = 1 + options->n_quantiles + (options->keep_samples ? options->n_samples : 0),
        .horizon = options->horizon,
    };
    toto_series_free(series);
    size_t n = kept->n_variates * kept->n_rows * kept->horizon;
    kept->values = mem_calloc(n, sizeof *kept->values);
    return kept->values ? TOTO_STATUS_OK : toto_fail_memory(err, "the forecasts", n * sizeof *kept->values);
}

/* Forecasts all made-up series, a batch of any size or group by group. */
static enum toto_status forecast(const struct test *test, struct toto_device *device,
                                 const struct toto_forecast_options *options, bool one_by_one, struct kept *kept,
                                 struct toto_error *err)
{
    enum toto_status status = kept_open(options, kept, err);
    if (!one_by_one)
        return status ? status : forecast_more(test, device, 0, MADE_GROUPS, options, kept, err);
    for (size_t g = 0; g < MADE_GROUPS && status == TOTO_STATUS_OK; g++)
        status = forecast_more(test, device, g, 1, options, kept, err);
    return status;
}

static bool same_bytes(const struct kept *a, const struct kept *b)
{
    size_t bytes = a->n_variates * a->n_rows * a->horizon * sizeof *a->values;
    return a->n_rows == b->n_rows && a->horizon == b->horizon && memcmp(a->values, b->values, bytes) == 0;
}

/* ---- How far apart they are -------------------------------------------------------------------------------- */

struct apart {
    double most, mean;
};

static const float *row_of(const struct kept *kept, size_t variate, size_t row)
{
    return kept->values + (variate * kept->n_rows + row) * kept->horizon;
}

/* Mean over the steps of a variate's interquartile range; never less than a float32 of its values can tell. */
static double range_of(const struct kept *kept, size_t variate)
{
    const float *low = row_of(kept, variate, 1 + LEVEL_LOW), *high = row_of(kept, variate, 1 + LEVEL_HIGH);
    double sum = 0.0, size = 0.0;
    for (size_t t = 0; t < kept->horizon; t++) {
        sum += (double)high[t] - (double)low[t];
        size = fmax(size, fabs((double)high[t]));
    }
    return fmax(sum / (double)kept->horizon, 1e-6 * size + 1e-30);
}

/* The standard deviation of what was observed of each variate, in order. */
static enum toto_status deviations(double *scales, struct toto_error *err)
{
    struct toto_series *series;
    enum toto_status status = made_series(0, MADE_GROUPS, &series, err);
    for (size_t v = 0; status == TOTO_STATUS_OK && v < series->n_variates; v++) {
        const struct group *group = &series->groups[series->variates[v].group];
        size_t first = series->variates[v].row * group->n_steps;
        double n = 0.0, sum = 0.0, squares = 0.0;
        for (size_t i = first; i < first + group->n_steps; i++) {
            sum += group->observed[i] ? (double)group->values[i] : 0.0;
            n += group->observed[i];
        }
        for (size_t i = first; i < first + group->n_steps; i++)
            squares += group->observed[i] ? pow((double)group->values[i] - sum / n, 2.0) : 0.0;
        scales[v] = sqrt(squares / n);
    }
    toto_series_free(series);
    return status;
}

/* Differences of point forecasts and quantiles, each variate's in its own scale. */
static struct apart compare(const struct kept *got, const struct kept *want, const double *scales)
{
    struct apart apart = {0.0, 0.0};
    size_t n_rows = 1 + want->n_quantiles;
    for (size_t v = 0; v < want->n_variates; v++) {
        const float *a = row_of(got, v, 0), *b = row_of(want, v, 0);
        for (size_t i = 0; i < n_rows * want->horizon; i++) {
            double now = fabs((double)a[i] - (double)b[i]) / scales[v];
            apart.most = now > apart.most || isnan(now) ? now : apart.most;
            apart.mean += now / (double)(n_rows * want->horizon * want->n_variates);
        }
    }
    return apart;
}

/* ---- Checks -------------------------------------------------------------------------------------------------- */

/* What a check found: an error of its run, numbers, or whether two forecasts are the same. */
static void report_run(const struct test *test, const char *name, enum toto_status status,
                       const struct toto_error *err, const char *fault, double seconds)
{
    const struct toto_check check = {
        .name = name, .verdict = status || fault ? TOTO_VERDICT_FAILED : TOTO_VERDICT_PASSED,
        .why = status ? err->message : fault,
        .max_error = NAN, .mean_error = NAN, .limit = NAN, .seconds = seconds,
    };
    test->report(test->user, &check);
}

/* limit 0: shown, not judged. */
static void report_numbers(const struct test *test, const char *name, struct apart apart, bool by_most,
                           double limit, double seconds)
{
    double judged = by_most ? apart.most : apart.mean;
    struct toto_check check = {
        .name = name, .verdict = TOTO_VERDICT_SHOWN, .max_error = apart.most, .mean_error = apart.mean,
        .limit = limit > 0.0 ? limit : NAN, .seconds = seconds,
    };
    if (limit > 0.0 && judged <= limit) {
        check.verdict = TOTO_VERDICT_PASSED;
    } else if (limit > 0.0) {
        check.verdict = TOTO_VERDICT_FAILED;
        check.why = by_most ? "the largest error passes the limit" : "the mean absolute error passes the limit";
    }
    test->report(test->user, &check);
}

/* Sampled draws leave component choices that a rounding decides, so they are judged by the mean error. The forecast
 * without draws is not, and in float32 it is judged by its largest error. */
static void check_numbers(const struct test *test, const char *name, const struct kept *got,
                          const struct kept *want, const double *ranges)
{
    bool draws = test->model->family == FAMILY_TOTO1 && want->n_quantiles;
    report_numbers(test, name, compare(got, want, ranges), !draws && !test->narrow, test->limit, got->seconds);
}

/* Forecasts again, on this device, all at once or group by group with few samples at once, and compares to the byte. */
static void check_bytes(const struct test *test, const char *name, struct toto_device *device, bool few,
                        const struct kept *want)
{
    struct toto_error err = {""};
    struct kept again = {.values = NULL};
    struct toto_forecast_options options = forecast_options(test, want->horizon, SAMPLES);
    options.samples_per_batch = few ? 1 : 0;
    enum toto_status status = forecast(test, device, &options, few, &again, &err);
    const char *fault = status || same_bytes(&again, want) ? NULL : "the forecast is not the same to the byte";
    report_run(test, name, status, &err, fault, again.seconds);
    mem_free(again.values);
}

/* The second run; of the CPU on one thread, which must not matter. */
static void check_repeat(const struct test *test, const struct kept *want)
{
    struct toto_error err = {""};
    struct toto_device *one = NULL;
    if (device_is_accelerator(test->device)) {
        check_bytes(test, "same bytes again", test->device, false, want);
        return;
    }
    enum toto_status status = toto_device_open("cpu", TOTO_DTYPE_F32, 1, &one, &err);
    if (status)
        report_run(test, "same bytes on one thread", status, &err, NULL, NAN);
    else
        check_bytes(test, "same bytes on one thread", one, false, want);
    toto_device_free(one);
}

/* Toto 1.0 without draws: the mean, fed back. */
static void check_mean(const struct test *test, size_t horizon, const double *ranges)
{
    struct toto_error err = {""};
    struct kept got = {.values = NULL}, want = {.values = NULL};
    const struct toto_forecast_options options = forecast_options(test, horizon, 0);
    enum toto_status status = forecast(test, test->cpu, &options, false, &want, &err);
    if (status == TOTO_STATUS_OK)
        status = forecast(test, test->device, &options, false, &got, &err);
    if (status == TOTO_STATUS_OK)
        check_numbers(test, "mean forecast", &got, &want, ranges);
    else
        report_run(test, "mean forecast", status, &err, NULL, got.seconds);
    mem_free(got.values);
    mem_free(want.values);
}

/* Toto 1.0 with and without the cache of keys and values: within the first patch the two compute the same; later on
 * they differ by what the model is defined to see, and the figure is shown. */
static void check_cache(const struct test *test, const char *name, size_t horizon, size_t n_samples, double limit)
{
    struct toto_error err = {""};
    struct kept cached = {.values = NULL}, uncached = {.values = NULL};
    struct toto_forecast_options options = forecast_options(test, horizon, n_samples);
    double *scales = NULL;
    options.keep_samples = false;
    enum toto_status status = forecast(test, test->device, &options, false, &cached, &err);
    options.kv_cache = false;
    if (status == TOTO_STATUS_OK)
        status = forecast(test, test->device, &options, false, &uncached, &err);
    if (status == TOTO_STATUS_OK && !(scales = mem_calloc(cached.n_variates, sizeof *scales)))
        status = toto_fail_memory(&err, "the scales", cached.n_variates * sizeof *scales);
    if (status == TOTO_STATUS_OK)
        status = deviations(scales, &err);
    double seconds = cached.seconds + uncached.seconds;
    if (status == TOTO_STATUS_OK)
        report_numbers(test, name, compare(&cached, &uncached, scales), false, limit, seconds);
    else
        report_run(test, name, status, &err, NULL, seconds);
    mem_free(scales);
    mem_free(cached.values);
    mem_free(uncached.values);
}

/* ---- The test of a device ------------------------------------------------------------------------------------ */

static enum toto_status ranges_make(const struct kept *want, double **ranges, struct toto_error *err)
{
    *ranges = mem_calloc(want->n_variates, sizeof **ranges);
    if (!*ranges)
        return toto_fail_memory(err, "the ranges", want->n_variates * sizeof **ranges);
    for (size_t v = 0; v < want->n_variates; v++)
        (*ranges)[v] = range_of(want, v);
    return TOTO_STATUS_OK;
}

static void check_all(const struct test *test)
{
    struct toto_error err = {""};
    struct kept got = {.values = NULL}, want = {.values = NULL};
    double *ranges = NULL;
    bool toto1 = test->model->family == FAMILY_TOTO1;
    size_t horizon = test->patch + CACHED_HORIZON; /* what was drawn is fed back once */
    const struct toto_forecast_options options = forecast_options(test, horizon, SAMPLES);
    enum toto_status status = forecast(test, test->cpu, &options, false, &want, &err);
    if (status == TOTO_STATUS_OK)
        status = ranges_make(&want, &ranges, &err);
    if (status == TOTO_STATUS_OK)
        status = forecast(test, test->device, &options, false, &got, &err);
    if (status != TOTO_STATUS_OK) {
        report_run(test, "forecast", status, &err, NULL, got.seconds);
    } else {
        check_numbers(test, "forecast", &got, &want, ranges);
        if (toto1)
            check_mean(test, horizon, ranges);
        check_repeat(test, &got);
        check_bytes(test, "same bytes in small batches", test->device, true, &got);
        if (toto1) {
            check_cache(test, "cached against uncached", CACHED_HORIZON, CACHED_SAMPLES, 1e-3);
            check_cache(test, "cached, longer horizon", horizon, SAMPLES, 0.0);
        }
    }
    mem_free(ranges);
    mem_free(got.values);
    mem_free(want.values);
}

enum toto_status toto_verify_device(const struct toto_model *model, const char *name, enum toto_dtype dtype,
                                    size_t n_threads, toto_check_report *report, void *user,
                                    struct toto_error *err)
{
    struct toto_model *made = NULL;
    struct test test = {
        .limit = toto_verify_limit(dtype), .report = report, .user = user,
        .narrow = dtype == TOTO_DTYPE_F16 || dtype == TOTO_DTYPE_BF16,
    };
    enum toto_status status = model ? TOTO_STATUS_OK : made_model(&made, err);
    test.model = model ? model : made;
    if (status == TOTO_STATUS_OK)
        status = toto_device_open(name, dtype, n_threads, &test.device, err);
    if (status == TOTO_STATUS_OK)
        status = toto_device_open("cpu", TOTO_DTYPE_F32, n_threads, &test.cpu, err);
    if (status == TOTO_STATUS_OK) {
        test.device->automatic = false; /* a failure is what is looked for */
        test.patch = test.model->family == FAMILY_TOTO1 ? test.model->toto1.config.patch
                                                         : test.model->toto2.config.patch;
        check_all(&test);
    }
    toto_device_free(test.device);
    toto_device_free(test.cpu);
    toto_model_free(made);
    return status;
}
