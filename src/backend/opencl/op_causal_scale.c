/* causal_scale: a work-group a sequence. */
#include <math.h>

#include "ocl_args.h"
#include "ocl_ops.h"

enum { LANES = 64 };

void ocl_causal_scale(struct backend *base, const struct causal_scale_args *args)
{
    struct ocl_backend *backend = ocl_of(base);
    struct ocl_args list = {0};
    if (base->status || !args->n_sequences)
        return;
    arg_tensor(&list, args->values);
    arg_tensor(&list, args->mask);
    arg_tensor(&list, args->sequences);
    arg_tensor(&list, args->states);
    arg_tensor(&list, args->loc);
    arg_tensor(&list, args->scale);
    arg_tensor(&list, args->scaled);
    arg_int(&list, args->patch);
    arg_int(&list, (size_t)args->scaler);
    arg_int(&list, args->scaler == SCALER_CAUSAL_PATCH && args->stabilize);
    arg_float(&list, (float)pow(10.0, args->exponent));
    arg_float(&list, (float)pow(10.0, -args->exponent));
    ocl_launch_rows(backend, ocl_kernel_get(backend, "causal_scale", "causal_scale", ""), &list, 1,
                    LANES, args->n_sequences);
}
