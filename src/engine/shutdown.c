/*
 * shutdown.c
 *		The end of a pipeline that did not finish by itself.
 *
 * What is under way gets a short grace or ends by its own time-outs, what has
 * ended is recorded, and what was taken but not sent is given back.
 */
#include "postgres.h"

#include "portability/instr_time.h"

#include "base/interrupt.h"
#include "base/transaction.h"
#include "engine/pipeline.h"

/* How long transfers may take to end when the server stops. */
#define GRACE_MS 1000

/* The longest wait for transfers before a stop is looked for. */
#define WAIT_MS 1000

/* How often a worker that nobody has told to stop tries to record what it knows. */
#define RECORD_ATTEMPTS 20

static long
elapsed_ms(const instr_time *since)
{
	instr_time now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, *since);
	return (long) INSTR_TIME_GET_MILLISEC(now);
}

/*
 * A server that stops does not wait for a slow provider. Whatever else ends an
 * execution, a caller that is gone too, is no reason to break off what is under
 * way: it ends by its own time-outs.
 */
static void
drain(Pipeline *p)
{
	bool has_grace = false;
	instr_time since;

	while (sender_in_flight(&p->sender) > 0)
	{
		if (!has_grace && (cadence_stop_is_urgent() || p->in_a_hurry))
		{
			has_grace = true;
			INSTR_TIME_SET_CURRENT(since);
		}
		if (has_grace && elapsed_ms(&since) >= GRACE_MS)
			break;
		cadence_process_interrupts();
		sender_wait(&p->sender, has_grace ? GRACE_MS / 10 : WAIT_MS);
	}
	sender_abandon(&p->sender);
}

static void
record_rest(Pipeline *p)
{
	pipeline_return_usage(p);
	cadence_xact_begin(p->tables, "cadence_runner: recording before the end");
	recording_write(&p->recording);
	cadence_xact_commit();
	recording_settle(&p->recording);
}

static void
record_essentials(Pipeline *p)
{
	recording_write_essentials(&p->recording, p->tables);
}

/* What is known and not recorded becomes uncertain: a lock is worth waiting for. */
static void
record_patiently(Pipeline *p)
{
	for (int i = 0; i < RECORD_ATTEMPTS && p->recording.n > 0; i++)
	{
		if (i > 0)
			cadence_sleep(WAIT_MS);
		cadence_process_interrupts();
		(void) pipeline_try(p, record_rest);
		if (cadence_stop_is_urgent())
			return;
	}
}

/*
 * Ends a pipeline that did not finish by itself. In a hurry: everybody else's
 * steps wait for this worker to come back.
 */
void
pipeline_shutdown(Pipeline *p, bool in_a_hurry)
{
	p->in_a_hurry = in_a_hurry;
	cadence_forget_cancel();
	sender_give_back_unsent(&p->sender);
	/* others need not wait for what is under way */
	if (p->recording.n > 0 && !in_a_hurry && !cadence_stop_is_urgent())
		(void) pipeline_try(p, record_rest);
	if (!pipeline_try(p, drain))
		sender_abandon(&p->sender);
	cadence_forget_cancel();
	if (!cadence_stop_is_urgent())
		record_patiently(p);
	if (p->recording.n == 0)
		return;
	cadence_session_hurry();
	(void) pipeline_try(p, record_rest);
	if (p->recording.n == 0)
		return;
	cadence_forget_cancel();
	(void) pipeline_try(p, record_essentials);
}
