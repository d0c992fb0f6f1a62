/* What the tests of ops share: seeded inputs, outputs poisoned with NaN between guard bands,
 * comparison with a tolerance, equal bytes, and timing. Each test program runs its checks, or with
 * --bench its benchmarks: a line for a person and a line "csv,op,shape,median_us,rate,unit" to
 * compare by. */
#ifndef TOTO_TESTS_OPS_H
#define TOTO_TESTS_OPS_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cpu/cpu_backend.h"
#include "base/log.h"
#include "base/memory.h"

enum { GUARD = 64 };
#define POISON 0x7FC0DEADu

/* ---- Random numbers --------------------------------------------------------------------------- */

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators). */

static uint64_t ops_random_state;

static inline uint64_t random_bits(void)
{
    uint64_t z = ops_random_state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Uniform in [-1, 1). */
static inline float random_float(void)
{
    return (float)(random_bits() >> 40) * 0x1p-23f - 1.0f;
}

/* The seed is TOTO_TEST_SEED or 1, and is printed. */
static inline void random_seed(void)
{
    const char *text = getenv("TOTO_TEST_SEED");
    ops_random_state = text ? strtoull(text, NULL, 10) : 1;
    printf("seed %llu (TOTO_TEST_SEED)\n", (unsigned long long)ops_random_state);
}

/* ---- Backend and tensors --------------------------------------------------------------------- */

static inline struct backend *backend_start(size_t n_threads)
{
    struct backend *backend = NULL;
    struct toto_error err;
    if (cpu_backend_open(n_threads, &backend, &err))
        fail_msg("%s", err.message);
    return backend;
}

static inline void backend_stop(struct backend *backend)
{
    struct toto_error err;
    if (backend->ops->sync(backend, &err))
        fail_msg("%s", err.message);
    backend->ops->close(backend);
}

/* n elements of poison between guard bands. */
static inline struct tensor tensor_make(struct backend *backend, enum tensor_kind kind, size_t n)
{
    struct tensor whole;
    struct toto_error err;
    if (backend->ops->alloc(backend, kind, n + 2 * GUARD, &whole, &err))
        fail_msg("%s", err.message);
    size_t size = backend->ops->element_bytes(backend, kind);
    if (size == 4)
        for (size_t i = 0; i < whole.n; i++)
            ((uint32_t *)whole.memory)[i] = POISON;
    else
        memset(whole.memory, 0xA5, whole.n * size);
    return tensor_at(whole, GUARD, n);
}

static inline struct tensor tensor_of(struct backend *backend, enum tensor_kind kind, size_t n,
                                      const void *src)
{
    struct tensor tensor = tensor_make(backend, kind, n);
    backend->ops->upload(backend, tensor, src);
    return tensor;
}

static inline struct tensor tensor_random(struct backend *backend, enum tensor_kind kind, size_t n)
{
    struct tensor tensor = tensor_make(backend, kind, n);
    for (size_t i = 0; i < n; i++)
        floats(tensor)[i] = random_float();
    return tensor;
}

/* Frees a tensor of four-byte elements, whose guard bands must be whole. */
static inline void tensor_end(struct backend *backend, struct tensor tensor)
{
    const uint32_t *all = tensor.memory;
    for (size_t i = 0; i < GUARD; i++) {
        assert_int_equal(all[i], POISON);
        assert_int_equal(all[GUARD + tensor.n + i], POISON);
    }
    backend->ops->free(backend, &tensor);
}

/* ---- Comparison ------------------------------------------------------------------------------ */

#define assert_close(got, want, tolerance, ...)                                                    \
    do {                                                                                           \
        double got_ = (got), want_ = (want), tolerance_ = (tolerance);                             \
        if (!(fabs(got_ - want_) <= tolerance_)) {                                                 \
            print_error(__VA_ARGS__);                                                              \
            fail_msg(": %.9g, wanted %.9g within %.3g", got_, want_, tolerance_);                  \
        }                                                                                          \
    } while (0)

#define assert_bytes(a, b, bytes, ...)                                                             \
    do {                                                                                           \
        if (memcmp(a, b, bytes) != 0) {                                                            \
            print_error(__VA_ARGS__);                                                              \
            fail_msg(": bytes differ");                                                            \
        }                                                                                          \
    } while (0)

/* ---- Benchmarks ------------------------------------------------------------------------------ */

static inline int doubles_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median seconds of run(context), after a warm-up: at least 5 times, and about a third of a
 * second. */
static inline double bench_seconds(void (*run)(void *), void *context)
{
    enum { MOST = 400 };
    double times[MOST], total = 0;
    size_t n = 0;
    run(context);
    while (n < MOST && (n < 5 || total < 0.3)) {
        double start = clock_seconds();
        run(context);
        times[n] = clock_seconds() - start;
        total += times[n++];
    }
    qsort(times, n, sizeof *times, doubles_compare);
    return times[n / 2];
}

/* work: operations or bytes of a run, in 1e9 of the unit. */
static inline void bench_print(const char *op, const char *shape, double seconds, double work,
                               const char *unit)
{
    printf("%-16s %-36s %10.1f us %8.1f %s\n", op, shape, seconds * 1e6, work / seconds, unit);
    printf("csv,%s,%s,%.2f,%.2f,%s\n", op, shape, seconds * 1e6, work / seconds, unit);
}

/* Runs checks() or, with --bench, bench(). */
static inline int ops_main(int argc, char **argv, int (*checks)(void), void (*bench)(void))
{
    random_seed();
    if (argc > 1 && strcmp(argv[1], "--bench") == 0) {
        bench();
        return 0;
    }
    return checks();
}

#endif
