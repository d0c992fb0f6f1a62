/* What the files of the decoder share: its buffers and the tables of rows of a pass. */
#ifndef TOTO_FORECAST_DECODE_INTERNAL_H
#define TOTO_FORECAST_DECODE_INTERNAL_H

#include "decode.h"

/* Sizes that follow from a shape; tokens are patches and, with labels, one more before them. */
struct decode_sizes {
    size_t variates;      /* G V */
    size_t max_tokens;    /* of a context */
    size_t n_patches_out; /* R = ceil(horizon / P) */
    size_t samples;       /* S, or 1 for the mean forecast */
    size_t context_block, read_block, sample_block; /* row blocks: context, its last patches, samples */
    size_t context_rows;  /* of the pass over the contexts */
    size_t read_rows;     /* of the rows of it that are read */
    size_t sample_stride; /* rows of a variate in a decode pass: the chunk in whole blocks */
    size_t sample_rows;   /* G V sample_stride */
    size_t step_tokens;   /* tokens of one sample in the longest decode pass: 1 with a cache */
    size_t pass_rows, pass_read_rows; /* the most of any pass */
    size_t context_slots, n_slots;
    size_t context_patches, n_scaled; /* rows of scaled: contexts, then drawn patches */
    size_t drawn_patches; /* scaled rows that a sample keeps: 1 with a cache, R - 1 without */
    size_t first_steps;   /* steps of a patch that the first pass wants */
    size_t fold_steps;
};

enum decode_buffer {
    BUF_VALUES, BUF_MASK, BUF_SCALED, BUF_LOC, BUF_SCALE, BUF_FIRST_LOC, BUF_FIRST_SCALE, BUF_LOC_READ, BUF_SCALE_READ, BUF_STATES,
    BUF_SEQUENCES, BUF_PATCHES, BUF_X, BUF_X_READ, BUF_Y, BUF_Z, BUF_Q, BUF_H, BUF_SPACE_KEYS,
    BUF_SPACE_VALUES, BUF_KEYS, BUF_CACHED_VALUES, BUF_STEPS, BUF_FIRST_RAW, BUF_RAW, BUF_TOKENS, BUF_TIME, BUF_SPACE,
    BUF_SPACE_GROUPS, BUF_SPACE_TOKENS, BUF_SOURCE, BUF_LABEL_ROW, BUF_LABEL_KIND, BUF_READ_TOKENS,
    BUF_READ_TIME, BUF_READ_SPACE, BUF_READ_GROUPS, BUF_READ_SPACE_TOKENS, BUF_READ_INDEX,
    BUF_READ_SCALED, BUF_DRAWS, BUF_OVERRIDES, BUF_INJECT_U, BUF_INJECT_T, BUF_NEXT, BUF_TRAJECTORIES,
    BUF_POSITIONS, BUF_QUANTILES, BUF_MEAN, BUF_FLAGS, BUF_COUNT
};

struct decode_extent {
    enum tensor_kind kind;
    size_t n;
};

/* Host copies of a pass's tables, made anew for each pass. */
struct row_tables {
    struct token_row *tokens, *space_tokens;
    struct attention_row *time, *space;
    int32_t *space_groups, *source, *label_row, *label_kind;
    struct token_row *read_tokens, *read_space_tokens;
    struct attention_row *read_time, *read_space;
    int32_t *read_groups, *read_index, *read_scaled;
    struct scale_sequence *sequences;
    struct draw_row *draws;
    float *staging; /* values, overrides or injected draws on their way to the device */
    uint8_t *mask;
};

/* Where a group of the running batch lies. */
struct group_place {
    const struct decode_group *group;
    size_t n_patches, n_tokens;
    size_t first_row;   /* of the context pass */
    size_t first_read;  /* of the rows that are read */
    size_t first_slot;  /* of its keys and values */
    size_t first_patch; /* row of scaled */
};

struct decoder {
    const struct toto1_net *net;
    struct backend *backend;
    struct decode_shape shape;
    struct decode_sizes sizes;
    size_t n_quantiles;
    struct tensor buffers[BUF_COUNT];
    struct row_tables host;
    struct group_place *places;
    float *download;
    size_t n_groups;    /* of the running batch */
    size_t context_rows, read_rows; /* that it fills */
};

struct decode_sizes decode_sizes_of(const struct backend *backend, const struct toto1_config *config,
                                    const struct decode_shape *shape);
void decode_extents(const struct toto1_config *config, const struct decode_shape *shape,
                    const struct decode_sizes *sizes, size_t n_quantiles,
                    struct decode_extent extents[BUF_COUNT]);
/* Bytes of each host table, and their sum. */
size_t row_tables_bytes(const struct toto1_config *config, const struct decode_shape *shape,
                        const struct decode_sizes *sizes);
enum toto_status row_tables_open(struct decoder *decoder, struct toto_error *err);
void row_tables_close(struct row_tables *tables);

/* Tables of the pass over the contexts, of decode pass `step` (1, 2, ...) for `count` samples, and of the draws of
 * patch `step` (0, 1, ...) for samples first_sample .. + count. Each uploads what it made. */
void place_groups(struct decoder *decoder, const struct decode_group *groups, size_t n_groups);
struct toto1_pass context_pass(struct decoder *decoder);
struct toto1_pass step_pass(struct decoder *decoder, size_t step, size_t count);
size_t context_sequences(struct decoder *decoder);
size_t step_sequences(struct decoder *decoder, size_t step, size_t count);
void draw_table(struct decoder *decoder, size_t step, size_t first_sample, size_t count);

#endif
