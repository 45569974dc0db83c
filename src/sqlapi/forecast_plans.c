/*
 * forecast_plans.c
 *		What cadences say: their steps, and the policies of a company for them. Each cadence is
 *		read once, from its first step on, by what executions look its steps up with.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/memutils.h"

#include "base/row.h"
#include "resolve/message.h"
#include "sqlapi/forecast_parts.h"

/* A cadence has so many steps that are looked at. */
#define STEPS_MAX 1000

typedef struct PlanEntry
{
	uint64 key;
	PlannedCadence *plan;
} PlanEntry;

static const Oid codes_types[] = {UUIDOID};

/* Where the contact's columns are, of which templates name some. */
static void
find_contact_columns(Loader *l)
{
	HeapTuple none[1];

	cadence_contacts_find(cadence_contacts_create(l->forecast->tables, true), NULL, 0, &l->contact,
						  none);
}

void
forecast_plans_begin(Loader *l)
{
	l->codes = STATEMENT("looking for a cadence",
						 psprintf("SELECT c.codigo::text FROM %s AS c WHERE c.id " EQ " $1",
								  l->forecast->tables->cadences),
						 codes_types, SPI_OK_SELECT);
	l->codes.in_query = true;
	l->lookups = cadence_step_lookups_create(l->forecast->tables, true);
	l->plans = forecast_table(l, "cadence_forecast plans", sizeof(uint64), sizeof(PlanEntry));
	find_contact_columns(l);
}

static uint64
plan_key(const CadenceStep *step)
{
	uint64 key = hash_bytes_extended(step->cadence_id.data, UUID_LEN, 0);

	return forecast_hash(step->empresa, key);
}

PlannedCadence *
forecast_plan(Loader *l, const CadenceStep *step)
{
	uint64 key = plan_key(step);
	PlanEntry *entry = hash_search(l->plans, &key, HASH_FIND, NULL);

	return entry != NULL ? entry->plan : NULL;
}

static int
find_channel(Forecast *f, const char *canal)
{
	char *name = asc_toupper(canal, strlen(canal));
	MemoryContext old;
	ListCell *cell;

	foreach (cell, f->channels)
		if (strcmp(lfirst(cell), name) == 0)
			return foreach_current_index(cell);
	old = MemoryContextSwitchTo(f->context);
	f->channels = lappend(f->channels, pstrdup(name));
	MemoryContextSwitchTo(old);
	return list_length(f->channels) - 1;
}

/* What is forbidden to one of a kind is to all of it. */
static unsigned
find_kind(Loader *l, PlannedCadence *plan, int channel, const char *categoria)
{
	int i;

	for (i = 0; i < plan->nkinds; i++)
		if (plan->kinds[i].channel == channel &&
			(categoria == NULL || plan->kinds[i].categoria == NULL
				 ? categoria == plan->kinds[i].categoria
				 : strcmp(categoria, plan->kinds[i].categoria) == 0))
			return i;
	if (i == FORECAST_KINDS)
		return FORECAST_KINDS - 1;
	plan->kinds[i].channel = channel;
	plan->kinds[i].categoria =
		categoria != NULL ? MemoryContextStrdup(l->forecast->context, categoria) : NULL;
	plan->nkinds++;
	return i;
}

static PlannedCadence *
add_plan(Loader *l, const CadenceStep *step)
{
	PlannedCadence *plan = palloc0(sizeof(*plan));
	uint64 key = plan_key(step);
	PlanEntry *entry = hash_search(l->plans, &key, HASH_ENTER, NULL);

	plan->cadence_id = step->cadence_id;
	plan->empresa = step->empresa != NULL ? pstrdup(step->empresa) : NULL;
	plan->next_position = PG_INT32_MIN;
	entry->plan = plan;
	return plan;
}

static void
read_policy(Loader *l, PlannedCadence *plan, const CadencePolicy *p)
{
	ForecastPolicy *to = &plan->policy;
	Window *window = NULL;

	if (p->window != NULL)
	{
		window = palloc(sizeof(*window));
		*window = *p->window;
	}
	to->decide = (DecidePolicy){.window = window, .spread = p->spread_us, .min_gap = p->min_gap_us};
	to->window_unknown = p->window_unknown;
	to->priority = p->priority;
	to->max[DECIDE_CAP_PERSON] = p->max_of_person;
	to->max[DECIDE_CAP_COMPANY] = p->max_of_company;
	to->max[DECIDE_CAP_CADENCE] = p->max_of_cadence;
	to->max[DECIDE_CAP_NEW] = p->max_new;
	to->counts[DECIDE_CAP_COMPANY] = forecast_count(l, forecast_hash(plan->empresa, 0));
	for (int i = DECIDE_CAP_CADENCE; i <= DECIDE_CAP_NEW; i++)
		to->counts[i] =
			forecast_count(l, hash_bytes_extended(plan->cadence_id.data, UUID_LEN, (uint64) i));
}

static bool
is_unresolved(Loader *l, CadenceStepLookup *found)
{
	if (!found->has_template || !found->template_is_active)
		return true;
	return !found->template_has_no_room && message_template(&l->contact, found)->problem != NULL;
}

/* A step of a plan, found by its place; in the forecast's memory. */
static PlannedStep *
make_step(Loader *l, PlannedCadence *plan, CadenceStepLookup *found, bool has_problem)
{
	Forecast *f = l->forecast;
	const char *canal = found->canal != NULL ? found->canal : "";
	PlannedStep *step = palloc0(sizeof(*step));

	step->id = found->step_id;
	step->ordem = found->ordem;
	step->channel = find_channel(f, canal);
	step->canal = CStringGetTextDatum(canal);
	step->pool = cadence_pool_of(f->providers, canal, plan->empresa);
	step->may_close = strcmp(list_nth(f->channels, step->channel), "WHATSAPP") == 0 &&
					  !step_lookup_has_approved(found);
	step->step =
		(ForecastStep){.time = found->time,
					   .next_time = found->next_time,
					   .valid_for = found->valid_for_us,
					   .goes_on = found->goes_on,
					   .is_unresolved = has_problem,
					   .kind = find_kind(l, plan, step->channel, step_lookup_category(found)),
					   .number = plan->nsteps};
	return step;
}

static void
add_step(Loader *l, PlannedCadence *plan, CadenceStepLookup *found)
{
	/* what parsing leaves goes with the batch */
	bool has_problem = found->has_step && found->is_active && is_unresolved(l, found);
	MemoryContext old = MemoryContextSwitchTo(l->forecast->context);
	PlannedStep *step;

	if (plan->nsteps == 0)
		read_policy(l, plan, &found->policy);
	plan->is_active = found->has_cadence && found->is_active;
	plan->is_read =
		!plan->is_active || !found->has_step || !found->has_next || plan->nsteps + 1 >= STEPS_MAX;
	if (plan->is_active && found->has_step)
	{
		step = make_step(l, plan, found, has_problem);
		if (plan->nsteps > 0)
			plan->steps[plan->nsteps - 1]->step.next = &step->step;
		if (plan->steps == NULL)
			plan->steps = palloc(sizeof(*plan->steps) * 8);
		else if (plan->nsteps >= 8 && (plan->nsteps & (plan->nsteps - 1)) == 0)
			plan->steps = repalloc(plan->steps, sizeof(*plan->steps) * plan->nsteps * 2);
		plan->steps[plan->nsteps++] = step;
		plan->next_position = found->next_ordem;
	}
	MemoryContextSwitchTo(old);
}

static void
read_code(Loader *l, PlannedCadence *plan)
{
	Datum values[] = {UUIDPGetDatum(&plan->cadence_id)};

	statement_execute(&l->codes, values, NULL, 1);
	if (SPI_processed > 0)
	{
		char *codigo = row_text(SPI_tuptable->tupdesc, SPI_tuptable->vals[0], 1, ROW_FIELD_MAX);
		MemoryContext old = MemoryContextSwitchTo(l->forecast->context);

		plan->has_codigo = codigo != NULL;
		plan->codigo = codigo != NULL ? CStringGetTextDatum(codigo) : (Datum) 0;
		MemoryContextSwitchTo(old);
	}
	SPI_freetuptable(SPI_tuptable);
}

/* Reads the plans of some steps that are not known yet: from the first step on, one each round. */
void
forecast_plans_read(Loader *l, CadenceStep **steps, int n)
{
	PlannedCadence **plans = palloc(sizeof(*plans) * Max(n, 1));
	CadenceStep **places = palloc(sizeof(*places) * Max(n, 1));
	CadenceStepLookup **found = palloc(sizeof(*found) * Max(n, 1));
	MemoryContext old;
	int nplans = 0;

	for (int i = 0; i < n; i++)
	{
		if (!steps[i]->has_cadence || forecast_plan(l, steps[i]) != NULL)
			continue;
		old = MemoryContextSwitchTo(l->forecast->context);
		plans[nplans] = add_plan(l, steps[i]);
		MemoryContextSwitchTo(old);
		places[nplans] = palloc0(sizeof(CadenceStep));
		places[nplans]->has_cadence = places[nplans]->has_position = true;
		places[nplans]->cadence_id = steps[i]->cadence_id;
		places[nplans]->empresa = steps[i]->empresa;
		nplans++;
	}
	for (int i = 0; i < nplans; i++)
		read_code(l, plans[i]);
	while (nplans > 0)
	{
		int left = 0;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < nplans; i++)
			places[i]->position = plans[i]->next_position;
		cadence_step_lookups_find(l->lookups, places, nplans, found);
		for (int i = 0; i < nplans; i++)
		{
			add_step(l, plans[i], found[i]);
			if (plans[i]->is_read)
				continue;
			plans[left] = plans[i];
			places[left++] = places[i];
		}
		nplans = left;
	}
}

bool
forecast_has_had(const CadenceStep *run, const PlannedStep *step)
{
	for (int i = 0; i < run->nhad; i++)
		if (memcmp(&run->had[i], &step->id, UUID_LEN) == 0)
			return true;
	return false;
}
