/* Numbers as text. The digits of a float32 come from the Schubfach method: Raffaello Giulietti, The
 * Schubfach way to render doubles, 2020 (here for 24 bits of precision). */
#include "number_text.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_POWER = -31, MOST_POWER = 45 };

/* The first 64 bits of 10^k, rounded down, and 1 more: floor(2^(63 - floor(log2(10^k))) 10^k) + 1. */
static const uint64_t powers_of_ten[MOST_POWER - LEAST_POWER + 1] = {
    0x81ceb32c4b43fcf5, 0xa2425ff75e14fc32, 0xcad2f7f5359a3b3f, 0xfd87b5f28300ca0e,
    0x9e74d1b791e07e49, 0xc612062576589ddb, 0xf79687aed3eec552, 0x9abe14cd44753b53,
    0xc16d9a0095928a28, 0xf1c90080baf72cb2, 0x971da05074da7bef, 0xbce5086492111aeb,
    0xec1e4a7db69561a6, 0x9392ee8e921d5d08, 0xb877aa3236a4b44a, 0xe69594bec44de15c,
    0x901d7cf73ab0acda, 0xb424dc35095cd810, 0xe12e13424bb40e14, 0x8cbccc096f5088cc,
    0xafebff0bcb24aaff, 0xdbe6fecebdedd5bf, 0x89705f4136b4a598, 0xabcc77118461cefd,
    0xd6bf94d5e57a42bd, 0x8637bd05af6c69b6, 0xa7c5ac471b478424, 0xd1b71758e219652c,
    0x83126e978d4fdf3c, 0xa3d70a3d70a3d70b, 0xcccccccccccccccd, 0x8000000000000001,
    0xa000000000000001, 0xc800000000000001, 0xfa00000000000001, 0x9c40000000000001,
    0xc350000000000001, 0xf424000000000001, 0x9896800000000001, 0xbebc200000000001,
    0xee6b280000000001, 0x9502f90000000001, 0xba43b74000000001, 0xe8d4a51000000001,
    0x9184e72a00000001, 0xb5e620f480000001, 0xe35fa931a0000001, 0x8e1bc9bf04000001,
    0xb1a2bc2ec5000001, 0xde0b6b3a76400001, 0x8ac7230489e80001, 0xad78ebc5ac620001,
    0xd8d726b7177a8001, 0x878678326eac9001, 0xa968163f0a57b401, 0xd3c21bcecceda101,
    0x84595161401484a1, 0xa56fa5b99019a5c9, 0xcecb8f27f4200f3b, 0x813f3978f8940985,
    0xa18f07d736b90be6, 0xc9f2c9cd04674edf, 0xfc6f7c4045812297, 0x9dc5ada82b70b59e,
    0xc5371912364ce306, 0xf684df56c3e01bc7, 0x9a130b963a6c115d, 0xc097ce7bc90715b4,
    0xf0bdc21abb48db21, 0x96769950b50d88f5, 0xbc143fa4e250eb32, 0xeb194f8e1ae525fe,
    0x92efd1b8d0cf37bf, 0xb7abc627050305ae, 0xe596b7b0c643c71a, 0x8f7e32ce7bea5c70,
    0xb35dbf821ae4f38c,
};

/* Sums of rounded-down products: exact for all exponents of a float32 (section 8 of the paper). */
static int floor_log2_pow10(int k)
{
    return (int)(((int64_t)k * 913124641741) >> 38);
}

static int floor_log10_pow2(int q)
{
    return (int)(((int64_t)q * 661971961083) >> 41);
}

/* floor(log10(3/4 2^q)): for a float whose lower neighbour is nearer than its upper one. */
static int floor_log10_three_quarters_pow2(int q)
{
    return (int)(((int64_t)q * 661971961083 - 274743187321) >> 41);
}

/* g c / 2^64 rounded to odd: the last bit says whether anything was cut off. */
static uint32_t product_to_odd(uint64_t g, uint32_t c)
{
    uint64_t low = (g & 0xffffffffu) * c;
    uint64_t high = (g >> 32) * c + (low >> 32); /* the 96-bit product is high : low's last 32 bits */
    return (uint32_t)(high >> 32) | ((uint32_t)high > 1);
}

/* Shortest digits of a positive finite float: value = *digits 10^*exponent as far as rounding goes. */
static void shortest_digits(float value, uint32_t *digits, int *exponent)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t fraction = bits & 0x7fffff, biased = bits >> 23 & 0xff;
    const uint32_t c = biased ? fraction | 0x800000 : fraction;
    const int q = biased ? (int)biased - 150 : -149;

    /* The neighbours' midpoints and the value itself, in units of 2^(q-2). */
    const bool lower_is_near = fraction == 0 && biased > 1;
    const uint32_t left = 4 * c - (lower_is_near ? 1 : 2), middle = 4 * c, right = 4 * c + 2;
    const int k = lower_is_near ? floor_log10_three_quarters_pow2(q) : floor_log10_pow2(q);
    const int shift = q + floor_log2_pow10(-k) + 1;
    assert(-k >= LEAST_POWER && -k <= MOST_POWER);
    const uint64_t g = powers_of_ten[-k - LEAST_POWER];

    /* In units of 10^k / 4. A float with an even significand owns the midpoints beside it. */
    const uint32_t odd = c & 1;
    const uint32_t lower = product_to_odd(g, left << shift) + odd;
    const uint32_t exact = product_to_odd(g, middle << shift);
    const uint32_t upper = product_to_odd(g, right << shift) - odd;
    const uint32_t s = exact / 4;

    if (s >= 10) { /* one digit less, if one of its two candidates lies between the midpoints */
        const uint32_t tens = s / 10;
        const bool below = lower <= 40 * tens, above = 40 * tens + 40 <= upper;
        if (below != above) {
            *digits = tens + above;
            *exponent = k + 1;
            return;
        }
    }
    const bool below = lower <= 4 * s, above = 4 * s + 4 <= upper;
    const bool nearer_above = exact > 4 * s + 2 || (exact == 4 * s + 2 && (s & 1));
    *digits = s + (below != above ? above : nearer_above);
    *exponent = k;
}

/* digits 10^exponent, without trailing zeros, the way that %g writes it, with more plain numbers. */
static size_t layout_digits(const char *digits, int n_digits, int exponent, char *text)
{
    enum { LEAST_PLAIN = -4, MOST_PLAIN = 15 };
    const int point = exponent + n_digits; /* digits before the decimal point */
    char *out = text;
    if (point - 1 < LEAST_PLAIN || point - 1 > MOST_PLAIN) {
        *out++ = digits[0];
        if (n_digits > 1) {
            *out++ = '.';
            memcpy(out, digits + 1, (size_t)n_digits - 1);
            out += n_digits - 1;
        }
        return (size_t)(out - text) + (size_t)sprintf(out, "e%+03d", point - 1);
    }
    if (point <= 0) {
        *out++ = '0';
        *out++ = '.';
        for (int i = point; i < 0; i++)
            *out++ = '0';
    }
    for (int i = 0; i < n_digits || i < point; i++) {
        if (i == point && point > 0)
            *out++ = '.';
        *out++ = i < n_digits ? digits[i] : '0';
    }
    *out = '\0';
    return (size_t)(out - text);
}

size_t float_text(float value, char text[NUMBER_TEXT_SIZE])
{
    assert(isfinite(value));
    if (value == 0) {
        memcpy(text, "0", 2);
        return 1;
    }
    const size_t sign = value < 0;
    if (sign)
        *text++ = '-';
    uint32_t number;
    int exponent;
    shortest_digits(fabsf(value), &number, &exponent);
    while (number % 10 == 0) {
        number /= 10;
        exponent++;
    }
    char digits[16];
    int n_digits = 0;
    for (uint32_t rest = number; rest; rest /= 10)
        n_digits++;
    for (int i = n_digits; i > 0; i--, number /= 10)
        digits[i - 1] = (char)('0' + number % 10);
    return sign + layout_digits(digits, n_digits, exponent, text);
}

size_t double_text(double value, char text[NUMBER_TEXT_SIZE])
{
    char digits[32];
    assert(isfinite(value) && value >= 0);
    if (value == 0)
        return float_text(0, text);
    /* D.DDDDe+XX, whatever the locale's decimal point is: read back in the same locale. */
    for (int precision = 0; precision <= 16; precision++) {
        snprintf(digits, sizeof digits, "%.*e", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    const char *mark = strchr(digits, 'e');
    int exponent = atoi(mark + 1), n_digits = 0;
    for (const char *c = digits; c < mark; c++)
        if (*c >= '0' && *c <= '9')
            digits[n_digits++] = *c;
    return layout_digits(digits, n_digits, exponent - n_digits + 1, text);
}
