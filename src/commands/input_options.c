/* Options of every command that reads series. */
#include "input_options.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options.h"

enum { MOST_FILES = 4096, MOST_CONTEXT = 1000000 };

static const char *const standard_input[] = {"-"};

void input_entries_make(struct input_entries *t)
{
    t->context = arg_str0(NULL, "context", "N", "the last N points of a series are read; default: 4096");
    t->fill = arg_str0(NULL, "fill", "FILL",
                       "what stands in for a missing value: none, ffill or linear; default: ffill");
    t->layout = arg_str0(NULL, "layout", "LAYOUT", "auto, wide or long; default: auto");
    t->id = arg_str0(NULL, "id", "COL", "the column of ids of long input");
    t->time = arg_str0(NULL, "time", "COL", "the column of times");
    t->target = arg_str0(NULL, "target", "COL,...", "the columns to forecast");
    t->drop = arg_str0(NULL, "drop", "COL,...", "columns to leave out");
    t->group = arg_str0(NULL, "group", "GROUP", "which series see each other: all, none, or a column of "
                                                "long input; default: wide all, long none");
    t->on_error = arg_str0(NULL, "on-error", "WHAT",
                           "what one bad series does to the rest: fail, skip or null; default: fail");
    t->past = arg_str0(NULL, "past", "COL,...", "covariates of the past: seen, and not forecast");
    t->known = arg_str0(NULL, "known", "COL,...", "covariates known ahead (experimental)");
}

/* A list of columns; *names is the caller's. */
static enum toto_status read_names(const struct arg_str *entry, const char *name, const char ***names,
                                   const char *const **columns, size_t *n, struct toto_error *err)
{
    if (!entry->count)
        return TOTO_STATUS_OK;
    enum toto_status status = option_names(name, entry->sval[0], names, n, err);
    if (status == TOTO_STATUS_OK)
        *columns = *names;
    return status;
}

enum toto_status input_options_read(const struct input_entries *t, struct input_lists *lists,
                                    struct toto_table_options *table, struct toto_series_options *series,
                                    struct toto_error *err)
{
    enum toto_status status;
    int layout = TOTO_LAYOUT_AUTO, fill = TOTO_FILL_FFILL, on_error = TOTO_ON_ERROR_FAIL;

    if ((status = entry_choice(t->layout, "--layout", CHOICES("auto", "wide", "long"), &layout, err)) ||
        (status = entry_choice(t->fill, "--fill", CHOICES("ffill", "none", "linear"), &fill, err)) ||
        (status = entry_choice(t->on_error, "--on-error", CHOICES("fail", "skip", "null"), &on_error, err)) ||
        (status = entry_size(t->context, "--context", 1, MOST_CONTEXT, &series->context, err)))
        return status;
    table->layout = (enum toto_layout)layout;
    table->on_error = (enum toto_on_error)on_error;
    series->on_error = (enum toto_on_error)on_error;
    series->fill = (enum toto_fill)fill;
    const char *group = entry_text(t->group);
    if (group && strcmp(group, "all") == 0) {
        series->group = TOTO_GROUP_ALL;
    } else if (group && strcmp(group, "none") == 0) {
        series->group = TOTO_GROUP_NONE;
    } else if (group) {
        series->group = TOTO_GROUP_COLUMN;
        table->group = group;
    }
    table->id = entry_text(t->id);
    table->time = entry_text(t->time);
    if ((status = read_names(t->target, "--target", &lists->targets, &table->targets, &table->n_targets, err)) ||
        (status = read_names(t->past, "--past", &lists->pasts, &table->pasts, &table->n_pasts, err)) ||
        (status = read_names(t->known, "--known", &lists->knowns, &table->knowns, &table->n_knowns, err)))
        return status;
    return read_names(t->drop, "--drop", &lists->drops, &table->drops, &table->n_drops, err);
}

void input_lists_free(struct input_lists *lists)
{
    free(lists->targets);
    free(lists->pasts);
    free(lists->knowns);
    free(lists->drops);
    *lists = (struct input_lists){.targets = NULL};
}

struct arg_file *input_files_make(void)
{
    return arg_filen(NULL, NULL, "FILE", 0, MOST_FILES, NULL);
}

enum toto_status input_files_read(const struct arg_file *entry, const char *future, const char *command,
                                  const char *const **files, size_t *n_files, struct toto_error *err)
{
    bool stdin_seen = future && strcmp(future, "-") == 0;
    *files = entry->count ? entry->filename : standard_input;
    *n_files = entry->count ? (size_t)entry->count : 1;
    for (size_t i = 0; i < *n_files; i++) {
        if (strcmp((*files)[i], "-") != 0)
            continue;
        if (stdin_seen)
            return command_fail(err, TOTO_STATUS_USAGE, "standard input (-) is named twice");
        stdin_seen = true;
    }
    if (!entry->count && isatty(STDIN_FILENO))
        return command_fail(err, TOTO_STATUS_USAGE,
                            "no FILE is given, and standard input is a terminal. Try 'toto %s --help'", command);
    return TOTO_STATUS_OK;
}
