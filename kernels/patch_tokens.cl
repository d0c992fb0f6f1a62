/* Toto 2.0's tokens without float64: running count, mean and summed squared deviation M2 of the
 * observed values, the latter two as pairs of floats, of values divided by 2^exponent, so that
 * squares of huge values stay finite.
 *
 * patch_tokens_scale: a work-group takes a sequence, LANES patches at a time:
 *
 *      patches   |p0|p1|p2| ... |p63|      item i: moments of patch i (two passes over its values)
 *      scan       p0 p0+p1 p0+p1+p2 ...    log2(LANES) steps; two sets are joined as
 *                                          Chan, Golub and LeVeque do
 *      output    loc and scale of each patch that becomes a token
 *
 * patch_tokens: the tokens, all items of the GROUPS work-groups of a sequence side by side. */
#define LANES 64
/* Values below 2^40 are not divided: squares of a long sequence stay below 2^127. */
#define EXPONENT_FREE 40
#define LEAST 1e-6f      /* scale */

struct token_sequence {
    int first_value, n_patches, n_context, first_patch, n_tokens, clear_before, row, cap;
};

/* ---- Moments --------------------------------------------------------------------------------- */

struct moments {
    int n;
    int exponent; /* mean is in units of 2^exponent, m2 in units of 4^exponent */
    float2 mean, m2;
};

static inline void moments_raise(struct moments *a, int exponent)
{
    int by = a->exponent - exponent;
    if (by == 0)
        return;
    a->mean = ldexp(a->mean, (int2)(by));
    a->m2 = ldexp(a->m2, (int2)(2 * by));
    a->exponent = exponent;
}

/* The moments of `before` and `own` together, in own. */
static inline void moments_join(struct moments *own, const struct moments *before)
{
    struct moments a = *before, b = *own;
    if (a.n == 0)
        return;
    int exponent = b.n ? max(a.exponent, b.exponent) : a.exponent;
    moments_raise(&a, exponent);
    moments_raise(&b, exponent);
    float2 apart = pair_add(b.mean, -a.mean);
    float2 step = pair_over(pair_times(apart, (float2)((float)b.n, 0.0f)), (float)(a.n + b.n));
    float2 spread = pair_times(pair_times(apart, step), (float2)((float)a.n, 0.0f));
    own->n = a.n + b.n;
    own->exponent = exponent;
    own->mean = b.n ? pair_add(a.mean, step) : a.mean;
    own->m2 = b.n ? pair_add(pair_add(a.m2, b.m2), spread) : a.m2;
}

/* The moments of a patch, in `made`, which holds none. */
static inline void moments_patch(global const float *x, global const uchar *mask, int patch,
                                 struct moments *made)
{
    float most = 0.0f;
    float2 sum = (float2)(0.0f);
    for (int i = 0; i < patch; i++)
        if (mask[i]) {
            made->n++;
            most = fabs(x[i]) > most ? fabs(x[i]) : most;
        }
    if (made->n == 0)
        return;
    if (most >= (float)(1ul << EXPONENT_FREE) && isfinite(most))
        made->exponent = ilogb(most) + 1 - EXPONENT_FREE;
    float unit = ldexp(1.0f, -made->exponent);
    for (int i = 0; i < patch; i++)
        if (mask[i])
            sum = pair_add(sum, (float2)(x[i] * unit, 0.0f));
    made->mean = pair_over(sum, (float)made->n);
    for (int i = 0; i < patch; i++)
        if (mask[i]) {
            float2 apart = pair_add((float2)(x[i] * unit, 0.0f), -made->mean);
            made->m2 = pair_add(made->m2, pair_times(apart, apart));
        }
}

static inline float at_least(float scale)
{
    return scale < LEAST ? LEAST : scale;
}

/* Loc and scale. */
static inline float2 moments_read(const struct moments *a)
{
    float deviation = pair_root(pair_over(a->m2, (float)max(a->n - 1, 1)));
    return (float2)(ldexp(a->mean.x, a->exponent), at_least(ldexp(deviation, a->exponent)));
}

static inline void lane_read(local const int *n, local const int *exponent,
                             local const float4 *pairs, int lane, struct moments *read)
{
    read->n = n[lane];
    read->exponent = exponent[lane];
    read->mean = pairs[lane].xy;
    read->m2 = pairs[lane].zw;
}

/* ---- Loc, scale and caps --------------------------------------------------------------------- */

/* Loc and scale of the first min_obs observed of n values, summed in float one by one; items read
 * LANES values at a time for all. */
static inline float2 fallback_read(global const float *x, global const uchar *mask, int n,
                                   int min_obs, local float *lanes, local int *observed)
{
    int item = (int)get_local_id(0), count = 0;
    float loc = 0.0f, sum = 0.0f, squares = 0.0f;
    for (int pass = 0; pass < 2; pass++) {
        int seen = 0;
        for (int first = 0; first < n && seen < min_obs; first += LANES) {
            barrier(CLK_LOCAL_MEM_FENCE);
            observed[item] = first + item < n && mask[first + item];
            lanes[item] = observed[item] ? x[first + item] : 0.0f;
            barrier(CLK_LOCAL_MEM_FENCE);
            for (int i = 0; i < LANES && seen < min_obs; i++)
                if (observed[i]) {
                    float apart = lanes[i] - loc;
                    sum += lanes[i];
                    squares += apart * apart;
                    seen++;
                }
        }
        if (pass == 0) {
            count = seen;
            loc = pair_over((float2)(sum, 0.0f), (float)max(count, 1)).x;
            squares = 0.0f;
        }
    }
    float variance = pair_over((float2)(squares, 0.0f), (float)max(count - 1, 1)).x;
    return (float2)(loc, at_least(pair_root((float2)(variance, 0.0f))));
}

kernel __attribute__((reqd_work_group_size(LANES, 1, 1)))
void patch_tokens_scale(
    global const float *values, ulong values_at, global const uchar *mask, ulong mask_at,
    global const int *sequences, ulong sequences_at, global float *loc_out, ulong loc_at,
    global float *scale_out, ulong scale_at, global float *caps, ulong caps_at, int patch,
    int min_obs, float cap_k)
{
    local int lane_n[LANES], lane_exponent[LANES], lane_observed[LANES];
    local float4 lane_pairs[LANES];
    local float lane_values[LANES], lane_others[LANES];
    local float context_scale;
    int item = (int)get_local_id(0);
    struct token_sequence sequence =
        *((global const struct token_sequence *)(sequences + sequences_at) + get_group_id(1));
    bool capped = sequence.cap >= 0 && cap_k > 0.0f && sequence.n_context > 0;
    int end = sequence.first_patch + sequence.n_tokens; /* of the patches that are looked at */
    end = min(capped ? max(end, sequence.n_context) : end, sequence.n_patches);
    values += values_at + (ulong)sequence.first_value;
    mask += mask_at + (ulong)sequence.first_value;
    float2 fallback = (float2)(0.0f, 1.0f);
    if (min_obs > 0)
        fallback = fallback_read(values, mask, sequence.n_patches * patch, min_obs, lane_values,
                                 lane_observed);

    struct moments carry = {0, 0, (float2)(0.0f), (float2)(0.0f)};
    for (int first = 0; first < end; first += LANES) {
        int index = first + item;
        struct moments own = {0, 0, (float2)(0.0f), (float2)(0.0f)}, before;
        if (index < end)
            moments_patch(values + (ulong)index * (ulong)patch, mask + (ulong)index * (ulong)patch,
                          patch, &own);
        if (item == 0)
            moments_join(&own, &carry);
        for (int by = 1; by < LANES; by *= 2) {
            barrier(CLK_LOCAL_MEM_FENCE);
            lane_n[item] = own.n;
            lane_exponent[item] = own.exponent;
            lane_pairs[item] = (float4)(own.mean, own.m2);
            barrier(CLK_LOCAL_MEM_FENCE);
            if (item >= by) {
                lane_read(lane_n, lane_exponent, lane_pairs, item - by, &before);
                moments_join(&own, &before);
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        lane_n[item] = own.n;
        lane_exponent[item] = own.exponent;
        lane_pairs[item] = (float4)(own.mean, own.m2);
        float2 read = own.n >= min_obs ? moments_read(&own) : fallback;
        if (index == sequence.n_context - 1)
            context_scale = read.y;
        if (index >= sequence.first_patch && index < sequence.first_patch + sequence.n_tokens &&
            index < end) {
            ulong row = (ulong)(sequence.row + index - sequence.first_patch);
            loc_out[loc_at + row] = read.x;
            scale_out[scale_at + row] = read.y;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        lane_read(lane_n, lane_exponent, lane_pairs, LANES - 1, &carry);
    }

    if (!capped)
        return;
    float least = INFINITY, most = -INFINITY;
    for (int i = item; i < sequence.n_context * patch; i += LANES)
        if (mask[i]) {
            least = values[i] < least ? values[i] : least;
            most = values[i] > most ? values[i] : most;
        }
    barrier(CLK_LOCAL_MEM_FENCE);
    lane_values[item] = least;
    lane_others[item] = most;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item != 0)
        return;
    for (int i = 1; i < LANES; i++) {
        least = lane_values[i] < least ? lane_values[i] : least;
        most = lane_others[i] > most ? lane_others[i] : most;
    }
    bool any = least <= most;
    float margin = cap_k * context_scale;
    caps[caps_at + 2ul * (ulong)sequence.cap] = (any ? least : 0.0f) - margin;
    caps[caps_at + 2ul * (ulong)sequence.cap + 1ul] = (any ? most : 0.0f) + margin;
}

/* ---- Tokens ---------------------------------------------------------------------------------- */

/* asinh without the square of a large x. */
static inline float asinh_of(float x)
{
    float a = fabs(x), square = a * a;
    float y = a > 4096.0f ? log(a) + 0.69314718f : log1p(a + square / (1.0f + sqrt(square + 1.0f)));
    return copysign(y, x);
}

kernel void patch_tokens(global const float *values, ulong values_at, global const uchar *mask,
                         ulong mask_at, global const int *sequences, ulong sequences_at,
                         global const float *loc, ulong loc_at, global const float *scale,
                         ulong scale_at, global stored *tokens, ulong tokens_at, int patch)
{
    struct token_sequence sequence =
        *((global const struct token_sequence *)(sequences + sequences_at) + get_global_id(1));
    int n_tokens = min(sequence.n_tokens, sequence.n_patches - sequence.first_patch);
    ulong first = (ulong)sequence.first_value + (ulong)sequence.first_patch * (ulong)patch;
    values += values_at + first;
    mask += mask_at + first;
    for (int i = (int)get_global_id(0); i < n_tokens * patch; i += (int)get_global_size(0)) {
        int token = i / patch;
        ulong row = (ulong)(sequence.row + token);
        bool clear = sequence.first_patch + token < sequence.clear_before;
        float z =
            mask[i] ? asinh_of((values[i] - loc[loc_at + row]) / scale[scale_at + row]) : 0.0f;
        global stored *to = tokens + tokens_at + row * 2ul * (ulong)patch + (i - token * patch);
        store1(z, to);
        store1(mask[i] || clear ? 0.0f : 1.0f, to + patch);
    }
}
