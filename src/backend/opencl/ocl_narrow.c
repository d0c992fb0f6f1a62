/* float32 to the types that a device stores, to nearest, ties to even. Plain loops that compilers
 * vectorise. */
#include "ocl.h"

#include <assert.h>
#include <string.h>

static inline uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Adding a power of two that puts the last place of float16 at the last place of float32 rounds a
 * value to float16; below 2^-14 that place is 2^-24, the step of subnormals. A finite value too
 * large for float16 becomes its largest, as in the kernels (prelude.cl); infinities and NaN stay.
 */
static inline uint16_t narrow_f16(float value)
{
    uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7FFFFFFFu;
    uint32_t odd = magnitude >> 13 & 1;
    uint32_t normal = (magnitude - ((127u - 15u) << 23) + 0xFFFu + odd) >> 13;
    float small;
    memcpy(&small, &magnitude, sizeof small);
    uint32_t subnormal = bits_of(small + 0.5f) - bits_of(0.5f);
    uint32_t half = magnitude < 0x38800000u    ? subnormal
                    : magnitude > 0x7F800000u  ? 0x7E00u
                    : magnitude == 0x7F800000u ? 0x7C00u
                    : magnitude >= 0x477FF000u ? 0x7BFFu
                                               : normal;
    return (uint16_t)(sign | half);
}

static inline uint16_t narrow_bf16(float value)
{
    uint32_t bits = bits_of(value);
    uint32_t rounded = (bits + 0x7FFFu + (bits >> 16 & 1)) >> 16;
    return (uint16_t)((bits & 0x7FFFFFFFu) > 0x7F800000u ? (bits >> 16 | 0x40u) : rounded);
}

void ocl_narrow(enum dtype dtype, const float *in, size_t n, void *out)
{
    uint16_t *to = out;
    switch (dtype) {
    case DTYPE_F32:
        if (n)
            memcpy(out, in, n * sizeof *in);
        return;
    case DTYPE_F16:
        for (size_t i = 0; i < n; i++)
            to[i] = narrow_f16(in[i]);
        return;
    case DTYPE_BF16:
        for (size_t i = 0; i < n; i++)
            to[i] = narrow_bf16(in[i]);
        return;
    case DTYPE_F64:
    case DTYPE_OTHER: break;
    }
    assert(!"a type that no device stores");
}
