/* Time: cells to ticks and back, by the proleptic Gregorian calendar alone (no libc time, no
 * TZ). */
#include "timestamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const int64_t ns_per_second = 1000000000, seconds_per_day = 86400;

static const char not_a_time[] = "is not a time; write ISO 8601 (2016-07-01, 2016-07-01 13:00:00, "
                                 "2016-07-01T13:00:00Z) or an integer";

/* Far beyond the years that can be written, and safe for the calendar's sums. */
static const int64_t most_days = 4000000;

/* Eight digits are a date without separators only in these years; else they are an integer. */
enum { BASIC_FIRST_YEAR = 1900, BASIC_LAST_YEAR = 2099 };

/* Days from 1970-01-01. Years start in March so that the leap day comes last; 400 years are 146097
 * days (Hinnant, "chrono-Compatible Low-Level Date Algorithms"). */
static int64_t days_from_civil(int64_t year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void civil_from_days(int64_t days, int64_t *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
    *month = (int)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

static int days_in_month(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* The rest of a cell that is being read. */
struct cursor {
    const char *at, *end;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool take_char(struct cursor *in, char wanted)
{
    if (in->at == in->end || *in->at != wanted)
        return false;
    in->at++;
    return true;
}

/* Exactly n digits. */
static bool take_digits(struct cursor *in, int n, int *value)
{
    if (in->end - in->at < n)
        return false;
    *value = 0;
    for (int i = 0; i < n; i++, in->at++) {
        if (!is_digit(*in->at))
            return false;
        *value = *value * 10 + (*in->at - '0');
    }
    return true;
}

static const char *parse_integer(struct cursor in, int64_t *ticks)
{
    bool negative = take_char(&in, '-');
    uint64_t most = (uint64_t)INT64_MAX + negative, value = 0;
    if (in.at == in.end)
        return not_a_time;
    for (; in.at < in.end; in.at++) {
        if (!is_digit(*in.at))
            return not_a_time;
        unsigned digit = (unsigned)(*in.at - '0');
        if (value > (most - digit) / 10)
            return "is an integer beyond 64 bits; write it in larger units";
        value = value * 10 + digit;
    }
    *ticks = !negative ? (int64_t)value : value ? -(int64_t)(value - 1) - 1 : 0;
    return NULL;
}

/* All digits, as integers and dates without separators are. */
static bool all_digits(struct cursor in)
{
    while (in.at < in.end && is_digit(*in.at))
        in.at++;
    return in.at == in.end;
}

static const char *parse_date(struct cursor *in, struct time_format *format, int64_t *days)
{
    int year, month, day;
    if (!take_digits(in, 4, &year))
        return not_a_time;
    char c = in->at < in->end ? *in->at : '\0';
    format->date_separator = c == '-' || c == '/' ? c : '\0';
    if ((format->date_separator && !take_char(in, format->date_separator)) ||
        !take_digits(in, 2, &month))
        return not_a_time;
    format->month_alone = format->date_separator && in->at == in->end;
    day = 1;
    if (!format->month_alone && ((format->date_separator && !take_char(in, format->date_separator)) ||
                                 !take_digits(in, 2, &day)))
        return not_a_time;
    if (year < 1)
        return "has no valid year; years run from 0001 to 9999";
    if (month < 1 || month > 12)
        return "has no valid month; dates are written year, month, day";
    if (day < 1 || day > days_in_month(year, month))
        return "has a day that its month does not have; correct it";
    *days = days_from_civil(year, month, day);
    return NULL;
}

/* Hours to fractions of a second, as nanoseconds of the day. */
static const char *parse_clock(struct cursor *in, struct time_format *format, int64_t *ns)
{
    int hour, minute, second = 0;
    bool extended = format->date_separator != '\0';
    if (!take_digits(in, 2, &hour) || (extended && !take_char(in, ':')) ||
        !take_digits(in, 2, &minute))
        return not_a_time;
    if (extended ? take_char(in, ':') : in->at < in->end && is_digit(*in->at)) {
        format->has_seconds = true;
        if (!take_digits(in, 2, &second))
            return not_a_time;
    }
    if (hour > 23)
        return "has an hour over 23; midnight is 00:00 of the next day";
    if (minute > 59)
        return "has a minute over 59; correct it";
    if (second > 59)
        return "has a second over 59; leap seconds are not read";
    int64_t fraction = 0, unit = ns_per_second;
    if (format->has_seconds && take_char(in, '.')) {
        for (; in->at < in->end && is_digit(*in->at); in->at++) {
            if (++format->fraction_digits > 9)
                return "has more than 9 digits after the second; cut it to nanoseconds";
            unit /= 10;
            fraction += (*in->at - '0') * unit;
        }
        if (format->fraction_digits == 0)
            return not_a_time;
    }
    *ns = ((hour * 60 + minute) * (int64_t)60 + second) * ns_per_second + fraction;
    return NULL;
}

static const char *parse_zone(struct cursor *in, struct time_format *format)
{
    if (in->at == in->end)
        return NULL;
    /* RFC 3339 5.6 lets t and z be lower case; we want both or none, so that Z is written as it
     * was. */
    if (take_char(in, format->separator == 't' ? 'z' : 'Z')) {
        format->zone = ZONE_Z;
    } else {
        bool west = take_char(in, '-');
        int hours, minutes = 0;
        if ((!west && !take_char(in, '+')) || !take_digits(in, 2, &hours))
            return not_a_time;
        format->zone = ZONE_OFFSET_HOURS;
        if (in->at < in->end) {
            format->zone = take_char(in, ':') ? ZONE_OFFSET : ZONE_OFFSET_BASIC;
            if (!take_digits(in, 2, &minutes))
                return not_a_time;
        }
        if (hours > 23 || minutes > 59)
            return "has an offset from UTC that cannot be; it is at most 23:59";
        format->offset_minutes = (west ? -1 : 1) * (hours * 60 + minutes);
        if (west && format->offset_minutes == 0)
            return "has the offset -00:00, which ISO 8601 does not know; write +00:00 or Z";
    }
    return in->at == in->end ? NULL : not_a_time;
}

/* Nanoseconds since 1970 fit 64 bits from 1677-09-21T00:12:44 to 2262-04-11T23:47:16. */
static bool stamp_ticks(int64_t days, int64_t ns_of_day, int offset_minutes, int64_t *ticks)
{
    int64_t seconds =
        days * seconds_per_day + ns_of_day / ns_per_second - (int64_t)offset_minutes * 60;
    int64_t rest = ns_of_day % ns_per_second;
    int64_t most = INT64_MAX / ns_per_second;
    if (seconds < -most || seconds > most || (seconds == most && rest > INT64_MAX % ns_per_second))
        return false;
    *ticks = seconds * ns_per_second + rest;
    return true;
}

const char *timestamp_parse(const char *text, size_t length, struct time_format *format,
                            int64_t *ticks)
{
    struct cursor in = {text, text + length};
    *format = (struct time_format){.kind = TIME_INTEGER};
    const char *wrong;
    int64_t days, ns;
    if (length == 0)
        return not_a_time;
    if (*text == '-' || all_digits(in)) {
        struct cursor date = in;
        int year;
        struct time_format basic = {.kind = TIME_DATE};
        if (length == 8 && take_digits(&date, 4, &year) && year >= BASIC_FIRST_YEAR &&
            year <= BASIC_LAST_YEAR) {
            date = in;
            if (!parse_date(&date, &basic, &days)) {
                *format = basic;
                *ticks = days;
                return NULL;
            }
        }
        return parse_integer(in, ticks);
    }
    format->kind = TIME_DATE;
    if ((wrong = parse_date(&in, format, &days)))
        return wrong;
    if (in.at == in.end) {
        *ticks = days;
        return NULL;
    }
    format->kind = TIME_STAMP;
    format->separator = *in.at++;
    if (format->separator != 'T' && format->separator != 't' && format->separator != ' ')
        return not_a_time;
    if ((wrong = parse_clock(&in, format, &ns)) || (wrong = parse_zone(&in, format)))
        return wrong;
    if (!stamp_ticks(days, ns, format->offset_minutes, ticks))
        return "is out of range; dates with a time of day run from 1677-09-21 to 2262-04-11";
    return NULL;
}

bool time_format_same(const struct time_format *a, const struct time_format *b)
{
    return a->kind == b->kind && a->date_separator == b->date_separator &&
           a->month_alone == b->month_alone && a->separator == b->separator &&
           a->has_seconds == b->has_seconds && a->zone == b->zone;
}

/* A text that grows to the right. */
struct text {
    char *start;
    size_t length;
};

static void put_char(struct text *out, char c)
{
    if (c)
        out->start[out->length++] = c;
}

static void put_digits(struct text *out, int64_t value, int n_digits)
{
    for (int i = n_digits - 1; i >= 0; i--, value /= 10)
        out->start[out->length + (size_t)i] = (char)('0' + value % 10);
    out->length += (size_t)n_digits;
}

static bool put_date(struct text *out, const struct time_format *format, int64_t days)
{
    int64_t year;
    int month, day;
    civil_from_days(days, &year, &month, &day);
    if (year < 1 || year > 9999)
        return false;
    put_digits(out, year, 4);
    put_char(out, format->date_separator);
    put_digits(out, month, 2);
    if (format->month_alone)
        return true;
    put_char(out, format->date_separator);
    put_digits(out, day, 2);
    return true;
}

static void put_clock(struct text *out, const struct time_format *format, int64_t ns)
{
    int64_t seconds = ns / ns_per_second;
    char colon = format->date_separator ? ':' : '\0';
    put_digits(out, seconds / 3600, 2);
    put_char(out, colon);
    put_digits(out, seconds / 60 % 60, 2);
    if (!format->has_seconds)
        return;
    put_char(out, colon);
    put_digits(out, seconds % 60, 2);
    if (format->fraction_digits) {
        int64_t fraction = ns % ns_per_second;
        for (int i = format->fraction_digits; i < 9; i++)
            fraction /= 10;
        put_char(out, '.');
        put_digits(out, fraction, format->fraction_digits);
    }
}

static void put_zone(struct text *out, const struct time_format *format)
{
    if (format->zone == ZONE_NONE)
        return;
    if (format->zone == ZONE_Z) {
        put_char(out, format->separator == 't' ? 'z' : 'Z');
        return;
    }
    int minutes = format->offset_minutes < 0 ? -format->offset_minutes : format->offset_minutes;
    put_char(out, format->offset_minutes < 0 ? '-' : '+');
    put_digits(out, minutes / 60, 2);
    if (format->zone == ZONE_OFFSET)
        put_char(out, ':');
    if (format->zone != ZONE_OFFSET_HOURS || minutes % 60)
        put_digits(out, minutes % 60, 2);
}

/* The inverse of stamp_ticks. */
static void stamp_split(const struct time_format *format, int64_t ticks, int64_t *days, int64_t *ns_of_day)
{
    const int64_t day_ns = seconds_per_day * ns_per_second;
    int64_t ns = ticks % day_ns;
    ns += ns < 0 ? day_ns : 0;
    /* The offset is added to what is left of the day: ticks plus the offset might not fit. */
    ns += format->offset_minutes * 60 * ns_per_second;
    *days = floor_div(ticks, day_ns) + floor_div(ns, day_ns);
    *ns_of_day = ns - floor_div(ns, day_ns) * day_ns;
}

size_t timestamp_format(const struct time_format *format, int64_t ticks, char text[TIME_TEXT_SIZE])
{
    struct text out = {text, 0};
    if (format->kind == TIME_NONE || format->kind == TIME_INTEGER)
        return (size_t)snprintf(text, TIME_TEXT_SIZE, "%" PRId64, ticks);
    if (format->kind == TIME_DATE) {
        if (ticks < -most_days || ticks > most_days || !put_date(&out, format, ticks))
            out.length = 0;
    } else {
        int64_t days, ns;
        stamp_split(format, ticks, &days, &ns);
        put_date(&out, format, days);
        put_char(&out, format->separator);
        put_clock(&out, format, ns);
        put_zone(&out, format);
    }
    text[out.length] = '\0';
    return out.length;
}

size_t time_format_pattern(const struct time_format *format, char text[TIME_TEXT_SIZE])
{
    char dash[2] = {format->date_separator, '\0'}, between[2] = {format->separator, '\0'};
    const char *colon = format->date_separator ? ":" : "";
    static const char *const zones[] = {[ZONE_NONE] = "",
                                        [ZONE_Z] = "Z",
                                        [ZONE_OFFSET] = "+hh:mm",
                                        [ZONE_OFFSET_BASIC] = "+hhmm",
                                        [ZONE_OFFSET_HOURS] = "+hh"};
    switch (format->kind) {
    case TIME_DATE:
        return (size_t)snprintf(text, TIME_TEXT_SIZE, "YYYY%sMM%s%s", dash, format->month_alone ? "" : dash,
                                format->month_alone ? "" : "DD");
    case TIME_STAMP:
        return (size_t)snprintf(text, TIME_TEXT_SIZE, "YYYY%sMM%sDD%shh%smm%s%s%s", dash, dash,
                                between, colon, format->has_seconds ? colon : "",
                                format->has_seconds ? "ss" : "", zones[format->zone]);
    default:
        return (size_t)snprintf(text, TIME_TEXT_SIZE, "an integer");
    }
}

/* The day of the ticks, and the nanoseconds of it; false if the format holds no date. */
static bool day_find(const struct time_format *format, int64_t ticks, int64_t *days, int64_t *clock)
{
    *days = ticks;
    *clock = 0;
    if (format->kind == TIME_STAMP)
        stamp_split(format, ticks, days, clock);
    return format->kind == TIME_STAMP || (format->kind == TIME_DATE && ticks >= -most_days && ticks <= most_days);
}

bool time_date_find(const struct time_format *format, int64_t ticks, struct time_date *date)
{
    *date = (struct time_date){0};
    if (!day_find(format, ticks, &date->days, &date->clock))
        return false;
    civil_from_days(date->days, &date->year, &date->month, &date->day);
    date->month_days = days_in_month(date->year, date->month);
    return true;
}

bool time_calendar_same(const struct time_calendar *a, const struct time_calendar *b)
{
    return a->unit == b->unit && a->day == b->day && a->clock == b->clock;
}

bool time_calendar_place(const struct time_calendar *calendar, const struct time_format *format, int64_t ticks,
                         int64_t *place)
{
    int64_t clock;
    *place = ticks;
    if (calendar->unit == COUNT_TICKS)
        return true;
    if (!day_find(format, ticks, place, &clock) || clock != calendar->clock)
        return false;
    if (calendar->unit == COUNT_DAYS)
        return true;
    if (calendar->unit == COUNT_MONTHS) {
        int64_t year;
        int month, day;
        civil_from_days(*place, &year, &month, &day);
        int month_days = days_in_month(year, month);
        *place = year * 12 + month - 1;
        return day == (calendar->day < month_days ? calendar->day : month_days);
    }
    int64_t from_monday = *place + 3; /* 1970-01-01 was a Thursday */
    int64_t week = floor_div(from_monday, 7), weekday = from_monday - 7 * week;
    *place = 5 * week + weekday;
    return weekday < 5;
}

/* Days since 1970-01-01 of a place in months, business days or days; false far beyond the years that can be written. */
static bool place_days(const struct time_calendar *calendar, int64_t place, int64_t *days)
{
    if (place < -most_days || place > most_days)
        return false;
    *days = place;
    if (calendar->unit == COUNT_DAYS)
        return true;
    if (calendar->unit == COUNT_BUSINESS_DAYS) {
        int64_t week = floor_div(place, 5);
        *days = 7 * week + (place - 5 * week) - 3;
        return true;
    }
    int64_t year = floor_div(place, 12);
    int month = (int)(place - 12 * year) + 1, month_days = days_in_month(year, month);
    *days = days_from_civil(year, month, calendar->day < month_days ? calendar->day : month_days);
    return true;
}

bool time_calendar_ticks(const struct time_calendar *calendar, const struct time_format *format, int64_t place,
                         int64_t *ticks)
{
    *ticks = place;
    return calendar->unit == COUNT_TICKS ||
           (place_days(calendar, place, ticks) &&
            (format->kind != TIME_STAMP || stamp_ticks(*ticks, calendar->clock, format->offset_minutes, ticks)));
}

size_t time_axis_text(const struct time_axis *axis, size_t step, char text[TIME_TEXT_SIZE])
{
    text[0] = '\0';
    if (axis->step <= 0)
        return 0;
    uint64_t room = (uint64_t)INT64_MAX - (uint64_t)axis->last;
    if (step > room / (uint64_t)axis->step)
        return 0;
    int64_t ticks, place = (int64_t)((uint64_t)axis->last + (uint64_t)step * (uint64_t)axis->step);
    return time_calendar_ticks(&axis->calendar, &axis->format, place, &ticks)
               ? timestamp_format(&axis->format, ticks, text)
               : 0;
}
