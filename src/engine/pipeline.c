/*
 * pipeline.c
 *		The pipeline of one worker: claim, resolve, send, record.
 *
 * The stages know nothing of each other. A step goes
 *
 *		claimed -> waiting (in its provider's queue) -> in flight -> ended -> recorded
 *
 * or straight from claimed to ended when there is nothing to send. SQL and
 * transfers take turns in one process: a turn records what has ended and claims
 * what is next in one transaction, and while no turn is due the transfers have
 * the process for themselves, with no transaction open. The queue is refilled
 * before it runs dry, never a batch at a time.
 *
 * Every way out but the good one goes through shutdown.c.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/interrupt.h"
#include "base/settings.h"
#include "base/transaction.h"
#include "engine/pipeline.h"
#include "record/fold.h"
#include "schema/barrier.h"

/* ---- the transactions ------------------------------------------------------------------ */

/*
 * Leaves whatever transaction is open after an error; the error, in the
 * pipeline's memory.
 */
ErrorData *
pipeline_catch(Pipeline *p)
{
	ErrorData *error;

	MemoryContextSwitchTo(p->context);
	error = CopyErrorData();
	FlushErrorState();
	cadence_xact_abort();
	return error;
}

/* ---- the turn ---------------------------------------------------------------------------- */

bool
pipeline_is_busy(const Pipeline *p)
{
	return p->sender.queue.waiting > 0 || sender_in_flight(&p->sender) > 0 || p->recording.n > 0;
}

/* After a change of settings, or when peers share what may be under way. */
void
pipeline_resize(Pipeline *p, int max_in_flight)
{
	p->limiting.share = (double) max_in_flight / cadence_max_in_flight;
	sender_resize(&p->sender, max_in_flight);
}

static void
return_usage(Pipeline *p)
{
	cadence_xact_begin(p->tables, "cadence_runner: giving back what caps have had");
	cadence_rulings_return(p->claiming.rulings, p->recording.steps, p->recording.n);
	cadence_xact_commit();
}

/*
 * What was not sent counts for no cap. In a transaction of its own: a claim waits for what
 * another counts as the last thing. Where that fails a cap lets one less through that day.
 */
void
pipeline_return_usage(Pipeline *p)
{
	if (!cadence_rulings_owe(p->recording.steps, p->recording.n))
		return;
	(void) pipeline_try(p, return_usage);
	cadence_rulings_forget(p->recording.steps, p->recording.n);
}

/* One transaction for what has ended and what is next: that saves a commit. */
static void
record_and_claim(Pipeline *p, bool record, ClaimWanted claim)
{
	if (record)
		pipeline_return_usage(p);
	cadence_xact_begin(p->tables, "cadence_runner: recording and claiming");
	if (record)
		recording_write(&p->recording);
	if (claim != CLAIM_NOTHING && !p->recording.blocked)
		claiming_claim(&p->claiming, claim);
	cadence_xact_commit();
	if (record)
		recording_settle(&p->recording);
	claiming_accept(&p->claiming);
}

/*
 * Records, claims and starts whatever it is time for, once.
 */
void
pipeline_turn(Pipeline *p)
{
	ClaimWanted claim = claiming_wants(&p->claiming);
	bool idle = sender_in_flight(&p->sender) == 0 && p->sender.queue.waiting == 0;
	bool record = recording_is_due(&p->recording, idle, claim != CLAIM_NOTHING);

	/* both would lock states of senders, each in order: two workers could wait for each other */
	if (record && claim != CLAIM_NOTHING && recording_teaches(&p->recording))
	{
		record_and_claim(p, true, CLAIM_NOTHING);
		record = false;
	}
	if (record || claim != CLAIM_NOTHING)
		record_and_claim(p, record, claim);
	/* what has to be looked at again, and was not, is not sent */
	p->sender.held = claiming_wants_recheck(&p->claiming) && !claiming_recheck(&p->claiming);
	if (!p->sender.held)
		sender_start(&p->sender);
}

/*
 * Waits until there is something for a turn to do, at most so long. Others are
 * put in the place of what has ended, before a turn takes its time: the
 * providers are at work meanwhile.
 */
void
pipeline_wait(Pipeline *p, int at_most_ms)
{
	at_most_ms = claiming_wait_ms(&p->claiming, at_most_ms);
	sender_wait(&p->sender, recording_wait_ms(&p->recording, at_most_ms));
	if (p->sender.queue.waiting > 0 && !p->sender.held && !claiming_wants_recheck(&p->claiming))
	{
		sender_start(&p->sender);
		sender_poke(&p->sender);
	}
}

/*
 * Notes the time of a turn; true when the clock was set back since the last
 * one. What was to happen at a time that is far away now is then due at once.
 */
bool
pipeline_read_clock(Pipeline *p)
{
	TimestampTz now = GetCurrentTimestamp();
	bool went_back = now < p->now;

	p->now = now;
	if (!went_back)
		return false;
	p->recording.since = Min(p->recording.since, now);
	p->recording.not_before = Min(p->recording.not_before, now + USECS_PER_SEC);
	p->sender.checked_at = Min(p->sender.checked_at, now);
	p->claiming.not_before = Min(p->claiming.not_before, now);
	p->limiting.impatient_until = Min(p->limiting.impatient_until, now);
	p->claiming.recheck_not_before = Min(p->claiming.recheck_not_before, now);
	p->claiming.crossed_not_before = Min(p->claiming.crossed_not_before, now);
	cadence_queue_clock_went_back(&p->sender.queue, now);
	return true;
}

/* ---- beginning and end ------------------------------------------------------------------- */

void
pipeline_set_summary(Pipeline *p, CadenceSummary *summary)
{
	p->summary = p->recording.summary = summary;
}

/*
 * An empty pipeline with a summary; returns the memory context that was the
 * current one before, which is now the pipeline's own.
 */
MemoryContext
pipeline_begin(Pipeline *p, const char *trigger)
{
	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "cadence_runner pipeline", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	memset(p, 0, sizeof(*p));
	p->context = context;
	recording_init(&p->recording, context, &p->limiting);
	sender_init(&p->sender, context, &p->recording, cadence_max_in_flight, claiming_look_again,
				&p->claiming);
	claiming_init(&p->claiming, &p->sender, &p->recording, &p->limiting);
	pipeline_set_summary(p, cadence_summary_create(trigger, cadence_log_results));
	return old;
}

/*
 * Finds the tables, makes sure that they may send from here, and prepares the
 * stages for what is due at due_until.
 */
void
pipeline_prepare(Pipeline *p, Oid schema, TimestampTz due_until, int max_in_flight)
{
	MemoryContext old;

	cadence_xact_begin(NULL, "cadence_runner: starting");
	old = MemoryContextSwitchTo(p->context);
	p->tables = cadence_tables_load(schema);
	cadence_session_init(p->tables->schema_name);
	cadence_arming_check(p->tables);
	cadence_barrier_follow(p->tables->schema);
	p->providers = cadence_providers_create(p->tables->owner);
	limiting_prepare(&p->limiting, p->tables, p->providers);
	recording_prepare(&p->recording, p->tables);
	claiming_prepare(&p->claiming, p->tables, p->providers, due_until, cadence_batch_size);
	pipeline_resize(p, max_in_flight);
	MemoryContextSwitchTo(old);
	cadence_xact_commit();
}

/*
 * Runs one thing that must not prevent what comes after it; false when it
 * failed, with a warning.
 */
bool
pipeline_try(Pipeline *p, PipelineAction action)
{
	volatile bool ok = true;

	PG_TRY();
	{
		action(p);
	}
	PG_CATCH();
	{
		ErrorData *error = pipeline_catch(p);

		ok = false;
		cadence_forget_cancel();
		ereport(WARNING, (errcode(error->sqlerrcode),
						  errmsg("a part of an execution failed: %s", error->message)));
		FreeErrorData(error);
	}
	PG_END_TRY();
	return ok;
}

void
pipeline_note_failure(Pipeline *p, const ErrorData *error)
{
	p->summary->failure_sqlstate = pstrdup(unpack_sql_state(error->sqlerrcode));
	p->summary->failure_message = error->message;
}

static void
write_log(Pipeline *p)
{
	cadence_xact_begin(p->tables, "cadence_runner: logging");
	/* one that could not begin has none */
	if (p->claiming.claimant != NULL && p->recording.live == 0)
		cadence_claimant_end(p->claiming.claimant);
	cadence_log_write(p->tables, p->summary);
	cadence_xact_commit();
}

static void
end_claims(Pipeline *p)
{
	cadence_xact_begin(p->tables, "cadence_runner: forgetting claims");
	cadence_claimant_end(p->claiming.claimant);
	cadence_xact_commit();
}

/* Of a worker that does not log; what is not recorded stays claimed, and is abandoned. */
void
pipeline_end_claims(Pipeline *p)
{
	if (p->claiming.claimant != NULL && p->claiming.found > 0 && p->recording.live == 0)
		(void) pipeline_try(p, end_claims);
}

/* What others hold is said in the log, and no reason not to write one. */
static void
report_held(Pipeline *p)
{
	cadence_xact_begin(p->tables, "cadence_runner: looking for runs that others hold");
	claiming_report_held(&p->claiming);
	cadence_xact_commit();
}

/*
 * Writes the log row. finished: nothing was left that is due and free, so that
 * what is still due is held by others.
 */
void
pipeline_log(Pipeline *p, bool finished)
{
	if (finished)
		(void) pipeline_try(p, report_held);
	/* a stop may have cancelled it */
	if (!pipeline_try(p, write_log) && cadence_stop_requested())
	{
		cadence_forget_cancel();
		(void) pipeline_try(p, write_log);
	}
}

static void
prune_log(Pipeline *p)
{
	cadence_xact_begin(p->tables, "cadence_runner: removing old log rows");
	p->more_to_prune = cadence_log_prune(p->tables);
	cadence_xact_commit();
}

static void
fold(Pipeline *p)
{
	cadence_xact_begin(p->tables, "cadence_runner: folding what was counted");
	p->more_to_fold = cadence_fold(p->tables);
	p->stock_is_old = cadence_stock_is_old(p->tables);
	cadence_xact_commit();
}

static void
fold_much(Pipeline *p)
{
	cadence_xact_begin(p->tables, "cadence_runner: folding what was counted");
	p->more_to_fold = cadence_fold_is_worth(p->tables) && cadence_fold(p->tables);
	cadence_xact_commit();
}

/*
 * Puts together some of what was counted, and removes some old log rows; true when there are
 * more of either. is_awaited: somebody waits for the end of it, so a little is left to others.
 */
bool
pipeline_tidy(Pipeline *p, bool is_awaited)
{
	bool more;

	p->stock_is_old = false;
	more = pipeline_try(p, is_awaited ? fold_much : fold) && p->more_to_fold;
	return (pipeline_try(p, prune_log) && p->more_to_prune) || more;
}
