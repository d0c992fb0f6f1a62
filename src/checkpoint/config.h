/* config.json: opening it; the accessors are declared in checkpoint.h. */
#ifndef TOTO_CHECKPOINT_CONFIG_H
#define TOTO_CHECKPOINT_CONFIG_H

#include "checkpoint.h"

/* Reads the file at checkpoint->config_path, or the text of memory if it is not NULL, into
 * checkpoint->config. */
enum toto_status config_open(struct checkpoint *checkpoint, const struct checkpoint_memory *memory,
                             struct toto_error *err);
void config_close(struct config *config); /* takes NULL */

#endif
