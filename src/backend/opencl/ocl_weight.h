/* Weights on an OpenCL device. */
#ifndef TOTO_BACKEND_OPENCL_OCL_WEIGHT_H
#define TOTO_BACKEND_OPENCL_OCL_WEIGHT_H

#include "ocl.h"

/* A matrix [n_out, n_in] in the backend's dtype, row-major, the parts stacked. */
struct weight {
    size_t n_out, n_in;
    cl_mem memory;
};

/* A weight without contents, for fold to write; weight_close frees it. */
enum toto_status ocl_weight_make(struct ocl_backend *backend, size_t n_out, size_t n_in,
                                 struct weight **weight, struct toto_error *err);

enum toto_status ocl_weight_open(struct backend *, const struct weight_part *parts, size_t n_parts,
                                 size_t n_in, struct weight **, struct toto_error *err);
void ocl_weight_close(struct backend *, struct weight *);

#endif
