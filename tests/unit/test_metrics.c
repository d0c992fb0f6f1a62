/* Metrics: small cases whose scores are worked out by hand, and all that can be missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "eval/metrics.h"

static void assert_near(double got, double wanted)
{
    if (isnan(got) != isnan(wanted) || fabs(got - wanted) > 1e-12 * fmax(1, fabs(wanted)))
        fail_msg("%.17g, wanted %.17g", got, wanted);
}

static void test_scale(void **state)
{
    (void)state;
    const float y[] = {1, 3, NAN, 6, 10, NAN, 2};
    struct metric_scale scale = {0};
    metric_scale_grow(&scale, y, 0, 7, 1);
    assert_int_equal(scale.n_pairs, 2); /* 1 3 and 6 10 */
    assert_near(scale.absolute, 6);
    assert_near(scale.squared, 20);

    /* 1 6 and 3 10, and 6 2; in parts as at once. */
    scale = (struct metric_scale){0};
    metric_scale_grow(&scale, y, 0, 2, 3);
    assert_int_equal(scale.n_pairs, 0);
    metric_scale_grow(&scale, y, 2, 5, 3);
    assert_int_equal(scale.n_pairs, 2);
    metric_scale_grow(&scale, y, 5, 7, 3);
    assert_int_equal(scale.n_pairs, 3);
    assert_near(scale.absolute, 16);
    assert_near(scale.squared, 90);

    /* No longer than a season. */
    scale = (struct metric_scale){0};
    metric_scale_grow(&scale, y, 0, 7, 7);
    metric_scale_grow(&scale, y, 0, 7, 1000000);
    assert_int_equal(scale.n_pairs, 0);
}

enum { H = 4 };

static const double quantiles[] = {0.1, 0.5};
static const struct metric_layout layout = {.horizon = H, .quantiles = quantiles, .n_quantiles = 2, .n_levels = 1};
static const float outcomes[H] = {1, 2, NAN, 4}, point[H] = {2, 2, 9, 1};
static const float forecast[4 * H] = {
    0, 2, 9, 1,    /* 0.1 */
    2, 2, 9, 1,    /* 0.5 */
    1, 3, 0, 1,    /* lo */
    1, 5, 0, 3.5f, /* hi */
};
/* Of 1 3 2 6: differences of 2, 1 and 4. */
static const struct metric_scale scale_of_four = {.n_pairs = 3, .absolute = 7, .squared = 21};

static void test_one_window(void **state)
{
    (void)state;
    size_t covered[1] = {0};
    struct metric_sums sums = {.covered = covered};
    metric_sums_add(&sums, &layout, &scale_of_four, outcomes, point, forecast);
    assert_int_equal(sums.n_windows, 1);
    assert_int_equal(sums.n_points, 3);
    assert_int_equal(sums.n_unscaled, 0);
    /* Errors of 1, 0 and 3. */
    assert_near(metric_score(&sums, &layout, TOTO_METRIC_MAE), 4.0 / 3);
    assert_near(metric_score(&sums, &layout, TOTO_METRIC_MSE), 10.0 / 3);
    assert_near(metric_score(&sums, &layout, TOTO_METRIC_RMSE), sqrt(10.0 / 3));
    assert_near(metric_score(&sums, &layout, TOTO_METRIC_SMAPE), (2.0 / 3 + 6.0 / 5) / 3);
    assert_near(metric_score(&sums, &layout, TOTO_METRIC_MASE), 4.0 / 7);
    assert_near(metric_score(&sums, &layout, TOTO_METRIC_RMSSE), sqrt(10.0 / 21));
    /* 0.1: 2 (0.1 * 1 + 0.1 * 3) = 0.8; 0.5: 1 + 3; both over 2 quantiles and 1 + 2 + 4. */
    assert_near(metric_score(&sums, &layout, TOTO_METRIC_WQL), 4.8 / 2 / 7);
    assert_near(metric_score(&sums, &layout, TOTO_N_METRICS), 1.0 / 3);
}

/* Each window is scaled by its own scale; one without any is left out of what is scaled, and counted. */
static void test_windows(void **state)
{
    (void)state;
    size_t covered[1] = {0};
    struct metric_sums sums = {.covered = covered};
    const struct metric_scale none = {0}, constant = {.n_pairs = 5}, twice = {2, 8, 34};
    const float missing[H] = {NAN, NAN, NAN, NAN};
    metric_sums_add(&sums, &layout, &scale_of_four, outcomes, point, forecast);
    metric_sums_add(&sums, &layout, &twice, outcomes, point, forecast);
    metric_sums_add(&sums, &layout, &none, outcomes, point, forecast);
    metric_sums_add(&sums, &layout, &constant, outcomes, point, forecast);
    metric_sums_add(&sums, &layout, &none, missing, point, forecast);
    assert_int_equal(sums.n_windows, 4);
    assert_int_equal(sums.n_points, 12);
    assert_int_equal(sums.n_unscaled, 2);
    assert_near(metric_score(&sums, &layout, TOTO_METRIC_MAE), 4.0 / 3);
    assert_near(metric_score(&sums, &layout, TOTO_METRIC_MASE), (4.0 / (7.0 / 3) + 4.0 / 4) / 6);
    assert_near(metric_score(&sums, &layout, TOTO_METRIC_RMSSE), sqrt((10.0 / 7 + 10.0 / 17) / 6));
    assert_near(metric_score(&sums, &layout, TOTO_N_METRICS), 4.0 / 12);
}

static void test_missing(void **state)
{
    (void)state;
    size_t covered[1] = {0};
    struct metric_sums sums = {.covered = covered};
    for (size_t metric = 0; metric <= TOTO_N_METRICS; metric++)
        assert_near(metric_score(&sums, &layout, metric), NAN);

    /* Without quantiles their scores alone are missing. */
    metric_sums_add(&sums, &layout, &scale_of_four, outcomes, point, NULL);
    assert_near(metric_score(&sums, &layout, TOTO_METRIC_MASE), 4.0 / 7);
    assert_near(metric_score(&sums, &layout, TOTO_METRIC_WQL), NAN);
    assert_near(metric_score(&sums, &layout, TOTO_N_METRICS), NAN);

    /* Outcomes of 0: no weight of the loss, and no error of sMAPE where the forecast is 0 too. */
    const float zeros[H] = {0, 0, 0, 0}, near[H] = {0, 0, -3, 0};
    sums = (struct metric_sums){.covered = covered};
    metric_sums_add(&sums, &layout, &scale_of_four, zeros, near, forecast);
    assert_near(metric_score(&sums, &layout, TOTO_METRIC_MAE), 0.75);
    assert_near(metric_score(&sums, &layout, TOTO_METRIC_SMAPE), 0.5);
    assert_near(metric_score(&sums, &layout, TOTO_METRIC_WQL), NAN);
}

/* Differences of large floats, and their squares, do not overflow. */
static void test_large(void **state)
{
    (void)state;
    const float y[] = {3e38f, -3e38f, 3e38f}, large[H] = {3e38f, 3e38f, 3e38f, 3e38f}, wrong[H] = {-3e38f, 3e38f};
    struct metric_scale scale = {0};
    size_t covered[1] = {0};
    struct metric_sums sums = {.covered = covered};
    metric_scale_grow(&scale, y, 0, 3, 1);
    metric_sums_add(&sums, &layout, &scale, large, wrong, NULL);
    double size = (double)3e38f;
    assert_near(metric_score(&sums, &layout, TOTO_METRIC_MAE) / size, 4.0 / 4);
    assert_near(metric_score(&sums, &layout, TOTO_METRIC_MASE), 0.5);
    assert_near(metric_score(&sums, &layout, TOTO_METRIC_RMSSE), sqrt(6.0 / 16));
}

static void test_means(void **state)
{
    (void)state;
    size_t n;
    assert_near(metric_mean((const double[]){NAN, 1, 3}, 3, &n), 2);
    assert_int_equal(n, 2);
    assert_near(metric_geometric_mean((const double[]){1, NAN, 4}, 3, &n), 2);
    assert_int_equal(n, 2);
    /* 0 counts as 0.01. */
    assert_near(metric_geometric_mean((const double[]){0, 1}, 2, &n), 0.1);
    assert_near(metric_geometric_mean((const double[]){0.002}, 1, &n), 0.01);
    assert_near(metric_mean((const double[]){NAN}, 1, &n), NAN);
    assert_int_equal(n, 0);
    assert_near(metric_geometric_mean((const double[]){NAN}, 1, &n), NAN);
    assert_int_equal(n, 0);
    assert_near(metric_mean(NULL, 0, &n), NAN);
    assert_near(metric_geometric_mean(NULL, 0, &n), NAN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scale),   cmocka_unit_test(test_one_window), cmocka_unit_test(test_windows),
        cmocka_unit_test(test_missing), cmocka_unit_test(test_large),      cmocka_unit_test(test_means),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
