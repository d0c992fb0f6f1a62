/* Time: how an input writes it, and the regular axis that a forecast continues.
 *
 * Accepted: ISO 8601 with or without zone (T or a space between date and time, seconds and fraction
 * optional), a date alone, epoch seconds or milliseconds, integers. One column holds one format,
 * and a forecast continues in it. */
#ifndef TOTO_TABLE_TIMESTAMP_H
#define TOTO_TABLE_TIMESTAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum time_kind {
    TIME_NONE,    /* no time column: rows count from 0 */
    TIME_INTEGER, /* integers, epoch seconds and milliseconds among them */
    TIME_DATE,    /* 2016-07-01 */
    TIME_STAMP,   /* date and time */
};

/* How a column writes its times; two cells of one column must agree in it. */
struct time_format {
    enum time_kind kind;
    char date_separator; /* '-' or '/', 0 for the basic form 20160701 */
    char separator;      /* 'T', 't' or ' ' between date and time */
    bool has_seconds;
    int fraction_digits; /* 0 to 9 */
    enum { ZONE_NONE, ZONE_Z, ZONE_OFFSET, ZONE_OFFSET_BASIC, ZONE_OFFSET_HOURS } zone;
    int offset_minutes; /* of ZONE_OFFSET...; the last row's is continued */
};

enum { TIME_TEXT_SIZE = 64 };

/* Parses length bytes. *ticks: integers as they are; dates in days since 1970-01-01; stamps in
 * nanoseconds since 1970-01-01 UTC (zone applied). NULL on success, else what is wrong with the
 * cell. */
const char *timestamp_parse(const char *text, size_t length, struct time_format *format,
                            int64_t *ticks);

/* Whether a cell of format b may stand in a column of format a (offset and fraction may differ). */
bool time_format_same(const struct time_format *a, const struct time_format *b);

/* Writes ticks in the format; returns the length, text is NUL-terminated. Empty (0) if no date of
 * the years 0001 to 9999 has these ticks. */
size_t timestamp_format(const struct time_format *format, int64_t ticks, char text[TIME_TEXT_SIZE]);

/* The form of a cell for a person, such as YYYY-MM-DDThh:mmZ; returns its length. */
size_t time_format_pattern(const struct time_format *format, char text[TIME_TEXT_SIZE]);

/* Day of the month, 1 to 31; false if the format holds no date. */
bool timestamp_day_of_month(const struct time_format *format, int64_t ticks, int *day);

/* The regular axis: ticks of the last row and the fixed step; step 0: not known (a bad series). */
struct time_axis {
    struct time_format format;
    int64_t last, step;
};

/* Time of the step-th point after the last row (1: the first of the forecast). Empty (0) if the
 * step is not known or the time is past what its format can write. */
size_t time_axis_text(const struct time_axis *axis, size_t step, char text[TIME_TEXT_SIZE]);

#endif
