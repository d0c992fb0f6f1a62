/* Splits a projection into heads, norms, scales and rotates q and k, and puts k and v into the
 * cache. An item makes the dims 2i and 2i + 1 of one head of one part of one row; the last of an
 * odd number of dims is alone.
 *
 *     z row   | q: H h columns | k: G h columns | v: G e columns |     (the parts that there are)
 *     head k of n, dim d of m stands in column d n + k (HEAD_INNER) or k m + d */
#ifndef HEAD_NORM
#define HEAD_NORM 0
#endif

struct token_row {
    int position, center, slot, unused;
};

/* q_width, k_width, v_width: columns of each part, 0: it is not there. */
kernel void split_qkv(global const stored *z, ulong z_at, global const int *rows, ulong rows_at,
                      global const float *q_norm, ulong q_norm_at, global const float *k_norm,
                      ulong k_norm_at, global const float *q_scale, ulong q_scale_at,
                      global const float *cos_sin, ulong cos_sin_at, global const float *xpos,
                      ulong xpos_at, global stored *q, ulong q_at, global stored *keys,
                      ulong keys_at, global stored *values, ulong values_at, int q_width,
                      int k_width, int v_width, int head_dim, int value_dim, int head_inner,
                      int max_offset, int rotary_dims, float norm_eps)
{
    int pair = (int)get_global_id(0), row = (int)get_global_id(1),
        columns = q_width + k_width + v_width;
    int head_pairs = (head_dim + 1) / 2, value_pairs = (value_dim + 1) / 2;
    int q_pairs = q_width / head_dim * head_pairs, k_pairs = k_width / head_dim * head_pairs;
    struct token_row token = *((global const struct token_row *)(rows + rows_at) + row);
    if (pair >= q_pairs + k_pairs + v_width / value_dim * value_pairs || token.slot < 0)
        return;
    bool is_q = pair < q_pairs, is_v = pair >= q_pairs + k_pairs;
    int first = is_q ? 0 : is_v ? q_width + k_width : q_width;
    int width = is_q ? q_width : is_v ? v_width : k_width, dim = is_v ? value_dim : head_dim;
    pair -= is_q ? 0 : is_v ? q_pairs + k_pairs : q_pairs;
    int n = width / dim, head = pair / ((dim + 1) / 2), d = 2 * (pair % ((dim + 1) / 2));
    int step = head_inner ? n : 1; /* between dims of a head */
    bool both = d + 1 < dim;
    z += z_at + (ulong)row * (ulong)columns + first + (head_inner ? head : head * dim);
    float even = load1(z + d * step), odd = both ? load1(z + (d + 1) * step) : 0.0f;
#if HEAD_NORM
    if (!is_v) {
        global const float *norm = is_q ? q_norm : k_norm;
        ulong norm_at = is_q ? q_norm_at : k_norm_at;
        float sum = 0.0f;
        for (int i = 0; i < dim; i++) {
            float value = load1(z + i * step);
            sum = MAD(value, value, sum);
        }
        float root = sqrt(sum / (float)dim + norm_eps);
        even = even / root * (norm ? norm[norm_at + d] : 1.0f);
        odd = odd / root * (norm && both ? norm[norm_at + d + 1] : 1.0f);
    }
#endif
    if (is_q && q_scale) {
        even *= q_scale[q_scale_at + d];
        odd *= both ? q_scale[q_scale_at + d + 1] : 1.0f;
    }
    if (cos_sin && !is_v && d < rotary_dims) {
        global const float *angle =
            cos_sin + cos_sin_at + (ulong)token.position * (ulong)rotary_dims + d;
        float turned = even * angle[0] - odd * angle[1], other = odd * angle[0] + even * angle[1];
        even = turned;
        odd = other;
        if (xpos) {
            xpos += xpos_at +
                    (ulong)(token.position - token.center + max_offset) * (ulong)rotary_dims + d;
            even = is_q ? turned * xpos[0] : turned / xpos[0];
            odd = is_q ? other * xpos[1] : other / xpos[1];
        }
    }
    global stored *out =
        is_q ? q + q_at + (ulong)row * (ulong)width
             : (is_v ? values + values_at : keys + keys_at) + (ulong)token.slot * (ulong)width;
    store1(even, out + head * dim + d);
    if (both)
        store1(odd, out + head * dim + d + 1);
}
