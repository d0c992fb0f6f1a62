/* A case of Toto 2.0, as its two files share it. */
#ifndef TOTO_VERIFY_GOLDEN_TOTO2_H
#define TOTO_VERIFY_GOLDEN_TOTO2_H

#include "../forecast/toto2_decode.h"
#include "golden.h"

enum { TOTO2_STEPS_MOST = 1000000 }; /* of a case's context and horizon */

struct toto2_case {
    struct golden_case base;
    const json_t *run; /* the run that is looked at */
    size_t n_groups, n_variates, n_known;
    size_t group;      /* whose stages are seen */
};

struct toto2_inputs {
    float *target, *known;
    uint8_t *mask, *known_mask;
    int32_t *ids;
    size_t n_steps, n_known_steps, horizon;
    struct toto2_shape shape;
};

/* A number or switch among the run's options; `absent` where it is not given. */
double toto2_case_option(const struct toto2_case *c, const char *name, double absent);
/* A whole number among them, at most TOTO2_STEPS_MOST; one that is not fails the case. */
size_t toto2_case_count(struct toto2_case *c, const char *name, double absent);

/* Forecasts all groups of the inputs (one at a time for stages, which are compared, then all at once); quantiles is
 * [9, B, V, h]. */
void toto2_case_forecast(struct toto2_case *c, const struct toto2_inputs *in, bool stages_too, float *quantiles);

/* Compares n values with the run's output of this name, if there is one. */
void toto2_case_compare(struct toto2_case *c, const char *name, const float *got, size_t n);

/* The kind of case that begins with series of any length. */
void toto2_case_gluonts(struct toto2_case *c);

#endif
