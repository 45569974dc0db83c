/*
 * plan_test.c
 *		The contract's table of situations, row by row.
 */
#include "rules/transition.h"

#include <limits.h>

#include "check.h"

#define MINUTE INT64_C(60000000)

/* Some moment; the plan knows no calendar. */
#define NOW (INT64_C(800000000) * 1000000)

static PlanInput
input(CadenceOutcome outcome)
{
	return (PlanInput){.outcome = outcome,
					   .attempts = 3,
					   .max_attempts = 20,
					   .at = NOW,
					   .due = NOW - 7 * MINUTE,
					   .retry_failed = 15 * MINUTE,
					   .retry_unresolved = 30 * MINUTE};
}

static void
check_plan(const PlanInput *in, const RunPlan *expected, int line)
{
	RunPlan plan = plan_run(in);

	check_int(plan.status, expected->status, __FILE__, line, "status");
	check_int(plan.advance, expected->advance, __FILE__, line, "advance");
	check_int(plan.permanent, expected->permanent, __FILE__, line, "permanent");
	check_int(plan.exhausted, expected->exhausted, __FILE__, line, "exhausted");
	check_int(plan.has_due, expected->has_due, __FILE__, line, "has_due");
	check_int(plan.attempts, expected->attempts, __FILE__, line, "attempts");
	if (expected->has_due)
		check_int(plan.next_due, expected->next_due, __FILE__, line, "next_due");
}

#define PLANS(in, ...) check_plan(&(in), &(RunPlan){__VA_ARGS__}, __LINE__)

static void
sent_with_next(void)
{
	PlanInput in = input(OUTCOME_SENT);

	in.has_next = true;
	in.next_offset = 1440;
	PLANS(in, .status = RUN_ACTIVE, .advance = true, .has_due = true,
		  .next_due = NOW + 1440 * MINUTE, .attempts = 0);
	in.next_offset = 0;
	PLANS(in, .status = RUN_ACTIVE, .advance = true, .has_due = true, .next_due = NOW,
		  .attempts = 0);
	in.next_offset = -30;
	PLANS(in, .status = RUN_ACTIVE, .advance = true, .has_due = true, .next_due = NOW,
		  .attempts = 0);
	in.next_offset = INT_MAX;
	PLANS(in, .status = RUN_ACTIVE, .advance = true, .has_due = true,
		  .next_due = NOW + INT_MAX * MINUTE, .attempts = 0);
	in.next_offset = INT_MIN;
	PLANS(in, .status = RUN_ACTIVE, .advance = true, .has_due = true, .next_due = NOW,
		  .attempts = 0);
}

/* The last allowed attempt may succeed. */
static void
sent_at_the_limit(void)
{
	PlanInput in = input(OUTCOME_SENT);

	in.attempts = in.max_attempts = 20;
	in.retry_after = 60 * MINUTE;
	in.has_next = true;
	in.next_offset = 10;
	PLANS(in, .status = RUN_ACTIVE, .advance = true, .has_due = true, .next_due = NOW + 10 * MINUTE,
		  .attempts = 0);
}

static void
sent_last(void)
{
	PlanInput in = input(OUTCOME_SENT);

	PLANS(in, .status = RUN_DONE, .advance = true, .attempts = 0);
}

static void
no_step(void)
{
	PlanInput in = input(OUTCOME_NO_STEP);

	PLANS(in, .status = RUN_DONE, .advance = true, .attempts = 0);
}

/* Not an attempt to send: the counter goes back. */
static void
unresolved(void)
{
	PlanInput in = input(OUTCOME_UNRESOLVED);

	PLANS(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 30 * MINUTE, .attempts = 2);
	in.attempts = 500;
	PLANS(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 30 * MINUTE,
		  .attempts = 499);
	in.attempts = 0;
	PLANS(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 30 * MINUTE, .attempts = 0);
}

static void
waiting(void)
{
	PlanInput in = input(OUTCOME_WAITING);

	PLANS(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 30 * MINUTE, .attempts = 2);
}

static void
failed(void)
{
	PlanInput in = input(OUTCOME_FAILED);

	PLANS(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 15 * MINUTE, .attempts = 3);
	in.has_next = true;
	in.next_offset = 5;
	in.hold = true;
	PLANS(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 15 * MINUTE, .attempts = 3);
}

static void
retry_after(void)
{
	PlanInput in = input(OUTCOME_FAILED);

	in.retry_after = 14 * MINUTE;
	PLANS(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 15 * MINUTE, .attempts = 3);
	in.retry_after = 60 * MINUTE;
	PLANS(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 60 * MINUTE, .attempts = 3);
	in.outcome = OUTCOME_UNCERTAIN;
	PLANS(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 60 * MINUTE, .attempts = 3);
	in.outcome = OUTCOME_UNRESOLVED;
	PLANS(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 30 * MINUTE, .attempts = 2);
}

static void
exhausted(void)
{
	PlanInput in = input(OUTCOME_FAILED);

	in.attempts = 19;
	PLANS(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 15 * MINUTE, .attempts = 19);
	in.attempts = 20;
	PLANS(in, .status = RUN_PAUSED, .permanent = true, .exhausted = true, .attempts = 20);
	in.attempts = 21;
	PLANS(in, .status = RUN_PAUSED, .permanent = true, .exhausted = true, .attempts = 21);
	in.outcome = OUTCOME_UNCERTAIN;
	PLANS(in, .status = RUN_PAUSED, .permanent = true, .exhausted = true, .attempts = 21);
	in.max_attempts = in.attempts = 1;
	PLANS(in, .status = RUN_PAUSED, .permanent = true, .exhausted = true, .attempts = 1);
}

static void
without_end(void)
{
	PlanInput in = input(OUTCOME_FAILED);

	in.max_attempts = 0;
	in.attempts = 1000000;
	PLANS(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 15 * MINUTE,
		  .attempts = 1000000);
}

static void
refused(void)
{
	PlanInput in = input(OUTCOME_REFUSED);

	in.retry_after = 60 * MINUTE;
	in.has_next = true;
	PLANS(in, .status = RUN_PAUSED, .permanent = true, .attempts = 3);
}

static void
uncertain(void)
{
	PlanInput in = input(OUTCOME_UNCERTAIN);

	PLANS(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 15 * MINUTE, .attempts = 3);
	in.hold = true;
	PLANS(in, .status = RUN_PAUSED, .permanent = true, .attempts = 3);
	in.attempts = 20;
	PLANS(in, .status = RUN_PAUSED, .permanent = true, .attempts = 20);
}

static void
opted_out(void)
{
	PlanInput in = input(OUTCOME_OPTED_OUT);

	PLANS(in, .status = RUN_CANCELLED, .permanent = true, .attempts = 3);
}

/* Given back as it was found: due as before, without an attempt. */
static void
given_back(void)
{
	PlanInput in = input(OUTCOME_UNSENT);

	PLANS(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW - 7 * MINUTE, .attempts = 2);
	in.outcome = OUTCOME_PENDING;
	PLANS(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW - 7 * MINUTE, .attempts = 2);
	in.attempts = 1;
	PLANS(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW - 7 * MINUTE, .attempts = 0);
}

int
main(void)
{
	RUN_GROUP("plan: sent, a next step is scheduled", sent_with_next);
	RUN_GROUP("plan: sent with the last attempt", sent_at_the_limit);
	RUN_GROUP("plan: sent, it was the last step", sent_last);
	RUN_GROUP("plan: no step was left", no_step);
	RUN_GROUP("plan: unresolved", unresolved);
	RUN_GROUP("plan: inactive cadence", waiting);
	RUN_GROUP("plan: dispatch failed", failed);
	RUN_GROUP("plan: Retry-After where it is later", retry_after);
	RUN_GROUP("plan: max_attempts reached", exhausted);
	RUN_GROUP("plan: max_attempts 0 has no end", without_end);
	RUN_GROUP("plan: refused for good", refused);
	RUN_GROUP("plan: uncertain, retry or hold", uncertain);
	RUN_GROUP("plan: opted out", opted_out);
	RUN_GROUP("plan: given back", given_back);
	return check_result();
}
