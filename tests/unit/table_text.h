/* Tables for tests: text goes through a file in a folder of its own. */
#ifndef TOTO_TESTS_TABLE_TEXT_H
#define TOTO_TESTS_TABLE_TEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "table/table.h"

static char table_folder[] = "/tmp/toto-test-XXXXXX";
static char log_text[8192];
static size_t log_lines;

static inline void log_keep(void *user, enum toto_log_level level, const char *line)
{
    (void)user;
    (void)level;
    size_t used = strlen(log_text);
    snprintf(log_text + used, sizeof log_text - used, "%s\n", line);
    log_lines++;
}

/* cmocka's group set-up: a folder to work in, so that messages begin with a.csv. */
static inline int folder_make(void **state)
{
    (void)state;
    toto_log_set(TOTO_LOG_WARN, log_keep, NULL);
    return mkdtemp(table_folder) && chdir(table_folder) == 0 ? 0 : -1;
}

static inline int folder_remove(void **state)
{
    (void)state;
    unlink("a.csv");
    unlink("b.csv");
    return chdir("/") == 0 && rmdir(table_folder) == 0 ? 0 : -1;
}

static inline void file_write(const char *name, const char *text, size_t length)
{
    FILE *file = fopen(name, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
    log_text[0] = '\0';
    log_lines = 0;
}

/* Reads text as a.csv. */
static inline enum toto_status text_read(const char *text, const struct toto_table_options *options,
                                         struct toto_table **table, struct toto_error *err)
{
    static const char *const paths[] = {"a.csv"};
    file_write("a.csv", text, strlen(text));
    memset(err, 0, sizeof *err);
    return toto_table_read(paths, 1, options, table, err);
}

static inline void assert_part(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("text: %s\nwanted: %s", text, part);
}

#endif
