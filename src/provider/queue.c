/*
 * queue.c
 *		Which request may leave next.
 *
 * One first-in first-out list per provider, served in turn, so that a provider
 * at its limit does not stand before the others. Of all that may be in flight,
 * a part is kept for each provider: one that hangs can not fill it all.
 *
 * A provider is blocked when it has had requests waiting that it could not take
 * for a while, however fast it is: nothing else may stand behind them.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/formatting.h"
#include "utils/timestamp.h"

#include "provider/queue.h"
#include "provider/sender_state.h"

#define BLOCKED_AFTER_US (250 * INT64CONST(1000))

/* One that is full, and of which nothing has ended for so long, does not move. */
#define MOVES_WITHIN_US (500 * INT64CONST(1000))

/* Shorter pauses than the process can wait for are kept on the average over so long. */
#define TICK_US (5 * INT64CONST(1000))

/* Behind those that start no later: one that has to wait longer does not hold up the next. */
void
cadence_queue_push(CadenceQueue *queue, CadenceRequest *request)
{
	dlist_head *waiting = &request->provider->waiting;
	dlist_node *before = waiting->head.prev;

	while (before != &waiting->head &&
		   dlist_container(CadenceRequest, node, before)->start_at > request->start_at)
		before = before->prev;
	dlist_insert_after(before, &request->node);
	request->provider->nwaiting++;
	queue->waiting++;
}

/* A sender's own maximum counts over all executions: its permits are this process's part. */
static int
most_in_flight(const CadenceProvider *p)
{
	if (!p->configuration->max_in_flight_is_own)
		return p->configuration->max_in_flight;
	return p->limits_state != NULL ? p->limits_state->permits : 0;
}

/* When the first that waits may start, by its sender's limits. */
static TimestampTz
next_start(const CadenceProvider *p)
{
	TimestampTz at = 0;

	if (p->nwaiting > 0)
		at = dlist_head_element(CadenceRequest, node, (dlist_head *) &p->waiting)->start_at;
	return Max(at, p->next_start);
}

/* What is late does not catch up at once: most of the pause is kept. */
static int64
least_pause(const LimitRules *rules)
{
	int64 pause = rules->rate > 0 ? (int64) (USECS_PER_SEC / rules->rate) : 0;

	return Max(pause, rules->gap_min) * 9 / 10;
}

/* When the next of a provider may start at the earliest, when one starts now. */
static TimestampTz
after_start(const CadenceProvider *p, TimestampTz now)
{
	int64 pause = least_pause(&p->configuration->limits);

	return (pause < TICK_US ? Max(p->next_start, now - TICK_US) : now) + pause;
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

	if (cadence_sender_in_flight(p) >= most_in_flight(p) || queue->in_flight >= queue->capacity)
		return false;
	return p->in_flight < few || queue->in_flight < queue->capacity - reserve;
}

static bool
may_start(const CadenceQueue *queue, const CadenceProvider *p, TimestampTz now)
{
	return next_start(p) <= now && has_room(queue, p);
}

void
cadence_queue_remove(CadenceQueue *queue, CadenceRequest *request)
{
	dlist_delete(&request->node);
	request->provider->nwaiting--;
	queue->waiting--;
}

/* With the latest configuration: it may have waited for minutes. */
static CadenceRequest *
take_from(CadenceQueue *queue, CadenceProvider *p)
{
	CadenceRequest *request = dlist_head_element(CadenceRequest, node, &p->waiting);

	cadence_queue_remove(queue, request);
	cadence_request_assign(request, p, request->context);
	return request;
}

static void
note_start(CadenceQueue *queue, CadenceProvider *p, CadenceRequest *request, TimestampTz now)
{
	request->limits = p->limits_state;
	if (request->limits != NULL)
		request->limits->in_flight++;
	queue->in_flight++;
	p->in_flight++;
	p->last_progress = now;
	p->next_start = after_start(p, now);
}

/*
 * The next request that may start now, counted as in flight from here on; NULL
 * when there is none.
 */
CadenceRequest *
cadence_queue_pop(CadenceQueue *queue, TimestampTz now)
{
	int n = list_length(queue->providers);

	for (int i = 0; i < n && queue->waiting > 0; i++)
	{
		CadenceProvider *p = list_nth(queue->providers, (queue->turn + i) % n);
		CadenceRequest *request;

		if (p->nwaiting == 0 || !may_start(queue, p, now))
			continue;
		queue->turn = (queue->turn + i + 1) % n;
		request = take_from(queue, p);
		note_start(queue, p, request, now);
		return request;
	}
	return NULL;
}

/*
 * Any waiting request, whatever its provider's limits: to be given back.
 */
CadenceRequest *
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

/* A request that was popped has ended. */
void
cadence_queue_finished(CadenceQueue *queue, CadenceRequest *request)
{
	if (request->limits != NULL)
		request->limits->in_flight--;
	queue->in_flight--;
	request->provider->in_flight--;
	request->provider->last_progress = GetCurrentTimestamp();
}

/*
 * All waiting requests; there must be room for queue->waiting.
 */
int
cadence_queue_waiting(const CadenceQueue *queue, CadenceRequest **requests)
{
	int n = 0;
	ListCell *cell;

	foreach (cell, queue->providers)
	{
		CadenceProvider *p = lfirst(cell);
		dlist_iter iter;

		dlist_foreach(iter, &p->waiting) requests[n++] =
			dlist_container(CadenceRequest, node, iter.cur);
	}
	return n;
}

/*
 * How many requests wait for a provider that moves. When they run low it is
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
		bool is_full =
			most_in_flight(p) == 0 || (cadence_sender_in_flight(p) > 0 && !has_room(queue, p));

		if (is_full ? now - p->last_progress <= MOVES_WITHIN_US : next_start(p) <= now)
			n += p->nwaiting;
	}
	return n;
}

/*
 * How long until a provider's pace lets a waiting request start, in
 * milliseconds, at most as given.
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
			TimestampTz wait = next_start(p) > now ? (next_start(p) - now + 999) / 1000 : 0;

			at_most = Min(at_most, wait);
		}
	}
	return at_most;
}

static bool
is_blocked(const CadenceProvider *p, TimestampTz now)
{
	return p->blocked_since != 0 && now - p->blocked_since >= BLOCKED_AFTER_US;
}

/*
 * Notes since when providers are blocked; to be called whenever requests could
 * have started. Where all that may be under way is, whoever waits waits for the
 * others, not for its own provider: a look past it would find nothing that could
 * start.
 */
void
cadence_queue_note_blocked(CadenceQueue *queue, TimestampTz now)
{
	ListCell *cell;

	foreach (cell, queue->providers)
	{
		CadenceProvider *p = lfirst(cell);

		if (p->nwaiting == 0 || may_start(queue, p, now))
		{
			queue->freed += is_blocked(p, now) ? 1 : 0;
			p->blocked_since = 0;
		}
		else if (p->blocked_since == 0 && queue->in_flight < queue->capacity)
			p->blocked_since = now;
	}
}

/*
 * Whether a provider is blocked while another has nothing to do: what is due to
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
channel_of(const CadenceConfiguration *c)
{
	return asc_toupper(c->canal, strlen(c->canal));
}

static char *
pair_of(const CadenceConfiguration *c)
{
	return psprintf("%s %s", channel_of(c), c->empresa);
}

static bool
serve_the_same(const CadenceConfiguration *a, const CadenceConfiguration *b)
{
	if (pg_strcasecmp(a->canal, b->canal) != 0)
		return false;
	return a->empresa == NULL || b->empresa == NULL ? a->empresa == b->empresa
													: strcmp(a->empresa, b->empresa) == 0;
}

/* Whether another provider serves the same channel and company, and is not blocked. */
static bool
has_substitute(const CadenceQueue *queue, const CadenceProvider *blocked, TimestampTz now)
{
	ListCell *cell;

	foreach (cell, queue->providers)
	{
		const CadenceProvider *p = lfirst(cell);

		if (p != blocked && !p->gone && p->configuration->canal != NULL && !is_blocked(p, now) &&
			serve_the_same(p->configuration, blocked->configuration))
			return true;
	}
	return false;
}

/* Those that are nobody's channel are of none. */
static bool
is_of(const CadenceProvider *p, const char *canal)
{
	return p->configuration->canal != NULL &&
		   (canal == NULL || pg_strcasecmp(p->configuration->canal, canal) == 0);
}

/* How many requests wait for providers of a channel that are not blocked. */
int
cadence_queue_waiting_for(const CadenceQueue *queue, const char *canal, TimestampTz now)
{
	int n = 0;
	ListCell *cell;

	foreach (cell, queue->providers)
	{
		const CadenceProvider *p = lfirst(cell);

		if (is_of(p, canal) && !is_blocked(p, now))
			n += p->nwaiting;
	}
	return n;
}

/*
 * Which channels and companies have only providers that are blocked, of one channel
 * or, where that is NULL, of any; false when there are none. In the current memory
 * context.
 */
bool
cadence_queue_blocked(const CadenceQueue *queue, const char *canal, TimestampTz now,
					  CadenceBlocked *blocked)
{
	StringInfoData signature;
	ListCell *cell;

	memset(blocked, 0, sizeof(*blocked));
	initStringInfo(&signature);
	foreach (cell, queue->providers)
	{
		const CadenceProvider *p = lfirst(cell);
		const CadenceConfiguration *c = p->configuration;

		if (p->gone || !is_of(p, canal))
			continue;
		if (c->empresa != NULL)
			blocked->served = lappend(blocked->served, pair_of(c));
		if (p->nwaiting == 0 || !is_blocked(p, now) || has_substitute(queue, p, now))
			continue;
		if (c->empresa != NULL)
			blocked->pairs = lappend(blocked->pairs, pair_of(c));
		else
			blocked->channels = lappend(blocked->channels, channel_of(c));
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

		dlist_iter iter;

		dlist_foreach(iter, &p->waiting)
		{
			CadenceRequest *request = dlist_container(CadenceRequest, node, iter.cur);

			request->start_at = Min(request->start_at, now);
		}
		p->tripped_until = Min(p->tripped_until, now);
		p->slow_tripped_until = Min(p->slow_tripped_until, now);
		p->next_start = Min(p->next_start, now + USECS_PER_SEC);
		p->last_progress = Min(p->last_progress, now);
		p->blocked_since = Min(p->blocked_since, now);
	}
}
