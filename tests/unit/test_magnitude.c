/* Magnitude: the unit of a series has no say in a forecast of Toto 2.0. */
#include <float.h>
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

#include "toto.h"

struct fixture {
    struct toto_model *model;
    struct toto_device *device;
};

static int open_fixture(void **state)
{
    static struct fixture fixture;
    struct toto_error err;
    assert_int_equal(toto_model_open("tests/golden/toto2/models/a_official", &fixture.model, &err), 0);
    assert_int_equal(toto_device_open("cpu", TOTO_DTYPE_F32, 2, &fixture.device, &err), 0);
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

/* ---- Forecasts --------------------------------------------------------------------------------------- */

enum { V = 3, T = 75, H = 70, LEVELS = 5, SHORT = 6 };
static const double levels[LEVELS] = {0.01, 0.1, 0.45, 0.9, 1.0}; /* two of them made up */

struct forecasts {
    size_t n;
    float values[2 * V][LEVELS + 1][H]; /* the point forecast is last */
};

static enum toto_status receive(void *user, const struct toto_forecast *forecast, struct toto_error *err)
{
    struct forecasts *forecasts = user;
    (void)err;
    assert_false(forecast->missing);
    assert_true(forecast->series < 2 * V);
    memcpy(forecasts->values[forecast->series], forecast->quantiles, sizeof forecasts->values[0] - H * sizeof(float));
    memcpy(forecasts->values[forecast->series][LEVELS], forecast->point, H * sizeof(float));
    forecasts->n++;
    return TOTO_STATUS_OK;
}

static struct forecasts *run(const struct fixture *fixture, struct toto_series *series, size_t block)
{
    struct toto_error err = {""};
    struct toto_forecast_options options = toto_forecast_defaults();
    struct forecasts *forecasts = calloc(1, sizeof *forecasts);
    options.horizon = H;
    options.decode_block = block;
    options.quantiles = levels;
    options.n_quantiles = LEVELS;
    options.extrapolate = true;
    assert_non_null(forecasts);
    if (toto_forecast_run(fixture->model, fixture->device, series, &options, receive, forecasts, &err))
        fail_msg("%s", err.message);
    toto_series_free(series);
    return forecasts;
}

static const char *const ids[2 * V] = {"a", "b", "c", "d", "e", "f"};

/* Forecasts of groups of V variates of n steps each. */
static struct forecasts *forecast_values(const struct fixture *fixture, const float *values, size_t n_groups, size_t n,
                                         size_t block)
{
    struct toto_error err;
    struct toto_series *series = NULL;
    struct toto_values groups[2];
    for (size_t g = 0; g < n_groups; g++)
        groups[g] = (struct toto_values){
            .ids = ids + g * V, .n_variates = V, .n_steps = n, .values = values + g * V * n};
    assert_int_equal(toto_series_from_values(groups, n_groups, NULL, &series, &err), 0);
    struct forecasts *forecasts = run(fixture, series, block);
    assert_int_equal(forecasts->n, n_groups * V);
    return forecasts;
}

/* Values in [1, 2) of few bits, so that the smallest subnormals can hold them; with a gap, and nothing at the start of
 * the second variate. */
static void make_values(float *values, size_t n)
{
    for (size_t v = 0; v < V; v++)
        for (size_t i = 0; i < n; i++)
            values[v * n + i] = v == 1 && i < 2 ? NAN : 1.0f + (float)((i * 5 + v * 3 + i * i / 7) % 16) / 16.0f;
    values[n / 2] = NAN;
}

static void assert_scaled(const float *got, const float *base, size_t n, int exponent)
{
    for (size_t i = 0; i < n; i++) {
        float wanted = fmaxf(fminf(ldexpf(base[i], exponent), FLT_MAX), -FLT_MAX);
        assert_memory_equal(&got[i], &wanted, sizeof wanted);
    }
}

/* ---- Tests ------------------------------------------------------------------------------------------- */

static void test_a_power_of_two_passes_through(void **state)
{
    static const int exponents[][V] = {{-11, -11, -11}, {-40, -40, -40}, {-100, -126, 100}, {-145, 0, -9},
                                       {-20, -145, 61}, {61, 125, 60}};
    static const size_t lengths[] = {T, SHORT}, blocks[] = {0, 32};
    for (size_t l = 0; l < 2; l++)
        for (size_t b = 0; b < 2; b++) {
            float values[V * T], scaled[V * T];
            size_t n = lengths[l];
            make_values(values, n);
            struct forecasts *base = forecast_values(*state, values, 1, n, blocks[b]);
            for (size_t e = 0; e < sizeof exponents / sizeof *exponents; e++) {
                for (size_t i = 0; i < V * n; i++)
                    scaled[i] = ldexpf(values[i], exponents[e][i / n]);
                struct forecasts *got = forecast_values(*state, scaled, 1, n, blocks[b]);
                for (size_t v = 0; v < V; v++)
                    assert_scaled(got->values[v][0], base->values[v][0], (LEVELS + 1) * H, exponents[e][v]);
                free(got);
            }
            free(base);
        }
}

static void test_same_bytes_in_a_batch(void **state)
{
    float values[2 * V * T];
    make_values(values, T);
    for (size_t i = 0; i < V * T; i++) {
        values[V * T + i] = ldexpf(values[i], 80);
        values[i] = ldexpf(values[i], i < T ? -90 : 0);
    }
    struct forecasts *both = forecast_values(*state, values, 2, T, 0);
    for (size_t g = 0; g < 2; g++) {
        struct forecasts *alone = forecast_values(*state, values + g * V * T, 1, T, 0);
        assert_memory_equal(alone->values[0], both->values[g * V], V * sizeof alone->values[0]);
        free(alone);
    }
    free(both);
}

/* Zeros go on; a constant varies by millionths of itself, whatever its size, and beside any others. */
static void test_constants(void **state)
{
    static const float sizes[] = {5.0f, -1e-9f, 1e-30f, 1e-38f, -1e30f, FLT_MAX};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        float values[V * T];
        for (size_t i = 0; i < T; i++) {
            values[i] = sizes[s];
            values[T + i] = 0.0f;
            values[2 * T + i] = i < 4 ? NAN : 0.0f;
        }
        struct forecasts *got = forecast_values(*state, values, 1, T, s % 2 ? 32 : 0);
        const float *own = got->values[0][0], *others = got->values[1][0];
        for (size_t i = 0; i < (LEVELS + 1) * H; i++)
            assert_true(fabs((double)own[i] - (double)sizes[s]) < 1e-4 * fabs((double)sizes[s]));
        for (size_t i = 0; i < 2 * (LEVELS + 1) * H; i++)
            assert_memory_equal(&others[i], &(float){0.0f}, sizeof others[i]);
        free(got);
    }
}

/* Where float32 ends quantiles stop there, ascending and finite. */
static void test_the_end_of_float32(void **state)
{
    float values[V * T];
    bool stopped = false;
    for (size_t i = 0; i < T; i++) {
        values[i] = i % 3 ? FLT_MAX : -FLT_MAX;
        values[T + i] = FLT_MAX / (float)(T - i);
        values[2 * T + i] = -FLT_MIN * (float)i;
    }
    struct forecasts *got = forecast_values(*state, values, 1, T, 0);
    for (size_t v = 0; v < V; v++)
        for (size_t q = 0; q < LEVELS; q++)
            for (size_t t = 0; t < H; t++) {
                float value = got->values[v][q][t];
                assert_true(isfinite(value));
                assert_true(q == 0 || value >= got->values[v][q - 1][t]);
                stopped = stopped || fabsf(value) >= FLT_MAX;
            }
    assert_true(stopped);
    free(got);
}

/* y with a covariate of the past and one known ahead, which are `past` and `known` times themselves. */
static struct forecasts *forecast_covariates(const struct fixture *fixture, double past, double known)
{
    static const char *const pasts[] = {"p"}, *const knowns[] = {"k"};
    struct toto_error err = {""};
    struct toto_table *table = NULL;
    struct toto_series *series = NULL;
    char path[] = "/tmp/test-magnitude-XXXXXX";
    int fd = mkstemp(path);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    assert_non_null(file);
    fputs("y,p,k\n", file);
    for (int i = 0; i < T + H; i++)
        if (i < T)
            fprintf(file, "%d,%.17g,%.17g\n", i % 7, past * (1 + i % 5 / 8.0), known * (1 + i % 3 / 4.0));
        else
            fprintf(file, ",,%.17g\n", known * (1 + i % 3 / 4.0));
    assert_int_equal(fclose(file), 0);
    if (toto_table_read((const char *[]){path}, 1,
                        &(struct toto_table_options){.pasts = pasts, .n_pasts = 1, .knowns = knowns, .n_knowns = 1},
                        &table, &err) ||
        toto_series_make(table, NULL, &series, &err))
        fail_msg("%s", err.message);
    toto_table_free(table);
    unlink(path);
    struct forecasts *forecasts = run(fixture, series, 0);
    assert_int_equal(forecasts->n, 1);
    return forecasts;
}

static void test_covariates_of_any_unit(void **state)
{
    struct forecasts *base = forecast_covariates(*state, 1.0, 1.0), *other = forecast_covariates(*state, 3.0, 0.0);
    assert_memory_not_equal(base->values[0], other->values[0], sizeof base->values[0]);
    free(other);
    static const double units[][2] = {{0x1p-100, 1.0}, {1.0, 0x1p-100}, {0x1p100, 0x1p-60}, {0x1p-30, 0x1p120}};
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        struct forecasts *got = forecast_covariates(*state, units[u][0], units[u][1]);
        assert_memory_equal(got->values[0], base->values[0], sizeof base->values[0]);
        free(got);
    }
    free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_power_of_two_passes_through),
        cmocka_unit_test(test_same_bytes_in_a_batch),
        cmocka_unit_test(test_constants),
        cmocka_unit_test(test_the_end_of_float32),
        cmocka_unit_test(test_covariates_of_any_unit),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
