/* Decimal numbers to float32. */
#include "number.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

void cell_trim(const char **text, size_t *length)
{
    while (*length && is_blank(**text)) {
        ++*text;
        --*length;
    }
    while (*length && is_blank((*text)[*length - 1]))
        --*length;
}

/* Whether text is the lower-case word, in any case of ASCII letters. */
static bool is_word(const char *text, size_t length, const char *word)
{
    if (strlen(word) != length)
        return false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
        if (c != word[i])
            return false;
    }
    return true;
}

bool cell_is_missing(const char *text, size_t length)
{
    cell_trim(&text, &length);
    if (length == 0)
        return true;
    if (length > 4 || is_digit(*text))
        return false;
    return is_word(text, length, "na") || is_word(text, length, "nan") ||
           is_word(text, length, "null") || is_word(text, length, "\\n");
}

/* What a cell that is no decimal number may have been meant as. */
static const char *explain(const char *text, size_t length)
{
    const char *comma = memchr(text, ',', length);
    const char *word = text + (*text == '+' || *text == '-');
    size_t word_length = length - (size_t)(word - text);
    if (is_word(word, word_length, "inf") || is_word(word, word_length, "infinity"))
        return "is not finite; leave the cell empty if the value is missing";
    if (comma && comma > text && is_digit(comma[-1]) && is_digit(comma[1]))
        return "is not a number; write a decimal point and no thousands separator (1234.5)";
    return "is not a number; correct it, or leave the cell empty if the value is missing";
}

/* A number as it is written: mantissa * 10^exponent if exact, else one with too many digits to
 * hold. */
struct decimal {
    bool negative, exact;
    uint64_t mantissa;
    int exponent;
};

/* Adds digits to the mantissa, which wraps past 19 of them; returns where they end. */
static const char *scan_digits(const char *text, const char *end, uint64_t *mantissa)
{
    for (; text < end && is_digit(*text); text++)
        *mantissa = *mantissa * 10 + (uint64_t)(*text - '0');
    return text;
}

/* False unless all of the cell is [+-] digits [. digits] [e [+-] digits] with a digit before the
 * e. */
static bool scan(const char *text, const char *end, struct decimal *number)
{
    /* Exponents past this leave the exact range anyway; it keeps sums from wrapping. */
    enum { MOST_DIGITS = 19, EXPONENT_CAP = 100000 };
    *number = (struct decimal){0};
    if (text < end && (*text == '+' || *text == '-'))
        number->negative = *text++ == '-';
    const char *start = text;
    text = scan_digits(text, end, &number->mantissa);
    ptrdiff_t n_digits = text - start, n_places = 0;
    if (text < end && *text == '.') {
        start = ++text;
        text = scan_digits(text, end, &number->mantissa);
        n_places = text - start;
        n_digits += n_places;
    }
    if (n_digits == 0)
        return false;
    number->exact = n_digits <= MOST_DIGITS;
    number->exponent = number->exact ? -(int)n_places : 0;
    if (text < end && (*text == 'e' || *text == 'E')) {
        bool negative = false;
        int exponent = 0;
        if (++text < end && (*text == '+' || *text == '-'))
            negative = *text++ == '-';
        if (text == end || !is_digit(*text))
            return false;
        for (; text < end && is_digit(*text); text++)
            exponent = exponent < EXPONENT_CAP ? exponent * 10 + (*text - '0') : exponent;
        number->exponent += negative ? -exponent : exponent;
    }
    return text == end;
}

const char *number_parse(const char *text, size_t length, float *value)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const int most_power = 22; /* 10^22 is the last that a double holds exactly */
    struct decimal number;
    if (!scan(text, text + length, &number))
        return explain(text, length);
    if (number.exact && number.exponent >= -most_power && number.exponent <= most_power) {
        /* Mantissa to double and one product or quotient: two roundings at most (none and one up to
         * 2^53), so the nearest double is within 2 units in the last place. If both ends of that
         * range round to one float32, so does it, for rounding is monotonic. */
        double near = (double)number.mantissa;
        near =
            number.exponent < 0 ? near / powers[-number.exponent] : near * powers[number.exponent];
        float low = (float)(near * (1 - 2 * DBL_EPSILON)),
              high = (float)(near * (1 + 2 * DBL_EPSILON));
        if (low == high && isfinite(high)) {
            *value = number.negative ? -low : low;
            return NULL;
        }
    }
    float slow = (float)strtod(text, NULL);
    if (!isfinite(slow))
        return "is out of the range of float32 (about 3.4e38); scale the column down";
    *value = slow;
    return NULL;
}
