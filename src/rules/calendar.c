/*
 * calendar.c
 *		Local time: days, times of day, working days.
 */
#include "rules/calendar.h"

/* No rule looks further for a working day: nobody has so many holidays in a row. */
#define HOLIDAYS_IN_A_ROW_MAX 400

/* What is divided may lie before the year 2000. */
static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int64_t
local_of(const Calendar *c, int64_t at)
{
	return at + c->utc_offset(c->zone, at) * CALENDAR_SECOND;
}

/* The local day on which an instant lies. */
int32_t
calendar_day(const Calendar *c, int64_t at)
{
	return (int32_t) floor_div(local_of(c, at), CALENDAR_DAY);
}

/*
 * The instant of a local time, microseconds after the day's midnight. One that
 * does not exist, since clocks are put forward over it, is moved forward by as
 * much; of one that exists twice it is the first.
 */
int64_t
calendar_instant(const Calendar *c, int32_t day, int64_t time)
{
	int64_t local = day * CALENDAR_DAY + time;
	int64_t before = local - c->utc_offset(c->zone, local - CALENDAR_DAY) * CALENDAR_SECOND;
	int64_t after = local - c->utc_offset(c->zone, local + CALENDAR_DAY) * CALENDAR_SECOND;

	if (before == after || local_of(c, before) == local)
		return before;
	return local_of(c, after) == local ? after : before;
}

/* 1: Monday, to 7: Sunday (ISO 8601). */
int
calendar_weekday(int32_t day)
{
	/* 2000-01-01 was a Saturday */
	int64_t weekday = (day + INT64_C(5)) % 7;

	return (int) (weekday < 0 ? weekday + 7 : weekday) + 1;
}

bool
calendar_is_holiday(const Calendar *c, int32_t day)
{
	size_t low = 0;
	size_t high = c->nholidays;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;

		if (c->holidays[middle] == day)
			return true;
		if (c->holidays[middle] < day)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* Monday to Friday, and no holiday. */
bool
calendar_is_working_day(const Calendar *c, int32_t day)
{
	return calendar_weekday(day) <= 5 && !calendar_is_holiday(c, day);
}

/*
 * The n-th working day after a day; with n = 0 the day itself, or the next one that
 * is a working day. Where there is none for a year, holidays do not count.
 */
int32_t
calendar_add_working_days(const Calendar *c, int32_t day, int n)
{
	int in_a_row = 0;

	if (n <= 0 && calendar_is_working_day(c, day))
		return day;
	for (n = n < 1 ? 1 : n; n > 0;)
	{
		bool in_vain = in_a_row > HOLIDAYS_IN_A_ROW_MAX;

		day++;
		if (in_vain ? calendar_weekday(day) <= 5 : calendar_is_working_day(c, day))
		{
			n--;
			in_a_row = in_vain ? in_a_row : 0;
		}
		else
			in_a_row++;
	}
	return day;
}

/* A date of the Gregorian calendar (days_from_civil: Howard Hinnant's algorithm). */
int32_t
calendar_day_of(int year, int month, int day)
{
	int y = month <= 2 ? year - 1 : year;
	int era = (int) floor_div(y, 400);
	int year_of_era = y - era * 400;
	int day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	/* 2000-01-01 is 730425 days after 0000-03-01 */
	return era * 146097 + day_of_era - 730425;
}

/* Easter Sunday (the anonymous Gregorian algorithm of Meeus, Jones and Butcher). */
int32_t
calendar_easter(int year)
{
	int a = year % 19;
	int b = year / 100;
	int c = year % 100;
	int d = b / 4;
	int e = b % 4;
	int g = (8 * b + 13) / 25;
	int h = (19 * a + b - d - g + 15) % 30;
	int i = c / 4;
	int k = c % 4;
	int l = (32 + 2 * e + 2 * i - h - k) % 7;
	int m = (a + 11 * h + 19 * l) / 433;
	int month = (h + l - 7 * m + 90) / 25;

	return calendar_day_of(year, month, (h + l - 7 * m + 33 * month + 19) % 32);
}
