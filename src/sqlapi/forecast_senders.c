/*
 * forecast_senders.c
 *		What senders allow, as cadence_forecast() plays it: the choice among a pool's, the
 *		limits, pauses between two messages, breakers; by the code that executions use, on
 *		states that nobody saves.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/settings.h"
#include "engine/claiming.h"
#include "engine/limiting.h"
#include "sqlapi/forecast.h"

/* A pause of which only the bounds are known is the middle one. */
#define CHANCE 0.5

/* What is put off comes back in a second at the earliest, as in engine/limiting_start.c. */
#define WAIT_MIN_US USECS_PER_SEC

/* By a person's channel; NULL: nobody asks whom they have talked with. */
Talk *
forecast_talk(const PlannedRun *run, int channel)
{
	Talk *talk = run->person->talks;

	while (talk != NULL && talk->channel != channel)
		talk = talk->next;
	return talk;
}

static Talk *
talk_of(const PlannedRun *run)
{
	const PlannedStep *step = (const PlannedStep *) run->run.step;

	return step->pool->is_tracked ? forecast_talk(run, step->channel) : NULL;
}

static bool
is_first_touch(void *arg, const ForecastRun *run)
{
	const Talk *talk = talk_of((const PlannedRun *) run);

	return talk != NULL ? talk->is_first : !run->has_begun;
}

/* A claim reads the states anew: what it has planned for others is known no more. */
static void
look(void *arg, int64_t now)
{
	Forecast *f = arg;
	ListCell *cell;

	CHECK_FOR_INTERRUPTS();
	MemoryContextReset(f->look);
	foreach (cell, cadence_providers_list(f->providers))
	{
		CadenceSenderState *sender = cadence_sender_of(f->states, lfirst(cell));
		CadenceSenderState *limits = cadence_limits_of(f->states, lfirst(cell));

		sender->ngiven_people = limits->ngiven_people = 0;
		sender->has_plan = limits->has_plan = false;
	}
	foreach (cell, f->domains)
		((CadenceSenderState *) lfirst(cell))->has_plan = false;
}

/* As in engine/limiting_start.c, of an address whose domain alone is known. */
static CadenceSenderState *
domain_state(Forecast *f, const PlannedRun *run, const CadenceConfiguration *c, LimitRules *rules)
{
	memset(rules, 0, sizeof(*rules));
	for (int i = 0; run->domain != NULL && i < c->ndomains; i++)
	{
		CadenceSenderState *state;
		MemoryContext old;

		if (pg_strcasecmp(c->domains[i].domain, run->domain) != 0)
			continue;
		rules->most[WINDOW_MINUTE] = c->domains[i].per_minute;
		old = MemoryContextSwitchTo(f->look);
		state = cadence_sender_state(f->states, cadence_domain_limit_key(c, c->domains[i].domain));
		MemoryContextSwitchTo(f->context);
		f->domains = list_append_unique_ptr(f->domains, state);
		MemoryContextSwitchTo(old);
		return state;
	}
	return NULL;
}

/* Whether it is shut at that time; *until: and asks again then, DT_NOEND: somebody has to act. */
static bool
is_shut(CadenceSenderState *s, TimestampTz now, TimestampTz *until)
{
	if (s->paused_at != 0)
	{
		*until = DT_NOEND;
		return true;
	}
	if (s->open_since == 0)
		return false;
	/* what is tried then is taken */
	if (now >= s->open_until)
	{
		s->open_since = s->open_until = 0;
		return false;
	}
	*until = s->open_until;
	return true;
}

/* Whether a person has to be left alone; likewise. See engine/conversing.c. */
static bool
has_to_pause(const PlannedRun *run, const Talk *talk, const CadenceProvider *p, TimestampTz now,
			 TimestampTz *until)
{
	const PlannedStep *step = (const PlannedStep *) run->run.step;
	const CadenceConfiguration *c = p->configuration;

	if (talk == NULL || !step->pool->is_timed || talk->last_at == 0 || run->run.is_retry)
		return false;
	if (c->quiet_until_reply && talk->server == p && talk->heard_at <= talk->last_at)
		*until = DT_NOEND;
	else if (talk->last_at > now - c->min_gap_us)
		*until = talk->last_at + c->min_gap_us;
	else
		return false;
	return true;
}

static ForecastTurn
wait_until(TimestampTz until, TimestampTz now, int64_t *at)
{
	*at = Max(until, now + WAIT_MIN_US);
	return until == DT_NOEND ? TURN_NEVER : TURN_WAITS;
}

static CadenceProvider *
choose(Forecast *f, const PlannedRun *run, const Talk *talk, bool is_new, TimestampTz now)
{
	const PlannedStep *step = (const PlannedStep *) run->run.step;
	CadencePerson who = {
		.lead_id = run->lead_id,
		.server = talk != NULL && talk->server != NULL ? talk->server->configuration->name : NULL,
		.is_new = is_new};

	return cadence_pool_choose(step->pool, f->states, &who, now);
}

/* The time at which it starts, or comes back: as in engine/limiting_start.c. */
static ForecastTurn
give_start(Forecast *f, PlannedRun *run, CadenceProvider *p, bool is_new, TimestampTz now,
		   int64_t *at)
{
	const CadenceConfiguration *c = p->configuration;
	const CadenceSenderState *s = cadence_sender_of(f->states, p);
	CadenceSenderState *sender = cadence_limits_of(f->states, p);
	LimitTurn turn = {
		.is_new = is_new, .from = is_new ? Max(now, s->new_until) : now, .chance = CHANCE};
	CadenceSenderState *domain = domain_state(f, run, c, &turn.domain_rules);
	LimitUse *domain_use = domain != NULL ? &domain->limits : NULL;
	TimestampTz latest = limiting_latest_start(
		c, now + f->lease_us, run->run.leave_by == CALENDAR_NEVER ? 0 : run->run.leave_by);

	turn.rules = cadence_limit_rules(c, sender, now);
	*at = limits_next_turn(&turn, &sender->limits, domain_use);
	/* a time that is made up is near the true one, and the next ones' less so */
	if (*at > now && turn.rules.gap_min != turn.rules.gap_max)
		run->is_certain = false;
	if (*at <= latest && !(turn.domain_is_full && limits_are_set(&turn.rules)))
	{
		limits_take_turn(&turn, &sender->limits, domain_use, *at);
		if (sender->first_used == 0)
			sender->first_used = now;
		return TURN_STARTS;
	}
	*at = limits_next_turn(&turn, cadence_sender_plan(sender), cadence_sender_plan(domain));
	limits_take_turn(&turn, cadence_sender_plan(sender), cadence_sender_plan(domain), *at);
	return wait_until(*at, now, at);
}

/*
 * The choice, and whether it may: what an execution does between a ruling and the queue.
 */
static ForecastTurn
turn(void *arg, ForecastRun *forecast_run, int64_t now, int64_t *at)
{
	Forecast *f = arg;
	PlannedRun *run = (PlannedRun *) forecast_run;
	Talk *talk = talk_of(run);
	bool is_new = talk != NULL ? talk->is_first && talk->last_at == 0 : !forecast_run->has_begun;
	CadenceProvider *p = choose(f, run, talk, is_new, now);
	TimestampTz until;
	ForecastTurn answer;

	if (p == NULL || p->configuration->problem != NULL)
		return TURN_NEVER;
	if (is_shut(cadence_sender_of(f->states, p), now, &until) ||
		has_to_pause(run, talk, p, now, &until))
		return wait_until(until, now, at);
	answer = give_start(f, run, p, is_new, now, at);
	if (answer == TURN_STARTS && talk != NULL)
	{
		talk->server = p;
		talk->last_at = *at;
		talk->is_first = false;
	}
	f->server = p;
	return answer;
}

static void
leaves(void *arg, ForecastRun *run, int64_t at)
{
	Forecast *f = arg;

	f->tell(f->teller, (PlannedRun *) run, (const PlannedStep *) run->step, f->server, at);
}

/* Plays all that happens until the forecast's end. */
void
forecast_let_pass(Forecast *f)
{
	ForecastEngine engine = {.look = look,
							 .is_first_touch = is_first_touch,
							 .turn = turn,
							 .leaves = leaves,
							 .arg = f,
							 .batch_size = cadence_batch_size,
							 .now = f->now,
							 .until = f->until,
							 .retry_unresolved = cadence_retry_unresolved * USECS_PER_SEC};
	ForecastRun **batch = palloc(sizeof(*batch) * cadence_batch_size);

	f->lease_us = claiming_lease_us(f->providers);
	forecast_run(&engine, f->runs, f->nruns, batch);
	pfree(batch);
}
