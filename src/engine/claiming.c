/*
 * claiming.c
 *		The claiming part of a pipeline.
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
#include "engine/claiming.h"
#include "schema/barrier.h"

/* Waiting steps, in batches: a provider that is blocked must not fill the memory. */
#define WAITING_BATCHES_MAX 10

/*
 * One step that waits keeps the memory of all that were claimed with it: so much
 * may be kept, beside the few batches without which nothing would be sent while
 * the next is claimed. Past a provider that is blocked, half as much again.
 */
#define BATCH_BYTES_MAX ((Size) 14 * 1024 * 1024)
#define BATCHES_MIN 2

/* How often a claim meets a lock (a second each time) before each run is tried for itself. */
#define CONFLICTS_TOGETHER 2

/* How often before its execution, or the run whose fault it is, is given up. */
#define CONFLICTS_MAX 10

/* So many runs of a batch that wait for a lock in vain are enough, and in the last try. */
#define CONFLICTS_IN_BATCH_MAX 3
#define CONFLICTS_IN_LAST_MAX 50

/* The pause between two claims that meet a lock, which may be refused without a wait. */
#define CONFLICT_PAUSE_US (100 * INT64CONST(1000))

/* The pause in looking for news after a look that was in vain: messages to people go on. */
#define NEWS_PAUSE_US (5 * USECS_PER_SEC)

/* More than that many refusals of one claim are only in the summary. */
#define WARNINGS_MAX 3

/* A lease leaves so much beside two of the slowest requests. */
#define LEASE_MARGIN_MS 20000

/* One try. Its memory is the batch's. */
struct ClaimAttempt
{
	Claiming *claiming;
	CadenceBatch *batch;
	CadenceLook look;
	CadenceStep **steps;  /* as many as the look has runs; NULL: not taken */
	const char **refused; /* by run: why it can not be claimed; NULL: it can */
	TimestampTz looked_at;
	uint64 barrier;	 /* as of then */
	bool hears_news; /* somebody does */
	bool goes_past;	 /* what is due to a provider that is blocked */
	int conflicts;	 /* so many runs were refused by what may pass */
	int look_again;	 /* the first of them; -1: there is none */
};

void
claiming_init(Claiming *c, Sender *sender, Recording *recording, Limiting *limiting)
{
	memset(c, 0, sizeof(*c));
	c->sender = sender;
	c->recording = recording;
	c->limiting = limiting;
	c->next_due = DT_NOEND;
}

/*
 * In the current memory context, inside a transaction.
 */
void
claiming_prepare(Claiming *c, const CadenceTables *tables, CadenceProviders *providers,
				 TimestampTz due_until, int batch_size)
{
	c->tables = tables;
	c->providers = providers;
	c->claims = cadence_claims_create(tables, due_until, batch_size);
	c->rechecks = cadence_rechecks_create(tables);
	c->claimant = cadence_claimant_create(tables);
	c->rulings = cadence_rulings_create(tables, false);
	c->resolver = cadence_resolver_create(tables, providers, c->rulings, false);
	c->conversations = cadence_conversations_create(tables, false);
}

/* No run that is due is left to claim. */
bool
claiming_runs_have_ended(const Claiming *c)
{
	return c->ended[CADENCE_LOOK_ALL];
}

/* Nothing that is due is left to claim. */
bool
claiming_has_ended(const Claiming *c)
{
	return c->ended[CADENCE_LOOK_ALL] && c->ended[CADENCE_LOOK_NEWS];
}

/* Nothing more is to be claimed for the moment. */
void
claiming_end_looks(Claiming *c)
{
	c->ended[CADENCE_LOOK_ALL] = c->ended[CADENCE_LOOK_NEWS] = true;
}

/* The table of news can not be read for the moment; a clock that was set back ends that. */
static bool
news_are_put_off(const Claiming *c)
{
	TimestampTz now = GetCurrentTimestamp();

	return now < c->news_not_before && now >= c->news_not_before - NEWS_PAUSE_US;
}

void
claiming_put_news_off(Claiming *c)
{
	c->news_not_before = GetCurrentTimestamp() + NEWS_PAUSE_US;
	c->ended[CADENCE_LOOK_NEWS] = true;
	c->last = CADENCE_LOOK_NEWS;
}

/* From here on, what is due at due_until counts; see cadence_claims_restart(). */
void
claiming_restart(Claiming *c, TimestampTz due_until, bool full)
{
	cadence_claims_restart(c->claims, due_until, full);
	memset(c->ended, 0, sizeof(c->ended));
	c->ended[CADENCE_LOOK_NEWS] = news_are_put_off(c);
	c->has_looked = c->news_wait = false;
	c->next_due = DT_NOEND;
	c->found = 0;
}

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

/* ---- when --------------------------------------------------------------------------- */

/* Whether there is room for whatever is due. */
static bool
has_room(const Claiming *c)
{
	return c->sender->queue.waiting <= cadence_batch_size * (WAITING_BATCHES_MAX - 1) &&
		   recording_has_memory(c->recording, BATCH_BYTES_MAX, BATCHES_MIN);
}

/*
 * Whether news are to be looked for: where somebody hears them, which the look at runs
 * has read. Those of servers that do not take them are gone past, and looked for when
 * one of those is free.
 */
static bool
wants_news(const Claiming *c, TimestampTz now)
{
	const CadenceQueue *queue = &c->sender->queue;

	if (!c->has_looked || c->ended[CADENCE_LOOK_NEWS] ||
		(c->news_wait && c->news_freed == queue->freed))
		return false;
	return recording_has_memory(c->recording, BATCH_BYTES_MAX / 2 * 3, BATCHES_MIN) &&
		   cadence_queue_waiting_for(queue, CADENCE_NEWS_CHANNEL, now) < cadence_batch_size;
}

/*
 * Which runs are to be claimed now. Before the queue runs dry, but not without end for
 * a provider that is blocked: what is due to the others is then looked for past
 * its steps.
 */
static ClaimWanted
wants_runs(const Claiming *c, TimestampTz now)
{
	const CadenceQueue *queue = &c->sender->queue;
	int most = cadence_batch_size * (WAITING_BATCHES_MAX - 1);
	int low_water = Min(Max(c->sender->max_in_flight, cadence_batch_size / 2), most);

	if (c->ended[CADENCE_LOOK_ALL])
		return CLAIM_NOTHING;
	if (has_room(c) && cadence_queue_ready(queue, now) < low_water)
		return CLAIM_ALL;
	if ((c->ended[CADENCE_LOOK_BYPASS] && c->freed == queue->freed) || queue->waiting > most * 2 ||
		!recording_has_memory(c->recording, BATCH_BYTES_MAX / 2 * 3, BATCHES_MIN))
		return CLAIM_NOTHING;
	return cadence_queue_wants_bypass(queue, now) ? CLAIM_BYPASS : CLAIM_NOTHING;
}

/* What is to be claimed now; runs and news by turns, where there are both. */
ClaimWanted
claiming_wants(const Claiming *c)
{
	TimestampTz now = GetCurrentTimestamp();
	ClaimWanted runs;

	if (c->recording->blocked || now < c->not_before)
		return CLAIM_NOTHING;
	runs = wants_runs(c, now);
	if ((runs == CLAIM_NOTHING || c->last != CADENCE_LOOK_NEWS) && wants_news(c, now))
		return CLAIM_NEWS;
	return runs;
}

/* Whether there is no room for more, so that what is due is rather somebody else's. */
bool
claiming_is_full(const Claiming *c)
{
	return !has_room(c);
}

/* How long until there is something to claim, as far as is known, at most so long. */
int
claiming_wait_ms(const Claiming *c, int at_most_ms)
{
	TimestampTz now = GetCurrentTimestamp();

	if (claiming_wants(c) != CLAIM_NOTHING)
		return 0;
	if (!claiming_has_ended(c) && c->not_before > now)
		at_most_ms = (int) Min((c->not_before - now + 999) / 1000, at_most_ms);
	if (c->sender->queue.waiting > 0)
		at_most_ms = Min(at_most_ms, CLAIMING_RECHECK_US / 1000);
	return at_most_ms;
}

/* ---- one claim ------------------------------------------------------------------------ */

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

typedef struct NextNews
{
	Claiming *claiming;
	TimestampTz due;
} NextNews;

static void
find_next_news(void *arg, int first, int n)
{
	NextNews *next = arg;

	next->due = cadence_claims_next(next->claiming->claims, CADENCE_LOOK_NEWS);
}

/*
 * When the next news are due; DT_NOEND: there are none. A table that can not be read is
 * asked again.
 */
static TimestampTz
next_news(Claiming *c)
{
	NextNews next = {.claiming = c};
	ErrorData *error;

	if (news_are_put_off(c))
		return c->news_not_before;
	error = cadence_try(find_next_news, &next, 0, 0, false);
	if (error == NULL)
		return next.due;
	FreeErrorData(error);
	claiming_put_news_off(c);
	return c->news_not_before;
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
		c->next_due = Min(c->next_due, next_news(c));
}

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

/* After the commit, so that nothing is said of a claim that was undone. */
static void
report_refused(ClaimAttempt *attempt)
{
	Claiming *c = attempt->claiming;
	int said = 0;

	for (int i = 0; i < attempt->look.n; i++)
	{
		const CadenceStep *run = attempt->look.runs[i];
		const char *why = attempt->refused[i];

		if (why == NULL)
			continue;
		cadence_claims_refuse(c->claims, &run->run_id);
		if (!run->is_news)
			recording_report(c->recording, &run->run_id, run->lead_id, NULL, "ERRO", why);
		if (said++ < WARNINGS_MAX)
			ereport(WARNING, (errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
							  errmsg("%s could not be claimed: %s",
									 run->is_news ? "news that are due" : "a due run", why)));
	}
}

/* So many claims of its kind have met a lock, one after the other. */
static int *
conflicts_of(const ClaimAttempt *attempt)
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
	bool may_pass = *conflicts_of(attempt) < CONFLICTS_MAX - 1;
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

/* What keeps news from being looked for keeps nothing else. */
static void
news_failed(Claiming *c, const ErrorData *error)
{
	c->news_conflicts += sqlstate_is_conflict(error->sqlerrcode) ? 1 : 0;
	claiming_put_news_off(c);
	cadence_xact_arm_timeout();
	ereport(WARNING, (errcode(error->sqlerrcode),
					  errmsg("news for other tools can not be looked for: %s", error->message)));
}

/*
 * A claim was undone. A lock is waited for a while; what else keeps it from
 * looking ends the execution, unless it looked for news.
 */
static void
claim_failed(Claiming *c, ErrorData *error)
{
	bool is_news = c->attempt->look.kind == CADENCE_LOOK_NEWS;

	if (sqlstate_is_conflict(error->sqlerrcode))
		limiting_note_conflict(c->limiting);
	if (cadence_stop_requested() ||
		(!is_news && (!sqlstate_is_conflict(error->sqlerrcode) ||
					  (++c->conflicts >= CONFLICTS_MAX && !c->patient))))
		ThrowErrorData(error);
	if (is_news)
		news_failed(c, error);
	else
		c->not_before = GetCurrentTimestamp() + CONFLICT_PAUSE_US;
	MemoryContextDelete(c->attempt->batch->context);
	c->attempt = NULL;
}

/*
 * Claims inside the caller's transaction; accepted when that has committed. A
 * lock that a claim meets may be gone the next time: each run is tried for
 * itself when it has been met again.
 */
void
claiming_claim(Claiming *c, ClaimWanted kind)
{
	CadenceBatch *batch = recording_new_batch(c->recording);
	MemoryContext old = MemoryContextSwitchTo(batch->context);
	ClaimAttempt *attempt = palloc0(sizeof(*attempt));
	ErrorData *error;

	attempt->claiming = c;
	attempt->batch = batch;
	attempt->barrier = cadence_barrier_count();
	attempt->looked_at = GetCurrentTimestamp();
	attempt->look.kind = (CadenceLookKind) kind;
	attempt->look_again = -1;
	c->attempt = attempt;
	cadence_xact_arm_timeout();
	error = cadence_try(claim_together, attempt, 0, 0, true);
	if (error != NULL && attempt->look.n > 0 &&
		(!sqlstate_is_conflict(error->sqlerrcode) || *conflicts_of(attempt) >= CONFLICTS_TOGETHER))
	{
		TimestampTz impatient_until = c->limiting->impatient_until;

		cadence_xact_arm_timeout();
		/* what one run has locked is kept until all are done */
		limiting_note_conflict(c->limiting);
		error = cadence_try(claim_each, attempt, 0, 0, true);
		c->limiting->impatient_until = impatient_until;
	}
	MemoryContextSwitchTo(old);
	if (error != NULL)
		claim_failed(c, error);
}

/* Where the steps of a claim that has committed go. */
static int
pass_on(ClaimAttempt *attempt)
{
	Claiming *c = attempt->claiming;
	int n = 0;

	for (int i = 0; i < attempt->look.n; i++)
	{
		CadenceStep *step = attempt->steps[i];

		if (step == NULL)
			continue;
		n++;
		step->batch = attempt->batch;
		step->barrier = attempt->barrier;
		if (step->outcome == OUTCOME_PENDING)
			sender_push(c->sender, step, attempt->looked_at);
		else
			recording_add(c->recording, step);
	}
	return n;
}

/*
 * The claim is committed, if it has not failed: its steps go where they belong.
 */
void
claiming_accept(Claiming *c)
{
	ClaimAttempt *attempt = c->attempt;
	bool is_news;
	bool again;

	if (attempt == NULL)
		return;
	c->attempt = NULL;
	is_news = attempt->look.kind == CADENCE_LOOK_NEWS;
	again = attempt->look_again >= 0;
	if (attempt->look.n > 0)
		cadence_claimant_committed(c->claimant);
	cadence_claims_accept(c->claims, &attempt->look, again ? attempt->look_again : attempt->look.n);
	c->ended[attempt->look.kind] = attempt->look.last && !again;
	if (is_news)
	{
		c->news_wait = attempt->look.last && attempt->goes_past;
		c->ended[CADENCE_LOOK_NEWS] = attempt->look.last && !attempt->goes_past;
		c->news_freed = c->sender->queue.freed;
	}
	c->ended[CADENCE_LOOK_NEWS] = c->ended[CADENCE_LOOK_NEWS] || !attempt->hears_news;
	c->last = attempt->look.kind;
	c->has_looked = true;
	if (attempt->look.kind == CADENCE_LOOK_BYPASS)
		c->freed = c->sender->queue.freed;
	c->more = c->more || !attempt->look.last;
	c->found += attempt->look.n;
	*conflicts_of(attempt) = again ? *conflicts_of(attempt) + 1 : 0;
	if (again && is_news)
		claiming_put_news_off(c);
	else if (again)
		c->not_before = GetCurrentTimestamp() + CONFLICT_PAUSE_US;
	report_refused(attempt);
	recording_begin_batch(c->recording, attempt->batch, pass_on(attempt));
}

/* ---- beside it -------------------------------------------------------------------------- */

/* Claims of workers that are gone become due, to this execution too. */
void
claiming_release_abandoned(Claiming *c, TimestampTz due)
{
	bool released;

	cadence_xact_begin(c->tables, "cadence_runner: looking for abandoned claims");
	released = cadence_abandoned_release(c->claimant, due);
	cadence_xact_commit();
	if (released)
		c->ended[CADENCE_LOOK_ALL] = c->ended[CADENCE_LOOK_NEWS] = false;
}

/*
 * Says in the summary which due runs somebody else holds; inside the caller's
 * transaction.
 */
void
claiming_report_held(Claiming *c)
{
	CadenceStep **runs;
	int n = cadence_claims_held(c->claims, &runs);

	for (int i = 0; i < n; i++)
		recording_report(c->recording, &runs[i]->run_id, runs[i]->lead_id,
						 runs[i]->has_position ? &runs[i]->position : NULL, "SKIPPED",
						 "held by somebody else");
}
