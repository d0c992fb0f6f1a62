/* Arena. */
#include "arena.h"

#include <string.h>

enum { ARENA_ALIGNMENT = 16, ARENA_BLOCK_BYTES = 1 << 16 };

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    _Alignas(16) char data[];
};

void *arena_alloc(struct arena *arena, size_t bytes)
{
    size_t rounded;
    if (!size_add(bytes, ARENA_ALIGNMENT - 1, &rounded))
        return NULL;
    rounded -= rounded % ARENA_ALIGNMENT;
    struct arena_block *block = arena->head;
    if (!block || block->size - block->used < rounded) {
        size_t size = rounded > ARENA_BLOCK_BYTES ? rounded : ARENA_BLOCK_BYTES;
        size_t total;
        if (!size_add(size, sizeof *block, &total) || !(block = mem_alloc(total)))
            return NULL;
        *block = (struct arena_block){.next = arena->head, .size = size};
        arena->head = block;
    }
    void *start = block->data + block->used;
    block->used += rounded;
    return start;
}

char *arena_strndup(struct arena *arena, const char *text, size_t length)
{
    char *copy = arena_alloc(arena, length + 1);
    if (copy) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    return copy;
}

void arena_free(struct arena *arena)
{
    struct arena_block *block = arena->head;
    while (block) {
        struct arena_block *next = block->next;
        mem_free(block);
        block = next;
    }
    arena->head = NULL;
}
