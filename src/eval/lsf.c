/* The benchmark of long sequence forecasting: windows of a standardised table. Data, splits and metrics are those of
 * Zhou et al., Informer: Beyond Efficient Transformer for Long Sequence Time-Series Forecasting, AAAI 2021, and of
 * Wu et al., Autoformer: Decomposition Transformers with Auto-Correlation for Long-Term Series Forecasting, NeurIPS
 * 2021, as the evaluation of Toto 1.0 runs them. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "../base/arena.h"
#include "../base/log.h"
#include "../forecast/engine.h"
#include "../series/regularize.h"
#include "../table/season.h"
#include "baselines.h"
#include "plan.h"

/* Windows that are in memory at once take at most so much, or a quarter of the memory that toto may have. */
enum { WINDOWS_BYTES = 256 << 20 };

struct toto_lsf {
    const char *path, *name;
    size_t n_variates;
    const char **ids;    /* [n_variates]: names of the columns */
    size_t n_rows;       /* of all parts */
    size_t base;         /* the first test row */
    size_t season;       /* rows, by their times; 1: none */
    float *values;       /* [n_variates][n_rows], standardised; NAN where missing */
    struct arena arena;  /* owns all of the above */
};

struct toto_lsf_options toto_lsf_defaults(void)
{
    struct toto_lsf_options options = {.horizon = 96, .context = 2048, .stride = 512};
    options.forecast = toto_forecast_defaults();
    options.forecast.seed = 59;
    return options;
}

/* ---- Split ------------------------------------------------------------------------------------------------- */

enum split_rule { SPLIT_NONE, SPLIT_HOURLY, SPLIT_QUARTER_HOURLY, SPLIT_SHARES };

static const struct {
    const char *name;
    enum split_rule rule;
} datasets[] = {
    {"ETTh1", SPLIT_HOURLY},         {"ETTh2", SPLIT_HOURLY},   {"ETTm1", SPLIT_QUARTER_HOURLY},
    {"ETTm2", SPLIT_QUARTER_HOURLY}, {"weather", SPLIT_SHARES}, {"electricity", SPLIT_SHARES},
};

static enum split_rule rule_of(const char *name)
{
    for (size_t i = 0; i < sizeof datasets / sizeof *datasets; i++)
        if (strcasecmp(datasets[i].name, name) == 0)
            return datasets[i].rule;
    return SPLIT_NONE;
}

/* Months of 30 days, 12, 4 and 4 of them; or tenths of the rows, 7, 1 and 2 of them. */
static struct toto_lsf_split split_of(enum split_rule rule, size_t n_rows)
{
    const size_t month = rule == SPLIT_HOURLY ? 30 * 24 : 30 * 24 * 4;
    if (rule == SPLIT_SHARES)
        return (struct toto_lsf_split){(size_t)(0.7 * (double)n_rows), (size_t)(0.1 * (double)n_rows),
                                       (size_t)(0.2 * (double)n_rows)};
    return (struct toto_lsf_split){12 * month, 4 * month, 4 * month};
}

/* ---- Reading ----------------------------------------------------------------------------------------------- */

/* The file's name without folder and extension. */
static const char *name_of(struct arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path, *dot = strrchr(file, '.');
    return arena_strndup(arena, file, dot && dot > file ? (size_t)(dot - file) : strlen(file));
}

/* The columns' places among the table's values: as in the file, but OT, which the other datasets are read for, last. */
static void order_columns(const struct toto_table *table, bool keep, size_t *order)
{
    size_t n = 0, last = SIZE_MAX;
    for (size_t i = 0; i < table->n_targets; i++) {
        if (!keep && strcmp(table->columns[table->values[i]].name, "OT") == 0)
            last = i;
        else
            order[n++] = i;
    }
    if (last != SIZE_MAX)
        order[n] = last;
}

/* Mean and standard deviation (n - 1) of the train rows, in float64; then every value in their units. */
static enum toto_status standardise(const struct toto_table *table, const struct toto_lsf *data, size_t n_train,
                                    size_t column, float *values, struct toto_error *err)
{
    double sum = 0, squares = 0;
    size_t n = 0;
    for (size_t row = 0; row < n_train; row++) {
        float x = table_value(table, row, column);
        sum += isnan(x) ? 0 : x;
        n += !isnan(x);
    }
    double mean = sum / (double)n;
    for (size_t row = 0; row < n_train; row++) {
        float x = table_value(table, row, column);
        squares += isnan(x) ? 0 : (x - mean) * (x - mean);
    }
    double deviation = sqrt(squares / (double)(n - 1));
    if (n < 2 || !(deviation > 0))
        return table_fail(table, TOTO_STATUS_DATA, data->path, 1, table->values[column], err,
                          n < 2 ? "fewer than two of the %zu train rows have a value; leave the column out"
                                : "is constant over the %zu train rows, and cannot be standardised by them; leave the "
                                  "column out",
                          n_train);
    for (size_t row = 0; row < data->n_rows; row++) {
        values[row] = (float)((table_value(table, row, column) - mean) / deviation);
        if (isinf(values[row])) {
            size_t line;
            const char *path = table_place(table, row, &line);
            return table_fail(table, TOTO_STATUS_DATA, path, line, table->values[column], err,
                              "the value is too far from those of the train rows to be standardised by them");
        }
    }
    return TOTO_STATUS_OK;
}

static enum toto_status check_split(const struct toto_lsf *data, const struct toto_table *table,
                                    const struct toto_lsf_split *split, struct toto_error *err)
{
    size_t n_rows;
    if (split->train < 2 || !split->test || !size_add(split->train, split->val, &n_rows) ||
        !size_add(n_rows, split->test, &n_rows) || n_rows > table->n_rows)
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s: %zu rows do not hold a split of %zu train, %zu validation and %zu test rows; give "
                         "another with --split",
                         data->path, table->n_rows, split->train, split->val, split->test);
    return TOTO_STATUS_OK;
}

/* The benchmark goes by rows and not by times, so it takes them as they come. */
static void warn_of_order(const struct toto_lsf *data, const struct toto_table *table)
{
    for (size_t row = 1; row < table->n_rows && table->time_column != SIZE_MAX; row++) {
        if (table_time(table, row) >= table_time(table, row - 1))
            continue;
        size_t line;
        table_place(table, row, &line);
        log_warn("%s:%zu: the rows are not in the order of time; they are scored as they stand in the file", data->path,
                 line);
        return;
    }
}

/* Rows of a season, where the times have one step. */
static enum toto_status find_season(struct toto_lsf *data, const struct toto_table *table, struct toto_error *err)
{
    struct key_axis axis;
    struct toto_error why = {""};
    uint32_t *rows = mem_alloc(table->n_rows * sizeof *rows);
    if (!rows)
        return toto_fail_memory(err, "the rows", table->n_rows * sizeof *rows);
    for (size_t row = 0; row < table->n_rows; row++)
        rows[row] = (uint32_t)row;
    data->season = 1;
    enum toto_status status = key_axis_find(table, rows, table->n_rows, &axis, &why);
    mem_free(rows);
    if (status == TOTO_STATUS_RESOURCE)
        return toto_fail(err, status, "%s", why.message);
    if (status == TOTO_STATUS_OK)
        data->season = time_axis_season(
            &(struct time_axis){table->keys[0].format, axis.last, axis.step, axis.calendar});
    else
        log_info("no season: %s", why.message);
    return TOTO_STATUS_OK;
}

/* Names and values of the table's columns. */
static enum toto_status take_table(struct toto_lsf *data, const struct toto_table *table,
                                   const struct toto_lsf_split *split, struct toto_error *err)
{
    size_t n = table->n_targets, points, bytes = SIZE_MAX;
    data->n_variates = n;
    data->base = split->train + split->val;
    data->n_rows = data->base + split->test;
    bool fits = size_mul(n, data->n_rows, &points) && size_mul(points, sizeof *data->values, &bytes);
    data->values = fits ? arena_alloc(&data->arena, bytes) : NULL;
    data->ids = arena_alloc(&data->arena, n * sizeof *data->ids);
    size_t *order = arena_alloc(&data->arena, n * sizeof *order);
    if (!data->values || !data->ids || !order)
        return toto_fail_memory(err, "the values", bytes);
    enum split_rule rule = rule_of(data->name);
    order_columns(table, rule == SPLIT_HOURLY || rule == SPLIT_QUARTER_HOURLY, order);
    enum toto_status status = TOTO_STATUS_OK;
    for (size_t v = 0; v < n && !status; v++) {
        const char *id = table->columns[table->values[order[v]]].name;
        data->ids[v] = arena_strndup(&data->arena, id, strlen(id));
        status = data->ids[v] ? standardise(table, data, split->train, order[v], data->values + v * data->n_rows, err)
                              : toto_fail_memory(err, "the columns' names", strlen(id));
    }
    return status;
}

enum toto_status toto_lsf_open(const char *path, const struct toto_lsf_split *given, struct toto_lsf **out,
                               struct toto_error *err)
{
    const struct toto_table_options wide = {.layout = TOTO_LAYOUT_WIDE};
    struct toto_lsf *data = mem_calloc(1, sizeof *data);
    struct toto_table *table = NULL;
    struct toto_lsf_split split = {0};
    enum toto_status status;
    *out = NULL;
    if (!data)
        return toto_fail_memory(err, "the data", sizeof *data);
    data->path = arena_strndup(&data->arena, path, strlen(path));
    data->name = name_of(&data->arena, path);
    if (!data->path || !data->name) {
        status = toto_fail_memory(err, "the data", strlen(path));
        goto done;
    }
    bool is_given = given && (given->train || given->val || given->test);
    if (!is_given && rule_of(data->name) == SPLIT_NONE) {
        status = toto_fail(err, TOTO_STATUS_USAGE,
                           "%s: the split of \"%.60s\" is not known (it is of ETTh1, ETTh2, ETTm1, ETTm2, weather and "
                           "electricity); give its rows with --split TRAIN,VAL,TEST",
                           path, data->name);
        goto done;
    }
    if ((status = toto_table_read(&path, 1, &wide, &table, err)))
        goto done;
    split = is_given ? *given : split_of(rule_of(data->name), table->n_rows);
    if ((status = check_split(data, table, &split, err)))
        goto done;
    warn_of_order(data, table);
    if ((status = find_season(data, table, err)) || (status = take_table(data, table, &split, err)))
        goto done;
    log_info("%s: %zu variates; %zu train, %zu validation and %zu test rows; a season of %zu", path, data->n_variates,
             split.train, split.val, split.test, data->season);
    *out = data;
    data = NULL;
done:
    toto_table_free(table);
    toto_lsf_free(data);
    return status;
}

void toto_lsf_free(struct toto_lsf *data)
{
    if (!data)
        return;
    arena_free(&data->arena);
    mem_free(data);
}

const char *toto_lsf_name(const struct toto_lsf *data)
{
    return data->name;
}

/* ---- Windows ----------------------------------------------------------------------------------------------- */

struct scoring {
    const struct toto_lsf *data;
    const struct toto_forecaster *forecaster;
    const struct toto_lsf_options *options;
    struct toto_forecast_options forecast; /* as the model is asked */
    bool from_quantile; /* the point forecast is the quantile that is asked for */
    const float *values; /* [n_variates][stride], the data behind `padding` missing rows */
    float *padded;      /* the same, if it is not the data itself */
    size_t stride, padding;
    size_t n_windows, first; /* of all; the first of those that are forecast now */
    double absolute, squares;
    uint64_t n_values;
};

/* The row after the context of a window, where its labels begin. */
static size_t label_row(const struct scoring *scoring, size_t window)
{
    return scoring->data->base + window * scoring->options->stride;
}

/* Every window has a whole context: what the file does not have of it is missing. */
static enum toto_status pad(struct scoring *scoring, struct toto_error *err)
{
    const struct toto_lsf *data = scoring->data;
    size_t bytes = SIZE_MAX, points;
    scoring->values = data->values;
    scoring->stride = data->n_rows;
    if (data->base >= scoring->options->context)
        return TOTO_STATUS_OK;
    scoring->padding = scoring->options->context - data->base;
    if (size_add(data->n_rows, scoring->padding, &scoring->stride) &&
        size_mul(data->n_variates, scoring->stride, &points) && size_mul(points, sizeof(float), &bytes))
        scoring->padded = mem_alloc(bytes);
    if (!scoring->padded)
        return toto_fail_memory(err, "the values", bytes);
    for (size_t v = 0; v < data->n_variates; v++) {
        float *row = scoring->padded + v * scoring->stride;
        for (size_t i = 0; i < scoring->padding; i++)
            row[i] = NAN;
        memcpy(row + scoring->padding, data->values + v * data->n_rows, data->n_rows * sizeof *row);
    }
    scoring->values = scoring->padded;
    return TOTO_STATUS_OK;
}

static enum toto_status score_point(struct scoring *scoring, size_t window, size_t v, const float *point,
                                    struct toto_error *err)
{
    const struct toto_lsf *data = scoring->data;
    const float *labels = data->values + v * data->n_rows + label_row(scoring, window);
    for (size_t i = 0; i < scoring->options->horizon; i++) {
        double apart = (double)labels[i] - (double)point[i];
        if (isnan(point[i]))
            return toto_fail(err, TOTO_STATUS_DATA, "%s: the forecast of %s is not a number", data->path, data->ids[v]);
        if (isnan(labels[i]))
            continue;
        scoring->absolute += fabs(apart);
        scoring->squares += apart * apart;
        scoring->n_values++;
    }
    if (scoring->options->progress && v + 1 == data->n_variates)
        scoring->options->progress(scoring->options->user, window + 1, scoring->n_windows);
    return TOTO_STATUS_OK;
}

static enum toto_status score_forecast(void *user, const struct toto_forecast *forecast, struct toto_error *err)
{
    struct scoring *scoring = user;
    size_t n_variates = scoring->data->n_variates;
    return score_point(scoring, scoring->first + forecast->series / n_variates, forecast->series % n_variates,
                       scoring->from_quantile ? forecast->quantiles : forecast->point, err);
}

/* The series of n windows: a group each, named by its place in the file, so that its draws are its own whatever is
 * forecast beside it. */
static enum toto_status make_windows(void *user, size_t n, struct toto_series **series, struct toto_error *err)
{
    const struct scoring *scoring = user;
    const struct toto_lsf *data = scoring->data;
    const struct toto_series_options options = {.context = scoring->options->context, .group = scoring->options->group};
    struct arena arena = {NULL};
    enum toto_status status = TOTO_STATUS_OK;
    struct toto_values *windows = arena_alloc(&arena, n * sizeof *windows);
    const char **ids = arena_alloc(&arena, n * data->n_variates * sizeof *ids);
    for (size_t w = 0; w < n && windows && ids && !status; w++) {
        size_t row = label_row(scoring, scoring->first + w);
        windows[w] = (struct toto_values){
            .ids = ids + w * data->n_variates, .n_variates = data->n_variates, .n_steps = scoring->padding + row,
            .values = scoring->values, .stride = scoring->stride,
        };
        for (size_t v = 0; v < data->n_variates && !status; v++) {
            char id[256];
            snprintf(id, sizeof id, "%.100s/%.100s@%zu", data->name, data->ids[v], row);
            ids[w * data->n_variates + v] = arena_strndup(&arena, id, strlen(id));
            if (!ids[w * data->n_variates + v])
                status = toto_fail_memory(err, "the windows", strlen(id));
        }
    }
    if (!windows || !ids)
        status = toto_fail_memory(err, "the windows", n * sizeof *windows);
    if (!status)
        status = toto_series_from_values(windows, n, &options, series, err);
    arena_free(&arena);
    return status;
}

/* A baseline sees the rows that a model would see. A context without any value is taken for the mean of the train
 * rows. */
static enum toto_status score_baseline(struct scoring *scoring, struct toto_error *err)
{
    const struct toto_lsf *data = scoring->data;
    const struct toto_lsf_options *options = scoring->options;
    float *point = mem_calloc(options->horizon, sizeof *point);
    enum toto_status status = TOTO_STATUS_OK;
    if (!point)
        return toto_fail_memory(err, "the forecast", options->horizon * sizeof *point);
    for (size_t window = 0; window < scoring->n_windows && !status; window++) {
        size_t row = label_row(scoring, window), n = size_min(row, options->context);
        for (size_t v = 0; v < data->n_variates && !status; v++) {
            const float *y = data->values + v * data->n_rows + row - n;
            const struct baseline_history history = {y, n, options->season ? options->season : data->season};
            size_t observed = 0;
            while (observed < n && isnan(y[observed]))
                observed++;
            if (observed < n)
                baseline_forecast(scoring->forecaster->baseline, &history, options->horizon, NULL, 0, point, NULL);
            else
                memset(point, 0, options->horizon * sizeof *point);
            status = score_point(scoring, window, v, point, err);
        }
    }
    mem_free(point);
    return status;
}

/* ---- Forecasts --------------------------------------------------------------------------------------------- */

/* The quantile whose linear interpolation among n sorted samples is the sample number round(0.5 (n - 1)) itself. */
static double middle_level(size_t n)
{
    double last = (double)(n - 1), index = nearbyint(0.5 * last), level = n > 1 ? index / last : 0;
    if (level * last < index)
        level = nextafter(level, 1);
    else if (level * last > index)
        level = nextafter(level, 0);
    return level;
}

/* All windows, some at once. */
static enum toto_status score_model(struct scoring *scoring, struct toto_error *err)
{
    const struct toto_lsf_options *options = scoring->options;
    size_t memory = options->forecast.memory, budget = memory ? size_min(memory / 4, WINDOWS_BYTES) : WINDOWS_BYTES;
    size_t point_bytes = sizeof(float) + 1; /* a value, and whether it was observed */
    size_t at_once = size_max(budget / point_bytes / options->context / scoring->data->n_variates, 1);
    enum toto_status status = pad(scoring, err);
    while (scoring->first < scoring->n_windows && !status) {
        struct toto_series *series = NULL;
        size_t count = size_min(at_once, scoring->n_windows - scoring->first);
        status = windows_plan(scoring->forecaster, &scoring->forecast, make_windows, scoring, &count, &series, err);
        if (!status)
            status = toto_forecast_run(scoring->forecaster->model, scoring->forecaster->device, series,
                                       &scoring->forecast, score_forecast, scoring, err);
        toto_series_free(series);
        scoring->first += count;
        at_once = count;
    }
    mem_free(scoring->padded);
    return status;
}

enum toto_status toto_lsf_run(const struct toto_lsf *data, const struct toto_forecaster *forecaster,
                              const struct toto_lsf_options *options, struct toto_lsf_score *score,
                              struct toto_error *err)
{
    struct scoring scoring = {
        .data = data, .forecaster = forecaster, .options = options, .forecast = options->forecast,
    };
    size_t length = data->n_rows - data->base, n = options->forecast.n_samples;
    bool toto1 = forecaster->model && forecaster->model->family == FAMILY_TOTO1;
    double level = middle_level(n ? n : 1);
    *score = (struct toto_lsf_score){.mae = NAN, .mse = NAN};
    if (!options->horizon || !options->context || !options->stride)
        return toto_fail(err, TOTO_STATUS_USAGE, "a score has a horizon, a context and a stride of at least 1");
    if (length < options->horizon)
        return toto_fail(err, TOTO_STATUS_DATA, "%s: %zu test rows are fewer than the horizon of %zu", data->path,
                         length, options->horizon);
    scoring.n_windows = (length - options->horizon) / options->stride + 1;
    scoring.from_quantile = toto1 && n > 0;
    scoring.forecast.horizon = options->horizon;
    scoring.forecast.point = toto1 ? TOTO_POINT_MEAN : TOTO_POINT_MEDIAN;
    scoring.forecast.quantiles = &level;
    scoring.forecast.n_quantiles = scoring.from_quantile;
    scoring.forecast.keep_samples = false;
    double start = clock_seconds();
    enum toto_status status = forecaster->model ? score_model(&scoring, err) : score_baseline(&scoring, err);
    if (!status && !scoring.n_values)
        status = toto_fail(err, TOTO_STATUS_DATA, "%s: all values of the test rows are missing", data->path);
    if (!status)
        *score = (struct toto_lsf_score){scoring.n_windows, scoring.n_values,
                                         scoring.absolute / (double)scoring.n_values,
                                         scoring.squares / (double)scoring.n_values};
    log_info("%s, horizon %zu: %zu windows in %.2f s", data->name, options->horizon, scoring.n_windows,
             clock_seconds() - start);
    return status;
}
