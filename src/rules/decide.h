/*
 * decide.h
 *		Whether a run's next step may leave, and when: the one engine that says so.
 */
#ifndef CADENCE_DECIDE_H
#define CADENCE_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "rules/calendar.h"
#include "rules/reason.h"
#include "rules/window.h"

typedef enum DecideVerdict
{
	DECIDE_SEND,
	DECIDE_WAIT, /* until then */
	DECIDE_SKIP, /* the step: on to the next */
	DECIDE_STOP	 /* the run, for good */
} DecideVerdict;

/* How much of something a day may have, and has had; of the day that is now. */
typedef struct DecideCap
{
	CadenceReasonCode reason;
	bool is_set;
	int max;
	int used;
	int64_t day_ends; /* when the next day begins, of whomever it counts for */
} DecideCap;

typedef enum DecideCapKind
{
	DECIDE_CAP_PERSON,
	DECIDE_CAP_COMPANY,
	DECIDE_CAP_CADENCE,
	DECIDE_CAP_NEW, /* runs of a cadence that begin */
	DECIDE_CAPS
} DecideCapKind;

/* What is known of a run and its step. Times are the calendar's. */
typedef struct DecideFacts
{
	/* what stops the run */
	bool has_exit; /* it is in cadence_exits */
	bool opted_out;
	bool is_blocked;

	/* what skips the step */
	bool has_skip; /* it is in cadence_skips */
	bool can_expire;
	int64_t due; /* when the step was due first */
	int64_t valid_for;

	/* what makes it wait */
	bool exits_unknown;		/* one of the two views could not be asked */
	bool is_inactive;		/* the cadence */
	bool window_unknown;	/* what is written there is none */
	bool zone_unknown;		/* and something depends on it */
	bool has_time;			/* its step is due at a time of the day, */
	int64_t time;			/* which it keeps on another day; microseconds after midnight */
	int64_t last_to_person; /* any message's start; CALENDAR_NEVER: there was none */
	DecideCap caps[DECIDE_CAPS];
} DecideFacts;

typedef struct DecidePolicy
{
	const Window *window;  /* NULL: always */
	int64_t spread;		   /* what waits for an opening leaves within so long after it */
	double place;		   /* where in that, from 0 to 1: the lead's own */
	int64_t min_gap;	   /* between two messages to one person */
	int64_t retry_unknown; /* how long what can not be asked is waited for */
	int64_t retry_unresolved;
} DecidePolicy;

typedef struct Decision
{
	DecideVerdict verdict;
	CadenceReasonCode reason; /* of all but DECIDE_SEND */
	int64_t until;		  /* DECIDE_WAIT: then; DECIDE_SEND: it leaves before, or is decided anew */
	const DecideCap *cap; /* that binds; NULL: none does */
} Decision;

extern Decision cadence_decide(const DecideFacts *facts, const DecidePolicy *policy,
							   const Calendar *calendar, int64_t now);

/* There are no more reasons at once than this. */
#define DECIDE_REASONS_MAX (12 + DECIDE_CAPS)

extern int cadence_decide_all(const DecideFacts *facts, const DecidePolicy *policy,
							  const Calendar *calendar, int64_t now, Decision *reasons, int max);

#endif
