/*
 * limits_test.c
 *		Starts that are given out keep every limit, wherever a window begins.
 */
#include "rules/limits.h"

#include <stdlib.h>

#include "check.h"

#define SECOND INT64_C(1000000)
#define HOUR (3600 * SECOND)
#define START (INT64_C(845000000) * SECOND + 123457)
#define STARTS 3000

static int64_t starts[STARTS];
static bool are_new[STARTS];

/* Gives out starts, asked for at random moments; some are of new people. */
static void
give_out(const LimitRules *rules, int n, int64_t apart)
{
	LimitUse use = {0};
	int64_t now = START;
	unsigned short seed[3] = {1, 2, 3};

	for (int i = 0; i < n; i++)
	{
		now += (int64_t) (erand48(seed) * 2 * apart);
		are_new[i] = erand48(seed) < 0.5;
		starts[i] = limits_next(rules, &use, now, are_new[i]);
		CHECK(starts[i] >= now);
		limits_take(rules, &use, starts[i], are_new[i], erand48(seed));
	}
}

/* The most starts in a window of this length, wherever it begins. */
static int
most_within(int n, int64_t length, bool only_new)
{
	int most = 0;

	for (int i = 0; i < n; i++)
	{
		int count = 0;

		for (int k = 0; k < n; k++)
			count += starts[k] >= starts[i] && starts[k] < starts[i] + length &&
							 (!only_new || are_new[k])
						 ? 1
						 : 0;
		most = count > most ? count : most;
	}
	return most;
}

static void
without_limits(void)
{
	LimitRules rules = {0};

	CHECK(!limits_are_set(&rules));
	give_out(&rules, 100, 0);
	CHECK_INT(starts[99], START);
}

static void
rate(void)
{
	LimitRules rules = {.rate = 80};

	CHECK(limits_are_set(&rules));
	give_out(&rules, STARTS, 0);
	CHECK_INT(most_within(STARTS, SECOND, false), 80);
	CHECK(starts[STARTS - 1] - starts[0] <= STARTS * SECOND / 80);
}

static void
gap(void)
{
	LimitRules rules = {.gap_min = 30 * SECOND, .gap_max = 60 * SECOND};
	int64_t shortest = INT64_MAX;
	int64_t longest = 0;

	give_out(&rules, STARTS, 0);
	for (int i = 1; i < STARTS; i++)
	{
		int64_t between = starts[i] - starts[i - 1];

		shortest = between < shortest ? between : shortest;
		longest = between > longest ? between : longest;
	}
	CHECK(shortest >= 30 * SECOND && shortest < 31 * SECOND);
	CHECK(longest <= 60 * SECOND && longest > 59 * SECOND);
}

/* Asked for in bursts and at leisure; what is left unused is little more than a slot's share. */
static void
windows(void)
{
	static const struct
	{
		LimitWindow window;
		int64_t length;
	} all[] = {
		{WINDOW_MINUTE, 60 * SECOND}, {WINDOW_HOUR, 3600 * SECOND}, {WINDOW_DAY, 86400 * SECOND}};

	for (int w = 0; w < 3; w++)
		for (int burst = 0; burst < 2; burst++)
		{
			LimitRules rules = {0};

			rules.most[all[w].window] = 50;
			give_out(&rules, 600, burst ? 0 : all[w].length / 70);
			CHECK_INT(most_within(600, all[w].length, false), 50);
			if (burst)
				CHECK(starts[599] - starts[0] <= 11 * (all[w].length + all[w].length / 50));
		}
}

static void
new_people(void)
{
	LimitRules rules = {0};

	rules.most[WINDOW_NEW_DAY] = 20;
	give_out(&rules, 500, 60 * SECOND);
	CHECK_INT(most_within(500, 86400 * SECOND, true), 20);
}

/* Whoever is not new is not held back by those who are. */
static void
others_beside_new_people(void)
{
	LimitRules rules = {0};
	LimitUse use = {0};

	rules.most[WINDOW_NEW_DAY] = 1;
	limits_take(&rules, &use, START, true, 0);
	CHECK(limits_next(&rules, &use, START, true) > START + 86399 * SECOND);
	CHECK_INT(limits_next(&rules, &use, START, false), START);
}

static void
all_at_once(void)
{
	LimitRules rules = {.rate = 10};

	rules.most[WINDOW_MINUTE] = 100;
	rules.most[WINDOW_HOUR] = 900;
	give_out(&rules, 2000, SECOND / 20);
	CHECK(most_within(2000, SECOND, false) <= 10);
	CHECK_INT(most_within(2000, 60 * SECOND, false), 100);
	CHECK_INT(most_within(2000, 3600 * SECOND, false), 900);
}

static void
given_back(void)
{
	LimitRules rules = {.rate = 1};
	LimitUse use = {0};

	rules.most[WINDOW_DAY] = 2;
	limits_take(&rules, &use, START, false, 0);
	limits_take(&rules, &use, START + SECOND, false, 0);
	CHECK(limits_next(&rules, &use, START, false) > START + 86399 * SECOND);
	limits_give_back(&rules, &use, START + SECOND, false);
	CHECK_INT(limits_next(&rules, &use, START, false), START + SECOND);
}

/* An older one leaves its own place in a window, not the youngest's. */
static void
older_given_back(void)
{
	LimitRules rules = {.most = {[WINDOW_MINUTE] = 10}};
	LimitUse use = {0};
	int64_t at = START + 61 * SECOND;

	for (int i = 0; i < 10; i++)
		limits_take(&rules, &use, START, false, 0);
	for (int i = 0; i < 9; i++)
		limits_take(&rules, &use, at, false, 0);
	limits_give_back(&rules, &use, START, false);
	CHECK_INT(limits_next(&rules, &use, at, false), at);
	limits_take(&rules, &use, at, false, 0);
	CHECK(limits_next(&rules, &use, at, false) > at + 59 * SECOND);
	/* two of them were a minute and more apart, as the longer windows still know */
	CHECK_INT(use.slots[WINDOW_HOUR][0], 10);
	CHECK_INT(use.slots[WINDOW_HOUR][1], 9);
}

/* A worker that stops gives back all that it has not started, minutes of it. */
static void
all_given_back(void)
{
	LimitRules rules = {.rate = 1};
	LimitUse use = {0};

	for (int i = 0; i < 300; i++)
		limits_take(&rules, &use, START + i * SECOND, false, 0);
	for (int i = 299; i > 0; i--)
		limits_give_back(&rules, &use, START + i * SECOND, false);
	CHECK_INT(limits_next(&rules, &use, START, false), START + SECOND);
}

/* Its time is not free while a later one has its own. */
static void
time_given_back(void)
{
	LimitRules rules = {.gap_min = 10 * SECOND, .gap_max = 60 * SECOND};
	LimitUse use = {0};

	limits_take(&rules, &use, START, false, 0);
	limits_take(&rules, &use, START + 10 * SECOND, false, 0);
	limits_give_back(&rules, &use, START, false);
	CHECK_INT(limits_next(&rules, &use, START, false), START + 20 * SECOND);
	limits_give_back(&rules, &use, START + 10 * SECOND, false);
	CHECK_INT(limits_next(&rules, &use, START, false), START + 10 * SECOND);
}

/* What a row says instead of never, and of long ago. */
static void
beyond_time(void)
{
	static const int64_t times[] = {INT64_MIN, INT64_MIN + 1, INT64_MAX - 1, INT64_MAX};
	LimitRules rules = {.rate = 1, .gap_min = SECOND, .gap_max = 60 * SECOND};

	for (int w = 0; w < WINDOW_COUNT; w++)
		rules.most[w] = 1;
	for (int i = 0; i < 16; i++)
	{
		LimitUse use = {.next_at = times[i / 4], .last_at = times[i % 4]};

		use.slots[WINDOW_MINUTE][0] = use.slots[WINDOW_DAY][0] = 1;
		for (int k = 0; k < 3; k++)
		{
			int64_t at = limits_next(&rules, &use, START, true);

			CHECK(at >= START && at >= use.next_at);
			limits_take(&rules, &use, at, true, 1);
			CHECK(use.next_at >= at);
			(void) limits_room(&rules, &use, START, true);
		}
		limits_give_back(&rules, &use, START, true);
	}
}

/* Whatever the sender's own limits: and a start that it got does not count as asked for. */
static void
asked_to_wait(void)
{
	LimitRules rules = {0};
	LimitUse use = {.next_at = START + 10 * SECOND};

	CHECK_INT(limits_next(&rules, &use, START, false), START + 10 * SECOND);
	CHECK_INT(limits_next(&rules, &use, START + 11 * SECOND, false), START + 11 * SECOND);
	rules.most[WINDOW_NEW_DAY] = 1;
	limits_take(&rules, &use, START + 60 * SECOND, true, 0);
	CHECK_INT(limits_next(&rules, &use, START + 11 * SECOND, false), START + 11 * SECOND);
}

static void
as_text(void)
{
	static char text[LIMITS_TEXT_MAX];
	LimitRules rules = {0};
	LimitUse use = {0};
	LimitUse again = {0};

	rules.most[WINDOW_DAY] = rules.most[WINDOW_MINUTE] = 1000;
	for (int i = 0; i < 500; i++)
		limits_take(&rules, &use, START + i * SECOND / 7, i % 3 == 0, 0);
	limits_write(&use, text);
	limits_read(&again, text);
	CHECK(memcmp(again.slots, use.slots, sizeof(use.slots)) == 0);
	limits_read(&again, "0.0.5 9.1.1 0.99.1 1.2.-3 0.1.6 x");
	CHECK_INT(again.slots[0][0], 5);
	CHECK_INT(again.slots[0][1], 6);
	limits_read(&again, "");
	CHECK_INT(again.slots[0][0], 0);
}

static void
warm_up(void)
{
	CHECK_INT(limits_warm_up(20, 500, 30, 0), 20);
	CHECK_INT(limits_warm_up(20, 500, 30, 15), 260);
	CHECK_INT(limits_warm_up(20, 500, 30, 30), 500);
	CHECK_INT(limits_warm_up(20, 500, 30, INT64_MAX), 500);
	CHECK_INT(limits_warm_up(20, 500, 30, -5), 20);
	CHECK_INT(limits_warm_up(20, 500, 0, 0), 500);
}

/* So many starts, a second apart; when the last one was. */
static int64_t
take(const LimitRules *rules, LimitUse *use, int n, bool is_new)
{
	int64_t at = START;

	for (int i = 0; i < n; i++)
		limits_take(rules, use, at = START + i * SECOND, is_new, 0);
	return at;
}

static void
room(void)
{
	LimitRules none = {.rate = 10};
	LimitRules day = {.most = {[WINDOW_DAY] = 30}};
	LimitRules both = {.most = {[WINDOW_DAY] = 30, [WINDOW_NEW_DAY] = 5}};
	LimitUse use = {0};
	int64_t now;

	CHECK_INT(limits_room(&none, &use, START, true), LIMITS_ANY_ROOM);
	CHECK_INT(limits_room(&both, &use, START, true), 5);
	CHECK_INT(limits_room(&both, &use, START, false), 30);
	now = take(&both, &use, 7, true);
	CHECK_INT(limits_room(&none, &use, now, true), LIMITS_ANY_ROOM);
	CHECK_INT(limits_room(&day, &use, now, true), 23);
	CHECK_INT(limits_room(&both, &use, now, false), 23);
	CHECK_INT(limits_room(&both, &use, now, true), -2);
}

/* What is old enough leaves room again, without a start in between. */
static void
passing_time(void)
{
	LimitRules rules = {.most = {[WINDOW_MINUTE] = 10, [WINDOW_DAY] = 100}};
	LimitUse use = {0};
	int64_t now = take(&rules, &use, 8, false);

	CHECK_INT(limits_room(&rules, &use, now, false), 2);
	CHECK_INT(limits_room(&rules, &use, now + 57 * SECOND, false), 6);
	CHECK_INT(limits_room(&rules, &use, now + 2 * HOUR, false), 10);
	CHECK_INT(limits_room(&rules, &use, now - HOUR, false), 2);
	rules.most[WINDOW_MINUTE] = 0;
	CHECK_INT(limits_room(&rules, &use, now + 2 * HOUR, false), 92);
	CHECK_INT(limits_room(&rules, &use, now + 26 * HOUR, false), 100);
}

int
main(void)
{
	RUN_GROUP("limits: none", without_limits);
	RUN_GROUP("limits: rate", rate);
	RUN_GROUP("limits: gap", gap);
	RUN_GROUP("limits: windows of a minute, an hour, a day", windows);
	RUN_GROUP("limits: new people", new_people);
	RUN_GROUP("limits: others beside new people", others_beside_new_people);
	RUN_GROUP("limits: all at once", all_at_once);
	RUN_GROUP("limits: given back", given_back);
	RUN_GROUP("limits: an older start is given back", older_given_back);
	RUN_GROUP("limits: whose time is given back", time_given_back);
	RUN_GROUP("limits: all that has not started is given back", all_given_back);
	RUN_GROUP("limits: times that are none", beyond_time);
	RUN_GROUP("limits: the provider has asked to wait", asked_to_wait);
	RUN_GROUP("limits: as text", as_text);
	RUN_GROUP("limits: warm-up", warm_up);
	RUN_GROUP("limits: room", room);
	RUN_GROUP("limits: room, as time passes", passing_time);
	return check_result();
}
