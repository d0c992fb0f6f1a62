/* Scores as text: cells that are missing, names that need quoting, numbers of every size. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"

static char folder[] = "/tmp/toto-test-XXXXXX";
static const char *const columns[] = {"model", "windows", "mae"};

static int folder_make(void **state)
{
    (void)state;
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int folder_remove(void **state)
{
    (void)state;
    unlink("scores");
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static struct toto_cell text(const char *value)
{
    return (struct toto_cell){TOTO_CELL_TEXT, .text = value};
}

static struct toto_cell count(uint64_t value)
{
    return (struct toto_cell){TOTO_CELL_COUNT, .count = value};
}

static struct toto_cell real(double value)
{
    return (struct toto_cell){TOTO_CELL_REAL, .real = value};
}

/* Names that formats must take care of; numbers; an empty cell. */
static enum toto_status write_rows(enum toto_scores_format format, const char *name, struct toto_error *err)
{
    const struct toto_cell rows[][3] = {
        {text("a|b, \"c\""), count(12), real(1.0 / 3.0)},
        {text("\xc3\xa9t\xc3\xa9"), text("average"), real(NAN)},
        {text(name), count(UINT64_MAX), real(-1234567.0)},
    };
    struct toto_scores *scores;
    enum toto_status status = toto_scores_open("scores", format, columns, 3, &scores, err);
    if (status)
        return status;
    for (size_t i = 0; i < 3; i++) {
        status = toto_scores_add(scores, rows[i], err);
        if (status) {
            toto_scores_abort(scores);
            return status;
        }
    }
    return toto_scores_close(scores, err);
}

static void assert_format(enum toto_scores_format format, const char *wanted)
{
    struct toto_error err;
    char got[2048];
    if (write_rows(format, "two\nlines", &err))
        fail_msg("%s", err.message);
    FILE *file = fopen("scores", "rb");
    assert_non_null(file);
    got[fread(got, 1, sizeof got - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(got, wanted);
    assert_int_equal(toto_memory_used(), 0);
}

static void formats_hold_the_same(void **state)
{
    (void)state;
    assert_format(TOTO_SCORES_TABLE, "model                   windows         mae\n"
                                     "a|b, \"c\"                     12      0.3333\n"
                                     "\xc3\xa9t\xc3\xa9                     average           -\n"
                                     "two lines  18446744073709551615  -1.235e+06\n");
    assert_format(TOTO_SCORES_MD, "| model     |              windows |        mae |\n"
                                  "| --------- | -------------------: | ---------: |\n"
                                  "| a\\|b, \"c\"  |                   12 |     0.3333 |\n"
                                  "| \xc3\xa9t\xc3\xa9       |              average |          - |\n"
                                  "| two lines | 18446744073709551615 | -1.235e+06 |\n");
    assert_format(TOTO_SCORES_CSV, "model,windows,mae\n"
                                   "\"a|b, \"\"c\"\"\",12,0.3333333333333333\n"
                                   "\xc3\xa9t\xc3\xa9,average,\n"
                                   "\"two\nlines\",18446744073709551615,-1234567\n");
    assert_format(TOTO_SCORES_JSON,
                  "{\n  \"toto\": \"" TOTO_VERSION "\",\n  \"scores\": [\n"
                  "    {\"model\": \"a|b, \\\"c\\\"\", \"windows\": 12, \"mae\": 0.3333333333333333},\n"
                  "    {\"model\": \"\xc3\xa9t\xc3\xa9\", \"windows\": \"average\", \"mae\": null},\n"
                  "    {\"model\": \"two\\nlines\", \"windows\": 18446744073709551615, \"mae\": -1234567}\n  ]\n}\n");
}

/* The table of two rows, folded to the width. */
static void assert_folded(size_t width, const char *wanted)
{
    static const char *const names[] = {"model", "series", "windows", "mae", "rmse"};
    struct toto_scores *scores;
    struct toto_error err;
    char got[1024];
    if (toto_scores_open("scores", TOTO_SCORES_TABLE, names, 5, &scores, &err))
        fail_msg("%s", err.message);
    toto_scores_fold(scores, width);
    for (uint64_t i = 1; i <= 2; i++)
        if (toto_scores_add(scores, (struct toto_cell[]){text("naive"), text("y"), count(i), real(0.5), real(2)}, &err))
            fail_msg("%s", err.message);
    if (toto_scores_close(scores, &err))
        fail_msg("%s", err.message);
    FILE *file = fopen("scores", "rb");
    assert_non_null(file);
    got[fread(got, 1, sizeof got - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(got, wanted);
    assert_int_equal(toto_memory_used(), 0);
}

static void a_wide_table_is_folded(void **state)
{
    (void)state;
    static const char whole[] = "model  series  windows     mae    rmse\n"
                                "naive  y             1  0.5000  2.0000\n"
                                "naive  y             2  0.5000  2.0000\n";
    static const char parts[] = "model  series  windows\n"
                                "naive  y             1\n"
                                "naive  y             2\n"
                                "\n"
                                "model  series     mae\n"
                                "naive  y       0.5000\n"
                                "naive  y       0.5000\n"
                                "\n"
                                "model  series    rmse\n"
                                "naive  y       2.0000\n"
                                "naive  y       2.0000\n";
    assert_folded(0, whole);
    assert_folded(38, whole);
    assert_folded(37, "model  series  windows     mae\n"
                      "naive  y             1  0.5000\n"
                      "naive  y             2  0.5000\n"
                      "\n"
                      "model  series    rmse\n"
                      "naive  y       2.0000\n"
                      "naive  y       2.0000\n");
    assert_folded(22, parts);
    assert_folded(1, parts);
}

static void a_failure_leaves_no_file(void **state)
{
    (void)state;
    struct toto_error err;
    unlink("scores");
    assert_int_equal(write_rows(TOTO_SCORES_JSON, "\xe9t\xe9", &err), TOTO_STATUS_DATA);
    assert_non_null(strstr(err.message, "is not UTF-8"));
    assert_int_not_equal(access("scores", F_OK), 0);
    for (int format = TOTO_SCORES_TABLE; format <= TOTO_SCORES_MD; format++) {
        enum toto_status status = TOTO_STATUS_RESOURCE;
        for (size_t n = 1; status; n++) {
            assert_true(n < 40);
            unlink("scores");
            mem_fail_after(n);
            status = write_rows((enum toto_scores_format)format, "name", &err);
            mem_fail_after(0);
            assert_true(status == TOTO_STATUS_OK || status == TOTO_STATUS_RESOURCE);
            assert_int_equal(access("scores", F_OK) == 0, status == TOTO_STATUS_OK);
            assert_int_equal(toto_memory_used(), 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_hold_the_same),
        cmocka_unit_test(a_wide_table_is_folded),
        cmocka_unit_test(a_failure_leaves_no_file),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
