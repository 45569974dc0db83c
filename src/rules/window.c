/*
 * window.c
 *		When messages may leave: spans of local time on days of the week.
 *
 * A span that ends before it begins goes on over midnight and belongs to the day
 * on which it has begun. A holiday is closed from midnight to midnight, and so is
 * what goes on from it.
 */
#include "rules/window.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define MINUTES_PER_DAY 1440
#define DAYS_PER_WEEK 7

/* What a list of WINDOW_SPANS_MAX spans needs, with room for blanks. */
#define WINDOW_JSON_MAX 16384

/* What opens at all, opens within so many days: holidays may close some weeks. */
#define OPENS_DAYS 400

/* Nothing that may leave waits longer for its turn. */
#define CLOSES_DAYS 2

/* ---- reading ------------------------------------------------------------------------- */

#define PROBLEM(...)                                         \
	do                                                       \
	{                                                        \
		snprintf(problem, WINDOW_PROBLEM_SIZE, __VA_ARGS__); \
		return false;                                        \
	} while (0)

/* So many bytes of a text as fit, without a part of a character. */
static int
fits(const char *text, size_t max)
{
	size_t len = strnlen(text, max + 1);

	if (len > max)
		for (len = max; len > 0 && ((unsigned char) text[len] & 0xc0) == 0x80;)
			len--;
	return (int) len;
}

/* Two digits; -1: they are none. */
static int
two_digits(const char *text)
{
	if (!isdigit((unsigned char) text[0]) || !isdigit((unsigned char) text[1]))
		return -1;
	return (text[0] - '0') * 10 + text[1] - '0';
}

/* "08:00": minutes of the day; -1: it is none. The day's end is 24:00. */
static int
minutes_of(const char *text)
{
	int hours;
	int minutes;

	if (text == NULL || strlen(text) != 5 || text[2] != ':')
		return -1;
	hours = two_digits(text);
	minutes = two_digits(text + 3);
	if (hours < 0 || minutes < 0 || minutes > 59 || hours * 60 + minutes > MINUTES_PER_DAY)
		return -1;
	return hours * 60 + minutes;
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
	if (json_array_size(days) > DAYS_PER_WEEK)
		PROBLEM("\"dias\" holds more than the %d days of the week", DAYS_PER_WEEK);
	json_array_foreach(days, i, day)
	{
		json_int_t n = json_is_integer(day) ? json_integer_value(day) : 0;

		if (n < 1 || n > DAYS_PER_WEEK)
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
			PROBLEM("\"%.*s\" is not one of dias, das and ate", fits(key, 40), key);
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
 * False, and why, where it is none, and it never opens; problem has WINDOW_PROBLEM_SIZE
 * bytes.
 */
bool
window_read(const char *text, size_t len, Window *window, char *problem)
{
	json_error_t error;
	json_t *json;
	bool ok;

	window->n = 0;
	if (len > WINDOW_JSON_MAX)
		PROBLEM("it is longer than %d bytes", WINDOW_JSON_MAX);
	json = json_loadb(text, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
	if (json == NULL)
		PROBLEM("it is not JSON: %.*s", fits(error.text, 100), error.text);
	ok = read_spans(json, window, problem);
	json_decref(json);
	if (!ok)
		window->n = 0;
	return ok;
}

/* ---- asking -------------------------------------------------------------------------- */

/* A day of the week, as WindowSpan has it. */
static unsigned
bit_of(int32_t day)
{
	return 1u << calendar_weekday(day);
}

static int64_t
begin_of(const WindowSpan *span, const CalendarDay *day)
{
	return calendar_time(day, span->from * CALENDAR_MINUTE);
}

/* With the next day at the latest: a change of clocks may move it beyond. */
static int64_t
end_of(const WindowSpan *span, const CalendarDay *day)
{
	int minutes = span->to <= span->from ? span->to + MINUTES_PER_DAY : span->to;
	int64_t end = calendar_time(day, minutes * CALENDAR_MINUTE);
	int64_t last = calendar_time(day, 2 * CALENDAR_DAY);

	return end < last ? end : last;
}

/* Until when the spans that begin on a day go on from an instant, one after the other. */
static int64_t
go_on(const Window *w, const Calendar *c, int32_t day, int64_t at)
{
	unsigned bit = bit_of(day);
	CalendarDay look;
	int64_t before;

	if (calendar_is_holiday(c, day))
		return at;
	look = calendar_look_at(c, day);
	if (!look.exists)
		return at;
	do
	{
		before = at;
		for (int i = 0; i < w->n; i++)
			if ((w->spans[i].days & bit) != 0 && at >= begin_of(&w->spans[i], &look) &&
				at < end_of(&w->spans[i], &look))
				at = end_of(&w->spans[i], &look);
	} while (at > before);
	return at;
}

/* Until when it stays open at least; the instant itself: it is not open. */
static int64_t
stays_open(const Window *w, const Calendar *c, int64_t at)
{
	int32_t day = calendar_day(c, at);
	int64_t until;

	if (calendar_is_holiday(c, day))
		return at;
	until = go_on(w, c, day, go_on(w, c, day - 1, at));
	if (until > at && calendar_is_holiday(c, day + 1))
	{
		int64_t midnight = calendar_instant(c, day + 1, 0);

		return until < midnight ? until : midnight;
	}
	return until;
}

/* Whether messages may leave at an instant. */
bool
window_is_open(const Window *w, const Calendar *c, int64_t at)
{
	return stays_open(w, c, at) > at;
}

/* When a span that begins on a day opens first, not before "at"; CALENDAR_NEVER: none does. */
static int64_t
opens_on(const Window *w, const Calendar *c, int32_t day, int64_t at)
{
	CalendarDay look = calendar_look_at(c, day);
	unsigned bit = bit_of(day);
	int64_t opens = CALENDAR_NEVER;

	for (int i = 0; look.exists && i < w->n; i++)
	{
		int64_t begin;

		if ((w->spans[i].days & bit) == 0)
			continue;
		begin = begin_of(&w->spans[i], &look);
		begin = begin > at ? begin : at;
		/* clocks that are put forward may have moved it to the next day */
		if (begin < opens && begin < end_of(&w->spans[i], &look) &&
			!calendar_is_holiday(c, calendar_day(c, begin)))
			opens = begin;
	}
	return opens;
}

/* On which days of the week any span begins, as WindowSpan has them. */
static unsigned
days_of(const Window *w)
{
	unsigned days = 0;

	for (int i = 0; i < w->n; i++)
		days |= w->spans[i].days;
	return days;
}

/* When messages may leave, not before "at"; CALENDAR_NEVER: not within a year. */
int64_t
window_opens(const Window *w, const Calendar *c, int64_t at)
{
	unsigned days = days_of(w);
	int32_t today = calendar_day(c, at);

	/* what has begun yesterday goes on, and what begins today may be moved to tomorrow */
	for (int32_t day = today - 1; day <= today + OPENS_DAYS; day++)
	{
		int64_t opens;
		int64_t next;

		if ((days & bit_of(day)) == 0 || calendar_is_holiday(c, day))
			continue;
		opens = opens_on(w, c, day, at);
		if (opens == CALENDAR_NEVER)
			continue;
		next = calendar_is_holiday(c, day + 1) ? CALENDAR_NEVER : opens_on(w, c, day + 1, at);
		return opens < next ? opens : next;
	}
	return CALENDAR_NEVER;
}

/*
 * Until when they may, of an instant at which they may: it is closed then, or it has been
 * open for two days, and that is as far as is looked.
 */
int64_t
window_closes(const Window *w, const Calendar *c, int64_t at)
{
	int64_t closes = at;
	int64_t until = stays_open(w, c, at);

	while (until > closes && until - at < CLOSES_DAYS * CALENDAR_DAY)
	{
		closes = until;
		until = stays_open(w, c, closes);
	}
	return until;
}

/* So many days back it is looked when a window has closed: a week has every day once. */
#define CLOSED_DAYS 9

/*
 * Since when it has been closed, of an instant at which it is; CALENDAR_NEVER: for longer
 * than is looked back.
 */
int64_t
window_closed(const Window *w, const Calendar *c, int64_t at)
{
	int64_t closed = CALENDAR_NEVER;
	int64_t opens = window_opens(w, c, calendar_instant(c, calendar_day(c, at) - CLOSED_DAYS, 0));

	while (opens < at)
	{
		closed = window_closes(w, c, opens);
		opens = window_opens(w, c, closed);
	}
	return closed;
}
