/* Future: a file of rows after the last of each series, with the covariates known ahead. */
#include "table.h"

#include <string.h>
#include <strings.h>

#include "../base/log.h"
#include "number.h"

/* What the rows of the file go through. */
struct future_reader {
    struct toto_table *table;
    size_t n_fields;        /* of the header; 0: not seen yet */
    struct csv_cell *cells; /* [n_columns] of a row, as the table's columns stand */
    struct dict strangers;  /* ids that the table has not */
    size_t stranger_line;   /* of the first */
};

static bool is_needed(enum column_role role)
{
    return role == COLUMN_ID || role == COLUMN_TIME || role == COLUMN_KNOWN;
}

/* The field that has the name: exactly, or else in any case. */
static enum toto_status field_find(const struct csv_row *header, const char *name, size_t *field,
                                   struct toto_error *err)
{
    *field = SIZE_MAX;
    for (int exact = 1; exact >= 0 && *field == SIZE_MAX; exact--) {
        for (size_t i = 0; i < header->n_cells; i++) {
            const char *text = header->cells[i].text;
            size_t length = header->cells[i].length;
            cell_trim(&text, &length);
            if (strlen(name) != length ||
                (exact ? memcmp(name, text, length) : strncasecmp(name, text, length)))
                continue;
            if (*field != SIZE_MAX)
                return toto_fail(err, TOTO_STATUS_DATA,
                                 "%s:%zu:%zu: column \"%.100s\": has the name of field %zu; "
                                 "rename one of them",
                                 header->path, header->cells[i].line, i + 1, name, *field + 1);
            *field = i;
        }
    }
    if (*field == SIZE_MAX)
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s:%zu: the future has no column \"%.100s\"; it needs the time column "
                         "of the input, the id column of long input and each column of --known",
                         header->path, header->line, name);
    return TOTO_STATUS_OK;
}

static enum toto_status header_read(struct future_reader *reader, const struct csv_row *header,
                                    struct toto_error *err)
{
    const struct toto_table *table = reader->table;
    for (size_t i = 0; i < table->n_columns; i++) {
        enum toto_status status;
        if (is_needed(table->columns[i].role) &&
            (status = field_find(header, table->columns[i].name, &table->future.fields[i], err)))
            return status;
    }
    reader->n_fields = header->n_cells;
    return TOTO_STATUS_OK;
}

/* Whether the row is of a series that the input has. */
static enum toto_status stranger_check(struct future_reader *reader, const struct csv_row *row,
                                       bool *stranger, struct toto_error *err)
{
    const struct toto_table *table = reader->table;
    *stranger = table->ids.n_entries == 0;
    if (table->layout == TOTO_LAYOUT_WIDE)
        return TOTO_STATUS_OK;
    const struct csv_cell *cell = &row->cells[table->id_column];
    const char *text = cell->text;
    size_t length = cell->length;
    cell_trim(&text, &length);
    /* An empty id is an error of its own. */
    *stranger = length && dict_find(&table->ids, cell->text, cell->length) == SIZE_MAX;
    if (!*stranger)
        return TOTO_STATUS_OK;
    if (reader->strangers.n_entries == 0)
        reader->stranger_line = row->line;
    return dict_add(&reader->strangers, cell->text, cell->length) == SIZE_MAX
               ? toto_fail_memory(err, "the series' names", cell->length)
               : TOTO_STATUS_OK;
}

static enum toto_status on_row(void *user, const struct csv_row *row, struct toto_error *err)
{
    struct future_reader *reader = user;
    const struct toto_table *table = reader->table;
    if (!reader->n_fields)
        return header_read(reader, row, err);
    if (row->n_cells != reader->n_fields)
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s:%zu: the row has %zu fields and the header %zu; give each row as many "
                         "as the header",
                         row->path, row->line, row->n_cells, reader->n_fields);
    for (size_t i = 0; i < table->n_columns; i++)
        reader->cells[i] = table->future.fields[i] == SIZE_MAX
                               ? (struct csv_cell){"", 0, row->line}
                               : row->cells[table->future.fields[i]];
    const struct csv_row whole = {table->future.path, row->line, reader->cells, table->n_columns};
    bool stranger;
    enum toto_status status = stranger_check(reader, &whole, &stranger, err);
    return status || stranger ? status : table_row_add(reader->table, &whole, err);
}

static enum toto_status on_broken(void *user, const char *path, size_t line, size_t field,
                                  const char *what, struct toto_error *err)
{
    (void)user;
    return toto_fail(err, TOTO_STATUS_DATA, "%s:%zu:%zu: %s", path, line, field, what);
}

enum toto_status table_future_read(struct toto_table *table, const char *path,
                                   struct toto_error *err)
{
    struct future_reader reader = {.table = table};
    const struct csv_sink sink = {on_row, on_broken, &reader};
    struct table_future *future = &table->future;
    char delimiter = ',';
    enum toto_status status;
    reader.cells = mem_calloc(table->n_columns, sizeof *reader.cells);
    future->fields = mem_calloc(table->n_columns, sizeof *future->fields);
    future->path = arena_strndup(&table->arena, path, strlen(path));
    if (!reader.cells || !future->fields || !future->path) {
        status = toto_fail_memory(err, "the columns", table->n_columns * sizeof *reader.cells);
        goto done;
    }
    for (size_t i = 0; i < table->n_columns; i++)
        future->fields[i] = SIZE_MAX;
    future->first_row = table->n_rows;
    table->files[table->n_files++] = (struct table_file){future->path, table->n_rows};
    if ((status = csv_read(future->path, &sink, &delimiter, err)))
        goto done;
    if (!reader.n_fields) {
        status = toto_fail(err, TOTO_STATUS_DATA,
                           "%s: is empty; a header line and rows are needed", future->path);
        goto done;
    }
    if (reader.strangers.n_entries)
        log_warn("%s:%zu: series \"%.60s\"%s not in the input; rows of such series are passed over",
                 future->path, reader.stranger_line, reader.strangers.entries[0].text,
                 reader.strangers.n_entries == 1 ? " is" : " and others are");
    if (table->n_rows == future->first_row)
        log_warn("%s: has no rows of a series of the input", future->path);

done:
    dict_free(&reader.strangers);
    mem_free(reader.cells);
    return status;
}
