/* Base: memory and its limit, arenas, hashes, checked arithmetic, messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"

static void test_memory_counts(void **state)
{
    (void)state;
    size_t before = toto_memory_used();
    char *block = mem_alloc(1000);
    assert_non_null(block);
    assert_int_equal((uintptr_t)block % MEMORY_ALIGNMENT, 0);
    memset(block, 7, 1000);
    size_t used = toto_memory_used() - before;
    assert_true(used >= 1000 && used <= 1000 + 2 * MEMORY_ALIGNMENT);
    assert_true(toto_memory_peak() >= before + used);

    block = mem_realloc(block, 5000);
    assert_non_null(block);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(block[i], 7);
    size_t peak = toto_memory_peak();
    block = mem_realloc(block, 10);
    assert_int_equal(block[9], 7);
    assert_true(toto_memory_peak() - peak <= 10 + 2 * MEMORY_ALIGNMENT);
    mem_free(block);
    mem_free(NULL);
    assert_int_equal(toto_memory_used(), before);
    assert_true(toto_memory_peak() >= peak);
}

static void test_memory_limit(void **state)
{
    (void)state;
    struct toto_error err;
    void *block = mem_alloc(10000);
    assert_non_null(block);
    toto_memory_set_limit(toto_memory_used() + 4096);
    void *small = mem_alloc(1024);
    assert_non_null(small);
    size_t used = toto_memory_used();
    assert_null(mem_alloc(4096));
    assert_true(mem_limit_hit());
    assert_int_equal(toto_memory_used(), used);
    assert_int_equal(toto_fail_memory(&err, "the table", 4096), TOTO_STATUS_RESOURCE);
    assert_non_null(strstr(err.message, "the table needs 4096 more bytes than --memory allows"));
    assert_null(mem_realloc(small, 8192)); /* the old block stays */
    memset(small, 1, 1024);
    mem_free(small);
    small = mem_alloc(1024);
    assert_non_null(small);
    assert_false(mem_limit_hit());
    toto_memory_set_limit(0);
    void *large = mem_alloc(100000);
    assert_non_null(large);
    mem_free(large);
    mem_free(small);
    mem_free(block);
}

static void test_memory_failures(void **state)
{
    (void)state;
    struct toto_error err;
    mem_fail_after(2);
    void *first = mem_alloc(1), *second = mem_alloc(1), *third = mem_alloc(1);
    assert_non_null(first);
    assert_null(second);
    assert_non_null(third);
    assert_false(mem_limit_hit());
    mem_free(first);
    mem_free(third);
    assert_null(mem_alloc(SIZE_MAX));
    assert_null(mem_alloc(SIZE_MAX - 100));
    assert_null(mem_calloc(SIZE_MAX / 2, 3));
    assert_int_equal(toto_fail_memory(&err, "the table", 12), TOTO_STATUS_RESOURCE);
    assert_string_equal(err.message, "not enough memory for the table (12 bytes)");
    assert_int_equal(toto_memory_used(), 0);
}

static void test_memory_helpers(void **state)
{
    (void)state;
    unsigned char *zeros = mem_calloc(100, 3);
    assert_non_null(zeros);
    for (int i = 0; i < 300; i++)
        assert_int_equal(zeros[i], 0);
    mem_free(zeros);
    void *nothing = mem_alloc(0);
    assert_non_null(nothing);
    mem_free(nothing);
    char *copy = mem_strdup("variate");
    assert_string_equal(copy, "variate");
    mem_free(copy);
    mem_fail_after(1);
    assert_null(mem_strdup("variate"));
}

static void test_checked_arithmetic(void **state)
{
    (void)state;
    const size_t half = (size_t)1 << (sizeof(size_t) * 4);
    size_t value = 5;
    assert_true(size_mul(half, half - 1, &value));
    assert_true(value == half * (half - 1));
    assert_false(size_mul(half, half, &value)); /* wraps to exactly 0 */
    assert_true(value == half * (half - 1));
    assert_true(size_mul(0, SIZE_MAX, &value) && value == 0);
    assert_true(size_mul(SIZE_MAX, 0, &value) && value == 0);
    assert_true(size_mul(SIZE_MAX, 1, &value) && value == SIZE_MAX);
    assert_false(size_mul(SIZE_MAX / 2 + 1, 2, &value));
    assert_true(size_add(SIZE_MAX - 1, 1, &value) && value == SIZE_MAX);
    assert_false(size_add(SIZE_MAX, 1, &value));
    assert_true(value == SIZE_MAX);
    assert_true(size_add(0, 0, &value) && value == 0);
}

static void test_arena(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 16, 0, 17, 65536, 5, 65537, 1000000, 3};
    enum { N = sizeof sizes / sizeof sizes[0] };
    struct arena arena = {0};
    unsigned char *blocks[N];
    size_t before = toto_memory_used();
    for (size_t i = 0; i < N; i++) {
        blocks[i] = arena_alloc(&arena, sizes[i]);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)i, sizes[i]);
    }
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(blocks[i][k], i);
    const char *text = arena_strndup(&arena, "horizon", 4);
    assert_string_equal(text, "hori");
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX - 40));
    mem_fail_after(1);
    assert_null(arena_alloc(&arena, 1000000));
    assert_string_equal(text, "hori");
    arena_free(&arena);
    arena_free(&arena);
    assert_int_equal(toto_memory_used(), before);
}

/* From the authors' test suite (draft-eastlake-fnv, "FNV-1a 64-bit"). */
static void test_hash(void **state)
{
    (void)state;
    assert_true(hash_fnv1a("", 0) == 0xCBF29CE484222325u);
    assert_true(hash_fnv1a("a", 1) == 0xAF63DC4C8601EC8Cu);
    assert_true(hash_fnv1a("foobar", 6) == 0x85944171F73967E8u);
    assert_true(hash_fnv1a("a\0", 2) != hash_fnv1a("a", 1));
}

static void test_messages(void **state)
{
    (void)state;
    struct toto_error err;
    char long_text[2000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    assert_int_equal(toto_fail(&err, TOTO_STATUS_DATA, "%s:%d", "a.csv", 7), TOTO_STATUS_DATA);
    assert_string_equal(err.message, "a.csv:7");
    assert_int_equal(toto_fail(&err, TOTO_STATUS_IO, "%s", long_text), TOTO_STATUS_IO);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    assert_int_equal(toto_fail(NULL, TOTO_STATUS_BUG, "%s", "nobody listens"), TOTO_STATUS_BUG);
}

static char logged[2000];
static int n_logged;

static void keep_line(void *user, enum toto_log_level level, const char *line)
{
    assert_ptr_equal(user, &n_logged);
    assert_int_equal(level, TOTO_LOG_WARN);
    memcpy(logged, line, strlen(line) + 1);
    n_logged++;
}

static void test_log_levels(void **state)
{
    (void)state;
    log_warn("before anyone listens");
    toto_log_set(TOTO_LOG_WARN, keep_line, &n_logged);
    assert_true(log_enabled(TOTO_LOG_ERROR));
    assert_false(log_enabled(TOTO_LOG_INFO));
    log_info("%s", "too quiet");
    assert_int_equal(n_logged, 0);
    log_warn("%d rows", 3);
    assert_int_equal(n_logged, 1);
    assert_string_equal(logged, "3 rows");
    toto_log_set(TOTO_LOG_ERROR, NULL, NULL);
    assert_false(log_enabled(TOTO_LOG_ERROR));
}

static void test_clock(void **state)
{
    (void)state;
    double first = clock_seconds(), second = clock_seconds();
    assert_true(first > 0 && second >= first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_counts),
        cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_memory_failures),
        cmocka_unit_test(test_memory_helpers),
        cmocka_unit_test(test_checked_arithmetic),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_log_levels),
        cmocka_unit_test(test_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
