/* Numbers as text, the same in every locale. */
#ifndef TOTO_OUTPUT_NUMBER_TEXT_H
#define TOTO_OUTPUT_NUMBER_TEXT_H

#include <stddef.h>

enum { NUMBER_TEXT_SIZE = 32 };

/* Writes the shortest decimal that reads back to the same float32 and, of several, the nearest to it:
 * 12.5, 0.001, 1e+20. Zero of either sign is "0". The value is finite. Returns the length; the text is
 * NUL-terminated. */
size_t float_text(float value, char text[NUMBER_TEXT_SIZE]);

/* The same for a double that came from a few digits: a quantile or a level in the name of a column. */
size_t double_text(double value, char text[NUMBER_TEXT_SIZE]);

#endif
