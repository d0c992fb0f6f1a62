/* JSON text from a file that may be hostile, by jansson. */
#ifndef TOTO_CHECKPOINT_JSON_H
#define TOTO_CHECKPOINT_JSON_H

#include <jansson.h>

#include "../base/status.h"

/* What a text may ask of the parser. A value costs a node of its own whatever its length, so bytes alone
 * do not bound memory. */
struct json_limits {
    size_t depth;  /* brackets open at once */
    size_t values; /* members and elements in all */
};

/* Parses the text as one JSON object: strict, UTF-8, no key twice. Messages begin with `where`, such as
 * "DIR/config.json". The object is the caller's: json_object_free. From the first call on, jansson's
 * allocations in this process are those of base/memory.h. */
enum toto_status json_object_parse(const char *where, const char *text, size_t length,
                                   const struct json_limits *limits, json_t **object,
                                   struct toto_error *err);
void json_object_free(json_t *object); /* takes NULL */

/* As json_object_parse, for a whole file. */
enum toto_status json_object_read(const char *path, json_t **object, struct toto_error *err);

/* "an integer", "a string", ...: the kind of value, for a message. */
const char *json_kind(const json_t *value);

/* The value as JSON in printable ASCII, cut to size: what a message shows of it. Returns text. */
const char *json_brief(const json_t *value, char *text, size_t size);

#endif
