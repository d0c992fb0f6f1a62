/* A case of Toto 1.0, as its two files share it. */
#ifndef TOTO_VERIFY_GOLDEN_TOTO1_H
#define TOTO_VERIFY_GOLDEN_TOTO1_H

#include "../forecast/decode.h"
#include "golden.h"

struct toto1_case {
    struct golden_case base;
    struct toto1_net net;
    size_t n_groups, n_variates, n_steps, horizon, n_exogenous;
    struct decode_group *groups;
};

struct toto1_results {
    float *mean, *quantiles, *samples; /* [B, V, H], [B, Q, V, H], [B, V, H, S] */
    bool refused;
};

/* What toto1_case_run computes. */
struct toto1_request {
    size_t horizon;
    bool kv_cache;
    size_t n_samples, chunk;
    const double *levels;
    size_t n_levels;
};

/* Forecasts the groups; a failure is the case's, and the results then hold no arrays or zeros. False: it failed. */
bool toto1_case_run(struct toto1_case *c, const struct toto1_request *request, struct toto1_results *results);

/* A case of the benchmark of long sequence forecasting: runs and reports it. */
void toto1_case_lsf(struct golden *golden, const json_t *manifest, const json_t *entry, const char *model_path);

/* Follows the first pass stage by stage. */
void toto1_case_stages(struct toto1_case *c);

/* Compares n values with the tensor of this name, if the manifest lists it as an output. got may be NULL after a
 * failure. */
void toto1_case_compare(struct toto1_case *c, const char *name, const float *got, size_t n);

/* What a stage or forecast of this tolerance may be apart, at the device's dtype. */
double toto1_case_tolerance(const struct toto1_case *c, const char *name);

#endif
