/* Roles: which column is the id, the time, the group or a value. */
#include "table.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "../base/log.h"
#include "number.h"

static const char *const id_names[] = {"unique_id", "item_id", "series_id", "id", NULL};
static const char *const time_names[] = {"ds", "timestamp", "date", "datetime", "time", NULL};
static const char *const value_names[] = {"y", "target", "value", NULL};

/* First column that has one of the names and no other role, by the order of the names; SIZE_MAX:
 * none. */
static size_t find_known(const struct toto_table *table, const char *const *names)
{
    for (; *names; names++)
        for (size_t i = 0; i < table->n_columns; i++)
            if (table->columns[i].role == COLUMN_NONE &&
                !strcasecmp(table->columns[i].name, *names))
                return i;
    return SIZE_MAX;
}

/* Levenshtein distance without regard to case, of the first 63 bytes. */
static size_t name_distance(const char *a, const char *b)
{
    enum { MOST = 63 };
    size_t row[MOST + 1], n = strlen(b) < MOST ? strlen(b) : MOST;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i] && i < MOST; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            char pair[2][2] = {{a[i], '\0'}, {b[j], '\0'}};
            size_t best = diagonal + (strcasecmp(pair[0], pair[1]) != 0);
            diagonal = row[j + 1];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j + 1] + 1 < best)
                best = row[j + 1] + 1;
            row[j + 1] = best;
        }
    }
    return row[n];
}

/* Names of the columns that have the role (all: of every column), as many as fit. */
static void list_names(const struct toto_table *table, enum column_role role, bool all,
                       const char *between, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < table->n_columns; i++) {
        const struct table_column *column = &table->columns[i];
        if (!all && column->role != role)
            continue;
        int n = snprintf(out + used, size - used, "%s%s", used ? between : "", column->name);
        if (n < 0 || (size_t)n >= size - used) {
            snprintf(out + (used < size - 4 ? used : size - 4), 4, "...");
            return;
        }
        used += (size_t)n;
    }
}

/* The column that an option names: exactly, or else in any case. */
static enum toto_status find_named(const struct toto_table *table, const char *option,
                                   const char *name, const char *path, size_t *column,
                                   struct toto_error *err)
{
    size_t nearest = 0, nearest_distance = SIZE_MAX;
    for (int exact = 1; exact >= 0; exact--) {
        for (size_t i = 0; i < table->n_columns; i++) {
            const char *other = table->columns[i].name;
            if (exact ? !strcmp(other, name) : !strcasecmp(other, name)) {
                *column = i;
                return TOTO_STATUS_OK;
            }
            size_t distance = exact ? SIZE_MAX : name_distance(name, other);
            if (distance < nearest_distance) {
                nearest_distance = distance;
                nearest = i;
            }
        }
    }
    char names[512], hint[128] = "";
    list_names(table, COLUMN_NONE, true, ", ", names, sizeof names);
    if (nearest_distance <= 1 + strlen(name) / 3)
        snprintf(hint, sizeof hint, "; did you mean \"%.100s\"?", table->columns[nearest].name);
    return toto_fail(err, TOTO_STATUS_USAGE,
                     "%s: --%s names no column \"%.100s\"%s; the columns are: %s", path, option,
                     name, hint, names);
}

/* Gives the role to the column that an option names, once. */
static enum toto_status role_set(struct toto_table *table, const char *option, const char *name,
                                 const char *path, enum column_role role, size_t *column,
                                 struct toto_error *err)
{
    static const char *const options[] = {
        [COLUMN_DROPPED] = "--drop", [COLUMN_ID] = "--id",        [COLUMN_TIME] = "--time",
        [COLUMN_GROUP] = "--group",  [COLUMN_VALUE] = "--target", [COLUMN_PAST] = "--past",
        [COLUMN_KNOWN] = "--known",
    };
    size_t found;
    enum toto_status status = find_named(table, option, name, path, &found, err);
    if (status)
        return status;
    if (table->columns[found].role != COLUMN_NONE)
        return toto_fail(err, TOTO_STATUS_USAGE,
                         "column \"%.100s\" is named by %s and by --%s; a column has one role",
                         name, options[table->columns[found].role], option);
    table->columns[found].role = role;
    if (column)
        *column = found;
    return TOTO_STATUS_OK;
}

/* The columns that the options name. */
static enum toto_status roles_given(struct toto_table *table,
                                    const struct toto_table_options *options, const char *path,
                                    struct toto_error *err)
{
    enum toto_status status;
    for (size_t i = 0; i < options->n_drops; i++)
        if ((status = role_set(table, "drop", options->drops[i], path, COLUMN_DROPPED, NULL, err)))
            return status;
    if (options->id &&
        (status = role_set(table, "id", options->id, path, COLUMN_ID, &table->id_column, err)))
        return status;
    if (options->time && (status = role_set(table, "time", options->time, path, COLUMN_TIME,
                                            &table->time_column, err)))
        return status;
    if (options->group && (status = role_set(table, "group", options->group, path, COLUMN_GROUP,
                                             &table->group_column, err)))
        return status;
    for (size_t i = 0; i < options->n_targets; i++) {
        if ((status = role_set(table, "target", options->targets[i], path, COLUMN_VALUE,
                               &table->values[table->n_values], err)))
            return status;
        table->n_values++;
    }
    for (size_t i = 0; i < options->n_pasts; i++)
        if ((status = role_set(table, "past", options->pasts[i], path, COLUMN_PAST, NULL, err)))
            return status;
    for (size_t i = 0; i < options->n_knowns; i++)
        if ((status = role_set(table, "known", options->knowns[i], path, COLUMN_KNOWN, NULL, err)))
            return status;
    return TOTO_STATUS_OK;
}

/* Covariates come in the order of the input. */
static void covariates_append(struct toto_table *table)
{
    table->n_targets = table->n_values;
    for (size_t i = 0; i < table->n_columns; i++)
        if (table->columns[i].role == COLUMN_PAST)
            table->values[table->n_values++] = i;
    table->n_pasts = table->n_values - table->n_targets;
    for (size_t i = 0; i < table->n_columns; i++)
        if (table->columns[i].role == COLUMN_KNOWN)
            table->values[table->n_values++] = i;
    table->n_knowns = table->n_values - table->n_targets - table->n_pasts;
}

/* Long or wide, and the id and value columns of long input. */
static enum toto_status layout_find(struct toto_table *table,
                                    const struct toto_table_options *options,
                                    const struct csv_row *header, struct toto_error *err)
{
    bool wide = options->layout == TOTO_LAYOUT_WIDE;
    if (wide && options->id)
        return toto_fail(err, TOTO_STATUS_USAGE,
                         "--id names a column of long input; leave it out, or --layout wide");
    if (!wide && table->id_column == SIZE_MAX)
        table->id_column = find_known(table, id_names);
    if (options->group && (wide || table->id_column == SIZE_MAX))
        return toto_fail(
            err, TOTO_STATUS_USAGE,
            "--group names a column, which only long input can have, and %s is wide; write "
            "--group all or none",
            header->path);
    if (!wide && table->id_column != SIZE_MAX) {
        table->layout = TOTO_LAYOUT_LONG;
        table->columns[table->id_column].role = COLUMN_ID;
        if (table->n_values)
            return TOTO_STATUS_OK;
        size_t value = find_known(table, value_names);
        if (value == SIZE_MAX)
            return table_fail(
                table, TOTO_STATUS_DATA, header->path, header->line, table->id_column, err,
                "is an id, but there is no value column (y, target, value); name it with "
                "--target, or read each column as a series with --layout wide");
        table->columns[value].role = COLUMN_VALUE;
        table->values[table->n_values++] = value;
        return TOTO_STATUS_OK;
    }
    if (options->layout == TOTO_LAYOUT_LONG)
        return toto_fail(
            err, TOTO_STATUS_DATA,
            "%s:%zu: long input needs an id column (unique_id, item_id, series_id, id); name "
            "it with --id",
            header->path, header->line);
    table->layout = TOTO_LAYOUT_WIDE;
    return TOTO_STATUS_OK;
}

/* Long: no column may be left over. Wide: without targets every column left over is a value, with
 * them they come in the order of the input. */
static enum toto_status roles_of_rest(struct toto_table *table, const struct csv_row *header,
                                      struct toto_error *err)
{
    if (table->layout == TOTO_LAYOUT_WIDE) {
        bool given = table->n_values > 0;
        table->n_values = 0;
        for (size_t i = 0; i < table->n_columns; i++) {
            if (table->columns[i].role == COLUMN_NONE && !given)
                table->columns[i].role = COLUMN_VALUE;
            if (table->columns[i].role == COLUMN_VALUE)
                table->values[table->n_values++] = i;
        }
        if (table->n_values == 0)
            return toto_fail(
                err, TOTO_STATUS_DATA,
                "%s:%zu: no numeric column: there is none beside the time column and those "
                "left out; is the delimiter one of comma, tab, semicolon, pipe?",
                header->path, header->line);
        return TOTO_STATUS_OK;
    }
    for (size_t i = 0; i < table->n_columns; i++) {
        if (table->columns[i].role != COLUMN_NONE)
            continue;
        char names[512];
        list_names(table, COLUMN_NONE, false, ",", names, sizeof names);
        return table_fail(
            table, TOTO_STATUS_DATA, header->path, header->line, i, err,
            "is neither id, time nor value of long input; name a covariate with --past or --known, "
            "or leave it out with --drop %s",
            names);
    }
    return TOTO_STATUS_OK;
}

/* Names from the header; each must be there and be the only one. */
static enum toto_status names_read(struct toto_table *table, const struct csv_row *header,
                                   struct toto_error *err)
{
    struct dict seen = {0};
    enum toto_status status = TOTO_STATUS_OK;
    table->columns = mem_calloc(header->n_cells, sizeof *table->columns);
    table->values = mem_calloc(header->n_cells, sizeof *table->values);
    if (!table->columns || !table->values) {
        status = toto_fail_memory(err, "the columns", header->n_cells * sizeof *table->columns);
        goto done;
    }
    for (size_t i = 0; i < header->n_cells; i++) {
        const char *text = header->cells[i].text;
        size_t length = header->cells[i].length;
        cell_trim(&text, &length);
        if (length == 0) {
            status = toto_fail(err, TOTO_STATUS_DATA,
                               "%s:%zu:%zu: the column has no name; write one into the header",
                               header->path, header->cells[i].line, i + 1);
            goto done;
        }
        size_t number = dict_add(&seen, text, length);
        char *name = arena_strndup(&table->arena, text, length);
        if (number == SIZE_MAX || !name) {
            status = toto_fail_memory(err, "the columns' names", length);
            goto done;
        }
        table->columns[i].name = name;
        table->n_columns = i + 1;
        if (number < i) {
            status = table_fail(table, TOTO_STATUS_DATA, header->path, header->cells[i].line, i,
                                err, "has the name of field %zu; rename one of them", number + 1);
            goto done;
        }
    }

done:
    dict_free(&seen);
    return status;
}

/* A header of nothing but numbers and times is most likely the first row of a file that has none. */
static void header_warn(const struct toto_table *table, const struct csv_row *header)
{
    float value;
    struct time_format format;
    int64_t ticks;
    bool time = false;
    for (size_t i = 0; i < table->n_columns; i++) {
        const char *name = table->columns[i].name;
        if (!number_parse(name, strlen(name), &value))
            continue;
        if (timestamp_parse(name, strlen(name), &format, &ticks))
            return;
        time = true;
    }
    log_warn("%s:%zu: the header holds only numbers%s; if it is a row of data, put a header before it",
             header->path, header->line, time ? " and times" : "");
}

static void roles_log(const struct toto_table *table, const struct csv_row *header)
{
    if (!log_enabled(TOTO_LOG_INFO))
        return;
    char names[512];
    const char *delimiter = table->delimiter == ','    ? "comma"
                            : table->delimiter == '\t' ? "tab"
                            : table->delimiter == ';'  ? "semicolon"
                                                       : "pipe";
    list_names(table, COLUMN_VALUE, false, ", ", names, sizeof names);
    log_info("%s: %s layout, delimiter %s, id %s, time %s, %zu value column%s: %s", header->path,
             table->layout == TOTO_LAYOUT_WIDE ? "wide" : "long", delimiter,
             table->id_column == SIZE_MAX ? "none" : table->columns[table->id_column].name,
             table->time_column == SIZE_MAX ? "none" : table->columns[table->time_column].name,
             table->n_targets, table->n_targets == 1 ? "" : "s", names);
    if (table->n_pasts) {
        list_names(table, COLUMN_PAST, false, ", ", names, sizeof names);
        log_info("covariates of the past: %s", names);
    }
    if (table->n_knowns) {
        list_names(table, COLUMN_KNOWN, false, ", ", names, sizeof names);
        log_info("covariates known ahead: %s", names);
    }
}

enum toto_status table_roles_find(struct toto_table *table,
                                  const struct toto_table_options *options,
                                  const struct csv_row *header, struct toto_error *err)
{
    enum toto_status status = names_read(table, header, err);
    if (status || (status = roles_given(table, options, header->path, err)))
        return status;
    if (table->time_column == SIZE_MAX) {
        table->time_column = find_known(table, time_names);
        if (table->time_column != SIZE_MAX)
            table->columns[table->time_column].role = COLUMN_TIME;
    }
    if ((status = layout_find(table, options, header, err)) ||
        (status = roles_of_rest(table, header, err)))
        return status;
    covariates_append(table);
    header_warn(table, header);
    roles_log(table, header);
    return TOTO_STATUS_OK;
}
