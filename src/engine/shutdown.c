/*
 * winddown.c
 *		The end of an execution that did not finish by itself.
 *
 * What is under way gets a short grace, what is done is recorded, what was taken
 * but not sent is given back, and the execution is logged, before its error
 * reaches the caller.
 */
#include "postgres.h"

#include "portability/instr_time.h"
#include "utils/memutils.h"

#include "base/interrupt.h"
#include "engine/pipeline_state.h"
#include "base/transaction.h"

/* How long transfers may take to end once the execution is told to stop. */
#define GRACE_MS 1000

/* How often a resident worker that ends tries to record what it knows. */
#define RECORD_ATTEMPTS 20

/*
 * A server that stops, or a caller that is gone, does not wait for a slow
 * provider. Whatever else ends an execution is no reason to break off what is
 * under way: each transfer ends by its own time-out. A resident worker has no
 * time for that: everybody else's steps wait for it to come back.
 */
static void
drain(Pipeline *p)
{
	bool in_a_hurry = false;
	instr_time since;

	while (pipeline_in_flight(p) > 0)
	{
		instr_time now;

		INSTR_TIME_SET_CURRENT(now);
		if (!in_a_hurry && (cadence_stop_requested() || p->resident))
		{
			in_a_hurry = true;
			since = now;
		}
		if (in_a_hurry)
		{
			INSTR_TIME_SUBTRACT(now, since);
			if (INSTR_TIME_GET_MILLISEC(now) >= GRACE_MS)
				break;
		}
		cadence_drain_wakeups();
		helpers_listen(p);
		pipeline_wait(p, in_a_hurry ? GRACE_MS / 10 : WAIT_MS);
	}
}

static void
abandon_rest(Pipeline *p)
{
	if (pipeline_in_flight(p) == 0)
		return;
	p->transport->abandon(p->dispatcher);
	pipeline_collect_done(p);
}

void
pipeline_give_back_waiting(Pipeline *p)
{
	CadenceRequest *request;

	while ((request = cadence_queue_pop_any(&p->queue)) != NULL)
		pipeline_give_back(p, cadence_step_of(request));
}

/*
 * Runs one thing that must not prevent what comes after it; false when it
 * failed, with a warning.
 */
bool
pipeline_attempt(Pipeline *p, void (*action)(Pipeline *))
{
	volatile bool ok = true;

	PG_TRY();
	{
		action(p);
	}
	PG_CATCH();
	{
		ErrorData *error = turn_catch_error(p->context);

		ok = false;
		cadence_forget_cancel();
		ereport(WARNING, (errcode(error->sqlerrcode),
						  errmsg("a part of an execution failed: %s", error->message)));
		FreeErrorData(error);
	}
	PG_END_TRY();
	return ok;
}

/*
 * A worker that comes back by itself has the time to wait for a lock: what it
 * knows and does not record becomes uncertain.
 */
static void
record_patiently(Pipeline *p)
{
	for (int i = 0; i < RECORD_ATTEMPTS && p->resident && p->done.n > 0; i++)
	{
		if (cadence_stop_requested())
			return;
		if (i > 0)
			pipeline_wait(p, WAIT_MS);
		cadence_drain_wakeups();
		pipeline_attempt(p, turn_record_rest);
	}
}

/*
 * Ends an execution that did not finish by itself.
 */
void
pipeline_wind_down(Pipeline *p)
{
	cadence_forget_cancel();
	pipeline_give_back_waiting(p);
	pipeline_attempt(p, drain);
	pipeline_attempt(p, abandon_rest);
	cadence_forget_cancel();
	record_patiently(p);
	if (cadence_stop_requested())
		cadence_session_hurry();
	if (!pipeline_attempt(p, turn_record_rest) || p->done.n > 0)
	{
		cadence_forget_cancel();
		cadence_session_hurry();
		pipeline_attempt(p, turn_record_essentials);
	}
}
