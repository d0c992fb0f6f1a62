/* Which devices there are, and which one runs. */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/log.h"
#include "../base/memory.h"
#include "backend.h"
#include "cpu/cpu.h"
#include "cpu/kernels.h"
#include "cpu/threads.h"
#include "opencl/ocl.h"
#include "self_test.h"

void backend_fail(struct backend *backend, enum toto_status status, const struct toto_error *err)
{
    if (backend->status)
        return;
    backend->status = status;
    backend->error = *err;
}

size_t backend_tensor_bytes(const struct backend *backend, enum tensor_kind kind, size_t n)
{
    size_t bytes = n * backend->ops->element_bytes(backend, kind);
    if (backend->largest_bytes && bytes > backend->largest_bytes)
        return SIZE_MAX / 4;
    return bytes + 2 * MEMORY_ALIGNMENT; /* rounded up, behind a header */
}

bool backend_reset(struct backend *backend)
{
    struct toto_error ignored;
    backend->status = TOTO_STATUS_OK;
    return backend->ops->sync(backend, &ignored) == TOTO_STATUS_OK;
}

/* ---- Classes of devices ---------------------------------------------------------------------- */

/* A later class goes before an earlier one with `auto`, which takes none below INTEGRATED but the
 * built-in CPU. */
enum device_class { CLASS_ACCELERATOR, CLASS_CPU, CLASS_INTEGRATED, CLASS_DISCRETE };

/* Some drivers that run on the CPU call it a GPU besides. */
static enum device_class class_of(const struct ocl_device *device)
{
    if (device->type & CL_DEVICE_TYPE_CPU)
        return CLASS_CPU;
    if (!(device->type & CL_DEVICE_TYPE_GPU))
        return CLASS_ACCELERATOR;
    return device->unified_memory ? CLASS_INTEGRATED : CLASS_DISCRETE;
}

/* What --dtype auto stands for. */
static enum dtype dtype_of_class(enum device_class class)
{
    static const enum dtype table[] = {
        [CLASS_ACCELERATOR] = DTYPE_F32,
        [CLASS_CPU] = DTYPE_F32,
        [CLASS_INTEGRATED] = DTYPE_F32,
        [CLASS_DISCRETE] = DTYPE_F32,
    };
    return table[class];
}

/* Whether the system shows a GPU at all. Loading every OpenCL driver takes a tenth of a second, PoCL's most of all, and
 * most machines that run `auto` without a GPU can be told by their device nodes: on Linux each GPU driver makes one.
 * Where the user points at drivers, or elsewhere, the drivers are asked. */
static bool gpu_shown(void)
{
#ifdef __linux__
    static const char *const nodes[] = {"nvidia", "dri", "kfd", "dxg", "mali", "kgsl", "pvr", "nvhost"};
    if (getenv("TOTO_OPENCL_LIBRARY") || getenv("OCL_ICD_VENDORS") || getenv("OCL_ICD_FILENAMES"))
        return true;
    DIR *dir = opendir("/dev");
    if (!dir)
        return true;
    bool shown = false;
    for (struct dirent *entry; !shown && (entry = readdir(dir));)
        for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
            shown = shown || strncmp(entry->d_name, nodes[i], strlen(nodes[i])) == 0;
    closedir(dir);
    return shown;
#else
    return true;
#endif
}

/* The GPU that auto takes, or NULL with the reason. */
static const struct ocl_device *best_gpu(char why[256])
{
    size_t n;
    const struct ocl_device *list = ocl_devices(&n, why), *best = NULL;
    for (size_t i = 0; i < n; i++) {
        const struct ocl_device *device = &list[i];
        if (class_of(device) < CLASS_INTEGRATED)
            continue;
        if (!best || class_of(device) > class_of(best) ||
            (class_of(device) == class_of(best) && device->memory_bytes > best->memory_bytes))
            best = device;
    }
    if (!best && n)
        snprintf(why, 256, "OpenCL lists none");
    return best;
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* Whether `part` is in `text`, in any case of ASCII letters. */
static bool holds(const char *text, const char *part)
{
    for (; *text; text++) {
        size_t i = 0;
        while (part[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (!part[i])
            return true;
    }
    return false;
}

/* The device of this number or part of a name. *device NULL: the built-in CPU. */
static enum toto_status device_find(const char *name, const struct ocl_device **device,
                                    struct toto_error *err)
{
    char why[256];
    size_t n, length = strlen(name);
    const struct ocl_device *list = NULL;
    *device = NULL;
    if (length && strspn(name, "0") == length)
        return TOTO_STATUS_OK;
    list = ocl_devices(&n, why);
    if (length && strspn(name, "0123456789") == length) {
        unsigned long long number = strtoull(name, NULL, 10);
        if (number <= n) {
            *device = &list[number - 1];
            return TOTO_STATUS_OK;
        }
    } else if (length) {
        for (size_t i = 0; i < n; i++) {
            char whole[sizeof list->platform_name + sizeof list->name + 1];
            snprintf(whole, sizeof whole, "%s %s", list[i].platform_name, list[i].name);
            if (!holds(whole, name))
                continue;
            if (!*device)
                *device = &list[i];
            else
                log_info("device %zu, %s, matches \"%s\" too; the first is taken", i + 1,
                         list[i].name, name);
        }
    }
    if (*device)
        return TOTO_STATUS_OK;
    if (!n)
        return toto_fail(err, TOTO_STATUS_RESOURCE,
                         "there is no device \"%s\", only the built-in cpu: %s", name, why);
    return toto_fail(err, TOTO_STATUS_RESOURCE,
                     "there is no device \"%s\"; there are 0 (cpu) to %zu, see 'toto devices'",
                     name, n);
}

/* ---- Opening --------------------------------------------------------------------------------- */


/* Opens the device, and lets it show that its numbers are right. */
static enum toto_status gpu_open(const struct ocl_device *device, enum toto_dtype dtype,
                                 struct backend **backend, struct toto_error *err)
{
    static const enum dtype stored[] = {
        [TOTO_DTYPE_F32] = DTYPE_F32, [TOTO_DTYPE_F16] = DTYPE_F16, [TOTO_DTYPE_BF16] = DTYPE_BF16};
    enum dtype as = dtype == TOTO_DTYPE_AUTO ? dtype_of_class(class_of(device)) : stored[dtype];
    enum toto_status status = ocl_backend_open(device, as, 0, backend, err);
    if (status)
        return status;
    double start = clock_seconds();
    status = backend_self_test(*backend, as, err);
    log_debug("the self-test of %s took %.1f ms", (*backend)->name,
              1e3 * (clock_seconds() - start));
    if (status) {
        (*backend)->ops->close(*backend);
        *backend = NULL;
    }
    return status;
}

/* With auto, what stands in the way of a GPU is no error. */
static enum toto_status auto_open(enum toto_dtype dtype, size_t n_threads, struct backend **backend,
                                  struct toto_error *err)
{
    char why[256];
    struct toto_error gpu_err;
    const struct ocl_device *device = NULL;
    if (gpu_shown())
        device = best_gpu(why);
    else
        snprintf(why, sizeof why, "the system shows none under /dev");
    if (device && !gpu_open(device, dtype, backend, &gpu_err)) {
        log_info("%s runs: the best GPU", (*backend)->name);
        return TOTO_STATUS_OK;
    }
    if (device)
        log_warn("%s; the CPU runs in its place", gpu_err.message);
    else if (dtype == TOTO_DTYPE_F16 || dtype == TOTO_DTYPE_BF16)
        log_warn("the CPU runs, and stores float32; no GPU: %s", why);
    else
        log_info("the CPU runs; no GPU: %s", why);
    return cpu_backend_open(n_threads, backend, err);
}

static enum toto_status named_open(const char *name, enum toto_dtype dtype, size_t n_threads,
                                   struct backend **backend, struct toto_error *err)
{
    char why[256];
    const struct ocl_device *device = NULL;
    enum toto_status status = TOTO_STATUS_OK;
    if (strcmp(name, "gpu") == 0) {
        if (!(device = best_gpu(why)))
            return toto_fail(err, TOTO_STATUS_RESOURCE, "no GPU: %s", why);
    } else if (strcmp(name, "cpu") != 0) {
        status = device_find(name, &device, err);
    }
    if (status)
        return status;
    if (device) {
        if (!(status = gpu_open(device, dtype, backend, err)))
            log_info("%s runs", (*backend)->name);
        return status;
    }
    if (dtype == TOTO_DTYPE_F16 || dtype == TOTO_DTYPE_BF16)
        return toto_fail(err, TOTO_STATUS_USAGE,
                         "the built-in CPU stores float32 alone; --dtype %s needs an OpenCL device",
                         dtype == TOTO_DTYPE_F16 ? "f16" : "bf16");
    return cpu_backend_open(n_threads, backend, err);
}

enum toto_status toto_device_open(const char *name, enum toto_dtype dtype, size_t n_threads,
                                  struct toto_device **device, struct toto_error *err)
{
    *device = NULL;
    struct toto_device *opened = mem_calloc(1, sizeof *opened);
    if (!opened)
        return toto_fail_memory(err, "the device", sizeof *opened);
    enum toto_status status = !name || strcmp(name, "auto") == 0
                                  ? auto_open(dtype, n_threads, &opened->backend, err)
                                  : named_open(name, dtype, n_threads, &opened->backend, err);
    if (status) {
        mem_free(opened);
        return status;
    }
    opened->automatic = !name || strcmp(name, "auto") == 0;
    opened->accelerator = opened->backend->ops != cpu_backend_ops();
    opened->n_threads = n_threads;
    *device = opened;
    return TOTO_STATUS_OK;
}

bool device_fall_back(struct toto_device *device, struct toto_error *err)
{
    struct backend *cpu;
    if (!device->automatic)
        return false;
    log_warn("%s; the CPU goes on in its place", err->message);
    if (cpu_backend_open(device->n_threads, &cpu, err))
        return false;
    device->backend->ops->close(device->backend);
    device->backend = cpu;
    device->accelerator = false;
    return true;
}

void toto_device_free(struct toto_device *device)
{
    if (!device)
        return;
    device->backend->ops->close(device->backend);
    mem_free(device);
}

size_t toto_device_peak(const struct toto_device *device)
{
    return device->backend->peak_bytes;
}

/* ---- The list -------------------------------------------------------------------------------- */

static void cpu_describe(struct toto_device_info *info)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    *info = (struct toto_device_info){
        .type = "cpu", .compute_units = thread_count_available(), .float64 = true};
    snprintf(info->platform, sizeof info->platform, "built-in");
    snprintf(info->name, sizeof info->name, "CPU (%s)", cpu_kernels_best()->name);
    snprintf(info->driver, sizeof info->driver, "toto " TOTO_VERSION);
    info->memory_bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
}

static void ocl_describe(const struct ocl_device *device, struct toto_device_info *info)
{
    static const char *const types[] = {
        [CLASS_ACCELERATOR] = "accelerator",
        [CLASS_CPU] = "opencl cpu",
        [CLASS_INTEGRATED] = "integrated gpu",
        [CLASS_DISCRETE] = "gpu",
    };
    unsigned caps = ocl_device_caps(device, NULL);
    *info = (struct toto_device_info){
        .type = types[class_of(device)],
        .memory_bytes = device->memory_bytes,
        .compute_units = device->compute_units,
        .float16 = caps & OCL_CAP_FP16,
        .float64 = caps & OCL_CAP_FP64,
        .local_32k = caps & OCL_CAP_LOCAL_32K,
        .group_256 = caps & OCL_CAP_GROUP_256,
        .nvidia = caps & OCL_CAP_NVIDIA,
    };
    snprintf(info->platform, sizeof info->platform, "%s", device->platform_name);
    snprintf(info->name, sizeof info->name, "%s", device->name);
    snprintf(info->driver, sizeof info->driver, "%s", device->driver);
}

/* Why auto takes the device, or does not take it. best NULL: the CPU runs. */
static void choice_explain(const struct ocl_device *device, const struct ocl_device *best,
                           const char *none, struct toto_device_info *info)
{
    const char *text = NULL;
    info->chosen = device == best;
    if (!device && !best)
        snprintf(info->why, sizeof info->why, "no GPU: %s", none);
    else if (!device)
        text = "a GPU goes first";
    else if (class_of(device) < CLASS_INTEGRATED)
        text = "runs only when named";
    else if (device == best)
        text = class_of(device) == CLASS_DISCRETE
                   ? "the discrete GPU with the most memory"
                   : "the integrated GPU with the most memory; none is discrete";
    else
        text = class_of(device) < class_of(best) ? "a discrete GPU goes first"
                                                 : "a GPU with more memory goes first";
    if (text)
        snprintf(info->why, sizeof info->why, "%s", text);
}

enum toto_status toto_devices_list(struct toto_device_info **devices, size_t *n_devices,
                                   struct toto_error *err)
{
    char why[256];
    size_t n;
    const struct ocl_device *list = ocl_devices(&n, why), *best = best_gpu(why);
    *n_devices = 0;
    *devices = mem_calloc(n + 1, sizeof **devices);
    if (!*devices)
        return toto_fail_memory(err, "the list of devices", (n + 1) * sizeof **devices);
    cpu_describe(&(*devices)[0]);
    choice_explain(NULL, best, why, &(*devices)[0]);
    for (size_t i = 0; i < n; i++) {
        ocl_describe(&list[i], &(*devices)[i + 1]);
        choice_explain(&list[i], best, why, &(*devices)[i + 1]);
    }
    *n_devices = n + 1;
    return TOTO_STATUS_OK;
}

void toto_devices_free(struct toto_device_info *devices)
{
    mem_free(devices);
}
