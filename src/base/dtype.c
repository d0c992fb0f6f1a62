/* Element types. The loops are plain so that compilers vectorise them; every load goes through
 * memcpy since tensors in a file need not be aligned. */
#include "dtype.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

/* Elements tested at once before the first bad one is looked for: small beside any cache. */
enum { SCAN_BLOCK = 4096 };

size_t dtype_size(enum dtype dtype)
{
    switch (dtype) {
    case DTYPE_F32: return 4;
    case DTYPE_F16: return 2;
    case DTYPE_BF16: return 2;
    case DTYPE_F64: return 8;
    case DTYPE_OTHER: return 0;
    }
    return 0;
}

const char *dtype_name(enum dtype dtype)
{
    switch (dtype) {
    case DTYPE_F32: return "F32";
    case DTYPE_F16: return "F16";
    case DTYPE_BF16: return "BF16";
    case DTYPE_F64: return "F64";
    case DTYPE_OTHER: return "other";
    }
    return "other";
}

static inline float float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t bits_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline uint16_t load_u16(const unsigned char *src, size_t i)
{
    uint16_t bits;
    memcpy(&bits, src + i * sizeof bits, sizeof bits);
    return bits;
}

static inline uint32_t load_u32(const unsigned char *src, size_t i)
{
    uint32_t bits;
    memcpy(&bits, src + i * sizeof bits, sizeof bits);
    return bits;
}

static inline uint64_t load_u64(const unsigned char *src, size_t i)
{
    uint64_t bits;
    memcpy(&bits, src + i * sizeof bits, sizeof bits);
    return bits;
}

/* IEEE 754 binary16, fields 1-5-10, to binary32, fields 1-8-23. Normal numbers move their exponent
 * from bias 15 to 127; infinities and NaNs move it twice, from 31 to 255. A subnormal m * 2^-24 is
 * read as 2^-14 * (1 + m / 1024), and 2^-14 is taken off again: exact, and without a float32
 * subnormal on the way, so it neither stalls nor depends on a flush-to-zero mode. Masks, not
 * branches: gcc then vectorises the loop. */
static inline float widen_f16(uint16_t half)
{
    const uint32_t rebias = (uint32_t)(127 - 15) << 23;
    const uint32_t smallest_normal = (uint32_t)(127 - 14) << 23;
    uint32_t magnitude = (uint32_t)(half & 0x7FFF) << 13;
    uint32_t exponent = magnitude & 0x0F800000;
    uint32_t is_special = -(uint32_t)(exponent == 0x0F800000), is_tiny = -(uint32_t)(exponent == 0);
    uint32_t normal = magnitude + rebias + (rebias & is_special);
    uint32_t subnormal = bits_from_float(float_from_bits(magnitude + smallest_normal) -
                                         float_from_bits(smallest_normal));
    return float_from_bits((subnormal & is_tiny) | (normal & ~is_tiny) |
                           (uint32_t)(half & 0x8000) << 16);
}

void dtype_widen(enum dtype dtype, const void *src, size_t n, float *out)
{
    const unsigned char *from = src;
    switch (dtype) {
    case DTYPE_F32:
        if (n)
            memcpy(out, src, n * sizeof *out);
        return;
    case DTYPE_F16:
        for (size_t i = 0; i < n; i++)
            out[i] = widen_f16(load_u16(from, i));
        return;
    case DTYPE_BF16:
        for (size_t i = 0; i < n; i++)
            out[i] = float_from_bits((uint32_t)load_u16(from, i) << 16);
        return;
    case DTYPE_F64:
        for (size_t i = 0; i < n; i++) {
            double value;
            memcpy(&value, from + i * sizeof value, sizeof value);
            out[i] = (float)value;
        }
        return;
    case DTYPE_OTHER: break;
    }
    assert(!"a type that no weight may have");
}

/* Without its sign, a number is NaN or infinite if adding one to its exponent field carries into
 * the sign's place: an AND, an ADD and an OR an element. */
static inline uint16_t carry_f16(uint16_t bits)
{
    return (uint16_t)((bits & 0x7FFF) + 0x0400);
}

static inline uint16_t carry_bf16(uint16_t bits)
{
    return (uint16_t)((bits & 0x7FFF) + 0x0080);
}

static inline uint32_t carry_f32(uint32_t bits)
{
    return (bits & 0x7FFFFFFF) + 0x00800000;
}

static inline uint64_t carry_f64(uint64_t bits)
{
    return (bits & 0x7FFFFFFFFFFFFFFF) + 0x0010000000000000;
}

/* Whether one of n elements is NaN or infinite. */
static bool block_has_nonfinite(enum dtype dtype, const unsigned char *src, size_t n)
{
    uint16_t any16 = 0;
    uint32_t any32 = 0;
    uint64_t any64 = 0;
    switch (dtype) {
    case DTYPE_F32:
        for (size_t i = 0; i < n; i++)
            any32 |= carry_f32(load_u32(src, i));
        return any32 >> 31;
    case DTYPE_F16:
        for (size_t i = 0; i < n; i++)
            any16 |= carry_f16(load_u16(src, i));
        return any16 >> 15;
    case DTYPE_BF16:
        for (size_t i = 0; i < n; i++)
            any16 |= carry_bf16(load_u16(src, i));
        return any16 >> 15;
    case DTYPE_F64:
        for (size_t i = 0; i < n; i++)
            any64 |= carry_f64(load_u64(src, i));
        return any64 >> 63;
    case DTYPE_OTHER: break;
    }
    assert(!"a type that no weight may have");
    return false;
}

size_t dtype_find_nonfinite(enum dtype dtype, const void *src, size_t n)
{
    const unsigned char *from = src;
    size_t size = dtype_size(dtype);
    for (size_t start = 0; start < n; start += SCAN_BLOCK) {
        size_t length = n - start < SCAN_BLOCK ? n - start : SCAN_BLOCK;
        if (!block_has_nonfinite(dtype, from + start * size, length))
            continue;
        size_t i = start;
        while (!block_has_nonfinite(dtype, from + i * size, 1))
            i++;
        return i;
    }
    return n;
}
