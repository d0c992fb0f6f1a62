/* Options: argtable2's findings become sentences, and texts become values. */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_SIZE = 64 };

/* What an entry of argtable2 registers when it occurs too often (EMAXCOUNT in each arg_*.c of it). */
enum { ENTRY_TOO_MANY = 2 };

enum toto_status command_fail(struct toto_error *err, enum toto_status status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->message, sizeof err->message, fmt, args);
    va_end(args);
    return status;
}

/* ---- The nearest name ------------------------------------------------------------------------------ */

/* Edits (insert, delete, replace one character) from a to b, both cut to NAME_SIZE characters. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[NAME_SIZE + 1];
    size_t length_a = strlen(a), length_b = strlen(b);
    if (length_a > NAME_SIZE)
        length_a = NAME_SIZE;
    if (length_b > NAME_SIZE)
        length_b = NAME_SIZE;
    for (size_t j = 0; j <= length_b; j++)
        row[j] = j;
    for (size_t i = 1; i <= length_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= length_b; j++) {
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            size_t shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = replaced < shorter ? replaced : shorter;
        }
    }
    return row[length_b];
}

const char *nearest_hint(char hint[HINT_SIZE], const char *text, const char *dashes, const char *const *names,
                         size_t n_names)
{
    size_t third = strlen(text) / 3, least = (third > 2 ? third : 2) + 1;
    hint[0] = '\0';
    for (size_t i = 0; i < n_names; i++) {
        size_t distance = edit_distance(text, names[i]);
        if (distance < least) {
            least = distance;
            snprintf(hint, HINT_SIZE, "; the nearest is %s%s", dashes, names[i]);
        }
    }
    return hint;
}

/* ---- Faults of a command line ---------------------------------------------------------------------- */

/* "-m/--model" or "FILE" of a table entry. */
static void entry_name(const struct arg_hdr *entry, char *name, size_t size)
{
    if (entry->shortopts && entry->longopts)
        snprintf(name, size, "-%s/--%s", entry->shortopts, entry->longopts);
    else if (entry->longopts)
        snprintf(name, size, "--%s", entry->longopts);
    else
        snprintf(name, size, "%s", entry->datatype);
}

static enum toto_status unknown_long(const char *given, void **table, size_t n, const char *command,
                                     struct toto_error *err)
{
    const char *names[64];
    size_t n_names = 0;
    for (size_t i = 0; i + 1 < n && n_names < sizeof names / sizeof *names; i++) {
        const struct arg_hdr *entry = table[i];
        if (entry->longopts)
            names[n_names++] = entry->longopts;
    }
    char bare[NAME_SIZE];
    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(given + 2, "="), given + 2);
    for (size_t i = 0, n_fitting = 0; i < n_names; i++) {
        n_fitting += strncmp(bare, names[i], strlen(bare)) == 0;
        if (n_fitting == 2)
            return command_fail(err, TOTO_STATUS_USAGE,
                                "option --%s could be more than one option; write it out. "
                                "Try 'toto %s --help'", bare, command);
    }
    char hint[HINT_SIZE];
    return command_fail(err, TOTO_STATUS_USAGE, "unknown option --%s%s. Try 'toto %s --help'", bare,
                        nearest_hint(hint, bare, "--", names, n_names), command);
}

static enum toto_status unknown_short(char letter, void **table, size_t n, const char *command,
                                      struct toto_error *err)
{
    for (size_t i = 0; i + 1 < n; i++) {
        const struct arg_hdr *entry = table[i];
        if (entry->longopts && entry->longopts[0] == tolower((unsigned char)letter))
            return command_fail(err, TOTO_STATUS_USAGE,
                                "unknown option -%c; the nearest is --%s. Try 'toto %s --help'", letter,
                                entry->longopts, command);
    }
    return command_fail(err, TOTO_STATUS_USAGE, "unknown option -%c. Try 'toto %s --help'", letter, command);
}

/* The sentence for the first fault that argtable2 found. */
static enum toto_status first_fault(void **table, size_t n, const char *command, struct toto_error *err)
{
    const struct arg_end *end = table[n - 1];
    const int code = end->error[0];
    const struct arg_hdr *entry = end->parent[0];
    const char *given = end->argval[0] ? end->argval[0] : "";
    char name[NAME_SIZE];

    if (entry != &end->hdr) {
        entry_name(entry, name, sizeof name);
        if (code == ENTRY_TOO_MANY && entry->longopts)
            return command_fail(err, TOTO_STATUS_USAGE, "option %s is given twice. Try 'toto %s --help'",
                                name, command);
        if (code == ENTRY_TOO_MANY)
            return command_fail(err, TOTO_STATUS_USAGE, "unexpected argument \"%s\". Try 'toto %s --help'",
                                given, command);
        return command_fail(err, TOTO_STATUS_USAGE, "%s is missing. Try 'toto %s --help'", name, command);
    }
    if (code == ARG_EMISSARG && !*given)
        return command_fail(err, TOTO_STATUS_USAGE, "the value of an option is empty. Try 'toto %s --help'",
                            command);
    if (code == ARG_EMISSARG)
        return command_fail(err, TOTO_STATUS_USAGE, "option %s needs a value. Try 'toto %s --help'", given,
                            command);
    if (code == ARG_ELONGOPT && strncmp(given, "--", 2) == 0)
        return unknown_long(given, table, n, command, err);
    if (code == ARG_ENOMATCH)
        return command_fail(err, TOTO_STATUS_USAGE, "unexpected argument \"%s\". Try 'toto %s --help'",
                            given, command);
    if (code == ARG_EMALLOC)
        return command_fail(err, TOTO_STATUS_RESOURCE, "not enough memory for the options");
    if (code >= 0 && (size_t)code < n - 1 && code < ' ') { /* --NAME=VALUE: getopt_long says which entry */
        entry_name(table[code], name, sizeof name);
        return command_fail(err, TOTO_STATUS_USAGE, "option %s takes no value. Try 'toto %s --help'", name,
                            command);
    }
    return unknown_short((char)code, table, n, command, err);
}

/* Prints `text` from `column` on, broken at blanks where a line would pass 80 columns. */
static void print_wrapped(const char *text, int column)
{
    enum { WIDTH = 80 };
    int at = column;
    while (*text) {
        int length = (int)strcspn(text, " ");
        if (at > column && at + 1 + length > WIDTH) {
            printf("\n%*s", column, "");
            at = column;
        }
        at += printf("%s%.*s", at > column ? " " : "", length, text);
        text += length + (text[length] == ' ');
    }
    putchar('\n');
}

static void print_options(void **table)
{
    enum { COLUMN = 30 };
    for (; !(((const struct arg_hdr *)*table)->flag & ARG_TERMINATOR); table++) {
        const struct arg_hdr *entry = *table;
        if (!entry->longopts)
            continue;
        char name[NAME_SIZE];
        snprintf(name, sizeof name, "  %s%s%s--%s%s%s", entry->shortopts ? "-" : "  ",
                 entry->shortopts ? entry->shortopts : "  ", entry->shortopts ? ", " : "", entry->longopts,
                 entry->datatype ? " " : "", entry->datatype ? entry->datatype : "");
        printf("%-*s", COLUMN, name);
        print_wrapped(entry->glossary, COLUMN);
    }
}

static void print_help(void **table, const struct command_help *text)
{
    printf("Usage: toto %s %s\n\n%s\n\nExamples:\n  %s\n  %s\n\nOptions:\n", text->command, text->usage,
           text->summary, text->examples[0], text->examples[1]);
    print_options(table);
    fputs(text->notes, stdout);
}

enum toto_status options_parse(int argc, char **argv, void **table, size_t n, const struct arg_lit *help,
                               const struct command_help *text, bool *helped, struct toto_error *err)
{
    *helped = false;
    if (arg_nullcheck(table))
        return command_fail(err, TOTO_STATUS_RESOURCE, "not enough memory for the options");
    int n_faults = arg_parse(argc, argv, table);
    if (help->count) {
        print_help(table, text);
        *helped = true;
        return TOTO_STATUS_OK;
    }
    return n_faults ? first_fault(table, n, text->command, err) : TOTO_STATUS_OK;
}

/* ---- Values ---------------------------------------------------------------------------------------- */

enum toto_status option_integer(const char *name, const char *text, uint64_t least, uint64_t most,
                                uint64_t *value, struct toto_error *err)
{
    uint64_t n = 0;
    bool fits = *text != '\0';
    for (const char *c = text; *c && fits; c++) {
        uint64_t digit = (uint64_t)(*c - '0');
        fits = isdigit((unsigned char)*c) && n <= (UINT64_MAX - digit) / 10;
        n = n * 10 + digit;
    }
    if (!fits || n < least || n > most)
        return command_fail(err, TOTO_STATUS_USAGE,
                            "option %s: \"%s\" is not a whole number from %llu to %llu", name, text,
                            (unsigned long long)least, (unsigned long long)most);
    *value = n;
    return TOTO_STATUS_OK;
}

enum toto_status option_bytes(const char *name, const char *text, size_t *bytes, struct toto_error *err)
{
    static const char letters[] = "KMGT";
    char *end;
    errno = 0;
    double number = isdigit((unsigned char)*text) ? strtod(text, &end) : 0;
    bool fits = isdigit((unsigned char)*text) && strspn(text, "0123456789.") == (size_t)(end - text);
    double unit = 1;
    if (fits && *end) {
        const char *letter = strchr(letters, toupper((unsigned char)*end));
        bool decimal = strcmp(end + 1, "B") == 0;
        fits = letter && (end[1] == '\0' || strcmp(end + 1, "iB") == 0 || decimal);
        for (const char *c = letters; fits && c <= letter; c++)
            unit *= decimal ? 1000 : 1024;
    }
    number *= unit;
    if (!fits || !(number >= 1) || number >= (double)SIZE_MAX)
        return command_fail(err, TOTO_STATUS_USAGE,
                            "option %s: \"%s\" is not a size such as 800M, 2G or 1.5GiB", name, text);
    *bytes = (size_t)number;
    return TOTO_STATUS_OK;
}

enum toto_status option_choice(const char *name, const char *text, const char *const *choices, size_t n,
                               int *choice, struct toto_error *err)
{
    char list[256] = "";
    for (size_t i = 0; i < n; i++) {
        if (strcmp(text, choices[i]) == 0) {
            *choice = (int)i;
            return TOTO_STATUS_OK;
        }
        size_t length = strlen(list);
        snprintf(list + length, sizeof list - length, "%s%s", i ? ", " : "", choices[i]);
    }
    return command_fail(err, TOTO_STATUS_USAGE, "option %s: \"%s\" is not %s%s", name, text,
                        n > 1 ? "one of " : "", list);
}

enum toto_status option_numbers(const char *name, const char *text, double least, double most,
                                double **values, size_t *n, struct toto_error *err)
{
    size_t count = 1;
    for (const char *c = text; *c; c++)
        count += *c == ',';
    double *list = malloc(count * sizeof *list);
    if (!list)
        return command_fail(err, TOTO_STATUS_RESOURCE, "not enough memory for option %s", name);
    const char *item = text;
    for (size_t i = 0; i < count; i++) {
        size_t length = strcspn(item, ",");
        char *end = NULL;
        /* Digits, a point and an exponent only: strtod also knows hexadecimal, infinity and blanks. */
        bool plain = length > 0 && strspn(item, "0123456789.eE+-") == length;
        list[i] = plain ? strtod(item, &end) : NAN;
        if (!plain || end != item + length || !(list[i] >= least && list[i] <= most)) {
            free(list);
            return command_fail(err, TOTO_STATUS_USAGE, "option %s: \"%.*s\" is not a number from %g to %g",
                                name, (int)length, item, least, most);
        }
        for (size_t j = 0; j < i; j++) {
            if (list[j] == list[i]) {
                free(list);
                return command_fail(err, TOTO_STATUS_USAGE, "option %s: \"%.*s\" is given twice", name,
                                    (int)length, item);
            }
        }
        item += length + 1;
    }
    *values = list;
    *n = count;
    return TOTO_STATUS_OK;
}

enum toto_status option_integers(const char *name, const char *text, uint64_t least, uint64_t most, bool distinct,
                                 size_t **values, size_t *n, struct toto_error *err)
{
    size_t count = 1;
    for (const char *c = text; *c; c++)
        count += *c == ',';
    size_t *list = malloc(count * sizeof *list);
    if (!list)
        return command_fail(err, TOTO_STATUS_RESOURCE, "not enough memory for option %s", name);
    enum toto_status status = TOTO_STATUS_OK;
    for (size_t i = 0; i < count && !status; i++) {
        char item[32];
        size_t length = strcspn(text, ",");
        uint64_t value = 0;
        if (length >= sizeof item)
            status = command_fail(err, TOTO_STATUS_USAGE, "option %s: \"%s\" is not a list of whole numbers", name,
                                  text);
        else
            snprintf(item, sizeof item, "%.*s", (int)length, text);
        if (!status)
            status = option_integer(name, item, least, most, &value, err);
        list[i] = (size_t)value;
        for (size_t j = 0; j < i && distinct && !status; j++)
            if (list[j] == list[i])
                status = command_fail(err, TOTO_STATUS_USAGE, "option %s: \"%s\" is given twice", name, item);
        text += length + 1;
    }
    if (status) {
        free(list);
        return status;
    }
    *values = list;
    *n = count;
    return TOTO_STATUS_OK;
}

enum toto_status option_names(const char *name, const char *text, const char ***names, size_t *n,
                              struct toto_error *err)
{
    size_t most = 1;
    for (const char *c = text; *c; c++)
        most += *c == ',';
    const char **list = malloc(most * sizeof *list + strlen(text) + 1);
    if (!list)
        return command_fail(err, TOTO_STATUS_RESOURCE, "not enough memory for option %s", name);
    char *out = (char *)(list + most);
    size_t count = 0;
    for (const char *c = text;; c++) {
        char *start = out;
        bool closed = true;
        if (*c == '"') {
            closed = false;
            for (c++; *c && !closed;) {
                if (*c == '"' && c[1] != '"') {
                    closed = true;
                } else {
                    c += *c == '"';
                    *out++ = *c;
                }
                c++;
            }
        } else {
            while (*c && *c != ',')
                *out++ = *c++;
        }
        if (out == start || !closed || (*c && *c != ',')) {
            free(list);
            return command_fail(err, TOTO_STATUS_USAGE,
                                "option %s: \"%s\" is not a list of names such as a,b", name, text);
        }
        *out++ = '\0';
        list[count++] = start;
        if (!*c)
            break;
    }
    *names = list;
    *n = count;
    return TOTO_STATUS_OK;
}

const char *entry_text(const struct arg_str *entry)
{
    return entry->count ? entry->sval[0] : NULL;
}

const char *entry_device(const struct arg_str *entry)
{
    const char *from_environment = getenv("TOTO_DEVICE");
    if (entry->count)
        return entry->sval[0];
    return from_environment && *from_environment ? from_environment : "auto";
}

enum toto_status entry_log_level(const struct arg_lit *quiet, const struct arg_lit *verbose,
                                 enum toto_log_level *level, struct toto_error *err)
{
    if (quiet->count && verbose->count)
        return command_fail(err, TOTO_STATUS_USAGE, "-q/--quiet and -v/--verbose exclude each other");
    *level = quiet->count          ? TOTO_LOG_ERROR
             : verbose->count == 0 ? TOTO_LOG_WARN
             : verbose->count == 1 ? TOTO_LOG_INFO
                                   : TOTO_LOG_DEBUG;
    return TOTO_STATUS_OK;
}

enum toto_status entry_size(const struct arg_str *entry, const char *name, size_t least, size_t most, size_t *value,
                            struct toto_error *err)
{
    uint64_t number;
    if (!entry->count)
        return TOTO_STATUS_OK;
    enum toto_status status = option_integer(name, entry->sval[0], least, most, &number, err);
    if (status == TOTO_STATUS_OK)
        *value = (size_t)number;
    return status;
}

enum toto_status entry_choice(const struct arg_str *entry, const char *name, const char *const *choices, size_t n,
                              int *choice, struct toto_error *err)
{
    return entry->count ? option_choice(name, entry->sval[0], choices, n, choice, err) : TOTO_STATUS_OK;
}

void command_print_message(const char *prefix, const char *message)
{
    char line[2048];
    snprintf(line, sizeof line, "toto: %s%s", prefix, message);
    for (char *c = line; *c; c++)
        if (iscntrl((unsigned char)*c))
            *c = isspace((unsigned char)*c) ? ' ' : '?';
    fprintf(stderr, "%s\n", line);
}

void command_print_log(void *user, enum toto_log_level level, const char *line)
{
    (void)user;
    command_print_message(level == TOTO_LOG_WARN ? "warning: " : "", line);
}
