/* Toto 1.0: the forward pass. */
#include "toto1.h"

/* Patches become tokens; label tokens stand before the patches of their variate. */
static void embed(const struct toto1_net *net, const struct toto1_pass *pass,
                  const struct toto1_buffers *buffers, const struct pass_watch *watch)
{
    struct backend *backend = net->transformer.backend;
    const struct pass_rows *rows = &pass->rows.all;
    size_t d = net->config->d_model;
    struct tensor patches = pass->scaled, x = buffers->hidden.x;
    if (pass->source.memory) {
        patches = buffers->patches;
        backend->ops->copy_rows(backend, &(struct copy_rows_args){
            .dst = patches, .src = pass->scaled, .src_row = pass->source, .n_rows = rows->n,
            .width = net->config->patch,
        });
    }
    transformer_linear(&net->transformer, rows, patches, net->patch, net->patch_bias, 0, d, 1.0f, x);
    if (watch)
        watch->see(watch->user, "patch_embed", 0, x, rows->n, d);
    if (pass->n_labels)
        backend->ops->copy_rows(backend, &(struct copy_rows_args){
            .dst = x, .dst_row = pass->label_row, .src = net->labels, .src_row = pass->label_kind,
            .n_rows = pass->n_labels, .width = d,
        });
}

/* Raw parameters of the distribution of each step of the next patch. */
static void heads(const struct toto1_net *net, const struct toto1_pass *pass,
                  const struct toto1_buffers *buffers, struct hidden hidden)
{
    struct backend *backend = net->transformer.backend;
    size_t n_steps = pass->n_steps, d = net->config->d_model, c = net->config->n_params;
    if (pass->use_fold) {
        transformer_linear(&net->transformer, hidden.rows, hidden.x, net->folded, net->folded_bias, 0,
                           n_steps * c, 1.0f, buffers->raw);
        return;
    }
    transformer_linear(&net->transformer, hidden.rows, hidden.x, net->unembed, net->unembed_bias, 0,
                       n_steps * d, 1.0f, buffers->steps);
    backend->ops->linear(backend, &(struct linear_args){
        .x = buffers->steps, .weight = net->heads, .bias = net->heads_bias, .n_out = c, .alpha = 1.0f,
        .out = buffers->raw, .n_rows = hidden.rows->n * n_steps, .row_block = hidden.rows->block,
    });
}

void toto1_forward(const struct toto1_net *net, const struct toto1_pass *pass,
                   const struct toto1_buffers *buffers, const struct pass_watch *watch)
{
    embed(net, pass, buffers, watch);
    struct hidden hidden = transformer_run(&net->transformer, &pass->rows, &buffers->hidden, watch);
    heads(net, pass, buffers, hidden);
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
