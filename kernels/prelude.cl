/* What every kernel file is put behind: storage types, exact products and sums of two floats.
 *
 * Weights and activations are stored as DTYPE_F32, DTYPE_F16 or DTYPE_BF16 (-D); arithmetic is in
 * float. A tensor is two parameters, a global pointer and a ulong: the offset of its first element.
 * A pointer of an absent tensor is NULL. Files of kernels choose the order of every sum themselves,
 * so the compiler must not: a product and a sum that shall be one rounding are written MAD. */
#pragma OPENCL FP_CONTRACT OFF

#if !defined(DTYPE_F16) && !defined(DTYPE_BF16) && !defined(DTYPE_F32)
#define DTYPE_F32
#endif

/* Loops that are wide open only where the compiler is known to need it: elsewhere it takes long. */
#ifdef HAS_NVIDIA
#define UNROLL _Pragma("unroll")
#else
#define UNROLL
#endif

/* ---- Storage --------------------------------------------------------------------------------- */

#if defined(DTYPE_F32)
typedef float stored;
#else
typedef ushort stored;
#endif

/* An f16 that a large value fits in is kept finite: outliers of scaled input reach 1e5. */
static inline float f16_range(float x)
{
    if (isinf(x))
        return x;
    x = x > 65504.0f ? 65504.0f : x;
    return x < -65504.0f ? -65504.0f : x;
}

static inline ushort bf16_of(float x)
{
    uint bits = as_uint(x);
    if (isnan(x))
        return (ushort)(bits >> 16 | 0x40u);
    return (ushort)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

/* load4, store4: aligned to 4 elements. */
#if defined(DTYPE_F32)
static inline float load1(global const stored *p) { return *p; }
static inline float4 load4(global const stored *p) { return *(global const float4 *)p; }
static inline void store1(float x, global stored *p) { *p = x; }
static inline void store4(float4 x, global stored *p) { *(global float4 *)p = x; }
#elif defined(DTYPE_F16)
static inline float load1(global const stored *p) { return vload_half(0, (global const half *)p); }
static inline float4 load4(global const stored *p)
{
    ushort4 four = *(global const ushort4 *)p; /* vload_half4 of global memory may be four loads */
    return vload_half4(0, (const half *)&four);
}
static inline void store1(float x, global stored *p)
{
    vstore_half_rte(f16_range(x), 0, (global half *)p);
}
static inline void store4(float4 x, global stored *p)
{
    x = (float4)(f16_range(x.x), f16_range(x.y), f16_range(x.z), f16_range(x.w));
    vstore_half4_rte(x, 0, (global half *)p);
}
#else
static inline float load1(global const stored *p) { return as_float((uint)*p << 16); }
static inline float4 load4(global const stored *p)
{
    uint4 bits = convert_uint4(*(global const ushort4 *)p);
    return as_float4(bits << 16);
}
static inline void store1(float x, global stored *p) { *p = bf16_of(x); }
static inline void store4(float4 x, global stored *p)
{
    *(global ushort4 *)p = (ushort4)(bf16_of(x.x), bf16_of(x.y), bf16_of(x.z), bf16_of(x.w));
}
#endif

/* ---- Sums ------------------------------------------------------------------------------------ */

/* a b + c: one rounding where the device has that at full speed, else two, but always the same. */
#if defined(FP_FAST_FMAF) || defined(HAS_NVIDIA)
#define MAD(a, b, c) fma(a, b, c)
#else
#define MAD(a, b, c) ((a) * (b) + (c))
#endif
#define MAD4(a, b, c) \
    MAD((a).w, (b).w, MAD((a).z, (b).z, MAD((a).y, (b).y, MAD((a).x, (b).x, c))))

/* ---- Pairs ----------------------------------------------------------------------------------- */

/* An unevaluated sum of two floats, x + y with |y| at most half an ulp of x: about 48 bits (T. J.
 * Dekker: A floating-point technique for extending the available precision, 1971). */

/* |a| >= |b|, or a 0. */
static inline float2 pair_quick(float a, float b)
{
    float sum = a + b;
    return (float2)(sum, b - (sum - a));
}

static inline float2 pair_sum(float a, float b)
{
    float sum = a + b, part = sum - a;
    return (float2)(sum, (a - (sum - part)) + (b - part));
}

static inline float2 pair_add(float2 a, float2 b)
{
    float2 high = pair_sum(a.x, b.x), low = pair_sum(a.y, b.y);
    high = pair_quick(high.x, high.y + low.x);
    return pair_quick(high.x, high.y + low.y);
}

static inline float2 pair_times(float2 a, float2 b)
{
    float product = a.x * b.x;
    float error = fma(a.x, b.x, -product) + (a.x * b.y + a.y * b.x);
    return pair_quick(product, error);
}

/* a / n, exact where the quotient is a float: the division itself may be off by some ulp. */
static inline float2 pair_over(float2 a, float n)
{
    float first = a.x / n;
    if (!isfinite(first))
        return (float2)(first, 0.0f);
    float2 rest = pair_sum(fma(-first, n, a.x), a.y);
    float second = rest.x / n;
    float third = (fma(-second, n, rest.x) + rest.y) / n;
    return pair_quick(first, second + third);
}

/* The float nearest to the root of a pair: sqrt itself may be off by some ulp. */
static inline float pair_root(float2 a)
{
    float root = sqrt(a.x);
    if (!(root > 0.0f) || !isfinite(root))
        return root;
    return root + (fma(-root, root, a.x) + a.y) / (2.0f * root);
}
