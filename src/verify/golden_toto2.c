/* Golden data of Toto 2.0: the low-level forecast with its stages, and refusals. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../base/log.h"
#include "golden_toto2.h"

static const json_t *output_of(const struct toto2_case *c, const char *name)
{
    return json_object_get(json_object_get(c->run, "outputs"), name);
}

double toto2_case_option(const struct toto2_case *c, const char *name, double absent)
{
    const json_t *value = json_object_get(json_object_get(c->run, "options"), name);
    if (json_is_boolean(value))
        return json_is_true(value);
    return json_is_number(value) ? json_number_value(value) : absent;
}

size_t toto2_case_count(struct toto2_case *c, const char *name, double absent)
{
    double value = toto2_case_option(c, name, absent);
    if (value >= 0 && value <= TOTO2_STEPS_MOST && value == floor(value))
        return (size_t)value;
    golden_fail(&c->base, name, "the manifest's number is out of range");
    return 0;
}

/* ---- Comparison ---------------------------------------------------------------------------------------- */

/* The metric "range": over rows (b, v) of [9, B, V, h], or over the whole array. */
static double excess_of_range(const struct tensor_view *view, double tolerance, const float *want,
                              const float *got)
{
    size_t n = view->n_elements, n_rows = view->n_dims == 4 ? view->dims[1] * view->dims[2] : 1;
    size_t width = view->n_dims == 4 ? view->dims[3] : n;
    double worst = 0.0;
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
    return worst;
}

/* The metric "rel": each value by itself. */
static double excess_of_values(size_t n, double tolerance, double floor_value, const float *want,
                               const float *got)
{
    double worst = 0.0;
    for (size_t i = 0; i < n; i++) {
        double apart = fabs((double)got[i] - (double)want[i]);
        if (isfinite(want[i]) && isfinite(got[i]))
            worst = fmax(worst, apart / (tolerance * (fabs((double)want[i]) + floor_value)));
        else if (!(got[i] == want[i]) && !(isnan(got[i]) && isnan(want[i])))
            return INFINITY;
    }
    return worst;
}

/* Error over what the metric allows; at most 1 passes. Metrics as tests/golden/toto2/README.md defines them. */
static double excess(const struct toto2_case *c, const json_t *output, const struct tensor_view *view,
                     const float *want, const float *got)
{
    const char *metric = json_string_value(json_object_get(output, "metric"));
    double tolerance = fmax(json_number_value(json_object_get(output, "tol")), c->base.golden->least_tolerance);
    double size = 0.0, apart = 0.0, worst = INFINITY;
    if (metric && strcmp(metric, "range") == 0) {
        worst = excess_of_range(view, tolerance, want, got);
    } else if (metric && strcmp(metric, "rel") == 0) {
        double floor_value = json_number_value(json_object_get(output, "floor"));
        worst = excess_of_values(view->n_elements, tolerance, floor_value, want, got);
    } else if (metric && strcmp(metric, "exact") == 0) {
        worst = 0.0;
        for (size_t i = 0; i < view->n_elements; i++)
            if (!(got[i] == want[i]) && !(isnan(got[i]) && isnan(want[i])))
                worst = INFINITY;
    } else if (metric && strcmp(metric, "maxabs") == 0) {
        for (size_t i = 0; i < view->n_elements; i++) {
            double now = fabs((double)got[i] - (double)want[i]);
            size = fmax(size, fabs((double)want[i]));
            apart = now > apart || isnan(now) ? now : apart;
        }
        worst = apart / (tolerance * size + 1e-300);
    }
    return isnan(worst) ? INFINITY : worst;
}

void toto2_case_compare(struct toto2_case *c, const char *name, const float *got, size_t n)
{
    const json_t *output = output_of(c, name);
    const char *key = json_string_value(json_object_get(output, "key"));
    if (c->base.failed || !output || !got)
        return;
    const float *want = golden_input(&c->base, key ? key : name, n);
    if (!want)
        return;
    double over = excess(c, output, golden_find(&c->base, key), want, got);
    log_info("  %-22s %.3f of the tolerance", name, over);
    c->base.worst = over > c->base.worst ? over : c->base.worst;
    if (!(over <= 1.0)) {
        char text[128];
        snprintf(text, sizeof text, "%.3g times the tolerance", over);
        golden_fail(&c->base, name, text);
    }
}

/* ---- Stages ------------------------------------------------------------------------------------------------ */

/* Stages of all groups are gathered into arrays of the expected shape and compared when the last group is seen.
 * Groups run one after the other, so the arrays live by name until then. */
struct stages {
    struct toto2_case *c;
    struct stage {
        char name[64];
        float *got;
        size_t n;
    } list[512];
    size_t n;
};

static float *stage_array(struct stages *stages, const char *name, size_t n)
{
    for (size_t i = 0; i < stages->n; i++)
        if (strcmp(stages->list[i].name, name) == 0)
            return stages->list[i].got;
    if (stages->n == sizeof stages->list / sizeof *stages->list) {
        golden_fail(&stages->c->base, name, "is one stage more than are followed");
        return NULL;
    }
    struct stage *stage = &stages->list[stages->n++];
    snprintf(stage->name, sizeof stage->name, "%s", name);
    stage->n = n;
    return stage->got = golden_own(&stages->c->base, n, sizeof *stage->got);
}

/* [V' blk, p 9] of one group to [9, B, V', blk, p]. */
static void take_head(const struct toto2_case *c, const float *values, size_t n_rows, size_t width, float *got)
{
    size_t p = width / TOTO2_QUANTILES;
    for (size_t row = 0; row < n_rows; row++)
        for (size_t t = 0; t < p; t++)
            for (size_t q = 0; q < TOTO2_QUANTILES; q++)
                got[((q * c->n_groups + c->group) * n_rows + row) * p + t] =
                    values[(row * p + t) * TOTO2_QUANTILES + q];
}

/* Expected are all patches of context and horizon; a pass shows those of its tokens, the rest is taken as it is. */
static void take_scales(struct toto2_case *c, size_t pass, const float *values, size_t n_rows, size_t width,
                        const float *want, size_t each, float *got)
{
    size_t all = each / n_rows, patch = c->base.model->toto2.config.patch;
    size_t block = toto2_case_count(c, "decode_block_size", 0);
    size_t n_context = golden_find(&c->base, "target")->dims[2] / patch;
    size_t first = pass ? n_context + (pass - 1) * (block / patch) : 0;
    for (size_t v = 0; v < n_rows; v++)
        for (size_t i = 0; i < all; i++) {
            size_t at = (c->group * n_rows + v) * all + i;
            got[at] = i >= first && i - first < width ? values[v * width + i - first] : want[at];
        }
}

static void see_stage(void *user, size_t pass, const char *stage, size_t layer, const float *values,
                      size_t n_rows, size_t width)
{
    struct stages *stages = user;
    struct toto2_case *c = stages->c;
    char name[64];
    if (strcmp(stage, "layers") == 0)
        snprintf(name, sizeof name, "it%zu.layer%zu", pass, layer);
    else
        snprintf(name, sizeof name, "it%zu.%s", pass, stage);
    const char *key = json_string_value(json_object_get(output_of(c, name), "key"));
    const struct tensor_view *view = golden_find(&c->base, key);
    float *got = view && !c->base.failed ? stage_array(stages, name, view->n_elements) : NULL;
    if (!got)
        return;
    size_t each = view->n_elements / c->n_groups;
    bool scales = strcmp(stage, "loc") == 0 || strcmp(stage, "scale") == 0;
    bool fits = each * c->n_groups == view->n_elements &&
                (scales ? n_rows && each % n_rows == 0 : each == n_rows * width);
    const float *want = fits && scales ? golden_floats(&c->base, key) : NULL;
    if (!fits)
        golden_fail(&c->base, name, "is misshapen");
    else if (strcmp(stage, "head") == 0)
        take_head(c, values, n_rows, width, got);
    else if (!scales)
        memcpy(got + c->group * each, values, each * sizeof *got);
    else if (want)
        take_scales(c, pass, values, n_rows, width, want, each, got);
}

/* ---- Forecasts ----------------------------------------------------------------------------------------------- */

static void run_groups(struct toto2_case *c, const struct toto2_inputs *in, struct stages *stages,
                       const struct toto2_group *groups, float **results)
{
    struct toto_error err = {""};
    struct toto2_net net = {.config = NULL};
    struct toto2_decoder *decoder = NULL;
    const struct toto2_config *config = &c->base.model->toto2.config;
    struct toto2_shape shape = in->shape;
    shape.n_groups = c->n_groups;
    size_t n_positions = shape.max_patches + (in->horizon + config->patch - 1) / config->patch + 1;
    enum toto_status status = toto2_net_open(config, &c->base.model->toto2.tensors,
                                             c->base.golden->device->backend, n_positions, &net, &err);
    if (status == TOTO_STATUS_OK)
        status = toto2_decoder_open(&net, &shape, &decoder, &err);
    for (c->group = 0; stages && c->group < c->n_groups && status == TOTO_STATUS_OK; c->group++)
        status = toto2_decoder_run(decoder, &groups[c->group], 1, &results[c->group], see_stage, stages, &err);
    for (size_t i = 0; stages && status == TOTO_STATUS_OK && i < stages->n; i++)
        toto2_case_compare(c, stages->list[i].name, stages->list[i].got, stages->list[i].n);
    if (status == TOTO_STATUS_OK)
        status = toto2_decoder_run(decoder, groups, c->n_groups, results, NULL, NULL, &err);
    toto2_decoder_close(decoder);
    toto2_net_close(&net);
    if (status != TOTO_STATUS_OK)
        golden_fail(&c->base, "run", err.message);
}

void toto2_case_forecast(struct toto2_case *c, const struct toto2_inputs *in, bool stages_too, float *quantiles)
{
    struct stages *stages = golden_own(&c->base, 1, sizeof *stages);
    struct toto2_group *groups = golden_own(&c->base, c->n_groups, sizeof *groups);
    float **results = golden_own(&c->base, c->n_groups, sizeof *results);
    size_t variates = c->n_variates + c->n_known, points = c->n_variates * in->horizon;
    for (size_t b = 0; !c->base.failed && b < c->n_groups; b++) {
        groups[b] = (struct toto2_group){
            .n_steps = in->n_steps,
            .values = in->target + b * c->n_variates * in->n_steps,
            .observed = in->mask + b * c->n_variates * in->n_steps,
            .ids = in->ids + b * variates,
            .known = in->known ? in->known + b * c->n_known * in->n_known_steps : NULL,
            .known_observed = in->known ? in->known_mask + b * c->n_known * in->n_known_steps : NULL,
            .n_known_steps = in->n_known_steps,
        };
        results[b] = golden_own(&c->base, TOTO2_QUANTILES * points, sizeof **results);
    }
    if (c->base.failed)
        return;
    stages->c = c;
    run_groups(c, in, stages_too ? stages : NULL, groups, results);
    for (size_t b = 0; b < c->n_groups; b++)
        for (size_t q = 0; q < TOTO2_QUANTILES; q++)
            memcpy(quantiles + (q * c->n_groups + b) * points, results[b] + q * points,
                   points * sizeof *quantiles);
}

/* Ids of targets and known covariates side by side. */
static void read_ids(struct toto2_case *c, struct toto2_inputs *in)
{
    size_t variates = c->n_variates + c->n_known;
    const char *known_name = "known_dynamic_series_ids";
    const float *ids = golden_input(&c->base, "series_ids", c->n_groups * c->n_variates), *known_ids = NULL;
    if (golden_find(&c->base, known_name))
        known_ids = golden_input(&c->base, known_name, c->n_groups * c->n_known);
    in->ids = golden_own(&c->base, c->n_groups * variates, sizeof *in->ids);
    for (size_t b = 0; !c->base.failed && b < c->n_groups; b++) {
        for (size_t v = 0; v < c->n_variates; v++)
            in->ids[b * variates + v] = (int32_t)ids[b * c->n_variates + v];
        for (size_t k = 0; k < c->n_known; k++)
            in->ids[b * variates + c->n_variates + k] = known_ids ? (int32_t)known_ids[b * c->n_known + k] : 0;
    }
}

static void run_forecast(struct toto2_case *c)
{
    struct golden_case *base = &c->base;
    const struct tensor_view *target = golden_find(base, "target"), *known = golden_find(base, "known_dynamic");
    size_t p = base->model->toto2.config.patch;
    if (!target || target->n_dims != 3 || !target->n_elements || target->dims[2] % p ||
        (known && (known->n_dims != 3 || !known->n_elements || known->dims[0] != target->dims[0]))) {
        golden_fail(base, "target", "is misshapen, or does not fit the known covariates");
        return;
    }
    c->n_groups = target->dims[0];
    c->n_variates = target->dims[1];
    c->n_known = known ? known->dims[1] : 0;
    struct toto2_inputs in = {
        .target = golden_floats(base, "target"), .mask = golden_mask(base, "target_mask", target->n_elements),
        .known = golden_floats(base, "known_dynamic"),
        .known_mask = known ? golden_mask(base, "known_dynamic_mask", known->n_elements) : NULL,
        .n_steps = target->dims[2], .n_known_steps = known ? known->dims[2] : 0,
        .horizon = toto2_case_count(c, "horizon", 0),
    };
    read_ids(c, &in);
    if (!base->failed && (!in.mask || (known && !in.known_mask) || !in.horizon))
        golden_fail(base, "target_mask", "there is no mask, or no horizon");
    in.shape = (struct toto2_shape){
        .n_targets = c->n_variates, .n_known = c->n_known, .max_patches = in.n_steps / p,
        .horizon = in.horizon, .block = toto2_case_count(c, "decode_block_size", 0) / p,
        .missing_values = toto2_case_option(c, "has_missing_values", 1) != 0,
        .min_obs = toto2_case_count(c, "scaler_fallback_min_obs", 0),
        .cap_k = (float)toto2_case_option(c, "quantile_real_cap_k", 0),
    };
    size_t n = TOTO2_QUANTILES * c->n_groups * c->n_variates * in.horizon;
    float *quantiles = golden_own(base, n, sizeof *quantiles);
    if (base->failed)
        return;
    toto2_case_forecast(c, &in, output_of(c, "it0.loc") != NULL, quantiles);
    toto2_case_compare(c, "quantiles", quantiles, n);
}

/* ---- Cases --------------------------------------------------------------------------------------------------- */

static void run_case(struct golden *golden, const json_t *models, const json_t *entry)
{
    struct toto2_case c = {.base = {.golden = golden, .entry = entry}};
    const json_t *runs = json_object_get(entry, "runs");
    const char *name = json_string_value(json_object_get(entry, "name"));
    const char *api = json_string_value(json_object_get(entry, "api"));
    const char *model = json_string_value(json_object_get(entry, "model"));
    const char *dir = model ? json_string_value(json_object_get(json_object_get(models, model), "dir")) : NULL;
    char path[1024];
    if (!api || !model || !golden_wanted(golden, name))
        return;
    void (*run)(struct toto2_case *) = strcmp(api, "forecast") == 0  ? run_forecast
                                       : strcmp(api, "gluonts") == 0 ? toto2_case_gluonts
                                                                     : NULL;
    if (!run || (!dir && !golden->options->generated)) {
        golden_skipped(golden, name, run ? "generated model, see --base" : api);
        return;
    }
    snprintf(path, sizeof path, "%s/%s", dir ? golden->folder : golden->options->generated, dir ? dir : model);
    if (golden_case_open(&c.base, path, FAMILY_TOTO2)) {
        for (size_t i = 0; i < json_array_size(runs) && !c.base.failed; i++) {
            snprintf(c.base.prefix, sizeof c.base.prefix, "run %zu: ", i);
            c.run = json_array_get(runs, i);
            run(&c);
        }
    }
    golden_case_close(&c.base, name);
}

/* A folder that must be refused when it is loaded (what only fails in a forecast may be refused then too). */
static void run_refusal(struct golden *golden, const json_t *entry)
{
    struct toto_error err = {""};
    const char *dir = json_string_value(json_object_get(entry, "dir"));
    struct golden_case c = {.golden = golden, .began = clock_seconds()};
    struct toto_model *model = NULL;
    char path[1024];
    if (!golden_wanted(golden, dir))
        return;
    snprintf(path, sizeof path, "%s/%s", golden->folder, dir);
    if (toto_model_open(path, &model, &err) == TOTO_STATUS_OK)
        golden_fail(&c, "model", "it was not refused");
    else
        log_info("  %s", err.message);
    toto_model_free(model);
    golden_case_close(&c, dir);
}

void golden_toto2(struct golden *golden, const json_t *manifest)
{
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(manifest, "cases"), i, entry) {
        run_case(golden, json_object_get(manifest, "models"), entry);
    }
    json_array_foreach(json_object_get(manifest, "errors"), i, entry) {
        run_refusal(golden, entry);
    }
}
