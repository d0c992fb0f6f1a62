/* A case of golden data: its file, what it owns, and its verdict. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../base/log.h"
#include "../base/memory.h"
#include "../checkpoint/mapping.h"
#include "../checkpoint/safetensors.h"
#include "golden.h"

/* ---- Verdicts ------------------------------------------------------------------------------------------- */

void golden_fail(struct golden_case *c, const char *stage, const char *what)
{
    if (!c->failed)
        snprintf(c->why, sizeof c->why, "%s%s: %s", c->prefix, stage, what);
    c->failed = true;
}

bool golden_wanted(const struct golden *golden, const char *name)
{
    return name && (!golden->options->only || strstr(name, golden->options->only));
}

void golden_skipped(const struct golden *golden, const char *name, const char *why)
{
    const struct toto_check check = {
        .name = name, .verdict = TOTO_VERDICT_SKIPPED, .why = why,
        .max_error = NAN, .mean_error = NAN, .limit = NAN,
    };
    golden->report(golden->user, &check);
}

void golden_case_close(struct golden_case *c, const char *name)
{
    const struct toto_check check = {
        .name = name,
        .verdict = c->failed ? TOTO_VERDICT_FAILED : TOTO_VERDICT_PASSED,
        .why = c->failed ? c->why : NULL,
        .max_error = c->worst, .mean_error = NAN, .limit = 1.0,
        .seconds = clock_seconds() - c->began,
    };
    c->golden->report(c->golden->user, &check);
    checkpoint_close(&c->tensors);
    mapping_close(&c->file);
    for (size_t i = 0; i < c->n_owned; i++)
        mem_free(c->owned[i]);
    mem_free(c->owned);
}

/* ---- Opening ---------------------------------------------------------------------------------------------- */

static struct toto_model *open_model(struct golden *golden, const char *path, struct toto_error *err)
{
    if (golden->model && strcmp(path, golden->model_path) == 0)
        return golden->model;
    toto_model_free(golden->model);
    golden->model = NULL;
    snprintf(golden->model_path, sizeof golden->model_path, "%s", path);
    if (toto_model_open(path, &golden->model, err) != TOTO_STATUS_OK)
        return NULL;
    return golden->model;
}

bool golden_case_model(struct golden_case *c, const char *model_path, enum model_family family)
{
    struct toto_error err = {""};
    c->began = clock_seconds();
    c->model = open_model(c->golden, model_path, &err);
    if (!c->model || c->model->family != family)
        golden_fail(c, "model", c->model ? "is of another family" : err.message);
    return !c->failed;
}

bool golden_case_open(struct golden_case *c, const char *model_path, enum model_family family)
{
    struct toto_error err = {""};
    char path[1024];
    const char *file = json_string_value(json_object_get(c->entry, "file"));
    if (!golden_case_model(c, model_path, family))
        return false;
    if (!file) {
        golden_fail(c, "file", "the manifest names none");
        return false;
    }
    snprintf(path, sizeof path, "%s/%s", c->golden->folder, file);
    if (mapping_open(path, &c->file, &err) != TOTO_STATUS_OK ||
        safetensors_read(&c->file, &c->tensors, &err) != TOTO_STATUS_OK) {
        golden_fail(c, "file", err.message);
        return false;
    }
    return true;
}

/* ---- What a case holds ------------------------------------------------------------------------------------- */

void *golden_own(struct golden_case *c, size_t count, size_t size)
{
    void **owned = mem_realloc(c->owned, (c->n_owned + 1) * sizeof *owned);
    void *block = owned ? mem_calloc(count, size) : NULL;
    if (owned)
        c->owned = owned;
    if (!block) {
        golden_fail(c, "memory", "there is not enough");
        return NULL;
    }
    return c->owned[c->n_owned++] = block;
}

const struct tensor_view *golden_find(const struct golden_case *c, const char *name)
{
    for (size_t i = 0; name && i < c->tensors.n_tensors; i++)
        if (strcmp(c->tensors.tensors[i].name, name) == 0)
            return &c->tensors.tensors[i];
    return NULL;
}

static bool is_type(const struct tensor_view *view, const char *type)
{
    return strcmp(view->dtype_text, type) == 0;
}

float *golden_floats(struct golden_case *c, const char *name)
{
    const struct tensor_view *view = golden_find(c, name);
    float *values = view ? golden_own(c, view->n_elements, sizeof *values) : NULL;
    if (!values)
        return NULL;
    if (view->dtype != DTYPE_OTHER) {
        dtype_widen(view->dtype, view->data, view->n_elements, values);
        return values;
    }
    bool wide = is_type(view, "I32");
    if (!wide && !is_type(view, "U8") && !is_type(view, "BOOL")) {
        golden_fail(c, name, "is neither float, I32, U8 nor BOOL");
        return NULL;
    }
    for (size_t i = 0; i < view->n_elements; i++) {
        int32_t number = wide ? 0 : ((const uint8_t *)view->data)[i];
        if (wide)
            memcpy(&number, (const char *)view->data + i * sizeof number, sizeof number);
        values[i] = (float)number;
    }
    return values;
}

float *golden_input(struct golden_case *c, const char *name, size_t n)
{
    const struct tensor_view *view = golden_find(c, name);
    if (view && view->n_elements == n && n)
        return golden_floats(c, name);
    golden_fail(c, name, view ? "is misshapen" : "is not in the file");
    return NULL;
}

uint8_t *golden_mask(struct golden_case *c, const char *name, size_t n)
{
    const struct tensor_view *view = golden_find(c, name);
    if (!view)
        return NULL;
    if (view->n_elements != n || (!is_type(view, "U8") && !is_type(view, "BOOL"))) {
        golden_fail(c, name, "is no mask of this size");
        return NULL;
    }
    uint8_t *copy = golden_own(c, n, 1);
    if (copy)
        memcpy(copy, view->data, n);
    return copy;
}

size_t golden_number(struct golden_case *c, const json_t *object, const char *key, size_t most)
{
    json_int_t number = json_integer_value(json_object_get(object, key));
    if (number >= 0 && (uintmax_t)number <= most)
        return (size_t)number;
    golden_fail(c, key, "the manifest's number is out of range");
    return 0;
}
