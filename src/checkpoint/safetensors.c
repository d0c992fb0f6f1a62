/* safetensors. Layout (huggingface/safetensors, README.md, "Format"):
 *
 *     0          8                8 + N                           end of file
 *     | N, u64LE | N bytes of JSON | data of all tensors, gapless |
 *
 * The JSON maps each name to {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]},
 * offsets counted from 8 + N, and "__metadata__" to an object of strings. Every number is checked
 * against the file before it is used, and products are checked before they are compared: a product
 * that wraps to zero must not pass for an empty tensor. */
#include "safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

/* All types that writers of the format know, so that any file's offsets can be checked. */
static const struct type {
    const char *text;
    enum dtype dtype;
    size_t bits;
} types[] = {
    {"F32", DTYPE_F32, 32},      {"F16", DTYPE_F16, 16},      {"BF16", DTYPE_BF16, 16},
    {"F64", DTYPE_F64, 64},      {"BOOL", DTYPE_OTHER, 8},    {"U8", DTYPE_OTHER, 8},
    {"I8", DTYPE_OTHER, 8},      {"F8_E5M2", DTYPE_OTHER, 8}, {"F8_E4M3", DTYPE_OTHER, 8},
    {"F8_E8M0", DTYPE_OTHER, 8}, {"I16", DTYPE_OTHER, 16},    {"U16", DTYPE_OTHER, 16},
    {"I32", DTYPE_OTHER, 32},    {"U32", DTYPE_OTHER, 32},    {"I64", DTYPE_OTHER, 64},
    {"U64", DTYPE_OTHER, 64},    {"C64", DTYPE_OTHER, 64},    {"F4", DTYPE_OTHER, 4},
    {"F6_E2M3", DTYPE_OTHER, 6}, {"F6_E3M2", DTYPE_OTHER, 6},
};

enum { LENGTH_BYTES = 8 };

struct entry {
    struct tensor_view view;
    size_t begin, end; /* bytes from the start of the data */
};

/* What the helpers below pass on: the file, and where its data lies. */
struct source {
    const struct mapped_file *file;
    const unsigned char *data;
    size_t data_bytes;
    struct arena *arena;
};

static const struct type *find_type(const char *text)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].text, text) == 0)
            return &types[i];
    return NULL;
}

/* The header's length N, checked against the format's limit and the file. */
static enum toto_status read_length(const struct mapped_file *file, size_t *length,
                                    struct toto_error *err)
{
    const unsigned char *bytes = file->data;
    uint64_t n = 0;
    if (file->bytes < LENGTH_BYTES)
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s: %zu bytes are too few for a safetensors file, which begins with "
                         "8 bytes of header length",
                         file->path, file->bytes);
    for (int i = LENGTH_BYTES - 1; i >= 0; i--)
        n = n << 8 | bytes[i];
    if (n > SAFETENSORS_HEADER_BYTES)
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s: the header's length is %" PRIu64 " bytes, wanted at most %d; is "
                         "this a safetensors file?",
                         file->path, n, SAFETENSORS_HEADER_BYTES);
    if (n > file->bytes - LENGTH_BYTES)
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s: the header takes %" PRIu64 " bytes, but only %zu follow: the "
                         "file is cut short",
                         file->path, n, file->bytes - LENGTH_BYTES);
    if (n == 0 || bytes[LENGTH_BYTES] != '{')
        return toto_fail(err, TOTO_STATUS_DATA, "%s: byte 8 does not begin a header, wanted \"{\"",
                         file->path);
    *length = (size_t)n;
    return TOTO_STATUS_OK;
}

static enum toto_status check_metadata(const struct source *source, json_t *metadata,
                                       struct toto_error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata))
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s: __metadata__ is %s, wanted an object of strings", source->file->path,
                         json_kind(metadata));
    json_object_foreach(metadata, key, value)
        if (!json_is_string(value))
            return toto_fail(err, TOTO_STATUS_DATA,
                             "%s: a value of __metadata__ is %s, wanted a string",
                             source->file->path, json_kind(value));
    return TOTO_STATUS_OK;
}

/* Names go into messages and listings, so a name with control characters is refused. */
static enum toto_status check_name(const struct source *source, const char *name,
                                   struct toto_error *err)
{
    size_t length = strlen(name);
    if (length > SAFETENSORS_NAME_BYTES)
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s: tensor \"%.64s...\": its name has %zu bytes, wanted at most %d",
                         source->file->path, name, length, SAFETENSORS_NAME_BYTES);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7F)
            return toto_fail(err, TOTO_STATUS_DATA,
                             "%s: byte %zu of the name of a tensor (\"%.*s...\") is a control "
                             "character",
                             source->file->path, i, (int)i, name);
    return TOTO_STATUS_OK;
}

/* One of the three members of a tensor's description, of the wanted kind. */
static enum toto_status get_member(const struct source *source, const char *name,
                                   const json_t *tensor, const char *key, json_type type,
                                   const char *wanted, const json_t **member,
                                   struct toto_error *err)
{
    *member = json_object_get(tensor, key);
    if (*member && json_typeof(*member) == type)
        return TOTO_STATUS_OK;
    return toto_fail(err, TOTO_STATUS_DATA, "%s: tensor \"%s\": %s is %s, wanted %s",
                     source->file->path, name, key, *member ? json_kind(*member) : "missing",
                     wanted);
}

/* Element i of the array `key` as a size. */
static enum toto_status get_size(const struct source *source, const char *name, const char *key,
                                 const json_t *array, size_t i, size_t *size,
                                 struct toto_error *err)
{
    char brief[64];
    const json_t *value = json_array_get(array, i);
    json_int_t integer = json_integer_value(value);
    if (!json_is_integer(value) || integer < 0 || (uintmax_t)integer > SIZE_MAX)
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s: tensor \"%s\": entry %zu of %s is %s, wanted a non-negative integer",
                         source->file->path, name, i, key, json_brief(value, brief, sizeof brief));
    *size = (size_t)integer;
    return TOTO_STATUS_OK;
}

/* dtype and shape, and the bytes that they take. */
static enum toto_status read_type_and_shape(const struct source *source, const json_t *tensor,
                                            struct tensor_view *view, size_t *bytes,
                                            struct toto_error *err)
{
    char brief[64], shape_text[192];
    const json_t *member;
    enum toto_status status;
    if ((status = get_member(source, view->name, tensor, "dtype", JSON_STRING, "a string", &member,
                             err)))
        return status;
    const struct type *type = find_type(json_string_value(member));
    if (!type)
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s: tensor \"%s\": dtype is %s, which safetensors does not know",
                         source->file->path, view->name, json_brief(member, brief, sizeof brief));
    view->dtype = type->dtype;
    view->dtype_text = type->text;

    if ((status = get_member(source, view->name, tensor, "shape", JSON_ARRAY, "an array", &member,
                             err)))
        return status;
    if (json_array_size(member) > TENSOR_MAX_DIMS)
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s: tensor \"%s\": its shape has %zu dimensions, wanted at most %d",
                         source->file->path, view->name, json_array_size(member), TENSOR_MAX_DIMS);
    view->n_dims = (int)json_array_size(member);
    for (int i = 0; i < view->n_dims; i++)
        if ((status = get_size(source, view->name, "shape", member, (size_t)i, &view->dims[i],
                               err)))
            return status;

    size_t elements = 1, bits = 0;
    bool fits = true;
    for (int i = 0; i < view->n_dims && fits; i++)
        fits = size_mul(elements, view->dims[i], &elements);
    tensor_dims_text(view->dims, view->n_dims, shape_text, sizeof shape_text);
    if (!fits || !size_mul(elements, type->bits, &bits))
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s: tensor \"%s\": shape %s of %s is larger than any file",
                         source->file->path, view->name, shape_text, type->text);
    if (bits % 8 != 0)
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s: tensor \"%s\": shape %s of %s does not end at a whole byte",
                         source->file->path, view->name, shape_text, type->text);
    view->n_elements = elements;
    *bytes = bits / 8;
    return TOTO_STATUS_OK;
}

/* data_offsets, checked against the data of the file and the bytes that shape and dtype take. */
static enum toto_status read_offsets(const struct source *source, const json_t *tensor,
                                     size_t bytes, struct entry *entry, struct toto_error *err)
{
    const char *path = source->file->path, *name = entry->view.name;
    const json_t *member;
    enum toto_status status;
    if ((status = get_member(source, name, tensor, "data_offsets", JSON_ARRAY, "[begin, end]",
                             &member, err)))
        return status;
    if (json_array_size(member) != 2)
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s: tensor \"%s\": data_offsets has %zu entries, wanted 2", path, name,
                         json_array_size(member));
    if ((status = get_size(source, name, "data_offsets", member, 0, &entry->begin, err)) ||
        (status = get_size(source, name, "data_offsets", member, 1, &entry->end, err)))
        return status;
    if (entry->begin > entry->end)
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s: tensor \"%s\": data_offsets [%zu, %zu] end before they begin", path,
                         name, entry->begin, entry->end);
    if (entry->end > source->data_bytes)
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s: tensor \"%s\": data_offsets [%zu, %zu] reach past the file's %zu "
                         "bytes of data; is the file cut short?",
                         path, name, entry->begin, entry->end, source->data_bytes);
    if (entry->end - entry->begin != bytes) {
        char shape_text[192];
        tensor_dims_text(entry->view.dims, entry->view.n_dims, shape_text, sizeof shape_text);
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s: tensor \"%s\": data_offsets [%zu, %zu] span %zu bytes, but shape %s "
                         "of %s takes %zu",
                         path, name, entry->begin, entry->end, entry->end - entry->begin,
                         shape_text, entry->view.dtype_text, bytes);
    }
    return TOTO_STATUS_OK;
}

static enum toto_status read_entry(const struct source *source, const char *name,
                                   const json_t *tensor, struct entry *entry,
                                   struct toto_error *err)
{
    enum toto_status status;
    size_t bytes = 0;
    *entry = (struct entry){.view = {.file = source->file->path}};
    if ((status = check_name(source, name, err)))
        return status;
    if (!json_is_object(tensor))
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s: tensor \"%s\" is %s, wanted an object of dtype, shape and "
                         "data_offsets",
                         source->file->path, name, json_kind(tensor));
    entry->view.name = arena_strndup(source->arena, name, strlen(name));
    if (!entry->view.name)
        return toto_fail_memory(err, "the names of the model's tensors", strlen(name) + 1);
    if ((status = read_type_and_shape(source, tensor, &entry->view, &bytes, err)) ||
        (status = read_offsets(source, tensor, bytes, entry, err)))
        return status;
    entry->view.data = source->data + entry->begin;
    return TOTO_STATUS_OK;
}

static int compare_offsets(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    if (left->begin != right->begin)
        return left->begin < right->begin ? -1 : 1;
    return (left->end > right->end) - (left->end < right->end);
}

/* The tensors, ordered by offset, cover the data: no hole, no overlap, no tail. */
static enum toto_status check_cover(const struct source *source, const struct entry *entries,
                                    size_t n, struct toto_error *err)
{
    const char *path = source->file->path;
    size_t end = 0;
    for (size_t i = 0; i < n; i++) {
        if (entries[i].begin < end)
            return toto_fail(err, TOTO_STATUS_DATA,
                             "%s: tensor \"%s\" begins at byte %zu of the data, inside tensor "
                             "\"%s\", which ends at %zu",
                             path, entries[i].view.name, entries[i].begin, entries[i - 1].view.name,
                             end);
        if (entries[i].begin > end)
            return toto_fail(err, TOTO_STATUS_DATA,
                             "%s: tensor \"%s\" begins at byte %zu of the data, but bytes %zu to "
                             "%zu belong to no tensor",
                             path, entries[i].view.name, entries[i].begin, end, entries[i].begin);
        end = entries[i].end;
    }
    if (end != source->data_bytes)
        return toto_fail(err, TOTO_STATUS_DATA,
                         "%s: the data has %zu bytes, but the last tensor%s%s%s ends at %zu", path,
                         source->data_bytes, n ? " \"" : "", n ? entries[n - 1].view.name : "",
                         n ? "\"" : "", end);
    return TOTO_STATUS_OK;
}

static enum toto_status append(struct checkpoint *checkpoint, const struct entry *entries, size_t n,
                               struct toto_error *err)
{
    size_t total, bytes;
    struct tensor_view *tensors = NULL;
    if (n == 0)
        return TOTO_STATUS_OK;
    if (size_add(checkpoint->n_tensors, n, &total) && size_mul(total, sizeof *tensors, &bytes))
        tensors = mem_realloc(checkpoint->tensors, bytes);
    if (!tensors)
        return toto_fail_memory(err, "the list of the model's tensors", n * sizeof *tensors);
    for (size_t i = 0; i < n; i++)
        tensors[checkpoint->n_tensors + i] = entries[i].view;
    checkpoint->tensors = tensors;
    checkpoint->n_tensors = total;
    return TOTO_STATUS_OK;
}

enum toto_status safetensors_read(const struct mapped_file *file, struct checkpoint *checkpoint,
                                  struct toto_error *err)
{
    /* A description of rank 8 has 14 brackets and commas; keys that are ignored may nest deeper. */
    const struct json_limits limits = {.depth = 8, .values = (size_t)SAFETENSORS_MOST_TENSORS * 16};
    enum toto_status status;
    struct json_document document = {0};
    json_t *value;
    struct entry *entries = NULL;
    const char *name;
    size_t length = 0, n = 0;

    if ((status = read_length(file, &length, err)))
        return status;
    const unsigned char *text = (const unsigned char *)file->data + LENGTH_BYTES;
    const struct source source = {.file = file,
                                  .data = text + length,
                                  .data_bytes = file->bytes - LENGTH_BYTES - length,
                                  .arena = &checkpoint->arena};
    if ((status = json_document_parse(file->path, (const char *)text, length, &limits, &document,
                                      err)))
        goto done;
    json_t *header = document.root;
    if (json_object_size(header) > SAFETENSORS_MOST_TENSORS) {
        status = toto_fail(err, TOTO_STATUS_DATA,
                           "%s: the header has %zu entries, wanted at most %d", file->path,
                           json_object_size(header), SAFETENSORS_MOST_TENSORS);
        goto done;
    }
    if (!(entries = mem_calloc(json_object_size(header), sizeof *entries))) {
        status = toto_fail_memory(err, "the list of the model's tensors",
                                  json_object_size(header) * sizeof *entries);
        goto done;
    }
    json_object_foreach(header, name, value) {
        if (strcmp(name, "__metadata__") == 0)
            status = check_metadata(&source, value, err);
        else
            status = read_entry(&source, name, value, &entries[n++], err);
        if (status)
            goto done;
    }
    qsort(entries, n, sizeof *entries, compare_offsets);
    if (!(status = check_cover(&source, entries, n, err)))
        status = append(checkpoint, entries, n, err);
done:
    mem_free(entries);
    json_document_free(&document);
    return status;
}
