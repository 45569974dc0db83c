/*
 * sender.c
 *		The sending part of a pipeline.
 *
 * A step that was pushed ends among what is to be recorded, whatever becomes of
 * it. Nothing is started after a stop, while sending is switched off, or after somebody
 * has forbidden anything, until that was looked at: each start asks.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/interrupt.h"
#include "base/settings.h"
#include "engine/limiting.h"
#include "engine/sender.h"
#include "provider/provider_stats.h"
#include "resolve/request.h"
#include "schema/barrier.h"

/* The longest wait while steps wait: their provider may turn out to be blocked. */
#define WAITING_MS 100

/* How old the figures that others see may become. */
#define PUBLISH_US (100 * INT64CONST(1000))

/* So many steps at once are looked at again before they start. */
#define LOOKED_AT_MAX 32

/* And for so long, where what is forbidden comes faster than that. */
#define LOOKING_US (50 * INT64CONST(1000))

void
sender_init(Sender *s, MemoryContext context, Recording *recording, int max_in_flight,
			SenderLookAgain look_again, void *looker)
{
	memset(s, 0, sizeof(*s));
	s->context = context;
	s->recording = recording;
	s->max_in_flight = max_in_flight;
	s->look_again = look_again;
	s->looker = looker;
}

int
sender_in_flight(const Sender *s)
{
	return s->dispatcher != NULL ? s->transport->in_flight(s->dispatcher) : 0;
}

/* Whether what has not left has to be looked at again first. */
static bool
is_crossed(void *arg)
{
	const Sender *s = arg;

	return cadence_barrier_count() != s->unsent_barrier ||
		   (s->unsent_leave_by != 0 && GetCurrentTimestamp() >= s->unsent_leave_by);
}

/*
 * The transport is loaded when the first message is about to leave: an
 * execution that finds nothing due never pays for it.
 */
static void
open_dispatcher(Sender *s)
{
	MemoryContext old = MemoryContextSwitchTo(s->context);
	CadenceDispatchEntry entry = (CadenceDispatchEntry) load_external_function(
		CADENCE_DISPATCH_LIBRARY, CADENCE_DISPATCH_SYMBOL, true, NULL);

	s->transport = entry();
	if (strcmp(s->transport->version, CADENCE_VERSION) != 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("library cadence_runner_dispatch is version %s, not %s",
							   s->transport->version, CADENCE_VERSION),
						errhint("Install both libraries of one version.")));
	s->dispatcher = s->transport->create(s->max_in_flight, cadence_wakeup_fd(), is_crossed, s);
	s->queue.capacity = s->transport->capacity(s->dispatcher);
	MemoryContextSwitchTo(old);
}

void
sender_resize(Sender *s, int max_in_flight)
{
	s->max_in_flight = max_in_flight;
	if (s->dispatcher == NULL)
		return;
	s->transport->resize(s->dispatcher, max_in_flight);
	s->queue.capacity = s->transport->capacity(s->dispatcher);
}

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

/* Its policy is to be asked again, since its window may be closed by then. */
static bool
is_late(const CadenceStep *step, TimestampTz at)
{
	return step->leave_by != 0 && at >= step->leave_by;
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
		   !is_late(step, Max(now, step->request.start_at));
}

/* looked_at: when it was wanted, as far as is known. Its claim's commit may have come much later.
 */
void
sender_push(Sender *s, CadenceStep *step, TimestampTz looked_at)
{
	bool is_first = s->queue.waiting == 0;

	s->checked_at = is_first ? looked_at : Min(s->checked_at, looked_at);
	s->barrier = is_first ? step->barrier : Min(s->barrier, step->barrier);
	cadence_queue_push(&s->queue, &step->request);
}

/* It is due as before, or when it was found to have to wait until, and nothing has left. */
void
sender_give_back(Sender *s, CadenceStep *step)
{
	step->outcome = step->until != 0 ? OUTCOME_DEFERRED : OUTCOME_UNSENT;
	recording_add(s->recording, step);
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

/* ---- the barrier ------------------------------------------------------------------------ */

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

/*
 * Of what has not left: what was looked at before the last time that something was forbidden,
 * or should have left by now.
 */
typedef struct Unsent
{
	uint64 barrier;
	TimestampTz now;
	TimestampTz leave_by; /* the first of those that may begin; 0: none has one */
	CadenceStep **steps;
	int n;
} Unsent;

static bool
is_current(CadenceRequest *request, void *arg)
{
	const CadenceStep *step = cadence_step_of(request);
	Unsent *unsent = arg;

	if (step->barrier < unsent->barrier || is_late(step, unsent->now))
		return false;
	if (step->leave_by != 0 && (unsent->leave_by == 0 || step->leave_by < unsent->leave_by))
		unsent->leave_by = step->leave_by;
	return true;
}

static bool
note_unsent(CadenceRequest *request, void *arg)
{
	Unsent *unsent = arg;

	if (!is_current(request, arg))
		unsent->steps[unsent->n++] = cadence_step_of(request);
	return true;
}

/* What looks for its provider, or waits for its turn there: it ends if it must not begin. */
static void
look_at_unsent(Sender *s)
{
	Unsent unsent = {.barrier = cadence_barrier_count(),
					 .now = GetCurrentTimestamp(),
					 .steps = palloc(sizeof(CadenceStep *) * Max(sender_in_flight(s), 1))};

	s->transport->ask_unsent(s->dispatcher, note_unsent, &unsent);
	if (unsent.n > 0 && !cadence_stop_requested())
		(void) s->look_again(s->looker, unsent.steps, unsent.n);
	if (unsent.n > 0)
		s->transport->ask_unsent(s->dispatcher, is_current, &unsent);
	s->unsent_barrier = unsent.barrier;
	s->unsent_leave_by = unsent.leave_by;
	pfree(unsent.steps);
}

/* ---- work --------------------------------------------------------------------------------- */

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
		open_dispatcher(s);
	for (;;)
	{
		TimestampTz now = GetCurrentTimestamp();

		if ((step = pop(s, now)) == NULL || !start_some(s, step, now))
			break;
	}
	cadence_queue_note_blocked(&s->queue, GetCurrentTimestamp());
}

/* Whether its record has a use for the message. */
static bool
needs_message(const CadenceStep *step)
{
	if (cadence_was_accepted(step))
		return step->request.configuration->record_message;
	return step->outcome == OUTCOME_UNCERTAIN && step->kept == NULL;
}

static void
collect(Sender *s)
{
	CadenceRequest *request;

	while ((request = s->transport->next_done(s->dispatcher)) != NULL)
	{
		CadenceStep *step = cadence_step_of(request);

		cadence_queue_finished(&s->queue, request);
		step->outcome = step->answer.outcome;
		step->reason.code = step->answer.code;
		step->reason.text = step->answer.reason;
		limiting_judge(step);
		if (!needs_message(step))
			recording_release_message(s->recording, step);
		recording_add(s->recording, step);
	}
}

static void
work(Sender *s, int at_most_ms)
{
	if (!s->transport->work(s->dispatcher, at_most_ms))
	{
		look_at_unsent(s);
		(void) s->transport->work(s->dispatcher, 0);
	}
	collect(s);
}

/* Tells others what is under way. */
void
sender_publish(Sender *s)
{
	s->published_at = GetCurrentTimestamp();
	cadence_provider_stats_publish(s->queue.providers);
}

static void
report_activity(Sender *s, TimestampTz now)
{
	char activity[128];

	snprintf(activity, sizeof(activity), "cadence_runner: %d in flight, %d waiting, %d to record",
			 sender_in_flight(s), s->queue.waiting, s->recording->n);
	pgstat_report_activity(STATE_RUNNING, activity);
	if (now - s->published_at >= PUBLISH_US || now < s->published_at)
		sender_publish(s);
}

/*
 * Waits until a transfer has ended, or for anything else that wakes this
 * process, at most so long.
 */
void
sender_wait(Sender *s, int at_most_ms)
{
	TimestampTz now = GetCurrentTimestamp();

	if (s->queue.waiting > 0)
		at_most_ms = Min(at_most_ms, WAITING_MS);
	if (!recording_is_full(s->recording) && !s->held)
		at_most_ms = cadence_queue_wait_ms(&s->queue, now, at_most_ms);
	report_activity(s, now);
	if (s->dispatcher == NULL)
	{
		cadence_sleep(at_most_ms);
		return;
	}
	work(s, Max(at_most_ms, 0));
}

/* Gets what was started going, without waiting. */
void
sender_poke(Sender *s)
{
	if (s->dispatcher != NULL)
		work(s, 0);
}

/* All of which nothing has left: those that wait, and those that look for their provider. */
void
sender_give_back_unsent(Sender *s)
{
	CadenceRequest *request;

	if (s->dispatcher != NULL)
	{
		s->transport->withdraw(s->dispatcher);
		collect(s);
	}
	while ((request = cadence_queue_pop_any(&s->queue)) != NULL)
		sender_give_back(s, cadence_step_of(request));
}

/* Breaks off all that is under way; what has left is uncertain. */
void
sender_abandon(Sender *s)
{
	if (sender_in_flight(s) == 0)
		return;
	s->transport->abandon(s->dispatcher);
	collect(s);
}
