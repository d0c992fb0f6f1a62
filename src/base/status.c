/* Error messages. */
#include "status.h"

#include <stdarg.h>
#include <stdio.h>

#include "memory.h"

enum toto_status toto_fail(struct toto_error *err, enum toto_status status, const char *fmt, ...)
{
    if (err) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(err->message, sizeof err->message, fmt, args);
        va_end(args);
    }
    return status;
}

enum toto_status toto_fail_memory(struct toto_error *err, const char *what, size_t bytes)
{
    if (mem_limit_hit())
        return toto_fail(err, TOTO_STATUS_RESOURCE,
                         "%s needs %zu more bytes than --memory allows (%zu are in use); raise it", what,
                         bytes, toto_memory_used());
    return toto_fail(err, TOTO_STATUS_RESOURCE, "not enough memory for %s (%zu bytes)", what, bytes);
}
