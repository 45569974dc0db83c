/*
 * forecast_test.c
 *		What becomes of runs when nothing but time passes.
 */
#include "rules/forecast.h"

#include "calendar_tools.h"

#define HOURS (60 * CALENDAR_MINUTE)
#define RUNS_MAX 200
#define TOLD_MAX 2000

/* Who was told of, in that order. */
typedef struct Told
{
	const ForecastRun *run;
	const ForecastStep *step;
	int64_t at;
} Told;

typedef struct World
{
	int64_t now;
	ForecastStep steps[3];
	ForecastPolicy policy;
	ForecastCalendar company;
	ForecastCalendar people;
	ForecastCount counts[DECIDE_CAPS];
	ForecastCount persons[RUNS_MAX];
	ForecastRun runs[RUNS_MAX];
	unsigned char ids[RUNS_MAX][16];
	int nruns;
	Told told[TOLD_MAX];
	int ntold;
	int nlooks;

	/* a sender with a pause */
	int64_t pause;
	int64_t lease;
	int64_t next;
	int64_t plan;
	bool never;
} World;

static World w;

static void
look(void *arg, int64_t now)
{
	(void) arg;
	(void) now;
	w.nlooks++;
	w.plan = w.next;
}

static bool
is_first_touch(void *arg, const ForecastRun *run)
{
	(void) arg;
	return !run->has_begun;
}

static ForecastTurn
turn(void *arg, ForecastRun *run, int64_t now, int64_t *at)
{
	(void) arg;
	(void) run;
	*at = w.next > now ? w.next : now;
	if (w.never)
		return TURN_NEVER;
	if (*at <= now + w.lease)
	{
		w.next = *at + w.pause;
		if (w.plan < w.next)
			w.plan = w.next;
		return TURN_STARTS;
	}
	*at = w.plan;
	w.plan += w.pause;
	return TURN_WAITS;
}

static void
leaves(void *arg, ForecastRun *run, int64_t at)
{
	(void) arg;
	if (w.ntold < TOLD_MAX)
		w.told[w.ntold++] = (Told){run, run->step, at};
}

/* Three steps, two hours and a day apart, and no policy. */
static void
begin(const char *now, ZoneName zone)
{
	memset(&w, 0, sizeof(w));
	w.now = instant_of(now);
	w.company.calendar = w.people.calendar = calendar_of(zone, NULL, 0);
	w.policy.company = &w.company;
	for (int i = 0; i < DECIDE_CAPS; i++)
		w.policy.counts[i] = &w.counts[i];
	w.steps[0] = (ForecastStep){.next = &w.steps[1], .next_time = {.offset = 120}, .number = 0};
	w.steps[1] = (ForecastStep){.next = &w.steps[2], .next_time = {.offset = 1440}, .number = 1};
	w.steps[2] = (ForecastStep){.number = 2};
	w.lease = INT64_MAX / 4;
}

static ForecastRun *
add(int64_t due, unsigned char id)
{
	ForecastRun *run = &w.runs[w.nruns];

	w.ids[w.nruns][15] = id;
	w.persons[w.nruns].last_at = CALENDAR_NEVER;
	*run = (ForecastRun){.id = w.ids[w.nruns],
						 .due = due,
						 .first_due = due,
						 .started_at = due,
						 .step = &w.steps[0],
						 .policy = &w.policy,
						 .person = &w.people,
						 .count = &w.persons[w.nruns]};
	w.nruns++;
	return run;
}

static void
play(int days)
{
	ForecastEngine engine = {.look = look,
							 .is_first_touch = is_first_touch,
							 .turn = turn,
							 .leaves = leaves,
							 .batch_size = 10,
							 .now = w.now,
							 .until = w.now + days * CALENDAR_DAY,
							 .retry_unresolved = 30 * CALENDAR_MINUTE};
	ForecastEvent events[RUNS_MAX];
	ForecastRun *batch[10];

	for (int i = 0; i < w.nruns; i++)
		events[i].run = &w.runs[i];
	forecast_run(&engine, events, (size_t) w.nruns, batch);
}

/* How long after the beginning the n-th message was, in minutes. */
static int64_t
minutes(int n)
{
	return n < w.ntold ? (w.told[n].at - w.now) / CALENDAR_MINUTE : -1;
}

static void
steps(void)
{
	begin("2026-11-30 12:00", UTC);
	add(w.now + HOURS, 1);
	play(30);
	CHECK_INT(w.ntold, 3);
	CHECK_INT(minutes(0), 60);
	CHECK_INT(minutes(1), 180);
	CHECK_INT(minutes(2), 180 + 1440);
	CHECK(w.told[2].step == &w.steps[2]);

	/* no further than asked for; what is overdue leaves now */
	begin("2026-11-30 12:00", UTC);
	add(w.now - HOURS, 1);
	play(1);
	CHECK_INT(w.ntold, 2);
	CHECK_INT(minutes(0), 0);
	CHECK_INT(minutes(1), 120);
}

/* By when they are due, and by their ids; more than a batch has room for. */
static void
order(void)
{
	begin("2026-11-30 12:00", UTC);
	for (int i = 0; i < 100; i++)
		add(w.now + i * 37 % 10 * CALENDAR_MINUTE, (unsigned char) (i * 31 % 100));
	play(1);
	for (int i = 1; i < 100; i++)
		CHECK(w.told[i].at > w.told[i - 1].at ||
			  (w.told[i].at == w.told[i - 1].at &&
			   memcmp(w.told[i].run->id, w.told[i - 1].run->id, 16) > 0));
	CHECK_INT(w.ntold, 200);

	/* follow-ups first */
	begin("2026-11-30 12:00", UTC);
	add(w.now, 1);
	add(w.now, 2)->has_begun = true;
	play(0);
	CHECK(w.told[0].run == &w.runs[1]);
}

static void
reaches(void)
{
	begin("2026-11-30 12:00", UTC);
	w.steps[1].kind = 1;
	add(w.now, 1)->reach[1] = REACH_UNRESOLVED;
	add(w.now, 2)->reach[1] = REACH_STOPPED;
	add(w.now, 3)->reach[1] = REACH_REFUSED;
	add(w.now, 4)->reach[1] = REACH_NO_ADDRESS;
	add(w.now, 5)->unresolved = &w.steps[1];
	add(w.now, 6)->skips = 1 << 1;
	play(30);
	/* only who skips it gets the last one */
	CHECK_INT(w.ntold, 7);
	CHECK(w.told[6].run == &w.runs[5] && w.told[6].step == &w.steps[2]);

	begin("2026-11-30 12:00", UTC);
	w.steps[1].kind = 1;
	w.steps[1].goes_on = true;
	add(w.now, 3)->reach[1] = REACH_REFUSED;
	add(w.now, 4)->reach[1] = REACH_NO_ADDRESS;
	add(w.now, 5)->reach[1] = REACH_UNRESOLVED;
	play(30);
	CHECK_INT(w.ntold, 5);

	/* it is over some time, whatever keeps it */
	begin("2026-11-30 12:00", UTC);
	w.steps[1].valid_for = HOURS;
	w.steps[1].is_unresolved = true;
	add(w.now, 1);
	play(30);
	CHECK_INT(w.ntold, 2);
	CHECK_INT(minutes(1), 180 + 1440);

	begin("2026-11-30 12:00", UTC);
	w.never = true;
	add(w.now, 1);
	play(30);
	CHECK_INT(w.ntold, 0);

	/* a step that it has had is no step of its: the next one has its own time */
	begin("2026-11-30 12:00", UTC);
	add(w.now, 1)->had = 1 << 1;
	play(30);
	CHECK_INT(w.ntold, 2);
	CHECK_INT(minutes(1), 1440);
	begin("2026-11-30 12:00", UTC);
	add(w.now, 1)->had = 1 << 1 | 1 << 2;
	play(30);
	CHECK_INT(w.ntold, 1);

	/* what was sent before is not sent again */
	begin("2026-11-30 12:00", UTC);
	add(w.now, 1)->passes = true;
	w.runs[0].counts_from = w.now - HOURS;
	play(30);
	CHECK_INT(w.ntold, 2);
	CHECK_INT(minutes(0), 60);
}

static void
caps(void)
{
	Window window = {.n = 1};

	/* 09:00 in Sao Paulo */
	begin("2026-11-30 12:00", SAO_PAULO);
	w.policy.max[DECIDE_CAP_NEW] = 3;
	for (int i = 0; i < 10; i++)
		add(w.now, (unsigned char) i);
	play(0);
	CHECK_INT(w.ntold, 3);

	begin("2026-11-30 12:00", SAO_PAULO);
	w.policy.max[DECIDE_CAP_NEW] = 3;
	w.counts[DECIDE_CAP_NEW] = (ForecastCount){calendar_day(&w.company.calendar, w.now), 2, 0};
	for (int i = 0; i < 10; i++)
		add(w.now, (unsigned char) i);
	play(30);
	CHECK_INT(w.ntold, 30);
	CHECK_INT(minutes(0), 0);
	/* its second step, and three more at midnight */
	CHECK_INT(minutes(1), 120);
	CHECK_INT(minutes(2), 15 * 60);

	/* none at all */
	begin("2026-11-30 12:00", SAO_PAULO);
	w.policy.max[DECIDE_CAP_COMPANY] = -1;
	add(w.now, 1);
	play(30);
	CHECK_INT(w.ntold, 0);

	/* a person's: one a day, within a window */
	begin("2026-11-30 12:00", SAO_PAULO);
	w.policy.max[DECIDE_CAP_PERSON] = 1;
	window.spans[0] = (WindowSpan){.days = 0xfe, .from = 8 * 60, .to = 18 * 60};
	w.policy.decide.window = &window;
	add(w.now, 1);
	play(30);
	CHECK_INT(w.ntold, 3);
	CHECK_INT(minutes(1), 23 * 60);
	CHECK_INT(minutes(2), 47 * 60);

	/* a pause after any message of theirs */
	begin("2026-11-30 12:00", SAO_PAULO);
	w.policy.decide.min_gap = 5 * HOURS;
	add(w.now, 1);
	w.persons[0].last_at = w.now - HOURS;
	play(30);
	CHECK_INT(minutes(0), 240);
	CHECK_INT(minutes(1), 240 + 300);
}

/* What a sender puts off has not used what it has taken of a cap. */
static void
senders(void)
{
	begin("2026-11-30 12:00", SAO_PAULO);
	w.pause = CALENDAR_MINUTE;
	w.lease = 2 * CALENDAR_MINUTE;
	w.policy.max[DECIDE_CAP_COMPANY] = 100;
	for (int i = 0; i < 8; i++)
	{
		add(w.now, (unsigned char) i);
		w.runs[i].step = &w.steps[2];
	}
	play(1);
	CHECK_INT(w.ntold, 8);
	for (int i = 0; i < 8; i++)
		CHECK_INT(minutes(i), i);
	CHECK_INT(w.counts[DECIDE_CAP_COMPANY].used, 8);
	CHECK(w.nlooks > 1);
}

/* A zone that is asked once says what it says when it is asked each time. */
static void
zones_asked_once(void)
{
	static const char *const years[] = {"2011-12-01", "2018-10-20", "2024-03-01", "2026-11-30"};

	for (int zone = 0; zone < ZONES; zone++)
		for (int i = 0; i < 4; i++)
		{
			Calendar c = calendar_of(zone, NULL, 0);
			int64_t from = instant_of(years[i]);
			ForecastZone once;
			int wrong = 0;

			forecast_zone(&once, &c, from, from + 400 * CALENDAR_DAY);
			for (int64_t at = from - 10 * CALENDAR_DAY; at < from + 410 * CALENDAR_DAY;
				 at += 7 * CALENDAR_MINUTE - CALENDAR_SECOND)
				wrong += forecast_offset(&once, at) != c.utc_offset(c.zone, at);
			for (int k = 1; k < once.n; k++)
				wrong +=
					forecast_offset(&once, once.since[k] - 1) !=
						c.utc_offset(c.zone, once.since[k] - 1) ||
					forecast_offset(&once, once.since[k]) != c.utc_offset(c.zone, once.since[k]);
			CHECK_INT(wrong, 0);
		}
}

int
main(void)
{
	RUN_GROUP("forecast: a run goes on from step to step", steps);
	RUN_GROUP("forecast: by due times and ids, follow-ups first", order);
	RUN_GROUP("forecast: what keeps a step from its person", reaches);
	RUN_GROUP("forecast: caps, windows and pauses", caps);
	RUN_GROUP("forecast: senders put off", senders);
	RUN_GROUP("forecast: zones that are asked once", zones_asked_once);
	return check_result();
}
