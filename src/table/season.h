/* Season: how many steps of a time axis make a cycle that people live by. */
#ifndef TOTO_TABLE_SEASON_H
#define TOTO_TABLE_SEASON_H

#include "timestamp.h"

/* Steps of a season: an hour of steps under a minute, a day of steps under a day, a week of days or business days, a
 * year of weeks, months and quarters; 1 where that is no whole number of steps, for years and for other numbers of
 * days, and where the axis says no length of time. Integers that can be epoch seconds or milliseconds, in whole
 * minutes, are taken for them. Sources: GluonTS, gluonts/time_feature/seasonality.py (business days, hours, minutes,
 * seconds), and Nixtla, utilsforecast, losses.py, mase (daily 7, weekly 52, monthly 12, quarterly 4, yearly 1). */
size_t time_axis_season(const struct time_axis *axis);

#endif
