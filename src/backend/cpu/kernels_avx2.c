/* The inner loops with AVX2, FMA and F16C. */
#include "kernels_variants.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx2,fma,f16c")))
#define LANES 8
#define VFMA(a, b, c) ((vf)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define SFMA(a, b, c) __builtin_fmaf(a, b, c)
#define DOT_ROWS 4
#define DOT_OUTS 3
#define GEMM_ROWS 6
#define GEMM_VECS 2
#define WIDEN_F16(src, out)                                                                        \
    _mm256_storeu_ps(out, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(src))))
#define VARIANT_NAME "AVX2"
#define VARIANT cpu_kernels_avx2
#include "kernels_template.h"
#endif
