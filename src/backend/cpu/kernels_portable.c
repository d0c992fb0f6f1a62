/* The inner loops in four lanes, which SSE2 and NEON both have. */
#include "kernels_variants.h"

#define TARGET
#define LANES 4
#if defined(__aarch64__)
#include <arm_neon.h>
#define VFMA(a, b, c) ((vf)vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#define SFMA(a, b, c) __builtin_fmaf(a, b, c)
#define DOT_ROWS 4
#define DOT_OUTS 5
#define GEMM_ROWS 8
#define GEMM_VECS 2
#else
#define VFMA(a, b, c) ((a) * (b) + (c))
#define SFMA(a, b, c) ((a) * (b) + (c))
#define DOT_ROWS 4
#define DOT_OUTS 2
#define GEMM_ROWS 4
#define GEMM_VECS 2
#endif
#define VARIANT_NAME "portable"
#define VARIANT cpu_kernels_portable
#include "kernels_template.h"
