/*
 * sender_start.c
 *		When a waiting step may leave: each start asks.
 *
 * Nothing is started after a stop, while sending is switched off, or after somebody
 * has forbidden anything, until that was looked at.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/interrupt.h"
#include "base/settings.h"
#include "engine/sender.h"
#include "resolve/request.h"
#include "schema/barrier.h"

/* So many steps at once are looked at again before they start. */
#define LOOKED_AT_MAX 32

/* And for so long, where what is forbidden comes faster than that. */
#define LOOKING_US (50 * INT64CONST(1000))

/* What was given a time after the pause that a provider has asked for waits for its time. */
static bool
is_open(const CadenceProvider *p, const CadenceStep *step, TimestampTz now)
{
	TimestampTz start = Max(now, step->request.start_at);

	if (Max(p->shut_until, p->tripped_until) > now && !step->request.is_probe)
		return false;
	return Max(p->slow_until, p->slow_tripped_until) <= start &&
		   (!step->is_first_touch || Max(p->new_until, p->new_tripped_until) <= start);
}

/*
 * Whether a whole request still fits into the lease, and its provider is still
 * ours, and open.
 */
bool
sender_may_send(const CadenceStep *step, TimestampTz now)
{
	const CadenceProvider *p = step->request.provider;
	int64 needed_ms = (int64) step->request.configuration->timeout + SENDER_LEASE_MARGIN_MS;

	return !p->gone && is_open(p, step, now) && now + needed_ms * 1000 < step->lease_end &&
		   !sender_is_late(step, Max(now, step->request.start_at));
}

/* False when its server, as it is now, does not take it. */
static bool
send_step(Sender *s, CadenceStep *step)
{
	MemoryContext old = MemoryContextSwitchTo(step->batch->context);
	bool ok;

	ok = step_request_make(step);
	if (ok)
	{
		s->recording->message_bytes += step->message_len;
		if (step->leave_by != 0 && (s->unsent_leave_by == 0 || step->leave_by < s->unsent_leave_by))
			s->unsent_leave_by = step->leave_by;
		s->transport->start(s->dispatcher, &step->request);
	}
	MemoryContextSwitchTo(old);
	return ok;
}

/* It is due as before, and nothing has left. */
static void
take_back(Sender *s, CadenceStep *step)
{
	cadence_queue_finished(&s->queue, &step->request);
	sender_give_back(s, step);
}

/* A step that was popped ends in the dispatcher or among what is to be recorded, error or not. */
static void
start_step(Sender *s, CadenceStep *step, TimestampTz now)
{
	volatile bool started = false;

	if (!sender_may_send(step, now))
	{
		take_back(s, step);
		return;
	}
	PG_TRY();
	{
		started = send_step(s, step);
	}
	PG_CATCH();
	{
		take_back(s, step);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (!started)
		take_back(s, step);
}

/* ---- after a look ----------------------------------------------------------------------- */

/* Steps that were popped, of which so many are started or taken back. */
typedef struct Popped
{
	CadenceStep *steps[LOOKED_AT_MAX];
	int n;
	int done;
	int looked; /* so many, from the first one on, were looked at since */
} Popped;

/*
 * The next of them, so many at most, looked at again: those that are not wanted are taken
 * back.
 */
static void
look_again(Sender *s, Popped *p, int at_most)
{
	int looked = p->done + Min(p->n - p->done, at_most);
	int left = p->done;
	uint64 barrier;

	/* those that may be sent are stamped anew */
	for (int i = p->done; i < looked; i++)
		p->steps[i]->barrier = 0;
	barrier = s->look_again(s->looker, &p->steps[p->done], looked - p->done);

	/* then all that wait are looked at first, which may be in vain */
	if (barrier == 0)
		s->checked_at = 0;
	for (int i = p->done; i < p->n; i++)
	{
		if (barrier != 0 && (i >= looked || p->steps[i]->barrier == barrier))
			p->steps[left++] = p->steps[i];
		else
			take_back(s, p->steps[i]);
		if (i < looked)
			p->looked = left;
	}
	p->n = left;
}

/* They wait again, as before. */
static void
put_back(Sender *s, Popped *p)
{
	while (p->done < p->n)
	{
		CadenceRequest *request = &p->steps[p->done++]->request;

		cadence_queue_finished(&s->queue, request);
		cadence_queue_push(&s->queue, request);
	}
}

/*
 * Starts them, each only after a look that has seen whatever was forbidden until then.
 * Where that comes faster than looks, they are fewer steps each, and not for long: answers
 * and stops wait meanwhile. False: some wait again.
 */
static bool
start_all(Sender *s, Popped *p)
{
	TimestampTz until = GetCurrentTimestamp() + LOOKING_US;
	int at_most = p->n;

	while (p->done < p->n)
	{
		CadenceStep *next = p->steps[p->done];

		if (next->barrier == cadence_barrier_count() && (!s->looks_always || p->done < p->looked))
		{
			p->done++;
			start_step(s, next, GetCurrentTimestamp());
			continue;
		}
		if (GetCurrentTimestamp() >= until || cadence_stop_requested())
			return false;
		look_again(s, p, at_most);
		at_most = Max(at_most / 4, 1);
	}
	return true;
}

static bool
start_looked_at(Sender *s, Popped *p)
{
	volatile bool all = false;

	PG_TRY();
	{
		all = start_all(s, p);
	}
	PG_CATCH();
	{
		while (p->done < p->n)
			take_back(s, p->steps[p->done++]);
		PG_RE_THROW();
	}
	PG_END_TRY();
	put_back(s, p);
	return all;
}

/* The next that may start now; NULL: none. */
static CadenceStep *
pop(Sender *s, TimestampTz now)
{
	CadenceRequest *request;

	if (s->queue.waiting == 0 || recording_is_full(s->recording))
		return NULL;
	request = cadence_queue_pop(&s->queue, now);
	return request != NULL ? cadence_step_of(request) : NULL;
}

/*
 * One step after the other, or those together that have to be looked at again. False:
 * no more are to be started in this turn.
 */
static bool
start_some(Sender *s, CadenceStep *step, TimestampTz now)
{
	Popped popped = {.n = 0};

	if (step->barrier == cadence_barrier_count() && !s->looks_always)
	{
		start_step(s, step, now);
		return true;
	}
	do
		popped.steps[popped.n++] = step;
	while (popped.n < LOOKED_AT_MAX && (step = pop(s, now)) != NULL);
	/* where a lock is in the way all that wait are looked at first */
	return start_looked_at(s, &popped) && s->checked_at != 0;
}

/* ---- all that may ------------------------------------------------------------------------ */

/*
 * Starts as many waiting steps as their providers allow.
 */
void
sender_start(Sender *s)
{
	CadenceStep *step;

	if (cadence_stop_requested() || !cadence_enabled)
	{
		sender_give_back_unsent(s);
		return;
	}
	if (s->queue.waiting > 0 && s->dispatcher == NULL)
		sender_open_transport(s);
	for (;;)
	{
		TimestampTz now = GetCurrentTimestamp();

		if ((step = pop(s, now)) == NULL || !start_some(s, step, now))
			break;
	}
	cadence_queue_note_blocked(&s->queue, GetCurrentTimestamp());
}
