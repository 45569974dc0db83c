/*
 * queue.c
 *		Which resolved step may leave next.
 *
 * One first-in first-out list per provider, served in turn, so that a provider
 * at its limit does not stand before the others.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "provider.h"
#include "queue.h"

#define HELD_UP_AFTER_US (500 * INT64CONST(1000))

void
cadence_queue_push(CadenceQueue *queue, CadenceStep *step)
{
	dlist_push_tail(&step->provider->waiting, &step->node);
	step->provider->nwaiting++;
	queue->waiting++;
}

static bool
may_start(const CadenceProvider *p, TimestampTz now)
{
	return p->nwaiting > 0 && p->in_flight < p->max_in_flight && p->next_start <= now;
}

static CadenceStep *
take_from(CadenceQueue *queue, CadenceProvider *p)
{
	queue->waiting--;
	p->nwaiting--;
	return dlist_container(CadenceStep, node, dlist_pop_head_node(&p->waiting));
}

/*
 * Paces a provider: the gap between two starts, without a burst after a pause.
 */
static void
note_start(CadenceProvider *p, TimestampTz now)
{
	p->in_flight++;
	p->last_progress = now;
	if (p->max_rate > 0)
		p->next_start = Max(p->next_start, now) + (TimestampTz) (USECS_PER_SEC / p->max_rate);
}

/*
 * The next step that may start now, counted as in flight from here on; NULL
 * when there is none.
 */
CadenceStep *
cadence_queue_pop(CadenceQueue *queue, TimestampTz now)
{
	int n = list_length(queue->providers);

	for (int i = 0; i < n && queue->waiting > 0; i++)
	{
		CadenceProvider *p = list_nth(queue->providers, (queue->turn + i) % n);

		if (!may_start(p, now))
			continue;
		queue->turn = (queue->turn + i + 1) % n;
		note_start(p, now);
		return take_from(queue, p);
	}
	return NULL;
}

/*
 * A provider is held up when its pace does not let it start yet, or when it is
 * full and nothing of it has ended for a while.
 */
static bool
is_held_up(const CadenceProvider *p, TimestampTz now)
{
	if (p->in_flight >= p->max_in_flight)
		return now - p->last_progress > HELD_UP_AFTER_US;
	return p->next_start > now;
}

/*
 * How many steps wait for a provider that is not held up. When they run low it
 * is time to claim more, however many others have to wait.
 */
int
cadence_queue_ready(const CadenceQueue *queue, TimestampTz now)
{
	int n = 0;
	ListCell *cell;

	foreach (cell, queue->providers)
	{
		const CadenceProvider *p = lfirst(cell);

		if (!is_held_up(p, now))
			n += p->nwaiting;
	}
	return n;
}

/*
 * All waiting steps; steps must have room for queue->waiting.
 */
int
cadence_queue_waiting(const CadenceQueue *queue, CadenceStep **steps)
{
	int n = 0;
	ListCell *cell;

	foreach (cell, queue->providers)
	{
		CadenceProvider *p = lfirst(cell);
		dlist_iter iter;

		dlist_foreach(iter, &p->waiting) steps[n++] = dlist_container(CadenceStep, node, iter.cur);
	}
	return n;
}

void
cadence_queue_remove(CadenceQueue *queue, CadenceStep *step)
{
	dlist_delete(&step->node);
	step->provider->nwaiting--;
	queue->waiting--;
}

/*
 * Any waiting step, whatever its provider's limits: to be given back.
 */
CadenceStep *
cadence_queue_pop_any(CadenceQueue *queue)
{
	ListCell *cell;

	foreach (cell, queue->providers)
	{
		CadenceProvider *p = lfirst(cell);

		if (p->nwaiting > 0)
			return take_from(queue, p);
	}
	return NULL;
}

/* A step that was popped has ended. */
void
cadence_queue_finished(CadenceStep *step)
{
	step->provider->in_flight--;
	step->provider->last_progress = GetCurrentTimestamp();
}

/*
 * How long until a provider's pace lets a waiting step start, in milliseconds,
 * at most as given.
 */
int
cadence_queue_wait_ms(const CadenceQueue *queue, TimestampTz now, int at_most)
{
	ListCell *cell;

	foreach (cell, queue->providers)
	{
		const CadenceProvider *p = lfirst(cell);

		if (p->nwaiting > 0 && p->in_flight < p->max_in_flight)
		{
			TimestampTz wait = p->next_start > now ? (p->next_start - now + 999) / 1000 : 0;

			at_most = Min(at_most, wait);
		}
	}
	return at_most;
}
