/* Where a model lies: in the program, at a path, or in the Hugging Face cache. */
#ifndef TOTO_COMMANDS_MODEL_PATH_H
#define TOTO_COMMANDS_MODEL_PATH_H

#include "../toto.h"

enum { MODEL_PATH_SIZE = 4096 };

/* The name of the model: the one that the command line gives, else (NULL) TOTO_MODEL, else "builtin". */
const char *model_path_name(const char *given);

/* The path of the model of this name (NULL: as model_path_name says): an existing path as it
 * is, or ORG/NAME[@REV] looked up in the cache, which is only read. "builtin" always names the built-in one, whose
 * path is empty. */
enum toto_status model_path_find(const char *name, char path[MODEL_PATH_SIZE], struct toto_error *err);

/* Opens the model at a path that model_path_find gave. */
enum toto_status model_path_open(const char *path, struct toto_model **model, struct toto_error *err);

#endif
