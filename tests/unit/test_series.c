/* Series: rows in any order become points of a fixed step, with masks, fills, groups and bad
 * series. */
#include "table_text.h"

#include <math.h>

#include "series/series.h"

/* Reads and makes in one; err and status of whichever fails. */
static enum toto_status make(const char *text, const struct toto_table_options *table_options,
                             const struct toto_series_options *options, struct toto_series **series,
                             struct toto_error *err)
{
    struct toto_table *table;
    *series = NULL;
    enum toto_status status = text_read(text, table_options, &table, err);
    if (!status)
        status = toto_series_make(table, options, series, err);
    toto_table_free(table);
    return status;
}

static struct toto_series *must_make(const char *text,
                                     const struct toto_table_options *table_options,
                                     const struct toto_series_options *options)
{
    struct toto_series *series;
    struct toto_error err;
    if (make(text, table_options, options, &series, &err))
        fail_msg("%s\n%s", text, err.message);
    return series;
}

static void must_fail(const char *text, const struct toto_table_options *table_options,
                      const struct toto_series_options *options, enum toto_status wanted,
                      const char *part)
{
    struct toto_series *series;
    struct toto_error err;
    enum toto_status status = make(text, table_options, options, &series, &err);
    assert_null(series);
    if (status != wanted || !strstr(err.message, part))
        fail_msg("%s\nstatus %d: %s\nwanted %d: %s", text, (int)status, err.message, (int)wanted,
                 part);
    assert_int_equal(toto_memory_used(), 0);
}

/* Points as text, such as "1 2? 3": a question mark where nothing was observed. */
static void assert_points(const struct toto_series *series, size_t i, const char *wanted)
{
    char text[512] = "";
    size_t used = 0;
    const struct variate *variate = &series->variates[i];
    assert_true(variate->group < series->n_groups);
    const struct group *group = &series->groups[variate->group];
    assert_int_equal(group->variates[variate->row], i);
    for (size_t t = variate->row * group->n_steps; t < (variate->row + 1) * group->n_steps; t++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%g%s", used ? " " : "",
                                 (double)group->values[t], group->observed[t] ? "" : "?");
    if (strcmp(text, wanted))
        fail_msg("%s: %s, wanted %s", variate->id, text, wanted);
}

static void assert_next(const struct toto_series *series, size_t i, const char *wanted)
{
    char text[TIME_TEXT_SIZE];
    time_axis_text(&series->variates[i].axis, 1, text);
    assert_string_equal(text, wanted);
}

static void test_wide(void **state)
{
    (void)state;
    struct toto_series *series =
        must_make("date,a,b\n2016-07-01,1,10\n2016-07-02,NA,20\n2016-07-03,3,\n", NULL, NULL);
    assert_int_equal(toto_series_count(series), 2);
    assert_int_equal(series->n_groups, 1);
    assert_string_equal(series->id_name, "unique_id");
    assert_string_equal(series->time_name, "date");
    assert_string_equal(series->variates[1].id, "b");
    assert_points(series, 0, "1 1? 3");
    assert_points(series, 1, "10 20 20?");
    assert_next(series, 0, "2016-07-04");
    toto_series_free(series);
    series = must_make("date,a,b\n2016-07-01,1,10\n2016-07-02,2,20\n", NULL,
                       &(struct toto_series_options){.group = TOTO_GROUP_NONE});
    assert_int_equal(series->n_groups, 2);
    assert_points(series, 1, "10 20");
    toto_series_free(series);
    series = must_make("a\n5\n", NULL, NULL);
    assert_points(series, 0, "5");
    assert_next(series, 0, "1");
    assert_string_equal(series->time_name, "ds");
    toto_series_free(series);
    series = must_make("ds,a\n", NULL, NULL);
    assert_int_equal(toto_series_count(series), 0);
    assert_int_equal(series->n_groups, 0);
    toto_series_free(series);
    assert_int_equal(toto_memory_used(), 0);
}

static void test_long(void **state)
{
    (void)state;
    struct toto_series *series =
        must_make("item_id,timestamp,target\nq,5,1\n\" p\",10,7\nq,7,3\nq,6,2\n"
                  "\" p\",40,9\n\" p\",20,8\n",
                  NULL, NULL);
    assert_int_equal(toto_series_count(series), 2);
    assert_int_equal(series->n_groups, 2);
    assert_string_equal(series->id_name, "item_id");
    assert_string_equal(series->variates[0].id, "q");
    assert_string_equal(series->variates[1].id, " p");
    assert_points(series, 0, "1 2 3");
    assert_points(series, 1, "7 8 8? 9");
    assert_next(series, 0, "8");
    assert_next(series, 1, "50");
    toto_series_free(series);
    const char *const targets[] = {"v", "u"};
    series = must_make("id,u,v\nb,1,2\na,3,4\nb,5,6\n",
                       &(struct toto_table_options){.targets = targets, .n_targets = 2}, NULL);
    static const char *const ids[] = {"b/v", "b/u", "a/v", "a/u"};
    assert_int_equal(series->n_variates, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(series->variates[i].id, ids[i]);
    assert_points(series, 0, "2 6");
    assert_points(series, 3, "3");
    assert_next(series, 0, "2");
    assert_next(series, 2, "1");
    toto_series_free(series);
}

/* Whatever the order of the rows, the points are the same. */
static void test_order(void **state)
{
    (void)state;
    enum { ROWS = 97 };
    for (unsigned stride = 1; stride < ROWS; stride += 5) {
        char text[4096];
        size_t used = (size_t)sprintf(text, "ds,y\n");
        for (unsigned i = 0; i < ROWS; i++)
            used += (size_t)sprintf(text + used, "%u,%u\n", 1000 + 3 * (i * stride % ROWS),
                                    i * stride % ROWS);
        struct toto_series *series = must_make(text, NULL, NULL);
        assert_int_equal(series->groups[0].n_steps, ROWS);
        for (unsigned i = 0; i < ROWS; i++)
            assert_true(series->groups[0].values[i] == (float)i &&
                        series->groups[0].observed[i] == 1);
        assert_next(series, 0, "1291");
        toto_series_free(series);
    }
}

static void test_fill(void **state)
{
    (void)state;
    static const struct {
        enum toto_fill fill;
        size_t context;
        const char *wanted;
    } cases[] = {
        {TOTO_FILL_FFILL, 0, "0? 2 2? 2? 2? 10 10?"},
        {TOTO_FILL_NONE, 0, "0? 2 0? 0? 0? 10 0?"},
        {TOTO_FILL_LINEAR, 0, "0? 2 4? 6? 8? 10 10?"},
        {TOTO_FILL_FFILL, 4, "2? 2? 10 10?"},
        {TOTO_FILL_NONE, 4, "0? 0? 10 0?"},
        {TOTO_FILL_LINEAR, 4, "6? 8? 10 10?"},
        {TOTO_FILL_LINEAR, 1, "10?"},
        {TOTO_FILL_FFILL, 1, "10?"},
        {TOTO_FILL_NONE, 1, "0?"},
        {TOTO_FILL_LINEAR, 7, "0? 2 4? 6? 8? 10 10?"},
        {TOTO_FILL_LINEAR, 6, "2 4? 6? 8? 10 10?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct toto_series_options options = {.fill = cases[i].fill,
                                                    .context = cases[i].context};
        /* The same once with missing cells and once with missing rows. */
        struct toto_series *series =
            must_make("ds,y\n1,\n2,2\n3,NA\n4,\n5,null\n6,10\n7,\n", NULL, &options);
        assert_points(series, 0, cases[i].wanted);
        toto_series_free(series);
        series = must_make("ds,y\n7,\n1,\n2,2\n6,10\n", NULL, &options);
        assert_points(series, 0, cases[i].wanted);
        toto_series_free(series);
    }
}

/* A gap of any length costs nothing and is filled as if it were short. */
static void test_far_gap(void **state)
{
    (void)state;
    const char *text = "ds,y\n1,1\n2,2\n1000000000000000,5\n";
    struct toto_series *series = must_make(text, NULL, &(struct toto_series_options){.context = 3});
    assert_points(series, 0, "2? 2? 5");
    toto_series_free(series);
    series = must_make(text, NULL,
                       &(struct toto_series_options){.context = 2, .fill = TOTO_FILL_LINEAR});
    assert_points(series, 0, "5? 5");
    toto_series_free(series);
    /* From end to end of 64 bits. */
    series =
        must_make("ds,y\n-9223372036854775808,1\n-9223372036854775807,2\n9223372036854775807,4\n",
                  NULL, NULL);
    assert_int_equal(series->groups[0].n_steps, 4096);
    assert_true(series->groups[0].values[4095] == 4 && series->groups[0].values[0] == 2);
    assert_next(series, 0, "");
    toto_series_free(series);
    must_fail("ds,y\n-9223372036854775808,1\n9223372036854775807,4\n", NULL, NULL, TOTO_STATUS_DATA,
              "no fixed time step");
}

static void test_steps(void **state)
{
    (void)state;
    static const struct {
        const char *text, *next;
    } cases[] = {
        {"ds,y\n2016-07-01 00:00:00,1\n2016-07-01 00:15:00,1\n", "2016-07-01 00:30:00"},
        {"ds,y\n2016-07-01T00:00,1\n2016-07-01T01:00,1\n2016-07-01T03:00,1\n", "2016-07-01T04:00"},
        {"ds,y\n2016-03-27 01:00:00+01:00,1\n2016-03-27 03:00:00+02:00,1\n",
         "2016-03-27 04:00:00+02:00"},
        {"ds,y\n2016-07-01 00:00:00,1\n2016-07-01 00:00:00.5,1\n", "2016-07-01 00:00:01.0"},
        {"ds,y\n2016-07-04,1\n2016-07-05,1\n2016-07-08,1\n2016-07-11,1\n2016-07-12,1\n",
         "2016-07-13"},
        {"ds,y\n2016/07/04,1\n2016/07/11,1\n", "2016/07/18"},
        {"ds,y\n20160630,1\n20160701,1\n", "20160702"},
        {"ds,y\n2020-01-01,1\n2020-01-31,1\n2020-03-01,1\n", "2020-03-31"},
        {"ds,y\n1467331200,1\n1467334800,1\n", "1467338400"},
        {"ds,y\n28,1\n59,2\n", "90"},
        {"ds,y\n5,1\n4,1\n1,1\n", "6"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct toto_series *series = must_make(cases[i].text, NULL, NULL);
        assert_next(series, 0, cases[i].next);
        toto_series_free(series);
    }
}

static void test_time_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"ds,y\n1,1\n", "a.csv:2:1: column \"ds\": one row has no time step to infer"},
        {"ds,y\n1,1\n2,2\n1,3\n", "a.csv:4:1: column \"ds\": the time 1 stands at a.csv:2 too"},
        {"ds,y\n2016-07-01T01:00Z,1\n2016-07-01T02:00Z,2\n\n2016-07-01T02:00Z,3\n",
         "a.csv:5:1: column \"ds\": the time 2016-07-01T02:00Z stands at a.csv:3 too"},
        {"id,ds,y\nq,1,1\np,1,1\np,2,1\nq,1,3\n",
         "a.csv:5:2: column \"ds\": series \"q\": the time 1 stands at a.csv:2"},
        {"ds,y\n0,1\n10,1\n20,1\n25,1\n40,1\n", "a.csv:5:1: column \"ds\": no fixed time step: "
                                                "from 20 (a.csv:4) to 25 is no multiple of 10"},
        {"ds,y\n2016-01-01 00:00,1\n2016-01-01 01:00,1\n2016-01-01 02:00,1\n2016-01-01 02:30,1\n",
         "is no multiple of 1 h"},
        {"id,ds,y\nq,2016-01-01,1\nq,2016-02-01,1\nq,2016-03-02,1\nq,2016-04-01,1\nq,2016-05-01,1\n",
         "a.csv:4:2: column \"ds\": series \"q\": no fixed time step: 2016-03-02 is not on the day of the "
         "month, or at the time of day, of the rows before it (2016-02-01 at a.csv:3)"},
        {"ds,y\n2016-01-01 00:00,1\n2016-02-01 00:00,1\n2016-03-01 01:00,1\n",
         "a.csv:4:1: column \"ds\": no fixed time step: 2016-03-01 01:00 is not on the day"},
        {"ds,y\n2016-01-01,1\n2016-02-01,1\n2016-01-01,2\n", "the time 2016-01-01 stands at a.csv:2 too"},
        {"ds,y\n2016-02-29,1\n2016-03-31,1\n2016-04-30,1\n2016-05-30,1\n",
         "a.csv:5:1: column \"ds\": no fixed time step: 2016-05-30 is not"},
        {"ds,y\n2016-01-20,1\n2016-02-01,1\n2016-03-01,1\n2016-04-01,1\n", "a.csv:3:1: column \"ds\": no fixed time"},
        {"date,a,b\n1,1,\n2,2,NA\n", "a.csv:2:3: column \"b\": all values are missing"},
        {"id,ds,y\nq,1,1\nq,2,2\np,1,\np,2,\n",
         "a.csv:4:3: column \"y\": series \"p\": all values"},
        {"id,ds,y\nq,1,1\nq,2,2\np,1,5\n", "a.csv:4:2: column \"ds\": series \"p\": one row"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        must_fail(cases[i].text, NULL, NULL, TOTO_STATUS_DATA, cases[i].part);
}

static void test_groups(void **state)
{
    (void)state;
    const struct toto_table_options by_group = {.group = "g"};
    struct toto_series *series =
        must_make("id,g,ds,y\na,n,1,1\nb,s,1,10\nc,n,2,20\na,n,2,2\nb,s,2,11\nc,n,3,21\nc,n,4,22\n",
                  &by_group, NULL);
    assert_int_equal(series->n_groups, 2);
    assert_int_equal(series->groups[0].n_variates, 2);
    assert_points(series, 0, "1 2 2? 2?");
    assert_points(series, 1, "10 11");
    assert_points(series, 2, "0? 20 21 22");
    assert_next(series, 0, "5");
    assert_next(series, 1, "3");
    assert_int_equal(series->variates[2].group, 0);
    toto_series_free(series);
    /* The same files, each series alone. */
    series = must_make("id,g,ds,y\na,n,1,1\nc,n,2,20\na,n,2,2\nc,n,3,21\n", &by_group,
                       &(struct toto_series_options){.group = TOTO_GROUP_NONE});
    assert_int_equal(series->n_groups, 2);
    assert_points(series, 0, "1 2");
    toto_series_free(series);
    series = must_make("id,y\na,1\nb,2\na,3\n", NULL,
                       &(struct toto_series_options){.group = TOTO_GROUP_ALL});
    assert_int_equal(series->n_groups, 1);
    assert_points(series, 0, "1 3");
    assert_points(series, 1, "2 2?");
    toto_series_free(series);
    must_fail("id,g,ds,y\na,n,1,1\na,s,2,1\n", &by_group, NULL, TOTO_STATUS_DATA,
              "a.csv:3:2: column \"g\": \"s\", but the series was in group \"n\" at a.csv:2");
    must_fail("id,g,ds,y\na,n,1,1\na,n,2,1\nb,n,1,1\nb,n,3,1\n", &by_group, NULL, TOTO_STATUS_DATA,
              "a.csv:4: series \"b\" has another time step");
    must_fail("id,g,ds,y\na,n,0,1\na,n,2,1\nb,n,1,1\nb,n,3,1\n", &by_group, NULL, TOTO_STATUS_DATA,
              "a.csv:4: series \"b\" has times between");
    must_fail("id,y\na,1\n", NULL, &(struct toto_series_options){.group = TOTO_GROUP_COLUMN},
              TOTO_STATUS_USAGE, "grouped by a column");
}

/* Steps of months, in order and out of it. */
static void test_months(void **state)
{
    (void)state;
    static const struct {
        const char *text, *points, *next;
    } cases[] = {
        {"2016-01-01,1\n2016-02-01,2\n2016-03-01,3\n", "1 2 3", "2016-04-01"},
        {"2016-03-01,3\n2016-01-01,1\n2016-02-01,2\n", "1 2 3", "2016-04-01"},
        /* Two rows a month or a year apart say so, though one fixed step fits them too. */
        {"2016-07-01,1\n2016-08-01,2\n", "1 2", "2016-09-01"},
        {"2015-07-01,1\n2016-07-01,2\n2017-07-01,3\n", "1 2 3", "2018-07-01"},
        {"2017-07-01 00:00,1\n2018-07-01 00:00,2\n2019-07-01 00:00,3\n", "1 2 3", "2020-07-01 00:00"},
        {"2015-04-30,1\n2015-05-31,2\n", "1 2", "2015-06-30"},
        {"2016-01-01,1\n2016-04-01,2\n2016-07-01,3\n", "1 2 3", "2016-10-01"},
        {"2016-01-15,1\n2016-03-15,2\n2016-05-15,3\n", "1 2 3", "2016-07-15"},
        /* Gaps: the greatest common divisor. */
        {"2016-01-01,1\n2016-02-01,2\n2016-05-01,5\n", "1 2 2? 2? 5", "2016-06-01"},
        {"2016-01-01,1\n2016-07-01,3\n2017-04-01,6\n", "1 1? 3 3? 3? 6", "2017-07-01"},
        {"2010-12-31,1\n2011-12-31,2\n2014-12-31,5\n", "1 2 2? 2? 5", "2015-12-31"},
        /* Month ends, leap years and common ones. */
        {"2015-12-31,1\n2016-01-31,2\n2016-02-29,3\n", "1 2 3", "2016-03-31"},
        {"2014-12-31,1\n2015-01-31,2\n2015-02-28,3\n", "1 2 3", "2015-03-31"},
        {"2015-10-31,1\n2015-11-30,2\n2016-01-31,4\n", "1 2 2? 4", "2016-02-29"},
        {"2016-06-30,1\n2016-09-30,2\n", "1 2", "2016-12-31"},
        {"2013-02-28,1\n2014-02-28,2\n2015-02-28,3\n", "1 2 3", "2016-02-29"},
        {"2015-02-28,1\n2016-02-28,2\n2017-02-28,3\n", "1 2 3", "2018-02-28"},
        {"2012-02-29,1\n2016-02-29,2\n", "1 2", "2020-02-29"},
        /* The 29th and 30th, or the last of a shorter month. */
        {"2015-01-30,1\n2015-02-28,2\n2015-03-30,3\n", "1 2 3", "2015-04-30"},
        {"2015-12-29,1\n2016-01-29,2\n2016-02-29,3\n", "1 2 3", "2016-03-29"},
        {"2016-11-29,1\n2016-12-29,2\n2017-01-29,3\n", "1 2 3", "2017-02-28"},
        /* Local midnight, whatever the offset. */
        {"2016-02-01T00:00:00+01:00,1\n2016-03-01T00:00:00+01:00,2\n2016-04-01T00:00:00+02:00,3\n", "1 2 3",
         "2016-05-01T00:00:00+02:00"},
        {"20160101,1\n20160201,2\n", "1 2", "20160301"},
        {"2016-11,1\n2016-12,2\n", "1 2", "2017-01"},
        {"2016-04,1\n2016-07,2\n2017-01,4\n", "1 2 2? 4", "2017-04"},
        /* Weeks stay weeks; thirty days are no month. */
        {"2016-02-01,1\n2016-02-08,2\n2016-02-22,4\n", "1 2 2? 4", "2016-02-29"},
        {"2020-01-01,1\n2020-01-31,2\n2020-03-01,3\n", "1 2 3", "2020-03-31"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        snprintf(text, sizeof text, "ds,y\n%s", cases[i].text);
        struct toto_series *series = must_make(text, NULL, NULL);
        assert_points(series, 0, cases[i].points);
        assert_next(series, 0, cases[i].next);
        toto_series_free(series);
    }
}

/* Writes n days from 2016-07-04, a Monday, on; which[i % 7] tells whether the i-th has a row. */
static void days_write(char *text, const char *id, int n, const char which[7])
{
    for (int i = 0; i < n; i++) {
        int day = 4 + i;
        if (which[i % 7] == 'x')
            text += sprintf(text, "%s2016-%02d-%02d,%d\n", id, day > 31 ? 8 : 7, day > 31 ? day - 31 : day, i);
    }
}

static void test_business_days(void **state)
{
    (void)state;
    static const struct {
        int n;
        const char *which, *next;
        size_t n_steps;
    } cases[] = {
        {19, "xxxxx  ", "2016-07-25", 15}, /* to a Friday; a Monday follows */
        {17, "xxxxx  ", "2016-07-21", 13},
        {19, "xx xx  ", "2016-07-25", 15}, /* closed on Wednesdays */
        {19, "xxxxxx ", "2016-07-23", 19}, /* Saturdays count */
        {14, "xxxxx  ", "2016-07-16", 12}, /* to the second Friday: too short to tell */
    };
    char text[1024];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strcpy(text, "ds,y\n");
        days_write(text + 5, "", cases[i].n, cases[i].which);
        struct toto_series *series = must_make(text, NULL, NULL);
        assert_int_equal(series->groups[0].n_steps, cases[i].n_steps);
        assert_next(series, 0, cases[i].next);
        toto_series_free(series);
    }
    /* A group of business days and days counts days, whichever comes first. */
    for (int first = 0; first < 2; first++) {
        strcpy(text, "id,ds,y\n");
        days_write(text + strlen(text), "a,", 19, first ? "xxxxx  " : "xxxxxxx");
        days_write(text + strlen(text), "b,", 19, first ? "xxxxxxx" : "xxxxx  ");
        struct toto_series *series =
            must_make(text, NULL, &(struct toto_series_options){.group = TOTO_GROUP_ALL});
        assert_int_equal(series->groups[0].n_steps, 19);
        for (size_t i = 0; i < 2; i++)
            assert_next(series, i, "2016-07-23");
        const char *wanted = "0 1 2 3 4 4? 4? 7 8 9 10 11 11? 11? 14 15 16 17 18";
        assert_points(series, first ? 0 : 1, wanted);
        toto_series_free(series);
        /* Each alone, as it is. */
        series = must_make(text, NULL, NULL);
        assert_next(series, first ? 0 : 1, "2016-07-25");
        assert_next(series, first ? 1 : 0, "2016-07-23");
        toto_series_free(series);
    }
}

/* Each series has its own step, and its own form of time. */
static void test_mixed_steps(void **state)
{
    (void)state;
    static const char text[] = "id,ds,y\nm,2016-01-01,1\nh,2016-01-01 00:00:00,1\nq,2016/01/01,1\n"
                               "m,2016-02-01,2\nh,2016-01-01 01:00:00,2\nq,2016/04/01,2\n"
                               "w,2016-01-01,1\nw,2016-01-08,2\ny,1960,1\ny,1961,2\n"
                               "f,2016-01-01 00:00:00.5,1\nf,2016-01-01 00:00:01,2\n";
    static const char *const next[] = {"2016-03-01", "2016-01-01 02:00:00", "2016/07/01",
                                       "2016-01-15", "1962",                "2016-01-01 00:00:01.5"};
    struct toto_series *series = must_make(text, NULL, NULL);
    assert_int_equal(toto_series_count(series), 6);
    for (size_t i = 0; i < 6; i++) {
        assert_points(series, i, "1 2");
        assert_next(series, i, next[i]);
    }
    toto_series_free(series);
    const struct toto_series_options all = {.group = TOTO_GROUP_ALL};
    must_fail(text, NULL, &all, TOTO_STATUS_DATA,
              "a.csv:3: series \"h\" writes its times in another form than the series of its group before it");
    must_fail("id,ds,y\na,2016-01-01,1\na,2016-02-01,1\nb,2016-01-01,1\nb,2016-04-01,1\n", NULL, &all,
              TOTO_STATUS_DATA, "a.csv:4: series \"b\" has another time step");
    must_fail("id,ds,y\na,2016-01-01,1\na,2016-01-02,1\nb,2016-01-01,1\nb,2016-02-01,1\n", NULL, &all,
              TOTO_STATUS_DATA, "a.csv:4: series \"b\" has another time step");
    must_fail("id,ds,y\na,2016-01-01,1\na,2016-02-01,1\nb,2016-01-31,1\nb,2016-02-29,1\n", NULL, &all,
              TOTO_STATUS_DATA, "a.csv:4: series \"b\" has times between");
    must_fail("id,ds,y\na,2016-01-01,1\na,2016-04-01,1\nb,2016-02-01,1\nb,2016-05-01,1\n", NULL, &all,
              TOTO_STATUS_DATA, "a.csv:4: series \"b\" has times between");
    series = must_make("id,ds,y\na,2016-01-31,1\na,2016-02-29,2\nb,2015-11-30,8\nb,2015-12-31,9\n", NULL, &all);
    assert_points(series, 0, "0? 0? 1 2");
    assert_points(series, 1, "8 9 9? 9?");
    assert_next(series, 1, "2016-03-31");
    toto_series_free(series);
}

/* Each kind of bad series among good ones. */
static void test_on_error(void **state)
{
    (void)state;
    static const char text[] =
        "id,ds,y\na,1,1\nbad,1,12x\nlate,x,1\na,2,2\nlone,1,1\nvoid,1,\n"
        "void,2,\ntwice,1,1\ntwice,1,1\nbad,2,5\nlate,2,3\nbad,3,6z\nz,1,3\nz,2,4\n";
    static const char *const messages[] = {
        "a.csv:3:3: column \"y\": \"12x\" is not a number",
        "a.csv:4:2: column \"ds\": \"x\" is not a time",
        "a.csv:6:2: column \"ds\": series \"lone\": one row",
        "a.csv:7:3: column \"y\": series \"void\": all",
        "a.csv:10:2: column \"ds\": series \"twice\": the time 1 stands at a.csv:9"};
    static const char *const ids[] = {"a", "bad", "late", "lone", "void", "twice", "z"};
    struct toto_table_options table_options = {.on_error = TOTO_ON_ERROR_SKIP};
    struct toto_series_options options = {.on_error = TOTO_ON_ERROR_SKIP};
    struct toto_series *series = must_make(text, &table_options, &options);
    assert_int_equal(toto_series_count(series), 2);
    assert_int_equal(toto_series_bad_count(series), 5);
    assert_int_equal(log_lines, 5);
    for (size_t i = 0; i < 5; i++)
        assert_part(log_text, messages[i]);
    assert_string_equal(series->variates[1].id, "z");
    assert_points(series, 1, "3 4");
    toto_series_free(series);

    table_options.on_error = options.on_error = TOTO_ON_ERROR_NULL;
    series = must_make(text, &table_options, &options);
    assert_int_equal(toto_series_count(series), 7);
    assert_int_equal(toto_series_bad_count(series), 5);
    assert_int_equal(series->n_groups, 2);
    for (size_t i = 0; i < 7; i++) {
        assert_string_equal(series->variates[i].id, ids[i]);
        assert_int_equal(series->variates[i].group == SIZE_MAX, i != 0 && i != 6);
    }
    assert_points(series, 6, "3 4");
    assert_next(series, 1, "4");
    assert_next(series, 2, "");
    assert_next(series, 3, "");
    assert_next(series, 4, "3");
    toto_series_free(series);
    must_fail(text, NULL, NULL, TOTO_STATUS_DATA, messages[0]);
    must_fail(text, &table_options, NULL, TOTO_STATUS_DATA, messages[0]);

    /* Wide: a bad column goes alone; a bad time is everyone's. */
    table_options.on_error = options.on_error = TOTO_ON_ERROR_SKIP;
    series = must_make("ds,a,b,c\n1,1,x,\n2,2,2,\n", &table_options, &options);
    assert_int_equal(toto_series_count(series), 1);
    assert_int_equal(toto_series_bad_count(series), 2);
    assert_points(series, 0, "1 2");
    toto_series_free(series);
    must_fail("ds,a\n1,1\nx,2\n", &table_options, &options, TOTO_STATUS_DATA, "a.csv:3:1");
    must_fail("ds,a\n1,1\n1,2\n", &table_options, &options, TOTO_STATUS_DATA, "a.csv:3:1");
    must_fail("ds,a\n1,x\n2,y\n", &table_options, &options, TOTO_STATUS_DATA, "no numeric column");
    must_fail("ds,a\n1,1\n2\n", &table_options, &options, TOTO_STATUS_DATA, "a.csv:3:2");
    series = must_make("id,ds,y\na,1,1\n", &table_options, &options);
    assert_int_equal(toto_series_count(series), 0);
    assert_int_equal(toto_series_bad_count(series), 1);
    toto_series_free(series);
}

/* A hundred thousand series of three rows, interleaved, take no quadratic step. */
static void test_many(void **state)
{
    (void)state;
    enum { SERIES = 100000 };
    char *text = malloc(SERIES * 3 * 24), *at;
    assert_non_null(text);
    at = text + sprintf(text, "id,ds,y\n");
    for (int t = 0; t < 3; t++)
        for (int i = 0; i < SERIES; i++)
            at += sprintf(at, "s%d,%d,%d\n", i, t, i % 1000);
    double start = clock_seconds();
    struct toto_series *series = must_make(text, NULL, NULL);
    double seconds = clock_seconds() - start;
    assert_int_equal(toto_series_count(series), SERIES);
    assert_points(series, 99999, "999 999 999");
    print_message("%.0f ms for %d series\n", 1e3 * seconds, SERIES);
    assert_true(seconds < 10);
    toto_series_free(series);
    free(text);
}

static void test_no_memory(void **state)
{
    (void)state;
    static const char text[] =
        "id,g,ds,y\na,n,2,1\na,n,1,2\nb,n,1,3\nb,n,2,x\nb,n,7,4\nc,s,1,5\nc,s,3,5\n"
        "c,s,4,5\nc,s,6,5\n";
    const struct toto_table_options table_options = {.group = "g", .on_error = TOTO_ON_ERROR_NULL};
    const struct toto_series_options options = {.on_error = TOTO_ON_ERROR_NULL};
    for (size_t n = 1;; n++) {
        struct toto_table *table;
        struct toto_series *series;
        struct toto_error err;
        assert_int_equal(text_read(text, &table_options, &table, &err), TOTO_STATUS_OK);
        mem_fail_after(n);
        enum toto_status status = toto_series_make(table, &options, &series, &err);
        mem_fail_after(0);
        toto_table_free(table);
        if (!status) {
            assert_true(n > 8);
            toto_series_free(series);
            break;
        }
        assert_int_equal(status, TOTO_STATUS_RESOURCE);
        assert_null(series);
        assert_part(err.message, "memory");
        assert_int_equal(toto_memory_used(), 0);
    }
}

static struct toto_series *must_make_values(const struct toto_values *values, size_t n,
                                            const struct toto_series_options *options)
{
    struct toto_series *series;
    struct toto_error err;
    if (toto_series_from_values(values, n, options, &series, &err))
        fail_msg("%s", err.message);
    return series;
}

static void test_values(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b"}, *const other[] = {"c"};
    const float ab[] = {1, NAN, 3, NAN, NAN, NAN, NAN, NAN, 9, NAN}, c[] = {5, 6};
    const struct toto_values groups[] = {{names, 2, 5, ab, 0}, {other, 1, 2, c, 0}};
    struct toto_series *series = must_make_values(groups, 2, NULL);
    assert_int_equal(toto_series_count(series), 3);
    assert_int_equal(series->n_groups, 2);
    assert_int_equal(series->groups[0].n_variates, 2);
    assert_points(series, 0, "1 1? 3 3? 3?");
    assert_points(series, 1, "0? 0? 0? 9 9?");
    assert_points(series, 2, "5 6");
    assert_string_equal(series->variates[2].id, "c");
    char time[TIME_TEXT_SIZE];
    time_axis_text(&series->variates[0].axis, 1, time);
    assert_string_equal(time, "5");
    toto_series_free(series);

    /* A window sees what came before it, as that of a table does. */
    series = must_make_values(groups, 2,
                              &(struct toto_series_options){.context = 4,
                                                            .fill = TOTO_FILL_LINEAR,
                                                            .group = TOTO_GROUP_NONE});
    assert_int_equal(series->n_groups, 3);
    assert_points(series, 0, "2? 3 3? 3?");
    assert_points(series, 1, "0? 0? 9 9?");
    assert_points(series, 2, "5 6");
    toto_series_free(series);

    /* The first steps of a wider array. */
    const struct toto_values cut = {names, 2, 4, ab, 5};
    series = must_make_values(&cut, 1, NULL);
    assert_points(series, 0, "1 1? 3 3?");
    assert_points(series, 1, "0? 0? 0? 9");
    toto_series_free(series);
    assert_int_equal(toto_memory_used(), 0);
}

static void assert_values_fail(const struct toto_values *values, const struct toto_series_options *options,
                               enum toto_status wanted, const char *part)
{
    struct toto_series *series;
    struct toto_error err;
    assert_int_equal(toto_series_from_values(values, 1, options, &series, &err), wanted);
    assert_null(series);
    assert_part(err.message, part);
    assert_int_equal(toto_memory_used(), 0);
}

static void test_values_errors(void **state)
{
    (void)state;
    static const char *const names[] = {"a"};
    const float points[] = {1, INFINITY};
    struct toto_values values = {names, 1, 2, points, 0};
    assert_values_fail(&values, NULL, TOTO_STATUS_DATA, "\"a\": point 1 is not finite");
    assert_values_fail(&values, &(struct toto_series_options){.group = TOTO_GROUP_COLUMN},
                       TOTO_STATUS_USAGE, "column");
    values.n_steps = 0;
    assert_values_fail(&values, NULL, TOTO_STATUS_DATA, "no values");
    values.n_steps = 1;
    for (size_t n = 1; n < 6; n++) {
        struct toto_series *series;
        struct toto_error err;
        mem_fail_after(n);
        enum toto_status status = toto_series_from_values(&values, 1, NULL, &series, &err);
        mem_fail_after(0);
        toto_series_free(series);
        assert_true(status == (n < 3 ? TOTO_STATUS_RESOURCE : TOTO_STATUS_OK));
    }
    assert_int_equal(toto_memory_used(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wide),        cmocka_unit_test(test_long),
        cmocka_unit_test(test_order),       cmocka_unit_test(test_fill),
        cmocka_unit_test(test_far_gap),     cmocka_unit_test(test_steps),
        cmocka_unit_test(test_time_errors), cmocka_unit_test(test_groups),
        cmocka_unit_test(test_months),      cmocka_unit_test(test_business_days),
        cmocka_unit_test(test_mixed_steps), cmocka_unit_test(test_on_error),    cmocka_unit_test(test_many),
        cmocka_unit_test(test_no_memory),   cmocka_unit_test(test_values),
        cmocka_unit_test(test_values_errors),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
