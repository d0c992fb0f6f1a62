/* Messages to a person. */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

static struct {
    enum toto_log_level level;
    toto_log_fn *fn;
    void *user;
} logger;

void toto_log_set(enum toto_log_level level, toto_log_fn *fn, void *user)
{
    logger.level = level;
    logger.fn = fn;
    logger.user = user;
}

bool log_enabled(enum toto_log_level level)
{
    return logger.fn && level <= logger.level;
}

void log_write(enum toto_log_level level, const char *fmt, ...)
{
    if (!log_enabled(level))
        return;
    char line[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    logger.fn(logger.user, level, line);
}

double clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
