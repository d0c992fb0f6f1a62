/* Loading: what both families do to bring the tensors of a checkpoint to a backend. */
#include "loading.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "../base/memory.h"

/* ---- Finding tensors ------------------------------------------------------------------------------- */

enum toto_status tensor_list_open(struct checkpoint *checkpoint, struct tensor_list *list, size_t capacity,
                                  struct toto_error *err)
{
    size_t bytes = capacity * sizeof *list->views;
    *list = (struct tensor_list){.views = arena_alloc(&checkpoint->arena, bytes), .capacity = capacity};
    return list->views ? TOTO_STATUS_OK : toto_fail_memory(err, "the list of tensors", bytes);
}

static bool dtype_fits(const struct tensor_finder *find, enum dtype dtype)
{
    return dtype == DTYPE_F32 || dtype == DTYPE_F16 || dtype == DTYPE_BF16 ||
           (dtype == DTYPE_F64 && find->allow_f64);
}

const struct tensor_view *tensor_find(struct tensor_finder *find, const char *name, const char *other,
                                      size_t n_out, size_t n_in)
{
    const size_t wanted[2] = {n_out, n_in};
    int n_dims = n_in ? 2 : n_out ? 1 : 0;
    char found_text[128], wanted_text[128];
    if (find->status != TOTO_STATUS_OK)
        return NULL;
    tensor_dims_text(wanted, n_dims, wanted_text, sizeof wanted_text);
    const struct tensor_view *tensor = checkpoint_find(find->checkpoint, name);
    if (!tensor && other)
        tensor = checkpoint_find(find->checkpoint, other);
    if (!tensor) {
        find->status = toto_fail(find->err, TOTO_STATUS_DATA, "%s: tensor \"%s\" %s is missing",
                                 find->checkpoint->path, name, wanted_text);
        return NULL;
    }
    if (tensor->n_dims != n_dims || memcmp(tensor->dims, wanted, (size_t)n_dims * sizeof *wanted)) {
        tensor_dims_text(tensor->dims, tensor->n_dims, found_text, sizeof found_text);
        find->status = toto_fail(find->err, TOTO_STATUS_DATA, "%s: tensor \"%s\" is %s, wanted %s",
                                 tensor->file, tensor->name, found_text, wanted_text);
        return NULL;
    }
    if (!dtype_fits(find, tensor->dtype)) {
        find->status = toto_fail(find->err, TOTO_STATUS_DATA, "%s: tensor \"%s\" is %s, wanted F32, F16%s",
                                 tensor->file, tensor->name, tensor->dtype_text,
                                 find->allow_f64 ? ", BF16 or F64" : " or BF16");
        return NULL;
    }
    assert(find->list->n < find->list->capacity);
    find->list->views[find->list->n++] = tensor;
    find->list->n_elements += tensor->n_elements;
    find->list->n_parameters += n_dims ? tensor->n_elements : 0; /* a scalar is no parameter: Toto 2.0's tau */
    return tensor;
}

/* ---- Finite weights -------------------------------------------------------------------------------- */

struct finite_scan {
    const struct tensor_list *list;
    _Atomic size_t next; /* of the list */
    _Atomic size_t bad;  /* the first that has a value that is not finite */
};

static void *scan_tensors(void *user)
{
    struct finite_scan *scan = user;
    size_t at;
    while ((at = atomic_fetch_add(&scan->next, 1)) < scan->list->n) {
        const struct tensor_view *tensor = scan->list->views[at];
        if (dtype_find_nonfinite(tensor->dtype, tensor->data, tensor->n_elements) ==
            tensor->n_elements)
            continue;
        size_t bad = atomic_load(&scan->bad);
        while (at < bad && !atomic_compare_exchange_weak(&scan->bad, &bad, at))
            ;
    }
    return NULL;
}

enum toto_status tensors_check_finite(const struct tensor_list *list, struct toto_error *err)
{
    enum { THREADS_MAX = 8, ELEMENTS_PER_THREAD = 4 << 20 };
    pthread_t threads[THREADS_MAX];
    size_t n_threads = 0;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    struct finite_scan scan = {.list = list, .bad = list->n};
    while (n_threads + 1 < (size_t)online && n_threads < THREADS_MAX &&
           n_threads < list->n_elements / ELEMENTS_PER_THREAD &&
           pthread_create(&threads[n_threads], NULL, scan_tensors, &scan) == 0)
        n_threads++;
    scan_tensors(&scan);
    for (size_t i = 0; i < n_threads; i++)
        pthread_join(threads[i], NULL);
    if (scan.bad == list->n)
        return TOTO_STATUS_OK;
    const struct tensor_view *tensor = list->views[scan.bad];
    return toto_fail(err, TOTO_STATUS_DATA,
                     "%s: tensor \"%s\": element %zu is not a finite number; the file is damaged",
                     tensor->file, tensor->name,
                     dtype_find_nonfinite(tensor->dtype, tensor->data, tensor->n_elements));
}

/* ---- Bringing them to a backend -------------------------------------------------------------------- */

enum toto_status vector_loader_open(struct backend *backend, size_t n_all, size_t longest,
                                    struct vector_loader *loader, struct toto_error *err)
{
    *loader = (struct vector_loader){.backend = backend, .longest = longest};
    loader->staging = mem_alloc(longest * sizeof *loader->staging);
    if (!loader->staging)
        return toto_fail_memory(err, "the model's vectors", longest * sizeof *loader->staging);
    enum toto_status status = backend->ops->alloc(backend, TENSOR_F32, n_all, &loader->all, err);
    if (status != TOTO_STATUS_OK)
        vector_loader_close(loader);
    return status;
}

struct tensor vector_load(struct vector_loader *loader, const struct tensor_view *view, float (*f)(float))
{
    if (!view)
        return (struct tensor){.memory = NULL};
    assert(view->n_elements <= loader->longest && loader->used + view->n_elements <= loader->all.n);
    struct tensor place = tensor_at(loader->all, loader->used, view->n_elements);
    dtype_widen(view->dtype, view->data, view->n_elements, loader->staging);
    for (size_t i = 0; f && i < view->n_elements; i++)
        loader->staging[i] = f(loader->staging[i]);
    loader->backend->ops->upload(loader->backend, place, loader->staging);
    loader->used += view->n_elements;
    return place;
}

void vector_loader_close(struct vector_loader *loader)
{
    mem_free(loader->staging);
    loader->staging = NULL;
}

enum toto_status weight_load(struct backend *backend, const struct tensor_view *const *views, size_t n_views,
                             struct weight **weight, struct toto_error *err)
{
    enum { PARTS_MAX = 4 };
    struct weight_part parts[PARTS_MAX];
    assert(n_views <= PARTS_MAX);
    for (size_t i = 0; i < n_views; i++)
        parts[i] = (struct weight_part){views[i]->dtype, views[i]->data, views[i]->dims[0]};
    return backend->ops->weight_open(backend, parts, n_views, views[0]->dims[1], weight, err);
}
