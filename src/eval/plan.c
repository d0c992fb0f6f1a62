/* Plan: as many windows in one run as memory holds. */
#include "plan.h"

#include "../base/log.h"

enum toto_status windows_plan(const struct toto_forecaster *forecaster, const struct toto_forecast_options *options,
                              window_maker *make, void *user, size_t *n, struct toto_series **series,
                              struct toto_error *err)
{
    for (;;) {
        struct toto_plan plan;
        enum toto_status status = make(user, *n, series, err);
        if (!status)
            status = toto_forecast_plan(forecaster->model, forecaster->device, *series, options, &plan, err);
        if (!status)
            log_info("planned %zu of %zu groups at once in %.1f MB on %s, %zu threads", plan.groups_per_batch,
                     plan.n_groups, 1e-6 * (double)plan.memory_bytes, plan.device, plan.n_threads);
        if (status != TOTO_STATUS_RESOURCE || *n == 1)
            return status;
        toto_series_free(*series);
        *series = NULL;
        *n = (*n + 1) / 2;
    }
}
