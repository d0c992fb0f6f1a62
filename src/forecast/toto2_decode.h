/* Forecasts of Toto 2.0: empty tokens stand for the patches to come, and one pass predicts them all; or blocks of
 * patches one after the other, each pass fed with the medians of the block before (reference spec section 8).
 *
 * Rows of a pass lie as [group][variate][token]. Known covariates are variates too, behind the targets. */
#ifndef TOTO_FORECAST_TOTO2_DECODE_H
#define TOTO_FORECAST_TOTO2_DECODE_H

#include "../model/toto2.h"

/* What is forecast together; borrowed. */
struct toto2_group {
    size_t n_steps;           /* T, a multiple of the patch */
    const float *values;      /* [V, T], finite */
    const uint8_t *observed;  /* [V, T]; the last patch counts as observed whatever it says */
    const int32_t *ids;       /* [V + K] variates of one id see each other, >= 0; NULL: all 0 */
    const float *known;       /* [K, n_known_steps] from the start of the context on, or NULL */
    const uint8_t *known_observed;
    size_t n_known_steps;     /* at most T + whole patches of the horizon; what lies beyond is missing */
};

/* What a decoder is made for. Groups of one batch have V targets and K known covariates each. */
struct toto2_shape {
    size_t n_groups;    /* at most, in one batch */
    size_t n_targets;   /* V */
    size_t n_known;     /* K */
    size_t max_patches; /* of a context */
    size_t horizon;
    size_t block;       /* patches of a block; 0: all of the horizon in one pass */
    bool missing_values; /* context patches without any value are kept apart in the first pass */
    size_t min_obs;     /* scaler fallback; 0: none */
    float cap_k;        /* clamp of the quantiles; 0: none */
};

struct toto2_decoder;

/* Whether groups with so many context patches may share a batch: rows of both lie in blocks of one size. */
bool toto2_same_blocks(const struct backend *backend, const struct toto2_config *config,
                       const struct toto2_shape *shape, size_t patches_a, size_t patches_b);

/* Bytes that toto2_decoder_open allocates. */
size_t toto2_decoder_bytes(const struct backend *backend, const struct toto2_config *config,
                           const struct toto2_shape *shape);

/* net must have positions for max_patches + ceil(horizon / p) tokens, at most TOTO2_MAX_POSITIONS. */
enum toto_status toto2_decoder_open(const struct toto2_net *net, const struct toto2_shape *shape,
                                    struct toto2_decoder **decoder, struct toto_error *err);

/* Called with each stage of a pass that leaves nothing out, for one group: "loc", "scale" [V', patches]; "embed_in"
 * [V' S, 2p]; "group_ids" [V', S] (as floats); "embed_out", "layers", "out" [V' S, d]; "head" [V' block, 9p]. */
typedef void toto2_see(void *user, size_t pass, const char *stage, size_t layer, const float *values,
                       size_t n_rows, size_t width);

/* Forecasts up to shape.n_groups groups; results[g] is [9, V, horizon]. see (or NULL) asks for one group. */
enum toto_status toto2_decoder_run(struct toto2_decoder *decoder, const struct toto2_group *groups,
                                   size_t n_groups, float *const *results, toto2_see *see, void *user,
                                   struct toto_error *err);

void toto2_decoder_close(struct toto2_decoder *decoder);

/* The quantile at `level` (0 to 1) from the nine at 0.1 to 0.9, which stand `stride` apart: the nine themselves, linear
 * between neighbours, and logarithmic tails beyond them (reference spec section 9, as GluonTS extrapolates). */
float toto2_quantile(const float *nine, size_t stride, double level);

/* The last n_padded points of each of n_rows series of n_steps points; a shorter series stands behind zeros that are
 * not observed. */
void toto2_pad(const float *values, const uint8_t *observed, size_t n_rows, size_t n_steps, size_t n_padded,
               float *padded, uint8_t *padded_observed);

#endif
