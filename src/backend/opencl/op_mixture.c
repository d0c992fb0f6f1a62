/* The output distribution: parameters, mean and draws. */
#include "ocl_args.h"
#include "ocl_ops.h"

enum { GROUP = 64 };

static const char *options(const struct mixture_shape *shape)
{
    return shape->has_logits ? "-DHAS_LOGITS=1" : "-DHAS_LOGITS=0";
}

void ocl_mixture_params(struct backend *base, const struct mixture_params_args *args)
{
    struct ocl_backend *backend = ocl_of(base);
    struct ocl_args list = {0};
    if (base->status || !args->n_rows)
        return;
    arg_tensor(&list, args->raw);
    arg_tensor(&list, args->df);
    arg_tensor(&list, args->loc);
    arg_tensor(&list, args->scale);
    arg_tensor(&list, args->logits);
    arg_tensor(&list, args->probs);
    arg_int(&list, args->shape.n_components);
    arg_int(&list, args->shape.n_steps);
    ocl_launch_rows(backend,
                    ocl_kernel_get(backend, "mixture", "mixture_params", options(&args->shape)),
                    &list, (args->shape.n_steps + GROUP - 1) / GROUP, GROUP, args->n_rows);
}

static void next_run(struct backend *base, const struct mixture_next_args *args, bool draws)
{
    struct ocl_backend *backend = ocl_of(base);
    struct ocl_args list = {0};
    assert(args->n_out <= args->shape.n_steps);
    if (base->status || !args->n_rows)
        return;
    arg_tensor(&list, args->raw);
    arg_tensor(&list, args->loc);
    arg_tensor(&list, args->scale);
    arg_tensor(&list, args->rows);
    arg_tensor(&list, args->overrides);
    arg_tensor(&list, args->inject_u);
    arg_tensor(&list, args->inject_t);
    arg_tensor(&list, args->next);
    arg_tensor(&list, args->out);
    arg_tensor(&list, args->flags);
    arg_int(&list, args->shape.n_components);
    arg_int(&list, args->shape.n_steps);
    arg_int(&list, args->shape.patch);
    arg_int(&list, args->n_out);
    arg_offset(&list, args->out_stride);
    arg_uint(&list, args->first_step);
    arg_int(&list, draws);
    ocl_launch_rows(backend,
                    ocl_kernel_get(backend, "mixture", "mixture_next", options(&args->shape)),
                    &list, (args->shape.n_steps + GROUP - 1) / GROUP, GROUP, args->n_rows);
}

void ocl_mixture_mean(struct backend *base, const struct mixture_next_args *args)
{
    next_run(base, args, false);
}

void ocl_mixture_sample(struct backend *base, const struct mixture_next_args *args)
{
    next_run(base, args, true);
}
