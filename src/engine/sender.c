/*
 * sender.c
 *		The sending part of a pipeline.
 *
 * A step that was pushed ends among what is to be recorded, whatever becomes of
 * it. Nothing is started after a stop, or while sending is switched off: each
 * start asks.
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

/* The longest wait while steps wait: their provider may turn out to be blocked. */
#define WAITING_MS 100

/* How old the figures that others see may become. */
#define PUBLISH_US (100 * INT64CONST(1000))

void
sender_init(Sender *s, MemoryContext context, Recording *recording, int max_in_flight)
{
	memset(s, 0, sizeof(*s));
	s->context = context;
	s->recording = recording;
	s->max_in_flight = max_in_flight;
}

int
sender_in_flight(const Sender *s)
{
	return s->dispatcher != NULL ? s->transport->in_flight(s->dispatcher) : 0;
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
	s->dispatcher = s->transport->create(s->max_in_flight, cadence_wakeup_fd());
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

/*
 * Whether a whole request still fits into the lease, and its provider is still
 * ours, and open.
 */
bool
sender_may_send(const CadenceStep *step, TimestampTz now)
{
	const CadenceProvider *p = step->request.provider;
	int64 needed_ms = (int64) step->request.configuration->timeout + SENDER_LEASE_MARGIN_MS;

	return !p->gone && is_open(p, step, now) && now + needed_ms * 1000 < step->lease_end;
}

/* looked_at: when it was wanted, as far as is known. Its claim's commit may have come much later.
 */
void
sender_push(Sender *s, CadenceStep *step, TimestampTz looked_at)
{
	s->checked_at = s->queue.waiting == 0 ? looked_at : Min(s->checked_at, looked_at);
	cadence_queue_push(&s->queue, &step->request);
}

/* It is due as before, and nothing has left. */
void
sender_give_back(Sender *s, CadenceStep *step)
{
	step->outcome = OUTCOME_UNSENT;
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

/*
 * Starts as many waiting steps as their providers allow.
 */
void
sender_start(Sender *s)
{
	TimestampTz now = GetCurrentTimestamp();

	if (cadence_stop_requested() || !cadence_enabled)
	{
		sender_give_back_unsent(s);
		return;
	}
	if (s->queue.waiting > 0 && s->dispatcher == NULL)
		open_dispatcher(s);
	while (s->queue.waiting > 0 && !recording_is_full(s->recording))
	{
		CadenceRequest *request = cadence_queue_pop(&s->queue, now);

		if (request == NULL)
			break;
		start_step(s, cadence_step_of(request), now);
	}
	cadence_queue_note_blocked(&s->queue, now);
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
	s->transport->work(s->dispatcher, Max(at_most_ms, 0));
	collect(s);
}

/* Gets what was started going, without waiting. */
void
sender_poke(Sender *s)
{
	if (s->dispatcher == NULL)
		return;
	s->transport->work(s->dispatcher, 0);
	collect(s);
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
