/* Transformer: the layers that both families share. Time layers attend causally along the patches of a variate,
 * space (variate) layers attend along the variates of a patch. What differs between the families are the numbers and
 * switches of struct transformer; embedding and heads are theirs. */
#ifndef TOTO_MODEL_TRANSFORMER_H
#define TOTO_MODEL_TRANSFORMER_H

#include "../backend/backend.h"

struct transformer_layer {
    bool is_space;
    size_t cache; /* time layers: index of its keys and values */
    struct weight *qkv, *o, *mlp0, *mlp2;
    /* F32 vectors; one without memory stands for none (scales of 1, biases of 0). */
    struct tensor norm1, norm2, qkv_bias, o_bias, mlp0_bias, mlp2_bias;
    struct tensor q_norm, k_norm; /* [h] scales of the norm over a head */
    struct tensor q_scale;        /* [h] factor of each dim of a query */
    /* x <- x_keep x + alpha (W y + b), of the attention and of the MLP */
    float o_alpha, o_keep, mlp2_alpha, mlp2_keep;
};

struct transformer {
    struct backend *backend;
    size_t d_model, d_ff, n_layers;
    size_t n_heads, n_groups;    /* query heads; heads of keys and values */
    size_t qk_dim, v_dim;        /* of a head */
    enum head_layout head_layout;
    float norm_eps;
    float qkv_alpha, mlp0_alpha; /* the projections are alpha (W y + b) */
    bool silu_second;            /* which half of the MLP goes through SiLU */
    bool head_norm;              /* RMS norm over each head of q and k */
    float score_scale;
    struct rope_table rope;
    struct transformer_layer *layers;
    size_t n_time_layers;
    size_t last_time_layer;      /* SIZE_MAX: there is none */
};

/* Rows that go through layers together, and what each of them sees. */
struct pass_rows {
    size_t n, block;             /* rows, and their row_block */
    struct tensor tokens;        /* struct token_row [n]: positions, slots of the KV cache */
    struct tensor time;          /* struct attention_row [n], slots of the KV cache */
    size_t time_run;             /* attention_args.run of the time layers */
    struct tensor space;         /* struct attention_row [n], slots are rows */
    struct tensor space_groups;  /* I32 [n] */
    struct tensor space_tokens;  /* struct token_row [n], slot = row: where space keys and values go */
};

struct transformer_pass {
    struct pass_rows all;        /* tokens that are processed */
    struct pass_rows read;       /* those whose output is read */
    struct tensor read_index;    /* I32 [read.n]: their rows among all; none: read is all */
    struct tensor time_groups;   /* I32 [n_slots]: groups of the slots; none: all are seen */
    bool univariate;             /* each row is alone in its space layers: attention is the value */
    size_t n_slots;              /* of the KV cache */
};

/* Activations of a pass. */
struct transformer_buffers {
    struct tensor x, x_read;     /* [rows, D], [read rows, D] */
    struct tensor y;             /* [rows, max(D, H v_dim)] */
    struct tensor z;             /* [rows, H qk_dim + G (qk_dim + v_dim)] */
    struct tensor q;             /* [rows, H qk_dim] */
    struct tensor h;             /* [rows, F] */
    struct tensor space_keys, space_values; /* [rows, G qk_dim], [rows, G v_dim] */
    struct tensor keys, values;  /* [time layers, slots, G qk_dim] and [..., G v_dim]: the KV cache */
};

/* Sees each stage of a pass that computes everything: name, layer (or 0), rows x width activations. */
struct pass_watch {
    void (*see)(void *user, const char *stage, size_t layer, struct tensor values, size_t n_rows,
                size_t width);
    void *user;
};

/* Hidden states, and the rows that they belong to. */
struct hidden {
    struct tensor x; /* [rows->n, D] */
    const struct pass_rows *rows;
};

/* Numbers the time layers (layers' is_space must be set). */
void transformer_count_layers(struct transformer *transformer);

/* Closes the weights of all layers and frees the layers. */
void transformer_close_layers(struct transformer *transformer);

/* Columns of a projection to queries, keys and values. */
size_t transformer_qkv_width(const struct transformer *transformer);

/* Runs the layers on buffers->x. Rows that no output needs are left out: from the last time layer on only those that
 * are read go on, and the result is theirs; with a watch nothing is left out before the end. Errors are the
 * backend's sticky ones. */
struct hidden transformer_run(const struct transformer *transformer, const struct transformer_pass *pass,
                              const struct transformer_buffers *buffers, const struct pass_watch *watch);

/* out = alpha (W[first_out ..] x + bias) for each row. */
void transformer_linear(const struct transformer *transformer, const struct pass_rows *rows,
                        struct tensor x, const struct weight *weight, struct tensor bias,
                        size_t first_out, size_t n_out, float alpha, struct tensor out);

#endif
