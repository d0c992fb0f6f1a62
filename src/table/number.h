/* Number: a cell of a column of values. */
#ifndef TOTO_TABLE_NUMBER_H
#define TOTO_TABLE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

/* Moves both ends past spaces and tabs. */
void cell_trim(const char **text, size_t *length);

/* Empty, NA, NaN, null or \N in any case, blanks around them left aside. */
bool cell_is_missing(const char *text, size_t length);

/* Reads a trimmed, NUL-terminated cell as a decimal number rounded to double, then to float32. NULL
 * on success, else what is wrong with the cell and what to do. The caller's thread is in the C
 * locale. */
const char *number_parse(const char *text, size_t length, float *value);

#endif
