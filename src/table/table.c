/* Rows of cells become typed columns. */
#include "table.h"

#include <errno.h>
#include <locale.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../base/log.h"
#include "number.h"

enum {
    BLOCK_BYTES = 1 << 18,
    LEAST_BLOCK_SHIFT = 4,
    MOST_BLOCK_SHIFT = 14,
    SHOWN_BYTES = 48, /* of a cell in a message */
};

/* What the rows of one file go through. */
struct table_reader {
    struct toto_table *table;
    const struct toto_table_options *options;
    bool header_seen; /* of the file in hand */
};

enum toto_status table_fail(const struct toto_table *table, enum toto_status status,
                            const char *path, size_t line, size_t column, struct toto_error *err,
                            const char *fmt, ...)
{
    char rest[768];
    va_list args;
    va_start(args, fmt);
    vsnprintf(rest, sizeof rest, fmt, args);
    va_end(args);
    if (column >= table->n_columns)
        return toto_fail(err, status, "%s:%zu:%zu: %s", path, line, column + 1, rest);
    size_t field = table->future.fields && path == table->future.path
                       ? table->future.fields[column]
                       : column;
    return toto_fail(err, status, "%s:%zu:%zu: column \"%.100s\": %s", path, line, field + 1,
                     table->columns[column].name, rest);
}

const char *table_place(const struct toto_table *table, size_t row, size_t *line)
{
    size_t at, file = table->n_files - 1;
    const struct table_block *block = table_block(table, row, &at);
    while (table->files[file].first_row > row)
        file--;
    *line = block->lines[at];
    return table->files[file].path;
}

/* The start of a cell in quotes, fit for one line of a message. */
static const char *cell_show(const struct csv_cell *cell, char out[SHOWN_BYTES + 8])
{
    size_t length = cell->length < SHOWN_BYTES ? cell->length : SHOWN_BYTES;
    /* A cut must not split a character of UTF-8. */
    while (length < cell->length && length > 0 &&
           ((unsigned char)cell->text[length] & 0xC0) == 0x80)
        length--;
    out[0] = '"';
    for (size_t i = 0; i < length; i++)
        out[i + 1] =
            (unsigned char)cell->text[i] < 0x20 || cell->text[i] == 0x7F ? '?' : cell->text[i];
    snprintf(out + 1 + length, 7, length < cell->length ? "...\"" : "\"");
    return out;
}

/* Makes room for one more row. */
static enum toto_status row_reserve(struct toto_table *table, struct toto_error *err)
{
    size_t rows = (size_t)1 << table->block_shift;
    if (table->n_rows < table->n_blocks << table->block_shift)
        return TOTO_STATUS_OK;
    if (table->n_rows > UINT32_MAX - rows)
        return toto_fail(err, TOTO_STATUS_RESOURCE, "the input has over %zu rows; split it",
                         table->n_rows);
    if (table->n_blocks == table->blocks_size) {
        size_t size = table->blocks_size ? 2 * table->blocks_size : 16;
        struct table_block *blocks = mem_realloc(table->blocks, size * sizeof *blocks);
        if (!blocks)
            return toto_fail_memory(err, "the table", size * sizeof *blocks);
        table->blocks = blocks;
        table->blocks_size = size;
    }
    bool timed = table->time_column != SIZE_MAX, keyed = table->layout == TOTO_LAYOUT_LONG;
    size_t row_bytes = timed * (sizeof(int64_t) + sizeof(int16_t)) + (1 + keyed) * sizeof(uint32_t),
           bytes;
    if (!size_mul(table->n_values, sizeof(float), &bytes) ||
        !size_add(row_bytes, bytes, &row_bytes) || !size_mul(row_bytes, rows, &bytes))
        return toto_fail_memory(err, "the table", SIZE_MAX);
    /* Columns of falling alignment, all in one allocation, which begins with the first of them. */
    char *at = mem_alloc(bytes);
    if (!at)
        return toto_fail_memory(err, "the table", bytes);
    struct table_block *block = &table->blocks[table->n_blocks++];
    *block = (struct table_block){0};
    if (timed) {
        block->times = (int64_t *)at;
        at += rows * sizeof *block->times;
    }
    block->lines = (uint32_t *)at;
    at += rows * sizeof *block->lines;
    if (keyed) {
        block->keys = (uint32_t *)at;
        at += rows * sizeof *block->keys;
    }
    block->values = (float *)at;
    at += rows * table->n_values * sizeof *block->values;
    if (timed)
        block->offsets = (int16_t *)at;
    return TOTO_STATUS_OK;
}

/* The key numbered `number`, made if it is new. */
static enum toto_status key_get(struct toto_table *table, size_t number, struct toto_error *err)
{
    if (number == SIZE_MAX)
        return toto_fail_memory(err, "the series' names", 0);
    if (number >= table->keys_size) {
        size_t size = table->keys_size ? 2 * table->keys_size : 16;
        struct table_key *keys = mem_realloc(table->keys, size * sizeof *keys);
        if (!keys)
            return toto_fail_memory(err, "the series", size * sizeof *keys);
        memset(keys + table->keys_size, 0, (size - table->keys_size) * sizeof *keys);
        table->keys = keys;
        table->keys_size = size;
    }
    if (table->keys[number].n_rows == 0)
        table->keys[number].first_row = (uint32_t)table->n_rows;
    table->keys[number].n_rows++;
    return TOTO_STATUS_OK;
}

static bool is_spoiled(const struct table_key *key, size_t value)
{
    for (const struct table_spoil *spoil = key->spoils; spoil; spoil = spoil->next)
        if (spoil->value == value || spoil->value == SIZE_MAX)
            return true;
    return false;
}

/* A bad cell, told in err, ends the reading under FAIL; else it spoils the variate (value SIZE_MAX:
 * all of its key) and the reading goes on. */
static enum toto_status spoil(struct toto_table *table, struct table_key *key, size_t value,
                              struct toto_error *err)
{
    if (table->on_error == TOTO_ON_ERROR_FAIL)
        return TOTO_STATUS_DATA;
    struct table_spoil *spoil = arena_alloc(&table->arena, sizeof *spoil);
    char *message = arena_strndup(&table->arena, err->message, strlen(err->message));
    if (!spoil || !message)
        return toto_fail_memory(err, "messages on the input", sizeof *spoil);
    *spoil = (struct table_spoil){key->spoils, value, message};
    key->spoils = spoil;
    return TOTO_STATUS_OK;
}

/* One form of time in a series; the most digits after a second are kept. NULL, or what is wrong. */
static enum toto_status format_join(const struct toto_table *table, const struct csv_row *row, struct table_key *key,
                                    const struct time_format *format, struct toto_error *err)
{
    size_t column = table->time_column;
    if (key->format.kind == TIME_NONE) {
        key->format = *format;
        key->format_row = (uint32_t)table->n_rows;
    }
    if (!time_format_same(&key->format, format)) {
        char here[TIME_TEXT_SIZE], there[TIME_TEXT_SIZE], shown[SHOWN_BYTES + 8];
        size_t line;
        const char *path = table_place(table, key->format_row, &line);
        time_format_pattern(format, here);
        time_format_pattern(&key->format, there);
        return table_fail(table, TOTO_STATUS_DATA, row->path, row->cells[column].line, column, err,
                          "%s is %s, but the time at %s:%zu is %s; write all times in one form",
                          cell_show(&row->cells[column], shown), here, path, line, there);
    }
    if (format->fraction_digits > key->format.fraction_digits)
        key->format.fraction_digits = format->fraction_digits;
    return TOTO_STATUS_OK;
}

static enum toto_status time_read(const struct toto_table *table, const struct csv_row *row,
                                  struct table_key *key, int64_t *ticks, int16_t *offset, struct toto_error *err)
{
    const struct csv_cell *cell = &row->cells[table->time_column];
    const char *text = cell->text;
    size_t length = cell->length;
    struct time_format format;
    char shown[SHOWN_BYTES + 8];
    *ticks = 0;
    *offset = 0;
    if (cell_is_missing(text, length))
        return table_fail(table, TOTO_STATUS_DATA, row->path, cell->line, table->time_column, err,
                          "the time is missing; give each row a time, or leave out the row");
    cell_trim(&text, &length);
    const char *wrong = timestamp_parse(text, length, &format, ticks);
    if (wrong)
        return table_fail(table, TOTO_STATUS_DATA, row->path, cell->line, table->time_column, err,
                          "%s %s", cell_show(cell, shown), wrong);
    *offset = (int16_t)format.offset_minutes;
    return format_join(table, row, key, &format, err);
}

/* Whether any target cell of the row, or of a row before it, is a number. */
static bool has_number(const struct toto_table *table, const struct csv_row *row)
{
    for (size_t i = 0; i < table->n_targets; i++) {
        const char *text = row->cells[table->values[i]].text;
        size_t length = row->cells[table->values[i]].length;
        float value;
        cell_trim(&text, &length);
        if (table->columns[table->values[i]].numeric ||
            (length && !number_parse(text, length, &value)))
            return true;
    }
    return false;
}

/* Words the error of a value cell that is no number. */
static enum toto_status value_fail(const struct toto_table *table, const struct csv_row *row,
                                   size_t column, const char *wrong, struct toto_error *err)
{
    const struct csv_cell *cell = &row->cells[column];
    char shown[SHOWN_BYTES + 8];
    const char *advice = "";
    if (table->layout == TOTO_LAYOUT_WIDE && table->columns[column].role == COLUMN_VALUE &&
        !table->columns[column].numeric) {
        const char *text = cell->text;
        size_t length = cell->length;
        struct time_format format;
        int64_t ticks;
        cell_trim(&text, &length);
        if (table->time_column == SIZE_MAX && !timestamp_parse(text, length, &format, &ticks))
            return table_fail(table, TOTO_STATUS_DATA, row->path, cell->line, column, err,
                              "%s is a time; if the column holds the times, name it with --time, or call it date",
                              cell_show(cell, shown));
        if (!has_number(table, row))
            advice = "; there is no numeric column, and a forecast needs one";
        else
            advice = "; --target chooses columns, --drop leaves one out, --id names one that tells series apart";
    }
    return table_fail(table, TOTO_STATUS_DATA, row->path, cell->line, column, err, "%s %s%s",
                      cell_show(cell, shown), wrong, advice);
}

static enum toto_status values_read(struct toto_table *table, const struct csv_row *row,
                                    struct table_key *key, float *values, struct toto_error *err)
{
    enum toto_status status;
    for (size_t i = 0; i < table->n_values; i++) {
        size_t column = table->values[i];
        const char *text = row->cells[column].text;
        size_t length = row->cells[column].length;
        float *value = &values[i << table->block_shift];
        *value = NAN;
        if (cell_is_missing(text, length))
            continue;
        cell_trim(&text, &length);
        const char *wrong = number_parse(text, length, value);
        if (!wrong) {
            table->columns[column].numeric = true;
            continue;
        }
        *value = NAN;
        if (is_spoiled(key, i))
            continue;
        value_fail(table, row, column, wrong, err);
        if ((status = spoil(table, key, i < table->n_targets ? i : SIZE_MAX, err)))
            return status;
    }
    return TOTO_STATUS_OK;
}

/* The series that the row belongs to. */
static enum toto_status key_read(struct toto_table *table, const struct csv_row *row,
                                 size_t *number, struct toto_error *err)
{
    *number = 0;
    if (table->layout == TOTO_LAYOUT_LONG) {
        const struct csv_cell *cell = &row->cells[table->id_column];
        const char *text = cell->text;
        size_t length = cell->length;
        cell_trim(&text, &length);
        if (length == 0)
            return table_fail(table, TOTO_STATUS_DATA, row->path, cell->line, table->id_column, err,
                              "the id is empty; give each row the id of its series");
        *number = dict_add(&table->ids, cell->text, cell->length);
    } else if (table->ids.n_entries == 0) {
        *number = dict_add(&table->ids, "", 0);
    }
    return key_get(table, *number, err);
}

/* The group cell, which must be the same in all rows of a key. */
static enum toto_status group_read(struct toto_table *table, const struct csv_row *row,
                                   struct table_key *key, struct toto_error *err)
{
    const struct csv_cell *cell = &row->cells[table->group_column];
    char here[SHOWN_BYTES + 8], there[SHOWN_BYTES + 8];
    size_t group = dict_add(&table->groups, cell->text, cell->length), line;
    if (group == SIZE_MAX)
        return toto_fail_memory(err, "the groups", cell->length);
    if (key->n_rows == 1)
        key->group = (uint32_t)group;
    if (key->group == group || is_spoiled(key, SIZE_MAX))
        return TOTO_STATUS_OK;
    const char *path = table_place(table, key->first_row, &line);
    const struct dict_entry *first = &table->groups.entries[key->group];
    const struct csv_cell other = {.text = first->text, .length = first->length};
    table_fail(table, TOTO_STATUS_DATA, row->path, cell->line, table->group_column, err,
               "%s, but the series was in group %s at %s:%zu; a series has one group",
               cell_show(cell, here), cell_show(&other, there), path, line);
    return spoil(table, key, SIZE_MAX, err);
}

enum toto_status table_row_add(struct toto_table *table, const struct csv_row *row,
                               struct toto_error *err)
{
    enum toto_status status = row_reserve(table, err);
    size_t number = 0, at;
    if (status || (status = key_read(table, row, &number, err)))
        return status;
    struct table_key *key = &table->keys[number];
    const struct table_block *block = table_block(table, table->n_rows, &at);
    if (row->line > UINT32_MAX)
        return toto_fail(err, TOTO_STATUS_RESOURCE, "%s: over %u lines; split the file", row->path,
                         UINT32_MAX);
    block->lines[at] = (uint32_t)row->line;
    if (block->keys)
        block->keys[at] = (uint32_t)number;
    if (table->group_column != SIZE_MAX && table->n_rows < table->future.first_row &&
        (status = group_read(table, row, key, err)))
        return status;
    if (block->times &&
        (status = time_read(table, row, key, &block->times[at], &block->offsets[at], err))) {
        /* In wide input all columns stand on the one time. */
        if (status != TOTO_STATUS_DATA || table->layout == TOTO_LAYOUT_WIDE)
            return status;
        if (!is_spoiled(key, SIZE_MAX) && (status = spoil(table, key, SIZE_MAX, err)))
            return status;
    }
    if ((status = values_read(table, row, key, block->values + at, err)))
        return status;
    table->n_rows++;
    return TOTO_STATUS_OK;
}

/* The rows' width: small enough that a short table stays small. */
static void block_shift_choose(struct toto_table *table)
{
    size_t row_bytes = sizeof(int64_t) + 3 * sizeof(uint32_t) + table->n_values * sizeof(float);
    table->block_shift = MOST_BLOCK_SHIFT;
    while (table->block_shift > LEAST_BLOCK_SHIFT && row_bytes << table->block_shift > BLOCK_BYTES)
        table->block_shift--;
}

/* The header of a further file must be that of the first. */
static enum toto_status header_compare(const struct toto_table *table, const struct csv_row *row,
                                       struct toto_error *err)
{
    for (size_t i = 0; i < row->n_cells && i < table->n_columns; i++) {
        const char *text = row->cells[i].text;
        size_t length = row->cells[i].length;
        cell_trim(&text, &length);
        if (strlen(table->columns[i].name) != length ||
            memcmp(table->columns[i].name, text, length)) {
            char shown[SHOWN_BYTES + 8];
            return toto_fail(
                err, TOTO_STATUS_DATA,
                "%s:%zu:%zu: the header has %s where that of %s has \"%.100s\"; files read "
                "together have one header",
                row->path, row->cells[i].line, i + 1, cell_show(&row->cells[i], shown),
                table->files[0].path, table->columns[i].name);
        }
    }
    if (row->n_cells != table->n_columns)
        return toto_fail(
            err, TOTO_STATUS_DATA,
            "%s:%zu: the header has %zu fields and that of %s has %zu; files read together "
            "have one header",
            row->path, row->line, row->n_cells, table->files[0].path, table->n_columns);
    return TOTO_STATUS_OK;
}

static enum toto_status on_row(void *user, const struct csv_row *row, struct toto_error *err)
{
    struct table_reader *reader = user;
    struct toto_table *table = reader->table;
    if (!reader->header_seen) {
        reader->header_seen = true;
        if (table->n_columns)
            return header_compare(table, row, err);
        enum toto_status status = table_roles_find(table, reader->options, row, err);
        block_shift_choose(table);
        return status;
    }
    if (row->n_cells > table->n_columns)
        return table_fail(table, TOTO_STATUS_DATA, row->path, row->cells[table->n_columns].line,
                          table->n_columns, err,
                          "the row has %zu fields and the header %zu; quote a cell that holds the "
                          "delimiter, or remove what is too much",
                          row->n_cells, table->n_columns);
    if (row->n_cells < table->n_columns)
        return table_fail(table, TOTO_STATUS_DATA, row->path, row->line, row->n_cells, err,
                          "the row has %zu of the header's %zu fields; leave a missing cell empty "
                          "between delimiters",
                          row->n_cells, table->n_columns);
    return table_row_add(table, row, err);
}

static enum toto_status on_broken(void *user, const char *path, size_t line, size_t field,
                                  const char *what, struct toto_error *err)
{
    const struct table_reader *reader = user;
    return table_fail(reader->table, TOTO_STATUS_DATA, path, line, field - 1, err, "%s", what);
}

static enum toto_status files_read(struct table_reader *reader, const char *const *paths,
                                   size_t n_paths, struct toto_error *err)
{
    struct toto_table *table = reader->table;
    const struct csv_sink sink = {on_row, on_broken, reader};
    for (size_t i = 0; i < n_paths; i++) {
        char delimiter = ',';
        char *path = arena_strndup(&table->arena, paths[i], strlen(paths[i]));
        if (!path)
            return toto_fail_memory(err, "the files' names", strlen(paths[i]));
        table->files[i] = (struct table_file){path, table->n_rows};
        table->n_files = i + 1;
        reader->header_seen = false;
        enum toto_status status = csv_read(path, &sink, i ? &delimiter : &table->delimiter, err);
        if (status)
            return status;
        if (!reader->header_seen)
            return toto_fail(err, TOTO_STATUS_DATA,
                             "%s: is empty; a header line and rows are needed", path);
    }
    for (size_t i = 0; i < table->n_targets; i++)
        if (table->layout == TOTO_LAYOUT_LONG || table->columns[table->values[i]].numeric)
            return TOTO_STATUS_OK;
    if (table->n_rows && table->keys[0].spoils)
        return toto_fail(err, TOTO_STATUS_DATA, "%s: no numeric column, and a forecast needs one",
                         table->files[0].path);
    return TOTO_STATUS_OK;
}

enum toto_status toto_table_read(const char *const *paths, size_t n_paths,
                                 const struct toto_table_options *options, struct toto_table **out,
                                 struct toto_error *err)
{
    const struct toto_table_options defaults = {0};
    struct toto_error ignored;
    enum toto_status status = TOTO_STATUS_OK;
    *out = NULL;
    if (!err)
        err = &ignored;
    /* Numbers have a decimal point whatever the program's locale is. */
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0), locale = (locale_t)0;
    struct toto_table *table = mem_calloc(1, sizeof *table);
    struct table_reader reader = {.table = table, .options = options ? options : &defaults};
    if (!table || !c_locale) {
        status = toto_fail_memory(err, "the table", sizeof *table);
        goto done;
    }
    locale = uselocale(c_locale);
    table->on_error = reader.options->on_error;
    table->delimiter = ',';
    table->id_column = table->time_column = table->group_column = SIZE_MAX;
    table->future.first_row = SIZE_MAX;
    /* One more: the file of the future. */
    if (!(table->files = mem_calloc(n_paths + 1, sizeof *table->files))) {
        status = toto_fail_memory(err, "the files' names", n_paths * sizeof *table->files);
        goto done;
    }
    if ((status = files_read(&reader, paths, n_paths, err)))
        goto done;
    if (table->n_rows == 0)
        log_warn("%s: has a header and no rows", table->files[0].path);
    if (reader.options->future && table->n_knowns &&
        (status = table_future_read(table, reader.options->future, err)))
        goto done;
    log_info("%zu rows read", table->n_rows);
    *out = table;
    table = NULL;

done:
    if (locale)
        uselocale(locale);
    if (c_locale)
        freelocale(c_locale);
    toto_table_free(table);
    return status;
}

void toto_table_free(struct toto_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->n_blocks; i++) {
        const struct table_block *block = &table->blocks[i];
        mem_free(block->times ? (void *)block->times : block->lines);
    }
    mem_free(table->blocks);
    mem_free(table->files);
    mem_free(table->columns);
    mem_free(table->values);
    mem_free(table->future.fields);
    mem_free(table->keys);
    dict_free(&table->ids);
    dict_free(&table->groups);
    arena_free(&table->arena);
    mem_free(table);
}
