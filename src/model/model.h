/* Model: a checkpoint whose tensors have been given their places. */
#ifndef TOTO_MODEL_MODEL_H
#define TOTO_MODEL_MODEL_H

#include "../checkpoint/checkpoint.h"
#include "toto1.h"

struct toto_model {
    struct checkpoint checkpoint;
    struct toto1_config config;
    struct toto1_tensors tensors;
    char attributes[512]; /* what toto_model_inspect reports of the family */
};

#endif
