/* Times: cells to ticks and back in each form, the calendar's edges, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "table/timestamp.h"

static const char *parse(const char *text, struct time_format *format, int64_t *ticks)
{
    *ticks = 0;
    return timestamp_parse(text, strlen(text), format, ticks);
}

/* Ticks by hand: 2016-07-01 is day 16983, at 1467331200 s. */
static void test_ticks_and_inverse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum time_kind kind;
        int64_t ticks;
    } cases[] = {
        {"0", TIME_INTEGER, 0},
        {"-1", TIME_INTEGER, -1},
        {"1467331200", TIME_INTEGER, 1467331200},
        {"1467331200000", TIME_INTEGER, 1467331200000},
        {"9223372036854775807", TIME_INTEGER, INT64_MAX},
        {"-9223372036854775808", TIME_INTEGER, INT64_MIN},
        {"1970-01-01", TIME_DATE, 0},
        {"1969-12-31", TIME_DATE, -1},
        {"2016-07-01", TIME_DATE, 16983},
        {"2016/07/01", TIME_DATE, 16983},
        {"20160701", TIME_DATE, 16983},
        {"2016-07", TIME_DATE, 16983},
        {"2016/07", TIME_DATE, 16983},
        {"201607", TIME_INTEGER, 201607},
        {"2016-02-29", TIME_DATE, 16860},
        {"2000-02-29", TIME_DATE, 11016},
        {"0001-01-01", TIME_DATE, -719162},
        {"9999-12-31", TIME_DATE, 2932896},
        {"20169999", TIME_INTEGER, 20169999},
        {"18000101", TIME_INTEGER, 18000101},
        {"2016-07-01 00:00:00", TIME_STAMP, 1467331200000000000},
        {"2016-07-01T00:00", TIME_STAMP, 1467331200000000000},
        {"2016/07/01 13:05", TIME_STAMP, 1467378300000000000},
        {"2016-07-01T00:00:00Z", TIME_STAMP, 1467331200000000000},
        {"2016-07-01t00:00:00z", TIME_STAMP, 1467331200000000000},
        {"20160701T130500Z", TIME_STAMP, 1467378300000000000},
        {"20160701T1305", TIME_STAMP, 1467378300000000000},
        {"2016-07-01T02:00:00+02:00", TIME_STAMP, 1467331200000000000},
        {"2016-06-30T19:30:00-0430", TIME_STAMP, 1467331200000000000},
        {"2016-07-01T01:00:00+01", TIME_STAMP, 1467331200000000000},
        {"2016-07-01T00:00:00+00:00", TIME_STAMP, 1467331200000000000},
        {"2016-07-01T00:00:00.5Z", TIME_STAMP, 1467331200500000000},
        {"2016-07-01 00:00:00.000000001", TIME_STAMP, 1467331200000000001},
        {"1969-12-31 23:59:59.250", TIME_STAMP, -750000000},
        {"2262-04-11 23:47:16.854775807", TIME_STAMP, INT64_MAX},
        {"1677-09-21 00:12:44", TIME_STAMP, -9223372036000000000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct time_format format;
        int64_t ticks;
        char text[TIME_TEXT_SIZE];
        const char *wrong = parse(cases[i].text, &format, &ticks);
        if (wrong)
            fail_msg("%s %s", cases[i].text, wrong);
        if (format.kind != cases[i].kind || ticks != cases[i].ticks)
            fail_msg("%s: kind %d, ticks %" PRId64, cases[i].text, (int)format.kind, ticks);
        assert_int_equal(timestamp_format(&format, ticks, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
    }
}

/* Every day of ten thousand years, counted on by the rules of leap years. */
static void test_calendar(void **state)
{
    (void)state;
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t expected = -719162;
    for (int year = 1; year <= 9999; year++) {
        for (int month = 1; month <= 12; month++) {
            int leap = month == 2 && (year % 400 == 0 || (year % 4 == 0 && year % 100 != 0));
            for (int day = 1; day <= lengths[month - 1] + leap; day++, expected++) {
                char text[32], again[TIME_TEXT_SIZE];
                struct time_format format;
                int64_t ticks;
                struct time_date date;
                snprintf(text, sizeof text, "%04d-%02d-%02d", year, month, day);
                if (parse(text, &format, &ticks) || ticks != expected)
                    fail_msg("%s: %" PRId64 ", wanted %" PRId64, text, ticks, expected);
                timestamp_format(&format, ticks, again);
                if (strcmp(text, again))
                    fail_msg("%s comes back as %s", text, again);
                assert_true(time_date_find(&format, ticks, &date));
                assert_int_equal(date.year, year);
                assert_int_equal(date.month, month);
                assert_int_equal(date.day, day);
                assert_int_equal(date.month_days, lengths[month - 1] + leap);
            }
        }
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "not a time"},
        {"-", "not a time"},
        {"+5", "not a time"},
        {"1.5", "not a time"},
        {"12x", "not a time"},
        {"9223372036854775808", "beyond 64 bits"},
        {"-9223372036854775809", "beyond 64 bits"},
        {"99999999999999999999", "beyond 64 bits"},
        {"2016", NULL},
        {"2016-", "not a time"},
        {"2016-7", "not a time"},
        {"2016-07-", "not a time"},
        {"2016-13", "month"},
        {"2016-07T00:00", "not a time"},
        {"2016-07 00:00", "not a time"},
        {"2016-7-1", "not a time"},
        {"2016-07/01", "not a time"},
        {"01/07/2016", "not a time"},
        {"2016-13-01", "month"},
        {"2016-00-01", "month"},
        {"2016-02-30", "day"},
        {"2015-02-29", "day"},
        {"1900-02-29", "day"},
        {"2016-04-31", "day"},
        {"2016-07-00", "day"},
        {"0000-01-01", "year"},
        {"10000-01-01", "not a time"},
        {"2016-07-01T", "not a time"},
        {"2016-07-01x00:00", "not a time"},
        {"2016-07-01 00", "not a time"},
        {"2016-07-01 0:00", "not a time"},
        {"2016-07-01 24:00", "hour over 23"},
        {"2016-07-01 00:60", "minute over 59"},
        {"2016-07-01 23:59:60", "leap"},
        {"2016-07-01 00:00:00.", "not a time"},
        {"2016-07-01 00:00:00.1234567890", "9 digits"},
        {"2016-07-01 00:00.5", "not a time"},
        {"2016-07-01 00:00:00 Z", "not a time"},
        {"2016-07-01T00:00:00z", "not a time"},
        {"2016-07-01T00:00:00Zx", "not a time"},
        {"2016-07-01T00:00:00+24:00", "offset"},
        {"2016-07-01T00:00:00+01:60", "offset"},
        {"2016-07-01T00:00:00-00:00", "-00:00"},
        {"2016-07-01T00:00:00+1", "not a time"},
        {"2262-04-11 23:47:16.854775808", "out of range"},
        {"2262-04-12 00:00", "out of range"},
        {"1677-09-20 00:00", "out of range"},
        {"9999-12-31 00:00", "out of range"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct time_format format;
        int64_t ticks;
        const char *wrong = parse(cases[i].text, &format, &ticks);
        if (!cases[i].part ? wrong != NULL : !wrong || !strstr(wrong, cases[i].part))
            fail_msg("%s: %s", cases[i].text, wrong ? wrong : "accepted");
    }
}

static void test_same(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"2016-07-01", "2016-07-02", true},
        {"2016-07-01", "2016/07/02", false},
        {"2016-07-01", "5", false},
        {"2016-07-01", "2016-07", false},
        {"2016-06", "2016-07", true},
        {"2016/06", "2016-07", false},
        {"2016-07-01", "2016-07-01 00:00", false},
        {"2016-07-01 00:00", "2016-07-01T00:00", false},
        {"2016-07-01 00:00", "2016-07-01 00:00:00", false},
        {"2016-07-01 00:00:00", "2016-07-01 00:00:00.5", true},
        {"2016-07-01 00:00:00Z", "2016-07-01 00:00:00", false},
        {"2016-03-27 01:00:00+01:00", "2016-03-27 03:00:00+02:00", true},
        {"2016-03-27 01:00:00+01:00", "2016-03-27 03:00:00+0200", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct time_format a, b;
        int64_t ticks;
        assert_null(parse(cases[i].a, &a, &ticks));
        assert_null(parse(cases[i].b, &b, &ticks));
        if (time_format_same(&a, &b) != cases[i].same)
            fail_msg("%s and %s", cases[i].a, cases[i].b);
    }
}

static void check_axis(const char *last, int64_t step, size_t n, const char *wanted)
{
    struct time_axis axis = {.step = step};
    char text[TIME_TEXT_SIZE];
    assert_null(parse(last, &axis.format, &axis.last));
    assert_int_equal(time_axis_text(&axis, n, text), strlen(wanted));
    assert_string_equal(text, wanted);
}

static void test_axis(void **state)
{
    (void)state;
    const int64_t hour = 3600 * (int64_t)1000000000;
    check_axis("2016-02-28", 1, 1, "2016-02-29");
    check_axis("2016-02-28", 1, 2, "2016-03-01");
    check_axis("2016-12-31 23:00:00", hour, 1, "2017-01-01 00:00:00");
    check_axis("2016-12-31T23:00:00-05:00", hour, 25, "2017-01-02T00:00:00-05:00");
    check_axis("41", 3, 3, "50");
    check_axis("-9223372036854775808", INT64_MAX, 2, "9223372036854775806");
    /* What cannot be written is empty, and nothing wraps. */
    check_axis("9223372036854775807", 1, 1, "");
    check_axis("1", INT64_MAX, SIZE_MAX, "");
    check_axis("9999-12-31", 1, 1, "");
    check_axis("2262-04-11 23:00", hour, 1, "");
    check_axis("5", 0, 1, "");
}

static void check_calendar(const char *last, struct time_calendar calendar, int64_t step, size_t n,
                           const char *wanted)
{
    struct time_axis axis = {.step = step, .calendar = calendar};
    int64_t ticks, again;
    char text[TIME_TEXT_SIZE];
    assert_null(parse(last, &axis.format, &ticks));
    if (!time_calendar_place(&calendar, &axis.format, ticks, &axis.last))
        fail_msg("%s has no place", last);
    assert_true(time_calendar_ticks(&calendar, &axis.format, axis.last, &again));
    assert_int_equal(again, ticks);
    assert_int_equal(time_axis_text(&axis, n, text), strlen(wanted));
    assert_string_equal(text, wanted);
}

static void test_calendar_axis(void **state)
{
    (void)state;
    const int64_t hour = 3600 * (int64_t)1000000000;
    const struct time_calendar first = {COUNT_MONTHS, 1, 0}, end = {COUNT_MONTHS, 31, 0},
                               thirtieth = {COUNT_MONTHS, 30, 0}, late = {COUNT_MONTHS, 31, 23 * hour},
                               business = {COUNT_BUSINESS_DAYS, 0, 0}, nine = {COUNT_BUSINESS_DAYS, 0, 9 * hour},
                               days = {COUNT_DAYS, 0, 9 * hour};
    check_calendar("2016-11-01", first, 1, 1, "2016-12-01");
    check_calendar("2016-11-01", first, 1, 2, "2017-01-01");
    check_calendar("2016/11/01", first, 3, 1, "2017/02/01");
    check_calendar("20161101", first, 12, 3, "20191101");
    check_calendar("1969-12-01", first, 1, 1, "1970-01-01");
    check_calendar("0001-01-01", first, 1, 11, "0001-12-01");
    check_calendar("2015-12-31", end, 1, 2, "2016-02-29");
    check_calendar("2016-02-29", end, 1, 1, "2016-03-31");
    check_calendar("2016-02-29", end, 12, 1, "2017-02-28");
    check_calendar("2016-02-29", end, 12, 4, "2020-02-29");
    check_calendar("1899-12-31", end, 1, 2, "1900-02-28");
    check_calendar("2016-01-30", thirtieth, 1, 1, "2016-02-29");
    check_calendar("2016-02-29", thirtieth, 1, 1, "2016-03-30");
    check_calendar("2016-01-31T23:00:00+01:00", late, 1, 1, "2016-02-29T23:00:00+01:00");
    check_calendar("2016-01-31 23:00:00.25", (struct time_calendar){COUNT_MONTHS, 31, 23 * hour + hour / 14400}, 1, 1,
                   "2016-02-29 23:00:00.25");
    check_calendar("2016-07-01", business, 1, 1, "2016-07-04");
    check_calendar("2016-07-04", business, 1, 4, "2016-07-08");
    check_calendar("1969-12-26", business, 1, 5, "1970-01-02");
    check_calendar("2016-07-01T09:00Z", nine, 1, 6, "2016-07-11T09:00Z");
    check_calendar("2016-07-01T09:00+02:00", days, 1, 1, "2016-07-02T09:00+02:00");
    check_calendar("1969-12-31T09:00+02:00", days, 7, 1, "1970-01-07T09:00+02:00");
    /* What cannot be written is empty, and nothing wraps. */
    check_calendar("9999-12-31", end, 1, 1, "");
    check_calendar("9999-12-31", business, 1, 1, "");
    check_calendar("2262-04-01 00:00", first, 1, 1, "");
    check_calendar("2016-11-01", first, INT64_MAX, 1, "");
    check_calendar("2016-11-01", first, 1, SIZE_MAX, "");
    check_calendar("2016-11-01", first, INT64_MAX / 2, 1, "");
    check_calendar("2016-07-01", business, INT64_MAX / 2, 1, "");
    check_calendar("2016-07-01T09:00Z", days, INT64_MAX / 2, 1, "");

    static const struct {
        const char *text;
        struct time_calendar calendar;
        bool held;
    } cases[] = {
        {"2016-07-02", {COUNT_MONTHS, 1, 0}, false},      {"2016-02-28", {COUNT_MONTHS, 31, 0}, false},
        {"2015-02-28", {COUNT_MONTHS, 29, 0}, true},      {"2016-02-28", {COUNT_MONTHS, 29, 0}, false},
        {"2016-07-01 00:01", {COUNT_MONTHS, 1, 0}, false}, {"5", {COUNT_MONTHS, 1, 0}, false},
        {"2016-07-02", {COUNT_BUSINESS_DAYS, 0, 0}, false}, {"2016-07-03", {COUNT_BUSINESS_DAYS, 0, 0}, false},
        {"2016-07-04", {COUNT_BUSINESS_DAYS, 0, 0}, true}, {"1969-12-28", {COUNT_BUSINESS_DAYS, 0, 0}, false},
        {"2016-07-03T09:00+02:00", {COUNT_DAYS, 0, 9 * hour}, true},
        {"2016-07-03T09:00+02:00", {COUNT_DAYS, 0, 0}, false},
        {"5", {COUNT_DAYS, 0, 0}, false},                 {"5", {COUNT_TICKS, 0, 0}, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct time_format format;
        int64_t ticks, place;
        assert_null(parse(cases[i].text, &format, &ticks));
        if (time_calendar_place(&cases[i].calendar, &format, ticks, &place) != cases[i].held)
            fail_msg("%s", cases[i].text);
    }
    /* A column of dates may hold no days that the calendar cannot count. */
    struct time_date date;
    assert_false(time_date_find(&(struct time_format){.kind = TIME_DATE}, INT64_MAX, &date));
    assert_false(time_date_find(&(struct time_format){.kind = TIME_INTEGER}, 5, &date));
}

static void test_pattern(void **state)
{
    (void)state;
    struct time_format format;
    int64_t ticks;
    char text[TIME_TEXT_SIZE];
    assert_null(parse("2016-07-01T00:00:00+02:00", &format, &ticks));
    time_format_pattern(&format, text);
    assert_string_equal(text, "YYYY-MM-DDThh:mm:ss+hh:mm");
    assert_null(parse("20160701", &format, &ticks));
    time_format_pattern(&format, text);
    assert_string_equal(text, "YYYYMMDD");
    assert_null(parse("2016-07", &format, &ticks));
    time_format_pattern(&format, text);
    assert_string_equal(text, "YYYY-MM");
    assert_null(parse("7", &format, &ticks));
    time_format_pattern(&format, text);
    assert_string_equal(text, "an integer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ticks_and_inverse),
        cmocka_unit_test(test_calendar),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_axis),
        cmocka_unit_test(test_calendar_axis),
        cmocka_unit_test(test_pattern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
