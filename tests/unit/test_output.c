/* Output: numbers as text, and CSV that is whole or not there. */
#define _XOPEN_SOURCE 700
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "output/number_text.h"
#include "output/out_file.h"
#include "series/series.h"

/* ---- Numbers ---------------------------------------------------------------------------------------- */

static void check_float(float value, const char *want)
{
    char text[NUMBER_TEXT_SIZE];
    size_t length = float_text(value, text);
    assert_string_equal(text, want);
    assert_int_equal(length, strlen(want));
}

static void floats_are_plain(void **state)
{
    (void)state;
    check_float(12.5f, "12.5");
    check_float(-0.1f, "-0.1");
    check_float(0.0f, "0");
    check_float(-0.0f, "0");
    check_float(100.0f, "100");
    check_float(1e15f, "1000000000000000");
    check_float(1e16f, "1e+16");
    check_float(-1.5e20f, "-1.5e+20");
    check_float(0.0001f, "0.0001");
    check_float(0.00001f, "1e-05");
    check_float(16777216.0f, "16777216");
    check_float(123456789.0f, "123456790");
    check_float(3.4028235e38f, "3.4028235e+38");
    check_float(1.17549435e-38f, "1.1754944e-38");
    check_float(1e-45f, "1e-45");
}

/* Digits of a text without leading zeros. */
static int count_digits(const char *text)
{
    int n = 0, zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (*text == '0' && n == 0))
            continue;
        zeros = *text == '0' ? zeros + 1 : 0;
        n++;
    }
    return n - zeros;
}

static void check_shortest(float value)
{
    char text[NUMBER_TEXT_SIZE], shorter[64];
    float_text(value, text);
    assert_true(strtof(text, NULL) == value);
    int n = count_digits(text);
    if (n > 1) {
        snprintf(shorter, sizeof shorter, "%.*e", n - 2, (double)value);
        assert_false(strtof(shorter, NULL) == value);
    }
}

static void floats_read_back_and_are_shortest(void **state)
{
    (void)state;
    for (uint32_t bits = 1; bits < 0x7f800000; bits += bits < 2000 ? 1 : 49999) {
        float value;
        memcpy(&value, &bits, sizeof value);
        check_shortest(value);
    }
    for (int exponent = -149; exponent < 128; exponent++) { /* where the lower neighbour is nearer */
        check_shortest(ldexpf(1, exponent));
        check_shortest(nextafterf(ldexpf(1, exponent), 0));
    }
}

static void doubles_are_shortest(void **state)
{
    static const struct {
        double value;
        const char *want;
    } cases[] = {{0.1, "0.1"}, {0.10, "0.1"}, {80, "80"}, {99.5, "99.5"}, {0, "0"}, {1, "1"},
                 {0.025, "0.025"}, {0.123456789012345, "0.123456789012345"}, {1e-5, "1e-05"}};
    char text[NUMBER_TEXT_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(double_text(cases[i].value, text), strlen(cases[i].want));
        assert_string_equal(text, cases[i].want);
    }
}

/* ---- The writer ------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/toto-test-output-XXXXXX";

static int enter_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state)
{
    (void)state;
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static size_t count_files(void)
{
    size_t n = 0;
    DIR *list = opendir(".");
    assert_non_null(list);
    for (struct dirent *entry = readdir(list); entry; entry = readdir(list))
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(list);
    return n;
}

static void check_file(const char *path, const char *want)
{
    char text[1024];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    assert_string_equal(text, want);
}

#define COUNT_FROM_ONE {.format = {.kind = TIME_INTEGER}, .last = 0, .step = 1}
static struct variate variates[] = {{.id = "a", .axis = COUNT_FROM_ONE},
                                    {.id = "b, \"c\"", .axis = COUNT_FROM_ONE}};
static const struct toto_series series = {
    .variates = variates, .n_variates = 2, .id_name = "id", .time_name = "at"};
static const double quantiles[] = {0.5, 0.25, 0.75};
static const double levels[] = {50};
static const struct toto_forecast_options forecast_options = {
    .horizon = 2, .n_samples = 2, .quantiles = quantiles, .n_quantiles = 3};
static const struct toto_writer_options writer_options = {.path = "out.csv",
                                                          .samples_path = "samples.csv",
                                                          .levels = levels,
                                                          .n_levels = 1,
                                                          .n_quantile_columns = 1};
static const float point[] = {1.5f, -2}, values[] = {1, 2, 3, 4, 5, 6}, samples[] = {7, 8, 9, 0.25f};

static struct toto_writer *open_writer(void)
{
    struct toto_error err;
    struct toto_writer *writer;
    assert_int_equal(toto_writer_open(&writer_options, &series, &forecast_options, &writer, &err), TOTO_STATUS_OK);
    return writer;
}

static void put_both(struct toto_writer *writer)
{
    struct toto_error err;
    struct toto_forecast forecast = {.series = 0, .point = point, .quantiles = values, .samples = samples};
    assert_int_equal(toto_writer_put(writer, &forecast, &err), TOTO_STATUS_OK);
    forecast = (struct toto_forecast){.series = 1, .missing = true};
    assert_int_equal(toto_writer_put(writer, &forecast, &err), TOTO_STATUS_OK);
}

static void rows_stand_in_order(void **state)
{
    struct toto_error err;
    struct toto_writer *writer = open_writer();
    (void)state;
    put_both(writer);
    assert_int_equal(access("out.csv", F_OK), -1); /* not before it is whole */
    assert_int_equal(toto_writer_close(writer, &err), TOTO_STATUS_OK);
    check_file("out.csv", "id,at,forecast,0.5,lo-50,hi-50\n"
                          "a,1,1.5,1,3,5\n"
                          "a,2,-2,2,4,6\n"
                          "\"b, \"\"c\"\"\",1,,,,\n"
                          "\"b, \"\"c\"\"\",2,,,,\n");
    check_file("samples.csv", "id,at,sample-0,sample-1\n"
                              "a,1,7,8\n"
                              "a,2,9,0.25\n"
                              "\"b, \"\"c\"\"\",1,,\n"
                              "\"b, \"\"c\"\"\",2,,\n");
    assert_int_equal(count_files(), 2);
    unlink("out.csv");
    unlink("samples.csv");
}

static void nothing_is_left_of_a_failure(void **state)
{
    struct toto_error err;
    struct toto_writer *writer = open_writer();
    (void)state;
    put_both(writer);
    assert_int_equal(count_files(), 2);
    toto_writer_abort(writer);
    assert_int_equal(count_files(), 0);

    writer = open_writer();
    toto_writer_unlink_all();
    assert_int_equal(count_files(), 0);
    assert_int_equal(toto_writer_close(writer, &err), TOTO_STATUS_IO);
    assert_non_null(strstr(err.message, "out.csv"));
    assert_int_equal(count_files(), 0);
    toto_writer_abort(NULL);
}

static void outputs_that_cannot_be(void **state)
{
    struct toto_error err;
    struct toto_writer *writer;
    struct toto_writer_options options = writer_options;
    (void)state;
    options.path = "none/out.csv";
    assert_int_equal(toto_writer_open(&options, &series, &forecast_options, &writer, &err), TOTO_STATUS_CREATE);
    assert_null(writer);
    options = writer_options;
    options.samples_path = "none/out.csv"; /* the first output was created by then */
    assert_int_equal(toto_writer_open(&options, &series, &forecast_options, &writer, &err), TOTO_STATUS_CREATE);
    assert_int_equal(count_files(), 0);
    options = writer_options;
    options.n_levels = 0;
    assert_int_equal(toto_writer_open(&options, &series, &forecast_options, &writer, &err), TOTO_STATUS_USAGE);
    assert_int_equal(count_files(), 0);
}

static void every_allocation_may_fail(void **state)
{
    struct toto_error err;
    struct toto_writer *writer;
    size_t before = toto_memory_used();
    (void)state;
    for (size_t n = 1;; n++) {
        mem_fail_after(n);
        enum toto_status status = toto_writer_open(&writer_options, &series, &forecast_options, &writer, &err);
        mem_fail_after(0);
        if (status == TOTO_STATUS_OK) {
            assert_true(n > 3);
            break;
        }
        assert_int_equal(status, TOTO_STATUS_RESOURCE);
        assert_int_equal(toto_memory_used(), before);
        assert_int_equal(count_files(), 0);
    }
    toto_writer_abort(writer);
    assert_int_equal(toto_memory_used(), before);
}

static void too_many_outputs_are_refused(void **state)
{
    struct toto_error err;
    struct out_file files[32] = {{0}};
    size_t n = 0;
    char name[32];
    (void)state;
    enum toto_status status = TOTO_STATUS_OK;
    while (status == TOTO_STATUS_OK && n < 32) {
        snprintf(name, sizeof name, "%zu.csv", n);
        status = out_file_open(name, &files[n], &err);
        n += status == TOTO_STATUS_OK;
    }
    assert_int_equal(status, TOTO_STATUS_RESOURCE);
    assert_int_equal(count_files(), n);
    for (size_t i = 0; i < n; i++)
        out_file_close(&files[i]);
    assert_int_equal(count_files(), 0);
    assert_int_equal(out_file_open("again.csv", &files[0], &err), TOTO_STATUS_OK);
    out_file_close(&files[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_are_plain),
        cmocka_unit_test(floats_read_back_and_are_shortest),
        cmocka_unit_test(doubles_are_shortest),
        cmocka_unit_test(rows_stand_in_order),
        cmocka_unit_test(nothing_is_left_of_a_failure),
        cmocka_unit_test(outputs_that_cannot_be),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(too_many_outputs_are_refused),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
