/* Toto 1.0's scalers without float64: running count, mean and summed squared deviation M2, as
 * pairs of floats, of values divided by 2^exponent, so that squares of huge values stay finite.
 *
 * A work-group takes a sequence, LANES patches at a time:
 *
 *      patches   |p0|p1|p2| ... |p63|      item i: moments of patch i (two passes over its values)
 *      scan       p0 p0+p1 p0+p1+p2 ...    log2(LANES) steps; two sets are joined as
 *                                          Chan, Golub and LeVeque do
 *      output    loc, scale a patch (or a value), then (x - loc) / scale by all items side by side
 *
 * A prefix is read twice: its global deviation bounds the clamp of every patch. */
#define LANES 64
/* Values below 2^40 are not divided: squares of a long sequence stay below 2^127. */
#define EXPONENT_FREE 40

enum { SCALER_CAUSAL_PATCH, SCALER_CAUSAL, SCALER_STATIC };

struct scale_sequence {
    int first_value, n_patches, first_row, state_in, state_out;
};

/* ---- Moments --------------------------------------------------------------------------------- */

struct moments {
    uint n;
    int exponent; /* mean is in units of 2^exponent, m2 in units of 4^exponent */
    float2 mean, m2;
};

static inline struct moments moments_none(void)
{
    struct moments none = {0u, 0, (float2)(0.0f), (float2)(0.0f)};
    return none;
}

static inline int exponent_of(float most)
{
    return most < (float)(1ul << EXPONENT_FREE) || !isfinite(most)
               ? 0
               : ilogb(most) + 1 - EXPONENT_FREE;
}

static inline void moments_raise(struct moments *a, int exponent)
{
    int by = a->exponent - exponent;
    if (by == 0)
        return;
    a->mean = ldexp(a->mean, (int2)(by));
    a->m2 = ldexp(a->m2, (int2)(2 * by));
    a->exponent = exponent;
}

static inline struct moments moments_join(struct moments a, struct moments b)
{
    if (b.n == 0u)
        return a;
    if (a.n == 0u)
        return b;
    int exponent = max(a.exponent, b.exponent);
    moments_raise(&a, exponent);
    moments_raise(&b, exponent);
    float n_a = (float)a.n, n_b = (float)b.n, n = (float)(a.n + b.n);
    float2 apart = pair_add(b.mean, -a.mean);
    float2 step = pair_over(pair_times(apart, (float2)(n_b, 0.0f)), n);
    float2 spread = pair_times(pair_times(apart, apart), (float2)(n_a * (n_b / n), 0.0f));
    a.mean = pair_add(a.mean, step);
    a.m2 = pair_add(pair_add(a.m2, b.m2), spread);
    a.n += b.n;
    return a;
}

static inline struct moments moments_value(float x)
{
    struct moments one = moments_none();
    one.n = 1u;
    one.exponent = exponent_of(fabs(x));
    one.mean.x = ldexp(x, -one.exponent);
    return one;
}

static struct moments moments_patch(global const float *x, global const uchar *mask, int patch)
{
    struct moments made = moments_none();
    float most = 0.0f;
    float2 sum = (float2)(0.0f);
    for (int i = 0; i < patch; i++)
        if (!mask || mask[i]) {
            made.n++;
            most = fabs(x[i]) > most ? fabs(x[i]) : most;
        }
    if (made.n == 0u)
        return made;
    made.exponent = exponent_of(most);
    float unit = ldexp(1.0f, -made.exponent);
    for (int i = 0; i < patch; i++)
        if (!mask || mask[i])
            sum = pair_add(sum, (float2)(x[i] * unit, 0.0f));
    made.mean = pair_over(sum, (float)made.n);
    for (int i = 0; i < patch; i++)
        if (!mask || mask[i]) {
            float2 apart = pair_add((float2)(x[i] * unit, 0.0f), -made.mean);
            made.m2 = pair_add(made.m2, pair_times(apart, apart));
        }
    return made;
}

/* ---- Loc and scale --------------------------------------------------------------------------- */

static inline float moments_loc(const struct moments *a)
{
    return ldexp(a->mean.x + a->mean.y, a->exponent);
}

/* sqrt(m2 / count + least) in the units of the series. */
static inline float deviation(const struct moments *a, float count, float least)
{
    float plain = ldexp(sqrt((a->m2.x + a->m2.y) / count), a->exponent);
    return plain < 1048576.0f ? sqrt(plain * plain + least) : plain;
}

static inline float moments_scale(const struct moments *a, float low, float high)
{
    float scale = deviation(a, a->n > 2u ? (float)(a->n - 1u) : 1.0f, 0.1f);
    scale = scale < low ? low : scale;
    return scale > high ? high : scale;
}

static inline struct moments lane_read(local const uint *n, local const int *exponent,
                                       local const float4 *pairs, int lane)
{
    struct moments read = {n[lane], exponent[lane], pairs[lane].xy, pairs[lane].zw};
    return read;
}

/* ---- The kernel ------------------------------------------------------------------------------ */

/* A state is 16 words: n, exponent, mean, m2, low, high, loc, scale. up, down: 10 to the exponent
 * of the clamp, and to its negative. */
kernel __attribute__((reqd_work_group_size(LANES, 1, 1)))
void causal_scale(
    global const float *values, ulong values_at, global const uchar *mask, ulong mask_at,
    global const int *sequences, ulong sequences_at, global float *states, ulong states_at,
    global float *loc_out, ulong loc_at, global float *scale_out, ulong scale_at,
    global stored *scaled_out, ulong scaled_at, int patch, int scaler, int stabilize, float up,
    float down)
{
    local uint lane_n[LANES];
    local int lane_exponent[LANES];
    local float4 lane_pairs[LANES];
    local float lane_loc[LANES], lane_scale[LANES];
    int item = (int)get_local_id(0);
    struct scale_sequence sequence =
        *((global const struct scale_sequence *)(sequences + sequences_at) + get_group_id(1));
    ulong out_at = (ulong)sequence.first_row * (ulong)patch;
    values += values_at + (ulong)sequence.first_value;
    if (mask)
        mask += mask_at + (ulong)sequence.first_value;
    loc_out += loc_at + out_at;
    scale_out += scale_at + out_at;
    scaled_out += scaled_at + out_at;
    struct moments carry = moments_none();
    float low = -INFINITY, high = INFINITY, loc = 0.0f, scale = 1.0f;
    bool prefix = sequence.state_in < 0;
    if (!prefix) {
        global const float *state = states + (states_at + (ulong)sequence.state_in) * 16ul;
        carry.n = as_uint(state[0]);
        carry.exponent = as_int(state[1]);
        carry.mean = (float2)(state[2], state[3]);
        carry.m2 = (float2)(state[4], state[5]);
        low = state[6];
        high = state[7];
        loc = state[8];
        scale = state[9];
    }
    struct moments start = carry;
    for (int pass = prefix && (stabilize || scaler == SCALER_STATIC) ? 0 : 1; pass < 2; pass++) {
        carry = start;
        for (int first = 0; first < sequence.n_patches; first += LANES) {
            int index = first + item, lanes = min(LANES, sequence.n_patches - first);
            struct moments own = moments_none();
            if (index < sequence.n_patches)
                own = moments_patch(values + (ulong)index * (ulong)patch,
                                    mask ? mask + (ulong)index * (ulong)patch : mask, patch);
            if (item == 0)
                own = moments_join(carry, own);
            for (int by = 1; by < LANES; by *= 2) {
                barrier(CLK_LOCAL_MEM_FENCE);
                lane_n[item] = own.n;
                lane_exponent[item] = own.exponent;
                lane_pairs[item] = (float4)(own.mean, own.m2);
                barrier(CLK_LOCAL_MEM_FENCE);
                if (item >= by)
                    own =
                        moments_join(lane_read(lane_n, lane_exponent, lane_pairs, item - by), own);
            }
            barrier(CLK_LOCAL_MEM_FENCE);
            lane_n[item] = own.n;
            lane_exponent[item] = own.exponent;
            lane_pairs[item] = (float4)(own.mean, own.m2);
            if (scaler == SCALER_STATIC) {
                lane_loc[item] = loc;
                lane_scale[item] = scale;
            } else {
                lane_loc[item] = moments_loc(&own);
                lane_scale[item] = moments_scale(&own, low, high);
            }
            barrier(CLK_LOCAL_MEM_FENCE);
            if (pass == 1 && scaler == SCALER_CAUSAL && item < lanes) {
                struct moments at =
                    item ? lane_read(lane_n, lane_exponent, lane_pairs, item - 1) : carry;
                for (int i = 0; i < patch; i++) {
                    ulong t = (ulong)index * (ulong)patch + i;
                    if (!mask || mask[t])
                        at = moments_join(at, moments_value(values[t]));
                    float own_loc = moments_loc(&at), own_scale = moments_scale(&at, low, high);
                    loc_out[t] = own_loc;
                    scale_out[t] = own_scale;
                    store1((values[t] - own_loc) / own_scale, scaled_out + t);
                }
            }
            if (pass == 1 && scaler != SCALER_CAUSAL)
                for (int i = item; i < lanes * patch; i += LANES) {
                    ulong t = (ulong)first * (ulong)patch + i;
                    float own_loc = lane_loc[i / patch], own_scale = lane_scale[i / patch];
                    loc_out[t] = own_loc;
                    scale_out[t] = own_scale;
                    store1((values[t] - own_loc) / own_scale, scaled_out + t);
                }
            carry = lane_read(lane_n, lane_exponent, lane_pairs, lanes - 1);
        }
        if (pass == 0) {
            float count = carry.n > 1u ? (float)carry.n : 1.0f;
            loc = moments_loc(&carry);
            loc = isnan(loc) ? 0.0f : loc;
            scale = deviation(&carry, count, 0.001f);
            float bound = deviation(&carry, count, 0.1f);
            if (stabilize) {
                low = bound * down;
                low = low < 0.1f ? 0.1f : low;
                high = bound * up;
            }
        }
    }
    barrier(CLK_GLOBAL_MEM_FENCE);
    if (item == 0 && sequence.state_out >= 0) {
        global float *state = states + (states_at + (ulong)sequence.state_out) * 16ul;
        state[0] = as_float(carry.n);
        state[1] = as_float(carry.exponent);
        state[2] = carry.mean.x;
        state[3] = carry.mean.y;
        state[4] = carry.m2.x;
        state[5] = carry.m2.y;
        state[6] = low;
        state[7] = high;
        state[8] = loc;
        state[9] = scale;
    }
}
