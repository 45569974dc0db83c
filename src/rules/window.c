/*
 * window.c
 *		When messages may leave: spans of local time on days of the week.
 *
 * A span that ends before it begins goes on over midnight and belongs to the day
 * on which it has begun. A holiday is closed from midnight to midnight, and so is
 * what goes on from it.
 */
#include "rules/window.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define MINUTES_PER_DAY 1440

/* What opens at all, opens within so many days: holidays may close some weeks. */
#define OPENS_DAYS 400

/* Nobody waits longer for its turn. */
#define CLOSES_DAYS 2

/* ---- reading ------------------------------------------------------------------------- */

#define PROBLEM(...)                                         \
	do                                                       \
	{                                                        \
		snprintf(problem, WINDOW_PROBLEM_SIZE, __VA_ARGS__); \
		return false;                                        \
	} while (0)

/* "08:00": minutes of the day; -1: it is none. The day's end is 24:00. */
static int
minutes_of(const char *text)
{
	int hours;
	int minutes;

	if (text == NULL || strlen(text) != 5 || text[2] != ':' || strspn(text, "0123456789:") != 5 ||
		sscanf(text, "%2d:%2d", &hours, &minutes) != 2 || minutes > 59)
		return -1;
	hours = hours * 60 + minutes;
	return hours > MINUTES_PER_DAY ? -1 : hours;
}

static bool
read_days(const json_t *days, WindowSpan *span, char *problem)
{
	size_t i;
	const json_t *day;

	if (days == NULL)
	{
		span->days = 0xfe;
		return true;
	}
	if (!json_is_array(days) || json_array_size(days) == 0)
		PROBLEM("\"dias\" is not a list of days of the week, from 1, Monday, to 7, Sunday");
	json_array_foreach(days, i, day)
	{
		json_int_t n = json_is_integer(day) ? json_integer_value(day) : 0;

		if (n < 1 || n > 7)
			PROBLEM("\"dias\" holds something else than the days of the week, from 1, Monday, "
					"to 7, Sunday");
		span->days |= 1 << n;
	}
	return true;
}

static bool
read_span(json_t *json, WindowSpan *span, char *problem)
{
	const char *key;
	json_t *value;

	memset(span, 0, sizeof(*span));
	if (!json_is_object(json))
		PROBLEM("it is not a list of objects with dias, das and ate");
	json_object_foreach(json, key, value)
	{
		if (strcmp(key, "dias") != 0 && strcmp(key, "das") != 0 && strcmp(key, "ate") != 0)
			PROBLEM("\"%.40s\" is not one of dias, das and ate", key);
	}
	span->from = minutes_of(json_string_value(json_object_get(json, "das")));
	span->to = minutes_of(json_string_value(json_object_get(json, "ate")));
	if (span->from < 0 || span->from == MINUTES_PER_DAY)
		PROBLEM("\"das\" is not a time from \"00:00\" to \"23:59\"");
	if (span->to < 0)
		PROBLEM("\"ate\" is not a time from \"00:00\" to \"24:00\"");
	if (span->from == span->to)
		PROBLEM("a span from %s to itself is empty; the whole day is from \"00:00\" to \"24:00\"",
				json_string_value(json_object_get(json, "das")));
	return read_days(json_object_get(json, "dias"), span, problem);
}

static bool
read_spans(const json_t *json, Window *window, char *problem)
{
	if (!json_is_array(json))
		PROBLEM("it is not a list");
	if (json_array_size(json) == 0)
		PROBLEM("it never opens: a list without a span; null is always");
	if (json_array_size(json) > WINDOW_SPANS_MAX)
		PROBLEM("it has more than %d spans", WINDOW_SPANS_MAX);
	for (size_t i = 0; i < json_array_size(json); i++)
		if (!read_span(json_array_get(json, i), &window->spans[window->n++], problem))
			return false;
	return true;
}

/*
 * Reads a window from JSON: [{"dias": [1,2,3,4,5], "das": "08:00", "ate": "18:00"}].
 * False, and why, where it is none; problem has WINDOW_PROBLEM_SIZE bytes.
 */
bool
window_read(const char *text, size_t len, Window *window, char *problem)
{
	json_error_t error;
	json_t *json = json_loadb(text, len, JSON_DECODE_ANY, &error);
	bool ok;

	window->n = 0;
	if (json == NULL)
		PROBLEM("it is not JSON: %.100s", error.text);
	ok = read_spans(json, window, problem);
	json_decref(json);
	return ok;
}

/* ---- asking -------------------------------------------------------------------------- */

static bool
begins_on(const WindowSpan *span, int32_t day)
{
	return (span->days >> calendar_weekday(day) & 1) != 0;
}

/* Whether a span that has begun on a day is open at an instant. */
static bool
covers(const WindowSpan *span, const Calendar *c, int32_t day, int64_t at)
{
	int32_t end_day = span->to <= span->from ? day + 1 : day;

	return begins_on(span, day) && !calendar_is_holiday(c, day) &&
		   at >= calendar_instant(c, day, span->from * CALENDAR_MINUTE) &&
		   at < calendar_instant(c, end_day, span->to * CALENDAR_MINUTE);
}

/* Whether messages may leave at an instant. */
bool
window_is_open(const Window *w, const Calendar *c, int64_t at)
{
	int32_t day = calendar_day(c, at);

	if (calendar_is_holiday(c, day))
		return false;
	for (int i = 0; i < w->n; i++)
		if (covers(&w->spans[i], c, day, at) || covers(&w->spans[i], c, day - 1, at))
			return true;
	return false;
}

/* The first instant of a day, after "at", at which a span begins or the day does. */
static int64_t
next_edge(const Window *w, const Calendar *c, int32_t day, int64_t at, bool of_ends)
{
	int64_t next = CALENDAR_NEVER;

	/* what goes on from yesterday may be open from midnight on, or not any more */
	for (int i = -1; i < w->n; i++)
	{
		int64_t time = i < 0 ? 0 : of_ends ? w->spans[i].to : w->spans[i].from;
		int64_t edge = calendar_instant(c, day, time * CALENDAR_MINUTE);

		if (edge > at && edge < next)
			next = edge;
	}
	return next;
}

/*
 * The first instant, not before "at", at which it is open, or, with open false, at which
 * it is not. There are so few edges in a day that each is tried.
 */
static int64_t
first(const Window *w, const Calendar *c, int64_t at, bool open, int days)
{
	int32_t day = calendar_day(c, at);
	int32_t last = day + days;

	while (day <= last)
	{
		int64_t next;

		if (window_is_open(w, c, at) == open)
			return at;
		next = next_edge(w, c, day, at, !open);
		if (next == CALENDAR_NEVER)
			day++;
		else
			at = next;
	}
	return CALENDAR_NEVER;
}

/* When messages may leave, not before "at"; CALENDAR_NEVER: not within a year. */
int64_t
window_opens(const Window *w, const Calendar *c, int64_t at)
{
	return first(w, c, at, true, OPENS_DAYS);
}

/* Until when they may, of an instant at which they may; CALENDAR_NEVER: for two days at least. */
int64_t
window_closes(const Window *w, const Calendar *c, int64_t at)
{
	return first(w, c, at, false, CLOSES_DAYS);
}
