/*
 * due.c
 *		When a step is due.
 */
#include "rules/due.h"

#define MINUTES_PER_DAY 1440

/* The calendar of PostgreSQL's timestamps, and not its infinities. */
#define TIME_MIN INT64_C(-211813488000000000)
#define TIME_MAX (INT64_C(9223371331200000000) - 1)

static int64_t
within(int64_t at)
{
	return at < TIME_MIN ? TIME_MIN : at > TIME_MAX ? TIME_MAX : at;
}

/* What no calendar of the server's reaches. */
static bool
is_far(int64_t at)
{
	return at > TIME_MAX - 2 * INT64_C(2147483647) * CALENDAR_MINUTE ||
		   at < TIME_MIN + 2 * CALENDAR_DAY;
}

static int64_t
plain(int64_t base, int offset)
{
	int64_t wait = offset > 0 ? offset * CALENDAR_MINUTE : 0;

	base = within(base);
	return base > TIME_MAX - wait ? TIME_MAX : base + wait;
}

/* n working days later, at the same time of day. */
static int64_t
add_working_days(int64_t at, int n, const Calendar *c)
{
	int32_t day = calendar_day(c, at);
	int32_t to = calendar_add_working_days(c, day, n);

	return to == day ? at : calendar_instant(c, to, calendar_time_of_day(c, at));
}

/* Of the whole days of an offset only working days count; what is left is added as it is. */
static int64_t
after_working_days(int64_t base, int offset, const Calendar *c)
{
	return add_working_days(base, offset / MINUTES_PER_DAY, c) +
		   offset % MINUTES_PER_DAY * CALENDAR_MINUTE;
}

/* Whether that is on a day that will do; 24:00 is on the next day. */
static bool
is_on_its_day(const StepTime *s, int64_t due, const Calendar *c)
{
	return !s->working_days || calendar_is_working_day(c, calendar_day(c, due));
}

/* At the step's time of that day, or of the next one that will do on which that is not over. */
static int64_t
at_time(const StepTime *s, int64_t at, int64_t earliest, const Calendar *c)
{
	int32_t day = calendar_day(c, at);
	int64_t due = calendar_instant(c, day, s->time);

	while (due < earliest || !is_on_its_day(s, due, c))
	{
		day = s->working_days ? calendar_add_working_days(c, day, 1) : day + 1;
		due = calendar_instant(c, day, s->time);
	}
	return due;
}

/* Whether when it is due depends on the person's time or holidays. */
bool
step_needs_calendar(const StepTime *s)
{
	return s->has_time || s->working_days;
}

/*
 * When a step is due: so long after the one before it was sent, or after the run's
 * beginning, and at its time of day. Never before not_before, nor before what it
 * counts from: a step that is to come on a day and at a time that are over is due
 * then, or, where it has a time of day, at that time of the next day. The calendar
 * may be missing where step_needs_calendar() says no.
 */
int64_t
step_due(const StepTime *s, int64_t previous, int64_t start, int64_t not_before, const Calendar *c)
{
	int64_t base = s->from_start ? start : previous;
	int64_t earliest = within(base > not_before ? base : not_before);
	int offset = s->offset > 0 ? s->offset : 0;
	int64_t at = plain(base, offset);

	if (!step_needs_calendar(s))
		return at > earliest ? at : earliest;
	if (s->working_days && !is_far(base))
		at = after_working_days(base, offset, c);
	if (at < earliest)
		at = earliest;
	if (is_far(at))
		return at;
	if (s->working_days)
		at = add_working_days(at, 0, c);
	return s->has_time ? at_time(s, at, earliest, c) : at;
}
