/* The OpenCL backend: opening, tensors, and the table of ops. */
#include "ocl.h"
#include "ocl_ops.h"
#include "ocl_weight.h"

#include <stdio.h>
#include <string.h>

#include "../../base/memory.h"
#include "../cpu/threads.h"

static void ocl_close(struct backend *base)
{
    struct ocl_backend *backend = ocl_of(base);
    if (!backend)
        return;
    if (backend->queue)
        ocl.clFinish(backend->queue);
    ocl_programs_close(backend);
    if (backend->queue) {
        ocl_ring_close(backend);
        ocl.clFinish(backend->queue);
        ocl.clReleaseCommandQueue(backend->queue);
    }
    if (backend->context)
        ocl.clReleaseContext(backend->context);
    thread_pool_close(backend->pool);
    mem_free(backend);
}

/* ---- Tensors --------------------------------------------------------------------------------- */

static size_t ocl_element_bytes(const struct backend *backend, enum tensor_kind kind)
{
    switch (kind) {
    case TENSOR_U8: return 1;
    case TENSOR_SCALE_STATE: return OCL_STATE_BYTES;
    case TENSOR_ACTIVATION: return dtype_size(((const struct ocl_backend *)backend)->dtype);
    case TENSOR_F32:
    case TENSOR_I32: break;
    }
    return 4;
}

/* Whether elements of the kind are not stored as a host sees them. */
static bool is_narrow(const struct ocl_backend *backend, enum tensor_kind kind)
{
    return kind == TENSOR_ACTIVATION && backend->dtype != DTYPE_F32;
}

static enum toto_status ocl_alloc(struct backend *base, enum tensor_kind kind, size_t n,
                                  struct tensor *tensor, struct toto_error *err)
{
    size_t bytes;
    *tensor = (struct tensor){.kind = kind, .n = n};
    if (!size_mul(n, ocl_element_bytes(base, kind), &bytes))
        return toto_fail(err, TOTO_STATUS_RESOURCE,
                         "a tensor of %zu elements is more than memory can hold", n);
    tensor->memory = ocl_buffer_make(ocl_of(base), bytes, "a tensor", err);
    return tensor->memory ? TOTO_STATUS_OK : TOTO_STATUS_RESOURCE;
}

static void ocl_free(struct backend *base, struct tensor *tensor)
{
    ocl_buffer_free(ocl_of(base), tensor->memory);
    *tensor = (struct tensor){0};
}

static void ocl_upload(struct backend *base, struct tensor dst, const void *src)
{
    struct ocl_backend *backend = ocl_of(base);
    size_t size = ocl_element_bytes(base, dst.kind), offset = dst.offset * size,
           left = dst.n * size, got;
    bool narrow = is_narrow(backend, dst.kind);
    const char *from = src;
    while (left) {
        char *to = ocl_ring_take(backend, left, &got);
        if (!to)
            return;
        got -= got % size; /* slots hold whole elements, and what is taken from one is a multiple of
                              64 bytes */
        if (narrow)
            ocl_narrow(backend->dtype, (const float *)(const void *)from, got / size, to);
        else
            memcpy(to, from, got);
        ocl_ring_send(backend, to, got, dst.memory, offset);
        from += narrow ? got / size * sizeof(float) : got;
        offset += got;
        left -= got;
    }
}

static enum toto_status ocl_status(const struct backend *backend, struct toto_error *err)
{
    if (backend->status && err)
        *err = backend->error;
    return backend->status;
}

static enum toto_status ocl_sync(struct backend *base, struct toto_error *err)
{
    cl_int code = ocl.clFinish(ocl_of(base)->queue);
    if (code)
        ocl_fail(ocl_of(base), "clFinish", code);
    return ocl_status(base, err);
}

static void read_back(struct ocl_backend *backend, cl_mem from, size_t offset, size_t bytes,
                      void *to)
{
    cl_int code =
        ocl.clEnqueueReadBuffer(backend->queue, from, CL_TRUE, offset, bytes, to, 0, NULL, NULL);
    if (code)
        ocl_fail(backend, "clEnqueueReadBuffer", code);
}

static enum toto_status ocl_download(struct backend *base, struct tensor src, void *dst,
                                     struct toto_error *err)
{
    struct ocl_backend *backend = ocl_of(base);
    size_t size = ocl_element_bytes(base, src.kind), offset = src.offset * size,
           left = src.n * size;
    float *out = dst;
    if (base->status || !left)
        return ocl_status(base, err);
    if (!is_narrow(backend, src.kind)) {
        read_back(backend, src.memory, offset, left, dst);
        return ocl_status(base, err);
    }
    while (left && !base->status) {
        char block[1 << 14];
        size_t bytes = left < sizeof block ? left : sizeof block;
        read_back(backend, src.memory, offset, bytes, block);
        dtype_widen(backend->dtype, block, bytes / size, out);
        out += bytes / size;
        offset += bytes;
        left -= bytes;
    }
    return ocl_status(base, err);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static size_t ocl_scratch_bytes(const struct backend *backend, size_t width)
{
    (void)backend;
    (void)width;
    return (size_t)OCL_RING_SLOTS * OCL_RING_BYTES;
}

static const struct backend_ops ops = {
    .close = ocl_close,
    .alloc = ocl_alloc,
    .free = ocl_free,
    .element_bytes = ocl_element_bytes,
    .upload = ocl_upload,
    .download = ocl_download,
    .sync = ocl_sync,
    .weight_open = ocl_weight_open,
    .weight_close = ocl_weight_close,
    .row_block = ocl_row_block,
    .scratch_bytes = ocl_scratch_bytes,
    .linear = ocl_linear,
    .linear_swiglu = ocl_linear_swiglu,
    .rms_norm = ocl_rms_norm,
    .copy_rows = ocl_copy_rows,
    .split_qkv = ocl_split_qkv,
    .attention = ocl_attention,
    .causal_scale = ocl_causal_scale,
    .mixture_params = ocl_mixture_params,
    .mixture_mean = ocl_mixture_mean,
    .mixture_sample = ocl_mixture_sample,
    .quantiles = ocl_quantiles,
    .fold = ocl_fold,
    .patch_tokens = ocl_patch_tokens,
    .quantile_patch = ocl_quantile_patch,
};

enum toto_status ocl_backend_open(const struct ocl_device *device, enum dtype dtype,
                                  size_t limit_bytes, struct backend **opened,
                                  struct toto_error *err)
{
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM,
                                                (cl_context_properties)device->platform, 0};
    enum toto_status status = TOTO_STATUS_OK;
    cl_int code;
    *opened = NULL;
    struct ocl_backend *backend = mem_calloc(1, sizeof *backend);
    if (!backend)
        return toto_fail_memory(err, "the OpenCL backend", sizeof *backend);
    backend->base.ops = &ops;
    backend->base.n_threads = thread_count_available();
    backend->device = device;
    backend->dtype = dtype;
    backend->base.memory_bytes =
        device->memory_bytes > SIZE_MAX ? SIZE_MAX : (size_t)device->memory_bytes;
    if (limit_bytes && limit_bytes < backend->base.memory_bytes)
        backend->base.memory_bytes = limit_bytes;
    backend->base.largest_bytes =
        device->largest_alloc_bytes > SIZE_MAX ? SIZE_MAX : (size_t)device->largest_alloc_bytes;
    snprintf(backend->base.name, sizeof backend->base.name, "%.96s (OpenCL, %s)", device->name,
             dtype_name(dtype));
    backend->context = ocl.clCreateContext(properties, 1, &device->id, NULL, NULL, &code);
    if (!backend->context)
        status = ocl_error(device, "clCreateContext", code, err);
    else if (!(backend->queue = ocl.clCreateCommandQueue(backend->context, device->id, 0, &code)))
        status = ocl_error(device, "clCreateCommandQueue", code, err);
    if (status) {
        ocl_close(&backend->base);
        return status;
    }
    backend->caps = ocl_device_caps(device, backend->context);
    *opened = &backend->base;
    return TOTO_STATUS_OK;
}
