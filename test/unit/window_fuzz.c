/*
 * window_fuzz.c
 *		Windows of any bytes: what is read has spans that are some, and opens and closes
 *		when it says so, without asking the zone for long.
 */
#include "rules/window.h"

#include <jansson.h>
#include <stdlib.h>

#include "calendar_tools.h"

/* So often the zone may be asked for one answer. */
#define CALLS_MAX 600

#define MUST(condition)   \
	do                    \
	{                     \
		if (!(condition)) \
			abort();      \
	} while (0)

static uint32_t
hash_of(const uint8_t *data, size_t size)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ data[i]) * 16777619u;
	return hash;
}

static void
check_problem(const char *problem)
{
	json_t *text = json_string(problem);

	/* it is UTF-8, and it is something */
	MUST(text != NULL && problem[0] != '\0');
	json_decref(text);
}

static void
check_spans(const Window *w)
{
	MUST(w->n >= 1 && w->n <= WINDOW_SPANS_MAX);
	for (int i = 0; i < w->n; i++)
	{
		const WindowSpan *span = &w->spans[i];

		MUST(span->days != 0 && (span->days & 1) == 0);
		MUST(span->from >= 0 && span->from < 1440 && span->to >= 0 && span->to <= 1440);
		MUST(span->from != span->to);
	}
}

static void
check_opening(const Window *w, const Calendar *c, int64_t at)
{
	int64_t opens;
	int64_t closes;

	zone_calls = 0;
	opens = window_opens(w, c, at);
	MUST(zone_calls < CALLS_MAX);
	MUST((opens == at) == window_is_open(w, c, at));
	if (opens == CALENDAR_NEVER)
		return;
	MUST(opens >= at && window_is_open(w, c, opens));
	for (int i = 1; i < 20 && opens > at; i++)
		MUST(!window_is_open(w, c, opens - 1 - (opens - at - 1) / i / i));
	zone_calls = 0;
	closes = window_closes(w, c, opens);
	MUST(zone_calls < CALLS_MAX);
	MUST(closes > opens && window_is_open(w, c, closes - 1));
	MUST(closes - opens >= 2 * CALENDAR_DAY || !window_is_open(w, c, closes));
	for (int i = 1; i < 20; i++)
		MUST(window_is_open(w, c, opens + (closes - opens - 1) / i / i));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char problem[WINDOW_PROBLEM_SIZE] = "";
	Window window;
	int32_t list[100];
	Calendar c;

	chance_state = hash_of(data, size) | 1;
	if (!window_read((const char *) data, size, &window, problem))
	{
		check_problem(problem);
		MUST(window.n == 0);
		return 0;
	}
	check_spans(&window);
	for (int i = 0; i < 4; i++)
	{
		const Period *period = &periods[chance(NPERIODS)];
		int64_t from = instant_of(period->from);

		for (int j = 0; j < 100; j++)
			list[j] = (j == 0 ? day_of(period->from) : list[j - 1]) + chance(4);
		c = calendar_of(period->zone, list, chance(101));
		check_opening(&window, &c, from + chance(40 * 1440) * CALENDAR_MINUTE + chance(2));
	}
	return 0;
}
