/* The variants of the inner loops. */
#ifndef TOTO_BACKEND_CPU_KERNELS_VARIANTS_H
#define TOTO_BACKEND_CPU_KERNELS_VARIANTS_H

#include "kernels.h"

extern const struct cpu_kernels cpu_kernels_portable;
#if defined(__x86_64__)
extern const struct cpu_kernels cpu_kernels_avx2, cpu_kernels_avx512;
#endif

#endif
