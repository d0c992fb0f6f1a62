/* The inner loops, written once in vectors of LANES floats. A variant's file defines, then includes
 * this:
 *
 *   TARGET      function attribute that switches its instructions on
 *   LANES       floats in a vector
 *   VFMA(a,b,c) a b + c of vectors, fused or not
 *   SFMA(a,b,c) the same of single floats, rounded alike
 *   DOT_ROWS, DOT_OUTS     register tile of dots: rows x outs, one accumulator vector each
 *   GEMM_ROWS, GEMM_VECS   register tile of gemm_add: rows x vectors of columns
 *   WIDEN_F16(src, out)    one vector of F16, or undefined if there is no instruction for it
 *   VARIANT_NAME, VARIANT  its name, and that of its struct
 *
 * Tile sizes never show in results: a dot product has one accumulator vector along k, the last
 * partial vector padded with zeros, and one order of adding its lanes; a gemm_add element is one
 * chain along k. */
#include <math.h>
#include <string.h>

#include "kernels.h"

typedef float vf __attribute__((vector_size(LANES * 4)));
typedef int32_t vi __attribute__((vector_size(LANES * 4)));

/* Loops over a register tile must be unrolled whole, or the tile would live in memory. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#define KERNEL static TARGET
#define KERNEL_INLINE static inline __attribute__((always_inline)) TARGET

KERNEL_INLINE vf load(const void *at)
{
    vf v;
    memcpy(&v, at, sizeof v);
    return v;
}

KERNEL_INLINE void store(float *at, vf v)
{
    memcpy(at, &v, sizeof v);
}

/* The first n lanes; the others are 0. */
KERNEL_INLINE vf load_part(const void *at, size_t n)
{
    vf v = {0};
    memcpy(&v, at, n * sizeof(float));
    return v;
}

KERNEL_INLINE void store_part(float *at, vf v, size_t n)
{
    memcpy(at, &v, n * sizeof(float));
}

KERNEL_INLINE vf splat(float x)
{
    return x - (vf){0};
}

KERNEL_INLINE vf blend(vi mask, vf yes, vf no)
{
    return (vf)((mask & (vi)yes) | (~mask & (vi)no));
}

/* Adds halves, quarters, ... : the one order in which lanes are summed. */
KERNEL_INLINE float lanes_sum(vf v)
{
#if LANES == 16
    v += __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
    v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
#elif LANES == 8
    v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3);
    v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5);
#else
    v += __builtin_shufflevector(v, v, 2, 3, 0, 1);
#endif
    return v[0] + v[1];
}

/* ---- Dot products ---------------------------------------------------------------------------- */

/* One tile of mr x nr dot products of n_in <= DOT_DEPTH; both constant, so that the accumulators
 * live in registers, with room for a vector of each weight row and one of x. y = sums, or y += sums
 * if more. */
KERNEL_INLINE void dots_tile(const int mr, const int nr, const bool ahead, const float *x,
                             size_t ldx, const char *w, size_t ldw, size_t n_in, bool more,
                             float *y, size_t ldy)
{
    vf sum[8][8];
    UNROLL for (int r = 0; r < mr; r++)
        UNROLL for (int o = 0; o < nr; o++)
            sum[r][o] = (vf){0};
    size_t k = 0;
    for (; k + LANES <= n_in; k += LANES) {
        vf weight[8];
        UNROLL for (int o = 0; o < nr; o++) {
            weight[o] = load(w + (size_t)o * ldw + k * 4);
            if (ahead)
                __builtin_prefetch(w + (size_t)(o + nr) * ldw + k * 4);
        }
        UNROLL for (int r = 0; r < mr; r++) {
            vf in = load(x + (size_t)r * ldx + k);
            UNROLL for (int o = 0; o < nr; o++)
                sum[r][o] = VFMA(in, weight[o], sum[r][o]);
        }
    }
    if (k < n_in) {
        vf weight[8];
        UNROLL for (int o = 0; o < nr; o++)
            weight[o] = load_part(w + (size_t)o * ldw + k * 4, n_in - k);
        UNROLL for (int r = 0; r < mr; r++) {
            vf in = load_part(x + (size_t)r * ldx + k, n_in - k);
            UNROLL for (int o = 0; o < nr; o++)
                sum[r][o] = VFMA(in, weight[o], sum[r][o]);
        }
    }
    UNROLL for (int r = 0; r < mr; r++)
        UNROLL for (int o = 0; o < nr; o++) {
            float *at = y + (size_t)r * ldy + (size_t)o;
            float total = lanes_sum(sum[r][o]);
            *at = more ? *at + total : total;
        }
}

/* All outs of MR rows; few rows take more outs at a time, to keep the multipliers busy. AHEAD: the
 * weights of the next tile are fetched on the way, since several rows leave the memory idle
 * otherwise (measured on a Zen 3: 4 and 8 rows gain 40%, one row nothing). */
#define DOTS_ROWS(NAME, MR, NR, AHEAD)                                                             \
    KERNEL void NAME(const float *x, size_t ldx, const char *w, size_t ldw, size_t n_outs,         \
                     size_t n_in, bool more, float *y, size_t ldy)                                 \
    {                                                                                              \
        size_t o = 0;                                                                              \
        for (; o + NR <= n_outs; o += NR)                                                          \
            dots_tile(MR, NR, AHEAD, x, ldx, w + o * ldw, ldw, n_in, more, y + o, ldy);            \
        for (; o < n_outs; o++)                                                                    \
            dots_tile(MR, 1, AHEAD, x, ldx, w + o * ldw, ldw, n_in, more, y + o, ldy);             \
    }
DOTS_ROWS(dots_one, 1, 8, false)
DOTS_ROWS(dots_two, 2, 4, true)
DOTS_ROWS(dots_three, 3, 3, true)
DOTS_ROWS(dots_first, DOT_ROWS, DOT_OUTS, true)
DOTS_ROWS(dots_full, DOT_ROWS, DOT_OUTS, false)

/* Fewer than DOT_ROWS rows. */
KERNEL void dots_few(const float *x, size_t ldx, size_t n_rows, const char *w, size_t ldw,
                     size_t n_outs, size_t n_in, bool more, float *y, size_t ldy)
{
    while (n_rows) {
        size_t rows = n_rows < 3 ? n_rows : 3;
        (rows == 1   ? dots_one
         : rows == 2 ? dots_two
                     : dots_three)(x, ldx, w, ldw, n_outs, n_in, more, y, ldy);
        x += rows * ldx;
        y += rows * ldy;
        n_rows -= rows;
    }
}

/* A long sum is cut at fixed depths, so that a tile's rows and weights fit the first cache; its
 * parts are added in order. */
KERNEL void dots(const float *x, size_t ldx, size_t n_rows, const void *w, size_t ldw,
                 size_t n_outs, size_t n_in, float *y, size_t ldy)
{
    enum { DOT_DEPTH = 1024 };
    size_t whole = n_rows - n_rows % DOT_ROWS, ldw_bytes = ldw * 4;
    /* A few weight rows stay in the first cache while all rows pass by. */
    size_t step = whole ? DOT_OUTS : n_outs;
    for (size_t k = 0; k < n_in; k += DOT_DEPTH) {
        size_t depth = n_in - k < DOT_DEPTH ? n_in - k : DOT_DEPTH;
        for (size_t o = 0; o < n_outs; o += step) {
            size_t outs = n_outs - o < step ? n_outs - o : step;
            const char *part = (const char *)w + o * ldw_bytes + k * 4;
            for (size_t r = 0; r < whole; r += DOT_ROWS)
                (r ? dots_full : dots_first)(x + r * ldx + k, ldx, part, ldw_bytes, outs, depth,
                                             k != 0, y + r * ldy + o, ldy);
            dots_few(x + whole * ldx + k, ldx, n_rows - whole, part, ldw_bytes, outs, depth, k != 0,
                     y + whole * ldy + o, ldy);
        }
    }
}

/* ---- Products with the second matrix along its rows ------------------------------------------ */

KERNEL_INLINE void gemm_tile(const int mr, const int nv, const float *x, size_t ldx, const float *b,
                             size_t ldb, size_t n_in, float *y, size_t ldy)
{
    vf sum[16][4];
    UNROLL for (int r = 0; r < mr; r++)
        UNROLL for (int v = 0; v < nv; v++)
            sum[r][v] = load(y + (size_t)r * ldy + (size_t)v * LANES);
    for (size_t k = 0; k < n_in; k++) {
        vf in[4];
        UNROLL for (int v = 0; v < nv; v++)
            in[v] = load(b + k * ldb + (size_t)v * LANES);
        UNROLL for (int r = 0; r < mr; r++) {
            vf factor = splat(x[(size_t)r * ldx + k]);
            UNROLL for (int v = 0; v < nv; v++)
                sum[r][v] = VFMA(factor, in[v], sum[r][v]);
        }
    }
    UNROLL for (int r = 0; r < mr; r++)
        UNROLL for (int v = 0; v < nv; v++)
            store(y + (size_t)r * ldy + (size_t)v * LANES, sum[r][v]);
}

KERNEL void gemm_add(const float *x, size_t ldx, size_t n_rows, const float *b, size_t ldb,
                     size_t n_outs, size_t n_in, float *y, size_t ldy)
{
    enum { WIDE = GEMM_VECS * LANES };
    size_t o = 0;
    for (; o + WIDE <= n_outs; o += WIDE) {
        size_t r = 0;
        for (; r + GEMM_ROWS <= n_rows; r += GEMM_ROWS)
            gemm_tile(GEMM_ROWS, GEMM_VECS, x + r * ldx, ldx, b + o, ldb, n_in, y + r * ldy + o,
                      ldy);
        for (; r < n_rows; r++)
            gemm_tile(1, GEMM_VECS, x + r * ldx, ldx, b + o, ldb, n_in, y + r * ldy + o, ldy);
    }
    for (; o + LANES <= n_outs; o += LANES) {
        size_t r = 0;
        for (; r + GEMM_ROWS <= n_rows; r += GEMM_ROWS)
            gemm_tile(GEMM_ROWS, 1, x + r * ldx, ldx, b + o, ldb, n_in, y + r * ldy + o, ldy);
        for (; r < n_rows; r++)
            gemm_tile(1, 1, x + r * ldx, ldx, b + o, ldb, n_in, y + r * ldy + o, ldy);
    }
    for (; o < n_outs; o++)
        for (size_t r = 0; r < n_rows; r++) {
            float sum = y[r * ldy + o];
            for (size_t k = 0; k < n_in; k++)
                sum = SFMA(x[r * ldx + k], b[k * ldb + o], sum);
            y[r * ldy + o] = sum;
        }
}

/* ---- Widening -------------------------------------------------------------------------------- */

KERNEL void widen(enum dtype dtype, const void *src, size_t n, float *out)
{
    const char *from = src;
    size_t i = 0;
    if (dtype == DTYPE_F32) {
        memcpy(out, src, n * sizeof *out);
        return;
    }
    if (dtype == DTYPE_BF16)
        for (; i < n; i++) {
            uint16_t half;
            memcpy(&half, from + i * 2, 2);
            uint32_t bits = (uint32_t)half << 16;
            memcpy(out + i, &bits, 4);
        }
#ifdef WIDEN_F16
    if (dtype == DTYPE_F16)
        for (; i + LANES <= n; i += LANES)
            WIDEN_F16(from + i * 2, out + i);
#endif
    dtype_widen(dtype, from + i * dtype_size(dtype), n - i, out + i);
}

/* ---- Element-wise ---------------------------------------------------------------------------- */

/* e^x to about 1 ulp: x = n ln 2 + r with |r| <= ln(2)/2, a polynomial of degree 7 in r (Taylor's,
 * its next term is below 2^-27), then the factor 2^n in two steps so that neither overflows. NaN
 * stays NaN. */
KERNEL_INLINE vf exp_vector(vf x)
{
    const vf magic = splat(0x1.8p23f); /* adding it rounds to an integer in the low bits */
    x = blend(x < splat(-110.0f), splat(-110.0f), x);
    x = blend(x > splat(90.0f), splat(90.0f), x);
    vf shifted = x * splat(0x1.715476p+0f) + magic;
    vi n = (vi)shifted - (vi)magic;
    vf whole = shifted - magic;
    /* ln 2 in two parts, the first with so few bits that its product with n is exact. */
    vf r = (x - whole * splat(0x1.62e4p-1f)) - whole * splat(0x1.7f7d1cp-20f);
    vf p = splat(1.0f / 5040);
    p = p * r + splat(1.0f / 720);
    p = p * r + splat(1.0f / 120);
    p = p * r + splat(1.0f / 24);
    p = p * r + splat(1.0f / 6);
    p = p * r + splat(0.5f);
    p = (p * r) * r + r + splat(1.0f);
    vi half = n >> 1;
    return p * (vf)((half + 127) << 23) * (vf)((n - half + 127) << 23);
}

KERNEL_INLINE vf swiglu_vector(vf a, vf c, bool second)
{
    vf gate = second ? c : a, other = second ? a : c;
    return gate / (splat(1.0f) + exp_vector(-gate)) * other;
}

KERNEL void swiglu(const float *a, const float *c, bool second, size_t n, float *out)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        store(out + i, swiglu_vector(load(a + i), load(c + i), second));
    if (i < n)
        store_part(out + i, swiglu_vector(load_part(a + i, n - i), load_part(c + i, n - i), second),
                   n - i);
}

KERNEL void affine(const float *y, const float *bias, float alpha, const float *residual,
                   float beta, size_t n, float *out)
{
    if (bias && residual)
        for (size_t i = 0; i < n; i++)
            out[i] = alpha * (y[i] + bias[i]) + beta * residual[i];
    else if (residual)
        for (size_t i = 0; i < n; i++)
            out[i] = alpha * y[i] + beta * residual[i];
    else if (bias)
        for (size_t i = 0; i < n; i++)
            out[i] = alpha * (y[i] + bias[i]);
    else
        for (size_t i = 0; i < n; i++)
            out[i] = alpha * y[i];
}

KERNEL void rms_norm(const float *x, const float *scale, float eps, size_t n, float *out)
{
    vf squares = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vf v = load(x + i);
        squares = VFMA(v, v, squares);
    }
    if (i < n) {
        vf v = load_part(x + i, n - i);
        squares = VFMA(v, v, squares);
    }
    float factor = 1.0f / sqrtf(lanes_sum(squares) / (float)n + eps);
    if (scale)
        for (i = 0; i < n; i++)
            out[i] = x[i] * factor * scale[i];
    else
        for (i = 0; i < n; i++)
            out[i] = x[i] * factor;
}

KERNEL float exp_sum(float *x, float shift, size_t n)
{
    vf sum = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vf e = exp_vector(load(x + i) - splat(shift));
        store(x + i, e);
        sum += e;
    }
    if (i < n) {
        vf e = exp_vector(load_part(x + i, n - i) - splat(shift));
        store_part(x + i, e, n - i);
        sum += load_part(x + i, n - i);
    }
    return lanes_sum(sum);
}

KERNEL float max_of(const float *x, size_t n)
{
    float most = x[0];
    size_t i = 0;
    if (n >= LANES) {
        vf lanes = load(x);
        for (i = LANES; i + LANES <= n; i += LANES) {
            vf v = load(x + i);
            lanes = blend(v > lanes, v, lanes);
        }
        for (int lane = 0; lane < LANES; lane++)
            most = lanes[lane] > most ? lanes[lane] : most;
    }
    for (; i < n; i++)
        most = x[i] > most ? x[i] : most;
    return most;
}

KERNEL void scale_by(float *x, float factor, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] *= factor;
}

const struct cpu_kernels VARIANT = {
    .name = VARIANT_NAME,
    .dots = dots,
    .gemm_add = gemm_add,
    .widen = widen,
    .swiglu = swiglu,
    .affine = affine,
    .rms_norm = rms_norm,
    .exp_sum = exp_sum,
    .max = max_of,
    .scale = scale_by,
};
