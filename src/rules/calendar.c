/*
 * calendar.c
 *		Local time: days, times of day, working days.
 */
#include "rules/calendar.h"

#define WORKING_DAYS_A_WEEK 5

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

/*
 * The local day on which an instant lies: it goes from its midnight to that of the next
 * day. Where clocks are changed over midnight, that is not always the day that they show:
 * what has begun is not begun again.
 */
int32_t
calendar_day(const Calendar *c, int64_t at)
{
	int32_t day = (int32_t) floor_div(local_of(c, at), CALENDAR_DAY);

	if (at >= calendar_instant(c, day + 1, 0))
		return day + 1;
	return at < calendar_instant(c, day, 0) ? day - 1 : day;
}

/* What clocks show at an instant, within its day. */
int64_t
calendar_time_of_day(const Calendar *c, int64_t at)
{
	int64_t time = local_of(c, at) - calendar_day(c, at) * CALENDAR_DAY;

	return time < 0 ? 0 : time >= CALENDAR_DAY ? CALENDAR_DAY - 1 : time;
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

/* The second between two instants at which clocks are changed to what they show at the later. */
int64_t
calendar_change(const Calendar *c, int64_t before, int64_t after, int32_t offset_after)
{
	while (after - before > CALENDAR_SECOND)
	{
		int64_t middle = before + (after - before) / 2 / CALENDAR_SECOND * CALENDAR_SECOND;

		if (c->utc_offset(c->zone, middle) == offset_after)
			after = middle;
		else
			before = middle;
	}
	return after;
}

/*
 * A day to ask for many times of: the zone is not asked again. In no zone of today clocks
 * are changed twice within the four days that are looked at.
 */
CalendarDay
calendar_look_at(const Calendar *c, int32_t day)
{
	int64_t midnight = day * CALENDAR_DAY;
	int64_t first = midnight - CALENDAR_DAY;
	int64_t last = midnight + 3 * CALENDAR_DAY;
	int32_t before = c->utc_offset(c->zone, first);
	int32_t after = c->utc_offset(c->zone, last);
	CalendarDay look = {.midnight = midnight,
						.before = before * CALENDAR_SECOND,
						.after = after * CALENDAR_SECOND,
						.change = CALENDAR_NEVER,
						.exists = true};

	if (before != after)
	{
		look.change = calendar_change(c, first, last, after);
		look.exists = calendar_time(&look, 0) < calendar_time(&look, CALENDAR_DAY);
	}
	return look;
}

/* The instant of a local time of the day or of the next, as calendar_instant() has it. */
int64_t
calendar_time(const CalendarDay *look, int64_t time)
{
	int64_t before = look->midnight + time - look->before;
	int64_t after = look->midnight + time - look->after;

	return before < look->change || after < look->change ? before : after;
}

/* 1: Monday, to 7: Sunday (ISO 8601). */
int
calendar_weekday(int32_t day)
{
	/* 2000-01-01 was a Saturday */
	int64_t weekday = (day + INT64_C(5)) % 7;

	return (int) (weekday < 0 ? weekday + 7 : weekday) + 1;
}

/* The first holiday that is not before a day; the number of them: there is none. */
static size_t
holiday_from(const Calendar *c, int32_t day)
{
	size_t low = 0;
	size_t high = c->nholidays;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;

		if (c->holidays[middle] < day)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool
calendar_is_holiday(const Calendar *c, int32_t day)
{
	size_t i = holiday_from(c, day);

	return i < c->nholidays && c->holidays[i] == day;
}

/* Monday to Friday, and no holiday. */
bool
calendar_is_working_day(const Calendar *c, int32_t day)
{
	return calendar_weekday(day) <= WORKING_DAYS_A_WEEK && !calendar_is_holiday(c, day);
}

/* The n-th day from Monday to Friday after a day. */
static int32_t
add_weekdays(int32_t day, int n)
{
	int weekday = calendar_weekday(day);
	int rest = n % WORKING_DAYS_A_WEEK;

	if (weekday > WORKING_DAYS_A_WEEK)
	{
		day -= weekday - WORKING_DAYS_A_WEEK;
		weekday = WORKING_DAYS_A_WEEK;
	}
	return day + n / WORKING_DAYS_A_WEEK * 7 + rest +
		   (weekday + rest > WORKING_DAYS_A_WEEK ? 2 : 0);
}

/* How many of the days from Monday to Friday after a day, up to another, are holidays. */
static int
weekdays_off(const Calendar *c, int32_t after, int32_t last)
{
	int n = 0;

	for (size_t i = holiday_from(c, after + 1); i < c->nholidays && c->holidays[i] <= last; i++)
		if (calendar_weekday(c->holidays[i]) <= WORKING_DAYS_A_WEEK &&
			(i == 0 || c->holidays[i - 1] != c->holidays[i]))
			n++;
	return n;
}

/*
 * The n-th working day after a day; with n = 0 the day itself, or the next one that
 * is a working day. Days are counted by weeks, and each holiday once: n may be large,
 * but not larger than what a day's number has room for.
 */
int32_t
calendar_add_working_days(const Calendar *c, int32_t day, int n)
{
	if (n <= 0 && calendar_is_working_day(c, day))
		return day;
	for (n = n < 1 ? 1 : n; n > 0;)
	{
		int32_t to = add_weekdays(day, n);

		n = weekdays_off(c, day, to);
		day = to;
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
