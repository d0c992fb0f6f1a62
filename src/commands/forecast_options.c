/* Options of toto forecast. */
#include "forecast_options.h"

#include <stdlib.h>
#include <string.h>

#include "input_options.h"
#include "options.h"

enum {
    MOST_HORIZON = 1000000,
    MOST_SAMPLES = 1000000,
    MOST_THREADS = 1024,
};

/* The table of argtable2, a field a row, in the order that help prints. */
struct entries {
    struct arg_str *model, *device, *dtype, *horizon, *samples, *samples_per_batch;
    struct arg_lit *no_kv_cache;
    struct arg_str *decode_block, *quantiles;
    struct arg_lit *extrapolate;
    struct arg_str *levels, *point;
    struct input_entries input;
    struct arg_str *future, *format, *output, *samples_out, *seed, *threads, *memory;
    struct arg_lit *dry_run, *quiet, *verbose, *help;
    struct arg_file *files;
    struct arg_end *end;
};

enum { N_ENTRIES = sizeof(struct entries) / sizeof(void *) };

union table {
    struct entries by_name;
    void *by_index[N_ENTRIES]; /* all fields are pointers to structs, which C gives one representation */
};

struct forecast_options_owned {
    union table table;
    struct input_lists lists;
    double *quantiles; /* those of the columns, then lo and hi of each level */
    double *levels;
};

static const double default_quantiles[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};

static void fill_table(struct entries *t)
{
    t->model = arg_str0("m", "model", "MODEL", "a folder, ORG/NAME[@REV] in the Hugging Face cache, or builtin; "
                                               "default: TOTO_MODEL, else builtin");
    t->device = arg_str0("d", "device", "DEVICE", "auto, cpu, gpu, or a number or part of a name as 'toto devices' "
                                                "lists them; default: TOTO_DEVICE, else auto");
    t->dtype = arg_str0(NULL, "dtype", "TYPE", "storage of weights and activations: auto, f32, f16 or bf16");
    t->horizon = arg_str0("H", "horizon", "N", "steps to forecast; default: 96");
    t->samples = arg_str0("n", "samples", "N", "trajectories (Toto 1.0); 0: the mean forecast alone; default: "
                                               "256");
    t->samples_per_batch = arg_str0(NULL, "samples-per-batch", "N",
                                    "most trajectories in memory at once; default: planned from memory");
    t->no_kv_cache = arg_lit0(NULL, "no-kv-cache", "recompute every step (Toto 1.0)");
    t->decode_block = arg_str0(NULL, "decode-block", "N", "steps a block (Toto 2.0), whole patches; 0: one pass; "
                                                          "default: one pass up to 768 steps, then blocks of 768");
    t->quantiles = arg_str0(NULL, "quantiles", "LIST", "such as 0.05,0.5,0.95; default: 0.1,0.2,...,0.9");
    t->extrapolate = arg_lit0(NULL, "extrapolate", "make up quantiles outside 0.1 to 0.9 (Toto 2.0)");
    t->levels = arg_str0(NULL, "levels", "LIST",
                         "central intervals in percent, such as 80,95: columns lo-80, hi-80, ...");
    t->point = arg_str0(NULL, "point", "POINT", "the forecast column: median or mean; default: median");
    input_entries_make(&t->input);
    t->future = arg_str0(NULL, "future", "FILE", "the future of --known; default: rows at the end of a series "
                                                 "without its targets");
    t->format = arg_str0("f", "format", "FORMAT", "of the output: csv");
    t->output = arg_str0("o", "output", "FILE", "written aside and renamed; default: standard output");
    t->samples_out = arg_str0(NULL, "samples-out", "FILE", "every trajectory, as CSV");
    t->seed = arg_str0(NULL, "seed", "N", "same seed, same bytes; default: 0");
    t->threads = arg_str0(NULL, "threads", "N", "default: what the affinity mask and cgroup allow");
    t->memory = arg_str0(NULL, "memory", "SIZE", "most memory that toto allocates, such as 800M or 2G");
    t->dry_run = arg_lit0(NULL, "dry-run", "print the plan and run nothing");
    t->quiet = arg_lit0("q", "quiet", "errors alone on standard error");
    t->verbose = arg_litn("v", "verbose", 0, 2, "stages and their times on standard error; -vv: more");
    t->help = arg_lit0("h", "help", "this text");
    t->files = input_files_make();
    t->end = arg_end(8);
}

/* The model's side: model, device, how much of what is run. */
static enum toto_status read_run(const struct entries *t, struct forecast_options *o, struct toto_error *err)
{
    enum toto_status status;
    uint64_t number;
    int choice = 0;

    o->model = entry_text(t->model);
    o->device = entry_device(t->device);
    if ((status = entry_choice(t->dtype, "--dtype", CHOICES("auto", "f32", "f16", "bf16"), &choice, err)) ||
        (status = entry_size(t->horizon, "-H/--horizon", 1, MOST_HORIZON, &o->forecast.horizon, err)) ||
        (status = entry_size(t->samples, "-n/--samples", 0, MOST_SAMPLES, &o->forecast.n_samples, err)) ||
        (status = entry_size(t->decode_block, "--decode-block", 0, MOST_HORIZON, &o->forecast.decode_block, err)) ||
        (status = entry_size(t->samples_per_batch, "--samples-per-batch", 1, MOST_SAMPLES,
                            &o->forecast.samples_per_batch, err)) ||
        (status = entry_size(t->threads, "--threads", 1, MOST_THREADS, &o->n_threads, err)))
        return status;
    o->dtype = (enum toto_dtype)choice;
    if (entry_text(t->seed)) {
        if ((status = option_integer("--seed", entry_text(t->seed), 0, UINT64_MAX, &number, err)))
            return status;
        o->forecast.seed = number;
    }
    if (entry_text(t->memory)) {
        if ((status = option_bytes("--memory", entry_text(t->memory), &o->memory, err)))
            return status;
        o->forecast.memory = o->memory;
    }
    o->forecast.kv_cache = !t->no_kv_cache->count;
    o->forecast.extrapolate = t->extrapolate->count > 0;
    o->toto1_option = t->samples->count             ? "-n/--samples"
                      : t->samples_per_batch->count ? "--samples-per-batch"
                      : t->samples_out->count       ? "--samples-out"
                      : t->no_kv_cache->count       ? "--no-kv-cache"
                                                    : NULL;
    o->toto2_option = t->decode_block->count  ? "--decode-block"
                      : t->extrapolate->count ? "--extrapolate"
                                              : NULL;
    o->dry_run = t->dry_run->count > 0;
    return entry_log_level(t->quiet, t->verbose, &o->log_level, err);
}

/* The input's side: roles of columns, and what becomes of a series. */
static enum toto_status read_input(const struct entries *t, struct forecast_options *o,
                                   struct toto_error *err)
{
    enum toto_status status = input_options_read(&t->input, &o->owned->lists, &o->table, &o->series, err);
    if (status)
        return status;
    o->series.future_steps = o->forecast.horizon;
    o->table.future = entry_text(t->future);
    if (o->table.future && !o->table.n_knowns)
        return command_fail(err, TOTO_STATUS_USAGE,
                            "--future holds the future of covariates; name their columns with --known");
    return TOTO_STATUS_OK;
}

/* The quantiles of the columns, then lo and hi of each level, as toto_writer_open wants them. */
static enum toto_status read_quantiles(const struct entries *t, struct forecast_options *o,
                                       struct toto_error *err)
{
    enum toto_status status;
    double *columns = NULL;
    size_t n_columns = 0;

    if (entry_text(t->quantiles) &&
        (status = option_numbers("--quantiles", entry_text(t->quantiles), 0, 1, &columns, &n_columns, err)))
        return status;
    if (entry_text(t->levels) && (status = option_numbers("--levels", entry_text(t->levels), 0, 100,
                                                          &o->owned->levels, &o->output.n_levels, err))) {
        free(columns);
        return status;
    }
    const double *source = columns;
    if (!entry_text(t->quantiles) && !entry_text(t->levels) && o->forecast.n_samples > 0) {
        source = default_quantiles;
        n_columns = sizeof default_quantiles / sizeof *default_quantiles;
    }
    size_t n = n_columns + 2 * o->output.n_levels;
    double *all = malloc((n + 1) * sizeof *all);
    if (!all) {
        free(columns);
        return command_fail(err, TOTO_STATUS_RESOURCE, "not enough memory for the quantiles");
    }
    if (n_columns)
        memcpy(all, source, n_columns * sizeof *all);
    free(columns);
    for (size_t i = 0; i < o->output.n_levels; i++) {
        double lo = (1 - o->owned->levels[i] / 100) / 2;
        all[n_columns + 2 * i] = lo;
        all[n_columns + 2 * i + 1] = 1 - lo;
    }
    o->owned->quantiles = all;
    o->output.levels = o->owned->levels;
    o->output.n_quantile_columns = n_columns;
    o->forecast.quantiles = all;
    o->forecast.n_quantiles = n;
    return TOTO_STATUS_OK;
}

/* The output's side: columns, files, and what cannot go with -n 0. */
static enum toto_status read_output(const struct entries *t, struct forecast_options *o,
                                    struct toto_error *err)
{
    enum toto_status status;
    int format = 0, point = TOTO_POINT_MEDIAN;

    if ((status = entry_choice(t->format, "-f/--format", CHOICES("csv"), &format, err)) ||
        (status = entry_choice(t->point, "--point", CHOICES("median", "mean"), &point, err)))
        return status;
    o->forecast.point = (enum toto_point)point;
    o->output.path = entry_text(t->output);
    o->output.samples_path = entry_text(t->samples_out);
    if ((o->output.path && !*o->output.path) || (o->output.samples_path && !*o->output.samples_path))
        return command_fail(err, TOTO_STATUS_USAGE, "option %s: the name of the file is empty",
                            o->output.path && !*o->output.path ? "-o/--output" : "--samples-out");
    if (o->output.samples_path &&
        strcmp(o->output.samples_path, o->output.path ? o->output.path : "-") == 0)
        return command_fail(err, TOTO_STATUS_USAGE, "-o/--output and --samples-out both write to %s",
                            o->output.path ? o->output.path : "standard output");
    o->forecast.keep_samples = o->output.samples_path != NULL;
    if (o->forecast.n_samples == 0) {
        const char *clash = entry_text(t->quantiles)                             ? "--quantiles"
                            : entry_text(t->levels)                              ? "--levels"
                            : entry_text(t->samples_out)                         ? "--samples-out"
                            : entry_text(t->point) && point == TOTO_POINT_MEDIAN ? "--point median"
                                                                                 : NULL;
        if (clash)
            return command_fail(err, TOTO_STATUS_USAGE,
                                "%s needs samples, and -n 0 asks for the mean forecast alone", clash);
        o->forecast.point = TOTO_POINT_MEAN;
    }
    return read_quantiles(t, o, err);
}

enum toto_status forecast_options_read(int argc, char **argv, struct forecast_options *options,
                                       bool *helped, struct toto_error *err)
{
    static const struct command_help text = {
        .command = "forecast",
        .usage = "[OPTION]... [FILE|-]...",
        .summary = "Reads series from CSV files (several are one table; none: standard input),\n"
                   "and writes forecasts as CSV.",
        .examples = {"toto forecast sales.csv > forecast.csv",
                     "toto forecast -m MODEL -H 48 --levels 50,80 -o forecast.csv sales.csv"},
        .notes = "\nEnvironment: TOTO_MODEL, TOTO_DEVICE. man toto-forecast says all of it.\n",
    };
    *options = (struct forecast_options){.forecast = toto_forecast_defaults()};
    struct forecast_options_owned *owned = options->owned = calloc(1, sizeof *owned);
    if (!owned)
        return command_fail(err, TOTO_STATUS_RESOURCE, "not enough memory for the options");
    const struct entries *t = &owned->table.by_name;
    fill_table(&owned->table.by_name);

    enum toto_status status =
        options_parse(argc, argv, owned->table.by_index, N_ENTRIES, t->help, &text, helped, err);
    if (status || *helped)
        return status;
    if ((status = read_run(t, options, err)) || (status = read_input(t, options, err)) ||
        (status = read_output(t, options, err)) ||
        (status = input_files_read(t->files, options->table.future, text.command, &options->files, &options->n_files,
                                   err)))
        return status;
    return TOTO_STATUS_OK;
}

void forecast_options_free(struct forecast_options *options)
{
    struct forecast_options_owned *owned = options->owned;
    if (!owned)
        return;
    arg_freetable(owned->table.by_index, N_ENTRIES);
    input_lists_free(&owned->lists);
    free(owned->quantiles);
    free(owned->levels);
    free(owned);
    options->owned = NULL;
}
