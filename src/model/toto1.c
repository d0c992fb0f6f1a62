/* Toto 1.0: the forward pass. */
#include "toto1.h"

#include <math.h>

static const float NORM_EPS = 1e-8f;

/* What the functions below share in one pass. */
struct forward {
    const struct toto1_net *net;
    const struct toto1_pass *pass;
    const struct toto1_buffers *buffers;
    const struct toto1_rows *rows; /* that run now: all of them, then those that are read */
    struct tensor x;               /* hidden states [rows, D] */
};

static void rms_norm(const struct forward *at, struct tensor scale, struct tensor out)
{
    struct backend *backend = at->net->backend;
    backend->ops->rms_norm(backend, &(struct rms_norm_args){
        .x = at->x, .scale = scale, .out = out,
        .n_rows = at->rows->n, .width = at->net->config->d_model, .eps = NORM_EPS,
    });
}

static void linear(const struct forward *at, struct tensor x, const struct weight *weight,
                   struct tensor bias, size_t first_out, size_t n_out, struct tensor out)
{
    struct backend *backend = at->net->backend;
    backend->ops->linear(backend, &(struct linear_args){
        .x = x, .weight = weight, .bias = bias, .first_out = first_out, .n_out = n_out,
        .alpha = 1.0f, .out = out, .n_rows = at->rows->n, .row_block = at->rows->block,
    });
}

/* x <- x + W in + b */
static void linear_onto_x(const struct forward *at, struct tensor in, const struct weight *weight,
                          struct tensor bias)
{
    struct backend *backend = at->net->backend;
    backend->ops->linear(backend, &(struct linear_args){
        .x = in, .weight = weight, .bias = bias, .n_out = at->net->config->d_model,
        .alpha = 1.0f, .residual = at->x, .beta = 1.0f, .out = at->x,
        .n_rows = at->rows->n, .row_block = at->rows->block,
    });
}

static void copy_rows(const struct forward *at, struct tensor dst, struct tensor dst_row,
                      struct tensor src, struct tensor src_row, size_t n_rows, size_t width)
{
    struct backend *backend = at->net->backend;
    backend->ops->copy_rows(backend, &(struct copy_rows_args){
        .dst = dst, .dst_row = dst_row, .src = src, .src_row = src_row,
        .n_rows = n_rows, .width = width,
    });
}

/* From here on only the rows that are read go on. */
static void narrow(struct forward *at)
{
    if (!at->pass->read_index.memory) {
        at->rows = &at->pass->read;
        return;
    }
    copy_rows(at, at->buffers->x_read, (struct tensor){0}, at->x, at->pass->read_index,
              at->pass->read.n, at->net->config->d_model);
    at->x = at->buffers->x_read;
    at->rows = &at->pass->read;
}

static void split_qkv(const struct forward *at, struct tensor z, unsigned parts, struct tensor tokens,
                      bool rotate, struct tensor keys, struct tensor values)
{
    struct backend *backend = at->net->backend;
    backend->ops->split_qkv(backend, &(struct split_qkv_args){
        .z = z, .parts = parts, .layout = HEAD_INNER, .rows = tokens,
        .rope = rotate ? at->net->rope : (struct rope_table){.rotary_dims = 0},
        .q = at->buffers->q, .keys = keys, .values = values,
        .n_rows = at->rows->n, .n_heads = at->net->config->n_heads,
        .head_dim = at->net->config->head_dim,
    });
}

static void attention(const struct forward *at, struct tensor keys, struct tensor values,
                      struct tensor rows, struct tensor slot_groups, size_t run)
{
    struct backend *backend = at->net->backend;
    backend->ops->attention(backend, &(struct attention_args){
        .q = at->buffers->q, .keys = keys, .values = values, .rows = rows, .slot_groups = slot_groups,
        .out = at->buffers->y, .n_rows = at->rows->n, .n_heads = at->net->config->n_heads,
        .head_dim = at->net->config->head_dim, .run = run,
        .scale = 1.0f / sqrtf((float)at->net->config->head_dim),
    });
}

/* Causal attention over the patches of a variate. In the last layer that reads other patches (`last`), keys and
 * values are made for all rows and the rest for those that are read. */
static void time_attention(struct forward *at, const struct toto1_layer *layer, bool last)
{
    const struct toto1_buffers *buffers = at->buffers;
    size_t d = at->net->config->d_model, cache_size = at->pass->n_slots * d;
    struct tensor keys = tensor_at(buffers->keys, layer->cache * cache_size, cache_size);
    struct tensor values = tensor_at(buffers->values, layer->cache * cache_size, cache_size);

    rms_norm(at, layer->norm1, buffers->y);
    if (last && at->pass->read_index.memory) {
        linear(at, buffers->y, layer->qkv, layer->qkv_bias, d, 2 * d, buffers->z);
        split_qkv(at, buffers->z, QKV_K | QKV_V, at->rows->tokens, true, keys, values);
        narrow(at);
        rms_norm(at, layer->norm1, buffers->y);
        linear(at, buffers->y, layer->qkv, layer->qkv_bias, 0, d, buffers->z);
        split_qkv(at, buffers->z, QKV_Q, at->rows->tokens, true, keys, values);
    } else {
        linear(at, buffers->y, layer->qkv, layer->qkv_bias, 0, 3 * d, buffers->z);
        split_qkv(at, buffers->z, QKV_Q | QKV_K | QKV_V, at->rows->tokens, true, keys, values);
        if (last)
            narrow(at);
    }
    attention(at, keys, values, at->rows->time, (struct tensor){0}, at->rows->time_run);
    linear_onto_x(at, buffers->y, layer->o, layer->o_bias);
}

/* Attention over the variates of one patch that share a group id. A variate alone sees itself with weight
 * 1, so its value is the result. */
static void space_attention(const struct forward *at, const struct toto1_layer *layer)
{
    const struct toto1_buffers *buffers = at->buffers;
    size_t d = at->net->config->d_model;
    rms_norm(at, layer->norm1, buffers->y);
    if (at->pass->univariate) {
        linear(at, buffers->y, layer->qkv, layer->qkv_bias, 2 * d, d, buffers->z);
        split_qkv(at, buffers->z, QKV_V, at->rows->space_tokens, false, buffers->space_keys,
                  buffers->space_values);
        linear_onto_x(at, buffers->space_values, layer->o, layer->o_bias);
        return;
    }
    linear(at, buffers->y, layer->qkv, layer->qkv_bias, 0, 3 * d, buffers->z);
    split_qkv(at, buffers->z, QKV_Q | QKV_K | QKV_V, at->rows->space_tokens, false,
              buffers->space_keys, buffers->space_values);
    attention(at, buffers->space_keys, buffers->space_values, at->rows->space,
              at->rows->space_groups, 1);
    linear_onto_x(at, buffers->y, layer->o, layer->o_bias);
}

/* W2 (silu(a) * c) + b2, [a; c] = W0 norm2(x) + b0 */
static void mlp(const struct forward *at, const struct toto1_layer *layer)
{
    struct backend *backend = at->net->backend;
    rms_norm(at, layer->norm2, at->buffers->y);
    backend->ops->linear_swiglu(backend, &(struct linear_swiglu_args){
        .x = at->buffers->y, .weight = layer->mlp0, .bias = layer->mlp0_bias, .alpha = 1.0f,
        .out = at->buffers->h, .n_rows = at->rows->n, .row_block = at->rows->block,
    });
    linear_onto_x(at, at->buffers->h, layer->mlp2, layer->mlp2_bias);
}

/* Patches become tokens; label tokens stand before the patches of their variate. */
static void embed(struct forward *at, const struct toto1_watch *watch)
{
    const struct toto1_pass *pass = at->pass;
    const struct toto1_config *config = at->net->config;
    struct tensor patches = pass->scaled;
    if (pass->source.memory) {
        patches = at->buffers->patches;
        copy_rows(at, patches, (struct tensor){0}, pass->scaled, pass->source, at->rows->n,
                  config->patch);
    }
    at->x = at->buffers->x;
    linear(at, patches, at->net->patch, at->net->patch_bias, 0, config->d_model, at->x);
    if (watch)
        watch->see(watch->user, "patch_embed", 0, at->x, at->rows->n, config->d_model);
    if (pass->n_labels)
        copy_rows(at, at->x, pass->label_row, at->net->labels, pass->label_kind, pass->n_labels,
                  config->d_model);
}

/* Raw parameters of the distribution of each step of the next patch. */
static void heads(const struct forward *at)
{
    struct backend *backend = at->net->backend;
    const struct toto1_net *net = at->net;
    size_t n_steps = at->pass->n_steps, d = net->config->d_model, c = net->config->n_params;
    if (at->pass->use_fold) {
        linear(at, at->x, net->folded, net->folded_bias, 0, n_steps * c, at->buffers->raw);
        return;
    }
    linear(at, at->x, net->unembed, net->unembed_bias, 0, n_steps * d, at->buffers->steps);
    backend->ops->linear(backend, &(struct linear_args){
        .x = at->buffers->steps, .weight = net->heads, .bias = net->heads_bias, .n_out = c,
        .alpha = 1.0f, .out = at->buffers->raw, .n_rows = at->rows->n * n_steps,
        .row_block = at->rows->block,
    });
}

void toto1_forward(const struct toto1_net *net, const struct toto1_pass *pass,
                   const struct toto1_buffers *buffers, const struct toto1_watch *watch)
{
    struct forward at = {.net = net, .pass = pass, .buffers = buffers, .rows = &pass->all};
    embed(&at, watch);
    for (size_t i = 0; i < net->config->n_layers; i++) {
        const struct toto1_layer *layer = &net->layers[i];
        bool last = i == net->last_time_layer && !watch;
        if (i == 0 && net->last_time_layer == SIZE_MAX && !watch)
            narrow(&at);
        if (layer->is_space)
            space_attention(&at, layer);
        else
            time_attention(&at, layer, last);
        mlp(&at, layer);
        if (watch)
            watch->see(watch->user, "layers", i, at.x, at.rows->n, net->config->d_model);
    }
    if (watch)
        narrow(&at);
    heads(&at);
}

struct mixture_shape toto1_mixture_shape(const struct toto1_config *config, size_t n_steps)
{
    return (struct mixture_shape){
        .n_components = config->n_components,
        .has_logits = config->is_mixture,
        .n_steps = n_steps,
        .patch = config->patch,
    };
}
