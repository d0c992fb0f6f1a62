/* Toto 1.0: weights and tables on a backend. */
#include <math.h>
#include <string.h>

#include "../base/memory.h"
#include "toto1.h"

/* ---- Vectors: biases and norm scales, side by side in one tensor ----------------------------------- */

static size_t count_vectors(const struct toto1_config *config)
{
    size_t d = config->d_model, per_layer = 7 * d + 2 * config->d_ff;
    return d + config->n_layers * per_layer + config->patch * d + config->n_params;
}

static enum toto_status load_vectors(struct toto1_net *net, const struct toto1_tensors *tensors,
                                     struct toto_error *err)
{
    const struct toto1_config *config = net->config;
    size_t longest = config->patch * config->d_model;
    if (longest < 3 * config->d_model)
        longest = 3 * config->d_model;
    if (longest < 2 * config->d_ff)
        longest = 2 * config->d_ff;
    struct vector_loader loader;
    enum toto_status status = vector_loader_open(net->transformer.backend, count_vectors(config),
                                                 longest, &loader, err);
    if (status != TOTO_STATUS_OK)
        return status;
    net->vectors = loader.all;
    net->patch_bias = vector_load(&loader, tensors->patch_bias, NULL);
    for (size_t i = 0; i < config->n_layers; i++) {
        const struct toto1_layer_tensors *from = &tensors->layers[i];
        struct transformer_layer *layer = &net->transformer.layers[i];
        layer->norm1 = vector_load(&loader, from->norm1, NULL);
        layer->norm2 = vector_load(&loader, from->norm2, NULL);
        layer->qkv_bias = vector_load(&loader, from->qkv_bias, NULL);
        layer->o_bias = vector_load(&loader, from->o_bias, NULL);
        layer->mlp0_bias = vector_load(&loader, from->mlp0_bias, NULL);
        layer->mlp2_bias = vector_load(&loader, from->mlp2_bias, NULL);
    }
    net->unembed_bias = vector_load(&loader, tensors->unembed_bias, NULL);
    net->heads_bias = vector_load(&loader, tensors->head_biases[0], NULL);
    for (size_t i = 1; i < tensors->n_heads; i++)
        net->heads_bias.n += vector_load(&loader, tensors->head_biases[i], NULL).n;
    vector_loader_close(&loader);
    return TOTO_STATUS_OK;
}

/* ---- Matrices --------------------------------------------------------------------------------------- */

static enum toto_status open_weights(struct toto1_net *net, const struct toto1_tensors *tensors,
                                     struct toto_error *err)
{
    struct backend *backend = net->transformer.backend;
    enum toto_status status;
    if ((status = weight_load(backend, &tensors->patch_weight, 1, &net->patch, err)) ||
        (status = weight_load(backend, &tensors->unembed_weight, 1, &net->unembed, err)) ||
        (status = weight_load(backend, tensors->head_weights, tensors->n_heads, &net->heads, err)))
        return status;
    for (size_t i = 0; i < net->config->n_layers; i++) {
        const struct toto1_layer_tensors *from = &tensors->layers[i];
        struct transformer_layer *layer = &net->transformer.layers[i];
        if ((status = weight_load(backend, &from->qkv_weight, 1, &layer->qkv, err)) ||
            (status = weight_load(backend, &from->o_weight, 1, &layer->o, err)) ||
            (status = weight_load(backend, &from->mlp0_weight, 1, &layer->mlp0, err)) ||
            (status = weight_load(backend, &from->mlp2_weight, 1, &layer->mlp2, err)))
            return status;
    }
    return TOTO_STATUS_OK;
}

/* ---- Labels: unit vectors, reference spec 9.1 ------------------------------------------------------- */

static void unit_vector(const struct tensor_view *view, float *out)
{
    dtype_widen(view->dtype, view->data, view->n_elements, out);
    double sum = 0.0;
    for (size_t i = 0; i < view->n_elements; i++)
        sum += (double)out[i] * out[i];
    float norm = (float)sqrt(sum);
    norm = norm < 1e-12f ? 1e-12f : norm;
    for (size_t i = 0; i < view->n_elements; i++)
        out[i] /= norm;
}

static enum toto_status load_labels(struct toto1_net *net, const struct toto1_tensors *tensors,
                                    struct toto_error *err)
{
    if (!toto1_has_labels(tensors))
        return TOTO_STATUS_OK;
    size_t d = net->config->d_model;
    float *units = mem_alloc(2 * d * sizeof *units);
    if (!units)
        return toto_fail_memory(err, "the variate labels", 2 * d * sizeof *units);
    enum toto_status status =
        net->transformer.backend->ops->alloc(net->transformer.backend, TENSOR_ACTIVATION, 2 * d, &net->labels, err);
    if (status == TOTO_STATUS_OK) {
        unit_vector(tensors->target_label, units);
        unit_vector(tensors->exogenous_label, units + d);
        net->transformer.backend->ops->upload(net->transformer.backend, net->labels, units);
    }
    mem_free(units);
    return status;
}

/* ---- Rotary tables, reference spec 5.4 --------------------------------------------------------------- */

/* cos and sin of position * f_i, f_i = 10000^(-2i/h), all rounded to float32 as the reference does. */
static void fill_cos_sin(size_t n_positions, size_t head_dim, float *table)
{
    for (size_t i = 0; i < head_dim / 2; i++) {
        float frequency = 1.0f / (float)pow(10000.0, (double)(2 * i) / (double)head_dim);
        for (size_t t = 0; t < n_positions; t++) {
            float angle = (float)t * frequency;
            float *pair = table + (t * (head_dim / 2) + i) * 2;
            pair[0] = (float)cos((double)angle);
            pair[1] = (float)sin((double)angle);
        }
    }
}

/* zeta_(d mod h/2) ^ (offset / 512), zeta_i = (2i + 0.4h) / 1.4h: halves, not interleaved, so the two dims of a
 * rotated pair carry different factors. */
static void fill_xpos(int32_t max_offset, size_t head_dim, float *table)
{
    size_t half = head_dim / 2;
    for (size_t d = 0; d < head_dim; d++) {
        float zeta = (2.0f * (float)(d % half) + 0.4f * (float)head_dim) / (1.4f * (float)head_dim);
        for (int32_t offset = -max_offset; offset <= max_offset; offset++)
            table[(size_t)(offset + max_offset) * head_dim + d] =
                (float)pow((double)zeta, (double)offset / 512.0);
    }
}

static enum toto_status load_rope(struct toto1_net *net, size_t n_positions, struct toto_error *err)
{
    size_t h = net->config->head_dim, n_cos_sin = n_positions * h;
    size_t n_xpos = (2 * n_positions + 1) * h;
    float *table = mem_alloc(n_xpos * sizeof *table);
    if (!table)
        return toto_fail_memory(err, "the rotary tables", n_xpos * sizeof *table);
    struct backend *backend = net->transformer.backend;
    struct rope_table *rope = &net->transformer.rope;
    *rope = (struct rope_table){.max_offset = (int32_t)n_positions, .rotary_dims = (int32_t)h};
    enum toto_status status = backend->ops->alloc(backend, TENSOR_F32, n_cos_sin, &rope->cos_sin, err);
    if (status == TOTO_STATUS_OK)
        status = backend->ops->alloc(backend, TENSOR_F32, n_xpos, &rope->xpos, err);
    if (status == TOTO_STATUS_OK) {
        fill_cos_sin(n_positions, h, table);
        backend->ops->upload(backend, rope->cos_sin, table);
        fill_xpos(rope->max_offset, h, table);
        backend->ops->upload(backend, rope->xpos, table);
    }
    mem_free(table);
    return status;
}

/* ---- The net ----------------------------------------------------------------------------------------- */

size_t toto1_net_bytes(const struct toto1_config *config, const struct backend *backend, bool labels,
                       size_t n_positions, size_t folded_steps)
{
    size_t f32 = backend->ops->element_bytes(backend, TENSOR_F32);
    size_t activation = backend->ops->element_bytes(backend, TENSOR_ACTIVATION);
    size_t vectors = count_vectors(config) + (3 * n_positions + 1) * config->head_dim;
    size_t folded = folded_steps * config->n_params * (config->d_model + 1);
    size_t staging = (2 * n_positions + 1) * config->head_dim;
    return (vectors + folded + staging) * f32 + (labels ? 2 * config->d_model * activation : 0) +
           config->n_layers * sizeof(struct transformer_layer);
}

enum toto_status toto1_net_open(const struct toto1_config *config, const struct toto1_tensors *tensors,
                                struct backend *backend, size_t n_positions, struct toto1_net *net,
                                struct toto_error *err)
{
    enum toto_status status = TOTO_STATUS_OK;
    size_t h = config->head_dim, bytes = config->n_layers * sizeof(struct transformer_layer);
    *net = (struct toto1_net){.config = config, .transformer = {
        .backend = backend, .d_model = config->d_model, .d_ff = config->d_ff,
        .n_layers = config->n_layers, .n_heads = config->n_heads, .n_groups = config->n_heads,
        .qk_dim = h, .v_dim = h, .head_layout = HEAD_INNER, .norm_eps = 1e-8f, .qkv_alpha = 1.0f,
        .mlp0_alpha = 1.0f, .score_scale = 1.0f / sqrtf((float)h),
        .layers = mem_calloc(config->n_layers, sizeof(struct transformer_layer)),
    }};
    if (!net->transformer.layers) {
        *net = (struct toto1_net){.config = NULL};
        return toto_fail_memory(err, "the layers", bytes);
    }
    for (size_t i = 0; i < config->n_layers; i++) {
        struct transformer_layer *layer = &net->transformer.layers[i];
        layer->is_space = toto1_layer_is_space(config, i);
        layer->o_alpha = layer->o_keep = layer->mlp2_alpha = layer->mlp2_keep = 1.0f;
    }
    transformer_count_layers(&net->transformer);
    if ((status = load_vectors(net, tensors, err)) || (status = open_weights(net, tensors, err)) ||
        (status = load_labels(net, tensors, err)) || (status = load_rope(net, n_positions, err)) ||
        (status = backend->ops->sync(backend, err)))
        toto1_net_close(net);
    return status;
}

enum toto_status toto1_net_fold(struct toto1_net *net, size_t n_steps, struct toto_error *err)
{
    struct backend *backend = net->transformer.backend;
    enum toto_status status = backend->ops->alloc(
        backend, TENSOR_F32, n_steps * net->config->n_params, &net->folded_bias, err);
    if (status != TOTO_STATUS_OK)
        return status;
    backend->ops->fold(backend, &(struct fold_args){
        .heads = net->heads,
        .unembed = net->unembed,
        .heads_bias = net->heads_bias,
        .unembed_bias = net->unembed_bias,
        .n_steps = n_steps,
        .bias = net->folded_bias,
    }, &net->folded);
    net->folded_steps = n_steps;
    return backend->ops->sync(backend, err);
}

void toto1_net_close(struct toto1_net *net)
{
    if (!net->transformer.backend)
        return;
    struct backend *backend = net->transformer.backend;
    transformer_close_layers(&net->transformer);
    backend->ops->weight_close(backend, net->patch);
    backend->ops->weight_close(backend, net->unembed);
    backend->ops->weight_close(backend, net->heads);
    backend->ops->weight_close(backend, net->folded);
    backend->ops->free(backend, &net->vectors);
    backend->ops->free(backend, &net->labels);
    backend->ops->free(backend, &net->transformer.rope.cos_sin);
    backend->ops->free(backend, &net->transformer.rope.xpos);
    backend->ops->free(backend, &net->folded_bias);
    *net = (struct toto1_net){.config = NULL};
}
