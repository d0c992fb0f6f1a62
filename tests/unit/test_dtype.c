/* Stored types: widening checked on every 16-bit pattern against ldexp, scans on every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"

enum { PATTERNS = 1 << 16 };

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Every 16-bit pattern as dtype, from an odd address. */
static float *widen_all(enum dtype dtype)
{
    unsigned char *bytes = malloc(2 * PATTERNS + 1);
    float *out = malloc(PATTERNS * sizeof *out);
    assert_non_null(bytes);
    assert_non_null(out);
    for (uint32_t i = 0; i < PATTERNS; i++)
        memcpy(bytes + 1 + 2 * i, &(uint16_t){(uint16_t)i}, 2);
    dtype_widen(dtype, bytes + 1, PATTERNS, out);
    free(bytes);
    return out;
}

static void test_f16_all(void **state)
{
    (void)state;
    float *out = widen_all(DTYPE_F16);
    for (int i = 0; i < PATTERNS; i++) {
        int exponent = i >> 10 & 31, mantissa = i & 1023;
        uint32_t sign = (uint32_t)(i >> 15) << 31;
        uint32_t wanted;
        if (exponent == 31)
            wanted = sign | 0x7F800000 | (uint32_t)mantissa << 13; /* NaN payloads are kept */
        else
            wanted = sign | bits_of((float)(exponent ? ldexp(1024 + mantissa, exponent - 25)
                                                     : ldexp(mantissa, -24)));
        if (bits_of(out[i]) != wanted)
            fail_msg("0x%04x gave 0x%08x, wanted 0x%08x", (unsigned)i, (unsigned)bits_of(out[i]),
                     (unsigned)wanted);
    }
    free(out);
}

static void test_bf16_all(void **state)
{
    (void)state;
    float *out = widen_all(DTYPE_BF16);
    for (uint32_t i = 0; i < PATTERNS; i++)
        assert_int_equal(bits_of(out[i]), i << 16);
    free(out);
}

static void test_f32_and_f64(void **state)
{
    (void)state;
    const float singles[] = {1.5f, -0.0f, FLT_MIN / 4, FLT_MAX, INFINITY};
    const double doubles[] = {1.0 + DBL_EPSILON, -0.0, 1e300, -1e300, 0x1.000001p0, 0x1.000003p0};
    const float rounded[] = {1.0f, -0.0f, INFINITY, -INFINITY, 1.0f, 0x1.000004p0f};
    unsigned char bytes[64];
    float out[8];
    memcpy(bytes + 3, singles, sizeof singles);
    dtype_widen(DTYPE_F32, bytes + 3, 5, out);
    assert_memory_equal(out, singles, sizeof singles);
    memcpy(bytes + 5, doubles, sizeof doubles);
    dtype_widen(DTYPE_F64, bytes + 5, 6, out);
    assert_memory_equal(out, rounded, sizeof rounded);
    out[0] = 7;
    dtype_widen(DTYPE_F32, NULL, 0, out);
    assert_true(out[0] == 7);
}

/* Whether one element of these bytes is found bad, as scanned alone and amid good ones. */
static void assert_nonfinite(enum dtype dtype, const void *element, bool wanted)
{
    size_t size = dtype_size(dtype);
    unsigned char bytes[1 + 8 * 37] = {0};
    memcpy(bytes + 1 + 20 * size, element, size);
    assert_int_equal(dtype_find_nonfinite(dtype, bytes + 1, 37), wanted ? 20 : 37);
    assert_int_equal(dtype_find_nonfinite(dtype, element, 1), wanted ? 0 : 1);
}

static void test_find_edges(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < PATTERNS; i++) {
        uint16_t half = (uint16_t)i;
        if ((half & 0xFF) > 1 && (half & 0xFF) < 0xFE && i % 97 != 0)
            continue;
        assert_nonfinite(DTYPE_F16, &half, (half & 0x7C00) == 0x7C00);
        assert_nonfinite(DTYPE_BF16, &half, (half & 0x7F80) == 0x7F80);
    }
    const float singles[] = {0.0f,     -0.0f,     FLT_MAX, -FLT_MAX, FLT_MIN / 2,
                             INFINITY, -INFINITY, NAN,     -NAN};
    const double doubles[] = {0.0,      -0.0,      DBL_MAX, -DBL_MAX, DBL_MIN / 2,
                              INFINITY, -INFINITY, NAN,     -NAN};
    for (size_t i = 0; i < 9; i++) {
        assert_nonfinite(DTYPE_F32, &singles[i], i >= 5);
        assert_nonfinite(DTYPE_F64, &doubles[i], i >= 5);
    }
}

static void test_find_first(void **state)
{
    (void)state;
    enum { N = 3 * 4096 + 17 };
    static const size_t places[] = {0, 1, 4095, 4096, 8191, 8192, 3 * 4096, N - 1};
    float *values = calloc(N, sizeof *values);
    assert_non_null(values);
    assert_int_equal(dtype_find_nonfinite(DTYPE_F32, values, N), N);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        values[places[i]] = NAN;
        values[N - 1] = INFINITY;
        assert_int_equal(dtype_find_nonfinite(DTYPE_F32, values, N), places[i]);
        assert_int_equal(dtype_find_nonfinite(DTYPE_F32, values, places[i]), places[i]);
        values[places[i]] = values[N - 1] = 0;
    }
    free(values);
    assert_int_equal(dtype_find_nonfinite(DTYPE_F64, NULL, 0), 0);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(dtype_name(DTYPE_BF16), "BF16");
    assert_string_equal(dtype_name(DTYPE_F64), "F64");
    assert_int_equal(dtype_size(DTYPE_F32), 4);
    assert_int_equal(dtype_size(DTYPE_F16), 2);
    assert_int_equal(dtype_size(DTYPE_BF16), 2);
    assert_int_equal(dtype_size(DTYPE_F64), 8);
    assert_int_equal(dtype_size(DTYPE_OTHER), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f16_all),     cmocka_unit_test(test_bf16_all),
        cmocka_unit_test(test_f32_and_f64), cmocka_unit_test(test_find_edges),
        cmocka_unit_test(test_find_first),  cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
