/* The inner loops with AVX-512. */
#include "kernels_variants.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")))
#define LANES 16
#define VFMA(a, b, c) ((vf)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define SFMA(a, b, c) __builtin_fmaf(a, b, c)
#define DOT_ROWS 4
#define DOT_OUTS 6
#define GEMM_ROWS 12
#define GEMM_VECS 2
#define WIDEN_F16(src, out)                                                                        \
    _mm512_storeu_ps(out, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)(src))))
#define VARIANT_NAME "AVX-512"
#define VARIANT cpu_kernels_avx512
#include "kernels_template.h"
#endif
