/*
 * claim_attempt.c
 *		One try to claim: a look, what it takes, what becomes of that.
 *
 * A claim that fails has taken nothing. It is made again in halves, in
 * subtransactions, until what is refused is single runs: those are left alone,
 * and the rest is taken. A lock may be gone the next time.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/interrupt.h"
#include "base/settings.h"
#include "base/transaction.h"
#include "engine/claim_attempt.h"
#include "schema/barrier.h"

/* How often a claim meets a lock (a second each time) before each run is tried for itself. */
#define CONFLICTS_TOGETHER 2

/* So many runs of a batch that wait for a lock in vain are enough, and in the last try. */
#define CONFLICTS_IN_BATCH_MAX 3
#define CONFLICTS_IN_LAST_MAX 50

/* A lease leaves so much beside two of the slowest requests. */
#define LEASE_MARGIN_MS 20000

/* In its batch's memory. */
ClaimAttempt *
claim_attempt_create(Claiming *c, CadenceLookKind kind)
{
	CadenceBatch *batch = recording_new_batch(c->recording);
	ClaimAttempt *attempt = MemoryContextAllocZero(batch->context, sizeof(*attempt));

	attempt->claiming = c;
	attempt->batch = batch;
	attempt->barrier = cadence_barrier_count();
	attempt->looked_at = GetCurrentTimestamp();
	attempt->look.kind = kind;
	attempt->look_again = -1;
	return attempt;
}

/* ---- the look ----------------------------------------------------------------------------- */

/*
 * Raises an error unless the extension is still where this worker found it, and
 * its tables may send from here. Inside the caller's transaction.
 */
static void
check_sending(const CadenceTables *tables)
{
	if (cadence_extension_schema() != tables->schema)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("extension \"cadence_runner\" has moved to another schema")));
	cadence_arming_check(tables);
}

/* How long what is claimed is ours. */
int64
claiming_lease_us(const CadenceProviders *providers)
{
	int longest = cadence_request_timeout;
	ListCell *cell;

	foreach (cell, cadence_providers_list(providers))
		longest = Max(longest, ((CadenceProvider *) lfirst(cell))->configuration->timeout);
	return Max((int64) cadence_lease * 1000, (int64) longest * 2 + LEASE_MARGIN_MS) * 1000;
}

static void
find_next_news(void *arg, int first, int n)
{
	Claiming *c = arg;

	c->next_due = Min(c->next_due, cadence_claims_next(c->claims, CADENCE_LOOK_NEWS));
}

/* When the next news are due; a table that can not be read is asked again. */
static void
look_for_next_news(Claiming *c)
{
	bool put_off = claiming_has_put_news_off(c);
	ErrorData *error = put_off ? NULL : cadence_try(find_next_news, c, 0, 0, false);

	if (error != NULL)
	{
		FreeErrorData(error);
		claiming_put_news_off(c);
	}
	if (put_off || error != NULL)
		c->next_due = Min(c->next_due, c->news_not_before);
}

/* Locks the next due runs, and makes sure of the lease that they are to be taken for. */
static void
look(ClaimAttempt *attempt)
{
	Claiming *c = attempt->claiming;
	const char *canal = attempt->look.kind == CADENCE_LOOK_NEWS ? CADENCE_NEWS_CHANNEL : NULL;
	CadenceBlocked blocked;

	cadence_providers_refresh(c->providers);
	c->sender->queue.providers = cadence_providers_list(c->providers);
	attempt->hears_news = cadence_news_companies(c->tables->owner) != NIL;
	if (attempt->look.kind != CADENCE_LOOK_ALL)
		attempt->goes_past =
			cadence_queue_blocked(&c->sender->queue, canal, attempt->looked_at, &blocked);
	cadence_claims_look(c->claims, attempt->look.kind, &blocked, &attempt->look);
	attempt->steps = palloc0(sizeof(CadenceStep *) * Max(attempt->look.n, 1));
	attempt->refused = palloc0(sizeof(char *) * Max(attempt->look.n, 1));
	check_sending(c->tables);
	c->sender->looks_always = cadence_rulings_ask_always(c->rulings);
	if (attempt->look.n > 0)
		cadence_claimant_begin(c->claimant, claiming_lease_us(c->providers));
	if (attempt->look.last && c->ahead)
		c->next_due = cadence_claims_next(c->claims, CADENCE_LOOK_ALL);
	if (attempt->look.last && c->ahead && attempt->hears_news)
		look_for_next_news(c);
}

/* ---- what it takes -------------------------------------------------------------------------- */

/* Takes and resolves a part of what was looked at. */
static void
take_some(void *arg, int first, int n)
{
	ClaimAttempt *attempt = arg;
	Claiming *c = attempt->claiming;
	CadenceStep **taken = palloc(sizeof(CadenceStep *) * n);
	int ntaken = 0;

	cadence_claims_take(c->claims, c->claimant, &attempt->look, first, n, attempt->steps);
	for (int i = first; i < first + n; i++)
	{
		attempt->refused[i] = NULL;
		if (attempt->steps[i] != NULL)
			taken[ntaken++] = attempt->steps[i];
		else
			attempt->refused[i] = "a trigger has kept the run as it was";
	}
	cadence_resolve(c->resolver, taken, ntaken);
	cadence_rulings_ask(c->rulings, taken, ntaken);
	limiting_lock(c->limiting, taken, ntaken);
	cadence_rulings_decide(c->rulings, taken, ntaken, DT_NOBEGIN);
	cadence_conversations_find(c->conversations, taken, ntaken);
	cadence_resolve_providers(c->resolver, c->limiting->states, taken, ntaken);
	limiting_apply(c->limiting, taken, ntaken, &c->claimant->id);
	cadence_conversations_write(c->conversations, taken, ntaken);
	cadence_rulings_write(c->rulings, taken, ntaken);
	pfree(taken);
}

/* So many claims of its kind have met a lock, one after the other. */
int *
claim_attempt_conflicts(const ClaimAttempt *attempt)
{
	Claiming *c = attempt->claiming;

	return attempt->look.kind == CADENCE_LOOK_NEWS ? &c->news_conflicts : &c->conflicts;
}

/* Cancelled alone, and not by a stop: a trigger of its own takes too long. */
static bool
is_of_the_moment(const ErrorData *error)
{
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED && !cadence_stop_requested())
		return false;
	return sqlstate_is_of_the_moment(error->sqlerrcode);
}

/*
 * A run that its own table, or something that hangs on it, refuses. What only
 * the moment prevents is looked at again; when that has happened to several, a
 * whole table is locked.
 */
static bool
note_refusal(void *arg, int item, const ErrorData *error)
{
	ClaimAttempt *attempt = arg;
	bool may_pass = *claim_attempt_conflicts(attempt) < CLAIM_CONFLICTS_MAX - 1;
	bool passes = is_of_the_moment(error);

	attempt->steps[item] = NULL;
	if (passes &&
		++attempt->conflicts >= (may_pass ? CONFLICTS_IN_BATCH_MAX : CONFLICTS_IN_LAST_MAX))
		return false;
	if (!passes || !may_pass)
		attempt->refused[item] = MemoryContextStrdup(attempt->batch->context, error->message);
	else if (attempt->look_again < 0)
		attempt->look_again = item;
	return true;
}

static void
claim_together(void *arg, int first, int n)
{
	ClaimAttempt *attempt = arg;

	look(attempt);
	if (attempt->look.n > 0)
		take_some(attempt, 0, attempt->look.n);
}

/*
 * The same, each run for itself where that is needed. Raises an error when none
 * can be taken for the moment.
 */
static void
claim_each(void *arg, int first, int n)
{
	ClaimAttempt *attempt = arg;

	look(attempt);
	/* what fails with no run at all is no run's fault, and ends the execution */
	take_some(attempt, 0, 0);
	if (attempt->look.n > 0 &&
		!cadence_divide(take_some, note_refusal, attempt, 0, attempt->look.n))
		ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
						errmsg("due runs can not be claimed: a table is locked")));
}

/*
 * A lock that it meets may be gone the next time: each run is tried for itself when it has
 * been met again. Inside the caller's transaction; what has kept it from claiming, NULL
 * for nothing.
 */
ErrorData *
claim_attempt_make(ClaimAttempt *attempt)
{
	MemoryContext old = MemoryContextSwitchTo(attempt->batch->context);
	Limiting *limiting = attempt->claiming->limiting;
	TimestampTz impatient_until = limiting->impatient_until;
	ErrorData *error;

	cadence_xact_arm_timeout();
	error = cadence_try(claim_together, attempt, 0, 0, true);
	if (error != NULL && attempt->look.n > 0 &&
		(!sqlstate_is_conflict(error->sqlerrcode) ||
		 *claim_attempt_conflicts(attempt) >= CONFLICTS_TOGETHER))
	{
		cadence_xact_arm_timeout();
		/* what one run has locked is kept until all are done */
		limiting_note_conflict(limiting);
		error = cadence_try(claim_each, attempt, 0, 0, true);
		limiting->impatient_until = impatient_until;
	}
	MemoryContextSwitchTo(old);
	return error;
}
