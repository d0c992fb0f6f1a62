/* An output: standard output, a device, or a file that is written aside and renamed. */
#ifndef TOTO_OUTPUT_OUT_FILE_H
#define TOTO_OUTPUT_OUT_FILE_H

#include "../base/status.h"

/* A zeroed struct is closed. */
struct out_file {
    char *buffer;        /* NULL: closed */
    size_t n_buffered;
    int fd;
    const char *name;    /* for messages */
    char *target;        /* where the temporary file goes in the end; NULL: written directly */
    int temporary;       /* its slot among the files that out_file_unlink_all removes */
};

/* Opens the output. path NULL or "-" is standard output; a device, a pipe or a descriptor's path is
 * written directly; any other is a new file in the target's folder until out_file_commit. */
enum toto_status out_file_open(const char *path, struct out_file *file, struct toto_error *err);

/* Appends; the buffer goes out when it is full. */
enum toto_status out_file_write(struct out_file *file, const char *text, size_t length,
                                struct toto_error *err);

/* Appends a field of CSV, quoted where RFC 4180 asks for it or where a reader could trim it. */
enum toto_status out_file_field(struct out_file *file, const char *text, struct toto_error *err);

/* Writes what is buffered and, for a file, waits until the disk has it. */
enum toto_status out_file_finish(struct out_file *file, struct toto_error *err);

/* Gives a finished file its name. */
enum toto_status out_file_commit(struct out_file *file, struct toto_error *err);

/* Closes, and removes a temporary file that was not committed. Takes a zeroed struct. */
void out_file_close(struct out_file *file);

/* Removes the temporary files of all open outputs; safe in a signal handler. */
void out_file_unlink_all(void);

#endif
