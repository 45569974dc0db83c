/*
 * engine.c
 *		An execution around the rules, as the extension has it: due runs are claimed in
 *		batches, decided about in turn, given a start by their sender's limits, looked at
 *		again before they leave, and recorded. All that is decided is decided by src/rules.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#include "book.h"
#include "chance.h"

#define LEASE (5 * CALENDAR_MINUTE)
#define RETRY_FAILED (15 * CALENDAR_MINUTE)
#define RETRY_MOST (6 * HOUR)
#define RETRY_UNRESOLVED (30 * CALENDAR_MINUTE)
#define UNKNOWN_RETRY CALENDAR_MINUTE
#define ATTEMPTS_MAX 5
#define BATCH_MAX 500

Queue events;
static Queue due_runs;
static int claims;

static int
id_of(const Run *run)
{
	return (int) (run - world.runs);
}

/* It is claimed when it is due. */
void
engine_wait_for(Run *run)
{
	if (run->status == RUN_ACTIVE && run->claim == 0 && run->has_due)
		queue_put(&due_runs, run->next_due, EVENT_DUE, id_of(run), 0);
}

/* ---- caps ------------------------------------------------------------------------------ */

static Calendar
calendar_of_cap(const Run *run, int cap)
{
	return cap == DECIDE_CAP_PERSON ? calendar_of_lead(&world.leads[run->lead])
									: calendar_of_company(world.cadences[run->cadence].company);
}

/* usage: what is counted, where a policy depends on it. */
static void
set_cap(Run *run, DecideFacts *facts, int kind, Usage *usage, int max, int64_t now)
{
	DecideCap *cap = &facts->caps[kind];
	Calendar calendar = calendar_of_cap(run, kind);
	int32_t day = calendar_day(&calendar, now);

	/* what an uncertain attempt may have sent was counted then, of its day */
	if (run->kept && calendar_day(&calendar, run->kept_at) == day)
		return;
	run->taken[kind] = usage;
	run->taken_day[kind] = day;
	*cap = (DecideCap){.reason = (CadenceReasonCode) (REASON_CAP_PERSON + kind),
					   .is_set = max != 0,
					   .max = max,
					   .used = usage->day == day ? usage->used : 0,
					   .day_ends = calendar_instant(&calendar, day + 1, 0)};
}

/* Whether its person's messages are. */
static bool
is_counted(const Run *run)
{
	const Company *company = &world.companies[world.cadences[run->cadence].company];

	return company->max_of_person != 0 || company->min_gap != 0;
}

static void
set_caps(Run *run, DecideFacts *facts, int64_t now)
{
	Cadence *cadence = &world.cadences[run->cadence];
	Company *company = &world.companies[cadence->company];
	Lead *lead = &world.leads[run->lead];

	memset(run->taken, 0, sizeof(run->taken));
	facts->last_to_person = CALENDAR_NEVER;
	if (is_counted(run))
		set_cap(run, facts, DECIDE_CAP_PERSON, &lead->usage, company->max_of_person, now);
	if (company->max_a_day != 0)
		set_cap(run, facts, DECIDE_CAP_COMPANY, &company->usage, company->max_a_day, now);
	if (cadence->max_a_day != 0)
		set_cap(run, facts, DECIDE_CAP_CADENCE, &cadence->usage, cadence->max_a_day, now);
	if (cadence->max_new != 0 && !run->has_begun)
		set_cap(run, facts, DECIDE_CAP_NEW, &cadence->new_ones, cadence->max_new, now);
	/* an attempt that is made again is not too soon after itself */
	if (lead->usage.last_at != 0 && !(run->kept && lead->usage.last_at <= run->kept_at))
		facts->last_to_person = lead->usage.last_at;
}

static void
take(Run *run)
{
	Usage *person = run->taken[DECIDE_CAP_PERSON];

	for (int i = 0; i < DECIDE_CAPS; i++)
	{
		Usage *usage = run->taken[i];

		if (usage == NULL)
			continue;
		usage->used = usage->day == run->taken_day[i] ? usage->used + 1 : 1;
		usage->day = run->taken_day[i];
	}
	if (person == NULL)
		return;
	run->taken_at = run->start_at;
	run->taken_before = person->last_at;
	if (person->last_at < run->taken_at)
		person->last_at = run->taken_at;
}

/* It was certainly not sent. */
static void
give_back(Run *run)
{
	Usage *person = run->taken[DECIDE_CAP_PERSON];

	for (int i = 0; i < DECIDE_CAPS; i++)
	{
		Usage *usage = run->taken[i];

		if (usage != NULL && usage->day == run->taken_day[i] && usage->used > 0)
			usage->used--;
	}
	if (person != NULL && person->last_at == run->taken_at)
		person->last_at = run->taken_before;
	memset(run->taken, 0, sizeof(run->taken));
}

/* ---- recording --------------------------------------------------------------------------- */

static void
had(Run *run, int step)
{
	run->had = realloc(run->had, sizeof(int) * (run->nhad + 1));
	if (run->had == NULL)
		abort();
	run->had[run->nhad++] = step;
}

/* When it is due with the step that it stands before, where that is another, or was edited. */
static void
reschedule(Run *run, int64_t now)
{
	Calendar calendar = calendar_of_lead(&world.leads[run->lead]);
	Step *step = step_at(&world.cadences[run->cadence], run, run->position);

	if (step == NULL || (step->id == run->waits_for && step->edited_at <= run->scheduled_at))
		return;
	/* what may have been sent is not sent again, wherever it is now */
	if (run->kept && step->id != run->step.id)
	{
		had(run, run->step.id);
		run->kept = run->uncertain = run->delivered = false;
	}
	run->waits_for = step->id;
	run->scheduled_at = now;
	run->has_due = true;
	run->next_due = run->first_due =
		step_due(&step->time, run->counts_from, run->started_at, now, &calendar);
}

/* After an edit of its cadence. What is under way is looked at when it is recorded or settled. */
void
engine_edited(Run *run, int64_t now)
{
	if (run->claim != 0 || run->interrupted || run->uncertain)
		return;
	reschedule(run, now);
	engine_wait_for(run);
}

/* Past its step; sent: which was, or may have been, sent. */
static void
go_on(Run *run, const RunTransition *to, bool sent, int64_t now)
{
	const Step *next;

	if (sent || run->kept)
		had(run, run->step.id);
	run->position = run->step.ordem + 1;
	run->counts_from = to->counts_from;
	run->has_begun = run->has_begun || sent;
	run->kept = run->uncertain = run->delivered = false;
	run->first_due = to->next_due;
	next = step_at(&world.cadences[run->cadence], run, run->position);
	run->waits_for = next != NULL ? next->id : 0;
	run->scheduled_at = now;
}

static TransitionInput
input_of(Run *run, RunAct act, CadenceOutcome outcome, int64_t at, Calendar *calendar)
{
	Cadence *cadence = &world.cadences[run->cadence];
	const Step *next = step_at(cadence, run, run->step.ordem + 1);
	TransitionInput in = {.act = act,
						  .outcome = outcome,
						  .status = run->status,
						  .has_step = true,
						  .claimed = run->claim != 0,
						  .uncertain = run->uncertain,
						  .kept = run->kept,
						  .interrupted = run->interrupted,
						  .attempts = run->attempts,
						  .has_due = run->has_due,
						  .due = act == ACT_ATTEMPT ? run->due : run->next_due,
						  .started_at = run->started_at,
						  .at = at,
						  .goes_on = run->step.goes_on,
						  .hold = world.companies[cadence->company].holds,
						  .max_attempts = ATTEMPTS_MAX,
						  .retry_failed = RETRY_FAILED,
						  .retry_factor = 2,
						  .retry_most = RETRY_MOST,
						  .jitter = chance_part() * 2 - 1,
						  .retry_unresolved = RETRY_UNRESOLVED};

	/* that it stands before is had then */
	if (next != NULL && next->id != run->step.id)
	{
		in.has_next = true;
		in.next_time = next->time;
	}
	*calendar = calendar_of_lead(&world.leads[run->lead]);
	in.calendar = calendar;
	return in;
}

static const char *
word_of(RunStatus status)
{
	return status == RUN_DONE ? "done" : status == RUN_PAUSED ? "pause" : "stop";
}

/* What becomes of a claimed run. */
static void
record(Run *run, CadenceOutcome outcome, int64_t at, int64_t now, int64_t until, const char *why)
{
	Calendar calendar;
	TransitionInput in = input_of(run, ACT_ATTEMPT, outcome, at, &calendar);
	RunTransition to;
	bool was_active = run->status == RUN_ACTIVE;

	if (outcome == OUTCOME_DEFERRED || outcome == OUTCOME_PUT_OFF || outcome == OUTCOME_UNCERTAIN)
		book_of_run("wait", now, run, why);
	in.until = until;
	in.retry_after = run->retry_after;
	if (outcome == OUTCOME_NO_STEP)
		in.has_next = false;
	to = cadence_transition(&in);
	run->claim = 0;
	run->interrupted = to.claim == CLAIM_INTERRUPTED;
	run->attempts = to.attempts;
	if (to.advance && outcome != OUTCOME_NO_STEP)
	{
		if (outcome != OUTCOME_SENT)
			book_of_step("skip", now, run, run->step.id, why);
		go_on(run, &to, outcome == OUTCOME_SENT, now);
	}
	run->has_due = to.has_due && run->status != RUN_CANCELLED;
	run->next_due = to.next_due;
	if (was_active)
		run->status = to.status;
	if (outcome == OUTCOME_UNCERTAIN)
	{
		run->uncertain = run->status == RUN_PAUSED;
		run->kept = true;
		run->kept_at = at;
	}
	if (was_active && run->status != RUN_ACTIVE)
		book_of_run(word_of(run->status), now, run, why);
	if (!run->uncertain && !run->interrupted)
		reschedule(run, now);
	engine_wait_for(run);
}

/* What somebody does to a run; false: it is refused. */
bool
engine_act(Run *run, RunAct act, int64_t now, const char *why)
{
	Calendar calendar;
	TransitionInput in;
	RunTransition to;
	RunStatus before = run->status;

	if (run->claim == 0)
	{
		Step *step = step_at(&world.cadences[run->cadence], run, run->position);

		/* what an uncertain attempt has sent is its step until that is settled */
		if (!run->kept && step != NULL)
			run->step = *step;
	}
	in = input_of(run, act, OUTCOME_PENDING, now, &calendar);
	to = cadence_transition(&in);
	if (to.refusal != REFUSAL_NONE)
		return false;
	if (to.advance)
		go_on(run, &to, true, now);
	run->status = to.status;
	run->attempts = to.attempts;
	run->has_due = to.has_due;
	run->next_due = to.next_due;
	if (to.claim != CLAIM_STAYS)
		run->claim = 0;
	if (act == ACT_SETTLE_UNSENT)
	{
		run->uncertain = run->kept = false;
		reschedule(run, now);
	}
	else if (act == ACT_RESUME && run->claim == 0 && !run->interrupted)
		reschedule(run, now);
	if (act == ACT_SETTLE_SENT)
		book_of_step("settle", now, run, run->step.id, why);
	if (run->status == RUN_ACTIVE)
		book_of_run("go on", now, run, why);
	else if (run->status != before)
		book_of_run(word_of(run->status), now, run, why);
	engine_wait_for(run);
	return true;
}

/* ---- claiming ---------------------------------------------------------------------------- */

static bool
is_skipped(const Run *run)
{
	for (int i = 0; i < run->nskips; i++)
		if (run->skips[i] == run->step.id)
			return true;
	return false;
}

static DecideFacts
facts_of(Run *run, int64_t now)
{
	DecideFacts facts = {.has_exit = run->has_exit,
						 .opted_out = world.leads[run->lead].opted_out,
						 .has_skip = is_skipped(run),
						 .is_inactive = !world.cadences[run->cadence].is_active,
						 .can_expire = run->step.valid_for != 0,
						 .due = run->first_due,
						 .valid_for = run->step.valid_for,
						 .has_time = run->step.time.has_time,
						 .time = run->step.time.time};

	set_caps(run, &facts, now);
	return facts;
}

static DecidePolicy
policy_of(const Run *run)
{
	const Cadence *cadence = &world.cadences[run->cadence];
	const Company *company = &world.companies[cadence->company];

	return (DecidePolicy){.window = cadence->janela != NULL	  ? &cadence->window
									: company->janela != NULL ? &company->window
															  : NULL,
						  .spread = company->spread,
						  .place = world.leads[run->lead].spot,
						  .min_gap = company->min_gap,
						  .retry_unknown = UNKNOWN_RETRY,
						  .retry_unresolved = RETRY_UNRESOLVED};
}

/* Where a cap binds: as in resolve/ruling.c. */
static int
compare_turns(const void *a, const void *b)
{
	const Run *x = *(Run *const *) a;
	const Run *y = *(Run *const *) b;
	int px = world.cadences[x->cadence].priority;
	int py = world.cadences[y->cadence].priority;

	if (px != py)
		return px > py ? -1 : 1;
	if (x->has_begun != y->has_begun)
		return x->has_begun ? -1 : 1;
	if (x->due != y->due)
		return x->due < y->due ? -1 : 1;
	return (x > y) - (x < y);
}

/* Its start, by its sender's pace; where that is too late, it is put off till then. */
static void
give_start(Run *run, int64_t now, int64_t *planned)
{
	Company *company = &world.companies[world.cadences[run->cadence].company];
	int64_t at = now > company->next_start ? now : company->next_start;
	int64_t latest = now + LEASE - CALENDAR_MINUTE;

	if (run->leave_by != 0 && run->leave_by - 1 < latest)
		latest = run->leave_by - 1;
	if (at > latest)
	{
		*planned = *planned > at ? *planned + company->pace : at;
		give_back(run);
		run->retry_after = *planned - now;
		record(run, OUTCOME_PUT_OFF, now, now, 0, "limit");
		return;
	}
	company->next_start = at + company->pace;
	run->start_at = at;
	if (run->taken[DECIDE_CAP_PERSON] != NULL)
	{
		Usage *person = run->taken[DECIDE_CAP_PERSON];

		run->taken_at = at;
		if (person->last_at < at)
			person->last_at = at;
	}
	/* the worker is a little late, and sometimes more than that */
	queue_put(&events,
			  at + chance_below(chance_percent(10) ? 4 * CALENDAR_MINUTE : 2 * CALENDAR_SECOND),
			  EVENT_LEAVE, id_of(run), run->claim);
}

static void
decide(Run *run, int64_t now)
{
	DecideFacts facts = facts_of(run, now);
	DecidePolicy policy = policy_of(run);
	Calendar calendar = calendar_of_lead(&world.leads[run->lead]);
	Decision d = cadence_decide(&facts, &policy, &calendar, now);
	const char *code = cadence_reasons[d.reason].code;

	run->start_at = 0;
	switch (d.verdict)
	{
		case DECIDE_SEND:
			run->leave_by = d.until == CALENDAR_NEVER ? 0 : d.until;
			run->start_at = now;
			take(run);
			break;
		case DECIDE_WAIT:
			record(run, OUTCOME_DEFERRED, now, now, d.until, code);
			break;
		case DECIDE_SKIP:
			record(run, OUTCOME_SKIPPED, now, now, 0, code);
			break;
		case DECIDE_STOP:
			record(run, OUTCOME_STOPPED, now, now, 0, code);
			break;
	}
}

/* Whether there is something to decide about. */
static bool
claim(Run *run, int64_t now)
{
	Step *step = step_at(&world.cadences[run->cadence], run, run->position);

	run->claim = ++claims;
	run->claimed_at = now;
	run->due = run->next_due;
	run->next_due = now + LEASE;
	run->attempts++;
	run->has_left = false;
	run->retry_after = 0;
	run->taken_at = 0;
	memset(run->taken, 0, sizeof(run->taken));
	if (run->interrupted)
	{
		/* it can not be known whether it has left */
		record(run, OUTCOME_UNCERTAIN, now, now, 0, "interrupted");
		return false;
	}
	if (step == NULL)
	{
		record(run, OUTCOME_NO_STEP, now, now, 0, "no step");
		return false;
	}
	run->step = *step;
	return true;
}

/* When the worker has something to do. */
int64_t
engine_next(void)
{
	int64_t at = queue_next(&due_runs);

	return at != INT64_MAX && at < world.worker_from ? world.worker_from : at;
}

/* One claim. */
void
engine_work(int64_t now)
{
	static Run *batch[BATCH_MAX];
	int64_t planned[COMPANIES] = {0};
	Event event;
	int n = 0;

	while (n < BATCH_MAX && queue_next(&due_runs) <= now && queue_take(&due_runs, &event))
	{
		Run *run = &world.runs[event.who];

		/* it was moved since, or this is one of two */
		if (run->status != RUN_ACTIVE || run->claim != 0 || !run->has_due ||
			run->next_due != event.at)
			continue;
		if (claim(run, now))
			batch[n++] = run;
	}
	qsort(batch, n, sizeof(*batch), compare_turns);
	for (int i = 0; i < n; i++)
		decide(batch[i], now);
	for (int i = 0; i < n; i++)
		if (batch[i]->claim != 0)
			give_start(batch[i], now, &planned[world.cadences[batch[i]->cadence].company]);
	world.worker_from = now + chance_below(3 * CALENDAR_SECOND);
}

/* ---- sending ------------------------------------------------------------------------------ */

/* What the extension asks again before a message leaves. */
static bool
may_leave(const Run *run, int64_t now)
{
	return run->status == RUN_ACTIVE && !world.leads[run->lead].opted_out && !run->has_exit &&
		   !is_skipped(run) && world.cadences[run->cadence].is_active &&
		   (run->leave_by == 0 || now < run->leave_by) && now < run->claimed_at + LEASE;
}

/* What the provider makes of it; one that knows its key already says so. */
static void
send(Run *run, int64_t now)
{
	int64_t chance = chance_below(1000);
	const Company *company = &world.companies[world.cadences[run->cadence].company];
	bool is_taken;

	run->answer = now < company->down_until || chance < 40 ? OUTCOME_FAILED
				  : chance < 50							   ? OUTCOME_REFUSED
				  : chance < 60							   ? OUTCOME_PUT_OFF
				  : chance < 75							   ? OUTCOME_UNCERTAIN
														   : OUTCOME_SENT;
	if (run->answer == OUTCOME_PUT_OFF)
		run->retry_after = chance_between(1, 60) * CALENDAR_MINUTE;
	is_taken =
		run->answer == OUTCOME_SENT || (run->answer == OUTCOME_UNCERTAIN && chance_percent(50));
	if (is_taken && run->delivered)
		book_of_step("again", now, run, run->step.id, "its key is known");
	else
		book_of_step(is_taken ? "sent" : "failed", now, run, run->step.id, "");
	run->delivered = run->delivered || is_taken;
}

/* It may be later than it was counted for, or again. */
static void
note_start(Run *run, int64_t now)
{
	Usage *person = &world.leads[run->lead].usage;

	if (!is_counted(run) || person->last_at >= now)
		return;
	person->last_at = now;
	if (run->taken[DECIDE_CAP_PERSON] != NULL)
		run->taken_at = now;
}

/* Its time has come. */
void
engine_leave(Run *run, int64_t now)
{
	if (!may_leave(run, now))
	{
		give_back(run);
		book_of_step("unsent", now, run, run->step.id, "");
		record(run, OUTCOME_UNSENT, now, now, 0, "unsent");
		return;
	}
	run->has_left = true;
	run->start_at = now;
	note_start(run, now);
	send(run, now);
	queue_put(&events, now + chance_between(50000, 20 * CALENDAR_SECOND), EVENT_ANSWER, id_of(run),
			  run->claim);
}

/* The provider has answered. */
void
engine_answer(Run *run, int64_t now)
{
	bool was_sent = run->answer == OUTCOME_SENT;

	if (!was_sent && run->answer != OUTCOME_UNCERTAIN)
	{
		give_back(run);
		run->delivered = run->delivered && run->kept;
	}
	record(run, run->answer, was_sent ? run->start_at : now, now, 0,
		   run->answer == OUTCOME_UNCERTAIN ? "uncertain"
		   : was_sent						? "sent"
											: "failed");
}

/* The server dies with what is under way. */
void
engine_crash(int64_t now)
{
	for (int i = 0; i < world.nruns; i++)
	{
		Run *run = &world.runs[i];

		if (run->claim == 0)
			continue;
		run->claim = 0;
		run->interrupted = true;
		run->next_due = run->next_due > now ? run->next_due : now;
		engine_wait_for(run);
	}
}
