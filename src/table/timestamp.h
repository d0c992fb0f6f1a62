/* Time: how an input writes it, and the regular axis that a forecast continues: of fixed length, of months, of
 * business days or of the days of a zone.
 *
 * Accepted: ISO 8601 with or without zone (T or a space between date and time, seconds and fraction
 * optional), a date or a month alone, epoch seconds or milliseconds, integers. One series holds one format,
 * and a forecast continues in it. */
#ifndef TOTO_TABLE_TIMESTAMP_H
#define TOTO_TABLE_TIMESTAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum time_kind {
    TIME_NONE,    /* no time column: rows count from 0 */
    TIME_INTEGER, /* integers, epoch seconds and milliseconds among them */
    TIME_DATE,    /* 2016-07-01, or the month alone: 2016-07 */
    TIME_STAMP,   /* date and time */
};

/* How a series writes its times; two cells of one series must agree in it. */
struct time_format {
    enum time_kind kind;
    char date_separator; /* '-' or '/', 0 for the basic form 20160701 */
    bool month_alone;    /* TIME_DATE: no day is written; it is the first */
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

/* Whether a cell of format b may stand in a series of format a (offset and fraction may differ). */
bool time_format_same(const struct time_format *a, const struct time_format *b);

/* Writes ticks in the format; returns the length, text is NUL-terminated. Empty (0) if no date of
 * the years 0001 to 9999 has these ticks. */
size_t timestamp_format(const struct time_format *format, int64_t ticks, char text[TIME_TEXT_SIZE]);

/* The form of a cell for a person, such as YYYY-MM-DDThh:mmZ; returns its length. */
size_t time_format_pattern(const struct time_format *format, char text[TIME_TEXT_SIZE]);

/* A date as its cell has it, in the zone of the cell. */
struct time_date {
    int64_t days; /* since 1970-01-01 */
    int64_t year;
    int month, day, month_days; /* from 1; month_days: how many the month has */
    int64_t clock;              /* nanoseconds of the day; 0 of a date alone */
};

/* The date of the ticks; false if the format holds none. */
bool time_date_find(const struct time_format *format, int64_t ticks, struct time_date *date);

/* What the steps of an axis count. A time has a place on the axis, a number that grows by 1 from one of what is counted
 * to the next: its ticks, the number of its month, of its day where only Monday to Friday are counted, or of its day in
 * the zone of its cell, which summer time makes 23 or 25 hours long. All zero: ticks. */
struct time_calendar {
    enum { COUNT_TICKS, COUNT_MONTHS, COUNT_BUSINESS_DAYS, COUNT_DAYS } unit;
    int day;       /* COUNT_MONTHS: of the month, 1 to 31; of a shorter month the last. 31: always the last */
    int64_t clock; /* nanoseconds of the day; not of COUNT_TICKS */
};

bool time_calendar_same(const struct time_calendar *a, const struct time_calendar *b);

/* The time's place; false if the calendar does not hold the time. The format has the offset of the time's own cell. */
bool time_calendar_place(const struct time_calendar *calendar, const struct time_format *format, int64_t ticks,
                         int64_t *place);

/* The inverse, in the format's offset; false far beyond the years that can be written. */
bool time_calendar_ticks(const struct time_calendar *calendar, const struct time_format *format, int64_t place,
                         int64_t *ticks);

/* The regular axis: place of the last row and the step; step 0: not known (a bad series). */
struct time_axis {
    struct time_format format;
    int64_t last, step;
    struct time_calendar calendar;
};

/* Time of the step-th point after the last row (1: the first of the forecast). Empty (0) if the
 * step is not known or the time is past what its format can write. */
size_t time_axis_text(const struct time_axis *axis, size_t step, char text[TIME_TEXT_SIZE]);

#endif
