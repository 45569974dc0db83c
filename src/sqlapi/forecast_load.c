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
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/settings.h"
#include "base/statement.h"
#include "claim/claim.h"
#include "resolve/contact.h"
#include "resolve/conversation.h"
#include "resolve/message.h"
#include "resolve/resolve.h"
#include "resolve/step_lookup.h"
#include "resolve/usage.h"
#include "rules/domain_limits.h"
#include "schema/calendar.h"
#include "schema/exits.h"
#include "sqlapi/forecast.h"

/* So many runs are read at once. */
#define RUNS_AT_ONCE 1000

/* Zones are asked once for so long before and after what is played. */
#define ZONE_MARGIN (500 * CALENDAR_DAY)

/* A cadence has so many steps that are looked at. */
#define STEPS_MAX 1000

/* A calendar by what it consists of. */
typedef struct CalendarKey
{
	const void *zone;
	size_t nholidays;
	uint64 holidays;
} CalendarKey;

typedef struct CalendarEntry
{
	CalendarKey key;
	ForecastCalendar *calendar;
} CalendarEntry;

typedef struct ZoneEntry
{
	const void *zone;
	ForecastZone *asked;
} ZoneEntry;

typedef struct PersonEntry
{
	uint64 key;
	Person *person;
} PersonEntry;

typedef struct PlanEntry
{
	uint64 key;
	PlannedCadence *plan;
} PlanEntry;

typedef struct CountEntry
{
	uint64 key;
	ForecastCount *count;
} CountEntry;

typedef struct Loader
{
	Forecast *forecast;
	Statement runs;
	Statement codes;
	CadenceRulings *rulings;
	CadenceResolver *resolver;
	CadenceStepLookups *lookups;
	CadenceConversations *conversations;
	CadenceExits *exits;
	CadenceUsages *usages;
	ContactColumns contact;
	MemoryContext batch;
	HTAB *calendars;
	HTAB *zones;
	HTAB *people;
	HTAB *plans;
	HTAB *counts;
	TimestampTz due; /* of the last run that was read, */
	pg_uuid_t id;	 /* and its id */
} Loader;

static const Oid runs_types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, UUIDOID};
static const Oid codes_types[] = {UUIDOID};

static char *
runs_sql(const CadenceTables *t)
{
	return psprintf("SELECT %s, r.claim_id IS NOT NULL FROM %s AS r WHERE r.status " EQ " 'ATIVA' "
					"AND r.next_run_at " LE " $1 AND (r.next_run_at, r.id) " GT " ($2, $3) "
					"ORDER BY r.next_run_at, r.id LIMIT %d",
					cadence_claimed_run_columns(t), t->runs, RUNS_AT_ONCE);
}

static HTAB *
make_table(Loader *l, const char *name, Size key, Size entry)
{
	HASHCTL control = {.keysize = key, .entrysize = entry, .hcxt = l->forecast->context};

	return hash_create(name, 1024, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static uint64
hash_text(const char *text, uint64 seed)
{
	if (text == NULL)
		return seed + 1;
	return hash_bytes_extended((const unsigned char *) text, strlen(text) + 1, seed);
}

/* ---- calendars ----------------------------------------------------------------------- */

static const ForecastZone *
find_zone(Loader *l, const Calendar *calendar)
{
	Forecast *f = l->forecast;
	bool found;
	ZoneEntry *entry = hash_search(l->zones, &calendar->zone, HASH_ENTER, &found);

	if (!found)
	{
		entry->asked = MemoryContextAlloc(f->context, sizeof(ForecastZone));
		forecast_zone(entry->asked, calendar, f->now - 10 * CALENDAR_DAY, f->until + ZONE_MARGIN);
	}
	return entry->asked;
}

/* People of one place share it. */
static ForecastCalendar *
find_calendar(Loader *l, const Calendar *calendar)
{
	Size size = sizeof(int32) * calendar->nholidays;
	CalendarKey key;
	CalendarEntry *entry;
	bool found;

	memset(&key, 0, sizeof(key));
	key.zone = calendar->zone;
	key.nholidays = calendar->nholidays;
	if (size > 0)
		key.holidays =
			hash_bytes_extended((const unsigned char *) calendar->holidays, (int) size, 0);
	entry = hash_search(l->calendars, &key, HASH_ENTER, &found);
	if (!found)
	{
		int32 *holidays = MemoryContextAlloc(l->forecast->context, Max(size, 1));

		if (size > 0)
			memcpy(holidays, calendar->holidays, size);
		entry->calendar = MemoryContextAllocZero(l->forecast->context, sizeof(ForecastCalendar));
		entry->calendar->calendar = (Calendar){.utc_offset = forecast_offset,
											   .zone = find_zone(l, calendar),
											   .holidays = holidays,
											   .nholidays = calendar->nholidays};
	}
	return entry->calendar;
}

/* ---- plans --------------------------------------------------------------------------- */

static uint64
plan_key(const CadenceStep *step)
{
	uint64 key = hash_bytes_extended(step->cadence_id.data, UUID_LEN, 0);

	return hash_text(step->empresa, key);
}

static PlannedCadence *
find_plan(Loader *l, const CadenceStep *step)
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

/* Of a company, or a cadence: whoever counts for one shares it. */
static ForecastCount *
find_count(Loader *l, uint64 key)
{
	bool found;
	CountEntry *entry = hash_search(l->counts, &key, HASH_ENTER, &found);

	if (!found)
	{
		entry->count = MemoryContextAllocZero(l->forecast->context, sizeof(ForecastCount));
		entry->count->last_at = CALENDAR_NEVER;
	}
	return entry->count;
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
	to->counts[DECIDE_CAP_COMPANY] = find_count(l, hash_text(plan->empresa, 0));
	for (int i = DECIDE_CAP_CADENCE; i <= DECIDE_CAP_NEW; i++)
		to->counts[i] =
			find_count(l, hash_bytes_extended(plan->cadence_id.data, UUID_LEN, (uint64) i));
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
static void
read_plans(Loader *l, CadenceStep **steps, int n)
{
	PlannedCadence **plans = palloc(sizeof(*plans) * Max(n, 1));
	CadenceStep **places = palloc(sizeof(*places) * Max(n, 1));
	CadenceStepLookup **found = palloc(sizeof(*found) * Max(n, 1));
	MemoryContext old;
	int nplans = 0;

	for (int i = 0; i < n; i++)
	{
		if (!steps[i]->has_cadence || find_plan(l, steps[i]) != NULL)
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

static bool
has_had(const CadenceStep *run, const PlannedStep *step)
{
	for (int i = 0; i < run->nhad; i++)
		if (memcmp(&run->had[i], &step->id, UUID_LEN) == 0)
			return true;
	return false;
}

/* The first step from a position on that a run has not had; NULL: there is none. */
static PlannedStep *
step_from(const PlannedCadence *plan, const CadenceStep *at)
{
	if (!at->has_position)
		return NULL;
	for (int i = 0; i < plan->nsteps; i++)
		if (plan->steps[i]->ordem >= at->position && !has_had(at, plan->steps[i]))
			return plan->steps[i];
	return NULL;
}

/* Which of them it has had, as far as they are numbered. */
static uint64
had_steps(const PlannedCadence *plan, const CadenceStep *run)
{
	uint64 had = 0;

	for (int i = 0; i < Min(plan->nsteps, FORECAST_SKIPS) && run->nhad > 0; i++)
		if (has_had(run, plan->steps[i]))
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

/* ---- people -------------------------------------------------------------------------- */

static Person *
find_person(Loader *l, const CadenceStep *step)
{
	uint64 key = hash_text(step->ruling->empresa, hash_text(step->ruling->lead_id, 0));
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

/* One of a batch: a run, and the steps of it that are resolved. */
typedef struct Member
{
	PlannedRun *run;
	CadenceStep *step; /* its next one; NULL: it is left out */
	const PlannedStep *planned;
	bool is_claimed;
	int first; /* its steps among those that are resolved */
	int n;
	const PlannedStep *others[FORECAST_KINDS];
} Member;

/* The step of each kind that comes first and is no fault by itself. */
static int
find_others(const Member *m, const PlannedStep **others)
{
	bool seen[FORECAST_KINDS] = {false};
	int n = 0;

	seen[m->planned->step.kind] = true;
	for (const ForecastStep *s = m->planned->step.next; s != NULL; s = s->next)
	{
		if (seen[s->kind] || s->is_unresolved || has_had(m->step, (const PlannedStep *) s))
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

static void
note_reach(Loader *l, Member *m, const PlannedStep *planned, const CadenceStep *step, bool is_next)
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

/* ---- counts -------------------------------------------------------------------------- */

static void
read_counts(Loader *l, UsageRow **rows, ForecastCount **counts, int n)
{
	cadence_usages_find(l->usages, rows, n);
	for (int i = 0; i < n; i++)
	{
		counts[i]->day = rows[i]->day;
		counts[i]->used = rows[i]->used;
		/* a clock that was wrong may have counted it */
		if (rows[i]->last_at != 0 &&
			rows[i]->last_at <= l->forecast->now + cadence_lease * USECS_PER_SEC)
			counts[i]->last_at = rows[i]->last_at;
	}
}

static UsageRow *
usage_row(Loader *l, const char *scope, const char *name, const char *empresa,
		  const ForecastCalendar *c)
{
	UsageRow *row = palloc0(sizeof(*row));

	row->scope = scope;
	row->name = name != NULL ? name : "";
	row->empresa = empresa != NULL ? empresa : "";
	row->day = calendar_day(&c->calendar, l->forecast->now);
	return row;
}

/* One of those that are read one by one, since they are few. */
static void
read_count(Loader *l, const PlannedCadence *plan, const char *scope, const char *name,
		   const char *empresa, ForecastCount *count)
{
	UsageRow *row = usage_row(l, scope, name, empresa, plan->policy.company);

	read_counts(l, &row, &count, 1);
}

/* When the company's calendar is known. */
static void
read_plan_counts(Loader *l, const PlannedCadence *plan, const char *empresa)
{
	const int *max = plan->policy.max;
	ForecastCount *const *counts = plan->policy.counts;
	char cadence[UUID_TEXT_SIZE];

	cadence_uuid_text(&plan->cadence_id, cadence);
	if (max[DECIDE_CAP_COMPANY] != 0)
		read_count(l, plan, "EMPRESA", "", empresa, counts[DECIDE_CAP_COMPANY]);
	if (max[DECIDE_CAP_CADENCE] != 0)
		read_count(l, plan, "CADENCIA", cadence, "", counts[DECIDE_CAP_CADENCE]);
	if (max[DECIDE_CAP_NEW] != 0)
		read_count(l, plan, "NOVOS", cadence, "", counts[DECIDE_CAP_NEW]);
}

typedef struct PersonRow
{
	UsageRow *row;
	ForecastCount *count;
} PersonRow;

static int
compare_rows(const void *a, const void *b)
{
	return cadence_usage_compare(((const PersonRow *) a)->row, ((const PersonRow *) b)->row);
}

/* Of people whom something counts for. */
static void
read_people(Loader *l, Member *members, int n)
{
	PersonRow *all = palloc(sizeof(*all) * Max(n, 1));
	UsageRow **rows = palloc(sizeof(*rows) * Max(n, 1));
	ForecastCount **counts = palloc(sizeof(*counts) * Max(n, 1));
	int nall = 0;
	int nrows = 0;

	for (int i = 0; i < n; i++)
	{
		const PlannedRun *run = members[i].run;

		if (run == NULL || (run->plan->policy.max[DECIDE_CAP_PERSON] == 0 &&
							run->plan->policy.decide.min_gap == 0))
			continue;
		all[nall++] =
			(PersonRow){.row = usage_row(l, "LEAD", members[i].step->ruling->lead_id,
										 members[i].step->ruling->empresa, run->run.person),
						.count = run->run.count};
	}
	qsort(all, nall, sizeof(*all), compare_rows);
	for (int i = 0; i < nall; i++)
	{
		if (nrows > 0 && cadence_usage_compare(rows[nrows - 1], all[i].row) == 0)
			continue;
		rows[nrows] = all[i].row;
		counts[nrows++] = all[i].count;
	}
	if (nrows > 0)
		read_counts(l, rows, counts, nrows);
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

	run->person = find_person(l, step);
	run->run.count = &run->person->count;
	run->run.person = find_calendar(l, &ruling->person);
	run->run.place = (float) ruling->decide.place;
	run->run.zone_unknown = ruling->facts.zone_unknown;
	run->run.is_counted =
		step->kept != NULL && calendar_day(&ruling->person, step->kept->since) ==
								  calendar_day(&ruling->person, Max(step->due, l->forecast->now));
	if (run->plan->policy.company != NULL)
		return;
	run->plan->policy.company = find_calendar(l, &ruling->company);
	read_plan_counts(l, run->plan, ruling->empresa);
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
	PlannedCadence *plan = m->step->has_cadence ? find_plan(l, m->step) : NULL;

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
	note_reach(l, m, m->planned, m->step, true);
	for (int k = 1; k < m->n; k++)
		note_reach(l, m, m->others[k - 1], steps[m->first + k], false);
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
	read_plans(l, steps, n);
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
	read_people(l, members, n);
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

/* Where the contact's columns are, of which templates name some. */
static void
find_contact_columns(Loader *l)
{
	HeapTuple none[1];

	cadence_contacts_find(cadence_contacts_create(l->forecast->tables, true), NULL, 0, &l->contact,
						  none);
}

/* Inside an SPI connection, until the end of which what is read lives. */
void
forecast_load(Forecast *f)
{
	Loader l = {.forecast = f, .due = DT_NOBEGIN};

	l.batch = AllocSetContextCreate(f->context, "cadence_forecast batch", ALLOCSET_DEFAULT_SIZES);
	l.runs = STATEMENT("looking for active runs", runs_sql(f->tables), runs_types, SPI_OK_SELECT);
	l.codes = STATEMENT(
		"looking for a cadence",
		psprintf("SELECT c.codigo::text FROM %s AS c WHERE c.id " EQ " $1", f->tables->cadences),
		codes_types, SPI_OK_SELECT);
	l.runs.in_query = l.codes.in_query = true;
	l.rulings = cadence_rulings_create(f->tables, true);
	cadence_rulings_want_all(l.rulings);
	l.resolver = cadence_resolver_create(f->tables, f->providers, l.rulings, true);
	l.lookups = cadence_step_lookups_create(f->tables, true);
	l.conversations = cadence_conversations_create(f->tables, true);
	l.exits = cadence_exits_create(f->tables, true);
	l.usages = cadence_usages_create(f->tables, true);
	l.calendars =
		make_table(&l, "cadence_forecast calendars", sizeof(CalendarKey), sizeof(CalendarEntry));
	l.zones = make_table(&l, "cadence_forecast zones", sizeof(void *), sizeof(ZoneEntry));
	l.people = make_table(&l, "cadence_forecast people", sizeof(uint64), sizeof(PersonEntry));
	l.plans = make_table(&l, "cadence_forecast plans", sizeof(uint64), sizeof(PlanEntry));
	l.counts = make_table(&l, "cadence_forecast counts", sizeof(uint64), sizeof(CountEntry));
	f->has_views = cadence_exits_exist(l.exits);
	cadence_sender_states_read(f->states);
	find_contact_columns(&l);
	while (read_batch(&l))
		;
	MemoryContextDelete(l.batch);
}
