/* toto eval lsf: the benchmark of long sequence forecasting. */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval_options.h"
#include "options.h"

enum { MOST_DATA = 64, MOST_STEPS = 1000000, OWN_ENTRIES = 7 };

static const char *const columns[] = {"model", "dataset", "horizon", "context", "stride", "windows", "mae", "mse"};

enum { N_COLUMNS = sizeof columns / sizeof *columns };

struct entries {
    struct arg_str *data, *horizon, *context, *stride, *split, *season, *group;
    struct eval_entries shared;
};

struct lsf_options {
    const char **paths; /* a pointer a file into the lists of --data */
    size_t n_paths;
    const char **lists[MOST_DATA];
    size_t n_lists;
    size_t *horizons;
    size_t n_horizons;
    struct toto_lsf_split split;
    struct toto_lsf_options run;
    struct eval_options shared;
};

/* ---- Options --------------------------------------------------------------------------------------------- */

static enum toto_status read_data(const struct arg_str *entry, struct lsf_options *o, struct toto_error *err)
{
    for (int i = 0; i < entry->count; i++) {
        size_t n;
        enum toto_status status = option_names("--data", entry->sval[i], &o->lists[o->n_lists], &n, err);
        if (status)
            return status;
        const char **paths = realloc(o->paths, (o->n_paths + n) * sizeof *paths);
        if (!paths) {
            free(o->lists[o->n_lists]);
            return command_fail(err, TOTO_STATUS_RESOURCE, "not enough memory for the options");
        }
        memcpy(paths + o->n_paths, o->lists[o->n_lists++], n * sizeof *paths);
        o->paths = paths;
        o->n_paths += n;
    }
    return TOTO_STATUS_OK;
}

static enum toto_status read_split(const char *text, struct toto_lsf_split *split, struct toto_error *err)
{
    size_t *rows, n;
    enum toto_status status = option_integers("--split", text, 0, SIZE_MAX / 4, false, &rows, &n, err);
    if (status)
        return status;
    if (n != 3 || rows[0] < 2 || !rows[2])
        status = command_fail(err, TOTO_STATUS_USAGE,
                              "option --split: \"%s\" is not TRAIN,VAL,TEST in rows, such as 8640,2880,2880", text);
    else
        *split = (struct toto_lsf_split){rows[0], rows[1], rows[2]};
    free(rows);
    return status;
}

static enum toto_status read_options(const struct entries *t, struct lsf_options *o, struct toto_error *err)
{
    static const char all_horizons[] = "96,192,336,720";
    int group = 0;
    enum toto_status status = read_data(t->data, o, err);
    if (status)
        return status;
    if ((status = option_integers("-H/--horizon", t->horizon->count ? t->horizon->sval[0] : all_horizons, 1,
                                  MOST_STEPS, true, &o->horizons, &o->n_horizons, err)) ||
        (status = entry_size(t->context, "--context", 1, MOST_STEPS, &o->run.context, err)) ||
        (status = entry_size(t->stride, "--stride", 1, MOST_STEPS, &o->run.stride, err)) ||
        (status = entry_size(t->season, "--season", 1, MOST_STEPS, &o->run.season, err)) ||
        (status = entry_choice(t->group, "--group", CHOICES("all", "none"), &group, err)) ||
        (t->split->count && (status = read_split(t->split->sval[0], &o->split, err))))
        return status;
    o->run.group = group ? TOTO_GROUP_NONE : TOTO_GROUP_ALL;
    o->shared.forecast = o->run.forecast;
    return eval_options_read(&t->shared, &o->shared, err);
}

static void free_options(struct lsf_options *o)
{
    for (size_t i = 0; i < o->n_lists; i++)
        free(o->lists[i]);
    free(o->paths);
    free(o->horizons);
    eval_options_free(&o->shared);
}

/* ---- Scores ---------------------------------------------------------------------------------------------- */

/* Horizon 0: the average. */
static enum toto_status add_row(struct toto_scores *scores, const struct lsf_options *o, const char *model,
                                const char *dataset, size_t horizon, const struct toto_lsf_score *score,
                                struct toto_error *err)
{
    const struct toto_cell horizon_cell = horizon ? (struct toto_cell){TOTO_CELL_COUNT, .count = horizon}
                                                  : (struct toto_cell){TOTO_CELL_TEXT, .text = "average"};
    const struct toto_cell cells[N_COLUMNS] = {
        {TOTO_CELL_TEXT, .text = model},
        {TOTO_CELL_TEXT, .text = dataset},
        horizon_cell,
        {TOTO_CELL_COUNT, .count = o->run.context},
        {TOTO_CELL_COUNT, .count = o->run.stride},
        {TOTO_CELL_COUNT, .count = score->n_windows},
        {TOTO_CELL_REAL, .real = score->mae},
        {TOTO_CELL_REAL, .real = score->mse},
    };
    return toto_scores_add(scores, cells, err);
}

/* A model on one file: a row a horizon, and their average. */
static enum toto_status score_file(struct lsf_options *o, size_t model, const struct toto_lsf *data,
                                   struct toto_scores *scores, struct toto_error *err)
{
    const char *name = o->shared.models[model].name, *dataset = toto_lsf_name(data);
    const struct toto_forecaster forecaster = eval_forecaster(&o->shared, model);
    struct eval_progress progress = {.shown = o->shared.progress};
    struct toto_lsf_score average = {0};
    enum toto_status status = TOTO_STATUS_OK;
    o->run.forecast = eval_forecast_options(&o->shared, model);
    o->run.progress = eval_progress_show;
    o->run.user = &progress;
    for (size_t i = 0; i < o->n_horizons && !status; i++) {
        struct toto_lsf_score score;
        o->run.horizon = o->horizons[i];
        snprintf(progress.what, sizeof progress.what, "%.80s, %.40s, horizon %zu", name, dataset, o->horizons[i]);
        status = toto_lsf_run(data, &forecaster, &o->run, &score, err);
        eval_progress_end(&progress);
        if (!status)
            status = add_row(scores, o, name, dataset, o->horizons[i], &score, err);
        if (status)
            break;
        average.n_windows += score.n_windows;
        average.mae += score.mae;
        average.mse += score.mse;
    }
    average.mae /= (double)o->n_horizons;
    average.mse /= (double)o->n_horizons;
    return status ? status : add_row(scores, o, name, dataset, 0, &average, err);
}

static enum toto_status score_all(struct lsf_options *o, struct toto_error *err)
{
    struct toto_scores *scores = NULL;
    struct toto_lsf **data = calloc(o->n_paths, sizeof *data);
    enum toto_status status = TOTO_STATUS_OK;
    if (!data)
        return command_fail(err, TOTO_STATUS_RESOURCE, "not enough memory for the data");
    /* All that can be wrong with a file is told before the first forecast. */
    for (size_t i = 0; i < o->n_paths && !status; i++)
        status = toto_lsf_open(o->paths[i], o->split.train ? &o->split : NULL, &data[i], err);
    if (!status)
        status = eval_scores_open(&o->shared, columns, N_COLUMNS, &scores, err);
    for (size_t model = 0; model < o->shared.n_models && !status; model++)
        for (size_t i = 0; i < o->n_paths && !status; i++)
            status = score_file(o, model, data[i], scores, err);
    if (!status) {
        status = toto_scores_close(scores, err);
        scores = NULL;
    }
    toto_scores_abort(scores);
    for (size_t i = 0; i < o->n_paths; i++)
        toto_lsf_free(data[i]);
    free(data);
    return status;
}

enum toto_status eval_lsf_command(int argc, char **argv, struct toto_error *err)
{
    static const struct command_help text = {
        .command = "eval lsf",
        .usage = "--data FILE,... [OPTION]...",
        .summary = "Scores models by the benchmark of long sequence forecasting (LSF): MAE and MSE of\n"
                   "standardised variates over windows of a file's test rows, and the average over the\n"
                   "horizons.",
        .examples = {"toto eval lsf -m MODEL --data ETTh1.csv,ETTh2.csv",
                     "toto eval lsf -m MODEL -m naive --data load.csv --split 8640,2880,2880 -H 96"},
        .notes = "\nETTh1, ETTh2, ETTm1, ETTm2, weather and electricity know their split by the file's name.\n"
                 "Environment: TOTO_MODEL, TOTO_DEVICE. man toto-eval says all of it.\n",
    };
    struct entries t = {
        .data = arg_strn(NULL, "data", "FILE,...", 1, MOST_DATA, "CSV: a column of times, and a column a variate; "
                                                                 "may be given again"),
        .horizon = arg_str0("H", "horizon", "N,...", "steps to forecast; default: 96,192,336,720"),
        .context = arg_str0(NULL, "context", "N", "the last N rows before a window are read; default: 2048"),
        .stride = arg_str0(NULL, "stride", "N", "rows from one window to the next; default: 512"),
        .split = arg_str0(NULL, "split", "TRAIN,VAL,TEST", "rows of each part; default: by the file's name"),
        .season = arg_str0(NULL, "season", "N", "rows of seasonal-naive's season; default: by the times"),
        .group = arg_str0(NULL, "group", "GROUP", "which variates see each other: all or none; default: all"),
    };
    void *table[OWN_ENTRIES + EVAL_ENTRIES + 1] = {t.data, t.horizon, t.context, t.stride,
                                                   t.split, t.season, t.group};
    size_t n = eval_entries_make(&t.shared, "same seed, same bytes; default: 59", table, OWN_ENTRIES);
    struct lsf_options options = {.run = toto_lsf_defaults()};
    bool helped;

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
