/* OpenBLAS, opened at run time. */
#ifndef TOTO_BACKEND_CPU_OPENBLAS_H
#define TOTO_BACKEND_CPU_OPENBLAS_H

#include "../../base/status.h"

/* Opens the library at the first call; false if there is none. Says once by log_info what runs. */
bool openblas_available(void);

/* y[r, o] = sum_k x[r, k] w[o, k] in the calling thread; strides of rows in floats. Only after
 * openblas_available() has returned true. */
void openblas_dots(const float *x, size_t ldx, size_t n_rows, const float *w, size_t ldw,
                   size_t n_outs, size_t n_in, float *y, size_t ldy);

#endif
