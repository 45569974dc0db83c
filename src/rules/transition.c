/*
 * transition.c
 *		Every move of a run.
 *
 * One place for the contract's table of situations and for what an operator may
 * do, free of SQL, so that a reader can hold the two side by side and a test can
 * walk through every row.
 */
#include "rules/transition.h"

#define USECS_PER_MINUTE INT64_C(60000000)

/* Nothing unresolved is left alone for longer, unless the setting says so. */
#define UNRESOLVED_WAIT_MAX (INT64_C(360) * USECS_PER_MINUTE)

static int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/*
 * Times and waits may stem from rows of the user's, who writes "infinity" for never.
 * A run is due at a time that can be read, dumped and compared: within the calendar
 * of PostgreSQL's timestamps.
 */
#define TIME_MIN INT64_C(-211813488000000000)
#define TIME_MAX (INT64_C(9223371331200000000) - 1)
#define RETRY_AFTER_MAX (INT64_C(366) * 24 * 60 * USECS_PER_MINUTE)

static int64_t
within(int64_t value, int64_t least, int64_t most)
{
	return value < least ? least : value > most ? most : value;
}

/* wait: not less than none. */
static int64_t
after(int64_t at, int64_t wait)
{
	at = within(at, TIME_MIN, TIME_MAX);
	return at > TIME_MAX - wait ? TIME_MAX : at + wait;
}

/* The step is done: on to the next one, or the cadence has ended. */
static RunTransition
advance(const TransitionInput *in)
{
	RunTransition to = {.status = RUN_DONE, .advance = true};

	to.counts_from = in->at;
	if (in->has_next)
	{
		to.status = RUN_ACTIVE;
		to.has_due = true;
		to.next_due = step_due(&in->next_time, in->at, in->started_at, in->at, in->calendar);
	}
	return to;
}

#define JITTER_PART 10

/* Longer with each attempt, and not at one time for all that failed at one. */
static int64_t
back_off(const TransitionInput *in)
{
	double wait = in->retry_failed;

	if (in->retry_factor <= 1)
		return in->retry_failed;
	for (int i = 1; i < in->attempts && wait < in->retry_most; i++)
		wait *= in->retry_factor;
	if (wait > in->retry_most)
		wait = in->retry_failed > in->retry_most ? in->retry_failed : in->retry_most;
	return wait + wait / JITTER_PART * in->jitter;
}

/* It is due by its step's own time, where an edit has made that another. */
static int64_t
by_edit(const TransitionInput *in, int64_t due)
{
	return in->not_before != 0 ? later(due, within(in->not_before, TIME_MIN, TIME_MAX)) : due;
}

/* What was tried comes back by itself; what has come in its place was not. */
static RunTransition
retry(const TransitionInput *in)
{
	int64_t due = after(in->at, later(back_off(in), in->retry_after));

	return (RunTransition){.status = RUN_ACTIVE,
						   .has_due = true,
						   .next_due = in->gone ? by_edit(in, due) : due,
						   .attempts = in->attempts};
}

/*
 * The run stays before its step, and comes back to it when the provider has said.
 * What is held for review needs no status of its own that way: when its time has
 * come, the step is claimed as any other, and its last event says that nothing
 * is to be sent. The attempt counts, so that this event is looked for.
 */
static RunTransition
come_back(const TransitionInput *in)
{
	int64_t due = after(in->at, in->retry_after);

	return (RunTransition){.status = RUN_ACTIVE,
						   .has_due = true,
						   .next_due = in->gone ? by_edit(in, due) : due,
						   .attempts = in->attempts};
}

/* Nobody tries again until an operator resumes the run, or it goes on without. */
static RunTransition
give_up(const TransitionInput *in)
{
	if (in->goes_on && in->outcome != OUTCOME_UNCERTAIN)
	{
		RunTransition to = advance(in);

		to.permanent = true;
		return to;
	}
	return (RunTransition){.status = RUN_PAUSED, .permanent = true, .attempts = in->attempts};
}

/*
 * Not an attempt to send: the claim's increment is taken back. An earlier
 * attempt that was never recorded stays on the run's mind until the step is
 * settled: looked at again for another reason, it is still uncertain.
 */
static RunTransition
postpone(const TransitionInput *in, int64_t due)
{
	return (RunTransition){.status = RUN_ACTIVE,
						   .claim = in->interrupted ? CLAIM_INTERRUPTED : CLAIM_ENDS,
						   .has_due = true,
						   .next_due = by_edit(in, due),
						   .attempts = in->attempts > 0 ? in->attempts - 1 : 0};
}

/* For as long again as it has been unresolved: the waits double. */
static int64_t
unresolved_wait(const TransitionInput *in)
{
	return later(within(in->same_for, 0, UNRESOLVED_WAIT_MAX), in->retry_unresolved);
}

/* Nothing is put off for longer by growing waits. */
#define PUT_OFF_WAIT_MAX (INT64_C(7) * 1440 * USECS_PER_MINUTE)

/* Twice as long as the last time. */
static int64_t
put_off_wait(const TransitionInput *in)
{
	return later(2 * within(in->same_for, 0, PUT_OFF_WAIT_MAX / 2), in->retry_after);
}

/* As long as there are attempts. */
static RunTransition
try_again(const TransitionInput *in)
{
	RunTransition to;

	if (in->max_attempts == 0 || in->attempts < in->max_attempts)
		return retry(in);
	to = give_up(in);
	to.exhausted = true;
	return to;
}

/*
 * It is sent in another form at once. What comes to the same end again and again
 * does not find that form: it waits as a failure does.
 */
#define AT_ONCE_MAX 5

static RunTransition
after_attempt(const TransitionInput *in)
{
	switch (in->outcome)
	{
		case OUTCOME_SENT:
		case OUTCOME_NO_STEP:
		case OUTCOME_SKIPPED:
			return advance(in);
		case OUTCOME_DEFERRED:
			return postpone(in, later(in->until, in->at));
		case OUTCOME_UNCERTAIN:
			/* a step that has gone is not tried again, so its key does not matter */
			if (!in->gone && (in->hold || (in->hold_at != 0 && retry(in).next_due >= in->hold_at)))
				return give_up(in);
			/* FALLTHROUGH */
		case OUTCOME_FAILED:
			return try_again(in);
		case OUTCOME_REFUSED:
			return give_up(in);
		case OUTCOME_PUT_OFF:
			return postpone(in, after(in->at, put_off_wait(in)));
		case OUTCOME_HELD:
			return come_back(in);
		case OUTCOME_OTHERWISE:
			if (in->attempts <= AT_ONCE_MAX)
				return come_back(in);
			return in->attempts <= in->max_attempts ? retry(in) : try_again(in);
		case OUTCOME_UNRESOLVED:
			return postpone(in, after(in->at, unresolved_wait(in)));
		case OUTCOME_WAITING:
			return postpone(in, after(in->at, in->retry_unresolved));
		case OUTCOME_STOPPED:
			return (RunTransition){
				.status = RUN_CANCELLED, .permanent = true, .attempts = in->attempts};
		case OUTCOME_UNSENT:
		case OUTCOME_PENDING:
			break;
	}
	return postpone(in, in->due);
}

/* As it is, but for its status: a message under way knows its claim by next_run_at. */
static RunTransition
keep(const TransitionInput *in, RunStatus status)
{
	return (RunTransition){.status = status,
						   .decided = true,
						   .claim = CLAIM_STAYS,
						   .has_due = in->has_due,
						   .next_due = in->due,
						   .attempts = in->attempts};
}

/*
 * Due at its time, or now if that has passed, with all its attempts again. One
 * counts where it has left something to the next, which is not the first.
 */
static RunTransition
resume(const TransitionInput *in)
{
	RunTransition to = keep(in, RUN_ACTIVE);

	if (!in->claimed || !in->has_due || in->due <= in->at)
		to.attempts = in->kept ? 1 : 0;
	to.has_due = true;
	to.next_due = in->has_due ? later(in->due, in->at) : in->at;
	return to;
}

static RunTransition
cancel(const TransitionInput *in)
{
	RunTransition to = keep(in, RUN_CANCELLED);

	to.permanent = true;
	to.has_due = to.has_due && in->claimed;
	return to;
}

/* An answer that came late may be that the message is held for review: it was not lost. */
static bool
is_held_after_all(const TransitionInput *in)
{
	return in->act == ACT_LATE_ANSWER && in->outcome == OUTCOME_HELD;
}

static RunTransition
settle(const TransitionInput *in)
{
	RunTransition to = in->act == ACT_SETTLE_UNSENT ? keep(in, RUN_ACTIVE) : advance(in);

	if (is_held_after_all(in))
	{
		to = come_back(in);
		to.attempts = in->attempts > 0 ? in->attempts : 1;
	}
	if (in->act == ACT_SETTLE_UNSENT)
	{
		to.has_due = true;
		to.next_due = in->at;
	}
	to.claim = CLAIM_ENDS;
	to.decided = true;
	return to;
}

/* Back to the step before, with all its attempts, at the given time. */
static RunTransition
resend(const TransitionInput *in)
{
	return (RunTransition){.status = RUN_ACTIVE,
						   .decided = true,
						   .advance = true,
						   .goes_back = true,
						   .has_due = true,
						   .next_due = in->at};
}

/* Past that step again; a pause is somebody's wish, and goes on. */
static RunTransition
arrived(const TransitionInput *in)
{
	RunTransition to = advance(in);

	if (in->status == RUN_PAUSED)
		to.status = RUN_PAUSED;
	to.decided = true;
	return to;
}

/* Of a run that had no step left: the next one counts from now. */
static RunTransition
reopen(const TransitionInput *in)
{
	RunTransition to = advance(in);

	to.decided = true;
	return to;
}

static RunTransition
without_refusal(const TransitionInput *in)
{
	RunTransition to;

	switch (in->act)
	{
		case ACT_UNWRITABLE:
			to = keep(in, RUN_PAUSED);
			to.permanent = true;
			to.claim = CLAIM_ENDS;
			return to;
		case ACT_PAUSE:
			return keep(in, RUN_PAUSED);
		case ACT_RESUME:
			return resume(in);
		case ACT_CANCEL:
			return cancel(in);
		case ACT_LATE_ANSWER:
		case ACT_SETTLE_SENT:
		case ACT_SETTLE_UNSENT:
			return settle(in);
		case ACT_RESEND:
			return resend(in);
		case ACT_ARRIVED:
			return arrived(in);
		case ACT_REOPEN:
			return reopen(in);
		case ACT_ATTEMPT:
			break;
	}
	return after_attempt(in);
}

static bool
may_be(RunAct act, RunStatus status)
{
	switch (act)
	{
		case ACT_PAUSE:
			return status == RUN_ACTIVE;
		case ACT_RESUME:
		case ACT_LATE_ANSWER:
			return status == RUN_PAUSED;
		case ACT_CANCEL:
		case ACT_SETTLE_SENT:
		case ACT_SETTLE_UNSENT:
		case ACT_ARRIVED:
			return status == RUN_ACTIVE || status == RUN_PAUSED;
		case ACT_RESEND:
			return status == RUN_ACTIVE || status == RUN_DONE;
		case ACT_REOPEN:
			return status == RUN_DONE;
		case ACT_ATTEMPT:
		case ACT_UNWRITABLE:
			break;
	}
	return true;
}

static RunRefusal
refusal(const TransitionInput *in, RunStatus wanted)
{
	bool settles =
		in->act == ACT_LATE_ANSWER || in->act == ACT_SETTLE_SENT || in->act == ACT_SETTLE_UNSENT;
	bool is_late = in->act == ACT_RESEND || in->act == ACT_ARRIVED;

	if (!may_be(in->act, in->status))
		return REFUSAL_STATUS;
	/* somebody has ended it before its last step: its lead is won, or lost */
	if ((in->act == ACT_RESEND || in->act == ACT_REOPEN) && in->status == RUN_DONE && in->has_step)
		return REFUSAL_STATUS;
	if (in->act == ACT_REOPEN && !in->has_next)
		return REFUSAL_STATUS;
	if ((settles || is_late) && in->claimed)
		return REFUSAL_UNDER_WAY;
	/* the step that it stands before may have been sent */
	if (is_late && (in->uncertain || in->kept))
		return REFUSAL_UNDER_WAY;
	if (settles && !in->uncertain)
		return REFUSAL_CERTAIN;
	if (in->status != RUN_ACTIVE && wanted == RUN_ACTIVE && in->other_active)
		return REFUSAL_OTHER_ACTIVE;
	return REFUSAL_NONE;
}

/*
 * Decides status, next time, attempt counter and claim of a run, or why it is
 * left as it is.
 */
RunTransition
cadence_transition(const TransitionInput *given)
{
	TransitionInput in = *given;
	RunTransition to;

	in.retry_after = within(in.retry_after, 0, RETRY_AFTER_MAX);
	to = without_refusal(&in);
	to.refusal = refusal(&in, to.status);
	return to;
}
