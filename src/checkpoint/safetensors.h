/* safetensors: one mapped file becomes named tensors. */
#ifndef TOTO_CHECKPOINT_SAFETENSORS_H
#define TOTO_CHECKPOINT_SAFETENSORS_H

#include "checkpoint.h"

enum {
    SAFETENSORS_MOST_TENSORS = 65536,
    SAFETENSORS_NAME_BYTES = 512,
    SAFETENSORS_HEADER_BYTES = 100000000 /* the format's own limit */
};

/* Checks every rule of the format and appends the file's tensors to checkpoint->tensors, in the
 * order of their data; names go to the checkpoint's arena. On failure the checkpoint's tensors are
 * as they were. */
enum toto_status safetensors_read(const struct mapped_file *file, struct checkpoint *checkpoint,
                                  struct toto_error *err);

#endif
