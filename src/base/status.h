/* Errors: the place that finds the trouble writes the whole message, and callers pass the status on. */
#ifndef TOTO_BASE_STATUS_H
#define TOTO_BASE_STATUS_H

#include "../toto.h"

#if defined(__GNUC__)
#define TOTO_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define TOTO_PRINTF(fmt, first)
#endif

/* Writes the message (cut to the size of err->message; err may be NULL) and returns status. */
enum toto_status toto_fail(struct toto_error *err, enum toto_status status, const char *fmt, ...)
    TOTO_PRINTF(3, 4);

/* "not enough memory for WHAT (N bytes)", naming --memory if that limit was what refused it. */
enum toto_status toto_fail_memory(struct toto_error *err, const char *what, size_t bytes);

#endif
