/* Opening and describing a model. */
#include "model.h"

#include <stdio.h>

#include "../base/memory.h"

/* What `inspect` says of this family alone. */
static void describe(struct toto_model *model)
{
    const struct toto1_config *config = &model->config;
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
             toto1_has_labels(&model->tensors) ? "yes" : "no");
}

enum toto_status toto_model_open(const char *path, struct toto_model **out, struct toto_error *err)
{
    enum toto_status status;
    struct toto_model *model = mem_calloc(1, sizeof *model);
    *out = NULL;
    if (!model)
        return toto_fail_memory(err, "the model", sizeof *model);
    if ((status = checkpoint_open(path, &model->checkpoint, err)) ||
        (status = toto1_config_read(&model->checkpoint, &model->config, err)) ||
        (status = toto1_tensors_find(&model->checkpoint, &model->config, &model->tensors, err))) {
        toto_model_free(model);
        return status;
    }
    describe(model);
    *out = model;
    return TOTO_STATUS_OK;
}

void toto_model_free(struct toto_model *model)
{
    if (!model)
        return;
    checkpoint_close(&model->checkpoint);
    mem_free(model);
}

/* "F32", or "BF16+F16" where the tensors in use are mixed. */
static void describe_dtypes(const struct toto1_tensors *tensors, char *text, size_t size)
{
    bool seen[DTYPE_OTHER + 1] = {false};
    size_t length = 0;
    for (size_t i = 0; i < tensors->used.n; i++)
        seen[tensors->used.views[i]->dtype] = true;
    text[0] = '\0';
    for (int dtype = 0; dtype <= DTYPE_OTHER; dtype++)
        if (seen[dtype] && length < size)
            length += (size_t)snprintf(text + length, size - length, "%s%s", length ? "+" : "",
                                       dtype_name((enum dtype)dtype));
}

void toto_model_inspect(const struct toto_model *model, struct toto_model_info *info)
{
    const struct toto1_config *config = &model->config;
    *info = (struct toto_model_info){
        .family = "toto-1.0",
        .path = model->checkpoint.path,
        .n_parameters = model->tensors.used.n_elements,
        .n_tensors = model->checkpoint.n_tensors,
        .n_files = model->checkpoint.n_files,
        .patch_size = (int)config->patch,
        .d_model = (int)config->d_model,
        .n_layers = (int)config->n_layers,
        .n_heads = (int)config->n_heads,
        .d_ff = (int)config->d_ff,
        .attributes = model->attributes,
    };
    for (size_t i = 0; i < model->checkpoint.n_files; i++)
        info->weights_bytes += model->checkpoint.files[i].bytes;
    describe_dtypes(&model->tensors, info->dtypes, sizeof info->dtypes);
}
