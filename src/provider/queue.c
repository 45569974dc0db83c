/*
 * queue.c
 *		Which resolved step may leave next.
 *
 * One first-in first-out list per provider, served in turn, so that a provider
 * at its limit does not stand before the others. Of all that may be in flight,
 * a part is kept for each provider: one that hangs can not fill it all.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/formatting.h"
#include "utils/timestamp.h"

#include "provider/provider.h"
#include "provider/queue.h"

/* A provider that is full, and of which nothing has ended for so long, is stuck. */
#define STUCK_AFTER_US (500 * INT64CONST(1000))

/* One that has had steps waiting for so long, however fast it is, must not stand before others. */
#define HELD_UP_AFTER_US (250 * INT64CONST(1000))

void
cadence_queue_push(CadenceQueue *queue, CadenceStep *step)
{
	dlist_push_tail(&step->provider->waiting, &step->node);
	step->provider->nwaiting++;
	queue->waiting++;
}

/*
 * Whether one more of a provider fits in. A quarter of all is open only to
 * providers that have few under way: one that hangs never gets there.
 */
static bool
has_room(const CadenceQueue *queue, const CadenceProvider *p)
{
	int n = list_length(queue->providers);
	int few = Max(queue->capacity / (4 * Max(n, 1)), 1);
	int reserve = Min(queue->capacity / 4, (n - 1) * few);

	if (p->in_flight >= p->max_in_flight || queue->in_flight >= queue->capacity)
		return false;
	return p->in_flight < few || queue->in_flight < queue->capacity - reserve;
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
note_start(CadenceQueue *queue, CadenceProvider *p, TimestampTz now)
{
	queue->in_flight++;
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

		if (p->nwaiting == 0 || p->next_start > now || !has_room(queue, p))
			continue;
		queue->turn = (queue->turn + i + 1) % n;
		note_start(queue, p, now);
		return take_from(queue, p);
	}
	return NULL;
}

/*
 * A provider is stuck when its pace does not let it start yet, or when it is
 * full and nothing of it has ended for a while.
 */
static bool
is_stuck(const CadenceQueue *queue, const CadenceProvider *p, TimestampTz now)
{
	if (p->in_flight > 0 && !has_room(queue, p))
		return now - p->last_progress > STUCK_AFTER_US;
	return p->next_start > now;
}

static bool
is_full(const CadenceQueue *queue, const CadenceProvider *p, TimestampTz now)
{
	return p->nwaiting > 0 && (p->next_start > now || !has_room(queue, p));
}

static bool
is_blocked(const CadenceProvider *p, TimestampTz now)
{
	return p->full_since != 0 && now - p->full_since >= HELD_UP_AFTER_US;
}

/*
 * How many steps wait for a provider that is not stuck. When they run low it is
 * time to claim more, however many others have to wait.
 */
int
cadence_queue_ready(const CadenceQueue *queue, TimestampTz now)
{
	int n = 0;
	ListCell *cell;

	foreach (cell, queue->providers)
	{
		const CadenceProvider *p = lfirst(cell);

		if (!is_stuck(queue, p, now))
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
cadence_queue_finished(CadenceQueue *queue, CadenceStep *step)
{
	queue->in_flight--;
	if (--step->provider->in_flight == 0)
		cadence_provider_is_idle(step->provider);
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

		if (p->nwaiting > 0 && has_room(queue, p))
		{
			TimestampTz wait = p->next_start > now ? (p->next_start - now + 999) / 1000 : 0;

			at_most = Min(at_most, wait);
		}
	}
	return at_most;
}

/*
 * Notes which providers are full; to be called whenever steps could have
 * started.
 */
void
cadence_queue_note_full(CadenceQueue *queue, TimestampTz now)
{
	ListCell *cell;

	foreach (cell, queue->providers)
	{
		CadenceProvider *p = lfirst(cell);

		if (!is_full(queue, p, now))
			p->full_since = 0;
		else if (p->full_since == 0)
			p->full_since = now;
	}
}

/*
 * Whether a provider is held up while another has nothing to do: what is due to
 * the other may stand behind what is due to the first.
 */
bool
cadence_queue_wants_bypass(const CadenceQueue *queue, TimestampTz now)
{
	bool blocked = false;
	bool idle = false;
	ListCell *cell;

	foreach (cell, queue->providers)
	{
		const CadenceProvider *p = lfirst(cell);

		blocked = blocked || is_blocked(p, now);
		idle = idle || (p->nwaiting == 0 && !p->gone);
	}
	return blocked && idle;
}

static char *
channel_of(const CadenceProvider *p)
{
	return asc_toupper(p->canal, strlen(p->canal));
}

static char *
pair_of(const CadenceProvider *p)
{
	return psprintf("%s %s", channel_of(p), p->empresa);
}

/* Whether another provider serves the same channel and company, and is not held up. */
static bool
has_substitute(const CadenceQueue *queue, const CadenceProvider *held, TimestampTz now)
{
	ListCell *cell;

	foreach (cell, queue->providers)
	{
		const CadenceProvider *p = lfirst(cell);
		bool equal =
			p != held && !p->gone && p->canal != NULL &&
			pg_strcasecmp(p->canal, held->canal) == 0 &&
			(p->empresa == NULL ? held->empresa == NULL
								: held->empresa != NULL && strcmp(p->empresa, held->empresa) == 0);

		if (equal && !is_blocked(p, now))
			return true;
	}
	return false;
}

/*
 * Which channels and companies have only providers that are held up; false when
 * there are none. In the current memory context.
 */
bool
cadence_queue_blocked(const CadenceQueue *queue, TimestampTz now, CadenceBlocked *blocked)
{
	StringInfoData signature;
	ListCell *cell;

	memset(blocked, 0, sizeof(*blocked));
	initStringInfo(&signature);
	foreach (cell, queue->providers)
	{
		const CadenceProvider *p = lfirst(cell);

		if (p->gone || p->canal == NULL)
			continue;
		if (p->empresa != NULL)
			blocked->served = lappend(blocked->served, pair_of(p));
		if (p->nwaiting == 0 || !is_blocked(p, now) || has_substitute(queue, p, now))
			continue;
		if (p->empresa != NULL)
			blocked->pairs = lappend(blocked->pairs, pair_of(p));
		else
			blocked->channels = lappend(blocked->channels, channel_of(p));
		appendStringInfo(&signature, "%u ", p->server);
	}
	blocked->signature = signature.data;
	return blocked->pairs != NIL || blocked->channels != NIL;
}

/* What was to happen at a time that is far away now happens at once. */
void
cadence_queue_clock_went_back(CadenceQueue *queue, TimestampTz now)
{
	ListCell *cell;

	foreach (cell, queue->providers)
	{
		CadenceProvider *p = lfirst(cell);

		p->next_start = Min(p->next_start, now + USECS_PER_SEC);
		p->last_progress = Min(p->last_progress, now);
		p->full_since = Min(p->full_since, now);
	}
}
