/* JSON. jansson sees only texts whose nesting and number of values have been checked by a scan that
 * allocates nothing, and works in an arena that is dropped whole.
 *
 * jansson 2.14 does not survive a failed allocation: strbuffer_append_byte's result is ignored by
 * the lexer (load.c, lex_save), which then reads text with bytes missing. So an allocation that
 * fails does not return to it: control jumps back to our call, and the arena holds all there is to
 * release. */
#include "json.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "mapping.h"

/* Of config.json and the index of shards: far more than any model has. */
enum { JSON_FILE_BYTES = 16 << 20, JSON_FILE_DEPTH = 32, JSON_FILE_VALUES = 1 << 20 };

/* The call of jansson that this thread is in. */
static _Thread_local struct {
    struct arena *arena; /* NULL: none of ours */
    jmp_buf no_memory;
    size_t refused_bytes;
} call;

/* What jansson used before: still serves the rest of the process, which may use it too. */
static json_malloc_t other_malloc;
static json_free_t other_free;

static void *call_malloc(size_t bytes)
{
    if (!call.arena)
        return other_malloc(bytes);
    void *block = arena_alloc(call.arena, bytes);
    if (!block) {
        call.refused_bytes = bytes;
        longjmp(call.no_memory, 1);
    }
    return block;
}

static void call_free(void *block)
{
    if (!call.arena)
        other_free(block);
}

static void set_allocator(void)
{
    json_get_alloc_funcs(&other_malloc, &other_free);
    json_set_alloc_funcs(call_malloc, call_free);
}

/* json_loadb in an arena; false if memory was refused (call.refused_bytes). */
static bool load(const char *text, size_t length, struct arena *arena, json_t **root,
                 json_error_t *trouble)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_allocator);
    if (setjmp(call.no_memory)) {
        call.arena = NULL;
        return false;
    }
    call.arena = arena;
    *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, trouble);
    call.arena = NULL;
    return true;
}

/* json_dumpb in an arena; 0 if memory was refused. */
static size_t dump(const json_t *value, char *text, size_t size, struct arena *arena)
{
    if (setjmp(call.no_memory)) {
        call.arena = NULL;
        return 0;
    }
    call.arena = arena;
    size_t length = json_dumpb(value, text, size, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    call.arena = NULL;
    return length;
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
            return toto_fail(
                err, TOTO_STATUS_DATA,
                "%s: byte %zu of the JSON opens bracket number %zu; at most %zu may be "
                "open",
                where, i, depth, limits->depth);
        if (values > limits->values)
            return toto_fail(err, TOTO_STATUS_DATA,
                             "%s: the JSON holds more than %zu values, which no model needs", where,
                             limits->values);
    }
    return TOTO_STATUS_OK;
}

enum toto_status json_document_parse(const char *where, const char *text, size_t length,
                                     const struct json_limits *limits,
                                     struct json_document *document, struct toto_error *err)
{
    *document = (struct json_document){0};
    json_error_t trouble;
    enum toto_status status = check_limits(where, text, length, limits, err);
    if (status)
        return status;
    if (!load(text, length, &document->arena, &document->root, &trouble)) {
        status = toto_fail_memory(err, where, call.refused_bytes);
    } else if (!document->root) {
        /* it quotes the file, which may hold terminal codes */
        for (char *c = trouble.text; *c; c++)
            if ((unsigned char)*c < 0x20 || *c == 0x7F)
                *c = '?';
        status = toto_fail(err, TOTO_STATUS_DATA,
                           "%s: byte %d of the JSON (line %d, column %d): %s", where,
                           trouble.position, trouble.line, trouble.column, trouble.text);
    } else if (!json_is_object(document->root)) {
        status = toto_fail(err, TOTO_STATUS_DATA, "%s: the JSON is %s, wanted an object", where,
                           json_kind(document->root));
    }
    if (status)
        json_document_free(document);
    return status;
}

enum toto_status json_document_parse_file(const struct mapped_file *file,
                                          struct json_document *document, struct toto_error *err)
{
    const struct json_limits limits = {.depth = JSON_FILE_DEPTH, .values = JSON_FILE_VALUES};
    *document = (struct json_document){0};
    if (file->bytes > JSON_FILE_BYTES)
        return toto_fail(err, TOTO_STATUS_DATA, "%s: %zu bytes are too many; at most %d are read",
                         file->path, file->bytes, JSON_FILE_BYTES);
    return json_document_parse(file->path, file->data, file->bytes, &limits, document, err);
}

enum toto_status json_document_read(const char *path, struct json_document *document,
                                    struct toto_error *err)
{
    struct mapped_file file;
    *document = (struct json_document){0};
    enum toto_status status = mapping_open(path, &file, err);
    if (status)
        return status;
    status = json_document_parse_file(&file, document, err);
    mapping_close(&file);
    return status;
}

void json_document_free(struct json_document *document)
{
    arena_free(&document->arena);
    *document = (struct json_document){0};
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
    struct arena arena = {0};
    size_t length = dump(value, text, size - 1, &arena);
    if (length == 0) { /* no memory to print it with */
        snprintf(text, size, "%s", json_kind(value));
    } else if (length < size) {
        text[length] = '\0';
    } else {
        text[size - 1] = '\0';
        memcpy(text + size - 4, "...", 3);
    }
    arena_free(&arena);
    return text;
}
