/*
 * turn.c
 *		The transactions of an execution: each records what is done, claims what
 *		is next, or both.
 *
 * A transaction that fails is undone whole, and what it should have recorded
 * has been sent: those steps are then recorded one by one. A claim that fails
 * has taken nothing: it is tried again one run at a time, to find the run that
 * its own table refuses.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "schema/arming.h"
#include "claim/claimant.h"
#include "schema/extension.h"
#include "base/interrupt.h"
#include "engine/pipeline_state.h"
#include "resolve/resolve.h"
#include "base/settings.h"
#include "base/sqlerror.h"
#include "base/transaction.h"

/* Waiting steps, in batches: a provider that is held up must not fill the memory. */
#define WAITING_BATCHES_MAX 10

/* How often a claim waits for a lock (a second each time) before it gives up. */
#define CLAIM_LOCK_ATTEMPTS 10

/* The pause between two of those attempts: a lock may be refused without a wait. */
#define CLAIM_LOCK_PAUSE_US (100 * INT64CONST(1000))

/* How old the knowledge that a waiting message is still wanted may become. */
#define RECHECK_US USECS_PER_SEC

static void
report_skipped(Pipeline *p, const ClaimResult *claim)
{
	for (int i = 0; i < claim->nseen; i++)
		if (claim->seen[i].row == NULL)
			progress_report_run(p, &claim->seen[i], "SKIPPED", "held or moved by somebody else");
}

/* The batch was refused: each step for itself. */
static void
record_one_by_one(Pipeline *p)
{
	cadence_xact_begin(p->tables, "cadence_runner: recording one by one");
	p->record_blocked = !cadence_record_one_by_one(p->recorder, p->done.steps, p->done.n);
	cadence_xact_commit();
	progress_settle(p, false);
	p->record_not_before = p->done.n > 0 ? GetCurrentTimestamp() + USECS_PER_SEC : 0;
}

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

/* The steps come in due order, as the runs were seen. */
static void
resolve_rows(Pipeline *p, CadenceBatch *batch, const ClaimResult *claim, CadenceStep **steps)
{
	MemoryContext old;
	CadenceResolver *resolver;
	int n = 0;

	if (claim->nrows == 0)
		return;
	old = MemoryContextSwitchTo(batch->context);
	for (int i = 0; i < claim->nseen; i++)
	{
		const DueRun *run = &claim->seen[i];

		if (run->row == NULL)
			continue;
		steps[n] = cadence_step_create(claim->desc, run->row);
		steps[n]->batch = batch;
		steps[n]->claim_id = batch->claim_id;
		steps[n]->due = run->due;
		steps[n]->interrupted = run->interrupted;
		n++;
	}
	resolver = cadence_resolver_create(claim->desc, p->providers, p->positions);
	cadence_resolve(resolver, steps, n);
	MemoryContextSwitchTo(old);
}

/* How far a committed look has come. */
static void
note_progress(Pipeline *p, const ClaimResult *claim, ClaimKind kind)
{
	if (kind == CLAIM_BYPASS)
		p->bypass_exhausted = claim->last;
	else
		p->exhausted = claim->last;
	if (claim->last)
		p->next_due = Min(p->next_due, claim->next_due);
	if (claim->nrows < claim->nseen)
		p->left_over = true;
	p->found += claim->nseen;
}

/*
 * The claim is committed: its steps go where they belong.
 *
 * Runs that somebody else has are skipped, which ends an execution's interest
 * in them. A resident worker will simply look at them again.
 */
static void
accept_claim(Pipeline *p, CadenceBatch *batch, const ClaimResult *claim, ClaimKind kind,
			 CadenceStep **steps)
{
	cadence_claim_commit(p->claims, claim);
	note_progress(p, claim, kind);
	p->lock_failures = 0;
	if (!p->resident)
		report_skipped(p, claim);
	batch->live = claim->nrows;
	if (p->queue.waiting == 0)
		p->checked_at = GetCurrentTimestamp();
	for (int i = 0; i < claim->nrows; i++)
	{
		if (steps[i]->outcome == OUTCOME_PENDING)
			cadence_queue_push(&p->queue, steps[i]);
		else
			progress_step_done(p, steps[i]);
	}
	if (batch->live == 0)
		MemoryContextDelete(batch->context);
	if (claim->nrows > 0 && !claim->last)
		progress_tell_claimed(p);
}

/* A missing column or right (class 42) is the same for every run. */
static bool
is_about_one_run(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION:
		case ERRCODE_INTERNAL_ERROR:
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
			return false;
		default:
			return !sqlstate_is_server_state(sqlstate);
	}
}

/*
 * A run that its own table refuses to have claimed: said in the summary, and
 * the next look starts behind it.
 */
static void
give_up_run(Pipeline *p, const ClaimResult *claim, ClaimKind kind, const ErrorData *error)
{
	cadence_claim_commit(p->claims, claim);
	note_progress(p, claim, kind);
	cadence_claims_refuse(p->claims, &claim->seen[0].id);
	progress_report_run(p, &claim->seen[0], "ERRO", error->message);
	ereport(WARNING, (errcode(error->sqlerrcode),
					  errmsg("a due run could not be claimed: %s", error->message)));
}

/*
 * A claim failed and was undone. A conflict may be gone the next time; an error
 * that one row caused is found by claiming one run at a time for a while.
 * Anything else ends the execution.
 */
static void
claim_failed(Pipeline *p, const ClaimResult *claim, ClaimKind kind, ErrorData *error)
{
	bool conflict = sqlstate_is_conflict(error->sqlerrcode);

	if (conflict && !cadence_stop_requested() &&
		(++p->lock_failures < CLAIM_LOCK_ATTEMPTS || (p->resident && claim->nseen == 0)))
	{
		p->claim_not_before = GetCurrentTimestamp() + CLAIM_LOCK_PAUSE_US;
		return;
	}
	p->lock_failures = 0;
	if (!(conflict && p->resident) &&
		(conflict || !is_about_one_run(error->sqlerrcode) || claim->nseen == 0))
		ThrowErrorData(error);
	if (p->careful == 0)
		p->careful = p->apart = cadence_batch_size;
	else
		give_up_run(p, claim, kind, error);
}

/*
 * Raises an error unless the extension is still there, as this worker found it,
 * and its tables may send from here. Inside the caller's transaction.
 */
void
turn_check_licence(Pipeline *p)
{
	if (cadence_extension_schema() != p->shared->schema)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("extension \"cadence_runner\" has moved to another schema")));
	cadence_arming_check(p->tables);
}

/* What the table has made of the lease's end: an adopted column may have less precision. */
static TimestampTz
lease_kept(CadenceStep **steps, int n, TimestampTz until)
{
	for (int i = 0; i < n; i++)
		if (steps[i]->lease_end == until)
			return until;
	return steps[0]->lease_end;
}

/* After its first look a leader knows whether it has more than a batch to do. */
static void
seek_company(Pipeline *p, bool nothing_more)
{
	if (nothing_more)
		p->alone = true;
	else
		helpers_start(p);
}

/* One claim in a transaction of its own or, with records to write, in theirs. */
static void
claim_and_resolve(Pipeline *p, CadenceBatch *batch, ClaimKind kind, ClaimResult *claim,
				  CadenceStep ***steps)
{
	MemoryContext old;
	CadenceHeldUp held_up;
	ClaimTerms terms = {.limit = p->careful > 0 ? 1 : 0, .ahead = p->resident};
	TimestampTz until;

	cadence_providers_refresh(p->providers);
	p->queue.providers = cadence_providers_list(p->providers);
	old = MemoryContextSwitchTo(batch->context);
	if (kind == CLAIM_BYPASS)
	{
		(void) cadence_queue_held_up(&p->queue, GetCurrentTimestamp(), &held_up);
		terms.held_up = &held_up;
	}
	else
	{
		terms.sharers = helpers_count_workers(p);
	}
	until = lease_end(p);
	cadence_claim_look(p->claims, &terms, claim);
	if (!p->alone)
		seek_company(p, claim->last);
	cadence_claim_id(&batch->claim_id);
	cadence_claim_take(p->claims, &batch->claim_id, until, claim);
	if (p->resident && claim->nseen > 0)
		turn_check_licence(p);
	*steps = palloc(sizeof(CadenceStep *) * Max(claim->nrows, 1));
	MemoryContextSwitchTo(old);
	resolve_rows(p, batch, claim, *steps);
	if (claim->nrows > 0)
		cadence_lease_begin(p->leases, &batch->claim_id, lease_kept(*steps, claim->nrows, until));
}

ErrorData *
turn_catch_error(MemoryContext context)
{
	ErrorData *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	cadence_xact_abort();
	return error;
}

static bool
lock_claims(Pipeline *p)
{
	p->claim_denied = !helpers_lock_claims(p);
	return !p->claim_denied;
}

/*
 * One transaction that records what is done, claims what is next, or both.
 *
 * When both fail together nobody knows whose fault it is: what is done is
 * recorded step by step, and for a while the two go apart.
 */
static void
transact(Pipeline *p, bool with_record, ClaimKind kind)
{
	CadenceBatch *volatile batch = kind != CLAIM_NOTHING ? progress_new_batch(p) : NULL;
	volatile bool with_claim = false;
	ClaimResult claim = {0};
	CadenceStep **steps = NULL;
	ErrorData *volatile error = NULL;

	PG_TRY();
	{
		cadence_xact_begin(p->tables, "cadence_runner: recording and claiming");
		if (with_record)
		{
			cadence_record(p->recorder, p->done.steps, p->done.n);
			cadence_leases_end(p->leases, p->done.steps, p->done.n);
		}
		with_claim = kind != CLAIM_NOTHING && lock_claims(p);
		if (with_claim)
			claim_and_resolve(p, batch, kind, &claim, &steps);
		cadence_xact_commit();
	}
	PG_CATCH();
	{
		error = turn_catch_error(p->context);
	}
	PG_END_TRY();

	if (error == NULL)
	{
		if (with_record)
		{
			progress_settle(p, true);
			p->record_blocked = false;
			p->record_not_before = 0;
		}
		if (with_claim)
			accept_claim(p, batch, &claim, kind, steps);
		else if (batch != NULL)
			MemoryContextDelete(batch->context);
		helpers_unlock_claims(p);
		return;
	}
	if (with_record)
	{
		helpers_unlock_claims(p);
		p->apart = cadence_batch_size;
		record_one_by_one(p);
	}
	else
		claim_failed(p, &claim, kind, error);
	helpers_unlock_claims(p);
	if (batch != NULL)
		MemoryContextDelete(batch->context);
	FreeErrorData(error);
}

/*
 * What the next turn is to claim: nothing, also while another worker of this
 * execution is claiming. The caller must take the turn.
 *
 * Where there is much to record, the other may go on claiming until that is
 * done: the turn itself then asks whether it is its turn.
 */
ClaimKind
turn_begin_claim(Pipeline *p)
{
	ClaimKind kind = turn_wants_claim(p);

	p->claim_denied = false;
	if (kind != CLAIM_NOTHING && p->done.n < cadence_batch_size / 2 && !lock_claims(p))
		return CLAIM_NOTHING;
	return kind;
}

void
turn_take(Pipeline *p, bool with_record, ClaimKind claim)
{
	if (p->apart > 0)
	{
		p->apart--;
		if (with_record)
			transact(p, true, CLAIM_NOTHING);
		with_record = false;
	}
	if (claim != CLAIM_NOTHING)
		p->careful = Max(p->careful - 1, 0);
	if (with_record || claim != CLAIM_NOTHING)
		transact(p, with_record, claim);
}

/* Whether a whole request still fits into the lease, and its provider is still ours. */
bool
turn_may_be_sent(const CadenceStep *step, TimestampTz now)
{
	int64 needed_ms = (int64) step->provider->timeout + LEASE_MARGIN_MS;

	return !step->provider->gone && now + needed_ms * 1000 < step->lease_end;
}

/*
 * A step may wait for a slow provider as long as its lease lasts. Meanwhile its
 * lead may opt out, or its run be cancelled: that must be heard before it is
 * sent.
 */
bool
turn_wants_recheck(const Pipeline *p, TimestampTz now)
{
	return p->queue.waiting > 0 && now - p->checked_at >= RECHECK_US;
}

/*
 * Gives back what is no longer wanted, or can not be sent in time any more: the
 * next execution that finds such a run due sees why.
 */
void
turn_recheck(Pipeline *p)
{
	TimestampTz now = GetCurrentTimestamp();
	CadenceStep **steps;
	bool *valid;
	int n;

	/* kept from one time to the next, and so after an error */
	if (p->recheck == NULL)
		p->recheck =
			AllocSetContextCreate(p->context, "cadence_runner recheck", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(p->recheck);
	steps = MemoryContextAlloc(p->recheck, sizeof(CadenceStep *) * p->queue.waiting);
	valid = MemoryContextAlloc(p->recheck, p->queue.waiting);
	n = cadence_queue_waiting(&p->queue, steps);

	cadence_xact_begin(p->tables, "cadence_runner: looking at claimed runs again");
	cadence_providers_refresh(p->providers);
	cadence_claim_recheck(p->claims, steps, n, valid);
	p->queue.providers = cadence_providers_list(p->providers);
	cadence_xact_commit();
	for (int i = 0; i < n; i++)
	{
		if (valid[i] && turn_may_be_sent(steps[i], now))
			continue;
		cadence_queue_remove(&p->queue, steps[i]);
		steps[i]->outcome = OUTCOME_UNSENT;
		progress_step_done(p, steps[i]);
	}
	p->checked_at = now;
}

/*
 * Claims are made before the queue runs dry, with time for another worker's to
 * end first, but not without end for a provider that is held up. What is due to
 * the others is then looked for past its steps.
 */
ClaimKind
turn_wants_claim(const Pipeline *p)
{
	TimestampTz now = GetCurrentTimestamp();
	int most = cadence_batch_size * (WAITING_BATCHES_MAX - 1);
	int low_water = Min(Max(p->max_in_flight, cadence_batch_size / 2), most);

	if (p->exhausted || p->record_blocked || now < p->claim_not_before)
		return CLAIM_NOTHING;
	if (p->queue.waiting <= most && cadence_queue_ready(&p->queue, now) < low_water)
		return CLAIM_DUE;
	if (p->bypass_exhausted || p->queue.waiting > most * 2)
		return CLAIM_NOTHING;
	return cadence_queue_wants_bypass(&p->queue, now) ? CLAIM_BYPASS : CLAIM_NOTHING;
}

/* Claims of processes that are gone become due, to this execution too: as the last of all. */
void
turn_release_orphans(Pipeline *p)
{
	TimestampTz due = p->resident ? GetCurrentTimestamp() : p->summary->started_at;
	uint64 released;

	cadence_xact_begin(p->tables, "cadence_runner: looking for abandoned claims");
	released = cadence_orphans_release(p->orphans, due);
	cadence_xact_commit();
	if (released > 0 && !p->resident)
		p->exhausted = false;
}

/* Claims of which no run is left. */
void
turn_forget_claims(Pipeline *p)
{
	if (!cadence_orphans_have_ended(p->orphans))
		return;
	cadence_xact_begin(p->tables, "cadence_runner: forgetting claims that have ended");
	cadence_orphans_forget(p->orphans);
	cadence_xact_commit();
}

/* Those on runs that were paused or cancelled meanwhile are noted. */
void
turn_note_halted(Pipeline *p)
{
	cadence_xact_begin(p->tables, "cadence_runner: looking for halted claims");
	cadence_orphans_note_halted(p->orphans);
	cadence_xact_commit();
}

void
turn_record_rest(Pipeline *p)
{
	if (p->done.n > 0)
		transact(p, true, CLAIM_NOTHING);
	if (p->done.n > 0)
		record_one_by_one(p);
}

void
turn_record_essentials(Pipeline *p)
{
	cadence_xact_begin(p->tables, "cadence_runner: recording before the stop");
	cadence_record_essentials(p->recorder, p->done.steps, p->done.n);
	cadence_xact_commit();
	progress_settle(p, true);
}
