/*
 * forecast_people.c
 *		People: by whom they were last written to, and what keeps a step from them.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "provider/configuration.h"
#include "rules/domain_limits.h"
#include "sqlapi/forecast_parts.h"

typedef struct PersonEntry
{
	uint64 key;
	Person *person;
} PersonEntry;

void
forecast_people_begin(Loader *l)
{
	l->people = forecast_table(l, "cadence_forecast people", sizeof(uint64), sizeof(PersonEntry));
}

Person *
forecast_person(Loader *l, const CadenceStep *step)
{
	uint64 key = forecast_hash(step->ruling->empresa, forecast_hash(step->ruling->lead_id, 0));
	bool found;
	PersonEntry *entry = hash_search(l->people, &key, HASH_ENTER, &found);

	if (!found)
	{
		entry->person = MemoryContextAllocZero(l->forecast->context, sizeof(Person));
		entry->person->key = key;
		entry->person->count.last_at = CALENDAR_NEVER;
	}
	return entry->person;
}

/* By whom they were written to last on a step's channel. */
static void
note_talk(Loader *l, PlannedRun *run, const PlannedStep *planned, const CadenceStep *step)
{
	Talk *talk;
	ListCell *cell;

	if (step->conversation == NULL || forecast_talk(run, planned->channel) != NULL)
		return;
	talk = MemoryContextAllocZero(l->forecast->context, sizeof(*talk));
	talk->channel = planned->channel;
	talk->last_at = step->conversation->last.at;
	talk->heard_at = step->heard_at;
	talk->is_first = step->is_first_touch;
	foreach (cell, cadence_providers_list(l->forecast->providers))
	{
		CadenceProvider *p = lfirst(cell);

		if (step->conversation->last.server != NULL &&
			strcmp(p->configuration->name, step->conversation->last.server) == 0)
			talk->server = p;
	}
	talk->next = run->person->talks;
	run->person->talks = talk;
}

/* The domain of a mail's address, where a server has a limit for it. */
static void
note_domain(PlannedRun *run, const CadenceStep *step)
{
	ListCell *cell;

	if (step->recipient == NULL || step->pool == NULL || !step->pool->has_domains)
		return;
	foreach (cell, step->pool->members)
	{
		const CadenceDomainLimit *limit = cadence_configuration_domain_limit(
			((CadenceProvider *) lfirst(cell))->configuration, step->recipient);

		if (limit != NULL && run->domain == NULL)
			run->domain = limit->domain;
	}
}

/* ---- what keeps a step from its person -------------------------------------------------- */

/* Whether it is the fault of the step's template, and not of its person's or sender's. */
static bool
is_of_template(const CadenceStep *step)
{
	const char *code = step->reason.code != NULL ? step->reason.code : "";

	return strcmp(code, "SEM_TEMPLATE") == 0 || strcmp(code, "TEMPLATE_INVALIDO") == 0;
}

static ForecastReach
reach_of(const CadenceStep *step)
{
	const char *code = step->reason.code != NULL ? step->reason.code : "";

	switch (step->outcome)
	{
		case OUTCOME_STOPPED:
			return REACH_STOPPED;
		case OUTCOME_REFUSED:
			return REACH_REFUSED;
		case OUTCOME_UNRESOLVED:
			if (strcmp(code, "SEM_ENDERECO") == 0 || strcmp(code, "ENDERECO_INVALIDO") == 0)
				return REACH_NO_ADDRESS;
			return REACH_UNRESOLVED;
		case OUTCOME_UNCERTAIN:
			/* it waits for somebody who settles it */
			return step->holds ? REACH_UNRESOLVED : REACH_OPEN;
		default:
			return REACH_OPEN;
	}
}

void
forecast_note_reach(Loader *l, Member *m, const PlannedStep *planned, const CadenceStep *step,
					bool is_next)
{
	PlannedRun *run = m->run;
	ForecastReach reach = reach_of(step);

	if (reach == REACH_UNRESOLVED && is_of_template(step))
	{
		if (is_next)
			run->run.unresolved = &planned->step;
		reach = REACH_OPEN;
	}
	run->run.reach[planned->step.kind] = reach;
	if (step->outcome == OUTCOME_PUT_OFF || step->outcome == OUTCOME_UNCERTAIN ||
		step->outcome == OUTCOME_UNSENT)
		run->is_certain = false;
	note_talk(l, run, planned, step);
	note_domain(run, step);
}
