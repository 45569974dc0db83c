/*
 * forecast.h
 *		What becomes of runs when nothing but time passes: the engine's own rules, one
 *		look after the other, without a server.
 *
 * Whoever asks brings the runs and says of a step that may leave when its sender lets it.
 * All memory is the caller's. Times are the calendar's.
 */
#ifndef CADENCE_FORECAST_H
#define CADENCE_FORECAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/calendar.h"
#include "rules/decide.h"
#include "rules/due.h"
#include "rules/transition.h"

/* A calendar of many, and the day that it is in it, as it was asked last. */
typedef struct ForecastCalendar
{
	Calendar calendar;
	bool is_asked;
	int64_t asked_at;
	int32_t day;
	int64_t day_ends;
} ForecastCalendar;

/* What a cap has had on a day; and, of a person, when the last message to them started. */
typedef struct ForecastCount
{
	int32_t day;
	int used;
	int64_t last_at; /* CALENDAR_NEVER: there was none */
} ForecastCount;

/* What a cadence and a company say. */
typedef struct ForecastPolicy
{
	DecidePolicy decide; /* its place is the run's */
	bool window_unknown;
	int priority;
	ForecastCalendar *company;
	int max[DECIDE_CAPS];				/* 0: any number */
	ForecastCount *counts[DECIDE_CAPS]; /* but for the person's */
} ForecastPolicy;

/* What keeps a step from its person, whatever the time is. */
typedef enum ForecastReach
{
	REACH_OPEN,
	REACH_UNRESOLVED, /* it can not be sent as things are */
	REACH_NO_ADDRESS, /* likewise, and where its step says so the next one comes */
	REACH_REFUSED,	  /* as if the provider had refused it */
	REACH_STOPPED	  /* and the run ends */
} ForecastReach;

/* A step of a cadence, and what follows. */
typedef struct ForecastStep
{
	const struct ForecastStep *next; /* NULL: it is the last */
	StepTime time;
	StepTime next_time;
	int64_t valid_for; /* 0: for ever */
	bool goes_on;
	bool is_unresolved; /* for everybody */
	unsigned kind;		/* which of the run's reaches counts */
	unsigned number;	/* which of its skips */
} ForecastStep;

/* Where a run goes on from one step, if not at that one's next. */
typedef struct ForecastJump
{
	const ForecastStep *from;
	const ForecastStep *to; /* NULL: it ends */
	StepTime time;
} ForecastJump;

#define FORECAST_KINDS 8
#define FORECAST_SKIPS 64

typedef struct ForecastRun
{
	const unsigned char *id; /* 16 bytes, the order of those that are due at once */
	int64_t due;
	int64_t first_due; /* of its step */
	int64_t started_at;
	uint64_t skips; /* by the steps' numbers: what is passed by when its time comes, */
	uint64_t had;	/* and what is not to come again */
	const ForecastStep *step;
	const ForecastStep *unresolved; /* a step that can not be sent to this one alone; NULL: none */
	const ForecastJump *jump;		/* NULL: there is none */
	ForecastPolicy *policy;
	ForecastCalendar *person;
	ForecastCount *count; /* the person's */
	float place;		  /* where in the spread behind an opening */
	uint8_t reach[FORECAST_KINDS];
	bool zone_unknown;
	bool has_begun;
	bool is_counted; /* what is sent next was counted when it was first tried */
	bool is_retry;
	bool passes; /* its step was sent before, at counts_from, and nothing more is */
	int64_t counts_from;

	/* of the look under way */
	bool has_taken;
	bool is_pending;
	bool is_deferred; /* for want of room in a cap, or by a pause */
	int64_t deferred_until;
	bool is_first; /* behind the others, where the sender is asked */
	int64_t leave_by;
	int64_t before; /* its person's last message */
} ForecastRun;

/* When a sender lets a message start. */
typedef enum ForecastTurn
{
	TURN_STARTS,
	TURN_WAITS, /* it asks again then */
	TURN_NEVER
} ForecastTurn;

typedef struct ForecastEngine
{
	/* before a look: what was asked of senders in the last one is known no more */
	void (*look)(void *arg, int64_t now);
	bool (*is_first_touch)(void *arg, const ForecastRun *run);
	ForecastTurn (*turn)(void *arg, ForecastRun *run, int64_t now, int64_t *at);
	/* it starts; the run still stands before that step */
	void (*leaves)(void *arg, ForecastRun *run, int64_t at);
	void *arg;
	int batch_size;
	int64_t now;
	int64_t until;
	int64_t retry_unresolved;
} ForecastEngine;

/* A run, when it is looked at next. */
typedef struct ForecastEvent
{
	int64_t due;
	uint64_t order; /* the first half of its id */
	ForecastRun *run;
} ForecastEvent;

extern void forecast_run(const ForecastEngine *engine, ForecastEvent *events, size_t n,
						 ForecastRun **batch);

/* forecast_zone.c */

/* A zone whose distances from UTC were asked for once, for a span of time. */
typedef struct ForecastZone ForecastZone;
#define FORECAST_CHANGES 16

struct ForecastZone
{
	Calendar real;
	int64_t from;
	int64_t until;
	int n;
	int64_t since[FORECAST_CHANGES];
	int32_t offset[FORECAST_CHANGES];
};

extern void forecast_zone(ForecastZone *zone, const Calendar *real, int64_t from, int64_t until);
extern int32_t forecast_offset(const void *zone, int64_t at);

#endif
