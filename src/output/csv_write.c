/* The CSV writer: a row a step, in the order of series and then of time (RFC 4180, lines end in \n). */
#include <stdio.h>
#include <string.h>

#include "../base/memory.h"
#include "../series/series.h"
#include "number_text.h"
#include "out_file.h"

struct toto_writer {
    struct out_file forecasts, samples; /* samples is closed if they are not asked for */
    const struct toto_series *series;   /* borrowed */
    size_t horizon, n_quantiles, n_quantile_columns, n_samples;
    double *quantiles, *levels;         /* for the header: n_quantile_columns and n_levels */
    size_t n_levels;
    bool header_written;
};

static enum toto_status put_text(struct out_file *file, const char *text, struct toto_error *err)
{
    return out_file_write(file, text, strlen(text), err);
}

/* "," and a name such as 0.1, lo-80 or sample-3. */
static enum toto_status put_column(struct out_file *file, const char *prefix, double number,
                                   struct toto_error *err)
{
    char digits[NUMBER_TEXT_SIZE], name[2 * NUMBER_TEXT_SIZE];
    double_text(number, digits);
    snprintf(name, sizeof name, ",%s%s", prefix, digits);
    return put_text(file, name, err);
}

/* The names that both outputs begin with. */
static enum toto_status put_key_names(struct toto_writer *writer, struct out_file *file,
                                      struct toto_error *err)
{
    enum toto_status status = out_file_field(file, writer->series->id_name, err);
    if (!status)
        status = put_text(file, ",", err);
    return status ? status : out_file_field(file, writer->series->time_name, err);
}

static enum toto_status put_header(struct toto_writer *writer, struct toto_error *err)
{
    struct out_file *file = &writer->forecasts;
    enum toto_status status = put_key_names(writer, file, err);
    if (!status)
        status = put_text(file, ",forecast", err);
    for (size_t i = 0; !status && i < writer->n_quantile_columns; i++)
        status = put_column(file, "", writer->quantiles[i], err);
    for (size_t i = 0; !status && i < writer->n_levels; i++) {
        status = put_column(file, "lo-", writer->levels[i], err);
        if (!status)
            status = put_column(file, "hi-", writer->levels[i], err);
    }
    if (!status)
        status = put_text(file, "\n", err);
    file = &writer->samples;
    if (status || !file->buffer)
        return status;

    status = put_key_names(writer, file, err);
    for (size_t i = 0; !status && i < writer->n_samples; i++)
        status = put_column(file, "sample-", (double)i, err);
    return status ? status : put_text(file, "\n", err);
}

/* "," and the number, or "," alone for what is missing. */
static enum toto_status put_number(struct out_file *file, const float *value, struct toto_error *err)
{
    char text[1 + NUMBER_TEXT_SIZE] = ",";
    size_t length = value ? float_text(*value, text + 1) : 0;
    return out_file_write(file, text, 1 + length, err);
}

/* The id and the time that a row of either output begins with. */
static enum toto_status put_keys(struct out_file *file, const char *id, const char *time,
                                 struct toto_error *err)
{
    enum toto_status status = out_file_field(file, id, err);
    if (!status)
        status = put_text(file, ",", err);
    return status ? status : out_file_field(file, time, err);
}

static enum toto_status put_step(struct toto_writer *writer, const struct toto_forecast *forecast,
                                 size_t step, struct toto_error *err)
{
    const struct variate *variate = &writer->series->variates[forecast->series];
    const bool missing = forecast->missing;
    char time[TIME_TEXT_SIZE];
    time_axis_text(&variate->axis, step + 1, time);

    struct out_file *file = &writer->forecasts;
    enum toto_status status = put_keys(file, variate->id, time, err);
    if (!status)
        status = put_number(file, missing ? NULL : &forecast->point[step], err);
    for (size_t q = 0; !status && q < writer->n_quantiles; q++)
        status = put_number(file, missing ? NULL : &forecast->quantiles[q * writer->horizon + step], err);
    if (!status)
        status = put_text(file, "\n", err);
    file = &writer->samples;
    if (status || !file->buffer)
        return status;

    status = put_keys(file, variate->id, time, err);
    for (size_t i = 0; !status && i < writer->n_samples; i++)
        status = put_number(file, missing ? NULL : &forecast->samples[step * writer->n_samples + i], err);
    return status ? status : put_text(file, "\n", err);
}

enum toto_status toto_writer_open(const struct toto_writer_options *options,
                                  const struct toto_series *series,
                                  const struct toto_forecast_options *forecast,
                                  struct toto_writer **writer_out, struct toto_error *err)
{
    enum toto_status status = TOTO_STATUS_RESOURCE;
    *writer_out = NULL;
    if (forecast->n_quantiles != options->n_quantile_columns + 2 * options->n_levels)
        return toto_fail(err, TOTO_STATUS_USAGE,
                         "%zu quantiles do not make %zu columns and lo and hi of %zu levels",
                         forecast->n_quantiles, options->n_quantile_columns, options->n_levels);
    struct toto_writer *writer = mem_calloc(1, sizeof *writer);
    if (!writer)
        return toto_fail_memory(err, "the writer", sizeof *writer);
    writer->series = series;
    writer->horizon = forecast->horizon;
    writer->n_quantiles = forecast->n_quantiles;
    writer->n_quantile_columns = options->n_quantile_columns;
    writer->n_samples = forecast->n_samples;
    writer->n_levels = options->n_levels;
    writer->quantiles = mem_calloc(writer->n_quantile_columns, sizeof *writer->quantiles);
    writer->levels = mem_calloc(writer->n_levels, sizeof *writer->levels);
    if (!writer->quantiles || !writer->levels) {
        toto_fail_memory(err, "the names of the columns", forecast->n_quantiles * sizeof(double));
        goto done;
    }
    for (size_t i = 0; i < writer->n_quantile_columns; i++)
        writer->quantiles[i] = forecast->quantiles[i];
    for (size_t i = 0; i < writer->n_levels; i++)
        writer->levels[i] = options->levels[i];
    status = out_file_open(options->path, &writer->forecasts, err);
    if (!status && options->samples_path)
        status = out_file_open(options->samples_path, &writer->samples, err);
    if (status)
        goto done;
    *writer_out = writer;
    return TOTO_STATUS_OK;
done:
    toto_writer_abort(writer);
    return status;
}

enum toto_status toto_writer_put(void *user, const struct toto_forecast *forecast, struct toto_error *err)
{
    struct toto_writer *writer = user;
    enum toto_status status = TOTO_STATUS_OK;
    if (!writer->header_written)
        status = put_header(writer, err);
    writer->header_written = true;
    for (size_t step = 0; !status && step < writer->horizon; step++)
        status = put_step(writer, forecast, step, err);
    return status;
}

enum toto_status toto_writer_close(struct toto_writer *writer, struct toto_error *err)
{
    enum toto_status status = TOTO_STATUS_OK;
    if (!writer->header_written)
        status = put_header(writer, err);
    if (!status)
        status = out_file_finish(&writer->forecasts, err);
    if (!status && writer->samples.buffer)
        status = out_file_finish(&writer->samples, err);
    if (!status)
        status = out_file_commit(&writer->forecasts, err);
    if (!status && writer->samples.buffer)
        status = out_file_commit(&writer->samples, err);
    toto_writer_abort(writer);
    return status;
}

void toto_writer_abort(struct toto_writer *writer)
{
    if (!writer)
        return;
    out_file_close(&writer->forecasts);
    out_file_close(&writer->samples);
    mem_free(writer->quantiles);
    mem_free(writer->levels);
    mem_free(writer);
}

void toto_writer_unlink_all(void)
{
    out_file_unlink_all();
}
