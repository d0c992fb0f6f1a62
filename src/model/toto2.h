/* Toto 2.0: a decoder of patches with causal time layers and variate layers in unit-scaled form; one pass gives nine
 * quantiles of each step of the whole horizon. Reference: DataDog/toto at 46bd92a, toto2/. */
#ifndef TOTO_MODEL_TOTO2_H
#define TOTO_MODEL_TOTO2_H

#include "loading.h"
#include "transformer.h"

enum { TOTO2_QUANTILES = 9, TOTO2_MAX_POSITIONS = 8192 };

/* config.json, defaults filled in. */
struct toto2_config {
    size_t patch;        /* p */
    size_t d_model;      /* d */
    size_t n_heads, n_groups, n_layers;
    size_t qk_dim, v_dim, d_ff;
    size_t layer_group_size, n_variate_layers; /* of each group of layers */
    bool variate_layer_first;
    double norm_eps;
    bool attn_bias, mlp_bias, qk_norm, norm_weights, qk_norm_weights, per_dim_scale, use_xpos;
};

struct toto2_mlp_tensors { /* a residual MLP: two layers and a way past them */
    const struct tensor_view *weight1, *bias1, *weight2, *bias2, *skip_weight, *skip_bias;
};

struct toto2_layer_tensors {
    const struct tensor_view *attn_tau, *mlp_tau, *in_weight, *in_bias, *out_weight, *out_bias;
    const struct tensor_view *per_dim_scale, *q_norm, *k_norm, *norm1, *norm2;
    const struct tensor_view *fc1_weight, *fc1_bias, *fc2_weight, *fc2_bias;
};

struct toto2_tensors {
    struct toto2_mlp_tensors patch_proj, head;
    const struct tensor_view *out_norm;
    struct toto2_layer_tensors *layers; /* in the checkpoint's arena, as used */
    struct tensor_list used;
};

enum toto_status toto2_config_read(const struct checkpoint *checkpoint, struct toto2_config *config,
                                   struct toto_error *err);
/* Loading is strict: a tensor that the config does not ask for is refused. */
enum toto_status toto2_tensors_find(struct checkpoint *checkpoint, const struct toto2_config *config,
                                    struct toto2_tensors *tensors, struct toto_error *err);
bool toto2_layer_is_variate(const struct toto2_config *config, size_t layer);

/* ---- The network on a backend ---------------------------------------------------------------------- */

/* out = f2(W2 f1(W1 u)) + skip(u), scaled. */
struct toto2_mlp {
    struct weight *linear1, *linear2, *skip;
    struct tensor bias1, bias2, skip_bias;
    float alpha1, alpha2, skip_alpha;
    size_t n_in, n_hidden, n_out;
};

struct toto2_net {
    const struct toto2_config *config;
    struct transformer transformer;
    struct tensor vectors; /* views in the rest */
    struct toto2_mlp patch_proj, head;
    struct tensor out_norm;
};

/* Bytes that opening the net takes on the backend, beside weights. */
size_t toto2_net_bytes(const struct toto2_config *config, const struct backend *backend, size_t n_positions);
enum toto_status toto2_net_open(const struct toto2_config *config, const struct toto2_tensors *tensors,
                                struct backend *backend, size_t n_positions, struct toto2_net *net,
                                struct toto_error *err);
void toto2_net_close(struct toto2_net *net); /* takes a zeroed struct */

/* ---- One pass -------------------------------------------------------------------------------------- */

struct toto2_buffers {
    struct transformer_buffers hidden;
    struct tensor tokens; /* activation [rows, 2p]: scaled values, then flags of what is missing */
    struct tensor wide;   /* [rows, 4d] */
    struct tensor head;   /* F32 [read rows, 9p]: step-major, then quantiles; before sinh */
};

/* Embeds tokens, runs the layers, and leaves the head's output for the rows that are read in buffers->head. A watch
 * sees "embed_out", "layers" and "out", and then nothing is left out. */
void toto2_forward(const struct toto2_net *net, const struct transformer_pass *pass,
                   const struct toto2_buffers *buffers, const struct pass_watch *watch);

#endif
