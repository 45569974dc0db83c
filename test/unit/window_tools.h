/*
 * window_tools.h
 *		What the tests of windows share: windows by their text and by chance, and when
 *		they are open, painted minute by minute on a zone's timeline.
 */
#ifndef CADENCE_WINDOW_TOOLS_H
#define CADENCE_WINDOW_TOOLS_H

#include "calendar_tools.h"
#include "rules/window.h"

#define WORKDAYS "\"dias\": [1,2,3,4,5], "

static inline Window
window_of(const char *json)
{
	char problem[WINDOW_PROBLEM_SIZE];
	Window window;

	if (!window_read(json, strlen(json), &window, problem))
	{
		printf("# %s: %s\n", json, problem);
		abort();
	}
	return window;
}

/* ---- painted --------------------------------------------------------------------------- */

static inline void
paint(bool *open, int from, int to, bool color)
{
	if (from >= 0 && from < to)
		memset(open + from, color, to - from);
}

/*
 * Each span on each day, until the end of the next at most, and then the holidays over that. The
 * first and the last two days of the timeline are not to be asked about.
 */
static inline void
paint_window(const Timeline *t, const Window *w, const Calendar *c, bool *open)
{
	int32_t first = t->day[1440];

	memset(open, false, TIMELINE_MINUTES);
	for (int32_t day = first; day < first + TIMELINE_DAYS - 4; day++)
	{
		bool is_off = timeline_find(t, day, 0) >= timeline_find(t, day + 1, 0);

		for (size_t i = 0; i < c->nholidays; i++)
			is_off = is_off || c->holidays[i] == day;
		for (int i = 0; !is_off && i < w->n; i++)
		{
			const WindowSpan *span = &w->spans[i];

			int end = timeline_find(t, day, span->to + (span->to <= span->from ? 1440 : 0));
			int last = timeline_find(t, day + 2, 0);

			if ((span->days & 1 << weekday_of(day)) != 0)
				paint(open, timeline_find(t, day, span->from), end < last ? end : last, true);
		}
	}
	for (size_t i = 0; i < c->nholidays; i++)
		if (c->holidays[i] >= first && c->holidays[i] < first + TIMELINE_DAYS - 4)
			paint(open, timeline_find(t, c->holidays[i], 0),
				  timeline_find(t, c->holidays[i] + 1, 0), false);
}

/* The first minute from one on that is open, or closed; -1: none. */
static inline int
painted_next(const bool *open, int from, int last, bool color)
{
	for (int i = from; i < last; i++)
		if (open[i] == color)
			return i;
	return -1;
}

/* ---- by chance ------------------------------------------------------------------------- */

/* Times that meet each other, and changes of clocks. */
static inline int16_t
chance_time(void)
{
	static const int16_t often[] = {0, 1, 23 * 60, 23 * 60 + 1, 60, 120, 150, 180, 480, 720, 1080};

	if (chance(2) == 0)
		return often[chance(sizeof(often) / sizeof(often[0]))];
	return (int16_t) (chance(2) == 0 ? chance(48) * 30 : chance(1440));
}

static inline void
chance_window(Window *w, int most)
{
	w->n = 1 + chance(most);
	for (int i = 0; i < w->n; i++)
	{
		WindowSpan *span = &w->spans[i];

		span->days = chance(3) == 0 ? 0xfe : 1 << (1 + chance(7)) | 1 << (1 + chance(7));
		span->from = chance_time();
		do
			span->to = chance(8) == 0 ? 1440 : chance_time();
		while (span->to == span->from);
		/* one that goes on where another ends */
		if (i > 0 && chance(3) == 0 && w->spans[i - 1].to != span->to)
			span->from = w->spans[i - 1].to % 1440;
		if (span->from == span->to)
			span->to = 1440;
	}
}

static inline size_t
chance_holidays(int32_t first, int32_t *list, size_t most)
{
	size_t n = chance(3) == 0 ? 0 : chance((int) most + 1);
	int step = 2 + chance(12);

	for (size_t i = 0; i < n; i++)
		list[i] = (i == 0 ? first : list[i - 1]) + chance(step);
	return n;
}

#endif
