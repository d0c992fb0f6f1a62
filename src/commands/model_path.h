/* Where a model lies: a path, or a name in the Hugging Face cache. */
#ifndef TOTO_COMMANDS_MODEL_PATH_H
#define TOTO_COMMANDS_MODEL_PATH_H

#include "../toto.h"

enum { MODEL_PATH_SIZE = 4096 };

/* The path of a model that `name` (what -m or TOTO_MODEL says; NULL: neither) stands for: an existing
 * path as it is, or ORG/NAME[@REV] looked up in the cache, which is only read. */
enum toto_status model_path_find(const char *name, char path[MODEL_PATH_SIZE], struct toto_error *err);

#endif
