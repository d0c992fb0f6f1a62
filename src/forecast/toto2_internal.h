/* What the files of Toto 2.0's decoder share. */
#ifndef TOTO_FORECAST_TOTO2_INTERNAL_H
#define TOTO_FORECAST_TOTO2_INTERNAL_H

#include "toto2_decode.h"

struct toto2_sizes {
    size_t variates;        /* of a group: V + K */
    size_t horizon_patches; /* N */
    size_t block;           /* nb, N in a single pass */
    size_t most_tokens;     /* of a sequence in any pass */
    size_t row_block, read_block;
    size_t rows, read_rows; /* of the largest pass of a whole batch */
    size_t sequences;       /* of a batch */
    size_t patches;         /* of a whole sequence, context and horizon */
    size_t slots;           /* of the KV cache */
};

enum toto2_buffer {
    T2_VALUES, T2_MASK, T2_SEQUENCES, T2_TOKENS, T2_LOC, T2_SCALE, T2_CAPS, T2_X, T2_X_READ, T2_Y, T2_Z, T2_Q,
    T2_H, T2_WIDE, T2_SPACE_KEYS, T2_SPACE_VALUES, T2_KEYS, T2_CACHED_VALUES, T2_HEAD, T2_ROWS, T2_TIME,
    T2_SPACE, T2_SPACE_GROUPS, T2_SPACE_TOKENS, T2_READ_ROWS, T2_READ_TIME, T2_READ_SPACE, T2_READ_GROUPS,
    T2_READ_SPACE_TOKENS, T2_READ_INDEX, T2_TIME_GROUPS, T2_QUANTILE_ROWS, T2_OUT, T2_COUNT
};

/* Host copies of a pass's tables. */
struct toto2_tables {
    struct token_row *tokens, *space_tokens, *read_tokens, *read_space_tokens;
    struct attention_row *time, *space, *read_time, *read_space;
    int32_t *groups, *read_groups, *read_index, *time_groups;
    struct token_sequence *sequences;
    struct quantile_row *quantiles;
    float *values;
    uint8_t *mask;
    bool *empty; /* [sequences, max_patches]: context patches without a value */
};

struct toto2_place {
    const struct toto2_group *group;
    size_t n_patches;      /* P0 */
    size_t first_sequence, first_slot;
    size_t first_row, first_read; /* of the running pass */
};

struct toto2_decoder {
    const struct toto2_net *net;
    struct backend *backend;
    struct toto2_shape shape;
    struct toto2_sizes sizes;
    struct tensor buffers[T2_COUNT];
    struct toto2_tables host;
    struct toto2_place *places;
    float *download;
    size_t n_groups; /* of the running batch */
};

/* A pass: blk patches after `done` are predicted. */
struct toto2_step {
    size_t done, count;
};

struct toto2_sizes toto2_sizes_of(const struct backend *backend, const struct toto2_config *config,
                                  const struct toto2_shape *shape);
enum toto_status toto2_tables_open(struct toto2_decoder *decoder, struct toto_error *err);
void toto2_tables_close(struct toto2_tables *tables);
size_t toto2_tables_bytes(const struct toto2_config *config, const struct toto2_shape *shape,
                          const struct toto2_sizes *sizes);

/* Values and masks of the whole sequences of a batch, and what of them is empty. */
void toto2_place_groups(struct toto2_decoder *decoder, const struct toto2_group *groups, size_t n_groups);
/* Tables of a pass; each uploads what it made. The first also sets the places' rows. */
struct transformer_pass toto2_step_rows(struct toto2_decoder *decoder, struct toto2_step step);
size_t toto2_step_sequences(struct toto2_decoder *decoder, struct toto2_step step);
size_t toto2_step_quantiles(struct toto2_decoder *decoder, struct toto2_step step);

#endif
