/*
 * reentry.h
 *		Whether a lead may be enrolled in a cadence.
 */
#ifndef CADENCE_REENTRY_H
#define CADENCE_REENTRY_H

#include <stdbool.h>

/* cadences.reentrada */
typedef enum Reentry
{
	REENTRY_INACTIVE, /* SE_INATIVO: not while it is active */
	REENTRY_ONCE,	  /* UMA_VEZ: once ever */
	REENTRY_ALWAYS	  /* SEMPRE: any time; an active lead starts over */
} Reentry;

/* What is known of a lead and a cadence. */
typedef struct ReentryFacts
{
	Reentry reentry;
	bool is_active;	   /* it has a run that is ATIVA */
	bool same_start;   /* which begins at the time that is asked for */
	bool was_there;	   /* it has a run that is not ATIVA */
	bool is_elsewhere; /* it is in another cadence, and both are exclusive */
} ReentryFacts;

/* What became of a lead that was to be enrolled. */
typedef enum EnrolResult
{
	ENROL_NEW,
	ENROL_OVER,		 /* the same, and the run that was active is cancelled */
	ENROL_ACTIVE,	 /* it is active already */
	ENROL_PASSED,	 /* it was there, and may be only once */
	ENROL_ELSEWHERE, /* it is in another exclusive cadence */
	ENROL_REPEATED,	 /* it was named before in the same call */
	ENROL_INVALID	 /* it can be no lead */
} EnrolResult;

extern Reentry reentry_of(const char *word);
extern EnrolResult reentry_result(const ReentryFacts *facts);

static inline bool
enrol_begins(EnrolResult result)
{
	return result == ENROL_NEW || result == ENROL_OVER;
}

#endif
