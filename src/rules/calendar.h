/*
 * calendar.h
 *		Local time: days, times of day, working days.
 *
 * A zone is a function that tells its distance from UTC, so that the server's own
 * time-zone data is used, and a test can bring a zone along.
 */
#ifndef CADENCE_CALENDAR_H
#define CADENCE_CALENDAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALENDAR_SECOND INT64_C(1000000)
#define CALENDAR_MINUTE (60 * CALENDAR_SECOND)
#define CALENDAR_DAY (1440 * CALENDAR_MINUTE)

/* What no instant is: never. */
#define CALENDAR_NEVER INT64_MAX

/*
 * Instants are microseconds since 2000-01-01 00:00 UTC; days are days since
 * 2000-01-01, in local time.
 */
typedef struct Calendar
{
	/* seconds east of UTC at an instant */
	int32_t (*utc_offset)(const void *zone, int64_t at);
	const void *zone;
	const int32_t *holidays; /* days, ascending */
	size_t nholidays;
} Calendar;

/* A local day of which many times are asked, by calendar_look_at(). */
typedef struct CalendarDay
{
	int64_t midnight; /* in local time, as if that were UTC */
	int64_t before;	  /* the distances from UTC, before and after clocks are changed */
	int64_t after;
	int64_t change; /* CALENDAR_NEVER: they are not, near it */
	bool exists;	/* clocks are not put forward over all of it */
} CalendarDay;

extern int32_t calendar_day(const Calendar *calendar, int64_t at);
extern int64_t calendar_time_of_day(const Calendar *calendar, int64_t at);
extern int64_t calendar_instant(const Calendar *calendar, int32_t day, int64_t time);
extern int64_t calendar_change(const Calendar *calendar, int64_t before, int64_t after,
							   int32_t offset_after);
extern CalendarDay calendar_look_at(const Calendar *calendar, int32_t day);
extern int64_t calendar_time(const CalendarDay *look, int64_t time);
extern int calendar_weekday(int32_t day);
extern bool calendar_is_holiday(const Calendar *calendar, int32_t day);
extern bool calendar_is_working_day(const Calendar *calendar, int32_t day);
extern int32_t calendar_add_working_days(const Calendar *calendar, int32_t day, int n);
extern int32_t calendar_easter(int year);
extern int32_t calendar_day_of(int year, int month, int day);

#endif
