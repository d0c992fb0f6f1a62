/* Options: what the commands share in reading their arguments.
 *
 * A command fills a table of argtable2 entries that ends in arg_end, and hands it to options_parse. The
 * helpers below turn the text of one option into a value and name the option, the text and what is
 * wanted when they cannot. */
#ifndef TOTO_COMMANDS_OPTIONS_H
#define TOTO_COMMANDS_OPTIONS_H

#include <argtable2.h>

#include "../toto.h"

#if defined(__GNUC__)
#define COMMAND_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define COMMAND_PRINTF(fmt, first)
#endif

/* Writes the message (cut to the size of err->message) and returns status. */
enum toto_status command_fail(struct toto_error *err, enum toto_status status, const char *fmt, ...)
    COMMAND_PRINTF(3, 4);

enum { HINT_SIZE = 96 };

/* Writes and returns "; the nearest is NAME", of the name nearest to `text` by edit distance (the first of equals) with
 * `dashes` before it, or nothing if none is near: within two edits, or one for every three characters. */
const char *nearest_hint(char hint[HINT_SIZE], const char *text, const char *dashes, const char *const *names,
                         size_t n_names);

/* What a command's help shows around its table of options. */
struct command_help {
    const char *command;     /* "forecast" */
    const char *usage;       /* what follows the command */
    const char *summary;
    const char *examples[2]; /* whole command lines */
    const char *notes;       /* lines after the options, or "" */
};

/* Parses argv (argv[0] is the command) into the table of n entries, the last an arg_end, `help` among
 * them. If help is asked for, prints it on standard output and sets *helped; else every fault of the
 * command line is TOTO_STATUS_USAGE. */
enum toto_status options_parse(int argc, char **argv, void **table, size_t n, const struct arg_lit *help,
                               const struct command_help *text, bool *helped, struct toto_error *err);

/* ---- Texts to values. `name` is the option with its dashes; text is not NULL. ---------------------- */

/* A whole decimal number within [least, most]. */
enum toto_status option_integer(const char *name, const char *text, uint64_t least, uint64_t most,
                                uint64_t *value, struct toto_error *err);

/* A number of bytes: decimal, with K, M, G or T (or KiB, ...) in powers of 1024, or KB, ... of 1000. */
enum toto_status option_bytes(const char *name, const char *text, size_t *bytes, struct toto_error *err);

/* Index of the text among the n choices. */
enum toto_status option_choice(const char *name, const char *text, const char *const *choices, size_t n,
                               int *choice, struct toto_error *err);

/* Numbers between commas, each in [least, most] and different from the others. *values is malloc'd. */
enum toto_status option_numbers(const char *name, const char *text, double least, double most,
                                double **values, size_t *n, struct toto_error *err);

/* Whole decimal numbers between commas, each in [least, most] and, if `distinct`, different from the others. *values is
 * malloc'd. */
enum toto_status option_integers(const char *name, const char *text, uint64_t least, uint64_t most, bool distinct,
                                 size_t **values, size_t *n, struct toto_error *err);

/* Names between commas, none empty. A name that holds a comma stands between double quotes. The block
 * *names holds the texts too; free() it. */
enum toto_status option_names(const char *name, const char *text, const char ***names, size_t *n,
                              struct toto_error *err);

/* ---- The same of an entry that may not be given: *value and *choice then stay as they are. ----------- */

/* The text, or NULL. */
const char *entry_text(const struct arg_str *entry);
enum toto_status entry_size(const struct arg_str *entry, const char *name, size_t least, size_t most, size_t *value,
                            struct toto_error *err);
enum toto_status entry_choice(const struct arg_str *entry, const char *name, const char *const *choices, size_t n,
                              int *choice, struct toto_error *err);

/* What -d names, else TOTO_DEVICE, else "auto". */
const char *entry_device(const struct arg_str *entry);
/* What -q and the number of -v ask for; both at once is an error. */
enum toto_status entry_log_level(const struct arg_lit *quiet, const struct arg_lit *verbose,
                                 enum toto_log_level *level, struct toto_error *err);

#define CHOICES(...) (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

/* Prints "toto: ", prefix and message on one line of standard error. What would act on a terminal, such as the escape
 * characters that a name of a column may hold, is shown as ? or as a blank. */
void command_print_message(const char *prefix, const char *message);

/* The library's messages on standard error; a toto_log_fn. */
void command_print_log(void *user, enum toto_log_level level, const char *line);

#endif
