/*
 * plan.c
 *		What becomes of a run after one attempt.
 *
 * One place for the contract's table of situations, free of SQL, so that a
 * reader can hold the two side by side and a test can walk through every row.
 */
#include "rules/transition.h"

#define USECS_PER_MINUTE INT64_C(60000000)

static int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* The step is done: on to the next one, or the cadence has ended. */
static RunPlan
advance(const PlanInput *in)
{
	RunPlan plan = {.status = RUN_DONE, .advance = true};

	if (in->has_next)
	{
		/* A negative offset must not make the next step due before this one was sent. */
		int64_t offset = in->next_offset > 0 ? in->next_offset * USECS_PER_MINUTE : 0;

		plan.status = RUN_ACTIVE;
		plan.has_due = true;
		plan.next_due = in->at + offset;
	}
	return plan;
}

static RunPlan
retry(const PlanInput *in, int64_t wait)
{
	return (RunPlan){.status = RUN_ACTIVE,
					 .has_due = true,
					 .next_due = in->at + later(wait, in->retry_after),
					 .attempts = in->attempts};
}

/* Nobody tries again until an operator resumes the run. */
static RunPlan
pause_run(const PlanInput *in)
{
	return (RunPlan){.status = RUN_PAUSED, .permanent = true, .attempts = in->attempts};
}

/* Not an attempt to send: the claim's increment is taken back. */
static RunPlan
postpone(const PlanInput *in, int64_t due)
{
	return (RunPlan){.status = RUN_ACTIVE,
					 .has_due = true,
					 .next_due = due,
					 .attempts = in->attempts > 0 ? in->attempts - 1 : 0};
}

/*
 * Decides status, next time and attempt counter of a run whose claim is held.
 */
RunPlan
plan_run(const PlanInput *in)
{
	RunPlan plan;

	switch (in->outcome)
	{
		case OUTCOME_SENT:
		case OUTCOME_NO_STEP:
			return advance(in);
		case OUTCOME_UNCERTAIN:
			if (in->hold)
				return pause_run(in);
			/* FALLTHROUGH */
		case OUTCOME_FAILED:
			if (in->max_attempts == 0 || in->attempts < in->max_attempts)
				return retry(in, in->retry_failed);
			plan = pause_run(in);
			plan.exhausted = true;
			return plan;
		case OUTCOME_REFUSED:
			return pause_run(in);
		case OUTCOME_UNRESOLVED:
		case OUTCOME_WAITING:
			return postpone(in, in->at + in->retry_unresolved);
		case OUTCOME_OPTED_OUT:
			return (RunPlan){.status = RUN_CANCELLED, .permanent = true, .attempts = in->attempts};
		case OUTCOME_UNSENT:
		case OUTCOME_PENDING:
			break;
	}
	return postpone(in, in->due);
}
