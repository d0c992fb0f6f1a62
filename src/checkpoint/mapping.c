#ifdef __linux__
#define _DEFAULT_SOURCE /* madvise */
#endif
#ifdef __APPLE__
#define _DARWIN_C_SOURCE
#endif
/* Mapped files. The register is a fixed table of atomics, so that a SIGBUS handler can look an
 * address up without a lock: a slot counts once its path is set, and its other fields are written
 * before. */
#include "mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct slot {
    atomic_bool taken;
    _Atomic uintptr_t start, end;
    _Atomic(const char *) path;
};

static struct slot slots[MAPPING_MOST_FILES];

const char *toto_mapped_path(const void *address)
{
    uintptr_t at = (uintptr_t)address;
    for (size_t i = 0; i < MAPPING_MOST_FILES; i++) {
        const char *path = atomic_load(&slots[i].path);
        if (path && at >= atomic_load(&slots[i].start) && at < atomic_load(&slots[i].end))
            return path;
    }
    return NULL;
}

static struct slot *slot_take(void)
{
    for (size_t i = 0; i < MAPPING_MOST_FILES; i++)
        if (!atomic_exchange(&slots[i].taken, true))
            return &slots[i];
    return NULL;
}

static void slot_release(const void *start)
{
    for (size_t i = 0; i < MAPPING_MOST_FILES; i++) {
        if (atomic_load(&slots[i].path) && atomic_load(&slots[i].start) == (uintptr_t)start) {
            atomic_store(&slots[i].path, NULL);
            atomic_store(&slots[i].taken, false);
            return;
        }
    }
}

/* Checks that fd is a regular file of at least one byte, and gives its size. */
static enum toto_status measure(int fd, const char *path, size_t *bytes, struct toto_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return toto_fail(err, TOTO_STATUS_NO_INPUT, "%s: cannot be read: %s", path,
                         strerror(errno));
    if (!S_ISREG(st.st_mode))
        return toto_fail(err, TOTO_STATUS_NO_INPUT, "%s: is not a regular file", path);
    if (st.st_size == 0)
        return toto_fail(err, TOTO_STATUS_DATA, "%s: is empty", path);
    if ((uintmax_t)st.st_size > SIZE_MAX)
        return toto_fail(err, TOTO_STATUS_RESOURCE,
                         "%s: %jd bytes are more than this machine can address", path,
                         (intmax_t)st.st_size);
    *bytes = (size_t)st.st_size;
    return TOTO_STATUS_OK;
}

static void describe(const char *path, const void *data, size_t bytes, struct mapped_file *file)
{
    const char *slash = strrchr(path, '/');
    *file = (struct mapped_file){
        .path = path, .name = slash ? slash + 1 : path, .data = data, .bytes = bytes};
}

enum toto_status mapping_open(const char *path, struct mapped_file *file, struct toto_error *err)
{
    *file = (struct mapped_file){0};
    enum toto_status status = TOTO_STATUS_OK;
    size_t bytes = 0;
    void *data;
    struct slot *slot;

    /* O_NONBLOCK: a FIFO in the file's place is refused below instead of waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return toto_fail(err, TOTO_STATUS_NO_INPUT, "%s: cannot be opened: %s", path,
                         strerror(errno));
    if ((status = measure(fd, path, &bytes, err)))
        goto done;
    data = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
        status = toto_fail(err, TOTO_STATUS_RESOURCE, "%s: %zu bytes cannot be mapped: %s", path,
                           bytes, strerror(errno));
        goto done;
    }
    if (!(slot = slot_take())) {
        munmap(data, bytes);
        status = toto_fail(err, TOTO_STATUS_RESOURCE, "%s: %d model files are mapped already", path,
                           MAPPING_MOST_FILES);
        goto done;
    }
    atomic_store(&slot->start, (uintptr_t)data);
    atomic_store(&slot->end, (uintptr_t)data + bytes);
    atomic_store(&slot->path, path);
#ifdef MADV_WILLNEED
    (void)madvise(data, bytes, MADV_WILLNEED); /* a hint: reading works without it */
#endif
    describe(path, data, bytes, file);
done:
    close(fd);
    return status;
}

void mapping_borrow(const char *path, const void *data, size_t bytes, struct mapped_file *file)
{
    describe(path, data, bytes, file);
    file->borrowed = true;
}

void mapping_close(struct mapped_file *file)
{
    if (file->data && !file->borrowed) {
        slot_release(file->data);
        munmap((void *)(uintptr_t)file->data, file->bytes);
    }
    *file = (struct mapped_file){0};
}
