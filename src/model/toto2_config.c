/* Toto 2.0: config.json and the names of the tensors. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "toto2.h"

/* Far above every published size, and small enough that products of two fit in 64 bits. */
enum { DIM_MAX = 1 << 20, LAYERS_MAX = 4096 };

static const char *const known_keys[] = {
    "patch_size", "d_model", "num_heads", "num_layers", "layer_group_size", "num_variate_layers_per_group",
    "variate_layer_first", "residual_attn_ratio", "residual_mult", "dropout_p", "norm_eps", "attn_bias",
    "mlp_bias", "num_output_patches", "pre_norm", "d_ff", "qk_dim", "v_dim", "num_groups", "heads_per_group",
    "qk_norm", "norm_include_weight", "qk_norm_include_weight", "per_dim_scale", "use_xpos", NULL,
};

/* ---- Config ------------------------------------------------------------------------------------------ */

/* Reads keys of one config; after the first failure later calls do nothing. */
struct reader {
    const struct checkpoint *checkpoint;
    struct toto_error *err;
    enum toto_status status;
};

static void read_size(struct reader *reader, const char *key, int64_t least, size_t *value)
{
    int64_t number;
    if (reader->status == TOTO_STATUS_OK &&
        (reader->status = config_int(reader->checkpoint, key, least, DIM_MAX, &number, reader->err)) ==
            TOTO_STATUS_OK)
        *value = (size_t)number;
}

/* An optional size of which null and 0 stand for the default. */
static void read_size_or(struct reader *reader, const char *key, size_t absent, size_t *value)
{
    *value = 0;
    if (reader->status == TOTO_STATUS_OK && !config_is_null(reader->checkpoint->config, key))
        read_size(reader, key, 0, value);
    if (*value == 0)
        *value = absent;
}

static void read_bool_or(struct reader *reader, const char *key, bool absent, bool *value)
{
    *value = absent;
    if (reader->status == TOTO_STATUS_OK && config_has(reader->checkpoint->config, key))
        reader->status = config_bool(reader->checkpoint, key, value, reader->err);
}

static void read_real_or(struct reader *reader, const char *key, double absent, double *value)
{
    *value = absent;
    if (reader->status == TOTO_STATUS_OK && config_has(reader->checkpoint->config, key))
        reader->status = config_real(reader->checkpoint, key, value, reader->err);
}

/* What no single key can be wrong about; reference spec 1.4. */
static void check_shape(struct reader *reader, const struct toto2_config *config)
{
    const char *path = reader->checkpoint->config_path;
    if (reader->status != TOTO_STATUS_OK)
        return;
    if (config->n_layers > LAYERS_MAX)
        reader->status = toto_fail(reader->err, TOTO_STATUS_DATA,
                                   "%s: key \"num_layers\" is %zu, at most %d are read", path,
                                   config->n_layers, LAYERS_MAX);
    else if (config->n_layers % config->layer_group_size)
        reader->status = toto_fail(reader->err, TOTO_STATUS_DATA,
                                   "%s: num_layers %zu is not a multiple of layer_group_size %zu", path,
                                   config->n_layers, config->layer_group_size);
    else if (config->n_variate_layers > config->layer_group_size)
        reader->status = toto_fail(reader->err, TOTO_STATUS_DATA,
                                   "%s: key \"num_variate_layers_per_group\" is %zu, at most "
                                   "layer_group_size %zu", path, config->n_variate_layers,
                                   config->layer_group_size);
    else if (config->d_model % config->n_heads)
        reader->status = toto_fail(reader->err, TOTO_STATUS_DATA,
                                   "%s: d_model %zu is not a multiple of num_heads %zu", path,
                                   config->d_model, config->n_heads);
    else if (config->n_groups > config->n_heads || config->n_heads % config->n_groups)
        reader->status = toto_fail(reader->err, TOTO_STATUS_DATA,
                                   "%s: num_heads %zu is not a multiple of num_groups %zu", path,
                                   config->n_heads, config->n_groups);
    else if (config->qk_dim % 4 && config->n_variate_layers < config->layer_group_size)
        reader->status = toto_fail(reader->err, TOTO_STATUS_DATA,
                                   "%s: the width of a query head is %zu, wanted a multiple of 4 (half of "
                                   "it is rotated in pairs)", path, config->qk_dim);
}

/* Keys whose only good value is known. */
static void check_fixed(struct reader *reader)
{
    const char *path = reader->checkpoint->config_path;
    double dropout, ratio;
    int64_t patches = 1;
    read_real_or(reader, "dropout_p", 0.0, &dropout);
    if (reader->status == TOTO_STATUS_OK && dropout != 0.0)
        reader->status = toto_fail(reader->err, TOTO_STATUS_DATA, "%s: key \"dropout_p\" is %g, wanted 0",
                                   path, dropout);
    if (reader->status == TOTO_STATUS_OK)
        reader->status = config_real(reader->checkpoint, "residual_attn_ratio", &ratio, reader->err);
    if (reader->status == TOTO_STATUS_OK && config_has(reader->checkpoint->config, "num_output_patches"))
        reader->status = config_int(reader->checkpoint, "num_output_patches", 1, 1, &patches, reader->err);
}

enum toto_status toto2_config_read(const struct checkpoint *checkpoint, struct toto2_config *config,
                                   struct toto_error *err)
{
    struct reader reader = {checkpoint, err, TOTO_STATUS_OK};
    *config = (struct toto2_config){0};
    read_size(&reader, "patch_size", 1, &config->patch);
    read_size(&reader, "d_model", 1, &config->d_model);
    read_size(&reader, "num_heads", 1, &config->n_heads);
    read_size(&reader, "num_layers", 1, &config->n_layers);
    read_size(&reader, "layer_group_size", 1, &config->layer_group_size);
    read_size(&reader, "num_variate_layers_per_group", 0, &config->n_variate_layers);
    if (reader.status == TOTO_STATUS_OK)
        reader.status = config_bool(checkpoint, "variate_layer_first", &config->variate_layer_first, err);
    check_fixed(&reader);
    if (reader.status != TOTO_STATUS_OK)
        return reader.status;
    read_real_or(&reader, "norm_eps", 5e-5, &config->norm_eps);
    read_bool_or(&reader, "attn_bias", false, &config->attn_bias);
    read_bool_or(&reader, "mlp_bias", false, &config->mlp_bias);
    /* 8 d / 3, cut to an integer and rounded up to a multiple of 8. */
    size_t two_thirds = (size_t)(4.0 * (double)config->d_model * 2.0 / 3.0);
    read_size_or(&reader, "d_ff", (two_thirds + 7) / 8 * 8, &config->d_ff);
    read_size_or(&reader, "qk_dim", config->d_model / config->n_heads, &config->qk_dim);
    read_size_or(&reader, "v_dim", config->qk_dim, &config->v_dim);
    read_size_or(&reader, "num_groups", config->n_heads, &config->n_groups);
    read_bool_or(&reader, "qk_norm", true, &config->qk_norm);
    read_bool_or(&reader, "norm_include_weight", false, &config->norm_weights);
    config->qk_norm_weights = config->norm_weights;
    if (!config_is_null(checkpoint->config, "qk_norm_include_weight"))
        read_bool_or(&reader, "qk_norm_include_weight", false, &config->qk_norm_weights);
    read_bool_or(&reader, "per_dim_scale", false, &config->per_dim_scale);
    read_bool_or(&reader, "use_xpos", false, &config->use_xpos);
    check_shape(&reader, config);
    if (reader.status == TOTO_STATUS_OK)
        config_warn_unknown(checkpoint, known_keys);
    return reader.status;
}

bool toto2_layer_is_variate(const struct toto2_config *config, size_t layer)
{
    size_t place = layer % config->layer_group_size;
    return config->variate_layer_first ? place < config->n_variate_layers
                                       : place >= config->layer_group_size - config->n_variate_layers;
}

/* ---- Tensors --------------------------------------------------------------------------------------- */

static const struct tensor_view *find_in(struct tensor_finder *find, const char *prefix, const char *name,
                                         size_t n_out, size_t n_in)
{
    char full[128];
    snprintf(full, sizeof full, "%s.%s", prefix, name);
    return tensor_find(find, full, NULL, n_out, n_in);
}

static void find_mlp(struct tensor_finder *find, const char *prefix, size_t n_in, size_t n_hidden,
                     size_t n_out, struct toto2_mlp_tensors *mlp)
{
    mlp->weight1 = find_in(find, prefix, "linear1.weight", n_hidden, n_in);
    mlp->bias1 = find_in(find, prefix, "linear1.bias", n_hidden, 0);
    mlp->weight2 = find_in(find, prefix, "linear2.weight", n_out, n_hidden);
    mlp->bias2 = find_in(find, prefix, "linear2.bias", n_out, 0);
    mlp->skip_weight = find_in(find, prefix, "skip_proj.weight", n_out, n_in);
    mlp->skip_bias = find_in(find, prefix, "skip_proj.bias", n_out, 0);
}

static void find_layer(struct tensor_finder *find, const struct toto2_config *config, size_t number,
                       struct toto2_layer_tensors *layer)
{
    char prefix[64];
    size_t d = config->d_model, f = config->d_ff, a = config->qk_dim;
    size_t q_width = a * config->n_heads, v_width = config->v_dim * config->n_heads;
    size_t width = q_width + (a + config->v_dim) * config->n_groups;
    snprintf(prefix, sizeof prefix, "transformer.layers.%zu", number);
    *layer = (struct toto2_layer_tensors){
        .attn_tau = find_in(find, prefix, "attn_tau", 0, 0),
        .mlp_tau = find_in(find, prefix, "mlp_tau", 0, 0),
        .in_weight = find_in(find, prefix, "attn.in_proj.weight", width, d),
        .out_weight = find_in(find, prefix, "attn.out_proj.weight", d, v_width),
        .fc1_weight = find_in(find, prefix, "ffn.fc1.weight", 2 * f, d),
        .fc2_weight = find_in(find, prefix, "ffn.fc2.weight", d, f),
    };
    if (config->attn_bias) {
        layer->in_bias = find_in(find, prefix, "attn.in_proj.bias", width, 0);
        layer->out_bias = find_in(find, prefix, "attn.out_proj.bias", d, 0);
    }
    if (config->per_dim_scale)
        layer->per_dim_scale = find_in(find, prefix, "attn._pds.per_dim_scale", a, 0);
    if (config->qk_norm && config->qk_norm_weights) {
        layer->q_norm = find_in(find, prefix, "attn.q_norm.weight", a, 0);
        layer->k_norm = find_in(find, prefix, "attn.k_norm.weight", a, 0);
    }
    if (config->mlp_bias) {
        layer->fc1_bias = find_in(find, prefix, "ffn.fc1.bias", 2 * f, 0);
        layer->fc2_bias = find_in(find, prefix, "ffn.fc2.bias", d, 0);
    }
    if (config->norm_weights) {
        layer->norm1 = find_in(find, prefix, "norm1.weight", d, 0);
        layer->norm2 = find_in(find, prefix, "norm2.weight", d, 0);
    }
}

/* Strict loading: every tensor of the files is one that was asked for. */
static enum toto_status check_no_more(const struct checkpoint *checkpoint, const struct tensor_list *used,
                                      struct toto_error *err)
{
    for (size_t i = 0; used->n < checkpoint->n_tensors && i < checkpoint->n_tensors; i++) {
        bool known = false;
        for (size_t k = 0; k < used->n && !known; k++)
            known = used->views[k] == &checkpoint->tensors[i];
        if (!known)
            return toto_fail(err, TOTO_STATUS_DATA,
                             "%s: tensor \"%s\" is not part of a Toto 2.0 model with this config.json",
                             checkpoint->tensors[i].file, checkpoint->tensors[i].name);
    }
    return TOTO_STATUS_OK;
}

enum toto_status toto2_tensors_find(struct checkpoint *checkpoint, const struct toto2_config *config,
                                    struct toto2_tensors *tensors, struct toto_error *err)
{
    enum { PER_LAYER = 15, OTHERS = 13 };
    size_t d = config->d_model, p = config->patch;
    size_t layers_bytes = config->n_layers * sizeof *tensors->layers;
    struct tensor_finder find = {
        .checkpoint = checkpoint, .list = &tensors->used, .allow_f64 = true, .err = err,
    };
    *tensors = (struct toto2_tensors){.layers = arena_alloc(&checkpoint->arena, layers_bytes)};
    if (!tensors->layers)
        return toto_fail_memory(err, "the list of layers", layers_bytes);
    find.status =
        tensor_list_open(checkpoint, &tensors->used, PER_LAYER * config->n_layers + OTHERS, err);
    find_mlp(&find, "patch_proj", 2 * p, 4 * d, d, &tensors->patch_proj);
    for (size_t i = 0; i < config->n_layers && find.status == TOTO_STATUS_OK; i++)
        find_layer(&find, config, i, &tensors->layers[i]);
    if (config->norm_weights)
        tensors->out_norm = tensor_find(&find, "transformer.out_norm.weight", NULL, d, 0);
    find_mlp(&find, "output_head.param_projection.proj", d, 4 * d, TOTO2_QUANTILES * p, &tensors->head);
    if (find.status != TOTO_STATUS_OK)
        return find.status;
    enum toto_status status = check_no_more(checkpoint, &tensors->used, err);
    return status == TOTO_STATUS_OK ? tensors_check_finite(&tensors->used, err) : status;
}
