/*
 * claiming.c
 *		The claiming part of a pipeline.
 *
 * What a claim's end means: its steps go to the sender or to what is to be recorded, what
 * was refused is said, and what has failed is made again after a while. A claim itself is
 * in claim_attempt.c, when there is one in claiming_when.c.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/interrupt.h"
#include "base/transaction.h"
#include "engine/claim_attempt.h"
#include "engine/claiming.h"

/* The pause between two claims that meet a lock, which may be refused without a wait. */
#define CONFLICT_PAUSE_US (100 * INT64CONST(1000))

/* The pause in looking for news after a look that was in vain: messages to people go on. */
#define NEWS_PAUSE_US (5 * USECS_PER_SEC)

/* More than that many refusals of one claim are only in the summary. */
#define WARNINGS_MAX 3

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
bool
claiming_has_put_news_off(const Claiming *c)
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
	c->ended[CADENCE_LOOK_NEWS] = claiming_has_put_news_off(c);
	c->has_looked = c->news_wait = false;
	c->next_due = DT_NOEND;
	c->found = 0;
}

/* ---- a claim ---------------------------------------------------------------------------- */

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
					  (++c->conflicts >= CLAIM_CONFLICTS_MAX && !c->patient))))
		ThrowErrorData(error);
	if (is_news)
		news_failed(c, error);
	else
		c->not_before = GetCurrentTimestamp() + CONFLICT_PAUSE_US;
	MemoryContextDelete(c->attempt->batch->context);
	c->attempt = NULL;
}

/* Claims inside the caller's transaction; accepted when that has committed. */
void
claiming_claim(Claiming *c, ClaimWanted kind)
{
	ErrorData *error;

	c->attempt = claim_attempt_create(c, (CadenceLookKind) kind);
	error = claim_attempt_make(c->attempt);
	if (error != NULL)
		claim_failed(c, error);
}

/* Where the steps of a claim that has committed go: how many. */
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

/* What is left to look for, as the look of a claim that has committed has found it. */
static void
note_look(Claiming *c, const ClaimAttempt *attempt, bool again)
{
	const CadenceLook *look = &attempt->look;

	c->ended[look->kind] = look->last && !again;
	if (look->kind == CADENCE_LOOK_NEWS)
	{
		c->news_wait = look->last && attempt->goes_past;
		c->ended[CADENCE_LOOK_NEWS] = look->last && !attempt->goes_past;
	}
	c->ended[CADENCE_LOOK_NEWS] = c->ended[CADENCE_LOOK_NEWS] || !attempt->hears_news;
	c->freed[look->kind] = c->sender->queue.freed;
	c->last = look->kind;
	c->has_looked = true;
	c->more = c->more || !look->last;
	c->found += look->n;
}

/*
 * The claim is committed, if it has not failed: its steps go where they belong.
 */
void
claiming_accept(Claiming *c)
{
	ClaimAttempt *attempt = c->attempt;
	CadenceLookKind kind;
	bool again;

	if (attempt == NULL)
		return;
	c->attempt = NULL;
	kind = attempt->look.kind;
	again = attempt->look_again >= 0;
	if (attempt->look.n > 0)
		cadence_claimant_committed(c->claimant);
	cadence_claims_accept(c->claims, &attempt->look, again ? attempt->look_again : attempt->look.n);
	note_look(c, attempt, again);
	*claim_attempt_conflicts(attempt) = again ? *claim_attempt_conflicts(attempt) + 1 : 0;
	if (again && kind == CADENCE_LOOK_NEWS)
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
