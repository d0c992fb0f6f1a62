/* Loading: what both families do to bring the tensors of a checkpoint to a backend. */
#ifndef TOTO_MODEL_LOADING_H
#define TOTO_MODEL_LOADING_H

#include "../backend/backend.h"
#include "../checkpoint/checkpoint.h"

/* ---- Finding tensors ------------------------------------------------------------------------------- */

/* Tensors that a family uses, in the order in which it asked for them. */
struct tensor_list {
    const struct tensor_view **views;
    size_t n, capacity;
    uint64_t n_elements, n_parameters;
};

/* Finds tensors by name and shape; after the first failure later calls do nothing. */
struct tensor_finder {
    const struct checkpoint *checkpoint;
    struct tensor_list *list;
    bool allow_f64;
    struct toto_error *err;
    enum toto_status status;
};

/* Makes room for `capacity` tensors in the checkpoint's arena. */
enum toto_status tensor_list_open(struct checkpoint *checkpoint, struct tensor_list *list, size_t capacity,
                                  struct toto_error *err);

/* The tensor of shape [n_out, n_in], [n_out] (n_in 0) or [] (n_out 0); `other` is a second name that it may have, or
 * NULL. NULL on failure: missing, of another shape, or of a type that is not stored as float. */
const struct tensor_view *tensor_find(struct tensor_finder *find, const char *name, const char *other,
                                      size_t n_out, size_t n_in);

/* TOTO_STATUS_DATA if a value of a listed tensor is NaN or infinite. Several threads read, which also brings the
 * pages of the mapping in. */
enum toto_status tensors_check_finite(const struct tensor_list *list, struct toto_error *err);

/* ---- Bringing them to a backend -------------------------------------------------------------------- */

/* Vectors stand side by side in one F32 tensor. */
struct vector_loader {
    struct backend *backend;
    struct tensor all;
    float *staging; /* of the longest vector */
    size_t longest, used;
};

enum toto_status vector_loader_open(struct backend *backend, size_t n_all, size_t longest,
                                    struct vector_loader *loader, struct toto_error *err);
/* The place of the vector (none for a NULL view). f, if not NULL, is applied to each element. */
struct tensor vector_load(struct vector_loader *loader, const struct tensor_view *view, float (*f)(float));
/* Frees the staging; loader->all is the caller's. */
void vector_loader_close(struct vector_loader *loader);

/* A weight of views stacked on each other. */
enum toto_status weight_load(struct backend *backend, const struct tensor_view *const *views, size_t n_views,
                             struct weight **weight, struct toto_error *err);

#endif
