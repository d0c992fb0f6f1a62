/* Runs folders of golden data through the model and compares with what the reference computed.
 *
 *     golden [--device NAME] [--only TEXT] [--base DIR] [-v] FOLDER...
 *
 * A FOLDER holds manifest.json and files in the format that toto1/README.md or toto2/README.md describes. A forecast is followed stage by
 * stage; the first stage that parts is named and the rest of the case is not looked at. Models that the manifest
 * names as made by a generator are taken from DIR/f32, DIR/f16 and DIR/bf16; without --base their cases are
 * skipped. Prints one line a case and "N passed, N failed, N skipped". */
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/mapping.h"
#include "checkpoint/safetensors.h"
#include "forecast/decode.h"
#include "golden.h"

/* One case: its manifest entry, its file and the model. */
struct golden_case {
    struct runner *runner;
    const char *folder, *name;
    const json_t *entry;
    struct mapped_file file;
    struct checkpoint tensors;
    struct toto_model *model;
    struct toto1_net net;
    size_t n_groups, n_variates, n_steps, horizon, n_exogenous;
    struct decode_group *groups;
    void **owned; /* arrays that go with the case */
    size_t n_owned;
    char why[1400];  /* the first thing that parted */
    bool failed;
    double worst;    /* largest error over tolerance */
};

/* ---- Small things ------------------------------------------------------------------------------------ */

static void fail(struct golden_case *c, const char *stage, const char *what)
{
    if (!c->failed)
        snprintf(c->why, sizeof c->why, "%s: %s", stage, what);
    c->failed = true;
}

static void *own(struct golden_case *c, size_t count, size_t size)
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

static size_t number_of(const json_t *entry, const char *key)
{
    return (size_t)json_integer_value(json_object_get(entry, key));
}

static const struct tensor_view *find(const struct golden_case *c, const char *name)
{
    for (size_t i = 0; i < c->tensors.n_tensors; i++)
        if (strcmp(c->tensors.tensors[i].name, name) == 0)
            return &c->tensors.tensors[i];
    return NULL;
}

/* The tensor as floats, or NULL if the case has none of this name. */
static float *floats_of(struct golden_case *c, const char *name)
{
    const struct tensor_view *view = find(c, name);
    if (!view || view->dtype != DTYPE_F32)
        return NULL;
    float *values = own(c, view->n_elements, sizeof *values);
    dtype_widen(view->dtype, view->data, view->n_elements, values);
    return values;
}

/* ---- Comparison ---------------------------------------------------------------------------------------- */

/* The manifest's error measure: the largest over rows of max|got - want| / (max|want| + 1e-30); a row is one index of
 * the first `rows` axes. Only the first `keep` of the `full` values of each row are compared. */
static double error_of(const struct tensor_view *view, const float *want, const float *got,
                       size_t rows_axes)
{
    size_t n_rows = 1, width = 1;
    double worst = 0.0;
    for (size_t i = 0; i < (size_t)view->n_dims; i++)
        *(i < rows_axes ? &n_rows : &width) *= view->dims[i];
    for (size_t row = 0; row < n_rows; row++) {
        double difference = 0.0, size = 0.0;
        for (size_t i = row * width; i < (row + 1) * width; i++) {
            double apart = fabs((double)got[i] - (double)want[i]);
            if (isnan(apart))
                return INFINITY;
            difference = apart > difference ? apart : difference;
            size = fabs((double)want[i]) > size ? fabs((double)want[i]) : size;
        }
        double error = difference / (size + 1e-30);
        worst = error > worst ? error : worst;
    }
    return worst;
}

static void compare(struct golden_case *c, const char *name, const float *got)
{
    const json_t *output = json_object_get(json_object_get(c->entry, "outputs"), name);
    const struct tensor_view *view = find(c, name);
    if (c->failed || !output || !view)
        return;
    double tolerance = json_number_value(json_object_get(output, "tol"));
    double error = error_of(view, floats_of(c, name), got, number_of(output, "rows"));
    if (c->runner->verbose)
        printf("#   %-22s error %.2e, tolerance %.0e\n", name, error, tolerance);
    c->worst = error / tolerance > c->worst ? error / tolerance : c->worst;
    if (!(error <= tolerance)) {
        char text[128];
        snprintf(text, sizeof text, "error %.3e, tolerance %.0e", error, tolerance);
        fail(c, name, text);
    }
}

/* ---- Input ----------------------------------------------------------------------------------------------- */

/* The case's groups: values, masks, ids of patches, known futures. Ids must be constant inside a patch. */
static bool read_groups(struct golden_case *c)
{
    const struct tensor_view *series = find(c, "series"), *mask = find(c, "padding_mask");
    const struct tensor_view *ids = find(c, "id_mask");
    if (!series || series->n_dims != 3 || (mask && mask->n_elements != series->n_elements) ||
        (ids && ids->n_elements != series->n_elements)) {
        fail(c, "input", "series, mask and ids do not fit together");
        return false;
    }
    size_t patch = c->model->toto1.config.patch;
    c->n_groups = series->dims[0];
    c->n_variates = series->dims[1];
    c->n_steps = series->dims[2];
    size_t each = c->n_variates * c->n_steps, n_patches = (c->n_steps + patch - 1) / patch;
    size_t padding = n_patches * patch - c->n_steps;
    float *values = floats_of(c, "series"), *future = floats_of(c, "future_exogenous");
    uint8_t *observed = own(c, series->n_elements, 1);
    int32_t *patch_ids = own(c, c->n_groups * c->n_variates * n_patches, sizeof *patch_ids);
    memset(observed, 1, series->n_elements);
    if (mask)
        memcpy(observed, mask->data, mask->n_elements);
    for (size_t row = 0; ids && row < c->n_groups * c->n_variates; row++) {
        for (size_t n = 0; n < n_patches; n++) {
            size_t first = n * patch < padding ? 0 : n * patch - padding;
            memcpy(&patch_ids[row * n_patches + n],
                   (const char *)ids->data + (row * c->n_steps + first) * sizeof *patch_ids,
                   sizeof *patch_ids);
        }
    }
    c->groups = own(c, c->n_groups, sizeof *c->groups);
    for (size_t b = 0; b < c->n_groups; b++)
        c->groups[b] = (struct decode_group){
            .n_variates = c->n_variates, .n_steps = c->n_steps,
            .values = values + b * each, .observed = observed + b * each,
            .patch_groups = patch_ids + b * c->n_variates * n_patches,
            .n_exogenous = c->n_exogenous,
            .future = future ? future + b * c->n_exogenous * c->horizon : NULL,
            .key = {(uint32_t)b, 12345u},
        };
    return true;
}

/* ---- Runs -------------------------------------------------------------------------------------------------- */

struct run_results {
    float *mean, *quantiles, *samples; /* [B, V, H], [B, Q, V, H], [B, V, H, S] */
    bool refused;
};

static enum toto_status run_batch(struct golden_case *c, const struct decode_shape *shape,
                                  const double *levels, size_t n_levels, struct run_results *results,
                                  struct toto_error *err)
{
    struct decoder *decoder = NULL;
    size_t points = c->n_variates * shape->horizon;
    struct decode_result *each = own(c, c->n_groups, sizeof *each);
    int32_t *failed = own(c, c->n_groups, sizeof *failed);
    results->mean = own(c, c->n_groups * points, sizeof(float));
    results->quantiles = own(c, c->n_groups * points * n_levels, sizeof(float));
    results->samples = own(c, c->n_groups * points * shape->n_samples, sizeof(float));
    for (size_t b = 0; b < c->n_groups; b++)
        each[b] = (struct decode_result){
            .mean = results->mean + b * points,
            .quantiles = results->quantiles + b * points * n_levels,
            .samples = shape->n_samples ? results->samples + b * points * shape->n_samples : NULL,
        };
    size_t fold_steps = decode_fold_steps(&c->model->toto1.config, shape);
    enum toto_status status = TOTO_STATUS_OK;
    if (fold_steps && !c->net.folded)
        status = toto1_net_fold(&c->net, fold_steps, err);
    if (status == TOTO_STATUS_OK)
        status = decoder_open(&c->net, shape, levels, n_levels, &decoder, err);
    if (status == TOTO_STATUS_OK)
        status = decoder_run(decoder, c->groups, c->n_groups, each, failed, err);
    for (size_t b = 0; b < c->n_groups; b++)
        results->refused |= failed[b] != 0;
    decoder_close(decoder);
    return status;
}

static struct run_results run(struct golden_case *c, size_t horizon, bool kv_cache, size_t n_samples,
                              size_t chunk, const double *levels, size_t n_levels)
{
    struct toto_error err = {""};
    struct run_results results = {0};
    size_t patch = c->model->toto1.config.patch;
    struct decode_shape shape = {
        .n_groups = c->n_groups, .n_variates = c->n_variates,
        .max_patches = (c->n_steps + patch - 1) / patch, .horizon = horizon, .n_samples = n_samples,
        .kv_cache = kv_cache, .labels = toto1_has_labels(&c->model->toto1.tensors),
        .inject = c->groups[0].inject_u != NULL,
        .n_overrides = c->groups[0].future ? c->n_exogenous : 0,
    };
    shape.chunk = decode_chunk(c->runner->device->backend, &c->model->toto1.config, &shape, chunk);
    if (run_batch(c, &shape, levels, n_levels, &results, &err) != TOTO_STATUS_OK)
        fail(c, "run", err.message);
    return results;
}

/* ---- Stages ------------------------------------------------------------------------------------------------ */

struct stage_case {
    struct golden_case *c;
    size_t group;
    float *got[16]; /* of each name below */
};

static const char *const stage_names[] = {"scaled", "loc", "scale", "patch_embed", "embed_last_patch", "layers",
                                          "layers_last_patch", "dist_df", "dist_loc", "dist_scale",
                                          "dist_logits", "dist_probs"};
enum { N_STAGES = sizeof stage_names / sizeof *stage_names };

/* Copies rows of a stage to where the expected tensor wants them: for each variate the last dims[axis] of its tokens (a
 * label token is dropped where the tensor has no place for it), or the first values of a longer row. */
static void take_stage(struct stage_case *at, size_t stage, size_t layer, const float *values,
                       size_t n_rows, size_t width)
{
    struct golden_case *c = at->c;
    const struct tensor_view *view = find(c, stage_names[stage]);
    if (!view)
        return;
    size_t n_variates = c->n_variates, per_variate = n_rows / n_variates, group = at->group;
    size_t layers = c->model->toto1.config.n_layers, wanted = view->n_elements / c->n_groups / n_variates;
    bool layered = strncmp(stage_names[stage], "layers", 6) == 0;
    if (layered)
        wanted /= layers;
    size_t place = layered ? layer * c->n_groups + group : group;
    for (size_t v = 0; v < n_variates; v++) {
        float *to = at->got[stage] + (place * n_variates + v) * wanted;
        const float *from = values + v * per_variate * width;
        if (strcmp(stage_names[stage], "loc") == 0 || strcmp(stage_names[stage], "scale") == 0) {
            size_t stride = per_variate * width / wanted; /* one a step, one a patch, or one in all */
            for (size_t i = 0; i < wanted; i++)
                to[i] = from[i * stride];
        } else if (wanted <= width) {
            memcpy(to, from + (per_variate - 1) * width, wanted * sizeof *to); /* last patch, or its start */
        } else {
            memcpy(to, from + per_variate * width - wanted, wanted * sizeof *to);
        }
    }
}

static void see_stage(void *user, const char *stage, size_t layer, const float *values, size_t n_rows,
                      size_t width)
{
    struct stage_case *at = user;
    for (size_t i = 0; i < N_STAGES; i++) {
        bool same = strcmp(stage_names[i], stage) == 0 ||
                    (strcmp(stage, "layers") == 0 && strcmp(stage_names[i], "layers_last_patch") == 0) ||
                    (strcmp(stage, "patch_embed") == 0 && strcmp(stage_names[i], "embed_last_patch") == 0);
        if (same)
            take_stage(at, i, layer, values, n_rows, width);
    }
}

static void compare_stages(struct golden_case *c)
{
    struct stage_case at = {.c = c};
    struct toto_error err = {""};
    struct decoder *decoder = NULL;
    size_t patch = c->model->toto1.config.patch;
    const struct decode_shape shape = {
        .n_groups = 1, .n_variates = c->n_variates, .max_patches = (c->n_steps + patch - 1) / patch,
        .horizon = patch, .chunk = 1, .kv_cache = true,
        .labels = toto1_has_labels(&c->model->toto1.tensors),
    };
    for (size_t i = 0; i < N_STAGES; i++)
        at.got[i] = own(c, find(c, stage_names[i]) ? find(c, stage_names[i])->n_elements : 0, 4);
    enum toto_status status = decoder_open(&c->net, &shape, NULL, 0, &decoder, &err);
    for (at.group = 0; at.group < c->n_groups && status == TOTO_STATUS_OK; at.group++)
        status = decoder_stages(decoder, &c->groups[at.group], see_stage, &at, &err);
    decoder_close(decoder);
    if (status != TOTO_STATUS_OK)
        fail(c, "stages", err.message);
    for (size_t i = 0; i < N_STAGES; i++)
        compare(c, stage_names[i], at.got[i]);
}

/* ---- Kinds of case ----------------------------------------------------------------------------------------- */

/* A shorter horizon is a prefix of the longer forecast, and was also run by itself. */
static void compare_prefixes(struct golden_case *c, const char *name, bool kv_cache)
{
    const json_t *output = json_object_get(json_object_get(c->entry, "outputs"), name);
    const struct tensor_view *view = find(c, name);
    json_t *checks = json_object_get(output, "prefix_check"), *unused;
    const char *key;
    if (c->failed || !view || c->groups[0].future)
        return;
    const float *whole = floats_of(c, name);
    double tolerance = json_number_value(json_object_get(output, "tol"));
    json_object_foreach(checks, key, unused) {
        size_t horizon = (size_t)strtoul(key, NULL, 10);
        struct run_results results = run(c, horizon, kv_cache, 0, 1, NULL, 0);
        double size = 0.0, apart = 0.0;
        for (size_t row = 0; row < c->n_groups * c->n_variates && !c->failed; row++) {
            for (size_t i = 0; i < horizon; i++) {
                double want = (double)whole[row * c->horizon + i];
                double now = fabs((double)results.mean[row * horizon + i] - want);
                apart = now > apart ? now : apart;
            }
            for (size_t i = 0; i < c->horizon; i++)
                size = fmax(size, fabs((double)whole[row * c->horizon + i]));
            if (!(apart <= tolerance * (size + 1e-30)))
                fail(c, name, "the forecast of a shorter horizon is no prefix");
            apart = size = 0.0;
        }
    }
}

static void run_forecast_case(struct golden_case *c)
{
    size_t patch = c->model->toto1.config.patch;
    compare_stages(c);
    if (!c->failed && find(c, "mean_next_patch")) {
        struct decode_group kept[16];
        memcpy(kept, c->groups, c->n_groups * sizeof *kept);
        for (size_t b = 0; b < c->n_groups; b++)
            c->groups[b].future = NULL;
        compare(c, "mean_next_patch", run(c, patch, true, 0, 1, NULL, 0).mean);
        memcpy(c->groups, kept, c->n_groups * sizeof *kept);
    }
    static const char *const names[] = {"mean_uncached", "mean_cached"};
    for (size_t cached = 0; cached < 2 && !c->failed; cached++) {
        compare(c, names[cached], run(c, c->horizon, cached == 1, 0, 1, NULL, 0).mean);
        compare_prefixes(c, names[cached], cached == 1);
    }
}

static void run_error_case(struct golden_case *c)
{
    struct run_results results = run(c, c->horizon, true, 0, 1, NULL, 0);
    if (!c->failed && !results.refused)
        fail(c, "error", "the input was not refused");
}

/* [S, B, V, R] of the file to [B][S, V, R] of the groups; t = x / sqrt(w). */
static void inject(struct golden_case *c, size_t n_samples, const char *u_name)
{
    const float *u = floats_of(c, u_name), *x = floats_of(c, "x"), *w = floats_of(c, "w");
    size_t patch = c->model->toto1.config.patch, width = (c->horizon + patch - 1) / patch * patch;
    size_t row = c->n_variates * width, n = n_samples * row;
    float *own_u = own(c, c->n_groups * n, sizeof *own_u), *own_t = own(c, c->n_groups * n, sizeof *own_t);
    for (size_t b = 0; b < c->n_groups; b++) {
        for (size_t s = 0; s < n_samples; s++) {
            for (size_t i = 0; i < row; i++) {
                size_t from = (s * c->n_groups + b) * row + i, to = b * n + s * row + i;
                own_u[to] = u[from];
                own_t[to] = x[from] / sqrtf(w[from]);
            }
        }
        c->groups[b].inject_u = own_u + b * n;
        c->groups[b].inject_t = own_t + b * n;
    }
}

static size_t levels_of(const struct golden_case *c, double levels[16])
{
    const json_t *list = json_object_get(c->entry, "quantile_levels");
    size_t n = json_array_size(list) < 16 ? json_array_size(list) : 16;
    for (size_t i = 0; i < n; i++)
        levels[i] = json_number_value(json_array_get(list, i));
    return n;
}

/* [B, Q, V, H] to the file's [B, V, H, Q]. */
static float *quantiles_last(struct golden_case *c, const float *quantiles, size_t n_levels)
{
    size_t points = c->n_variates * c->horizon;
    float *turned = own(c, c->n_groups * points * n_levels, sizeof *turned);
    for (size_t b = 0; b < c->n_groups; b++)
        for (size_t q = 0; q < n_levels; q++)
            for (size_t i = 0; i < points; i++)
                turned[(b * points + i) * n_levels + q] = quantiles[(b * n_levels + q) * points + i];
    return turned;
}

static float *deviations(struct golden_case *c, const float *samples, size_t n_samples)
{
    size_t n = c->n_groups * c->n_variates * c->horizon;
    float *out = own(c, n, sizeof *out);
    for (size_t i = 0; i < n; i++) {
        double mean = 0.0, sum = 0.0;
        for (size_t s = 0; s < n_samples; s++)
            mean += (double)samples[i * n_samples + s] / (double)n_samples;
        for (size_t s = 0; s < n_samples; s++)
            sum += pow((double)samples[i * n_samples + s] - mean, 2.0);
        out[i] = (float)sqrt(sum / (double)(n_samples - 1));
    }
    return out;
}

static void run_injected_case(struct golden_case *c)
{
    double levels[16];
    size_t n_levels = levels_of(c, levels), n_samples = number_of(c->entry, "num_samples");
    static const char *const modes[] = {"uncached", "cached"};
    for (size_t cached = 0; cached < 2 && !c->failed; cached++) {
        char name[64];
        snprintf(name, sizeof name, "u_%s", modes[cached]);
        inject(c, n_samples, name);
        struct run_results results = run(c, c->horizon, cached == 1, n_samples,
                                         number_of(c->entry, "samples_per_batch"), levels, n_levels);
        snprintf(name, sizeof name, "samples_%s", modes[cached]);
        compare(c, name, results.samples);
        snprintf(name, sizeof name, "mean_%s", modes[cached]);
        compare(c, name, results.mean);
        snprintf(name, sizeof name, "std_%s", modes[cached]);
        compare(c, name, deviations(c, results.samples, n_samples));
        snprintf(name, sizeof name, "quantiles_%s", modes[cached]);
        compare(c, name, quantiles_last(c, results.quantiles, n_levels));
    }
}

/* Own draws against the reference's quantiles: z = difference / standard error; its mean within 0.3 of 0, its
 * deviation from 0.7 to 1.3, no |z| of 6. Where the reference has no error the values are equal. */
static void run_quantiles_case(struct golden_case *c)
{
    enum { SAMPLES = 8192, CHUNK = 1024 };
    double levels[16], sum = 0.0, squares = 0.0, worst = 0.0;
    size_t n_levels = levels_of(c, levels), n = 0;
    bool kv_cache = json_is_true(json_object_get(c->entry, "use_kv_cache"));
    struct run_results results = run(c, c->horizon, kv_cache, SAMPLES, CHUNK, levels, n_levels);
    const float *got = quantiles_last(c, results.quantiles, n_levels);
    const float *want = floats_of(c, "quantiles"), *error = floats_of(c, "quantiles_se");
    double wider = sqrt(1.0 + (double)number_of(c->entry, "num_samples") / SAMPLES);
    for (size_t i = 0; i < find(c, "quantiles")->n_elements; i++) {
        double apart = (double)got[i] - (double)want[i];
        if (error[i] <= 0.0f) {
            if (!(fabs(apart) <= 1e-6 * fabs((double)want[i])))
                fail(c, "quantiles", "a known value was not kept");
            continue;
        }
        double z = apart / ((double)error[i] * wider);
        sum += z;
        squares += z * z;
        worst = fabs(z) > worst ? fabs(z) : worst;
        n++;
    }
    double mean = sum / (double)n, deviation = sqrt(squares / (double)n - mean * mean);
    if (c->runner->verbose)
        printf("#   quantiles: z mean %.3f, deviation %.3f, largest %.2f\n", mean, deviation, worst);
    if (!(fabs(mean) <= 0.3 && deviation >= 0.7 && deviation <= 1.3 && worst < 6.0)) {
        char text[128];
        snprintf(text, sizeof text, "z has mean %.3f, deviation %.3f and reaches %.2f", mean, deviation,
                 worst);
        fail(c, "quantiles", text);
    }
}

/* ---- Results and models ------------------------------------------------------------------------------------ */

void golden_passed(struct runner *runner, const char *name, double worst)
{
    printf("passed  %s (at most %.2f of the tolerance)\n", name, worst);
    fflush(stdout);
    runner->n_passed++;
}

void golden_failed(struct runner *runner, const char *name, const char *why)
{
    printf("FAILED  %s: %s\n", name, why);
    fflush(stdout);
    runner->n_failed++;
}

void golden_skipped(struct runner *runner, const char *name, const char *why)
{
    printf("skipped %s (%s)\n", name, why);
    runner->n_skipped++;
}

struct toto_model *golden_model(struct runner *runner, const char *path, struct toto_error *err)
{
    if (runner->model && strcmp(path, runner->model_path) == 0)
        return runner->model;
    toto_model_free(runner->model);
    runner->model = NULL;
    snprintf(runner->model_path, sizeof runner->model_path, "%s", path);
    if (toto_model_open(path, &runner->model, err) != TOTO_STATUS_OK)
        return NULL;
    return runner->model;
}

/* ---- Cases --------------------------------------------------------------------------------------------------- */

/* Folder of the case's model: the manifest's, or DIR/TYPE for a generated one. False: there is none. */
static bool model_path(const struct golden_case *c, const json_t *manifest, char *path, size_t size)
{
    const char *model = json_string_value(json_object_get(c->entry, "model"));
    const json_t *known = json_object_get(json_object_get(manifest, "models"), model ? model : "");
    const char *type = model ? strstr(model, "--dtype ") : NULL;
    if (known)
        snprintf(path, size, "%s/%s", c->folder, json_string_value(json_object_get(known, "dir")));
    else if (type && c->runner->base)
        snprintf(path, size, "%s/%s", c->runner->base, type + strlen("--dtype "));
    else
        return false;
    return true;
}

static bool open_case(struct golden_case *c, const json_t *manifest)
{
    struct toto_error err = {""};
    struct runner *runner = c->runner;
    char path[1024];
    model_path(c, manifest, path, sizeof path);
    c->model = golden_model(runner, path, &err);
    if (!c->model || c->model->family != FAMILY_TOTO1) {
        fail(c, "model", c->model ? "is of another family" : err.message);
        return false;
    }
    c->horizon = number_of(c->entry, "horizon");
    c->n_exogenous = number_of(c->entry, "num_exogenous");
    snprintf(path, sizeof path, "%s/%s", c->folder, json_string_value(json_object_get(c->entry, "file")));
    if (mapping_open(path, &c->file, &err) != TOTO_STATUS_OK ||
        safetensors_read(&c->file, &c->tensors, &err) != TOTO_STATUS_OK) {
        fail(c, "file", err.message);
        return false;
    }
    if (!read_groups(c))
        return false;
    size_t patch = c->model->toto1.config.patch;
    if (toto1_net_open(&c->model->toto1.config, &c->model->toto1.tensors, runner->device->backend,
                       c->n_steps / patch + c->horizon / patch + 4, &c->net, &err) != TOTO_STATUS_OK) {
        fail(c, "model", err.message);
        return false;
    }
    return true;
}

static void run_case(struct runner *runner, const char *folder, const json_t *manifest,
                     const json_t *entry)
{
    static const struct { const char *kind; void (*run)(struct golden_case *); } kinds[] = {
        {"forecast", run_forecast_case},
        {"error", run_error_case},
        {"sample_injected", run_injected_case},
        {"sample_quantiles", run_quantiles_case},
    };
    struct golden_case c = {.runner = runner, .folder = folder, .entry = entry};
    const char *kind = json_string_value(json_object_get(entry, "kind"));
    char path[1024];
    void (*run_kind)(struct golden_case *) = NULL;
    c.name = json_string_value(json_object_get(entry, "name"));
    if (!c.name || !kind || (runner->only && !strstr(c.name, runner->only)))
        return;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kind, kinds[i].kind) == 0)
            run_kind = kinds[i].run;
    if (!run_kind || !model_path(&c, manifest, path, sizeof path)) {
        golden_skipped(runner, c.name, run_kind ? "full-size model, see --base" : kind);
        return;
    }
    if (open_case(&c, manifest))
        run_kind(&c);
    if (c.failed)
        golden_failed(runner, c.name, c.why);
    else
        golden_passed(runner, c.name, c.worst);
    toto1_net_close(&c.net);
    checkpoint_close(&c.tensors);
    mapping_close(&c.file);
    for (size_t i = 0; i < c.n_owned; i++)
        free(c.owned[i]);
    free(c.owned);
}

static void run_folder(struct runner *runner, const char *folder)
{
    char path[1024];
    json_error_t error;
    size_t i;
    json_t *entry;
    snprintf(path, sizeof path, "%s/manifest.json", folder);
    json_t *manifest = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!manifest) {
        golden_failed(runner, path, error.text);
        return;
    }
    if (!json_object_get(manifest, "model_family")) {
        golden_toto2(runner, folder, manifest);
    } else {
        json_array_foreach(json_object_get(manifest, "cases"), i, entry) {
            run_case(runner, folder, manifest, entry);
        }
    }
    json_decref(manifest);
}

static void print_line(void *user, enum toto_log_level level, const char *line)
{
    (void)user;
    (void)level;
    printf("# %s\n", line);
}

int main(int argc, char **argv)
{
    struct runner runner = {0};
    struct toto_error err = {""};
    const char *device = "cpu";
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        const char *option = argv[at];
        if (strcmp(option, "-v") == 0)
            runner.verbose = true;
        else if (at + 1 < argc && strcmp(option, "--device") == 0)
            device = argv[++at];
        else if (at + 1 < argc && strcmp(option, "--only") == 0)
            runner.only = argv[++at];
        else if (at + 1 < argc && strcmp(option, "--base") == 0)
            runner.base = argv[++at];
        else
            break;
    }
    if (at >= argc || argv[at][0] == '-') {
        fputs("usage: golden [--device NAME] [--only TEXT] [--base DIR] [-v] FOLDER...\n", stderr);
        return 64;
    }
    toto_log_set(runner.verbose ? TOTO_LOG_INFO : TOTO_LOG_WARN, print_line, NULL);
    if (toto_device_open(device, TOTO_DTYPE_F32, 0, &runner.device, &err) != TOTO_STATUS_OK) {
        fprintf(stderr, "golden: %s\n", err.message);
        return 71;
    }
    for (; at < argc; at++)
        run_folder(&runner, argv[at]);
    toto_model_free(runner.model);
    toto_device_free(runner.device);
    printf("%zu passed, %zu failed, %zu skipped\n", runner.n_passed, runner.n_failed, runner.n_skipped);
    return runner.n_failed > 0;
}
