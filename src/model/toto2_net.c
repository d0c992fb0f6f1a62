/* Toto 2.0: weights and tables on a backend. */
#include <math.h>

#include "../base/memory.h"
#include "toto2.h"

/* exp(0.8 ln sqrt(2 / (1 - 1/pi)) + 0.2 ln 2): unit scaling of SiLU in the residual MLPs. */
static const float SILU_GAIN = 1.7667829483123283f;

static size_t qkv_width(const struct toto2_config *config)
{
    return config->qk_dim * config->n_heads + (config->qk_dim + config->v_dim) * config->n_groups;
}

static size_t count_vectors(const struct toto2_config *config)
{
    size_t d = config->d_model, out = TOTO2_QUANTILES * config->patch;
    size_t per_layer = qkv_width(config) + 4 * d + 2 * config->d_ff + 3 * config->qk_dim;
    return (4 * d + 2 * d) + config->n_layers * per_layer + d + (4 * d + 2 * out);
}

/* softplus(P) / ln 2 is the factor of a query's dim (reference spec 5.3). */
static float per_dim_factor(float x)
{
    return (x > 20.0f ? x : log1pf(expf(x))) / 0.69314718055994531f;
}

/* ---- The residual MLPs, reference spec 4 and 8.1 ------------------------------------------------------ */

static enum toto_status load_mlp(struct backend *backend, struct vector_loader *loader,
                                 const struct toto2_mlp_tensors *tensors, struct toto2_mlp *mlp,
                                 struct toto_error *err)
{
    enum toto_status status;
    mlp->n_hidden = tensors->weight1->dims[0];
    mlp->n_in = tensors->weight1->dims[1];
    mlp->n_out = tensors->weight2->dims[0];
    mlp->bias1 = vector_load(loader, tensors->bias1, NULL);
    mlp->bias2 = vector_load(loader, tensors->bias2, NULL);
    mlp->skip_bias = vector_load(loader, tensors->skip_bias, NULL);
    if ((status = weight_load(backend, &tensors->weight1, 1, &mlp->linear1, err)) ||
        (status = weight_load(backend, &tensors->weight2, 1, &mlp->linear2, err)))
        return status;
    return weight_load(backend, &tensors->skip_weight, 1, &mlp->skip, err);
}

/* The sum of both ways is divided by sqrt(2); `readout` divides by the fan-in instead of its root. */
static void scale_mlp(struct toto2_mlp *mlp, bool readout)
{
    double in = (double)mlp->n_in, hidden = (double)mlp->n_hidden;
    mlp->alpha1 = (float)(1.0 / sqrt(in));
    mlp->alpha2 = (float)(sqrt(0.5) / (readout ? hidden : sqrt(hidden)));
    mlp->skip_alpha = (float)(sqrt(0.5) / (readout ? in : sqrt(in)));
}

/* ---- Layers ------------------------------------------------------------------------------------------ */

/* res(tau, y, x) = y tau / sqrt(1 + tau^2) + x / sqrt(1 + tau^2), y = lin / sqrt(fan in). */
static void residual_factors(const struct tensor_view *view, size_t fan_in, float *alpha, float *keep)
{
    float tau;
    dtype_widen(view->dtype, view->data, 1, &tau);
    double root = sqrt(1.0 + (double)tau * (double)tau);
    *alpha = (float)((double)tau / root / sqrt((double)fan_in));
    *keep = (float)(1.0 / root);
}

static enum toto_status load_layer(struct toto2_net *net, struct vector_loader *loader,
                                   const struct toto2_layer_tensors *from, struct transformer_layer *layer,
                                   struct toto_error *err)
{
    const struct toto2_config *config = net->config;
    struct backend *backend = net->transformer.backend;
    enum toto_status status;
    layer->norm1 = vector_load(loader, from->norm1, NULL);
    layer->norm2 = vector_load(loader, from->norm2, NULL);
    layer->qkv_bias = vector_load(loader, from->in_bias, NULL);
    layer->o_bias = vector_load(loader, from->out_bias, NULL);
    layer->mlp0_bias = vector_load(loader, from->fc1_bias, NULL);
    layer->mlp2_bias = vector_load(loader, from->fc2_bias, NULL);
    layer->q_norm = vector_load(loader, from->q_norm, NULL);
    layer->k_norm = vector_load(loader, from->k_norm, NULL);
    layer->q_scale = vector_load(loader, from->per_dim_scale, per_dim_factor);
    residual_factors(from->attn_tau, config->v_dim * config->n_heads, &layer->o_alpha, &layer->o_keep);
    residual_factors(from->mlp_tau, config->d_ff, &layer->mlp2_alpha, &layer->mlp2_keep);
    if ((status = weight_load(backend, &from->in_weight, 1, &layer->qkv, err)) ||
        (status = weight_load(backend, &from->out_weight, 1, &layer->o, err)) ||
        (status = weight_load(backend, &from->fc1_weight, 1, &layer->mlp0, err)))
        return status;
    return weight_load(backend, &from->fc2_weight, 1, &layer->mlp2, err);
}

static enum toto_status load_tensors(struct toto2_net *net, const struct toto2_tensors *tensors,
                                     struct toto_error *err)
{
    const struct toto2_config *config = net->config;
    struct backend *backend = net->transformer.backend;
    struct vector_loader loader;
    size_t longest = size_max(size_max(4 * config->d_model, TOTO2_QUANTILES * config->patch),
                              size_max(qkv_width(config), 2 * config->d_ff));
    enum toto_status status =
        vector_loader_open(backend, count_vectors(config), longest, &loader, err);
    if (status != TOTO_STATUS_OK)
        return status;
    net->vectors = loader.all;
    status = load_mlp(backend, &loader, &tensors->patch_proj, &net->patch_proj, err);
    for (size_t i = 0; i < config->n_layers && status == TOTO_STATUS_OK; i++)
        status = load_layer(net, &loader, &tensors->layers[i], &net->transformer.layers[i], err);
    if (status == TOTO_STATUS_OK) {
        net->out_norm = vector_load(&loader, tensors->out_norm, NULL);
        status = load_mlp(backend, &loader, &tensors->head, &net->head, err);
    }
    vector_loader_close(&loader);
    return status;
}

/* ---- Rotary tables, reference spec 5.4 --------------------------------------------------------------- */

/* The first half of a head is rotated: angle = f32(position theta_i), theta_i = 10000^(-2i / w), w = a / 2. */
static void fill_cos_sin(size_t n_positions, size_t width, float *table)
{
    for (size_t i = 0; i < width / 2; i++) {
        float theta = (float)pow(10000.0, -2.0 * (double)i / (double)width);
        for (size_t t = 0; t < n_positions; t++) {
            float angle = (float)t * theta;
            float *pair = table + (t * (width / 2) + i) * 2;
            pair[0] = (float)cos((double)angle);
            pair[1] = (float)sin((double)angle);
        }
    }
}

/* b_i ^ (offset / 256), b_i = (2i + 0.4 w) / (1.4 w), the same for both dims of pair i. */
static void fill_xpos(int32_t max_offset, size_t width, float *table)
{
    for (size_t d = 0; d < width; d++) {
        float b = ((float)(d / 2 * 2) + 0.4f * (float)width) / (1.4f * (float)width);
        for (int32_t offset = -max_offset; offset <= max_offset; offset++)
            table[(size_t)(offset + max_offset) * width + d] =
                (float)pow((double)b, (double)offset / 256.0);
    }
}

static enum toto_status load_rope(struct toto2_net *net, size_t n_positions, struct toto_error *err)
{
    size_t width = net->config->qk_dim / 2, n_cos_sin = n_positions * width;
    size_t n_xpos = (2 * n_positions + 1) * width;
    if (net->transformer.n_time_layers == 0)
        return TOTO_STATUS_OK;
    float *table = mem_alloc(n_xpos * sizeof *table);
    if (!table)
        return toto_fail_memory(err, "the rotary tables", n_xpos * sizeof *table);
    struct backend *backend = net->transformer.backend;
    struct rope_table *rope = &net->transformer.rope;
    *rope = (struct rope_table){.max_offset = (int32_t)n_positions, .rotary_dims = (int32_t)width};
    enum toto_status status = backend->ops->alloc(backend, TENSOR_F32, n_cos_sin, &rope->cos_sin, err);
    if (status == TOTO_STATUS_OK && net->config->use_xpos)
        status = backend->ops->alloc(backend, TENSOR_F32, n_xpos, &rope->xpos, err);
    if (status == TOTO_STATUS_OK) {
        fill_cos_sin(n_positions, width, table);
        backend->ops->upload(backend, rope->cos_sin, table);
    }
    if (status == TOTO_STATUS_OK && net->config->use_xpos) {
        fill_xpos(rope->max_offset, width, table);
        backend->ops->upload(backend, rope->xpos, table);
    }
    mem_free(table);
    return status;
}

/* ---- The net ----------------------------------------------------------------------------------------- */

size_t toto2_net_bytes(const struct toto2_config *config, const struct backend *backend, size_t n_positions)
{
    size_t width = config->qk_dim / 2, tables = (3 * n_positions + 1) * width;
    size_t staging = (2 * n_positions + 1) * width;
    return (count_vectors(config) + tables + staging) * backend->ops->element_bytes(backend, TENSOR_F32) +
           config->n_layers * sizeof(struct transformer_layer);
}

enum toto_status toto2_net_open(const struct toto2_config *config, const struct toto2_tensors *tensors,
                                struct backend *backend, size_t n_positions, struct toto2_net *net,
                                struct toto_error *err)
{
    enum toto_status status = TOTO_STATUS_OK;
    size_t bytes = config->n_layers * sizeof(struct transformer_layer);
    float root = (float)(1.0 / sqrt((double)config->d_model));
    *net = (struct toto2_net){.config = config, .transformer = {
        .backend = backend, .d_model = config->d_model, .d_ff = config->d_ff,
        .n_layers = config->n_layers, .n_heads = config->n_heads, .n_groups = config->n_groups,
        .qk_dim = config->qk_dim, .v_dim = config->v_dim, .head_layout = HEAD_OUTER,
        .norm_eps = (float)config->norm_eps, .qkv_alpha = root, .mlp0_alpha = root, .silu_second = true,
        .head_norm = config->qk_norm, .score_scale = 1.0f / (float)config->qk_dim,
        .layers = mem_calloc(config->n_layers, sizeof(struct transformer_layer)),
    }};
    if (!net->transformer.layers) {
        *net = (struct toto2_net){.config = NULL};
        return toto_fail_memory(err, "the layers", bytes);
    }
    for (size_t i = 0; i < config->n_layers; i++)
        net->transformer.layers[i].is_space = toto2_layer_is_variate(config, i);
    transformer_count_layers(&net->transformer);
    if ((status = load_tensors(net, tensors, err)) || (status = load_rope(net, n_positions, err)) ||
        (status = backend->ops->sync(backend, err))) {
        toto2_net_close(net);
        return status;
    }
    scale_mlp(&net->patch_proj, false);
    scale_mlp(&net->head, true);
    return TOTO_STATUS_OK;
}

static void close_mlp(struct backend *backend, struct toto2_mlp *mlp)
{
    backend->ops->weight_close(backend, mlp->linear1);
    backend->ops->weight_close(backend, mlp->linear2);
    backend->ops->weight_close(backend, mlp->skip);
}

void toto2_net_close(struct toto2_net *net)
{
    struct backend *backend = net->transformer.backend;
    if (!backend)
        return;
    transformer_close_layers(&net->transformer);
    close_mlp(backend, &net->patch_proj);
    close_mlp(backend, &net->head);
    backend->ops->free(backend, &net->vectors);
    backend->ops->free(backend, &net->transformer.rope.cos_sin);
    backend->ops->free(backend, &net->transformer.rope.xpos);
    *net = (struct toto2_net){.config = NULL};
}

/* ---- The forward pass -------------------------------------------------------------------------------- */

/* out = skip(in) + W2 (gain silu(W1 in)), each with its scale. */
static void run_mlp(const struct toto2_net *net, const struct toto2_mlp *mlp, const struct pass_rows *rows,
                    struct tensor in, struct tensor wide, struct tensor out)
{
    struct backend *backend = net->transformer.backend;
    transformer_linear(&net->transformer, rows, in, mlp->skip, mlp->skip_bias, 0, mlp->n_out,
                       mlp->skip_alpha, out);
    backend->ops->linear(backend, &(struct linear_args){
        .x = in, .weight = mlp->linear1, .bias = mlp->bias1, .n_out = mlp->n_hidden,
        .alpha = mlp->alpha1, .silu_gain = SILU_GAIN, .out = wide, .n_rows = rows->n,
        .row_block = rows->block,
    });
    backend->ops->linear(backend, &(struct linear_args){
        .x = wide, .weight = mlp->linear2, .bias = mlp->bias2, .n_out = mlp->n_out,
        .alpha = mlp->alpha2, .residual = out, .beta = 1.0f, .out = out, .n_rows = rows->n,
        .row_block = rows->block,
    });
}

static void final_norm(const struct toto2_net *net, struct hidden hidden, struct tensor out)
{
    struct backend *backend = net->transformer.backend;
    backend->ops->rms_norm(backend, &(struct rms_norm_args){
        .x = hidden.x, .scale = net->out_norm, .out = out, .n_rows = hidden.rows->n,
        .width = net->config->d_model, .eps = (float)net->config->norm_eps,
    });
}

void toto2_forward(const struct toto2_net *net, const struct transformer_pass *pass,
                   const struct toto2_buffers *buffers, const struct pass_watch *watch)
{
    size_t d = net->config->d_model;
    run_mlp(net, &net->patch_proj, &pass->all, buffers->tokens, buffers->wide, buffers->hidden.x);
    if (watch)
        watch->see(watch->user, "embed_out", 0, buffers->hidden.x, pass->all.n, d);
    struct hidden hidden = transformer_run(&net->transformer, pass, &buffers->hidden, watch);
    if (watch) {
        final_norm(net, (struct hidden){buffers->hidden.x, &pass->all}, buffers->hidden.y);
        watch->see(watch->user, "out", 0, buffers->hidden.y, pass->all.n, d);
    }
    final_norm(net, hidden, buffers->hidden.y);
    run_mlp(net, &net->head, hidden.rows, buffers->hidden.y, buffers->wide, buffers->head);
}
