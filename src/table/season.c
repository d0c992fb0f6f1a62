/* Season: from the step of a time axis. */
#include "season.h"

/* In nanoseconds. */
static const int64_t second = 1000000000, minute = 60000000000, hour = 3600000000000, day = 86400000000000;

/* Nanoseconds of a step; 0: not known. */
static int64_t step_ns(const struct time_axis *axis)
{
    int64_t step = axis->step, last = axis->last, unit = 1;
    if (axis->format.kind == TIME_NONE || step <= 0)
        return 0;
    if (axis->format.kind == TIME_DATE || axis->calendar.unit == COUNT_DAYS)
        unit = day;
    /* Epoch seconds of 1973 to 2286, and milliseconds of the same years. */
    if (axis->format.kind == TIME_INTEGER) {
        if (last >= 100000000 && last < 10000000000 && step % 60 == 0)
            unit = second;
        else if (last >= 100000000000 && last < 10000000000000 && step % 60000 == 0)
            unit = second / 1000;
        else
            return 0;
    }
    return step <= INT64_MAX / unit ? step * unit : 0;
}

static size_t whole(int64_t cycle, int64_t step)
{
    return cycle % step ? 1 : (size_t)(cycle / step);
}

size_t time_axis_season(const struct time_axis *axis)
{
    if (axis->calendar.unit == COUNT_MONTHS)
        return axis->step > 0 ? whole(12, axis->step) : 1;
    if (axis->calendar.unit == COUNT_BUSINESS_DAYS)
        return axis->step > 0 ? whole(5, axis->step) : 1;
    int64_t step = step_ns(axis), days = step / day;
    if (step < second)
        return 1;
    if (step < minute)
        return whole(hour, step);
    if (step < day)
        return whole(day, step);
    if (step % day)
        return 1;
    if (days == 1)
        return 7;
    if (days % 7 == 0 && 52 % (days / 7) == 0)
        return (size_t)(52 / (days / 7));
    if (days >= 28 && days <= 31)
        return 12;
    return days >= 89 && days <= 92 ? 4 : 1;
}
