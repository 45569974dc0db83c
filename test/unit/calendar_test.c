/*
 * calendar_test.c
 *		Local time: days, times of day, working days.
 */
#include "rules/calendar.h"

#include "calendar_tools.h"

static void
check_instant(ZoneName zone, const char *local, const char *expected, int line)
{
	Calendar c = calendar_of(zone, NULL, 0);
	int64_t at = instant_of(local);
	int32_t day = day_of(local);

	check_local(&c, calendar_instant(&c, day, at - day * CALENDAR_DAY), expected, __FILE__, line);
}

#define INSTANT(zone, local, expected) check_instant(zone, local, expected, __LINE__)

static void
instants(void)
{
	INSTANT(UTC, "2024-02-29 08:00", "2024-02-29 08:00:00+00:00");
	INSTANT(UTC, "1999-12-31 23:59:59", "1999-12-31 23:59:59+00:00");
	INSTANT(KATHMANDU, "2024-02-29 08:00", "2024-02-29 08:00:00+05:45");
	INSTANT(SAO_PAULO, "2024-02-29 24:00", "2024-03-01 00:00:00-03:00");
	INSTANT(NEW_YORK, "2024-07-04 00:00", "2024-07-04 00:00:00-04:00");
}

static void
gaps(void)
{
	INSTANT(SAO_PAULO, "2018-11-03 23:59", "2018-11-03 23:59:00-03:00");
	INSTANT(SAO_PAULO, "2018-11-04 00:00", "2018-11-04 01:00:00-02:00");
	INSTANT(SAO_PAULO, "2018-11-04 00:30", "2018-11-04 01:30:00-02:00");
	INSTANT(SAO_PAULO, "2018-11-04 01:00", "2018-11-04 01:00:00-02:00");
	INSTANT(NEW_YORK, "2024-03-10 01:59:59", "2024-03-10 01:59:59-05:00");
	INSTANT(NEW_YORK, "2024-03-10 02:30", "2024-03-10 03:30:00-04:00");
	INSTANT(LORD_HOWE, "2024-10-06 02:15", "2024-10-06 02:45:00+11:00");
	INSTANT(APIA, "2011-12-29 23:59", "2011-12-29 23:59:00-10:00");
	INSTANT(APIA, "2011-12-30 00:00", "2011-12-31 00:00:00+14:00");
	INSTANT(APIA, "2011-12-30 10:00", "2011-12-31 10:00:00+14:00");
	INSTANT(APIA, "2011-12-31 00:00", "2011-12-31 00:00:00+14:00");
	INSTANT(KATHMANDU, "1986-01-01 00:10", "1986-01-01 00:25:00+05:45");
	INSTANT(NUUK, "2024-03-30 23:30", "2024-03-31 00:30:00-01:00");
	INSTANT(NUUK, "2024-03-31 00:00", "2024-03-31 00:00:00-01:00");
	INSTANT(ST_JOHNS, "2010-03-14 00:00", "2010-03-14 00:00:00-03:30");
	INSTANT(ST_JOHNS, "2010-03-14 00:01", "2010-03-14 01:01:00-02:30");
	INSTANT(TORONTO, "1919-03-31 00:00", "1919-03-31 01:00:00-04:00");
}

static void
doubled(void)
{
	INSTANT(SAO_PAULO, "2019-02-16 23:30", "2019-02-16 23:30:00-02:00");
	INSTANT(SAO_PAULO, "2019-02-17 00:00", "2019-02-17 00:00:00-03:00");
	INSTANT(NEW_YORK, "2024-11-03 01:00", "2024-11-03 01:00:00-04:00");
	INSTANT(NEW_YORK, "2024-11-03 01:59:59", "2024-11-03 01:59:59-04:00");
	INSTANT(NEW_YORK, "2024-11-03 02:00", "2024-11-03 02:00:00-05:00");
	INSTANT(LORD_HOWE, "2024-04-07 01:45", "2024-04-07 01:45:00+11:00");
	INSTANT(LORD_HOWE, "2024-04-07 02:00", "2024-04-07 02:00:00+10:30");
	INSTANT(NUUK, "2024-10-26 23:30", "2024-10-26 23:30:00-01:00");
	INSTANT(NUUK, "2024-10-27 00:00", "2024-10-27 00:00:00-02:00");
	INSTANT(ST_JOHNS, "2010-11-07 00:00", "2010-11-07 00:00:00-02:30");
	INSTANT(ST_JOHNS, "2010-11-06 23:30", "2010-11-06 23:30:00-02:30");
	INSTANT(ST_JOHNS, "2010-11-07 00:01", "2010-11-07 00:01:00-03:30");
	/* the law has changed, and clocks have not */
	INSTANT(ASUNCION, "2024-10-15 00:00", "2024-10-15 00:00:00-03:00");
	INSTANT(ASUNCION, "2025-06-01 12:00", "2025-06-01 12:00:00-03:00");
}

/* Each minute around each change, looked up in what clocks show. */
static void
every_minute(void)
{
	static Timeline t;

	for (int p = 0; p < NPERIODS; p++)
	{
		Calendar c = calendar_of(periods[p].zone, NULL, 0);
		int32_t first;
		int wrong = 0;

		timeline_fill(&t, periods[p].zone, periods[p].from);
		first = t.day[3 * 1440];
		for (int32_t day = first; day < first + TIMELINE_DAYS - 8; day++)
		{
			CalendarDay look = calendar_look_at(&c, day);

			wrong += look.exists != (timeline_find(&t, day, 0) < timeline_find(&t, day + 1, 0));
			for (int minute = 0; minute <= 2880; minute += 1 + chance(3))
			{
				int64_t time = minute * CALENDAR_MINUTE;
				int64_t at = timeline_at(&t, timeline_find(&t, day, minute));

				wrong += calendar_instant(&c, day, time) != at;
				wrong += calendar_time(&look, time) != at;
			}
		}
		for (int i = 3 * 1440; i < TIMELINE_MINUTES - 3 * 1440; i++)
			wrong += calendar_day(&c, timeline_at(&t, i)) != t.day[i];
		check_int(wrong, 0, __FILE__, __LINE__, periods[p].from);
	}
}

static void
days(void)
{
	Calendar c = calendar_of(APIA, NULL, 0);

	CHECK_INT(calendar_day(&c, instant_of("2011-12-30 09:59:59")), day_of("2011-12-29"));
	CHECK_INT(calendar_day(&c, instant_of("2011-12-30 10:00:00")), day_of("2011-12-31"));
	CHECK(!calendar_look_at(&c, day_of("2011-12-30")).exists);
	CHECK(calendar_look_at(&c, day_of("2011-12-29")).exists);
	CHECK(calendar_look_at(&c, day_of("2011-12-31")).exists);
	/* 00:00 comes twice: the second minute of the day, at 23:01 of the day before by the clock */
	c = calendar_of(ST_JOHNS, NULL, 0);
	CHECK_INT(calendar_day(&c, instant_of("2010-11-07 02:29:59")), day_of("2010-11-06"));
	CHECK_INT(calendar_day(&c, instant_of("2010-11-07 02:30:00")), day_of("2010-11-07"));
	CHECK_INT(calendar_day(&c, instant_of("2010-11-07 02:31:00")), day_of("2010-11-07"));
	CHECK_INT(calendar_day(&c, instant_of("2010-11-07 03:30:00")), day_of("2010-11-07"));
	/* the clock never shows 00:00: the day begins where that is moved to */
	c = calendar_of(TORONTO, NULL, 0);
	CHECK_INT(calendar_day(&c, instant_of("1919-03-31 04:45")), day_of("1919-03-30"));
	CHECK_INT(calendar_day(&c, instant_of("1919-03-31 05:00")), day_of("1919-03-31"));
	CHECK_INT(calendar_time_of_day(&c, instant_of("1919-03-31 04:45")), CALENDAR_DAY - 1);
	/* the second 23:30 of a Saturday is still that day */
	c = calendar_of(SAO_PAULO, NULL, 0);
	CHECK_INT(calendar_day(&c, instant_of("2019-02-17 02:30:00")), day_of("2019-02-16"));
	CHECK_INT(calendar_day(&c, instant_of("2019-02-17 03:00:00")), day_of("2019-02-17"));
}

static void
times_of_day(void)
{
	Calendar c = calendar_of(NEW_YORK, NULL, 0);

	/* what the clock shows, on a day that has an hour less, or more */
	CHECK_INT(calendar_time_of_day(&c, instant_of("2024-03-10 14:00")), 600 * CALENDAR_MINUTE);
	CHECK_INT(calendar_time_of_day(&c, instant_of("2024-11-03 15:00")), 600 * CALENDAR_MINUTE);
	CHECK_INT(calendar_time_of_day(&c, instant_of("2024-11-03 06:30")), 90 * CALENDAR_MINUTE);
	CHECK_INT(calendar_time_of_day(&c, instant_of("2024-06-01 04:00")), 0);
	CHECK_INT(calendar_time_of_day(&c, instant_of("2024-06-01 04:00") - 1), CALENDAR_DAY - 1);
	/* within its day in any case */
	c = calendar_of(ST_JOHNS, NULL, 0);
	CHECK_INT(calendar_time_of_day(&c, instant_of("2010-11-07 02:31:00")), 0);
}

/* Against the C library, over six hundred years. */
static void
dates(void)
{
	struct tm tm;
	int wrong = 0;

	for (time_t at = -86400 * INT64_C(62000); at < 86400 * INT64_C(157000); at += 86400)
	{
		int32_t day = (int32_t) ((at - EPOCH_2000) / 86400);

		gmtime_r(&at, &tm);
		wrong += calendar_day_of(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday) != day;
		wrong += calendar_weekday(day) != (tm.tm_wday == 0 ? 7 : tm.tm_wday);
	}
	CHECK_INT(wrong, 0);
	CHECK_INT(calendar_day_of(2000, 1, 1), 0);
	CHECK_INT(calendar_weekday(0), 6);
	CHECK_INT(calendar_day_of(2024, 2, 29) + 1, calendar_day_of(2024, 3, 1));
	CHECK_INT(calendar_day_of(2023, 2, 28) + 1, calendar_day_of(2023, 3, 1));
	CHECK_INT(calendar_day_of(1900, 2, 28) + 1, calendar_day_of(1900, 3, 1));
	CHECK_INT(calendar_day_of(2000, 2, 28) + 2, calendar_day_of(2000, 3, 1));
	/* the ends of what PostgreSQL has */
	CHECK_INT(calendar_day_of(294276, 12, 31), 106751982);
	CHECK_INT(calendar_day_of(-4712, 1, 1), -2451507);
}

/* Gauss's rule, with its two exceptions. */
static int32_t
easter_by_gauss(int year)
{
	int a = year % 19;
	int k = year / 100;
	int m = (15 - (13 + 8 * k) / 25 + k - k / 4) % 30;
	int n = (4 + k - k / 4) % 7;
	int d = (19 * a + m) % 30;
	int e = (2 * (year % 4) + 4 * (year % 7) + 6 * d + n) % 7;

	if (e == 6 && (d == 29 || (d == 28 && (11 * m + 11) % 30 < 19)))
		d -= 7;
	return calendar_day_of(year, 3, 22) + d + e;
}

static void
easter(void)
{
	static const char *const known[] = {
		"1900-04-15", "1913-03-23", "1943-04-25", "1954-04-18", "1961-04-02", "1981-04-19",
		"2000-04-23", "2008-03-23", "2011-04-24", "2016-03-27", "2019-04-21", "2020-04-12",
		"2024-03-31", "2025-04-20", "2026-04-05", "2027-03-28", "2028-04-16", "2038-04-25",
		"2049-04-18", "2076-04-19", "2100-03-28", "2285-03-22"};
	int wrong = 0;

	for (int year = 1900; year < 2300; year++)
	{
		wrong += calendar_easter(year) != easter_by_gauss(year);
		wrong += calendar_weekday(calendar_easter(year)) != 7;
	}
	CHECK_INT(wrong, 0);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		check_int(calendar_easter(atoi(known[i])), day_of(known[i]), __FILE__, __LINE__, known[i]);
}

static void
holidays(void)
{
	const int32_t list[] = {day_of("2026-04-03"), day_of("2026-04-21"), day_of("2026-05-01")};
	Calendar c = calendar_of(SAO_PAULO, list, 3);

	for (int i = 0; i < 3; i++)
	{
		CHECK(calendar_is_holiday(&c, list[i]));
		CHECK(!calendar_is_holiday(&c, list[i] - 1));
		CHECK(!calendar_is_holiday(&c, list[i] + 1));
		CHECK(!calendar_is_working_day(&c, list[i]));
	}
	CHECK(calendar_is_working_day(&c, day_of("2026-04-02")));
	CHECK(!calendar_is_working_day(&c, day_of("2026-04-04")));
	CHECK(!calendar_is_working_day(&c, day_of("2026-04-05")));
	c.nholidays = 0;
	CHECK(!calendar_is_holiday(&c, list[0]));
	CHECK(calendar_is_working_day(&c, list[0]));
}

static void
check_working_days(const Calendar *c, const char *day, int n, const char *expected, int line)
{
	check_int(calendar_add_working_days(c, day_of(day), n), day_of(expected), __FILE__, line, day);
}

#define WORKING(day, n, expected) check_working_days(&c, day, n, expected, __LINE__)

static void
working_days(void)
{
	const int32_t list[] = {day_of("2026-04-03"), day_of("2026-04-21"), day_of("2026-04-21"),
							day_of("2026-05-01"), day_of("2026-05-02")};
	Calendar c = calendar_of(SAO_PAULO, list, 5);

	/* a Thursday before Good Friday */
	WORKING("2026-04-02", 0, "2026-04-02");
	WORKING("2026-04-02", 1, "2026-04-06");
	WORKING("2026-04-03", 0, "2026-04-06");
	WORKING("2026-04-03", 1, "2026-04-06");
	WORKING("2026-04-04", 0, "2026-04-06");
	WORKING("2026-04-05", 2, "2026-04-07");
	WORKING("2026-04-02", -5, "2026-04-02");
	WORKING("2026-04-03", -5, "2026-04-06");
	/* a holiday that stands there twice is one; one on a Saturday is none more */
	WORKING("2026-04-20", 1, "2026-04-22");
	WORKING("2026-04-20", 9, "2026-05-05");
	WORKING("2026-04-20", 5, "2026-04-28");
	c.nholidays = 0;
	WORKING("2024-02-28", 1, "2024-02-29");
	WORKING("2024-02-28", 2, "2024-03-01");
	WORKING("2024-02-28", 3, "2024-03-04");
	/* as many as an offset can have */
	CHECK_INT(calendar_add_working_days(&c, day_of("2026-11-30"), 5 * 298261),
			  day_of("2026-11-30") + 7 * 298261);
}

/* One day after the other. */
static int32_t
working_day_by_day(const Calendar *c, int32_t day, int n)
{
	if (n <= 0 && calendar_is_working_day(c, day))
		return day;
	for (n = n < 1 ? 1 : n; n > 0;)
		n -= calendar_is_working_day(c, ++day) ? 1 : 0;
	return day;
}

static void
working_days_by_chance(void)
{
	int32_t list[400];
	int wrong = 0;

	for (int i = 0; i < 20000; i++)
	{
		int32_t start = chance(3000) - 1000;
		Calendar c = calendar_of(UTC, list, chance(400));
		int step = 1 + chance(30);
		int n = chance(300) - 2;

		for (size_t j = 0; j < c.nholidays; j++)
			list[j] = j == 0 ? start - 10 : list[j - 1] + chance(step);
		wrong += calendar_add_working_days(&c, start, n) != working_day_by_day(&c, start, n);
	}
	CHECK_INT(wrong, 0);
}

int
main(void)
{
	RUN_GROUP("calendar: instants of local times", instants);
	RUN_GROUP("calendar: times that do not exist", gaps);
	RUN_GROUP("calendar: times that exist twice", doubled);
	RUN_GROUP("calendar: every minute around changes", every_minute);
	RUN_GROUP("calendar: days", days);
	RUN_GROUP("calendar: times of day", times_of_day);
	RUN_GROUP("calendar: dates and weekdays", dates);
	RUN_GROUP("calendar: Easter", easter);
	RUN_GROUP("calendar: holidays", holidays);
	RUN_GROUP("calendar: working days", working_days);
	RUN_GROUP("calendar: working days by chance", working_days_by_chance);
	return check_result();
}
