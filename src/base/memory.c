/* Counted allocations. Each block is preceded by a header of one alignment unit that holds its size. */
#include "memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static _Atomic size_t used, peak, limit, fail_after;
static _Thread_local bool limit_hit;

void toto_memory_set_limit(size_t bytes)
{
    atomic_store(&limit, bytes);
}

size_t toto_memory_used(void)
{
    return atomic_load(&used);
}

size_t toto_memory_peak(void)
{
    return atomic_load(&peak);
}

bool mem_limit_hit(void)
{
    return limit_hit;
}

void mem_fail_after(size_t n)
{
    atomic_store(&fail_after, n);
}

bool size_mul(size_t a, size_t b, size_t *product)
{
    if (b && a > SIZE_MAX / b)
        return false;
    *product = a * b;
    return true;
}

bool size_add(size_t a, size_t b, size_t *sum)
{
    if (a > SIZE_MAX - b)
        return false;
    *sum = a + b;
    return true;
}

/* Counts bytes in; false if the limit refuses them. */
static bool take(size_t bytes)
{
    size_t most = atomic_load(&limit);
    size_t now = atomic_fetch_add(&used, bytes) + bytes;
    limit_hit = most && now > most;
    if (limit_hit) {
        atomic_fetch_sub(&used, bytes);
        return false;
    }
    size_t before = atomic_load(&peak);
    while (now > before && !atomic_compare_exchange_weak(&peak, &before, now))
        ;
    return true;
}

static bool planned_failure(void)
{
    size_t n = atomic_load(&fail_after);
    while (n && !atomic_compare_exchange_weak(&fail_after, &n, n - 1))
        ;
    return n == 1;
}

void *mem_alloc(size_t bytes)
{
    size_t total;
    limit_hit = false;
    if (planned_failure() || !size_add(bytes, 2 * MEMORY_ALIGNMENT - 1, &total))
        return NULL;
    total -= total % MEMORY_ALIGNMENT;
    if (!take(total))
        return NULL;
    void *base = NULL;
    if (posix_memalign(&base, MEMORY_ALIGNMENT, total) != 0) {
        atomic_fetch_sub(&used, total);
        return NULL;
    }
    *(size_t *)base = total;
    return (char *)base + MEMORY_ALIGNMENT;
}

void *mem_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (!size_mul(count, size, &bytes)) {
        limit_hit = false;
        return NULL;
    }
    void *block = mem_alloc(bytes);
    if (block)
        memset(block, 0, bytes);
    return block;
}

void *mem_realloc(void *block, size_t bytes)
{
    void *grown = mem_alloc(bytes);
    if (!grown || !block)
        return grown;
    size_t total = *(size_t *)((char *)block - MEMORY_ALIGNMENT) - MEMORY_ALIGNMENT;
    memcpy(grown, block, total < bytes ? total : bytes);
    mem_free(block);
    return grown;
}

void mem_free(void *block)
{
    if (!block)
        return;
    void *base = (char *)block - MEMORY_ALIGNMENT;
    atomic_fetch_sub(&used, *(size_t *)base);
    free(base);
}

char *mem_strdup(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = mem_alloc(bytes);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}
