/* libtoto: forecasts time series with Datadog's Toto foundation models.
 *
 * A forecast in ten lines:
 *
 *     struct toto_error err;
 *     struct toto_table *table = NULL; struct toto_series *series = NULL;
 *     struct toto_model *model = NULL; struct toto_device *device = NULL; struct toto_writer *out = NULL;
 *     const struct toto_forecast_options options = toto_forecast_defaults();
 *     if (toto_table_read((const char *[]){"sales.csv"}, 1, NULL, &table, &err) ||
 *         toto_series_make(table, NULL, &series, &err) || toto_model_open_builtin(&model, &err) ||
 *         toto_device_open("auto", TOTO_DTYPE_AUTO, 0, &device, &err) ||
 *         toto_writer_open(&(struct toto_writer_options){.n_quantile_columns = options.n_quantiles}, series,
 *                          &options, &out, &err) ||
 *         toto_forecast_run(model, device, series, &options, toto_writer_put, out, &err) ||
 *         toto_writer_close(out, &err))
 *         fprintf(stderr, "toto: %s\n", err.message);
 *
 * Ownership: what toto_X_open, _read or _make hands out is the caller's and goes back through
 * toto_X_free (or _close), which take NULL. A const pointer is borrowed. Series do not keep their table,
 * so a table may be freed as soon as its series are made; a model keeps its mapping until it is freed.
 *
 * Errors: a call that can fail returns enum toto_status; on failure err->message holds the whole
 * message, without a newline, and out parameters are left NULL. Status values are exit codes (sysexits.h).
 */
#ifndef TOTO_H
#define TOTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOTO_VERSION "0.1.0"

enum toto_status {
    TOTO_STATUS_OK = 0,
    TOTO_STATUS_USAGE = 64,     /* an option or argument that cannot be */
    TOTO_STATUS_DATA = 65,      /* the input or the model is wrong */
    TOTO_STATUS_NO_INPUT = 66,  /* the input or the model was not found */
    TOTO_STATUS_NETWORK = 69,   /* a model host cannot be reached */
    TOTO_STATUS_BUG = 70,       /* toto itself is wrong */
    TOTO_STATUS_RESOURCE = 71,  /* no device, no memory */
    TOTO_STATUS_CREATE = 73,    /* an output cannot be created */
    TOTO_STATUS_IO = 74,        /* reading or writing failed */
    TOTO_STATUS_RETRY = 75,     /* a lock is held */
    TOTO_STATUS_CONFIG = 78,    /* a configuration file is wrong */
};

struct toto_error {
    char message[1024];
};

/* ---- Messages and memory of the process ---------------------------------------------------------- */

enum toto_log_level { TOTO_LOG_ERROR, TOTO_LOG_WARN, TOTO_LOG_INFO, TOTO_LOG_DEBUG };

/* Every message of the library goes to fn (none by default), one line without a newline at a time.
 * Messages above `level` are not even formatted. fn may be called from any thread. */
typedef void toto_log_fn(void *user, enum toto_log_level level, const char *line);
void toto_log_set(enum toto_log_level level, toto_log_fn *fn, void *user);

/* Upper bound of the bytes that toto allocates (mappings of model files do not count); 0: none.
 * An allocation that would pass it fails, and the call that needed it returns TOTO_STATUS_RESOURCE. */
void toto_memory_set_limit(size_t bytes);
size_t toto_memory_used(void); /* bytes allocated now */
size_t toto_memory_peak(void); /* the most so far */

/* Path of the mapped model file that holds this address, or NULL. Safe in a signal handler: a file cut
 * short while it is mapped raises SIGBUS, and only the program can decide what then happens. */
const char *toto_mapped_path(const void *address);

/* ---- Table: CSV files become typed columns ------------------------------------------------------- */

enum toto_layout { TOTO_LAYOUT_AUTO, TOTO_LAYOUT_WIDE, TOTO_LAYOUT_LONG };
enum toto_on_error { TOTO_ON_ERROR_FAIL, TOTO_ON_ERROR_SKIP, TOTO_ON_ERROR_NULL };

struct toto_table_options {
    enum toto_layout layout;
    const char *id;             /* column names; NULL: found by name */
    const char *time;
    const char *const *targets; /* NULL: found by name or type */
    size_t n_targets;
    const char *const *drops;   /* columns to leave out */
    size_t n_drops;
    const char *const *pasts;   /* covariates of the past: seen by the targets, not written */
    size_t n_pasts;
    const char *const *knowns;  /* covariates known ahead of the forecast */
    size_t n_knowns;
    const char *future;         /* CSV of rows after the last of each series, with the known columns (read
                                 * only if there are any); NULL: they stand at the end of the series, their
                                 * targets and covariates of the past empty */
    const char *group;          /* column that groups the series of long input, or NULL */
    enum toto_on_error on_error; /* a bad cell spoils its series alone unless FAIL */
};

struct toto_table;

/* Reads files (one table with one header; "-" is standard input) as CSV. Errors name file, line and
 * field. options NULL: all defaults. */
enum toto_status toto_table_read(const char *const *paths, size_t n_paths,
                                 const struct toto_table_options *options, struct toto_table **table,
                                 struct toto_error *err);
void toto_table_free(struct toto_table *table);

/* ---- Series: columns become regular variates with masks ------------------------------------------ */

enum toto_fill { TOTO_FILL_FFILL, TOTO_FILL_NONE, TOTO_FILL_LINEAR };
enum toto_group { TOTO_GROUP_AUTO, TOTO_GROUP_ALL, TOTO_GROUP_NONE, TOTO_GROUP_COLUMN };

struct toto_series_options {
    enum toto_fill fill;
    enum toto_group group; /* AUTO: wide all, long none */
    size_t context;        /* the last so many points are kept; 0: 4096 */
    size_t future_steps;   /* most steps of known covariates kept beyond the context; 0: all */
    enum toto_on_error on_error;
};

struct toto_series;

enum toto_status toto_series_make(const struct toto_table *table, const struct toto_series_options *options,
                                  struct toto_series **series, struct toto_error *err);
void toto_series_free(struct toto_series *series);

/* Variates that a program holds, on one grid of steps; borrowed for the time of the call. */
struct toto_values {
    const char *const *ids; /* [n_variates]: names; that of a group's first variate and the seed set its draws */
    size_t n_variates, n_steps; /* at least 1 of each */
    const float *values;    /* [n_variates][n_steps]; NAN: missing */
    size_t stride;          /* values from one variate to the next; 0: n_steps */
};

/* Series of n groups of variates, without a table: the variates of a group see each other, unless options->group is
 * NONE. Their time is the number of the step, from 0. An infinite value is TOTO_STATUS_DATA; a variate may be missing
 * as a whole. options NULL: all defaults; future_steps and on_error have no say. */
enum toto_status toto_series_from_values(const struct toto_values *groups, size_t n_groups,
                                         const struct toto_series_options *options,
                                         struct toto_series **series, struct toto_error *err);
size_t toto_series_count(const struct toto_series *series);      /* variates that will be written */
size_t toto_series_bad_count(const struct toto_series *series);  /* skipped or written as null */

/* ---- Models and devices -------------------------------------------------------------------------- */

struct toto_model;

/* Maps a checkpoint folder (config.json, model.safetensors or shards with an index), or a .safetensors
 * file with config.json beside it, and checks all of it. */
enum toto_status toto_model_open(const char *path, struct toto_model **model, struct toto_error *err);
/* Opens the model that lies in libtoto itself, with the same checks; its path is "built in". Only a program that
 * calls this carries the model: the linker leaves its 8 MB out of all others. */
enum toto_status toto_model_open_builtin(struct toto_model **model, struct toto_error *err);
void toto_model_free(struct toto_model *model);

struct toto_model_info {
    const char *family;        /* "toto-1.0" */
    const char *path;          /* the folder, or "built in" */
    uint64_t n_parameters;     /* of the tensors that the family uses */
    uint64_t weights_bytes;    /* in the files */
    size_t n_tensors, n_files;
    char dtypes[64];           /* e.g. "F32", "F16+BF16" */
    int patch_size, d_model, n_layers, n_heads, d_ff;
    const char *attributes;    /* more lines "key: value\n" that only this family has */
};
void toto_model_inspect(const struct toto_model *model, struct toto_model_info *info);

/* SHA-256 of the n-th weight file as 64 hexadecimal digits. */
enum toto_status toto_model_sha256(const struct toto_model *model, size_t file, char hex[65],
                                   const char **name, struct toto_error *err);

struct toto_device;

/* What weights and activations are stored as; sums are in float32. AUTO: by the device's class. */
enum toto_dtype { TOTO_DTYPE_AUTO, TOTO_DTYPE_F32, TOTO_DTYPE_F16, TOTO_DTYPE_BF16 };

/* name: "auto" (NULL too), "cpu", "gpu", a number, or part of a platform's and device's name in any case, the first
 * that matches. auto takes a discrete GPU before an integrated one, larger memory before smaller, and the built-in
 * CPU where there is no GPU or it fails to open (a warning then); any other device that is not there or fails is
 * TOTO_STATUS_RESOURCE. n_threads 0: what the affinity mask and the cgroup quota allow. */
enum toto_status toto_device_open(const char *name, enum toto_dtype dtype, size_t n_threads,
                                  struct toto_device **device, struct toto_error *err);
void toto_device_free(struct toto_device *device);
/* The most memory that was taken on the device so far; 0 for the CPU, whose memory toto_memory_peak counts. */
size_t toto_device_peak(const struct toto_device *device);

struct toto_device_info {
    char platform[64], name[128], driver[64];
    const char *type;         /* "cpu" (the built-in one), "gpu", "integrated gpu", "opencl cpu", "accelerator" */
    uint64_t memory_bytes;
    size_t compute_units;
    bool float16, float64;    /* arithmetic in kernels, probed, as are the three below */
    bool local_32k, group_256; /* 32 KB of local memory, work-groups of 256 */
    bool nvidia;              /* inline PTX */
    bool chosen;              /* auto takes this one */
    char why[320];            /* why auto takes it, or does not */
};

/* Every device; its index is its number, and number 0 is the built-in CPU. *devices is the caller's, to free by
 * toto_devices_free. Capabilities are learnt by building small kernels on each device, once a driver. */
enum toto_status toto_devices_list(struct toto_device_info **devices, size_t *n_devices, struct toto_error *err);
void toto_devices_free(struct toto_device_info *devices);

/* ---- Forecast ------------------------------------------------------------------------------------ */

enum toto_point { TOTO_POINT_MEDIAN, TOTO_POINT_MEAN };

/* One pass up to 768 steps, and blocks of 768 (in whole patches) beyond. */
#define TOTO_DECODE_BLOCK_AUTO SIZE_MAX

struct toto_forecast_options {
    size_t horizon;           /* steps */
    size_t n_samples;         /* trajectories (Toto 1.0); 0: the mean forecast alone */
    size_t samples_per_batch; /* most trajectories in memory at once; 0: planned */
    bool kv_cache;            /* Toto 1.0; false: every step is computed anew */
    size_t decode_block;      /* Toto 2.0: steps a block, whole patches; 0: one pass; TOTO_DECODE_BLOCK_AUTO */
    bool extrapolate;         /* Toto 2.0: make up quantiles outside 0.1 to 0.9 */
    uint64_t seed;
    enum toto_point point;
    const double *quantiles;  /* ascending or not, each in [0, 1]; borrowed */
    size_t n_quantiles;
    bool keep_samples;        /* hand the trajectories to the sink too */
    size_t memory;            /* most bytes that toto allocates; 0: planned from the machine */
};

/* 96 steps, 256 samples, KV cache, seed 0, median, quantiles 0.1 to 0.9. */
struct toto_forecast_options toto_forecast_defaults(void);

/* One variate's forecast; borrowed for the time of the call. All values are finite, or the whole series
 * is null (`missing`: bad input under TOTO_ON_ERROR_NULL). */
struct toto_forecast {
    size_t series;           /* index of the variate, in order of first appearance */
    bool missing;
    const float *point;      /* [horizon] */
    const float *quantiles;  /* [n_quantiles][horizon] */
    const float *samples;    /* [horizon][n_samples], or NULL */
};

/* Called once a variate in order of first appearance; a status other than OK ends the run. */
typedef enum toto_status toto_forecast_sink(void *user, const struct toto_forecast *forecast,
                                            struct toto_error *err);

struct toto_plan {
    size_t n_series, n_groups;
    size_t groups_per_batch, samples_per_batch;
    size_t memory_bytes;   /* the most that the run will allocate, input included */
    size_t least_bytes;    /* the least that would do */
    size_t limit_bytes;    /* what --memory or the machine sets */
    const char *device;
    size_t n_threads;
};

/* Plans the run; TOTO_STATUS_RESOURCE with the least that would do if it cannot fit. */
enum toto_status toto_forecast_plan(const struct toto_model *model, const struct toto_device *device,
                                    const struct toto_series *series,
                                    const struct toto_forecast_options *options, struct toto_plan *plan,
                                    struct toto_error *err);

/* Forecasts all series: plans, then streams each variate to the sink in order. */
enum toto_status toto_forecast_run(const struct toto_model *model, struct toto_device *device,
                                   const struct toto_series *series,
                                   const struct toto_forecast_options *options, toto_forecast_sink *sink,
                                   void *user, struct toto_error *err);

/* ---- Evaluation: forecasts against what came ------------------------------------------------------- */

/* Forecasts that need no model. */
enum toto_baseline {
    TOTO_BASELINE_NONE,
    TOTO_BASELINE_NAIVE,          /* the last value */
    TOTO_BASELINE_SEASONAL_NAIVE, /* the value of the same season before */
    TOTO_BASELINE_DRIFT,          /* the line through the first value and the last */
    TOTO_BASELINE_MEAN,           /* the mean */
};

/* What is scored: a model on a device, or a baseline. */
struct toto_forecaster {
    const struct toto_model *model; /* NULL: the baseline */
    struct toto_device *device;     /* of the model */
    enum toto_baseline baseline;
};

/* Told from time to time how far a scoring is. */
typedef void toto_progress(void *user, size_t done, size_t total);

/* The benchmark of long sequence forecasting (LSF): a table of variates, standardised by its first rows. */
struct toto_lsf;

struct toto_lsf_split {
    size_t train, val, test; /* rows; all 0: as the file's name says */
};

/* Reads a CSV file with a column of times and a column a variate, its rows in the order of time. A file named ETTh1,
 * ETTh2, ETTm1, ETTm2, weather or electricity (in any case) knows its split; any other name without a split is
 * TOTO_STATUS_USAGE. Each variate is standardised by the mean and the standard deviation (n - 1) of its train rows, and
 * a missing value stays missing. TOTO_STATUS_DATA: too few rows, a cell that is no number, a variate that is constant or
 * missing over the train rows. */
enum toto_status toto_lsf_open(const char *path, const struct toto_lsf_split *split, struct toto_lsf **data,
                               struct toto_error *err);
void toto_lsf_free(struct toto_lsf *data);
const char *toto_lsf_name(const struct toto_lsf *data); /* the file's name without folder and extension */

struct toto_lsf_options {
    size_t horizon, context, stride; /* steps, at least 1 of each; stride: from one window to the next */
    enum toto_group group;           /* ALL (AUTO too): all variates see each other; NONE: each is alone */
    size_t season;                   /* of seasonal naive; 0: as the times' step says, else 1 */
    struct toto_forecast_options forecast; /* its horizon, point and quantiles have no say */
    toto_progress *progress;         /* of windows; NULL: none */
    void *user;
};

/* Horizon 96, context 2048, stride 512, all variates together, 256 samples with seed 59. */
struct toto_lsf_options toto_lsf_defaults(void);

struct toto_lsf_score {
    size_t n_windows;
    uint64_t n_values; /* forecasts that were compared with a value: missing ones are left out */
    double mae, mse;   /* over all of them at once, in standardised units */
};

/* Scores the point forecasts of all windows of the test rows. The point forecast of Toto 1.0 is the mean forecast where
 * n_samples is 0, else the sample number round(0.5 (n_samples - 1)) in ascending order, halves to the even; that of Toto
 * 2.0 the median. The score is the same to the bit whatever the batches. */
enum toto_status toto_lsf_run(const struct toto_lsf *data, const struct toto_forecaster *forecaster,
                              const struct toto_lsf_options *options, struct toto_lsf_score *score,
                              struct toto_error *err);

/* Scores of a backtest; man/toto-eval.1 defines them. Those after these are the coverage of each level. */
enum toto_metric {
    TOTO_METRIC_MAE,
    TOTO_METRIC_MSE,
    TOTO_METRIC_RMSE,
    TOTO_METRIC_SMAPE,
    TOTO_METRIC_MASE,
    TOTO_METRIC_RMSSE,
    TOTO_METRIC_WQL,
    TOTO_N_METRICS,
};

/* Scores by what they need of a series, as bits. */
enum toto_score_kind {
    TOTO_SCORE_SCALED = 1,   /* MASE and RMSSE */
    TOTO_SCORE_WEIGHTED = 2, /* WQL */
    TOTO_SCORE_RELATIVE = 4, /* all that is divided by seasonal naive's */
};

/* Rolling windows of the series of a table: forecasts from origins whose outcome is known. */
struct toto_backtest;

struct toto_backtest_options {
    size_t horizon;          /* steps that are forecast from each origin, at least 1 */
    size_t n_windows;        /* origins of a series, at least 1: the last ones */
    size_t step;             /* steps from one origin to the next; 0: the horizon */
    size_t season;           /* steps of a season; 0: of each series, as the step of its times says */
    const double *quantiles; /* of the weighted quantile loss, each in [0, 1]; borrowed for the time of the call */
    size_t n_quantiles;
    const double *levels;    /* in percent, whose coverage is counted; borrowed too */
    size_t n_levels;
    unsigned unread;         /* bits of enum toto_score_kind: scores without a reader, of which no warning tells where
                              * they are missing; 0: all have one */
};

/* Plans windows: the outcome of the last ends at the last row of its series (of a group: at its latest row). What stands
 * behind an origin has no say in what is made of the rows before it. series: as toto_series_make takes them; context and
 * fill are those of a window. A series without room for one window is bad (see on_error); one with room for fewer is
 * scored by those that fit, and a warning tells. */
enum toto_status toto_backtest_make(const struct toto_table *table, const struct toto_series_options *series,
                                    const struct toto_backtest_options *options, struct toto_backtest **backtest,
                                    struct toto_error *err);
void toto_backtest_free(struct toto_backtest *backtest);
size_t toto_backtest_window_count(const struct toto_backtest *backtest); /* of all groups */
size_t toto_backtest_bad_count(const struct toto_backtest *backtest);    /* series skipped or reported as missing */

/* A series' scores, [TOTO_N_METRICS + n_levels]; NAN where there is none, its divisor being 0. */
struct toto_backtest_score {
    const char *id;
    size_t season, n_windows, n_points; /* windows and points whose outcome is known */
    size_t n_unscaled;       /* windows without a scale, which MASE and RMSSE leave out */
    double *scores;
    double *relative;        /* divided by that of seasonal naive; WQL: by the loss of its point forecast */
};

struct toto_backtest_report {
    size_t n_series, n_scores;
    struct toto_backtest_score *series; /* in order of first appearance */
    struct toto_backtest_score mean;    /* over the series that have the score; its counts are sums, its season 0 */
    double *geometric_mean;             /* [n_scores] over series, of relative; a ratio below 0.01 counts as 0.01 */
    size_t *n_scored, *n_related;       /* [n_scores] series that the means of scores and of relative are over */
};

/* Forecasts all windows and scores them. Of options, which are the model's, horizon and quantiles have no say. The
 * report is the caller's, to free by toto_backtest_report_free; its ids live as long as the backtest. The scores are the
 * same to the bit whatever the batches. progress NULL: none. */
enum toto_status toto_backtest_run(const struct toto_backtest *backtest, const struct toto_forecaster *forecaster,
                                   const struct toto_forecast_options *options, toto_progress *progress, void *user,
                                   struct toto_backtest_report **report, struct toto_error *err);
void toto_backtest_report_free(struct toto_backtest_report *report);

/* ---- Self-test ----------------------------------------------------------------------------------- */

enum toto_verdict { TOTO_VERDICT_PASSED, TOTO_VERDICT_FAILED, TOTO_VERDICT_SKIPPED, TOTO_VERDICT_SHOWN };

/* One thing that was looked at; borrowed for the time of the call. */
struct toto_check {
    const char *name;
    enum toto_verdict verdict; /* SHOWN: a figure that is not judged */
    const char *why;           /* FAILED: what parted first; SKIPPED: what stands in the way; else NULL */
    double max_error;          /* NAN where there is none, as in the two below */
    double mean_error;         /* mean absolute */
    double limit;              /* what the judged of the two may be at most */
    double seconds;
};

typedef void toto_check_report(void *user, const struct toto_check *check);

/* What the error of a forecast may be on a device that stores this dtype, in its interquartile range. */
double toto_verify_limit(enum toto_dtype dtype);

struct toto_golden_options {
    enum toto_dtype dtype;  /* that the device stores: of F16 and BF16 more is forgiven, by toto_verify_limit */
    const char *only;       /* cases whose name holds this; NULL: all */
    const char *generated;  /* folder of the models that a program makes; NULL: their cases are skipped */
};

/* Runs the cases of a folder of golden data (manifest.json, as tests/golden/toto1 and toto2 describe it) on the device,
 * and follows each stage by stage: a report a case, its errors in tolerances of the data, `why` led by the first stage
 * that parted. A folder that cannot be read fails. options NULL: all defaults. */
enum toto_status toto_verify_golden(struct toto_device *device, const char *folder,
                                    const struct toto_golden_options *options, toto_check_report *report,
                                    void *user, struct toto_error *err);

/* Compares forecasts of built-in series on a device with those of the CPU in float32: the same draws within the dtype's
 * limit, the same bytes once more and in smaller batches, and with and without the key-value cache (Toto 1.0). model
 * NULL: a small one with made-up weights. name, dtype and n_threads as toto_device_open takes them; the status is that
 * of opening the devices, and what is found there goes to the report. */
enum toto_status toto_verify_device(const struct toto_model *model, const char *name, enum toto_dtype dtype,
                                    size_t n_threads, toto_check_report *report, void *user,
                                    struct toto_error *err);

/* ---- Output: forecasts become text --------------------------------------------------------------- */

struct toto_writer_options {
    const char *path;         /* NULL or "-": standard output; else written aside and renamed by close */
    const char *samples_path; /* every trajectory as CSV, written aside and renamed too; NULL: none */
    const double *levels;     /* central intervals in percent; their quantiles stand in the forecast options */
    size_t n_levels;
    size_t n_quantile_columns; /* the first so many quantiles of the forecast options are columns */
};

struct toto_writer;

/* Creates the outputs; the header goes out with the first row or at close, so a failed run leaves
 * nothing. The quantiles of the forecast options are laid out as the quantile columns first, then lo and
 * hi of each level: lo is (1 - level/100)/2, hi is 1 - lo. */
enum toto_status toto_writer_open(const struct toto_writer_options *options,
                                  const struct toto_series *series,
                                  const struct toto_forecast_options *forecast,
                                  struct toto_writer **writer, struct toto_error *err);
toto_forecast_sink toto_writer_put;
/* Flushes, checks, renames. On failure the temporary files are removed. Frees the writer either way. */
enum toto_status toto_writer_close(struct toto_writer *writer, struct toto_error *err);
/* Removes the temporary files and frees the writer; for a run that failed. Takes NULL. */
void toto_writer_abort(struct toto_writer *writer);
/* Removes temporary files of all open writers; safe in a signal handler. */
void toto_writer_unlink_all(void);

/* ---- Output: scores become text -------------------------------------------------------------------- */

enum toto_scores_format {
    TOTO_SCORES_TABLE, /* columns for a person, numbers to four decimals */
    TOTO_SCORES_CSV,   /* numbers that read back to the same double */
    TOTO_SCORES_JSON,  /* {"toto": VERSION, "scores": [{COLUMN: VALUE, ...}, ...]}, numbers as in CSV */
    TOTO_SCORES_MD,    /* a table of GitHub's Markdown, numbers as in TABLE */
};

struct toto_cell {
    enum { TOTO_CELL_TEXT, TOTO_CELL_COUNT, TOTO_CELL_REAL } kind;
    const char *text;  /* borrowed for the time of the call */
    uint64_t count;
    double real;       /* not finite: nothing; "-" for a person, null in JSON */
};

struct toto_scores;

/* A table of scores. path NULL or "-": standard output; else written aside and renamed by close. columns: borrowed
 * until close or abort. */
enum toto_status toto_scores_open(const char *path, enum toto_scores_format format, const char *const *columns,
                                  size_t n_columns, struct toto_scores **scores, struct toto_error *err);
/* A TABLE of more characters a line than `width` is written in parts, one below the other, each with the columns of
 * text that lead it. 0, which is so without this call: in one part. */
void toto_scores_fold(struct toto_scores *scores, size_t width);
/* Adds a row of n_columns cells; nothing is written before close. */
enum toto_status toto_scores_add(struct toto_scores *scores, const struct toto_cell *cells, struct toto_error *err);
/* Writes the table, renames the file. On failure the temporary file is removed. Frees the table either way. */
enum toto_status toto_scores_close(struct toto_scores *scores, struct toto_error *err);
void toto_scores_abort(struct toto_scores *scores); /* for a run that failed; takes NULL */

#endif
