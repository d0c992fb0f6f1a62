/* Messages to a person, by level; see toto_log_set. */
#ifndef TOTO_BASE_LOG_H
#define TOTO_BASE_LOG_H

#include "status.h"

bool log_enabled(enum toto_log_level level);
void log_write(enum toto_log_level level, const char *fmt, ...) TOTO_PRINTF(2, 3);

#define log_warn(...) log_write(TOTO_LOG_WARN, __VA_ARGS__)
#define log_info(...) log_write(TOTO_LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(TOTO_LOG_DEBUG, __VA_ARGS__)

/* Seconds on a monotonic clock. */
double clock_seconds(void);

#endif
