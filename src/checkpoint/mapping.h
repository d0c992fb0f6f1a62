/* Mapping: files as read-only memory, memory in their place, and a register of them for signal handlers. */
#ifndef TOTO_CHECKPOINT_MAPPING_H
#define TOTO_CHECKPOINT_MAPPING_H

#include "../base/status.h"
#include "checkpoint.h"

/* Files that may be mapped at once by the process. */
enum { MAPPING_MOST_FILES = 1024 };

/* Maps the regular, non-empty file at path, which the mapping borrows until it is closed. On
 * failure *file is zeroed. */
enum toto_status mapping_open(const char *path, struct mapped_file *file, struct toto_error *err);
/* Takes memory of the caller's, both borrowed until the mapping is closed, as if it were the file at path. It is no
 * file of ours: toto_mapped_path does not know it. */
void mapping_borrow(const char *path, const void *data, size_t bytes, struct mapped_file *file);
void mapping_close(struct mapped_file *file); /* takes a zeroed struct, and leaves one */

#endif
