/*
 * decide_test.c
 *		Whether a run's next step may leave, and when; and the words of every reason.
 */
#include "rules/decide.h"

#include <math.h>

#include "window_tools.h"

#define HOUR (60 * CALENDAR_MINUTE)

/* So often a zone may be asked in one decision: it is what costs most. */
#define CALLS_MAX 1200

static Calendar c;
static DecideFacts facts;
static DecidePolicy policy;
static Window window;

/* Office hours in Sao Paulo, and nothing else. */
static void
start(void)
{
	c = calendar_of(SAO_PAULO, NULL, 0);
	window = window_of("[{" WORKDAYS "\"das\": \"08:00\", \"ate\": \"18:00\"}]");
	facts = (DecideFacts){.last_to_person = CALENDAR_NEVER};
	policy = (DecidePolicy){
		.window = &window, .retry_unknown = CALENDAR_MINUTE, .retry_unresolved = HOUR};
}

static void
check_decision(const char *utc, DecideVerdict verdict, CadenceReasonCode reason, const char *until,
			   int line)
{
	Decision d = cadence_decide(&facts, &policy, &c, instant_of(utc));

	check_int(d.verdict, verdict, __FILE__, line, utc);
	check_text(cadence_reasons[d.reason].code, cadence_reasons[reason].code, __FILE__, line, utc);
	check_local(&c, d.until, until, __FILE__, line);
}

#define SENDS(utc, until) check_decision(utc, DECIDE_SEND, REASON_NONE, until, __LINE__)
#define WAITS(utc, reason, until) check_decision(utc, DECIDE_WAIT, reason, until, __LINE__)
#define SKIPS(utc, reason) check_decision(utc, DECIDE_SKIP, reason, utc "-03:00", __LINE__)

/* ---- what stops and skips -------------------------------------------------------------- */

enum
{
	OPTED_OUT,
	IS_BLOCKED,
	HAS_EXIT,
	IS_INACTIVE,
	EXITS_UNKNOWN,
	HAS_SKIP,
	EXPIRED,
	ZONE_UNKNOWN,
	CLOSED,
	FLAGS
};

/* What comes first of all that is so decides. */
static void
order(void)
{
	static const struct
	{
		DecideVerdict verdict;
		CadenceReasonCode reason;
	} expected[] = {{DECIDE_STOP, REASON_OPT_OUT},		 {DECIDE_STOP, REASON_BLOCKED},
					{DECIDE_STOP, REASON_EXIT},			 {DECIDE_WAIT, REASON_INACTIVE},
					{DECIDE_WAIT, REASON_EXITS_UNKNOWN}, {DECIDE_SKIP, REASON_SKIP},
					{DECIDE_SKIP, REASON_EXPIRED},		 {DECIDE_WAIT, REASON_ZONE_UNKNOWN},
					{DECIDE_WAIT, REASON_WINDOW},		 {DECIDE_SEND, REASON_NONE}};

	start();
	for (int set = 0; set < 1 << FLAGS; set++)
	{
		int64_t now =
			instant_of((set & 1 << CLOSED) != 0 ? "2026-11-30 22:00" : "2026-11-30 12:00");
		int first = 0;
		Decision d;

		facts = (DecideFacts){.last_to_person = CALENDAR_NEVER,
							  .opted_out = (set & 1 << OPTED_OUT) != 0,
							  .is_blocked = (set & 1 << IS_BLOCKED) != 0,
							  .has_exit = (set & 1 << HAS_EXIT) != 0,
							  .is_inactive = (set & 1 << IS_INACTIVE) != 0,
							  .exits_unknown = (set & 1 << EXITS_UNKNOWN) != 0,
							  .has_skip = (set & 1 << HAS_SKIP) != 0,
							  .can_expire = (set & 1 << EXPIRED) != 0,
							  .zone_unknown = (set & 1 << ZONE_UNKNOWN) != 0,
							  .due = now - 2 * HOUR,
							  .valid_for = HOUR};
		while (first < FLAGS && (set & 1 << first) == 0)
			first++;
		d = cadence_decide(&facts, &policy, &c, now);
		CHECK_INT(d.verdict, expected[first].verdict);
		CHECK_INT(d.reason, expected[first].reason);
		CHECK(d.verdict == DECIDE_WAIT || d.verdict == DECIDE_SEND ? d.until > now
																   : d.until == now);
	}
}

static void
asks_again(void)
{
	start();
	facts.is_inactive = true;
	WAITS("2026-11-30 22:00", REASON_INACTIVE, "2026-11-30 20:00:00-03:00");
	policy.retry_unresolved = 0;
	WAITS("2026-11-30 22:00", REASON_INACTIVE, "2026-11-30 19:00:01-03:00");
	policy.retry_unresolved = INT64_MAX;
	WAITS("2026-11-30 22:00", REASON_INACTIVE, "2026-12-31 19:00:00-03:00");
	policy.retry_unresolved = -HOUR;
	WAITS("2026-11-30 22:00", REASON_INACTIVE, "2026-11-30 19:00:01-03:00");
	facts.is_inactive = false;
	facts.exits_unknown = true;
	WAITS("2026-11-30 22:00", REASON_EXITS_UNKNOWN, "2026-11-30 19:01:00-03:00");
	facts.exits_unknown = false;
	policy.retry_unresolved = HOUR;
	facts.zone_unknown = true;
	WAITS("2026-11-30 22:00", REASON_ZONE_UNKNOWN, "2026-11-30 20:00:00-03:00");
	facts.window_unknown = true;
	WAITS("2026-11-30 22:00", REASON_WINDOW_UNKNOWN, "2026-11-30 20:00:00-03:00");
}

/* ---- windows --------------------------------------------------------------------------- */

static void
no_policy(void)
{
	start();
	policy.window = NULL;
	SENDS("2026-11-30 05:00", "never");
}

static void
windows(void)
{
	const int32_t list[] = {day_of("2026-12-25")};

	start();
	SENDS("2026-11-30 11:00", "2026-11-30 18:00:00-03:00");
	SENDS("2026-11-30 20:59:59", "2026-11-30 18:00:00-03:00");
	WAITS("2026-11-30 21:00", REASON_WINDOW, "2026-12-01 08:00:00-03:00");
	WAITS("2026-11-27 21:00", REASON_WINDOW, "2026-11-30 08:00:00-03:00");
	c = calendar_of(SAO_PAULO, list, 1);
	WAITS("2026-12-24 21:00", REASON_WINDOW, "2026-12-28 08:00:00-03:00");
	WAITS("2026-12-25 12:00", REASON_HOLIDAY, "2026-12-28 08:00:00-03:00");
	WAITS("2026-12-26 12:00", REASON_WINDOW, "2026-12-28 08:00:00-03:00");
}

/* That which a place of the whole is, on that day. */
static double
place_on(const char *day, double place)
{
	double shift = day_of(day) % 1000 * 0.6180339887;

	place -= shift - (int64_t) shift;
	return place + 1e-9 < 0 ? place + 1 + 1e-9 : place + 1e-9;
}

/* Moved to another day, a step keeps its hour; where that is not open, it takes the opening. */
static void
hours(void)
{
	const int32_t list[] = {day_of("2026-12-25")};

	start();
	facts.has_time = true;
	facts.time = 9 * HOUR;
	policy.spread = 10 * CALENDAR_MINUTE;
	policy.place = place_on("2026-11-30", 0.5);
	/* a Saturday and a Sunday */
	WAITS("2026-11-28 12:00", REASON_WINDOW, "2026-11-30 09:00:00-03:00");
	WAITS("2026-11-29 23:00", REASON_WINDOW, "2026-11-30 09:00:00-03:00");
	/* of today it is over, or it is by somebody's hand that it is due */
	WAITS("2026-11-30 10:00", REASON_WINDOW, "2026-11-30 08:05:00-03:00");
	SENDS("2026-11-30 11:30", "2026-11-30 18:00:00-03:00");
	facts.time = 20 * HOUR;
	WAITS("2026-11-28 23:00", REASON_WINDOW, "2026-11-30 08:05:00-03:00");
	facts.time = 7 * HOUR;
	WAITS("2026-11-28 10:00", REASON_WINDOW, "2026-11-30 08:05:00-03:00");
	/* a day's rule without hours is no night's */
	facts.time = 9 * HOUR;
	window = window_of("[{" WORKDAYS "\"das\": \"00:00\", \"ate\": \"24:00\"}]");
	WAITS("2026-11-28 12:00", REASON_WINDOW, "2026-11-30 09:00:00-03:00");
	policy.window = NULL;
	c = calendar_of(SAO_PAULO, list, 1);
	WAITS("2026-12-25 12:00", REASON_HOLIDAY, "2026-12-26 09:00:00-03:00");
	facts.caps[DECIDE_CAP_PERSON] =
		(DecideCap){REASON_CAP_PERSON, true, 1, 1, instant_of("2026-12-01 03:00")};
	WAITS("2026-11-30 12:00", REASON_CAP_PERSON, "2026-12-01 09:00:00-03:00");
	/* where others may have used it up before, once */
	facts.caps[DECIDE_CAP_PERSON].reason = REASON_CAP_COMPANY;
	facts.due = instant_of("2026-11-30 11:00");
	WAITS("2026-11-30 12:00", REASON_CAP_COMPANY, "2026-12-01 09:00:00-03:00");
	facts.due = instant_of("2026-11-29 12:00");
	WAITS("2026-11-30 12:00", REASON_CAP_COMPANY, "2026-12-01 00:00:00-03:00");
	facts.caps[DECIDE_CAP_PERSON].reason = REASON_CAP_PERSON;
	WAITS("2026-11-30 12:00", REASON_CAP_PERSON, "2026-12-01 09:00:00-03:00");
	/* it is sent rather than not */
	facts.can_expire = true;
	facts.due = instant_of("2026-11-30 12:00");
	facts.valid_for = 24 * HOUR;
	WAITS("2026-11-30 12:00", REASON_CAP_PERSON, "2026-12-01 00:00:00-03:00");
	facts.valid_for = 26 * HOUR;
	WAITS("2026-11-30 12:00", REASON_CAP_PERSON, "2026-12-01 09:00:00-03:00");
	facts.time = CALENDAR_DAY - 1;
	WAITS("2026-11-30 12:00", REASON_CAP_PERSON, "2026-12-01 00:00:00-03:00");
}

/* After a gap, too, once: another cadence may begin one before that hour on every day. */
static void
hours_after_a_gap(void)
{
	start();
	facts.has_time = true;
	facts.time = 15 * HOUR;
	facts.due = instant_of("2026-11-30 18:00");
	policy.min_gap = 20 * HOUR;
	facts.last_to_person = instant_of("2026-11-30 17:00");
	WAITS("2026-11-30 18:00", REASON_MIN_GAP, "2026-12-01 15:00:00-03:00");
	facts.last_to_person = instant_of("2026-12-01 17:00");
	WAITS("2026-12-01 18:00", REASON_MIN_GAP, "2026-12-02 10:00:00-03:00");
	/* of that day it is over, or it is the same day */
	facts.last_to_person = instant_of("2026-11-30 17:00");
	policy.min_gap = 26 * HOUR;
	WAITS("2026-11-30 18:00", REASON_MIN_GAP, "2026-12-01 16:00:00-03:00");
	policy.min_gap = 2 * HOUR;
	WAITS("2026-11-30 18:00", REASON_MIN_GAP, "2026-11-30 16:00:00-03:00");
	/* it comes to a day that is closed, and to its hour of the next one */
	policy.min_gap = 4 * CALENDAR_DAY + 20 * HOUR;
	WAITS("2026-11-30 18:00", REASON_MIN_GAP, "2026-12-07 15:00:00-03:00");
	policy.min_gap = 20 * HOUR;
	facts.can_expire = true;
	facts.valid_for = 24 * HOUR;
	WAITS("2026-11-30 18:00", REASON_MIN_GAP, "2026-12-01 10:00:00-03:00");
}

/* Without a window, too; and not all of them at midnight. */
static void
holidays(void)
{
	const int32_t list[] = {day_of("2026-12-24"), day_of("2026-12-25"), day_of("2026-12-31")};

	start();
	c = calendar_of(SAO_PAULO, list, 3);
	policy.window = NULL;
	SENDS("2026-12-23 12:00", "2026-12-24 00:00:00-03:00");
	SENDS("2026-12-20 12:00", "2026-12-21 00:00:00-03:00");
	WAITS("2026-12-24 12:00", REASON_HOLIDAY, "2026-12-26 00:00:00-03:00");
	policy.spread = 10 * CALENDAR_MINUTE;
	policy.place = place_on("2026-12-26", 0.5);
	WAITS("2026-12-24 12:00", REASON_HOLIDAY, "2026-12-26 00:05:00-03:00");
	/* within the first day that is none */
	policy.spread = 30 * CALENDAR_DAY;
	WAITS("2026-12-24 12:00", REASON_HOLIDAY, "2026-12-26 12:00:00-03:00");
}

static void
spread(void)
{
	int64_t tomorrow;

	start();
	policy.spread = 10 * CALENDAR_MINUTE;
	policy.place = place_on("2026-12-01", 0.25);
	WAITS("2026-11-30 21:00", REASON_WINDOW, "2026-12-01 08:02:30-03:00");
	/* only what has waited for an opening */
	SENDS("2026-11-30 11:00", "2026-11-30 18:00:00-03:00");
	/* another day, another place */
	tomorrow = cadence_decide(&facts, &policy, &c, instant_of("2026-12-01 21:00")).until;
	CHECK(tomorrow != instant_of("2026-12-02 11:02:30"));
	CHECK(tomorrow >= instant_of("2026-12-02 11:00") && tomorrow < instant_of("2026-12-02 11:10"));
	/* within the window */
	window = window_of("[{\"das\": \"08:00\", \"ate\": \"08:04\"}]");
	WAITS("2026-11-30 21:00", REASON_WINDOW, "2026-12-01 08:01:00-03:00");
	for (const double *odd = (const double[]){1, 1e300, -1, NAN, INFINITY, 0.999999, -2};
		 *odd != -2; odd++)
	{
		policy.place = *odd;
		tomorrow = cadence_decide(&facts, &policy, &c, instant_of("2026-11-30 21:00")).until;
		CHECK(tomorrow >= instant_of("2026-12-01 11:00") &&
			  tomorrow < instant_of("2026-12-01 11:04"));
	}
	policy.place = place_on("2026-12-01", 0.5);
	policy.spread = INT64_MAX;
	WAITS("2026-11-30 21:00", REASON_WINDOW, "2026-12-01 08:02:00-03:00");
	policy.spread = -HOUR;
	WAITS("2026-11-30 21:00", REASON_WINDOW, "2026-12-01 08:00:00-03:00");
}

static void
never_opens(void)
{
	int32_t list[1000];

	start();
	for (int i = 0; i < 1000; i++)
		list[i] = day_of("2026-11-30") + i;
	c = calendar_of(SAO_PAULO, list, 1000);
	WAITS("2026-11-29 12:00", REASON_NEVER_OPENS, "2026-12-30 09:00:00-03:00");
	WAITS("2026-11-30 12:00", REASON_NEVER_OPENS, "2026-12-31 09:00:00-03:00");
	policy.window = NULL;
	WAITS("2026-11-30 12:00", REASON_HOLIDAY, "2026-12-31 09:00:00-03:00");
	c.nholidays = 100;
	policy.window = &window;
	WAITS("2026-11-30 12:00", REASON_HOLIDAY, "2026-12-31 09:00:00-03:00");
}

/* ---- expiry, gap, caps ----------------------------------------------------------------- */

static void
expiry(void)
{
	start();
	facts.can_expire = true;
	facts.due = instant_of("2026-11-30 12:00");
	facts.valid_for = 3 * HOUR;
	SENDS("2026-11-30 14:00", "2026-11-30 12:00:00-03:00");
	/* it is worth sending at that moment still, and "until" is behind it */
	SENDS("2026-11-30 15:00:00", "2026-11-30 12:00:00-03:00");
	CHECK_INT(cadence_decide(&facts, &policy, &c, instant_of("2026-11-30 15:00")).until,
			  instant_of("2026-11-30 15:00") + 1);
	CHECK_INT(cadence_decide(&facts, &policy, &c, instant_of("2026-11-30 15:00") + 1).verdict,
			  DECIDE_SKIP);
	/* before it opens: that is looked at when it is too late, and not tomorrow */
	facts.due = instant_of("2026-11-30 20:00");
	WAITS("2026-11-30 21:00", REASON_WINDOW, "2026-11-30 20:00:00-03:00");
	CHECK_INT(cadence_decide(&facts, &policy, &c, instant_of("2026-11-30 21:00")).until,
			  instant_of("2026-11-30 23:00") + 1);
	facts.valid_for = 0;
	facts.due = instant_of("2026-11-30 12:00");
	SENDS("2026-11-30 12:00", "2026-11-30 09:00:00-03:00");
	facts.valid_for = -HOUR;
	SENDS("2026-11-30 12:00", "2026-11-30 09:00:00-03:00");
	facts.valid_for = INT64_MAX;
	SENDS("2026-11-30 12:00", "2026-11-30 18:00:00-03:00");
	facts.due = INT64_MAX;
	SENDS("2026-11-30 12:00", "2026-11-30 18:00:00-03:00");
	facts.due = INT64_MIN;
	facts.valid_for = HOUR;
	CHECK_INT(cadence_decide(&facts, &policy, &c, 0).reason, REASON_EXPIRED);
}

static void
gap(void)
{
	start();
	policy.min_gap = 4 * HOUR;
	facts.last_to_person = instant_of("2026-11-30 12:00");
	WAITS("2026-11-30 15:59:59", REASON_MIN_GAP, "2026-11-30 13:00:00-03:00");
	SENDS("2026-11-30 16:00", "2026-11-30 18:00:00-03:00");
	/* it is over when the window is closed */
	facts.last_to_person = instant_of("2026-11-30 18:00");
	WAITS("2026-11-30 19:00", REASON_MIN_GAP, "2026-12-01 08:00:00-03:00");
	/* and the window opens before it is over */
	policy.min_gap = 18 * HOUR;
	WAITS("2026-11-30 21:30", REASON_WINDOW, "2026-12-01 09:00:00-03:00");
	policy.min_gap = 24 * HOUR * 40;
	WAITS("2026-11-30 20:00", REASON_MIN_GAP, "2026-12-31 17:00:00-03:00");
	policy.min_gap = INT64_MAX;
	WAITS("2026-11-30 20:00", REASON_MIN_GAP, "2026-12-31 17:00:00-03:00");
	policy.min_gap = -HOUR;
	SENDS("2026-11-30 20:00", "2026-11-30 18:00:00-03:00");
	policy.min_gap = INT64_MIN;
	SENDS("2026-11-30 20:00", "2026-11-30 18:00:00-03:00");
	policy.min_gap = INT64_MAX;
	facts.last_to_person = INT64_MIN;
	SENDS("2026-11-30 20:00", "2026-11-30 18:00:00-03:00");
}

static void
caps(void)
{
	static const CadenceReasonCode reasons[DECIDE_CAPS] = {REASON_CAP_PERSON, REASON_CAP_COMPANY,
														   REASON_CAP_CADENCE, REASON_CAP_NEW};

	for (int i = 0; i < DECIDE_CAPS; i++)
	{
		Decision d;

		start();
		facts.caps[i] = (DecideCap){.reason = reasons[i],
									.is_set = true,
									.max = 3,
									.used = 2,
									.day_ends = instant_of("2026-12-01 03:00")};
		SENDS("2026-11-30 12:00", "2026-11-30 18:00:00-03:00");
		facts.caps[i].used = 3;
		WAITS("2026-11-30 12:00", reasons[i], "2026-12-01 08:00:00-03:00");
		d = cadence_decide(&facts, &policy, &c, instant_of("2026-11-30 12:00"));
		CHECK(d.cap == &facts.caps[i]);
		facts.caps[i].used = 4;
		WAITS("2026-11-30 12:00", reasons[i], "2026-12-01 08:00:00-03:00");
		/* closed is what comes first, and tomorrow it is not used up */
		WAITS("2026-11-30 21:00", REASON_WINDOW, "2026-12-01 08:00:00-03:00");
		SENDS("2026-12-01 11:00", "2026-12-01 18:00:00-03:00");
		facts.caps[i].is_set = false;
		SENDS("2026-11-30 12:00", "2026-11-30 18:00:00-03:00");
	}
	/* the day that they count ends before the window closes */
	start();
	facts.caps[0] = (DecideCap){.reason = REASON_CAP_PERSON,
								.is_set = true,
								.max = 1,
								.day_ends = instant_of("2026-11-30 15:00")};
	SENDS("2026-11-30 14:00", "2026-11-30 12:00:00-03:00");
	facts.caps[0].used = 1;
	WAITS("2026-11-30 14:00", REASON_CAP_PERSON, "2026-11-30 12:00:00-03:00");
}

/* What makes it wait leads from one to the next. */
static void
one_after_the_other(void)
{
	start();
	facts.caps[DECIDE_CAP_COMPANY] = (DecideCap){.reason = REASON_CAP_COMPANY,
												 .is_set = true,
												 .max = 1,
												 .used = 1,
												 .day_ends = instant_of("2026-12-01 03:00")};
	facts.caps[DECIDE_CAP_PERSON] = (DecideCap){.reason = REASON_CAP_PERSON,
												.is_set = true,
												.max = 1,
												.used = 1,
												.day_ends = instant_of("2026-12-01 14:00")};
	facts.last_to_person = instant_of("2026-11-30 20:00");
	policy.min_gap = 25 * HOUR;
	WAITS("2026-11-30 20:30", REASON_CAP_PERSON, "2026-12-02 08:00:00-03:00");
	policy.min_gap = 19 * HOUR;
	WAITS("2026-11-30 20:30", REASON_CAP_PERSON, "2026-12-01 12:00:00-03:00");
}

/* ---- against a search, minute by minute ------------------------------------------------ */

typedef struct Search
{
	Timeline t;
	bool open[TIMELINE_MINUTES];
} Search;

/* Whether nothing makes it wait at a minute; what is used today is not used tomorrow. */
static bool
may_leave(const Search *s, int minute)
{
	int64_t at = timeline_at(&s->t, minute);

	if (!s->open[minute])
		return false;
	if (facts.last_to_person != CALENDAR_NEVER && at - facts.last_to_person < policy.min_gap)
		return false;
	for (int i = 0; i < DECIDE_CAPS; i++)
		if (facts.caps[i].is_set && facts.caps[i].used >= facts.caps[i].max &&
			at < facts.caps[i].day_ends)
			return false;
	return true;
}

/* The first instant, from now on, at which nothing makes it wait. */
static int64_t
search(const Search *s, int64_t now)
{
	int minute = timeline_minute(&s->t, now);

	if (may_leave(s, minute))
		return now;
	while (++minute < TIMELINE_MINUTES - 4 * 1440)
		if (may_leave(s, minute))
			return timeline_at(&s->t, minute);
	return CALENDAR_NEVER;
}

static int64_t
sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void
chance_policy(void)
{
	policy = (DecidePolicy){.window = chance(6) == 0 ? NULL : &window,
							.min_gap = chance(2) * chance(3000) * CALENDAR_MINUTE,
							.spread = chance(2) * chance(30) * CALENDAR_MINUTE,
							.place = chance(1001) / 1000.0,
							.retry_unknown = CALENDAR_MINUTE,
							.retry_unresolved = HOUR};
	chance_window(&window, 4);
}

static void
chance_facts(int64_t minute)
{
	facts = (DecideFacts){.last_to_person = CALENDAR_NEVER};
	if (chance(2) == 0)
		facts.last_to_person = minute - (chance(3000) - 100) * CALENDAR_MINUTE;
	facts.can_expire = chance(3) == 0;
	facts.due = minute - chance(2000) * CALENDAR_MINUTE;
	facts.valid_for = chance(6000) * CALENDAR_MINUTE;
	for (int i = 0; i < DECIDE_CAPS; i++)
		facts.caps[i] = (DecideCap){.reason = REASON_CAP_PERSON + i,
									.is_set = chance(3) == 0,
									.max = chance(4),
									.used = chance(4),
									.day_ends = minute + (1 + chance(1440)) * CALENDAR_MINUTE};
	/* facts of a day that is over */
	if (chance(4) == 0)
		facts.caps[chance(DECIDE_CAPS)].day_ends = minute - chance(1440) * CALENDAR_MINUTE;
}

/* Without a window it is open on all days but holidays. */
static void
paint_policy(Search *s)
{
	Window always = {.n = 1, .spans = {{.days = 0xfe, .from = 0, .to = 1440}}};

	paint_window(&s->t, policy.window != NULL ? policy.window : &always, &c, s->open);
}

/* What it may leave until, and not a moment longer; nothing is amiss before. */
static int
wrong_sending(const Search *s, int64_t now, int64_t until)
{
	int minute = timeline_minute(&s->t, now);
	int closes = painted_next(s->open, minute, minute + 2 * 1440, false);
	int64_t most =
		closes >= 0 && policy.window != NULL ? timeline_at(&s->t, closes) : CALENDAR_NEVER;
	int wrong = 0;

	if (facts.can_expire)
		most = sooner(most, facts.due + facts.valid_for + 1);
	if (c.nholidays > 0)
		most = sooner(most, timeline_at(&s->t, timeline_find(&s->t, s->t.day[minute] + 1, 0)));
	for (int i = 0; i < DECIDE_CAPS; i++)
		if (facts.caps[i].is_set && facts.caps[i].day_ends > now)
			most = sooner(most, facts.caps[i].day_ends);
	wrong += until <= now;
	/* it is not looked further than two days */
	wrong += until != most && !(until < most && until >= now + 2 * CALENDAR_DAY);
	for (; until != CALENDAR_NEVER && timeline_at(&s->t, minute) < until &&
		   minute < TIMELINE_MINUTES - 5 * 1440;
		 minute++)
		wrong += !may_leave(s, minute);
	return wrong;
}

/* Whether that is what holds it now. */
static bool
holds(const Search *s, int64_t now, const Decision *d)
{
	int minute = timeline_minute(&s->t, now);
	bool is_holiday = calendar_is_holiday(&c, s->t.day[minute]);

	switch (d->reason)
	{
		case REASON_NEVER_OPENS:
		case REASON_WINDOW:
			return policy.window != NULL && !s->open[minute];
		case REASON_HOLIDAY:
			return is_holiday && !s->open[minute];
		case REASON_MIN_GAP:
			return s->open[minute] && now - facts.last_to_person < policy.min_gap;
		default:
			return s->open[minute] && d->cap == &facts.caps[d->reason - REASON_CAP_PERSON] &&
				   d->cap->used >= d->cap->max && now < d->cap->day_ends;
	}
}

/* Until the first minute at which it may leave, or within the spread after that. */
static int
wrong_waiting(const Search *s, int64_t now, const Decision *d)
{
	int64_t last = now + 31 * CALENDAR_DAY;
	int64_t found = search(s, now);
	Decision then;
	int wrong = 0;

	if (facts.can_expire)
		last = sooner(last, facts.due + facts.valid_for + 1);
	wrong += !holds(s, now, d) || d->until <= now || d->until > last;
	wrong += d->until < sooner(found, last);
	wrong += found < last && d->until > found + policy.spread;
	if (d->until == last)
		return wrong;
	wrong += !may_leave(s, timeline_minute(&s->t, d->until));
	then = cadence_decide(&facts, &policy, &c, d->until);
	return wrong + (then.verdict != DECIDE_SEND);
}

static int
ask(const Search *s, int64_t minute)
{
	int64_t now = minute + chance(2) * chance(60) * CALENDAR_SECOND;
	bool is_late = facts.can_expire && now - facts.due > facts.valid_for;
	bool may = may_leave(s, timeline_minute(&s->t, now));
	Decision d;
	int wrong;

	zone_calls = 0;
	d = cadence_decide(&facts, &policy, &c, now);
	wrong = zone_calls > CALLS_MAX;
	if (is_late)
		return wrong + (d.verdict != DECIDE_SKIP || d.reason != REASON_EXPIRED);
	if (may)
		return wrong + (d.verdict != DECIDE_SEND) + wrong_sending(s, now, d.until);
	return wrong + (d.verdict != DECIDE_WAIT || wrong_waiting(s, now, &d) > 0);
}

static void
by_chance(void)
{
	static Search s;
	static int32_t list[20];

	for (int p = 0; p < NPERIODS; p++)
	{
		int wrong = 0;

		timeline_fill(&s.t, periods[p].zone, periods[p].from);
		c = calendar_of(periods[p].zone, list, 0);
		for (int i = 0; i < 300; i++)
		{
			chance_policy();
			c.nholidays = chance_holidays(s.t.day[2880], list, 20);
			paint_policy(&s);
			for (int j = 0; j < 20; j++)
			{
				int64_t minute = timeline_at(&s.t, 3 * 1440 + chance(15 * 1440));

				chance_facts(minute);
				wrong += ask(&s, minute);
			}
		}
		check_int(wrong, 0, __FILE__, __LINE__, periods[p].from);
	}
}

/* ---- what an editor may write ---------------------------------------------------------- */

/* Fifty spans that touch, a thousand holidays, and caps: none of it makes a decision dear. */
static void
cost(void)
{
	static int32_t list[1000];

	for (int i = 0; i < 4000; i++)
	{
		int step = 1 + chance(3);

		start();
		c = calendar_of(NEW_YORK, list, chance(2) * 1000);
		chance_policy();
		chance_facts(instant_of("2024-03-09 12:00"));
		chance_window(&window, WINDOW_SPANS_MAX);
		window.n = WINDOW_SPANS_MAX;
		for (int j = 0; i % 2 == 0 && j < WINDOW_SPANS_MAX; j++)
			window.spans[j] =
				(WindowSpan){.days = 0xfe, .from = (49 - j) * 28, .to = (50 - j) * 28};
		for (int j = 0; j < 1000; j++)
			list[j] = j == 0 ? day_of("2024-02-25") : list[j - 1] + step;
		facts.can_expire = false;
		zone_calls = 0;
		cadence_decide(&facts, &policy, &c, instant_of("2024-03-09 12:00") + chance(1000000));
		check_note(zone_calls <= CALLS_MAX, __FILE__, __LINE__, "calls");
	}
}

/* ---- every reason ----------------------------------------------------------------------- */

static Decision all[DECIDE_REASONS_MAX];
static int nall;

static void
list_all(const char *utc)
{
	nall = cadence_decide_all(&facts, &policy, &c, instant_of(utc), all, DECIDE_REASONS_MAX);
}

static void
check_listed(int i, CadenceReasonCode reason, const char *until, int line)
{
	check_note(i < nall, __FILE__, line, "there are fewer");
	check_text(cadence_reasons[all[i].reason].code, cadence_reasons[reason].code, __FILE__, line,
			   "the reason");
	if (until != NULL)
		check_local(&c, all[i].until, until, __FILE__, line);
}

#define LISTED(i, reason, until) check_listed(i, reason, until, __LINE__)

static void
every_reason(void)
{
	const int32_t holiday[] = {day_of("2026-12-25")};

	start();
	list_all("2026-11-30 12:00");
	CHECK_INT(nall, 0);
	/* the first is when all of them let it go, each other one is when it does itself */
	facts.last_to_person = instant_of("2026-11-30 21:00");
	policy.min_gap = 24 * HOUR;
	facts.caps[DECIDE_CAP_PERSON] =
		(DecideCap){REASON_CAP_PERSON, true, 2, 2, instant_of("2026-12-01 03:00")};
	facts.caps[DECIDE_CAP_COMPANY] =
		(DecideCap){REASON_CAP_COMPANY, true, 10, 9, instant_of("2026-12-01 03:00")};
	facts.caps[DECIDE_CAP_CADENCE] =
		(DecideCap){REASON_CAP_CADENCE, true, 5, 7, instant_of("2026-12-01 04:00")};
	list_all("2026-11-30 22:00");
	CHECK_INT(nall, 4);
	LISTED(0, REASON_WINDOW, "2026-12-02 08:00:00-03:00");
	LISTED(1, REASON_CAP_PERSON, "2026-12-01 00:00:00-03:00");
	CHECK(all[1].cap == &facts.caps[DECIDE_CAP_PERSON]);
	LISTED(2, REASON_CAP_CADENCE, "2026-12-01 01:00:00-03:00");
	LISTED(3, REASON_MIN_GAP, "2026-12-01 18:00:00-03:00");
	/* in the order in which they count */
	facts.has_exit = facts.has_skip = facts.exits_unknown = true;
	facts.can_expire = true;
	facts.due = instant_of("2026-11-30 20:00");
	facts.valid_for = HOUR;
	list_all("2026-11-30 22:00");
	CHECK_INT(nall, 8);
	LISTED(0, REASON_EXIT, NULL);
	LISTED(1, REASON_EXITS_UNKNOWN, "2026-11-30 19:01:00-03:00");
	LISTED(2, REASON_SKIP, NULL);
	LISTED(3, REASON_EXPIRED, NULL);
	LISTED(4, REASON_WINDOW, "2026-12-01 08:00:00-03:00");
	CHECK_INT(cadence_decide_all(&facts, &policy, &c, instant_of("2026-11-30 22:00"), all, 3), 3);
	LISTED(2, REASON_SKIP, NULL);
	CHECK_INT(cadence_decide_all(&facts, &policy, &c, instant_of("2026-11-30 22:00"), all, 0), 0);
	/* in a zone that is not known no local time is */
	start();
	facts.zone_unknown = true;
	facts.last_to_person = instant_of("2026-11-30 21:00");
	policy.min_gap = 24 * HOUR;
	list_all("2026-11-30 22:00");
	CHECK_INT(nall, 2);
	LISTED(0, REASON_ZONE_UNKNOWN, NULL);
	LISTED(1, REASON_MIN_GAP, "2026-12-01 18:00:00-03:00");
	/* no window, and a holiday all the same */
	start();
	c = calendar_of(SAO_PAULO, holiday, 1);
	policy.window = NULL;
	list_all("2026-12-25 12:00");
	CHECK_INT(nall, 1);
	LISTED(0, REASON_HOLIDAY, "2026-12-26 00:00:00-03:00");
}

/* ---- words ----------------------------------------------------------------------------- */

static bool
is_code(const char *code)
{
	return strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == strlen(code) && strlen(code) < 30;
}

static bool
is_phrase(const char *words)
{
	return strlen(words) > 3 && strchr(".!?;\n", words[strlen(words) - 1]) == NULL;
}

static void
reasons(void)
{
	CHECK_TEXT(cadence_reasons[REASON_NONE].code, "");
	CHECK_TEXT(cadence_reasons[REASON_NONE].en, "");
	CHECK_TEXT(cadence_reasons[REASON_NONE].pt, "");
	for (int i = REASON_NONE + 1; i < REASON_COUNT; i++)
	{
		const ReasonWords *words = &cadence_reasons[i];

		if (words->code == NULL || words->en == NULL || words->pt == NULL)
		{
			check_int(i, -1, __FILE__, __LINE__, "a reason without words");
			continue;
		}
		check_note(is_code(words->code) && words->code[0] != '\0', __FILE__, __LINE__, words->code);
		check_note(is_phrase(words->en), __FILE__, __LINE__, words->en);
		check_note(is_phrase(words->pt), __FILE__, __LINE__, words->pt);
		check_note(strcmp(words->en, words->pt) != 0, __FILE__, __LINE__, words->en);
		for (int j = REASON_NONE; j < i; j++)
			check_note(strcmp(words->code, cadence_reasons[j].code) != 0 &&
						   strcmp(words->en, cadence_reasons[j].en) != 0 &&
						   strcmp(words->pt, cadence_reasons[j].pt) != 0,
					   __FILE__, __LINE__, words->code);
	}
}

int
main(void)
{
	RUN_GROUP("decide: what comes first", order);
	RUN_GROUP("decide: what is asked again", asks_again);
	RUN_GROUP("decide: no policy", no_policy);
	RUN_GROUP("decide: windows", windows);
	RUN_GROUP("decide: a step keeps its hour", hours);
	RUN_GROUP("decide: a step keeps its hour after a gap", hours_after_a_gap);
	RUN_GROUP("decide: holidays without a window", holidays);
	RUN_GROUP("decide: places behind an opening", spread);
	RUN_GROUP("decide: what never opens", never_opens);
	RUN_GROUP("decide: expiry", expiry);
	RUN_GROUP("decide: the gap to the last message", gap);
	RUN_GROUP("decide: caps", caps);
	RUN_GROUP("decide: one after the other", one_after_the_other);
	RUN_GROUP("decide: by chance, against a search", by_chance);
	RUN_GROUP("decide: what it costs at most", cost);
	RUN_GROUP("decide: every reason", every_reason);
	RUN_GROUP("reasons: codes and words", reasons);
	return check_result();
}
