/* Stages of the first pass of Toto 1.0 against golden data, and how far apart two tensors are. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../base/log.h"
#include "golden_toto1.h"

/* ---- Comparison ---------------------------------------------------------------------------------------- */

/* The manifest's error measure: the largest over rows of max|got - want| / (max|want| + 1e-30); a row is one index of
 * the first `rows` axes. */
static double error_of(const struct tensor_view *view, const float *want, const float *got, size_t rows_axes)
{
    size_t n_rows = 1, width = 1;
    double worst = 0.0;
    for (size_t i = 0; i < (size_t)view->n_dims; i++)
        *(i < rows_axes ? &n_rows : &width) *= view->dims[i];
    for (size_t row = 0; row < n_rows; row++) {
        double difference = 0.0, size = 0.0;
        for (size_t i = row * width; i < (row + 1) * width; i++) {
            double apart = fabs((double)got[i] - (double)want[i]);
            if (isnan(apart))
                return INFINITY;
            difference = apart > difference ? apart : difference;
            size = fabs((double)want[i]) > size ? fabs((double)want[i]) : size;
        }
        double error = difference / (size + 1e-30);
        worst = error > worst ? error : worst;
    }
    return worst;
}

double toto1_case_tolerance(const struct toto1_case *c, const char *name)
{
    const json_t *output = json_object_get(json_object_get(c->base.entry, "outputs"), name);
    return fmax(json_number_value(json_object_get(output, "tol")), c->base.golden->least_tolerance);
}

void toto1_case_compare(struct toto1_case *c, const char *name, const float *got, size_t n)
{
    const json_t *output = json_object_get(json_object_get(c->base.entry, "outputs"), name);
    if (c->base.failed || !output || !got)
        return;
    const float *want = golden_input(&c->base, name, n);
    if (!want)
        return;
    double tolerance = toto1_case_tolerance(c, name);
    double error = error_of(golden_find(&c->base, name), want, got,
                            golden_number(&c->base, output, "rows", TENSOR_MAX_DIMS));
    log_info("  %-22s error %.2e, tolerance %.0e", name, error, tolerance);
    c->base.worst = error / tolerance > c->base.worst ? error / tolerance : c->base.worst;
    if (!(error <= tolerance)) {
        char text[128];
        snprintf(text, sizeof text, "error %.3e, tolerance %.0e", error, tolerance);
        golden_fail(&c->base, name, text);
    }
}

/* ---- Stages ------------------------------------------------------------------------------------------------ */

static const char *const stage_names[] = {"scaled", "loc", "scale", "patch_embed", "embed_last_patch", "layers",
                                          "layers_last_patch", "dist_df", "dist_loc", "dist_scale",
                                          "dist_logits", "dist_probs"};
enum { N_STAGES = sizeof stage_names / sizeof *stage_names };

struct stage_view {
    struct toto1_case *c;
    size_t group;
    float *got[N_STAGES];
};

/* Copies rows of a stage to where the expected tensor wants them: for each variate the last dims[axis] of its tokens (a
 * label token is dropped where the tensor has no place for it), or the first values of a longer row. */
static void take_stage(struct stage_view *at, size_t stage, size_t layer, const float *values, size_t n_rows,
                       size_t width)
{
    struct toto1_case *c = at->c;
    const char *name = stage_names[stage];
    const struct tensor_view *view = golden_find(&c->base, name);
    if (!view || !at->got[stage])
        return;
    size_t n_variates = c->n_variates, per_variate = n_rows / n_variates;
    bool layered = strncmp(name, "layers", 6) == 0;
    size_t n_places = (layered ? c->net.config->n_layers : 1) * c->n_groups * n_variates;
    size_t wanted = view->n_elements / n_places, place = layered ? layer * c->n_groups + at->group : at->group;
    if (!wanted || wanted * n_places != view->n_elements || wanted > per_variate * width) {
        golden_fail(&c->base, name, "is misshapen");
        return;
    }
    for (size_t v = 0; v < n_variates; v++) {
        float *to = at->got[stage] + (place * n_variates + v) * wanted;
        const float *from = values + v * per_variate * width;
        if (strcmp(name, "loc") == 0 || strcmp(name, "scale") == 0) {
            size_t stride = per_variate * width / wanted; /* one a step, one a patch, or one in all */
            for (size_t i = 0; i < wanted; i++)
                to[i] = from[i * stride];
        } else if (wanted <= width) {
            memcpy(to, from + (per_variate - 1) * width, wanted * sizeof *to); /* last patch, or its start */
        } else {
            memcpy(to, from + per_variate * width - wanted, wanted * sizeof *to);
        }
    }
}

static void see_stage(void *user, const char *stage, size_t layer, const float *values, size_t n_rows,
                      size_t width)
{
    struct stage_view *at = user;
    for (size_t i = 0; i < N_STAGES; i++) {
        bool same = strcmp(stage_names[i], stage) == 0 ||
                    (strcmp(stage, "layers") == 0 && strcmp(stage_names[i], "layers_last_patch") == 0) ||
                    (strcmp(stage, "patch_embed") == 0 && strcmp(stage_names[i], "embed_last_patch") == 0);
        if (same)
            take_stage(at, i, layer, values, n_rows, width);
    }
}

void toto1_case_stages(struct toto1_case *c)
{
    struct stage_view at = {.c = c};
    struct toto_error err = {""};
    struct decoder *decoder = NULL;
    size_t patch = c->net.config->patch;
    const struct decode_shape shape = {
        .n_groups = 1, .n_variates = c->n_variates, .max_patches = (c->n_steps + patch - 1) / patch,
        .horizon = patch, .chunk = 1, .kv_cache = true,
        .labels = toto1_has_labels(&c->base.model->toto1.tensors),
    };
    for (size_t i = 0; i < N_STAGES; i++) {
        const struct tensor_view *view = golden_find(&c->base, stage_names[i]);
        at.got[i] = view ? golden_own(&c->base, view->n_elements, sizeof(float)) : NULL;
    }
    if (c->base.failed)
        return;
    enum toto_status status = decoder_open(&c->net, &shape, NULL, 0, &decoder, &err);
    for (at.group = 0; at.group < c->n_groups && status == TOTO_STATUS_OK; at.group++)
        status = decoder_stages(decoder, &c->groups[at.group], see_stage, &at, &err);
    decoder_close(decoder);
    if (status != TOTO_STATUS_OK)
        golden_fail(&c->base, "stages", err.message);
    for (size_t i = 0; i < N_STAGES; i++)
        if (at.got[i])
            toto1_case_compare(c, stage_names[i], at.got[i], golden_find(&c->base, stage_names[i])->n_elements);
}
