/* Arguments of a kernel, gathered one by one in the order of its parameters. */
#ifndef TOTO_BACKEND_OPENCL_OCL_ARGS_H
#define TOTO_BACKEND_OPENCL_OCL_ARGS_H

#include <assert.h>

#include "ocl.h"

enum { OCL_ARGS_MAX = 48 };

struct ocl_args {
    size_t n;
    struct ocl_arg list[OCL_ARGS_MAX];
    union {
        cl_mem memory;
        cl_ulong offset;
        cl_int i;
        cl_uint u;
        cl_float f;
    } values[OCL_ARGS_MAX];
};

static inline void arg_put(struct ocl_args *args, size_t size)
{
    assert(args->n < OCL_ARGS_MAX);
    args->list[args->n] = (struct ocl_arg){size, &args->values[args->n]};
    args->n++;
}

static inline void arg_int(struct ocl_args *args, size_t value)
{
    assert(value <= INT32_MAX);
    args->values[args->n].i = (cl_int)value;
    arg_put(args, sizeof(cl_int));
}

static inline void arg_uint(struct ocl_args *args, uint32_t value)
{
    args->values[args->n].u = value;
    arg_put(args, sizeof(cl_uint));
}

static inline void arg_float(struct ocl_args *args, float value)
{
    args->values[args->n].f = value;
    arg_put(args, sizeof(cl_float));
}

static inline void arg_offset(struct ocl_args *args, size_t value)
{
    args->values[args->n].offset = (cl_ulong)value;
    arg_put(args, sizeof(cl_ulong));
}

static inline void arg_memory(struct ocl_args *args, cl_mem memory)
{
    args->values[args->n].memory = memory;
    arg_put(args, sizeof(cl_mem));
}

/* Two parameters: a global pointer, and the offset in elements as a ulong. No tensor: NULL and
 * 0. */
static inline void arg_tensor(struct ocl_args *args, struct tensor tensor)
{
    arg_memory(args, tensor.memory);
    arg_offset(args, tensor.memory ? tensor.offset : 0);
}

/* `groups` work-groups of `group` items in the first dimension, and `rows` in the second. */
static inline void ocl_launch_rows(struct ocl_backend *backend, cl_kernel kernel,
                                   const struct ocl_args *args, size_t groups, size_t group,
                                   size_t rows)
{
    const size_t global[2] = {groups * group, rows}, local[2] = {group, 1};
    ocl_launch(backend, kernel, args->list, args->n, 2, global, local);
}

#endif
