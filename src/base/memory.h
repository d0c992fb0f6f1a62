/* Every allocation of toto: counted, limited (toto_memory_set_limit) and aligned to 64 bytes. */
#ifndef TOTO_BASE_MEMORY_H
#define TOTO_BASE_MEMORY_H

#include "status.h"

enum { MEMORY_ALIGNMENT = 64 };

/* NULL if there is no memory, or if the limit would be passed. Zero bytes give a valid pointer.
 * Contents are undefined (mem_alloc) or zero (mem_calloc, checked product). */
void *mem_alloc(size_t bytes);
void *mem_calloc(size_t count, size_t size);
/* As realloc: on failure the old block stays. */
void *mem_realloc(void *block, size_t bytes);
void mem_free(void *block);
char *mem_strdup(const char *text);

/* a * b and a + b without wrapping: false if the result does not fit. */
bool size_mul(size_t a, size_t b, size_t *product);
bool size_add(size_t a, size_t b, size_t *sum);

static inline size_t size_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t size_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* n rounded up to whole blocks. */
static inline size_t size_round_up(size_t n, size_t block)
{
    return (n + block - 1) / block * block;
}

/* True if the last failed allocation of this thread was refused by the limit rather than the system. */
bool mem_limit_hit(void);

/* Tests: the n-th allocation from now fails (1: the next); 0 switches it off. */
void mem_fail_after(size_t n);

#endif
