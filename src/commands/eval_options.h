/* Options that the protocols of toto eval share: the models, how they run, and where the scores go. */
#ifndef TOTO_COMMANDS_EVAL_OPTIONS_H
#define TOTO_COMMANDS_EVAL_OPTIONS_H

#include <argtable2.h>

#include "model_path.h"

/* Entries of argtable2, in the order that help prints. */
struct eval_entries {
    struct arg_str *model, *device, *dtype, *samples, *samples_per_batch;
    struct arg_lit *no_kv_cache;
    struct arg_str *decode_block, *seed, *threads, *memory, *format, *output, *progress;
    struct arg_lit *quiet, *verbose, *help;
};

enum { EVAL_ENTRIES = sizeof(struct eval_entries) / sizeof(void *) };

/* A model, or a baseline. */
struct eval_model {
    const char *name; /* as it was given, for the table */
    char path[MODEL_PATH_SIZE];
    struct toto_model *model; /* NULL: a baseline, or not opened yet */
    enum toto_baseline baseline;
    bool toto1; /* of which family the model is */
};

struct eval_options {
    struct eval_model *models;
    size_t n_models;
    const char *device_name; /* as toto_device_open takes it */
    enum toto_dtype dtype;
    size_t n_threads;        /* 0: as the machine allows */
    size_t memory;           /* bytes; 0: no limit of the user's */
    struct toto_forecast_options forecast; /* defaults, and what was given; the horizon is the protocol's */
    enum toto_scores_format format;
    const char *output;      /* NULL: standard output */
    bool progress;
    enum toto_log_level log_level;
    const char *toto1_option, *toto2_option; /* one that was given and that only this family has, or NULL */
    struct toto_device *device; /* NULL where there are only baselines */
};

/* Makes the entries and appends them to the table, which has room for EVAL_ENTRIES more; returns the new length.
 * seed_help: of --seed, with its default. */
size_t eval_entries_make(struct eval_entries *entries, const char *seed_help, void **table, size_t n);

/* Turns parsed entries into options on top of the defaults that `options` holds: forecast, all else zero. A model that
 * is not there is told here. Whatever is returned, the options may be freed. */
enum toto_status eval_options_read(const struct eval_entries *entries, struct eval_options *options,
                                   struct toto_error *err);

/* Starts the log, and opens the models (mapped, all of them) and the device. An option that no model of the list has
 * is an error: the samples of Toto 1.0 without such a model. */
enum toto_status eval_models_open(struct eval_options *options, struct toto_error *err);

/* The i-th model as the library scores it, and the options of its forecasts: those of other families are left out. */
struct toto_forecaster eval_forecaster(const struct eval_options *options, size_t i);
struct toto_forecast_options eval_forecast_options(const struct eval_options *options, size_t i);

/* The table of the scores, where the options say; folded to the terminal if it is one. */
enum toto_status eval_scores_open(const struct eval_options *options, const char *const *columns, size_t n_columns,
                                  struct toto_scores **scores, struct toto_error *err);

void eval_options_free(struct eval_options *options);

/* What is being scored, on one line of standard error that the next overwrites; a toto_progress whose user is this. */
struct eval_progress {
    bool shown;
    char what[160]; /* such as "model ETTh1 96" */
};
void eval_progress_show(void *user, size_t done, size_t total);
/* Clears the line. */
void eval_progress_end(const struct eval_progress *progress);

#endif
