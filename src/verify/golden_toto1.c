/* Golden data of Toto 1.0: forecasts, refusals, sampling with given draws, quantiles of free sampling. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/log.h"
#include "golden_toto1.h"

enum { HORIZON_MOST = 100000, SAMPLES_MOST = 100000, LEVELS_MOST = 16 };

/* ---- Runs ------------------------------------------------------------------------------------------------ */

static enum toto_status run_batch(struct toto1_case *c, const struct decode_shape *shape,
                                  const struct toto1_request *request, struct decode_result *each,
                                  int32_t *failed, struct toto_error *err)
{
    struct decoder *decoder = NULL;
    size_t fold_steps = decode_fold_steps(c->net.config, shape);
    enum toto_status status = TOTO_STATUS_OK;
    if (fold_steps && !c->net.folded)
        status = toto1_net_fold(&c->net, fold_steps, err);
    if (status == TOTO_STATUS_OK)
        status = decoder_open(&c->net, shape, request->levels, request->n_levels, &decoder, err);
    if (status == TOTO_STATUS_OK)
        status = decoder_run(decoder, c->groups, c->n_groups, each, failed, err);
    decoder_close(decoder);
    return status;
}

bool toto1_case_run(struct toto1_case *c, const struct toto1_request *request, struct toto1_results *results)
{
    struct toto_error err = {""};
    size_t patch = c->net.config->patch, points = c->n_variates * request->horizon, n = c->n_groups;
    struct decode_shape shape = {
        .n_groups = n, .n_variates = c->n_variates, .max_patches = (c->n_steps + patch - 1) / patch,
        .horizon = request->horizon, .n_samples = request->n_samples, .kv_cache = request->kv_cache,
        .labels = toto1_has_labels(&c->base.model->toto1.tensors), .inject = c->groups[0].inject_u != NULL,
        .n_overrides = c->groups[0].future ? c->n_exogenous : 0,
    };
    shape.chunk = decode_chunk(c->net.transformer.backend, c->net.config, &shape, request->chunk);
    struct decode_result *each = golden_own(&c->base, n, sizeof *each);
    int32_t *failed = golden_own(&c->base, n, sizeof *failed);
    *results = (struct toto1_results){
        .mean = golden_own(&c->base, n * points, sizeof(float)),
        .quantiles = golden_own(&c->base, n * points * request->n_levels, sizeof(float)),
        .samples = golden_own(&c->base, n * points * request->n_samples, sizeof(float)),
    };
    if (c->base.failed)
        return false;
    for (size_t b = 0; b < n; b++)
        each[b] = (struct decode_result){
            .mean = results->mean + b * points,
            .quantiles = results->quantiles + b * points * request->n_levels,
            .samples = shape.n_samples ? results->samples + b * points * shape.n_samples : NULL,
        };
    if (run_batch(c, &shape, request, each, failed, &err) != TOTO_STATUS_OK)
        golden_fail(&c->base, "run", err.message);
    for (size_t b = 0; b < n; b++)
        results->refused |= failed[b] != 0;
    return !c->base.failed;
}

/* The mean forecast of this horizon, or NULL. */
static float *run_mean(struct toto1_case *c, size_t horizon, bool kv_cache)
{
    struct toto1_results results;
    const struct toto1_request request = {.horizon = horizon, .kv_cache = kv_cache, .chunk = 1};
    return toto1_case_run(c, &request, &results) ? results.mean : NULL;
}

/* ---- Kinds of case ----------------------------------------------------------------------------------------- */

/* A shorter horizon is a prefix of the longer forecast, and was also run by itself. */
static void compare_prefix(struct toto1_case *c, const char *name, const float *whole, size_t horizon,
                           bool kv_cache)
{
    const float *mean = run_mean(c, horizon, kv_cache);
    for (size_t row = 0; mean && row < c->n_groups * c->n_variates; row++) {
        double size = 0.0, apart = 0.0;
        for (size_t i = 0; i < horizon; i++) {
            double now = fabs((double)mean[row * horizon + i] - (double)whole[row * c->horizon + i]);
            apart = now > apart || isnan(now) ? now : apart;
        }
        for (size_t i = 0; i < c->horizon; i++)
            size = fmax(size, fabs((double)whole[row * c->horizon + i]));
        if (!(apart <= toto1_case_tolerance(c, name) * (size + 1e-30)))
            golden_fail(&c->base, name, "the forecast of a shorter horizon is no prefix");
    }
}

static void compare_prefixes(struct toto1_case *c, const char *name, bool kv_cache)
{
    const json_t *output = json_object_get(json_object_get(c->base.entry, "outputs"), name);
    json_t *checks = json_object_get(output, "prefix_check"), *unused;
    const char *key;
    if (c->base.failed || !checks || c->groups[0].future)
        return;
    const float *whole = golden_input(&c->base, name, c->n_groups * c->n_variates * c->horizon);
    json_object_foreach(checks, key, unused) {
        size_t horizon = (size_t)strtoul(key, NULL, 10);
        if (whole && horizon && horizon <= c->horizon)
            compare_prefix(c, name, whole, horizon, kv_cache);
    }
}

/* The mean of the next patch, of the model's own whatever future is known. */
static void compare_next_patch(struct toto1_case *c)
{
    size_t patch = c->net.config->patch;
    struct decode_group *kept = golden_own(&c->base, c->n_groups, sizeof *kept);
    if (!kept)
        return;
    memcpy(kept, c->groups, c->n_groups * sizeof *kept);
    for (size_t b = 0; b < c->n_groups; b++)
        c->groups[b].future = NULL;
    toto1_case_compare(c, "mean_next_patch", run_mean(c, patch, true), c->n_groups * c->n_variates * patch);
    memcpy(c->groups, kept, c->n_groups * sizeof *kept);
}

static void run_forecast(struct toto1_case *c)
{
    static const char *const names[] = {"mean_uncached", "mean_cached"};
    toto1_case_stages(c);
    if (!c->base.failed && golden_find(&c->base, "mean_next_patch"))
        compare_next_patch(c);
    for (size_t cached = 0; cached < 2 && !c->base.failed; cached++) {
        toto1_case_compare(c, names[cached], run_mean(c, c->horizon, cached == 1),
                           c->n_groups * c->n_variates * c->horizon);
        compare_prefixes(c, names[cached], cached == 1);
    }
}

static void run_error(struct toto1_case *c)
{
    struct toto1_results results;
    const struct toto1_request request = {.horizon = c->horizon, .kv_cache = true, .chunk = 1};
    if (toto1_case_run(c, &request, &results) && !results.refused)
        golden_fail(&c->base, "error", "the input was not refused");
}

/* [S, B, V, R] of the file to [B][S, V, R] of the groups; t = x / sqrt(w). */
static bool inject(struct toto1_case *c, size_t n_samples, const char *u_name)
{
    size_t patch = c->net.config->patch, width = (c->horizon + patch - 1) / patch * patch;
    size_t row = c->n_variates * width, n = n_samples * row, all = c->n_groups * n;
    const float *u = golden_input(&c->base, u_name, all), *x = golden_input(&c->base, "x", all);
    const float *w = golden_input(&c->base, "w", all);
    float *own_u = golden_own(&c->base, all, sizeof *own_u), *own_t = golden_own(&c->base, all, sizeof *own_t);
    if (c->base.failed)
        return false;
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
    return true;
}

static size_t levels_of(const struct toto1_case *c, double levels[LEVELS_MOST])
{
    const json_t *list = json_object_get(c->base.entry, "quantile_levels");
    size_t n = json_array_size(list) < LEVELS_MOST ? json_array_size(list) : LEVELS_MOST;
    for (size_t i = 0; i < n; i++)
        levels[i] = json_number_value(json_array_get(list, i));
    return n;
}

/* [B, Q, V, H] to the file's [B, V, H, Q], or NULL. */
static float *quantiles_last(struct toto1_case *c, const float *quantiles, size_t n_levels)
{
    size_t points = c->n_variates * c->horizon;
    float *turned = golden_own(&c->base, c->n_groups * points * n_levels, sizeof *turned);
    for (size_t b = 0; turned && b < c->n_groups; b++)
        for (size_t q = 0; q < n_levels; q++)
            for (size_t i = 0; i < points; i++)
                turned[(b * points + i) * n_levels + q] = quantiles[(b * n_levels + q) * points + i];
    return turned;
}

/* Standard deviation of the samples of each point, or NULL. */
static float *deviations(struct toto1_case *c, const float *samples, size_t n_samples)
{
    size_t n = c->n_groups * c->n_variates * c->horizon;
    float *out = golden_own(&c->base, n, sizeof *out);
    for (size_t i = 0; out && i < n; i++) {
        double mean = 0.0, sum = 0.0;
        for (size_t s = 0; s < n_samples; s++)
            mean += (double)samples[i * n_samples + s] / (double)n_samples;
        for (size_t s = 0; s < n_samples; s++)
            sum += pow((double)samples[i * n_samples + s] - mean, 2.0);
        out[i] = (float)sqrt(sum / (double)(n_samples - 1));
    }
    return out;
}

static void run_injected(struct toto1_case *c)
{
    static const char *const modes[] = {"uncached", "cached"};
    double levels[LEVELS_MOST];
    size_t points = c->n_groups * c->n_variates * c->horizon;
    struct toto1_request request = {
        .horizon = c->horizon, .levels = levels, .n_levels = levels_of(c, levels),
        .n_samples = golden_number(&c->base, c->base.entry, "num_samples", SAMPLES_MOST),
        .chunk = golden_number(&c->base, c->base.entry, "samples_per_batch", SAMPLES_MOST),
    };
    if (request.n_samples < 2 || !request.chunk)
        golden_fail(&c->base, "num_samples", "too few");
    for (size_t cached = 0; cached < 2 && !c->base.failed; cached++) {
        struct toto1_results results;
        char name[64];
        request.kv_cache = cached == 1;
        snprintf(name, sizeof name, "u_%s", modes[cached]);
        if (!inject(c, request.n_samples, name) || !toto1_case_run(c, &request, &results))
            return;
        snprintf(name, sizeof name, "samples_%s", modes[cached]);
        toto1_case_compare(c, name, results.samples, points * request.n_samples);
        snprintf(name, sizeof name, "mean_%s", modes[cached]);
        toto1_case_compare(c, name, results.mean, points);
        snprintf(name, sizeof name, "std_%s", modes[cached]);
        toto1_case_compare(c, name, deviations(c, results.samples, request.n_samples), points);
        snprintf(name, sizeof name, "quantiles_%s", modes[cached]);
        toto1_case_compare(c, name, quantiles_last(c, results.quantiles, request.n_levels),
                           points * request.n_levels);
    }
}

/* Differences from the reference's quantiles in standard errors. Where the reference has no error the values must be
 * equal. */
static void judge_quantiles(struct toto1_case *c, const float *got, size_t n_all, size_t n_own_samples)
{
    const float *want = golden_input(&c->base, "quantiles", n_all);
    const float *error = golden_input(&c->base, "quantiles_se", n_all);
    double n_samples = (double)golden_number(&c->base, c->base.entry, "num_samples", SIZE_MAX);
    double wider = sqrt(1.0 + n_samples / (double)n_own_samples), sum = 0.0, squares = 0.0, worst = 0.0, n = 0.0;
    for (size_t i = 0; !c->base.failed && i < n_all; i++) {
        double apart = (double)got[i] - (double)want[i];
        if (error[i] <= 0.0f) {
            if (!(fabs(apart) <= 1e-6 * fabs((double)want[i])))
                golden_fail(&c->base, "quantiles", "a known value was not kept");
            continue;
        }
        double z = apart / ((double)error[i] * wider);
        sum += z;
        squares += z * z;
        worst = fabs(z) > worst ? fabs(z) : worst;
        n += 1.0;
    }
    if (c->base.failed)
        return;
    double mean = sum / n, deviation = sqrt(squares / n - mean * mean);
    log_info("  quantiles: z mean %.3f, deviation %.3f, largest %.2f", mean, deviation, worst);
    if (!(fabs(mean) <= 0.3 && deviation >= 0.7 && deviation <= 1.3 && worst < 6.0)) {
        char text[128];
        snprintf(text, sizeof text, "z has mean %.3f, deviation %.3f and reaches %.2f", mean, deviation, worst);
        golden_fail(&c->base, "quantiles", text);
    }
}

/* Own draws against the reference's quantiles. */
static void run_quantiles(struct toto1_case *c)
{
    enum { SAMPLES = 8192, CHUNK = 1024 };
    double levels[LEVELS_MOST];
    struct toto1_results results;
    const struct toto1_request request = {
        .horizon = c->horizon, .kv_cache = json_is_true(json_object_get(c->base.entry, "use_kv_cache")),
        .n_samples = SAMPLES, .chunk = CHUNK, .levels = levels, .n_levels = levels_of(c, levels),
    };
    if (!toto1_case_run(c, &request, &results))
        return;
    const float *got = quantiles_last(c, results.quantiles, request.n_levels);
    if (got)
        judge_quantiles(c, got, c->n_groups * c->n_variates * c->horizon * request.n_levels, SAMPLES);
}

/* ---- Input ----------------------------------------------------------------------------------------------- */

/* Ids of patches from ids of steps, which must be constant inside a patch. */
static void read_ids(struct toto1_case *c, int32_t *patch_ids, size_t n_patches)
{
    const struct tensor_view *ids = golden_find(&c->base, "id_mask");
    size_t patch = c->net.config->patch, padding = n_patches * patch - c->n_steps;
    if (!ids)
        return;
    if (ids->n_elements != c->n_groups * c->n_variates * c->n_steps || strcmp(ids->dtype_text, "I32")) {
        golden_fail(&c->base, "id_mask", "is misshapen");
        return;
    }
    for (size_t row = 0; row < c->n_groups * c->n_variates; row++) {
        for (size_t n = 0; n < n_patches; n++) {
            size_t first = n * patch < padding ? 0 : n * patch - padding;
            memcpy(&patch_ids[row * n_patches + n],
                   (const char *)ids->data + (row * c->n_steps + first) * sizeof *patch_ids,
                   sizeof *patch_ids);
        }
    }
}

/* The case's groups: values, masks, ids of patches, known futures. */
static bool read_groups(struct toto1_case *c)
{
    struct golden_case *base = &c->base;
    const struct tensor_view *series = golden_find(base, "series");
    if (!series || series->n_dims != 3 || !series->n_elements) {
        golden_fail(base, "series", "is no series of groups of variates");
        return false;
    }
    c->n_groups = series->dims[0];
    c->n_variates = series->dims[1];
    c->n_steps = series->dims[2];
    size_t each = c->n_variates * c->n_steps, patch = c->net.config->patch;
    size_t n_patches = (c->n_steps + patch - 1) / patch, n_future = c->n_groups * c->n_exogenous * c->horizon;
    bool has_future = golden_find(base, "future_exogenous") != NULL;
    float *values = golden_floats(base, "series");
    float *future = has_future ? golden_input(base, "future_exogenous", n_future) : NULL;
    uint8_t *observed = golden_mask(base, "padding_mask", series->n_elements);
    int32_t *patch_ids = golden_own(base, c->n_groups * c->n_variates * n_patches, sizeof *patch_ids);
    if (!base->failed && !observed && (observed = golden_own(base, series->n_elements, 1)))
        memset(observed, 1, series->n_elements);
    c->groups = golden_own(base, c->n_groups, sizeof *c->groups);
    if (!base->failed && c->n_exogenous > c->n_variates)
        golden_fail(base, "num_exogenous", "is more than there are variates");
    if (!base->failed)
        read_ids(c, patch_ids, n_patches);
    for (size_t b = 0; !base->failed && b < c->n_groups; b++)
        c->groups[b] = (struct decode_group){
            .n_variates = c->n_variates, .n_steps = c->n_steps,
            .values = values + b * each, .observed = observed + b * each,
            .patch_groups = patch_ids + b * c->n_variates * n_patches,
            .n_exogenous = c->n_exogenous,
            .future = future ? future + b * c->n_exogenous * c->horizon : NULL,
            .key = {(uint32_t)b, 12345u},
        };
    return !base->failed;
}

/* ---- Cases --------------------------------------------------------------------------------------------------- */

/* Folder of the case's model: the manifest's, or DIR/TYPE for a generated one. False: there is none. */
static bool model_path(const struct golden *golden, const json_t *manifest, const json_t *entry, char *path,
                       size_t size)
{
    const char *model = json_string_value(json_object_get(entry, "model"));
    const json_t *known = json_object_get(json_object_get(manifest, "models"), model ? model : "");
    const char *dir = json_string_value(json_object_get(known, "dir"));
    const char *type = model ? strstr(model, "--dtype ") : NULL;
    if (dir)
        snprintf(path, size, "%s/%s", golden->folder, dir);
    else if (type && golden->options->generated)
        snprintf(path, size, "%s/%s", golden->options->generated, type + strlen("--dtype "));
    else
        return false;
    return true;
}

static bool open_case(struct toto1_case *c, const char *path)
{
    struct golden_case *base = &c->base;
    struct toto_error err = {""};
    if (!golden_case_open(base, path, FAMILY_TOTO1))
        return false;
    const struct toto1_config *config = &base->model->toto1.config;
    c->net.config = config;
    c->horizon = golden_number(base, base->entry, "horizon", HORIZON_MOST);
    c->n_exogenous = golden_number(base, base->entry, "num_exogenous", HORIZON_MOST);
    if (!c->horizon)
        golden_fail(base, "horizon", "the manifest gives none");
    if (base->failed || !read_groups(c))
        return false;
    if (toto1_net_open(config, &base->model->toto1.tensors, base->golden->device->backend,
                       c->n_steps / config->patch + c->horizon / config->patch + 4, &c->net,
                       &err) != TOTO_STATUS_OK)
        golden_fail(base, "model", err.message);
    return !base->failed;
}

static void run_case(struct golden *golden, const json_t *manifest, const json_t *entry)
{
    static const struct { const char *kind; void (*run)(struct toto1_case *); } kinds[] = {
        {"forecast", run_forecast},
        {"error", run_error},
        {"sample_injected", run_injected},
        {"sample_quantiles", run_quantiles},
    };
    struct toto1_case c = {.base = {.golden = golden, .entry = entry}};
    const char *name = json_string_value(json_object_get(entry, "name"));
    const char *kind = json_string_value(json_object_get(entry, "kind"));
    char path[1024];
    void (*run)(struct toto1_case *) = NULL;
    if (!kind || !golden_wanted(golden, name))
        return;
    if (strcmp(kind, "lsf") == 0 && model_path(golden, manifest, entry, path, sizeof path)) {
        toto1_case_lsf(golden, manifest, entry, path);
        return;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kind, kinds[i].kind) == 0)
            run = kinds[i].run;
    if (!run || !model_path(golden, manifest, entry, path, sizeof path)) {
        golden_skipped(golden, name, run ? "full-size model, see --base" : kind);
        return;
    }
    if (open_case(&c, path))
        run(&c);
    toto1_net_close(&c.net);
    golden_case_close(&c.base, name);
}

void golden_toto1(struct golden *golden, const json_t *manifest)
{
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(manifest, "cases"), i, entry) {
        run_case(golden, manifest, entry);
    }
}
