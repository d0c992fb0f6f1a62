/* The forecast room: same bytes however the work is cut, memory within its plan, delivery in order. */
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
#include "forecast/decode.h"
#include "model/model.h"
#include "series/series.h"

#define MODELS "tests/golden/toto1/models/"

struct fixture {
    struct toto_model *model;
    struct toto_device *device;
};

static int open_fixture(void **state)
{
    static struct fixture fixture;
    struct toto_error err;
    assert_int_equal(toto_model_open(MODELS "d1", &fixture.model, &err), TOTO_STATUS_OK);
    assert_int_equal(toto_device_open("cpu", TOTO_DTYPE_F32, 2, &fixture.device, &err), TOTO_STATUS_OK);
    *state = &fixture;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *fixture = *state;
    toto_model_free(fixture->model);
    toto_device_free(fixture->device);
    return 0;
}

/* ---- Decoder ----------------------------------------------------------------------------------------- */

enum { V = 2, T = 150, HORIZON = 150, GROUPS = 5 };

static float values[GROUPS][V * T];
static uint8_t observed[V * T];

static void make_groups(struct decode_group groups[GROUPS])
{
    memset(observed, 1, sizeof observed);
    observed[3] = observed[T + 7] = 0;
    for (size_t g = 0; g < GROUPS; g++) {
        for (size_t i = 0; i < V * T; i++)
            values[g][i] = (float)(((i * 37 + g * 11) % 23)) + (float)g * 100.0f;
        groups[g] = (struct decode_group){
            .n_variates = V, .n_steps = T - 70 * (g % 2), .values = values[g], .observed = observed,
            .key = {(uint32_t)g, 99u},
        };
    }
}

/* Samples of all groups, run `at_once` groups and `chunk` samples at a time. */
static float *decode_all(const struct fixture *fixture, size_t n_samples, size_t chunk, size_t at_once,
                         bool kv_cache)
{
    struct toto_error err;
    struct decode_group groups[GROUPS];
    struct toto1_net net = {0};
    struct decoder *decoder = NULL;
    size_t points = V * HORIZON * (n_samples ? n_samples : 1);
    float *out = calloc(GROUPS * points, sizeof *out);
    struct decode_shape shape = {
        .n_groups = at_once, .n_variates = V, .max_patches = 3, .horizon = HORIZON,
        .n_samples = n_samples, .kv_cache = kv_cache,
    };
    const struct toto1_config *config = &fixture->model->toto1.config;
    make_groups(groups);
    shape.chunk = decode_chunk(fixture->device->backend, config, &shape, chunk);
    assert_int_equal(toto1_net_open(config, &fixture->model->toto1.tensors, fixture->device->backend, 8, &net, &err), 0);
    if (decode_fold_steps(config, &shape))
        assert_int_equal(toto1_net_fold(&net, decode_fold_steps(config, &shape), &err), 0);
    size_t before = toto_memory_used();
    assert_int_equal(decoder_open(&net, &shape, NULL, 0, &decoder, &err), 0);
    assert_true(toto_memory_used() - before <=
                decoder_bytes(fixture->device->backend, config, &shape, 0));
    for (size_t first = 0; first < GROUPS; first += at_once) {
        struct decode_result results[GROUPS] = {{0}};
        int32_t failed[GROUPS];
        size_t n = GROUPS - first < at_once ? GROUPS - first : at_once;
        for (size_t i = 0; i < n; i++) {
            float *place = out + (first + i) * points;
            results[i] = n_samples ? (struct decode_result){.samples = place}
                                   : (struct decode_result){.mean = place};
        }
        assert_int_equal(decoder_run(decoder, groups + first, n, results, failed, &err), 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(failed[i], 0);
    }
    decoder_close(decoder);
    toto1_net_close(&net);
    return out;
}

static void test_same_bytes_however_cut(void **state)
{
    static const size_t sample_counts[] = {0, 6, 70};
    static const size_t cuts[][2] = {{1, 1}, {4, 2}, {64, 3}, {70, 5}};
    for (size_t k = 0; k < 2; k++) {
        for (size_t s = 0; s < 3; s++) {
            size_t n = sample_counts[s];
            size_t bytes = GROUPS * V * HORIZON * (n ? n : 1) * sizeof(float);
            float *whole = decode_all(*state, n, n ? n : 1, GROUPS, k == 0);
            for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
                float *cut = decode_all(*state, n, cuts[i][0], cuts[i][1], k == 0);
                assert_memory_equal(whole, cut, bytes);
                free(cut);
            }
            free(whole);
        }
    }
}

static void test_a_cache_changes_later_patches_alone(void **state)
{
    float *cached = decode_all(*state, 0, 1, GROUPS, true);
    float *whole = decode_all(*state, 0, 1, GROUPS, false);
    size_t patch = ((struct fixture *)*state)->model->toto1.config.patch, same = 0;
    for (size_t row = 0; row < GROUPS * V; row++)
        for (size_t i = 0; i < HORIZON; i++) {
            double apart = (double)cached[row * HORIZON + i] - (double)whole[row * HORIZON + i];
            double size = 1.0 + (double)whole[row * HORIZON + i];
            if (i < patch)
                assert_true(apart * apart < 1e-10 * size * size);
            else
                same += apart == 0.0;
        }
    assert_true(same < GROUPS * V * (HORIZON - patch));
    free(cached);
    free(whole);
}

/* ---- Whole runs --------------------------------------------------------------------------------------- */

struct received {
    size_t n, order[64], n_missing;
    float first[64], last[64];
    size_t stop_after;
};

static enum toto_status receive(void *user, const struct toto_forecast *forecast,
                                struct toto_error *err)
{
    struct received *received = user;
    received->order[received->n] = forecast->series;
    received->n_missing += forecast->missing;
    if (!forecast->missing) {
        received->first[received->n] = forecast->point[0];
        received->last[received->n] = forecast->quantiles ? forecast->quantiles[0] : 0.0f;
    }
    received->n++;
    if (received->n == received->stop_after) {
        snprintf(err->message, sizeof err->message, "stopped");
        return TOTO_STATUS_IO;
    }
    return TOTO_STATUS_OK;
}

static struct toto_series *series_of(const char *csv, const struct toto_table_options *table_options,
                                     const struct toto_series_options *series_options)
{
    struct toto_error err = {""};
    struct toto_table *table = NULL;
    struct toto_series *series = NULL;
    char path[] = "/tmp/test-forecast-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, csv, strlen(csv)) == (ssize_t)strlen(csv) && close(fd) == 0);
    if (toto_table_read((const char *[]){path}, 1, table_options, &table, &err) != TOTO_STATUS_OK ||
        toto_series_make(table, series_options, &series, &err) != TOTO_STATUS_OK)
        fail_msg("%s", err.message);
    toto_table_free(table);
    unlink(path);
    return series;
}

static const char interleaved[] = "id,g,y\na,1,1\nb,2,5\nc,1,3\na,1,2\nb,2,6\nc,1,4\nd,2,9\nd,2,8\n";

static struct toto_forecast_options small_options(void)
{
    struct toto_forecast_options options = toto_forecast_defaults();
    options.horizon = 70;
    options.n_samples = 5;
    return options;
}

static void test_delivery_in_order_of_appearance(void **state)
{
    struct fixture *fixture = *state;
    struct toto_error err;
    struct received received = {0};
    struct toto_forecast_options options = small_options();
    struct toto_series *series =
        series_of(interleaved, &(struct toto_table_options){.group = "g"},
                  &(struct toto_series_options){.group = TOTO_GROUP_COLUMN});
    assert_int_equal(series->n_groups, 2);
    assert_int_equal(
        toto_forecast_run(fixture->model, fixture->device, series, &options, receive, &received, &err), 0);
    assert_int_equal(received.n, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(received.order[i], i);
    toto_series_free(series);
}

static void test_bad_series_are_null_in_place(void **state)
{
    struct fixture *fixture = *state;
    struct toto_error err;
    struct received received = {0};
    struct toto_forecast_options options = small_options();
    struct toto_series *series = series_of(
        "a,b,c\n1,x,3\n2,2,4\n",
        &(struct toto_table_options){.on_error = TOTO_ON_ERROR_NULL,
                                     .targets = (const char *[]){"a", "b", "c"}, .n_targets = 3},
        &(struct toto_series_options){.on_error = TOTO_ON_ERROR_NULL});
    assert_int_equal(
        toto_forecast_run(fixture->model, fixture->device, series, &options, receive, &received, &err), 0);
    assert_int_equal(received.n, 3);
    assert_int_equal(received.n_missing, 1);
    toto_series_free(series);
}

static void test_a_failing_sink_ends_the_run(void **state)
{
    struct fixture *fixture = *state;
    struct toto_error err;
    struct received received = {.stop_after = 2};
    struct toto_forecast_options options = small_options();
    struct toto_series *series = series_of(interleaved, &(struct toto_table_options){.drops = (const char *[]){"g"}, .n_drops = 1}, NULL);
    size_t before = toto_memory_used();
    assert_int_equal(
        toto_forecast_run(fixture->model, fixture->device, series, &options, receive, &received, &err),
        TOTO_STATUS_IO);
    assert_string_equal(err.message, "stopped");
    assert_int_equal(received.n, 2);
    assert_int_equal(toto_memory_used(), before);
    toto_series_free(series);
}

static void test_seed_and_id_name_the_draws(void **state)
{
    struct fixture *fixture = *state;
    struct toto_error err;
    struct received received[3] = {{0}};
    struct toto_forecast_options options = small_options();
    static const char *const texts[3] = {"a\n1\n2\n3\n", "a\n1\n2\n3\n", "b\n1\n2\n3\n"};
    for (size_t i = 0; i < 3; i++) {
        struct toto_series *series = series_of(texts[i], NULL, NULL);
        options.seed = i == 1;
        assert_int_equal(toto_forecast_run(fixture->model, fixture->device, series, &options, receive,
                                           &received[i], &err), 0);
        toto_series_free(series);
    }
    assert_true(received[0].first[0] != received[1].first[0]);
    assert_true(received[0].first[0] != received[2].first[0]);
}

/* ---- Memory --------------------------------------------------------------------------------------------- */

static void test_the_least_memory_does(void **state)
{
    struct fixture *fixture = *state;
    struct toto_error err;
    struct toto_plan plan;
    struct received roomy = {0}, tight = {0};
    struct toto_forecast_options options = small_options();
    options.n_samples = 300;
    struct toto_series *series = series_of(interleaved, &(struct toto_table_options){.drops = (const char *[]){"g"}, .n_drops = 1}, NULL);
    assert_int_equal(toto_forecast_plan(fixture->model, fixture->device, series, &options, &plan, &err), 0);
    assert_true(plan.least_bytes <= plan.memory_bytes && plan.memory_bytes <= plan.limit_bytes);
    assert_int_equal(
        toto_forecast_run(fixture->model, fixture->device, series, &options, receive, &roomy, &err), 0);
    options.memory = plan.least_bytes;
    assert_int_equal(
        toto_forecast_run(fixture->model, fixture->device, series, &options, receive, &tight, &err), 0);
    toto_memory_set_limit(0);
    assert_memory_equal(&roomy, &tight, sizeof roomy);
    options.memory = plan.least_bytes - 1;
    assert_int_equal(
        toto_forecast_run(fixture->model, fixture->device, series, &options, receive, &tight, &err),
        TOTO_STATUS_RESOURCE);
    assert_non_null(strstr(err.message, "--memory"));
    toto_memory_set_limit(0);
    toto_series_free(series);
}

static void test_every_allocation_may_fail(void **state)
{
    struct fixture *fixture = *state;
    struct toto_error err;
    struct toto_forecast_options options = small_options();
    struct toto_series *series = series_of(interleaved, &(struct toto_table_options){.drops = (const char *[]){"g"}, .n_drops = 1}, NULL);
    struct received warm = {0};
    assert_int_equal( /* scratch that the device keeps is there from now on */
        toto_forecast_run(fixture->model, fixture->device, series, &options, receive, &warm, &err), 0);
    size_t before = toto_memory_used(), n;
    for (n = 1;; n++) {
        struct received received = {0};
        mem_fail_after(n);
        enum toto_status status =
            toto_forecast_run(fixture->model, fixture->device, series, &options, receive, &received, &err);
        mem_fail_after(0);
        assert_int_equal(toto_memory_used(), before);
        if (status == TOTO_STATUS_OK)
            break;
        assert_int_equal(status, TOTO_STATUS_RESOURCE);
    }
    assert_true(n > 50);
    toto_series_free(series);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bytes_however_cut),
        cmocka_unit_test(test_a_cache_changes_later_patches_alone),
        cmocka_unit_test(test_delivery_in_order_of_appearance),
        cmocka_unit_test(test_bad_series_are_null_in_place),
        cmocka_unit_test(test_a_failing_sink_ends_the_run),
        cmocka_unit_test(test_seed_and_id_name_the_draws),
        cmocka_unit_test(test_the_least_memory_does),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
