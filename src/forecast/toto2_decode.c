/* Toto 2.0's decoder: one pass, or a loop over blocks of patches. */
#include "toto2_decode.h"

#include <string.h>

#include "../base/memory.h"
#include "toto2_internal.h"

/* ---- Sizes --------------------------------------------------------------------------------------------- */

static size_t row_block_of(const struct backend *backend, const struct toto2_config *config, size_t variates,
                           size_t tokens)
{
    return backend->ops->row_block(backend, variates * tokens, config->d_model);
}

static size_t block_of(const struct toto2_shape *shape, size_t horizon_patches)
{
    return shape->block && shape->block < horizon_patches ? shape->block : horizon_patches;
}

bool toto2_same_blocks(const struct backend *backend, const struct toto2_config *config,
                       const struct toto2_shape *shape, size_t patches_a, size_t patches_b)
{
    size_t patches = (shape->horizon + config->patch - 1) / config->patch, block = block_of(shape, patches);
    size_t variates = shape->n_targets + shape->n_known;
    return row_block_of(backend, config, variates, patches_a + block) ==
           row_block_of(backend, config, variates, patches_b + block);
}

struct toto2_sizes toto2_sizes_of(const struct backend *backend, const struct toto2_config *config,
                                  const struct toto2_shape *shape)
{
    struct toto2_sizes sizes = {.variates = shape->n_targets + shape->n_known};
    sizes.horizon_patches = (shape->horizon + config->patch - 1) / config->patch;
    sizes.block = block_of(shape, sizes.horizon_patches);
    sizes.patches = shape->max_patches + sizes.horizon_patches;
    sizes.most_tokens = size_max(shape->max_patches, sizes.block < sizes.horizon_patches ? sizes.block : 0) +
                        sizes.block;
    /* One block size for all passes of a series, from its first pass and its own rows. */
    sizes.row_block = row_block_of(backend, config, sizes.variates, shape->max_patches + sizes.block);
    sizes.read_block = row_block_of(backend, config, sizes.variates, sizes.block);
    size_t rows = sizes.variates * sizes.most_tokens, read = sizes.variates * sizes.block;
    sizes.rows = shape->n_groups * size_round_up(rows, sizes.row_block);
    sizes.read_rows = shape->n_groups * size_round_up(read, sizes.read_block);
    sizes.sequences = shape->n_groups * sizes.variates;
    sizes.slots = sizes.sequences * sizes.patches;
    return sizes;
}

struct extent {
    enum tensor_kind kind;
    size_t n;
};

static void extents_of(const struct toto2_config *config, const struct toto2_sizes *sizes,
                       struct extent extents[T2_COUNT])
{
    enum { TOKEN = sizeof(struct token_row) / 4, ATTENTION = sizeof(struct attention_row) / 4,
           SEQUENCE = sizeof(struct token_sequence) / 4, QUANTILE = sizeof(struct quantile_row) / 4 };
    size_t d = config->d_model, p = config->patch, rows = sizes->rows, read = sizes->read_rows;
    size_t k_width = config->n_groups * config->qk_dim, v_width = config->n_groups * config->v_dim;
    size_t q_width = config->n_heads * config->qk_dim, out_width = config->n_heads * config->v_dim;
    size_t n_time_layers = 0, points = sizes->sequences * sizes->patches * p;
    for (size_t i = 0; i < config->n_layers; i++)
        n_time_layers += !toto2_layer_is_variate(config, i);
    const struct extent made[T2_COUNT] = {
        [T2_VALUES] = {TENSOR_F32, points},
        [T2_MASK] = {TENSOR_U8, points},
        [T2_SEQUENCES] = {TENSOR_I32, sizes->sequences * SEQUENCE},
        [T2_TOKENS] = {TENSOR_ACTIVATION, rows * 2 * p},
        [T2_LOC] = {TENSOR_F32, rows},
        [T2_SCALE] = {TENSOR_F32, rows},
        [T2_CAPS] = {TENSOR_F32, sizes->sequences * 2},
        [T2_X] = {TENSOR_ACTIVATION, rows * d},
        [T2_X_READ] = {TENSOR_ACTIVATION, read * d},
        [T2_Y] = {TENSOR_ACTIVATION, rows * size_max(d, out_width)},
        [T2_Z] = {TENSOR_ACTIVATION, rows * (q_width + k_width + v_width)},
        [T2_Q] = {TENSOR_ACTIVATION, rows * q_width},
        [T2_H] = {TENSOR_ACTIVATION, rows * config->d_ff},
        [T2_WIDE] = {TENSOR_ACTIVATION, rows * 4 * d},
        [T2_SPACE_KEYS] = {TENSOR_ACTIVATION, rows * k_width},
        [T2_SPACE_VALUES] = {TENSOR_ACTIVATION, rows * v_width},
        [T2_KEYS] = {TENSOR_ACTIVATION, n_time_layers * sizes->slots * k_width},
        [T2_CACHED_VALUES] = {TENSOR_ACTIVATION, n_time_layers * sizes->slots * v_width},
        [T2_HEAD] = {TENSOR_F32, read * p * TOTO2_QUANTILES},
        [T2_ROWS] = {TENSOR_I32, rows * TOKEN},
        [T2_TIME] = {TENSOR_I32, rows * ATTENTION},
        [T2_SPACE] = {TENSOR_I32, rows * ATTENTION},
        [T2_SPACE_GROUPS] = {TENSOR_I32, rows},
        [T2_SPACE_TOKENS] = {TENSOR_I32, rows * TOKEN},
        [T2_READ_ROWS] = {TENSOR_I32, read * TOKEN},
        [T2_READ_TIME] = {TENSOR_I32, read * ATTENTION},
        [T2_READ_SPACE] = {TENSOR_I32, read * ATTENTION},
        [T2_READ_GROUPS] = {TENSOR_I32, read},
        [T2_READ_SPACE_TOKENS] = {TENSOR_I32, read * TOKEN},
        [T2_READ_INDEX] = {TENSOR_I32, read},
        [T2_TIME_GROUPS] = {TENSOR_I32, sizes->slots},
        [T2_QUANTILE_ROWS] = {TENSOR_I32, read * QUANTILE},
        [T2_OUT] = {TENSOR_F32, sizes->sequences * TOTO2_QUANTILES * sizes->horizon_patches * p},
    };
    memcpy(extents, made, sizeof made);
}

size_t toto2_decoder_bytes(const struct backend *backend, const struct toto2_config *config,
                           const struct toto2_shape *shape)
{
    struct toto2_sizes sizes = toto2_sizes_of(backend, config, shape);
    struct extent extents[T2_COUNT];
    extents_of(config, &sizes, extents);
    size_t bytes = toto2_tables_bytes(config, shape, &sizes) + sizeof(struct toto2_decoder) +
                   shape->n_groups * sizeof(struct toto2_place) + extents[T2_OUT].n * sizeof(float) +
                   6 * MEMORY_ALIGNMENT;
    for (size_t i = 0; i < T2_COUNT && bytes < SIZE_MAX / 4; i++)
        bytes += backend_tensor_bytes(backend, extents[i].kind, extents[i].n);
    return bytes;
}

/* ---- Open and close -------------------------------------------------------------------------------------- */

/* Rows that only pad a block are never written, yet they run: they start as zeros. */
static void clear(struct toto2_decoder *decoder, enum toto2_buffer buffer)
{
    struct tensor whole = decoder->buffers[buffer];
    size_t piece = decoder->sizes.sequences * decoder->sizes.patches * decoder->net->config->patch;
    for (size_t at = 0; at < whole.n; at += piece) {
        size_t n = whole.n - at < piece ? whole.n - at : piece;
        decoder->backend->ops->upload(decoder->backend, tensor_at(whole, at, n), decoder->host.values);
    }
}

enum toto_status toto2_decoder_open(const struct toto2_net *net, const struct toto2_shape *shape,
                                    struct toto2_decoder **out, struct toto_error *err)
{
    enum toto_status status = TOTO_STATUS_OK;
    struct extent extents[T2_COUNT];
    struct toto2_decoder *decoder = mem_calloc(1, sizeof *decoder);
    *out = NULL;
    if (!decoder)
        return toto_fail_memory(err, "the decoder", sizeof *decoder);
    decoder->net = net;
    decoder->backend = net->transformer.backend;
    decoder->shape = *shape;
    decoder->sizes = toto2_sizes_of(decoder->backend, net->config, shape);
    extents_of(net->config, &decoder->sizes, extents);
    for (size_t i = 0; i < T2_COUNT && status == TOTO_STATUS_OK; i++)
        status = decoder->backend->ops->alloc(decoder->backend, extents[i].kind, extents[i].n,
                                              &decoder->buffers[i], err);
    if (status != TOTO_STATUS_OK)
        goto done;
    decoder->places = mem_calloc(shape->n_groups, sizeof *decoder->places);
    decoder->download = mem_alloc(extents[T2_OUT].n * sizeof *decoder->download);
    if (!decoder->places || !decoder->download) {
        status = toto_fail_memory(err, "the forecast", extents[T2_OUT].n * sizeof *decoder->download);
        goto done;
    }
    if ((status = toto2_tables_open(decoder, err)))
        goto done;
    clear(decoder, T2_TOKENS);
    clear(decoder, T2_X_READ);
    status = decoder->backend->ops->sync(decoder->backend, err);

done:
    if (status != TOTO_STATUS_OK) {
        toto2_decoder_close(decoder);
        return status;
    }
    *out = decoder;
    return TOTO_STATUS_OK;
}

void toto2_decoder_close(struct toto2_decoder *decoder)
{
    if (!decoder)
        return;
    for (size_t i = 0; i < T2_COUNT; i++)
        decoder->backend->ops->free(decoder->backend, &decoder->buffers[i]);
    toto2_tables_close(&decoder->host);
    mem_free(decoder->places);
    mem_free(decoder->download);
    mem_free(decoder);
}

void toto2_pad(const float *values, const uint8_t *observed, size_t n_rows, size_t n_steps, size_t n_padded,
               float *padded, uint8_t *padded_observed)
{
    size_t kept = n_steps < n_padded ? n_steps : n_padded, empty = n_padded - kept;
    for (size_t row = 0; row < n_rows; row++) {
        memset(padded + row * n_padded, 0, empty * sizeof *padded);
        memset(padded_observed + row * n_padded, 0, empty);
        memcpy(padded + row * n_padded + empty, values + (row + 1) * n_steps - kept, kept * sizeof *padded);
        memcpy(padded_observed + row * n_padded + empty, observed + (row + 1) * n_steps - kept, kept);
    }
}

/* ---- Stages ------------------------------------------------------------------------------------------------ */

struct stage_reader {
    struct toto2_decoder *decoder;
    toto2_see *see;
    void *user;
    size_t pass, n_rows; /* of the pass, and of its real rows */
    enum toto_status status;
    struct toto_error *err;
};

static void read_stage(struct stage_reader *reader, const char *stage, size_t layer, struct tensor values,
                       size_t n_rows, size_t width)
{
    if (reader->status != TOTO_STATUS_OK)
        return;
    float *copy = mem_alloc(n_rows * width * sizeof *copy);
    if (!copy) {
        reader->status = toto_fail_memory(reader->err, stage, n_rows * width * sizeof *copy);
        return;
    }
    struct backend *backend = reader->decoder->backend;
    reader->status =
        backend->ops->download(backend, tensor_at(values, 0, n_rows * width), copy, reader->err);
    if (reader->status == TOTO_STATUS_OK)
        reader->see(reader->user, reader->pass, stage, layer, copy, n_rows, width);
    mem_free(copy);
}

static void see_watched(void *user, const char *stage, size_t layer, struct tensor values, size_t n_rows,
                        size_t width)
{
    struct stage_reader *reader = user;
    (void)n_rows; /* padding rows among them */
    read_stage(reader, stage, layer, values, reader->n_rows, width);
}

static void see_ids(struct stage_reader *reader, size_t n_tokens)
{
    const struct toto2_decoder *decoder = reader->decoder;
    float *ids = mem_alloc(reader->n_rows * sizeof *ids);
    if (!ids) {
        reader->status = toto_fail_memory(reader->err, "the group ids", reader->n_rows * sizeof *ids);
        return;
    }
    for (size_t i = 0; i < reader->n_rows; i++)
        ids[i] = (float)decoder->host.groups[i];
    reader->see(reader->user, reader->pass, "group_ids", 0, ids, decoder->sizes.variates, n_tokens);
    mem_free(ids);
}

/* ---- Runs -------------------------------------------------------------------------------------------------- */

static void make_tokens(struct toto2_decoder *decoder, struct toto2_step step)
{
    const struct tensor *buffers = decoder->buffers;
    decoder->backend->ops->patch_tokens(decoder->backend, &(struct patch_tokens_args){
        .values = buffers[T2_VALUES], .mask = buffers[T2_MASK],
        .n_sequences = toto2_step_sequences(decoder, step), .sequences = buffers[T2_SEQUENCES],
        .patch = decoder->net->config->patch, .min_obs = decoder->shape.min_obs,
        .cap_k = decoder->shape.cap_k, .tokens = buffers[T2_TOKENS], .loc = buffers[T2_LOC],
        .scale = buffers[T2_SCALE], .caps = buffers[T2_CAPS],
    });
}

static void make_quantiles(struct toto2_decoder *decoder, struct toto2_step step)
{
    const struct tensor *buffers = decoder->buffers;
    decoder->backend->ops->quantile_patch(decoder->backend, &(struct quantile_patch_args){
        .head = buffers[T2_HEAD], .loc = buffers[T2_LOC], .scale = buffers[T2_SCALE],
        .caps = buffers[T2_CAPS], .n_rows = toto2_step_quantiles(decoder, step),
        .rows = buffers[T2_QUANTILE_ROWS], .patch = decoder->net->config->patch,
        .cap_k = decoder->shape.cap_k, .out = buffers[T2_OUT],
        .out_width = decoder->sizes.horizon_patches * decoder->net->config->patch,
        .values = buffers[T2_VALUES], .mask = buffers[T2_MASK],
    });
}

static void run_step(struct toto2_decoder *decoder, struct toto2_step step, struct stage_reader *reader)
{
    const struct tensor *buffers = decoder->buffers;
    struct transformer_pass pass = toto2_step_rows(decoder, step);
    const struct toto2_config *config = decoder->net->config;
    size_t variates = decoder->sizes.variates;
    make_tokens(decoder, step);
    struct pass_watch watch = {see_watched, reader};
    if (reader) {
        size_t n_tokens = decoder->places[0].n_patches + step.count;
        if (step.done)
            n_tokens = decoder->sizes.block + step.count;
        reader->n_rows = variates * n_tokens;
        read_stage(reader, "loc", 0, buffers[T2_LOC], variates, n_tokens);
        read_stage(reader, "scale", 0, buffers[T2_SCALE], variates, n_tokens);
        read_stage(reader, "embed_in", 0, buffers[T2_TOKENS], reader->n_rows, 2 * config->patch);
        see_ids(reader, n_tokens);
    }
    toto2_forward(decoder->net, &pass, &(struct toto2_buffers){
        .hidden = {
            .x = buffers[T2_X], .x_read = buffers[T2_X_READ], .y = buffers[T2_Y], .z = buffers[T2_Z],
            .q = buffers[T2_Q], .h = buffers[T2_H], .space_keys = buffers[T2_SPACE_KEYS],
            .space_values = buffers[T2_SPACE_VALUES], .keys = buffers[T2_KEYS],
            .values = buffers[T2_CACHED_VALUES],
        },
        .tokens = buffers[T2_TOKENS], .wide = buffers[T2_WIDE], .head = buffers[T2_HEAD],
    }, reader ? &watch : NULL);
    if (reader)
        read_stage(reader, "head", 0, buffers[T2_HEAD], variates * step.count,
                   TOTO2_QUANTILES * config->patch);
    make_quantiles(decoder, step);
}

/* [sequence][9][N p] on the device to [9][V][horizon] of each group. */
static enum toto_status download_results(struct toto2_decoder *decoder, float *const *results,
                                         struct toto_error *err)
{
    const struct toto2_sizes *sizes = &decoder->sizes;
    size_t width = sizes->horizon_patches * decoder->net->config->patch, h = decoder->shape.horizon;
    size_t targets = decoder->shape.n_targets;
    size_t n = decoder->n_groups * sizes->variates * TOTO2_QUANTILES * width;
    enum toto_status status = decoder->backend->ops->download(
        decoder->backend, tensor_at(decoder->buffers[T2_OUT], 0, n), decoder->download, err);
    for (size_t g = 0; g < decoder->n_groups && status == TOTO_STATUS_OK; g++)
        for (size_t v = 0; v < targets; v++)
            for (size_t q = 0; q < TOTO2_QUANTILES; q++)
                memcpy(results[g] + (q * targets + v) * h,
                       decoder->download + ((g * sizes->variates + v) * TOTO2_QUANTILES + q) * width,
                       h * sizeof **results);
    return status;
}

enum toto_status toto2_decoder_run(struct toto2_decoder *decoder, const struct toto2_group *groups,
                                   size_t n_groups, float *const *results, toto2_see *see, void *user,
                                   struct toto_error *err)
{
    struct stage_reader reader = {.decoder = decoder, .see = see, .user = user, .err = err};
    size_t left = decoder->sizes.horizon_patches;
    toto2_place_groups(decoder, groups, n_groups);
    for (struct toto2_step step = {0, 0}; left; step.done += step.count, left -= step.count) {
        step.count = left < decoder->sizes.block ? left : decoder->sizes.block;
        run_step(decoder, step, see ? &reader : NULL);
        reader.pass++;
        if (reader.status != TOTO_STATUS_OK)
            return reader.status;
    }
    return download_results(decoder, results, err);
}
