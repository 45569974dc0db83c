/*
 * decide.c
 *		Whether a run's next step may leave, and when.
 *
 * What stops comes first, then what can not be known, then what skips; the rest is
 * waiting. Whatever makes it wait is asked again for the time that another has led
 * to, until nothing moves it: the midnight after which a cap counts anew is outside
 * the window, whose opening may be too soon after the last message. A step that is due at
 * an hour keeps it on whatever day it comes to: a weekday rule shifts no hour.
 */
#include "rules/decide.h"

/* How far a place moves in a day, of the whole: so no two days near each other have the same. */
#define GOLDEN_RATIO 0.6180339887
#define DAYS_OF_PLACES 1000

/* Each round may lead to another day; more than that do not agree. */
#define ROUNDS_MAX 64

/* It is looked at again by then, since windows and caps are changed. */
#define WAIT_MAX (31 * CALENDAR_DAY)

/* What keeps its hour is still worth sending for so long then, or it does not. */
#define WORTH_WAITING (60 * CALENDAR_MINUTE)

/* Nothing is asked about again and again without a pause. */
#define RETRY_MIN CALENDAR_SECOND

static int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t
sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
plus(int64_t at, int64_t wait)
{
	if (wait <= 0)
		return at;
	return at > CALENDAR_NEVER - wait ? CALENDAR_NEVER : at + wait;
}

/* From when on the step is not worth sending any more. */
static int64_t
too_late(const DecideFacts *f)
{
	return f->can_expire ? plus(plus(f->due, f->valid_for), 1) : CALENDAR_NEVER;
}

/* ---- waiting ------------------------------------------------------------------------- */

typedef struct Question
{
	const DecideFacts *facts;
	const DecidePolicy *policy;
	const Calendar *calendar;
	int64_t now;
} Question;

/*
 * Something that makes a step wait: until when, of an instant; that instant: it does not.
 * Then it does not make it wait any more.
 */
typedef int64_t (*Waits)(const Question *q, int64_t at, Decision *why);

/* The step's own time of the day that it has come to, where that is another one, and open then. */
static int64_t
at_its_hour(const Question *q, int64_t at)
{
	const DecideFacts *f = q->facts;
	const Window *window = q->policy->window;
	const Calendar *c = q->calendar;
	int32_t day;
	int64_t hour;

	if (!f->has_time || f->zone_unknown || at == CALENDAR_NEVER ||
		(day = calendar_day(c, at)) == calendar_day(c, q->now))
		return at;
	hour = calendar_instant(c, day, f->time);
	if (hour <= at || calendar_day(c, hour) != day || plus(hour, WORTH_WAITING) >= too_late(f) ||
		(window != NULL && !window_is_open(window, c, hour)))
		return at;
	return hour;
}

/*
 * A cap that many share may be used up before that hour on every day, and a gap begun: whoever
 * has waited for one in vain comes as soon as it is over.
 */
static bool
keeps_hour(const Question *q, CadenceReasonCode reason)
{
	return reason == REASON_CAP_PERSON || plus(q->facts->due, CALENDAR_DAY) > q->now;
}

static int64_t
wait_for_gap(const Question *q, int64_t at, Decision *why)
{
	int64_t until;

	why->reason = REASON_MIN_GAP;
	if (q->facts->last_to_person == CALENDAR_NEVER)
		return at;
	until = later(at, plus(q->facts->last_to_person, q->policy->min_gap));
	return until > at && keeps_hour(q, REASON_MIN_GAP) ? at_its_hour(q, until) : until;
}

/* Tomorrow nothing is used; each cap has its own. The first that binds is the reason. */
static int64_t
wait_for_caps(const Question *q, int64_t at, Decision *why)
{
	int64_t until = at;

	for (int i = 0; i < DECIDE_CAPS; i++)
	{
		const DecideCap *cap = &q->facts->caps[i];

		if (!cap->is_set || cap->used < cap->max || at >= cap->day_ends)
			continue;
		if (why->cap == NULL)
		{
			why->reason = cap->reason;
			why->cap = cap;
		}
		until = later(until, cap->day_ends);
	}
	return until > at && keeps_hour(q, why->reason) ? at_its_hour(q, until) : until;
}

/* Of each day another: nobody is always the last. */
static double
place_of_day(const DecidePolicy *p, int32_t day)
{
	double place = p->place > 0 && p->place < 1 ? p->place : 0;

	place += ((day % DAYS_OF_PLACES) + DAYS_OF_PLACES) % DAYS_OF_PLACES * GOLDEN_RATIO;
	return place - (int64_t) place;
}

/* Not all at the moment at which it opens: each lead has its own place behind that. */
static int64_t
spread_out(const Question *q, int64_t opens, int64_t closes)
{
	int64_t end = sooner(closes, plus(opens, q->policy->spread));
	double place = place_of_day(q->policy, calendar_day(q->calendar, opens));

	if (end <= opens)
		return opens;
	return sooner(opens + (int64_t) (place * (double) (end - opens)), end - 1);
}

static int64_t
wait_for_window(const Question *q, int64_t at, Decision *why)
{
	const Window *window = q->policy->window;
	const Calendar *c = q->calendar;
	int64_t opens;
	int64_t hour;

	if (window == NULL || window_is_open(window, c, at))
		return at;
	why->reason = calendar_is_holiday(c, calendar_day(c, at)) ? REASON_HOLIDAY : REASON_WINDOW;
	opens = window_opens(window, c, at);
	hour = at_its_hour(q, opens);
	if (opens != CALENDAR_NEVER)
		return hour > opens ? hour : spread_out(q, opens, window_closes(window, c, opens));
	why->reason = REASON_NEVER_OPENS;
	return CALENDAR_NEVER;
}

/* Where there is no window, a holiday is closed all the same. */
static int64_t
wait_for_holiday(const Question *q, int64_t at, Decision *why)
{
	const Calendar *c = q->calendar;
	int64_t opens = at;
	int64_t hour;
	int32_t day;

	if (q->policy->window != NULL || c->nholidays == 0)
		return at;
	why->reason = REASON_HOLIDAY;
	/* a day that clocks are put forward over leads to another one */
	while (calendar_is_holiday(c, day = calendar_day(c, opens)))
	{
		int64_t before = opens;

		while (calendar_is_holiday(c, day))
			day++;
		opens = calendar_instant(c, day, 0);
		/* a zone in which days go backwards leads nowhere */
		if (opens <= before)
			return CALENDAR_NEVER;
	}
	if (opens == at)
		return at;
	hour = at_its_hour(q, opens);
	return hour > opens ? hour : spread_out(q, opens, calendar_instant(c, day + 1, 0));
}

static const Waits all_waits[] = {wait_for_window, wait_for_holiday, wait_for_caps, wait_for_gap};

#define NWAITS ((int) (sizeof(all_waits) / sizeof(all_waits[0])))

/* The first thing that makes it wait, and until when all of them do, but no longer than "last". */
static Decision
wait_for_all(const Question *q, int64_t now, int64_t last)
{
	Decision first = {.verdict = DECIDE_SEND, .until = now};
	int quiet = 0;

	for (int i = 0; quiet < NWAITS && i < ROUNDS_MAX * NWAITS && first.until < last; i++)
	{
		Decision why = {.verdict = DECIDE_WAIT};
		int64_t until = all_waits[i % NWAITS](q, first.until, &why);

		quiet = until == first.until ? quiet + 1 : 1;
		if (until == first.until)
			continue;
		if (first.verdict == DECIDE_SEND)
			first = why;
		first.until = sooner(until, last);
	}
	return first;
}

/* Until when what may leave now may: nothing of what is known now changes before. */
static int64_t
may_leave_until(const Question *q, int64_t now)
{
	const DecideFacts *f = q->facts;
	const Window *window = q->policy->window;
	const Calendar *c = q->calendar;
	int64_t until = too_late(f);

	if (window != NULL)
		until = sooner(until, window_closes(window, c, now));
	if (c->nholidays > 0)
		until = sooner(until, calendar_instant(c, calendar_day(c, now) + 1, 0));
	for (int i = 0; i < DECIDE_CAPS; i++)
		if (f->caps[i].is_set && f->caps[i].day_ends > now)
			until = sooner(until, f->caps[i].day_ends);
	/* whatever a zone says of its midnights */
	return later(until, plus(now, 1));
}

static Decision
wait_or_send(const Question *q, int64_t now)
{
	/* that it is not sent at all is decided when it is too late */
	Decision d = wait_for_all(q, now, sooner(plus(now, WAIT_MAX), too_late(q->facts)));

	if (d.verdict == DECIDE_SEND)
		d.until = may_leave_until(q, now);
	return d;
}

/* ---- deciding ------------------------------------------------------------------------ */

static Decision
decision(DecideVerdict verdict, CadenceReasonCode reason, int64_t until)
{
	return (Decision){.verdict = verdict, .reason = reason, .until = until};
}

static Decision
ask_again(CadenceReasonCode reason, int64_t now, int64_t wait)
{
	return decision(DECIDE_WAIT, reason, plus(now, sooner(later(wait, RETRY_MIN), WAIT_MAX)));
}

/* What is so whatever the time may be, in the order in which it counts; how much of it. */
static int
settle(const DecideFacts *f, const DecidePolicy *p, int64_t now, Decision *list, int max)
{
	const struct
	{
		bool is_so;
		Decision decision;
	} all[] = {
		{f->opted_out, decision(DECIDE_STOP, REASON_OPT_OUT, now)},
		{f->is_blocked, decision(DECIDE_STOP, REASON_BLOCKED, now)},
		{f->has_exit, decision(DECIDE_STOP, REASON_EXIT, now)},
		{f->is_inactive, ask_again(REASON_INACTIVE, now, p->retry_unresolved)},
		{f->exits_unknown, ask_again(REASON_EXITS_UNKNOWN, now, p->retry_unknown)},
		{f->has_skip, decision(DECIDE_SKIP, REASON_SKIP, now)},
		{now >= too_late(f), decision(DECIDE_SKIP, REASON_EXPIRED, now)},
		{f->window_unknown, ask_again(REASON_WINDOW_UNKNOWN, now, p->retry_unresolved)},
		{f->zone_unknown, ask_again(REASON_ZONE_UNKNOWN, now, p->retry_unresolved)},
	};
	int n = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && n < max; i++)
		if (all[i].is_so)
			list[n++] = all[i].decision;
	return n;
}

/*
 * Whether a run's next step, which is due, may leave now; else what becomes of it, and
 * why. What it says to send has to leave before "until", or is asked about again.
 */
Decision
cadence_decide(const DecideFacts *f, const DecidePolicy *p, const Calendar *c, int64_t now)
{
	Decision first;

	if (settle(f, p, now, &first, 1) > 0)
		return first;
	return wait_or_send(&(Question){f, p, c, now}, now);
}

/* ---- every reason -------------------------------------------------------------------- */

typedef struct DecisionList
{
	Decision *all;
	int n;
	int max;
} DecisionList;

/* What has decided is there already. */
static void
add(DecisionList *list, Decision d, int64_t now)
{
	if (d.until <= now || list->n == list->max)
		return;
	for (int i = 0; i < list->n; i++)
		if (list->all[i].reason == d.reason)
			return;
	list->all[list->n++] = d;
}

static void
add_wait(DecisionList *list, const Question *q, Waits waits, int64_t now)
{
	Decision why = {.verdict = DECIDE_WAIT};

	why.until = waits(q, now, &why);
	add(list, why, now);
}

static void
add_caps(DecisionList *list, const DecideFacts *f, int64_t now)
{
	for (int i = 0; i < DECIDE_CAPS; i++)
	{
		const DecideCap *cap = &f->caps[i];
		Decision why = {DECIDE_WAIT, cap->reason, cap->day_ends, cap};

		if (cap->is_set && cap->used >= cap->max)
			add(list, why, now);
	}
}

/*
 * Every reason for which a run's next step does not leave now; how many there are, none
 * where cadence_decide() says to send. The first is what that says; each of the others
 * stands by itself, with the time at which it alone would let the step go.
 */
int
cadence_decide_all(const DecideFacts *f, const DecidePolicy *p, const Calendar *c, int64_t now,
				   Decision *reasons, int max)
{
	const Question q = {f, p, c, now};
	DecisionList list = {reasons, settle(f, p, now, reasons, max), max};

	if (list.n == 0)
	{
		Decision first = wait_or_send(&q, now);

		if (first.verdict != DECIDE_SEND)
			add(&list, first, now);
	}
	/* in a zone that is not the right one none of these times is */
	if (!f->zone_unknown)
	{
		add_wait(&list, &q, wait_for_window, now);
		add_wait(&list, &q, wait_for_holiday, now);
		add_caps(&list, f, now);
	}
	add_wait(&list, &q, wait_for_gap, now);
	return list.n;
}
