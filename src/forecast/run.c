/* Plans a run and streams it: batches of groups go through the decoder, results to the sink in order. */
#include <string.h>
#include <unistd.h>

#include "../base/hash.h"
#include "../base/log.h"
#include "../base/memory.h"
#include "../model/model.h"
#include "../series/series.h"
#include "decode.h"

/* More rows than this in one pass gain nothing: the weights are read once for all of them. */
enum { ROWS_PER_PASS = 2048 };

struct toto_forecast_options toto_forecast_defaults(void)
{
    static const double deciles[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};
    return (struct toto_forecast_options){
        .horizon = 96,
        .n_samples = 256,
        .kv_cache = true,
        .point = TOTO_POINT_MEDIAN,
        .quantiles = deciles,
        .n_quantiles = sizeof deciles / sizeof *deciles,
    };
}

/* ---- Plan -------------------------------------------------------------------------------------------- */

/* What a run needs to know of its input and its model. */
struct run_plan {
    struct decode_shape shape; /* n_variates and max_patches: the most of any group */
    size_t n_quantiles;        /* with the median, if that is the point forecast */
    bool keep_samples;
    size_t fixed_bytes;        /* model, folding and scratch, beside the decoder */
    size_t memory_bytes, least_bytes, limit_bytes;
};

static size_t patches_of(const struct toto1_config *config, const struct group *group)
{
    return (group->n_steps + config->patch - 1) / config->patch;
}

/* Half of the machine's memory, if nothing else is said. */
static size_t default_limit(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (size_t)pages / 2 * (size_t)page : (size_t)1 << 30;
}

/* Bytes of a run in this shape, without what is allocated already. Trajectories of one group are not held
 * against the limit: they are what was asked for. */
static size_t run_bytes(const struct run_plan *plan, const struct toto_model *model,
                        const struct backend *backend)
{
    const struct decode_shape *shape = &plan->shape;
    /* Results of a batch, and those that wait for their turn. */
    size_t results = 2 * shape->n_groups * shape->n_variates * shape->horizon * sizeof(float) *
                     (1 + plan->n_quantiles + (plan->keep_samples ? shape->n_samples : 0));
    return plan->fixed_bytes + results +
           decoder_bytes(backend, &model->toto1.config, shape, plan->n_quantiles);
}

static size_t trajectory_bytes(const struct decode_shape *shape)
{
    return shape->n_variates * shape->horizon * shape->n_samples * sizeof(float);
}

/* Rows of the largest pass. */
static size_t pass_rows(const struct decode_shape *shape)
{
    size_t context = shape->n_variates * (shape->max_patches + 1);
    size_t samples = shape->n_variates * (shape->chunk ? shape->chunk : 1);
    return shape->n_groups * (context > samples ? context : samples);
}

/* Grows samples at once, then groups at once, while both limits hold. */
static void grow(struct run_plan *plan, const struct toto_model *model, const struct backend *backend,
                 size_t most_samples, size_t n_groups, size_t budget)
{
    struct decode_shape *shape = &plan->shape;
    const struct toto1_config *config = &model->toto1.config;
    while (shape->chunk < most_samples) {
        struct run_plan wider = *plan;
        wider.shape.chunk = decode_chunk(backend, config, shape, 2 * shape->chunk);
        if (wider.shape.chunk > most_samples)
            wider.shape.chunk = most_samples;
        if (run_bytes(&wider, model, backend) > budget || pass_rows(&wider.shape) > ROWS_PER_PASS)
            break;
        *plan = wider;
    }
    while (shape->n_groups < n_groups) {
        struct run_plan wider = *plan;
        wider.shape.n_groups = 2 * shape->n_groups < n_groups ? 2 * shape->n_groups : n_groups;
        if (run_bytes(&wider, model, backend) > budget || pass_rows(&wider.shape) > ROWS_PER_PASS)
            break;
        *plan = wider;
    }
}

/* Indices of the passes are 32 bits wide. */
static enum toto_status check_sizes(const struct decode_shape *shape, const struct toto1_config *config,
                                    struct toto_error *err)
{
    size_t most = (size_t)INT32_MAX / 8, rows, points, patches_out;
    patches_out = shape->horizon / config->patch + 1;
    if (!size_mul(shape->n_variates, shape->max_patches + patches_out + 1, &rows) ||
        !size_mul(rows, config->patch, &points) || points > most)
        return toto_fail(err, TOTO_STATUS_RESOURCE,
                         "%zu variates together with contexts of %zu patches and a horizon of %zu are "
                         "more than one pass can index; lower --context or use --group none",
                         shape->n_variates, shape->max_patches, shape->horizon);
    return TOTO_STATUS_OK;
}

static void measure_groups(const struct toto_series *series, const struct toto1_config *config,
                           struct decode_shape *shape)
{
    for (size_t g = 0; g < series->n_groups; g++) {
        size_t patches = patches_of(config, &series->groups[g]);
        if (patches > shape->max_patches)
            shape->max_patches = patches;
        if (series->groups[g].n_variates > shape->n_variates)
            shape->n_variates = series->groups[g].n_variates;
    }
}

static size_t positions_of(const struct decode_shape *shape, const struct toto1_config *config)
{
    return shape->max_patches + (shape->horizon + config->patch - 1) / config->patch + 1;
}

static enum toto_status make_plan(const struct toto_model *model, const struct backend *backend,
                                  const struct toto_series *series,
                                  const struct toto_forecast_options *options, struct run_plan *plan,
                                  struct toto_error *err)
{
    const struct toto1_config *config = &model->toto1.config;
    bool labels = toto1_has_labels(&model->toto1.tensors);
    *plan = (struct run_plan){
        .shape = {.n_groups = 1, .n_variates = 1, .max_patches = 1, .horizon = options->horizon,
                  .n_samples = options->n_samples, .kv_cache = options->kv_cache, .labels = labels},
        .n_quantiles = options->n_samples ? options->n_quantiles + 1 : 0,
        .keep_samples = options->keep_samples,
        .limit_bytes = options->memory ? options->memory : default_limit(),
    };
    struct decode_shape *shape = &plan->shape;
    measure_groups(series, config, shape);
    enum toto_status status = check_sizes(shape, config, err);
    if (status != TOTO_STATUS_OK)
        return status;
    plan->fixed_bytes = toto1_net_bytes(config, backend, labels, positions_of(shape, config),
                                        decode_fold_steps(config, shape)) +
                        backend->ops->scratch_bytes(backend, config->d_model);
    size_t most = options->samples_per_batch ? options->samples_per_batch : options->n_samples;
    size_t most_chunk = decode_chunk(backend, config, shape, most);
    shape->chunk = decode_chunk(backend, config, shape, 1);
    size_t used = toto_memory_used(), trajectories = trajectory_bytes(shape);
    plan->least_bytes = used + run_bytes(plan, model, backend) - trajectories;
    if (plan->least_bytes > plan->limit_bytes)
        return toto_fail(err, TOTO_STATUS_RESOURCE,
                         "the run needs at least %zu MiB, %s %zu MiB; raise --memory, or lower "
                         "--context, --horizon or the variates of a group",
                         (plan->least_bytes >> 20) + 1,
                         options->memory ? "--memory is" : "half of this machine's memory is",
                         plan->limit_bytes >> 20);
    grow(plan, model, backend, most_chunk, series->n_groups,
         plan->limit_bytes - used + trajectories);
    plan->memory_bytes = used + run_bytes(plan, model, backend);
    return TOTO_STATUS_OK;
}

enum toto_status toto_forecast_plan(const struct toto_model *model, const struct toto_device *device,
                                    const struct toto_series *series,
                                    const struct toto_forecast_options *options,
                                    struct toto_plan *plan, struct toto_error *err)
{
    struct run_plan own;
    enum toto_status status = make_plan(model, device->backend, series, options, &own, err);
    *plan = (struct toto_plan){
        .n_series = series->n_variates,
        .n_groups = series->n_groups,
        .groups_per_batch = own.shape.n_groups,
        .samples_per_batch = options->n_samples ? own.shape.chunk : 0,
        .memory_bytes = own.memory_bytes,
        .least_bytes = own.least_bytes,
        .limit_bytes = own.limit_bytes,
        .device = device->backend->name,
        .n_threads = device->backend->n_threads,
    };
    return status;
}

/* ---- Delivery in order of first appearance ----------------------------------------------------------- */

struct delivery {
    const struct toto_series *series;
    const struct toto_forecast_options *options;
    toto_forecast_sink *sink;
    void *user;
    size_t n_quantiles; /* the options' and, last, the median where it is the point forecast */
    float **waiting;    /* [n_variates]: mean, quantiles and samples of those whose turn has not come */
    size_t next;        /* the first variate that was not handed over */
};

/* Hands over every variate whose turn has come: bad ones as null. */
static enum toto_status deliver_ready(struct delivery *delivery, struct toto_error *err)
{
    const struct toto_series *series = delivery->series;
    const struct toto_forecast_options *options = delivery->options;
    size_t horizon = options->horizon;
    for (; delivery->next < series->n_variates; delivery->next++) {
        float *values = delivery->waiting[delivery->next];
        struct toto_forecast forecast = {.series = delivery->next, .missing = !values};
        if (!values && series->variates[delivery->next].group != SIZE_MAX)
            break;
        if (values) {
            bool median = options->n_samples && options->point == TOTO_POINT_MEDIAN;
            forecast.point = median ? values + delivery->n_quantiles * horizon : values;
            forecast.quantiles = values + horizon;
            if (options->keep_samples)
                forecast.samples = values + (1 + delivery->n_quantiles) * horizon;
        }
        enum toto_status status = delivery->sink(delivery->user, &forecast, err);
        mem_free(values);
        delivery->waiting[delivery->next] = NULL;
        if (status != TOTO_STATUS_OK)
            return status;
    }
    return TOTO_STATUS_OK;
}

static enum toto_status deliver_group(struct delivery *delivery, const struct group *group,
                                      const struct decode_result *result, struct toto_error *err)
{
    size_t horizon = delivery->options->horizon, points = group->n_variates * horizon;
    size_t n_samples = delivery->options->keep_samples ? delivery->options->n_samples : 0;
    size_t bytes = (1 + delivery->n_quantiles + n_samples) * horizon * sizeof(float);
    for (size_t v = 0; v < group->n_variates; v++) {
        float *values = mem_alloc(bytes), *at = values;
        if (!values)
            return toto_fail_memory(err, "the forecast", bytes);
        memcpy(at, result->mean + v * horizon, horizon * sizeof *at);
        for (size_t q = 0; q < delivery->n_quantiles; q++)
            memcpy(at += horizon, result->quantiles + q * points + v * horizon,
                   horizon * sizeof *at);
        if (n_samples)
            memcpy(at + horizon, result->samples + v * horizon * n_samples,
                   horizon * n_samples * sizeof *at);
        delivery->waiting[group->variates[v]] = values;
    }
    return deliver_ready(delivery, err);
}

/* ---- Run --------------------------------------------------------------------------------------------- */

struct run {
    const struct toto_model *model;
    struct backend *backend;
    const struct toto_series *series;
    struct run_plan plan;
    struct toto1_net net;
    struct decoder *decoder;
    struct decode_shape decoder_shape; /* that it was opened for */
    double *quantiles;
    struct decode_group *groups; /* of a batch */
    struct decode_result *results;
    int32_t *failed;
    struct delivery delivery;
};

/* The random stream of a series: its seed and the id of its first variate, well mixed (the finaliser of
 * MurmurHash3, so that neighbouring seeds have unrelated keys). */
static void stream_key(uint64_t seed, const char *id, uint32_t key[2])
{
    uint64_t mixed = hash_fnv1a(id, strlen(id)) ^ (seed * 0x9E3779B97F4A7C15u);
    mixed = (mixed ^ (mixed >> 33)) * 0xFF51AFD7ED558CCDu;
    mixed = (mixed ^ (mixed >> 33)) * 0xC4CEB9FE1A85EC53u;
    mixed ^= mixed >> 33;
    key[0] = (uint32_t)mixed;
    key[1] = (uint32_t)(mixed >> 32);
}

/* The shape of a batch that starts at group `first`: of its variates, and for the longest context among the
 * neighbours that may share a batch with it. */
static struct decode_shape shape_at(const struct run *run, size_t first)
{
    const struct toto1_config *config = &run->model->toto1.config;
    struct decode_shape shape = run->plan.shape;
    const struct group *groups = run->series->groups;
    size_t own = patches_of(config, &groups[first]);
    shape.n_variates = groups[first].n_variates;
    shape.max_patches = own;
    for (size_t g = first; g < run->series->n_groups && groups[g].n_variates == shape.n_variates; g++) {
        size_t patches = patches_of(config, &groups[g]);
        if (!decode_same_blocks(run->backend, config, &shape, own, patches))
            break;
        shape.max_patches = patches > shape.max_patches ? patches : shape.max_patches;
    }
    return shape;
}

static bool fits(const struct run *run, const struct group *group)
{
    const struct decode_shape *shape = &run->decoder_shape;
    size_t patches = patches_of(&run->model->toto1.config, group);
    return run->decoder && group->n_variates == shape->n_variates && patches <= shape->max_patches &&
           decode_same_blocks(run->backend, &run->model->toto1.config, shape, patches, shape->max_patches);
}

/* A decoder for the batch that starts at group `first`; the last one if it will do. */
static enum toto_status ready_decoder(struct run *run, size_t first, struct toto_error *err)
{
    enum toto_status status = TOTO_STATUS_OK;
    if (fits(run, &run->series->groups[first]))
        return status;
    decoder_close(run->decoder);
    run->decoder = NULL;
    run->decoder_shape = shape_at(run, first);
    size_t fold_steps = decode_fold_steps(&run->model->toto1.config, &run->decoder_shape);
    if (fold_steps && !run->net.folded) {
        double start = clock_seconds();
        if ((status = toto1_net_fold(&run->net, fold_steps, err)))
            return status;
        log_info("folded %zu of %zu steps in %.1f ms", fold_steps, run->model->toto1.config.patch,
                 1e3 * (clock_seconds() - start));
    }
    return decoder_open(&run->net, &run->decoder_shape, run->quantiles, run->plan.n_quantiles,
                        &run->decoder, err);
}

static enum toto_status run_batch(struct run *run, size_t first, size_t count, struct toto_error *err)
{
    const struct toto_series *series = run->series;
    size_t points = run->decoder_shape.n_variates * run->decoder_shape.horizon;
    size_t n_samples = run->plan.keep_samples ? run->decoder_shape.n_samples : 0;
    size_t bytes = count * points * (1 + run->plan.n_quantiles + n_samples) * sizeof(float);
    float *values = mem_alloc(bytes), *at = values;
    enum toto_status status;
    if (!values)
        return toto_fail_memory(err, "the forecasts of a batch", bytes);
    for (size_t i = 0; i < count; i++) {
        const struct group *group = &series->groups[first + i];
        run->groups[i] = (struct decode_group){
            .n_variates = group->n_variates,
            .n_steps = group->n_steps,
            .values = group->values,
            .observed = group->observed,
        };
        stream_key(run->delivery.options->seed, series->variates[group->variates[0]].id,
                   run->groups[i].key);
        run->results[i] = (struct decode_result){.mean = at, .quantiles = at + points};
        at += points * (1 + run->plan.n_quantiles);
        if (n_samples)
            run->results[i].samples = at;
        at += points * n_samples;
    }
    status = decoder_run(run->decoder, run->groups, count, run->results, run->failed, err);
    for (size_t i = 0; i < count && status == TOTO_STATUS_OK; i++) {
        const struct group *group = &series->groups[first + i];
        if (run->failed[i])
            status = toto_fail(err, TOTO_STATUS_DATA,
                               "series \"%s\": the model's distribution is not finite; its values may "
                               "be too large for float32", series->variates[group->variates[0]].id);
        else
            status = deliver_group(&run->delivery, group, &run->results[i], err);
    }
    mem_free(values);
    return status;
}

static enum toto_status run_batches(struct run *run, struct toto_error *err)
{
    const struct toto_series *series = run->series;
    enum toto_status status = deliver_ready(&run->delivery, err);
    for (size_t first = 0, count; first < series->n_groups && status == TOTO_STATUS_OK; first += count) {
        status = ready_decoder(run, first, err);
        if (status != TOTO_STATUS_OK)
            break;
        for (count = 1; count < run->decoder_shape.n_groups && first + count < series->n_groups; count++)
            if (!fits(run, &series->groups[first + count]))
                break;
        status = run_batch(run, first, count, err);
    }
    return status;
}

static enum toto_status open_run(struct run *run, struct toto_error *err)
{
    const struct toto_forecast_options *options = run->delivery.options;
    size_t n_groups = run->plan.shape.n_groups, n_quantiles = run->plan.n_quantiles;
    run->groups = mem_calloc(n_groups, sizeof *run->groups);
    run->results = mem_calloc(n_groups, sizeof *run->results);
    run->failed = mem_calloc(n_groups, sizeof *run->failed);
    run->quantiles = mem_calloc(n_quantiles + 1, sizeof *run->quantiles);
    run->delivery.waiting = mem_calloc(run->series->n_variates, sizeof *run->delivery.waiting);
    if (!run->groups || !run->results || !run->failed || !run->quantiles || !run->delivery.waiting)
        return toto_fail_memory(err, "the run", n_groups * sizeof *run->groups);
    for (size_t i = 0; i + 1 < n_quantiles; i++)
        run->quantiles[i] = options->quantiles[i];
    if (n_quantiles)
        run->quantiles[n_quantiles - 1] = 0.5;
    return toto1_net_open(&run->model->toto1.config, &run->model->toto1.tensors, run->backend,
                          positions_of(&run->plan.shape, &run->model->toto1.config), &run->net, err);
}

static void close_run(struct run *run)
{
    decoder_close(run->decoder);
    toto1_net_close(&run->net);
    for (size_t i = 0; run->delivery.waiting && i < run->series->n_variates; i++)
        mem_free(run->delivery.waiting[i]);
    mem_free(run->delivery.waiting);
    mem_free(run->groups);
    mem_free(run->results);
    mem_free(run->failed);
    mem_free(run->quantiles);
}

enum toto_status toto_forecast_run(const struct toto_model *model, struct toto_device *device,
                                   const struct toto_series *series,
                                   const struct toto_forecast_options *options, toto_forecast_sink *sink,
                                   void *user, struct toto_error *err)
{
    struct run run = {
        .model = model, .backend = device->backend, .series = series,
        .delivery = {.series = series, .options = options, .sink = sink, .user = user},
    };
    enum toto_status status = make_plan(model, run.backend, series, options, &run.plan, err);
    if (status != TOTO_STATUS_OK)
        return status;
    run.delivery.n_quantiles = run.plan.n_quantiles;
    toto_memory_set_limit(options->memory ? run.plan.limit_bytes + trajectory_bytes(&run.plan.shape) : 0);
    if ((status = open_run(&run, err)) == TOTO_STATUS_OK)
        status = run_batches(&run, err);
    close_run(&run);
    return status;
}
