/* Golden data of Toto 2.0 for series of any length: they go the way of a user's file, from CSV on. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../series/series.h"
#include "golden_toto2.h"

/* ---- Series through a file ----------------------------------------------------------------------------------- */

/* Rows of variates that become the columns of a file. */
struct columns {
    const float *values[2]; /* [n][n_steps], NaN where missing */
    size_t n[2], n_steps;
};

static bool write_csv(FILE *file, const struct columns *columns)
{
    for (size_t v = 0; v < columns->n[0] + columns->n[1]; v++)
        fprintf(file, "%sv%zu", v ? "," : "", v);
    fputc('\n', file);
    for (size_t t = 0; t < columns->n_steps; t++) {
        for (size_t v = 0; v < columns->n[0] + columns->n[1]; v++) {
            bool first = v < columns->n[0];
            float value = columns->values[!first][(first ? v : v - columns->n[0]) * columns->n_steps + t];
            fputs(v ? "," : "", file);
            if (isnan(value))
                fputs("NA", file);
            else
                fprintf(file, "%.9g", (double)value);
        }
        fputc('\n', file);
    }
    return !ferror(file);
}

static enum toto_fill fill_of(const struct toto2_case *c)
{
    static const struct { const char *name; enum toto_fill fill; } fills[] = {
        {"ffill", TOTO_FILL_FFILL}, {"linear", TOTO_FILL_LINEAR}, {"none", TOTO_FILL_NONE}};
    const json_t *name = json_object_get(json_object_get(c->run, "options"), "imputation_internal");
    for (size_t i = 0; json_is_string(name) && i < sizeof fills / sizeof *fills; i++)
        if (strcmp(json_string_value(name), fills[i].name) == 0)
            return fills[i].fill;
    return TOTO_FILL_FFILL;
}

/* The columns as series with the last `context` points, or NULL. */
static struct toto_series *series_of(struct toto2_case *c, const struct columns *columns, size_t context)
{
    struct toto_error err = {""};
    struct toto_table *table = NULL;
    struct toto_series *series = NULL;
    const struct toto_series_options options = {.fill = fill_of(c), .context = context};
    const char *folder = getenv("TMPDIR");
    char path[1024];
    snprintf(path, sizeof path, "%s/toto-verify-XXXXXX", folder && *folder ? folder : "/tmp");
    int fd = mkstemp(path);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!file) {
        golden_fail(&c->base, "series", "no temporary file can be made; TMPDIR names a folder for it");
        if (fd >= 0) {
            close(fd);
            unlink(path);
        }
        return NULL;
    }
    bool written = write_csv(file, columns);
    if (fclose(file) != 0 || !written)
        golden_fail(&c->base, "series", "the temporary file cannot be written");
    else if (toto_table_read((const char *[]){path}, 1, NULL, &table, &err) != TOTO_STATUS_OK ||
             toto_series_make(table, &options, &series, &err) != TOTO_STATUS_OK)
        golden_fail(&c->base, "series", err.message);
    toto_table_free(table);
    unlink(path);
    return series;
}

/* ---- What the wrapper prepares ------------------------------------------------------------------------------- */

static void compare_prepared(struct toto2_case *c, const struct toto2_inputs *in)
{
    size_t n = c->n_variates * in->n_steps;
    float *mask = golden_own(&c->base, n, sizeof *mask);
    float *ids = golden_own(&c->base, c->n_variates, sizeof *ids);
    for (size_t i = 0; mask && i < n; i++)
        mask[i] = (float)in->mask[i];
    toto2_case_compare(c, "prepared.target", in->target, n);
    toto2_case_compare(c, "prepared.target_mask", mask, n);
    toto2_case_compare(c, "prepared.series_ids", ids, c->n_variates);
}

/* Known covariates reach as far beyond the context as they are given; NaN is missing. */
static void read_known(struct toto2_case *c, struct toto2_inputs *in, size_t n_series_steps)
{
    static const char name[] = "feat_dynamic_real";
    const struct tensor_view *view = golden_find(&c->base, name);
    size_t p = c->base.model->toto2.config.patch, horizon = (in->horizon + p - 1) / p * p;
    c->n_known = 0;
    if (!view)
        return;
    size_t length = view->n_dims ? view->dims[view->n_dims - 1] : 0;
    if (length < n_series_steps) {
        golden_fail(&c->base, name, "is shorter than the series");
        return;
    }
    size_t n_known = view->n_elements / length;
    size_t beyond = length - n_series_steps < horizon ? length - n_series_steps : horizon;
    const float *values = golden_floats(&c->base, name);
    in->n_known_steps = in->n_steps + beyond;
    in->known = golden_own(&c->base, n_known * in->n_known_steps, sizeof *in->known);
    in->known_mask = golden_own(&c->base, n_known * in->n_known_steps, 1);
    if (c->base.failed)
        return;
    c->n_known = n_known;
    for (size_t k = 0; k < n_known; k++)
        for (size_t t = 0; t < in->n_known_steps; t++) {
            size_t end = n_series_steps + beyond; /* one after the last value used */
            if (in->n_known_steps - t > end)
                continue; /* before the series begins */
            float value = values[k * length + end - (in->n_known_steps - t)];
            in->known[k * in->n_known_steps + t] = isnan(value) ? 0.0f : value;
            in->known_mask[k * in->n_known_steps + t] = !isnan(value);
        }
}

/* The series of the case, filled, cut and padded to whole patches. */
static void prepare(struct toto2_case *c, const struct columns *columns, struct toto2_inputs *in)
{
    size_t context = in->n_steps;
    struct toto_series *series = series_of(c, columns, context);
    if (!series)
        return;
    const struct group *group = &series->groups[0];
    c->n_groups = 1;
    c->n_variates = group->n_variates;
    in->target = golden_own(&c->base, c->n_variates * context, sizeof *in->target);
    in->mask = golden_own(&c->base, c->n_variates * context, 1);
    if (!c->base.failed)
        toto2_pad(group->values, group->observed, c->n_variates, group->n_steps, context, in->target, in->mask);
    toto_series_free(series);
}

/* ---- The kind of case ---------------------------------------------------------------------------------------- */

/* Every output "quantile_L": a quantile between or beyond the nine. */
static void compare_levels(struct toto2_case *c, const float *nine, size_t points)
{
    const char *name;
    json_t *unused;
    float *got = golden_own(&c->base, points, sizeof *got);
    json_object_foreach(json_object_get(c->run, "outputs"), name, unused) {
        double level;
        if (!got || sscanf(name, "quantile_%lf", &level) != 1)
            continue;
        for (size_t i = 0; i < points; i++)
            got[i] = toto2_quantile(nine + i, points, level);
        toto2_case_compare(c, name, got, points);
    }
}

/* Forecasts of the first n_targets variates; those behind them are covariates of the past. */
static void compare_forecast(struct toto2_case *c, const struct toto2_inputs *in, size_t n_targets)
{
    size_t points = n_targets * in->horizon, all_points = c->n_variates * in->horizon;
    float *all = golden_own(&c->base, TOTO2_QUANTILES * all_points, sizeof *all);
    float *targets = golden_own(&c->base, TOTO2_QUANTILES * points, sizeof *targets);
    if (c->base.failed)
        return;
    toto2_case_forecast(c, in, false, all);
    for (size_t q = 0; q < TOTO2_QUANTILES; q++)
        memcpy(targets + q * points, all + q * all_points, points * sizeof *all);
    toto2_case_compare(c, "forecast_array", targets, TOTO2_QUANTILES * points);
    toto2_case_compare(c, "mean", targets + TOTO2_QUANTILES / 2 * points, points);
    compare_levels(c, targets, points);
}

/* The context that the wrapper leaves: whole patches of context_length less all but one patch of the horizon. */
static size_t context_left(struct toto2_case *c, size_t horizon)
{
    size_t p = c->base.model->toto2.config.patch, n = (horizon + p - 1) / p;
    double left = (double)toto2_case_count(c, "context_length", 0) - (double)((n - 1) * p);
    return left < (double)p ? p : (size_t)left / p * p;
}

void toto2_case_gluonts(struct toto2_case *c)
{
    static const char past_name[] = "past_feat_dynamic_real";
    struct golden_case *base = &c->base;
    const struct tensor_view *view = golden_find(base, "series"), *past = golden_find(base, past_name);
    size_t p = base->model->toto2.config.patch, horizon = toto2_case_count(c, "prediction_length", 0);
    if (!view || !view->n_elements || !view->n_dims || !horizon) {
        golden_fail(base, "series", "there are none, or no prediction_length");
        return;
    }
    struct columns columns = {.n_steps = view->dims[view->n_dims - 1]};
    columns.values[0] = golden_floats(base, "series");
    columns.n[0] = view->n_elements / columns.n_steps;
    if (past) {
        columns.n[1] = past->n_elements / columns.n_steps;
        columns.values[1] = golden_input(base, past_name, columns.n[1] * columns.n_steps);
    }
    struct toto2_inputs in = {.n_steps = context_left(c, horizon), .horizon = horizon};
    if (!base->failed)
        prepare(c, &columns, &in);
    if (!base->failed)
        read_known(c, &in, columns.n_steps);
    in.ids = golden_own(base, c->n_variates + c->n_known, sizeof *in.ids);
    in.shape = (struct toto2_shape){
        .n_targets = c->n_variates, .n_known = c->n_known, .max_patches = in.n_steps / p, .horizon = horizon,
        .block = toto2_case_count(c, "decode_block_size", 0) / p,
        .missing_values = toto2_case_option(c, "has_missing_values", 1) != 0,
        .min_obs = toto2_case_count(c, "scaler_fallback_min_obs", 8),
        .cap_k = (float)toto2_case_option(c, "quantile_real_cap_k", 1e4),
    };
    if (base->failed)
        return;
    compare_prepared(c, &in);
    compare_forecast(c, &in, columns.n[0]);
}
