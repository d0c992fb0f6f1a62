/* Covariates: of the past and known ahead, in wide and long input, their future at the end of a
 * series or in a file of its own. */
#include "table_text.h"

#include "series/series.h"

/* Columns of the options, by name: past p, p2; known k, k2. */
static const char *const p_column[] = {"p"}, *const k_column[] = {"k"};
static const char *const both_columns[] = {"k2", "k"};

static const struct toto_table_options past = {.pasts = p_column, .n_pasts = 1};
static const struct toto_table_options known = {.knowns = k_column, .n_knowns = 1};
static const struct toto_table_options past_and_known = {
    .pasts = p_column, .n_pasts = 1, .knowns = k_column, .n_knowns = 1};
static const struct toto_table_options filed = {
    .knowns = k_column, .n_knowns = 1, .future = "b.csv"};
static const struct toto_table_options past_and_filed = {
    .pasts = p_column, .n_pasts = 1, .knowns = k_column, .n_knowns = 1, .future = "b.csv"};

/* Reads text as a.csv, and future (if any) as b.csv, and makes series of them. */
static enum toto_status make(const char *text, const char *future,
                             const struct toto_table_options *table_options,
                             const struct toto_series_options *options, struct toto_series **series,
                             struct toto_error *err)
{
    struct toto_table *table;
    *series = NULL;
    if (future)
        file_write("b.csv", future, strlen(future));
    enum toto_status status = text_read(text, table_options, &table, err);
    if (!status)
        status = toto_series_make(table, options, series, err);
    toto_table_free(table);
    return status;
}

static size_t row_show(char *out, size_t size, const float *values, const uint8_t *observed,
                       size_t n)
{
    size_t used = 0;
    for (size_t i = 0; i < n; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%g%s", i ? " " : "", (double)values[i],
                                 observed[i] ? "" : "?");
    return used;
}

/* A line a row of each group: "ID: points" of a target, "past: points", "known: points | future",
 * with a question mark where nothing was observed; then the first time of the forecast. */
static void series_show(const struct toto_series *series, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t g = 0; g < series->n_groups; g++) {
        const struct group *group = &series->groups[g];
        char time[TIME_TEXT_SIZE];
        for (size_t v = 0; v < group->n_variates; v++) {
            bool target = v < group->n_variates - group->n_past;
            assert_int_equal(group->variates[v] == SIZE_MAX, !target);
            if (target)
                assert_int_equal(series->variates[group->variates[v]].row, v);
            used += (size_t)snprintf(out + used, size - used, "%s: ",
                                     target ? series->variates[group->variates[v]].id : "past");
            used += row_show(out + used, size - used, group->values + v * group->n_steps,
                             group->observed + v * group->n_steps, group->n_steps);
            used += (size_t)snprintf(out + used, size - used, "\n");
        }
        for (size_t k = 0; k < group->n_known; k++) {
            size_t at = k * group->n_known_steps, past_end = at + group->n_steps;
            used += (size_t)snprintf(out + used, size - used, "known: ");
            used += row_show(out + used, size - used, group->known + at, group->known_observed + at,
                             group->n_steps);
            used += (size_t)snprintf(out + used, size - used, " | ");
            used += row_show(out + used, size - used, group->known + past_end,
                             group->known_observed + past_end,
                             group->n_known_steps - group->n_steps);
            used += (size_t)snprintf(out + used, size - used, "\n");
        }
        time_axis_text(&series->variates[group->variates[0]].axis, 1, time);
        used += (size_t)snprintf(out + used, size - used, "next: %s\n", time);
    }
}

static void must_make(const char *text, const char *future,
                      const struct toto_table_options *table_options,
                      const struct toto_series_options *options, const char *wanted)
{
    struct toto_series *series;
    struct toto_error err;
    char shown[4096];
    if (make(text, future, table_options, options, &series, &err))
        fail_msg("%s\n%s", text, err.message);
    series_show(series, shown, sizeof shown);
    if (strcmp(shown, wanted))
        fail_msg("%s\ngave:\n%s\nwanted:\n%s", text, shown, wanted);
    toto_series_free(series);
    assert_int_equal(toto_memory_used(), 0);
}

static void must_fail(const char *text, const char *future,
                      const struct toto_table_options *table_options, enum toto_status wanted,
                      const char *part)
{
    struct toto_series *series;
    struct toto_error err;
    enum toto_status status = make(text, future, table_options, NULL, &series, &err);
    assert_null(series);
    if (status != wanted || !strstr(err.message, part))
        fail_msg("%s\nstatus %d: %s\nwanted %d: %s", text, (int)status, err.message, (int)wanted,
                 part);
    assert_int_equal(toto_memory_used(), 0);
}

static void test_past(void **state)
{
    (void)state;
    must_make("ds,p,a,b\n1,7,1,10\n2,,2,20\n3,9,3,30\n", NULL, &past, NULL,
              "a: 1 2 3\nb: 10 20 30\npast: 7 7? 9\nnext: 4\n");
    must_make("ds,p,a\n1,4,1\n2,,2\n3,8,3\n", NULL, &past,
              &(struct toto_series_options){.fill = TOTO_FILL_LINEAR, .context = 2},
              "a: 2 3\npast: 6? 8\nnext: 4\n");
    must_make("p,a\n4,1\n,2\n", NULL, &past, &(struct toto_series_options){.fill = TOTO_FILL_NONE},
              "a: 1 2\npast: 4 0?\nnext: 2\n");
    /* Each column alone has the covariate beside it. */
    must_make("p,a,b\n7,1,10\n8,2,20\n", NULL, &past,
              &(struct toto_series_options){.group = TOTO_GROUP_NONE},
              "a: 1 2\npast: 7 8\nnext: 2\nb: 10 20\npast: 7 8\nnext: 2\n");
    must_make("id,y,p\nq,1,7\nr,2,8\nq,3,9\n", NULL, &past, NULL,
              "q: 1 3\npast: 7 9\nnext: 2\nr: 2\npast: 8\nnext: 1\n");
    /* Without a value it is there all the same. */
    must_make("ds,p,a\n1,,1\n2,NA,2\n", NULL, &past, NULL, "a: 1 2\npast: 0? 0?\nnext: 3\n");
}

/* Rows at the end without targets. */
static void test_trailing(void **state)
{
    (void)state;
    must_make("ds,a,k\n1,1,5\n2,2,\n3,,7\n4,,8\n", NULL, &known, NULL,
              "a: 1 2\nknown: 5 0? | 7 8\nnext: 3\n");
    /* In any order; a gap and an empty row among them are missing. */
    must_make("ds,a,k\n7,,\n4,,8\n1,1,5\n3,,7\n2,2,6\n6,,9\n", NULL, &known, NULL,
              "a: 1 2\nknown: 5 6 | 7 8 0? 9 0?\nnext: 3\n");
    /* The forecast starts at the first row that holds a known value. */
    must_make("ds,a,k\n1,1,5\n2,2,6\n3,,\n4,,8\n", NULL, &known, NULL,
              "a: 1 2 2?\nknown: 5 6 0? | 8\nnext: 4\n");
    must_make("ds,a,k\n1,1,5\n2,2,6\n3,,\n", NULL, &known, NULL,
              "a: 1 2 2?\nknown: 5 6 0? | \nnext: 4\n");
    /* Every target and covariate of the past must be empty. */
    must_make("ds,a,b,p,k\n1,1,1,1,5\n2,2,2,2,6\n3,,3,,7\n4,,,4,8\n5,,,,9\n", NULL, &past_and_known,
              NULL,
              "a: 1 2 2? 2?\nb: 1 2 3 3?\npast: 1 2 2? 4\nknown: 5 6 7 8 | 9\nnext: 5\n");
    /* Not known ahead: missing points. */
    must_make("ds,a,p\n1,1,5\n2,2,6\n3,,7\n4,,8\n", NULL, &past, NULL,
              "a: 1 2 2? 2?\npast: 5 6 7 8\nnext: 5\n");
    must_make("a,k\n1,5\n2,6\n,7\n,8\n", NULL, &known, NULL,
              "a: 1 2\nknown: 5 6 | 7 8\nnext: 2\n");
    /* One row of context: the step is that of the rows after it. */
    must_make("ds,a,k\n10,1,5\n20,,6\n30,,7\n", NULL, &known, NULL,
              "a: 1\nknown: 5 | 6 7\nnext: 20\n");
    must_make("id,ds,y,k\nq,1,1,5\nr,1,2,6\nq,2,2,7\nr,2,3,8\nq,3,,9\n", NULL, &known, NULL,
              "q: 1 2\nknown: 5 7 | 9\nnext: 3\nr: 2 3\nknown: 6 8 | \nnext: 3\n");
    must_fail("ds,a,k\n1,,5\n2,,6\n", NULL, &known, TOTO_STATUS_DATA,
              "a.csv:2:2: column \"a\": all values are missing");
}

/* The fill of targets does not touch what is known ahead; the context cuts all alike. */
static void test_known_cut(void **state)
{
    (void)state;
    static const char text[] = "ds,a,k2,k\n1,1,50,5\n2,,,\n3,3,70,7\n4,,80,\n5,,90,9\n6,,,10\n";
    const struct toto_table_options two = {.knowns = both_columns, .n_knowns = 2};
    must_make(text, NULL, &two, &(struct toto_series_options){.fill = TOTO_FILL_LINEAR},
              "a: 1 2? 3\nknown: 50 0? 70 | 80 90 0?\nknown: 5 0? 7 | 0? 9 10\nnext: 4\n");
    must_make(text, NULL, &two, &(struct toto_series_options){.context = 2, .future_steps = 2},
              "a: 1? 3\nknown: 0? 70 | 80 90\nknown: 0? 7 | 0? 9\nnext: 4\n");
    must_make(text, NULL, &two, &(struct toto_series_options){.context = 1, .future_steps = 3},
              "a: 3\nknown: 70 | 80 90 0?\nknown: 7 | 0? 9 10\nnext: 4\n");
    must_make(text, NULL, &two,
              &(struct toto_series_options){.context = 1, .future_steps = SIZE_MAX},
              "a: 3\nknown: 70 | 80 90 0?\nknown: 7 | 0? 9 10\nnext: 4\n");
    /* A time far ahead costs no more than the steps that are kept. */
    must_make("ds,a,k\n1,1,5\n2,2,6\n3,,7\n9000000000000000000,,8\n", NULL, &known,
              &(struct toto_series_options){.future_steps = 2},
              "a: 1 2\nknown: 5 6 | 7 0?\nnext: 3\n");
    must_make("ds,a,k\n-9223372036854775808,1,5\n-9223372036854775807,2,6\n"
              "9223372036854775807,,8\n",
              NULL, &known, &(struct toto_series_options){.future_steps = 1},
              "a: 1 2\nknown: 5 6 | 0?\nnext: -9223372036854775806\n");
}

static void test_file(void **state)
{
    (void)state;
    must_make("ds,a,k\n1,1,5\n2,2,6\n", "ds,k\n3,7\n5,9\n4,NA\n", &filed, NULL,
              "a: 1 2\nknown: 5 6 | 7 0? 9\nnext: 3\n");
    assert_int_equal(log_lines, 0);
    /* Other columns are not read; names match in any case; the delimiter is the file's own. */
    must_make("ds,a,k\n1,1,5\n2,2,6\n", "note;K;a;DS\nx;7;y;3\n", &filed, NULL,
              "a: 1 2\nknown: 5 6 | 7\nnext: 3\n");
    /* Rows at the end without targets are then missing points, as without covariates. */
    must_make("ds,a,k\n1,1,5\n2,2,6\n3,,7\n", "ds,k\n4,8\n", &filed, NULL,
              "a: 1 2 2?\nknown: 5 6 7 | 8\nnext: 4\n");
    must_make("ds,a,p,k\n1,1,1,5\n2,2,2,6\n", "ds,k\n3,7\n", &past_and_filed, NULL,
              "a: 1 2\npast: 1 2\nknown: 5 6 | 7\nnext: 3\n");
    must_make("a,k\n1,5\n2,6\n", "k\n7\n8\n", &filed, NULL,
              "a: 1 2\nknown: 5 6 | 7 8\nnext: 2\n");
    must_make("id,ds,y,k\nq,1,1,5\nr,7,2,6\nq,2,2,7\nr,8,3,8\n", "k,ds,id\n9,9,r\n1,3,q\n10,10,r\n",
              &filed, NULL,
              "q: 1 2\nknown: 5 7 | 1\nnext: 3\nr: 2 3\nknown: 6 8 | 9 10\nnext: 9\n");
    /* The step is the input's: two rows of the future a day later do not make it two. */
    must_make("ds,a,k\n1,1,5\n2,2,6\n", "ds,k\n4,7\n6,8\n8,9\n", &filed, NULL,
              "a: 1 2\nknown: 5 6 | 0? 7 0? 8 0? 9\nnext: 3\n");
    must_make("ds,a,k\n2016-07-01,1,5\n2016-07-02,2,6\n", "ds,k\n2016-07-03,7\n", &filed, NULL,
              "a: 1 2\nknown: 5 6 | 7\nnext: 2016-07-03\n");
    must_make("ds,a,k\n1,1,5\n2,2,6\n", "ds,k\n", &filed, NULL,
              "a: 1 2\nknown: 5 6 | \nnext: 3\n");
    assert_part(log_text, "b.csv: has no rows of a series of the input");
    must_make("ds,a,k\n", "ds,k\n1,2\n", &filed, NULL, "");
    /* Without known columns there is nothing to read. */
    must_make("ds,a\n1,1\n2,2\n", NULL, &(struct toto_table_options){.future = "none.csv"}, NULL,
              "a: 1 2\nnext: 3\n");
}

static void test_strangers(void **state)
{
    (void)state;
    static const char text[] = "id,y,k\nq,1,5\nq,2,6\n";
    must_make(text, "id,k\nx,1\nq,7\n", &filed, NULL, "q: 1 2\nknown: 5 6 | 7\nnext: 2\n");
    assert_int_equal(log_lines, 1);
    assert_part(log_text, "b.csv:2: series \"x\" is not in the input");
    must_make(text, "id,k\nq,7\nx,1\nz,1\nx,zebra\n", &filed, NULL,
              "q: 1 2\nknown: 5 6 | 7\nnext: 2\n");
    assert_int_equal(log_lines, 1);
    assert_part(log_text, "b.csv:3: series \"x\" and others are not in the input");
}

static void test_file_errors(void **state)
{
    (void)state;
    static const struct {
        const char *future, *part;
    } cases[] = {
        {"", "b.csv: is empty"},
        {"ds,j\n3,7\n", "b.csv:1: the future has no column \"k\""},
        {"k\n7\n", "b.csv:1: the future has no column \"ds\""},
        {"k,ds,k\n7,3,7\n", "b.csv:1:3: column \"k\": has the name of field 1"},
        {"k,ds\n7,3\n8,2\n",
         "b.csv:3:2: column \"ds\": the future begins after 2, the last time of the input "
         "(a.csv:3), and 2 is not"},
        {"k,ds\n7,1\n", "b.csv:2:2: column \"ds\": the future begins after 2"},
        {"k,ds\n7,0\n", "b.csv:2:2: column \"ds\": the future begins after 2"},
        {"k,ds\n7,3\n8,3\n", "b.csv:3:2: column \"ds\": the time 3 stands at b.csv:2 too"},
        {"ds,k\n3,7x\n", "b.csv:2:2: column \"k\": \"7x\" is not a number"},
        {"ds,x,k\n3,1,7x\n", "b.csv:2:3: column \"k\": \"7x\" is not a number"},
        {"k,ds\n7,\n", "b.csv:2:2: column \"ds\": the time is missing"},
        {"k,ds\n7,2016-07-01\n", "but the time at a.csv:2 is"},
        {"k,ds\n7\n", "b.csv:2: the row has 1 fields and the header 2"},
        {"k,ds\n7,3,4\n", "b.csv:2: the row has 3 fields and the header 2"},
        {"k,ds\n\"7,3\n", "b.csv:2:1: the quote"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        must_fail("ds,a,k\n1,1,5\n2,2,6\n", cases[i].future, &filed, TOTO_STATUS_DATA,
                  cases[i].part);
    must_fail("ds,a,k\n10,1,5\n20,2,6\n", "k,ds\n7,30\n8,35\n", &filed, TOTO_STATUS_DATA,
              "b.csv:3:2: column \"ds\": no fixed time step: from 30 (b.csv:2) to 35 is no "
              "multiple of 10");
    must_fail("ds,a,k\n10,1,5\n20,2,6\n", "k,ds\n7,25\n", &filed, TOTO_STATUS_DATA,
              "b.csv:2:2: column \"ds\": no fixed time step: from 20 (a.csv:3) to 25");
    must_fail("ds,a,k\n10,1,5\n", "k,ds\n7,5\n", &filed, TOTO_STATUS_DATA, "b.csv:2:2: ");
    must_fail("ds,a,k\n10,1,5\n", "k,ds\n7,20\n8,30\n", &filed, TOTO_STATUS_DATA,
              "a.csv:2:1: column \"ds\": one row has no time step");
    must_fail("id,ds,y,k\nq,1,1,5\nq,2,2,6\n", "k,id,ds\n7,q,2\n", &filed, TOTO_STATUS_DATA,
              "b.csv:2:3: column \"ds\": series \"q\": the future begins after 2");
    must_fail("id,ds,y,k\nq,1,1,5\nq,2,2,6\n", "k,ds\n7,3\n", &filed, TOTO_STATUS_DATA,
              "the future has no column \"id\"");
    must_fail("id,ds,y,k\nq,1,1,5\nq,2,2,6\n", "id,k,ds\n ,7,3\n", &filed, TOTO_STATUS_DATA,
              "b.csv:2:1: column \"id\": the id is empty");
    unlink("b.csv");
    must_fail("ds,a,k\n1,1,5\n2,2,6\n", NULL, &filed, TOTO_STATUS_NO_INPUT, "b.csv: cannot be");
}

static void test_roles(void **state)
{
    (void)state;
    const char *const y[] = {"y"}, *const none[] = {"kk"};
    const struct toto_table_options clash = {.targets = y, .n_targets = 1, .knowns = y,
                                             .n_knowns = 1};
    must_fail("id,y\nq,1\n", NULL, &clash, TOTO_STATUS_USAGE,
              "column \"y\" is named by --target and by --known; a column has one role");
    must_fail("id,y\nq,1\n", NULL,
              &(struct toto_table_options){.pasts = y, .n_pasts = 1, .knowns = y, .n_knowns = 1},
              TOTO_STATUS_USAGE, "column \"y\" is named by --past and by --known");
    must_fail("id,y,p\nq,1,2\n", NULL,
              &(struct toto_table_options){.pasts = p_column, .n_pasts = 1, .time = "p"},
              TOTO_STATUS_USAGE, "column \"p\" is named by --time and by --past");
    must_fail("a,k\n1,1\n", NULL, &(struct toto_table_options){.knowns = none, .n_knowns = 1},
              TOTO_STATUS_USAGE, "--known names no column \"kk\"; did you mean \"k\"?");
    must_fail("id,y,k,z,w\nq,1,1,2,3\n", NULL, &known, TOTO_STATUS_DATA,
              "a.csv:1:4: column \"z\": is neither id, time nor value of long input; name a "
              "covariate with --past or --known, or leave it out with --drop z,w");
    must_fail("ds,k\n1,1\n2,2\n", NULL, &known, TOTO_STATUS_DATA, "no numeric column");
    must_fail("ds,a,k\n1,1,x\n2,2,3\n", NULL, &known, TOTO_STATUS_DATA,
              "a.csv:2:3: column \"k\": \"x\" is not a number");
}

static void test_groups(void **state)
{
    (void)state;
    const struct toto_series_options all = {.group = TOTO_GROUP_ALL};
    /* Each series brings its own, in order of series; the forecast starts after the latest row. */
    must_make("id,ds,y,p,k\nq,1,1,10,5\nr,2,2,20,6\nq,2,2,11,7\nr,3,3,21,8\nq,3,,,9\nq,4,,,1\n"
              "q,5,,,2\nr,4,,,3\n",
              NULL, &past_and_known, &all,
              "q: 1 2 2?\nr: 0? 2 3\npast: 10 11 11?\npast: 0? 20 21\n"
              "known: 5 7 9 | 1 2\nknown: 0? 6 8 | 3 0?\nnext: 4\n");
    /* The order of targets first, also where a series has several. */
    const char *const targets[] = {"u", "v"};
    struct toto_table_options two = past_and_known;
    two.targets = targets;
    two.n_targets = 2;
    must_make("id,u,v,p,k\nq,1,2,10,5\nr,3,4,20,6\nq,,,,7\n", NULL, &two, &all,
              "q/u: 1\nq/v: 2\nr/u: 3\nr/v: 4\npast: 10\npast: 20\n"
              "known: 5 | 7\nknown: 6 | 0?\nnext: 1\n");
    struct toto_table_options by_column = past_and_filed;
    by_column.group = "g";
    must_make("id,g,ds,y,p,k\na,n,1,1,4,5\nb,s,1,10,4,5\nc,n,1,20,4,6\na,n,2,2,4,5\nb,s,2,11,4,5\n"
              "c,n,2,20,4,7\n",
              "id,ds,k\nc,3,8\nb,4,9\n", &by_column, NULL,
              "a: 1 2\nc: 20 20\npast: 4 4\npast: 4 4\nknown: 5 5 | 0?\nknown: 6 7 | 8\nnext: 3\n"
              "b: 10 11\npast: 4 4\nknown: 5 5 | 0? 9\nnext: 3\n");
}

static void test_on_error(void **state)
{
    (void)state;
    struct toto_table_options skip = past_and_filed;
    const struct toto_series_options options = {.group = TOTO_GROUP_ALL,
                                                .on_error = TOTO_ON_ERROR_SKIP};
    skip.on_error = TOTO_ON_ERROR_SKIP;
    /* Bad cells of covariates, in the input and in the future, and a future that overlaps. */
    must_make("id,ds,y,p,k\na,1,1,x,5\nb,1,2,20,6\nc,1,3,30,7\nd,1,4,40,8\n"
              "a,2,1,10,5\nb,2,2,20,6\nc,2,3,30,7\nd,2,4,40,8\n",
              "id,ds,k\nb,3,x\nc,2,7\nd,3,9\n", &skip, &options,
              "d: 4 4\npast: 40 40\nknown: 8 8 | 9\nnext: 3\n");
    assert_int_equal(log_lines, 3);
    assert_part(log_text, "a.csv:2:4: column \"p\": \"x\" is not a number");
    assert_part(log_text, "b.csv:2:3: column \"k\": \"x\" is not a number");
    assert_part(log_text, "b.csv:3:2: column \"ds\": series \"c\": the future begins after 2");
    /* A bad target goes alone; the covariates stay for the other. */
    must_make("ds,a,b,p,k\n1,x,1,1,5\n2,2,2,2,6\n", "ds,k\n3,7\n", &skip, &options,
              "b: 1 2\npast: 1 2\nknown: 5 6 | 7\nnext: 3\n");
    /* A covariate of wide input is everyone's. */
    must_make("ds,a,b,p,k\n1,1,1,1,5\n2,2,2,x,6\n", "ds,k\n3,7\n", &skip, &options, "");
    assert_int_equal(log_lines, 2);
    struct toto_series *series;
    struct toto_error err;
    skip.on_error = TOTO_ON_ERROR_NULL;
    assert_int_equal(make("id,y,p,k\na,1,x,5\nb,1,1,6\n", "id,k\na,1\nb,2\n", &skip,
                          &(struct toto_series_options){.on_error = TOTO_ON_ERROR_NULL}, &series,
                          &err),
                     TOTO_STATUS_OK);
    assert_int_equal(toto_series_count(series), 2);
    assert_int_equal(toto_series_bad_count(series), 1);
    assert_int_equal(series->variates[0].group, SIZE_MAX);
    assert_int_equal(series->groups[0].n_past, 1);
    assert_int_equal(series->groups[0].n_known_steps, 2);
    toto_series_free(series);
}

/* Wherever memory runs out, nothing is left behind. */
static void test_no_memory(void **state)
{
    (void)state;
    static const char text[] = "id,ds,y,p,k\nq,2,1,1,5\nq,1,2,1,6\nr,1,3,1,7\nr,2,3,1,8\n";
    static const char future[] = "id,ds,k\nr,3,8\nq,4,9\nq,3,9\nx,1,1\n";
    for (size_t n = 1;; n++) {
        struct toto_table *table;
        struct toto_series *series = NULL;
        struct toto_error err;
        file_write("a.csv", text, strlen(text));
        file_write("b.csv", future, strlen(future));
        mem_fail_after(n);
        enum toto_status status = toto_table_read((const char *[]){"a.csv"}, 1, &past_and_filed,
                                                  &table, &err);
        if (!status)
            status = toto_series_make(table, NULL, &series, &err);
        mem_fail_after(0);
        toto_table_free(table);
        if (!status) {
            assert_true(n > 20);
            toto_series_free(series);
            break;
        }
        assert_int_equal(status, TOTO_STATUS_RESOURCE);
        assert_null(series);
        assert_part(err.message, "memory");
        assert_int_equal(toto_memory_used(), 0);
    }
}

/* The future of steps of months and of business days. */
static void test_calendars(void **state)
{
    (void)state;
    must_make("ds,a,k\n2015-12-31,1,5\n2016-01-31,2,\n2016-02-29,,7\n2016-04-30,,8\n", NULL, &known, NULL,
              "a: 1 2\nknown: 5 0? | 7 0? 8\nnext: 2016-02-29\n");
    static const char quarters[] = "ds,a,k\n2015-07-01,1,5\n2015-10-01,2,6\n2016-04-01,4,8\n";
    must_make(quarters, "k,ds\n11,2017-01-01\n9,2016-07-01\n", &filed, NULL,
              "a: 1 2 2? 4\nknown: 5 6 0? 8 | 9 0? 11\nnext: 2016-07-01\n");
    must_fail(quarters, "k,ds\n9,2016-08-01\n", &filed, TOTO_STATUS_DATA,
              "b.csv:2:2: column \"ds\": no fixed time step: from 2016-04-01 (a.csv:4) to 2016-08-01 is no multiple of "
              "3 months, the step of the series");
    must_fail(quarters, "k,ds\n9,2016-07-02\n", &filed, TOTO_STATUS_DATA, "b.csv:2:2: column \"ds\": no fixed");
    static const char days[] = "ds,a,k\n2016-07-07,1,1\n2016-07-08,2,2\n2016-07-11,3,3\n2016-07-12,4,4\n"
                               "2016-07-13,5,5\n2016-07-14,6,6\n2016-07-19,9,9\n2016-07-20,10,10\n2016-07-21,11,11\n";
    must_make(days, "ds,k\n2016-07-25,13\n", &filed, NULL,
              "a: 1 2 3 4 5 6 6? 6? 9 10 11\nknown: 1 2 3 4 5 6 0? 0? 9 10 11 | 0? 13\nnext: 2016-07-22\n");
    /* A weekend in the future: all days count. */
    must_make(days, "ds,k\n2016-07-23,13\n", &filed, &(struct toto_series_options){.context = 6},
              "a: 6? 6? 6? 9 10 11\nknown: 0? 0? 0? 9 10 11 | 0? 13\nnext: 2016-07-22\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_past),      cmocka_unit_test(test_trailing),
        cmocka_unit_test(test_known_cut), cmocka_unit_test(test_file),
        cmocka_unit_test(test_strangers), cmocka_unit_test(test_file_errors),
        cmocka_unit_test(test_roles),     cmocka_unit_test(test_groups),
        cmocka_unit_test(test_on_error),  cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_calendars),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
