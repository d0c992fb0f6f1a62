/* A whole forecast on an OpenCL device that fails on the way: less at once with the same bytes, the CPU in the
 * device's place if it was chosen by itself, a named error if it was named. */
#define _XOPEN_SOURCE 700

#include "opencl_cases.h"

#include <math.h>

#include "model/model.h"

enum { SERIES = 3, HORIZON = 70, POINTS = SERIES * HORIZON };

static float taken[POINTS];
static size_t n_taken;

static enum toto_status take(void *user, const struct toto_forecast *forecast, struct toto_error *err)
{
    (void)user;
    (void)err;
    memcpy(taken + forecast->series * HORIZON, forecast->point, HORIZON * sizeof *taken);
    n_taken += forecast->series == n_taken; /* in order */
    return TOTO_STATUS_OK;
}

/* Forecasts three series on the device, said to be chosen by itself or not. */
static enum toto_status forecast(const char *device_name, bool automatic, struct toto_error *err)
{
    struct toto_table *table = NULL;
    struct toto_series *series = NULL;
    struct toto_model *model = NULL;
    struct toto_device *device = NULL;
    struct toto_forecast_options options = toto_forecast_defaults();
    char path[128];
    text_write("run.csv", "unique_id,y\na,1\na,4\nb,9\na,3\nb,7\nc,5\nb,8\nc,6\n");
    snprintf(path, sizeof path, "%s/run.csv", folder);
    options.horizon = HORIZON;
    options.n_samples = 6;
    n_taken = 0;
    memset(taken, 0, sizeof taken);
    enum toto_status status = toto_table_read((const char *[]){path}, 1, NULL, &table, err);
    if (!status)
        status = toto_series_make(table, NULL, &series, err);
    if (!status)
        status = toto_model_open("tests/golden/toto1/models/d1", &model, err);
    if (!status)
        status = toto_device_open(device_name, TOTO_DTYPE_F32, 1, &device, err);
    if (!status) {
        device->automatic = automatic;
        status = toto_forecast_run(model, device, series, &options, take, NULL, err);
    }
    toto_device_free(device);
    toto_model_free(model);
    toto_series_free(series);
    toto_table_free(table);
    return status;
}

/* The forecast on the CPU, for comparison. */
static bool near_cpu(void)
{
    struct toto_error err;
    float got[POINTS];
    memcpy(got, taken, sizeof got);
    if (forecast("cpu", false, &err))
        return false;
    for (size_t i = 0; i < POINTS; i++)
        if (!(fabsf(got[i] - taken[i]) <= 1e-3f * (1.0f + fabsf(taken[i]))))
            return false;
    return true;
}

/* argument: what must happen. */
static int run_case(const char *argument)
{
    struct toto_error err = {""};
    unsetenv("TOTO_KERNEL_DIR");
    if (!device_first())
        return CHILD_SKIPPED;
    bool automatic = strcmp(argument, "named") != 0;
    size_t before = toto_memory_used();
    enum toto_status status = forecast("1", automatic, &err);
    if (strcmp(argument, "named") == 0) {
        CHECK(status == TOTO_STATUS_RESOURCE && err.message[0]);
        CHECK(toto_memory_used() <= before + (1 << 20)); /* what the device list keeps */
        return CHILD_OK;
    }
    if (status)
        fprintf(stderr, "%s\n", err.message);
    CHECK(status == TOTO_STATUS_OK && n_taken == SERIES);
    CHECK(n_warnings == (strcmp(argument, "gives way") == 0));
    CHECK(near_cpu());
    return CHILD_OK;
}

static void test_sound(void **state)
{
    (void)state;
    expect_ok(run_case, "sound", NULL);
}

/* One buffer that cannot be made: half as much at once does. */
static void test_less_at_once(void **state)
{
    (void)state;
    static const char *const failures[] = {"clCreateBuffer:60", "clCreateBuffer:85"};
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        char variable[64];
        snprintf(variable, sizeof variable, "TOTO_OPENCL_FAIL=%s", failures[i]);
        expect_ok(run_case, "sound", variable);
    }
}

static const char *const lasting[] = {"clEnqueueNDRangeKernel:40+", "clEnqueueNDRangeKernel:100+", "clCreateBuffer:60+",
                                      "clEnqueueReadBuffer:5+", "clEnqueueWriteBuffer:60+"};

static void test_auto_gives_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lasting / sizeof *lasting; i++) {
        char variable[64];
        snprintf(variable, sizeof variable, "TOTO_OPENCL_FAIL=%s", lasting[i]);
        expect_ok(run_case, "gives way", variable);
    }
}

static void test_a_named_device_fails(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lasting / sizeof *lasting; i++) {
        char variable[64];
        snprintf(variable, sizeof variable, "TOTO_OPENCL_FAIL=%s", lasting[i]);
        expect_ok(run_case, "named", variable);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound),
        cmocka_unit_test(test_less_at_once),
        cmocka_unit_test(test_auto_gives_way),
        cmocka_unit_test(test_a_named_device_fails),
    };
    return cmocka_run_group_tests_name("opencl_run", tests, folder_make, folder_remove);
}
