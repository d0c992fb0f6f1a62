/* The folder of built programs: $XDG_CACHE_HOME/toto, else ~/.cache/toto.
 *
 * An entry is named by its key and holds: "TOTOCLB1", the key (32 bytes), the payload's length (8
 * bytes, little endian), the payload's SHA-256 (32 bytes), the payload. All of it is checked before
 * a driver sees it. Entries are written aside and renamed. The folder must be the user's own and
 * not writable by others, since drivers trust a binary. Without a folder nothing is cached. */
#include "ocl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../base/log.h"
#include "../../base/memory.h"

enum { PATH_BYTES = 4096, HEADER_BYTES = 80, PAYLOAD_MAX = 256 << 20 };
static const char magic[8] = {'T', 'O', 'T', 'O', 'C', 'L', 'B', '1'};

/* ---- Keys ------------------------------------------------------------------------------------ */

/* A text with its length before it, so that no two lists of texts give the same bytes. */
static void hash_text(struct sha256_ctx *hash, const char *text)
{
    char length[32];
    int n = snprintf(length, sizeof length, "%zu:", strlen(text));
    sha256_update(hash, (size_t)n, (const uint8_t *)length);
    sha256_update(hash, strlen(text), (const uint8_t *)text);
}

void ocl_cache_key_make(const struct ocl_device *device, const char *const *parts, size_t n_parts,
                        struct ocl_cache_key *key)
{
    struct sha256_ctx hash;
    sha256_init(&hash);
    hash_text(&hash, device->platform_name);
    hash_text(&hash, device->name);
    hash_text(&hash, device->version);
    hash_text(&hash, device->driver);
    for (size_t i = 0; i < n_parts; i++)
        hash_text(&hash, parts[i]);
    sha256_digest(&hash, sizeof key->hash, key->hash);
}

/* ---- The folder ------------------------------------------------------------------------------ */

/* Makes the folder and those above it; true if it is there, the user's, and closed to the writing
 * of others. */
static bool folder_ready(char *path)
{
    struct stat info;
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    mkdir(path, 0700);
    return lstat(path, &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == geteuid() &&
           !(info.st_mode & (S_IWGRP | S_IWOTH));
}

/* Path of the entry; false: there is no cache. */
static bool entry_path(const struct ocl_cache_key *key, char path[PATH_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    const char *off = getenv("TOTO_CACHE"), *base = getenv("XDG_CACHE_HOME"),
               *home = getenv("HOME");
    int n;
    if (off && strcmp(off, "off") == 0)
        return false;
    /* XDG Base Directory Specification: a path that is not absolute is invalid and ignored. */
    if (base && *base == '/')
        n = snprintf(path, PATH_BYTES, "%s/toto", base);
    else if (home && *home == '/')
        n = snprintf(path, PATH_BYTES, "%s/.cache/toto", home);
    else
        return false;
    if (n < 0 || n + 128 > PATH_BYTES || !folder_ready(path)) {
        log_debug("built programs are not cached: no private folder can be had");
        return false;
    }
    path[n++] = '/';
    for (size_t i = 0; i < sizeof key->hash; i++) {
        path[n++] = digits[key->hash[i] >> 4];
        path[n++] = digits[key->hash[i] & 15];
    }
    memcpy(path + n, ".clb", sizeof ".clb");
    return true;
}

/* ---- Entries --------------------------------------------------------------------------------- */

static void header_make(const struct ocl_cache_key *key, const unsigned char *payload, size_t bytes,
                        unsigned char header[HEADER_BYTES])
{
    struct sha256_ctx hash;
    memcpy(header, magic, 8);
    memcpy(header + 8, key->hash, 32);
    for (int i = 0; i < 8; i++)
        header[40 + i] = (unsigned char)((uint64_t)bytes >> 8 * i);
    sha256_init(&hash);
    sha256_update(&hash, bytes, payload);
    sha256_digest(&hash, 32, header + 48);
}

static bool read_all(int fd, unsigned char *to, size_t bytes)
{
    while (bytes) {
        ssize_t n = read(fd, to, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        to += n;
        bytes -= (size_t)n;
    }
    return true;
}

static bool write_all(int fd, const unsigned char *from, size_t bytes)
{
    while (bytes) {
        ssize_t n = write(fd, from, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        from += n;
        bytes -= (size_t)n;
    }
    return true;
}

unsigned char *ocl_cache_load(const struct ocl_cache_key *key, size_t *bytes)
{
    char path[PATH_BYTES];
    struct stat info;
    unsigned char found[HEADER_BYTES], wanted[HEADER_BYTES], *payload = NULL;
    bool good = false;
    int fd = entry_path(key, path) ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (fd < 0)
        return NULL;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_uid == geteuid() &&
        info.st_size > HEADER_BYTES && info.st_size <= PAYLOAD_MAX) {
        *bytes = (size_t)info.st_size - HEADER_BYTES;
        payload = mem_alloc(*bytes);
    }
    if (payload && read_all(fd, found, sizeof found) && read_all(fd, payload, *bytes)) {
        header_make(key, payload, *bytes, wanted);
        good = memcmp(found, wanted, sizeof found) == 0;
    }
    close(fd);
    if (good)
        return payload;
    log_debug("%s is not whole, and is built again", path);
    mem_free(payload);
    return NULL;
}

void ocl_cache_store(const struct ocl_cache_key *key, const unsigned char *payload, size_t bytes)
{
    static atomic_uint counter;
    char path[PATH_BYTES], aside[PATH_BYTES + 64];
    unsigned char header[HEADER_BYTES];
    if (bytes == 0 || bytes > PAYLOAD_MAX - HEADER_BYTES || !entry_path(key, path))
        return;
    snprintf(aside, sizeof aside, "%s.%ld-%u-%" PRIx64, path, (long)getpid(),
             atomic_fetch_add(&counter, 1), (uint64_t)(clock_seconds() * 1e9));
    int fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        log_debug("%s cannot be written: %s", aside, strerror(errno));
        return;
    }
    header_make(key, payload, bytes, header);
    bool good = write_all(fd, header, sizeof header) && write_all(fd, payload, bytes);
    good = close(fd) == 0 && good;
    if (!good || rename(aside, path) != 0) {
        log_debug("%s cannot be written: %s", path, strerror(errno));
        unlink(aside);
    }
}
