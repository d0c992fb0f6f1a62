/* Plan: as many windows in one run as memory holds. */
#ifndef TOTO_EVAL_PLAN_H
#define TOTO_EVAL_PLAN_H

#include "../base/status.h"

/* Makes the series of the next n windows. */
typedef enum toto_status window_maker(void *user, size_t n, struct toto_series **series, struct toto_error *err);

/* The series of the next *n windows, whose run by the forecaster's model memory holds. Where that of all is more, *n is
 * lowered, down to one. *series is the caller's, NULL or not, whatever is returned. */
enum toto_status windows_plan(const struct toto_forecaster *forecaster, const struct toto_forecast_options *options,
                              window_maker *make, void *user, size_t *n, struct toto_series **series,
                              struct toto_error *err);

#endif
