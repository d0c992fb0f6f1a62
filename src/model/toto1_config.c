/* Toto 1.0: config.json and the names of the tensors. */
#include <stdio.h>
#include <string.h>

#include "toto1.h"

/* Far above every published size, and small enough that products of two fit in 64 bits. */
enum { DIM_MAX = 1 << 20, LAYERS_MAX = 4096 };

static const char *const known_keys[] = {
    "patch_size", "stride", "embed_dim", "num_layers", "num_heads", "mlp_hidden_dim", "dropout",
    "spacewise_every_n_layers", "spacewise_first", "scaler_cls", "output_distribution_classes",
    "output_distribution_kwargs", "stabilize_with_global", "scale_factor_exponent",
    "use_memory_efficient_attention", "pre_xformers_checkpoint", NULL,
};

/* The X of "<class 'module.X'>", or the text itself where it is written plainly. */
static bool class_is(const char *text, const char *name)
{
    const char *end = text + strlen(text);
    if (end > text + 2 && end[-1] == '>' && end[-2] == '\'')
        end -= 2;
    size_t length = strlen(name);
    if ((size_t)(end - text) < length || strncmp(end - length, name, length) != 0)
        return false;
    const char *before = end - length;
    return before == text || before[-1] == '.' || before[-1] == '\'';
}

static enum toto_status read_size(const struct checkpoint *checkpoint, const char *key, size_t *value,
                                  struct toto_error *err)
{
    int64_t number;
    enum toto_status status = config_int(checkpoint, key, 1, DIM_MAX, &number, err);
    if (status == TOTO_STATUS_OK)
        *value = (size_t)number;
    return status;
}

static enum toto_status read_scaler(const struct checkpoint *checkpoint, struct toto1_config *config,
                                    struct toto_error *err)
{
    static const struct { const char *name; enum scaler scaler; } scalers[] = {
        {"CausalPatchStdMeanScaler", SCALER_CAUSAL_PATCH},
        {"CausalStdMeanScaler", SCALER_CAUSAL},
        {"StdMeanScaler", SCALER_STATIC},
    };
    const char *text;
    enum toto_status status = config_text(checkpoint, "scaler_cls", &text, err);
    if (status != TOTO_STATUS_OK)
        return status;
    for (size_t i = 0; i < sizeof scalers / sizeof *scalers; i++) {
        if (class_is(text, scalers[i].name)) {
            config->scaler = scalers[i].scaler;
            return TOTO_STATUS_OK;
        }
    }
    return toto_fail(err, TOTO_STATUS_DATA,
                     "%s: key \"scaler_cls\" is \"%s\"; known are CausalPatchStdMeanScaler, "
                     "CausalStdMeanScaler and StdMeanScaler", checkpoint->config_path, text);
}

static enum toto_status read_distribution(const struct checkpoint *checkpoint,
                                          struct toto1_config *config, struct toto_error *err)
{
    const char *text;
    enum toto_status status =
        config_text_at(checkpoint, "output_distribution_classes", 0, &text, err);
    if (status != TOTO_STATUS_OK)
        return status;
    if (class_is(text, "StudentTOutput")) {
        config->n_components = 1;
        config->n_params = 3;
        return TOTO_STATUS_OK;
    }
    if (!class_is(text, "MixtureOfStudentTsOutput"))
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s: key \"output_distribution_classes\" begins with \"%s\"; known are "
                         "MixtureOfStudentTsOutput and StudentTOutput", checkpoint->config_path, text);
    int64_t components;
    status = config_member_int(checkpoint, "output_distribution_kwargs", "k_components", 1, 65536,
                               &components, err);
    if (status != TOTO_STATUS_OK)
        return status;
    config->is_mixture = true;
    config->n_components = (size_t)components;
    config->n_params = 4 * config->n_components;
    return TOTO_STATUS_OK;
}

/* What no single key can be wrong about; reference spec 1.4. */
static enum toto_status check_shape(const struct checkpoint *checkpoint,
                                    const struct toto1_config *config, size_t stride,
                                    struct toto_error *err)
{
    const char *path = checkpoint->config_path;
    if (stride != config->patch)
        return toto_fail(err, TOTO_STATUS_DATA, "%s: key \"stride\" is %zu, wanted patch_size, %zu", path,
                         stride, config->patch);
    if (config->d_model % config->n_heads)
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s: embed_dim %zu is not a multiple of num_heads %zu", path, config->d_model,
                         config->n_heads);
    if (config->head_dim % 2 || config->head_dim < 4)
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s: embed_dim / num_heads is %zu, wanted an even number from 4 on", path,
                         config->head_dim);
    int64_t every = config->space_every;
    if (every == 0 || every < -1 || (every > 0 && config->n_layers % (size_t)every))
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s: key \"spacewise_every_n_layers\" is %lld, wanted -1 or a divisor of "
                         "num_layers %zu", path, (long long)every, config->n_layers);
    return TOTO_STATUS_OK;
}

enum toto_status toto1_config_read(const struct checkpoint *checkpoint, struct toto1_config *config,
                                   struct toto_error *err)
{
    enum toto_status status;
    size_t stride;
    double dropout;
    *config = (struct toto1_config){.space_first = true, .stabilize = true, .exponent = 10.0};
    if ((status = read_size(checkpoint, "patch_size", &config->patch, err)) ||
        (status = read_size(checkpoint, "stride", &stride, err)) ||
        (status = read_size(checkpoint, "embed_dim", &config->d_model, err)) ||
        (status = read_size(checkpoint, "num_layers", &config->n_layers, err)) ||
        (status = read_size(checkpoint, "num_heads", &config->n_heads, err)) ||
        (status = read_size(checkpoint, "mlp_hidden_dim", &config->d_ff, err)) ||
        (status = config_real(checkpoint, "dropout", &dropout, err)) ||
        (status = config_int(checkpoint, "spacewise_every_n_layers", INT32_MIN, INT32_MAX,
                             &config->space_every, err)) ||
        (status = read_scaler(checkpoint, config, err)) ||
        (status = read_distribution(checkpoint, config, err)))
        return status;
    if (config_has(checkpoint->config, "spacewise_first") &&
        (status = config_bool(checkpoint, "spacewise_first", &config->space_first, err)))
        return status;
    if (config_has(checkpoint->config, "stabilize_with_global") &&
        (status = config_bool(checkpoint, "stabilize_with_global", &config->stabilize, err)))
        return status;
    if (config_has(checkpoint->config, "scale_factor_exponent") &&
        (status = config_real(checkpoint, "scale_factor_exponent", &config->exponent, err)))
        return status;
    if (config->n_layers > LAYERS_MAX)
        return toto_fail(err, TOTO_STATUS_DATA, "%s: key \"num_layers\" is %zu, at most %d are read",
                         checkpoint->config_path, config->n_layers, LAYERS_MAX);
    config->head_dim = config->d_model / config->n_heads;
    config_warn_unknown(checkpoint, known_keys);
    return check_shape(checkpoint, config, stride, err);
}

bool toto1_layer_is_space(const struct toto1_config *config, size_t layer)
{
    if (config->space_every < 0)
        return false;
    size_t every = (size_t)config->space_every, place = layer % every;
    return config->space_first ? place == 0 : place == every - 1;
}

/* ---- Tensors --------------------------------------------------------------------------------------- */

static const struct tensor_view *find_in_layer(struct tensor_finder *find, size_t layer, const char *name,
                                               const char *other, size_t n_out, size_t n_in)
{
    char full[96], full_other[96];
    snprintf(full, sizeof full, "model.transformer.layers.%zu.%s", layer, name);
    if (other)
        snprintf(full_other, sizeof full_other, "model.transformer.layers.%zu.%s", layer, other);
    return tensor_find(find, full, other ? full_other : NULL, n_out, n_in);
}

static void find_layer(struct tensor_finder *find, const struct toto1_config *config, size_t layer,
                       struct toto1_layer_tensors *tensors)
{
    size_t d = config->d_model, f = config->d_ff;
    tensors->norm1 = find_in_layer(find, layer, "norm1.scale", NULL, d, 0);
    tensors->norm2 = find_in_layer(find, layer, "norm2.scale", NULL, d, 0);
    tensors->qkv_weight = find_in_layer(find, layer, "attention.wQKV.weight", NULL, 3 * d, d);
    tensors->qkv_bias = find_in_layer(find, layer, "attention.wQKV.bias", NULL, 3 * d, 0);
    tensors->o_weight = find_in_layer(find, layer, "attention.wO.weight", NULL, d, d);
    tensors->o_bias = find_in_layer(find, layer, "attention.wO.bias", NULL, d, 0);
    /* Files written with fused SwiGLU name the same numbers otherwise. */
    tensors->mlp0_weight = find_in_layer(find, layer, "mlp.0.weight", "mlp.0.w12.weight", 2 * f, d);
    tensors->mlp0_bias = find_in_layer(find, layer, "mlp.0.bias", "mlp.0.w12.bias", 2 * f, 0);
    tensors->mlp2_weight = find_in_layer(find, layer, "mlp.2.weight", "mlp.0.w3.weight", d, f);
    tensors->mlp2_bias = find_in_layer(find, layer, "mlp.2.bias", "mlp.0.w3.bias", d, 0);
}

static void find_heads(struct tensor_finder *find, const struct toto1_config *config,
                       struct toto1_tensors *tensors)
{
    static const char *const heads[TOTO1_MAX_HEADS] = {"df", "loc_proj", "scale_proj",
                                                       "mixture_weights"};
    tensors->n_heads = config->is_mixture ? 4 : 3;
    for (size_t i = 0; i < tensors->n_heads; i++) {
        char name[96];
        snprintf(name, sizeof name, "model.output_distribution.%s.weight", heads[i]);
        tensors->head_weights[i] =
            tensor_find(find, name, NULL, config->n_components, config->d_model);
        snprintf(name, sizeof name, "model.output_distribution.%s.bias", heads[i]);
        tensors->head_biases[i] = tensor_find(find, name, NULL, config->n_components, 0);
    }
}

static void find_labels(struct tensor_finder *find, const struct toto1_config *config,
                        struct toto1_tensors *tensors)
{
    static const char target[] = "model.target_variate_label";
    static const char exogenous[] = "model.exogenous_variate_label";
    if (find->status != TOTO_STATUS_OK ||
        (!checkpoint_find(find->checkpoint, target) && !checkpoint_find(find->checkpoint, exogenous)))
        return;
    tensors->target_label = tensor_find(find, target, NULL, config->d_model, 0);
    tensors->exogenous_label = tensor_find(find, exogenous, NULL, config->d_model, 0);
}

enum toto_status toto1_tensors_find(struct checkpoint *checkpoint, const struct toto1_config *config,
                                    struct toto1_tensors *tensors, struct toto_error *err)
{
    enum { PER_LAYER = 10, OTHERS = 4 + 2 * TOTO1_MAX_HEADS + 2 };
    size_t d = config->d_model, p = config->patch;
    size_t layers_bytes = config->n_layers * sizeof *tensors->layers;
    struct tensor_finder find = {.checkpoint = checkpoint, .list = &tensors->used, .err = err};
    *tensors = (struct toto1_tensors){.layers = arena_alloc(&checkpoint->arena, layers_bytes)};
    if (!tensors->layers)
        return toto_fail_memory(err, "the list of layers", layers_bytes);
    find.status =
        tensor_list_open(checkpoint, &tensors->used, PER_LAYER * config->n_layers + OTHERS, err);
    tensors->patch_weight = tensor_find(&find, "model.patch_embed.projection.weight", NULL, d, p);
    tensors->patch_bias = tensor_find(&find, "model.patch_embed.projection.bias", NULL, d, 0);
    for (size_t i = 0; i < config->n_layers && find.status == TOTO_STATUS_OK; i++)
        find_layer(&find, config, i, &tensors->layers[i]);
    tensors->unembed_weight = tensor_find(&find, "model.unembed.weight", NULL, p * d, d);
    tensors->unembed_bias = tensor_find(&find, "model.unembed.bias", NULL, p * d, 0);
    find_heads(&find, config, tensors);
    find_labels(&find, config, tensors);
    if (find.status != TOTO_STATUS_OK)
        return find.status;
    return tensors_check_finite(&tensors->used, err);
}
