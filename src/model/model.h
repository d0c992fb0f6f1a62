/* Model: a checkpoint whose tensors have been given their places. */
#ifndef TOTO_MODEL_MODEL_H
#define TOTO_MODEL_MODEL_H

#include "../checkpoint/checkpoint.h"
#include "toto1.h"
#include "toto2.h"

enum model_family { FAMILY_TOTO1, FAMILY_TOTO2 };

struct toto_model {
    struct checkpoint checkpoint;
    enum model_family family; /* told from config.json */
    union {
        struct {
            struct toto1_config config;
            struct toto1_tensors tensors;
        } toto1;
        struct {
            struct toto2_config config;
            struct toto2_tensors tensors;
        } toto2;
    };
    char attributes[512]; /* what toto_model_inspect reports of the family */
};

/* As toto_model_open, for a checkpoint that lies in memory, borrowed until the model is freed. */
enum toto_status model_open_memory(const struct checkpoint_memory *memory, struct toto_model **model,
                                   struct toto_error *err);

#endif
