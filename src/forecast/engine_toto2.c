/* Engine of Toto 2.0: nine quantiles, in one pass or in blocks. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "../base/log.h"
#include "../base/memory.h"
#include "engine.h"
#include "toto2_decode.h"

/* The high-level entry's options (reference spec 2.2): statistics of few values, and a clamp of wild quantiles. */
enum { MIN_OBS = 8 };
static const float CAP_K = 1e4f;
/* Horizons up to this are one pass; longer ones run in blocks of it. */
enum { STEPS_PER_PASS = 768 };

struct engine {
    struct engine_request request;
    struct toto2_net net;
    struct toto2_decoder *decoder;
    struct batch_shape shape;  /* that it was opened for */
    struct toto2_group *groups; /* of a batch */
    float *values;              /* contexts padded to whole patches, and known covariates */
    uint8_t *observed;
    float *nine;                /* [groups][9][variates][horizon] */
    float **nines;
};

static const struct toto2_config *config_of(const struct engine_request *request)
{
    return &request->model->toto2.config;
}

/* Patches of a block; 0: one pass. */
static size_t block_of(const struct engine_request *request)
{
    size_t patch = config_of(request)->patch, block = request->options->decode_block;
    if (block != TOTO_DECODE_BLOCK_AUTO)
        return block / patch;
    if (request->options->horizon <= STEPS_PER_PASS)
        return 0;
    return STEPS_PER_PASS < patch ? 1 : STEPS_PER_PASS / patch;
}

static struct toto2_shape shape_of(const struct engine_request *request, const struct batch_shape *batch)
{
    return (struct toto2_shape){
        .n_groups = batch->n_groups,
        .n_targets = batch->n_variates,
        .n_known = batch->n_known,
        .max_patches = batch->max_patches,
        .horizon = request->options->horizon,
        .block = block_of(request),
        .missing_values = true,
        .min_obs = MIN_OBS,
        .cap_k = CAP_K,
    };
}

static enum toto_status toto2_check(const struct engine_request *request, struct toto_error *err)
{
    const struct toto_forecast_options *options = request->options;
    size_t patch = config_of(request)->patch;
    if (options->decode_block != TOTO_DECODE_BLOCK_AUTO && options->decode_block % patch)
        return toto_fail(err, TOTO_STATUS_USAGE,
                         "--decode-block is %zu; this model's patches have %zu steps, and a block is whole "
                         "patches", options->decode_block, patch);
    for (size_t i = 0; i < options->n_quantiles && !options->extrapolate; i++)
        if (options->quantiles[i] < 0.1 - 1e-9 || options->quantiles[i] > 0.9 + 1e-9)
            return toto_fail(err, TOTO_STATUS_USAGE,
                             "quantile %g: this Toto 2.0 model has 0.1, 0.2, ... 0.9, and what lies between; "
                             "--extrapolate makes up tails beyond them", options->quantiles[i]);
    return TOTO_STATUS_OK;
}

static size_t toto2_patch(const struct toto_model *model)
{
    return model->toto2.config.patch;
}

static size_t toto2_chunk(const struct engine_request *request, const struct batch_shape *batch, size_t n)
{
    (void)request;
    (void)batch;
    (void)n;
    return 1;
}

static size_t horizon_patches(const struct engine_request *request)
{
    return engine_patches(request->options->horizon, config_of(request)->patch);
}

static size_t toto2_rows(const struct engine_request *request, const struct batch_shape *batch)
{
    size_t block = block_of(request);
    block = block && block < horizon_patches(request) ? block : horizon_patches(request);
    return batch->n_groups * (batch->n_variates + batch->n_known) * (batch->max_patches + block);
}

static size_t toto2_fixed_bytes(const struct engine_request *request, const struct batch_shape *most)
{
    return toto2_net_bytes(config_of(request), request->backend, most->max_patches + horizon_patches(request) + 1);
}

static size_t context_points(const struct engine_request *request, const struct batch_shape *batch)
{
    size_t patch = config_of(request)->patch, context = batch->max_patches * patch;
    return batch->n_groups * (batch->n_variates * context +
                              batch->n_known * (context + horizon_patches(request) * patch));
}

static size_t nine_points(const struct engine_request *request, const struct batch_shape *batch)
{
    return batch->n_groups * batch->n_variates * TOTO2_QUANTILES * request->options->horizon;
}

static size_t toto2_weights_bytes(const struct engine_request *request)
{
    return request->model->toto2.tensors.used.n_parameters *
           request->backend->ops->element_bytes(request->backend, TENSOR_ACTIVATION);
}

static size_t toto2_batch_bytes(const struct engine_request *request, const struct batch_shape *batch)
{
    struct toto2_shape shape = shape_of(request, batch);
    return toto2_decoder_bytes(request->backend, config_of(request), &shape) +
           context_points(request, batch) * (sizeof(float) + 1) + nine_points(request, batch) * sizeof(float) +
           batch->n_groups * (sizeof(struct toto2_group) + sizeof(float *)) + 10 * MEMORY_ALIGNMENT;
}

static bool toto2_same_batch(const struct engine_request *request, const struct batch_shape *batch, size_t a,
                             size_t b)
{
    struct toto2_shape shape = shape_of(request, batch);
    return toto2_same_blocks(request->backend, config_of(request), &shape, a, b);
}

static void free_batch(struct engine *engine)
{
    toto2_decoder_close(engine->decoder);
    mem_free(engine->groups);
    mem_free(engine->values);
    mem_free(engine->observed);
    mem_free(engine->nine);
    mem_free(engine->nines);
    engine->decoder = NULL;
    engine->groups = NULL;
    engine->values = engine->nine = NULL;
    engine->observed = NULL;
    engine->nines = NULL;
}

static void toto2_close(struct engine *engine)
{
    if (!engine)
        return;
    free_batch(engine);
    toto2_net_close(&engine->net);
    mem_free(engine);
}

static enum toto_status toto2_open(const struct engine_request *request, const struct batch_shape *most,
                                   struct engine **out, struct toto_error *err)
{
    size_t n_positions = most->max_patches + horizon_patches(request);
    *out = NULL;
    if (n_positions > TOTO2_MAX_POSITIONS)
        return toto_fail(err, TOTO_STATUS_USAGE,
                         "context and horizon are %zu patches; a Toto 2.0 model has positions for %d: lower "
                         "--context or --horizon", n_positions, TOTO2_MAX_POSITIONS);
    struct engine *engine = mem_calloc(1, sizeof *engine);
    if (!engine)
        return toto_fail_memory(err, "the engine", sizeof *engine);
    engine->request = *request;
    enum toto_status status = toto2_net_open(config_of(request), &request->model->toto2.tensors,
                                             request->backend, n_positions + 1, &engine->net, err);
    if (status != TOTO_STATUS_OK) {
        toto2_close(engine);
        return status;
    }
    size_t block = block_of(request), patch = config_of(request)->patch;
    if (block && block < horizon_patches(request))
        log_info("%zu steps in blocks of %zu", request->options->horizon, block * patch);
    else
        log_info("%zu steps in one pass", request->options->horizon);
    *out = engine;
    return TOTO_STATUS_OK;
}

static enum toto_status toto2_prepare(struct engine *engine, const struct batch_shape *batch,
                                      struct toto_error *err)
{
    const struct engine_request *request = &engine->request;
    struct toto2_shape shape = shape_of(request, batch);
    size_t points = context_points(request, batch), nine = nine_points(request, batch);
    free_batch(engine);
    engine->shape = *batch;
    engine->groups = mem_calloc(batch->n_groups, sizeof *engine->groups);
    engine->values = mem_alloc(points * sizeof *engine->values);
    engine->observed = mem_alloc(points);
    engine->nine = mem_alloc(nine * sizeof *engine->nine);
    engine->nines = mem_calloc(batch->n_groups, sizeof *engine->nines);
    if (!engine->groups || !engine->values || !engine->observed || !engine->nine || !engine->nines)
        return toto_fail_memory(err, "a batch", points + nine * sizeof *engine->nine);
    return toto2_decoder_open(&engine->net, &shape, &engine->decoder, err);
}

/* ---- Magnitude --------------------------------------------------------------------------------------- */

/* The model sees values only after its scaler, which has two sizes of its own: no scale is below 1e-6, and the
 * statistics of a few values square them in float32 (reference spec 3). A variate that is tiny or huge beside these
 * enters times the power of two that brings its largest value into [1, 2), and its forecast is divided by it, so that
 * the unit of a series has no say. All others enter as they are. */
static const float TINY_BELOW = 0x1p-10f, HUGE_FROM = 0x1p60f;

static float largest(const float *values, size_t n)
{
    float most = 0.0f;
    for (size_t i = 0; i < n; i++)
        most = fabsf(values[i]) > most ? fabsf(values[i]) : most;
    return most;
}

/* Exponent of the power of two for values up to `most`. */
static int exponent_of(float most)
{
    return most == 0.0f || (most >= TINY_BELOW && most < HUGE_FROM) ? 0 : -ilogbf(most);
}

static void resize_rows(float *values, size_t n_rows, size_t n)
{
    for (size_t row = 0; row < n_rows; row++, values += n) {
        int exponent = exponent_of(largest(values, n));
        for (size_t i = 0; exponent && i < n; i++)
            values[i] = ldexpf(values[i], exponent);
    }
}

static void restore_row(float *row, size_t n, int exponent)
{
    for (size_t i = 0; i < n; i++)
        row[i] = fmaxf(fminf(ldexpf(row[i], -exponent), FLT_MAX), -FLT_MAX);
}

/* A group's result in the units of its series; what leaves float32 stops at its end. A variate of zeros has no unit, and
 * goes on at zero. */
static void restore_sizes(const struct group *group, const struct toto_forecast_options *options, size_t stride,
                          const struct engine_result *result)
{
    size_t horizon = options->horizon;
    for (size_t v = 0; v < group->n_variates; v++) {
        float most = largest(group->values + v * group->n_steps, group->n_steps);
        int exponent = exponent_of(most);
        for (size_t q = 0; q <= options->n_quantiles + 1 && (exponent || most == 0.0f); q++) {
            float *row = (q ? result->quantiles + (q - 1) * stride : result->mean) + v * horizon;
            if (exponent)
                restore_row(row, horizon, exponent);
            else
                memset(row, 0, horizon * sizeof *row);
        }
    }
}

/* ---- Run --------------------------------------------------------------------------------------------- */

/* Nine quantiles of each variate to those that were asked for, with the median as mean and last. */
static bool take_quantiles(const struct engine *engine, const struct group *group, const float *nine,
                           const struct engine_result *result)
{
    const struct toto_forecast_options *options = engine->request.options;
    size_t points = engine->shape.n_variates * options->horizon;
    size_t stride = engine_rows(&engine->shape) * options->horizon;
    bool finite = true;
    for (size_t i = 0; i < TOTO2_QUANTILES * points; i++)
        finite = finite && nine[i] - nine[i] == 0.0f;
    memcpy(result->mean, nine + TOTO2_QUANTILES / 2 * points, points * sizeof *nine);
    for (size_t q = 0; q < options->n_quantiles; q++)
        for (size_t i = 0; i < points; i++)
            result->quantiles[q * stride + i] = toto2_quantile(nine + i, points, options->quantiles[q]);
    memcpy(result->quantiles + options->n_quantiles * stride, nine + TOTO2_QUANTILES / 2 * points,
           points * sizeof *nine);
    restore_sizes(group, options, stride, result);
    return finite;
}

/* The model takes the last patch as observed (reference spec 2.1): fill values at the end count as data. */
static void tell_missing_tails(const struct group *group)
{
    for (size_t v = 0; v < group->n_variates; v++) {
        size_t n = 0;
        while (n < group->n_steps && !group->observed[(v + 1) * group->n_steps - 1 - n])
            n++;
        if (n)
            log_info("variate %zu of a group of %zu: the last %zu points are missing; the model takes "
                     "what fills them as observed", v + 1, group->n_variates, n);
    }
}

static enum toto_status toto2_run(struct engine *engine, const struct group *groups, size_t n_groups,
                                  const uint32_t (*keys)[2], const struct engine_result *results,
                                  int32_t *failed, struct toto_error *err)
{
    (void)keys;
    const struct batch_shape *shape = &engine->shape;
    size_t patch = config_of(&engine->request)->patch, at = 0;
    size_t nine = TOTO2_QUANTILES * shape->n_variates * engine->request.options->horizon;
    for (size_t i = 0; i < n_groups; i++) {
        const struct group *group = &groups[i];
        if (log_enabled(TOTO_LOG_INFO))
            tell_missing_tails(group);
        size_t padded = engine_patches(group->n_steps, patch) * patch;
        toto2_pad(group->values, group->observed, group->n_variates, group->n_steps, padded,
                  engine->values + at, engine->observed + at);
        resize_rows(engine->values + at, group->n_variates, padded);
        engine->groups[i] = (struct toto2_group){
            .n_steps = padded, .values = engine->values + at, .observed = engine->observed + at,
        };
        engine->nines[i] = engine->nine + i * nine;
        at += group->n_variates * padded;
        if (!group->n_known)
            continue;
        size_t n_known = padded + group->n_known_steps - group->n_steps;
        toto2_pad(group->known, group->known_observed, group->n_known, group->n_known_steps, n_known,
                  engine->values + at, engine->observed + at);
        resize_rows(engine->values + at, group->n_known, n_known);
        engine->groups[i].known = engine->values + at;
        engine->groups[i].known_observed = engine->observed + at;
        engine->groups[i].n_known_steps = n_known;
        at += group->n_known * n_known;
    }
    enum toto_status status =
        toto2_decoder_run(engine->decoder, engine->groups, n_groups, engine->nines, NULL, NULL, err);
    for (size_t i = 0; i < n_groups && status == TOTO_STATUS_OK; i++)
        failed[i] = !take_quantiles(engine, &groups[i], engine->nines[i], &results[i]);
    return status;
}

const struct engine_ops toto2_engine = {
    .check = toto2_check,
    .patch = toto2_patch,
    .has_samples = false,
    .chunk = toto2_chunk,
    .rows = toto2_rows,
    .fixed_bytes = toto2_fixed_bytes,
    .weights_bytes = toto2_weights_bytes,
    .batch_bytes = toto2_batch_bytes,
    .same_batch = toto2_same_batch,
    .open = toto2_open,
    .prepare = toto2_prepare,
    .run = toto2_run,
    .close = toto2_close,
};
