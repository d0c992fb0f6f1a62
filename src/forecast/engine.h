/* Engine: what a run needs of a model's family. Batches of groups go in, quantiles come out; how they are decoded is the
 * engine's affair. */
#ifndef TOTO_FORECAST_ENGINE_H
#define TOTO_FORECAST_ENGINE_H

#include "../model/model.h"
#include "../series/series.h"

/* What a run asks for; borrowed for its time. */
struct engine_request {
    const struct toto_model *model;
    struct backend *backend;
    const struct toto_forecast_options *options;
};

/* What runs together. */
struct batch_shape {
    size_t n_groups;
    size_t n_variates;  /* of a group, covariates of the past among them */
    size_t n_known;
    size_t max_patches; /* of a context */
    size_t chunk;       /* samples at once; 1 where there are none */
};

/* A group's results. R rows: its variates, then its known covariates, whose rows mean nothing. */
struct engine_result {
    float *mean;      /* [R, horizon] */
    float *quantiles; /* [quantiles of the options, then the median; R; horizon], or NULL without quantiles */
    float *samples;   /* [R, horizon, n_samples], or NULL */
};

static inline size_t engine_rows(const struct batch_shape *shape)
{
    return shape->n_variates + shape->n_known;
}

struct engine;

struct engine_ops {
    /* Options that this family cannot serve: TOTO_STATUS_USAGE. */
    enum toto_status (*check)(const struct engine_request *, struct toto_error *err);
    size_t (*patch)(const struct toto_model *);
    bool has_samples;
    /* n samples rounded up to what can run at once. */
    size_t (*chunk)(const struct engine_request *, const struct batch_shape *, size_t n);
    /* Tokens of the largest pass. */
    size_t (*rows)(const struct engine_request *, const struct batch_shape *);
    /* Bytes of the model on the backend, and of a batch. */
    size_t (*fixed_bytes)(const struct engine_request *, const struct batch_shape *most);
    size_t (*weights_bytes)(const struct engine_request *); /* the matrices, as a device stores them */
    size_t (*batch_bytes)(const struct engine_request *, const struct batch_shape *);
    /* Whether groups of so many patches may share a batch. */
    bool (*same_batch)(const struct engine_request *, const struct batch_shape *, size_t patches_a,
                       size_t patches_b);
    /* The model for batches of at most this shape; then what batches of one shape need; then batches. A group whose
     * numbers are not finite sets failed[i]. */
    enum toto_status (*open)(const struct engine_request *, const struct batch_shape *most, struct engine **,
                             struct toto_error *err);
    enum toto_status (*prepare)(struct engine *, const struct batch_shape *, struct toto_error *err);
    enum toto_status (*run)(struct engine *, const struct group *groups, size_t n_groups,
                            const uint32_t (*keys)[2], const struct engine_result *results, int32_t *failed,
                            struct toto_error *err);
    void (*close)(struct engine *); /* takes NULL */
};

extern const struct engine_ops toto1_engine, toto2_engine;

static inline const struct engine_ops *engine_of(const struct toto_model *model)
{
    return model->family == FAMILY_TOTO1 ? &toto1_engine : &toto2_engine;
}

/* Patches that a context of n steps fills. */
static inline size_t engine_patches(size_t n_steps, size_t patch)
{
    return (n_steps + patch - 1) / patch;
}

#endif
