/* Element types of stored tensors, and exact widening of each to float32. */
#ifndef TOTO_BASE_DTYPE_H
#define TOTO_BASE_DTYPE_H

#include <stddef.h>
#include <stdint.h>

/* OTHER: a type that safetensors knows (I64, BOOL, ...) but no weight may have. */
enum dtype { DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_F64, DTYPE_OTHER };

size_t dtype_size(enum dtype dtype); /* bytes of an element; 0 for OTHER */
const char *dtype_name(enum dtype dtype);

/* out[i] = element i of src as float32 (F64 is rounded to nearest even); src may be unaligned. */
void dtype_widen(enum dtype dtype, const void *src, size_t n, float *out);

/* Index of the first NaN or infinity among n elements, or n if all are finite; src may be unaligned. */
size_t dtype_find_nonfinite(enum dtype dtype, const void *src, size_t n);

#endif
