/* Folds the heads into the unembedding:
 * out[s C + c, :] = sum_d heads[c, d] unembed[s D + d, :].
 *
 *                 64 columns, one an item
 *               +-----------------------+      rows of the unembedding stream past; HEADS x DEPTH
 *     HEADS c   | item i: column i, all |      heads wait in local memory, and every item reads the
 *               | HEADS sums            |      same one of them at a time
 *               +-----------------------+      each sum is one chain d = 0, 1, 2, ...
 *
 * and bias[s C + c] = sum_d heads[c, d] unembed_bias[s D + d] + heads_bias[c], summed in pairs of
 * floats. */
#define COLUMNS 64
#ifndef HEADS
#define HEADS 16 /* sums of an item; divides by 4 */
#endif
#define DEPTH 32

kernel __attribute__((reqd_work_group_size(COLUMNS, 1, 1)))
void fold(global const stored *heads, global const stored *unembed, global stored *out,
          int n_heads, int depth, int n_in)
{
    local float4 tile[DEPTH][HEADS / 4];
    int item = (int)get_local_id(0), column = (int)get_group_id(0) * COLUMNS + item;
    int strips = (n_heads + HEADS - 1) / HEADS;
    int step = (int)get_group_id(1) / strips, first = (int)get_group_id(1) % strips * HEADS;
    float4 sum[HEADS / 4];
    for (int i = 0; i < HEADS / 4; i++)
        sum[i] = (float4)(0.0f);
    unembed += (ulong)step * (ulong)depth * (ulong)n_in + min(column, n_in - 1);
    for (int d0 = 0; d0 < depth; d0 += DEPTH) {
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int i = item; i < DEPTH * HEADS; i += COLUMNS) {
            int d = i % DEPTH, c = i / DEPTH;
            ((local float *)tile)[d * HEADS + c] =
                d0 + d < depth && first + c < n_heads
                    ? load1(heads + (ulong)(first + c) * (ulong)depth + d0 + d)
                    : 0.0f;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        int rows = min(DEPTH, depth - d0);
        for (int d = 0; d < rows; d++) {
            float value = load1(unembed + (ulong)(d0 + d) * (ulong)n_in);
#pragma unroll
            for (int i = 0; i < HEADS / 4; i++) {
                float4 head = tile[d][i];
                sum[i].x = MAD(head.x, value, sum[i].x);
                sum[i].y = MAD(head.y, value, sum[i].y);
                sum[i].z = MAD(head.z, value, sum[i].z);
                sum[i].w = MAD(head.w, value, sum[i].w);
            }
        }
    }
    if (column >= n_in)
        return;
    out += ((ulong)step * (ulong)n_heads + first) * (ulong)n_in + column;
#pragma unroll
    for (int i = 0; i < HEADS / 4; i++) {
        if (first + 4 * i < n_heads)
            store1(sum[i].x, out + (ulong)(4 * i) * (ulong)n_in);
        if (first + 4 * i + 1 < n_heads)
            store1(sum[i].y, out + (ulong)(4 * i + 1) * (ulong)n_in);
        if (first + 4 * i + 2 < n_heads)
            store1(sum[i].z, out + (ulong)(4 * i + 2) * (ulong)n_in);
        if (first + 4 * i + 3 < n_heads)
            store1(sum[i].w, out + (ulong)(4 * i + 3) * (ulong)n_in);
    }
}

kernel void fold_bias(global const stored *heads, global const float *unembed_bias,
                      ulong unembed_bias_at, global const float *heads_bias, ulong heads_bias_at,
                      global float *bias, ulong bias_at, int n_heads, int depth, int n_steps)
{
    int i = (int)get_global_id(0), step = i / n_heads, c = i - step * n_heads;
    if (step >= n_steps)
        return;
    float2 sum = (float2)(heads_bias ? heads_bias[heads_bias_at + c] : 0.0f, 0.0f);
    heads += (ulong)c * (ulong)depth;
    unembed_bias += unembed_bias ? unembed_bias_at + (ulong)step * (ulong)depth : 0ul;
    for (int d = 0; unembed_bias && d < depth; d++)
        sum = pair_add(sum, pair_times((float2)(load1(heads + d), 0.0f),
                                       (float2)(unembed_bias[d], 0.0f)));
    bias[bias_at + i] = sum.x + sum.y;
}
