/* CSV: a file becomes rows of cells, each with the line it stands on. */
#ifndef TOTO_TABLE_CSV_READ_H
#define TOTO_TABLE_CSV_READ_H

#include "../base/memory.h"

struct csv_cell {
    const char *text; /* unquoted, NUL-terminated */
    size_t length;
    size_t line; /* where it begins */
};

struct csv_row {
    const char *path;
    size_t line; /* where it begins, from 1 */
    const struct csv_cell *cells;
    size_t n_cells;
};

/* Where the rows go. Both are called with the sink's user; a status other than OK ends the
 * reading. */
struct csv_sink {
    /* The first row is the header; blank lines between rows are left out. Borrowed for the call. */
    enum toto_status (*row)(void *user, const struct csv_row *row, struct toto_error *err);
    /* Broken CSV at a line and field (from 1): writes the message, and never returns OK. */
    enum toto_status (*broken)(void *user, const char *path, size_t line, size_t field,
                               const char *what, struct toto_error *err);
    void *user;
};

/* Reads one file ("-": standard input) to its end. The delimiter is found in the header line and
 * stored before the first row is handed on. TOTO_STATUS_NO_INPUT if the file cannot be opened, _IO
 * if not read. */
enum toto_status csv_read(const char *path, const struct csv_sink *sink, char *delimiter,
                          struct toto_error *err);

#endif
