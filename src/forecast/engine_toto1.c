/* Engine of Toto 1.0: sampled trajectories, or the mean forecast. */
#include <string.h>

#include "../base/log.h"
#include "../base/memory.h"
#include "decode.h"
#include "engine.h"

struct engine {
    struct engine_request request;
    struct toto1_net net;
    struct decoder *decoder;
    double *quantiles; /* the options', then the median */
    size_t n_quantiles;
    struct decode_group *groups; /* of a batch */
    struct decode_result *results;
    float *values;      /* variates and known covariates side by side, where there are such */
    uint8_t *observed;
    float *futures;     /* [groups][known][horizon] */
};

static const struct toto1_config *config_of(const struct engine_request *request)
{
    return &request->model->toto1.config;
}

static struct decode_shape shape_of(const struct engine_request *request, const struct batch_shape *batch)
{
    return (struct decode_shape){
        .n_groups = batch->n_groups,
        .n_variates = batch->n_variates + batch->n_known,
        .max_patches = batch->max_patches,
        .horizon = request->options->horizon,
        .n_samples = request->options->n_samples,
        .chunk = batch->chunk,
        .kv_cache = request->options->kv_cache,
        .labels = toto1_has_labels(&request->model->toto1.tensors),
        .n_overrides = batch->n_known,
    };
}

static size_t count_quantiles(const struct toto_forecast_options *options)
{
    return options->n_samples ? options->n_quantiles + 1 : 0;
}

static enum toto_status toto1_check(const struct engine_request *request, struct toto_error *err)
{
    if (request->options->decode_block == TOTO_DECODE_BLOCK_AUTO && !request->options->extrapolate)
        return TOTO_STATUS_OK;
    return toto_fail(err, TOTO_STATUS_USAGE,
                     "decode_block and extrapolate are options of Toto 2.0; this is a Toto 1.0 model");
}

static size_t toto1_patch(const struct toto_model *model)
{
    return model->toto1.config.patch;
}

static size_t toto1_chunk(const struct engine_request *request, const struct batch_shape *batch, size_t n)
{
    struct decode_shape shape = shape_of(request, batch);
    return decode_chunk(request->backend, config_of(request), &shape, n);
}

static size_t toto1_rows(const struct engine_request *request, const struct batch_shape *batch)
{
    size_t variates = batch->n_variates + batch->n_known;
    size_t context = variates * (batch->max_patches + 1), samples = variates * batch->chunk;
    if (!request->options->kv_cache)
        samples *= batch->max_patches + 1;
    return batch->n_groups * (context > samples ? context : samples);
}

static size_t n_positions(const struct engine_request *request, const struct batch_shape *most)
{
    return most->max_patches + engine_patches(request->options->horizon, config_of(request)->patch) + 1;
}

static size_t toto1_fixed_bytes(const struct engine_request *request, const struct batch_shape *most)
{
    struct decode_shape shape = shape_of(request, most);
    return toto1_net_bytes(config_of(request), request->backend, shape.labels, n_positions(request, most),
                           decode_fold_steps(config_of(request), &shape));
}

/* Points of the variates and known covariates of a batch, where there are such. */
static size_t joined_points(const struct engine_request *request, const struct batch_shape *batch)
{
    return batch->n_known ? batch->n_groups * (batch->n_variates + batch->n_known) * batch->max_patches *
                                config_of(request)->patch
                          : 0;
}

static size_t toto1_weights_bytes(const struct engine_request *request)
{
    return request->model->toto1.tensors.used.n_parameters *
           request->backend->ops->element_bytes(request->backend, TENSOR_ACTIVATION);
}

static size_t toto1_batch_bytes(const struct engine_request *request, const struct batch_shape *batch)
{
    struct decode_shape shape = shape_of(request, batch);
    return decoder_bytes(request->backend, config_of(request), &shape, count_quantiles(request->options)) +
           batch->n_groups * (sizeof(struct decode_group) + sizeof(struct decode_result)) +
           joined_points(request, batch) * (sizeof(float) + 1) +
           batch->n_groups * batch->n_known * request->options->horizon * sizeof(float);
}

static bool toto1_same_batch(const struct engine_request *request, const struct batch_shape *batch, size_t a,
                             size_t b)
{
    struct decode_shape shape = shape_of(request, batch);
    return decode_same_blocks(request->backend, config_of(request), &shape, a, b);
}

static void free_batch(struct engine *engine)
{
    decoder_close(engine->decoder);
    mem_free(engine->values);
    mem_free(engine->observed);
    mem_free(engine->futures);
    engine->decoder = NULL;
    engine->values = engine->futures = NULL;
    engine->observed = NULL;
}

static void toto1_close(struct engine *engine)
{
    if (!engine)
        return;
    free_batch(engine);
    toto1_net_close(&engine->net);
    mem_free(engine->quantiles);
    mem_free(engine->groups);
    mem_free(engine->results);
    mem_free(engine);
}

static enum toto_status toto1_open(const struct engine_request *request, const struct batch_shape *most,
                                   struct engine **out, struct toto_error *err)
{
    const struct toto_forecast_options *options = request->options;
    struct engine *engine = mem_calloc(1, sizeof *engine);
    *out = NULL;
    if (!engine)
        return toto_fail_memory(err, "the engine", sizeof *engine);
    engine->request = *request;
    engine->n_quantiles = count_quantiles(options);
    engine->quantiles = mem_calloc(engine->n_quantiles + 1, sizeof *engine->quantiles);
    engine->groups = mem_calloc(most->n_groups, sizeof *engine->groups);
    engine->results = mem_calloc(most->n_groups, sizeof *engine->results);
    if (!engine->quantiles || !engine->groups || !engine->results) {
        toto1_close(engine);
        return toto_fail_memory(err, "a batch", most->n_groups * sizeof *engine->groups);
    }
    for (size_t i = 0; i < options->n_quantiles && i < engine->n_quantiles; i++)
        engine->quantiles[i] = options->quantiles[i];
    if (engine->n_quantiles)
        engine->quantiles[engine->n_quantiles - 1] = 0.5;
    enum toto_status status = toto1_net_open(config_of(request), &request->model->toto1.tensors,
                                             request->backend, n_positions(request, most), &engine->net, err);
    if (status != TOTO_STATUS_OK) {
        toto1_close(engine);
        return status;
    }
    *out = engine;
    return TOTO_STATUS_OK;
}

static enum toto_status toto1_prepare(struct engine *engine, const struct batch_shape *batch,
                                      struct toto_error *err)
{
    struct decode_shape shape = shape_of(&engine->request, batch);
    size_t fold_steps = decode_fold_steps(config_of(&engine->request), &shape);
    size_t points = joined_points(&engine->request, batch);
    size_t futures = batch->n_groups * batch->n_known * shape.horizon;
    free_batch(engine);
    engine->values = mem_alloc(points * sizeof *engine->values);
    engine->observed = mem_alloc(points);
    engine->futures = mem_calloc(futures, sizeof *engine->futures);
    if (!engine->values || !engine->observed || !engine->futures)
        return toto_fail_memory(err, "the covariates", points * sizeof *engine->values);
    if (fold_steps && !engine->net.folded) {
        double start = clock_seconds();
        enum toto_status status = toto1_net_fold(&engine->net, fold_steps, err);
        if (status != TOTO_STATUS_OK)
            return status;
        log_info("folded %zu of %zu steps in %.1f ms", fold_steps, config_of(&engine->request)->patch,
                 1e3 * (clock_seconds() - start));
    }
    return decoder_open(&engine->net, &shape, engine->quantiles, engine->n_quantiles, &engine->decoder, err);
}

/* Known covariates are the last variates of the model (reference spec 8); what is known of their future takes the place of
 * the model's own, 0 beyond the known end. Returns the next free place of the joined values. */
static size_t join_known(struct engine *engine, size_t i, const struct group *group, size_t at)
{
    struct decode_group *to = &engine->groups[i];
    size_t n = group->n_steps, horizon = engine->request.options->horizon;
    size_t own = group->n_variates * n, beyond = group->n_known_steps - n;
    float *future = engine->futures + i * group->n_known * horizon;
    memcpy(engine->values + at, group->values, own * sizeof *group->values);
    memcpy(engine->observed + at, group->observed, own);
    memset(future, 0, group->n_known * horizon * sizeof *future);
    for (size_t k = 0; k < group->n_known; k++) {
        const float *known = group->known + k * group->n_known_steps;
        memcpy(engine->values + at + own + k * n, known, n * sizeof *known);
        memcpy(engine->observed + at + own + k * n, group->known_observed + k * group->n_known_steps, n);
        memcpy(future + k * horizon, known + n, (beyond < horizon ? beyond : horizon) * sizeof *known);
    }
    to->values = engine->values + at;
    to->observed = engine->observed + at;
    to->n_variates = group->n_variates + group->n_known;
    to->n_exogenous = group->n_known;
    to->future = beyond ? future : NULL;
    return at + own + group->n_known * n;
}

static enum toto_status toto1_run(struct engine *engine, const struct group *groups, size_t n_groups,
                                  const uint32_t (*keys)[2], const struct engine_result *results,
                                  int32_t *failed, struct toto_error *err)
{
    size_t at = 0;
    for (size_t i = 0; i < n_groups; i++) {
        engine->groups[i] = (struct decode_group){
            .n_variates = groups[i].n_variates,
            .n_steps = groups[i].n_steps,
            .values = groups[i].values,
            .observed = groups[i].observed,
            .key = {keys[i][0], keys[i][1]},
        };
        if (groups[i].n_known)
            at = join_known(engine, i, &groups[i], at);
        engine->results[i] = (struct decode_result){
            .mean = results[i].mean, .quantiles = results[i].quantiles, .samples = results[i].samples,
        };
    }
    return decoder_run(engine->decoder, engine->groups, n_groups, engine->results, failed, err);
}

const struct engine_ops toto1_engine = {
    .check = toto1_check,
    .patch = toto1_patch,
    .has_samples = true,
    .chunk = toto1_chunk,
    .rows = toto1_rows,
    .fixed_bytes = toto1_fixed_bytes,
    .weights_bytes = toto1_weights_bytes,
    .batch_bytes = toto1_batch_bytes,
    .same_batch = toto1_same_batch,
    .open = toto1_open,
    .prepare = toto1_prepare,
    .run = toto1_run,
    .close = toto1_close,
};
