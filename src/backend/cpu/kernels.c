/* Which variant of the inner loops runs. */
#include "kernels.h"

#include "kernels_variants.h"

const struct cpu_kernels *cpu_kernels_at(size_t i)
{
#if defined(__x86_64__)
    /* Every processor with AVX2 has F16C, which clang 14 has no name for here. */
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
        if (i == 0)
            return &cpu_kernels_avx512;
        i--;
    }
    if (avx2) {
        if (i == 0)
            return &cpu_kernels_avx2;
        i--;
    }
#endif
    return i == 0 ? &cpu_kernels_portable : NULL;
}

const struct cpu_kernels *cpu_kernels_best(void)
{
    return cpu_kernels_at(0);
}
