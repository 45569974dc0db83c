/*
 * tally_steps.c
 *		The steps of a batch, counted: one row for all that are alike.
 *
 * This is the sending path: the steps are sorted, and what is alike becomes a row.
 * A batch of five hundred is a few rows, whose cost is shared by all of them.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/compare.h"
#include "record/tally_parts.h"

/* A step as it counts; texts are compared by what they say. */
typedef struct Counted
{
	const CadenceStep *step;
	const char *kind;
	TimestampTz at;
	const char *outcome;
	const char *server;
	const char *mark;
	bool has_next; /* it has come there */
} Counted;

/* ---- what a step counts as ------------------------------------------------------------- */

/* NULL: nobody has tried anything. */
static const char *
outcome_of(const CadenceStep *step)
{
	switch (step->outcome)
	{
		case OUTCOME_SENT:
			return "sent";
		case OUTCOME_HELD:
			return "held";
		case OUTCOME_FAILED:
			return "failed";
		case OUTCOME_REFUSED:
			return "refused";
		case OUTCOME_UNCERTAIN:
			return "uncertain";
		case OUTCOME_UNRESOLVED:
			return "unresolved";
		case OUTCOME_STOPPED:
			return "stopped";
		case OUTCOME_SKIPPED:
			return "skipped";
		case OUTCOME_PUT_OFF:
		case OUTCOME_OTHERWISE:
			return step->answer.at != 0 ? "put_off" : NULL;
		default:
			return NULL;
	}
}

/* Its request has left, or may have. */
static bool
was_attempted(const CadenceStep *step)
{
	return step->request.provider != NULL && step->answer.at != 0 && step->held == NULL;
}

/* When: of what was held for review, when that was sent. */
static TimestampTz
time_of(const CadenceStep *step, TimestampTz now)
{
	if (step->held != NULL)
		return step->held->at;
	return step->answer.at != 0 ? step->answer.at : now;
}

/* Of the run's step; what a lost claim has sent is the run's no more, and a late answer was counted
 * when it has moved the run. */
static const char *
mark_of(const CadenceStep *step)
{
	if (step->lost || step->late || !step->has_step)
		return NULL;
	switch (step->outcome)
	{
		case OUTCOME_SENT:
			return step->transition.advance ? "sent" : NULL;
		case OUTCOME_SKIPPED:
			return step->transition.advance ? "skipped" : NULL;
		case OUTCOME_STOPPED:
			return "stopped";
		default:
			return NULL;
	}
}

static bool
has_failed(const CadenceStep *step)
{
	return !step->lost && step->has_step && step->transition.permanent &&
		   (step->outcome == OUTCOME_FAILED || step->outcome == OUTCOME_REFUSED ||
			step->outcome == OUTCOME_OTHERWISE);
}

static Counted
count_step(const CadenceStep *step, TimestampTz now)
{
	return (Counted){.step = step,
					 .kind = outcome_of(step) != NULL ? "attempt" : NULL,
					 .at = time_of(step, now),
					 .outcome = outcome_of(step),
					 .server =
						 step->request.provider != NULL ? step->request.configuration->name : NULL,
					 .mark = mark_of(step),
					 .has_next = !step->lost && !step->late && step->transition.advance &&
								 step->has_next && step->has_step};
}

/* That its event says so. */
static Counted
count_error(const CadenceStep *step, TimestampTz now)
{
	return (Counted){.step = step,
					 .kind = "error",
					 .at = now,
					 .server =
						 step->request.provider != NULL ? step->request.configuration->name : NULL};
}

/* ---- alike ------------------------------------------------------------------------------- */

static int
compare_texts(const char *a, const char *b)
{
	if (a == b)
		return 0;
	return strcmp(a != NULL ? a : "", b != NULL ? b : "");
}

static int
compare_counted(const void *left, const void *right)
{
	const Counted *a = left;
	const Counted *b = right;
	const CadenceStep *x = a->step;
	const CadenceStep *y = b->step;
	int order;

	COMPARE(x->has_step, y->has_step);
	COMPARE(x->cohort_day, y->cohort_day);
	COMPARE(tally_minute(a->at), tally_minute(b->at));
	COMPARE(a->has_next, b->has_next);
	COMPARE(x->has_cadence, y->has_cadence);
	order = x->has_step ? memcmp(&x->step_id, &y->step_id, UUID_LEN) : 0;
	if (order == 0 && a->has_next)
		order = memcmp(&x->next_id, &y->next_id, UUID_LEN);
	if (order == 0 && x->has_cadence)
		order = memcmp(&x->cadence_id, &y->cadence_id, UUID_LEN);
	if (order == 0)
		order = compare_texts(a->kind, b->kind);
	if (order == 0)
		order = compare_texts(a->outcome, b->outcome);
	if (order == 0)
		order = compare_texts(a->mark, b->mark);
	if (order == 0)
		order = compare_texts(a->server, b->server);
	if (order == 0)
		order = compare_texts(x->empresa, y->empresa);
	if (order == 0 && x->outcome != OUTCOME_SENT)
		order = compare_texts(x->reason.code, y->reason.code);
	if (order == 0)
		order = compare_texts(x->canal, y->canal);
	if (order == 0)
		order = compare_texts(x->template_codigo, y->template_codigo);
	return order;
}

static TallyRow
row_of(const Counted *c)
{
	const CadenceStep *step = c->step;
	bool is_of_step = step->has_step && (c->mark != NULL || c->has_next);

	return (TallyRow){.kind = c->kind,
					  .empresa = step->empresa,
					  .server = c->server,
					  .canal = step->canal,
					  .outcome = c->outcome,
					  .code = step->outcome != OUTCOME_SENT ? step->reason.code : NULL,
					  .template_codigo = step->template_codigo,
					  .cadence = step->has_cadence ? &step->cadence_id : NULL,
					  .step = is_of_step ? &step->step_id : NULL,
					  .next_step = c->has_next ? &step->next_id : NULL,
					  .day = is_of_step ? &step->cohort_day : NULL,
					  .mark = c->mark,
					  .first_at = c->at};
}

/* How many rows they become; the list is sorted. */
static int
gather(Counted *list, int n, TallyRow *rows)
{
	int nrows = 0;

	qsort(list, n, sizeof(*list), compare_counted);
	for (int i = 0; i < n; i++)
	{
		if (i == 0 || compare_counted(&list[i - 1], &list[i]) != 0)
			rows[nrows++] = row_of(&list[i]);
		rows[nrows - 1].n++;
		rows[nrows - 1].first_at = Min(rows[nrows - 1].first_at, list[i].at);
		rows[nrows - 1].last_at = Max(rows[nrows - 1].last_at, list[i].at);
	}
	return nrows;
}

/* ---- durations --------------------------------------------------------------------------- */

/* So many servers of a batch have their durations counted; a batch has few. */
#define SERVERS_MAX 64

static TallyHistogram *
histogram_of(TallyHistogram *list, const char **servers, int *n, const char *server)
{
	int i = 0;

	while (i < *n && strcmp(servers[i], server) != 0)
		i++;
	if (i == SERVERS_MAX)
		return NULL;
	if (i == *n)
	{
		servers[(*n)++] = server;
		list[i] = (TallyHistogram){.bounds = tally_send_bounds, .nbounds = tally_send_nbounds};
	}
	return &list[i];
}

/* How late they were, and how long their providers took; at most SERVERS_MAX + 1 rows. */
static int
gather_durations(CadenceStep **steps, int n, TallyRow *rows)
{
	TallyHistogram due = {.bounds = tally_due_bounds, .nbounds = tally_due_nbounds};
	TallyHistogram *sends = palloc(sizeof(TallyHistogram) * SERVERS_MAX);
	const char *servers[SERVERS_MAX];
	int nservers = 0;
	int nrows = 0;

	for (int i = 0; i < n; i++)
	{
		const CadenceStep *step = steps[i];
		TallyHistogram *send;

		if (!was_attempted(step))
			continue;
		send = histogram_of(sends, servers, &nservers, step->request.configuration->name);
		if (send != NULL)
			tally_observe(send, step->answer.elapsed_us);
		if (step->outcome == OUTCOME_SENT && !TIMESTAMP_NOT_FINITE(step->due))
			tally_observe(&due, step->answer.at - step->answer.elapsed_us - step->due);
	}
	if (due.count > 0)
	{
		rows[nrows] = (TallyRow){.kind = "due_to_send"};
		tally_histogram_row(&due, &rows[nrows++]);
	}
	for (int i = 0; i < nservers; i++)
	{
		rows[nrows] = (TallyRow){.kind = "send_duration", .server = servers[i]};
		tally_histogram_row(&sends[i], &rows[nrows++]);
	}
	pfree(sends);
	return nrows;
}

/* ---- the batch --------------------------------------------------------------------------- */

/* A run fails once at a step, however often somebody has resumed it there. */
static void
count_failures(CadenceTally *tally, CadenceStep **steps, int n)
{
	TallyRun *list = palloc0(sizeof(*list) * Max(n, 1));
	int nlist = 0;

	for (int i = 0; i < n; i++)
		if (has_failed(steps[i]))
			list[nlist++] = (TallyRun){.row = {.mark = "failed", .n = 1},
									   .run = steps[i]->run_id,
									   .step = &steps[i]->step_id,
									   .has_ordem = true,
									   .ordem = steps[i]->ordem,
									   .once = steps[i]->has_error_event ? TALLY_ONLY_FAILURE
																		 : TALLY_FIRST_FAILURE};
	tally_runs(tally, list, nlist);
	pfree(list);
}

typedef struct SomeSteps
{
	CadenceTally *tally;
	CadenceStep **steps;
} SomeSteps;

static void
count_some(void *arg, int first, int n)
{
	CadenceTally *tally = ((SomeSteps *) arg)->tally;
	CadenceStep **steps = &((SomeSteps *) arg)->steps[first];
	TimestampTz now = GetCurrentTimestamp();
	Counted *list = palloc(sizeof(*list) * 2 * n);
	TallyRow *rows = palloc(sizeof(*rows) * (2 * n + SERVERS_MAX + 1));
	int nlist = 0;
	int nrows;

	for (int i = 0; i < n; i++)
	{
		Counted counted = count_step(steps[i], now);

		if (counted.outcome != NULL || counted.has_next)
			list[nlist++] = counted;
		if (steps[i]->has_error_event)
			list[nlist++] = count_error(steps[i], now);
	}
	nrows = gather(list, nlist, rows);
	nrows += gather_durations(steps, n, &rows[nrows]);
	tally_insert(tally, rows, nrows);
	count_failures(tally, steps, n);
	pfree(rows);
	pfree(list);
}

/* Counts what has become of a batch, when all else of it is recorded. */
void
cadence_tally_steps(CadenceTally *tally, CadenceStep **steps, int n)
{
	SomeSteps some = {tally, steps};

	if (n > 0)
		tally_try(count_some, &some, n);
}
