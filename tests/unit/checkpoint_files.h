/* Checkpoint fixtures: files of any content in a temporary folder. */
#ifndef TOTO_TESTS_CHECKPOINT_FILES_H
#define TOTO_TESTS_CHECKPOINT_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint/checkpoint.h"

enum { FOLDER_MOST_FILES = 16 };

struct folder {
    char path[64];
    char files[FOLDER_MOST_FILES][128];
    size_t n_files;
};

static inline void folder_make(struct folder *folder)
{
    *folder = (struct folder){.path = "/tmp/toto_test_XXXXXX"};
    assert_non_null(mkdtemp(folder->path));
}

static inline void folder_remove(struct folder *folder)
{
    for (size_t i = 0; i < folder->n_files; i++)
        unlink(folder->files[i]);
    assert_int_equal(rmdir(folder->path), 0);
}

/* Writes (or overwrites) a file of the folder, and returns its path. */
static inline const char *folder_write(struct folder *folder, const char *name, const void *bytes,
                                       size_t n)
{
    char path[128];
    size_t i = 0;
    snprintf(path, sizeof path, "%s/%s", folder->path, name);
    while (i < folder->n_files && strcmp(folder->files[i], path) != 0)
        i++;
    assert_true(i < FOLDER_MOST_FILES);
    if (i == folder->n_files) {
        memcpy(folder->files[i], path, sizeof path);
        folder->n_files++;
    }
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
    return folder->files[i];
}

static inline const char *folder_write_text(struct folder *folder, const char *name,
                                            const char *text)
{
    return folder_write(folder, name, text, strlen(text));
}

/* A safetensors file with this header and n bytes of data: 0, 1, 2, ... unless data is given. */
static inline const char *folder_write_tensors(struct folder *folder, const char *name,
                                               const char *header, const void *data, size_t n)
{
    size_t length = strlen(header);
    unsigned char *bytes = malloc(8 + length + n);
    assert_non_null(bytes);
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)length >> 8 * i);
    memcpy(bytes + 8, header, length);
    for (size_t i = 0; i < n; i++)
        bytes[8 + length + i] = data ? ((const unsigned char *)data)[i] : (unsigned char)i;
    const char *path = folder_write(folder, name, bytes, 8 + length + n);
    free(bytes);
    return path;
}

/* Opening the folder must fail with this status and a message that holds each of the parts (NULL:
 * none). */
static inline void assert_refused(const char *path, enum toto_status status, const char *part1,
                                  const char *part2)
{
    struct checkpoint checkpoint;
    struct toto_error err = {""};
    size_t used = toto_memory_used();
    enum toto_status got = checkpoint_open(path, &checkpoint, &err);
    if (got != status || (part1 && !strstr(err.message, part1)) ||
        (part2 && !strstr(err.message, part2)))
        fail_msg("status %d, message: %s\nwanted %d, \"%s\", \"%s\"", (int)got, err.message,
                 (int)status, part1 ? part1 : "", part2 ? part2 : "");
    assert_null(checkpoint.tensors);
    assert_null(checkpoint.files);
    assert_int_equal(toto_memory_used(), used);
}

#endif
