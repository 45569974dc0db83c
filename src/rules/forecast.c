/*
 * forecast.c
 *		What becomes of runs when nothing but time passes.
 *
 * Runs stand in a heap by when they are due, and by their ids. Those that are due at
 * one instant are looked at together, as an execution does that is there at that very
 * moment: policies are asked in the order of turns, then the senders, in the order in
 * which the runs were due, follow-ups first. What is sent is accepted, and nobody
 * replies. What nothing but somebody's act can move is left where it is.
 */
#include <stdlib.h>
#include <string.h>

#include "rules/forecast_parts.h"

#define CACHE_LINE 64

/* How long what had no room in a cap waits that has it after all, as in resolve/ruling.c. */
#define COME_BACK (60 * CALENDAR_SECOND)

/* ---- moving on ------------------------------------------------------------------------- */

typedef struct Look
{
	const ForecastEngine *engine;
	ForecastHeap heap;
	int64_t now;
} Look;

/* It is looked at again then, if that is of any interest. */
static void
come_back(Look *look, ForecastRun *run, int64_t due)
{
	/* nothing is looked at twice at once */
	run->due = due > look->now ? due : look->now + 1;
	if (run->due <= look->engine->until)
		forecast_heap_push(&look->heap, run);
}

/* Where a run goes on, past what it does not get; NULL: it ends. */
static const ForecastStep *
next_of(const ForecastRun *run, StepTime *time)
{
	const ForecastStep *step = run->step;

	if (run->jump != NULL && run->jump->from == step)
	{
		*time = run->jump->time;
		return run->jump->to;
	}
	while (step->next != NULL && forecast_is_among(run->had, step->next))
		step = step->next;
	*time = step->next_time;
	return step->next;
}

/* What its outcome makes of a run. */
static void
move(Look *look, ForecastRun *run, CadenceOutcome outcome, int64_t at, int64_t until)
{
	StepTime next_time;
	const ForecastStep *next = next_of(run, &next_time);
	TransitionInput in = {.act = ACT_ATTEMPT,
						  .outcome = outcome,
						  .attempts = 1,
						  .has_due = true,
						  .due = run->due,
						  .has_next = next != NULL,
						  .next_time = next_time,
						  .started_at = run->started_at,
						  .calendar = &run->person->calendar,
						  .at = at,
						  .until = until,
						  .goes_on = run->step->goes_on,
						  .retry_after = until > at ? until - at : 0,
						  .retry_unresolved = look->engine->retry_unresolved};
	RunTransition to = cadence_transition(&in);

	if (to.status != RUN_ACTIVE || !to.has_due)
		return;
	if (to.advance)
	{
		run->step = next;
		run->first_due = to.next_due;
		run->has_begun = run->has_begun || outcome == OUTCOME_SENT;
		run->is_counted = run->is_retry = false;
	}
	come_back(look, run, to.next_due);
}

/* ---- policies ----------------------------------------------------------------------------- */

/* What somebody has to do something about; what expires meanwhile goes on. */
static bool
is_for_people(CadenceReasonCode reason)
{
	return reason == REASON_ZONE_UNKNOWN || reason == REASON_WINDOW_UNKNOWN;
}

static void
wait_until_over(Look *look, ForecastRun *run)
{
	int64_t over = run->first_due;

	if (run->step->valid_for == 0)
		return;
	over = over > CALENDAR_NEVER - run->step->valid_for - 1 ? CALENDAR_NEVER
															: over + run->step->valid_for + 1;
	come_back(look, run, over);
}

/* What can not be sent, as an execution finds it: it tries again, and again. */
static void
stay(Look *look, ForecastRun *run)
{
	ForecastReach reach = run->reach[run->step->kind];

	if (reach == REACH_REFUSED || (reach == REACH_NO_ADDRESS && run->step->goes_on))
		move(look, run, OUTCOME_REFUSED, look->now, 0);
	else
		wait_until_over(look, run);
}

/* What a cap has no room for may have it when others of the look are put off. */
static void
defer(Look *look, ForecastRun *run, const Decision *d)
{
	run->is_deferred = d->cap != NULL || d->reason == REASON_MIN_GAP;
	run->deferred_until = d->until;
	if (!run->is_deferred)
		move(look, run, OUTCOME_DEFERRED, look->now, d->until);
}

/* Those that may leave are pending; the others are where they wait. */
static void
ask_policy(Look *look, ForecastRun *run)
{
	Decision d = forecast_decide(run, look->now);
	bool is_open = run->reach[run->step->kind] == REACH_OPEN && !run->step->is_unresolved &&
				   run->unresolved != run->step;

	run->is_pending = run->has_taken = run->is_deferred = false;
	switch (d.verdict)
	{
		case DECIDE_STOP:
			break;
		case DECIDE_SKIP:
			move(look, run, OUTCOME_SKIPPED, look->now, 0);
			break;
		case DECIDE_WAIT:
			if (is_for_people(d.reason))
				wait_until_over(look, run);
			else if (is_open)
				defer(look, run, &d);
			else
				stay(look, run);
			break;
		case DECIDE_SEND:
			if (!is_open)
			{
				stay(look, run);
				break;
			}
			run->is_pending = true;
			run->leave_by = d.until;
			forecast_take(run, look->now);
			break;
	}
}

/* Of what was sent before. */
static void
pass(Look *look, ForecastRun *run)
{
	run->passes = run->is_pending = run->has_taken = run->is_deferred = false;
	move(look, run, OUTCOME_SENT, run->counts_from, 0);
}

/* ---- senders ---------------------------------------------------------------------------- */

static void
ask_sender(Look *look, ForecastRun *run)
{
	const ForecastEngine *e = look->engine;
	int64_t at = look->now;
	ForecastTurn turn = e->turn(e->arg, run, look->now, &at);

	if (turn == TURN_STARTS)
	{
		forecast_note_sent(run, at);
		if (at <= e->until)
			e->leaves(e->arg, run, at);
		move(look, run, OUTCOME_SENT, at, 0);
	}
	else if (turn == TURN_WAITS)
		run->due = at;
	else
		run->due = CALENDAR_NEVER;
}

/*
 * What was taken and not used is given back when all have been asked, as a claim does.
 * True: something was.
 */
static bool
settle(Look *look, ForecastRun *run)
{
	if (!run->has_taken)
		return false;
	forecast_give_back(run, look->now);
	if (run->due != CALENDAR_NEVER)
		move(look, run, OUTCOME_PUT_OFF, look->now, run->due);
	else
		wait_until_over(look, run);
	return true;
}

/* ---- looks ------------------------------------------------------------------------------ */

/* The order in which a cap lets through: see resolve/ruling.c. */
static int
compare_turns(const void *a, const void *b)
{
	const ForecastRun *x = *(ForecastRun *const *) a;
	const ForecastRun *y = *(ForecastRun *const *) b;

	if (x->policy->priority != y->policy->priority)
		return x->policy->priority > y->policy->priority ? -1 : 1;
	if (x->has_begun != y->has_begun)
		return x->has_begun ? -1 : 1;
	if (x->first_due != y->first_due)
		return x->first_due < y->first_due ? -1 : 1;
	return memcmp(x->id, y->id, FORECAST_ID_SIZE);
}

static int
compare_claims(const void *a, const void *b)
{
	const ForecastRun *x = *(ForecastRun *const *) a;
	const ForecastRun *y = *(ForecastRun *const *) b;

	if (x->is_first != y->is_first)
		return x->is_first ? 1 : -1;
	if (x->due != y->due)
		return x->due < y->due ? -1 : 1;
	return memcmp(x->id, y->id, FORECAST_ID_SIZE);
}

/* Those that are pending come first, and then those that are deferred; how many of each. */
static int
part(ForecastRun **batch, int n, int *ndeferred)
{
	int npending = 0;
	int kept;

	for (int i = 0; i < n; i++)
		if (batch[i]->is_pending)
		{
			ForecastRun *run = batch[i];

			batch[i] = batch[npending];
			batch[npending++] = run;
		}
	kept = npending;
	for (int i = npending; i < n; i++)
		if (batch[i]->is_deferred)
			batch[kept++] = batch[i];
	*ndeferred = kept - npending;
	return npending;
}

/* It waits, unless what was given back has made room. */
static void
wait_for_room(Look *look, ForecastRun *run, bool some_given_back)
{
	int64_t until = run->deferred_until;

	if (some_given_back && forecast_decide(run, look->now).verdict == DECIDE_SEND)
		until = look->now + COME_BACK;
	move(look, run, OUTCOME_DEFERRED, look->now, until);
}

static void
look_at(Look *look, ForecastRun **batch, int n)
{
	const ForecastEngine *e = look->engine;
	bool some_given_back = false;
	int ndeferred;

	e->look(e->arg, look->now);
	if (n > 1)
		qsort(batch, (size_t) n, sizeof(*batch), compare_turns);
	for (int i = 0; i < n; i++)
	{
		if (batch[i]->passes)
			pass(look, batch[i]);
		else
			ask_policy(look, batch[i]);
	}
	n = part(batch, n, &ndeferred);
	for (int i = 0; i < n; i++)
		batch[i]->is_first = e->is_first_touch(e->arg, batch[i]);
	if (n > 1)
		qsort(batch, (size_t) n, sizeof(*batch), compare_claims);
	for (int i = 0; i < n; i++)
		ask_sender(look, batch[i]);
	for (int i = 0; i < n; i++)
		some_given_back = settle(look, batch[i]) || some_given_back;
	for (int i = n; i < n + ndeferred; i++)
		wait_for_room(look, batch[i], some_given_back);
}

/* Runs lie all over the memory: what is needed of one is on its way when its turn comes. */
static void
bring(const ForecastRun *run)
{
#ifdef __GNUC__
	for (size_t i = 0; i < sizeof(*run); i += CACHE_LINE)
		__builtin_prefetch((const char *) run + i, 1);
#endif
}

/*
 * Lets time pass until "until": every message that starts is told of. events name the
 * runs, in any order, and are used from here on; batch has room for the engine's batch_size.
 */
void
forecast_run(const ForecastEngine *engine, ForecastEvent *events, size_t n, ForecastRun **batch)
{
	Look look = {.engine = engine, .heap = {.events = events, .n = n}, .now = engine->now};
	ForecastHeap *heap = &look.heap;

	forecast_heap_make(heap);
	while (heap->n > 0 && events[0].due <= engine->until)
	{
		int nbatch = 0;

		if (events[0].due > look.now)
			look.now = events[0].due;
		while (nbatch < engine->batch_size && heap->n > 0 && events[0].due <= look.now)
		{
			batch[nbatch] = forecast_heap_pop(heap);
			bring(batch[nbatch++]);
		}
		look_at(&look, batch, nbatch);
	}
}
