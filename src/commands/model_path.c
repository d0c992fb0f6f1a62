/* Where a model lies. The cache is laid out as huggingface_hub describes it ("Understand caching"):
 * HUB/models--ORG--NAME/refs/REV holds a commit, HUB/models--ORG--NAME/snapshots/COMMIT its files. */
#include "model_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "options.h"

/* True for ORG/NAME[@REV] in the characters that the hub allows; org, name and revision by length. */
static bool parse_name(const char *text, int *org, int *name, const char **revision)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    size_t n_org = strspn(text, allowed);
    if (!n_org || n_org > 96 || text[0] == '.' || text[n_org] != '/')
        return false;
    size_t n_name = strspn(text + n_org + 1, allowed);
    const char *rest = text + n_org + 1 + n_name;
    if (!n_name || n_name > 96 || text[n_org + 1] == '.' || (*rest && *rest != '@'))
        return false;
    *org = (int)n_org;
    *name = (int)n_name;
    *revision = *rest ? rest + 1 : "main";
    return **revision && **revision != '/' && !strstr(*revision, "..");
}

/* The folder of the cache; false if no variable says where it is, or if it is too long to be. */
static bool hub_folder(char *hub, size_t size)
{
    static const struct {
        const char *variable, *below;
    } places[] = {
        {"HF_HUB_CACHE", ""},
        {"HF_HOME", "/hub"},
        {"XDG_CACHE_HOME", "/huggingface/hub"},
        {"HOME", "/.cache/huggingface/hub"},
    };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const char *value = getenv(places[i].variable);
        if (value && *value)
            return (size_t)snprintf(hub, size, "%s%s", value, places[i].below) < size;
    }
    return false;
}

/* Reads the commit that a ref names; a revision without a ref is taken as a commit itself. */
static void read_ref(const char *model_folder, const char *revision, char *commit, size_t size)
{
    char path[MODEL_PATH_SIZE];
    snprintf(commit, size, "%s", revision);
    if ((size_t)snprintf(path, sizeof path, "%s/refs/%s", model_folder, revision) >= sizeof path)
        return;
    FILE *file = fopen(path, "r");
    if (!file)
        return;
    char line[128] = "";
    if (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] && line[0] != '.' && !strchr(line, '/'))
            snprintf(commit, size, "%s", line);
    }
    fclose(file);
}

static const char builtin[] = "builtin";

const char *model_path_name(const char *given)
{
    const char *from_environment = getenv("TOTO_MODEL");
    if (given)
        return given;
    return from_environment && *from_environment ? from_environment : builtin;
}

enum toto_status model_path_find(const char *name, char path[MODEL_PATH_SIZE], struct toto_error *err)
{
    struct stat info;
    int n_org, n_name;
    const char *revision;
    char hub[MODEL_PATH_SIZE / 2], folder[MODEL_PATH_SIZE - 256], commit[160];

    name = model_path_name(name);
    if (!*name)
        return command_fail(err, TOTO_STATUS_USAGE,
                            "the name of the model is empty; give a folder, ORG/NAME in the Hugging Face cache, or "
                            "%s", builtin);
    if (strcmp(name, builtin) == 0) {
        *path = '\0';
        return TOTO_STATUS_OK;
    }
    if (stat(name, &info) == 0) {
        if (strlen(name) >= MODEL_PATH_SIZE)
            return command_fail(err, TOTO_STATUS_NO_INPUT, "the path of the model is too long");
        snprintf(path, MODEL_PATH_SIZE, "%s", name);
        return TOTO_STATUS_OK;
    }
    if (!parse_name(name, &n_org, &n_name, &revision))
        return command_fail(err, TOTO_STATUS_NO_INPUT,
                            "%s: no such model; give a folder, ORG/NAME in the Hugging Face cache, or %s",
                            name, builtin);
    if (!hub_folder(hub, sizeof hub))
        return command_fail(err, TOTO_STATUS_NO_INPUT,
                            "%s: no such folder, and neither HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME nor HOME "
                            "says where the Hugging Face cache is", name);
    snprintf(folder, sizeof folder, "%s/models--%.*s--%.*s", hub, n_org, name, n_name, name + n_org + 1);
    read_ref(folder, revision, commit, sizeof commit);
    snprintf(path, MODEL_PATH_SIZE, "%s/snapshots/%s", folder, commit);
    if (stat(path, &info) != 0)
        return command_fail(err, TOTO_STATUS_NO_INPUT,
                            "%s: no such folder, and not in the Hugging Face cache (looked for revision %s in "
                            "%s)", name, revision, folder);
    return TOTO_STATUS_OK;
}

enum toto_status model_path_open(const char *path, struct toto_model **model, struct toto_error *err)
{
    return *path ? toto_model_open(path, model, err) : toto_model_open_builtin(model, err);
}
