/*
 * pipeline.c
 *		One execution: claim, resolve, dispatch, record, log.
 *
 * The stages know nothing of each other; this file calls them. A step goes
 *
 *		claimed -> waiting (in its provider's queue) -> in flight -> done -> recorded
 *
 * or straight from claimed to done when there is nothing to send. SQL and
 * transfers take turns in one process: a turn records what is done and claims
 * what is next in one transaction, and while no turn is due the transfers have
 * the process for themselves, with no transaction open. The queue is refilled
 * before it runs dry, never a batch at a time.
 *
 * Every way out goes through wind_down(): what is under way gets a short
 * grace, what is done is recorded, what was taken but not sent is given back,
 * and the execution is logged, before its error reaches the caller.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "claim.h"
#include "compat.h"
#include "dispatch.h"
#include "interrupt.h"
#include "pipeline.h"
#include "provider.h"
#include "queue.h"
#include "record.h"
#include "resolve.h"
#include "row.h"
#include "runlog.h"
#include "settings.h"
#include "summary.h"
#include "transaction.h"

/* How long transfers may take to end once the execution is told to stop. */
#define GRACE_MS 1000

/* The longest wait for transfers before something else is looked at. */
#define WAIT_MS 1000

/* A finished step is recorded after this time even if few others are. */
#define RECORD_DELAY_US (200 * INT64CONST(1000))

/* Messages that are done but not recorded, and those in flight, in bytes. */
#define MESSAGE_BYTES_MAX (16 * 1024 * 1024)

/* Waiting steps, in batches: a provider that is held up must not fill the memory. */
#define WAITING_BATCHES_MAX 10

/* A step is not sent so late that its answer could come after its lease. */
#define LEASE_MARGIN_MS 10000

/* How often a claim waits for a lock (a second each time) before it gives up. */
#define CLAIM_LOCK_ATTEMPTS 10

/* Runs in a row that can not be claimed, each for an error of its own. */
#define CLAIM_FAILURES_MAX 20

typedef struct StepList
{
	CadenceStep **steps;
	int n;
	int capacity;
} StepList;

typedef struct Pipeline
{
	MemoryContext context;
	const CadenceTables *tables;
	CadenceProviders *providers;
	CadenceClaims *claims;
	CadenceRecorder *recorder;
	CadenceSummary *summary;
	const CadenceDispatchFunctions *transport;
	CadenceDispatcher *dispatcher; /* made when there is something to send */
	CadenceQueue queue;

	StepList done; /* ended, not yet recorded */
	TimestampTz done_since;
	size_t message_bytes;
	bool exhausted; /* nothing due is left to claim */
	TimestampTz record_not_before;
	int apart;	 /* so many turns to come record and claim in transactions of their own */
	int careful; /* so many claims to come are made one run at a time */
	int lock_failures;
	int claim_failures;
} Pipeline;

/* ---- steps and their memory ---------------------------------------------- */

static void
list_add(Pipeline *p, StepList *list, CadenceStep *step)
{
	if (list->n == list->capacity)
	{
		list->capacity = Max(list->capacity * 2, 64);
		list->steps = list->steps != NULL
						  ? repalloc(list->steps, list->capacity * sizeof(CadenceStep *))
						  : MemoryContextAlloc(p->context, list->capacity * sizeof(CadenceStep *));
	}
	list->steps[list->n++] = step;
}

static CadenceBatch *
new_batch(Pipeline *p)
{
	MemoryContext context =
		AllocSetContextCreate(p->context, "cadence_runner batch", ALLOCSET_DEFAULT_SIZES);
	CadenceBatch *batch = MemoryContextAllocZero(context, sizeof(*batch));

	batch->context = context;
	cadence_uuid_v7(&batch->claim_id);
	return batch;
}

static void
release_message(Pipeline *p, CadenceStep *step)
{
	if (step->message == NULL)
		return;
	p->message_bytes -= step->message_len;
	pfree(step->message);
	step->message = NULL;
}

static void
release_step(Pipeline *p, CadenceStep *step)
{
	CadenceBatch *batch = step->batch;

	release_message(p, step);
	if (--batch->live == 0)
		MemoryContextDelete(batch->context);
}

static void
step_is_done(Pipeline *p, CadenceStep *step)
{
	if (p->done.n == 0)
		p->done_since = GetCurrentTimestamp();
	list_add(p, &p->done, step);
}

/* ---- results --------------------------------------------------------------- */

static const char *
result_status(const CadenceStep *step)
{
	if (step->record_problem != NULL)
		return "ERRO";
	switch (step->outcome)
	{
		case OUTCOME_SENT:
			return step->has_next ? "DISPARADO" : "CONCLUIDA";
		case OUTCOME_NO_STEP:
			return "CONCLUIDA";
		case OUTCOME_WAITING:
			return "SKIPPED";
		default:
			return "ERRO";
	}
}

static const char *
result_message(const CadenceStep *step)
{
	if (step->record_problem != NULL)
		return psprintf("%s, but not fully recorded: %s",
						step->outcome == OUTCOME_SENT ? "sent" : step->reason.text,
						step->record_problem);
	switch (step->outcome)
	{
		case OUTCOME_SENT:
			return psprintf("sent by %s%s", step->canal,
							step->lost ? ", but the run had been taken by somebody else" : "");
		case OUTCOME_NO_STEP:
			return "no step was left";
		default:
			return step->reason.text;
	}
}

/*
 * A step that was given back is due as before: it does not count. What is made
 * for the report goes with the step's batch.
 */
static void
report_step(Pipeline *p, const CadenceStep *step)
{
	MemoryContext old = MemoryContextSwitchTo(step->batch->context);
	SummaryResult result = {.run_id = step->run_id_text,
							.lead_id = step->lead_id,
							.has_step = step->has_step,
							.step_ordem = step->ordem,
							.template_codigo = step->template_codigo};

	if (step->outcome != OUTCOME_UNSENT)
	{
		result.status = result_status(step);
		result.message = result_message(step);
		cadence_summary_add(p->summary, &result);
	}
	MemoryContextSwitchTo(old);
}

static void
report_run(Pipeline *p, const DueRun *run, const char *status, const char *message)
{
	char id[UUID_TEXT_SIZE];
	SummaryResult result = {.run_id = id,
							.lead_id = run->lead_id,
							.has_step = run->step_ordem >= 0,
							.step_ordem = run->step_ordem,
							.status = status,
							.message = message};

	cadence_uuid_text(&run->id, id);
	cadence_summary_add(p->summary, &result);
}

static void
report_skipped(Pipeline *p, const ClaimResult *claim)
{
	for (int i = 0; i < claim->nseen; i++)
		if (!claim->seen[i].claimed)
			report_run(p, &claim->seen[i], "SKIPPED", "held or moved by somebody else");
}

/* ---- record ------------------------------------------------------------------ */

/* After the commit: what was recorded is reported and forgotten, the rest stays. */
static void
settle_done(Pipeline *p, bool all)
{
	int kept = 0;

	for (int i = 0; i < p->done.n; i++)
	{
		CadenceStep *step = p->done.steps[i];

		if (!all && !step->recorded)
		{
			p->done.steps[kept++] = step;
			continue;
		}
		report_step(p, step);
		release_step(p, step);
	}
	p->done.n = kept;
	p->done_since = GetCurrentTimestamp();
}

/* The batch was refused: each step for itself. */
static void
record_one_by_one(Pipeline *p)
{
	cadence_xact_begin(p->tables, "cadence_runner: recording one by one");
	cadence_record_one_by_one(p->recorder, p->done.steps, p->done.n);
	cadence_xact_commit();
	settle_done(p, false);
	p->record_not_before = p->done.n > 0 ? GetCurrentTimestamp() + USECS_PER_SEC : 0;
}

/* ---- claim ------------------------------------------------------------------- */

static int
longest_timeout(const Pipeline *p)
{
	int longest = cadence_request_timeout;
	ListCell *cell;

	foreach (cell, cadence_providers_list(p->providers))
		longest = Max(longest, ((CadenceProvider *) lfirst(cell))->timeout);
	return longest;
}

/* A lease outlives two of the slowest requests, whatever the setting says. */
static TimestampTz
lease_end(const Pipeline *p)
{
	int64 lease_ms =
		Max((int64) cadence_lease * 1000, (int64) longest_timeout(p) * 2 + LEASE_MARGIN_MS * 2);

	return GetCurrentTimestamp() + lease_ms * 1000;
}

static void
resolve_rows(Pipeline *p, CadenceBatch *batch, const ClaimResult *claim, CadenceStep **steps)
{
	MemoryContext old = MemoryContextSwitchTo(batch->context);
	CadenceResolver *resolver;

	if (claim->nrows > 0)
	{
		resolver = cadence_resolver_create(claim->desc, p->providers);
		for (int i = 0; i < claim->nrows; i++)
		{
			const DueRun *run = &claim->seen[claim->row_seen[i]];

			steps[i] = cadence_resolve(resolver, claim->rows[i], run->interrupted);
			steps[i]->batch = batch;
			steps[i]->due = run->due;
		}
	}
	MemoryContextSwitchTo(old);
}

/* The claim is committed: its steps go where they belong. */
static void
accept_claim(Pipeline *p, CadenceBatch *batch, const ClaimResult *claim, CadenceStep **steps)
{
	cadence_claim_commit(p->claims);
	p->exhausted = claim->last;
	p->lock_failures = p->claim_failures = 0;
	report_skipped(p, claim);
	batch->live = claim->nrows;
	for (int i = 0; i < claim->nrows; i++)
	{
		if (steps[i]->outcome == OUTCOME_PENDING)
			cadence_queue_push(&p->queue, steps[i]);
		else
			step_is_done(p, steps[i]);
	}
	if (batch->live == 0)
		MemoryContextDelete(batch->context);
}

static bool
is_about_one_run(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
		case ERRCODE_INTERNAL_ERROR:
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
		case ERRCODE_TRANSACTION_ROLLBACK:
			return false;
		default:
			return sqlstate != ERRCODE_UNDEFINED_TABLE && sqlstate != ERRCODE_UNDEFINED_OBJECT &&
				   sqlstate != ERRCODE_INSUFFICIENT_PRIVILEGE;
	}
}

/*
 * A run that its own table refuses to have claimed: said in the summary, and
 * the next look starts behind it.
 */
static void
give_up_run(Pipeline *p, const ClaimResult *claim, const ErrorData *error)
{
	cadence_claim_commit(p->claims);
	p->exhausted = claim->last;
	p->claim_failures++;
	report_run(p, &claim->seen[0], "ERRO", error->message);
	ereport(WARNING, (errcode(error->sqlerrcode),
					  errmsg("a due run could not be claimed: %s", error->message)));
}

/*
 * A claim failed and was undone. A lock may be free the next time; an error
 * that one row caused is found by claiming one run at a time for a while.
 * Anything else ends the execution.
 */
static void
claim_failed(Pipeline *p, const ClaimResult *claim, ErrorData *error)
{
	if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE &&
		++p->lock_failures < CLAIM_LOCK_ATTEMPTS && !cadence_stop_requested())
		return;
	if (!is_about_one_run(error->sqlerrcode) || claim->nseen == 0 ||
		p->claim_failures >= CLAIM_FAILURES_MAX)
		ThrowErrorData(error);
	if (p->careful == 0)
		p->careful = p->apart = cadence_batch_size;
	else
		give_up_run(p, claim, error);
}

/* One claim in a transaction of its own or, with records to write, in theirs. */
static void
claim_and_resolve(Pipeline *p, CadenceBatch *batch, ClaimResult *claim, CadenceStep ***steps)
{
	MemoryContext old;

	cadence_providers_refresh(p->providers);
	p->queue.providers = cadence_providers_list(p->providers);
	old = MemoryContextSwitchTo(batch->context);
	cadence_claim(p->claims, &batch->claim_id, lease_end(p), p->careful > 0 ? 1 : 0, claim);
	*steps = palloc(sizeof(CadenceStep *) * Max(claim->nrows, 1));
	MemoryContextSwitchTo(old);
	resolve_rows(p, batch, claim, *steps);
}

static ErrorData *
catch_error(MemoryContext context)
{
	ErrorData *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	cadence_xact_abort();
	return error;
}

/*
 * One transaction that records what is done, claims what is next, or both.
 *
 * When both fail together nobody knows whose fault it is: what is done is
 * recorded step by step, and for a while the two go apart.
 */
static void
transact(Pipeline *p, bool with_record, bool with_claim)
{
	CadenceBatch *volatile batch = with_claim ? new_batch(p) : NULL;
	ClaimResult claim = {0};
	CadenceStep **steps = NULL;
	ErrorData *volatile error = NULL;

	PG_TRY();
	{
		cadence_xact_begin(p->tables, "cadence_runner: recording and claiming");
		if (with_record)
			cadence_record(p->recorder, p->done.steps, p->done.n);
		if (with_claim)
			claim_and_resolve(p, batch, &claim, &steps);
		cadence_xact_commit();
	}
	PG_CATCH();
	{
		error = catch_error(p->context);
	}
	PG_END_TRY();

	if (error == NULL)
	{
		if (with_record)
			settle_done(p, true);
		if (with_claim)
			accept_claim(p, batch, &claim, steps);
		return;
	}
	if (with_record)
	{
		p->apart = cadence_batch_size;
		record_one_by_one(p);
	}
	else
		claim_failed(p, &claim, error);
	if (batch != NULL)
		MemoryContextDelete(batch->context);
	FreeErrorData(error);
}

static void
take_turn(Pipeline *p, bool with_record, bool with_claim)
{
	if (p->apart == 0)
	{
		transact(p, with_record, with_claim);
		return;
	}
	p->apart--;
	if (with_record)
		transact(p, true, false);
	if (with_claim)
	{
		p->careful = Max(p->careful - 1, 0);
		transact(p, false, true);
	}
}

/* Before the queue runs dry, but not without end for a provider that is held up. */
static bool
wants_claim(const Pipeline *p)
{
	int low_water = Min(cadence_max_in_flight, (cadence_batch_size + 1) / 2);
	int most = cadence_batch_size * (WAITING_BATCHES_MAX - 1);

	return !p->exhausted && p->queue.waiting <= most &&
		   cadence_queue_ready(&p->queue, GetCurrentTimestamp()) < low_water;
}

static int
in_flight(const Pipeline *p)
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
		   (in_flight(p) == 0 && p->queue.waiting == 0);
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
	p->dispatcher = p->transport->create(cadence_max_in_flight, cadence_wakeup_fd());
	MemoryContextSwitchTo(old);
}

/* Whether a whole request still fits into the lease, and its provider is still ours. */
static bool
may_be_sent(const CadenceStep *step, TimestampTz now)
{
	int64 needed_ms = (int64) step->provider->timeout + LEASE_MARGIN_MS;

	return !step->provider->gone && now + needed_ms * 1000 < step->lease_end;
}

static void
start_step(Pipeline *p, CadenceStep *step, TimestampTz now)
{
	MemoryContext old;

	if (!may_be_sent(step, now))
	{
		cadence_queue_finished(step);
		step->outcome = OUTCOME_UNSENT;
		step_is_done(p, step);
		return;
	}
	if (p->dispatcher == NULL)
		open_dispatcher(p);
	old = MemoryContextSwitchTo(step->batch->context);
	step->message = cadence_render_message(step);
	p->message_bytes += step->message_len;
	p->transport->start(p->dispatcher, step);
	MemoryContextSwitchTo(old);
}

static void
start_waiting(Pipeline *p)
{
	TimestampTz now = GetCurrentTimestamp();

	while (p->queue.waiting > 0 && p->message_bytes < MESSAGE_BYTES_MAX)
	{
		CadenceStep *step;

		if (p->dispatcher != NULL && in_flight(p) >= p->transport->capacity(p->dispatcher))
			break;
		step = cadence_queue_pop(&p->queue, now);
		if (step == NULL)
			break;
		start_step(p, step, now);
	}
}

static void
collect_done(Pipeline *p)
{
	CadenceStep *step;

	while ((step = p->transport->next_done(p->dispatcher)) != NULL)
	{
		cadence_queue_finished(step);
		if (step->outcome != OUTCOME_SENT || !step->provider->record_message)
			release_message(p, step);
		step_is_done(p, step);
	}
}

static void
report_activity(const Pipeline *p)
{
	char activity[128];

	snprintf(activity, sizeof(activity), "cadence_runner: %d in flight, %d waiting, %d to record",
			 in_flight(p), p->queue.waiting, p->done.n);
	pgstat_report_activity(STATE_RUNNING, activity);
}

static void
wait_for_transfers(Pipeline *p, int at_most_ms)
{
	TimestampTz now = GetCurrentTimestamp();

	if (p->done.n > 0)
		at_most_ms = Min(at_most_ms, RECORD_DELAY_US / 1000);
	at_most_ms = cadence_queue_wait_ms(&p->queue, now, at_most_ms);
	if (p->dispatcher == NULL)
		open_dispatcher(p);
	report_activity(p);
	p->transport->work(p->dispatcher, Max(at_most_ms, 0));
	collect_done(p);
}

/* ---- the execution --------------------------------------------------------------- */

static void
prepare(Pipeline *p, Oid schema)
{
	MemoryContext old;

	cadence_xact_begin(NULL, "cadence_runner: starting");
	old = MemoryContextSwitchTo(p->context);
	p->tables = cadence_tables_load(schema);
	cadence_session_init(p->tables->schema_name);
	p->providers = cadence_providers_create(p->tables->owner);
	p->recorder = cadence_recorder_create(p->tables);
	p->claims = cadence_claims_create(p->tables, p->summary->started_at, cadence_batch_size);
	MemoryContextSwitchTo(old);
	cadence_xact_commit();
}

static bool
is_finished(const Pipeline *p)
{
	return p->exhausted && p->queue.waiting == 0 && in_flight(p) == 0 && p->done.n == 0;
}

static void
run_until_finished(Pipeline *p)
{
	while (!is_finished(p))
	{
		bool claim;
		bool record;

		cadence_process_interrupts();
		if (cadence_stop_requested() || !cadence_enabled)
			return;
		claim = wants_claim(p);
		record = wants_record(p, GetCurrentTimestamp(), claim);
		if (record || claim)
			take_turn(p, record, claim);
		start_waiting(p);
		if (in_flight(p) > 0 || p->queue.waiting > 0 || p->record_not_before > 0)
			wait_for_transfers(p, wants_claim(p) ? 0 : WAIT_MS);
	}
}

/* ---- every way out ----------------------------------------------------------------- */

static void
give_grace(Pipeline *p)
{
	TimestampTz until = GetCurrentTimestamp() + GRACE_MS * 1000;

	while (in_flight(p) > 0 && GetCurrentTimestamp() < until)
		wait_for_transfers(p, Min(GRACE_MS / 10, WAIT_MS));
	if (in_flight(p) > 0)
	{
		p->transport->abandon(p->dispatcher);
		collect_done(p);
	}
}

static void
give_back_waiting(Pipeline *p)
{
	CadenceStep *step;

	while ((step = cadence_queue_pop_any(&p->queue)) != NULL)
	{
		step->outcome = OUTCOME_UNSENT;
		step_is_done(p, step);
	}
}

/*
 * Runs one thing that must not prevent what comes after it; false when it
 * failed, with a warning.
 */
static bool
attempt(Pipeline *p, void (*action)(Pipeline *))
{
	volatile bool ok = true;

	PG_TRY();
	{
		action(p);
	}
	PG_CATCH();
	{
		ErrorData *error = catch_error(p->context);

		ok = false;
		ereport(WARNING, (errcode(error->sqlerrcode),
						  errmsg("an execution could not end properly: %s", error->message)));
		FreeErrorData(error);
	}
	PG_END_TRY();
	return ok;
}

static void
record_rest(Pipeline *p)
{
	if (p->done.n > 0)
		transact(p, true, false);
	if (p->done.n > 0)
		record_one_by_one(p);
}

static void
write_log(Pipeline *p)
{
	cadence_summary_finish(p->summary);
	cadence_xact_begin(p->tables, "cadence_runner: logging");
	cadence_log_write(p->tables, p->summary);
	cadence_xact_commit();
}

static void
prune_log(Pipeline *p)
{
	cadence_xact_begin(p->tables, "cadence_runner: removing old log rows");
	cadence_log_prune(p->tables);
	cadence_xact_commit();
}

/*
 * Ends an execution that did not finish by itself.
 */
static void
wind_down(Pipeline *p)
{
	cadence_forget_cancel();
	if (cadence_stop_requested())
		cadence_session_hurry();
	attempt(p, give_grace);
	give_back_waiting(p);
	if (!attempt(p, record_rest))
	{
		cadence_session_hurry();
		attempt(p, record_rest);
	}
}

static ErrorData *
stopped_error(void)
{
	ErrorData *error = palloc0(sizeof(*error));

	error->elevel = ERROR;
	if (cadence_stop_requested())
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

/* A stop also cancels the statement that it meets: that is how it was heard, not what went wrong.
 */
static bool
was_stopped(const Pipeline *p, const ErrorData *error)
{
	if (error == NULL)
		return !is_finished(p);
	return cadence_stop_requested() && error->sqlerrcode == ERRCODE_QUERY_CANCELED;
}

static ErrorData *
run(Pipeline *p, Oid schema)
{
	ErrorData *volatile error = NULL;

	PG_TRY();
	{
		prepare(p, schema);
		run_until_finished(p);
	}
	PG_CATCH();
	{
		error = catch_error(p->context);
	}
	PG_END_TRY();
	return error;
}

/*
 * One execution over all that is due now, in the tables of a schema; returns
 * its summary as JSON. Needs a session connected as the tables' owner.
 *
 * An error is raised after it was logged.
 */
char *
cadence_pipeline_execute(Oid schema, const char *trigger)
{
	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "cadence_runner execution", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Pipeline p = {.context = context};
	ErrorData *error;

	p.summary = cadence_summary_create(trigger, cadence_log_results);
	error = run(&p, schema);
	if (was_stopped(&p, error))
		error = stopped_error();
	if (error != NULL)
	{
		p.summary->failure_sqlstate = pstrdup(unpack_sql_state(error->sqlerrcode));
		p.summary->failure_message = error->message;
		if (p.tables != NULL)
			wind_down(&p);
	}
	if (p.tables != NULL)
	{
		if (!attempt(&p, write_log))
		{
			cadence_forget_cancel();
			attempt(&p, write_log);
		}
		if (error == NULL)
			attempt(&p, prune_log);
	}
	if (error != NULL)
		ThrowErrorData(error);
	MemoryContextSwitchTo(old);
	return cadence_summary_json(p.summary);
}
