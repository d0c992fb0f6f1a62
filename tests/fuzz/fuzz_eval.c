/* libFuzzer: any bytes as a CSV file that is scored: by windows of rows, or by rolling windows of its series, with a
 * baseline. The first two bytes choose the options. Scores are numbers, or missing. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "toto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void score_rows(const char *path, unsigned choice, unsigned split, struct toto_forecaster baseline)
{
    const struct toto_lsf_split rows = {2 + split % 16, split / 16 % 4, 1 + split / 64};
    struct toto_lsf_options options = toto_lsf_defaults();
    struct toto_lsf_score score;
    struct toto_lsf *data = NULL;
    struct toto_error err;
    options.horizon = 1 + choice % 3;
    options.context = 1 + choice / 3 % 8;
    options.stride = 1 + choice / 24 % 3;
    if (!toto_lsf_open(path, &rows, &data, &err) && !toto_lsf_run(data, &baseline, &options, &score, &err))
        assert(score.n_windows && score.n_values && isfinite(score.mae) && isfinite(score.mse));
    toto_lsf_free(data);
}

static void score_series(const char *path, unsigned choice, unsigned windows, struct toto_forecaster baseline)
{
    const enum toto_on_error on_error = (enum toto_on_error)(choice % 3);
    const struct toto_table_options table_options = {.layout = (enum toto_layout)(choice / 3 % 3),
                                                     .on_error = on_error};
    const struct toto_series_options series = {.group = choice / 9 % 2 ? TOTO_GROUP_ALL : TOTO_GROUP_AUTO,
                                               .on_error = on_error};
    const double quantiles[] = {0.1, 0.9}, levels[] = {80};
    const struct toto_backtest_options options = {
        .horizon = 1 + windows % 4, .n_windows = 1 + windows / 4 % 8, .step = windows / 32 % 4, .season = windows / 128,
        .quantiles = quantiles, .n_quantiles = 2, .levels = levels, .n_levels = 1,
    };
    const struct toto_forecast_options forecast = toto_forecast_defaults();
    struct toto_table *table = NULL;
    struct toto_backtest *backtest = NULL;
    struct toto_backtest_report *report = NULL;
    struct toto_error err;
    if (!toto_table_read(&path, 1, &table_options, &table, &err) &&
        !toto_backtest_make(table, &series, &options, &backtest, &err) &&
        !toto_backtest_run(backtest, &baseline, &forecast, NULL, NULL, &report, &err))
        for (size_t i = 0; i < report->n_series; i++)
            for (size_t score = 0; score < report->n_scores; score++)
                assert(!isinf(report->series[i].scores[score]));
    toto_backtest_report_free(report);
    toto_backtest_free(backtest);
    toto_table_free(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[] = "/tmp/toto-fuzz-XXXXXX";
    static int fd = -1;
    if (fd < 0 && ((fd = mkstemp(path)) < 0))
        abort();
    unsigned choice = size ? data[0] : 0, second = size > 1 ? data[1] : 0;
    if (ftruncate(fd, 0) || (size > 2 && pwrite(fd, data + 2, size - 2, 0) != (ssize_t)size - 2))
        abort();
    const struct toto_forecaster baseline = {
        .baseline = (enum toto_baseline)(TOTO_BASELINE_NAIVE + choice / 2 % TOTO_BASELINE_MEAN)};
    (choice % 2 ? score_series : score_rows)(path, choice / 8, second, baseline);
    if (toto_memory_used())
        abort();
    return 0;
}
