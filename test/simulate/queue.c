/*
 * queue.c
 *		What comes next, by time: a heap.
 */
#include "queue.h"

#include <stdlib.h>

static bool
is_before(const Event *a, const Event *b)
{
	return a->at != b->at ? a->at < b->at : a->number < b->number;
}

static void
swap(Event *a, Event *b)
{
	Event kept = *a;

	*a = *b;
	*b = kept;
}

void
queue_put(Queue *q, int64_t at, int kind, int who, int claim)
{
	if (q->n == q->room)
	{
		q->room = q->room * 2 + 64;
		q->events = realloc(q->events, sizeof(Event) * q->room);
		if (q->events == NULL)
			abort();
	}
	q->events[q->n] =
		(Event){.at = at, .number = q->count++, .kind = kind, .who = who, .claim = claim};
	for (int i = q->n++; i > 0 && is_before(&q->events[i], &q->events[(i - 1) / 2]);
		 i = (i - 1) / 2)
		swap(&q->events[i], &q->events[(i - 1) / 2]);
}

/* False: there is nothing. */
bool
queue_take(Queue *q, Event *event)
{
	int i = 0;

	if (q->n == 0)
		return false;
	*event = q->events[0];
	q->events[0] = q->events[--q->n];
	for (;;)
	{
		int least = i;

		for (int child = 2 * i + 1; child <= 2 * i + 2 && child < q->n; child++)
			if (is_before(&q->events[child], &q->events[least]))
				least = child;
		if (least == i)
			return true;
		swap(&q->events[i], &q->events[least]);
		i = least;
	}
}

/* INT64_MAX: nothing does. */
int64_t
queue_next(const Queue *q)
{
	return q->n > 0 ? q->events[0].at : INT64_MAX;
}
