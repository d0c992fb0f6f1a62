/* Table: typed columns of all files, row by row in blocks. What series are made of.
 *
 * A key is a series' identity: the distinct id cells of long input, the one key "" of wide input. A
 * variate is a key and a value column. */
#ifndef TOTO_TABLE_TABLE_H
#define TOTO_TABLE_TABLE_H

#include "csv_read.h"
#include "dict.h"
#include "timestamp.h"

enum column_role {
    COLUMN_NONE, /* not read: dropped, or beside the targets of wide input */
    COLUMN_DROPPED,
    COLUMN_ID,
    COLUMN_TIME,
    COLUMN_GROUP,
    COLUMN_VALUE, /* a target */
    COLUMN_PAST,  /* a covariate of the past */
    COLUMN_KNOWN, /* a covariate known ahead */
};

struct table_column {
    const char *name;
    enum column_role role;
    bool numeric; /* a number was read in it */
};

/* Why a variate, or all of a key (value SIZE_MAX), cannot be forecast: the whole message. A bad
 * covariate is all of its key. */
struct table_spoil {
    struct table_spoil *next;
    size_t value;
    const char *message;
};

struct table_key {
    uint32_t group; /* number of its group cell */
    uint32_t first_row;
    uint32_t n_rows;
    uint32_t format_row;        /* which set the format */
    struct time_format format;  /* of its times; the most digits of a fraction */
    struct table_spoil *spoils; /* the first found stands last */
};

/* Rows of one block; a column that the table has not is NULL. */
struct table_block {
    int64_t *times;
    uint32_t *lines, *keys;
    int16_t *offsets; /* minutes from UTC, as written */
    float *values;    /* [n_values][rows of a block], NaN where missing */
};

struct table_file {
    const char *path;
    size_t first_row;
};

/* The file of the known covariates' future: its rows stand behind all others, their targets and
 * covariates of the past missing. */
struct table_future {
    const char *path; /* NULL: there is none */
    size_t first_row; /* SIZE_MAX: there is none */
    size_t *fields;   /* [n_columns] where the file has the column; SIZE_MAX: it is not read */
};

struct toto_table {
    enum toto_layout layout;
    enum toto_on_error on_error;
    char delimiter; /* of the first file */
    struct table_file *files;
    size_t n_files;
    struct table_column *columns;
    size_t n_columns;
    size_t id_column, time_column, group_column; /* SIZE_MAX: none */
    size_t *values; /* columns that hold values: targets, covariates of the past, known ones */
    size_t n_values, n_targets, n_pasts, n_knowns;
    struct table_future future;

    size_t n_rows, n_blocks, blocks_size;
    unsigned block_shift; /* rows of a block: 1 << block_shift */
    struct table_block *blocks;
    struct dict ids, groups;
    struct table_key *keys; /* [ids.n_entries] */
    size_t keys_size;
    struct arena arena; /* names and messages */
};

static inline const struct table_block *table_block(const struct toto_table *table, size_t row,
                                                    size_t *offset)
{
    *offset = row & (((size_t)1 << table->block_shift) - 1);
    return &table->blocks[row >> table->block_shift];
}

/* Ticks of the row's time cell; rows count from 0 without a time column, and within their key by
 * the caller. */
static inline int64_t table_time(const struct toto_table *table, size_t row)
{
    size_t at;
    const struct table_block *block = table_block(table, row, &at);
    return block->times ? block->times[at] : (int64_t)row;
}

static inline uint32_t table_key(const struct toto_table *table, size_t row)
{
    size_t at;
    const struct table_block *block = table_block(table, row, &at);
    return block->keys ? block->keys[at] : 0;
}

static inline int table_offset_minutes(const struct toto_table *table, size_t row)
{
    size_t at;
    const struct table_block *block = table_block(table, row, &at);
    return block->offsets ? block->offsets[at] : 0;
}

/* The format of the row's own time cell, its offset included. */
static inline struct time_format table_time_format(const struct toto_table *table, size_t row)
{
    struct time_format format = table->keys[table_key(table, row)].format;
    format.offset_minutes = table_offset_minutes(table, row);
    return format;
}

/* NaN if missing; value is an index into table->values. */
static inline float table_value(const struct toto_table *table, size_t row, size_t value)
{
    size_t at;
    const struct table_block *block = table_block(table, row, &at);
    return block->values[(value << table->block_shift) + at];
}

/* The file and line of a row. */
const char *table_place(const struct toto_table *table, size_t row, size_t *line);

/* Decides what each column is from the header and the options. Fails with the message. */
enum toto_status table_roles_find(struct toto_table *table,
                                  const struct toto_table_options *options,
                                  const struct csv_row *header, struct toto_error *err);

/* Reads the file of the future of the known covariates behind the other rows. */
enum toto_status table_future_read(struct toto_table *table, const char *path,
                                   struct toto_error *err);

/* Adds a row, whose cells stand as the table's columns do. */
enum toto_status table_row_add(struct toto_table *table, const struct csv_row *row,
                               struct toto_error *err);

/* "PATH:LINE:FIELD: column "C": " and the formatted rest. column: of the table, from 0. Returns
 * status. */
enum toto_status table_fail(const struct toto_table *table, enum toto_status status,
                            const char *path, size_t line, size_t column, struct toto_error *err,
                            const char *fmt, ...) TOTO_PRINTF(7, 8);

#endif
