/* Toto 2.0's quantiles in the units of the series: a work-group a row.
 *
 *      head     |step 0: q0 .. q8|step 1: q0 .. q8| ...    item i: steps i, i + GROUP, ...
 *
 * The largest and smallest finite value of each quantile come first, from all items; then each step
 * is made again, settled, clamped and sorted by one item. */
#define GROUP 64
#define QUANTILES 9

struct quantile_row {
    int head_row, scale_row, cap, out_row, out_step, feedback;
};

/* sinh; infinite only where the result is no float. */
static inline float sinh_of(float x)
{
    float a = fabs(x), e = expm1(a < 88.0f ? a : 0.0f), root = exp(0.5f * a);
    return copysign(a < 88.0f ? 0.5f * (e + e / (e + 1.0f)) : isnan(a) ? a : 0.5f * root * root, x);
}

static inline float value_of(float head, float loc, float scale)
{
    float spread = sinh_of(head) * scale;
    return spread + loc;
}

/* Ascending, NaN last. */
static inline void sort_nine(float *v)
{
#pragma unroll
    for (int i = 1; i < QUANTILES; i++)
#pragma unroll
        for (int j = 1; j <= QUANTILES - i; j++) {
            float a = v[j - 1], b = v[j];
            bool apart = a > b || (isnan(a) && !isnan(b));
            v[j - 1] = apart ? b : a;
            v[j] = apart ? a : b;
        }
}

kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void quantile_patch(
    global const float *head, ulong head_at, global const float *loc, ulong loc_at,
    global const float *scale, ulong scale_at, global const float *caps, ulong caps_at,
    global const int *rows, ulong rows_at, global float *out, ulong out_at, global float *values,
    ulong values_at, global uchar *mask, ulong mask_at, int patch, ulong out_width, float cap_k)
{
    local float mosts[QUANTILES][GROUP], leasts[QUANTILES][GROUP];
    int item = (int)get_local_id(0);
    struct quantile_row row =
        *((global const struct quantile_row *)(rows + rows_at) + get_group_id(1));
    if (row.head_row < 0)
        return;
    head += head_at + (ulong)row.head_row * (ulong)patch * QUANTILES;
    out += out_at + (ulong)row.out_row * QUANTILES * out_width + (ulong)row.out_step;
    float own_loc = loc[loc_at + row.scale_row], own_scale = scale[scale_at + row.scale_row];
    for (int q = 0; q < QUANTILES; q++) {
        float most = -INFINITY, least = INFINITY;
        for (int t = item; t < patch; t += GROUP) {
            float x = value_of(head[t * QUANTILES + q], own_loc, own_scale);
            most = isfinite(x) && x > most ? x : most;
            least = isfinite(x) && x < least ? x : least;
        }
        mosts[q][item] = most;
        leasts[q][item] = least;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item < QUANTILES)
        for (int i = 1; i < GROUP; i++) {
            mosts[item][0] = mosts[item][i] > mosts[item][0] ? mosts[item][i] : mosts[item][0];
            leasts[item][0] = leasts[item][i] < leasts[item][0] ? leasts[item][i] : leasts[item][0];
        }
    barrier(CLK_LOCAL_MEM_FENCE);
    float low = 0.0f, high = 0.0f;
    if (cap_k > 0.0f) {
        low = caps[caps_at + 2ul * (ulong)row.cap];
        high = caps[caps_at + 2ul * (ulong)row.cap + 1ul];
    }
    for (int t = item; t < patch; t += GROUP) {
        float v[QUANTILES];
#pragma unroll
        for (int q = 0; q < QUANTILES; q++) {
            float x = value_of(head[t * QUANTILES + q], own_loc, own_scale);
            if (isinf(x))
                x = x > 0.0f ? mosts[q][0] : leasts[q][0];
            if (cap_k > 0.0f) {
                x = x < low ? low : x;
                x = x > high ? high : x;
            }
            v[q] = x;
        }
        sort_nine(v);
#pragma unroll
        for (int q = 0; q < QUANTILES; q++)
            out[(ulong)q * out_width + t] = v[q];
        if (row.feedback >= 0) {
            values[values_at + (ulong)row.feedback + t] = v[QUANTILES / 2];
            mask[mask_at + (ulong)row.feedback + t] = 1;
        }
    }
}
