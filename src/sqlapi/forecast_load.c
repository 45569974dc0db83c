/*
 * forecast_load.c
 *		What cadence_forecast() has to know before it lets time pass: the active runs, what
 *		their cadences say, and what keeps their people from being written to.
 *
 * Read by what executions read with, a batch after the other, and kept in as few bytes as
 * it takes. Of each run that is its step's, and one step's of each other kind that is still
 * to come: a kind is a channel, with the category of an approved template.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "claim/claimed_run.h"
#include "sqlapi/forecast_parts.h"

/* So many runs are read at once. */
#define RUNS_AT_ONCE 1000

static const Oid runs_types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, UUIDOID};

HTAB *
forecast_table(const Loader *l, const char *name, Size key, Size entry)
{
	HASHCTL control = {.keysize = key, .entrysize = entry, .hcxt = l->forecast->context};

	return hash_create(name, 1024, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

uint64
forecast_hash(const char *text, uint64 seed)
{
	if (text == NULL)
		return seed + 1;
	return hash_bytes_extended((const unsigned char *) text, strlen(text) + 1, seed);
}

static char *
runs_sql(const CadenceTables *t)
{
	return psprintf("SELECT %s, r.claim_id IS NOT NULL FROM %s AS r WHERE r.status " EQ " 'ATIVA' "
					"AND r.next_run_at " LE " $1 AND (r.next_run_at, r.id) " GT " ($2, $3) "
					"ORDER BY r.next_run_at, r.id LIMIT %d",
					cadence_claimed_run_columns(t), t->runs, RUNS_AT_ONCE);
}

/* ---- the steps of a run ---------------------------------------------------------------- */

/* The first step from a position on that a run has not had; NULL: there is none. */
static PlannedStep *
step_from(const PlannedCadence *plan, const CadenceStep *at)
{
	if (!at->has_position)
		return NULL;
	for (int i = 0; i < plan->nsteps; i++)
		if (plan->steps[i]->ordem >= at->position && !forecast_has_had(at, plan->steps[i]))
			return plan->steps[i];
	return NULL;
}

/* Which of them it has had, as far as they are numbered. */
static uint64
had_steps(const PlannedCadence *plan, const CadenceStep *run)
{
	uint64 had = 0;

	for (int i = 0; i < Min(plan->nsteps, FORECAST_SKIPS) && run->nhad > 0; i++)
		if (forecast_has_had(run, plan->steps[i]))
			had |= UINT64CONST(1) << i;
	return had;
}

/* Where its cadence was edited a run may go on elsewhere than behind its step: that was resolved.
 */
static void
note_jump(Loader *l, PlannedRun *run, const CadenceStep *step)
{
	ForecastJump *jump;

	if (!step->has_pending && step->nhad == 0)
		return;
	jump = MemoryContextAllocZero(l->forecast->context, sizeof(*jump));
	jump->from = run->run.step;
	jump->time = step->next_time;
	for (int i = 0; step->has_next && i < run->plan->nsteps; i++)
		if (run->plan->steps[i]->ordem == step->next_ordem)
			jump->to = &run->plan->steps[i]->step;
	run->run.jump = jump;
}

/* The step of each kind that comes first and is no fault by itself. */
static int
find_others(const Member *m, const PlannedStep **others)
{
	bool seen[FORECAST_KINDS] = {false};
	int n = 0;

	seen[m->planned->step.kind] = true;
	for (const ForecastStep *s = m->planned->step.next; s != NULL; s = s->next)
	{
		if (seen[s->kind] || s->is_unresolved || forecast_has_had(m->step, (const PlannedStep *) s))
			continue;
		seen[s->kind] = true;
		others[n++] = (const PlannedStep *) s;
	}
	return n;
}

static CadenceStep *
step_at(const CadenceStep *of, int ordem)
{
	CadenceStep *step = palloc(sizeof(*step));

	*step = *of;
	step->position = ordem;
	step->attempts = 1;
	return step;
}

/* ---- the owner's views ------------------------------------------------------------------ */

/* Of each step that is to come; what can not be asked leaves nothing. */
static void
ask_views(Loader *l, Member *members, int n)
{
	int nasked = 0;
	int k = 0;
	ExitAsked *asked;

	if (!l->forecast->has_views)
		return;
	for (int i = 0; i < n; i++)
		for (const ForecastStep *s = members[i].run != NULL ? members[i].run->run.step : NULL;
			 s != NULL && s->number < FORECAST_SKIPS; s = s->next)
			nasked++;
	asked = palloc0(sizeof(*asked) * Max(nasked, 1));
	for (int i = 0; i < n; i++)
		for (const ForecastStep *s = members[i].run != NULL ? members[i].run->run.step : NULL;
			 s != NULL && s->number < FORECAST_SKIPS; s = s->next)
			asked[k++] = (ExitAsked){.run = &members[i].run->id,
									 .has_step = true,
									 .ordem = ((const PlannedStep *) s)->ordem};
	cadence_exits_ask(l->exits, asked, nasked);
	k = 0;
	for (int i = 0; i < n; i++)
	{
		PlannedRun *run = members[i].run;

		for (const ForecastStep *s = run != NULL ? run->run.step : NULL;
			 s != NULL && s->number < FORECAST_SKIPS; s = s->next, k++)
		{
			if (asked[k].exits || asked[k].problem != NULL)
				members[i].run = NULL;
			if (asked[k].skips)
				run->run.skips |= UINT64CONST(1) << s->number;
		}
	}
}

/* ---- runs ---------------------------------------------------------------------------- */

static PlannedRun *
make_run(Loader *l, const CadenceStep *step, PlannedCadence *plan, const PlannedStep *planned)
{
	PlannedRun *run = MemoryContextAllocZero(l->forecast->context, sizeof(*run));

	run->id = step->run_id;
	run->plan = plan;
	run->lead_id =
		step->lead_id != NULL && list_length(cadence_providers_list(l->forecast->providers)) > 1
			? MemoryContextStrdup(l->forecast->context, step->lead_id)
			: NULL;
	run->is_certain = step->attempts == 0;
	run->run = (ForecastRun){.id = run->id.data,
							 .due = step->due,
							 .first_due = step->first_due,
							 .started_at = step->started_at,
							 .step = &planned->step,
							 .policy = &plan->policy,
							 .has_begun = step->has_begun,
							 .had = had_steps(plan, step),
							 .is_retry = step->attempts > 0};
	return run;
}

/* The facts that its ruling has put together. */
static void
note_ruling(Loader *l, PlannedRun *run, const CadenceStep *step)
{
	const StepRuling *ruling = step->ruling;

	run->person = forecast_person(l, step);
	run->run.count = &run->person->count;
	run->run.person = forecast_calendar(l, &ruling->person);
	run->run.place = (float) ruling->decide.place;
	run->run.zone_unknown = ruling->facts.zone_unknown;
	run->run.is_counted =
		step->kept != NULL && calendar_day(&ruling->person, step->kept->since) ==
								  calendar_day(&ruling->person, Max(step->due, l->forecast->now));
	if (run->plan->policy.company != NULL)
		return;
	run->plan->policy.company = forecast_calendar(l, &ruling->company);
	forecast_counts_of_plan(l, run->plan, ruling->empresa);
}

/* What an attempt has left with the provider, for review, counts as sent when its time comes. */
static void
pass_held(PlannedRun *run, const CadenceStep *step)
{
	run->is_certain = false;
	run->run.passes = true;
	run->run.counts_from = step->held->at;
}

static void
keep(Loader *l, PlannedRun *run)
{
	Forecast *f = l->forecast;

	if (f->nruns >= FORECAST_RUNS_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("more than %d active runs are due until then", FORECAST_RUNS_MAX),
						errhint("Ask for a shorter time.")));
	if (f->nruns == f->room)
	{
		f->room = f->room == 0 ? 1024 : f->room * 2;
		f->runs = f->runs == NULL ? MemoryContextAllocHuge(f->context, sizeof(*f->runs) * f->room)
								  : repalloc_huge(f->runs, sizeof(*f->runs) * f->room);
	}
	f->runs[f->nruns++].run = &run->run;
}

static void
begin_member(Loader *l, Member *m)
{
	PlannedCadence *plan = m->step->has_cadence ? forecast_plan(l, m->step) : NULL;

	if (plan == NULL || !plan->is_active)
		return;
	m->planned = step_from(plan, m->step);
	if (m->planned == NULL)
		return;
	m->run = make_run(l, m->step, plan, m->planned);
	m->run->is_certain = m->run->is_certain && !m->is_claimed;
	/* as a claim would */
	m->step->attempts++;
	m->n = 1 + find_others(m, m->others);
}

/* All that is to be resolved: each run's next step, and others behind it. */
static CadenceStep **
gather(Member *members, int n, int *nsteps)
{
	CadenceStep **steps = palloc(sizeof(*steps) * Max(n, 1) * FORECAST_KINDS);

	*nsteps = 0;
	for (int i = 0; i < n; i++)
	{
		if (members[i].run == NULL)
			continue;
		members[i].first = *nsteps;
		steps[(*nsteps)++] = members[i].step;
		for (int k = 1; k < members[i].n; k++)
			steps[(*nsteps)++] = step_at(members[i].step, members[i].others[k - 1]->ordem);
	}
	return steps;
}

static void
finish_member(Loader *l, Member *m, CadenceStep **steps)
{
	if (m->run == NULL)
		return;
	if (steps[m->first]->ruling == NULL)
	{
		m->run = NULL;
		return;
	}
	note_ruling(l, m->run, m->step);
	note_jump(l, m->run, m->step);
	forecast_note_reach(l, m, m->planned, m->step, true);
	for (int k = 1; k < m->n; k++)
		forecast_note_reach(l, m, m->others[k - 1], steps[m->first + k], false);
	if (m->step->held != NULL)
		pass_held(m->run, m->step);
}

static void
load_batch(Loader *l, Member *members, int n)
{
	int nsteps;
	CadenceStep **steps = palloc(sizeof(*steps) * Max(n, 1));

	for (int i = 0; i < n; i++)
		steps[i] = members[i].step;
	forecast_plans_read(l, steps, n);
	for (int i = 0; i < n; i++)
		begin_member(l, &members[i]);
	steps = gather(members, n, &nsteps);
	if (nsteps == 0)
		return;
	cadence_resolve(l->resolver, steps, nsteps);
	cadence_conversations_find(l->conversations, steps, nsteps);
	cadence_resolve_providers(l->resolver, l->forecast->states, steps, nsteps);
	for (int i = 0; i < n; i++)
		finish_member(l, &members[i], steps);
	ask_views(l, members, n);
	forecast_counts_of_people(l, members, n);
	for (int i = 0; i < n; i++)
		if (members[i].run != NULL)
			keep(l, members[i].run);
}

/* False: those were the last. */
static bool
read_batch(Loader *l)
{
	Datum values[] = {TimestampTzGetDatum(l->forecast->until), TimestampTzGetDatum(l->due),
					  UUIDPGetDatum(&l->id)};
	MemoryContext old;
	SPITupleTable *table;
	Member *members;
	int n;

	CHECK_FOR_INTERRUPTS();
	MemoryContextReset(l->batch);
	old = MemoryContextSwitchTo(l->batch);
	statement_execute(&l->runs, values, NULL, 0);
	table = SPI_tuptable;
	n = (int) SPI_processed;
	members = palloc0(sizeof(*members) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		members[i].step = cadence_claimed_run(table->vals[i], table->tupdesc);
		members[i].is_claimed = row_true(table->tupdesc, table->vals[i], CLAIMED_RUN_NCOLUMNS + 1);
	}
	SPI_freetuptable(table);
	if (n > 0)
	{
		l->due = members[n - 1].step->due;
		l->id = members[n - 1].step->run_id;
		load_batch(l, members, n);
	}
	MemoryContextSwitchTo(old);
	return n == RUNS_AT_ONCE;
}

/* Inside an SPI connection, until the end of which what is read lives. */
void
forecast_load(Forecast *f)
{
	Loader l = {.forecast = f, .due = DT_NOBEGIN};

	l.batch = AllocSetContextCreate(f->context, "cadence_forecast batch", ALLOCSET_DEFAULT_SIZES);
	l.runs = STATEMENT("looking for active runs", runs_sql(f->tables), runs_types, SPI_OK_SELECT);
	l.runs.in_query = true;
	l.rulings = cadence_rulings_create(f->tables, true);
	cadence_rulings_want_all(l.rulings);
	l.resolver = cadence_resolver_create(f->tables, f->providers, l.rulings, true);
	l.conversations = cadence_conversations_create(f->tables, true);
	l.exits = cadence_exits_create(f->tables, true);
	f->has_views = cadence_exits_exist(l.exits);
	cadence_sender_states_read(f->states);
	forecast_calendars_begin(&l);
	forecast_plans_begin(&l);
	forecast_people_begin(&l);
	forecast_counts_begin(&l);
	while (read_batch(&l))
		;
	MemoryContextDelete(l.batch);
}
