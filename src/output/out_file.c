#define _XOPEN_SOURCE 700 /* realpath */
/* Outputs. A reader of the target sees the old file or the whole new one: the text goes to a temporary
 * file in the same folder, which is synced and then renamed. */
#include "out_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/log.h"
#include "../base/memory.h"

enum { BUFFER_BYTES = 1 << 18, N_SLOTS = 16, PATH_BYTES = 4096 };

/* The temporary files that exist now. A signal handler reads the slots, so they are not allocated: a
 * path is whole before `taken` says so. */
enum { SLOT_FREE, SLOT_CLAIMED, SLOT_TAKEN };
static struct {
    atomic_int state;
    char path[PATH_BYTES];
} slots[N_SLOTS];

void out_file_unlink_all(void)
{
    for (int i = 0; i < N_SLOTS; i++)
        if (atomic_load(&slots[i].state) == SLOT_TAKEN)
            unlink(slots[i].path);
}

static int claim_slot(void)
{
    for (int i = 0; i < N_SLOTS; i++) {
        int expected = SLOT_FREE;
        if (atomic_compare_exchange_strong(&slots[i].state, &expected, SLOT_CLAIMED))
            return i;
    }
    return -1;
}

/* The folder part of a path with its slash; empty for the working folder. */
static int folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (int)(slash + 1 - path) : 0;
}

/* Creates the temporary file of file->target. The name is claimed before the file exists, so that a
 * signal in between leaves nothing. */
static enum toto_status create_temporary(struct out_file *file, struct toto_error *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    static atomic_uint counter;
    int slot = claim_slot();
    if (slot < 0)
        return toto_fail(err, TOTO_STATUS_RESOURCE, "more than %d outputs are open at once", N_SLOTS);
    for (int attempt = 0; attempt < 100; attempt++) {
        uint64_t random = (uint64_t)getpid() * 0x9e3779b97f4a7c15u + (uint64_t)(clock_seconds() * 1e9) +
                          (uint64_t)atomic_fetch_add(&counter, 1) * 0xbf58476d1ce4e5b9u;
        char tail[7] = "";
        for (int i = 0; i < 6; i++, random /= 36)
            tail[i] = letters[random % 36];
        int n = snprintf(slots[slot].path, PATH_BYTES, "%.*s.toto-%s", folder_length(file->target),
                         file->target, tail);
        if (n >= PATH_BYTES) {
            errno = ENAMETOOLONG;
            break;
        }
        atomic_store(&slots[slot].state, SLOT_TAKEN);
        file->fd = open(slots[slot].path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file->fd >= 0) {
            file->temporary = slot;
            return TOTO_STATUS_OK;
        }
        atomic_store(&slots[slot].state, SLOT_CLAIMED); /* not ours to remove */
        if (errno != EEXIST)
            break;
    }
    int reason = errno;
    atomic_store(&slots[slot].state, SLOT_FREE);
    return toto_fail(err, TOTO_STATUS_CREATE, "%s: cannot be created: %s", file->name, strerror(reason));
}

/* Whether a path names a descriptor of this process rather than a file of its own. */
static bool is_descriptor(const char *path)
{
    return strcmp(path, "/dev/stdout") == 0 || strncmp(path, "/dev/fd/", 8) == 0 ||
           strncmp(path, "/proc/self/fd/", 14) == 0;
}

static enum toto_status open_path(const char *path, struct out_file *file, struct toto_error *err)
{
    struct stat info;
    bool exists = stat(path, &info) == 0;
    if (exists && S_ISDIR(info.st_mode))
        return toto_fail(err, TOTO_STATUS_CREATE, "%s: cannot be created: it is a folder", path);
    if (is_descriptor(path) || (exists && !S_ISREG(info.st_mode))) {
        file->fd = open(path, O_WRONLY | O_CLOEXEC);
        if (file->fd < 0)
            return toto_fail(err, TOTO_STATUS_CREATE, "%s: cannot be opened: %s", path, strerror(errno));
        return TOTO_STATUS_OK;
    }
    /* A link stays a link: what it points to is replaced. */
    char *real = exists ? realpath(path, NULL) : NULL;
    file->target = mem_strdup(real ? real : path);
    free(real);
    if (!file->target)
        return toto_fail_memory(err, "the name of the output", strlen(path) + 1);
    return create_temporary(file, err);
}

enum toto_status out_file_open(const char *path, struct out_file *file, struct toto_error *err)
{
    bool standard = !path || strcmp(path, "-") == 0;
    *file = (struct out_file){.fd = -1, .temporary = -1, .name = standard ? "standard output" : path};
    file->buffer = mem_alloc(BUFFER_BYTES);
    if (!file->buffer)
        return toto_fail_memory(err, "the buffer of the output", BUFFER_BYTES);
    enum toto_status status = TOTO_STATUS_OK;
    if (standard)
        file->fd = STDOUT_FILENO;
    else
        status = open_path(path, file, err);
    if (status)
        out_file_close(file);
    return status;
}

static enum toto_status write_all(struct out_file *file, const char *text, size_t length,
                                  struct toto_error *err)
{
    while (length > 0) {
        ssize_t n = write(file->fd, text, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return toto_fail(err, TOTO_STATUS_IO, "%s: cannot be written: %s", file->name, strerror(errno));
        text += n;
        length -= (size_t)n;
    }
    return TOTO_STATUS_OK;
}

static enum toto_status flush(struct out_file *file, struct toto_error *err)
{
    size_t length = file->n_buffered;
    file->n_buffered = 0;
    return write_all(file, file->buffer, length, err);
}

enum toto_status out_file_write(struct out_file *file, const char *text, size_t length,
                                struct toto_error *err)
{
    enum toto_status status = TOTO_STATUS_OK;
    if (length > BUFFER_BYTES - file->n_buffered)
        status = flush(file, err);
    if (status)
        return status;
    if (length > BUFFER_BYTES)
        return write_all(file, text, length, err);
    memcpy(file->buffer + file->n_buffered, text, length);
    file->n_buffered += length;
    return TOTO_STATUS_OK;
}

enum toto_status out_file_field(struct out_file *file, const char *text, struct toto_error *err)
{
    size_t length = strlen(text);
    bool trimmed = length && (strchr(" \t", text[0]) || strchr(" \t", text[length - 1]));
    if (!trimmed && !strpbrk(text, ",\"\r\n"))
        return out_file_write(file, text, length, err);
    enum toto_status status = out_file_write(file, "\"", 1, err);
    while (!status && *text) {
        size_t run = strcspn(text, "\"");
        status = out_file_write(file, text, run, err);
        text += run;
        if (!status && *text) {
            status = out_file_write(file, "\"\"", 2, err);
            text++;
        }
    }
    return status ? status : out_file_write(file, "\"", 1, err);
}

enum toto_status out_file_finish(struct out_file *file, struct toto_error *err)
{
    enum toto_status status = flush(file, err);
    if (status)
        return status;
    if (file->target && fsync(file->fd) != 0)
        return toto_fail(err, TOTO_STATUS_IO, "%s: cannot be written: %s", file->name, strerror(errno));
    if (file->fd != STDOUT_FILENO) {
        int fd = file->fd;
        file->fd = -1;
        if (close(fd) != 0)
            return toto_fail(err, TOTO_STATUS_IO, "%s: cannot be written: %s", file->name, strerror(errno));
    }
    return TOTO_STATUS_OK;
}

/* Makes the new name last; file systems that cannot sync a folder have nothing to wait for. */
static void sync_folder(const char *path)
{
    char folder[PATH_BYTES] = ".";
    int length = folder_length(path);
    if (length > 0)
        snprintf(folder, sizeof folder, "%.*s", length, path);
    int fd = open(folder, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

enum toto_status out_file_commit(struct out_file *file, struct toto_error *err)
{
    if (!file->target)
        return TOTO_STATUS_OK;
    if (rename(slots[file->temporary].path, file->target) != 0)
        return toto_fail(err, TOTO_STATUS_IO, "%s: cannot be replaced: %s", file->name, strerror(errno));
    atomic_store(&slots[file->temporary].state, SLOT_FREE);
    file->temporary = -1;
    sync_folder(file->target);
    return TOTO_STATUS_OK;
}

void out_file_close(struct out_file *file)
{
    if (!file->buffer)
        return;
    if (file->fd >= 0 && file->fd != STDOUT_FILENO)
        close(file->fd);
    if (file->temporary >= 0) {
        unlink(slots[file->temporary].path);
        atomic_store(&slots[file->temporary].state, SLOT_FREE);
    }
    mem_free(file->target);
    mem_free(file->buffer);
    *file = (struct out_file){0};
}
