/*
 * reentry_test.c
 *		Whether a lead may be enrolled in a cadence.
 */
#include "rules/reentry.h"

#include <stddef.h>

#include "check.h"

#define RESULT(rule, active, same, there, elsewhere) \
	reentry_result(&(ReentryFacts){(rule), (active), (same), (there), (elsewhere)})

static void
words(void)
{
	CHECK_INT(reentry_of("UMA_VEZ"), REENTRY_ONCE);
	CHECK_INT(reentry_of("SEMPRE"), REENTRY_ALWAYS);
	CHECK_INT(reentry_of("SE_INATIVO"), REENTRY_INACTIVE);
	CHECK_INT(reentry_of(NULL), REENTRY_INACTIVE);
	CHECK_INT(reentry_of("sempre"), REENTRY_INACTIVE);
	CHECK_INT(reentry_of(""), REENTRY_INACTIVE);
}

/* Whatever else is known of somebody who is active. */
static void
active(void)
{
	for (int i = 0; i < 8; i++)
	{
		bool same = i & 1, there = i & 2, elsewhere = i & 4;

		CHECK_INT(RESULT(REENTRY_INACTIVE, true, same, there, elsewhere), ENROL_ACTIVE);
		CHECK_INT(RESULT(REENTRY_ONCE, true, same, there, elsewhere), ENROL_ACTIVE);
		CHECK_INT(RESULT(REENTRY_ALWAYS, true, same, there, elsewhere), same ? ENROL_ACTIVE
																		: elsewhere
																			? ENROL_ELSEWHERE
																			: ENROL_OVER);
	}
}

static void
inactive(void)
{
	CHECK_INT(RESULT(REENTRY_INACTIVE, false, false, false, false), ENROL_NEW);
	CHECK_INT(RESULT(REENTRY_INACTIVE, false, false, true, false), ENROL_NEW);
	CHECK_INT(RESULT(REENTRY_INACTIVE, false, false, true, true), ENROL_ELSEWHERE);
	CHECK_INT(RESULT(REENTRY_ONCE, false, false, false, false), ENROL_NEW);
	CHECK_INT(RESULT(REENTRY_ONCE, false, false, false, true), ENROL_ELSEWHERE);
	CHECK_INT(RESULT(REENTRY_ONCE, false, false, true, false), ENROL_PASSED);
	CHECK_INT(RESULT(REENTRY_ONCE, false, false, true, true), ENROL_PASSED);
	CHECK_INT(RESULT(REENTRY_ALWAYS, false, false, true, false), ENROL_NEW);
	CHECK_INT(RESULT(REENTRY_ALWAYS, false, false, false, true), ENROL_ELSEWHERE);
}

static void
begins(void)
{
	for (int result = ENROL_NEW; result <= ENROL_INVALID; result++)
		CHECK(enrol_begins(result) == (result == ENROL_NEW || result == ENROL_OVER));
}

int
main(void)
{
	RUN_GROUP("reentry: its words", words);
	RUN_GROUP("reentry: whoever is active", active);
	RUN_GROUP("reentry: whoever is not", inactive);
	RUN_GROUP("reentry: who gets a run", begins);
	return check_result();
}
