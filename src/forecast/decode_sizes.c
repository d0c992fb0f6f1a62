/* Decoder: how much of everything a shape needs. */
#include "../base/memory.h"
#include "decode_internal.h"

static size_t samples_of(const struct decode_shape *shape)
{
    return shape->n_samples ? shape->n_samples : 1;
}

/* Without a cache a sample's rows are its whole sequence: they are never put into blocks. */
static size_t sample_block_of(const struct backend *backend, const struct toto1_config *config,
                              const struct decode_shape *shape)
{
    return shape->kv_cache ? backend->ops->row_block(backend, samples_of(shape), config->d_model) : 1;
}

size_t decode_chunk(const struct backend *backend, const struct toto1_config *config,
                    const struct decode_shape *shape, size_t n_samples)
{
    size_t block = sample_block_of(backend, config, shape);
    return size_min(size_round_up(n_samples ? n_samples : 1, block), samples_of(shape));
}

size_t decode_fold_steps(const struct toto1_config *config, const struct decode_shape *shape)
{
    size_t n_patches = (shape->horizon + config->patch - 1) / config->patch;
    size_t rows = shape->n_variates * samples_of(shape);
    if (n_patches < 2 || rows <= config->n_params + config->n_params / 4)
        return 0;
    return n_patches > 2 ? config->patch : shape->horizon - config->patch;
}

static size_t context_block_of(const struct backend *backend, const struct toto1_config *config,
                               const struct decode_shape *shape, size_t n_patches)
{
    size_t tokens = n_patches + (shape->labels ? 1 : 0);
    return backend->ops->row_block(backend, shape->n_variates * tokens, config->d_model);
}

bool decode_same_blocks(const struct backend *backend, const struct toto1_config *config,
                        const struct decode_shape *shape, size_t patches_a, size_t patches_b)
{
    return context_block_of(backend, config, shape, patches_a) ==
           context_block_of(backend, config, shape, patches_b);
}

struct decode_sizes decode_sizes_of(const struct backend *backend, const struct toto1_config *config,
                                    const struct decode_shape *shape)
{
    struct decode_sizes sizes = {.samples = samples_of(shape)};
    size_t v = shape->n_variates, patch = config->patch;
    sizes.variates = shape->n_groups * v;
    sizes.max_tokens = shape->max_patches + (shape->labels ? 1 : 0);
    sizes.n_patches_out = (shape->horizon + patch - 1) / patch;
    sizes.context_block = context_block_of(backend, config, shape, shape->max_patches);
    sizes.read_block = backend->ops->row_block(backend, v, config->d_model);
    sizes.sample_block = sample_block_of(backend, config, shape);
    sizes.context_rows = shape->n_groups * size_round_up(v * sizes.max_tokens, sizes.context_block);
    sizes.read_rows = shape->n_groups * size_round_up(v, sizes.read_block);
    sizes.sample_stride = size_round_up(shape->chunk, sizes.sample_block);
    sizes.sample_rows = sizes.variates * sizes.sample_stride;

    size_t drawn = sizes.n_patches_out - 1; /* patches that are fed back */
    bool steps = drawn > 0;
    sizes.step_tokens = shape->kv_cache ? 1 : sizes.max_tokens + drawn;
    sizes.drawn_patches = shape->kv_cache ? size_min(drawn, 1) : drawn;
    sizes.pass_rows = size_max(sizes.context_rows, steps ? sizes.sample_rows * sizes.step_tokens : 0);
    sizes.pass_read_rows = size_max(sizes.read_rows, steps ? sizes.sample_rows : 0);
    sizes.context_slots = sizes.variates * sizes.max_tokens;
    sizes.n_slots = shape->kv_cache ? sizes.context_slots + sizes.sample_rows * drawn
                                    : size_max(sizes.context_slots, sizes.pass_rows);
    sizes.context_patches = sizes.variates * shape->max_patches;
    sizes.n_scaled = sizes.context_patches + sizes.sample_rows * sizes.drawn_patches;
    sizes.first_steps = steps ? patch : shape->horizon;
    sizes.fold_steps = decode_fold_steps(config, shape);
    return sizes;
}

/* Most elements of the step outputs (before the heads) in passes that are not folded. */
static size_t steps_extent(const struct toto1_config *config, const struct decode_sizes *sizes)
{
    size_t n = sizes->fold_steps < sizes->first_steps ? sizes->read_rows * sizes->first_steps : 0;
    if (sizes->n_patches_out > 1 && sizes->fold_steps == 0)
        n = size_max(n, sizes->sample_rows * config->patch);
    return n * config->d_model;
}

void decode_extents(const struct toto1_config *config, const struct decode_shape *shape,
                    const struct decode_sizes *sizes, size_t n_quantiles,
                    struct decode_extent extents[BUF_COUNT])
{
    enum { TOKEN = sizeof(struct token_row) / 4, ATTENTION = sizeof(struct attention_row) / 4,
           SEQUENCE = sizeof(struct scale_sequence) / 4, DRAW = sizeof(struct draw_row) / 4,
           POSITION = sizeof(struct quantile_position) / 4 };
    size_t d = config->d_model, p = config->patch, rows = sizes->pass_rows;
    size_t read = sizes->pass_read_rows, cache = sizes->n_slots * d, n_time_layers = 0;
    for (size_t i = 0; i < config->n_layers; i++)
        n_time_layers += !toto1_layer_is_space(config, i);
    size_t labels = shape->labels ? size_max(sizes->variates, sizes->sample_rows) : 0;
    size_t step_rows = sizes->n_patches_out > 1 ? sizes->sample_rows : 0;
    size_t injected = shape->inject ? sizes->sample_rows * p : 0;
    size_t points = sizes->variates * shape->horizon;
    const struct decode_extent made[BUF_COUNT] = {
        [BUF_VALUES] = {TENSOR_F32, sizes->context_patches * p},
        [BUF_MASK] = {TENSOR_U8, sizes->context_patches * p},
        [BUF_SCALED] = {TENSOR_ACTIVATION, sizes->n_scaled * p},
        [BUF_LOC] = {TENSOR_F32, sizes->n_scaled * p},
        [BUF_SCALE] = {TENSOR_F32, sizes->n_scaled * p},
        [BUF_FIRST_LOC] = {TENSOR_F32, sizes->read_rows * p},
        [BUF_FIRST_SCALE] = {TENSOR_F32, sizes->read_rows * p},
        [BUF_LOC_READ] = {TENSOR_F32, step_rows * p},
        [BUF_SCALE_READ] = {TENSOR_F32, step_rows * p},
        [BUF_STATES] = {TENSOR_SCALE_STATE, sizes->variates + sizes->sample_rows},
        [BUF_SEQUENCES] = {TENSOR_I32, size_max(sizes->variates, sizes->sample_rows) * SEQUENCE},
        [BUF_PATCHES] = {TENSOR_ACTIVATION, rows * p},
        [BUF_X] = {TENSOR_ACTIVATION, rows * d},
        [BUF_X_READ] = {TENSOR_ACTIVATION, read * d},
        [BUF_Y] = {TENSOR_ACTIVATION, rows * d},
        [BUF_Z] = {TENSOR_ACTIVATION, rows * 3 * d},
        [BUF_Q] = {TENSOR_ACTIVATION, rows * d},
        [BUF_H] = {TENSOR_ACTIVATION, rows * config->d_ff},
        [BUF_SPACE_KEYS] = {TENSOR_ACTIVATION, rows * d},
        [BUF_SPACE_VALUES] = {TENSOR_ACTIVATION, rows * d},
        [BUF_KEYS] = {TENSOR_ACTIVATION, n_time_layers * cache},
        [BUF_CACHED_VALUES] = {TENSOR_ACTIVATION, n_time_layers * cache},
        [BUF_STEPS] = {TENSOR_ACTIVATION, steps_extent(config, sizes)},
        [BUF_FIRST_RAW] = {TENSOR_F32, sizes->read_rows * sizes->first_steps * config->n_params},
        [BUF_RAW] = {TENSOR_F32, step_rows * p * config->n_params},
        [BUF_TOKENS] = {TENSOR_I32, rows * TOKEN},
        [BUF_TIME] = {TENSOR_I32, rows * ATTENTION},
        [BUF_SPACE] = {TENSOR_I32, rows * ATTENTION},
        [BUF_SPACE_GROUPS] = {TENSOR_I32, rows},
        [BUF_SPACE_TOKENS] = {TENSOR_I32, rows * TOKEN},
        [BUF_SOURCE] = {TENSOR_I32, rows},
        [BUF_LABEL_ROW] = {TENSOR_I32, labels},
        [BUF_LABEL_KIND] = {TENSOR_I32, labels},
        [BUF_READ_TOKENS] = {TENSOR_I32, read * TOKEN},
        [BUF_READ_TIME] = {TENSOR_I32, read * ATTENTION},
        [BUF_READ_SPACE] = {TENSOR_I32, read * ATTENTION},
        [BUF_READ_GROUPS] = {TENSOR_I32, read},
        [BUF_READ_SPACE_TOKENS] = {TENSOR_I32, read * TOKEN},
        [BUF_READ_INDEX] = {TENSOR_I32, read},
        [BUF_READ_SCALED] = {TENSOR_I32, read},
        [BUF_DRAWS] = {TENSOR_I32, sizes->sample_rows * DRAW},
        [BUF_OVERRIDES] = {TENSOR_F32,
                           shape->n_groups * shape->n_overrides * sizes->n_patches_out * p},
        [BUF_INJECT_U] = {TENSOR_F32, injected},
        [BUF_INJECT_T] = {TENSOR_F32, injected},
        [BUF_NEXT] = {TENSOR_F32, sizes->sample_rows * p},
        [BUF_TRAJECTORIES] = {TENSOR_F32, points * sizes->samples},
        [BUF_POSITIONS] = {TENSOR_I32, n_quantiles * POSITION},
        [BUF_QUANTILES] = {TENSOR_F32, shape->n_samples ? n_quantiles * points : 0},
        [BUF_MEAN] = {TENSOR_F32, shape->n_samples ? points : 0},
        [BUF_FLAGS] = {TENSOR_I32, shape->n_groups},
    };
    for (size_t i = 0; i < BUF_COUNT; i++)
        extents[i] = made[i];
}

size_t decoder_bytes(const struct backend *backend, const struct toto1_config *config,
                     const struct decode_shape *shape, size_t n_quantiles)
{
    struct decode_sizes sizes = decode_sizes_of(backend, config, shape);
    struct decode_extent extents[BUF_COUNT];
    decode_extents(config, shape, &sizes, n_quantiles, extents);
    size_t bytes = row_tables_bytes(config, shape, &sizes) + sizeof(struct decoder) +
                   shape->n_groups * sizeof(struct group_place) +
                   (n_quantiles + 1) * sizes.variates * shape->horizon * sizeof(float);
    for (size_t i = 0; i < BUF_COUNT && bytes < SIZE_MAX / 4; i++)
        bytes += backend_tensor_bytes(backend, extents[i].kind, extents[i].n);
    return bytes;
}
