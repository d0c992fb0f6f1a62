/* Quantiles and mean of each row of samples; the row is sorted in place. A work-group a row.
 *
 * Sorting is K. E. Batcher's bitonic network in the form whose first step of each merge runs
 * mirrored, so that every comparator puts the smaller key at the smaller index:
 *
 *      0 --+-------------     a size-4 merge: 0 with 3, 1 with 2,
 *      1 --|-+--             then 0 with 1, 2 with 3
 *      2 --|-+--             Keys behind the end of the row would be the largest and
 *      3 --+-------------     stay where they are, so any length will do.
 *
 * Floats sort as unsigned keys: -0 before 0, NaN last. With -DSORT=n, a power of two and at least
 * the length, the row is sorted in local memory, else where it lies.
 * The mean is a sum of pairs of floats (48 bits), of values divided by 2^24 where it could
 * overflow. */
#ifndef GROUP
#define GROUP 64
#endif

struct quantile_position {
    int index;
    float fraction;
};

static inline uint key_of(uint bits)
{
    return bits ^ (bits & 0x80000000u ? 0xFFFFFFFFu : 0x80000000u);
}

static inline uint bits_of(uint key)
{
    return key ^ (key & 0x80000000u ? 0x80000000u : 0xFFFFFFFFu);
}

#ifdef SORT
#define KEYS local
#else
#define KEYS global
#endif

static inline void order(KEYS uint *keys, int a, int b, int n)
{
    if (b >= n)
        return;
    uint x = keys[a], y = keys[b];
    if (x > y) {
        keys[a] = y;
        keys[b] = x;
    }
}

kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void quantiles(
    global uint *samples, ulong samples_at, global const struct quantile_position *positions,
    ulong positions_at, global float *quantiles_out, ulong quantiles_at, global float *mean,
    ulong mean_at, int n, int n_quantiles, int n_rows)
{
    local float2 sums[GROUP];
    local float mosts[GROUP];
    int item = (int)get_local_id(0), row = (int)get_group_id(1);
    samples += samples_at + (ulong)row * (ulong)n;
    if (mean) {
        float most = 0.0f;
        for (int i = item; i < n; i += GROUP)
            most = fabs(as_float(samples[i])) > most ? fabs(as_float(samples[i])) : most;
        mosts[item] = most;
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int i = 0; i < GROUP; i++)
            most = mosts[i] > most ? mosts[i] : most;
        float unit = most > 1.2676506e+30f ? 5.9604645e-08f : 1.0f; /* 2^100, 2^-24 */
        float2 sum = (float2)(0.0f);
        for (int i = item; i < n; i += GROUP)
            sum = pair_add(sum, (float2)(as_float(samples[i]) * unit, 0.0f));
        sums[item] = sum;
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int half_size = GROUP / 2; half_size > 0; half_size /= 2) {
            if (item < half_size)
                sums[item] = pair_add(sums[item], sums[item + half_size]);
            barrier(CLK_LOCAL_MEM_FENCE);
        }
        if (item == 0)
            mean[mean_at + row] = pair_over(sums[0], (float)n).x / unit;
    }
#ifdef SORT
    local uint keys[SORT];
#else
    global uint *keys = samples;
#endif
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    for (int i = item; i < n; i += GROUP)
        keys[i] = key_of(samples[i]);
    int whole = 1;
    while (whole < n)
        whole *= 2;
    for (int size = 2; size <= whole; size *= 2) {
        barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
        for (int i = item; i < whole / 2; i += GROUP) {
            int merge = i / (size / 2), block = merge * size, j = i - merge * (size / 2);
            order(keys, block + j, block + size - 1 - j, n);
        }
        for (int half_size = size / 4; half_size > 0; half_size /= 2) {
            barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
            for (int i = item; i < whole / 2; i += GROUP) {
                int a = i + i / half_size * half_size;
                order(keys, a, a + half_size, n);
            }
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    for (int i = item; i < n; i += GROUP)
        samples[i] = bits_of(keys[i]);
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    if (!quantiles_out)
        return;
    for (int i = item; i < n_quantiles; i += GROUP) {
        struct quantile_position position =
            *((global const struct quantile_position *)((global const int *)positions +
                                                        positions_at) +
              i);
        float value = as_float(samples[position.index]);
        if (position.fraction != 0.0f)
            value += position.fraction * (as_float(samples[position.index + 1]) - value);
        quantiles_out[quantiles_at + (ulong)i * (ulong)n_rows + row] = value;
    }
}
