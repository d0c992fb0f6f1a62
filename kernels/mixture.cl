/* The output distribution: parameters from the heads' raw outputs, and the next values, an item a
 * row and step.
 *
 *     raw, one step:  | df: K | loc: K | scale: K | logits: K |      (logits only with HAS_LOGITS)
 *
 * Draws: R. W. Bailey: Polar generation of random variates with the t-distribution, Mathematics of
 * Computation 62, 1994; random bits: Philox4x32-10, Salmon, Moraes, Dror, Shaw, SC 2011, as on the
 * CPU. */
#ifndef HAS_LOGITS
#define HAS_LOGITS 1
#endif

#define LEAST 1.1920929e-07f /* FLT_EPSILON */
#define WIDTH (n * (HAS_LOGITS ? 4 : 3))

struct draw_row {
    int param_row, series, override_row, sample, variate;
    uint key[2];
    int out_high, out_low, unused;
};

static inline float softplus(float x)
{
    return x > 20.0f ? x : log1p(exp(x));
}

static inline float at_least(float x)
{
    return x < LEAST ? LEAST : x;
}

/* The largest logit and the sum of exp(logit - most). */
static inline float2 softmax_of(global const float *logits, int n)
{
    float most = logits[0], sum = 0.0f;
    for (int k = 1; k < n; k++)
        most = logits[k] > most ? logits[k] : most;
    for (int k = 0; k < n; k++)
        sum += exp(logits[k] - most);
    return (float2)(most, sum);
}

static inline float prob_of(global const float *logits, int k, float2 softmax)
{
    return HAS_LOGITS ? exp(logits[k] - softmax.x) / softmax.y : 1.0f;
}

kernel void mixture_params(global const float *raw, ulong raw_at, global float *df, ulong df_at,
                           global float *loc, ulong loc_at, global float *scale, ulong scale_at,
                           global float *logits, ulong logits_at, global float *probs,
                           ulong probs_at, int n, int n_steps)
{
    int step = (int)get_global_id(0);
    if (step >= n_steps)
        return;
    ulong i = (ulong)get_global_id(1) * (ulong)n_steps + step, to = i * (ulong)n;
    raw += raw_at + i * (ulong)WIDTH;
    for (int k = 0; k < n; k++) {
        df[df_at + to + k] = 2.0f + at_least(softplus(raw[k]));
        loc[loc_at + to + k] = raw[n + k];
        scale[scale_at + to + k] = at_least(softplus(raw[2 * n + k]));
    }
#if HAS_LOGITS
    float2 softmax = softmax_of(raw + 3 * n, n);
    for (int k = 0; k < n; k++) {
        logits[logits_at + to + k] = raw[3 * n + k];
        probs[probs_at + to + k] = prob_of(raw + 3 * n, k, softmax);
    }
#endif
}

static inline uint4 philox(uint4 counter, uint2 key)
{
    for (int round = 0; round < 10; round++) {
        uint high0 = mul_hi(0xD2511F53u, counter.x), high1 = mul_hi(0xCD9E8D57u, counter.z);
        counter = (uint4)(high1 ^ counter.y ^ key.x, 0xCD9E8D57u * counter.z,
                          high0 ^ counter.w ^ key.y, 0xD2511F53u * counter.x);
        key += (uint2)(0x9E3779B9u, 0xBB67AE85u);
    }
    return counter;
}

/* (0, 1] */
static inline float uniform_open(uint bits)
{
    return ((float)bits + 0.5f) * 2.3283064365386963e-10f;
}

/* draws 0: the mixture's mean; 1: a draw. */
kernel void mixture_next(global const float *raw, ulong raw_at, global const float *loc,
                         ulong loc_at, global const float *scale, ulong scale_at,
                         global const int *rows, ulong rows_at, global const float *overrides,
                         ulong overrides_at, global const float *inject_u, ulong inject_u_at,
                         global const float *inject_t, ulong inject_t_at, global float *next,
                         ulong next_at, global float *out, ulong out_at, global int *flags,
                         ulong flags_at, int n, int n_steps, int patch, int n_out, ulong out_stride,
                         uint first_step, int draws)
{
    int step = (int)get_global_id(0);
    ulong i = (ulong)get_global_id(1);
    struct draw_row row = *((global const struct draw_row *)(rows + rows_at) + i);
    if (step >= n_steps || row.param_row < 0)
        return;
    ulong at = (ulong)row.param_row, place = at * (ulong)patch + step;
    raw += raw_at + (at * (ulong)n_steps + step) * (ulong)WIDTH;
    if (flags) {
        /* A NaN or an infinity times 0 is NaN, and any number times 0 is 0. */
        float zero = 0.0f;
        for (int k = 0; k < WIDTH; k++)
            zero += raw[k] * 0.0f;
        if (zero != 0.0f)
            flags[flags_at + row.series] = 1;
    }
    float value;
    if (row.override_row >= 0) {
        value = overrides[overrides_at + (ulong)row.override_row * (ulong)patch + step];
    } else {
        float2 softmax = HAS_LOGITS ? softmax_of(raw + 3 * n, n) : (float2)(0.0f);
        float y = 0.0f;
        if (draws) {
            float u, t, a = 0.0f, b = 0.0f;
            if (inject_u) {
                u = inject_u[inject_u_at + i * (ulong)patch + step];
            } else {
                uint4 bits = philox(
                    (uint4)(first_step + (uint)step, (uint)row.sample, (uint)row.variate, 0u),
                    (uint2)(row.key[0], row.key[1]));
                u = uniform_open(bits.x);
                a = uniform_open(bits.y);
                b = uniform_open(bits.z);
            }
            int k = 0;
            float cumulative = prob_of(raw + 3 * n, 0, softmax);
            while (k + 1 < n && cumulative <= u) {
                k++;
                cumulative += prob_of(raw + 3 * n, k, softmax);
            }
            float df = 2.0f + at_least(softplus(raw[k]));
            if (inject_u)
                t = inject_t[inject_t_at + i * (ulong)patch + step];
            else
                t = sqrt(df * expm1(-2.0f / df * log(a))) * cos(6.2831853071795865f * b);
            y = raw[n + k] + at_least(softplus(raw[2 * n + k])) * t;
        } else {
            for (int k = 0; k < n; k++)
                y += prob_of(raw + 3 * n, k, softmax) * raw[n + k];
        }
        value = y * scale[scale_at + place] + loc[loc_at + place];
        value = fabs(value) < 1.7014117e+38f ? value : 0.0f;
    }
    next[next_at + i * (ulong)patch + step] = value;
    if (out && step < n_out)
        out[out_at + ((ulong)(uint)row.out_high << 31) + (ulong)(uint)row.out_low +
            (ulong)step * out_stride] = value;
}
