/* Checkpoint: finds the files of a model folder, or takes what lies in memory, and joins the tensors. */
#include "checkpoint.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config.h"
#include "json.h"
#include "mapping.h"
#include "safetensors.h"

#define CONFIG_NAME "config.json"
#define WEIGHTS_NAME "model.safetensors"
#define INDEX_NAME "model.safetensors.index.json"
#define WEIGHTS_SUFFIX ".safetensors"
#define MODEL_IS                                                                                   \
    "a model is a folder with " CONFIG_NAME " and " WEIGHTS_NAME " (or " INDEX_NAME                \
    " and its files), or a .safetensors file with " CONFIG_NAME " beside it"

void tensor_dims_text(const size_t *dims, int n_dims, char *text, size_t size)
{
    char all[TENSOR_MAX_DIMS * 22 + 1] = ""; /* 20 digits, comma and space each */
    int used = 0;
    assert(n_dims >= 0 && n_dims <= TENSOR_MAX_DIMS);
    for (int i = 0; i < n_dims; i++)
        used += snprintf(all + used, sizeof all - (size_t)used, i ? ", %zu" : "%zu", dims[i]);
    snprintf(text, size, "[%s]", all);
}

/* prefix and name in the checkpoint's arena; NULL if there is no memory. */
static char *join(struct checkpoint *checkpoint, const char *prefix, const char *name)
{
    size_t prefix_length = strlen(prefix), name_length = strlen(name);
    char *path = arena_alloc(&checkpoint->arena, prefix_length + name_length + 1);
    if (path) {
        memcpy(path, prefix, prefix_length);
        memcpy(path + prefix_length, name, name_length + 1);
    }
    return path;
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t length = strlen(text), suffix_length = strlen(suffix);
    return length >= suffix_length && strcmp(text + length - suffix_length, suffix) == 0;
}

static bool exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 || errno != ENOENT;
}

/* Splits what the user gave: *prefix goes before each file's name, *weights is the one file that
 * was named (NULL: the folder's), checkpoint->path the folder. */
static enum toto_status locate(const char *path, struct checkpoint *checkpoint, const char **prefix,
                               const char **weights, struct toto_error *err)
{
    struct stat st;
    size_t length = strlen(path);
    *weights = NULL;
    if (stat(path, &st) != 0)
        return toto_fail(err, TOTO_STATUS_NO_INPUT, "%s: %s; " MODEL_IS, path, strerror(errno));
    if (S_ISDIR(st.st_mode)) {
        while (length > 1 && path[length - 1] == '/')
            length--;
        checkpoint->path = arena_strndup(&checkpoint->arena, path, length);
        *prefix = checkpoint->path;
        if (*prefix && path[length - 1] != '/')
            *prefix = join(checkpoint, checkpoint->path, "/");
    } else if (ends_with(path, WEIGHTS_SUFFIX)) {
        const char *slash = strrchr(path, '/');
        size_t folder = slash ? (size_t)(slash - path) : 0;
        *weights = slash ? slash + 1 : path;
        *prefix = arena_strndup(&checkpoint->arena, path, slash ? folder + 1 : 0);
        checkpoint->path = ".";
        if (slash) /* the folder of "/x.safetensors" is "/" */
            checkpoint->path = arena_strndup(&checkpoint->arena, path, folder ? folder : 1);
    } else {
        return toto_fail(err, TOTO_STATUS_DATA, "%s: is no model; " MODEL_IS, path);
    }
    if (!checkpoint->path || !*prefix)
        return toto_fail_memory(err, "the model's path", length);
    return TOTO_STATUS_OK;
}

/* Maps each file and reads its tensors. The paths' text is borrowed as long as the checkpoint
 * lives. */
static enum toto_status read_files(struct checkpoint *checkpoint, const char *const *paths,
                                   size_t n, struct toto_error *err)
{
    enum toto_status status;
    checkpoint->files = mem_calloc(n, sizeof *checkpoint->files);
    if (!checkpoint->files)
        return toto_fail_memory(err, "the list of the model's files",
                                n * sizeof *checkpoint->files);
    for (size_t i = 0; i < n; i++) {
        struct mapped_file *file = &checkpoint->files[i];
        if ((status = mapping_open(paths[i], file, err)))
            return status;
        checkpoint->n_files++;
        if ((status = safetensors_read(file, checkpoint, err)))
            return status;
    }
    return TOTO_STATUS_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int compare_tensors(const void *a, const void *b)
{
    return strcmp(((const struct tensor_view *)a)->name, ((const struct tensor_view *)b)->name);
}

static enum toto_status sort_tensors(struct checkpoint *checkpoint, struct toto_error *err)
{
    struct tensor_view *tensors = checkpoint->tensors;
    if (checkpoint->n_tensors == 0)
        return TOTO_STATUS_OK;
    qsort(tensors, checkpoint->n_tensors, sizeof *tensors, compare_tensors);
    for (size_t i = 1; i < checkpoint->n_tensors; i++)
        if (strcmp(tensors[i - 1].name, tensors[i].name) == 0)
            return toto_fail(err, TOTO_STATUS_DATA, "%s: tensor \"%s\" is also in %s",
                             tensors[i].file, tensors[i].name, tensors[i - 1].file);
    return TOTO_STATUS_OK;
}

const struct tensor_view *checkpoint_find(const struct checkpoint *checkpoint, const char *name)
{
    const struct tensor_view key = {.name = name};
    if (checkpoint->n_tensors == 0)
        return NULL;
    return bsearch(&key, checkpoint->tensors, checkpoint->n_tensors, sizeof key, compare_tensors);
}

/* A shard is a plain name in the folder: an index must not reach any other file of the machine. */
static enum toto_status check_shard_name(const char *index_path, const char *tensor,
                                         const json_t *value, struct toto_error *err)
{
    char brief[96];
    const char *name = json_string_value(value); /* NULL if it is no string */
    if (name && *name && !strchr(name, '/') && !strstr(name, "..") && strcmp(name, ".") != 0)
        return TOTO_STATUS_OK;
    return toto_fail(err, TOTO_STATUS_DATA,
                     "%s: weight_map says that tensor \"%.512s\" is in %s, wanted the name of a "
                     "file in the same folder",
                     index_path, tensor, json_brief(value, brief, sizeof brief));
}

/* Every tensor of the map is in the file that the map says. */
static enum toto_status check_weight_map(const struct checkpoint *checkpoint,
                                         const char *index_path, json_t *map,
                                         struct toto_error *err)
{
    const char *tensor;
    json_t *value;
    json_object_foreach(map, tensor, value) {
        const char *name = json_string_value(value);
        const struct tensor_view *view = checkpoint_find(checkpoint, tensor);
        const char *slash = view ? strrchr(view->file, '/') : NULL;
        const char *found = slash ? slash + 1 : view ? view->file : "no file";
        if (strcmp(found, name) != 0)
            return toto_fail(err, TOTO_STATUS_DATA,
                             "%s: weight_map says that tensor \"%.512s\" is in %s, but it is in %s",
                             index_path, tensor, name, found);
    }
    return TOTO_STATUS_OK;
}

static enum toto_status read_shards(struct checkpoint *checkpoint, const char *prefix,
                                    const char *index_path, struct toto_error *err)
{
    enum toto_status status;
    struct json_document index;
    json_t *map, *value;
    const char **names = NULL, *tensor;
    size_t n = 0, n_unique = 0;
    if ((status = json_document_read(index_path, &index, err)))
        return status;
    map = json_object_get(index.root, "weight_map");
    if (!json_is_object(map) || json_object_size(map) == 0) {
        const char *found = !map ? "missing" : json_is_object(map) ? "empty" : json_kind(map);
        status = toto_fail(err, TOTO_STATUS_DATA,
                           "%s: weight_map is %s, wanted an object that names each tensor's file",
                           index_path, found);
        goto done;
    }
    if (!(names = mem_calloc(json_object_size(map), sizeof *names))) {
        status = toto_fail_memory(err, "the list of the model's files",
                                  json_object_size(map) * sizeof *names);
        goto done;
    }
    json_object_foreach(map, tensor, value) {
        if ((status = check_shard_name(index_path, tensor, value, err)))
            goto done;
        names[n++] = json_string_value(value);
    }
    qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(names[i], names[n_unique - 1]) != 0)
            names[n_unique++] = names[i];
    for (size_t i = 0; i < n_unique; i++) {
        if (!(names[i] = join(checkpoint, prefix, names[i]))) {
            status = toto_fail_memory(err, "the list of the model's files", strlen(prefix));
            goto done;
        }
    }
    if ((status = read_files(checkpoint, names, n_unique, err)) ||
        (status = sort_tensors(checkpoint, err)))
        goto done;
    status = check_weight_map(checkpoint, index_path, map, err);
done:
    mem_free(names);
    json_document_free(&index);
    return status;
}

enum toto_status checkpoint_open(const char *path, struct checkpoint *checkpoint,
                                 struct toto_error *err)
{
    enum toto_status status;
    const char *prefix = NULL, *weights, *index_path, *weights_path;
    *checkpoint = (struct checkpoint){0};
    if ((status = locate(path, checkpoint, &prefix, &weights, err)))
        goto done;
    checkpoint->config_path = join(checkpoint, prefix, CONFIG_NAME);
    index_path = weights ? "" : join(checkpoint, prefix, INDEX_NAME);
    weights_path = join(checkpoint, prefix, weights ? weights : WEIGHTS_NAME);
    if (!checkpoint->config_path || !index_path || !weights_path) {
        status = toto_fail_memory(err, "the model's path", strlen(path));
        goto done;
    }
    bool is_sharded = !weights && exists(index_path);
    if (!exists(checkpoint->config_path) || (!is_sharded && !exists(weights_path))) {
        status = toto_fail(err, TOTO_STATUS_NO_INPUT, "%s: there is no %s; " MODEL_IS,
                           checkpoint->path,
                           exists(checkpoint->config_path) ? WEIGHTS_NAME : CONFIG_NAME);
        goto done;
    }
    if ((status = config_open(checkpoint, NULL, err)))
        goto done;
    if (is_sharded)
        status = read_shards(checkpoint, prefix, index_path, err);
    else if (!(status = read_files(checkpoint, &weights_path, 1, err)))
        status = sort_tensors(checkpoint, err);
done:
    if (status)
        checkpoint_close(checkpoint);
    return status;
}

enum toto_status checkpoint_open_memory(const struct checkpoint_memory *memory, struct checkpoint *checkpoint,
                                        struct toto_error *err)
{
    enum toto_status status;
    *checkpoint = (struct checkpoint){.path = memory->name};
    const char *prefix = join(checkpoint, memory->name, "/");
    const char *weights_path = prefix ? join(checkpoint, prefix, WEIGHTS_NAME) : NULL;
    checkpoint->config_path = prefix ? join(checkpoint, prefix, CONFIG_NAME) : NULL;
    checkpoint->files = mem_calloc(1, sizeof *checkpoint->files);
    if (!weights_path || !checkpoint->config_path || !checkpoint->files) {
        status = toto_fail_memory(err, "the model's path", strlen(memory->name));
        goto done;
    }
    if ((status = config_open(checkpoint, memory, err)))
        goto done;
    mapping_borrow(weights_path, memory->weights, memory->weights_bytes, &checkpoint->files[0]);
    checkpoint->n_files = 1;
    if (!(status = safetensors_read(&checkpoint->files[0], checkpoint, err)))
        status = sort_tensors(checkpoint, err);
done:
    if (status)
        checkpoint_close(checkpoint);
    return status;
}

void checkpoint_close(struct checkpoint *checkpoint)
{
    for (size_t i = 0; i < checkpoint->n_files; i++)
        mapping_close(&checkpoint->files[i]);
    config_close(checkpoint->config);
    mem_free(checkpoint->files);
    mem_free(checkpoint->tensors);
    arena_free(&checkpoint->arena);
    *checkpoint = (struct checkpoint){0};
}
