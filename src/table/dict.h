/* Dict: distinct texts, numbered by first appearance. */
#ifndef TOTO_TABLE_DICT_H
#define TOTO_TABLE_DICT_H

#include "../base/arena.h"

struct dict_entry {
    const char *text; /* NUL-terminated */
    size_t length;
    uint64_t hash;
};

/* A zeroed dict is empty. */
struct dict {
    struct arena arena;
    struct dict_entry *entries;
    size_t n_entries, entries_size;
    uint32_t *buckets; /* index + 1 into entries; 0: free */
    size_t n_buckets;  /* a power of two, or 0 */
};

/* Number of the text, which is added if it is new; SIZE_MAX if there is no memory. */
size_t dict_add(struct dict *dict, const char *text, size_t length);
/* Number of the text; SIZE_MAX if the dict has it not. */
size_t dict_find(const struct dict *dict, const char *text, size_t length);
void dict_free(struct dict *dict);

#endif
