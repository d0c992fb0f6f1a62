/* Decoder: the tables that tell each row of a pass where it stands and what it sees. */
#include <string.h>

#include "../base/memory.h"
#include "decode_internal.h"

/* ---- Host copies ----------------------------------------------------------------------------------- */

/* One entry a table: where its pointer stands in struct row_tables, elements and their size. */
struct host_table {
    void **place;
    size_t n, size;
};

enum { HOST_TABLES = 17 };

static void host_tables(const struct toto1_config *config, const struct decode_shape *shape,
                        const struct decode_sizes *sizes, struct row_tables *tables,
                        struct host_table list[HOST_TABLES])
{
    size_t rows = sizes->pass_rows, read = sizes->pass_read_rows, patch = config->patch;
    size_t sequences = sizes->variates > sizes->sample_rows ? sizes->variates : sizes->sample_rows;
    size_t labels = shape->labels ? sequences : 0;
    size_t staging = sizes->context_patches;
    size_t overrides = shape->n_groups * shape->n_overrides * sizes->n_patches_out;
    staging = staging > overrides ? staging : overrides;
    if (shape->inject && staging < sizes->sample_rows)
        staging = sizes->sample_rows;
    const struct host_table made[HOST_TABLES] = {
        {(void **)&tables->tokens, rows, sizeof *tables->tokens},
        {(void **)&tables->space_tokens, rows, sizeof *tables->space_tokens},
        {(void **)&tables->time, rows, sizeof *tables->time},
        {(void **)&tables->space, rows, sizeof *tables->space},
        {(void **)&tables->space_groups, rows, sizeof *tables->space_groups},
        {(void **)&tables->source, rows, sizeof *tables->source},
        {(void **)&tables->label_row, labels, sizeof *tables->label_row},
        {(void **)&tables->label_kind, labels, sizeof *tables->label_kind},
        {(void **)&tables->read_tokens, read, sizeof *tables->read_tokens},
        {(void **)&tables->read_space_tokens, read, sizeof *tables->read_space_tokens},
        {(void **)&tables->read_time, read, sizeof *tables->read_time},
        {(void **)&tables->read_space, read, sizeof *tables->read_space},
        {(void **)&tables->read_groups, read, sizeof *tables->read_groups},
        {(void **)&tables->read_index, 2 * read, sizeof *tables->read_index},
        {(void **)&tables->sequences, sequences, sizeof *tables->sequences},
        {(void **)&tables->draws, sizes->sample_rows, sizeof *tables->draws},
        {(void **)&tables->staging, staging * patch, sizeof *tables->staging},
    };
    memcpy(list, made, sizeof made);
}

size_t row_tables_bytes(const struct toto1_config *config, const struct decode_shape *shape,
                        const struct decode_sizes *sizes)
{
    struct row_tables tables;
    struct host_table list[HOST_TABLES];
    host_tables(config, shape, sizes, &tables, list);
    size_t bytes = sizes->context_patches * config->patch; /* mask */
    for (size_t i = 0; i < HOST_TABLES; i++)
        bytes += list[i].n * list[i].size + 2 * MEMORY_ALIGNMENT;
    return bytes;
}

enum toto_status row_tables_open(struct decoder *decoder, struct toto_error *err)
{
    struct host_table list[HOST_TABLES];
    const struct toto1_config *config = decoder->net->config;
    size_t mask_bytes = decoder->sizes.context_patches * config->patch;
    host_tables(config, &decoder->shape, &decoder->sizes, &decoder->host, list);
    for (size_t i = 0; i < HOST_TABLES; i++) {
        *list[i].place = mem_calloc(list[i].n, list[i].size);
        if (!*list[i].place)
            return toto_fail_memory(err, "the tables of a pass", list[i].n * list[i].size);
    }
    decoder->host.read_scaled = decoder->host.read_index + decoder->sizes.pass_read_rows;
    decoder->host.mask = mem_alloc(mask_bytes);
    if (!decoder->host.mask)
        return toto_fail_memory(err, "the masks", mask_bytes);
    return TOTO_STATUS_OK;
}

void row_tables_close(struct row_tables *tables)
{
    mem_free(tables->tokens);
    mem_free(tables->space_tokens);
    mem_free(tables->time);
    mem_free(tables->space);
    mem_free(tables->space_groups);
    mem_free(tables->source);
    mem_free(tables->label_row);
    mem_free(tables->label_kind);
    mem_free(tables->read_tokens);
    mem_free(tables->read_space_tokens);
    mem_free(tables->read_time);
    mem_free(tables->read_space);
    mem_free(tables->read_groups);
    mem_free(tables->read_index);
    mem_free(tables->sequences);
    mem_free(tables->draws);
    mem_free(tables->staging);
    mem_free(tables->mask);
    *tables = (struct row_tables){0};
}

/* ---- Rows ------------------------------------------------------------------------------------------ */

static struct tensor put(struct decoder *decoder, enum decode_buffer buffer, const void *table,
                         size_t n)
{
    struct tensor place = tensor_at(decoder->buffers[buffer], 0, n);
    decoder->backend->ops->upload(decoder->backend, place, table);
    return place;
}

/* Elements of an I32 tensor that n row structs of this type fill. */
#define ROW_INTS(type, n) ((n) * sizeof(type) / sizeof(int32_t))

/* Rows beyond a group's last one, up to the block: they see nothing and leave nothing. */
static const struct token_row padding_token = {.slot = -1};
static const struct attention_row padding_attention = {.stride = 1};

/* Space layers see the variates of one patch: V rows, `stride` apart. */
static void set_space(struct row_tables *host, size_t row, size_t first, size_t n_variates,
                      size_t stride, int32_t group)
{
    host->space[row] = (struct attention_row){
        .first_a = (int32_t)first, .count_a = (int32_t)n_variates, .stride = (int32_t)stride,
        .group = group,
    };
    host->space_groups[row] = group;
    host->space_tokens[row] = (struct token_row){.slot = (int32_t)row};
}

static void set_padding(struct row_tables *host, size_t row)
{
    host->tokens[row] = host->space_tokens[row] = padding_token;
    host->time[row] = host->space[row] = padding_attention;
    host->space_groups[row] = 0;
    host->source[row] = -1;
}

/* Group id of token t of a variate: that of its patch; a label token has the first patch's. */
static int32_t group_id(const struct group_place *place, size_t variate, size_t token, bool labels)
{
    const int32_t *ids = place->group->patch_groups;
    if (!ids)
        return 0;
    size_t patch = labels && token > 0 ? token - 1 : token;
    size_t last = place->n_patches - 1; /* a drawn patch goes on with the last id */
    return ids[variate * place->n_patches + (patch < last ? patch : last)];
}

static bool is_exogenous(const struct decode_group *group, size_t variate)
{
    return variate >= group->n_variates - group->n_exogenous;
}

static struct pass_rows put_rows(struct decoder *decoder, size_t n, size_t block, size_t time_run)
{
    const struct row_tables *host = &decoder->host;
    return (struct pass_rows){
        .n = n,
        .block = block,
        .tokens = put(decoder, BUF_TOKENS, host->tokens, ROW_INTS(struct token_row, n)),
        .time = put(decoder, BUF_TIME, host->time, ROW_INTS(struct attention_row, n)),
        .time_run = time_run,
        .space = put(decoder, BUF_SPACE, host->space, ROW_INTS(struct attention_row, n)),
        .space_groups = put(decoder, BUF_SPACE_GROUPS, host->space_groups, n),
        .space_tokens =
            put(decoder, BUF_SPACE_TOKENS, host->space_tokens, ROW_INTS(struct token_row, n)),
    };
}

static struct pass_rows put_read_rows(struct decoder *decoder, size_t n, size_t block)
{
    const struct row_tables *host = &decoder->host;
    return (struct pass_rows){
        .n = n,
        .block = block,
        .tokens = put(decoder, BUF_READ_TOKENS, host->read_tokens, ROW_INTS(struct token_row, n)),
        .time = put(decoder, BUF_READ_TIME, host->read_time, ROW_INTS(struct attention_row, n)),
        .time_run = 1,
        .space = put(decoder, BUF_READ_SPACE, host->read_space, ROW_INTS(struct attention_row, n)),
        .space_groups = put(decoder, BUF_READ_GROUPS, host->read_groups, n),
        .space_tokens = put(decoder, BUF_READ_SPACE_TOKENS, host->read_space_tokens,
                            ROW_INTS(struct token_row, n)),
    };
}

/* Read row r is row `from` of the pass; in its space layers it stands among the read rows. */
static void set_read(struct row_tables *host, size_t r, size_t from, size_t first,
                     size_t n_variates, size_t stride, size_t scaled)
{
    host->read_index[r] = (int32_t)from;
    host->read_tokens[r] = host->tokens[from];
    host->read_time[r] = host->time[from];
    host->read_space[r] = (struct attention_row){
        .first_a = (int32_t)first, .count_a = (int32_t)n_variates, .stride = (int32_t)stride,
        .group = host->space[from].group,
    };
    host->read_groups[r] = host->space[from].group;
    host->read_space_tokens[r] = (struct token_row){.slot = (int32_t)r};
    host->read_scaled[r] = (int32_t)scaled;
}

static void set_read_padding(struct row_tables *host, size_t r)
{
    host->read_index[r] = host->read_scaled[r] = -1;
    host->read_tokens[r] = host->read_space_tokens[r] = padding_token;
    host->read_time[r] = host->read_space[r] = padding_attention;
    host->read_groups[r] = 0;
}

/* ---- The pass over the contexts --------------------------------------------------------------------- */

void place_groups(struct decoder *decoder, const struct decode_group *groups, size_t n_groups)
{
    const struct decode_sizes *sizes = &decoder->sizes;
    size_t row = 0, slot = 0, patch = 0, read = 0, v = decoder->shape.n_variates;
    for (size_t g = 0; g < n_groups; g++) {
        struct group_place *place = &decoder->places[g];
        size_t n_patches = (groups[g].n_steps + decoder->net->config->patch - 1) /
                           decoder->net->config->patch;
        size_t n_tokens = n_patches + (decoder->shape.labels ? 1 : 0);
        *place = (struct group_place){&groups[g], n_patches, n_tokens, row, read, slot, patch};
        row += size_round_up(v * n_tokens, sizes->context_block);
        read += size_round_up(v, sizes->read_block);
        slot += v * n_tokens;
        patch += v * n_patches;
    }
    decoder->n_groups = n_groups;
    decoder->context_rows = row;
    decoder->read_rows = read;
}

static void set_context_group(struct decoder *decoder, const struct group_place *place,
                              size_t *n_labels)
{
    struct row_tables *host = &decoder->host;
    bool labels = decoder->shape.labels;
    size_t n_variates = decoder->shape.n_variates, n_tokens = place->n_tokens;
    for (size_t v = 0; v < n_variates; v++) {
        for (size_t t = 0; t < n_tokens; t++) {
            size_t row = place->first_row + v * n_tokens + t;
            size_t first_slot = place->first_slot + v * n_tokens;
            host->tokens[row] = (struct token_row){
                .position = (int32_t)t,
                .center = (int32_t)((n_tokens - 1) / 2),
                .slot = (int32_t)(first_slot + t),
            };
            host->time[row] = (struct attention_row){
                .first_a = (int32_t)first_slot, .count_a = (int32_t)(t + 1), .stride = 1,
            };
            set_space(host, row, place->first_row + t, n_variates, n_tokens,
                      group_id(place, v, t, labels));
            host->source[row] = -1;
            if (!labels || t > 0) {
                host->source[row] =
                    (int32_t)(place->first_patch + v * place->n_patches + t - (labels ? 1 : 0));
            } else {
                host->label_row[*n_labels] = (int32_t)row;
                host->label_kind[(*n_labels)++] = is_exogenous(place->group, v);
            }
        }
        set_read(host, place->first_read + v, place->first_row + v * n_tokens + n_tokens - 1,
                 place->first_read, n_variates, 1,
                 place->first_patch + (v + 1) * place->n_patches - 1);
    }
    const struct decode_sizes *sizes = &decoder->sizes;
    for (size_t i = n_variates * n_tokens; i < size_round_up(n_variates * n_tokens, sizes->context_block); i++)
        set_padding(host, place->first_row + i);
    for (size_t i = n_variates; i < size_round_up(n_variates, sizes->read_block); i++)
        set_read_padding(host, place->first_read + i);
}

struct toto1_pass context_pass(struct decoder *decoder)
{
    const struct decode_sizes *sizes = &decoder->sizes;
    const struct row_tables *host = &decoder->host;
    size_t n_labels = 0, n_read = decoder->read_rows;
    for (size_t g = 0; g < decoder->n_groups; g++)
        set_context_group(decoder, &decoder->places[g], &n_labels);
    put(decoder, BUF_READ_SCALED, host->read_scaled, n_read);
    return (struct toto1_pass){
        .rows = {
            .all = put_rows(decoder, decoder->context_rows, sizes->context_block, 1),
            .read = put_read_rows(decoder, n_read, sizes->read_block),
            .read_index = put(decoder, BUF_READ_INDEX, host->read_index, n_read),
            .univariate = decoder->shape.n_variates == 1,
            .n_slots = sizes->n_slots,
        },
        .scaled = decoder->buffers[BUF_SCALED],
        .source = put(decoder, BUF_SOURCE, host->source, decoder->context_rows),
        .label_row = put(decoder, BUF_LABEL_ROW, host->label_row, n_labels),
        .label_kind = put(decoder, BUF_LABEL_KIND, host->label_kind, n_labels),
        .n_labels = n_labels,
        .n_steps = sizes->first_steps,
        .use_fold = sizes->fold_steps >= sizes->first_steps,
    };
}

size_t context_sequences(struct decoder *decoder)
{
    size_t n = 0, p = decoder->net->config->patch;
    for (size_t g = 0; g < decoder->n_groups; g++) {
        const struct group_place *place = &decoder->places[g];
        for (size_t v = 0; v < decoder->shape.n_variates; v++) {
            size_t patch = place->first_patch + v * place->n_patches;
            decoder->host.sequences[n] = (struct scale_sequence){
                .first_value = (int32_t)(patch * p),
                .n_patches = (int32_t)place->n_patches,
                .first_row = (int32_t)patch,
                .state_in = -1,
                .state_out = (int32_t)n,
            };
            n++;
        }
    }
    put(decoder, BUF_SEQUENCES, decoder->host.sequences, ROW_INTS(struct scale_sequence, n));
    return n;
}

/* ---- The pass over drawn patches --------------------------------------------------------------------- */

/* Row of scaled of drawn patch `drawn` (0, 1, ...) of sample row `row`. */
static size_t drawn_scaled_row(const struct decoder *decoder, size_t row, size_t drawn)
{
    const struct decode_sizes *sizes = &decoder->sizes;
    size_t place = decoder->shape.kv_cache ? 0 : drawn;
    return sizes->context_patches + row * sizes->drawn_patches + place;
}

/* With a cache only the newest patch runs. Its own keys stand behind the shared ones of the context. */
static void set_cached_row(struct decoder *decoder, const struct group_place *place, size_t g, size_t v,
                           size_t sample, size_t step, bool padding)
{
    const struct decode_sizes *sizes = &decoder->sizes;
    struct row_tables *host = &decoder->host;
    size_t n_variates = decoder->shape.n_variates, drawn = sizes->n_patches_out - 1;
    size_t first = g * n_variates * sizes->sample_stride;
    size_t row = first + v * sizes->sample_stride + sample;
    size_t position = place->n_tokens + step - 1, slot = sizes->context_slots + row * drawn;
    set_space(host, row, first + sample, n_variates, sizes->sample_stride,
              group_id(place, v, position, decoder->shape.labels));
    host->tokens[row] = (struct token_row){
        .position = (int32_t)position,
        .center = (int32_t)(position / 2),
        .slot = padding ? -1 : (int32_t)(slot + step - 1),
    };
    host->time[row] = (struct attention_row){
        .first_a = (int32_t)(place->first_slot + v * place->n_tokens),
        .count_a = (int32_t)place->n_tokens,
        .first_b = (int32_t)slot,
        .count_b = padding ? 0 : (int32_t)step,
        .stride = 1,
    };
    host->read_scaled[row] = (int32_t)drawn_scaled_row(decoder, row, step - 1);
    if (padding) {
        host->space[row] = padding_attention;
        host->space_tokens[row] = padding_token;
        host->read_scaled[row] = -1;
    }
}

static struct toto1_pass cached_pass(struct decoder *decoder, size_t step, size_t count)
{
    const struct decode_sizes *sizes = &decoder->sizes;
    size_t n_variates = decoder->shape.n_variates;
    size_t n_rows = decoder->n_groups * n_variates * sizes->sample_stride;
    for (size_t g = 0; g < decoder->n_groups; g++)
        for (size_t v = 0; v < n_variates; v++)
            for (size_t s = 0; s < sizes->sample_stride; s++)
                set_cached_row(decoder, &decoder->places[g], g, v, s, step, s >= count);
    struct pass_rows rows = put_rows(decoder, n_rows, sizes->sample_block, sizes->sample_stride);
    size_t p = decoder->net->config->patch;
    put(decoder, BUF_READ_SCALED, decoder->host.read_scaled, n_rows);
    return (struct toto1_pass){
        .rows = {.all = rows, .read = rows},
        .scaled = tensor_at(decoder->buffers[BUF_SCALED], sizes->context_patches * p, n_rows * p),
    };
}

/* Without a cache each sample's whole sequence runs again, all positions of one pass around one centre. */
static void set_whole_sequence(struct decoder *decoder, const struct group_place *place, size_t g,
                               size_t v, size_t sample, size_t count, size_t step, size_t *n_labels)
{
    const struct decode_sizes *sizes = &decoder->sizes;
    struct row_tables *host = &decoder->host;
    bool labels = decoder->shape.labels;
    size_t n_variates = decoder->shape.n_variates, n_tokens = place->n_tokens + step;
    size_t group_first = place->first_row; /* of the pass's rows, set by whole_pass */
    size_t first = group_first + (v * count + sample) * n_tokens;
    size_t sample_row = (g * n_variates + v) * sizes->sample_stride + sample;
    for (size_t t = 0; t < n_tokens; t++) {
        size_t row = first + t;
        host->tokens[row] = (struct token_row){
            .position = (int32_t)t,
            .center = (int32_t)((n_tokens - 1) / 2),
            .slot = (int32_t)row,
        };
        host->time[row] = (struct attention_row){
            .first_a = (int32_t)first, .count_a = (int32_t)(t + 1), .stride = 1,
        };
        set_space(host, row, group_first + sample * n_tokens + t, n_variates, count * n_tokens,
                  group_id(place, v, t, labels));
        if (labels && t == 0) {
            host->source[row] = -1;
            host->label_row[*n_labels] = (int32_t)row;
            host->label_kind[(*n_labels)++] = is_exogenous(place->group, v);
            continue;
        }
        size_t patch = t - (labels ? 1 : 0);
        host->source[row] = (int32_t)(
            patch < place->n_patches ? place->first_patch + v * place->n_patches + patch
                                     : drawn_scaled_row(decoder, sample_row, patch - place->n_patches));
    }
    set_read(host, sample_row, first + n_tokens - 1,
             g * n_variates * sizes->sample_stride + sample, n_variates, sizes->sample_stride,
             drawn_scaled_row(decoder, sample_row, step - 1));
}

static struct toto1_pass whole_pass(struct decoder *decoder, size_t step, size_t count)
{
    const struct decode_sizes *sizes = &decoder->sizes;
    struct row_tables *host = &decoder->host;
    size_t n_variates = decoder->shape.n_variates, n_rows = 0, n_labels = 0;
    size_t n_read = decoder->n_groups * n_variates * sizes->sample_stride;
    for (size_t g = 0; g < decoder->n_groups; g++) {
        struct group_place place = decoder->places[g];
        place.first_row = n_rows;
        for (size_t v = 0; v < n_variates; v++) {
            for (size_t s = 0; s < count; s++)
                set_whole_sequence(decoder, &place, g, v, s, count, step, &n_labels);
            for (size_t s = count; s < sizes->sample_stride; s++)
                set_read_padding(host, (g * n_variates + v) * sizes->sample_stride + s);
        }
        n_rows += n_variates * count * (place.n_tokens + step);
    }
    put(decoder, BUF_READ_SCALED, host->read_scaled, n_read);
    return (struct toto1_pass){
        .rows = {
            .all = put_rows(decoder, n_rows, 1, 1),
            .read = put_read_rows(decoder, n_read, 1),
            .read_index = put(decoder, BUF_READ_INDEX, host->read_index, n_read),
        },
        .scaled = decoder->buffers[BUF_SCALED],
        .source = put(decoder, BUF_SOURCE, host->source, n_rows),
        .label_row = put(decoder, BUF_LABEL_ROW, host->label_row, n_labels),
        .label_kind = put(decoder, BUF_LABEL_KIND, host->label_kind, n_labels),
        .n_labels = n_labels,
    };
}

struct toto1_pass step_pass(struct decoder *decoder, size_t step, size_t count)
{
    const struct decode_sizes *sizes = &decoder->sizes;
    size_t p = decoder->net->config->patch, left = decoder->shape.horizon - step * p;
    struct toto1_pass pass = decoder->shape.kv_cache ? cached_pass(decoder, step, count)
                                                     : whole_pass(decoder, step, count);
    pass.rows.univariate = decoder->shape.n_variates == 1;
    pass.n_steps = left < p ? left : p;
    pass.use_fold = sizes->fold_steps > 0;
    pass.rows.n_slots = sizes->n_slots;
    return pass;
}

/* Each sample's newest patch goes on from its own statistics; the first one from those of the context. */
size_t step_sequences(struct decoder *decoder, size_t step, size_t count)
{
    const struct decode_sizes *sizes = &decoder->sizes;
    size_t n = 0;
    for (size_t gv = 0; gv < decoder->n_groups * decoder->shape.n_variates; gv++) {
        for (size_t s = 0; s < count; s++) {
            size_t row = gv * sizes->sample_stride + s;
            decoder->host.sequences[n++] = (struct scale_sequence){
                .first_value = (int32_t)(row * decoder->net->config->patch),
                .n_patches = 1,
                .first_row = (int32_t)drawn_scaled_row(decoder, row, step - 1),
                .state_in = (int32_t)(step == 1 ? gv : sizes->variates + row),
                .state_out = (int32_t)(sizes->variates + row),
            };
        }
    }
    put(decoder, BUF_SEQUENCES, decoder->host.sequences, ROW_INTS(struct scale_sequence, n));
    return n;
}

/* ---- Draws ------------------------------------------------------------------------------------------- */

void draw_table(struct decoder *decoder, size_t step, size_t first_sample, size_t count)
{
    const struct decode_sizes *sizes = &decoder->sizes;
    size_t n_variates = decoder->shape.n_variates, p = decoder->net->config->patch, n = 0;
    for (size_t g = 0; g < decoder->n_groups; g++) {
        const struct group_place *place = &decoder->places[g];
        const struct decode_group *group = place->group;
        for (size_t v = 0; v < n_variates; v++) {
            for (size_t s = 0; s < sizes->sample_stride; s++, n++) {
                size_t point = (g * n_variates + v) * decoder->shape.horizon + step * p;
                uint64_t out = (uint64_t)point * sizes->samples + first_sample + s;
                size_t exogenous = v - (n_variates - group->n_exogenous);
                bool given = group->future && is_exogenous(group, v);
                decoder->host.draws[n] = (struct draw_row){
                    .param_row = (int32_t)(step == 0 ? place->first_read + v : n),
                    .series = (int32_t)g,
                    .override_row = given ? (int32_t)((g * decoder->shape.n_overrides + exogenous) *
                                                      sizes->n_patches_out + step) : -1,
                    .sample = (int32_t)(first_sample + s),
                    .variate = (int32_t)v,
                    .key = {group->key[0], group->key[1]},
                    .out_high = (int32_t)(out >> 31),
                    .out_low = (int32_t)(out & 0x7FFFFFFFu),
                };
                if (s >= count)
                    decoder->host.draws[n].param_row = -1;
            }
        }
    }
    put(decoder, BUF_DRAWS, decoder->host.draws, ROW_INTS(struct draw_row, n));
}
