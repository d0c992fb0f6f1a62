/* What stands around the ops: memory and its limit, uploads, the sticky error, weights,
 * and the thread pool. */
#include "ops.h"

#include <stdatomic.h>

#include "backend/cpu/threads.h"

static void test_open_without_memory(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 3; n++) {
        struct toto_error err;
        struct backend *backend = NULL;
        size_t before = toto_memory_used();
        mem_fail_after(n);
        assert_int_equal(cpu_backend_open(2, &backend, &err), TOTO_STATUS_RESOURCE);
        assert_null(backend);
        assert_int_equal(toto_memory_used(), before);
    }
    mem_fail_after(0);
    assert_true(thread_count_available() >= 1);
}

static void test_memory(void **state)
{
    (void)state;
    struct backend *backend = backend_start(1);
    struct toto_error err;
    struct tensor tensor;
    assert_int_equal(backend->ops->alloc(backend, TENSOR_F32, SIZE_MAX / 2, &tensor, &err),
                     TOTO_STATUS_RESOURCE);
    assert_null(tensor.memory);
    toto_memory_set_limit(toto_memory_used() + 1000);
    assert_int_equal(backend->ops->alloc(backend, TENSOR_F32, 1000, &tensor, &err),
                     TOTO_STATUS_RESOURCE);
    assert_non_null(strstr(err.message, "--memory"));
    toto_memory_set_limit(0);
    assert_int_equal(backend->ops->alloc(backend, TENSOR_I32, 10, &tensor, &err), TOTO_STATUS_OK);
    int32_t in[4] = {1, 2, 3, 4}, out[4];
    backend->ops->upload(backend, tensor_at(tensor, 3, 4), in);
    assert_int_equal(backend->ops->download(backend, tensor_at(tensor, 4, 3), out, &err),
                     TOTO_STATUS_OK);
    assert_memory_equal(out, in + 1, 12);
    backend->ops->free(backend, &tensor);
    backend->ops->free(backend, &tensor);
    backend_stop(backend);
}

/* The first error stays, later ops do nothing, and sync and download return it. */
static void test_sticky_error(void **state)
{
    (void)state;
    struct backend *backend = backend_start(1);
    struct tensor x = tensor_random(backend, TENSOR_ACTIVATION, 16),
                  out = tensor_make(backend, TENSOR_ACTIVATION, 1);
    float data[16] = {0};
    struct weight *weight;
    struct toto_error err;
    assert_int_equal(backend->ops->weight_open(backend, &(struct weight_part){DTYPE_F32, data, 1},
                                               1, 16, &weight, &err),
                     TOTO_STATUS_OK);
    const struct linear_args args = {
        .x = x, .weight = weight, .n_out = 1, .alpha = 1, .out = out, .n_rows = 1, .row_block = 1};
    mem_fail_after(1); /* the scratch */
    backend->ops->linear(backend, &args);
    mem_fail_after(0);
    assert_int_equal(backend->ops->sync(backend, &err), TOTO_STATUS_RESOURCE);
    assert_non_null(strstr(err.message, "scratch"));
    toto_fail(&err, TOTO_STATUS_DATA, "a later one");
    backend_fail(backend, TOTO_STATUS_DATA, &err);
    backend->ops->linear(backend, &args);
    assert_true(isnan(floats(out)[0]));
    assert_int_equal(backend->ops->download(backend, out, data, &err), TOTO_STATUS_RESOURCE);
    assert_non_null(strstr(err.message, "scratch"));
    backend->ops->weight_close(backend, weight);
    backend->ops->weight_close(backend, NULL);
    tensor_end(backend, x);
    tensor_end(backend, out);
    backend->ops->close(backend);
}

static void test_weight_too_wide(void **state)
{
    (void)state;
    struct backend *backend = backend_start(1);
    struct toto_error err;
    struct weight *weight;
    assert_int_equal(backend->ops->weight_open(backend, &(struct weight_part){DTYPE_F32, &err, 1},
                                               1, WEIGHT_IN_MOST + 1, &weight, &err),
                     TOTO_STATUS_RESOURCE);
    assert_null(weight);
    backend_stop(backend);
}

static void test_row_block(void **state)
{
    (void)state;
    struct backend *backend = backend_start(1);
    for (size_t width = 32; width <= 1024; width *= 2)
        for (size_t rows = 1; rows < 2000; rows += 7) {
            size_t block = backend->ops->row_block(backend, rows, width);
            assert_true(block == 1 || block == 64 || block == 128 || block == 256);
            assert_true(block == 1 || (rows + block - 1) / block * block <= rows + rows / 2);
        }
    assert_true(backend->ops->row_block(backend, 1, 768) == 1);
    assert_true(backend->ops->row_block(backend, 4096, 32) == 1);
    assert_true(backend->ops->scratch_bytes(backend, 768) > 0);
    backend_stop(backend);
}

/* ---- Threads --------------------------------------------------------------------------------- */

struct count_job {
    _Atomic unsigned counts[1000];
    _Atomic unsigned threads;
};

static void count_task(void *context, size_t task, size_t thread)
{
    struct count_job *job = context;
    atomic_fetch_add(&job->counts[task], 1);
    atomic_fetch_or(&job->threads, 1u << thread);
}

/* Every task of every loop runs once, through thousands of loops of all sizes, with pauses for
 * sleep. */
static void test_pool(void **state)
{
    (void)state;
    static struct count_job job;
    for (size_t n_threads = 1; n_threads <= 5; n_threads += 2) {
        struct thread_pool *pool;
        struct toto_error err;
        assert_int_equal(thread_pool_open(n_threads, &pool, &err), TOTO_STATUS_OK);
        memset(&job, 0, sizeof job);
        unsigned want[1000] = {0};
        for (size_t loop = 0; loop < 3000; loop++) {
            size_t n_tasks = loop * 7 % 19 == 0 ? 1000 : loop % 6;
            thread_pool_run(pool, n_tasks, count_task, &job);
            for (size_t i = 0; i < n_tasks; i++)
                want[i]++;
            if (loop % 500 == 0) {
                double end = clock_seconds() + 0.002;
                while (clock_seconds() < end)
                    ;
            }
        }
        for (size_t i = 0; i < 1000; i++)
            assert_int_equal(job.counts[i], want[i]);
        assert_true(job.threads < 1u << n_threads);
        thread_pool_close(pool);
    }
    thread_pool_close(NULL);
}

static int checks(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_without_memory), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_sticky_error),        cmocka_unit_test(test_weight_too_wide),
        cmocka_unit_test(test_row_block),           cmocka_unit_test(test_pool),
    };
    return cmocka_run_group_tests_name("backend", tests, NULL, NULL);
}

static void empty_task(void *context, size_t task, size_t thread)
{
    (void)context;
    (void)task;
    (void)thread;
}

static void loop_run(void *context)
{
    thread_pool_run(context, 8, empty_task, NULL);
}

static void bench(void)
{
    struct thread_pool *pool;
    struct toto_error err;
    if (thread_pool_open(thread_count_available(), &pool, &err))
        fail_msg("%s", err.message);
    bench_print("thread_pool_run", "tasks 8, empty", bench_seconds(loop_run, pool), 8e-6,
                "Mtask/s");
    thread_pool_close(pool);
}

int main(int argc, char **argv)
{
    return ops_main(argc, argv, checks, bench);
}
