/*
 * decide.c
 *		Whether a run's next step may leave, and when.
 *
 * What stops comes first, then what can not be known, then what skips; the rest is
 * waiting. Whatever makes it wait is asked again for the time that another has led
 * to, until nothing moves it: the midnight after which a cap counts anew is outside
 * the window, whose opening may be too soon after the last message.
 */
#include "rules/decide.h"

/* Each round may lead to another day; more than that do not agree. */
#define ROUNDS_MAX 64

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
	return at > CALENDAR_NEVER - wait ? CALENDAR_NEVER : at + wait;
}

/* When the step is not worth sending any more. */
static int64_t
expires(const DecideFacts *f)
{
	return f->can_expire ? plus(f->due, f->valid_for) : CALENDAR_NEVER;
}

/* ---- waiting ------------------------------------------------------------------------- */

/* Something that makes a step wait: until when, of an instant; that instant: it does not. */
typedef int64_t (*Waits)(const DecideFacts *f, const DecidePolicy *p, const Calendar *c, int64_t at,
						 Decision *why);

static int64_t
wait_for_gap(const DecideFacts *f, const DecidePolicy *p, const Calendar *c, int64_t at,
			 Decision *why)
{
	why->reason = REASON_MIN_GAP;
	if (f->last_to_person == CALENDAR_NEVER)
		return at;
	return later(at, plus(f->last_to_person, p->min_gap));
}

/* Tomorrow nothing is used. */
static int64_t
wait_for_caps(const DecideFacts *f, const DecidePolicy *p, const Calendar *c, int64_t at,
			  Decision *why)
{
	for (int i = 0; i < DECIDE_CAPS; i++)
	{
		const DecideCap *cap = &f->caps[i];

		if (!cap->is_set || cap->used < cap->max || at >= cap->day_ends)
			continue;
		why->reason = cap->reason;
		why->cap = cap;
		return cap->day_ends;
	}
	return at;
}

/* Not all at the moment at which it opens: each lead has its own place behind that. */
static int64_t
spread_out(const DecidePolicy *p, const Calendar *c, int64_t opens)
{
	int64_t room = sooner(p->spread, window_closes(p->window, c, opens) - opens);

	return opens + (int64_t) (p->place * room);
}

static int64_t
wait_for_window(const DecideFacts *f, const DecidePolicy *p, const Calendar *c, int64_t at,
				Decision *why)
{
	int64_t opens;

	if (p->window == NULL || window_is_open(p->window, c, at))
		return at;
	why->reason = calendar_is_holiday(c, calendar_day(c, at)) ? REASON_HOLIDAY : REASON_WINDOW;
	opens = window_opens(p->window, c, at);
	if (opens != CALENDAR_NEVER)
		return spread_out(p, c, opens);
	why->reason = REASON_NEVER_OPENS;
	return CALENDAR_NEVER;
}

static int64_t
wait_for_working_day(const DecideFacts *f, const DecidePolicy *p, const Calendar *c, int64_t at,
					 Decision *why)
{
	int32_t day = calendar_day(c, at);

	why->reason = REASON_HOLIDAY;
	return calendar_is_holiday(c, day) ? calendar_instant(c, day + 1, 0) : at;
}

static const Waits all_waits[] = {wait_for_window, wait_for_working_day, wait_for_caps,
								  wait_for_gap};

#define NWAITS ((int) (sizeof(all_waits) / sizeof(all_waits[0])))

/* The first thing that makes it wait, and until when all of them do. */
static Decision
wait_for_all(const DecideFacts *f, const DecidePolicy *p, const Calendar *c, int64_t now)
{
	Decision first = {.verdict = DECIDE_SEND, .until = now};
	int quiet = 0;

	for (int i = 0; quiet < NWAITS && i < ROUNDS_MAX * NWAITS; i++)
	{
		Decision why = {.verdict = DECIDE_WAIT};
		int64_t until = all_waits[i % NWAITS](f, p, c, first.until, &why);

		quiet = until == first.until ? quiet + 1 : 0;
		if (until == first.until)
			continue;
		if (first.verdict == DECIDE_SEND)
			first = why;
		first.until = until;
		if (until == CALENDAR_NEVER)
			break;
	}
	return first;
}

/* It is looked at again, since windows and caps are changed. */
static Decision
wait_or_send(const DecideFacts *f, const DecidePolicy *p, const Calendar *c, int64_t now)
{
	Decision d = wait_for_all(f, p, c, now);

	if (d.verdict == DECIDE_WAIT)
	{
		d.until = sooner(d.until, plus(now, CALENDAR_DAY * 31));
		/* that it is not sent at all is decided then */
		d.until = sooner(d.until, later(plus(expires(f), 1), now + 1));
		return d;
	}
	d.until = expires(f);
	if (p->window != NULL)
		d.until = sooner(d.until, window_closes(p->window, c, now));
	if (c->nholidays > 0)
		d.until = sooner(d.until, calendar_instant(c, calendar_day(c, now) + 1, 0));
	for (int i = 0; i < DECIDE_CAPS; i++)
		if (f->caps[i].is_set && f->caps[i].day_ends > now)
			d.until = sooner(d.until, f->caps[i].day_ends);
	return d;
}

/* ---- deciding ------------------------------------------------------------------------ */

static Decision
decision(DecideVerdict verdict, CadenceReasonCode reason, int64_t until)
{
	return (Decision){.verdict = verdict, .reason = reason, .until = until};
}

/*
 * Whether a run's next step, which is due, may leave now; else what becomes of it, and
 * why. What it says to send has to have left by "until", or is asked about again.
 */
Decision
cadence_decide(const DecideFacts *f, const DecidePolicy *p, const Calendar *c, int64_t now)
{
	if (f->opted_out)
		return decision(DECIDE_STOP, REASON_OPT_OUT, now);
	if (f->is_blocked)
		return decision(DECIDE_STOP, REASON_BLOCKED, now);
	if (f->has_exit)
		return decision(DECIDE_STOP, REASON_EXIT, now);
	if (f->is_inactive)
		return decision(DECIDE_WAIT, REASON_INACTIVE, plus(now, p->retry_inactive));
	if (f->exits_unknown)
		return decision(DECIDE_WAIT, REASON_EXITS_UNKNOWN, plus(now, p->retry_unknown));
	if (f->has_skip)
		return decision(DECIDE_SKIP, REASON_SKIP, now);
	if (now > expires(f))
		return decision(DECIDE_SKIP, REASON_EXPIRED, now);
	if (f->window_unknown)
		return decision(DECIDE_WAIT, REASON_WINDOW_UNKNOWN, plus(now, p->retry_unknown));
	if (f->zone_unknown)
		return decision(DECIDE_WAIT, REASON_ZONE_UNKNOWN, plus(now, p->retry_unknown));
	return wait_or_send(f, p, c, now);
}
