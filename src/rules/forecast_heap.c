/*
 * forecast_heap.c
 *		Runs by when they are due, and by their ids.
 */
#include <string.h>

#include "rules/forecast_parts.h"

#define CHILDREN 4

static bool
is_before(const ForecastEvent *a, const ForecastEvent *b)
{
	if (a->due != b->due)
		return a->due < b->due;
	if (a->order != b->order)
		return a->order < b->order;
	return memcmp(a->run->id, b->run->id, FORECAST_ID_SIZE) < 0;
}

static ForecastEvent
event_of(ForecastRun *run)
{
	ForecastEvent event = {.due = run->due, .run = run};

	for (size_t i = 0; i < sizeof(event.order); i++)
		event.order = event.order << 8 | run->id[i];
	return event;
}

static size_t
first_child(const ForecastHeap *h, size_t at)
{
	size_t first = CHILDREN * at + 1;
	size_t last = first + CHILDREN < h->n ? first + CHILDREN : h->n;
	size_t best = first;

	for (size_t i = first + 1; i < last; i++)
		if (is_before(&h->events[i], &h->events[best]))
			best = i;
	return best;
}

static void
sift_down(ForecastHeap *h, size_t at)
{
	ForecastEvent event = h->events[at];

	while (CHILDREN * at + 1 < h->n)
	{
		size_t child = first_child(h, at);

		if (!is_before(&h->events[child], &event))
			break;
		h->events[at] = h->events[child];
		at = child;
	}
	h->events[at] = event;
}

void
forecast_heap_push(ForecastHeap *h, ForecastRun *run)
{
	ForecastEvent event = event_of(run);
	size_t at = h->n++;

	while (at > 0 && is_before(&event, &h->events[(at - 1) / CHILDREN]))
	{
		h->events[at] = h->events[(at - 1) / CHILDREN];
		at = (at - 1) / CHILDREN;
	}
	h->events[at] = event;
}

/* The first. */
ForecastRun *
forecast_heap_pop(ForecastHeap *h)
{
	ForecastRun *first = h->events[0].run;

	h->events[0] = h->events[--h->n];
	if (h->n > 0)
		sift_down(h, 0);
	return first;
}

/* Of runs in any order. */
void
forecast_heap_make(ForecastHeap *h)
{
	for (size_t i = 0; i < h->n; i++)
		h->events[i] = event_of(h->events[i].run);
	for (size_t i = h->n / CHILDREN + 1; i-- > 0;)
		if (i < h->n)
			sift_down(h, i);
}
