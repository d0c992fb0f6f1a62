/* Transformer: the layers that both families share. */
#include "transformer.h"

#include "../base/memory.h"

void transformer_count_layers(struct transformer *transformer)
{
    transformer->n_time_layers = 0;
    transformer->last_time_layer = SIZE_MAX;
    for (size_t i = 0; i < transformer->n_layers; i++) {
        if (transformer->layers[i].is_space)
            continue;
        transformer->layers[i].cache = transformer->n_time_layers++;
        transformer->last_time_layer = i;
    }
}

void transformer_close_layers(struct transformer *transformer)
{
    struct backend *backend = transformer->backend;
    for (size_t i = 0; i < transformer->n_layers; i++) {
        const struct transformer_layer *layer = &transformer->layers[i];
        backend->ops->weight_close(backend, layer->qkv);
        backend->ops->weight_close(backend, layer->o);
        backend->ops->weight_close(backend, layer->mlp0);
        backend->ops->weight_close(backend, layer->mlp2);
    }
    mem_free(transformer->layers);
    transformer->layers = NULL;
}

size_t transformer_qkv_width(const struct transformer *transformer)
{
    return transformer->n_heads * transformer->qk_dim +
           transformer->n_groups * (transformer->qk_dim + transformer->v_dim);
}

void transformer_linear(const struct transformer *transformer, const struct pass_rows *rows,
                        struct tensor x, const struct weight *weight, struct tensor bias,
                        size_t first_out, size_t n_out, float alpha, struct tensor out)
{
    struct backend *backend = transformer->backend;
    backend->ops->linear(backend, &(struct linear_args){
        .x = x, .weight = weight, .bias = bias, .first_out = first_out, .n_out = n_out,
        .alpha = alpha, .out = out, .n_rows = rows->n, .row_block = rows->block,
    });
}

/* What the functions below share in one pass. */
struct run {
    const struct transformer *t;
    const struct transformer_pass *pass;
    const struct transformer_buffers *buffers;
    struct hidden now;
};

/* y = norm(x) */
static void norm(const struct run *run, struct tensor scale)
{
    struct backend *backend = run->t->backend;
    backend->ops->rms_norm(backend, &(struct rms_norm_args){
        .x = run->now.x, .scale = scale, .out = run->buffers->y,
        .n_rows = run->now.rows->n, .width = run->t->d_model, .eps = run->t->norm_eps,
    });
}

/* z = part of the projection of y to queries, keys and values */
static void project(const struct run *run, const struct transformer_layer *layer, size_t first_out,
                    size_t n_out)
{
    transformer_linear(run->t, run->now.rows, run->buffers->y, layer->qkv, layer->qkv_bias, first_out,
                       n_out, run->t->qkv_alpha, run->buffers->z);
}

/* x <- keep x + alpha (W in + b) */
static void onto_x(const struct run *run, struct tensor in, const struct weight *weight,
                   struct tensor bias, float alpha, float keep)
{
    struct backend *backend = run->t->backend;
    backend->ops->linear(backend, &(struct linear_args){
        .x = in, .weight = weight, .bias = bias, .n_out = run->t->d_model, .alpha = alpha,
        .residual = run->now.x, .beta = keep, .out = run->now.x,
        .n_rows = run->now.rows->n, .row_block = run->now.rows->block,
    });
}

/* From here on only the rows that are read go on. */
static void narrow(struct run *run)
{
    struct backend *backend = run->t->backend;
    run->now.rows = &run->pass->read;
    if (!run->pass->read_index.memory)
        return;
    backend->ops->copy_rows(backend, &(struct copy_rows_args){
        .dst = run->buffers->x_read, .src = run->now.x, .src_row = run->pass->read_index,
        .n_rows = run->pass->read.n, .width = run->t->d_model,
    });
    run->now.x = run->buffers->x_read;
}

static void split(const struct run *run, const struct transformer_layer *layer, unsigned parts,
                  struct tensor tokens, struct tensor keys, struct tensor values)
{
    struct backend *backend = run->t->backend;
    backend->ops->split_qkv(backend, &(struct split_qkv_args){
        .z = run->buffers->z, .parts = parts, .layout = run->t->head_layout, .rows = tokens,
        .rope = layer->is_space ? (struct rope_table){.rotary_dims = 0} : run->t->rope,
        .head_norm = run->t->head_norm, .norm_eps = run->t->norm_eps,
        .q_norm = layer->q_norm, .k_norm = layer->k_norm, .q_scale = layer->q_scale,
        .q = run->buffers->q, .keys = keys, .values = values, .n_rows = run->now.rows->n,
        .n_heads = run->t->n_heads, .n_groups = run->t->n_groups, .head_dim = run->t->qk_dim,
        .value_dim = run->t->v_dim,
    });
}

static void attend(const struct run *run, struct tensor keys, struct tensor values, struct tensor rows,
                   struct tensor slot_groups, size_t run_rows)
{
    struct backend *backend = run->t->backend;
    backend->ops->attention(backend, &(struct attention_args){
        .q = run->buffers->q, .keys = keys, .values = values, .rows = rows,
        .slot_groups = slot_groups, .out = run->buffers->y, .n_rows = run->now.rows->n,
        .n_heads = run->t->n_heads, .n_groups = run->t->n_groups, .head_dim = run->t->qk_dim,
        .value_dim = run->t->v_dim, .run = run_rows, .scale = run->t->score_scale,
    });
}

/* Causal attention over the patches of a variate. In the last time layer (`last`), keys and values are made for all
 * rows and the rest for those that are read. */
static void time_attention(struct run *run, const struct transformer_layer *layer, bool last)
{
    const struct transformer *t = run->t;
    size_t q_width = t->n_heads * t->qk_dim, width = transformer_qkv_width(t);
    size_t n_keys = run->pass->n_slots * t->n_groups * t->qk_dim;
    size_t n_values = run->pass->n_slots * t->n_groups * t->v_dim;
    struct tensor keys = tensor_at(run->buffers->keys, layer->cache * n_keys, n_keys);
    struct tensor values = tensor_at(run->buffers->values, layer->cache * n_values, n_values);

    norm(run, layer->norm1);
    if (last && run->pass->read_index.memory) {
        project(run, layer, q_width, width - q_width);
        split(run, layer, QKV_K | QKV_V, run->now.rows->tokens, keys, values);
        narrow(run);
        norm(run, layer->norm1);
        project(run, layer, 0, q_width);
        split(run, layer, QKV_Q, run->now.rows->tokens, keys, values);
    } else {
        project(run, layer, 0, width);
        split(run, layer, QKV_Q | QKV_K | QKV_V, run->now.rows->tokens, keys, values);
        if (last)
            narrow(run);
    }
    attend(run, keys, values, run->now.rows->time, run->pass->time_groups, run->now.rows->time_run);
    onto_x(run, run->buffers->y, layer->o, layer->o_bias, layer->o_alpha, layer->o_keep);
}

/* Attention over the variates of one patch that share a group id. A variate alone sees itself with weight
 * 1, so its value is the result; that holds for grouped heads only if each has its own values. */
static void space_attention(const struct run *run, const struct transformer_layer *layer)
{
    const struct transformer *t = run->t;
    const struct transformer_buffers *buffers = run->buffers;
    size_t width = transformer_qkv_width(t), v_width = t->n_groups * t->v_dim;
    struct tensor result = buffers->y;
    norm(run, layer->norm1);
    if (run->pass->univariate && t->n_groups == t->n_heads) {
        project(run, layer, width - v_width, v_width);
        split(run, layer, QKV_V, run->now.rows->space_tokens, buffers->space_keys, buffers->space_values);
        result = buffers->space_values;
    } else {
        project(run, layer, 0, width);
        split(run, layer, QKV_Q | QKV_K | QKV_V, run->now.rows->space_tokens, buffers->space_keys,
              buffers->space_values);
        attend(run, buffers->space_keys, buffers->space_values, run->now.rows->space,
               run->now.rows->space_groups, 1);
    }
    onto_x(run, result, layer->o, layer->o_bias, layer->o_alpha, layer->o_keep);
}

/* W2 (silu(a) * c) + b2, [a; c] = W0 norm2(x) + b0 (or a * silu(c)) */
static void mlp(const struct run *run, const struct transformer_layer *layer)
{
    struct backend *backend = run->t->backend;
    norm(run, layer->norm2);
    backend->ops->linear_swiglu(backend, &(struct linear_swiglu_args){
        .x = run->buffers->y, .weight = layer->mlp0, .bias = layer->mlp0_bias,
        .alpha = run->t->mlp0_alpha, .silu_second = run->t->silu_second, .out = run->buffers->h,
        .n_rows = run->now.rows->n, .row_block = run->now.rows->block,
    });
    onto_x(run, run->buffers->h, layer->mlp2, layer->mlp2_bias, layer->mlp2_alpha, layer->mlp2_keep);
}

struct hidden transformer_run(const struct transformer *transformer, const struct transformer_pass *pass,
                              const struct transformer_buffers *buffers, const struct pass_watch *watch)
{
    struct run run = {transformer, pass, buffers, {buffers->x, &pass->all}};
    if (transformer->last_time_layer == SIZE_MAX && !watch)
        narrow(&run);
    for (size_t i = 0; i < transformer->n_layers; i++) {
        const struct transformer_layer *layer = &transformer->layers[i];
        if (layer->is_space)
            space_attention(&run, layer);
        else
            time_attention(&run, layer, i == transformer->last_time_layer && !watch);
        mlp(&run, layer);
        if (watch)
            watch->see(watch->user, "layers", i, run.now.x, run.now.rows->n, transformer->d_model);
    }
    if (watch)
        narrow(&run);
    return run.now;
}
