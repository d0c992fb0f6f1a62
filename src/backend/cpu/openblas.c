/* OpenBLAS, opened at run time: a whole run that needs no big product never pays for loading it,
 * and toto works without it. It reads its settings from the environment while it is loaded, so the
 * kernel type is set before: the library's own choice knows only processors older than itself, and
 * takes a slow type for a newer one. A setting of the user's wins. */
#include "openblas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

#include "../../base/log.h"

/* cblas.h: enum values of row-major order and of (no) transposition. */
enum { CBLAS_ROW_MAJOR = 101, CBLAS_NO_TRANS = 111, CBLAS_TRANS = 112 };

typedef void sgemm_fn(int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
                      const float *a, int lda, const float *b, int ldb, float beta, float *c,
                      int ldc);
typedef void set_threads_fn(int n);
typedef char *name_fn(void);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static sgemm_fn *sgemm;

static void core_type_choose(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        setenv("OPENBLAS_CORETYPE", "SkylakeX", 0);
    else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        setenv("OPENBLAS_CORETYPE", "Haswell", 0);
#endif
    setenv("OPENBLAS_NUM_THREADS", "1", 0);
}

static void library_open(void)
{
    const char *const names[] = {
#ifdef __APPLE__
        "libopenblas.dylib",
        "/opt/homebrew/opt/openblas/lib/libopenblas.dylib",
        "/usr/local/opt/openblas/lib/libopenblas.dylib",
#else
        "libopenblas.so.0",
        "libopenblas.so",
#endif
    };
    core_type_choose();
    void *library = NULL;
    for (size_t i = 0; !library && i < sizeof names / sizeof *names; i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        log_info("OpenBLAS was not found: passes of many rows run on toto's own kernels");
        return;
    }
    sgemm_fn *found = NULL;
    set_threads_fn *set_threads = NULL;
    name_fn *core_name = NULL;
    *(void **)&found = dlsym(library, "cblas_sgemm");
    *(void **)&set_threads = dlsym(library, "openblas_set_num_threads");
    *(void **)&core_name = dlsym(library, "openblas_get_corename");
    if (!found || !set_threads) {
        log_info(
            "the OpenBLAS found has no cblas_sgemm: passes of many rows run on toto's own kernels");
        dlclose(library);
        return;
    }
    set_threads(1);
    sgemm = found;
    log_info("passes of many rows run on OpenBLAS with its %s kernels",
             core_name ? core_name() : "own");
}

bool openblas_available(void)
{
    pthread_once(&once, library_open);
    return sgemm != NULL;
}

void openblas_dots(const float *x, size_t ldx, size_t n_rows, const float *w, size_t ldw,
                   size_t n_outs, size_t n_in, float *y, size_t ldy)
{
    sgemm(CBLAS_ROW_MAJOR, CBLAS_NO_TRANS, CBLAS_TRANS, (int)n_rows, (int)n_outs, (int)n_in, 1.0f,
          x, (int)ldx, w, (int)ldw, 0.0f, y, (int)ldy);
}
