/* The benchmark of long sequence forecasting: splits, standardisation, windows, point forecasts, scores. */
#include "table_text.h"

#include <math.h>

#include "forecast/engine.h"

enum { ROWS = 100, COLUMNS = 2 };

struct fixture {
    struct toto_model *toto1, *toto2;
    struct toto_device *device;
};

static struct fixture fixture;
static size_t bytes_of_fixture;

static int open_fixture(void **state)
{
    struct toto_error err;
    assert_int_equal(toto_model_open("tests/golden/toto1/models/d3", &fixture.toto1, &err), TOTO_STATUS_OK);
    assert_int_equal(toto_model_open("tests/golden/toto2/models/a_official", &fixture.toto2, &err), TOTO_STATUS_OK);
    assert_int_equal(toto_device_open("cpu", TOTO_DTYPE_F32, 2, &fixture.device, &err), TOTO_STATUS_OK);
    bytes_of_fixture = toto_memory_used();
    return folder_make(state);
}

static int close_fixture(void **state)
{
    toto_model_free(fixture.toto1);
    toto_model_free(fixture.toto2);
    toto_device_free(fixture.device);
    unlink("weather.csv");
    unlink("etth2.csv");
    return folder_remove(state);
}

/* ---- A table that is made up ------------------------------------------------------------------------------- */

static double cells[ROWS][COLUMNS]; /* NAN: empty */

static void fill_cells(void)
{
    for (size_t row = 0; row < ROWS; row++) {
        cells[row][0] = (double)((row * 37) % 23) + 0.25 * (double)row;
        cells[row][1] = 1000.0 - 3.0 * (double)((row * 11) % 17);
    }
    cells[3][0] = cells[85][1] = cells[97][0] = NAN;
}

/* Writes the cells as `name` behind `before` rows without values. */
static void write_cells(const char *name, size_t n_rows, size_t before)
{
    char text[8192];
    size_t used = (size_t)snprintf(text, sizeof text, "date,x,OT\n");
    for (size_t row = 0; row < before + n_rows; row++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "2020-%02zu-%02zu %02zu:00", 1 + row / 24 / 28,
                                 1 + row / 24 % 28, row % 24);
        for (size_t i = 0; i < COLUMNS; i++) {
            bool empty = row < before || isnan(cells[row - before][i]);
            used += empty ? (size_t)snprintf(text + used, sizeof text - used, ",")
                          : (size_t)snprintf(text + used, sizeof text - used, ",%g", cells[row - before][i]);
        }
        used += (size_t)snprintf(text + used, sizeof text - used, "\n");
    }
    assert_true(used < sizeof text);
    file_write(name, text, used);
}

static struct toto_lsf *must_open(const char *name, const struct toto_lsf_split *split)
{
    struct toto_lsf *data;
    struct toto_error err;
    if (toto_lsf_open(name, split, &data, &err))
        fail_msg("%s: %s", name, err.message);
    return data;
}

static struct toto_lsf_score must_run(const struct toto_lsf *data, const struct toto_forecaster *forecaster,
                                      const struct toto_lsf_options *options)
{
    struct toto_lsf_score score;
    struct toto_error err;
    if (toto_lsf_run(data, forecaster, options, &score, &err))
        fail_msg("%s", err.message);
    return score;
}

/* The cell in units of the train rows, by the definition. */
static double standard(size_t row, size_t column, size_t n_train)
{
    double n = 0, mean = 0, squares = 0;
    for (size_t i = 0; i < n_train; i++)
        n += !isnan(cells[i][column]);
    for (size_t i = 0; i < n_train; i++)
        mean += isnan(cells[i][column]) ? 0 : cells[i][column] / n;
    for (size_t i = 0; i < n_train; i++)
        squares += isnan(cells[i][column]) ? 0 : pow(cells[i][column] - mean, 2);
    return (cells[row][column] - mean) / sqrt(squares / (n - 1));
}

/* ---- Scores by hand ------------------------------------------------------------------------------------------ */

static void last_values_are_scored_by_hand(void **state)
{
    (void)state;
    const struct toto_lsf_split split = {60, 15, 25};
    const struct toto_forecaster naive = {.baseline = TOTO_BASELINE_NAIVE};
    struct toto_lsf_options options = toto_lsf_defaults();
    fill_cells();
    write_cells("a.csv", ROWS, 0);
    struct toto_lsf *data = must_open("a.csv", &split);
    assert_string_equal(toto_lsf_name(data), "a");
    options.horizon = 6;
    options.stride = 4;
    options.context = 10;
    const struct toto_lsf_score score = must_run(data, &naive, &options);
    double absolute = 0, squares = 0;
    size_t n = 0, n_windows = 0;
    for (size_t first = 75; first + 6 <= 100; first += 4, n_windows++)
        for (size_t v = 0; v < COLUMNS; v++)
            for (size_t row = first; row < first + 6; row++) {
                double last = standard(isnan(cells[first - 1][v]) ? first - 2 : first - 1, v, 60);
                double apart = standard(row, v, 60) - last;
                absolute += isnan(apart) ? 0 : fabs(apart);
                squares += isnan(apart) ? 0 : apart * apart;
                n += !isnan(apart);
            }
    assert_int_equal(score.n_windows, 5);
    assert_int_equal(n_windows, 5);
    assert_int_equal(score.n_values, n);
    assert_true(n < 5 * COLUMNS * 6); /* the missing ones are left out */
    assert_true(fabs(score.mae - absolute / (double)n) < 1e-6);
    assert_true(fabs(score.mse - squares / (double)n) < 1e-6);
    toto_lsf_free(data);
    assert_int_equal(toto_memory_used(), bytes_of_fixture);
}

static size_t count_windows(const char *name, const struct toto_lsf_split *split, size_t horizon, size_t stride)
{
    struct toto_lsf *data = must_open(name, split);
    struct toto_lsf_options options = toto_lsf_defaults();
    options.horizon = horizon;
    options.stride = stride;
    const struct toto_lsf_score score =
        must_run(data, &(struct toto_forecaster){.baseline = TOTO_BASELINE_MEAN}, &options);
    toto_lsf_free(data);
    return score.n_windows;
}

/* Tenths of 99 rows are 69, 9 and 19. */
static void names_tell_the_split(void **state)
{
    (void)state;
    fill_cells();
    write_cells("weather.csv", 99, 0);
    assert_int_equal(count_windows("weather.csv", NULL, 19, 1), 1);
    assert_int_equal(count_windows("weather.csv", NULL, 18, 1), 2);
    assert_int_equal(count_windows("weather.csv", &(struct toto_lsf_split){60, 0, 39}, 18, 1), 22);
    assert_int_equal(count_windows("weather.csv", &(struct toto_lsf_split){60, 0, 39}, 18, 7), 4);
    assert_int_equal(count_windows("weather.csv", &(struct toto_lsf_split){60, 9, 20}, 18, 512), 1);
}

static void assert_open_fails(const char *name, const struct toto_lsf_split *split, enum toto_status wanted,
                              const char *part)
{
    struct toto_lsf *data;
    struct toto_error err;
    enum toto_status status = toto_lsf_open(name, split, &data, &err);
    assert_null(data);
    if (status != wanted || !strstr(err.message, part))
        fail_msg("status %d: %s\nwanted %d: %s", (int)status, err.message, (int)wanted, part);
    assert_int_equal(toto_memory_used(), bytes_of_fixture);
}

static void assert_text_fails(const char *text, enum toto_status wanted, const char *part)
{
    const struct toto_lsf_split split = {3, 0, 2};
    file_write("a.csv", text, strlen(text));
    assert_open_fails("a.csv", &split, wanted, part);
}

static void bad_files_are_told(void **state)
{
    (void)state;
    struct toto_error err;
    fill_cells();
    write_cells("etth2.csv", ROWS, 0);
    assert_open_fails("etth2.csv", NULL, TOTO_STATUS_DATA,
                      "etth2.csv: 100 rows do not hold a split of 8640 train, 2880 validation and 2880 test rows");
    write_cells("a.csv", ROWS, 0);
    assert_open_fails("a.csv", NULL, TOTO_STATUS_USAGE, "--split TRAIN,VAL,TEST");
    assert_open_fails("a.csv", &(struct toto_lsf_split){90, 0, 11}, TOTO_STATUS_DATA, "100 rows");
    assert_open_fails("a.csv", &(struct toto_lsf_split){SIZE_MAX, 1, 1}, TOTO_STATUS_DATA, "100 rows");
    assert_open_fails("none.csv", &(struct toto_lsf_split){90, 0, 10}, TOTO_STATUS_NO_INPUT, "none.csv");
    assert_text_fails("date,x\n1,5\n2,5\n3,5\n4,6\n5,7\n", TOTO_STATUS_DATA,
                      "a.csv:1:2: column \"x\": is constant over the 3 train rows");
    assert_text_fails("date,x\n1,\n2,5\n3,\n4,6\n5,7\n", TOTO_STATUS_DATA,
                      "a.csv:1:2: column \"x\": fewer than two of the 3 train rows have a value");
    assert_text_fails("date,x\n1,1\n2,5\n3,z\n4,6\n5,7\n", TOTO_STATUS_DATA, "a.csv:4:2: column \"x\": \"z\"");
    assert_text_fails("date,x\n1,0\n2,1e-30\n3,0\n4,6\n5,3e38\n", TOTO_STATUS_DATA,
                      "a.csv:6:2: column \"x\": the value is too far");
    assert_text_fails("date,x\n1,1\n", TOTO_STATUS_DATA, "1 rows");

    /* The horizon, and test rows without a value. */
    static const char empty[] = "date,x\n1,0\n2,1\n3,0\n4,\n5,\n";
    struct toto_lsf_score score;
    struct toto_lsf_options options = toto_lsf_defaults();
    const struct toto_forecaster mean = {.baseline = TOTO_BASELINE_MEAN};
    file_write("a.csv", empty, strlen(empty));
    struct toto_lsf *data = must_open("a.csv", &(struct toto_lsf_split){3, 0, 2});
    options.horizon = 3;
    assert_int_equal(toto_lsf_run(data, &mean, &options, &score, &err), TOTO_STATUS_DATA);
    assert_part(err.message, "2 test rows are fewer than the horizon of 3");
    assert_true(isnan(score.mae));
    options.horizon = 2;
    assert_int_equal(toto_lsf_run(data, &mean, &options, &score, &err), TOTO_STATUS_DATA);
    assert_part(err.message, "all values of the test rows are missing");
    toto_lsf_free(data);

    /* Sizes that cannot be. */
    fill_cells();
    write_cells("a.csv", ROWS, 0);
    data = must_open("a.csv", &(struct toto_lsf_split){60, 20, 20});
    size_t *const sizes[] = {&options.horizon, &options.context, &options.stride};
    for (size_t i = 0; i < 3; i++) {
        options = toto_lsf_defaults();
        options.horizon = 5;
        *sizes[i] = 0;
        assert_int_equal(toto_lsf_run(data, &mean, &options, &score, &err), TOTO_STATUS_USAGE);
        assert_part(err.message, "at least 1");
    }
    options = toto_lsf_defaults();
    options.horizon = 5;
    options.context = SIZE_MAX;
    const struct toto_forecaster model = {.model = fixture.toto2, .device = fixture.device};
    assert_int_equal(toto_lsf_run(data, &model, &options, &score, &err), TOTO_STATUS_RESOURCE);
    toto_lsf_free(data);

    /* Rows are not sorted: the benchmark goes by rows. */
    static const char turned[] = "date,x\n1,0\n3,1\n2,0\n4,2\n5,2\n";
    file_write("a.csv", turned, strlen(turned));
    data = must_open("a.csv", &(struct toto_lsf_split){3, 0, 2});
    assert_part(log_text, "a.csv:4: the rows are not in the order of time");
    toto_lsf_free(data);
    assert_int_equal(toto_memory_used(), bytes_of_fixture);
}

/* ---- Models -------------------------------------------------------------------------------------------------- */

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Sorts the samples of each step and keeps that of this number. */
struct picker {
    size_t n_samples, number, horizon;
    float points[COLUMNS][64];
};

static enum toto_status pick(void *user, const struct toto_forecast *forecast, struct toto_error *err)
{
    struct picker *picker = user;
    (void)err;
    for (size_t i = 0; i < picker->horizon; i++) {
        float sorted[64];
        memcpy(sorted, forecast->samples + i * picker->n_samples, picker->n_samples * sizeof *sorted);
        qsort(sorted, picker->n_samples, sizeof *sorted, compare_floats);
        picker->points[forecast->series][i] = sorted[picker->number];
    }
    return TOTO_STATUS_OK;
}

/* One window: the score must be that of the sample of this number, halves rounded to the even. */
static void assert_sample_is_scored(const struct toto_lsf *data, size_t n_samples, size_t number)
{
    enum { CONTEXT = 40, HORIZON = 12, FIRST = 80, TRAIN = 70 };
    const struct toto_forecaster forecaster = {.model = fixture.toto1, .device = fixture.device};
    struct picker picker = {.n_samples = n_samples, .number = number, .horizon = HORIZON};
    struct toto_lsf_options options = toto_lsf_defaults();
    struct toto_forecast_options forecast = toto_forecast_defaults();
    static const char *const ids[] = {"a/x@80", "a/OT@80"};
    float values[COLUMNS][FIRST];
    struct toto_series *series;
    struct toto_error err;
    for (size_t v = 0; v < COLUMNS; v++)
        for (size_t row = 0; row < FIRST; row++)
            values[v][row] = (float)standard(row, v, TRAIN);
    const struct toto_values window = {.ids = ids, .n_variates = COLUMNS, .n_steps = FIRST, .values = values[0]};
    assert_int_equal(toto_series_from_values(&window, 1, &(struct toto_series_options){.context = CONTEXT}, &series,
                                             &err), TOTO_STATUS_OK);
    forecast.horizon = options.horizon = HORIZON;
    forecast.n_samples = options.forecast.n_samples = n_samples;
    forecast.seed = options.forecast.seed = 59;
    forecast.keep_samples = true;
    options.context = CONTEXT;
    assert_int_equal(toto_forecast_run(fixture.toto1, fixture.device, series, &forecast, pick, &picker, &err),
                     TOTO_STATUS_OK);
    toto_series_free(series);
    double absolute = 0, n = 0;
    for (size_t v = 0; v < COLUMNS; v++)
        for (size_t i = 0; i < HORIZON; i++) {
            double apart = standard(FIRST + i, v, TRAIN) - (double)picker.points[v][i];
            absolute += isnan(apart) ? 0 : fabs(apart);
            n += !isnan(apart);
        }
    const struct toto_lsf_score score = must_run(data, &forecaster, &options);
    assert_int_equal(score.n_windows, 1);
    if (!(fabs(score.mae - absolute / n) < 1e-6))
        fail_msg("%zu samples: %.9f, by hand %.9f", n_samples, score.mae, absolute / n);
}

static void samples_give_an_order_statistic(void **state)
{
    (void)state;
    fill_cells();
    write_cells("a.csv", ROWS, 0);
    struct toto_lsf *data = must_open("a.csv", &(struct toto_lsf_split){70, 10, 20});
    assert_sample_is_scored(data, 1, 0);
    assert_sample_is_scored(data, 2, 0);  /* 0.5 */
    assert_sample_is_scored(data, 4, 2);  /* 1.5 */
    assert_sample_is_scored(data, 30, 14); /* 14.5 */
    assert_sample_is_scored(data, 50, 24); /* 24.5 */
    assert_sample_is_scored(data, 63, 31);
    toto_lsf_free(data);
}

static void assert_same_score(const struct toto_lsf_score *a, const struct toto_lsf_score *b)
{
    assert_memory_equal(&a->mae, &b->mae, sizeof a->mae);
    assert_memory_equal(&a->mse, &b->mse, sizeof a->mse);
    assert_int_equal(a->n_values, b->n_values);
}

struct progress {
    size_t calls, done, total;
};

static void see_progress(void *user, size_t done, size_t total)
{
    struct progress *progress = user;
    assert_true(done > progress->done && done <= total);
    *progress = (struct progress){progress->calls + 1, done, total};
}

/* Rows before the file's first are missing, as rows without values are; and mean forecasts of both are the same. */
static void a_short_history_is_missing(void **state)
{
    (void)state;
    struct toto_lsf_options options = toto_lsf_defaults();
    options.horizon = 5;
    options.stride = 5;
    options.context = 130;
    options.forecast.n_samples = 0;
    fill_cells();
    for (size_t i = 0; i < 2; i++) {
        const struct toto_forecaster forecaster = {.model = i ? fixture.toto2 : fixture.toto1, .device = fixture.device};
        struct progress progress = {0};
        options.progress = see_progress;
        options.user = &progress;
        write_cells("a.csv", ROWS, 0);
        struct toto_lsf *data = must_open("a.csv", &(struct toto_lsf_split){60, 20, 20});
        const struct toto_lsf_score score = must_run(data, &forecaster, &options);
        assert_int_equal(progress.calls, 4);
        assert_int_equal(progress.done, progress.total);
        assert_int_equal(score.n_windows, 4);
        toto_lsf_free(data);
        options.progress = NULL;
        write_cells("a.csv", ROWS, 60);
        data = must_open("a.csv", &(struct toto_lsf_split){120, 20, 20});
        const struct toto_lsf_score later = must_run(data, &forecaster, &options);
        assert_same_score(&score, &later);
        toto_lsf_free(data);
    }
}

/* Of a table of many windows only some are in memory at once where memory is short. */
static void little_memory_gives_the_same_score(void **state)
{
    (void)state;
    enum { MEMORY = 24 << 20 }; /* a quarter of it holds 38 windows */
    struct toto_lsf_options options = toto_lsf_defaults();
    const struct toto_forecaster forecaster = {.model = fixture.toto1, .device = fixture.device};
    fill_cells();
    write_cells("a.csv", ROWS, 0);
    struct toto_lsf *data = must_open("a.csv", &(struct toto_lsf_split){30, 0, 70});
    options.horizon = 20;
    options.stride = 1;
    options.context = 16384;
    options.forecast.n_samples = 0;
    options.group = TOTO_GROUP_NONE;
    const struct toto_lsf_score score = must_run(data, &forecaster, &options);
    assert_int_equal(score.n_windows, 51);
    options.forecast.memory = MEMORY;
    size_t before = toto_memory_used();
    const struct toto_lsf_score small = must_run(data, &forecaster, &options);
    assert_same_score(&score, &small);
    assert_int_equal(toto_memory_used(), before);
    toto_memory_set_limit(0);
    toto_lsf_free(data);
}

static void failing_memory_is_told(void **state)
{
    (void)state;
    const struct toto_lsf_split split = {60, 20, 20};
    const struct toto_forecaster forecaster = {.model = fixture.toto2, .device = fixture.device};
    struct toto_lsf_options options = toto_lsf_defaults();
    bool done = false;
    options.horizon = 5;
    options.context = 200;
    fill_cells();
    write_cells("a.csv", ROWS, 0);
    size_t before = toto_memory_used();
    for (size_t n = 1; !done; n++) {
        struct toto_lsf *data;
        struct toto_lsf_score score;
        struct toto_error err;
        assert_true(n < 4000);
        mem_fail_after(n);
        enum toto_status status = toto_lsf_open("a.csv", &split, &data, &err);
        if (status == TOTO_STATUS_OK)
            status = toto_lsf_run(data, &forecaster, &options, &score, &err);
        mem_fail_after(0);
        toto_lsf_free(data);
        done = status == TOTO_STATUS_OK;
        if (!done) {
            assert_int_equal(status, TOTO_STATUS_RESOURCE);
            assert_part(err.message, "memory");
        }
    }
    assert_int_equal(toto_memory_used(), before);
}

/* Rows out of order take memory to find their step, and a season that could not be found is not one of 1. */
static void failing_memory_leaves_no_season(void **state)
{
    (void)state;
    static const char turned[] = "date,x\n1,0\n3,1\n2,0\n4,2\n5,2\n";
    const struct toto_lsf_split split = {3, 0, 2};
    size_t n_opened = 0, before = toto_memory_used();
    file_write("a.csv", turned, strlen(turned));
    for (size_t n = 1; n_opened < 20; n++) {
        struct toto_lsf *data;
        struct toto_error err;
        assert_true(n < 4000);
        mem_fail_after(n);
        enum toto_status status = toto_lsf_open("a.csv", &split, &data, &err);
        mem_fail_after(0);
        toto_lsf_free(data);
        assert_int_equal(status, n_opened ? TOTO_STATUS_OK : status ? TOTO_STATUS_RESOURCE : TOTO_STATUS_OK);
        n_opened += status == TOTO_STATUS_OK;
    }
    assert_int_equal(toto_memory_used(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_values_are_scored_by_hand),
        cmocka_unit_test(names_tell_the_split),
        cmocka_unit_test(bad_files_are_told),
        cmocka_unit_test(samples_give_an_order_statistic),
        cmocka_unit_test(a_short_history_is_missing),
        cmocka_unit_test(little_memory_gives_the_same_score),
        cmocka_unit_test(failing_memory_is_told),
        cmocka_unit_test(failing_memory_leaves_no_season),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
