/*
 * due_test.c
 *		When a step is due.
 */
#include "rules/due.h"

#include <limits.h>

#include "calendar_tools.h"

#define HOURS (60 * CALENDAR_MINUTE)
#define DAYS 1440
#define OFFSET_MAX (INT_MAX * CALENDAR_MINUTE)

/* The ends of what PostgreSQL has, without its infinities. */
#define TIME_FIRST INT64_C(-211813488000000000)
#define TIME_LAST (INT64_C(9223371331200000000) - 1)

static Calendar c;

/* Of the step before; the beginning is long over, and so is what it must not be before. */
static void
check_due(StepTime step, const char *previous, const char *expected, int line)
{
	int64_t start = instant_of("2001-01-01");

	check_local(&c, step_due(&step, instant_of(previous), start, start, &c), expected, __FILE__,
				line);
}

#define DUE(previous, expected, ...) \
	check_due((StepTime){.has_time = false, __VA_ARGS__}, previous, expected, __LINE__)

/* "time" stands twice there, and the second counts. */
#pragma clang diagnostic ignored "-Winitializer-overrides"

static void
offsets(void)
{
	c = calendar_of(SAO_PAULO, NULL, 0);
	DUE("2026-11-30 12:34:56", "2026-11-30 09:34:56-03:00", .offset = 0);
	DUE("2026-11-30 12:34:56", "2026-11-30 09:35:56-03:00", .offset = 1);
	DUE("2026-11-30 12:34:56", "2026-12-03 09:34:56-03:00", .offset = 3 * DAYS);
	DUE("2026-11-30 12:34:56", "2026-11-30 09:34:56-03:00", .offset = -1);
	DUE("2026-11-30 12:34:56", "2026-11-30 09:34:56-03:00", .offset = INT_MIN);
	DUE("2024-02-28 12:00", "2024-02-29 09:00:00-03:00", .offset = DAYS);
	/* plain minutes are no local time: the same as before there was any of this */
	c = calendar_of(NEW_YORK, NULL, 0);
	DUE("2024-03-09 17:00", "2024-03-10 13:00:00-04:00", .offset = DAYS);
}

static void
times_of_day(void)
{
	c = calendar_of(SAO_PAULO, NULL, 0);
	/* "day 3 at 9" */
	DUE("2026-11-30 12:34:56", "2026-12-03 09:00:00-03:00", .offset = 3 * DAYS, .has_time = true,
		.time = 9 * HOURS);
	DUE("2026-11-30 11:00", "2026-12-03 09:00:00-03:00", .offset = 3 * DAYS, .has_time = true,
		.time = 9 * HOURS);
	/* not over yet, just now, over */
	DUE("2026-11-30 11:59:59", "2026-11-30 09:00:00-03:00", .has_time = true, .time = 9 * HOURS);
	DUE("2026-11-30 12:00:00", "2026-11-30 09:00:00-03:00", .has_time = true, .time = 9 * HOURS);
	DUE("2026-11-30 12:00:01", "2026-12-01 09:00:00-03:00", .has_time = true, .time = 9 * HOURS);
	DUE("2026-11-30 12:00:01", "2026-12-01 09:00:00-03:00", .offset = -5, .has_time = true,
		.time = 9 * HOURS);
	/* over midnight, of the person's day */
	DUE("2026-12-01 01:00", "2026-12-01 09:00:00-03:00", .offset = 120, .has_time = true,
		.time = 9 * HOURS);
	DUE("2026-12-01 01:00", "2026-12-01 00:00:00-03:00", .has_time = true, .time = 0);
	DUE("2026-12-01 01:00", "2026-12-01 00:00:00-03:00", .has_time = true, .time = 24 * HOURS);
	DUE("2024-02-28 12:00", "2024-02-29 23:59:00-03:00", .offset = DAYS, .has_time = true,
		.time = 23 * HOURS + 59 * CALENDAR_MINUTE);
}

static void
changed_clocks(void)
{
	c = calendar_of(NEW_YORK, NULL, 0);
	DUE("2024-03-09 17:00", "2024-03-10 09:00:00-04:00", .offset = DAYS, .has_time = true,
		.time = 9 * HOURS);
	DUE("2024-03-09 17:00", "2024-03-10 03:30:00-04:00", .offset = 600, .has_time = true,
		.time = 2 * HOURS + 30 * CALENDAR_MINUTE);
	DUE("2024-11-02 17:00", "2024-11-03 01:30:00-04:00", .offset = 780, .has_time = true,
		.time = 1 * HOURS + 30 * CALENDAR_MINUTE);
	/* the second 01:45: the first 01:50 is over */
	DUE("2024-11-03 06:45", "2024-11-04 01:50:00-05:00", .has_time = true,
		.time = 1 * HOURS + 50 * CALENDAR_MINUTE);
	/* working days keep the time that the clock shows: a Sunday at 10:00 of summer time */
	DUE("2024-03-10 14:00", "2024-03-11 10:00:00-04:00", .offset = DAYS, .working_days = true);
	DUE("2024-11-03 15:00", "2024-11-04 10:00:00-05:00", .working_days = true);
	DUE("2024-03-08 15:00", "2024-03-11 10:00:00-04:00", .offset = DAYS, .working_days = true);
	c = calendar_of(SAO_PAULO, NULL, 0);
	DUE("2018-11-03 12:00", "2018-11-04 01:00:00-02:00", .offset = 1, .has_time = true,
		.time = 24 * HOURS);
	DUE("2018-11-03 12:00", "2018-11-04 01:00:00-02:00", .offset = DAYS, .has_time = true,
		.time = 0);
	c = calendar_of(APIA, NULL, 0);
	DUE("2011-12-29 20:00", "2011-12-31 09:00:00+14:00", .offset = DAYS, .has_time = true,
		.time = 9 * HOURS);
	DUE("2011-12-29 20:00", "2012-01-02 10:00:00+14:00", .offset = DAYS, .working_days = true);
	DUE("2011-12-29 20:00", "2012-01-02 09:00:00+14:00", .offset = DAYS, .has_time = true,
		.time = 9 * HOURS, .working_days = true);
}

static void
from_start(void)
{
	StepTime step = {.offset = 3 * DAYS, .from_start = true};
	int64_t start = instant_of("2026-11-30 12:00");

	c = calendar_of(SAO_PAULO, NULL, 0);
	CHECK_LOCAL(&c, step_due(&step, instant_of("2026-12-02 12:00"), start, start, &c),
				"2026-12-03 09:00:00-03:00");
	/* that is over: now; or at the next time of the step */
	CHECK_LOCAL(&c, step_due(&step, start, start, instant_of("2026-12-05 15:00"), &c),
				"2026-12-05 12:00:00-03:00");
	step.has_time = true;
	step.time = 10 * HOURS;
	CHECK_LOCAL(&c, step_due(&step, start, start, instant_of("2026-12-03 12:59"), &c),
				"2026-12-03 10:00:00-03:00");
	CHECK_LOCAL(&c, step_due(&step, start, start, instant_of("2026-12-03 13:01"), &c),
				"2026-12-04 10:00:00-03:00");
	CHECK_LOCAL(&c, step_due(&step, start, start, instant_of("2026-12-05 15:00"), &c),
				"2026-12-06 10:00:00-03:00");
	step.working_days = true;
	CHECK_LOCAL(&c, step_due(&step, start, start, instant_of("2026-12-05 15:00"), &c),
				"2026-12-07 10:00:00-03:00");
	step.from_start = false;
	CHECK_LOCAL(&c, step_due(&step, instant_of("2026-12-10 12:00"), start, start, &c),
				"2026-12-15 10:00:00-03:00");
}

static void
working_days(void)
{
	const int32_t list[] = {day_of("2026-12-25"), day_of("2027-01-01")};

	c = calendar_of(SAO_PAULO, list, 2);
	/* from a Friday, a Saturday, a Sunday */
	DUE("2026-11-27 12:00", "2026-12-01 09:00:00-03:00", .offset = 2 * DAYS, .working_days = true);
	DUE("2026-11-28 12:00", "2026-12-01 09:00:00-03:00", .offset = 2 * DAYS, .working_days = true);
	DUE("2026-11-29 12:00", "2026-12-01 09:00:00-03:00", .offset = 2 * DAYS, .working_days = true);
	DUE("2026-11-27 12:00", "2026-11-27 09:00:00-03:00", .working_days = true);
	DUE("2026-11-28 12:00", "2026-11-30 09:00:00-03:00", .working_days = true);
	DUE("2026-11-28 12:00", "2026-11-30 09:00:00-03:00", .offset = -7 * DAYS, .working_days = true);
	/* less than a day is added as it is, and may lead to another day that is none */
	DUE("2026-11-27 20:00", "2026-11-27 20:00:00-03:00", .offset = 180, .working_days = true);
	DUE("2026-11-27 20:00", "2026-11-30 03:00:00-03:00", .offset = 600, .working_days = true);
	DUE("2026-11-26 20:00", "2026-11-30 03:00:00-03:00", .offset = DAYS + 600,
		.working_days = true);
	/* holidays */
	DUE("2026-12-24 12:00", "2026-12-28 09:00:00-03:00", .offset = DAYS, .working_days = true);
	DUE("2026-12-24 12:00", "2027-01-04 09:00:00-03:00", .offset = 5 * DAYS, .working_days = true);
	DUE("2026-12-25 12:00", "2026-12-28 09:00:00-03:00", .working_days = true);
	/* and a time of day */
	DUE("2026-11-27 12:30", "2026-11-30 09:00:00-03:00", .has_time = true, .time = 9 * HOURS,
		.working_days = true);
	DUE("2026-11-28 11:30", "2026-11-30 09:00:00-03:00", .has_time = true, .time = 9 * HOURS,
		.working_days = true);
	DUE("2026-12-24 12:30", "2026-12-28 09:00:00-03:00", .has_time = true, .time = 9 * HOURS,
		.working_days = true);
	DUE("2026-11-27 12:30", "2026-12-02 09:00:00-03:00", .offset = 3 * DAYS, .has_time = true,
		.time = 9 * HOURS, .working_days = true);
	/* 24:00 is on the next day, which has to be one too */
	DUE("2026-11-26 12:30", "2026-11-27 00:00:00-03:00", .has_time = true, .time = 24 * HOURS,
		.working_days = true);
	DUE("2026-11-27 12:30", "2026-12-01 00:00:00-03:00", .has_time = true, .time = 24 * HOURS,
		.working_days = true);
}

static void
check_within(int64_t due, int64_t earliest, int line)
{
	check_note(due >= earliest && due >= TIME_FIRST && due <= TIME_LAST, __FILE__, line, "within");
}

/* Whatever it is asked, it answers with a time of PostgreSQL's. */
static void
extremes(void)
{
	static const int offsets[] = {INT_MIN, -1, 0, 1, 1439, 1440, INT_MAX - 1, INT_MAX};
	const int64_t times[] = {INT64_MIN,
							 INT64_MIN + 1,
							 TIME_FIRST,
							 TIME_FIRST + CALENDAR_DAY,
							 TIME_FIRST + 3 * CALENDAR_DAY,
							 -1,
							 0,
							 instant_of("2026-11-28 12:00"),
							 TIME_LAST - 4 * OFFSET_MAX,
							 TIME_LAST - 2 * OFFSET_MAX,
							 TIME_LAST - OFFSET_MAX,
							 TIME_LAST - CALENDAR_DAY,
							 TIME_LAST,
							 TIME_LAST + 1,
							 INT64_MAX - 1,
							 INT64_MAX};
	const int64_t of_day[] = {-1, 0, 9 * HOURS, 24 * HOURS};
	const int ntimes = sizeof(times) / sizeof(times[0]);

	c = calendar_of(SAO_PAULO, NULL, 0);
	for (int i = 0; i < ntimes * ntimes * 8 * 16; i++)
	{
		int64_t base = times[i % ntimes];
		int64_t not_before = times[i / ntimes % ntimes];
		int n = i / ntimes / ntimes;
		StepTime step = {.offset = offsets[n % 8],
						 .from_start = (n / 8 & 1) != 0,
						 .working_days = (n / 16 & 1) != 0,
						 .has_time = of_day[n / 32] >= 0,
						 .time = of_day[n / 32]};
		int64_t earliest = base > not_before ? base : not_before;

		check_within(step_due(&step, base, base, not_before, &c),
					 earliest > TIME_LAST ? TIME_LAST : earliest, __LINE__);
	}
}

/* What is not known counts from now on, and keeps to the day and the time all the same. */
static void
unknown_beginnings(void)
{
	StepTime step = {.offset = DAYS, .has_time = true, .time = 9 * HOURS, .working_days = true};

	c = calendar_of(SAO_PAULO, NULL, 0);
	CHECK_LOCAL(&c, step_due(&step, INT64_MIN, INT64_MIN, instant_of("2026-11-28 12:00"), &c),
				"2026-11-30 09:00:00-03:00");
	CHECK_INT(step_due(&step, INT64_MAX, 0, 0, &c), TIME_LAST);
	CHECK_INT(step_due(&step, 0, 0, INT64_MAX, &c), TIME_LAST);
	/* the largest offset is some four thousand years */
	step = (StepTime){.offset = INT_MAX};
	CHECK_INT(step_due(&step, 0, 0, 0, &c), OFFSET_MAX);
	zone_calls = 0;
	step.working_days = true;
	CHECK(step_due(&step, 0, 0, 0, &c) > OFFSET_MAX);
	CHECK(zone_calls < 100);
}

/* ---- by chance ------------------------------------------------------------------------- */

/* The first minute, not before one, on whose day and at whose time the step may be due. */
static int
first_minute(const Timeline *t, const StepTime *s, int from)
{
	for (int i = from; i < TIMELINE_MINUTES; i++)
	{
		bool is_time = !s->has_time;

		/* times that do not exist are found where they are moved to */
		for (int32_t day = t->day[i] - 1; !is_time && day <= t->day[i]; day++)
			is_time = timeline_find(t, day, (int) (s->time / CALENDAR_MINUTE)) == i;
		if (is_time && (!s->working_days || calendar_is_working_day(&c, t->day[i])))
			return i;
	}
	return -1;
}

/* With no offset it is the next such time; with one, not before the day that it leads to. */
static int
ask(const Timeline *t)
{
	StepTime s = {.has_time = true,
				  .time = chance(48) * 30 * CALENDAR_MINUTE,
				  .working_days = chance(2) == 0};
	int from = 3 * 1440 + chance(30 * 1440);
	int64_t base = timeline_at(t, from);
	int64_t due = step_due(&s, base, base, base, &c);
	int64_t whole;
	int wrong = due != timeline_at(t, first_minute(t, &s, from));

	s.offset = chance(8 * DAYS);
	due = step_due(&s, base, base, base, &c);
	whole = s.working_days ? 0 : s.offset * CALENDAR_MINUTE;
	wrong += due < base;
	wrong += calendar_day(&c, due) < calendar_day(&c, base + whole);
	wrong += s.working_days && !calendar_is_working_day(&c, calendar_day(&c, due));
	wrong += first_minute(t, &s, timeline_minute(t, due)) != timeline_minute(t, due);
	return wrong;
}

static void
by_chance(void)
{
	static Timeline t;
	int32_t list[10];

	for (int p = 0; p < NPERIODS; p++)
	{
		int wrong = 0;

		timeline_fill(&t, periods[p].zone, periods[p].from);
		c = calendar_of(periods[p].zone, list, 0);
		for (int i = 0; i < 300; i++)
		{
			c.nholidays = chance(10);
			for (size_t j = 0; j < c.nholidays; j++)
				list[j] = j == 0 ? t.day[2880] + chance(10) : list[j - 1] + chance(4);
			wrong += ask(&t);
		}
		check_int(wrong, 0, __FILE__, __LINE__, periods[p].from);
	}
}

int
main(void)
{
	RUN_GROUP("due: minutes after the step before", offsets);
	RUN_GROUP("due: at a time of day", times_of_day);
	RUN_GROUP("due: clocks that are changed", changed_clocks);
	RUN_GROUP("due: since the beginning", from_start);
	RUN_GROUP("due: working days", working_days);
	RUN_GROUP("due: the ends of time", extremes);
	RUN_GROUP("due: what is not known", unknown_beginnings);
	RUN_GROUP("due: by chance, minute by minute", by_chance);
	return check_result();
}
