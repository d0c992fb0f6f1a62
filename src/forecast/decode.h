/* Decoding of Toto 1.0: the context is run once, then patch after patch is drawn and fed back.
 *
 * Keys and values of the context stay once in memory and are shared by all samples; each sample owns only
 * those of the patches that it has drawn. Rows of several groups and samples go through one pass together.
 *
 * Rows of a decode pass lie as [group][variate][sample], and each variate starts a row block, so the place
 * of a sample in its block is the same however many samples run at once. */
#ifndef TOTO_FORECAST_DECODE_H
#define TOTO_FORECAST_DECODE_H

#include "../model/toto1.h"

/* What is forecast together; borrowed. */
struct decode_group {
    size_t n_variates, n_steps;   /* V, T >= 1 */
    const float *values;          /* [V, T], finite */
    const uint8_t *observed;      /* [V, T], 1 = observed */
    const int32_t *patch_groups;  /* [V, N] ids within which variates see each other; NULL: all 0 */
    size_t n_exogenous;           /* the last so many variates */
    const float *future;          /* [n_exogenous, horizon] or NULL: the model's own are fed back */
    uint32_t key[2];              /* of the random stream */
    const float *inject_u, *inject_t; /* [S, V, ceil(horizon / P) P] given draws (tests), or NULL */
};

struct decode_result {
    float *mean;      /* [V, horizon]; of the samples, or the mean forecast itself without samples */
    float *quantiles; /* [n_quantiles, V, horizon], or NULL */
    float *samples;   /* [V, horizon, S], or NULL */
};

/* What a decoder is made for. Groups of one batch have V variates each; contexts may differ. */
struct decode_shape {
    size_t n_groups;     /* at most, in one batch */
    size_t n_variates;
    size_t max_patches;  /* of a context */
    size_t horizon;
    size_t n_samples;    /* S; 0: the mean forecast */
    size_t chunk;        /* samples that run at once, from decode_chunk */
    bool kv_cache;
    bool labels;
    bool inject;
    size_t n_overrides;  /* exogenous variates with a given future, of a group */
};

struct decoder;

/* n_samples rounded up to what can run at once: whole row blocks, at most all samples. */
size_t decode_chunk(const struct backend *backend, const struct toto1_config *config,
                    const struct decode_shape *shape, size_t n_samples);

/* Steps of a patch that are worth folding for a group of this shape, 0 for none: folding costs n_params rows'
 * worth of unembedding a step and saves one for each row to come. Groups in a batch do not count. */
size_t decode_fold_steps(const struct toto1_config *config, const struct decode_shape *shape);

/* Whether groups with so many patches may share a batch: rows of both lie in blocks of one size. */
bool decode_same_blocks(const struct backend *backend, const struct toto1_config *config,
                        const struct decode_shape *shape, size_t patches_a, size_t patches_b);

/* Bytes that decoder_open allocates. `max_patches` of the shape sets the row block too. */
size_t decoder_bytes(const struct backend *backend, const struct toto1_config *config,
                     const struct decode_shape *shape, size_t n_quantiles);

/* net must hold the folded matrix if decode_fold_steps says so, and positions for
 * max_patches + ceil(horizon / P) + 1 tokens. Quantiles are of [0, 1]. */
enum toto_status decoder_open(const struct toto1_net *net, const struct decode_shape *shape,
                              const double *quantiles, size_t n_quantiles, struct decoder **decoder,
                              struct toto_error *err);

/* Forecasts up to shape.n_groups groups. A group whose distribution is not finite sets failed[g] (its
 * result is undefined); failed has n_groups entries. */
enum toto_status decoder_run(struct decoder *decoder, const struct decode_group *groups, size_t n_groups,
                             const struct decode_result *results, int32_t *failed,
                             struct toto_error *err);

void decoder_close(struct decoder *decoder);

/* One pass over the context that leaves nothing out, for comparison stage by stage. `see` gets, in the order in
 * which they arise and for the one group: "scaled", "loc", "scale" [V N rows, P]; "patch_embed" and, for each layer,
 * "layers" [V tokens rows, D]; "dist_df", "dist_loc", "dist_scale", "dist_logits", "dist_probs"
 * [V tokens rows, P K]. A label token is the first of its variate's. */
typedef void decode_see(void *user, const char *stage, size_t layer, const float *values, size_t n_rows,
                        size_t width);
enum toto_status decoder_stages(struct decoder *decoder, const struct decode_group *group,
                                decode_see *see, void *user, struct toto_error *err);

#endif
