/* Lines and cells. libcsv knows quotes but neither lines nor places, and it passes over blank
 * lines; so it gets one physical line at a time, in strict mode, and the counting is done here. A
 * line without a quote is split here: its cells lie between delimiters, and libcsv's automaton
 * takes longer to say so than all the rest of reading (16 of 27 ms for the 2.6 MB of ETTh1.csv). */
#include "csv_read.h"

#include <csv.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FIRST_BUFFER_BYTES = 1 << 18,
    CELL_BLOCK_BYTES = 1 << 16, /* libcsv grows its cell by this much at a time */
    MOST_ROW_BYTES = 1 << 26,   /* bounds what a quote that is never closed takes */
};

struct reader {
    const char *path;
    const struct csv_sink *sink;
    char *delimiter;
    struct toto_error *err;
    enum toto_status status; /* set by the callbacks of libcsv */

    int fd;
    bool at_end;
    char *buffer; /* one byte longer than its size, for the NUL of the last cell */
    size_t buffer_size, start, end;
    size_t next_lf; /* first LF from start on, or end; SIZE_MAX: not looked for yet */

    struct csv_parser parser;
    bool parser_ready, delimiter_known;
    size_t line;   /* physical line in hand */
    bool row_open; /* a quoted cell goes on in the next line */
    bool row_ended;
    size_t quote_line; /* where the open quoted cell begins */
    size_t row_line, cell_line, row_bytes;
    struct csv_cell *cells;
    size_t n_cells, cells_size;
    char *text; /* cells of the row, each with its NUL */
    size_t text_used, text_size;
};

static enum toto_status broken(struct reader *r, size_t line, size_t field, const char *what)
{
    return r->sink->broken(r->sink->user, r->path, line, field, what, r->err);
}

/* Blanks belong to their cell, as RFC 4180 2.4 has it. */
static int never_space(unsigned char c)
{
    (void)c;
    return 0;
}

static bool grow(void *block, size_t *size, size_t needed, size_t item_bytes, void **grown)
{
    size_t wanted = *size ? *size : 64, bytes;
    while (wanted < needed)
        if (!size_mul(wanted, 2, &wanted))
            return false;
    if (!size_mul(wanted, item_bytes, &bytes) || !(*grown = mem_realloc(block, bytes)))
        return false;
    *size = wanted;
    return true;
}

/* The next cell of the row, not filled in; NULL with r->status set if there is no memory. */
static struct csv_cell *cell_add(struct reader *r)
{
    if (r->n_cells == r->cells_size) {
        void *grown;
        if (!grow(r->cells, &r->cells_size, r->n_cells + 1, sizeof *r->cells, &grown)) {
            r->status =
                toto_fail_memory(r->err, "a row of the input", r->cells_size * sizeof *r->cells);
            return NULL;
        }
        r->cells = grown;
    }
    return &r->cells[r->n_cells++];
}

/* libcsv: a cell is complete. Texts may move while the row grows, so pointers are set at its
 * end. */
static void on_cell(void *text, size_t length, void *user)
{
    struct reader *r = user;
    struct csv_cell *cell = r->status ? NULL : cell_add(r);
    if (!cell)
        return;
    if (r->text_size - r->text_used <= length) {
        void *grown;
        if (!grow(r->text, &r->text_size, r->text_used + length + 1, 1, &grown)) {
            r->status = toto_fail_memory(r->err, "a row of the input", r->text_size);
            return;
        }
        r->text = grown;
    }
    memcpy(r->text + r->text_used, text, length);
    r->text[r->text_used + length] = '\0';
    r->text_used += length + 1;
    *cell = (struct csv_cell){.length = length, .line = r->cell_line};
    r->cell_line = r->line;
}

static void on_row(int terminator, void *user)
{
    (void)terminator;
    ((struct reader *)user)->row_ended = true;
}

static enum toto_status row_deliver(struct reader *r)
{
    const struct csv_row row = {r->path, r->row_line, r->cells, r->n_cells};
    return r->sink->row(r->sink->user, &row, r->err);
}

/* Hands bytes to libcsv. */
static enum toto_status feed(struct reader *r, const char *text, size_t length)
{
    size_t done = csv_parse(&r->parser, text, length, on_cell, on_row, r);
    if (r->status || done == length)
        return r->status;
    if (csv_error(&r->parser) != CSV_EPARSE)
        return toto_fail_memory(r->err, "a cell of the input", length);
    return broken(r, r->line, r->n_cells + 1,
                  text[done] == '"'
                      ? "a quote inside a cell that does not begin with one; quote the whole "
                        "cell and double the quotes in it"
                      : "text after the closing quote; double the quotes inside the cell");
}

/* The candidate that stands most often outside quotes in the header; of equals the first. */
static char delimiter_find(const char *line, size_t length)
{
    static const char candidates[] = ",\t;|";
    size_t counts[sizeof candidates - 1] = {0}, best = 0;
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        const char *found = line[i] ? strchr(candidates, line[i]) : NULL;
        if (line[i] == '"')
            quoted = !quoted;
        else if (found && !quoted)
            counts[found - candidates]++;
    }
    for (size_t i = 1; i < sizeof counts / sizeof *counts; i++)
        if (counts[i] > counts[best])
            best = i;
    return candidates[best];
}

static bool is_blank_line(const struct reader *r, const char *line, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        bool tab_is_blank = !r->delimiter_known || *r->delimiter != '\t';
        if (line[i] != ' ' && line[i] != '\n' && line[i] != '\r' &&
            !(line[i] == '\t' && tab_is_blank))
            return false;
    }
    return true;
}

/* A row in one line without quotes: the cells stay where they are, and a NUL ends each. */
static enum toto_status plain_line_read(struct reader *r, char *line, size_t length)
{
    if (length && line[length - 1] == '\n')
        length--;
    if (length && line[length - 1] == '\r')
        length--;
    char *end = line + length;
    for (char *start = line, *stop; start <= end; start = stop + 1) {
        struct csv_cell *cell = cell_add(r);
        if (!cell)
            return r->status;
        if (!(stop = memchr(start, *r->delimiter, (size_t)(end - start))))
            stop = end;
        *cell = (struct csv_cell){start, (size_t)(stop - start), r->line};
        *stop = '\0';
    }
    return row_deliver(r);
}

/* A line with quotes, or inside of them. */
static enum toto_status quoted_line_read(struct reader *r, const char *line, size_t length)
{
    enum toto_status status;
    size_t cells_before = r->n_cells;
    r->row_ended = false;
    if ((status = feed(r, line, length)))
        return status;
    char last = line[length - 1];
    if (last != '\n' && last != '\r' && (status = feed(r, "\n", 1)))
        return status;
    if (r->row_ended) {
        const char *text = r->text;
        for (size_t i = 0; i < r->n_cells; i++) {
            r->cells[i].text = text;
            text += r->cells[i].length + 1;
        }
        r->row_open = false;
        return row_deliver(r);
    }
    if (!r->row_open || r->n_cells != cells_before)
        r->quote_line = r->line;
    r->row_open = true;
    r->row_bytes += length;
    if (r->row_bytes > MOST_ROW_BYTES)
        return broken(r, r->quote_line, r->n_cells + 1,
                      "the quote that opens here is not closed within 64 MiB; close it");
    return TOTO_STATUS_OK;
}

/* One physical line with its terminator, if it has one. */
static enum toto_status line_read(struct reader *r, char *line, size_t length)
{
    r->line++;
    if (!r->row_open) {
        if (is_blank_line(r, line, length))
            return TOTO_STATUS_OK;
        r->row_line = r->cell_line = r->line;
        r->row_bytes = r->text_used = r->n_cells = 0;
    }
    if (!r->delimiter_known) {
        *r->delimiter = delimiter_find(line, length);
        r->delimiter_known = true;
        csv_set_delim(&r->parser, (unsigned char)*r->delimiter);
    }
    const char *nul = memchr(line, '\0', length);
    if (nul) {
        enum toto_status status = feed(r, line, (size_t)(nul - line));
        if (status)
            return status;
        return broken(r, r->line, r->n_cells + 1,
                      "a NUL byte; the input must be text in UTF-8 (is it UTF-16 or compressed?)");
    }
    if (r->row_open || memchr(line, '"', length))
        return quoted_line_read(r, line, length);
    return plain_line_read(r, line, length);
}

/* Moves what is left to the front and reads more behind it. */
static enum toto_status buffer_fill(struct reader *r)
{
    if (r->start) {
        memmove(r->buffer, r->buffer + r->start, r->end - r->start);
        r->end -= r->start;
        r->start = 0;
    } else if (r->end == r->buffer_size) {
        if (r->buffer_size >= MOST_ROW_BYTES)
            return broken(r, r->line + 1, 1, "the line is longer than 64 MiB; is it CSV?");
        char *buffer = mem_realloc(r->buffer, 2 * r->buffer_size + 1);
        if (!buffer)
            return toto_fail_memory(r->err, "a line of the input", 2 * r->buffer_size);
        r->buffer = buffer;
        r->buffer_size *= 2;
    }
    r->next_lf = SIZE_MAX;
    ssize_t n;
    do
        n = read(r->fd, r->buffer + r->end, r->buffer_size - r->end);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return toto_fail(r->err, TOTO_STATUS_IO, "%s: cannot be read: %s", r->path,
                         strerror(errno));
    r->at_end = n == 0;
    r->end += (size_t)n;
    return TOTO_STATUS_OK;
}

/* Finds the next line, which ends in LF, CRLF, a lone CR or the end of the file; length 0: no
 * more. */
static enum toto_status line_next(struct reader *r, char **line, size_t *length)
{
    for (;;) {
        if (r->next_lf == SIZE_MAX || r->next_lf < r->start) {
            char *lf = memchr(r->buffer + r->start, '\n', r->end - r->start);
            r->next_lf = lf ? (size_t)(lf - r->buffer) : r->end;
        }
        char *found = memchr(r->buffer + r->start, '\r', r->next_lf - r->start);
        size_t cr = found ? (size_t)(found - r->buffer) : r->end, stop = SIZE_MAX;
        if (cr + 1 < r->end)
            stop = cr + 1 + (r->buffer[cr + 1] == '\n');
        else if (cr == r->end && r->next_lf < r->end)
            stop = r->next_lf + 1;
        else if (r->at_end)
            stop = r->end;
        if (stop != SIZE_MAX) {
            *line = r->buffer + r->start;
            *length = stop - r->start;
            r->start = stop;
            return TOTO_STATUS_OK;
        }
        enum toto_status status = buffer_fill(r);
        if (status)
            return status;
    }
}

static enum toto_status reader_open(struct reader *r)
{
    struct stat info;
    if (!strcmp(r->path, "-")) {
        r->fd = STDIN_FILENO;
    } else if ((r->fd = open(r->path, O_RDONLY | O_CLOEXEC)) < 0) {
        return toto_fail(r->err, TOTO_STATUS_NO_INPUT, "%s: cannot be opened: %s", r->path,
                         strerror(errno));
    }
    if (fstat(r->fd, &info) == 0 && S_ISDIR(info.st_mode))
        return toto_fail(r->err, TOTO_STATUS_NO_INPUT, "%s: is a folder; name a CSV file", r->path);
    r->buffer_size = FIRST_BUFFER_BYTES;
    if (!(r->buffer = mem_alloc(r->buffer_size + 1)))
        return toto_fail_memory(r->err, "reading the input", r->buffer_size);
    csv_init(&r->parser, CSV_STRICT);
    csv_set_realloc_func(&r->parser, mem_realloc);
    csv_set_free_func(&r->parser, mem_free);
    csv_set_space_func(&r->parser, never_space);
    csv_set_blk_size(&r->parser, CELL_BLOCK_BYTES);
    r->parser_ready = true;
    return TOTO_STATUS_OK;
}

enum toto_status csv_read(const char *path, const struct csv_sink *sink, char *delimiter,
                          struct toto_error *err)
{
    struct reader r = {.path = path,
                       .sink = sink,
                       .delimiter = delimiter,
                       .err = err,
                       .fd = -1,
                       .next_lf = SIZE_MAX};
    char *line;
    size_t length;
    enum toto_status status = reader_open(&r);
    if (status)
        goto done;
    while (r.end < 3 && !r.at_end)
        if ((status = buffer_fill(&r)))
            goto done;
    if (r.end >= 3 && !memcmp(r.buffer, "\xEF\xBB\xBF", 3))
        r.start = 3;
    while (!(status = line_next(&r, &line, &length)) && length)
        if ((status = line_read(&r, line, length)))
            goto done;
    if (!status && r.row_open)
        status = broken(
            &r, r.quote_line, r.n_cells + 1,
            "the quote that opens here is never closed; close it, or double it inside a cell");

done:
    if (r.parser_ready)
        csv_free(&r.parser);
    mem_free(r.cells);
    mem_free(r.text);
    mem_free(r.buffer);
    if (r.fd > STDIN_FILENO)
        close(r.fd);
    return status;
}
