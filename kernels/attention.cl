/* out = softmax(q k scale) v over the keys that a row sees: spans a and b, keys first + i * stride,
 * i < count.
 *
 *     work-group: ROWS rows x one head, an item a row        keys: tiles of KEYS
 *
 *       item r:  q[r] and out[r] in registers          tile   |k0 k1 ... k7|k8 ...
 *                running maximum and sum               of a span, from its start, so that a
 *                (online softmax)                      row's sums depend on the row alone
 *
 * Neighbouring rows that start at the same key (the samples of a series, the patches of a context)
 * read each tile once, into local memory; other rows, and span b, read keys for themselves.
 * Milakov and Gimelshein: Online normalizer calculation for softmax, 2018. */
#ifndef HEAD_DIM
#define HEAD_DIM 64 /* divides by 4 with VEC */
#endif
#ifndef VALUE_DIM
#define VALUE_DIM HEAD_DIM
#endif
#ifndef VEC
#define VEC 0 /* 1: every offset divides by 4 */
#endif
#define ROWS 64
#ifndef KEYS
#define KEYS 8 /* of a tile */
#endif
#define SHARED_LEAST 4 /* rows for which a tile in local memory pays */

#define QUADS ((HEAD_DIM + 3) / 4)
#define VALUE_QUADS ((VALUE_DIM + 3) / 4)

struct attention_row {
    int first_a, count_a, first_b, count_b, stride, group;
};

/* Elements 4i .. 4i + 3 of the n of a head, zeros behind its end. */
static inline float4 quad_load(global const stored *p, int i, int n)
{
#if VEC
    return load4(p + 4 * i);
#else
    float4 x = (float4)(0.0f);
    x.x = load1(p + 4 * i);
    if (4 * i + 1 < n)
        x.y = load1(p + 4 * i + 1);
    if (4 * i + 2 < n)
        x.z = load1(p + 4 * i + 2);
    if (4 * i + 3 < n)
        x.w = load1(p + 4 * i + 3);
    return x;
#endif
}

/* The scores of a tile, of which those in `seen` count, become weights, and what was summed before
 * shrinks. */
#define WEIGHTS_MAKE                                                                               \
    {                                                                                              \
        float most = maximum;                                                                      \
        UNROLL for (int j = 0; j < KEYS; j++)                                                      \
            if (seen >> j & 1u)                                                                    \
                most = score[j] > most ? score[j] : most;                                          \
        float shrink = sum == 0.0f ? 0.0f : exp(maximum - most);                                   \
        maximum = most;                                                                            \
        sum *= shrink;                                                                             \
        UNROLL for (int i = 0; i < VALUE_QUADS; i++) total[i] *= shrink;                           \
        UNROLL for (int j = 0; j < KEYS; j++)                                                      \
            if (seen >> j & 1u) {                                                                  \
                score[j] = exp(score[j] - most);                                                   \
                sum += score[j];                                                                   \
            }                                                                                      \
    }

#define DOT(key, j)                                                                                \
    {                                                                                              \
        float4 products = (float4)(0.0f);                                                          \
        UNROLL for (int i = 0; i < QUADS; i++)                                                     \
        {                                                                                          \
            float4 k = key;                                                                        \
            products.x = MAD(query[i].x, k.x, products.x);                                         \
            products.y = MAD(query[i].y, k.y, products.y);                                         \
            products.z = MAD(query[i].z, k.z, products.z);                                         \
            products.w = MAD(query[i].w, k.w, products.w);                                         \
        }                                                                                          \
        score[j] = ((products.x + products.y) + (products.z + products.w)) * scale;                \
    }

#define ADD(value, j)                                                                              \
    UNROLL for (int i = 0; i < VALUE_QUADS; i++)                                                   \
    {                                                                                              \
        float4 v = value;                                                                          \
        total[i].x = MAD(score[j], v.x, total[i].x);                                               \
        total[i].y = MAD(score[j], v.y, total[i].y);                                               \
        total[i].z = MAD(score[j], v.z, total[i].z);                                               \
        total[i].w = MAD(score[j], v.w, total[i].w);                                               \
    }

kernel __attribute__((reqd_work_group_size(ROWS, 1, 1)))
void attention(
    global const stored *q, ulong q_at, global const stored *keys, ulong keys_at,
    global const stored *values, ulong values_at, global const int *rows, ulong rows_at,
    global const int *groups, ulong groups_at, global stored *out, ulong out_at, int n_rows,
    int n_heads, int n_groups, int run, float scale)
{
    local float4 tile_keys[KEYS * QUADS], tile_values[KEYS * VALUE_QUADS];
    local int firsts[ROWS], strides[ROWS], row_groups[ROWS], counts[ROWS];
    local uint begins[2];     /* bit r: row r starts a stretch of rows that share span a */
    int item = (int)get_local_id(0), row0 = (int)get_group_id(0) * ROWS, row = row0 + item;
    int head = (int)get_group_id(1), shared_head = head * n_groups / n_heads;
    int k_width = n_groups * HEAD_DIM, v_width = n_groups * VALUE_DIM;
    int n = min(ROWS, n_rows - row0);
    float4 query[QUADS], total[VALUE_QUADS];
    float score[KEYS], maximum = -INFINITY, sum = 0.0f;
    struct attention_row own = {0, 0, 0, 0, 1, 0};
    if (row < n_rows)
        own = *((global const struct attention_row *)(rows + rows_at) + row);
    q += q_at + ((ulong)min(row, n_rows - 1) * (ulong)n_heads + head) * (ulong)HEAD_DIM;
    keys += keys_at + shared_head * HEAD_DIM;
    values += values_at + shared_head * VALUE_DIM;
    if (groups)
        groups += groups_at;
    UNROLL
    for (int i = 0; i < QUADS; i++)
        query[i] = quad_load(q, i, HEAD_DIM);
    UNROLL
    for (int i = 0; i < VALUE_QUADS; i++)
        total[i] = (float4)(0.0f);

    /* Stretches of rows that share span a. */
    if (item < 2)
        begins[item] = 0u;
    firsts[item] = own.first_a;
    strides[item] = own.stride;
    row_groups[item] = own.group;
    counts[item] = own.count_a;
    barrier(CLK_LOCAL_MEM_FENCE);
    bool begin = item == 0 || (run > 1 && row % run == 0);
    if (!begin && run == 1)
        begin = firsts[item] != firsts[item - 1] || strides[item] != strides[item - 1] ||
                (groups && row_groups[item] != row_groups[item - 1]);
    if (begin)
        atomic_or(&begins[item / 32], 1u << item % 32);
    barrier(CLK_LOCAL_MEM_FENCE);

    bool alone = true;
    for (int r = 0, end; r < n; r = end) {
        for (end = r + 1; end < n && !(begins[end / 32] >> end % 32 & 1u); end++)
            ;
        bool mine = item >= r && item < end;
        int first = firsts[r], stride = strides[r];
        int count = 0; /* a stretch of a few rows is left to them */
        for (int i = r; i < end && end - r >= SHARED_LEAST; i++)
            count = max(count, counts[i]);
        for (int j0 = 0; j0 < count; j0 += KEYS) {
            barrier(CLK_LOCAL_MEM_FENCE);
            for (int i = item; i < KEYS * QUADS; i += ROWS) {
                int key = i / QUADS, j = j0 + key;
                if (j < count)
                    tile_keys[i] = quad_load(keys + (ulong)(first + j * stride) * (ulong)k_width,
                                             i - key * QUADS, HEAD_DIM);
            }
            for (int i = item; i < KEYS * VALUE_QUADS; i += ROWS) {
                int key = i / VALUE_QUADS, j = j0 + key;
                if (j < count)
                    tile_values[i] =
                        quad_load(values + (ulong)(first + j * stride) * (ulong)v_width,
                                  i - key * VALUE_QUADS, VALUE_DIM);
            }
            barrier(CLK_LOCAL_MEM_FENCE);
            int left = mine ? min(own.count_a - j0, KEYS) : 0;
            uint seen = left > 0 ? (1u << left) - 1u : 0u;
            if (groups)
                for (int j = 0; j < left; j++)
                    if (groups[first + (j0 + j) * stride] != own.group)
                        seen &= ~(1u << j);
            if (seen) {
                UNROLL
                for (int j = 0; j < KEYS; j++)
                    if (seen >> j & 1u)
                        DOT(tile_keys[j * QUADS + i], j)
                WEIGHTS_MAKE
                UNROLL
                for (int j = 0; j < KEYS; j++)
                    if (seen >> j & 1u)
                        ADD(tile_values[j * VALUE_QUADS + i], j)
            }
        }
        alone = alone && !(mine && end - r >= SHARED_LEAST);
    }

    /* Keys that a row reads for itself: span a where it is not shared, then span b. */
    for (int span = alone ? 0 : 1; span < 2; span++) {
        int first = span ? own.first_b : own.first_a, count = span ? own.count_b : own.count_a;
        for (int j0 = 0; j0 < count; j0 += KEYS) {
            uint seen = (1u << min(count - j0, KEYS)) - 1u;
            if (groups)
                for (int j = 0; j < KEYS && j0 + j < count; j++)
                    if (groups[first + (j0 + j) * own.stride] != own.group)
                        seen &= ~(1u << j);
            if (!seen)
                continue;
            UNROLL
            for (int j = 0; j < KEYS; j++)
                if (seen >> j & 1u) {
                    global const stored *key =
                        keys + (ulong)(first + (j0 + j) * own.stride) * (ulong)k_width;
                    DOT(quad_load(key, i, HEAD_DIM), j)
                }
            WEIGHTS_MAKE
            UNROLL
            for (int j = 0; j < KEYS; j++)
                if (seen >> j & 1u) {
                    global const stored *value =
                        values + (ulong)(first + (j0 + j) * own.stride) * (ulong)v_width;
                    ADD(quad_load(value, i, VALUE_DIM), j)
                }
        }
    }

    if (row >= n_rows)
        return;
    out += out_at + ((ulong)row * (ulong)n_heads + head) * (ulong)VALUE_DIM;
    UNROLL
    for (int i = 0; i < VALUE_QUADS; i++) {
        float4 y = sum == 0.0f ? (float4)(0.0f) : total[i] / sum;
#if VEC
        store4(y, out + 4 * i);
#else
        store1(y.x, out + 4 * i);
        if (4 * i + 1 < VALUE_DIM)
            store1(y.y, out + 4 * i + 1);
        if (4 * i + 2 < VALUE_DIM)
            store1(y.z, out + 4 * i + 2);
        if (4 * i + 3 < VALUE_DIM)
            store1(y.w, out + 4 * i + 3);
#endif
    }
}
