/* toto inspect MODEL: what a checkpoint holds, and whether it is usable. */
#include "commands.h"

#include <inttypes.h>
#include <stdio.h>

#include "model_path.h"
#include "options.h"

static enum toto_status print_model(const struct toto_model *model, struct toto_error *err)
{
    struct toto_model_info info;
    toto_model_inspect(model, &info);
    printf("family: %s\npath: %s\nparameters: %" PRIu64 "\nweights_bytes: %" PRIu64 "\ntensors: %zu\n"
           "dtypes: %s\npatch_size: %d\nd_model: %d\nlayers: %d\nheads: %d\nd_ff: %d\n%s",
           info.family, info.path, info.n_parameters, info.weights_bytes, info.n_tensors, info.dtypes,
           info.patch_size, info.d_model, info.n_layers, info.n_heads, info.d_ff,
           info.attributes ? info.attributes : "");
    for (size_t i = 0; i < info.n_files; i++) {
        char hex[65];
        const char *name;
        enum toto_status status = toto_model_sha256(model, i, hex, &name, err);
        if (status)
            return status;
        printf("sha256: %s %s\n", hex, name);
    }
    puts("usable: yes");
    return TOTO_STATUS_OK;
}

enum toto_status inspect_command(int argc, char **argv, struct toto_error *err)
{
    static const struct command_help text = {
        .command = "inspect",
        .usage = "[OPTION]... [MODEL]",
        .summary = "Reads and checks a model, and prints its architecture, parameters, dtypes and\n"
                   "the SHA-256 of its files.",
        .examples = {"toto inspect", "toto inspect Datadog/Toto-Open-Base-1.0"},
        .notes = "\nMODEL is a folder, ORG/NAME[@REV] in the Hugging Face cache, or builtin; default: TOTO_MODEL,\n"
                 "else builtin, the model in the program itself.\n"
                 "A model that cannot be used ends in an error and exit code 65 or 66.\n",
    };
    struct arg_file *name = arg_file0(NULL, NULL, "MODEL", NULL);
    struct arg_lit *help = arg_lit0("h", "help", "this text");
    void *table[] = {help, name, arg_end(8)};
    const size_t n = sizeof table / sizeof *table;
    struct toto_model *model = NULL;
    char path[MODEL_PATH_SIZE];
    bool helped;

    enum toto_status status = options_parse(argc, argv, table, n, help, &text, &helped, err);
    if (status || helped)
        goto done;
    status = model_path_find(name->count ? name->filename[0] : NULL, path, err);
    if (status)
        goto done;
    status = model_path_open(path, &model, err);
    if (status)
        goto done;
    status = print_model(model, err);
done:
    toto_model_free(model);
    arg_freetable(table, n);
    return status;
}
