/* Toto 1.0 (Toto-Open-Base-1.0): a decoder of patches with causal time layers and bidirectional space
 * layers (over variates), and a mixture of Student-t as output. Reference: DataDog/toto at 46bd92a,
 * toto/model. The forward pass is written once against the backend seam. */
#ifndef TOTO_MODEL_TOTO1_H
#define TOTO_MODEL_TOTO1_H

#include "../checkpoint/checkpoint.h"
#include "transformer.h"

/* config.json; the letters of backend.h in the comments. */
struct toto1_config {
    size_t patch;        /* P */
    size_t d_model;      /* D */
    size_t n_layers, n_heads, head_dim;
    size_t d_ff;         /* F */
    int64_t space_every; /* -1: no space layers; else one in so many */
    bool space_first;
    enum scaler scaler;
    bool stabilize;
    double exponent;
    bool is_mixture;     /* else one Student-t */
    size_t n_components; /* K */
    size_t n_params;     /* C: 4K, or 3 */
};

struct toto1_layer_tensors {
    const struct tensor_view *norm1, *norm2, *qkv_weight, *qkv_bias, *o_weight, *o_bias;
    const struct tensor_view *mlp0_weight, *mlp0_bias, *mlp2_weight, *mlp2_bias;
};

enum { TOTO1_MAX_HEADS = 4 }; /* df, loc, scale, logits */

/* The tensors of the checkpoint, each found and of the right shape and type, all finite. */
struct toto1_tensors {
    const struct tensor_view *patch_weight, *patch_bias, *unembed_weight, *unembed_bias;
    const struct tensor_view *head_weights[TOTO1_MAX_HEADS], *head_biases[TOTO1_MAX_HEADS];
    size_t n_heads;
    const struct tensor_view *target_label, *exogenous_label; /* both or neither */
    struct toto1_layer_tensors *layers; /* in the checkpoint's arena, as used */
    const struct tensor_view **used;    /* every tensor above; others are ignored */
    size_t n_used;
    uint64_t n_parameters;
};

enum toto_status toto1_config_read(const struct checkpoint *checkpoint, struct toto1_config *config,
                                   struct toto_error *err);
enum toto_status toto1_tensors_find(struct checkpoint *checkpoint, const struct toto1_config *config,
                                    struct toto1_tensors *tensors, struct toto_error *err);
/* Layer order, reference spec 5.1: the space layer ends each block of space_every layers, or opens it. */
bool toto1_layer_is_space(const struct toto1_config *config, size_t layer);
/* Whether both label tensors are there: each variate then starts with one more token. */
static inline bool toto1_has_labels(const struct toto1_tensors *tensors)
{
    return tensors->target_label != NULL;
}

/* ---- The network on a backend ---------------------------------------------------------------------- */

struct toto1_net {
    const struct toto1_config *config;
    struct transformer transformer;
    struct tensor vectors; /* every bias and norm scale, one after the other; views below */
    struct weight *patch, *unembed, *heads;
    struct tensor patch_bias, unembed_bias, heads_bias;
    struct tensor labels; /* activation [2, D]: unit vectors of target and exogenous; or none */
    struct weight *folded;  /* unembedding and heads as one matrix, or NULL */
    struct tensor folded_bias;
    size_t folded_steps;
};

/* Bytes that opening the net takes on the backend, folding of n_steps steps included. */
size_t toto1_net_bytes(const struct toto1_config *config, const struct backend *backend, bool labels,
                       size_t n_positions, size_t folded_steps);
/* Positions below n_positions can be used. */
enum toto_status toto1_net_open(const struct toto1_config *config, const struct toto1_tensors *tensors,
                                struct backend *backend, size_t n_positions, struct toto1_net *net,
                                struct toto_error *err);
/* Folds unembedding and heads for the first n_steps steps of a patch. */
enum toto_status toto1_net_fold(struct toto1_net *net, size_t n_steps, struct toto_error *err);
void toto1_net_close(struct toto1_net *net); /* takes a zeroed struct */

/* ---- One pass -------------------------------------------------------------------------------------- */

struct toto1_pass {
    struct transformer_pass rows;
    struct tensor scaled;       /* activation [patches, P] */
    struct tensor source;       /* I32 [rows]: row of scaled of each token, or < 0; none: 0, 1, ... */
    struct tensor label_row;    /* I32 [n_labels]: row of each label token */
    struct tensor label_kind;   /* I32 [n_labels]: 0 target, 1 exogenous */
    size_t n_labels;
    size_t n_steps;             /* steps of the patch that are wanted */
    bool use_fold;
};

/* Activations of a pass, and its result. */
struct toto1_buffers {
    struct transformer_buffers hidden;
    struct tensor patches;      /* [rows, P] */
    struct tensor steps;        /* [read rows, n_steps, D], without folding */
    struct tensor raw;          /* F32 [read rows, n_steps, C]: the heads' outputs */
};

/* Reads like sections 4 to 6 of the model's description: embeds patches, runs the layers, and leaves
 * the raw parameters of the rows that are read in buffers->raw. With a watch nothing is left out that
 * no output needs. Errors are the backend's sticky ones. */
void toto1_forward(const struct toto1_net *net, const struct toto1_pass *pass,
                   const struct toto1_buffers *buffers, const struct pass_watch *watch);

/* Shape of buffers->raw for the mixture ops. */
struct mixture_shape toto1_mixture_shape(const struct toto1_config *config, size_t n_steps);

#endif
