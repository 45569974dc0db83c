/*
 * counting.c
 *		What caps count of claimed steps: which rows, what a step takes of them, and
 *		what it gives back.
 *
 * What is to be sent is counted when it is claimed, so that of two claims only one takes
 * the last of a cap. What then is put off, or was certainly not sent, is given back. What
 * an uncertain attempt may have sent was counted on its own day.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/settings.h"
#include "base/uuid.h"
#include "resolve/ruling.h"

/* A start that was later than was planned is noted; less is no difference. */
#define LATE_US USECS_PER_SEC

static const Calendar *
calendar_for(const StepRuling *ruling, int kind)
{
	return kind == DECIDE_CAP_PERSON ? &ruling->person : &ruling->company;
}

/* ---- which rows ------------------------------------------------------------------------ */

static const char *
or_empty(const char *text)
{
	return text != NULL ? text : "";
}

static UsageRow *
usage_row(const StepRuling *ruling, int kind, const char *scope, const char *name,
		  const char *empresa, TimestampTz now)
{
	UsageRow *row = palloc0(sizeof(*row));

	row->scope = scope;
	row->name = or_empty(name);
	row->empresa = or_empty(empresa);
	row->day = calendar_day(calendar_for(ruling, kind), now);
	return row;
}

static char *
cadence_text(const CadenceStep *step)
{
	char *text = palloc(UUID_TEXT_SIZE);

	cadence_uuid_text(&step->cadence_id, text);
	return text;
}

/* A person's row also says when they were last written to. */
static void
name_usage(CadenceStep *step, TimestampTz now)
{
	StepRuling *ruling = step->ruling;
	const DecideCap *caps = ruling->facts.caps;

	if (caps[DECIDE_CAP_PERSON].is_set || ruling->decide.min_gap != 0)
		ruling->usage[DECIDE_CAP_PERSON] =
			usage_row(ruling, DECIDE_CAP_PERSON, "LEAD", ruling->lead_id, ruling->empresa, now);
	if (caps[DECIDE_CAP_COMPANY].is_set)
		ruling->usage[DECIDE_CAP_COMPANY] =
			usage_row(ruling, DECIDE_CAP_COMPANY, "EMPRESA", "", ruling->empresa, now);
	if (caps[DECIDE_CAP_CADENCE].is_set)
		ruling->usage[DECIDE_CAP_CADENCE] =
			usage_row(ruling, DECIDE_CAP_CADENCE, "CADENCIA", cadence_text(step), "", now);
	if (caps[DECIDE_CAP_NEW].is_set)
		ruling->usage[DECIDE_CAP_NEW] =
			usage_row(ruling, DECIDE_CAP_NEW, "NOVOS", cadence_text(step), "", now);
}

static int
compare_refs(const void *a, const void *b)
{
	return cadence_usage_compare(**(UsageRow * *const *) a, **(UsageRow * *const *) b);
}

/* The places where steps point to their rows; how many. */
static int
refer(CadenceStep **steps, int n, UsageRow ***refs)
{
	TimestampTz now = GetCurrentTimestamp();
	int nrefs = 0;

	for (int i = 0; i < n; i++)
	{
		name_usage(steps[i], now);
		for (int k = 0; k < DECIDE_CAPS; k++)
			if (steps[i]->ruling->usage[k] != NULL)
				refs[nrefs++] = &steps[i]->ruling->usage[k];
	}
	qsort(refs, nrefs, sizeof(*refs), compare_refs);
	return nrefs;
}

/*
 * Finds and locks what the caps of ruled steps count; steps that count for one thing share
 * its row. In the batch's memory context, inside an SPI connection.
 */
void
ruling_find_usage(CadenceUsages *usages, CadenceStep **steps, int n, UsageRow ***rows, int *nrows)
{
	UsageRow ***refs = palloc(sizeof(*refs) * Max(n * DECIDE_CAPS, 1));
	int nrefs = refer(steps, n, refs);

	*rows = palloc(sizeof(UsageRow *) * Max(nrefs, 1));
	*nrows = 0;
	for (int i = 0; i < nrefs; i++)
	{
		if (*nrows == 0 || cadence_usage_compare((*rows)[*nrows - 1], *refs[i]) != 0)
			(*rows)[(*nrows)++] = *refs[i];
		*refs[i] = (*rows)[*nrows - 1];
	}
	cadence_usages_find(usages, *rows, *nrows);
	pfree(refs);
}

/* ---- what they say --------------------------------------------------------------------- */

/* What an uncertain attempt has sent on that day is counted already. */
static bool
is_counted(const CadenceStep *step, int kind)
{
	return step->kept != NULL && calendar_day(calendar_for(step->ruling, kind),
											  step->kept->since) == step->ruling->usage[kind]->day;
}

/* When somebody was last written to, as far as that is another message, and can be. */
static int64
last_to_person(const CadenceStep *step, TimestampTz now)
{
	TimestampTz at = step->ruling->usage[DECIDE_CAP_PERSON]->last_at;
	bool is_own = step->kept != NULL && at <= step->kept->since + LATE_US;

	/* a clock that was wrong may have counted it */
	if (at == 0 || is_own || at > now + cadence_lease * USECS_PER_SEC)
		return CALENDAR_NEVER;
	return at;
}

/* What a step's caps have had so far, which others of its claim may have taken. */
void
ruling_read_usage(CadenceStep *step, TimestampTz now)
{
	StepRuling *ruling = step->ruling;

	for (int i = 0; i < DECIDE_CAPS; i++)
	{
		DecideCap *cap = &ruling->facts.caps[i];
		const Calendar *calendar = calendar_for(ruling, i);

		if (ruling->usage[i] == NULL)
			continue;
		cadence_usage_begin_day(ruling->usage[i], calendar_day(calendar, now));
		cap->is_set = cap->is_set && !is_counted(step, i);
		cap->used = ruling->usage[i]->used;
		cap->day_ends = calendar_instant(calendar, ruling->usage[i]->day + 1, 0);
	}
	if (ruling->usage[DECIDE_CAP_PERSON] != NULL)
		ruling->facts.last_to_person = last_to_person(step, now);
}

/* ---- taking ---------------------------------------------------------------------------- */

static void
take(StepRuling *ruling, int n)
{
	for (int i = 0; i < DECIDE_CAPS; i++)
		if (ruling->usage[i] != NULL)
		{
			ruling->usage[i]->used += ruling->facts.caps[i].is_set ? n : 0;
			ruling->usage[i]->is_changed = true;
		}
}

/* It is to be sent: the next of its claim finds that counted. */
void
ruling_take(StepRuling *ruling, TimestampTz at)
{
	UsageRow *person = ruling->usage[DECIDE_CAP_PERSON];
	bool counts = false;

	for (int i = 0; i < DECIDE_CAPS; i++)
		counts = counts || ruling->usage[i] != NULL;
	if (!counts)
		return;
	take(ruling, 1);
	ruling->taken_at = at;
	if (person == NULL)
		return;
	ruling->before = person->last_at;
	person->last_at = at;
}

/* What was put off for other reasons has taken nothing; true: it was. */
static bool
settle_taken(CadenceStep *step)
{
	StepRuling *ruling = step->ruling;
	UsageRow *person = ruling->usage[DECIDE_CAP_PERSON];

	if (step->outcome == OUTCOME_PENDING)
	{
		/* what has a time counts as of then */
		ruling->taken_at = Max(ruling->taken_at, step->request.start_at);
		if (person != NULL)
			person->last_at = Max(person->last_at, ruling->taken_at);
		return false;
	}
	take(ruling, -1);
	if (person != NULL && person->last_at == ruling->taken_at)
		person->last_at = ruling->before;
	ruling->taken_at = 0;
	return true;
}

/* When it is known which steps leave, and when; how many have given back what they had taken. */
int
ruling_settle_taken(CadenceStep **steps, int n)
{
	int nback = 0;

	for (int i = 0; i < n; i++)
		if (steps[i]->ruling != NULL && steps[i]->ruling->taken_at != 0)
			nback += settle_taken(steps[i]) ? 1 : 0;
	return nback;
}

/* ---- giving back ------------------------------------------------------------------------ */

/* It has ended, and was certainly not sent. */
static bool
is_unsent(const CadenceStep *step)
{
	return step->outcome != OUTCOME_PENDING && step->outcome != OUTCOME_UNCERTAIN &&
		   !cadence_was_accepted(step);
}

static TimestampTz
started_at(const CadenceStep *step)
{
	return step->answer.at - step->answer.elapsed_us;
}

/* It has left later than was thought, and somebody waits for so long after it. */
static bool
is_late(const CadenceStep *step)
{
	return step->ruling->usage[DECIDE_CAP_PERSON] != NULL && step->answer.at != 0 &&
		   started_at(step) - step->ruling->taken_at > LATE_US;
}

static bool
owes(const CadenceStep *step)
{
	return step->ruling != NULL && step->ruling->taken_at != 0 &&
		   step->outcome != OUTCOME_PENDING && (is_unsent(step) || is_late(step));
}

/* Whether any of some steps has something to give back, or to correct. */
bool
cadence_rulings_owe(CadenceStep **steps, int n)
{
	for (int i = 0; i < n; i++)
		if (owes(steps[i]))
			return true;
	return false;
}

static int
compare_returns(const void *a, const void *b)
{
	const UsageReturn *x = a;
	const UsageReturn *y = b;
	int order = cadence_usage_compare(x->row, y->row);

	return order != 0 ? order : x->row->day - y->row->day;
}

/* Those of one row become one; of two days, what was taken of the earlier one is over. */
static int
merge_returns(UsageReturn *returns, int n)
{
	int nmerged = 0;

	qsort(returns, n, sizeof(UsageReturn), compare_returns);
	for (int i = 0; i < n; i++)
	{
		UsageReturn *last = nmerged > 0 ? &returns[nmerged - 1] : NULL;

		if (last == NULL || cadence_usage_compare(last->row, returns[i].row) != 0)
		{
			returns[nmerged++] = returns[i];
			continue;
		}
		returns[i].n += last->row->day == returns[i].row->day ? last->n : 0;
		if (last->taken_at > returns[i].taken_at)
		{
			returns[i].taken_at = last->taken_at;
			returns[i].before = last->before;
		}
		*last = returns[i];
	}
	return nmerged;
}

static UsageReturn
what_it_owes(const CadenceStep *step, int kind)
{
	const StepRuling *ruling = step->ruling;
	UsageReturn back = {.row = ruling->usage[kind]};

	back.n = is_unsent(step) && ruling->facts.caps[kind].is_set ? 1 : 0;
	if (kind == DECIDE_CAP_PERSON)
	{
		back.taken_at = ruling->taken_at;
		back.before = is_unsent(step) ? ruling->before : started_at(step);
	}
	return back;
}

/* In a transaction that locks nothing else. */
void
ruling_return(CadenceUsages *usages, CadenceStep **steps, int n)
{
	UsageReturn *returns = palloc(sizeof(UsageReturn) * Max(n * DECIDE_CAPS, 1));
	int nreturns = 0;

	for (int i = 0; i < n; i++)
	{
		if (!owes(steps[i]))
			continue;
		for (int k = 0; k < DECIDE_CAPS; k++)
			if (steps[i]->ruling->usage[k] != NULL)
				returns[nreturns++] = what_it_owes(steps[i], k);
	}
	cadence_usages_return(usages, returns, merge_returns(returns, nreturns));
	pfree(returns);
}

/* Nothing is given back twice. */
void
cadence_rulings_forget(CadenceStep **steps, int n)
{
	for (int i = 0; i < n; i++)
		if (owes(steps[i]))
			steps[i]->ruling->taken_at = 0;
}
