/* Checkpoint: a model folder becomes named tensors (views into the mapped files) and a config. */
#ifndef TOTO_CHECKPOINT_CHECKPOINT_H
#define TOTO_CHECKPOINT_CHECKPOINT_H

#include "../base/arena.h"
#include "../base/dtype.h"

enum { TENSOR_MAX_DIMS = 8 };

/* A tensor inside a mapping; lives as long as its checkpoint. */
struct tensor_view {
    const char *name;
    const char *file;   /* path of the file that holds it */
    enum dtype dtype;
    const char *dtype_text; /* as the file writes it */
    int n_dims;
    size_t dims[TENSOR_MAX_DIMS];
    size_t n_elements;
    const void *data;   /* little-endian, row-major, not necessarily aligned */
};

struct mapped_file {
    const char *path;
    const char *name; /* last part of the path */
    const void *data;
    size_t bytes;
    bool borrowed;    /* memory of the caller's, which stays when the mapping is closed */
};

struct config; /* the parsed config.json */

struct checkpoint {
    const char *path;            /* the folder */
    const char *config_path;
    struct config *config;
    struct mapped_file *files;
    size_t n_files;
    struct tensor_view *tensors; /* sorted by name */
    size_t n_tensors;
    struct arena arena;
};

/* Opens a folder, or a .safetensors file with config.json beside it. model.safetensors.index.json wins
 * over model.safetensors. Checks every rule of the safetensors format; not what a family wants. */
enum toto_status checkpoint_open(const char *path, struct checkpoint *checkpoint, struct toto_error *err);

/* A checkpoint that lies in memory: the bytes of config.json and of model.safetensors, at any alignment. */
struct checkpoint_memory {
    const char *name; /* what messages and checkpoint->path call its folder */
    const void *config, *weights;
    size_t config_bytes, weights_bytes;
};

/* As checkpoint_open, with the same checks. The name and the bytes are borrowed until the checkpoint is closed:
 * tensors are views into them. */
enum toto_status checkpoint_open_memory(const struct checkpoint_memory *memory, struct checkpoint *checkpoint,
                                        struct toto_error *err);
void checkpoint_close(struct checkpoint *checkpoint); /* takes a zeroed struct */

/* The tensor of this name, or NULL. */
const struct tensor_view *checkpoint_find(const struct checkpoint *checkpoint, const char *name);

/* ---- config.json. Each call that can fail writes a message that names the file and the key. -------- */

bool config_has(const struct config *config, const char *key);     /* present, null included */
bool config_is_null(const struct config *config, const char *key); /* absent or null */
/* A JSON integer (or a real of integral value) within [least, most]. */
enum toto_status config_int(const struct checkpoint *checkpoint, const char *key, int64_t least,
                            int64_t most, int64_t *value, struct toto_error *err);
enum toto_status config_real(const struct checkpoint *checkpoint, const char *key, double *value,
                             struct toto_error *err);
enum toto_status config_bool(const struct checkpoint *checkpoint, const char *key, bool *value,
                             struct toto_error *err);
/* *text lives as long as the checkpoint. */
enum toto_status config_text(const struct checkpoint *checkpoint, const char *key, const char **text,
                             struct toto_error *err);
/* Entry `index` of an array of strings. */
enum toto_status config_text_at(const struct checkpoint *checkpoint, const char *key, size_t index,
                                const char **text, struct toto_error *err);
/* As config_int, for a key inside the object `key`. */
enum toto_status config_member_int(const struct checkpoint *checkpoint, const char *key,
                                   const char *member, int64_t least, int64_t most, int64_t *value,
                                   struct toto_error *err);
/* Warns (log_warn) of each key of the file that is not among the known ones (NULL-terminated). */
void config_warn_unknown(const struct checkpoint *checkpoint, const char *const *known);

/* Writes "DIMS" such as [768, 64] into text. */
void tensor_dims_text(const size_t *dims, int n_dims, char *text, size_t size);

#endif
