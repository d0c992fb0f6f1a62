/* Runs folders of golden data through the model and compares with what the reference computed.
 *
 *     golden [--device NAME] [--dtype f32|f16|bf16] [--only TEXT] [--base DIR] [-v] FOLDER...
 *
 * A FOLDER holds manifest.json and files in the format that toto1/README.md or toto2/README.md describes. A forecast is
 * followed stage by stage; the first stage that parts is named and the rest of the case is not looked at. Models that
 * the manifest names as made by a generator are taken from folders of DIR; without --base their cases are skipped.
 * Prints one line a case and "N passed, N failed, N skipped". */
#include <stdio.h>
#include <string.h>

#include "toto.h"

struct counts {
    size_t n_passed, n_failed, n_skipped;
};

static void print_check(void *user, const struct toto_check *check)
{
    struct counts *counts = user;
    switch (check->verdict) {
    case TOTO_VERDICT_PASSED:
        printf("passed  %s (at most %.2f of the tolerance)\n", check->name, check->max_error);
        counts->n_passed++;
        break;
    case TOTO_VERDICT_SKIPPED:
        printf("skipped %s (%s)\n", check->name, check->why);
        counts->n_skipped++;
        break;
    default:
        printf("FAILED  %s: %s\n", check->name, check->why);
        counts->n_failed++;
    }
    fflush(stdout);
}

static void print_line(void *user, enum toto_log_level level, const char *line)
{
    (void)user;
    (void)level;
    printf("# %s\n", line);
}

/* False if there is no such type. */
static bool read_dtype(const char *text, enum toto_dtype *dtype)
{
    static const struct { const char *name; enum toto_dtype dtype; } names[] = {
        {"f32", TOTO_DTYPE_F32}, {"f16", TOTO_DTYPE_F16}, {"bf16", TOTO_DTYPE_BF16}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text, names[i].name) == 0) {
            *dtype = names[i].dtype;
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    struct counts counts = {0};
    struct toto_error err = {""};
    struct toto_device *device = NULL;
    struct toto_golden_options options = {.dtype = TOTO_DTYPE_F32};
    enum toto_log_level level = TOTO_LOG_WARN;
    const char *name = "cpu";
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        const char *option = argv[at];
        if (strcmp(option, "-v") == 0)
            level = TOTO_LOG_INFO;
        else if (at + 1 < argc && strcmp(option, "--device") == 0)
            name = argv[++at];
        else if (at + 1 < argc && strcmp(option, "--dtype") == 0 && read_dtype(argv[at + 1], &options.dtype))
            at++;
        else if (at + 1 < argc && strcmp(option, "--only") == 0)
            options.only = argv[++at];
        else if (at + 1 < argc && strcmp(option, "--base") == 0)
            options.generated = argv[++at];
        else
            break;
    }
    if (at >= argc || argv[at][0] == '-') {
        fputs("usage: golden [--device NAME] [--dtype f32|f16|bf16] [--only TEXT] [--base DIR] [-v] FOLDER...\n",
              stderr);
        return 64;
    }
    toto_log_set(level, print_line, NULL);
    if (toto_device_open(name, options.dtype, 0, &device, &err) != TOTO_STATUS_OK) {
        fprintf(stderr, "golden: %s\n", err.message);
        return 71;
    }
    for (; at < argc; at++) {
        if (toto_verify_golden(device, argv[at], &options, print_check, &counts, &err) == TOTO_STATUS_OK)
            continue;
        printf("FAILED  %s\n", err.message);
        counts.n_failed++;
    }
    toto_device_free(device);
    printf("%zu passed, %zu failed, %zu skipped\n", counts.n_passed, counts.n_failed, counts.n_skipped);
    return counts.n_failed > 0;
}
