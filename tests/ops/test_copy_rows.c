/* copy_rows: any kind, with and without indices, rows that are skipped. */
#include "ops.h"

static void test_copies(void **state)
{
    (void)state;
    enum { ROWS = 70, WIDTH = 33 };
    struct backend *backend = backend_start(2);
    int32_t to[ROWS], from[ROWS];
    for (int32_t i = 0; i < ROWS; i++) {
        to[i] = i % 5 == 3 ? -1 : ROWS - 1 - i;
        from[i] = i % 7 == 2 ? -1 : (i * 11) % ROWS;
    }
    struct tensor dst_row = tensor_of(backend, TENSOR_I32, ROWS, to);
    struct tensor src_row = tensor_of(backend, TENSOR_I32, ROWS, from);
    for (int with = 0; with < 4; with++) {
        struct tensor src = tensor_random(backend, TENSOR_ACTIVATION, ROWS * WIDTH);
        struct tensor dst = tensor_make(backend, TENSOR_ACTIVATION, ROWS * WIDTH);
        struct copy_rows_args args = {.dst = dst, .src = src, .n_rows = ROWS, .width = WIDTH};
        if (with & 1)
            args.dst_row = dst_row;
        if (with & 2)
            args.src_row = src_row;
        backend->ops->copy_rows(backend, &args);
        uint32_t want[ROWS * WIDTH];
        for (size_t i = 0; i < ROWS * WIDTH; i++)
            want[i] = POISON;
        for (int32_t i = 0; i < ROWS; i++) {
            int32_t d = with & 1 ? to[i] : i, s = with & 2 ? from[i] : i;
            if (d >= 0 && s >= 0)
                memcpy(want + d * WIDTH, floats(src) + s * WIDTH, WIDTH * 4);
        }
        assert_memory_equal(floats(dst), want, sizeof want);
        tensor_end(backend, src);
        tensor_end(backend, dst);
    }
    tensor_end(backend, dst_row);
    tensor_end(backend, src_row);
    backend_stop(backend);
}

static void test_bytes(void **state)
{
    (void)state;
    struct backend *backend = backend_start(1);
    uint8_t bytes[6] = {1, 2, 3, 4, 5, 6}, got[6];
    int32_t to[3] = {2, 0, 1};
    struct tensor src = tensor_of(backend, TENSOR_U8, 6, bytes),
                  dst = tensor_make(backend, TENSOR_U8, 6);
    struct tensor rows = tensor_of(backend, TENSOR_I32, 3, to);
    backend->ops->copy_rows(
        backend,
        &(struct copy_rows_args){.dst = dst, .dst_row = rows, .src = src, .n_rows = 3, .width = 2});
    assert_int_equal(backend->ops->download(backend, dst, got, NULL), TOTO_STATUS_OK);
    assert_memory_equal(got, ((uint8_t[]){3, 4, 5, 6, 1, 2}), 6);
    tensor_end(backend, rows);
    backend->ops->free(backend, &src);
    backend->ops->free(backend, &dst);
    backend_stop(backend);
}

static int checks(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_copies), cmocka_unit_test(test_bytes)};
    return cmocka_run_group_tests_name("copy_rows", tests, NULL, NULL);
}

struct copy_bench {
    struct backend *backend;
    struct copy_rows_args args;
};

static void copy_run(void *context)
{
    const struct copy_bench *bench = context;
    bench->backend->ops->copy_rows(bench->backend, &bench->args);
}

static void bench(void)
{
    struct backend *backend = backend_start(0);
    struct tensor src = tensor_random(backend, TENSOR_ACTIVATION, 1792 * 768);
    struct tensor dst = tensor_make(backend, TENSOR_ACTIVATION, 1792 * 768);
    struct copy_bench run = {backend, {.dst = dst, .src = src, .n_rows = 1792, .width = 768}};
    bench_print("copy_rows", "rows 1792 width 768", bench_seconds(copy_run, &run),
                1792 * 768 * 8e-9, "GB/s");
    tensor_end(backend, src);
    tensor_end(backend, dst);
    backend_stop(backend);
}

int main(int argc, char **argv)
{
    return ops_main(argc, argv, checks, bench);
}
