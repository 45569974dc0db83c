/*
 * life.c
 *		What people, operators and misfortune do meanwhile, by chance.
 */
#include "life.h"

#include <string.h>

#include "book.h"
#include "chance.h"
#include "engine.h"
#include "world.h"

typedef enum LifeKind
{
	LIFE_ENROLL = EVENT_LIFE,
	LIFE_REPLY,
	LIFE_OPT_OUT,
	LIFE_OPT_IN, /* of somebody */
	LIFE_EXIT,
	LIFE_SKIP,
	LIFE_PAUSE,
	LIFE_RESUME, /* of some run */
	LIFE_CANCEL,
	LIFE_EDIT_STEP,
	LIFE_EDIT_POLICY,
	LIFE_HOLIDAY,
	LIFE_OUTAGE,
	LIFE_CRASH,
	LIFE_CADENCE_OFF,
	LIFE_CADENCE_ON /* some cadence */
} LifeKind;

/* How often a day, of so many leads; below 0: of all together. */
static const struct
{
	LifeKind kind;
	double a_day;
} often[] = {{LIFE_ENROLL, 0.06},	  {LIFE_REPLY, 0.01},	{LIFE_OPT_OUT, 0.001},
			 {LIFE_EXIT, 0.002},	  {LIFE_SKIP, 0.004},	{LIFE_PAUSE, 0.004},
			 {LIFE_CANCEL, 0.001},	  {LIFE_EDIT_STEP, -5}, {LIFE_EDIT_POLICY, -0.4},
			 {LIFE_HOLIDAY, -0.1},	  {LIFE_OUTAGE, -0.5},	{LIFE_CRASH, -0.15},
			 {LIFE_CADENCE_OFF, -0.3}};

static void
again(LifeKind kind, int64_t now)
{
	for (size_t i = 0; i < sizeof(often) / sizeof(often[0]); i++)
	{
		double a_day = often[i].a_day < 0 ? -often[i].a_day : often[i].a_day * world.nleads;

		if (often[i].kind == kind)
			queue_put(&events, now + 1 + chance_below((int64_t) (2 * CALENDAR_DAY / a_day)), kind,
					  0, 0);
	}
}

/* ---- people --------------------------------------------------------------------------------- */

/* One of those that were started last, or any. */
static Run *
any_run(void)
{
	int recent = world.nleads * 2 < world.nruns ? world.nleads * 2 : world.nruns;

	return world.nruns == 0 ? NULL : &world.runs[world.nruns - 1 - chance_below(recent)];
}

static bool
is_open(const Run *run)
{
	return run->status == RUN_ACTIVE || run->status == RUN_PAUSED;
}

static bool
has_open_run(int lead, int cadence)
{
	for (int i = world.leads[lead].last_run; i > 0; i = world.runs[i - 1].before)
		if (world.runs[i - 1].cadence == cadence && is_open(&world.runs[i - 1]))
			return true;
	return false;
}

static void
enroll(int64_t now)
{
	int lead = (int) chance_below(world.nleads);
	int cadence = world.leads[lead].company + (int) chance_below(CADENCES_EACH) * COMPANIES;
	Run *run;

	if (has_open_run(lead, cadence))
		return;
	run = run_enroll(lead, cadence, now);
	if (run == NULL)
		return;
	run->before = world.leads[lead].last_run;
	world.leads[lead].last_run = (int) (run - world.runs) + 1;
	engine_wait_for(run);
}

/* Whoever answers ends what stops then. */
static void
reply(int64_t now)
{
	Run *of = any_run();

	if (of == NULL)
		return;
	book_of_lead("reply", now, of->lead);
	for (int i = world.leads[of->lead].last_run; i > 0; i = world.runs[i - 1].before)
	{
		Run *run = &world.runs[i - 1];
		const Step *step = step_at(&world.cadences[run->cadence], run, run->position);

		if (is_open(run) && run->has_begun && step != NULL && step->stops)
			(void) engine_act(run, ACT_CANCEL, now, "reply");
	}
}

static void
opt_out(int64_t now)
{
	int lead = (int) chance_below(world.nleads);

	if (world.leads[lead].opted_out)
		return;
	world.leads[lead].opted_out = true;
	book_of_lead("opt-out", now, lead);
	if (chance_percent(20))
		queue_put(&events, now + chance_between(1, 60) * CALENDAR_DAY, LIFE_OPT_IN, lead, 0);
}

static void
opt_in(int64_t now, int lead)
{
	world.leads[lead].opted_out = false;
	book_of_lead("opt-in", now, lead);
}

static void
leave_by_exit(int64_t now)
{
	Run *run = any_run();

	if (run == NULL || run->has_exit)
		return;
	run->has_exit = true;
	book_of_run("exit", now, run, "");
}

static void
skip(int64_t now)
{
	Run *run = any_run();
	Cadence *cadence = run != NULL ? &world.cadences[run->cadence] : NULL;
	int step;

	if (run == NULL || run->nskips == 4 || cadence->nsteps == 0)
		return;
	step = cadence->steps[chance_below(cadence->nsteps)].id;
	run->skips[run->nskips++] = step;
	book_of_step("skip wanted", now, run, step, "");
}

/* ---- operators --------------------------------------------------------------------------- */

static void
pause_some(int64_t now)
{
	Run *run = any_run();

	if (run != NULL)
		(void) engine_act(run, ACT_PAUSE, now, "operator");
}

static void
cancel_some(int64_t now)
{
	Run *run = any_run();

	if (run != NULL)
		(void) engine_act(run, ACT_CANCEL, now, "operator");
}

/* What is paused does not stay so: what is uncertain is settled, as the provider's pages have it.
 */
static void
resume_all(int64_t now)
{
	for (int i = 0; i < world.nruns; i++)
	{
		Run *run = &world.runs[i];

		if (run->status != RUN_PAUSED || !chance_percent(40))
			continue;
		if (run->uncertain)
			(void) engine_act(run, run->delivered ? ACT_SETTLE_SENT : ACT_SETTLE_UNSENT, now,
							  "settled");
		else
			(void) engine_act(run, ACT_RESUME, now, "operator");
	}
	queue_put(&events, now + chance_between(3, 30) * HOUR, LIFE_RESUME, 0, 0);
}

static void
reschedule_cadence(int cadence, int64_t now)
{
	for (int i = 0; i < world.nruns; i++)
		if (world.runs[i].cadence == cadence && is_open(&world.runs[i]))
			engine_edited(&world.runs[i], now);
}

/* Between two others, or behind the last. */
static void
insert_step(int cadence, int64_t now)
{
	Cadence *c = &world.cadences[cadence];
	int i = (int) chance_below(c->nsteps + 1);
	int after = i > 0 ? c->steps[i - 1].ordem : 0;
	int before = i < c->nsteps ? c->steps[i].ordem : after + 20;
	Step step;

	if (c->nsteps == STEPS_MAX || before - after < 2)
		return;
	step = any_step((after + before) / 2, i == 0);
	step.edited_at = now;
	add_step(c, &step);
	book_step(now, cadence, &step);
}

static void
drop_step(int cadence, int64_t now)
{
	Cadence *c = &world.cadences[cadence];
	int i = (int) chance_below(c->nsteps);

	if (c->nsteps < 2)
		return;
	book_step_gone(now, c->steps[i].id);
	remove_step(c, i);
}

/* To the end, or to the front. */
static void
move_step(int cadence, int64_t now)
{
	Cadence *c = &world.cadences[cadence];
	int i = (int) chance_below(c->nsteps);
	Step step = c->steps[i];
	int first = c->steps[0].ordem;

	if (c->nsteps < 2)
		return;
	step.ordem = chance_percent(50) && first > 1 ? first / 2 : c->steps[c->nsteps - 1].ordem + 10;
	step.edited_at = now;
	remove_step(c, i);
	add_step(c, &step);
	book_step(now, cadence, &step);
}

static void
change_step(int cadence, int64_t now)
{
	Cadence *c = &world.cadences[cadence];
	Step *step = &c->steps[chance_below(c->nsteps)];
	Step other = any_step(step->ordem, false);

	other.id = step->id;
	other.edited_at = now;
	*step = other;
	book_step(now, cadence, step);
}

static void
edit_step(int64_t now)
{
	static void (*const edits[])(int, int64_t) = {insert_step, drop_step,	move_step,
												  change_step, change_step, change_step};
	int cadence = (int) chance_below(CADENCES);

	if (world.cadences[cadence].nsteps == 0)
		return;
	edits[chance_below(6)](cadence, now);
	reschedule_cadence(cadence, now);
}

static void
edit_policy(int64_t now)
{
	int number = (int) chance_below(CADENCES);
	Cadence *cadence = &world.cadences[number];
	Company *company = &world.companies[cadence->company];

	switch (chance_below(4))
	{
		case 0:
			cadence->janela = any_window(true, &cadence->window);
			break;
		case 1:
			company->janela = any_window(true, &company->window);
			break;
		case 2:
			cadence->priority = (int) chance_between(0, 2);
			cadence->max_a_day =
				chance_percent(50) ? 0 : (int) chance_between(1, world.nleads / CADENCES + 2);
			break;
		default:
			company->max_of_person = (int) chance_between(0, 3);
			company->min_gap = chance_percent(40) ? 0 : chance_between(1, 30) * HOUR;
	}
	book_cadence(now, number);
	book_company(now, cadence->company);
}

/* Decreed for one of the next days, or for today. */
static void
decree(int64_t now)
{
	int n = world.nholidays;

	add_holiday((int32_t) (now / CALENDAR_DAY + chance_below(5)),
				chance_percent(30) ? -1 : (int) chance_below(PLACES),
				chance_percent(50) ? -1 : (int) chance_below(COMPANIES));
	if (world.nholidays > n)
		book_holiday(now, &world.holidays[n]);
}

static void
switch_cadence(int number, bool on, int64_t now)
{
	world.cadences[number].is_active = on;
	book_cadence(now, number);
	if (!on)
		queue_put(&events, now + chance_between(1, 100) * HOUR, LIFE_CADENCE_ON, number, 0);
}

/* ---- misfortune -------------------------------------------------------------------------- */

static void
outage(int64_t now)
{
	int number = (int) chance_below(COMPANIES);
	Company *company = &world.companies[number];

	if (company->down_until > now)
		return;
	company->down_until = now + chance_between(5, 30 * 60) * CALENDAR_MINUTE;
	book_down(number, now, company->down_until);
}

static void
crash(int64_t now)
{
	world.worker_from =
		now + chance_between(1, chance_percent(20) ? 40 * 60 : 30) * CALENDAR_MINUTE;
	engine_crash(now);
	book_down(-1, now, world.worker_from);
}

/* ---- all of it ---------------------------------------------------------------------------- */

void
life_begin(void)
{
	for (size_t i = 0; i < sizeof(often) / sizeof(often[0]); i++)
		again(often[i].kind, world.begins);
	queue_put(&events, world.begins + CALENDAR_DAY, LIFE_RESUME, 0, 0);
	/* many are there from the first day on */
	for (int i = 0; i < world.nleads / 4; i++)
		enroll(world.begins);
}

void
life_goes_on(const Event *event)
{
	int64_t now = event->at;

	switch ((LifeKind) event->kind)
	{
		case LIFE_ENROLL:
			enroll(now);
			break;
		case LIFE_REPLY:
			reply(now);
			break;
		case LIFE_OPT_OUT:
			opt_out(now);
			break;
		case LIFE_OPT_IN:
			opt_in(now, event->who);
			break;
		case LIFE_EXIT:
			leave_by_exit(now);
			break;
		case LIFE_SKIP:
			skip(now);
			break;
		case LIFE_PAUSE:
			pause_some(now);
			break;
		case LIFE_RESUME:
			resume_all(now);
			break;
		case LIFE_CANCEL:
			cancel_some(now);
			break;
		case LIFE_EDIT_STEP:
			edit_step(now);
			break;
		case LIFE_EDIT_POLICY:
			edit_policy(now);
			break;
		case LIFE_HOLIDAY:
			decree(now);
			break;
		case LIFE_OUTAGE:
			outage(now);
			break;
		case LIFE_CRASH:
			crash(now);
			break;
		case LIFE_CADENCE_OFF:
			switch_cadence((int) chance_below(CADENCES), false, now);
			break;
		case LIFE_CADENCE_ON:
			switch_cadence(event->who, true, now);
			break;
	}
	again((LifeKind) event->kind, now);
}
