/* Baselines: four methods on series of a few points, worked out by hand from table 5.2 of Hyndman and Athanasopoulos. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>

#include "eval/baselines.h"

static void assert_near(double got, double wanted, double tolerance)
{
    if (!(fabs(got - wanted) <= tolerance * fmax(1, fabs(wanted))))
        fail_msg("%.9g, wanted %.9g", got, wanted);
}

/* Quantiles of the standard normal; scipy.stats.norm.ppf gives these digits. */
static void test_normal(void **state)
{
    (void)state;
    assert_near(normal_quantile(0.5), 0, 1e-15);
    assert_near(normal_quantile(0.9), 1.2815515655446004, 1e-14);
    assert_near(normal_quantile(0.1), -1.2815515655446004, 1e-14);
    assert_near(normal_quantile(0.975), 1.959963984540054, 1e-14);
    assert_near(normal_quantile(1e-10), -6.361340902404056, 1e-13);
    assert_true(isinf(normal_quantile(0)) && normal_quantile(0) < 0);
    assert_true(isinf(normal_quantile(1)) && normal_quantile(1) > 0);
}

enum { MOST = 8 };

/* Point forecasts, and the quantile one deviation above them, step by step. */
static void assert_forecast(enum toto_baseline baseline, const float *y, size_t n, size_t season, size_t horizon,
                            const double *points, const double *deviations)
{
    static const double scores[] = {1, -1};
    const struct baseline_history history = {y, n, season};
    float point[MOST], quantiles[2 * MOST], alone[MOST];
    baseline_forecast(baseline, &history, horizon, scores, 2, point, quantiles);
    baseline_forecast(baseline, &history, horizon, NULL, 0, alone, NULL);
    for (size_t h = 0; h < horizon; h++) {
        assert_near((double)point[h], points[h], 1e-6);
        assert_near((double)alone[h], points[h], 1e-6);
        assert_near((double)quantiles[h], points[h] + deviations[h], 1e-6);
        assert_near((double)quantiles[horizon + h], points[h] - deviations[h], 1e-6);
    }
}

static void test_whole(void **state)
{
    (void)state;
    const float y[] = {1, 3, 2, 6};
    /* Residuals 2, -1, 4: their squares' mean is 7. */
    assert_forecast(TOTO_BASELINE_NAIVE, y, 4, 2, 3, (const double[]){6, 6, 6},
                    (const double[]){sqrt(7), sqrt(14), sqrt(21)});
    /* Residuals 1 and 3, mean square 5; a season more after two steps. */
    assert_forecast(TOTO_BASELINE_SEASONAL_NAIVE, y, 4, 2, 5, (const double[]){2, 6, 2, 6, 2},
                    (const double[]){sqrt(5), sqrt(5), sqrt(10), sqrt(10), sqrt(15)});
    /* Slope 5/3, residuals 1/3, -8/3, 7/3: 114/9 over 3 - 1; h (1 + h/3). */
    assert_forecast(TOTO_BASELINE_DRIFT, y, 4, 2, 2, (const double[]){6 + 5.0 / 3, 6 + 10.0 / 3},
                    (const double[]){sqrt(19.0 / 3 * 4 / 3), sqrt(19.0 / 3 * 2 * 5 / 3)});
    /* Residuals -2, 0, -1, 3: 14 over 4 - 1; 1 + 1/4. */
    assert_forecast(TOTO_BASELINE_MEAN, y, 4, 2, 2, (const double[]){3, 3},
                    (const double[]){sqrt(35.0 / 6), sqrt(35.0 / 6)});
}

static void test_gaps(void **state)
{
    (void)state;
    const float y[] = {NAN, 1, NAN, 4, 5, NAN};
    /* One pair, 4 5; the first step is two after the last value. */
    assert_forecast(TOTO_BASELINE_NAIVE, y, 6, 1, 2, (const double[]){5, 5}, (const double[]){sqrt(2), sqrt(3)});
    /* 4 from 1 to 5 in three steps; one residual is one parameter. */
    assert_forecast(TOTO_BASELINE_DRIFT, y, 6, 1, 2, (const double[]){5 + 8.0 / 3, 9}, (const double[]){0, 0});
    /* -7/3, 2/3, 5/3: 78/9 over 3 - 1; 1 + 1/3. */
    assert_forecast(TOTO_BASELINE_MEAN, y, 6, 1, 1, (const double[]){10.0 / 3}, (const double[]){sqrt(52.0 / 9)});
    /* 4 5 5 again and again; one pair, 1 5, of points three apart. */
    assert_forecast(TOTO_BASELINE_SEASONAL_NAIVE, y, 6, 3, 4, (const double[]){4, 5, 5, 4},
                    (const double[]){4, 4, 4, 4 * sqrt(2)});
    /* The first value stands in before it; no pairs six apart. */
    assert_forecast(TOTO_BASELINE_SEASONAL_NAIVE, y, 6, 6, 7, (const double[]){1, 1, 1, 4, 5, 5, 1},
                    (const double[]){0, 0, 0, 0, 0, 0, 0});
    /* Shorter than a season. */
    assert_forecast(TOTO_BASELINE_SEASONAL_NAIVE, y, 6, 7, 2, (const double[]){5, 5}, (const double[]){1, sqrt(2)});
}

static void test_one_value(void **state)
{
    (void)state;
    const float first[] = {7, NAN, NAN}, last[] = {NAN, NAN, 7};
    for (enum toto_baseline baseline = TOTO_BASELINE_NAIVE; baseline <= TOTO_BASELINE_MEAN; baseline++)
        for (size_t season = 1; season < 5; season++) {
            assert_forecast(baseline, first, 3, season, 2, (const double[]){7, 7}, (const double[]){0, 0});
            assert_forecast(baseline, last, 3, season, 2, (const double[]){7, 7}, (const double[]){0, 0});
        }
}

/* Without deviation even the outermost quantile is the point. */
static void test_constant(void **state)
{
    (void)state;
    const float y[] = {2, 2, 2};
    const double scores[] = {-INFINITY, INFINITY};
    float point[1], quantiles[2];
    for (enum toto_baseline baseline = TOTO_BASELINE_NAIVE; baseline <= TOTO_BASELINE_MEAN; baseline++) {
        baseline_forecast(baseline, &(struct baseline_history){y, 3, 1}, 1, scores, 2, point, quantiles);
        assert_near((double)point[0], 2, 0);
        assert_near((double)quantiles[0], 2, 0);
        assert_near((double)quantiles[1], 2, 0);
    }
}

/* What leaves float32 stops at its end. */
static void test_huge(void **state)
{
    (void)state;
    const float y[] = {-3e38f, 3e38f};
    const double scores[] = {-INFINITY, -2, 2};
    float point[1], quantiles[3];
    baseline_forecast(TOTO_BASELINE_DRIFT, &(struct baseline_history){y, 2, 1}, 1, scores, 3, point, quantiles);
    assert_true(point[0] == FLT_MAX);
    baseline_forecast(TOTO_BASELINE_MEAN, &(struct baseline_history){y, 2, 1}, 1, scores, 3, point, quantiles);
    assert_near((double)point[0], 0, 0);
    assert_true(quantiles[0] == -FLT_MAX && quantiles[1] == -FLT_MAX && quantiles[2] == FLT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normal),    cmocka_unit_test(test_whole),    cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_one_value), cmocka_unit_test(test_constant), cmocka_unit_test(test_huge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
