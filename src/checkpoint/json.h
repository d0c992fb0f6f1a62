/* JSON text from a file that may be hostile, by jansson. */
#ifndef TOTO_CHECKPOINT_JSON_H
#define TOTO_CHECKPOINT_JSON_H

#include <jansson.h>

#include "checkpoint.h"

/* What a text may ask of the parser. A value costs a node of its own whatever its length, so bytes
 * alone do not bound memory. */
struct json_limits {
    size_t depth;  /* brackets open at once */
    size_t values; /* members and elements in all */
};

/* A parsed text. All of it lives in the arena: no value may be changed, and none outlives it. */
struct json_document {
    json_t *root; /* an object */
    struct arena arena;
};

/* Parses the text as one JSON object: strict, UTF-8, no key twice. Messages begin with `where`,
 * such as "DIR/config.json". On failure *document is zeroed. */
enum toto_status json_document_parse(const char *where, const char *text, size_t length,
                                     const struct json_limits *limits,
                                     struct json_document *document, struct toto_error *err);
/* As json_document_parse, for a whole file that is mapped, or at path; within limits for such files. */
enum toto_status json_document_parse_file(const struct mapped_file *file,
                                          struct json_document *document, struct toto_error *err);
enum toto_status json_document_read(const char *path, struct json_document *document,
                                    struct toto_error *err);
void json_document_free(struct json_document *document); /* takes a zeroed struct */

/* "an integer", "a string", ...: the kind of value, for a message. */
const char *json_kind(const json_t *value);

/* The value as JSON in printable ASCII, cut to size: what a message shows of it. Returns text. */
const char *json_brief(const json_t *value, char *text, size_t size);

#endif
