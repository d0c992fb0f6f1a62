/* What the golden runner's two families share. */
#ifndef TOTO_TESTS_GOLDEN_H
#define TOTO_TESTS_GOLDEN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "model/model.h"

struct runner {
    struct toto_device *device;
    const char *base, *only;
    bool verbose;
    size_t n_passed, n_failed, n_skipped;
    struct toto_model *model; /* of the case that ran last */
    char model_path[1024];
};

/* Prints "passed  NAME", "FAILED  NAME: why" (why not NULL) or "skipped NAME (why)", and counts. */
void golden_passed(struct runner *runner, const char *name, double worst);
void golden_failed(struct runner *runner, const char *name, const char *why);
void golden_skipped(struct runner *runner, const char *name, const char *why);

/* The model of this folder, opened once for cases in a row; NULL with the message in err. */
struct toto_model *golden_model(struct runner *runner, const char *path, struct toto_error *err);

/* Runs the cases of a manifest of Toto 2.0. */
void golden_toto2(struct runner *runner, const char *folder, const json_t *manifest);

#endif
