/* Options that the protocols of toto eval share. */
#include "eval_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "options.h"

enum {
    MOST_MODELS = 64,
    MOST_SAMPLES = 1000000,
    MOST_BLOCK = 1000000,
    MOST_THREADS = 1024,
};

static const struct {
    const char *name;
    enum toto_baseline baseline;
} baselines[] = {
    {"naive", TOTO_BASELINE_NAIVE},
    {"seasonal-naive", TOTO_BASELINE_SEASONAL_NAIVE},
    {"drift", TOTO_BASELINE_DRIFT},
    {"mean", TOTO_BASELINE_MEAN},
};

size_t eval_entries_make(struct eval_entries *e, const char *seed_help, void **table, size_t n)
{
    e->model = arg_strn("m", "model", "MODEL", 0, MOST_MODELS,
                        "a folder, ORG/NAME[@REV] in the Hugging Face cache, builtin, or naive, seasonal-naive, "
                        "drift or mean; may be given again; default: TOTO_MODEL, else builtin");
    e->device = arg_str0("d", "device", "DEVICE", "auto, cpu, gpu, or a number or part of a name as 'toto devices' "
                                                "lists them; default: TOTO_DEVICE, else auto");
    e->dtype = arg_str0(NULL, "dtype", "TYPE", "storage of weights and activations: auto, f32, f16 or bf16");
    e->samples = arg_str0("n", "samples", "N", "trajectories (Toto 1.0); 0: the mean forecast alone; default: 256");
    e->samples_per_batch = arg_str0(NULL, "samples-per-batch", "N",
                                    "most trajectories in memory at once; default: planned from memory");
    e->no_kv_cache = arg_lit0(NULL, "no-kv-cache", "recompute every step (Toto 1.0)");
    e->decode_block = arg_str0(NULL, "decode-block", "N", "steps a block (Toto 2.0), whole patches; 0: one pass");
    e->seed = arg_str0(NULL, "seed", "N", seed_help);
    e->threads = arg_str0(NULL, "threads", "N", "default: what the affinity mask and cgroup allow");
    e->memory = arg_str0(NULL, "memory", "SIZE", "most memory that toto allocates, such as 800M or 2G");
    e->format = arg_str0("f", "format", "FORMAT", "of the scores: table, csv, json or md; default: table");
    e->output = arg_str0("o", "output", "FILE", "written aside and renamed; default: standard output");
    e->progress = arg_str0(NULL, "progress", "WHEN", "auto, always or never, on standard error; default: auto, on a "
                                                     "terminal");
    e->quiet = arg_lit0("q", "quiet", "errors alone on standard error");
    e->verbose = arg_litn("v", "verbose", 0, 2, "stages and their times on standard error; -vv: more");
    e->help = arg_lit0("h", "help", "this text");
    void *const all[] = {e->model, e->device, e->dtype, e->samples, e->samples_per_batch, e->no_kv_cache,
                         e->decode_block, e->seed, e->threads, e->memory, e->format, e->output,
                         e->progress, e->quiet, e->verbose, e->help};
    memcpy(table + n, all, sizeof all);
    return n + EVAL_ENTRIES;
}

/* ---- Reading --------------------------------------------------------------------------------------------- */

/* A baseline by its name, or where the model lies. given NULL: what stands in for -m. */
static enum toto_status find_model(const char *given, struct eval_model *model, struct toto_error *err)
{
    model->name = model_path_name(given);
    for (size_t i = 0; i < sizeof baselines / sizeof *baselines; i++)
        if (strcmp(model->name, baselines[i].name) == 0)
            model->baseline = baselines[i].baseline;
    return model->baseline ? TOTO_STATUS_OK : model_path_find(model->name, model->path, err);
}

static enum toto_status read_models(const struct arg_str *entry, struct eval_options *o, struct toto_error *err)
{
    size_t n = entry->count ? (size_t)entry->count : 1;
    o->models = calloc(n, sizeof *o->models);
    if (!o->models)
        return command_fail(err, TOTO_STATUS_RESOURCE, "not enough memory for the options");
    o->n_models = n;
    for (size_t i = 0; i < n; i++) {
        enum toto_status status = find_model(entry->count ? entry->sval[i] : NULL, &o->models[i], err);
        if (status)
            return status;
    }
    return TOTO_STATUS_OK;
}

/* What runs, how much of it at once, with which draws. */
static enum toto_status read_run(const struct eval_entries *e, struct eval_options *o, struct toto_error *err)
{
    enum toto_status status;
    int type = 0;
    o->device_name = entry_device(e->device);
    if ((status = entry_choice(e->dtype, "--dtype", CHOICES("auto", "f32", "f16", "bf16"), &type, err)) ||
        (status = entry_size(e->samples, "-n/--samples", 0, MOST_SAMPLES, &o->forecast.n_samples, err)) ||
        (status = entry_size(e->samples_per_batch, "--samples-per-batch", 1, MOST_SAMPLES,
                            &o->forecast.samples_per_batch, err)) ||
        (status = entry_size(e->decode_block, "--decode-block", 0, MOST_BLOCK, &o->forecast.decode_block, err)) ||
        (status = entry_size(e->threads, "--threads", 1, MOST_THREADS, &o->n_threads, err)) ||
        (e->seed->count &&
         (status = option_integer("--seed", e->seed->sval[0], 0, UINT64_MAX, &o->forecast.seed, err))) ||
        (e->memory->count && (status = option_bytes("--memory", e->memory->sval[0], &o->memory, err))))
        return status;
    o->dtype = (enum toto_dtype)type;
    o->forecast.memory = o->memory;
    o->forecast.kv_cache = !e->no_kv_cache->count;
    o->toto1_option = e->samples->count             ? "-n/--samples"
                      : e->samples_per_batch->count ? "--samples-per-batch"
                      : e->no_kv_cache->count       ? "--no-kv-cache"
                                                    : NULL;
    o->toto2_option = e->decode_block->count ? "--decode-block" : NULL;
    return TOTO_STATUS_OK;
}

/* Where the scores and the messages go. */
static enum toto_status read_output(const struct eval_entries *e, struct eval_options *o, struct toto_error *err)
{
    enum toto_status status;
    int format = TOTO_SCORES_TABLE, progress = 0;
    if ((status = entry_choice(e->format, "-f/--format", CHOICES("table", "csv", "json", "md"), &format, err)) ||
        (status = entry_choice(e->progress, "--progress", CHOICES("auto", "always", "never"), &progress, err)))
        return status;
    if (e->output->count && !*e->output->sval[0])
        return command_fail(err, TOTO_STATUS_USAGE, "option -o/--output: the name of the file is empty");
    o->format = (enum toto_scores_format)format;
    o->output = e->output->count ? e->output->sval[0] : NULL;
    o->progress = progress == 1 || (progress == 0 && !e->quiet->count && isatty(STDERR_FILENO));
    return entry_log_level(e->quiet, e->verbose, &o->log_level, err);
}

/* Characters that a line of standard output has on a terminal; 0: it is none. */
static size_t terminal_width(void)
{
    struct winsize size = {0};
    if (!isatty(STDOUT_FILENO))
        return 0;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

enum toto_status eval_scores_open(const struct eval_options *options, const char *const *columns, size_t n_columns,
                                  struct toto_scores **scores, struct toto_error *err)
{
    enum toto_status status = toto_scores_open(options->output, options->format, columns, n_columns, scores, err);
    if (!status && (!options->output || strcmp(options->output, "-") == 0))
        toto_scores_fold(*scores, terminal_width());
    return status;
}

enum toto_status eval_options_read(const struct eval_entries *entries, struct eval_options *options,
                                   struct toto_error *err)
{
    enum toto_status status = read_run(entries, options, err);
    if (status == TOTO_STATUS_OK)
        status = read_output(entries, options, err);
    return status ? status : read_models(entries->model, options, err);
}

/* ---- Models ---------------------------------------------------------------------------------------------- */

/* An option that only one family has needs a model of it. */
static enum toto_status check_families(const struct eval_options *o, struct toto_error *err)
{
    bool toto1 = false, toto2 = false;
    for (size_t i = 0; i < o->n_models; i++) {
        toto1 |= o->models[i].model && o->models[i].toto1;
        toto2 |= o->models[i].model && !o->models[i].toto1;
    }
    const char *option = o->toto1_option && !toto1 ? o->toto1_option : !toto2 ? o->toto2_option : NULL;
    if (!option)
        return TOTO_STATUS_OK;
    return command_fail(err, TOTO_STATUS_USAGE, "option %s is for Toto %s models, and none is among those given",
                        option, option == o->toto1_option ? "1.0" : "2.0");
}

enum toto_status eval_models_open(struct eval_options *o, struct toto_error *err)
{
    enum toto_status status = TOTO_STATUS_OK;
    bool device_needed = false;
    toto_log_set(o->log_level, command_print_log, NULL);
    toto_memory_set_limit(o->memory);
    for (size_t i = 0; i < o->n_models && !status; i++) {
        struct eval_model *model = &o->models[i];
        if (model->baseline)
            continue;
        struct toto_model_info info;
        status = model_path_open(model->path, &model->model, err);
        if (status)
            return status;
        toto_model_inspect(model->model, &info);
        model->toto1 = strcmp(info.family, "toto-1.0") == 0;
        device_needed = true;
    }
    status = check_families(o, err);
    if (status || !device_needed)
        return status;
    return toto_device_open(o->device_name, o->dtype, o->n_threads, &o->device, err);
}

struct toto_forecaster eval_forecaster(const struct eval_options *o, size_t i)
{
    return (struct toto_forecaster){
        .model = o->models[i].model, .device = o->device, .baseline = o->models[i].baseline,
    };
}

struct toto_forecast_options eval_forecast_options(const struct eval_options *o, size_t i)
{
    const struct toto_forecast_options defaults = toto_forecast_defaults();
    struct toto_forecast_options forecast = o->forecast;
    if (o->models[i].toto1) {
        forecast.decode_block = defaults.decode_block;
        forecast.extrapolate = defaults.extrapolate;
    } else {
        forecast.n_samples = defaults.n_samples;
        forecast.samples_per_batch = defaults.samples_per_batch;
        forecast.kv_cache = defaults.kv_cache;
    }
    return forecast;
}

void eval_options_free(struct eval_options *o)
{
    toto_device_free(o->device);
    for (size_t i = 0; i < o->n_models; i++)
        toto_model_free(o->models[i].model);
    free(o->models);
    o->device = NULL;
    o->models = NULL;
    o->n_models = 0;
}

/* ---- Progress -------------------------------------------------------------------------------------------- */

void eval_progress_show(void *user, size_t done, size_t total)
{
    const struct eval_progress *progress = user;
    /* A line a percent. */
    if (progress->shown && (done == total || done * 100 / total != (done - 1) * 100 / total))
        fprintf(stderr, "\r\033[Ktoto: %s: %zu of %zu windows", progress->what, done, total);
}

void eval_progress_end(const struct eval_progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
}
