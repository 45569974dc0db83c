/*
 * limits.c
 *		When a sender's next message may start: rate, gaps and moving windows.
 *
 * Starts are given out one after the other, each not before the last. A window is
 * counted in slots up to that last start, the youngest first; there is one more
 * of them than fit into it, so that no window of that length, wherever it begins,
 * has more than is allowed.
 */
#include "rules/limits.h"

#include <stdio.h>
#include <string.h>

#define SECOND INT64_C(1000000)

static const struct
{
	int slots;
	int64_t width;
} windows[WINDOW_COUNT] = {[WINDOW_MINUTE] = {61, SECOND},
						   [WINDOW_HOUR] = {61, 60 * SECOND},
						   [WINDOW_DAY] = {97, 900 * SECOND},
						   [WINDOW_NEW_DAY] = {97, 900 * SECOND}};

bool
limits_are_set(const LimitRules *rules)
{
	bool are_set = rules->rate > 0 || rules->gap_max > 0;

	for (int w = 0; w < WINDOW_COUNT; w++)
		are_set = are_set || rules->most[w] > 0;
	return are_set;
}

/* Which slot of a window a time belongs to, counted from the beginning of time. */
static int64_t
slot_of(LimitWindow window, int64_t at)
{
	int64_t slot = at / windows[window].width;

	return at % windows[window].width < 0 ? slot - 1 : slot;
}

/* Moves the slots on to a later time. */
static void
age(LimitUse *state, int64_t to)
{
	for (int w = 0; w < WINDOW_COUNT && to > state->last_at; w++)
	{
		int n = windows[w].slots;
		int64_t passed = slot_of(w, to) - slot_of(w, state->last_at);
		int shift = passed < n ? (int) passed : n;

		memmove(state->slots[w] + shift, state->slots[w], sizeof(int) * (n - shift));
		memset(state->slots[w], 0, sizeof(int) * shift);
	}
	if (to > state->last_at)
		state->last_at = to;
}

/* When a window has room for one more: once enough of its oldest slots are too old. */
static int64_t
window_opens(const LimitUse *state, LimitWindow w, int most)
{
	int n = windows[w].slots;
	int total = 0;
	int oldest = n;
	int64_t slot;

	for (int i = 0; i < n; i++)
		total += state->slots[w][i];
	while (total >= most && oldest > 0)
		total -= state->slots[w][--oldest];
	if (oldest == n)
		return state->last_at;
	slot = slot_of(w, state->last_at) + (n - oldest);
	return slot > INT64_MAX / windows[w].width ? INT64_MAX : slot * windows[w].width;
}

/* How many a window has at a time that is not before its last start. */
static int
window_use(const LimitUse *state, LimitWindow w, int64_t now)
{
	int64_t passed = now > state->last_at ? slot_of(w, now) - slot_of(w, state->last_at) : 0;
	int total = 0;

	for (int i = 0; i + passed < windows[w].slots; i++)
		total += state->slots[w][i];
	return total;
}

/* How many more may start now, by the window that leaves the fewest; it may be less than none. */
int
limits_room(const LimitRules *rules, const LimitUse *state, int64_t now, bool is_new)
{
	int room = LIMITS_ANY_ROOM;

	for (int w = 0; w < WINDOW_COUNT; w++)
	{
		int left = rules->most[w] - window_use(state, w, now);

		if (rules->most[w] > 0 && (w != WINDOW_NEW_DAY || is_new) && left < room)
			room = left;
	}
	return room;
}

/*
 * The earliest time, not before now, at which one more message may start.
 */
int64_t
limits_next(const LimitRules *rules, const LimitUse *state, int64_t now, bool is_new)
{
	int64_t at = now;

	if (state->next_at > at)
		at = state->next_at;
	for (int w = 0; w < WINDOW_COUNT; w++)
	{
		int64_t opens = at;

		if (rules->most[w] > 0 && (w != WINDOW_NEW_DAY || is_new))
			opens = window_opens(state, w, rules->most[w]);
		at = opens > at ? opens : at;
	}
	return at;
}

/*
 * Counts a message that starts at a time that limits_next() gave. chance: from 0
 * to 1, how long the gap after it is between its bounds.
 */
void
limits_take(const LimitRules *rules, LimitUse *state, int64_t at, bool is_new, double chance)
{
	int64_t wait = rules->rate > 0 ? (int64_t) (SECOND / rules->rate) : 0;
	int64_t gap = rules->gap_min + (int64_t) ((rules->gap_max - rules->gap_min) * chance);

	wait = gap > wait ? gap : wait;
	age(state, at);
	/* without a pace it is the provider's alone, when that asks for less; never is never */
	if (wait > 0)
		state->next_at = at > INT64_MAX - wait ? INT64_MAX : at + wait;
	for (int w = 0; w < WINDOW_COUNT; w++)
		if (w != WINDOW_NEW_DAY || is_new)
			state->slots[w][0]++;
}

/* How many slots a time lies before a window's youngest; as many as it has: none of them is its. */
static int
slot_age(const LimitUse *state, LimitWindow w, int64_t at)
{
	int64_t passed = slot_of(w, state->last_at) - slot_of(w, at);

	return passed < 0 ? 0 : passed < windows[w].slots ? (int) passed : windows[w].slots;
}

/* The youngest slot that is not younger than a time, and not empty; as many as there are: none. */
static int
slot_to_leave(const LimitUse *state, LimitWindow w, int64_t at)
{
	int i = slot_age(state, w, at);

	while (i < windows[w].slots && state->slots[w][i] == 0)
		i++;
	return i;
}

/* Whether nothing was given out after a time, as far as a window of seconds shows. */
static bool
is_last(const LimitUse *state, int64_t at)
{
	int n = slot_age(state, WINDOW_MINUTE, at);

	for (int i = 0; i < n; i++)
		if (state->slots[WINDOW_MINUTE][i] > 0)
			return false;
	return n < windows[WINDOW_MINUTE].slots;
}

/* Whether all starts are as far from each other: then the last one is known by its time alone. */
static bool
is_even(const LimitRules *rules, int64_t wait)
{
	return rules->gap_min == rules->gap_max || wait >= rules->gap_max;
}

/*
 * Takes back a start that was given out and not used. Its time is free again
 * where nobody was given a later one: so the last go first.
 */
void
limits_give_back(const LimitRules *rules, LimitUse *state, int64_t at, bool is_new)
{
	int64_t wait = rules->rate > 0 ? (int64_t) (SECOND / rules->rate) : 0;
	int64_t longest = rules->gap_max > wait ? rules->gap_max : wait;

	for (int w = 0; w < WINDOW_COUNT; w++)
	{
		int i = slot_to_leave(state, w, at);

		if (i < windows[w].slots && (w != WINDOW_NEW_DAY || is_new))
			state->slots[w][i]--;
	}
	/* the windows go on from the last one that was given out: what was before is known no more */
	if (longest > 0 && at <= state->next_at && state->next_at - at <= longest &&
		(is_even(rules, wait) || is_last(state, at)))
		state->next_at = at;
}

/* domain: NULL where it has no limit. */
int64_t
limits_next_turn(LimitTurn *t, const LimitUse *sender, const LimitUse *domain)
{
	int64_t by_sender = limits_next(&t->rules, sender, t->from, t->is_new);
	int64_t by_domain = t->from;

	if (domain != NULL)
		by_domain = limits_next(&t->domain_rules, domain, t->from, t->is_new);
	t->domain_is_full = by_domain > by_sender;
	return by_domain > by_sender ? by_domain : by_sender;
}

/* The sender's starts are given out in order: a mail that waits for its domain is not among them.
 */
void
limits_take_turn(const LimitTurn *t, LimitUse *sender, LimitUse *domain, int64_t at)
{
	if (!t->domain_is_full)
		limits_take(&t->rules, sender, at, t->is_new, t->chance);
	if (domain != NULL)
		limits_take(&t->domain_rules, domain, at, t->is_new, t->chance);
}

/* So many a day, after so many microseconds of use, while that grows from one to the other. */
int
limits_warm_up(int from, int to, int64_t over, int64_t used)
{
	if (over <= 0 || used >= over)
		return to;
	return from + (int) ((double) (to - from) * (used > 0 ? used : 0) / over);
}

/* ---- as text ----------------------------------------------------------------------- */

/*
 * Writes the slots that are not empty, "window.slot.count" each, for a database's
 * column; the buffer has room for LIMITS_TEXT_MAX.
 */
void
limits_write(const LimitUse *state, char *to)
{
	*to = '\0';
	for (int w = 0; w < WINDOW_COUNT; w++)
		for (int i = 0; i < windows[w].slots; i++)
			if (state->slots[w][i] > 0)
				to += sprintf(to, "%d.%d.%d ", w, i, state->slots[w][i]);
}

/* Reads them again; what is no such thing is left out. */
void
limits_read(LimitUse *state, const char *from)
{
	int w;
	int i;
	int count;
	int n;

	memset(state->slots, 0, sizeof(state->slots));
	for (; sscanf(from, "%d.%d.%d %n", &w, &i, &count, &n) == 3; from += n)
		if (w >= 0 && w < WINDOW_COUNT && i >= 0 && i < windows[w].slots && count > 0)
			state->slots[w][i] = count;
}
