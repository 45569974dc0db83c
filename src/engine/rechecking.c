/*
 * rechecking.c
 *		Whether steps that were claimed may still be sent.
 *
 * A step may wait for a slow provider as long as its lease lasts. Meanwhile its lead
 * may opt out, or its run be cancelled. Whoever does that raises the barrier: what was
 * looked at before is looked at again before it starts, all that waits or only what is
 * about to. What raises none (a server that is gone, a template that is stopped) is seen
 * by the look of each second.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/interrupt.h"
#include "base/transaction.h"
#include "engine/claiming.h"
#include "schema/barrier.h"

/*
 * All that waits is looked at no more often for a barrier's sake, nor for more than a fifth
 * of the time: then, what is about to start.
 */
#define CROSSED_US (50 * INT64CONST(1000))
#define CROSSED_SHARE 4

bool
claiming_wants_recheck(const Claiming *c)
{
	TimestampTz now = GetCurrentTimestamp();

	return c->sender->queue.waiting > 0 &&
		   (now - c->sender->checked_at >= CLAIMING_RECHECK_US ||
			(now >= c->crossed_not_before && c->sender->barrier != cadence_barrier_count()));
}

/* ---- the look -------------------------------------------------------------------------- */

typedef struct Recheck
{
	Claiming *claiming;
	CadenceStep **steps;
	bool *valid;
	bool of_all; /* that waits: then also of what the engine knows of servers */
} Recheck;

static void
recheck(void *arg, int first, int n)
{
	Recheck *r = arg;
	Claiming *c = r->claiming;

	if (r->of_all)
		cadence_providers_refresh(c->providers);
	cadence_recheck(c->rechecks, r->steps, n, r->valid);
	if (!r->of_all)
		return;
	c->sender->queue.providers = cadence_providers_list(c->providers);
	/* a claim that was undone has no row that could have permits */
	limiting_refresh(c->limiting, c->claimant->has_row ? &c->claimant->id : NULL);
}

static void
recheck_news(void *arg, int first, int n)
{
	Recheck *r = arg;

	cadence_recheck_news(r->claiming->rechecks, r->steps, n, r->valid);
}

/* Those that can not be looked at again are given back. */
static void
try_recheck_news(Recheck *r, int n)
{
	ErrorData *error = cadence_try(recheck_news, r, 0, n, true);

	if (error == NULL)
		return;
	FreeErrorData(error);
	claiming_put_news_off(r->claiming);
}

/*
 * Looks at claimed steps in the tables, and stamps those that may be sent; the stamp, or
 * 0 where a lock is in the way, for a while.
 */
static uint64
look(Recheck *r, int n)
{
	Claiming *c = r->claiming;
	uint64 barrier = cadence_barrier_count();
	ErrorData *error;

	if (GetCurrentTimestamp() < c->recheck_not_before)
		return 0;
	cadence_xact_begin(c->tables, "cadence_runner: looking at claimed runs again");
	error = cadence_try(recheck, r, 0, n, true);
	if (error != NULL && (!sqlstate_is_conflict(error->sqlerrcode) || cadence_stop_requested()))
		ThrowErrorData(error);
	if (error == NULL)
		try_recheck_news(r, n);
	cadence_xact_commit();
	if (error != NULL)
	{
		limiting_note_conflict(c->limiting);
		c->recheck_not_before = GetCurrentTimestamp() + CLAIMING_RECHECK_US;
		return 0;
	}
	for (int i = 0; i < n; i++)
		if (r->valid[i])
			r->steps[i]->barrier = barrier;
	return barrier;
}

/*
 * Looks again at steps that are about to start: those that may are stamped with what is
 * returned; 0: none of them may now.
 */
uint64
claiming_look_again(void *arg, CadenceStep **steps, int n)
{
	Recheck r = {.claiming = arg, .steps = steps, .valid = palloc(sizeof(bool) * n)};
	uint64 barrier = look(&r, n);

	pfree(r.valid);
	return barrier;
}

/*
 * Looks again at all that waits, and gives back what is no longer wanted, or can not be
 * sent in time any more: the next execution that finds such a run due sees why. False
 * where a lock is in the way, for a while.
 */
bool
claiming_recheck(Claiming *c)
{
	TimestampTz now = GetCurrentTimestamp();
	CadenceQueue *queue = &c->sender->queue;
	int n = queue->waiting;
	Recheck r = {.claiming = c, .of_all = true};
	CadenceRequest **requests = palloc(sizeof(CadenceRequest *) * n);
	uint64 barrier;

	r.steps = palloc(sizeof(CadenceStep *) * n);
	r.valid = palloc(sizeof(bool) * n);
	n = cadence_queue_waiting(queue, requests);
	for (int i = 0; i < n; i++)
		r.steps[i] = cadence_step_of(requests[i]);
	barrier = look(&r, n);
	for (int i = 0; i < n && barrier != 0; i++)
	{
		if (r.valid[i] && sender_may_send(r.steps[i], now))
			continue;
		cadence_queue_remove(queue, requests[i]);
		sender_give_back(c->sender, r.steps[i]);
	}
	if (barrier != 0)
	{
		TimestampTz end = GetCurrentTimestamp();

		c->sender->checked_at = now;
		c->sender->barrier = barrier;
		c->crossed_not_before = end + Max((end - now) * CROSSED_SHARE, CROSSED_US);
	}
	pfree(requests);
	pfree(r.steps);
	pfree(r.valid);
	return barrier != 0;
}

/* ---- without a look ---------------------------------------------------------------------- */

/* No more news: those that wait for their server are due as before. */
void
claiming_leave_news(Claiming *c)
{
	CadenceQueue *queue = &c->sender->queue;
	CadenceRequest **requests;
	int n;

	c->ended[CADENCE_LOOK_NEWS] = true;
	if (queue->waiting == 0)
		return;
	requests = palloc(sizeof(CadenceRequest *) * queue->waiting);
	n = cadence_queue_waiting(queue, requests);
	for (int i = 0; i < n; i++)
	{
		CadenceStep *step = cadence_step_of(requests[i]);

		if (!step->is_news)
			continue;
		cadence_queue_remove(queue, requests[i]);
		sender_give_back(c->sender, step);
	}
	pfree(requests);
}
