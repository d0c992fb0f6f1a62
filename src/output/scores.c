/* Scores as text: a table for a person, CSV, JSON or Markdown. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/arena.h"
#include "number_text.h"
#include "out_file.h"

struct toto_scores {
    struct out_file file;
    enum toto_scores_format format;
    const char *const *columns;
    size_t n_columns, n_rows, size;
    size_t width; /* that a table is folded to; 0: none */
    struct toto_cell *cells; /* [size][n_columns] */
    struct arena arena;      /* owns the texts */
};

enum {
    NUMBER_SIZE = 2 * NUMBER_TEXT_SIZE,
    LEAST_WIDTH = 3, /* of a column: Markdown's rule needs as much */
};

enum toto_status toto_scores_open(const char *path, enum toto_scores_format format, const char *const *columns,
                                  size_t n_columns, struct toto_scores **out, struct toto_error *err)
{
    struct toto_scores *scores = mem_calloc(1, sizeof *scores);
    *out = NULL;
    if (!scores)
        return toto_fail_memory(err, "the scores", sizeof *scores);
    scores->format = format;
    scores->columns = columns;
    scores->n_columns = n_columns;
    enum toto_status status = out_file_open(path, &scores->file, err);
    if (status) {
        toto_scores_abort(scores);
        return status;
    }
    *out = scores;
    return TOTO_STATUS_OK;
}

void toto_scores_fold(struct toto_scores *scores, size_t width)
{
    scores->width = width;
}

enum toto_status toto_scores_add(struct toto_scores *scores, const struct toto_cell *cells, struct toto_error *err)
{
    size_t n = scores->n_columns, row_bytes = n * sizeof *cells;
    if (scores->n_rows == scores->size) {
        size_t size = scores->size ? 2 * scores->size : 16;
        struct toto_cell *more = mem_realloc(scores->cells, size * row_bytes);
        if (!more)
            return toto_fail_memory(err, "the scores", size * row_bytes);
        scores->cells = more;
        scores->size = size;
    }
    struct toto_cell *own = scores->cells + scores->n_rows * n;
    memcpy(own, cells, row_bytes);
    for (size_t i = 0; i < n; i++) {
        if (own[i].kind != TOTO_CELL_TEXT)
            continue;
        own[i].text = arena_strndup(&scores->arena, cells[i].text, strlen(cells[i].text));
        if (!own[i].text)
            return toto_fail_memory(err, "the scores", strlen(cells[i].text));
    }
    scores->n_rows++;
    return TOTO_STATUS_OK;
}

/* ---- Cells as text ------------------------------------------------------------------------------------- */

/* The double in full, with a sign. */
static void exact_text(double value, char text[NUMBER_SIZE])
{
    size_t sign = value < 0;
    text[0] = '-';
    double_text(fabs(value), text + sign);
}

/* To four decimals; very large and very small numbers to four digits. The point is a point in every locale. */
static void short_text(double value, char text[NUMBER_SIZE])
{
    double size = fabs(value);
    snprintf(text, NUMBER_SIZE, size == 0.0 || (size >= 0.001 && size < 1e6) ? "%.4f" : "%.3e", value);
    for (char *c = text; *c; c++)
        if (!strchr("0123456789+-e", *c))
            *c = '.';
}

/* The cell as text, its own or in `number`; `nothing` where a number is not finite. */
static const char *cell_text(const struct toto_cell *cell, bool exact, const char *nothing,
                             char number[NUMBER_SIZE])
{
    if (cell->kind == TOTO_CELL_TEXT)
        return cell->text;
    if (cell->kind == TOTO_CELL_COUNT)
        snprintf(number, NUMBER_SIZE, "%llu", (unsigned long long)cell->count);
    else if (!isfinite(cell->real))
        return nothing;
    else if (exact)
        exact_text(cell->real, number);
    else
        short_text(cell->real, number);
    return number;
}

static enum toto_status put(struct toto_scores *scores, const char *text, struct toto_error *err)
{
    return out_file_write(&scores->file, text, strlen(text), err);
}

/* ---- Formats ------------------------------------------------------------------------------------------- */

/* How a column is set. */
struct column {
    size_t width; /* characters of its widest text */
    bool right;   /* it holds numbers; a text among them, such as "average", stands as they do */
};

/* Characters of UTF-8. */
static size_t text_width(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

/* Column i of a row, or of the head (row SIZE_MAX). */
static const char *person_text(const struct toto_scores *scores, size_t row, size_t i, char number[NUMBER_SIZE])
{
    return row == SIZE_MAX ? scores->columns[i]
                           : cell_text(&scores->cells[row * scores->n_columns + i], false, "-", number);
}

static void measure_columns(const struct toto_scores *scores, struct column *columns)
{
    for (size_t i = 0; i < scores->n_columns; i++) {
        char number[NUMBER_SIZE];
        columns[i].width = size_max(text_width(scores->columns[i]), LEAST_WIDTH);
        for (size_t row = 0; row < scores->n_rows; row++) {
            columns[i].width = size_max(columns[i].width, text_width(person_text(scores, row, i, number)));
            columns[i].right |= scores->cells[row * scores->n_columns + i].kind != TOTO_CELL_TEXT;
        }
    }
}

/* The text on one line; Markdown reads a bare | as the end of the cell. */
static enum toto_status put_person_text(struct toto_scores *scores, const char *text, struct toto_error *err)
{
    enum toto_status status = TOTO_STATUS_OK;
    while (*text && !status) {
        size_t run = strcspn(text, "|\r\n");
        status = out_file_write(&scores->file, text, run, err);
        text += run;
        if (!*text || status)
            break;
        status = put(scores, *text != '|' ? " " : scores->format == TOTO_SCORES_MD ? "\\|" : "|", err);
        text++;
    }
    return status;
}

static enum toto_status put_many(struct toto_scores *scores, const char *text, size_t n, struct toto_error *err)
{
    enum toto_status status = TOTO_STATUS_OK;
    for (size_t i = 0; i < n && !status; i++)
        status = put(scores, text, err);
    return status;
}

/* Columns that stand side by side: the first n_keys, and those from begin to end. */
struct block {
    size_t n_keys, begin, end;
};

static enum toto_status put_person_row(struct toto_scores *scores, const struct column *columns,
                                       const struct block *block, size_t row, struct toto_error *err)
{
    bool markdown = scores->format == TOTO_SCORES_MD;
    enum toto_status status = TOTO_STATUS_OK;
    for (size_t i = 0; i < block->end && !status; i++) {
        if (i >= block->n_keys && i < block->begin)
            continue;
        char number[NUMBER_SIZE];
        const char *text = person_text(scores, row, i, number);
        size_t blanks = columns[i].width - text_width(text);
        bool trailing = i + 1 == block->end && !markdown;
        status = put(scores, markdown && !i ? "| " : markdown ? " | " : i ? "  " : "", err);
        if (columns[i].right && !status)
            status = put_many(scores, " ", blanks, err);
        if (!status)
            status = put_person_text(scores, text, err);
        if (!columns[i].right && !trailing && !status)
            status = put_many(scores, " ", blanks, err);
    }
    return status ? status : put(scores, markdown ? " |\n" : "\n", err);
}

/* The line below the head of Markdown. */
static enum toto_status put_rule(struct toto_scores *scores, const struct column *columns, struct toto_error *err)
{
    enum toto_status status = TOTO_STATUS_OK;
    for (size_t i = 0; i < scores->n_columns && !status; i++) {
        status = put(scores, i ? " | " : "| ", err);
        if (!status)
            status = put_many(scores, "-", columns[i].width - columns[i].right, err);
        if (columns[i].right && !status)
            status = put(scores, ":", err);
    }
    return status ? status : put(scores, " |\n", err);
}

/* The block from begin on that fits the width, with at least one column beside the keys. */
static struct block find_block(const struct toto_scores *scores, const struct column *columns, size_t n_keys,
                               size_t begin)
{
    enum { BETWEEN = 2 };
    struct block block = {n_keys, begin, begin};
    size_t used = 0;
    for (size_t i = 0; i < n_keys; i++)
        used += columns[i].width + BETWEEN;
    for (; block.end < scores->n_columns; block.end++) {
        used += columns[block.end].width;
        if (scores->format == TOTO_SCORES_TABLE && scores->width && used > scores->width && block.end > begin)
            break;
        used += BETWEEN;
    }
    return block;
}

static enum toto_status put_person(struct toto_scores *scores, struct toto_error *err)
{
    size_t n = scores->n_columns, n_keys = 0;
    struct column *columns = mem_calloc(scores->n_columns, sizeof *columns);
    if (!columns)
        return toto_fail_memory(err, "the scores", scores->n_columns * sizeof *columns);
    measure_columns(scores, columns);
    while (n_keys < n && !columns[n_keys].right)
        n_keys++;
    enum toto_status status = TOTO_STATUS_OK;
    struct block block = {.end = n_keys};
    do {
        if (block.end > n_keys)
            status = put(scores, "\n", err);
        block = find_block(scores, columns, n_keys, block.end);
        if (!status)
            status = put_person_row(scores, columns, &block, SIZE_MAX, err);
        if (scores->format == TOTO_SCORES_MD && !status)
            status = put_rule(scores, columns, err);
        for (size_t row = 0; row < scores->n_rows && !status; row++)
            status = put_person_row(scores, columns, &block, row, err);
    } while (block.end < n && !status);
    mem_free(columns);
    return status;
}

static enum toto_status put_csv(struct toto_scores *scores, struct toto_error *err)
{
    enum toto_status status = TOTO_STATUS_OK;
    for (size_t row = 0; row <= scores->n_rows && !status; row++) {
        for (size_t i = 0; i < scores->n_columns && !status; i++) {
            char number[NUMBER_SIZE];
            const char *text = row ? cell_text(&scores->cells[(row - 1) * scores->n_columns + i], true, "", number)
                                   : scores->columns[i];
            status = put(scores, i ? "," : "", err);
            if (!status)
                status = out_file_field(&scores->file, text, err);
        }
        if (!status)
            status = put(scores, "\n", err);
    }
    return status;
}

static enum toto_status put_json_text(struct toto_scores *scores, const char *text, struct toto_error *err)
{
    json_t *string = json_string(text);
    char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    json_decref(string);
    enum toto_status status =
        quoted ? put(scores, quoted, err)
               : toto_fail(err, TOTO_STATUS_DATA, "\"%.200s\" is not UTF-8, which JSON is written in", text);
    free(quoted);
    return status;
}

static enum toto_status put_json(struct toto_scores *scores, struct toto_error *err)
{
    enum toto_status status = put(scores, "{\n  \"toto\": \"" TOTO_VERSION "\",\n  \"scores\": [", err);
    for (size_t row = 0; row < scores->n_rows && !status; row++) {
        status = put(scores, row ? ",\n    {" : "\n    {", err);
        for (size_t i = 0; i < scores->n_columns && !status; i++) {
            const struct toto_cell *cell = &scores->cells[row * scores->n_columns + i];
            char number[NUMBER_SIZE];
            if (i)
                status = put(scores, ", ", err);
            if (!status)
                status = put_json_text(scores, scores->columns[i], err);
            if (!status)
                status = put(scores, ": ", err);
            if (!status)
                status = cell->kind == TOTO_CELL_TEXT ? put_json_text(scores, cell->text, err)
                                                      : put(scores, cell_text(cell, true, "null", number), err);
        }
        if (!status)
            status = put(scores, "}", err);
    }
    return status ? status : put(scores, scores->n_rows ? "\n  ]\n}\n" : "]\n}\n", err);
}

enum toto_status toto_scores_close(struct toto_scores *scores, struct toto_error *err)
{
    enum toto_status status = scores->format == TOTO_SCORES_CSV    ? put_csv(scores, err)
                              : scores->format == TOTO_SCORES_JSON ? put_json(scores, err)
                                                                   : put_person(scores, err);
    if (!status)
        status = out_file_finish(&scores->file, err);
    if (!status)
        status = out_file_commit(&scores->file, err);
    toto_scores_abort(scores);
    return status;
}

void toto_scores_abort(struct toto_scores *scores)
{
    if (!scores)
        return;
    out_file_close(&scores->file);
    mem_free(scores->cells);
    arena_free(&scores->arena);
    mem_free(scores);
}
