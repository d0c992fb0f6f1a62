/* Golden data of Toto 2.0: the low-level forecast with its stages, the preparation of any series, refusals. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint/mapping.h"
#include "checkpoint/safetensors.h"
#include "forecast/toto2_decode.h"
#include "golden.h"
#include "series/series.h"

struct golden2_case {
    struct runner *runner;
    const json_t *entry, *run; /* the run that is looked at */
    size_t run_index;
    struct mapped_file file;
    struct checkpoint tensors;
    struct toto_model *model;
    void **owned; /* arrays that go with the case */
    size_t n_owned;
    char why[1400];
    bool failed;
    double worst;
    size_t group; /* whose stages are seen, of n_groups */
    size_t n_groups, n_variates, n_known;
};

static void fail(struct golden2_case *c, const char *stage, const char *what)
{
    if (!c->failed)
        snprintf(c->why, sizeof c->why, "run %zu: %s: %s", c->run_index, stage, what);
    c->failed = true;
}

static void *own(struct golden2_case *c, size_t count, size_t size)
{
    void *block = calloc(count ? count : 1, size);
    void **owned = realloc(c->owned, (c->n_owned + 1) * sizeof *owned);
    if (!block || !owned) {
        fputs("golden: out of memory\n", stderr);
        exit(71);
    }
    c->owned = owned;
    return c->owned[c->n_owned++] = block;
}

static const struct tensor_view *find(const struct golden2_case *c, const char *name)
{
    for (size_t i = 0; name && i < c->tensors.n_tensors; i++)
        if (strcmp(c->tensors.tensors[i].name, name) == 0)
            return &c->tensors.tensors[i];
    return NULL;
}

/* The tensor's values as floats, whatever it holds; NULL if there is none. */
static float *floats_of(struct golden2_case *c, const char *name)
{
    const struct tensor_view *view = find(c, name);
    if (!view)
        return NULL;
    float *values = own(c, view->n_elements, sizeof *values);
    if (view->dtype == DTYPE_F32) {
        dtype_widen(view->dtype, view->data, view->n_elements, values);
        return values;
    }
    bool wide = strcmp(view->dtype_text, "I32") == 0;
    for (size_t i = 0; i < view->n_elements; i++) {
        int32_t number = ((const uint8_t *)view->data)[i * (wide ? 4 : 1)];
        if (wide)
            memcpy(&number, (const char *)view->data + i * sizeof number, sizeof number);
        values[i] = (float)number;
    }
    return values;
}

static double option(const struct golden2_case *c, const char *name, double absent)
{
    const json_t *value = json_object_get(json_object_get(c->run, "options"), name);
    if (json_is_boolean(value))
        return json_is_true(value);
    return json_is_number(value) ? json_number_value(value) : absent;
}

/* ---- Comparison ---------------------------------------------------------------------------------------- */

/* Error over what the metric allows; at most 1 passes. Metrics as toto2/README.md defines them. */
static double excess(const json_t *output, const struct tensor_view *view, const float *want, const float *got)
{
    const char *metric = json_string_value(json_object_get(output, "metric"));
    double tolerance = json_number_value(json_object_get(output, "tol"));
    double floor_value = json_number_value(json_object_get(output, "floor")), worst = 0.0;
    size_t n = view->n_elements;
    if (strcmp(metric, "range") == 0) { /* rows: (b, v) of [9, B, V, h]; the whole array otherwise */
        size_t n_rows = view->n_dims == 4 ? view->dims[1] * view->dims[2] : 1;
        size_t width = view->n_dims == 4 ? view->dims[3] : n;
        for (size_t row = 0; row < n_rows; row++) {
            double apart = 0.0, least = INFINITY, most = -INFINITY;
            for (size_t q = 0; q < n / n_rows / width; q++)
                for (size_t t = 0; t < width; t++) {
                    size_t i = (q * n_rows + row) * width + t;
                    double now = fabs((double)got[i] - (double)want[i]);
                    apart = now > apart || isnan(now) ? now : apart;
                    least = fmin(least, (double)want[i]);
                    most = fmax(most, (double)want[i]);
                }
            double size = fmax(fabs(least), fabs(most));
            double over = apart / (tolerance * (most - least) + 4 * 0x1p-23 * size + 1e-300);
            worst = over > worst || isnan(over) ? over : worst;
        }
        return isnan(worst) ? INFINITY : worst;
    }
    double size = 0.0, apart = 0.0;
    for (size_t i = 0; i < n; i++) {
        double difference = fabs((double)got[i] - (double)want[i]);
        if (strcmp(metric, "exact") == 0) {
            if (!(got[i] == want[i]) && !(isnan(got[i]) && isnan(want[i])))
                return INFINITY;
        } else if (strcmp(metric, "rel") == 0) {
            if (isfinite(want[i]) && isfinite(got[i]))
                worst = fmax(worst, difference / (tolerance * (fabs((double)want[i]) + floor_value)));
            else if (!(got[i] == want[i]) && !(isnan(got[i]) && isnan(want[i])))
                return INFINITY;
        } else {
            size = fmax(size, fabs((double)want[i]));
            apart = difference > apart || isnan(difference) ? difference : apart;
        }
    }
    if (strcmp(metric, "maxabs") == 0)
        worst = apart / (tolerance * size + 1e-300);
    return isnan(worst) ? INFINITY : worst;
}

static void compare(struct golden2_case *c, const char *name, const float *got)
{
    const json_t *output = json_object_get(json_object_get(c->run, "outputs"), name);
    const char *key = json_string_value(json_object_get(output, "key"));
    const struct tensor_view *view = find(c, key);
    if (c->failed || !output || !view)
        return;
    double over = excess(output, view, floats_of(c, key), got);
    if (c->runner->verbose)
        printf("#   %-22s %.3f of the tolerance\n", name, over);
    c->worst = over > c->worst ? over : c->worst;
    if (!(over <= 1.0)) {
        char text[128];
        snprintf(text, sizeof text, "%.3g times the tolerance", over);
        fail(c, name, text);
    }
}

/* ---- Stages ------------------------------------------------------------------------------------------------ */

/* Stages of all groups are gathered into arrays of the expected shape and compared when the last group is seen.
 * Groups run one after the other, so the arrays live by name until then. */
struct stages {
    struct golden2_case *c;
    struct stage {
        char name[64];
        float *got;
    } list[512];
    size_t n;
};

static float *stage_array(struct stages *stages, const char *name, size_t n)
{
    for (size_t i = 0; i < stages->n; i++)
        if (strcmp(stages->list[i].name, name) == 0)
            return stages->list[i].got;
    if (stages->n == sizeof stages->list / sizeof *stages->list)
        return NULL;
    struct stage *stage = &stages->list[stages->n++];
    snprintf(stage->name, sizeof stage->name, "%s", name);
    return stage->got = own(stages->c, n, sizeof *stage->got);
}

static void see_stage(void *user, size_t pass, const char *stage, size_t layer, const float *values,
                      size_t n_rows, size_t width)
{
    struct stages *stages = user;
    struct golden2_case *c = stages->c;
    char name[64];
    if (strcmp(stage, "layers") == 0)
        snprintf(name, sizeof name, "it%zu.layer%zu", pass, layer);
    else
        snprintf(name, sizeof name, "it%zu.%s", pass, stage);
    const json_t *output = json_object_get(json_object_get(c->run, "outputs"), name);
    const struct tensor_view *view = find(c, json_string_value(json_object_get(output, "key")));
    if (!view)
        return;
    float *got = stage_array(stages, name, view->n_elements);
    size_t each = view->n_elements / c->n_groups, variates = c->n_variates + c->n_known;
    if (!got)
        return;
    if (strcmp(stage, "head") == 0) { /* [V' blk, p 9] to [9, B, V', blk, p] */
        size_t p = width / TOTO2_QUANTILES;
        for (size_t row = 0; row < n_rows; row++)
            for (size_t t = 0; t < p; t++)
                for (size_t q = 0; q < TOTO2_QUANTILES; q++)
                    got[((q * c->n_groups + c->group) * n_rows + row) * p + t] =
                        values[(row * p + t) * TOTO2_QUANTILES + q];
    } else if (strcmp(stage, "loc") == 0 || strcmp(stage, "scale") == 0) {
        /* Expected are all patches of context and horizon; a pass shows those of its tokens. */
        size_t all = each / variates, block = (size_t)option(c, "decode_block_size", 0);
        size_t patch = c->model->toto2.config.patch, n_context = find(c, "target")->dims[2] / patch;
        size_t first = pass ? n_context + (pass - 1) * (block / patch) : 0;
        const float *want = floats_of(c, json_string_value(json_object_get(output, "key")));
        for (size_t v = 0; v < variates; v++)
            for (size_t i = 0; i < all; i++) {
                size_t at = (c->group * variates + v) * all + i;
                got[at] = i >= first && i - first < width ? values[v * width + i - first] : want[at];
            }
    } else if (each == n_rows * width) {
        memcpy(got + c->group * each, values, each * sizeof *got);
    }
}

/* ---- Forecasts ----------------------------------------------------------------------------------------------- */

struct inputs {
    float *target, *known;
    uint8_t *mask, *known_mask;
    int32_t *ids;
    size_t n_steps, n_known_steps;
    size_t horizon;
    struct toto2_shape shape;
};

static uint8_t *masks_of(struct golden2_case *c, const char *name)
{
    const struct tensor_view *view = find(c, name);
    if (!view)
        return NULL;
    uint8_t *copy = own(c, view->n_elements, 1);
    memcpy(copy, view->data, view->n_elements);
    return copy;
}

/* Forecasts all groups of the inputs (one at a time for stages, all at once otherwise); quantiles is [9, B, V, h]. */
static void forecast(struct golden2_case *c, const struct inputs *in, bool stages_too, float *quantiles)
{
    struct toto_error err = {""};
    struct toto2_net net = {.config = NULL};
    struct toto2_decoder *decoder = NULL;
    struct stages *stages = own(c, 1, sizeof *stages);
    struct toto2_group *groups = own(c, c->n_groups, sizeof *groups);
    float **results = own(c, c->n_groups, sizeof *results);
    size_t variates = c->n_variates + c->n_known, points = c->n_variates * in->horizon;
    const struct toto2_config *config = &c->model->toto2.config;
    stages->c = c;
    for (size_t b = 0; b < c->n_groups; b++) {
        groups[b] = (struct toto2_group){
            .n_steps = in->n_steps,
            .values = in->target + b * c->n_variates * in->n_steps,
            .observed = in->mask + b * c->n_variates * in->n_steps,
            .ids = in->ids + b * variates,
            .known = in->known ? in->known + b * c->n_known * in->n_known_steps : NULL,
            .known_observed = in->known ? in->known_mask + b * c->n_known * in->n_known_steps : NULL,
            .n_known_steps = in->n_known_steps,
        };
        results[b] = own(c, TOTO2_QUANTILES * points, sizeof **results);
    }
    struct toto2_shape shape = in->shape;
    shape.n_groups = c->n_groups;
    size_t n_positions = shape.max_patches + (in->horizon + config->patch - 1) / config->patch + 1;
    enum toto_status status = toto2_net_open(config, &c->model->toto2.tensors, c->runner->device->backend,
                                             n_positions, &net, &err);
    if (status == TOTO_STATUS_OK)
        status = toto2_decoder_open(&net, &shape, &decoder, &err);
    for (c->group = 0; stages_too && c->group < c->n_groups && status == TOTO_STATUS_OK; c->group++)
        status = toto2_decoder_run(decoder, &groups[c->group], 1, &results[c->group], see_stage, stages, &err);
    for (size_t i = 0; i < stages->n; i++)
        compare(c, stages->list[i].name, stages->list[i].got);
    if (status == TOTO_STATUS_OK)
        status = toto2_decoder_run(decoder, groups, c->n_groups, results, NULL, NULL, &err);
    toto2_decoder_close(decoder);
    toto2_net_close(&net);
    if (status != TOTO_STATUS_OK)
        fail(c, "run", err.message);
    for (size_t b = 0; b < c->n_groups; b++)
        for (size_t q = 0; q < TOTO2_QUANTILES; q++)
            memcpy(quantiles + (q * c->n_groups + b) * points, results[b] + q * points,
                   points * sizeof *quantiles);
}

/* Whether the run's outputs hold stages. */
static bool has_stages(const struct golden2_case *c)
{
    return json_object_get(json_object_get(c->run, "outputs"), "it0.loc") != NULL;
}

static void run_forecast(struct golden2_case *c)
{
    const struct tensor_view *target = find(c, "target"), *known = find(c, "known_dynamic");
    float *ids = floats_of(c, "series_ids"), *known_ids = floats_of(c, "known_dynamic_series_ids");
    size_t p = c->model->toto2.config.patch;
    c->n_groups = target->dims[0];
    c->n_variates = target->dims[1];
    c->n_known = known ? known->dims[1] : 0;
    size_t variates = c->n_variates + c->n_known;
    struct inputs in = {
        .target = floats_of(c, "target"), .mask = masks_of(c, "target_mask"),
        .known = floats_of(c, "known_dynamic"), .known_mask = masks_of(c, "known_dynamic_mask"),
        .n_steps = target->dims[2], .n_known_steps = known ? known->dims[2] : 0,
        .horizon = (size_t)option(c, "horizon", 0),
        .ids = own(c, c->n_groups * variates, sizeof *in.ids),
    };
    for (size_t b = 0; b < c->n_groups; b++) {
        for (size_t v = 0; v < c->n_variates; v++)
            in.ids[b * variates + v] = (int32_t)ids[b * c->n_variates + v];
        for (size_t k = 0; k < c->n_known; k++)
            in.ids[b * variates + c->n_variates + k] = known_ids ? (int32_t)known_ids[b * c->n_known + k] : 0;
    }
    in.shape = (struct toto2_shape){
        .n_targets = c->n_variates, .n_known = c->n_known, .max_patches = in.n_steps / p,
        .horizon = in.horizon, .block = (size_t)option(c, "decode_block_size", 0) / p,
        .missing_values = option(c, "has_missing_values", 1) != 0,
        .min_obs = (size_t)option(c, "scaler_fallback_min_obs", 0),
        .cap_k = (float)option(c, "quantile_real_cap_k", 0),
    };
    float *quantiles = own(c, TOTO2_QUANTILES * c->n_groups * c->n_variates * in.horizon, sizeof *quantiles);
    forecast(c, &in, has_stages(c), quantiles);
    compare(c, "quantiles", quantiles);
}

/* ---- Series of any length -------------------------------------------------------------------------------------- */

/* The rows of a [V, len] tensor (or [len]) as a CSV file, NaN as an empty cell: the same way that a user's file goes. */
static struct toto_series *series_of(struct golden2_case *c, const char *const *names, size_t n_names,
                                     size_t n_steps, size_t context)
{
    static const struct { const char *name; enum toto_fill fill; } fills[] = {
        {"ffill", TOTO_FILL_FFILL}, {"linear", TOTO_FILL_LINEAR}, {"none", TOTO_FILL_NONE}};
    const char *fill_name =
        json_string_value(json_object_get(json_object_get(c->run, "options"), "imputation_internal"));
    enum toto_fill fill = TOTO_FILL_FFILL;
    struct toto_error err = {""};
    struct toto_table *table = NULL;
    struct toto_series *series = NULL;
    char path[] = "/tmp/golden-XXXXXX";
    int fd = mkstemp(path);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!file) {
        fail(c, "series", "no temporary file can be made");
        return NULL;
    }
    for (size_t i = 0; fill_name && i < 3; i++)
        fill = strcmp(fill_name, fills[i].name) == 0 ? fills[i].fill : fill;
    size_t column = 0;
    for (size_t i = 0; i < n_names; i++)
        for (size_t v = 0; v < find(c, names[i])->n_elements / n_steps; v++)
            fprintf(file, "%sv%zu", column ? "," : "", column), column++;
    fputc('\n', file);
    for (size_t t = 0; t < n_steps; t++) {
        column = 0;
        for (size_t i = 0; i < n_names; i++) {
            const float *values = floats_of(c, names[i]);
            for (size_t v = 0; v < find(c, names[i])->n_elements / n_steps; v++) {
                float value = values[v * n_steps + t];
                fputs(column++ ? "," : "", file);
                if (isnan(value))
                    fputs("NA", file);
                else
                    fprintf(file, "%.9g", (double)value);
            }
        }
        fputc('\n', file);
    }
    fclose(file);
    if (toto_table_read((const char *[]){path}, 1, NULL, &table, &err) != TOTO_STATUS_OK ||
        toto_series_make(table, &(struct toto_series_options){.fill = fill, .context = context}, &series,
                         &err) != TOTO_STATUS_OK)
        fail(c, "series", err.message);
    toto_table_free(table);
    unlink(path);
    return series;
}

static void compare_prepared(struct golden2_case *c, const struct inputs *in)
{
    size_t n = c->n_variates * in->n_steps;
    float *mask = own(c, n, sizeof *mask), *ids = own(c, c->n_variates, sizeof *ids);
    for (size_t i = 0; i < n; i++)
        mask[i] = (float)in->mask[i];
    compare(c, "prepared.target", in->target);
    compare(c, "prepared.target_mask", mask);
    compare(c, "prepared.series_ids", ids);
}

/* Known covariates reach as far beyond the context as they are given; NaN is missing (spec 2.2). */
static void read_known(struct golden2_case *c, struct inputs *in, size_t n_series_steps)
{
    const struct tensor_view *view = find(c, "feat_dynamic_real");
    size_t p = c->model->toto2.config.patch, horizon = (in->horizon + p - 1) / p * p;
    c->n_known = 0;
    if (!view)
        return;
    const float *values = floats_of(c, "feat_dynamic_real");
    size_t length = view->dims[view->n_dims - 1];
    c->n_known = view->n_elements / length;
    size_t beyond = length - n_series_steps < horizon ? length - n_series_steps : horizon;
    in->n_known_steps = in->n_steps + beyond;
    in->known = own(c, c->n_known * in->n_known_steps, sizeof *in->known);
    in->known_mask = own(c, c->n_known * in->n_known_steps, 1);
    for (size_t k = 0; k < c->n_known; k++)
        for (size_t t = 0; t < in->n_known_steps; t++) {
            size_t end = n_series_steps + beyond; /* one after the last value used */
            if (in->n_known_steps - t > end)
                continue; /* before the series begins */
            float value = values[k * length + end - (in->n_known_steps - t)];
            in->known[k * in->n_known_steps + t] = isnan(value) ? 0.0f : value;
            in->known_mask[k * in->n_known_steps + t] = !isnan(value);
        }
}

/* Every output "quantile_L": a quantile between or beyond the nine. */
static void compare_levels(struct golden2_case *c, const float *nine, size_t points)
{
    const char *name;
    json_t *unused;
    float *got = own(c, points, sizeof *got);
    json_object_foreach(json_object_get(c->run, "outputs"), name, unused) {
        double level;
        if (sscanf(name, "quantile_%lf", &level) != 1)
            continue;
        for (size_t i = 0; i < points; i++)
            got[i] = toto2_quantile(nine + i, points, level);
        compare(c, name, got);
    }
}

static void run_gluonts(struct golden2_case *c)
{
    const char *names[2] = {"series", "past_feat_dynamic_real"};
    const struct tensor_view *series_view = find(c, "series");
    size_t n_names = find(c, names[1]) ? 2 : 1, p = c->model->toto2.config.patch;
    size_t n_steps = series_view->dims[series_view->n_dims - 1];
    size_t n_targets = series_view->n_elements / n_steps;
    size_t horizon = (size_t)option(c, "prediction_length", 0), n = (horizon + p - 1) / p;
    /* The context that the wrapper leaves: whole patches of context_length less all but one patch of the horizon. */
    double left = option(c, "context_length", 0) - (double)((n - 1) * p);
    size_t context = left < (double)p ? p : (size_t)left / p * p;
    struct toto_series *series = series_of(c, names, n_names, n_steps, context);
    if (!series)
        return;
    const struct group *group = &series->groups[0];
    struct inputs in = {.n_steps = context, .horizon = horizon};
    c->n_groups = 1;
    c->n_variates = group->n_variates;
    in.target = own(c, c->n_variates * context, sizeof *in.target);
    in.mask = own(c, c->n_variates * context, 1);
    toto2_pad(group->values, group->observed, c->n_variates, group->n_steps, context, in.target, in.mask);
    read_known(c, &in, n_steps);
    in.ids = own(c, c->n_variates + c->n_known, sizeof *in.ids);
    toto_series_free(series);
    in.shape = (struct toto2_shape){
        .n_targets = c->n_variates, .n_known = c->n_known, .max_patches = context / p, .horizon = horizon,
        .block = (size_t)option(c, "decode_block_size", 0) / p,
        .missing_values = option(c, "has_missing_values", 1) != 0,
        .min_obs = (size_t)option(c, "scaler_fallback_min_obs", 8),
        .cap_k = (float)option(c, "quantile_real_cap_k", 1e4),
    };
    compare_prepared(c, &in);
    float *all = own(c, TOTO2_QUANTILES * c->n_variates * horizon, sizeof *all);
    float *own_targets = own(c, TOTO2_QUANTILES * n_targets * horizon, sizeof *all);
    forecast(c, &in, false, all);
    for (size_t q = 0; q < TOTO2_QUANTILES; q++)
        memcpy(own_targets + q * n_targets * horizon, all + q * c->n_variates * horizon,
               n_targets * horizon * sizeof *all);
    compare(c, "forecast_array", own_targets);
    compare(c, "mean", own_targets + 4 * n_targets * horizon);
    compare_levels(c, own_targets, n_targets * horizon);
}

/* ---- Cases --------------------------------------------------------------------------------------------------- */

static bool open_case(struct golden2_case *c, const char *folder, const char *path)
{
    struct toto_error err = {""};
    char file[1024];
    c->model = golden_model(c->runner, path, &err);
    if (!c->model || c->model->family != FAMILY_TOTO2) {
        fail(c, "model", c->model ? "is of another family" : err.message);
        return false;
    }
    snprintf(file, sizeof file, "%s/%s", folder, json_string_value(json_object_get(c->entry, "file")));
    if (mapping_open(file, &c->file, &err) != TOTO_STATUS_OK ||
        safetensors_read(&c->file, &c->tensors, &err) != TOTO_STATUS_OK) {
        fail(c, "file", err.message);
        return false;
    }
    return true;
}

static void run_case(struct runner *runner, const char *folder, const json_t *models, const json_t *entry)
{
    struct golden2_case c = {.runner = runner, .entry = entry};
    const char *name = json_string_value(json_object_get(entry, "name"));
    const char *api = json_string_value(json_object_get(entry, "api"));
    const char *model = json_string_value(json_object_get(entry, "model"));
    const char *dir = json_string_value(json_object_get(json_object_get(models, model), "dir"));
    char path[1024];
    if (!name || !api || (runner->only && !strstr(name, runner->only)))
        return;
    void (*run)(struct golden2_case *) = strcmp(api, "forecast") == 0  ? run_forecast
                                         : strcmp(api, "gluonts") == 0 ? run_gluonts
                                                                       : NULL;
    if (!run || (!dir && !runner->base)) {
        golden_skipped(runner, name, run ? "generated model, see --base" : api);
        return;
    }
    snprintf(path, sizeof path, "%s/%s", dir ? folder : runner->base, dir ? dir : model);
    if (open_case(&c, folder, path))
        for (c.run_index = 0; c.run_index < json_array_size(json_object_get(entry, "runs")) && !c.failed;
             c.run_index++) {
            c.run = json_array_get(json_object_get(entry, "runs"), c.run_index);
            run(&c);
        }
    if (c.failed)
        golden_failed(runner, name, c.why);
    else
        golden_passed(runner, name, c.worst);
    checkpoint_close(&c.tensors);
    mapping_close(&c.file);
    for (size_t i = 0; i < c.n_owned; i++)
        free(c.owned[i]);
    free(c.owned);
}

/* A folder that must be refused when it is loaded (what only fails in a forecast may be refused then too). */
static void run_refusal(struct runner *runner, const char *folder, const json_t *entry)
{
    struct toto_error err = {""};
    const char *dir = json_string_value(json_object_get(entry, "dir"));
    char path[1024];
    if (!dir || (runner->only && !strstr(dir, runner->only)))
        return;
    snprintf(path, sizeof path, "%s/%s", folder, dir);
    struct toto_model *model = NULL;
    if (toto_model_open(path, &model, &err) == TOTO_STATUS_OK) {
        golden_failed(runner, dir, "the model was not refused");
        toto_model_free(model);
        return;
    }
    if (runner->verbose)
        printf("#   %s\n", err.message);
    golden_passed(runner, dir, 0.0);
}

void golden_toto2(struct runner *runner, const char *folder, const json_t *manifest)
{
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(manifest, "cases"), i, entry) {
        run_case(runner, folder, json_object_get(manifest, "models"), entry);
    }
    json_array_foreach(json_object_get(manifest, "errors"), i, entry) {
        run_refusal(runner, folder, entry);
    }
}
