/* Golden data: what the files of this room that compare with it share. */
#ifndef TOTO_VERIFY_GOLDEN_H
#define TOTO_VERIFY_GOLDEN_H

#include <jansson.h>

#include "../model/model.h"

/* A folder that is gone through. */
struct golden {
    struct toto_device *device;
    const struct toto_golden_options *options;
    const char *folder;
    toto_check_report *report;
    void *user;
    double least_tolerance;   /* of the dtype: what a tolerance is at least */
    struct toto_model *model; /* of the case that ran last */
    char model_path[1024];
};

/* One case: its manifest entry, its file and the model. */
struct golden_case {
    struct golden *golden;
    const json_t *entry;
    struct mapped_file file;
    struct checkpoint tensors;
    struct toto_model *model;
    void **owned; /* arrays that go with the case */
    size_t n_owned;
    char prefix[32]; /* of what is said of a failure */
    char why[1400];  /* the first thing that parted */
    bool failed;
    double worst;    /* largest error over tolerance */
    double began;    /* on the clock */
};

/* The family's cases of a manifest. */
void golden_toto1(struct golden *golden, const json_t *manifest);
void golden_toto2(struct golden *golden, const json_t *manifest);

/* Whether a case of this name is asked for. */
bool golden_wanted(const struct golden *golden, const char *name);

/* Reports a case that could not run. */
void golden_skipped(const struct golden *golden, const char *name, const char *why);
/* Reports a case that ran, and frees what it owns. */
void golden_case_close(struct golden_case *c, const char *name);

/* Opens the model in this folder (once for cases in a row). False if the case failed. */
bool golden_case_model(struct golden_case *c, const char *model_path, enum model_family family);
/* Opens the model, and the case's file. */
bool golden_case_open(struct golden_case *c, const char *model_path, enum model_family family);

/* The first failure of a case stays. */
void golden_fail(struct golden_case *c, const char *stage, const char *what);
/* Zeroed items that live as long as the case; NULL if there is no memory (the case then failed). */
void *golden_own(struct golden_case *c, size_t count, size_t size);

/* The tensor of this name (NULL: none has it), or NULL. */
const struct tensor_view *golden_find(const struct golden_case *c, const char *name);
/* Its values as floats, whatever it holds; NULL if there is none, or no memory. */
float *golden_floats(struct golden_case *c, const char *name);
/* As golden_floats, but a tensor that is missing or has not n elements fails the case. */
float *golden_input(struct golden_case *c, const char *name, size_t n);
/* A mask's bytes; NULL if there is none, and NULL with a failure if it is no mask of n elements. */
uint8_t *golden_mask(struct golden_case *c, const char *name, size_t n);
/* A whole number of a manifest, 0 if absent; one that is negative or above `most` fails the case. */
size_t golden_number(struct golden_case *c, const json_t *object, const char *key, size_t most);

#endif
