/* toto forecast: a table becomes series, series and a model become forecasts, forecasts become text. */
#include "commands.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "forecast_options.h"
#include "model_path.h"
#include "options.h"

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Says the stages of a run, with -v alone. */
struct stages {
    bool shown;
    double since; /* when the stage began */
};

static void stage_done(struct stages *stages, const char *fmt, ...) COMMAND_PRINTF(2, 3);

static void stage_done(struct stages *stages, const char *fmt, ...)
{
    double now = seconds_now();
    if (stages->shown) {
        va_list args;
        va_start(args, fmt);
        fputs("toto: ", stderr);
        vfprintf(stderr, fmt, args);
        fprintf(stderr, " (%.1f ms)\n", 1e3 * (now - stages->since));
        va_end(args);
    }
    stages->since = now;
}

static void print_plan(const struct toto_plan *plan, const struct toto_forecast_options *forecast)
{
    printf("series: %zu\n"
           "groups: %zu\n"
           "horizon: %zu\n"
           "samples: %zu\n"
           "groups_per_batch: %zu\n"
           "samples_per_batch: %zu\n"
           "memory_bytes: %zu\n"
           "least_bytes: %zu\n"
           "limit_bytes: %zu\n"
           "device: %s\n"
           "threads: %zu\n",
           plan->n_series, plan->n_groups, forecast->horizon, plan->samples_per_batch ? forecast->n_samples : 0,
           plan->groups_per_batch, plan->samples_per_batch, plan->memory_bytes, plan->least_bytes,
           plan->limit_bytes, plan->device, plan->n_threads);
}

/* An option that the model's family does not have is an error rather than passed over. */
static enum toto_status check_family(const struct toto_model *model, bool builtin,
                                     const struct forecast_options *options, struct toto_error *err)
{
    struct toto_model_info info;
    toto_model_inspect(model, &info);
    bool toto2 = strcmp(info.family, "toto-2.0") == 0;
    const char *option = toto2 ? options->toto1_option : options->toto2_option;
    if (!option)
        return TOTO_STATUS_OK;
    return command_fail(err, TOTO_STATUS_USAGE, "option %s is for Toto %s models, and %s is a Toto %s model%s",
                        option, toto2 ? "1.0" : "2.0", builtin ? "the built-in one" : info.path,
                        toto2 ? "2.0" : "1.0",
                        toto2 ? ": its quantiles need no samples" : "");
}

/* The status of a run that wrote all it could: the bad series that --on-error passed over count. */
static enum toto_status judge_series(const struct forecast_options *options, size_t n_bad,
                                     struct toto_error *err)
{
    if (!n_bad)
        return TOTO_STATUS_OK;
    return command_fail(err, TOTO_STATUS_DATA, "%zu series %s bad and %s; all others are done", n_bad,
                        n_bad == 1 ? "was" : "were",
                        options->table.on_error == TOTO_ON_ERROR_NULL ? "written as null" : "left out");
}

enum toto_status forecast_command(int argc, char **argv, struct toto_error *err)
{
    struct forecast_options options = {0};
    struct toto_table *table = NULL;
    struct toto_series *series = NULL;
    struct toto_model *model = NULL;
    struct toto_device *device = NULL;
    struct toto_writer *writer = NULL;
    struct toto_plan plan = {0};
    char model_path[MODEL_PATH_SIZE];
    bool helped = false;

    enum toto_status status = forecast_options_read(argc, argv, &options, &helped, err);
    if (status || helped)
        goto done;
    /* A missing model is told before standard input is read to its end. */
    status = model_path_find(options.model, model_path, err);
    if (status)
        goto done;
    toto_log_set(options.log_level, command_print_log, NULL);
    toto_memory_set_limit(options.memory);
    struct stages stages = {options.log_level >= TOTO_LOG_INFO, seconds_now()};

    status = toto_table_read(options.files, options.n_files, &options.table, &table, err);
    if (status)
        goto done;
    status = toto_series_make(table, &options.series, &series, err);
    if (status)
        goto done;
    toto_table_free(table);
    table = NULL;
    stage_done(&stages, "read %zu series", toto_series_count(series));

    status = model_path_open(model_path, &model, err);
    if (status)
        goto done;
    status = check_family(model, !*model_path, &options, err);
    if (status)
        goto done;
    stage_done(&stages, "opened model %s", *model_path ? model_path : "built in");

    status = toto_device_open(options.device, options.dtype, options.n_threads, &device, err);
    if (status)
        goto done;
    status = toto_forecast_plan(model, device, series, &options.forecast, &plan, err);
    if (status)
        goto done;
    char samples[48] = ""; /* none are drawn from Toto 2.0, nor for a mean forecast */
    if (plan.samples_per_batch)
        snprintf(samples, sizeof samples, " and %zu samples", plan.samples_per_batch);
    stage_done(&stages, "planned batches of %zu group%s%s in %.1f MB on %s, %zu threads", plan.groups_per_batch,
               plan.groups_per_batch == 1 ? "" : "s", samples, 1e-6 * (double)plan.memory_bytes, plan.device,
               plan.n_threads);
    if (options.dry_run) {
        print_plan(&plan, &options.forecast);
        goto done;
    }

    status = toto_writer_open(&options.output, series, &options.forecast, &writer, err);
    if (status)
        goto done;
    status = toto_forecast_run(model, device, series, &options.forecast, toto_writer_put, writer, err);
    if (status)
        goto done;
    stage_done(&stages, "forecast %zu steps", options.forecast.horizon);

    status = toto_writer_close(writer, err);
    writer = NULL;
    if (status)
        goto done;
    stage_done(&stages, "wrote %s; at most %.1f MB were allocated",
               options.output.path ? options.output.path : "standard output", 1e-6 * (double)toto_memory_peak());
    if (toto_device_peak(device))
        stage_done(&stages, "at most %.1f MB were taken on the device", 1e-6 * (double)toto_device_peak(device));
    status = judge_series(&options, toto_series_bad_count(series), err);
done:
    toto_writer_abort(writer);
    toto_device_free(device);
    toto_model_free(model);
    toto_series_free(series);
    toto_table_free(table);
    forecast_options_free(&options);
    return status;
}
