/* linear and linear_swiglu against a double loop, on both of their ways (our kernel, OpenBLAS), in
 * every variant that this processor runs; and the promise of equal bytes. */
#include "ops.h"

#include <float.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/cpu/openblas.h"

enum { N_STORED = 5 };
enum stored { STORED_F32, STORED_UNALIGNED, STORED_F16, STORED_BF16, STORED_PARTS };

/* A weight as a checkpoint might store it, with its values as float32. */
struct stored_weight {
    char *bytes;
    float *values;
    struct weight *weight;
};

static struct stored_weight weight_start(struct backend *backend, enum stored stored, size_t n_out,
                                         size_t n_in)
{
    struct stored_weight made = {mem_alloc(n_out * n_in * 4 + 64), mem_alloc(n_out * n_in * 4),
                                 NULL};
    enum dtype dtype = stored == STORED_F16    ? DTYPE_F16
                       : stored == STORED_BF16 ? DTYPE_BF16
                                               : DTYPE_F32;
    char *data = made.bytes + (stored == STORED_UNALIGNED || stored == STORED_PARTS);
    for (size_t i = 0; i < n_out * n_in; i++) {
        float value = random_float();
        uint16_t half = (uint16_t)((random_bits() & 0x83FF) | (10 + random_bits() % 5) << 10);
        uint32_t bits;
        memcpy(&bits, &value, 4);
        uint16_t top = (uint16_t)(bits >> 16);
        if (dtype == DTYPE_F32)
            memcpy(data + i * 4, &value, 4);
        else
            memcpy(data + i * 2, dtype == DTYPE_F16 ? &half : &top, 2);
    }
    dtype_widen(dtype, data, n_out * n_in, made.values);
    size_t size = dtype_size(dtype), cut = stored == STORED_PARTS ? n_out / 3 : 0;
    struct weight_part parts[] = {{dtype, data, cut},
                                  {dtype, data + cut * n_in * size, n_out - cut}};
    struct toto_error err;
    if (backend->ops->weight_open(backend, cut ? parts : parts + 1, cut ? 2 : 1, n_in, &made.weight,
                                  &err))
        fail_msg("%s", err.message);
    return made;
}

static void weight_end(struct backend *backend, struct stored_weight *weight)
{
    backend->ops->weight_close(backend, weight->weight);
    mem_free(weight->bytes);
    mem_free(weight->values);
}

/* Sum over k of x[k] w[k], and of the magnitudes, in float64. */
static double dot(const float *x, const float *w, size_t n, double *magnitude)
{
    double sum = 0;
    *magnitude = 0;
    for (size_t k = 0; k < n; k++) {
        sum += (double)x[k] * (double)w[k];
        *magnitude += fabs((double)x[k] * (double)w[k]);
    }
    return sum;
}

/* A sum of n float32 products in any order is within n eps of the sum of magnitudes; in lanes or
 * blocks it stays far below, so a tenth of that bound is asked for. */
static double dot_tolerance(size_t n, double magnitude)
{
    return (0.1 * (double)n + 4) * FLT_EPSILON * magnitude + 1e-30;
}

static void linear_check(struct backend *backend, enum stored stored, size_t n_rows, size_t n_out,
                         size_t n_in, size_t row_block, bool plain)
{
    size_t more = plain ? 0 : 2; /* outs before and after those that are asked for */
    struct stored_weight weight = weight_start(backend, stored, n_out + 2 * more, n_in);
    struct tensor x = tensor_random(backend, TENSOR_ACTIVATION, n_rows * n_in);
    struct tensor bias = tensor_random(backend, TENSOR_F32, n_out + 2 * more);
    struct tensor out = tensor_random(backend, TENSOR_ACTIVATION, n_rows * n_out);
    float *before = mem_alloc(n_rows * n_out * sizeof *before);
    memcpy(before, floats(out), n_rows * n_out * sizeof *before);
    float alpha = plain ? 1.0f : 0.75f, beta = 0.5f;
    struct linear_args args = {.x = x,
                               .weight = weight.weight,
                               .first_out = more,
                               .n_out = n_out,
                               .alpha = alpha,
                               .out = out,
                               .n_rows = n_rows,
                               .row_block = row_block};
    if (!plain) {
        args.bias = bias;
        args.residual = out;
        args.beta = beta;
    } else {
        for (size_t i = 0; i < n_rows * n_out; i++)
            floats(out)[i] = NAN;
    }
    backend->ops->linear(backend, &args);
    struct linear_args silu = args; /* the same sums through SiLU, without residual */
    silu.residual = (struct tensor){.memory = NULL};
    silu.silu_gain = 1.75f;
    silu.out = tensor_make(backend, TENSOR_ACTIVATION, n_rows * n_out);
    backend->ops->linear(backend, &silu);
    for (size_t r = 0; r < n_rows; r++)
        for (size_t o = 0; o < n_out; o++) {
            double magnitude, want = dot(floats(x) + r * n_in, weight.values + (more + o) * n_in,
                                         n_in, &magnitude);
            double tolerance = dot_tolerance(n_in, magnitude);
            double y = plain ? want : (double)alpha * (want + (double)floats(bias)[more + o]);
            assert_close((double)floats(silu.out)[r * n_out + o], 1.75 * y / (1.0 + exp(-y)),
                         2.0 * tolerance + 16 * FLT_EPSILON * (1.0 + fabs(y)), "silu at %zu, %zu",
                         r, o);
            if (!plain) {
                want = (double)alpha * (want + (double)floats(bias)[more + o]) +
                       (double)(beta * before[r * n_out + o]);
                tolerance += 4 * FLT_EPSILON;
            }
            assert_close((double)floats(out)[r * n_out + o], want, tolerance,
                         "stored %d rows %zu outs %zu in %zu block %zu at %zu, %zu", (int)stored,
                         n_rows, n_out, n_in, row_block, r, o);
        }
    mem_free(before);
    tensor_end(backend, x);
    tensor_end(backend, bias);
    tensor_end(backend, out);
    tensor_end(backend, silu.out);
    weight_end(backend, &weight);
}

static void swiglu_check(struct backend *backend, enum stored stored, size_t n_rows, size_t n_ff,
                         size_t n_in, size_t row_block, bool second)
{
    struct stored_weight weight = weight_start(backend, stored, 2 * n_ff, n_in);
    struct tensor x = tensor_random(backend, TENSOR_ACTIVATION, n_rows * n_in);
    struct tensor bias = tensor_random(backend, TENSOR_F32, 2 * n_ff);
    struct tensor out = tensor_make(backend, TENSOR_ACTIVATION, n_rows * n_ff);
    backend->ops->linear_swiglu(backend, &(struct linear_swiglu_args){.x = x,
                                                                      .weight = weight.weight,
                                                                      .bias = bias,
                                                                      .alpha = 1.0f,
                                                                      .silu_second = second,
                                                                      .out = out,
                                                                      .n_rows = n_rows,
                                                                      .row_block = row_block});
    for (size_t r = 0; r < n_rows; r++)
        for (size_t o = 0; o < n_ff; o++) {
            double m_a, m_c;
            double a = dot(floats(x) + r * n_in, weight.values + o * n_in, n_in, &m_a) +
                       (double)floats(bias)[o];
            double c = dot(floats(x) + r * n_in, weight.values + (n_ff + o) * n_in, n_in, &m_c) +
                       (double)floats(bias)[n_ff + o];
            double want = second ? a * c / (1 + exp(-c)) : c * a / (1 + exp(-a));
            double tolerance =
                1.2 * (dot_tolerance(n_in, m_a) * fabs(c) + dot_tolerance(n_in, m_c) * fabs(a)) +
                8 * FLT_EPSILON * fabs(a * c) + 1e-6;
            assert_close((double)floats(out)[r * n_ff + o], want, tolerance,
                         "swiglu rows %zu ff %zu in %zu", n_rows, n_ff, n_in);
        }
    tensor_end(backend, x);
    tensor_end(backend, bias);
    tensor_end(backend, out);
    weight_end(backend, &weight);
}

static const size_t all_rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 17, 64, 257};
static const size_t all_outs[] = {1, 3, 96, 769};
static const size_t all_ins[] = {1, 16, 48, 96, 100};

static void test_stream(void **state)
{
    (void)state;
    const struct cpu_kernels *kernels;
    for (size_t i = 0; (kernels = cpu_kernels_at(i)) != NULL; i++) {
        struct backend *backend = backend_start(2);
        cpu_of(backend)->kernels = kernels;
        for (size_t r = 0; r < sizeof all_rows / sizeof *all_rows; r++)
            for (size_t o = 0; o < sizeof all_outs / sizeof *all_outs; o++)
                for (size_t k = 0; k < sizeof all_ins / sizeof *all_ins; k++) {
                    enum stored stored = (enum stored)((r + o + k) % N_STORED);
                    linear_check(backend, stored, all_rows[r], all_outs[o], all_ins[k], 1,
                                 (r + k) % 2);
                    swiglu_check(backend, stored, all_rows[r], all_outs[o], all_ins[k], 1, o % 2);
                }
        for (int stored = 0; stored < N_STORED; stored++)
            linear_check(backend, (enum stored)stored, 13, 50, 3072, 1, true);
        backend_stop(backend);
    }
}

static void test_blas(void **state)
{
    (void)state;
    if (!openblas_available())
        skip();
    struct backend *backend = backend_start(2);
    for (size_t block = 64; block <= 256; block *= 2)
        for (size_t o = 0; o < sizeof all_outs / sizeof *all_outs; o++)
            for (size_t k = 0; k < sizeof all_ins / sizeof *all_ins; k++) {
                enum stored stored = (enum stored)((o + k) % N_STORED);
                linear_check(backend, stored, block * (1 + k % 2), all_outs[o], all_ins[k], block,
                             o % 2);
                swiglu_check(backend, stored, block * (1 + o % 2), all_outs[o], all_ins[k], block,
                             k % 2);
            }
    linear_check(backend, STORED_BF16, 64, 200, 6000, 64, true);
    backend_stop(backend);
}

/* ---- Equal bytes ----------------------------------------------------------------------------- */

/* Both ops on the same weights into out_a [n_rows, n_out] and out_b [n_rows, n_out / 2]. */
static void both_run(struct backend *backend, const struct weight *weight, const float *x,
                     size_t n_rows, size_t row_block, float *out_a, float *out_b)
{
    struct tensor in = tensor_of(backend, TENSOR_ACTIVATION, n_rows * weight->n_in, x);
    struct tensor a = tensor_make(backend, TENSOR_ACTIVATION, n_rows * weight->n_out);
    struct tensor b = tensor_make(backend, TENSOR_ACTIVATION, n_rows * (weight->n_out / 2));
    backend->ops->linear(backend, &(struct linear_args){.x = in,
                                                        .weight = weight,
                                                        .n_out = weight->n_out,
                                                        .alpha = 1.0f,
                                                        .out = a,
                                                        .n_rows = n_rows,
                                                        .row_block = row_block});
    backend->ops->linear_swiglu(backend, &(struct linear_swiglu_args){.x = in,
                                                                      .weight = weight,
                                                                      .alpha = 1.0f,
                                                                      .out = b,
                                                                      .n_rows = n_rows,
                                                                      .row_block = row_block});
    memcpy(out_a, floats(a), a.n * sizeof *out_a);
    memcpy(out_b, floats(b), b.n * sizeof *out_b);
    tensor_end(backend, in);
    tensor_end(backend, a);
    tensor_end(backend, b);
}

/* The same rows in companies of `rows`, with 1 to 3 threads, aligned or not: equal bytes. With
 * blocks, a company keeps each row's place in its block. */
static void equal_check(size_t n_out, size_t n_in, size_t row_block)
{
    enum { ROWS = 512 };
    size_t half = n_out / 2;
    float *x = mem_alloc(ROWS * n_in * 4);
    float *first[2] = {mem_alloc(ROWS * n_out * 4), mem_alloc(ROWS * half * 4)};
    float *then[2] = {mem_alloc(ROWS * n_out * 4), mem_alloc(ROWS * half * 4)};
    for (size_t i = 0; i < ROWS * n_in; i++)
        x[i] = random_float();
    char *moved = mem_alloc(n_out * n_in * 4 + 1);
    for (size_t n_threads = 1; n_threads <= 3; n_threads++) {
        struct backend *backend = backend_start(n_threads);
        uint64_t state = ops_random_state;
        struct stored_weight weight = weight_start(backend, STORED_F32, n_out, n_in);
        ops_random_state = state;
        struct weight *unaligned = NULL;
        memcpy(moved + 1, weight.bytes, n_out * n_in * 4);
        assert_int_equal(
            backend->ops->weight_open(backend, &(struct weight_part){DTYPE_F32, moved + 1, n_out},
                                      1, n_in, &unaligned, NULL),
            TOTO_STATUS_OK);
        if (n_threads == 1)
            both_run(backend, weight.weight, x, ROWS, row_block, first[0], first[1]);
        const size_t companies[] = {1, 5, 64, 256, ROWS};
        for (size_t c = 0; c < 5; c++) {
            size_t rows = companies[c];
            if (rows % row_block)
                continue;
            for (size_t at = 0; at + rows <= ROWS; at += rows * (rows < 64 ? 23 : 1)) {
                both_run(backend, c % 2 ? unaligned : weight.weight, x + at * n_in, rows, row_block,
                         then[0], then[1]);
                assert_bytes(then[0], first[0] + at * n_out, rows * n_out * 4,
                             "linear, %zu rows of %zu, threads %zu", rows, n_in, n_threads);
                assert_bytes(then[1], first[1] + at * half, rows * half * 4,
                             "swiglu, %zu rows of %zu, threads %zu", rows, n_in, n_threads);
            }
        }
        backend->ops->weight_close(backend, unaligned);
        weight_end(backend, &weight);
        backend_stop(backend);
    }
    mem_free(moved);
    for (int i = 0; i < 2; i++) {
        mem_free(first[i]);
        mem_free(then[i]);
    }
    mem_free(x);
}

static void test_equal_stream(void **state)
{
    (void)state;
    equal_check(202, 100, 1);
    equal_check(96, 768, 1);
    equal_check(50, 3072, 1);
}

/* A row at its place in a block, whatever stands in the other rows of the block. */
static void place_check(size_t n_out, size_t n_in, size_t block)
{
    struct backend *backend = backend_start(2);
    struct stored_weight weight = weight_start(backend, STORED_F32, n_out, n_in);
    float *x = mem_alloc(block * n_in * 4);
    float *a = mem_alloc(block * n_out * 4), *b = mem_alloc(block * n_out * 4);
    float *a2 = mem_alloc(block * n_out * 4), *b2 = mem_alloc(block * n_out * 4);
    for (size_t i = 0; i < block * n_in; i++)
        x[i] = random_float();
    both_run(backend, weight.weight, x, block, block, a, b);
    for (size_t place = 0; place < block; place += 13) {
        for (size_t i = 0; i < block * n_in; i++)
            if (i / n_in != place)
                x[i] = i % 3 ? random_float() : 0.0f;
        both_run(backend, weight.weight, x, block, block, a2, b2);
        assert_bytes(a + place * n_out, a2 + place * n_out, n_out * 4, "row %zu of block %zu",
                     place, block);
        assert_bytes(b + place * (n_out / 2), b2 + place * (n_out / 2), n_out / 2 * 4, "row %zu",
                     place);
        memcpy(a, a2, block * n_out * 4);
        memcpy(b, b2, block * n_out / 2 * 4);
    }
    mem_free(x);
    mem_free(a);
    mem_free(b);
    mem_free(a2);
    mem_free(b2);
    weight_end(backend, &weight);
    backend_stop(backend);
}

static void test_equal_blas(void **state)
{
    (void)state;
    if (!openblas_available())
        skip();
    for (size_t block = 64; block <= 256; block *= 2) {
        equal_check(202, 100, block);
        equal_check(400, 768, block);
        place_check(770, 100, block);
        place_check(194, 768, block);
    }
}

/* ---- NaN ------------------------------------------------------------------------------------- */

static void test_nan(void **state)
{
    (void)state;
    struct backend *backend = backend_start(2);
    for (size_t block = 1; block <= (openblas_available() ? 64 : 1); block += 63) {
        struct stored_weight weight = weight_start(backend, STORED_F32, 200, 100);
        float *x = mem_calloc(64 * 100, 4), *a = mem_alloc(64 * 200 * 4),
              *b = mem_alloc(64 * 100 * 4);
        ((float *)(void *)weight.bytes)[7 * 100 + 99] = NAN; /* a product of 0 and NaN must show */
        both_run(backend, weight.weight, x, 64, block, a, b);
        for (size_t r = 0; r < 64; r++) {
            assert_true(isnan(a[r * 200 + 7]) && isnan(b[r * 100 + 7]));
            assert_true(a[r * 200 + 8] == 0 && b[r * 100 + 8] == 0);
        }
        mem_free(x);
        mem_free(a);
        mem_free(b);
        weight_end(backend, &weight);
    }
    backend_stop(backend);
}

/* ---- Every kernel type of OpenBLAS ----------------------------------------------------------- */

static const char *program;

/* This program again, under OPENBLAS_CORETYPE=type: its checks of OpenBLAS alone. */
static void core_type_check(const char *type, bool runs)
{
    if (!runs) {
        printf("OPENBLAS_CORETYPE=%s: skipped, this processor lacks its instructions\n", type);
        return;
    }
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setenv("OPENBLAS_CORETYPE", type, 1);
        execl(program, program, "--blas", (char *)NULL);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("OPENBLAS_CORETYPE=%s: the checks failed (wait status %d)", type, status);
}

static void test_core_types(void **state)
{
    (void)state;
#if defined(__x86_64__)
    if (!openblas_available())
        skip();
    core_type_check("Haswell", __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
    core_type_check("SkylakeX",
                    __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"));
    core_type_check("Prescott", true);
#else
    skip();
#endif
}

static const struct CMUnitTest blas_tests[] = {
    cmocka_unit_test(test_blas),
    cmocka_unit_test(test_equal_blas),
};

static int checks(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream),       cmocka_unit_test(test_blas),
        cmocka_unit_test(test_equal_stream), cmocka_unit_test(test_equal_blas),
        cmocka_unit_test(test_nan),          cmocka_unit_test(test_core_types),
    };
    return cmocka_run_group_tests_name("linear", tests, NULL, NULL);
}

/* ---- Benchmarks ------------------------------------------------------------------------------ */

struct linear_bench {
    struct backend *backend;
    struct linear_args plain;
    struct linear_swiglu_args swiglu;
};

static void plain_run(void *context)
{
    const struct linear_bench *bench = context;
    bench->backend->ops->linear(bench->backend, &bench->plain);
}

static void swiglu_run(void *context)
{
    const struct linear_bench *bench = context;
    bench->backend->ops->linear_swiglu(bench->backend, &bench->swiglu);
}

static void linear_bench_run(struct backend *backend, size_t n_rows, size_t n_out, size_t n_in,
                             size_t block, bool swiglu)
{
    struct stored_weight weight = weight_start(backend, STORED_F32, n_out, n_in);
    struct linear_bench bench = {.backend = backend};
    struct tensor x = tensor_random(backend, TENSOR_ACTIVATION, n_rows * n_in);
    struct tensor out = tensor_make(backend, TENSOR_ACTIVATION, n_rows * n_out);
    bench.plain = (struct linear_args){.x = x,
                                       .weight = weight.weight,
                                       .n_out = n_out,
                                       .alpha = 1.0f,
                                       .out = out,
                                       .n_rows = n_rows,
                                       .row_block = block};
    bench.swiglu = (struct linear_swiglu_args){.x = x,
                                               .weight = weight.weight,
                                               .alpha = 1.0f,
                                               .out = out,
                                               .n_rows = n_rows,
                                               .row_block = block};
    double seconds = bench_seconds(swiglu ? swiglu_run : plain_run, &bench);
    char shape[80];
    snprintf(shape, sizeof shape, "rows %zu [%zu %zu] %s", n_rows, n_out, n_in,
             block > 1 ? "OpenBLAS" : "own");
    bool few = n_rows <= 8;
    double work = few ? (double)n_out * (double)n_in * 4
                      : 2.0 * (double)n_rows * (double)n_out * (double)n_in;
    bench_print(swiglu ? "linear_swiglu" : "linear", shape, seconds, work * 1e-9,
                few ? "GB/s" : "GFLOP/s");
    tensor_end(backend, x);
    tensor_end(backend, out);
    weight_end(backend, &weight);
}

/* What the memory gives: every thread reads its part of more bytes than the caches hold. */
struct read_bench {
    struct thread_pool *pool;
    const uint64_t *words;
    size_t n_words;
    uint64_t sums[64];
};

enum { READ_TASKS = 64 };

static void read_task(void *context, size_t task, size_t thread)
{
    struct read_bench *bench = context;
    size_t n = bench->n_words / READ_TASKS;
    const uint64_t *words = bench->words + task * n;
    uint64_t sum = 0;
    (void)thread;
    for (size_t i = 0; i < n; i++)
        sum += words[i];
    bench->sums[task] = sum;
}

static void read_run(void *context)
{
    struct read_bench *bench = context;
    thread_pool_run(bench->pool, READ_TASKS, read_task, bench);
}

static void bench_memory(struct backend *backend)
{
    enum { WORDS = 20 << 20 };
    struct read_bench bench = {.pool = cpu_of(backend)->pool, .n_words = WORDS};
    uint64_t *words = mem_calloc(WORDS, sizeof *words);
    if (!words)
        fail_msg("no memory for the read sweep");
    for (size_t i = 0; i < WORDS; i += 512)
        words[i] = i;
    bench.words = words;
    bench_print("read", "sweep of 160 MiB", bench_seconds(read_run, &bench), WORDS * 8e-9, "GB/s");
    mem_free(words);
}

static void bench(void)
{
    static const size_t shapes[][2] = {{2304, 768}, {768, 768}, {6144, 768}, {768, 3072}};
    static const size_t rows[] = {1, 8, 16, 32, 64, 128, 256, 1792};
    struct backend *backend = backend_start(0);
    bench_memory(backend);
    linear_bench_run(backend, 1, 49152, 768, 1, false);
    linear_bench_run(backend, 8, 49152, 768, 1, false);
    linear_bench_run(backend, 1, 12288, 3072, 1, false);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (size_t s = 0; s < 4; s++) {
            linear_bench_run(backend, rows[r], shapes[s][0], shapes[s][1], 1, s == 2);
            size_t block = rows[r] < 256 ? rows[r] : 256;
            if (rows[r] >= 32 && openblas_available())
                linear_bench_run(backend, rows[r], shapes[s][0], shapes[s][1], block, s == 2);
        }
    backend_stop(backend);
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc > 1 && strcmp(argv[1], "--blas") == 0) {
        random_seed();
        return cmocka_run_group_tests_name("linear on one kernel type", blas_tests, NULL, NULL);
    }
    return ops_main(argc, argv, checks, bench);
}
