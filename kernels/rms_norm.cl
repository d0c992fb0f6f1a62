/* out = x / sqrt(mean(x^2) + eps) * scale, a row a work-group.
 *
 *     row   |0 1 2 ... 63|0 1 2 ... 63|...   item i sums the squares of i, i + GROUP, ...;
 *                                            a tree over the items adds the sums up */
#ifndef GROUP
#define GROUP 64 /* items a row */
#endif

kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void rms_norm(global const stored *x, ulong x_at, global const float *scale, ulong scale_at,
              global stored *out, ulong out_at, int width, float eps)
{
    local float sums[GROUP];
    int item = (int)get_local_id(0);
    ulong row = (ulong)get_group_id(1) * (ulong)width;
    x += x_at + row;
    out += out_at + row;
    float sum = 0.0f;
    for (int i = item; i < width; i += GROUP) {
        float value = load1(x + i);
        sum = MAD(value, value, sum);
    }
    sums[item] = sum;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int half_size = GROUP / 2; half_size > 0; half_size /= 2) {
        if (item < half_size)
            sums[item] += sums[item + half_size];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    float root = sqrt(sums[0] / (float)width + eps);
    for (int i = item; i < width; i += GROUP) {
        float value = load1(x + i) / root;
        store1(scale ? value * scale[scale_at + i] : value, out + i);
    }
}
