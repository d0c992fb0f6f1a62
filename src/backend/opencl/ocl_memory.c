/* Memory of a device: buffers within its limits, the pinned ring that uploads go through, and
 * weights. */
#include "ocl.h"
#include "ocl_weight.h"

#include <string.h>

#include "../../base/memory.h"
#include "../cpu/threads.h"

/* ---- Buffers --------------------------------------------------------------------------------- */

enum {
    ROUND_BYTES = 64,     /* of a buffer: kernels may read whole vectors past the last element */
    TOUCH_BYTES = 1 << 20 /* buffers from here on are touched when they are made */
};

static enum toto_status buffer_refuse(const struct ocl_backend *backend, size_t bytes,
                                      const char *what, const char *because, size_t limit,
                                      struct toto_error *err)
{
    return toto_fail(err, TOTO_STATUS_RESOURCE,
                     "OpenCL device %s: %s needs %zu MiB, %s %zu MiB; lower --samples-per-batch, "
                     "--horizon or --context",
                     backend->device->name, what, (bytes >> 20) + 1, because, limit >> 20);
}

static cl_mem buffer_create(struct ocl_backend *backend, cl_mem_flags flags, size_t bytes,
                            const char *what, struct toto_error *err)
{
    cl_int code;
    size_t left = backend->base.memory_bytes - backend->base.used_bytes;
    if (bytes > backend->device->largest_alloc_bytes) {
        buffer_refuse(backend, bytes, what, "and its largest allocation is",
                      (size_t)backend->device->largest_alloc_bytes, err);
        return NULL;
    }
    if (bytes > left) {
        buffer_refuse(backend, bytes, what, "and what is left of its memory is", left, err);
        return NULL;
    }
    cl_mem memory = ocl.clCreateBuffer(backend->context, flags, bytes, NULL, &code);
    if (!memory) {
        toto_fail(err, TOTO_STATUS_RESOURCE,
                  "OpenCL device %s: clCreateBuffer of %zu bytes for %s failed: %s (%d)",
                  backend->device->name, bytes, what, ocl_code_name(code), (int)code);
        return NULL;
    }
    backend->base.used_bytes += bytes;
    if (backend->base.used_bytes > backend->base.peak_bytes)
        backend->base.peak_bytes = backend->base.used_bytes;
    return memory;
}

cl_mem ocl_buffer_make(struct ocl_backend *backend, size_t bytes, const char *what,
                       struct toto_error *err)
{
    static const cl_uint zero;
    if (bytes > SIZE_MAX - ROUND_BYTES) {
        toto_fail(err, TOTO_STATUS_RESOURCE, "%s is more than memory can hold", what);
        return NULL;
    }
    bytes = bytes ? (bytes + ROUND_BYTES - 1) / ROUND_BYTES * ROUND_BYTES : ROUND_BYTES;
    cl_mem memory = buffer_create(backend, CL_MEM_READ_WRITE, bytes, what, err);
    if (!memory || bytes < TOUCH_BYTES)
        return memory;
    cl_int code = ocl.clEnqueueFillBuffer(backend->queue, memory, &zero, sizeof zero, 0,
                                          ROUND_BYTES, 0, NULL, NULL);
    if (code) {
        ocl_error(backend->device, "clEnqueueFillBuffer", code, err);
        ocl_buffer_free(backend, memory);
        return NULL;
    }
    return memory;
}

void ocl_buffer_free(struct ocl_backend *backend, cl_mem memory)
{
    size_t bytes = 0;
    if (!memory)
        return;
    if (!ocl.clGetMemObjectInfo(memory, CL_MEM_SIZE, sizeof bytes, &bytes, NULL))
        backend->base.used_bytes -= bytes < backend->base.used_bytes ? bytes : backend->base.used_bytes;
    ocl.clReleaseMemObject(memory);
}

/* ---- The ring -------------------------------------------------------------------------------- */

static bool slot_make(struct ocl_backend *backend, struct ocl_ring_slot *slot)
{
    struct toto_error err;
    cl_int code;
    slot->memory = buffer_create(backend, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, OCL_RING_BYTES,
                                 "pinned memory for uploads", &err);
    if (!slot->memory) {
        backend_fail(&backend->base, TOTO_STATUS_RESOURCE, &err);
        return false;
    }
    slot->host =
        ocl.clEnqueueMapBuffer(backend->queue, slot->memory, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0,
                               OCL_RING_BYTES, 0, NULL, NULL, &code);
    if (slot->host)
        return true;
    ocl_buffer_free(backend, slot->memory);
    slot->memory = NULL;
    ocl_fail(backend, "clEnqueueMapBuffer", code);
    return false;
}

/* Waits for the writes from the slot, and empties it. */
static void slot_empty(struct ocl_backend *backend, struct ocl_ring_slot *slot)
{
    cl_int code = slot->last ? ocl.clWaitForEvents(1, &slot->last) : CL_SUCCESS;
    if (slot->last)
        ocl.clReleaseEvent(slot->last);
    slot->last = NULL;
    slot->used = 0;
    if (code)
        ocl_fail(backend, "clWaitForEvents", code);
}

char *ocl_ring_take(struct ocl_backend *backend, size_t bytes, size_t *got)
{
    struct ocl_ring_slot *slot = &backend->ring[backend->ring_at];
    if (slot->used == OCL_RING_BYTES) {
        backend->ring_at = (backend->ring_at + 1) % OCL_RING_SLOTS;
        slot = &backend->ring[backend->ring_at];
        slot_empty(backend, slot);
    }
    if (backend->base.status || (!slot->host && !slot_make(backend, slot)))
        return NULL;
    size_t left = OCL_RING_BYTES - slot->used;
    *got = bytes < left ? bytes : left;
    return slot->host + slot->used;
}

void ocl_ring_send(struct ocl_backend *backend, const char *from, size_t bytes, cl_mem to,
                   size_t offset)
{
    enum { ALIGN = 64 };
    struct ocl_ring_slot *slot = &backend->ring[backend->ring_at];
    cl_event event = NULL;
    if (backend->base.status)
        return;
    cl_int code = ocl.clEnqueueWriteBuffer(backend->queue, to, CL_FALSE, offset, bytes, from, 0,
                                           NULL, &event);
    if (code) {
        ocl_fail(backend, "clEnqueueWriteBuffer", code);
        return;
    }
    if (slot->last)
        ocl.clReleaseEvent(slot->last);
    slot->last = event;
    slot->used += (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (slot->used > OCL_RING_BYTES)
        slot->used = OCL_RING_BYTES;
}

void ocl_ring_close(struct ocl_backend *backend)
{
    for (size_t i = 0; i < OCL_RING_SLOTS; i++) {
        struct ocl_ring_slot *slot = &backend->ring[i];
        if (slot->last)
            ocl.clReleaseEvent(slot->last);
        if (slot->host)
            ocl.clEnqueueUnmapMemObject(backend->queue, slot->memory, slot->host, 0, NULL, NULL);
        ocl_buffer_free(backend, slot->memory);
        *slot = (struct ocl_ring_slot){0};
    }
}

/* ---- Weights --------------------------------------------------------------------------------- */

/* A stretch of a part on its way into the ring. */
struct convert {
    enum dtype from, to;
    const char *src;
    char *dst;
    size_t n; /* elements */
};

enum { CONVERT_STEP = 1 << 16 }; /* elements a task */

static void convert_task(void *context, size_t task, size_t thread)
{
    enum { BLOCK = 1024 };
    const struct convert *job = context;
    float block[BLOCK];
    size_t from_size = dtype_size(job->from), to_size = dtype_size(job->to);
    size_t begin = task * CONVERT_STEP,
           end = begin + CONVERT_STEP < job->n ? begin + CONVERT_STEP : job->n;
    (void)thread;
    if (job->from == job->to) {
        memcpy(job->dst + begin * to_size, job->src + begin * from_size, (end - begin) * to_size);
        return;
    }
    for (size_t i = begin, n; i < end; i += n) {
        n = end - i < BLOCK ? end - i : BLOCK;
        dtype_widen(job->from, job->src + i * from_size, n, block);
        ocl_narrow(job->to, block, n, job->dst + i * to_size);
    }
}

static void part_upload(struct ocl_backend *backend, const struct weight_part *part, size_t n_in,
                        cl_mem to, size_t offset)
{
    size_t n = part->rows * n_in, size = dtype_size(backend->dtype), got;
    const char *src = part->data;
    while (n) {
        char *dst = ocl_ring_take(backend, n * size, &got);
        if (!dst)
            return;
        struct convert job = {part->dtype, backend->dtype, src, dst, got / size};
        thread_pool_run(backend->pool, (job.n + CONVERT_STEP - 1) / CONVERT_STEP, convert_task,
                        &job);
        ocl_ring_send(backend, dst, job.n * size, to, offset);
        src += job.n * dtype_size(part->dtype);
        offset += job.n * size;
        n -= job.n;
    }
}

enum toto_status ocl_weight_make(struct ocl_backend *backend, size_t n_out, size_t n_in,
                                 struct weight **weight, struct toto_error *err)
{
    size_t bytes;
    *weight = NULL;
    if (!size_mul(n_out, n_in, &bytes) || !size_mul(bytes, dtype_size(backend->dtype), &bytes))
        return toto_fail(err, TOTO_STATUS_RESOURCE,
                         "a weight of %zu x %zu is more than memory can hold", n_out, n_in);
    struct weight *made = mem_calloc(1, sizeof *made);
    if (!made)
        return toto_fail_memory(err, "a weight", sizeof *made);
    *made = (struct weight){n_out, n_in, ocl_buffer_make(backend, bytes, "a weight", err)};
    if (!made->memory) {
        mem_free(made);
        return TOTO_STATUS_RESOURCE;
    }
    *weight = made;
    return TOTO_STATUS_OK;
}

enum toto_status ocl_weight_open(struct backend *base, const struct weight_part *parts,
                                 size_t n_parts, size_t n_in, struct weight **weight,
                                 struct toto_error *err)
{
    struct ocl_backend *backend = ocl_of(base);
    size_t n_out = 0, offset = 0;
    enum toto_status status;
    *weight = NULL;
    for (size_t i = 0; i < n_parts; i++)
        n_out += parts[i].rows;
    if (!backend->pool && (status = thread_pool_open(base->n_threads, &backend->pool, err)))
        return status;
    if ((status = ocl_weight_make(backend, n_out, n_in, weight, err)))
        return status;
    for (size_t i = 0; i < n_parts; i++) {
        part_upload(backend, &parts[i], n_in, (*weight)->memory, offset);
        offset += parts[i].rows * n_in * dtype_size(backend->dtype);
    }
    if (base->status) {
        *err = base->error;
        ocl_weight_close(base, *weight);
        *weight = NULL;
    }
    return base->status;
}

void ocl_weight_close(struct backend *backend, struct weight *weight)
{
    if (!weight)
        return;
    ocl_buffer_free(ocl_of(backend), weight->memory);
    mem_free(weight);
}
