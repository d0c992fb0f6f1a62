/* Reading CSV: what becomes a cell, which column is what, and each error with its line and field.
 */
#include "table_text.h"

#include <fcntl.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>

#include "table/number.h"

static struct toto_table *must_read(const char *text, const struct toto_table_options *options)
{
    struct toto_table *table;
    struct toto_error err;
    if (text_read(text, options, &table, &err))
        fail_msg("%s\n%s", text, err.message);
    return table;
}

static void must_fail(const char *text, const struct toto_table_options *options,
                      enum toto_status status, const char *part)
{
    struct toto_table *table;
    struct toto_error err;
    enum toto_status found = text_read(text, options, &table, &err);
    assert_null(table);
    if (found != status || !strstr(err.message, part))
        fail_msg("%s\nstatus %d: %s\nwanted %d: %s", text, (int)found, err.message, (int)status,
                 part);
    assert_int_equal(toto_memory_used(), 0);
}

/* All line ends, quotes and delimiters give one table. */
static void test_forms(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "ds,x,y\n1,2,3\n2,,5\n",
        "ds,x,y\r\n1,2,3\r\n2,,5\r\n",
        "ds,x,y\r1,2,3\r2,,5\r",
        "ds,x,y\n1,2,3\n2,,5",
        "\357\273\277ds,x,y\n1,2,3\n2,,5\n",
        "\n\nds,x,y\n\n1,2,3\n  \n2,,5\n\n",
        "ds\tx\ty\n1\t2\t3\n2\t\t5\n",
        "ds;x;y\n1;2;3\n2;;5\n",
        "ds|x|y\n1|2|3\n2||5\n",
        "\"ds\",\"x\",\"y\"\n\"1\",\"2\",\"3\"\n\"2\",\"\",\"5\"\n",
        "ds, x ,y\n 1 , 2,3\n2,NA ,\t5\n",
        "ds,x,y\n1,2,3\n2,\\N,5\n",
        "\"ds\",x,y\r\n1,2,\"3\"\r2,NULL,5",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct toto_table *table = must_read(texts[i], NULL);
        if (table->n_rows != 2 || table->n_columns != 3 || table->n_values != 2 ||
            table->layout != TOTO_LAYOUT_WIDE)
            fail_msg("%s", texts[i]);
        assert_string_equal(table->columns[1].name, "x");
        assert_int_equal(table_time(table, 1), 2);
        assert_true(table_value(table, 0, 0) == 2 && table_value(table, 0, 1) == 3);
        assert_true(isnan(table_value(table, 1, 0)) && table_value(table, 1, 1) == 5);
        toto_table_free(table);
    }
}

static void test_structure(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "a.csv: is empty"},
        {"\n\r\n  \n", "a.csv: is empty"},
        {"\xEF\xBB\xBF", "a.csv: is empty"},
        {"x,y\n1,2\n3\n", "a.csv:3:2: column \"y\": the row has 1 of the header's 2 fields"},
        {"x,y\n1,2\n3,4,5\n", "a.csv:3:3: the row has 3 fields and the header 2"},
        {"x,y\n1,\"2\n3,4\n", "a.csv:2:2: column \"y\": the quote that opens here is never closed"},
        {"x,y\n1,2\n\"3\n\n\n", "a.csv:3:1: column \"x\": the quote that opens"},
        {"x,y,z\n1,\"2\n\",\"3\n\n", "a.csv:3:3: column \"z\": the quote that opens"},
        {"x,y\n1,2\"\n", "a.csv:2:2: column \"y\": a quote inside"},
        {"x,y\n1,\"2\"3\n", "a.csv:2:2: column \"y\": text after the closing quote"},
        {"id,y\n\n\"1\n\",2\n3,4x\n", "a.csv:5:2: column \"y\": \"4x\" is not a number"},
        {"x,y\n1,2\n\"3\n\n4\",5\n", "a.csv:3:1: column \"x\": \"3??4\" is not a number"},
        {"x,y\n1,2\n\"3\n\",q5\n", "a.csv:3:1: column \"x\": \"3?\""},
        {"x,y\n1,2\n\" 3\",\"\nq5\"\n", "a.csv:3:2: column \"y\": \"?q5\""},
        {"x,y\n1,2\n\"a\nb\",6\n", "a.csv:3:1"},
        {"x,y\r1,2\r3,4x\r", "a.csv:3:2"},
        {"x,y\r\n1,2\r\n\r\n3,4x", "a.csv:4:2"},
        {"x,x\n1,2\n", "a.csv:1:2: column \"x\": has the name of field 1"},
        {"x,,y\n1,2,3\n", "a.csv:1:2: the column has no name"},
        {"date\n1\n", "a.csv:1: no numeric column"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        must_fail(cases[i].text, NULL, TOTO_STATUS_DATA, cases[i].part);
}

static void test_nul(void **state)
{
    (void)state;
    static const char text[] = "x,y\n1,2\n3,4\0\n", *const paths[] = {"a.csv"};
    struct toto_table *table;
    struct toto_error err;
    file_write("a.csv", text, sizeof text - 1);
    assert_int_equal(toto_table_read(paths, 1, NULL, &table, &err), TOTO_STATUS_DATA);
    assert_part(err.message, "a.csv:3:2: column \"y\": a NUL byte");
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        float value;
    } good[] = {
        {"0", 0},
        {"-0", -0.0f},
        {"1", 1},
        {"+1.5", 1.5f},
        {".5", 0.5f},
        {"5.", 5},
        {"1e3", 1000},
        {"1E+3", 1000},
        {"1e-3", 0.001f},
        {"007", 7},
        {"3.4028234e38", 3.4028234e38f},
        {"1e-50", 0},
        {"1e-45", 1e-45f},
        {"0.1000000000000000055511151231257827", 0.1f},
        {"16777217", 16777216},
        {"16777219", 16777220},
        {"1.00000005960464477539062500001", 1},
        {"123456789012345678901234567890", 1.2345679e29f},
        {"0e999999999999", 0},
        {"0.000000000000000000000000000000000000001e39", 1},
    };
    static const struct {
        const char *text, *part;
    } bad[] = {
        {"12x", "is not a number; correct it"},
        {"1e999", "out of the range"},
        {"3.5e38", "out of the range"},
        {"-1e39", "out of the range"},
        {"inf", "is not finite"},
        {"-Infinity", "is not finite"},
        {"0x10", "is not a number"},
        {"1,5", "decimal point"},
        {"1 000", "is not a number"},
        {"e5", "is not a number"},
        {"1e", "is not a number"},
        {"1e+", "is not a number"},
        {".", "is not a number"},
        {"-", "is not a number"},
        {"1.2.3", "is not a number"},
        {"--1", "is not a number"},
        {"nan(1)", "is not a number"},
        {"1f", "is not a number"},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        float value = -1;
        const char *wrong = number_parse(good[i].text, strlen(good[i].text), &value);
        if (wrong || memcmp(&value, &good[i].value, sizeof value))
            fail_msg("%s: %.9g %s", good[i].text, (double)value, wrong ? wrong : "");
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        float value;
        const char *wrong = number_parse(bad[i].text, strlen(bad[i].text), &value);
        if (!wrong || !strstr(wrong, bad[i].part))
            fail_msg("%s: %s", bad[i].text, wrong ? wrong : "accepted");
    }
}

/* The short way and strtod agree on numbers near every kind of rounding. */
static void test_numbers_against_strtod(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < 300000; i++) {
        char text[64];
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if (i % 3 == 0) {
            /* The middle between two floats, to 19 digits or so. */
            union {
                uint32_t bits;
                float value;
            } low = {.bits = (uint32_t)(random % 0x7F000000u)};
            double middle = (double)low.value;
            low.bits++;
            middle = middle / 2 + (double)low.value / 2;
            snprintf(text, sizeof text, "%.*g", 15 + (int)(random >> 60) % 6, middle);
        } else {
            snprintf(text, sizeof text, "%s%" PRIu64 ".%" PRIu64 "e%d", i & 1 ? "-" : "",
                     (random >> 40) % 100000, random % 1000000000000, (int)(random >> 58) - 32);
        }
        float value, wanted = (float)strtod(text, NULL);
        assert_null(number_parse(text, strlen(text), &value));
        if (memcmp(&value, &wanted, sizeof value))
            fail_msg("%s: %.9g, wanted %.9g", text, (double)value, (double)wanted);
    }
}

static void test_missing(void **state)
{
    (void)state;
    static const char *const missing[] = {"",     " ",    "NA",  "na",  "NaN",  "nan",
                                          "NULL", "null", "\\N", "\\n", "\tNa "};
    static const char *const present[] = {"0", "N", "n/a", "none", "nul", "nulls", "-", "."};
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++)
        assert_true(cell_is_missing(missing[i], strlen(missing[i])));
    for (size_t i = 0; i < sizeof present / sizeof *present; i++)
        assert_false(cell_is_missing(present[i], strlen(present[i])));
}

static void test_value_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"x,y\n1,12x\n",
         "a.csv:2:2: column \"y\": \"12x\" is not a number; correct it, or leave the "
         "cell empty if the value is missing; --target chooses columns, --drop"},
        {"x,y\n1,2\n1,12x\n", "a.csv:3:2: column \"y\": \"12x\" is not a number"},
        {"x,y\n1,1e999\n", "a.csv:2:2: column \"y\": \"1e999\" is out of the range"},
        {"name,town\nann,bonn\n", "there is no numeric column"},
        {"name,x\n,1\nann,2\n", "a.csv:3:1: column \"name\": \"ann\" is not a number"},
        {"x;y\n1,5;2\n", "decimal point"},
        {"ds,y\n,1\n", "a.csv:2:1: column \"ds\": the time is missing"},
        {"ds,y\nsoon,1\n", "a.csv:2:1: column \"ds\": \"soon\" is not a time"},
        {"ds,y\n2016-02-30,1\n", "has a day that its month does not have"},
        {"ds,y\n2016-01-01,1\n\n2016-01-02 00:00,1\n",
         "a.csv:4:1: column \"ds\": \"2016-01-02 00:00\" is YYYY-MM-DD hh:mm, but the time at "
         "a.csv:2 is "
         "YYYY-MM-DD"},
        {"unique_id,ds,y\n,1,2\n", "a.csv:2:1: column \"unique_id\": the id is empty"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        must_fail(cases[i].text, NULL, TOTO_STATUS_DATA, cases[i].part);
}

static void test_roles(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        enum toto_layout layout;
        size_t id, time, n_values;
    } cases[] = {
        {"unique_id,ds,y", TOTO_LAYOUT_LONG, 0, 1, 1},
        {"y,DS,Item_ID", TOTO_LAYOUT_LONG, 2, 1, 1},
        {"series_id,Value", TOTO_LAYOUT_LONG, 0, SIZE_MAX, 1},
        {"id,timestamp,target", TOTO_LAYOUT_LONG, 0, 1, 1},
        {"date,HUFL,OT", TOTO_LAYOUT_WIDE, SIZE_MAX, 0, 2},
        {"a,Time,b", TOTO_LAYOUT_WIDE, SIZE_MAX, 1, 2},
        {"ds,y", TOTO_LAYOUT_WIDE, SIZE_MAX, 0, 1},
        {"x", TOTO_LAYOUT_WIDE, SIZE_MAX, SIZE_MAX, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct toto_table *table = must_read(cases[i].header, NULL);
        if (table->layout != cases[i].layout || table->id_column != cases[i].id ||
            table->time_column != cases[i].time || table->n_values != cases[i].n_values)
            fail_msg("%s", cases[i].header);
        assert_int_equal(log_lines, 1);
        assert_part(log_text, "a.csv: has a header and no rows");
        toto_table_free(table);
    }
    toto_table_free(must_read("1,2\n3,4\n", NULL));
    assert_part(log_text, "a.csv:1: the header holds only numbers");
}

static void test_role_options(void **state)
{
    (void)state;
    const char *const targets[] = {"b", "a"}, *const drop[] = {"town"}, *const wrong[] = {"tawn"};
    struct toto_table *table = must_read(
        "a,b,c\n1,2,x\n", &(struct toto_table_options){.targets = targets, .n_targets = 2});
    assert_int_equal(table->n_values, 2);
    assert_int_equal(table->values[0], 0);
    toto_table_free(table);
    table = must_read("id,ds,town,a,b\nq,1,bonn,2,3\n",
                      &(struct toto_table_options){
                          .targets = targets, .n_targets = 2, .drops = drop, .n_drops = 1});
    assert_int_equal(table->layout, TOTO_LAYOUT_LONG);
    assert_int_equal(table->values[0], 4);
    toto_table_free(table);

    must_fail("id,ds,x\nq,1,2\n", NULL, TOTO_STATUS_DATA,
              "a.csv:1:1: column \"id\": is an id, but there is "
              "no value column (y, target, value); name it with "
              "--target");
    must_fail("id,ds,y,town,zip\nq,1,2,bonn,5\n", NULL, TOTO_STATUS_DATA,
              "a.csv:1:4: column \"town\": is neither id, time nor value of long input; name a "
              "covariate with --past or --known, or leave it out with --drop town,zip");
    must_fail(
        "x,town,z\n1,bonn,2\n", &(struct toto_table_options){.drops = wrong, .n_drops = 1},
        TOTO_STATUS_USAGE,
        "--drop names no column \"tawn\"; did you mean \"town\"?; the columns are: x, town, z");
    must_fail("x,y\n1,2\n", &(struct toto_table_options){.id = "zebra"}, TOTO_STATUS_USAGE,
              "--id names no column \"zebra\"; the columns are: x, y");
    must_fail("x,y\n1,2\n", &(struct toto_table_options){.time = "x", .id = "X"}, TOTO_STATUS_USAGE,
              "one role");
    must_fail("x,y\n1,2\n", &(struct toto_table_options){.group = "x"}, TOTO_STATUS_USAGE,
              "--group");
    must_fail("id,y\n1,2\n", &(struct toto_table_options){.layout = TOTO_LAYOUT_WIDE, .id = "id"},
              TOTO_STATUS_USAGE, "--layout wide");
    must_fail("x,y\n1,2\n", &(struct toto_table_options){.layout = TOTO_LAYOUT_LONG},
              TOTO_STATUS_DATA, "--id");
}

static void test_files(void **state)
{
    (void)state;
    static const char *const paths[] = {"a.csv", "b.csv"}, *const absent[] = {"absent.csv"},
                             *const folder[] = {"."};
    struct toto_table *table;
    struct toto_error err;
    size_t line;
    file_write("a.csv", "ds,y\n1,10\n", 10);
    file_write("b.csv", "\nds;y\n\n2;20\n", 12);
    assert_int_equal(toto_table_read(paths, 2, NULL, &table, &err), TOTO_STATUS_OK);
    assert_int_equal(table->n_rows, 2);
    assert_int_equal(table->delimiter, ',');
    assert_string_equal(table_place(table, 0, &line), "a.csv");
    assert_int_equal(line, 2);
    assert_string_equal(table_place(table, 1, &line), "b.csv");
    assert_int_equal(line, 4);
    toto_table_free(table);
    file_write("b.csv", "ds,z\n2,20\n", 10);
    assert_int_equal(toto_table_read(paths, 2, NULL, &table, &err), TOTO_STATUS_DATA);
    assert_part(err.message, "b.csv:1:2: the header has \"z\" where that of a.csv has \"y\"");
    file_write("b.csv", "ds,y,z\n", 7);
    assert_int_equal(toto_table_read(paths, 2, NULL, &table, &err), TOTO_STATUS_DATA);
    assert_part(err.message, "b.csv:1: the header has 3 fields and that of a.csv has 2");
    file_write("b.csv", "", 0);
    assert_int_equal(toto_table_read(paths, 2, NULL, &table, &err), TOTO_STATUS_DATA);
    assert_part(err.message, "b.csv: is empty");
    assert_int_equal(toto_table_read(absent, 1, NULL, &table, &err), TOTO_STATUS_NO_INPUT);
    assert_part(err.message, "absent.csv: cannot be opened");
    assert_int_equal(toto_table_read(folder, 1, NULL, &table, &err), TOTO_STATUS_NO_INPUT);
    assert_int_equal(toto_memory_used(), 0);
}

static void test_standard_input(void **state)
{
    (void)state;
    static const char *const paths[] = {"-"};
    struct toto_table *table;
    struct toto_error err;
    file_write("a.csv", "x\n1\n2x\n", 7);
    int saved = dup(STDIN_FILENO), file = open("a.csv", O_RDONLY);
    assert_true(saved >= 0 && file >= 0 && dup2(file, STDIN_FILENO) == STDIN_FILENO);
    assert_int_equal(toto_table_read(paths, 1, NULL, &table, &err), TOTO_STATUS_DATA);
    assert_part(err.message, "-:3:1: column \"x\": \"2x\"");
    assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
    close(saved);
    close(file);
}

/* Cells and rows longer than any buffer, and lines that end anywhere in one. */
static void test_long_rows(void **state)
{
    (void)state;
    enum { CELL = 700000, ROWS = 60000 };
    char *text = malloc(CELL + 64), *at;
    assert_non_null(text);
    for (int quoted = 0; quoted < 2; quoted++) {
        at = text + sprintf(text, "id,y\n%s", quoted ? "\"" : "");
        memset(at, quoted ? '\n' : 'i', CELL);
        at[0] = 'i';
        strcpy(at + CELL, quoted ? "\",5\n" : ",5\n");
        struct toto_table *table = must_read(text, NULL);
        assert_int_equal(table->ids.entries[0].length, CELL);
        assert_true(table_value(table, 0, 0) == 5);
        toto_table_free(table);
    }
    free(text);
    for (int ends = 0; ends < 3; ends++) {
        static const char *const terminators[] = {"\n", "\r\n", "\r"};
        text = malloc(ROWS * 16);
        assert_non_null(text);
        at = text + sprintf(text, "ds,y%s", terminators[ends]);
        for (int i = 0; i < ROWS; i++)
            at += sprintf(at, "%d,%d%s", i, 2 * i, terminators[ends]);
        struct toto_table *table = must_read(text, NULL);
        assert_int_equal(table->n_rows, ROWS);
        for (size_t i = 0; i < ROWS; i++) {
            size_t line;
            table_place(table, i, &line);
            assert_int_equal(line, i + 2);
            assert_true(table_time(table, i) == (int64_t)i &&
                        table_value(table, i, 0) == (float)(2 * i));
        }
        toto_table_free(table);
        free(text);
    }
}

/* A program's locale with a decimal comma changes nothing. */
static void test_locale(void **state)
{
    (void)state;
    static const char *const locales[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE.utf8"};
    for (size_t i = 0; i < sizeof locales / sizeof *locales; i++)
        if (setlocale(LC_ALL, locales[i]))
            break;
    struct toto_table *table = must_read("x\n1.5\n0.30000000000000000000000001\n", NULL);
    assert_true(table_value(table, 0, 0) == 1.5f && table_value(table, 1, 0) == 0.3f);
    toto_table_free(table);
    setlocale(LC_ALL, "C");
}

/* Each allocation in turn fails: a clean error, and nothing is left. */
static void test_no_memory(void **state)
{
    (void)state;
    const char *const targets[] = {"a", "b"};
    const struct toto_table_options options = {
        .targets = targets, .n_targets = 2, .group = "g", .on_error = TOTO_ON_ERROR_SKIP};
    for (size_t n = 1;; n++) {
        struct toto_table *table;
        struct toto_error err;
        mem_fail_after(n);
        enum toto_status status = text_read(
            "id,g,ds,a,b\nx,1,1,\"2\",3\ny,1,1,q,3\n\"x\ny\",1,2,3,4\n", &options, &table, &err);
        mem_fail_after(0);
        if (!status) {
            assert_true(n > 10);
            toto_table_free(table);
            break;
        }
        assert_int_equal(status, TOTO_STATUS_RESOURCE);
        assert_null(table);
        assert_part(err.message, "memory");
        assert_int_equal(toto_memory_used(), 0);
    }
    toto_memory_set_limit(4096);
    must_fail("x\n1\n", NULL, TOTO_STATUS_RESOURCE, "--memory");
    toto_memory_set_limit(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_structure),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_numbers_against_strtod),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_value_errors),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_role_options),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_standard_input),
        cmocka_unit_test(test_long_rows),
        cmocka_unit_test(test_locale),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
