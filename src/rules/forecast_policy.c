/*
 * forecast_policy.c
 *		What policies say of a run, and what it takes of their caps.
 */
#include "rules/forecast_parts.h"

static const ForecastCalendar *
today(ForecastCalendar *c, int64_t now)
{
	if (c->is_asked && c->asked_at == now)
		return c;
	/* a day is asked about many times */
	if (!c->is_asked || now < c->asked_at || now >= c->day_ends)
	{
		c->day = calendar_day(&c->calendar, now);
		c->day_ends = calendar_instant(&c->calendar, c->day + 1, 0);
	}
	c->is_asked = true;
	c->asked_at = now;
	return c;
}

static ForecastCalendar *
calendar_of(const ForecastRun *run, int cap)
{
	return cap == DECIDE_CAP_PERSON ? run->person : run->policy->company;
}

static bool
counts(const ForecastRun *run, int cap)
{
	const ForecastPolicy *p = run->policy;

	if (cap == DECIDE_CAP_PERSON)
		return (p->max[cap] != 0 || p->decide.min_gap != 0) && !run->is_counted;
	return p->max[cap] != 0 && !run->is_counted && (cap != DECIDE_CAP_NEW || !run->has_begun);
}

static ForecastCount *
count_of(const ForecastRun *run, int cap)
{
	return cap == DECIDE_CAP_PERSON ? run->count : run->policy->counts[cap];
}

static int64_t
later_message(int64_t a, int64_t b)
{
	return a == CALENDAR_NEVER || b > a ? b : a;
}

static const CadenceReasonCode cap_reasons[DECIDE_CAPS] = {REASON_CAP_PERSON, REASON_CAP_COMPANY,
														   REASON_CAP_CADENCE, REASON_CAP_NEW};

Decision
forecast_decide(ForecastRun *run, int64_t now)
{
	const ForecastPolicy *p = run->policy;
	DecidePolicy policy = p->decide;
	DecideFacts facts = {.opted_out = run->reach[run->step->kind] == REACH_STOPPED,
						 .has_skip = forecast_is_among(run->skips, run->step),
						 .can_expire = run->step->valid_for != 0,
						 .due = run->first_due,
						 .valid_for = run->step->valid_for,
						 .window_unknown = p->window_unknown,
						 .zone_unknown = run->zone_unknown,
						 .has_time = run->step->time.has_time,
						 .time = run->step->time.time,
						 .last_to_person = CALENDAR_NEVER};

	policy.place = run->place;
	if (run->is_counted)
		policy.min_gap = 0;
	for (int i = 0; i < DECIDE_CAPS; i++)
	{
		const ForecastCount *count = count_of(run, i);
		const ForecastCalendar *c;

		if (!counts(run, i))
			continue;
		c = today(calendar_of(run, i), now);
		facts.caps[i] = (DecideCap){.reason = cap_reasons[i],
									.is_set = p->max[i] != 0,
									.max = p->max[i] > 0 ? p->max[i] : 0,
									.used = count->day == c->day ? count->used : 0,
									.day_ends = c->day_ends};
	}
	if (counts(run, DECIDE_CAP_PERSON))
		facts.last_to_person = run->count->last_at;
	return cadence_decide(&facts, &policy, &run->person->calendar, now);
}

/* It is to be sent: the next one finds that counted. */
void
forecast_take(ForecastRun *run, int64_t now)
{
	run->has_taken = true;
	for (int i = 0; i < DECIDE_CAPS; i++)
	{
		ForecastCount *count = count_of(run, i);
		int32_t day;

		if (!counts(run, i))
			continue;
		day = today(calendar_of(run, i), now)->day;
		count->used = count->day == day ? count->used + 1 : 1;
		count->day = day;
	}
	run->before = run->count->last_at;
	if (counts(run, DECIDE_CAP_PERSON))
		run->count->last_at = later_message(run->count->last_at, now);
}

/* It is not, after all. */
void
forecast_give_back(ForecastRun *run, int64_t now)
{
	for (int i = 0; i < DECIDE_CAPS; i++)
		if (counts(run, i))
			count_of(run, i)->used--;
	if (counts(run, DECIDE_CAP_PERSON) && run->count->last_at == now)
		run->count->last_at = run->before;
	run->has_taken = false;
}

/* Its person is written to then, not when it was taken. */
void
forecast_note_sent(ForecastRun *run, int64_t at)
{
	if (counts(run, DECIDE_CAP_PERSON))
		run->count->last_at = later_message(run->count->last_at, at);
	run->has_taken = false;
}
