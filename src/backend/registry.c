/* Which devices there are, and which one runs. */
#include <string.h>

#include "../base/memory.h"
#include "backend.h"
#include "cpu/cpu.h"

void backend_fail(struct backend *backend, enum toto_status status, const struct toto_error *err)
{
    if (backend->status)
        return;
    backend->status = status;
    backend->error = *err;
}

enum toto_status toto_device_open(const char *name, size_t n_threads, struct toto_device **device,
                                  struct toto_error *err)
{
    *device = NULL;
    if (name && strcmp(name, "auto") != 0 && strcmp(name, "cpu") != 0)
        return toto_fail(err, TOTO_STATUS_RESOURCE,
                         "there is no device \"%s\"; there are: auto (the best of them) and cpu", name);
    struct toto_device *opened = mem_calloc(1, sizeof *opened);
    if (!opened)
        return toto_fail_memory(err, "the device", sizeof *opened);
    enum toto_status status = cpu_backend_open(n_threads, &opened->backend, err);
    if (status) {
        mem_free(opened);
        return status;
    }
    *device = opened;
    return TOTO_STATUS_OK;
}

void toto_device_free(struct toto_device *device)
{
    if (!device)
        return;
    device->backend->ops->close(device->backend);
    mem_free(device);
}
