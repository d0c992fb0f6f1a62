/* Plans a run and streams it: batches of groups go through the model's engine, results to the sink in order. */
#include <string.h>
#include <unistd.h>

#include "../base/hash.h"
#include "../base/log.h"
#include "../base/memory.h"
#include "engine.h"

/* More rows than this in one pass gain nothing: on the CPU the weights are read once for all of them, and a device is
 * full. */
enum { CPU_ROWS_PER_PASS = 2048, DEVICE_ROWS_PER_PASS = 8192 };

struct toto_forecast_options toto_forecast_defaults(void)
{
    static const double deciles[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};
    return (struct toto_forecast_options){
        .horizon = 96,
        .n_samples = 256,
        .kv_cache = true,
        .decode_block = TOTO_DECODE_BLOCK_AUTO,
        .point = TOTO_POINT_MEDIAN,
        .quantiles = deciles,
        .n_quantiles = sizeof deciles / sizeof *deciles,
    };
}

/* ---- Plan -------------------------------------------------------------------------------------------- */

struct run_plan {
    struct batch_shape shape;  /* n_variates and max_patches: the most of any group */
    size_t n_quantiles;        /* rows of an engine's result: the options', then the median; or 0 */
    size_t n_samples;          /* that are handed to the sink */
    size_t trajectory_bytes;   /* of one group: they are what was asked for, and not held against the limit */
    size_t memory_bytes, least_bytes, limit_bytes;
};

/* Nine tenths of a device's memory, or half of the machine's, if nothing else is said; --memory counts both. */
static size_t memory_limit(const struct engine_request *request)
{
    const struct backend *backend = request->backend;
    size_t asked = request->options->memory, own = backend->memory_bytes / 10 * 9;
    if (own)
        return asked && asked < own ? asked : own;
    if (asked)
        return asked;
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (size_t)pages / 2 * (size_t)page : (size_t)1 << 30;
}

/* Bytes of a run in this shape, without what is allocated already. */
static size_t run_bytes(const struct engine_request *request, const struct run_plan *plan,
                        const struct batch_shape *shape)
{
    const struct engine_ops *engine = engine_of(request->model);
    /* Results of a batch, and those that wait for their turn. */
    size_t results = 2 * shape->n_groups * engine_rows(shape) * request->options->horizon * sizeof(float) *
                     (1 + plan->n_quantiles + plan->n_samples);
    return engine->fixed_bytes(request, shape) + engine->batch_bytes(request, shape) + results +
           request->backend->ops->scratch_bytes(request->backend, 0) +
           (request->backend->memory_bytes ? engine->weights_bytes(request) : 0);
}

/* Grows samples at once, then groups at once, while both limits hold. */
static void grow(const struct engine_request *request, struct run_plan *plan, size_t most_chunk,
                 size_t n_groups, size_t budget)
{
    const struct engine_ops *engine = engine_of(request->model);
    size_t most_rows = request->backend->memory_bytes ? DEVICE_ROWS_PER_PASS : CPU_ROWS_PER_PASS;
    for (;;) {
        struct batch_shape wider = plan->shape;
        if (wider.chunk < most_chunk) {
            wider.chunk = engine->chunk(request, &wider, 2 * wider.chunk);
            wider.chunk = wider.chunk < most_chunk ? wider.chunk : most_chunk;
        } else if (wider.n_groups < n_groups) {
            wider.n_groups = 2 * wider.n_groups < n_groups ? 2 * wider.n_groups : n_groups;
        } else {
            return;
        }
        if (run_bytes(request, plan, &wider) > budget || engine->rows(request, &wider) > most_rows)
            return;
        plan->shape = wider;
    }
}

/* Indices of the passes are 32 bits wide. */
static enum toto_status check_sizes(const struct engine_request *request, const struct batch_shape *shape,
                                    struct toto_error *err)
{
    size_t patch = engine_of(request->model)->patch(request->model), rows, points;
    size_t patches = shape->max_patches + engine_patches(request->options->horizon, patch) + 2;
    if (!size_mul(shape->n_variates + shape->n_known, patches, &rows) || !size_mul(rows, patch, &points) ||
        points > (size_t)INT32_MAX / 8)
        return toto_fail(err, TOTO_STATUS_RESOURCE,
                         "%zu variates together with contexts of %zu patches and a horizon of %zu are "
                         "more than one pass can index; lower --context or use --group none",
                         shape->n_variates, shape->max_patches, request->options->horizon);
    return TOTO_STATUS_OK;
}

static void measure_groups(const struct engine_request *request, const struct toto_series *series,
                           struct batch_shape *shape)
{
    size_t patch = engine_of(request->model)->patch(request->model);
    for (size_t g = 0; g < series->n_groups; g++) {
        size_t patches = engine_patches(series->groups[g].n_steps, patch);
        if (patches > shape->max_patches)
            shape->max_patches = patches;
        if (series->groups[g].n_variates > shape->n_variates)
            shape->n_variates = series->groups[g].n_variates;
        if (series->groups[g].n_known > shape->n_known)
            shape->n_known = series->groups[g].n_known;
    }
}

static enum toto_status make_plan(const struct engine_request *request, const struct toto_series *series,
                                  struct run_plan *plan, struct toto_error *err)
{
    const struct toto_forecast_options *options = request->options;
    const struct engine_ops *engine = engine_of(request->model);
    size_t n_samples = engine->has_samples ? options->n_samples : 0;
    *plan = (struct run_plan){
        .shape = {.n_groups = 1, .n_variates = 1, .max_patches = 1, .chunk = 1},
        .n_quantiles = n_samples || !engine->has_samples ? options->n_quantiles + 1 : 0,
        .n_samples = options->keep_samples ? n_samples : 0,
        .limit_bytes = memory_limit(request),
    };
    struct batch_shape *shape = &plan->shape;
    measure_groups(request, series, shape);
    enum toto_status status = engine->check(request, err);
    if (status != TOTO_STATUS_OK || (status = check_sizes(request, shape, err)))
        return status;
    plan->trajectory_bytes = engine_rows(shape) * options->horizon * n_samples * sizeof(float);
    size_t most = options->samples_per_batch ? options->samples_per_batch : n_samples;
    size_t most_chunk = engine->chunk(request, shape, most), used = toto_memory_used();
    shape->chunk = engine->chunk(request, shape, 1);
    plan->least_bytes = used + run_bytes(request, plan, shape) - plan->trajectory_bytes;
    if (plan->least_bytes > plan->limit_bytes)
        return toto_fail(err, TOTO_STATUS_RESOURCE,
                         "the run needs at least %zu MiB, %s %zu MiB; raise --memory, or lower "
                         "--context, --horizon or the variates of a group",
                         (plan->least_bytes >> 20) + 1,
                         plan->limit_bytes == options->memory         ? "--memory is"
                         : request->backend->memory_bytes ? "nine tenths of the device's memory are"
                                                          : "half of this machine's memory is",
                         plan->limit_bytes >> 20);
    grow(request, plan, most_chunk, series->n_groups,
         plan->limit_bytes - used + plan->trajectory_bytes);
    plan->memory_bytes = used + run_bytes(request, plan, shape);
    return TOTO_STATUS_OK;
}

enum toto_status toto_forecast_plan(const struct toto_model *model, const struct toto_device *device,
                                    const struct toto_series *series,
                                    const struct toto_forecast_options *options,
                                    struct toto_plan *plan, struct toto_error *err)
{
    struct run_plan own;
    const struct engine_request request = {model, device->backend, options};
    enum toto_status status = make_plan(&request, series, &own, err);
    *plan = (struct toto_plan){
        .n_series = series->n_variates,
        .n_groups = series->n_groups,
        .groups_per_batch = own.shape.n_groups,
        .samples_per_batch = engine_of(model)->has_samples && options->n_samples ? own.shape.chunk : 0,
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
    size_t n_quantiles; /* the options' and, last, the median; or 0 */
    size_t n_samples;   /* that go to the sink */
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
            bool median = delivery->n_quantiles && options->point == TOTO_POINT_MEDIAN;
            forecast.point = median ? values + delivery->n_quantiles * horizon : values;
            forecast.quantiles = values + horizon;
            if (delivery->n_samples)
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
                                      const struct engine_result *result, struct toto_error *err)
{
    size_t horizon = delivery->options->horizon, points = (group->n_variates + group->n_known) * horizon;
    size_t n_samples = delivery->n_samples;
    size_t bytes = (1 + delivery->n_quantiles + n_samples) * horizon * sizeof(float);
    for (size_t v = 0; v < group->n_variates - group->n_past; v++) {
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
    struct engine_request request;
    const struct toto_series *series;
    struct run_plan plan;
    struct engine *engine;
    struct batch_shape prepared; /* that the engine was prepared for; n_groups 0: for none */
    struct engine_result *results; /* of a batch */
    uint32_t (*keys)[2];
    int32_t *failed;
    struct delivery delivery;
    size_t next; /* the first group that was not forecast */
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

static size_t group_patches(const struct run *run, const struct group *group)
{
    const struct toto_model *model = run->request.model;
    return engine_patches(group->n_steps, engine_of(model)->patch(model));
}

/* Whether the group may run in a batch of this shape. */
static bool fits(const struct run *run, const struct batch_shape *shape, const struct group *group)
{
    size_t patches = group_patches(run, group);
    return shape->n_groups && group->n_variates == shape->n_variates &&
           group->n_known == shape->n_known && patches <= shape->max_patches &&
           engine_of(run->request.model)->same_batch(&run->request, shape, patches, shape->max_patches);
}

/* The shape of a batch that starts at the next group: of its variates, and for the longest context among the
 * neighbours that may share a batch with it. */
static struct batch_shape next_shape(const struct run *run)
{
    struct batch_shape shape = run->plan.shape;
    const struct group *groups = run->series->groups;
    size_t own = group_patches(run, &groups[run->next]);
    shape.n_variates = groups[run->next].n_variates;
    shape.n_known = groups[run->next].n_known;
    shape.max_patches = own;
    for (size_t g = run->next; g < run->series->n_groups; g++) {
        size_t patches = group_patches(run, &groups[g]);
        if (groups[g].n_variates != shape.n_variates || groups[g].n_known != shape.n_known ||
            !engine_of(run->request.model)->same_batch(&run->request, &shape, own, patches))
            break;
        shape.max_patches = patches > shape.max_patches ? patches : shape.max_patches;
    }
    return shape;
}

/* The engine for the next group's batch; as it is if it will do. */
static enum toto_status ready_engine(struct run *run, struct toto_error *err)
{
    if (fits(run, &run->prepared, &run->series->groups[run->next]))
        return TOTO_STATUS_OK;
    struct batch_shape shape = next_shape(run);
    run->prepared.n_groups = 0;
    enum toto_status status = engine_of(run->request.model)->prepare(run->engine, &shape, err);
    if (status == TOTO_STATUS_OK)
        run->prepared = shape;
    return status;
}

/* Where the results of `count` groups go, in one block. */
static void place_results(struct run *run, size_t count, float *values)
{
    size_t points = engine_rows(&run->prepared) * run->request.options->horizon;
    for (size_t i = 0; i < count; i++) {
        const struct group *group = &run->series->groups[run->next + i];
        stream_key(run->request.options->seed, run->series->variates[group->variates[0]].id, run->keys[i]);
        run->results[i] = (struct engine_result){.mean = values};
        values += points;
        if (run->plan.n_quantiles)
            run->results[i].quantiles = values;
        values += points * run->plan.n_quantiles;
        if (run->plan.n_samples)
            run->results[i].samples = values;
        values += points * run->plan.n_samples;
        run->failed[i] = 0;
    }
}

static enum toto_status run_batch(struct run *run, size_t count, struct toto_error *err)
{
    const struct group *groups = &run->series->groups[run->next];
    size_t points = engine_rows(&run->prepared) * run->request.options->horizon;
    size_t bytes = count * points * (1 + run->plan.n_quantiles + run->plan.n_samples) * sizeof(float);
    float *values = mem_alloc(bytes);
    if (!values)
        return toto_fail_memory(err, "the forecasts of a batch", bytes);
    place_results(run, count, values);
    double start = clock_seconds();
    enum toto_status status = engine_of(run->request.model)
                                  ->run(run->engine, groups, count, (const uint32_t (*)[2])run->keys,
                                        run->results, run->failed, err);
    log_debug("batch of %zu groups from group %zu on: %.2f ms", count, run->next,
              1e3 * (clock_seconds() - start));
    for (size_t i = 0; i < count && status == TOTO_STATUS_OK; i++) {
        if (run->failed[i])
            status = toto_fail(err, TOTO_STATUS_DATA,
                               "series \"%s\": the model's numbers are not finite; its values may be too "
                               "large for float32", run->series->variates[groups[i].variates[0]].id);
        else
            status = deliver_group(&run->delivery, &groups[i], &run->results[i], err);
        run->next += status == TOTO_STATUS_OK;
    }
    mem_free(values);
    return status;
}

/* Forecasts what is left, batch by batch. */
static enum toto_status run_batches(struct run *run, struct toto_error *err)
{
    const struct toto_series *series = run->series;
    enum toto_status status = TOTO_STATUS_OK;
    while (run->next < series->n_groups && status == TOTO_STATUS_OK) {
        status = ready_engine(run, err);
        if (status != TOTO_STATUS_OK)
            break;
        size_t count = 1;
        while (count < run->prepared.n_groups && run->next + count < series->n_groups &&
               fits(run, &run->prepared, &series->groups[run->next + count]))
            count++;
        status = run_batch(run, count, err);
    }
    return status;
}

static void close_engine(struct run *run)
{
    engine_of(run->request.model)->close(run->engine);
    run->engine = NULL;
    run->prepared.n_groups = 0;
    mem_free(run->results);
    mem_free(run->keys);
    mem_free(run->failed);
    run->results = NULL;
    run->keys = NULL;
    run->failed = NULL;
}

/* Runs on the request's backend as planned, from the next group on. */
static enum toto_status run_as_planned(struct run *run, struct toto_error *err)
{
    size_t n = run->plan.shape.n_groups;
    enum toto_status status = TOTO_STATUS_OK;
    run->results = mem_calloc(n, sizeof *run->results);
    run->keys = mem_calloc(n, sizeof *run->keys);
    run->failed = mem_calloc(n, sizeof *run->failed);
    if (!run->results || !run->keys || !run->failed)
        status = toto_fail_memory(err, "the run", n * sizeof *run->results);
    if (status == TOTO_STATUS_OK)
        status = engine_of(run->request.model)->open(&run->request, &run->plan.shape, &run->engine, err);
    if (status == TOTO_STATUS_OK)
        status = run_batches(run, err);
    close_engine(run);
    return status;
}

/* Less at once: half of the groups, then half of the samples. False at one row of blocks. */
static bool shrink(struct run *run)
{
    struct batch_shape *shape = &run->plan.shape, smaller = *shape;
    if (shape->n_groups > 1)
        smaller.n_groups = shape->n_groups / 2;
    else
        smaller.chunk = engine_of(run->request.model)->chunk(&run->request, shape, shape->chunk / 2);
    if (smaller.n_groups == shape->n_groups && smaller.chunk >= shape->chunk)
        return false;
    *shape = smaller;
    return true;
}

/* What a device that fails leads to: less at once, with the same bytes; then, if it was chosen by itself, the CPU for
 * the series that are not yet written. */
static enum toto_status run_on(struct run *run, struct toto_device *device, struct toto_error *err)
{
    enum toto_status status;
    while ((status = run_as_planned(run, err)) == TOTO_STATUS_RESOURCE && device_is_accelerator(device)) {
        if (backend_reset(device->backend) && shrink(run)) {
            log_info("%s; going on with %zu groups and %zu samples at once", err->message,
                     run->plan.shape.n_groups, run->plan.shape.chunk);
            continue;
        }
        if (!device_fall_back(device, err))
            break;
        run->request.backend = device->backend;
        if ((status = make_plan(&run->request, run->series, &run->plan, err)))
            break;
    }
    return status;
}

enum toto_status toto_forecast_run(const struct toto_model *model, struct toto_device *device,
                                   const struct toto_series *series,
                                   const struct toto_forecast_options *options, toto_forecast_sink *sink,
                                   void *user, struct toto_error *err)
{
    struct run run = {
        .request = {model, device->backend, options}, .series = series,
        .delivery = {.series = series, .options = options, .sink = sink, .user = user},
    };
    enum toto_status status = make_plan(&run.request, series, &run.plan, err);
    if (status != TOTO_STATUS_OK)
        return status;
    run.delivery.n_quantiles = run.plan.n_quantiles;
    run.delivery.n_samples = run.plan.n_samples;
    toto_memory_set_limit(options->memory ? run.plan.limit_bytes + run.plan.trajectory_bytes : 0);
    size_t bytes = series->n_variates * sizeof *run.delivery.waiting;
    run.delivery.waiting = mem_calloc(series->n_variates, sizeof *run.delivery.waiting);
    if (!run.delivery.waiting)
        return toto_fail_memory(err, "the run", bytes);
    status = deliver_ready(&run.delivery, err);
    if (status == TOTO_STATUS_OK)
        status = run_on(&run, device, err);
    for (size_t i = 0; i < series->n_variates; i++)
        mem_free(run.delivery.waiting[i]);
    mem_free(run.delivery.waiting);
    return status;
}
