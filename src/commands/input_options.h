/* Options of every command that reads series: the files, which column is what, and what becomes of a series. */
#ifndef TOTO_COMMANDS_INPUT_OPTIONS_H
#define TOTO_COMMANDS_INPUT_OPTIONS_H

#include <argtable2.h>

#include "../toto.h"

/* Entries of argtable2, in the order that help prints. */
struct input_entries {
    struct arg_str *context, *fill, *layout, *id, *time, *target, *drop, *group, *on_error, *past, *known;
};

enum { INPUT_ENTRIES = sizeof(struct input_entries) / sizeof(void *) };

/* Names of columns that the options point to; zeroed, they are empty. */
struct input_lists {
    const char **targets, **pasts, **knowns, **drops;
};

void input_entries_make(struct input_entries *entries);

/* Turns parsed entries into the options of the table and of its series. Whatever is returned, the lists may be freed. */
enum toto_status input_options_read(const struct input_entries *entries, struct input_lists *lists,
                                    struct toto_table_options *table, struct toto_series_options *series,
                                    struct toto_error *err);
void input_lists_free(struct input_lists *lists);

/* The FILE arguments: never empty afterwards, "-" stands in for none. future: a file that is read too, or NULL. */
struct arg_file *input_files_make(void);
enum toto_status input_files_read(const struct arg_file *entry, const char *future, const char *command,
                                  const char *const **files, size_t *n_files, struct toto_error *err);

#endif
