/*
 * limits.h
 *		When a sender's next message may start: rate, gaps and moving windows.
 *
 * Pure: the state comes in and goes out by value, whoever keeps it. All times are
 * microseconds on one scale.
 */
#ifndef CADENCE_LIMITS_H
#define CADENCE_LIMITS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

/* The windows, and the slots that each is counted in. */
typedef enum LimitWindow
{
	WINDOW_MINUTE,	/* by second */
	WINDOW_HOUR,	/* by minute */
	WINDOW_DAY,		/* by quarter of an hour */
	WINDOW_NEW_DAY, /* the same, of people who are written to first */
	WINDOW_COUNT
} LimitWindow;

#define WINDOW_SLOTS_MAX 97

typedef struct LimitRules
{
	double rate;			/* starts a second, 0: any */
	int64_t gap_min;		/* between two starts, 0: none */
	int64_t gap_max;		/* not less */
	int most[WINDOW_COUNT]; /* in a window, 0: any */
} LimitRules;

typedef struct LimitUse
{
	int64_t next_at; /* the next start, by rate and gap, or as the provider has asked */
	int64_t last_at; /* the last that was given out, which the slots' ages count from */
	int slots[WINDOW_COUNT][WINDOW_SLOTS_MAX];
} LimitUse;

/* What a sender has that nothing limits by number. */
#define LIMITS_ANY_ROOM INT_MAX

extern int limits_room(const LimitRules *rules, const LimitUse *state, int64_t now, bool is_new);
extern bool limits_are_set(const LimitRules *rules);
extern int64_t limits_next(const LimitRules *rules, const LimitUse *state, int64_t now,
						   bool is_new);
extern void limits_take(const LimitRules *rules, LimitUse *state, int64_t at, bool is_new,
						double chance);
extern void limits_give_back(const LimitRules *rules, LimitUse *state, int64_t at, bool is_new);

/* When a message may start: what its sender's limits say, and its domain's. */
typedef struct LimitTurn
{
	LimitRules rules;
	LimitRules domain_rules;
	int64_t from; /* not before this */
	bool is_new;
	double chance;
	bool domain_is_full; /* of the time that was asked for last */
} LimitTurn;

extern int64_t limits_next_turn(LimitTurn *turn, const LimitUse *sender, const LimitUse *domain);
extern void limits_take_turn(const LimitTurn *turn, LimitUse *sender, LimitUse *domain, int64_t at);

/* So many slots, each with three numbers. */
#define LIMITS_TEXT_MAX (WINDOW_COUNT * WINDOW_SLOTS_MAX * 20)

extern void limits_write(const LimitUse *state, char *to);
extern void limits_read(LimitUse *state, const char *from);
extern int limits_warm_up(int from, int to, int64_t over, int64_t used);

#endif
