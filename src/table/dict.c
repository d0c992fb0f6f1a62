/* Texts to numbers: open addressing over an array of entries. */
#include "dict.h"

#include <string.h>

#include "../base/hash.h"

/* Doubles the buckets once they are half full, and the entries with them. */
static bool dict_grow(struct dict *dict)
{
    size_t n_buckets = dict->n_buckets ? 2 * dict->n_buckets : 64;
    if (n_buckets / 2 > UINT32_MAX - 1)
        return false;
    struct dict_entry *entries = mem_realloc(dict->entries, n_buckets / 2 * sizeof *entries);
    if (!entries)
        return false;
    dict->entries = entries;
    dict->entries_size = n_buckets / 2;
    uint32_t *buckets = mem_calloc(n_buckets, sizeof *buckets);
    if (!buckets)
        return false;
    for (size_t i = 0; i < dict->n_entries; i++) {
        size_t at = entries[i].hash & (n_buckets - 1);
        while (buckets[at])
            at = (at + 1) & (n_buckets - 1);
        buckets[at] = (uint32_t)i + 1;
    }
    mem_free(dict->buckets);
    dict->buckets = buckets;
    dict->n_buckets = n_buckets;
    return true;
}

/* The bucket that holds the text, or the free one where it belongs; there are buckets. */
static size_t bucket_find(const struct dict *dict, const char *text, size_t length, uint64_t hash)
{
    size_t at = hash & (dict->n_buckets - 1);
    for (; dict->buckets[at]; at = (at + 1) & (dict->n_buckets - 1)) {
        const struct dict_entry *entry = &dict->entries[dict->buckets[at] - 1];
        if (entry->hash == hash && entry->length == length && !memcmp(entry->text, text, length))
            break;
    }
    return at;
}

size_t dict_find(const struct dict *dict, const char *text, size_t length)
{
    if (dict->n_buckets == 0)
        return SIZE_MAX;
    uint32_t found = dict->buckets[bucket_find(dict, text, length, hash_fnv1a(text, length))];
    return found ? found - 1 : SIZE_MAX;
}

size_t dict_add(struct dict *dict, const char *text, size_t length)
{
    if (dict->n_entries >= dict->n_buckets / 2 && !dict_grow(dict))
        return SIZE_MAX;
    uint64_t hash = hash_fnv1a(text, length);
    size_t at = bucket_find(dict, text, length, hash);
    if (dict->buckets[at])
        return dict->buckets[at] - 1;
    char *copy = arena_strndup(&dict->arena, text, length);
    if (!copy)
        return SIZE_MAX;
    dict->entries[dict->n_entries] = (struct dict_entry){copy, length, hash};
    dict->buckets[at] = (uint32_t)dict->n_entries + 1;
    return dict->n_entries++;
}

void dict_free(struct dict *dict)
{
    mem_free(dict->entries);
    mem_free(dict->buckets);
    arena_free(&dict->arena);
    *dict = (struct dict){0};
}
