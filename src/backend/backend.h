/* The backend seam: memory and about a dozen ops. A model is written once against this header, and every
 * backend has every op, so one device runs the whole model.
 *
 * Letters: R rows (tokens of one pass), D d_model, F d_ff, H heads, h head_dim, P patch size, K mixture
 * components. Tensors are row-major, the last index fastest.
 *
 * Ops enqueue; download and sync wait. An op that fails sets the backend's sticky error, later ops do
 * nothing, and the next download or sync returns the error: a forward pass has no error paths.
 *
 * Batch invariance: what an op writes for a row depends on that row's own inputs (and on `row_block`
 * and the row's place in its block), never on how many other rows run, on threads or on their order.
 *
 * Sums are in float32 unless a contract says more; stored types of weights and activations are the
 * backend's affair, so the model never sees them. */
#ifndef TOTO_BACKEND_BACKEND_H
#define TOTO_BACKEND_BACKEND_H

#include "../base/dtype.h"
#include "../base/status.h"

/* ---- Memory -------------------------------------------------------------------------------------- */

enum tensor_kind {
    TENSOR_F32,         /* values in the units of the series, loc and scale, parameters, vectors */
    TENSOR_ACTIVATION,  /* hidden states and KV cache, stored as the backend likes; float32 for hosts */
    TENSOR_I32,         /* indices; also the row structs below, counted in int32 */
    TENSOR_U8,          /* masks */
    TENSOR_SCALE_STATE, /* running statistics of causal_scale, opaque */
};

/* A view: memory of the backend, from element `offset`. Copies of it are views of the same memory. */
struct tensor {
    void *memory; /* NULL: no tensor */
    enum tensor_kind kind;
    size_t offset, n; /* elements */
};

static inline struct tensor tensor_at(struct tensor whole, size_t offset, size_t n)
{
    return (struct tensor){whole.memory, whole.kind, whole.offset + offset, n};
}

/* A matrix [n_out, n_in] of weights; parts stacked along n_out. Backend's own struct. */
struct weight;

/* Part of a weight as the checkpoint stores it: rows x n_in elements, perhaps unaligned. */
struct weight_part {
    enum dtype dtype;
    const void *data;
    size_t rows;
};

/* ---- Rows: what differs between the rows of a pass ------------------------------------------------ */

/* Where a row stands for rotary positions, and where its keys and values go. */
struct token_row {
    int32_t position; /* absolute index of the token */
    int32_t center;   /* xPos centre of the pass that the row belongs to */
    int32_t slot;     /* of the KV cache; -1: a padding row, nothing is written */
    int32_t unused;
};

/* The keys that a row's query sees: slots first + i * stride for i < count, of two spans, restricted
 * to slots of the row's own group where slot groups are given. Both counts 0: the output is 0. */
struct attention_row {
    int32_t first_a, count_a;
    int32_t first_b, count_b;
    int32_t stride;
    int32_t group;
};

/* Where a row's distribution comes from, and where its value goes. */
struct draw_row {
    int32_t param_row;    /* row of params, loc and scale; -1: a padding row */
    int32_t series;       /* index of the error flag */
    int32_t override_row; /* >= 0: that row of `overrides` is the value, nothing is drawn */
    int32_t sample, variate;
    uint32_t key[2];      /* random stream of the series */
    int32_t out_high, out_low; /* index of the row's first value in `out`: high * 2^31 + low */
    int32_t unused;
};

/* A stretch of one sequence that causal_scale works on. */
struct scale_sequence {
    int32_t first_value; /* of values and mask; index of an element, patches are contiguous */
    int32_t n_patches;
    int32_t first_row;   /* row of scaled, loc, scale that its first patch goes to */
    int32_t state_in;    /* index of the running statistics to go on from; -1: the prefix starts here */
    int32_t state_out;   /* index where they are left; -1: nowhere */
};

/* A sequence (a variate) that patch_tokens reads, and the patches of it that become tokens. */
struct token_sequence {
    int32_t first_value;  /* of values and mask; index of an element, patches are contiguous */
    int32_t n_patches;    /* of the whole sequence: observed, filled or yet empty */
    int32_t n_context;    /* patches of context */
    int32_t first_patch, n_tokens; /* patches first_patch .. + n_tokens become tokens */
    int32_t clear_before; /* tokens of patches below this have no flag set */
    int32_t row;          /* of tokens, loc and scale: of the first token */
    int32_t cap;          /* row of caps that is written; -1: none */
};

/* Where the nine quantiles of a patch come from, and where they go. */
struct quantile_row {
    int32_t head_row;  /* of head; -1: a padding row */
    int32_t scale_row; /* of loc and scale */
    int32_t cap;       /* row of caps */
    int32_t out_row;   /* of out: the sequence */
    int32_t out_step;  /* of the patch's first step */
    int32_t feedback;  /* element of values and mask that the median of the first step goes to; -1: nowhere */
};

/* ---- Arguments of the ops ------------------------------------------------------------------------- */

/* out = f(alpha (W[first_out .. first_out + n_out) x + bias)) + beta residual. x [R, n_in] (n_in from the
 * weight), bias [weight rows] F32 (read from first_out on) or none, residual and out [R, n_out]; out may
 * be residual, not x. f is the identity, or silu_gain silu() where silu_gain is not 0
 * (then without residual). */
struct linear_args {
    struct tensor x;
    const struct weight *weight;
    size_t first_out, n_out;
    struct tensor bias;
    float alpha;
    float silu_gain;
    struct tensor residual; /* none: beta is not read */
    float beta;
    struct tensor out;
    size_t n_rows;
    size_t row_block; /* from ops->row_block; rows are padded to whole blocks */
};

/* [a; c] = alpha (W x + bias), each of F rows; out = silu(a) c, or a silu(c) if silu_second. x [R, n_in],
 * W [2F, n_in], out [R, F]. */
struct linear_swiglu_args {
    struct tensor x;
    const struct weight *weight;
    struct tensor bias;
    float alpha;
    bool silu_second;
    struct tensor out;
    size_t n_rows, row_block;
};

/* out = x / sqrt(mean(x^2) + eps) * scale; x, out [R, D], scale [D] F32 or none. out may be x. */
struct rms_norm_args {
    struct tensor x, scale, out;
    size_t n_rows, width;
    float eps;
};

/* dst[dst_row[i]] = src[src_row[i]] for i < n_rows, rows of `width` elements, both of one kind. An index
 * tensor without memory stands for 0, 1, 2, ...; a negative index skips the row. */
struct copy_rows_args {
    struct tensor dst, dst_row, src, src_row;
    size_t n_rows, width;
};

/* Tables for rotary positions with xPos. Pairs are interleaved: dims (2i, 2i+1) of each head. */
struct rope_table {
    struct tensor cos_sin; /* F32 [positions][rotary_dims / 2][2] */
    struct tensor xpos;    /* F32 [2 max_offset + 1][rotary_dims]: factor of a query at position - center; or
                            * none */
    int32_t max_offset;
    int32_t rotary_dims;   /* the first so many dims of a head are rotated */
};

enum qkv_part { QKV_Q = 1, QKV_K = 2, QKV_V = 4 };
enum head_layout { HEAD_INNER, HEAD_OUTER }; /* column d H + k, or k h + d, for head k, dim d */

/* Splits a projection into heads, norms, scales and rotates q and k, and puts k and v into the cache. z [R, columns of
 * the parts in the order q, k, v]; q [R, H, h]; keys [slots, G, h], values [slots, G, e]. In this order: with head_norm
 * q and k <- x / sqrt(mean(x^2) + norm_eps) [q_norm, k_norm [h]]; q <- q q_scale [h]; with a table (cos_sin has memory)
 * q <- rot(q) xpos, k <- rot(k) / xpos at position - center, for the first rotary_dims dims of each head. */
struct split_qkv_args {
    struct tensor z;
    unsigned parts; /* of enum qkv_part */
    enum head_layout layout;
    struct tensor rows; /* struct token_row [R] */
    bool head_norm;
    float norm_eps;
    struct tensor q_norm, k_norm, q_scale; /* F32 or none */
    struct rope_table rope;
    struct tensor q, keys, values;
    size_t n_rows, n_heads, n_groups, head_dim, value_dim; /* H, G, h, e */
};

/* out = softmax(scale q k) v over the keys that rows allows; q [R, H, h], keys [slots, G, h], values [slots, G, e],
 * out [R, H, e] (head outermost). Query head i sees keys and values of head i G / H. slot_groups [slots] I32 or none (all
 * keys of the spans are seen). */
struct attention_args {
    struct tensor q, keys, values;
    struct tensor rows; /* struct attention_row [R] */
    struct tensor slot_groups;
    struct tensor out;
    size_t n_rows, n_heads, n_groups, head_dim, value_dim; /* H, G, h, e */
    size_t run; /* rows in each run that share span a, from row 0 on: 1 if nothing is known */
    float scale;
};

/* Toto 1.0's scalers; spec section 3. */
enum scaler { SCALER_CAUSAL_PATCH, SCALER_CAUSAL, SCALER_STATIC };

/* loc, scale and scaled = (x - loc) / scale for each patch of each sequence; loc and scale [rows, P] F32
 * (one value a patch for CAUSAL_PATCH and STATIC, repeated), scaled [rows, P] activation. Statistics run
 * in float64 or its equal: loc and scale within 3e-6, whatever the magnitude. A sequence with
 * state_in -1 is the prefix: its global mean and deviation bound the clamp (stabilize) and are the
 * statistics of STATIC. mask 1 = observed; none: all observed. */
struct causal_scale_args {
    enum scaler scaler;
    bool stabilize;       /* CAUSAL_PATCH only */
    double exponent;      /* scale_factor_exponent */
    struct tensor values, mask;
    struct tensor sequences; /* struct scale_sequence [n_sequences] */
    size_t n_sequences;
    struct tensor states;
    struct tensor loc, scale, scaled;
    size_t patch;
};

/* Parameters of the distribution, from the heads' raw outputs. raw [R, n_steps, C], C = 4K in the order
 * df, loc, scale, logits (mixture), or 3 (Student-t, K = 1). Spec section 6. */
struct mixture_shape {
    size_t n_components;
    bool has_logits;
    size_t n_steps; /* steps of a patch that raw holds, <= patch */
    size_t patch;
};

/* df, loc, scale, logits, probs [R, n_steps, K] F32 (logits and probs only with has_logits). */
struct mixture_params_args {
    struct mixture_shape shape;
    struct tensor raw;
    struct tensor df, loc, scale, logits, probs;
    size_t n_rows;
};

/* One value a row and step, in the units of the series, cleaned (spec 7.1: NaN, infinities and
 * |v| >= FLT_MAX/2 become 0): next[row, j] = clean(f32(y scale[param_row, j] + loc[param_row, j])), where y is
 * the mixture's mean (mixture_mean) or a draw (mixture_sample). next [R, P] F32; steps >= n_steps are left
 * alone. The first n_out of them go to out[first + j * out_stride] too. A parameter that is not finite
 * sets flags[series] (I32) to 1.
 *
 * A draw: (u, a, b, -) = Philox4x32-10(counter (first_step + j, sample, variate, 0), key); component k = the
 * number of cumulative probabilities <= u, at most K - 1;
 * y = loc_k + scale_k t, t = sqrt(df_k expm1(-2/df_k ln a)) cos(2 pi b) (Bailey 1994).
 * With inject_u the draw is given: u = inject_u[row, j] and t = inject_t[row, j] ([R, P] F32). */
struct mixture_next_args {
    struct mixture_shape shape;
    struct tensor raw, loc, scale;
    struct tensor rows;      /* struct draw_row [R] */
    struct tensor overrides; /* F32 [n, P] */
    struct tensor inject_u, inject_t;
    uint32_t first_step;     /* of the patch, counted from the start of the forecast */
    struct tensor next;
    struct tensor out;
    size_t n_out, out_stride;
    struct tensor flags;
    size_t n_rows;
};

/* Where a quantile lies among sorted samples: v[index] + fraction (v[index + 1] - v[index]). */
struct quantile_position {
    int32_t index;
    float fraction;
};

/* Quantiles and mean of each row of samples. samples [R, S] F32 (sorted in place), positions
 * struct quantile_position [Q], quantiles [Q, R], mean [R] (the float32 nearest to the exact mean's
 * float64 sum in sample order). Either output may be none. */
struct quantiles_args {
    struct tensor samples;
    size_t n_rows, n_samples;
    struct tensor positions;
    size_t n_quantiles;
    struct tensor quantiles, mean;
};

/* folded[s C + c, :] = sum_d heads[c, d] unembed[s D + d, :] and
 * bias[s C + c] = sum_d heads[c, d] unembed_bias[s D + d] + heads_bias[c], s < n_steps: unembedding and heads as one
 * matrix (spec section 6, Fusion). Makes a weight; the caller frees it. */
struct fold_args {
    const struct weight *heads, *unembed;
    struct tensor heads_bias, unembed_bias;
    size_t n_steps;
    struct tensor bias; /* [n_steps C] */
};

/* Toto 2.0's input (its spec sections 3 and 4): running mean and unbiased deviation (at least 1e-6) of the observed
 * values up to the end of each patch, in float64 or its equal; where fewer than min_obs values were observed so far,
 * mean and deviation of the first min_obs (in float32). A token is p values asinh((x - loc) / scale), 0 where not
 * observed, then p flags, 1 where not observed. tokens [rows, 2p] activation; loc, scale [rows] F32. With a cap row and
 * cap_k > 0: caps[cap] = (least - k s, most + k s) of the observed values of the context, s the scale of its last
 * patch (least and most are 0 if nothing was observed). */
struct patch_tokens_args {
    struct tensor values, mask;
    struct tensor sequences; /* struct token_sequence [n_sequences] */
    size_t n_sequences, patch;
    size_t min_obs;          /* 0: no fallback */
    float cap_k;
    struct tensor tokens, loc, scale;
    struct tensor caps;      /* F32 [n, 2] or none */
};

/* Toto 2.0's output (its spec section 8): v = f32(sinh(head) scale) + loc for each step and quantile of a patch; of each
 * quantile's p steps an infinity becomes the largest (smallest) finite one, or the opposite infinity if none is finite;
 * v is clamped to the caps if cap_k > 0; the nine are sorted ascending, NaN last. head [rows, p, 9] F32; out
 * [sequences, 9, out_width] F32. Medians with a feedback place go to values there, with mask 1. */
struct quantile_patch_args {
    struct tensor head, loc, scale, caps;
    struct tensor rows; /* struct quantile_row [n_rows] */
    size_t n_rows, patch;
    float cap_k;
    struct tensor out;
    size_t out_width;
    struct tensor values, mask;
};

/* ---- The backend ---------------------------------------------------------------------------------- */

struct backend;

struct backend_ops {
    void (*close)(struct backend *);

    /* memory.memory is NULL on failure, with the message in err. Contents are undefined. */
    enum toto_status (*alloc)(struct backend *, enum tensor_kind, size_t n, struct tensor *,
                              struct toto_error *err);
    void (*free)(struct backend *, struct tensor *); /* takes a zeroed tensor */
    size_t (*element_bytes)(const struct backend *, enum tensor_kind);
    /* src: float for F32 and ACTIVATION, int32_t or a row struct for I32, uint8_t for U8. The source may
     * be reused at once. */
    void (*upload)(struct backend *, struct tensor dst, const void *src);
    /* Waits; dst as src above. */
    enum toto_status (*download)(struct backend *, struct tensor src, void *dst, struct toto_error *err);
    enum toto_status (*sync)(struct backend *, struct toto_error *err);

    /* The parts must stay mapped while the weight lives. */
    enum toto_status (*weight_open)(struct backend *, const struct weight_part *parts, size_t n_parts,
                                    size_t n_in, struct weight **, struct toto_error *err);
    void (*weight_close)(struct backend *, struct weight *);

    /* Rows of one series in a pass are padded to a multiple of this, and start one: 1 where a row's
     * result cannot depend on its place. It depends on the model's width and those rows alone. */
    size_t (*row_block)(const struct backend *, size_t series_rows, size_t width);
    /* Bytes that the backend keeps for itself in passes of so many rows, beside tensors and weights. */
    size_t (*scratch_bytes)(const struct backend *, size_t width);

    void (*linear)(struct backend *, const struct linear_args *);
    void (*linear_swiglu)(struct backend *, const struct linear_swiglu_args *);
    void (*rms_norm)(struct backend *, const struct rms_norm_args *);
    void (*copy_rows)(struct backend *, const struct copy_rows_args *);
    void (*split_qkv)(struct backend *, const struct split_qkv_args *);
    void (*attention)(struct backend *, const struct attention_args *);
    void (*causal_scale)(struct backend *, const struct causal_scale_args *);
    void (*mixture_params)(struct backend *, const struct mixture_params_args *);
    void (*mixture_mean)(struct backend *, const struct mixture_next_args *);
    void (*mixture_sample)(struct backend *, const struct mixture_next_args *);
    void (*quantiles)(struct backend *, const struct quantiles_args *);
    void (*fold)(struct backend *, const struct fold_args *, struct weight **);
    void (*patch_tokens)(struct backend *, const struct patch_tokens_args *);
    void (*quantile_patch)(struct backend *, const struct quantile_patch_args *);
};

struct backend {
    const struct backend_ops *ops;
    char name[128];          /* for a person: what runs */
    size_t n_threads;
    /* Memory of the backend's own: the most that it may take, and in one tensor; taken now, and the most so far. All 0
     * where tensors are host memory, which base/memory.h counts. */
    size_t memory_bytes, largest_bytes, used_bytes, peak_bytes;
    enum toto_status status; /* sticky error of the ops */
    struct toto_error error;
};

/* Bytes of a tensor of n elements, with what the allocator adds; SIZE_MAX / 4 if it is larger than any that the backend can
 * make, so that no plan takes it. */
size_t backend_tensor_bytes(const struct backend *backend, enum tensor_kind kind, size_t n);

/* Keeps the first error of an op. */
void backend_fail(struct backend *backend, enum toto_status status, const struct toto_error *err);

/* Clears the sticky error, for another try with less. False if the backend is beyond use. */
bool backend_reset(struct backend *backend);

/* The public device: a backend that runs. */
struct toto_device {
    struct backend *backend;
    bool automatic;    /* chosen by itself: a failure gives way to the CPU */
    bool accelerator;  /* not the built-in CPU */
    size_t n_threads;  /* of the CPU */
};

static inline bool device_is_accelerator(const struct toto_device *device)
{
    return device->accelerator;
}

/* The CPU in place of a device that was chosen by itself and failed, with a warning that says why (err). False: the
 * device was named, or the CPU cannot be opened either; err then says what failed. */
bool device_fall_back(struct toto_device *device, struct toto_error *err);

/* ---- Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; SC 2011) */

static inline void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* (0, 1] from 32 random bits: small values keep their relative precision, as ln needs. */
static inline float uniform_open(uint32_t bits)
{
    return ((float)bits + 0.5f) * 0x1p-32f;
}

#endif
