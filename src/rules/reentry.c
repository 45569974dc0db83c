/*
 * reentry.c
 *		Whether a lead may be enrolled in a cadence.
 *
 * It is never twice in one at once. Where it may come back at any time, a new run
 * takes the place of the active one; but a run that begins at the very time that
 * is asked for is the one that is asked for: the call is made again.
 */
#include "rules/reentry.h"

#include <stddef.h>
#include <string.h>

/* Of the column; null and what is none of its words: as if nobody had said anything. */
Reentry
reentry_of(const char *word)
{
	if (word != NULL && strcmp(word, "UMA_VEZ") == 0)
		return REENTRY_ONCE;
	if (word != NULL && strcmp(word, "SEMPRE") == 0)
		return REENTRY_ALWAYS;
	return REENTRY_INACTIVE;
}

EnrolResult
reentry_result(const ReentryFacts *f)
{
	if (f->is_active && (f->reentry != REENTRY_ALWAYS || f->same_start))
		return ENROL_ACTIVE;
	if (f->was_there && f->reentry == REENTRY_ONCE)
		return ENROL_PASSED;
	if (f->is_elsewhere)
		return ENROL_ELSEWHERE;
	return f->is_active ? ENROL_OVER : ENROL_NEW;
}
