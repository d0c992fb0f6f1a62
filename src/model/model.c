/* Opening and describing a model. */
#include "model.h"

#include <stdio.h>

#include "../base/memory.h"

/* ---- Toto 1.0 ---------------------------------------------------------------------------------------- */

static void describe_toto1(struct toto_model *model)
{
    const struct toto1_config *config = &model->toto1.config;
    size_t n_space = 0;
    char output[64] = "Student-t", scaler[64] = "static";
    for (size_t i = 0; i < config->n_layers; i++)
        n_space += toto1_layer_is_space(config, i);
    if (config->is_mixture)
        snprintf(output, sizeof output, "mixture of %zu Student-t", config->n_components);
    if (config->scaler == SCALER_CAUSAL)
        snprintf(scaler, sizeof scaler, "causal, per step");
    else if (config->scaler == SCALER_CAUSAL_PATCH && config->stabilize)
        snprintf(scaler, sizeof scaler, "causal, per patch, within 10^%g of the global scale",
                 config->exponent);
    else if (config->scaler == SCALER_CAUSAL_PATCH)
        snprintf(scaler, sizeof scaler, "causal, per patch");
    snprintf(model->attributes, sizeof model->attributes,
             "time layers: %zu\nspace layers: %zu\nscaler: %s\noutput: %s\nvariate labels: %s\n",
             config->n_layers - n_space, n_space, scaler, output,
             toto1_has_labels(&model->toto1.tensors) ? "yes" : "no");
}

static enum toto_status open_toto1(struct toto_model *model, struct toto_error *err)
{
    enum toto_status status = toto1_config_read(&model->checkpoint, &model->toto1.config, err);
    if (status == TOTO_STATUS_OK)
        status = toto1_tensors_find(&model->checkpoint, &model->toto1.config, &model->toto1.tensors, err);
    if (status == TOTO_STATUS_OK)
        describe_toto1(model);
    return status;
}

static void inspect_toto1(const struct toto_model *model, struct toto_model_info *info)
{
    const struct toto1_config *config = &model->toto1.config;
    info->family = "toto-1.0";
    info->patch_size = (int)config->patch;
    info->d_model = (int)config->d_model;
    info->n_layers = (int)config->n_layers;
    info->n_heads = (int)config->n_heads;
    info->d_ff = (int)config->d_ff;
}

/* ---- Toto 2.0 ---------------------------------------------------------------------------------------- */

static void describe_toto2(struct toto_model *model)
{
    const struct toto2_config *config = &model->toto2.config;
    size_t n_variate = 0;
    for (size_t i = 0; i < config->n_layers; i++)
        n_variate += toto2_layer_is_variate(config, i);
    snprintf(model->attributes, sizeof model->attributes,
             "time layers: %zu\nvariate layers: %zu\nkey/value heads: %zu\nrotary positions: %s\n"
             "output: 9 quantiles, 0.1 to 0.9\n",
             config->n_layers - n_variate, n_variate, config->n_groups,
             config->use_xpos ? "with xPos" : "plain");
}

static enum toto_status open_toto2(struct toto_model *model, struct toto_error *err)
{
    enum toto_status status = toto2_config_read(&model->checkpoint, &model->toto2.config, err);
    if (status == TOTO_STATUS_OK)
        status = toto2_tensors_find(&model->checkpoint, &model->toto2.config, &model->toto2.tensors, err);
    if (status == TOTO_STATUS_OK)
        describe_toto2(model);
    return status;
}

static void inspect_toto2(const struct toto_model *model, struct toto_model_info *info)
{
    const struct toto2_config *config = &model->toto2.config;
    info->family = "toto-2.0";
    info->patch_size = (int)config->patch;
    info->d_model = (int)config->d_model;
    info->n_layers = (int)config->n_layers;
    info->n_heads = (int)config->n_heads;
    info->d_ff = (int)config->d_ff;
}

/* ---- Any ----------------------------------------------------------------------------------------------- */

/* Toto 2.0 calls its width d_model, Toto 1.0 embed_dim. */
static enum model_family family_of(const struct checkpoint *checkpoint)
{
    const struct config *config = checkpoint->config;
    if (config_has(config, "embed_dim"))
        return FAMILY_TOTO1;
    return config_has(config, "d_model") || config_has(config, "layer_group_size") ? FAMILY_TOTO2
                                                                                    : FAMILY_TOTO1;
}

/* The model at path, or in memory if that is not NULL. */
static enum toto_status open_any(const char *path, const struct checkpoint_memory *memory, struct toto_model **out,
                                 struct toto_error *err)
{
    struct toto_model *model = mem_calloc(1, sizeof *model);
    *out = NULL;
    if (!model)
        return toto_fail_memory(err, "the model", sizeof *model);
    enum toto_status status = memory ? checkpoint_open_memory(memory, &model->checkpoint, err)
                                     : checkpoint_open(path, &model->checkpoint, err);
    if (status == TOTO_STATUS_OK) {
        model->family = family_of(&model->checkpoint);
        status = model->family == FAMILY_TOTO1 ? open_toto1(model, err) : open_toto2(model, err);
    }
    if (status != TOTO_STATUS_OK) {
        toto_model_free(model);
        return status;
    }
    *out = model;
    return TOTO_STATUS_OK;
}

enum toto_status toto_model_open(const char *path, struct toto_model **model, struct toto_error *err)
{
    return open_any(path, NULL, model, err);
}

enum toto_status model_open_memory(const struct checkpoint_memory *memory, struct toto_model **model,
                                   struct toto_error *err)
{
    return open_any(NULL, memory, model, err);
}

void toto_model_free(struct toto_model *model)
{
    if (!model)
        return;
    checkpoint_close(&model->checkpoint);
    mem_free(model);
}

static const struct tensor_list *tensors_of(const struct toto_model *model)
{
    return model->family == FAMILY_TOTO1 ? &model->toto1.tensors.used : &model->toto2.tensors.used;
}

/* "F32", or "F16+BF16" where the tensors in use are mixed. */
static void describe_dtypes(const struct tensor_list *list, char *text, size_t size)
{
    bool seen[DTYPE_OTHER + 1] = {false};
    size_t length = 0;
    for (size_t i = 0; i < list->n; i++)
        seen[list->views[i]->dtype] = true;
    text[0] = '\0';
    for (int dtype = 0; dtype <= DTYPE_OTHER; dtype++)
        if (seen[dtype] && length < size)
            length += (size_t)snprintf(text + length, size - length, "%s%s", length ? "+" : "",
                                       dtype_name((enum dtype)dtype));
}

void toto_model_inspect(const struct toto_model *model, struct toto_model_info *info)
{
    *info = (struct toto_model_info){
        .path = model->checkpoint.path,
        .n_parameters = tensors_of(model)->n_parameters,
        .n_tensors = model->checkpoint.n_tensors,
        .n_files = model->checkpoint.n_files,
        .attributes = model->attributes,
    };
    for (size_t i = 0; i < model->checkpoint.n_files; i++)
        info->weights_bytes += model->checkpoint.files[i].bytes;
    describe_dtypes(tensors_of(model), info->dtypes, sizeof info->dtypes);
    if (model->family == FAMILY_TOTO1)
        inspect_toto1(model, info);
    else
        inspect_toto2(model, info);
}
