/* FNV-1a, 64 bits (Fowler, Noll, Vo): names to buckets, series to random streams. It names streams and
 * shards across versions, so it must never change. */
#ifndef TOTO_BASE_HASH_H
#define TOTO_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash_fnv1a(const void *bytes, size_t length);

#endif
