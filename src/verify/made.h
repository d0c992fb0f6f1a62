/* Made up: the series and the small model that a device is tested with. The same everywhere, and nothing else. */
#ifndef TOTO_VERIFY_MADE_H
#define TOTO_VERIFY_MADE_H

#include "../model/model.h"
#include "../series/series.h"

/* Groups that a device is tested with: of one variate and of several, of lengths from less than a patch on, with and
 * without missing values. */
enum { MADE_GROUPS = 6 };

/* The groups first .. first + n - 1 of these. */
enum toto_status made_series(size_t first, size_t n, struct toto_series **series, struct toto_error *err);

/* A Toto 1.0 model of 2 time layers and 1 space layer with pseudo-random weights. */
enum toto_status made_model(struct toto_model **model, struct toto_error *err);

#endif
