/* JSON. jansson is given the counted allocator, and sees only texts whose nesting and number of values
 * have been checked by a scan that allocates nothing. */
#include "json.h"

#include <pthread.h>
#include <string.h>

#include "../base/memory.h"
#include "mapping.h"

/* Of config.json and the index of shards: far more than any model has. */
enum { JSON_FILE_BYTES = 16 << 20, JSON_FILE_DEPTH = 32, JSON_FILE_VALUES = 1 << 20 };

/* jansson does not say when memory was what it lacked. */
static _Thread_local size_t refused_bytes;

static void *json_alloc(size_t bytes)
{
    void *block = mem_alloc(bytes);
    if (!block)
        refused_bytes = bytes ? bytes : 1;
    return block;
}

static void set_allocator(void)
{
    json_set_alloc_funcs(json_alloc, mem_free);
}

/* Counts brackets and commas outside strings; whether they make sense is the parser's business. */
static enum toto_status check_limits(const char *where, const char *text, size_t length,
                                     const struct json_limits *limits, struct toto_error *err)
{
    size_t depth = 0, values = 0;
    bool in_string = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
            continue;
        }
        if (c == '"')
            in_string = true;
        else if ((c == ']' || c == '}') && depth)
            depth--;
        else if (c == '[' || c == '{')
            depth++, values++;
        else if (c == ',')
            values++;
        if (depth > limits->depth)
            return toto_fail(err, TOTO_STATUS_DATA,
                             "%s: byte %zu of the JSON opens bracket number %zu; at most %zu may be open",
                             where, i, depth, limits->depth);
        if (values > limits->values)
            return toto_fail(err, TOTO_STATUS_DATA,
                             "%s: the JSON holds more than %zu values, which no model needs", where,
                             limits->values);
    }
    return TOTO_STATUS_OK;
}

enum toto_status json_object_parse(const char *where, const char *text, size_t length,
                                   const struct json_limits *limits, json_t **object,
                                   struct toto_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_allocator);
    *object = NULL;
    enum toto_status status = check_limits(where, text, length, limits, err);
    if (status)
        return status;

    json_error_t trouble;
    refused_bytes = 0;
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &trouble);
    if (refused_bytes) {
        status = toto_fail_memory(err, where, refused_bytes);
    } else if (!root) {
        for (char *c = trouble.text; *c; c++) /* it quotes the file, which may hold terminal codes */
            if ((unsigned char)*c < 0x20 || *c == 0x7F)
                *c = '?';
        status = toto_fail(err, TOTO_STATUS_DATA, "%s: byte %d of the JSON (line %d, column %d): %s",
                           where, trouble.position, trouble.line, trouble.column, trouble.text);
    } else if (!json_is_object(root)) {
        status = toto_fail(err, TOTO_STATUS_DATA, "%s: the JSON is %s, wanted an object", where,
                           json_kind(root));
    } else {
        *object = root;
        root = NULL;
    }
    json_object_free(root);
    return status;
}

void json_object_free(json_t *object)
{
    json_decref(object);
}

enum toto_status json_object_read(const char *path, json_t **object, struct toto_error *err)
{
    const struct json_limits limits = {.depth = JSON_FILE_DEPTH, .values = JSON_FILE_VALUES};
    struct mapped_file file;
    *object = NULL;
    enum toto_status status = mapping_open(path, &file, err);
    if (status)
        return status;
    if (file.bytes > JSON_FILE_BYTES)
        status = toto_fail(err, TOTO_STATUS_DATA, "%s: %zu bytes are too many; at most %d are read", path,
                           file.bytes, JSON_FILE_BYTES);
    else
        status = json_object_parse(path, file.data, file.bytes, &limits, object, err);
    mapping_close(&file);
    return status;
}

const char *json_kind(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a real number";
    case JSON_TRUE: return "true";
    case JSON_FALSE: return "false";
    case JSON_NULL: return "null";
    }
    return "unknown";
}

const char *json_brief(const json_t *value, char *text, size_t size)
{
    size_t length = json_dumpb(value, text, size - 1, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    if (length == 0) { /* no memory to print it with */
        snprintf(text, size, "%s", json_kind(value));
    } else if (length < size) {
        text[length] = '\0';
    } else {
        text[size - 1] = '\0';
        memcpy(text + size - 4, "...", 3);
    }
    return text;
}
