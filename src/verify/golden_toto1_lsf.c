/* Golden scores of the benchmark of long sequence forecasting: MAE and MSE of mean forecasts agree; those of sampled
 * forecasts, which the reference gives as an average over seeds, by the errors of both averages. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../base/log.h"
#include "golden_toto1.h"

enum { STEPS_MOST = 1000000, RUNS = 8 };

/* Standard errors that a sampled score may be away: as good as never by chance. */
static const double MOST_Z = 4.0;

/* The file of the case's dataset, in the folder that the manifest names, seen from its own. */
static void data_path(const struct golden *golden, const json_t *manifest, const json_t *entry, char *path, size_t size)
{
    const char *dataset = json_string_value(json_object_get(entry, "dataset"));
    const char *data = json_string_value(json_object_get(manifest, "data"));
    snprintf(path, size, "%s/%s/%s.csv", golden->folder, data ? data : "../../data", dataset ? dataset : "");
}

static double number_of(struct golden_case *c, const char *key)
{
    const json_t *number = json_object_get(c->entry, key);
    if (!json_is_number(number))
        golden_fail(c, key, "the manifest gives none");
    return json_is_number(number) ? json_number_value(number) : NAN;
}

/* The share of what it may be away, which keeps the worst of the case. */
static void judge(struct golden_case *c, const char *name, double got, double want, double may)
{
    char text[160];
    double share = fabs(got - want) / may;
    c->worst = share > c->worst || isnan(share) ? share : c->worst;
    log_info("  %s: %.6f, the reference %.6f", name, got, want);
    snprintf(text, sizeof text, "%.6f, and the reference %.6f; %.2g is allowed", got, want, may);
    if (!(share <= 1.0))
        golden_fail(c, name, text);
}

/* The average of a score over own seeds against the reference's. */
static void judge_sampled(struct golden_case *c, const char *name, double got, double want)
{
    char key[32];
    snprintf(key, sizeof key, "%s_se", name);
    double error = number_of(c, key);
    snprintf(key, sizeof key, "%s_sd_per_run", name);
    double own = number_of(c, key) / sqrt(RUNS), may = MOST_Z * sqrt(error * error + own * own);
    judge(c, name, got, want, fmax(may, c->golden->least_tolerance * want));
}

static void run_lsf(struct golden_case *c, const struct toto_lsf *data)
{
    const json_t *samples = json_object_get(c->entry, "num_samples");
    const struct toto_forecaster forecaster = {.model = c->model, .device = c->golden->device};
    struct toto_lsf_options options = toto_lsf_defaults();
    size_t n_windows = golden_number(c, c->entry, "windows", STEPS_MOST), runs = json_is_null(samples) ? 1 : RUNS;
    double mae = 0, mse = 0, want_mae = number_of(c, "mae"), want_mse = number_of(c, "mse");
    struct toto_error err = {""};
    options.horizon = golden_number(c, c->entry, "horizon", STEPS_MOST);
    options.context = golden_number(c, c->entry, "context", STEPS_MOST);
    options.stride = golden_number(c, c->entry, "eval_stride", STEPS_MOST);
    options.forecast.n_samples = json_is_null(samples) ? 0 : golden_number(c, c->entry, "num_samples", STEPS_MOST);
    options.forecast.samples_per_batch = golden_number(c, c->entry, "samples_per_batch", STEPS_MOST);
    options.forecast.kv_cache = json_is_true(json_object_get(c->entry, "use_kv_cache"));
    if (!options.horizon || !options.context || !options.stride)
        golden_fail(c, "horizon", "the manifest gives no horizon, context or eval_stride");
    for (size_t run = 0; run < runs && !c->failed; run++) {
        struct toto_lsf_score score;
        options.forecast.seed = run;
        if (toto_lsf_run(data, &forecaster, &options, &score, &err) != TOTO_STATUS_OK)
            golden_fail(c, "run", err.message);
        else if (score.n_windows != n_windows)
            golden_fail(c, "windows", "there are not as many as of the reference");
        mae += score.mae / (double)runs;
        mse += score.mse / (double)runs;
    }
    if (c->failed)
        return;
    if (!json_is_null(samples)) {
        judge_sampled(c, "mae", mae, want_mae);
        judge_sampled(c, "mse", mse, want_mse);
    } else {
        double tolerance = fmax(number_of(c, "tol_rel"), c->golden->least_tolerance);
        judge(c, "mae", mae, want_mae, tolerance * want_mae);
        judge(c, "mse", mse, want_mse, tolerance * want_mse);
    }
}

void toto1_case_lsf(struct golden *golden, const json_t *manifest, const json_t *entry, const char *model_path)
{
    const char *name = json_string_value(json_object_get(entry, "name"));
    struct golden_case c = {.golden = golden, .entry = entry};
    struct toto_error err = {""};
    struct toto_lsf *data = NULL;
    char path[2048];
    data_path(golden, manifest, entry, path, sizeof path);
    enum toto_status status = toto_lsf_open(path, NULL, &data, &err);
    if (status == TOTO_STATUS_NO_INPUT) {
        golden_skipped(golden, name, err.message); /* the golden data alone may have been copied */
        return;
    }
    if (golden_case_model(&c, model_path, FAMILY_TOTO1) && status != TOTO_STATUS_OK)
        golden_fail(&c, "dataset", err.message);
    if (!c.failed)
        run_lsf(&c, data);
    toto_lsf_free(data);
    golden_case_close(&c, name);
}
