/* Arena: many small blocks that go together. Strings and cells live in their owner's arena. */
#ifndef TOTO_BASE_ARENA_H
#define TOTO_BASE_ARENA_H

#include "memory.h"

struct arena_block;
struct arena {
    struct arena_block *head; /* NULL: empty; a zeroed arena is ready for use */
};

/* 16-byte aligned, uninitialised; NULL if there is no memory. */
void *arena_alloc(struct arena *arena, size_t bytes);
/* Copy of length bytes and a terminating NUL. */
char *arena_strndup(struct arena *arena, const char *text, size_t length);
void arena_free(struct arena *arena);

#endif
