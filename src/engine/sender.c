/*
 * sender.c
 *		The sending part of a pipeline: what waits, and what is under way.
 *
 * A step that was pushed ends among what is to be recorded, whatever becomes of
 * it. When one starts is in sender_start.c.
 */
#include "postgres.h"

#include "fmgr.h"
#include "pgstat.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/interrupt.h"
#include "engine/limiting.h"
#include "engine/sender.h"
#include "provider/provider_stats.h"
#include "schema/barrier.h"

/* The longest wait while steps wait: their provider may turn out to be blocked. */
#define WAITING_MS 100

/* How old the figures that others see may become. */
#define PUBLISH_US (100 * INT64CONST(1000))

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
void
sender_open_transport(Sender *s)
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

/*
 * looked_at: when it was wanted, as far as is known. Its claim's commit may have come much
 * later.
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

/* ---- what is under way ------------------------------------------------------------------- */

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

	if (step->barrier < unsent->barrier || sender_is_late(step, unsent->now))
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
