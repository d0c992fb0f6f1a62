/* toto eval backtest: rolling windows of the series of any file that toto forecast reads. */
#include "commands.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval_options.h"
#include "input_options.h"
#include "options.h"

enum {
    MOST_STEPS = 1000000,
    MOST_WINDOWS = 1000000,
    OWN_ENTRIES = 9, /* before those that are shared, and FILE and the end after them */
    KEY_COLUMNS = 7, /* before the scores */
    NAME_SIZE = 48,
};

struct entries {
    struct arg_str *horizon, *windows, *step, *season, *quantiles, *levels;
    struct arg_lit *extrapolate;
    struct arg_str *point, *metrics;
    struct input_entries input;
    struct eval_entries shared;
    struct arg_file *files;
};

/* A column of scores. */
struct score_column {
    char name[NAME_SIZE];
    size_t score; /* an enum toto_metric, or TOTO_N_METRICS and the number of a level */
    bool relative;
};

struct backtest_options {
    const char *const *files;
    size_t n_files;
    struct toto_table_options table;
    struct toto_series_options series;
    struct toto_backtest_options backtest;
    double *quantiles, *levels; /* that were given */
    struct input_lists lists;
    struct score_column *columns;
    size_t n_columns;
    struct eval_options shared;
};

static const double default_quantiles[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};
static const double default_levels[] = {80};
static const char *const metric_names[TOTO_N_METRICS] = {
    [TOTO_METRIC_MAE] = "mae",   [TOTO_METRIC_MSE] = "mse",     [TOTO_METRIC_RMSE] = "rmse",
    [TOTO_METRIC_SMAPE] = "smape", [TOTO_METRIC_MASE] = "mase", [TOTO_METRIC_RMSSE] = "rmsse",
    [TOTO_METRIC_WQL] = "wql",
};

/* ---- Options --------------------------------------------------------------------------------------------- */

/* The quantiles and levels that are scored. */
static enum toto_status read_quantiles(const struct entries *t, struct backtest_options *o, struct toto_error *err)
{
    struct toto_backtest_options *backtest = &o->backtest;
    enum toto_status status;
    backtest->quantiles = default_quantiles;
    backtest->n_quantiles = sizeof default_quantiles / sizeof *default_quantiles;
    backtest->levels = default_levels;
    backtest->n_levels = 1;
    if (entry_text(t->quantiles)) {
        status = option_numbers("--quantiles", entry_text(t->quantiles), 0, 1, &o->quantiles, &backtest->n_quantiles,
                                err);
        if (status)
            return status;
        backtest->quantiles = o->quantiles;
    }
    if (entry_text(t->levels)) {
        status = option_numbers("--levels", entry_text(t->levels), 0, 100, &o->levels, &backtest->n_levels, err);
        if (status)
            return status;
        backtest->levels = o->levels;
    }
    return TOTO_STATUS_OK;
}

/* The name of a score as --metrics takes it; those of levels share one. */
static const char *score_name(size_t score)
{
    return score < TOTO_N_METRICS ? metric_names[score] : "coverage";
}

/* Appends the columns of a name of --metrics: one, or one a level; false if it names none. */
static bool add_columns(struct backtest_options *o, const char *name)
{
    bool relative = strncmp(name, "rel-", 4) == 0, known = false;
    for (size_t score = 0; score < TOTO_N_METRICS + o->backtest.n_levels; score++) {
        struct score_column *column = &o->columns[o->n_columns];
        if (strcmp(name + (relative ? 4 : 0), score_name(score)) != 0)
            continue;
        *column = (struct score_column){.score = score, .relative = relative};
        if (score < TOTO_N_METRICS)
            snprintf(column->name, sizeof column->name, "%s", name);
        else
            snprintf(column->name, sizeof column->name, "%s-%.15g", name, o->backtest.levels[score - TOTO_N_METRICS]);
        o->n_columns++;
        known = true;
    }
    return known;
}

/* The kinds of scores that no column shows. */
static unsigned unread_kinds(const struct score_column *columns, size_t n)
{
    unsigned unread = TOTO_SCORE_SCALED | TOTO_SCORE_WEIGHTED | TOTO_SCORE_RELATIVE;
    for (size_t i = 0; i < n; i++) {
        size_t score = columns[i].score;
        unread &= ~((score == TOTO_METRIC_MASE || score == TOTO_METRIC_RMSSE ? TOTO_SCORE_SCALED : 0u) |
                    (score == TOTO_METRIC_WQL ? TOTO_SCORE_WEIGHTED : 0u) |
                    (columns[i].relative ? TOTO_SCORE_RELATIVE : 0u));
    }
    return unread;
}

static enum toto_status unknown_metric(const char *name, struct toto_error *err)
{
    char list[160] = "", *at = list;
    for (size_t score = 0; score <= TOTO_N_METRICS; score++)
        at += snprintf(at, sizeof list - (size_t)(at - list), "%s, ", score_name(score));
    return command_fail(err, TOTO_STATUS_USAGE,
                        "option --metrics: \"%s\" is not one of %sor one of them after rel-", name, list);
}

/* The columns of --metrics, or all scores and then all relative ones. */
static enum toto_status read_metrics(const struct arg_str *entry, struct backtest_options *o, struct toto_error *err)
{
    const char *all[2 * (TOTO_N_METRICS + 1)], **given = NULL, *const *names = all;
    char relative[TOTO_N_METRICS + 1][NAME_SIZE];
    size_t n = 2 * (TOTO_N_METRICS + 1);
    enum toto_status status;
    for (size_t i = 0; i <= TOTO_N_METRICS; i++) {
        snprintf(relative[i], sizeof relative[i], "rel-%s", score_name(i));
        all[i] = score_name(i);
        all[TOTO_N_METRICS + 1 + i] = relative[i];
    }
    if (entry_text(entry)) {
        if ((status = option_names("--metrics", entry_text(entry), &given, &n, err)))
            return status;
        names = given;
    }
    o->columns = calloc(n * (o->backtest.n_levels + 1), sizeof *o->columns);
    status = o->columns ? TOTO_STATUS_OK
                        : command_fail(err, TOTO_STATUS_RESOURCE, "not enough memory for the options");
    for (size_t i = 0; i < n && !status; i++) {
        for (size_t j = 0; j < i && !status; j++)
            if (strcmp(names[i], names[j]) == 0)
                status = command_fail(err, TOTO_STATUS_USAGE, "option --metrics: \"%s\" is given twice", names[i]);
        if (!status && !add_columns(o, names[i]))
            status = unknown_metric(names[i], err);
    }
    free(given);
    o->backtest.unread = unread_kinds(o->columns, o->n_columns);
    return status;
}

static enum toto_status read_options(const struct entries *t, struct backtest_options *o, struct toto_error *err)
{
    enum toto_status status;
    int point = TOTO_POINT_MEDIAN;
    o->shared.forecast = toto_forecast_defaults();
    o->backtest.horizon = o->shared.forecast.horizon;
    o->backtest.n_windows = 1;
    if ((status = entry_size(t->horizon, "-H/--horizon", 1, MOST_STEPS, &o->backtest.horizon, err)) ||
        (status = entry_size(t->windows, "--windows", 1, MOST_WINDOWS, &o->backtest.n_windows, err)) ||
        (status = entry_size(t->step, "--step", 1, MOST_STEPS, &o->backtest.step, err)) ||
        (status = entry_size(t->season, "--season", 1, MOST_STEPS, &o->backtest.season, err)) ||
        (status = entry_choice(t->point, "--point", CHOICES("median", "mean"), &point, err)) ||
        (status = read_quantiles(t, o, err)) || (status = read_metrics(t->metrics, o, err)) ||
        (status = input_options_read(&t->input, &o->lists, &o->table, &o->series, err)) ||
        (status = eval_options_read(&t->shared, &o->shared, err)))
        return status;
    o->shared.forecast.point = (enum toto_point)point;
    o->shared.forecast.extrapolate = t->extrapolate->count > 0;
    if (t->extrapolate->count && !o->shared.toto2_option)
        o->shared.toto2_option = "--extrapolate";
    return input_files_read(t->files, NULL, "eval backtest", &o->files, &o->n_files, err);
}

static void free_options(struct backtest_options *o)
{
    free(o->quantiles);
    free(o->levels);
    free(o->columns);
    input_lists_free(&o->lists);
    eval_options_free(&o->shared);
}

/* ---- Scores ---------------------------------------------------------------------------------------------- */

static const char *const key_columns[KEY_COLUMNS] = {"model",   "series", "mean",    "season",
                                                     "windows", "points", "unscaled"};

/* A row of a series or, named a kind of mean, of all of them. geometric: the geometric means, or NULL. */
static enum toto_status add_row(struct toto_scores *scores, const struct backtest_options *o, const char *model,
                                const struct toto_backtest_score *score, const char *mean, const double *geometric,
                                struct toto_cell *cells, struct toto_error *err)
{
    const struct toto_cell keys[KEY_COLUMNS] = {
        {TOTO_CELL_TEXT, .text = model},
        {TOTO_CELL_TEXT, .text = score->id ? score->id : ""},
        {TOTO_CELL_TEXT, .text = mean},
        score->season ? (struct toto_cell){TOTO_CELL_COUNT, .count = score->season}
                      : (struct toto_cell){TOTO_CELL_REAL, .real = NAN},
        {TOTO_CELL_COUNT, .count = score->n_windows},
        {TOTO_CELL_COUNT, .count = score->n_points},
        {TOTO_CELL_COUNT, .count = score->n_unscaled},
    };
    memcpy(cells, keys, sizeof keys);
    for (size_t i = 0; i < o->n_columns; i++) {
        const struct score_column *column = &o->columns[i];
        double value = !column->relative ? (geometric ? NAN : score->scores[column->score])
                       : geometric       ? geometric[column->score]
                                         : score->relative[column->score];
        cells[KEY_COLUMNS + i] = (struct toto_cell){TOTO_CELL_REAL, .real = value};
    }
    return toto_scores_add(scores, cells, err);
}

/* A model's rows: its series, then their means. */
static enum toto_status score_model(struct backtest_options *o, const struct toto_backtest *backtest, size_t model,
                                    struct toto_scores *scores, struct toto_cell *cells, struct toto_error *err)
{
    const char *name = o->shared.models[model].name;
    const struct toto_forecaster forecaster = eval_forecaster(&o->shared, model);
    struct toto_forecast_options forecast = eval_forecast_options(&o->shared, model);
    struct eval_progress progress = {.shown = o->shared.progress};
    struct toto_backtest_report *report = NULL;
    snprintf(progress.what, sizeof progress.what, "%.120s", name);
    enum toto_status status =
        toto_backtest_run(backtest, &forecaster, &forecast, eval_progress_show, &progress, &report, err);
    eval_progress_end(&progress);
    for (size_t i = 0; !status && i < report->n_series; i++)
        status = add_row(scores, o, name, &report->series[i], "", NULL, cells, err);
    if (!status)
        status = add_row(scores, o, name, &report->mean, "arithmetic", NULL, cells, err);
    if (!status)
        status = add_row(scores, o, name, &report->mean, "geometric", report->geometric_mean, cells, err);
    toto_backtest_report_free(report);
    return status;
}

/* The status of a run that scored all it could: the bad series that --on-error passed over count. */
static enum toto_status judge_series(const struct backtest_options *o, size_t n_bad, struct toto_error *err)
{
    if (!n_bad)
        return TOTO_STATUS_OK;
    return command_fail(err, TOTO_STATUS_DATA, "%zu series %s bad and %s; all others are scored", n_bad,
                        n_bad == 1 ? "was" : "were",
                        o->series.on_error == TOTO_ON_ERROR_NULL ? "left without scores" : "left out");
}

static enum toto_status score_all(struct backtest_options *o, struct toto_error *err)
{
    struct toto_table *table = NULL;
    struct toto_backtest *backtest = NULL;
    struct toto_scores *scores = NULL;
    size_t n = KEY_COLUMNS + o->n_columns;
    const char **names = calloc(n, sizeof *names);
    struct toto_cell *cells = calloc(n, sizeof *cells);
    enum toto_status status = names && cells ? TOTO_STATUS_OK
                                             : command_fail(err, TOTO_STATUS_RESOURCE, "not enough memory for the scores");
    if (status || (status = toto_table_read(o->files, o->n_files, &o->table, &table, err)) ||
        (status = toto_backtest_make(table, &o->series, &o->backtest, &backtest, err)))
        goto done;
    toto_table_free(table);
    table = NULL;
    memcpy(names, key_columns, sizeof key_columns);
    for (size_t i = 0; i < o->n_columns; i++)
        names[KEY_COLUMNS + i] = o->columns[i].name;
    status = eval_scores_open(&o->shared, names, n, &scores, err);
    for (size_t model = 0; model < o->shared.n_models && !status; model++)
        status = score_model(o, backtest, model, scores, cells, err);
    if (status)
        goto done;
    status = toto_scores_close(scores, err);
    scores = NULL;
    if (!status)
        status = judge_series(o, toto_backtest_bad_count(backtest), err);
done:
    toto_scores_abort(scores);
    toto_backtest_free(backtest);
    toto_table_free(table);
    free(names);
    free(cells);
    return status;
}

enum toto_status eval_backtest_command(int argc, char **argv, struct toto_error *err)
{
    static const struct command_help text = {
        .command = "eval backtest",
        .usage = "[OPTION]... [FILE|-]...",
        .summary = "Scores models by rolling windows: the rows of each series are cut off at an origin,\n"
                   "forecast, and held against the rows that followed, beside seasonal naive. FILE is what\n"
                   "toto forecast reads; the outcome of the last window ends at the last row.",
        .examples = {"toto eval backtest -m MODEL -m seasonal-naive -H 24 --windows 7 sales.csv",
                     "toto eval backtest -m MODEL -H 12 --metrics mase,wql,rel-mase,rel-wql -f md sales.csv"},
        .notes = "\nEnvironment: TOTO_MODEL, TOTO_DEVICE. man toto-eval defines the scores.\n",
    };
    struct entries t = {
        .horizon = arg_str0("H", "horizon", "N", "steps to forecast; default: 96"),
        .windows = arg_str0(NULL, "windows", "N", "windows of a series, the last ones; default: 1"),
        .step = arg_str0(NULL, "step", "N", "steps from one origin to the next; default: the horizon"),
        .season = arg_str0(NULL, "season", "N", "steps of a season; default: as the frequency of the times says"),
        .quantiles = arg_str0(NULL, "quantiles", "LIST", "of the weighted quantile loss; default: 0.1,0.2,...,0.9"),
        .levels = arg_str0(NULL, "levels", "LIST", "central intervals in percent, to cover the outcome; default: 80"),
        .extrapolate = arg_lit0(NULL, "extrapolate", "make up quantiles outside 0.1 to 0.9 (Toto 2.0)"),
        .point = arg_str0(NULL, "point", "POINT", "the point forecast: median or mean; default: median"),
        .metrics = arg_str0(NULL, "metrics", "NAME,...",
                            "columns of the table: mae, mse, rmse, smape, mase, rmsse, wql, coverage, and rel- before "
                            "each: relative to seasonal naive; default: all"),
        .files = input_files_make(),
    };
    void *table[OWN_ENTRIES + INPUT_ENTRIES + EVAL_ENTRIES + 2] = {
        t.horizon, t.windows, t.step, t.season, t.quantiles, t.levels, t.extrapolate, t.point, t.metrics};
    struct backtest_options options = {.n_files = 0};
    bool helped;

    input_entries_make(&t.input);
    memcpy(table + OWN_ENTRIES, &t.input, sizeof t.input);
    size_t n = eval_entries_make(&t.shared, "same seed, same bytes; default: 0", table, OWN_ENTRIES + INPUT_ENTRIES);
    table[n++] = t.files;
    table[n++] = arg_end(8);
    enum toto_status status = options_parse(argc, argv, table, n, t.shared.help, &text, &helped, err);
    if (!status && !helped)
        status = read_options(&t, &options, err);
    if (!status && !helped)
        status = eval_models_open(&options.shared, err);
    if (!status && !helped)
        status = score_all(&options, err);
    free_options(&options);
    arg_freetable(table, n);
    return status;
}
