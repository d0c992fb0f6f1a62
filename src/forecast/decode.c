/* Decoder: the loop over patches. */
#include "decode.h"

#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "decode_internal.h"

/* ---- Open and close ---------------------------------------------------------------------------------- */

/* Rows that only pad a block are never written, yet they run: they start as zeros. */
static void clear(struct decoder *decoder, enum decode_buffer buffer)
{
    struct tensor whole = decoder->buffers[buffer];
    size_t piece = decoder->sizes.context_patches * decoder->net->config->patch;
    for (size_t at = 0; at < whole.n; at += piece) {
        size_t n = whole.n - at < piece ? whole.n - at : piece;
        decoder->backend->ops->upload(decoder->backend, tensor_at(whole, at, n), decoder->host.staging);
    }
}

/* pos = q (S - 1), between two neighbours; reference spec 7.5. */
static enum toto_status upload_positions(struct decoder *decoder, const double *quantiles,
                                         struct toto_error *err)
{
    size_t n = decoder->n_quantiles;
    if (n == 0 || decoder->shape.n_samples == 0)
        return TOTO_STATUS_OK;
    struct quantile_position *positions = mem_alloc(n * sizeof *positions);
    if (!positions)
        return toto_fail_memory(err, "the quantiles", n * sizeof *positions);
    for (size_t i = 0; i < n; i++) {
        double position = quantiles[i] * (double)(decoder->shape.n_samples - 1);
        double index = floor(position);
        if (index > 0.0 && index >= (double)(decoder->shape.n_samples - 1))
            index = (double)(decoder->shape.n_samples - 1) - 1.0;
        positions[i] = (struct quantile_position){(int32_t)index, (float)(position - index)};
    }
    decoder->backend->ops->upload(decoder->backend, decoder->buffers[BUF_POSITIONS], positions);
    mem_free(positions);
    return TOTO_STATUS_OK;
}

enum toto_status decoder_open(const struct toto1_net *net, const struct decode_shape *shape,
                              const double *quantiles, size_t n_quantiles, struct decoder **out,
                              struct toto_error *err)
{
    enum toto_status status = TOTO_STATUS_OK;
    struct decode_extent extents[BUF_COUNT];
    struct decoder *decoder = mem_calloc(1, sizeof *decoder);
    *out = NULL;
    if (!decoder)
        return toto_fail_memory(err, "the decoder", sizeof *decoder);
    decoder->net = net;
    decoder->backend = net->transformer.backend;
    decoder->shape = *shape;
    decoder->n_quantiles = n_quantiles;
    decoder->sizes = decode_sizes_of(decoder->backend, net->config, shape);
    decode_extents(net->config, shape, &decoder->sizes, n_quantiles, extents);
    for (size_t i = 0; i < BUF_COUNT; i++) {
        status = decoder->backend->ops->alloc(decoder->backend, extents[i].kind, extents[i].n,
                                          &decoder->buffers[i], err);
        if (status != TOTO_STATUS_OK)
            goto done;
    }
    size_t download = (n_quantiles + 1) * decoder->sizes.variates * shape->horizon * sizeof(float);
    decoder->places = mem_calloc(shape->n_groups, sizeof *decoder->places);
    decoder->download = mem_alloc(download);
    if (!decoder->places || !decoder->download) {
        status = toto_fail_memory(err, "the forecast", download);
        goto done;
    }
    if ((status = row_tables_open(decoder, err)) ||
        (status = upload_positions(decoder, quantiles, err)))
        goto done;
    clear(decoder, BUF_SCALED);
    clear(decoder, BUF_PATCHES);
    clear(decoder, BUF_X_READ);
    status = decoder->backend->ops->sync(decoder->backend, err);

done:
    if (status != TOTO_STATUS_OK) {
        decoder_close(decoder);
        return status;
    }
    *out = decoder;
    return TOTO_STATUS_OK;
}

void decoder_close(struct decoder *decoder)
{
    if (!decoder)
        return;
    for (size_t i = 0; i < BUF_COUNT; i++)
        decoder->backend->ops->free(decoder->backend, &decoder->buffers[i]);
    row_tables_close(&decoder->host);
    mem_free(decoder->places);
    mem_free(decoder->download);
    mem_free(decoder);
}

/* ---- Input ------------------------------------------------------------------------------------------- */

/* Series and masks, padded on the left to whole patches with zeros that are not observed (spec 2). */
static void upload_contexts(struct decoder *decoder)
{
    size_t p = decoder->net->config->patch, at = 0;
    struct row_tables *host = &decoder->host;
    for (size_t g = 0; g < decoder->n_groups; g++) {
        const struct group_place *place = &decoder->places[g];
        const struct decode_group *group = place->group;
        size_t padding = place->n_patches * p - group->n_steps;
        for (size_t v = 0; v < group->n_variates; v++) {
            memset(host->staging + at, 0, padding * sizeof *host->staging);
            memset(host->mask + at, 0, padding);
            at += padding;
            memcpy(host->staging + at, group->values + v * group->n_steps,
                   group->n_steps * sizeof *host->staging);
            memcpy(host->mask + at, group->observed + v * group->n_steps, group->n_steps);
            at += group->n_steps;
        }
    }
    struct backend *backend = decoder->backend;
    backend->ops->upload(backend, tensor_at(decoder->buffers[BUF_VALUES], 0, at), host->staging);
    backend->ops->upload(backend, tensor_at(decoder->buffers[BUF_MASK], 0, at), host->mask);
}

/* Known futures of exogenous variates, padded on the right with zeros to whole patches (spec 8). */
static void upload_overrides(struct decoder *decoder)
{
    size_t width = decoder->sizes.n_patches_out * decoder->net->config->patch;
    size_t horizon = decoder->shape.horizon, n = decoder->shape.n_overrides;
    if (n == 0)
        return;
    float *staging = decoder->host.staging;
    memset(staging, 0, decoder->n_groups * n * width * sizeof *staging);
    for (size_t g = 0; g < decoder->n_groups; g++) {
        const struct decode_group *group = decoder->places[g].group;
        for (size_t e = 0; group->future && e < group->n_exogenous; e++)
            memcpy(staging + (g * n + e) * width, group->future + e * horizon,
                   horizon * sizeof *staging);
    }
    decoder->backend->ops->upload(
        decoder->backend,
        tensor_at(decoder->buffers[BUF_OVERRIDES], 0, decoder->n_groups * n * width), staging);
}

/* Given draws of patch `step` for the rows of the running samples. */
static void upload_injected(struct decoder *decoder, enum decode_buffer buffer, size_t step,
                            size_t first_sample, size_t count)
{
    size_t p = decoder->net->config->patch, stride = decoder->sizes.sample_stride;
    size_t width = decoder->sizes.n_patches_out * p, n_variates = decoder->shape.n_variates;
    float *staging = decoder->host.staging;
    size_t n = decoder->n_groups * n_variates * stride * p;
    memset(staging, 0, n * sizeof *staging);
    for (size_t g = 0; g < decoder->n_groups; g++) {
        const struct decode_group *group = decoder->places[g].group;
        const float *given = buffer == BUF_INJECT_U ? group->inject_u : group->inject_t;
        for (size_t v = 0; v < n_variates; v++)
            for (size_t s = 0; s < count; s++)
                memcpy(staging + ((g * n_variates + v) * stride + s) * p,
                       given + ((first_sample + s) * n_variates + v) * width + step * p,
                       p * sizeof *staging);
    }
    decoder->backend->ops->upload(decoder->backend, tensor_at(decoder->buffers[buffer], 0, n), staging);
}

/* ---- Steps ------------------------------------------------------------------------------------------- */

static void scale_patches(struct decoder *decoder, size_t n_sequences, bool context)
{
    const struct toto1_config *config = decoder->net->config;
    struct tensor *buffers = decoder->buffers;
    decoder->backend->ops->causal_scale(decoder->backend, &(struct causal_scale_args){
        .scaler = config->scaler,
        .stabilize = config->stabilize,
        .exponent = config->exponent,
        .values = context ? buffers[BUF_VALUES] : buffers[BUF_NEXT],
        .mask = context ? buffers[BUF_MASK] : (struct tensor){0},
        .sequences = buffers[BUF_SEQUENCES],
        .n_sequences = n_sequences,
        .states = buffers[BUF_STATES],
        .loc = buffers[BUF_LOC],
        .scale = buffers[BUF_SCALE],
        .scaled = buffers[BUF_SCALED],
        .patch = config->patch,
    });
}

/* loc and scale of the patches whose outputs are read stand beside those outputs. */
static void gather_scales(struct decoder *decoder, size_t n_read, struct tensor loc,
                          struct tensor scale)
{
    const struct tensor to[2] = {loc, scale};
    const struct tensor from[2] = {decoder->buffers[BUF_LOC], decoder->buffers[BUF_SCALE]};
    for (size_t i = 0; i < 2; i++)
        decoder->backend->ops->copy_rows(decoder->backend, &(struct copy_rows_args){
            .dst = to[i],
            .src = from[i],
            .src_row = tensor_at(decoder->buffers[BUF_READ_SCALED], 0, n_read),
            .n_rows = n_read,
            .width = decoder->net->config->patch,
        });
}

/* What a pass leaves for drawing: raw parameters, and loc and scale of the rows that are read. */
struct pass_outputs {
    struct tensor raw, loc, scale;
    size_t n_steps;
};

static struct toto1_buffers pass_buffers(const struct decoder *decoder, struct tensor raw)
{
    const struct tensor *buffers = decoder->buffers;
    return (struct toto1_buffers){
        .hidden = {
            .x = buffers[BUF_X], .x_read = buffers[BUF_X_READ], .y = buffers[BUF_Y],
            .z = buffers[BUF_Z], .q = buffers[BUF_Q], .h = buffers[BUF_H],
            .space_keys = buffers[BUF_SPACE_KEYS], .space_values = buffers[BUF_SPACE_VALUES],
            .keys = buffers[BUF_KEYS], .values = buffers[BUF_CACHED_VALUES],
        },
        .patches = buffers[BUF_PATCHES], .steps = buffers[BUF_STEPS], .raw = raw,
    };
}

static struct pass_outputs run_pass(struct decoder *decoder, const struct toto1_pass *pass,
                                    struct pass_outputs outputs)
{
    struct toto1_buffers buffers = pass_buffers(decoder, outputs.raw);
    toto1_forward(decoder->net, pass, &buffers, NULL);
    gather_scales(decoder, pass->rows.read.n, outputs.loc, outputs.scale);
    outputs.n_steps = pass->n_steps;
    return outputs;
}

/* The contexts, once for all samples: the first patch of each comes from this one distribution. */
static struct pass_outputs run_contexts(struct decoder *decoder)
{
    const struct tensor *buffers = decoder->buffers;
    struct toto1_pass pass = context_pass(decoder);
    return run_pass(decoder, &pass, (struct pass_outputs){
        .raw = buffers[BUF_FIRST_RAW], .loc = buffers[BUF_FIRST_LOC],
        .scale = buffers[BUF_FIRST_SCALE],
    });
}

/* The next patch of each row, drawn or as the mean, into BUF_NEXT and the trajectories. */
static void next_patch(struct decoder *decoder, size_t step, size_t first_sample, size_t count,
                       struct pass_outputs outputs)
{
    struct backend *backend = decoder->backend;
    const struct tensor *buffers = decoder->buffers;
    size_t p = decoder->net->config->patch, left = decoder->shape.horizon - step * p;
    draw_table(decoder, step, first_sample, count);
    if (decoder->shape.inject) {
        upload_injected(decoder, BUF_INJECT_U, step, first_sample, count);
        upload_injected(decoder, BUF_INJECT_T, step, first_sample, count);
    }
    const struct mixture_next_args args = {
        .shape = toto1_mixture_shape(decoder->net->config, outputs.n_steps),
        .raw = outputs.raw,
        .loc = outputs.loc,
        .scale = outputs.scale,
        .rows = buffers[BUF_DRAWS],
        .overrides = buffers[BUF_OVERRIDES],
        .inject_u = decoder->shape.inject ? buffers[BUF_INJECT_U] : (struct tensor){0},
        .inject_t = decoder->shape.inject ? buffers[BUF_INJECT_T] : (struct tensor){0},
        .first_step = (uint32_t)(step * p),
        .next = buffers[BUF_NEXT],
        .out = buffers[BUF_TRAJECTORIES],
        .n_out = left < p ? left : p,
        .out_stride = decoder->sizes.samples,
        .flags = buffers[BUF_FLAGS],
        .n_rows = decoder->n_groups * decoder->shape.n_variates * decoder->sizes.sample_stride,
    };
    if (decoder->shape.n_samples)
        backend->ops->mixture_sample(backend, &args);
    else
        backend->ops->mixture_mean(backend, &args);
}

/* Patch after patch of samples first .. first + count. */
static void run_samples(struct decoder *decoder, size_t first, size_t count,
                        struct pass_outputs outputs)
{
    const struct tensor *buffers = decoder->buffers;
    next_patch(decoder, 0, first, count, outputs);
    for (size_t step = 1; step < decoder->sizes.n_patches_out; step++) {
        scale_patches(decoder, step_sequences(decoder, step, count), false);
        struct toto1_pass pass = step_pass(decoder, step, count);
        outputs = run_pass(decoder, &pass, (struct pass_outputs){
            .raw = buffers[BUF_RAW], .loc = buffers[BUF_LOC_READ], .scale = buffers[BUF_SCALE_READ],
        });
        next_patch(decoder, step, first, count, outputs);
    }
}

/* ---- Results ----------------------------------------------------------------------------------------- */

static enum toto_status download_results(struct decoder *decoder, const struct decode_result *results,
                                         struct toto_error *err)
{
    enum toto_status status;
    struct backend *backend = decoder->backend;
    size_t points = decoder->shape.n_variates * decoder->shape.horizon;
    size_t all = decoder->n_groups * points, s = decoder->sizes.samples;
    bool samples = decoder->shape.n_samples > 0;
    float *quantiles = decoder->download, *mean = quantiles + decoder->n_quantiles * all;
    for (size_t g = 0; samples && g < decoder->n_groups; g++) {
        struct tensor own = tensor_at(decoder->buffers[BUF_TRAJECTORIES], g * points * s, points * s);
        if (results[g].samples &&
            (status = backend->ops->download(backend, own, results[g].samples, err)))
            return status;
    }
    if (samples)
        backend->ops->quantiles(backend, &(struct quantiles_args){
            .samples = decoder->buffers[BUF_TRAJECTORIES],
            .n_rows = all,
            .n_samples = decoder->shape.n_samples,
            .positions = decoder->buffers[BUF_POSITIONS],
            .n_quantiles = decoder->n_quantiles,
            .quantiles = decoder->buffers[BUF_QUANTILES],
            .mean = decoder->buffers[BUF_MEAN],
        });
    struct tensor mean_source = decoder->buffers[samples ? BUF_MEAN : BUF_TRAJECTORIES];
    if ((status = backend->ops->download(backend, tensor_at(mean_source, 0, all), mean, err)))
        return status;
    if (samples && decoder->n_quantiles &&
        (status = backend->ops->download(
             backend, tensor_at(decoder->buffers[BUF_QUANTILES], 0, decoder->n_quantiles * all),
             quantiles, err)))
        return status;
    for (size_t g = 0; g < decoder->n_groups; g++) {
        if (results[g].mean)
            memcpy(results[g].mean, mean + g * points, points * sizeof *mean);
        for (size_t q = 0; results[g].quantiles && q < decoder->n_quantiles; q++)
            memcpy(results[g].quantiles + q * points, quantiles + q * all + g * points,
                   points * sizeof *quantiles);
    }
    return TOTO_STATUS_OK;
}

enum toto_status decoder_run(struct decoder *decoder, const struct decode_group *groups, size_t n_groups,
                             const struct decode_result *results, int32_t *failed,
                             struct toto_error *err)
{
    enum toto_status status;
    struct tensor flags = tensor_at(decoder->buffers[BUF_FLAGS], 0, n_groups);
    memset(failed, 0, n_groups * sizeof *failed);
    decoder->backend->ops->upload(decoder->backend, flags, failed);
    place_groups(decoder, groups, n_groups);
    upload_contexts(decoder);
    upload_overrides(decoder);
    scale_patches(decoder, context_sequences(decoder), true);
    struct pass_outputs outputs = run_contexts(decoder);
    for (size_t first = 0; first < decoder->sizes.samples; first += decoder->shape.chunk) {
        size_t left = decoder->sizes.samples - first;
        run_samples(decoder, first, left < decoder->shape.chunk ? left : decoder->shape.chunk, outputs);
    }
    if ((status = download_results(decoder, results, err)))
        return status;
    return decoder->backend->ops->download(decoder->backend, flags, failed, err);
}

/* ---- Stages ------------------------------------------------------------------------------------------ */

struct stage_reader {
    struct decoder *decoder;
    decode_see *see;
    void *user;
    enum toto_status status;
    struct toto_error *err;
};

static void read_stage(struct stage_reader *reader, const char *stage, size_t layer,
                       struct tensor values, size_t n_rows, size_t width)
{
    if (reader->status != TOTO_STATUS_OK)
        return;
    float *copy = mem_alloc(n_rows * width * sizeof *copy);
    if (!copy) {
        reader->status = toto_fail_memory(reader->err, stage, n_rows * width * sizeof *copy);
        return;
    }
    struct backend *backend = reader->decoder->backend;
    reader->status = backend->ops->download(backend, tensor_at(values, 0, n_rows * width), copy,
                                            reader->err);
    if (reader->status == TOTO_STATUS_OK)
        reader->see(reader->user, stage, layer, copy, n_rows, width);
    mem_free(copy);
}

static void read_watched(void *user, const char *stage, size_t layer, struct tensor values,
                         size_t n_rows, size_t width)
{
    struct stage_reader *reader = user;
    (void)n_rows; /* padding rows of the block among them */
    read_stage(reader, stage, layer, values,
               reader->decoder->shape.n_variates * reader->decoder->places[0].n_tokens, width);
}

/* Parameters of the distribution that each of n_rows rows predicts. */
static void read_distribution(struct stage_reader *reader, size_t n_rows, struct tensor raw)
{
    struct decoder *decoder = reader->decoder;
    struct backend *backend = decoder->backend;
    const struct toto1_config *config = decoder->net->config;
    size_t width = config->patch * config->n_components;
    struct tensor all = {0}, outs[5];
    if (reader->status == TOTO_STATUS_OK)
        reader->status =
            backend->ops->alloc(backend, TENSOR_F32, 5 * n_rows * width, &all, reader->err);
    if (reader->status != TOTO_STATUS_OK)
        return;
    static const char *const names[5] = {"dist_df", "dist_loc", "dist_scale", "dist_logits",
                                         "dist_probs"};
    for (size_t i = 0; i < 5; i++)
        outs[i] = tensor_at(all, i * n_rows * width, n_rows * width);
    backend->ops->mixture_params(backend, &(struct mixture_params_args){
        .shape = toto1_mixture_shape(config, config->patch),
        .raw = raw,
        .df = outs[0], .loc = outs[1], .scale = outs[2], .logits = outs[3], .probs = outs[4],
        .n_rows = n_rows,
    });
    for (size_t i = 0; i < (config->is_mixture ? 5 : 3); i++)
        read_stage(reader, names[i], 0, outs[i], n_rows, width);
    backend->ops->free(backend, &all);
}

enum toto_status decoder_stages(struct decoder *decoder, const struct decode_group *group,
                                decode_see *see, void *user, struct toto_error *err)
{
    struct stage_reader reader = {decoder, see, user, TOTO_STATUS_OK, err};
    struct backend *backend = decoder->backend;
    const struct toto1_config *config = decoder->net->config;
    struct tensor steps = {0}, raw = {0};
    size_t p = config->patch;
    place_groups(decoder, group, 1);
    upload_contexts(decoder);
    scale_patches(decoder, context_sequences(decoder), true);
    size_t n_patches = decoder->shape.n_variates * decoder->places[0].n_patches;
    read_stage(&reader, "scaled", 0, decoder->buffers[BUF_SCALED], n_patches, p);
    read_stage(&reader, "loc", 0, decoder->buffers[BUF_LOC], n_patches, p);
    read_stage(&reader, "scale", 0, decoder->buffers[BUF_SCALE], n_patches, p);

    size_t n_rows = decoder->context_rows;
    if (reader.status == TOTO_STATUS_OK)
        reader.status = backend->ops->alloc(backend, TENSOR_ACTIVATION, n_rows * p * config->d_model,
                                            &steps, err);
    if (reader.status == TOTO_STATUS_OK)
        reader.status =
            backend->ops->alloc(backend, TENSOR_F32, n_rows * p * config->n_params, &raw, err);
    if (reader.status == TOTO_STATUS_OK) {
        const struct pass_watch watch = {read_watched, &reader};
        struct toto1_pass pass = context_pass(decoder);
        struct toto1_buffers buffers = pass_buffers(decoder, raw);
        pass.rows.read = pass.rows.all;
        pass.rows.read_index = (struct tensor){0};
        pass.n_steps = p;
        pass.use_fold = false;
        buffers.steps = steps;
        toto1_forward(decoder->net, &pass, &buffers, &watch);
        read_distribution(&reader, decoder->shape.n_variates * decoder->places[0].n_tokens, raw);
    }
    backend->ops->free(backend, &steps);
    backend->ops->free(backend, &raw);
    return reader.status;
}
