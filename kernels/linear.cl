/* out = alpha (W x + bias) + beta residual, or silu_gain silu(alpha (W x + bias)) where silu_gain
 * is not 0; W [outs, K] and x [rows, K] both with k fastest; with -DSWIGLU
 * out = silu(a) c of [a; c] = alpha (W x + bias), a and c of n_out rows each.
 *
 * linear_tile, for many rows: a work-group makes a tile of BM rows x BN outs. Slices of BK of both
 * matrices go through local memory, k slowest there; the next slice travels from global memory
 * while this one is used.
 *
 *                 BN outs (SWIGLU: BN/2 of a, then those of c)
 *              +----+----+----+----+      item (ty, tx) has rows 4 ty + j + g BM / (TM/4) and outs
 *      BM rows |    |    | ty,tx   |      4 tx + j + g BN / (TN/4), j < 4: 16-byte accesses,
 *              |    |    |    |    |      and both halves of a SwiGLU pair in one item
 *              +----+----+----+----+
 *    Each sum is one chain k = 0, 1, 2, ..., so all tile sizes give the same bytes.
 *
 * linear_rows, for few rows: a work-group makes NT outs of RT rows, its items share K.
 *
 *      w row  |0 1 2 3|4 5 6 7| ... |   item i takes k = 4i .. 4i + 3, then 4 (i + ROWS_GROUP) ...;
 *                                       its sum joins the others' in one fixed tree, any RT, NT
 *
 * VEC 1: K, n_out and every offset divide by 4. OUT_F32: out and residual are float, whatever is
 * stored. */
#ifndef BM
#define BM 64 /* rows of a tile */
#endif
#ifndef BN
#define BN 64 /* outs of a tile */
#endif
#ifndef BK
#define BK 16 /* of K in local memory at once */
#endif
#ifndef TM
#define TM 8 /* rows of an item */
#endif
#ifndef TN
#define TN 8 /* outs of an item */
#endif
#ifndef NT
#define NT 4 /* outs of a group of linear_rows; even */
#endif
/* RT: rows of a group of linear_rows; where it is given that kernel is built, else linear_tile. */
#ifndef VEC
#define VEC 0
#endif
#define ROWS_GROUP 64

#ifdef OUT_F32
typedef float result;
static inline float result_load(global const result *p) { return *p; }
static inline void result_store(float x, global result *p) { *p = x; }
static inline void result_store4(float4 x, global result *p) { *(global float4 *)p = x; }
#else
typedef stored result;
static inline float result_load(global const result *p) { return load1(p); }
static inline void result_store(float x, global result *p) { store1(x, p); }
static inline void result_store4(float4 x, global result *p) { store4(x, p); }
#endif

/* Elements k .. k + 3 of a row of n, zeros behind its end. */
static inline float4 quad_load(global const stored *p, int k, int n)
{
#if VEC
    return k < n ? load4(p + k) : (float4)(0.0f);
#else
    float4 x = (float4)(0.0f);
    if (k < n)
        x.x = load1(p + k);
    if (k + 1 < n)
        x.y = load1(p + k + 1);
    if (k + 2 < n)
        x.z = load1(p + k + 2);
    if (k + 3 < n)
        x.w = load1(p + k + 3);
    return x;
#endif
}

static inline float gained(float y, float silu_gain)
{
    return silu_gain != 0.0f ? y / (1.0f + exp(-y)) * silu_gain : y;
}

static inline float silu_product(float a, float c, int silu_second)
{
    float gate = silu_second ? c : a, other = silu_second ? a : c;
    return gate / (1.0f + exp(-gate)) * other;
}

#ifndef RT
/* ---- Many rows ------------------------------------------------------------------------------- */

#define TX (BN / TN)
#define TY (BM / TM)
#define TILE_GROUP (TX * TY)
#define LDA (BM + 4)
#define LDB (BN + 4)
#define LOADS_A (BM * BK / 4 / TILE_GROUP)
#define LOADS_B (BN * BK / 4 / TILE_GROUP)
#ifdef SWIGLU
#define OUT_TILE (BN / 2)
#else
#define OUT_TILE BN
#endif

#define FETCH(k) \
    UNROLL for (int i = 0; i < LOADS_A; i++) \
        next_a[i] = quad_load(x + from_a[i], (k) + quad, n_in); \
    UNROLL for (int i = 0; i < LOADS_B; i++) \
        next_b[i] = quad_load(w + from_b[i], (k) + quad, n_in);

#define PLACE \
    UNROLL for (int i = 0; i < LOADS_A; i++) { \
        local float *to = tile_a + quad * LDA + first + i * (TILE_GROUP * 4 / BK); \
        to[0] = next_a[i].x; to[LDA] = next_a[i].y; \
        to[2 * LDA] = next_a[i].z; to[3 * LDA] = next_a[i].w; \
    } \
    UNROLL for (int i = 0; i < LOADS_B; i++) { \
        local float *to = tile_b + quad * LDB + first + i * (TILE_GROUP * 4 / BK); \
        to[0] = next_b[i].x; to[LDB] = next_b[i].y; \
        to[2 * LDB] = next_b[i].z; to[3 * LDB] = next_b[i].w; \
    }

kernel __attribute__((reqd_work_group_size(TILE_GROUP, 1, 1)))
void linear_tile(
    global const stored *x, ulong x_at, global const stored *w, ulong w_at,
    global const float *bias, ulong bias_at, global const result *residual, ulong residual_at,
    global result *out, ulong out_at, int n_in, int n_out, int n_rows, float alpha, float beta,
    float silu_gain, int silu_second)
{
    local float tile_a[BK * LDA] __attribute__((aligned(16)));
    local float tile_b[BK * LDB] __attribute__((aligned(16)));
    int item = (int)get_local_id(0);
    /* 32 neighbours make a block of 4 x 8 items: fewer reads of local memory are apart. */
#if TX % 8 == 0 && TY % 4 == 0
    int tx = item / 32 % (TX / 8) * 8 + item % 8, ty = item / 32 / (TX / 8) * 4 + item % 32 / 8;
#else
    int tx = item % TX, ty = item / TX;
#endif
    int row0 = (int)get_group_id(1) * BM, out0 = (int)get_group_id(0) * OUT_TILE;
    int first = item / (BK / 4), quad = item % (BK / 4) * 4;
    ulong from_a[LOADS_A], from_b[LOADS_B];
    float4 next_a[LOADS_A], next_b[LOADS_B];
    float sum[TM][TN];
    x += x_at;
    w += w_at;
    /* Rows and outs past the end read the last one, and are not stored. */
    UNROLL
    for (int i = 0; i < LOADS_A; i++)
        from_a[i] = (ulong)min(row0 + first + i * (TILE_GROUP * 4 / BK), n_rows - 1) * (ulong)n_in;
    UNROLL
    for (int i = 0; i < LOADS_B; i++) {
        int at = first + i * (TILE_GROUP * 4 / BK);
#ifdef SWIGLU
        at = at < OUT_TILE ? min(out0 + at, n_out - 1)
                           : n_out + min(out0 + at - OUT_TILE, n_out - 1);
#else
        at = min(out0 + at, n_out - 1);
#endif
        from_b[i] = (ulong)at * (ulong)n_in;
    }
    UNROLL
    for (int i = 0; i < TM; i++)
        UNROLL
        for (int j = 0; j < TN; j++)
            sum[i][j] = 0.0f;

    FETCH(0)
    for (int k0 = 0; k0 < n_in; k0 += BK) {
        PLACE
        barrier(CLK_LOCAL_MEM_FENCE);
        if (k0 + BK < n_in) {
            FETCH(k0 + BK)
        }
        UNROLL
        for (int k = 0; k < BK; k++) {
            float4 xs[TM / 4], ws[TN / 4];
            UNROLL
            for (int g = 0; g < TM / 4; g++)
                xs[g] = *(local const float4 *)(tile_a + k * LDA + g * (TY * 4) + ty * 4);
            UNROLL
            for (int g = 0; g < TN / 4; g++)
                ws[g] = *(local const float4 *)(tile_b + k * LDB + g * (TX * 4) + tx * 4);
            UNROLL
            for (int g = 0; g < TM / 4; g++)
                UNROLL
                for (int h = 0; h < TN / 4; h++) {
                    float xr[4] = {xs[g].x, xs[g].y, xs[g].z, xs[g].w};
                    UNROLL
                    for (int i = 0; i < 4; i++) {
                        sum[4 * g + i][4 * h] = MAD(xr[i], ws[h].x, sum[4 * g + i][4 * h]);
                        sum[4 * g + i][4 * h + 1] = MAD(xr[i], ws[h].y, sum[4 * g + i][4 * h + 1]);
                        sum[4 * g + i][4 * h + 2] = MAD(xr[i], ws[h].z, sum[4 * g + i][4 * h + 2]);
                        sum[4 * g + i][4 * h + 3] = MAD(xr[i], ws[h].w, sum[4 * g + i][4 * h + 3]);
                    }
                }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }

    out += out_at;
    UNROLL
    for (int i = 0; i < TM; i++) {
        int row = row0 + i / 4 * (TY * 4) + ty * 4 + i % 4;
        if (row >= n_rows)
            continue;
#ifdef SWIGLU
        UNROLL
        for (int h = 0; h < TN / 8; h++) {
            int o = out0 + h * (TX * 4) + tx * 4;
            float y[4];
            UNROLL
            for (int j = 0; j < 4; j++) {
                float a = sum[i][4 * h + j], c = sum[i][TN / 2 + 4 * h + j];
                int at = min(o + j, n_out - 1);
                a = alpha * (bias ? a + bias[bias_at + at] : a);
                c = alpha * (bias ? c + bias[bias_at + n_out + at] : c);
                y[j] = silu_product(a, c, silu_second);
            }
#else
        UNROLL
        for (int h = 0; h < TN / 4; h++) {
            int o = out0 + h * (TX * 4) + tx * 4;
            float y[4];
            UNROLL
            for (int j = 0; j < 4; j++) {
                int at = min(o + j, n_out - 1);
                y[j] = alpha * (bias ? sum[i][4 * h + j] + bias[bias_at + at] : sum[i][4 * h + j]);
                y[j] = gained(y[j], silu_gain);
                if (residual)
                    y[j] = MAD(beta,
                               result_load(residual + residual_at + (ulong)row * (ulong)n_out + at),
                               y[j]);
            }
#endif
            global result *to = out + (ulong)row * (ulong)n_out + o;
#if VEC
            if (o < n_out)
                result_store4((float4)(y[0], y[1], y[2], y[3]), to);
#else
            UNROLL
            for (int j = 0; j < 4; j++)
                if (o + j < n_out)
                    result_store(y[j], to + j);
#endif
        }
    }
}

#else
/* ---- Few rows -------------------------------------------------------------------------------- */

#ifdef SWIGLU
#define ROWS_OUTS (NT / 2)
#else
#define ROWS_OUTS NT
#endif

kernel __attribute__((reqd_work_group_size(ROWS_GROUP, 1, 1)))
void linear_rows(
    global const stored *x, ulong x_at, global const stored *w, ulong w_at,
    global const float *bias, ulong bias_at, global const result *residual, ulong residual_at,
    global result *out, ulong out_at, int n_in, int n_out, int n_rows, float alpha, float beta,
    float silu_gain, int silu_second)
{
    local float parts[NT * RT][ROWS_GROUP + 1];
    local float halves[NT * RT][2];
    int item = (int)get_local_id(0);
    int row0 = (int)get_group_id(1) * RT, out0 = (int)get_group_id(0) * ROWS_OUTS;
    float sum[NT][RT];
    global const stored *from_x[RT], *from_w[NT];
    UNROLL
    for (int r = 0; r < RT; r++)
        from_x[r] = x + x_at + (ulong)min(row0 + r, n_rows - 1) * (ulong)n_in;
    UNROLL
    for (int o = 0; o < NT; o++) {
#ifdef SWIGLU
        int at = min(out0 + o % ROWS_OUTS, n_out - 1) + o / ROWS_OUTS * n_out;
#else
        int at = min(out0 + o, n_out - 1);
#endif
        from_w[o] = w + w_at + (ulong)at * (ulong)n_in;
        UNROLL
        for (int r = 0; r < RT; r++)
            sum[o][r] = 0.0f;
    }
#pragma unroll 2
    for (int k = item * 4; k < n_in; k += ROWS_GROUP * 4) {
        float4 ws[NT];
        UNROLL
        for (int o = 0; o < NT; o++)
            ws[o] = quad_load(from_w[o], k, n_in);
        UNROLL
        for (int r = 0; r < RT; r++) {
            float4 xs = quad_load(from_x[r], k, n_in);
            UNROLL
            for (int o = 0; o < NT; o++)
                sum[o][r] = MAD4(ws[o], xs, sum[o][r]);
        }
    }
    UNROLL
    for (int o = 0; o < NT; o++)
        UNROLL
        for (int r = 0; r < RT; r++)
            parts[o * RT + r][item] = sum[o][r];
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = item; i < 2 * NT * RT; i += ROWS_GROUP) {
        int which = i / (NT * RT), at = i - which * (NT * RT);
        local const float *part = &parts[at][which * (ROWS_GROUP / 2)];
        float4 four = (float4)(0.0f);
        UNROLL
        for (int j = 0; j < ROWS_GROUP / 2; j += 4)
            four += (float4)(part[j], part[j + 1], part[j + 2], part[j + 3]);
        halves[at][which] = (four.x + four.y) + (four.z + four.w);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = item; i < ROWS_OUTS * RT; i += ROWS_GROUP) {
        int r = i / ROWS_OUTS, at_out = i - r * ROWS_OUTS, at = at_out * RT + r;
        int o = out0 + at_out, row = row0 + r;
        if (o >= n_out || row >= n_rows)
            continue;
        float y = halves[at][0] + halves[at][1];
        y = alpha * (bias ? y + bias[bias_at + o] : y);
#ifdef SWIGLU
        float c = halves[ROWS_OUTS * RT + at][0] + halves[ROWS_OUTS * RT + at][1];
        c = alpha * (bias ? c + bias[bias_at + n_out + o] : c);
        y = silu_product(y, c, silu_second);
#else
        y = gained(y, silu_gain);
        if (residual)
            y = MAD(beta, result_load(residual + residual_at + (ulong)row * (ulong)n_out + o), y);
#endif
        result_store(y, out + out_at + (ulong)row * (ulong)n_out + o);
    }
}
#endif
