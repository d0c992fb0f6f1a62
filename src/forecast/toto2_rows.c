/* Toto 2.0's decoder: the tables that tell each row of a pass where it stands and what it sees. */
#include <string.h>

#include "../base/memory.h"
#include "toto2_internal.h"

/* ---- Host copies ----------------------------------------------------------------------------------- */

struct host_table {
    void **place;
    size_t n, size;
};

enum { HOST_TABLES = 17 };

static void host_tables(const struct toto2_config *config, const struct toto2_shape *shape,
                        const struct toto2_sizes *sizes, struct toto2_tables *tables,
                        struct host_table list[HOST_TABLES])
{
    size_t rows = sizes->rows, read = sizes->read_rows, points = sizes->sequences * sizes->patches * config->patch;
    const struct host_table made[HOST_TABLES] = {
        {(void **)&tables->tokens, rows, sizeof *tables->tokens},
        {(void **)&tables->space_tokens, rows, sizeof *tables->space_tokens},
        {(void **)&tables->read_tokens, read, sizeof *tables->read_tokens},
        {(void **)&tables->read_space_tokens, read, sizeof *tables->read_space_tokens},
        {(void **)&tables->time, rows, sizeof *tables->time},
        {(void **)&tables->space, rows, sizeof *tables->space},
        {(void **)&tables->read_time, read, sizeof *tables->read_time},
        {(void **)&tables->read_space, read, sizeof *tables->read_space},
        {(void **)&tables->groups, rows, sizeof *tables->groups},
        {(void **)&tables->read_groups, read, sizeof *tables->read_groups},
        {(void **)&tables->read_index, read, sizeof *tables->read_index},
        {(void **)&tables->time_groups, sizes->slots, sizeof *tables->time_groups},
        {(void **)&tables->sequences, sizes->sequences, sizeof *tables->sequences},
        {(void **)&tables->quantiles, read, sizeof *tables->quantiles},
        {(void **)&tables->values, points, sizeof *tables->values},
        {(void **)&tables->mask, points, sizeof *tables->mask},
        {(void **)&tables->empty, sizes->sequences * shape->max_patches, sizeof *tables->empty},
    };
    memcpy(list, made, sizeof made);
}

size_t toto2_tables_bytes(const struct toto2_config *config, const struct toto2_shape *shape,
                          const struct toto2_sizes *sizes)
{
    struct toto2_tables tables;
    struct host_table list[HOST_TABLES];
    size_t bytes = 0;
    host_tables(config, shape, sizes, &tables, list);
    for (size_t i = 0; i < HOST_TABLES; i++)
        bytes += list[i].n * list[i].size + 2 * MEMORY_ALIGNMENT;
    return bytes;
}

enum toto_status toto2_tables_open(struct toto2_decoder *decoder, struct toto_error *err)
{
    struct host_table list[HOST_TABLES];
    host_tables(decoder->net->config, &decoder->shape, &decoder->sizes, &decoder->host, list);
    for (size_t i = 0; i < HOST_TABLES; i++) {
        *list[i].place = mem_calloc(list[i].n, list[i].size);
        if (!*list[i].place)
            return toto_fail_memory(err, "the tables of a pass", list[i].n * list[i].size);
    }
    return TOTO_STATUS_OK;
}

void toto2_tables_close(struct toto2_tables *tables)
{
    mem_free(tables->tokens);
    mem_free(tables->space_tokens);
    mem_free(tables->read_tokens);
    mem_free(tables->read_space_tokens);
    mem_free(tables->time);
    mem_free(tables->space);
    mem_free(tables->read_time);
    mem_free(tables->read_space);
    mem_free(tables->groups);
    mem_free(tables->read_groups);
    mem_free(tables->read_index);
    mem_free(tables->time_groups);
    mem_free(tables->sequences);
    mem_free(tables->quantiles);
    mem_free(tables->values);
    mem_free(tables->mask);
    mem_free(tables->empty);
    *tables = (struct toto2_tables){.tokens = NULL};
}

static struct tensor put(struct toto2_decoder *decoder, enum toto2_buffer buffer, const void *table, size_t n)
{
    struct tensor place = tensor_at(decoder->buffers[buffer], 0, n);
    decoder->backend->ops->upload(decoder->backend, place, table);
    return place;
}

/* Elements of an I32 tensor that n row structs of this type fill. */
#define ROW_INTS(type, n) ((n) * sizeof(type) / sizeof(int32_t))

/* ---- Sequences --------------------------------------------------------------------------------------- */

/* Values, masks and empty patches of one sequence: the context, whose last patch counts as observed for targets, then
 * what is known of the horizon. */
static void place_sequence(struct toto2_decoder *decoder, const struct toto2_place *place, size_t v)
{
    const struct toto2_group *group = place->group;
    size_t p = decoder->net->config->patch, targets = decoder->shape.n_targets, t = group->n_steps;
    size_t sequence = place->first_sequence + v, length = decoder->sizes.patches * p;
    float *values = decoder->host.values + sequence * length;
    uint8_t *mask = decoder->host.mask + sequence * length;
    bool *empty = decoder->host.empty + sequence * decoder->shape.max_patches;
    memset(values, 0, length * sizeof *values);
    memset(mask, 0, length);
    if (v < targets) {
        memcpy(values, group->values + v * t, t * sizeof *values);
        memcpy(mask, group->observed + v * t, t);
        memset(mask + t - p, 1, p);
    } else if (group->known) {
        size_t n = group->n_known_steps;
        memcpy(values, group->known + (v - targets) * n, n * sizeof *values);
        memcpy(mask, group->known_observed + (v - targets) * n, n);
    }
    for (size_t i = 0; i < place->n_patches; i++)
        empty[i] = !memchr(mask + i * p, 1, p);
}

void toto2_place_groups(struct toto2_decoder *decoder, const struct toto2_group *groups, size_t n_groups)
{
    size_t p = decoder->net->config->patch, slot = 0, sequence = 0;
    for (size_t g = 0; g < n_groups; g++) {
        struct toto2_place *place = &decoder->places[g];
        *place = (struct toto2_place){
            .group = &groups[g], .n_patches = groups[g].n_steps / p,
            .first_sequence = sequence, .first_slot = slot,
        };
        for (size_t v = 0; v < decoder->sizes.variates; v++)
            place_sequence(decoder, place, v);
        sequence += decoder->sizes.variates;
        slot += decoder->sizes.variates * (place->n_patches + decoder->sizes.horizon_patches);
    }
    decoder->n_groups = n_groups;
    size_t points = sequence * decoder->sizes.patches * p;
    put(decoder, T2_VALUES, decoder->host.values, points);
    put(decoder, T2_MASK, decoder->host.mask, points);
}

/* Tokens of a sequence in a pass: the whole context and the new patches, or the last block and the new ones. */
static size_t first_token(const struct toto2_decoder *decoder, const struct toto2_place *place,
                          struct toto2_step step)
{
    return step.done == 0 ? 0 : place->n_patches + step.done - decoder->sizes.block;
}

static size_t count_tokens(const struct toto2_decoder *decoder, const struct toto2_place *place,
                           struct toto2_step step)
{
    return step.count + (step.done == 0 ? place->n_patches : decoder->sizes.block);
}

size_t toto2_step_sequences(struct toto2_decoder *decoder, struct toto2_step step)
{
    size_t n = 0, p = decoder->net->config->patch;
    for (size_t g = 0; g < decoder->n_groups; g++) {
        const struct toto2_place *place = &decoder->places[g];
        size_t n_tokens = count_tokens(decoder, place, step);
        for (size_t v = 0; v < decoder->sizes.variates; v++, n++)
            decoder->host.sequences[n] = (struct token_sequence){
                .first_value = (int32_t)(n * decoder->sizes.patches * p),
                .n_patches = (int32_t)(place->n_patches + decoder->sizes.horizon_patches),
                .n_context = (int32_t)place->n_patches,
                .first_patch = (int32_t)first_token(decoder, place, step),
                .n_tokens = (int32_t)n_tokens,
                .clear_before = step.done ? (int32_t)(place->n_patches + step.done) : 0,
                .row = (int32_t)(place->first_row + v * n_tokens),
                .cap = step.done ? -1 : (int32_t)n,
            };
    }
    put(decoder, T2_SEQUENCES, decoder->host.sequences, ROW_INTS(struct token_sequence, n));
    return n;
}

/* ---- Rows -------------------------------------------------------------------------------------------- */

static const struct token_row padding_token = {.slot = -1};
static const struct attention_row padding_attention = {.stride = 1};

/* Group id of patch i of a variate, counted from the start of the context: -1 where the context has no value. */
static int32_t patch_id(const struct toto2_decoder *decoder, const struct toto2_place *place, size_t v, size_t i)
{
    const bool *empty = decoder->host.empty + (place->first_sequence + v) * decoder->shape.max_patches;
    if (i < place->n_patches && empty[i])
        return -1;
    return place->group->ids ? place->group->ids[v] : 0;
}

/* Keys of the time layers are told apart by slot groups: in the first pass by their ids, later only the context's empty
 * patches are out of sight. */
static bool put_time_groups(struct toto2_decoder *decoder, struct toto2_step step)
{
    if (step.done == 0 && !decoder->shape.missing_values)
        return false;
    size_t n = 0;
    for (size_t g = 0; g < decoder->n_groups; g++) {
        const struct toto2_place *place = &decoder->places[g];
        for (size_t v = 0; v < decoder->sizes.variates; v++)
            for (size_t i = 0; i < place->n_patches + decoder->sizes.horizon_patches; i++) {
                int32_t id = patch_id(decoder, place, v, i);
                decoder->host.time_groups[n++] = step.done == 0 ? id : id < 0 ? -1 : 0;
            }
    }
    put(decoder, T2_TIME_GROUPS, decoder->host.time_groups, n);
    return true;
}

static void set_row(struct toto2_decoder *decoder, const struct toto2_place *place, size_t v, size_t token,
                    size_t n_tokens, struct toto2_step step)
{
    struct toto2_tables *host = &decoder->host;
    size_t first = first_token(decoder, place, step), position = first + token;
    size_t row = place->first_row + v * n_tokens + token;
    size_t slot = place->first_slot + v * (place->n_patches + decoder->sizes.horizon_patches);
    /* Ids of later passes count from the start of the context, as the reference does (spec 8.3). */
    int32_t id = patch_id(decoder, place, v, token);
    host->tokens[row] = (struct token_row){
        .position = (int32_t)position,
        .center = (int32_t)((place->n_patches + step.done + step.count) / 2),
        .slot = (int32_t)(slot + position),
    };
    host->time[row] = (struct attention_row){
        .first_a = (int32_t)slot, .count_a = (int32_t)(position + 1), .stride = 1,
        .group = step.done ? 0 : id,
    };
    host->space[row] = (struct attention_row){
        .first_a = (int32_t)(place->first_row + token), .count_a = (int32_t)decoder->sizes.variates,
        .stride = (int32_t)n_tokens, .group = id,
    };
    host->groups[row] = id;
    host->space_tokens[row] = (struct token_row){.slot = (int32_t)row};
}

/* The tokens before the new ones predict them: the last of the context (or of the block before) and all new but one. */
static void set_read(struct toto2_decoder *decoder, const struct toto2_place *place, size_t v, size_t i,
                     size_t n_tokens, size_t count)
{
    struct toto2_tables *host = &decoder->host;
    size_t from = place->first_row + v * n_tokens + n_tokens - count - 1 + i;
    size_t row = place->first_read + v * count + i;
    host->read_index[row] = (int32_t)from;
    host->read_tokens[row] = host->tokens[from];
    host->read_time[row] = host->time[from];
    host->read_space[row] = (struct attention_row){
        .first_a = (int32_t)(place->first_read + i), .count_a = (int32_t)decoder->sizes.variates,
        .stride = (int32_t)count, .group = host->groups[from],
    };
    host->read_groups[row] = host->groups[from];
    host->read_space_tokens[row] = (struct token_row){.slot = (int32_t)row};
}

static void set_group(struct toto2_decoder *decoder, struct toto2_place *place, struct toto2_step step,
                      size_t *n_rows, size_t *n_read)
{
    struct toto2_tables *host = &decoder->host;
    const struct toto2_sizes *sizes = &decoder->sizes;
    size_t n_tokens = count_tokens(decoder, place, step), own = sizes->variates * n_tokens;
    size_t own_read = sizes->variates * step.count;
    place->first_row = *n_rows;
    place->first_read = *n_read;
    for (size_t v = 0; v < sizes->variates; v++) {
        for (size_t t = 0; t < n_tokens; t++)
            set_row(decoder, place, v, t, n_tokens, step);
        for (size_t i = 0; i < step.count; i++)
            set_read(decoder, place, v, i, n_tokens, step.count);
    }
    *n_rows += size_round_up(own, sizes->row_block);
    *n_read += size_round_up(own_read, sizes->read_block);
    for (size_t row = place->first_row + own; row < *n_rows; row++) {
        host->tokens[row] = host->space_tokens[row] = padding_token;
        host->time[row] = host->space[row] = padding_attention;
        host->groups[row] = 0;
    }
    for (size_t row = place->first_read + own_read; row < *n_read; row++) {
        host->read_tokens[row] = host->read_space_tokens[row] = padding_token;
        host->read_time[row] = host->read_space[row] = padding_attention;
        host->read_groups[row] = 0;
        host->read_index[row] = -1;
    }
}

struct transformer_pass toto2_step_rows(struct toto2_decoder *decoder, struct toto2_step step)
{
    const struct toto2_tables *host = &decoder->host;
    const struct toto2_sizes *sizes = &decoder->sizes;
    size_t rows = 0, read = 0;
    for (size_t g = 0; g < decoder->n_groups; g++)
        set_group(decoder, &decoder->places[g], step, &rows, &read);
    bool groups = put_time_groups(decoder, step);
    return (struct transformer_pass){
        .all = {
            .n = rows, .block = sizes->row_block, .time_run = 1,
            .tokens = put(decoder, T2_ROWS, host->tokens, ROW_INTS(struct token_row, rows)),
            .time = put(decoder, T2_TIME, host->time, ROW_INTS(struct attention_row, rows)),
            .space = put(decoder, T2_SPACE, host->space, ROW_INTS(struct attention_row, rows)),
            .space_groups = put(decoder, T2_SPACE_GROUPS, host->groups, rows),
            .space_tokens =
                put(decoder, T2_SPACE_TOKENS, host->space_tokens, ROW_INTS(struct token_row, rows)),
        },
        .read = {
            .n = read, .block = sizes->read_block, .time_run = 1,
            .tokens = put(decoder, T2_READ_ROWS, host->read_tokens, ROW_INTS(struct token_row, read)),
            .time = put(decoder, T2_READ_TIME, host->read_time, ROW_INTS(struct attention_row, read)),
            .space = put(decoder, T2_READ_SPACE, host->read_space, ROW_INTS(struct attention_row, read)),
            .space_groups = put(decoder, T2_READ_GROUPS, host->read_groups, read),
            .space_tokens = put(decoder, T2_READ_SPACE_TOKENS, host->read_space_tokens,
                                ROW_INTS(struct token_row, read)),
        },
        .read_index = put(decoder, T2_READ_INDEX, host->read_index, read),
        .time_groups = groups ? decoder->buffers[T2_TIME_GROUPS] : (struct tensor){.memory = NULL},
        .univariate = sizes->variates == 1,
        .n_slots = sizes->slots,
    };
}

/* ---- Quantiles ----------------------------------------------------------------------------------------- */

size_t toto2_step_quantiles(struct toto2_decoder *decoder, struct toto2_step step)
{
    const struct toto2_sizes *sizes = &decoder->sizes;
    size_t p = decoder->net->config->patch, n = 0;
    for (size_t g = 0; g < decoder->n_groups; g++) {
        const struct toto2_place *place = &decoder->places[g];
        size_t n_tokens = count_tokens(decoder, place, step);
        for (size_t v = 0; v < sizes->variates; v++)
            for (size_t i = 0; i < step.count; i++) {
                size_t sequence = place->first_sequence + v;
                size_t value = (sequence * sizes->patches + place->n_patches + step.done + i) * p;
                bool fed_back = v < decoder->shape.n_targets;
                decoder->host.quantiles[n++] = (struct quantile_row){
                    .head_row = (int32_t)(place->first_read + v * step.count + i),
                    .scale_row = (int32_t)(place->first_row + v * n_tokens + n_tokens - step.count + i),
                    .cap = (int32_t)sequence,
                    .out_row = (int32_t)sequence,
                    .out_step = (int32_t)((step.done + i) * p),
                    .feedback = fed_back ? (int32_t)value : -1,
                };
            }
    }
    put(decoder, T2_QUANTILE_ROWS, decoder->host.quantiles, ROW_INTS(struct quantile_row, n));
    return n;
}
