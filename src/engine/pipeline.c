/*
 * pipeline.c
 *		One execution: claim, resolve, dispatch, record, log.
 *
 * The stages know nothing of each other; this file calls them (turn.c those
 * that need a transaction). A step goes
 *
 *		claimed -> waiting (in its provider's queue) -> in flight -> done -> recorded
 *
 * or straight from claimed to done when there is nothing to send. SQL and
 * transfers take turns in one process: a turn records what is done and claims
 * what is next in one transaction, and while no turn is due the transfers have
 * the process for themselves, with no transaction open. The queue is refilled
 * before it runs dry, never a batch at a time.
 *
 * Every way out but the good one goes through winddown.c.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "schema/arming.h"
#include "base/compat.h"
#include "base/interrupt.h"
#include "resolve/message.h"
#include "engine/pipeline.h"
#include "engine/pipeline_state.h"
#include "record/runlog.h"
#include "base/settings.h"
#include "provider/provider_stats.h"
#include "base/transaction.h"

/* The same while steps wait for their providers. */
#define WAITING_MS 100

/* A finished step is recorded after this time even if few others are. */
#define RECORD_DELAY_US (200 * INT64CONST(1000))

/* How old the figures that others see may become. */
#define PUBLISH_US (100 * INT64CONST(1000))

/* Messages that are done but not recorded, and those in flight, in bytes. */
#define MESSAGE_BYTES_MAX (16 * 1024 * 1024)

int
pipeline_in_flight(const Pipeline *p)
{
	return p->dispatcher != NULL ? p->transport->in_flight(p->dispatcher) : 0;
}

/* What is done goes along with a claim, which saves a commit. */
static bool
wants_record(const Pipeline *p, TimestampTz now, bool with_claim)
{
	if (p->done.n == 0 || now < p->record_not_before)
		return false;
	return with_claim || p->done.n >= cadence_batch_size ||
		   p->message_bytes > MESSAGE_BYTES_MAX / 2 || now - p->done_since >= RECORD_DELAY_US ||
		   (pipeline_in_flight(p) == 0 && p->queue.waiting == 0);
}

/* ---- dispatch ------------------------------------------------------------------ */

/*
 * The transport is loaded when the first message is about to leave: an
 * execution that finds nothing due never pays for it.
 */
static void
open_dispatcher(Pipeline *p)
{
	MemoryContext old = MemoryContextSwitchTo(p->context);
	CadenceDispatchEntry entry = (CadenceDispatchEntry) load_external_function(
		CADENCE_DISPATCH_LIBRARY, CADENCE_DISPATCH_SYMBOL, true, NULL);

	p->transport = entry();
	if (strcmp(p->transport->version, CADENCE_VERSION) != 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("library cadence_runner_dispatch is version %s, not %s",
							   p->transport->version, CADENCE_VERSION),
						errhint("Install both libraries of one version.")));
	p->dispatcher = p->transport->create(p->max_in_flight, cadence_wakeup_fd());
	p->queue.capacity = p->transport->capacity(p->dispatcher);
	MemoryContextSwitchTo(old);
}

static void
send_step(Pipeline *p, CadenceStep *step)
{
	MemoryContext old = MemoryContextSwitchTo(step->batch->context);

	step->message = message_render(step);
	p->message_bytes += step->message_len;
	step->request.message = (MessageFields){.lead_id = step->lead_id,
											.canal = step->canal,
											.recipient = step->recipient,
											.mensagem = step->message,
											.empresa = step->empresa,
											.run_id = step->run_id_text,
											.step_ordem = step->ordem,
											.template_codigo = step->template_codigo};
	step->request.key = step->key_text;
	step->request.answer = &step->answer;
	p->transport->start(p->dispatcher, &step->request);
	MemoryContextSwitchTo(old);
}

void
pipeline_give_back(Pipeline *p, CadenceStep *step)
{
	step->outcome = OUTCOME_UNSENT;
	progress_step_done(p, step);
}

/* A step that was popped ends in the dispatcher or among what is done, error or not. */
static void
start_step(Pipeline *p, CadenceStep *step, TimestampTz now)
{
	if (!turn_may_be_sent(step, now))
	{
		cadence_queue_finished(&p->queue, &step->request);
		pipeline_give_back(p, step);
		return;
	}
	PG_TRY();
	{
		send_step(p, step);
	}
	PG_CATCH();
	{
		cadence_queue_finished(&p->queue, &step->request);
		pipeline_give_back(p, step);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

static void
start_waiting(Pipeline *p)
{
	TimestampTz now = GetCurrentTimestamp();

	if (p->queue.waiting > 0 && p->dispatcher == NULL)
		open_dispatcher(p);
	while (p->queue.waiting > 0 && !p->record_blocked && p->message_bytes < MESSAGE_BYTES_MAX)
	{
		CadenceRequest *request = cadence_queue_pop(&p->queue, now);

		if (request == NULL)
			break;
		start_step(p, cadence_step_of(request), now);
	}
	cadence_queue_note_blocked(&p->queue, now);
}

void
pipeline_collect_done(Pipeline *p)
{
	CadenceRequest *request;

	while ((request = p->transport->next_done(p->dispatcher)) != NULL)
	{
		CadenceStep *step = cadence_step_of(request);

		cadence_queue_finished(&p->queue, request);
		step->outcome = step->answer.outcome;
		step->reason.code = step->answer.code;
		step->reason.text = step->answer.reason;
		if (step->outcome != OUTCOME_SENT || !request->configuration->record_message)
			progress_release_message(p, step);
		progress_step_done(p, step);
	}
}

static void
report_activity(Pipeline *p, TimestampTz now)
{
	char activity[128];

	snprintf(activity, sizeof(activity), "cadence_runner: %d in flight, %d waiting, %d to record",
			 pipeline_in_flight(p), p->queue.waiting, p->done.n);
	pgstat_report_activity(STATE_RUNNING, activity);
	if (now - p->published_at >= PUBLISH_US || now < p->published_at)
	{
		p->published_at = now;
		cadence_provider_stats_publish(p->queue.providers);
	}
}

/* The latch alone would not do: a wait for a lock inside a transaction may have reset it. */
static void
sleep_until_woken(int at_most_ms)
{
	(void) WaitLatchOrSocket(MyLatch,
							 WL_LATCH_SET | WL_SOCKET_READABLE | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
							 cadence_wakeup_fd(), Max(at_most_ms, 0), PG_WAIT_EXTENSION);
}

/*
 * Puts others in the place of what has ended, before a turn takes its time: the
 * providers are at work meanwhile. Not when what waits must be looked at first.
 */
static void
refill(Pipeline *p)
{
	if (p->queue.waiting == 0 || turn_wants_recheck(p, GetCurrentTimestamp()))
		return;
	start_waiting(p);
	p->transport->work(p->dispatcher, 0);
	pipeline_collect_done(p);
}

/* Waits for transfers, or for anything else when there never was one. */
void
pipeline_wait(Pipeline *p, int at_most_ms)
{
	TimestampTz now = GetCurrentTimestamp();

	if (p->done.n > 0)
		at_most_ms = Min(at_most_ms, RECORD_DELAY_US / 1000);
	/* a provider may turn out to be held up */
	if (p->queue.waiting > 0)
		at_most_ms = Min(at_most_ms, WAITING_MS);
	if (!p->record_blocked && p->message_bytes < MESSAGE_BYTES_MAX)
		at_most_ms = cadence_queue_wait_ms(&p->queue, now, at_most_ms);
	report_activity(p, now);
	if (p->dispatcher == NULL)
	{
		sleep_until_woken(at_most_ms);
		return;
	}
	p->transport->work(p->dispatcher, Max(at_most_ms, 0));
	pipeline_collect_done(p);
	refill(p);
}

/* ---- the execution --------------------------------------------------------------- */

void
pipeline_prepare(Pipeline *p)
{
	MemoryContext old;

	cadence_xact_begin(NULL, "cadence_runner: starting");
	old = MemoryContextSwitchTo(p->context);
	p->tables = cadence_tables_load(p->shared->schema);
	cadence_session_init(p->tables->schema_name);
	p->log = cadence_log_create(p->tables);
	cadence_arming_check(p->tables);
	p->providers = cadence_providers_create(p->tables->owner);
	p->positions = cadence_positions_create(p->tables, false);
	p->recorder = cadence_recorder_create(p->tables);
	p->orphans = cadence_orphans_create(p->tables);
	p->leases = cadence_leases_create(p->tables);
	p->claims = cadence_claims_create(
		p->tables, p->company != NULL ? p->company->due_until : p->summary->started_at,
		cadence_batch_size);
	if (p->company != NULL)
	{
		cadence_claims_share(p->claims, &p->company->cursor);
		cadence_session_quiet();
	}
	p->max_in_flight = p->company != NULL ? p->company->max_in_flight : cadence_max_in_flight;
	MemoryContextSwitchTo(old);
	cadence_xact_commit();
}

bool
pipeline_is_busy(const Pipeline *p)
{
	return p->queue.waiting > 0 || pipeline_in_flight(p) > 0 || p->done.n > 0;
}

static int
longest_wait(const Pipeline *p)
{
	if (p->claim_denied)
		return CLAIM_DENIED_WAIT_MS;
	return turn_wants_claim(p) != CLAIM_NOTHING ? 0 : WAIT_MS;
}

/* Records, claims and starts whatever it is time for, once. */
void
pipeline_turn(Pipeline *p)
{
	ClaimKind claim;
	bool record;

	claim = turn_begin_claim(p);
	record = wants_record(p, GetCurrentTimestamp(), claim != CLAIM_NOTHING);
	if (record || claim != CLAIM_NOTHING)
		turn_take(p, record, claim);
	if (waiters_may_begin(p))
		progress_tell_all_taken(p);
	/* A lock may be in its way: what was not looked at again is not sent. */
	if (!turn_wants_recheck(p, GetCurrentTimestamp()) || pipeline_attempt(p, turn_recheck))
		start_waiting(p);
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
	p->done_since = Min(p->done_since, now);
	p->checked_at = Min(p->checked_at, now);
	p->record_not_before = Min(p->record_not_before, now + USECS_PER_SEC);
	p->claim_not_before = Min(p->claim_not_before, now);
	cadence_queue_clock_went_back(&p->queue, now);
	return true;
}

static bool
is_finished(const Pipeline *p)
{
	return p->exhausted && p->orphans_sought && !pipeline_is_busy(p);
}

/* Once, and not before the first messages are under way: it may take its time. */
static void
seek_orphans(Pipeline *p)
{
	if (p->orphans_sought)
		return;
	p->orphans_sought = true;
	pipeline_attempt(p, turn_release_orphans);
	pipeline_attempt(p, turn_note_halted);
	pipeline_attempt(p, turn_forget_claims);
}

static void
run_until_finished(Pipeline *p)
{
	while (!is_finished(p))
	{
		cadence_process_interrupts();
		helpers_listen(p);
		if (cadence_stop_requested() || !cadence_enabled || helpers_are_ending(p))
			return;
		(void) pipeline_read_clock(p);
		pipeline_turn(p);
		seek_orphans(p);
		if (pipeline_in_flight(p) > 0 || p->queue.waiting > 0 || p->record_not_before > 0 ||
			p->claim_denied)
			pipeline_wait(p, longest_wait(p));
	}
}

/* ---- the whole ----------------------------------------------------------------- */

static void
write_log(Pipeline *p)
{
	cadence_summary_finish(p->summary);
	cadence_xact_begin(p->tables, "cadence_runner: logging");
	cadence_log_write(p->log, p->summary);
	cadence_xact_commit();
}

void
pipeline_prune_log(Pipeline *p)
{
	cadence_xact_begin(p->tables, "cadence_runner: removing old log rows");
	p->more_to_prune = cadence_log_prune(p->log);
	cadence_xact_commit();
}

static ErrorData *
stopped_error(void)
{
	ErrorData *error = palloc0(sizeof(*error));

	error->elevel = ERROR;
	if (cadence_enabled)
	{
		error->sqlerrcode = ERRCODE_ADMIN_SHUTDOWN;
		error->message = pstrdup("the execution was stopped before it had finished");
		error->hint = pstrdup("What it had not sent is due as before; the log row has the counts.");
	}
	else
	{
		error->sqlerrcode = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
		error->message = pstrdup("cadence_runner was switched off during the execution");
	}
	return error;
}

/* A stop cancels the statement that it meets: that is how it was heard, not what went wrong. */
static bool
was_stopped(const Pipeline *p, const ErrorData *error)
{
	if (error == NULL)
		return !is_finished(p);
	return cadence_stop_requested() && error->sqlerrcode == ERRCODE_QUERY_CANCELED;
}

static ErrorData *
run(Pipeline *p)
{
	ErrorData *volatile error = NULL;

	PG_TRY();
	{
		pipeline_prepare(p);
		run_until_finished(p);
	}
	PG_CATCH();
	{
		error = turn_catch_error(p->context);
	}
	PG_END_TRY();
	return error;
}

void
pipeline_note_failure(Pipeline *p, const ErrorData *error)
{
	p->summary->failure_sqlstate = pstrdup(unpack_sql_state(error->sqlerrcode));
	p->summary->failure_message = error->message;
}

/* Runs the pipeline to its end, whichever; the error, NULL if there was none. */
static ErrorData *
run_to_the_end(Pipeline *p)
{
	ErrorData *error = run(p);

	if (was_stopped(p, error))
		error = stopped_error();
	/* in this order: what is not to be claimed any more must not be free for a moment */
	if (error != NULL)
		helpers_stop(p);
	helpers_unlock_claims(p);
	if (error != NULL && p->tables != NULL)
		pipeline_wind_down(p);
	return error;
}

/* They are waited for whatever happens: their claims must not outlive the execution's log. */
static void
wait_for_helpers(Pipeline *p)
{
	if (pipeline_attempt(p, helpers_wait))
		return;
	helpers_stop(p);
	cadence_forget_cancel();
	pipeline_attempt(p, helpers_wait);
}

void
pipeline_log(Pipeline *p)
{
	/* a stop may have cancelled it */
	if (!pipeline_attempt(p, write_log) && cadence_stop_requested())
	{
		cadence_forget_cancel();
		pipeline_attempt(p, write_log);
	}
}

/* After a change of settings. */
void
pipeline_resize(Pipeline *p)
{
	p->max_in_flight = cadence_max_in_flight;
	if (p->dispatcher == NULL)
		return;
	p->transport->resize(p->dispatcher, p->max_in_flight);
	p->queue.capacity = p->transport->capacity(p->dispatcher);
}

MemoryContext
pipeline_begin(Pipeline *p, CadenceShared *shared)
{
	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "cadence_runner execution", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	memset(p, 0, sizeof(*p));
	p->context = context;
	p->shared = shared;
	p->summary = cadence_summary_create(shared->trigger, cadence_log_results);
	return old;
}

/*
 * One execution over all that is due now; returns its summary as JSON. Needs a
 * session connected as the tables' owner.
 *
 * An error is raised after it was logged.
 */
StringInfo
cadence_pipeline_execute(CadenceShared *shared)
{
	List *seen_waiting = waiters_see();
	Pipeline p;
	MemoryContext old = pipeline_begin(&p, shared);
	ErrorData *error;
	StringInfo json;

	p.seen_waiting = seen_waiting;
	error = run_to_the_end(&p);
	wait_for_helpers(&p);
	if (error == NULL)
		error = p.helper_error;
	if (error != NULL)
		pipeline_note_failure(&p, error);
	if (p.log != NULL)
		pipeline_log(&p);
	if (error == NULL)
	{
		waiters_answer(&p);
		pipeline_attempt(&p, pipeline_prune_log);
	}
	pipeline_attempt(&p, helpers_end);
	if (error != NULL)
		ThrowErrorData(error);
	MemoryContextSwitchTo(old);
	json = makeStringInfo();
	appendStringInfoString(json, cadence_summary_json(p.summary));
	MemoryContextDelete(p.context);
	return json;
}

/*
 * A helper's part of an execution; returns its share of the summary and its
 * error, NULL if there was none: what it has done counts all the same.
 */
StringInfo
cadence_pipeline_help(CadenceShared *shared, ErrorData **error)
{
	Pipeline p;

	pipeline_begin(&p, shared);
	p.company = shared;
	p.alone = p.orphans_sought = true;
	*error = run_to_the_end(&p);
	return cadence_summary_share(p.summary);
}
