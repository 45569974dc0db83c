/*
 * transition_test.c
 *		The contract's table of situations, row by row.
 */
#include "rules/transition.h"

#include <limits.h>

#include "check.h"

#define MINUTE INT64_C(60000000)

/* Some moment; it knows no calendar. */
#define NOW (INT64_C(800000000) * 1000000)

static TransitionInput
input(CadenceOutcome outcome)
{
	return (TransitionInput){.outcome = outcome,
							 .attempts = 3,
							 .max_attempts = 20,
							 .at = NOW,
							 .due = NOW - 7 * MINUTE,
							 .retry_failed = 15 * MINUTE,
							 .retry_unresolved = 30 * MINUTE};
}

static void
check_transition(const TransitionInput *in, const RunTransition *expected, int line)
{
	RunTransition to = cadence_transition(in);

	check_int(to.status, expected->status, __FILE__, line, "status");
	check_int(to.advance, expected->advance, __FILE__, line, "advance");
	check_int(to.permanent, expected->permanent, __FILE__, line, "permanent");
	check_int(to.exhausted, expected->exhausted, __FILE__, line, "exhausted");
	check_int(to.has_due, expected->has_due, __FILE__, line, "has_due");
	check_int(to.attempts, expected->attempts, __FILE__, line, "attempts");
	if (expected->has_due)
		check_int(to.next_due, expected->next_due, __FILE__, line, "next_due");
}

#define BECOMES(in, ...) check_transition(&(in), &(RunTransition){__VA_ARGS__}, __LINE__)

/* An answer that came too late: the message is held for review, and was not lost. */
static void
late_and_held(void)
{
	TransitionInput in = input(OUTCOME_HELD);

	in.act = ACT_LATE_ANSWER;
	in.status = RUN_PAUSED;
	in.uncertain = true;
	in.retry_after = 60 * MINUTE;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 60 * MINUTE,
			.attempts = 3);
	in.attempts = 0;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 60 * MINUTE,
			.attempts = 1);
}

/* What has failed late goes again, unless something was sent, or may have been, since. */
static void
sent_again(void)
{
	TransitionInput in = input(OUTCOME_PENDING);

	in.act = ACT_RESEND;
	BECOMES(in, .status = RUN_ACTIVE, .advance = true, .has_due = true, .next_due = NOW,
			.attempts = 0);
	in.status = RUN_DONE;
	CHECK_INT(cadence_transition(&in).refusal, REFUSAL_NONE);
	in.other_active = true;
	CHECK_INT(cadence_transition(&in).refusal, REFUSAL_OTHER_ACTIVE);
	in.other_active = false;
	in.has_step = true;
	CHECK_INT(cadence_transition(&in).refusal, REFUSAL_STATUS);
	in.status = RUN_ACTIVE;
	CHECK_INT(cadence_transition(&in).refusal, REFUSAL_NONE);
	in.status = RUN_PAUSED;
	CHECK_INT(cadence_transition(&in).refusal, REFUSAL_STATUS);
	in.status = RUN_CANCELLED;
	CHECK_INT(cadence_transition(&in).refusal, REFUSAL_STATUS);
	in.status = RUN_ACTIVE;
	in.claimed = true;
	CHECK_INT(cadence_transition(&in).refusal, REFUSAL_UNDER_WAY);
	in.claimed = false;
	in.uncertain = true;
	CHECK_INT(cadence_transition(&in).refusal, REFUSAL_UNDER_WAY);
	in.uncertain = false;
	in.kept = true;
	CHECK_INT(cadence_transition(&in).refusal, REFUSAL_UNDER_WAY);
}

/* What had no step left goes on with new ones, unless somebody has ended it, or its lead is in
 * again. */
static void
reopened(void)
{
	TransitionInput in = input(OUTCOME_PENDING);

	in.act = ACT_REOPEN;
	in.status = RUN_DONE;
	in.has_next = true;
	in.next_time.offset = 60;
	BECOMES(in, .status = RUN_ACTIVE, .advance = true, .has_due = true,
			.next_due = NOW + 60 * MINUTE);
	CHECK_INT(cadence_transition(&in).refusal, REFUSAL_NONE);
	CHECK_INT(cadence_transition(&in).decided, true);
	in.other_active = true;
	CHECK_INT(cadence_transition(&in).refusal, REFUSAL_OTHER_ACTIVE);
	in.other_active = false;
	in.has_step = true;
	CHECK_INT(cadence_transition(&in).refusal, REFUSAL_STATUS);
	in.has_step = false;
	in.has_next = false;
	CHECK_INT(cadence_transition(&in).refusal, REFUSAL_STATUS);
	in.has_next = true;
	for (RunStatus status = RUN_ACTIVE; status <= RUN_CANCELLED; status++)
	{
		in.status = status;
		CHECK_INT(cadence_transition(&in).refusal,
				  status == RUN_DONE ? REFUSAL_NONE : REFUSAL_STATUS);
	}
}

/* What was to go again has arrived after all: as after it was sent, unless it may have been again.
 */
static void
not_sent_again(void)
{
	TransitionInput in = input(OUTCOME_PENDING);

	in.act = ACT_ARRIVED;
	BECOMES(in, .status = RUN_DONE, .advance = true);
	in.has_next = true;
	in.next_time.offset = 60;
	BECOMES(in, .status = RUN_ACTIVE, .advance = true, .has_due = true,
			.next_due = NOW + 60 * MINUTE);
	CHECK_INT(cadence_transition(&in).refusal, REFUSAL_NONE);
	CHECK_INT(cadence_transition(&in).decided, true);
	in.status = RUN_PAUSED;
	BECOMES(in, .status = RUN_PAUSED, .advance = true, .has_due = true,
			.next_due = NOW + 60 * MINUTE);
	CHECK_INT(cadence_transition(&in).refusal, REFUSAL_NONE);
	in.status = RUN_CANCELLED;
	CHECK_INT(cadence_transition(&in).refusal, REFUSAL_STATUS);
	in.status = RUN_DONE;
	CHECK_INT(cadence_transition(&in).refusal, REFUSAL_STATUS);
	in.status = RUN_ACTIVE;
	in.claimed = true;
	CHECK_INT(cadence_transition(&in).refusal, REFUSAL_UNDER_WAY);
	in.claimed = false;
	in.uncertain = true;
	CHECK_INT(cadence_transition(&in).refusal, REFUSAL_UNDER_WAY);
	in.uncertain = false;
	in.kept = true;
	CHECK_INT(cadence_transition(&in).refusal, REFUSAL_UNDER_WAY);
}

static void
sent_with_next(void)
{
	TransitionInput in = input(OUTCOME_SENT);

	in.has_next = true;
	in.next_time.offset = 1440;
	BECOMES(in, .status = RUN_ACTIVE, .advance = true, .has_due = true,
			.next_due = NOW + 1440 * MINUTE, .attempts = 0);
	in.next_time.offset = 0;
	BECOMES(in, .status = RUN_ACTIVE, .advance = true, .has_due = true, .next_due = NOW,
			.attempts = 0);
	in.next_time.offset = -30;
	BECOMES(in, .status = RUN_ACTIVE, .advance = true, .has_due = true, .next_due = NOW,
			.attempts = 0);
	in.next_time.offset = INT_MAX;
	BECOMES(in, .status = RUN_ACTIVE, .advance = true, .has_due = true,
			.next_due = NOW + INT_MAX * MINUTE, .attempts = 0);
	in.next_time.offset = INT_MIN;
	BECOMES(in, .status = RUN_ACTIVE, .advance = true, .has_due = true, .next_due = NOW,
			.attempts = 0);
}

/* The last allowed attempt may succeed. */
static void
sent_at_the_limit(void)
{
	TransitionInput in = input(OUTCOME_SENT);

	in.attempts = in.max_attempts = 20;
	in.has_next = true;
	in.next_time.offset = 10;
	BECOMES(in, .status = RUN_ACTIVE, .advance = true, .has_due = true,
			.next_due = NOW + 10 * MINUTE, .attempts = 0);
}

/* Times and waits of rows say "never", or what no calendar has: a run is due at some time. */
static void
beyond_time(void)
{
	static const int64_t times[] = {INT64_MIN, INT64_MIN + 1, INT64_MAX - 1, INT64_MAX};
	static const CadenceOutcome outcomes[] = {OUTCOME_SENT, OUTCOME_FAILED, OUTCOME_PUT_OFF,
											  OUTCOME_UNRESOLVED, OUTCOME_WAITING};
	TransitionInput in = input(OUTCOME_PUT_OFF);

	in.retry_after = INT64_MAX - NOW;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 366 * 1440 * MINUTE,
			.attempts = 2);
	for (size_t o = 0; o < sizeof(outcomes) / sizeof(*outcomes); o++)
		for (int i = 0; i < 64; i++)
		{
			int64_t due;

			in = input(outcomes[o]);
			in.has_next = true;
			in.next_time.offset = INT_MAX;
			in.at = times[i / 16];
			in.retry_after = times[i / 4 % 4];
			in.same_for = times[i % 4];
			due = cadence_transition(&in).next_due;
			/* 4714 BC, and the year 294277 */
			CHECK(due >= INT64_C(-211813488000000000) && due < INT64_C(9223371331200000000));
			CHECK(in.at < NOW ? due < NOW : due > NOW);
		}
}

/* Accepted, but held for review: the run stays where it is for so long, whatever comes after. */
static void
held(void)
{
	TransitionInput in = input(OUTCOME_HELD);

	in.retry_after = 60 * MINUTE;
	in.retry_factor = 2;
	in.jitter = 1;
	in.hold = true;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 60 * MINUTE,
			.attempts = 3);
	in.attempts = in.max_attempts;
	in.has_next = true;
	in.next_time.offset = 10;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 60 * MINUTE,
			.attempts = 20);
}

static void
sent_last(void)
{
	TransitionInput in = input(OUTCOME_SENT);

	BECOMES(in, .status = RUN_DONE, .advance = true, .attempts = 0);
}

static void
no_step(void)
{
	TransitionInput in = input(OUTCOME_NO_STEP);

	BECOMES(in, .status = RUN_DONE, .advance = true, .attempts = 0);
}

/* Not an attempt to send: the counter goes back. */
static void
unresolved(void)
{
	TransitionInput in = input(OUTCOME_UNRESOLVED);

	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 30 * MINUTE,
			.attempts = 2);
	in.attempts = 500;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 30 * MINUTE,
			.attempts = 499);
	in.attempts = 0;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 30 * MINUTE,
			.attempts = 0);
}

/* For as long again, between the setting and six hours. */
static void
unresolved_for_long(void)
{
	static const int minutes[][2] = {{0, 30},	 {29, 30},	 {31, 31},			 {240, 240},
									 {360, 360}, {361, 360}, {60 * 24 * 90, 360}};
	TransitionInput in = input(OUTCOME_UNRESOLVED);

	for (size_t i = 0; i < sizeof(minutes) / sizeof(*minutes); i++)
	{
		in.same_for = minutes[i][0] * MINUTE;
		BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + minutes[i][1] * MINUTE,
				.attempts = 2);
	}
	in.retry_unresolved = 600 * MINUTE;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 600 * MINUTE,
			.attempts = 2);
	in.retry_unresolved = 30 * MINUTE;
	in.same_for = -MINUTE;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 30 * MINUTE,
			.attempts = 2);
}

static void
waiting(void)
{
	TransitionInput in = input(OUTCOME_WAITING);

	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 30 * MINUTE,
			.attempts = 2);
}

static void
failed(void)
{
	TransitionInput in = input(OUTCOME_FAILED);

	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 15 * MINUTE,
			.attempts = 3);
	in.has_next = true;
	in.next_time.offset = 5;
	in.hold = true;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 15 * MINUTE,
			.attempts = 3);
}

static void
retry_after(void)
{
	TransitionInput in = input(OUTCOME_FAILED);

	in.retry_after = 14 * MINUTE;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 15 * MINUTE,
			.attempts = 3);
	in.retry_after = 60 * MINUTE;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 60 * MINUTE,
			.attempts = 3);
	in.outcome = OUTCOME_UNCERTAIN;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 60 * MINUTE,
			.attempts = 3);
	in.outcome = OUTCOME_UNRESOLVED;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 30 * MINUTE,
			.attempts = 2);
}

/* Not now, says the provider: no attempt, whatever the back-off is, and no end of them. */
static void
put_off(void)
{
	TransitionInput in = input(OUTCOME_PUT_OFF);

	in.retry_after = 6 * MINUTE / 60;
	in.retry_factor = 2;
	in.retry_most = 360 * MINUTE;
	in.jitter = 1;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 6 * MINUTE / 60,
			.attempts = 2);
	in.attempts = in.max_attempts;
	in.retry_after = 1440 * MINUTE;
	in.hold = true;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 1440 * MINUTE,
			.attempts = 19);
	in.attempts = 0;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 1440 * MINUTE,
			.attempts = 0);
}

/* Where it goes on, twice as long as it has been since the last time, up to a week. */
static void
put_off_for_long(void)
{
	static const int hours[][3] = {{24, 0, 24},	  {24, 11, 24},	 {24, 24, 48},	  {24, 48, 96},
								   {24, 83, 166}, {24, 90, 168}, {24, 9000, 168}, {200, 24, 200}};
	TransitionInput in = input(OUTCOME_PUT_OFF);

	for (size_t i = 0; i < sizeof(hours) / sizeof(*hours); i++)
	{
		in.retry_after = hours[i][0] * 60 * MINUTE;
		in.same_for = hours[i][1] * 60 * MINUTE;
		BECOMES(in, .status = RUN_ACTIVE, .has_due = true,
				.next_due = NOW + hours[i][2] * 60 * MINUTE, .attempts = 2);
	}
}

/* In another form at once: this attempt counts, and is not the last one at max_attempts, either. */
static void
otherwise(void)
{
	TransitionInput in = input(OUTCOME_OTHERWISE);
	RunTransition to;

	in.retry_factor = 2;
	in.jitter = 1;
	in.hold = true;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW, .attempts = 3);
	in.retry_after = MINUTE;
	in.attempts = 5;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + MINUTE, .attempts = 5);
	/* the form is not found: no loop of requests */
	in.attempts = in.max_attempts;
	to = cadence_transition(&in);
	CHECK_INT(to.status, RUN_ACTIVE);
	CHECK(to.next_due > NOW + MINUTE);
	in.attempts++;
	to = cadence_transition(&in);
	CHECK_INT(to.status, RUN_PAUSED);
	CHECK(to.exhausted);
}

/* An attempt before it that was never recorded stays uncertain. */
static void
put_off_after_an_interruption(void)
{
	TransitionInput in = input(OUTCOME_PUT_OFF);

	CHECK_INT(cadence_transition(&in).claim, CLAIM_ENDS);
	in.interrupted = true;
	CHECK_INT(cadence_transition(&in).claim, CLAIM_INTERRUPTED);
}

static int64_t
back_off_of(const TransitionInput *in)
{
	return cadence_transition(in).next_due - NOW;
}

static void
back_off(void)
{
	TransitionInput in = input(OUTCOME_FAILED);

	in.max_attempts = 0;
	in.retry_factor = 2;
	in.retry_most = 360 * MINUTE;
	for (in.attempts = 1; in.attempts <= 5; in.attempts++)
		CHECK_INT(back_off_of(&in), (15 << (in.attempts - 1)) * MINUTE);
	for (; in.attempts <= 40; in.attempts++)
		CHECK_INT(back_off_of(&in), 360 * MINUTE);
	in.attempts = INT_MAX;
	CHECK_INT(back_off_of(&in), 360 * MINUTE);
	in.attempts = 3;
	in.retry_factor = 1.5;
	CHECK_INT(back_off_of(&in), 15 * 2.25 * MINUTE);
	in.outcome = OUTCOME_UNCERTAIN;
	CHECK_INT(back_off_of(&in), 15 * 2.25 * MINUTE);
	/* what the provider asks for counts where it is later */
	in.retry_after = 20 * MINUTE;
	CHECK_INT(back_off_of(&in), 15 * 2.25 * MINUTE);
	in.retry_after = 40 * MINUTE;
	CHECK_INT(back_off_of(&in), 40 * MINUTE);
	/* a ceiling below the first delay does not shorten it */
	in.retry_after = 0;
	in.retry_most = 5 * MINUTE;
	CHECK_INT(back_off_of(&in), 15 * MINUTE);
	in.retry_failed = 0;
	in.attempts = 1000;
	CHECK_INT(back_off_of(&in), 0);
}

/* At most a tenth, at the ceiling, too. */
static void
jitter(void)
{
	TransitionInput in = input(OUTCOME_FAILED);

	in.retry_factor = 2;
	in.retry_most = 360 * MINUTE;
	for (in.attempts = 1; in.attempts < 20; in.attempts++)
	{
		int64_t plain;

		in.jitter = 0;
		plain = back_off_of(&in);
		in.jitter = 1;
		CHECK_INT(back_off_of(&in), plain + plain / 10);
		in.jitter = -1;
		CHECK_INT(back_off_of(&in), plain - plain / 10);
		in.jitter = 0.5;
		CHECK_INT(back_off_of(&in), plain + plain / 20);
	}
}

/* As it was before there was a factor: fixed, to the microsecond. */
static void
factor_one(void)
{
	TransitionInput in = input(OUTCOME_FAILED);

	in.retry_factor = 1;
	in.retry_most = 360 * MINUTE;
	in.jitter = 1;
	for (in.attempts = 1; in.attempts < 20; in.attempts++)
		CHECK_INT(back_off_of(&in), 15 * MINUTE);
	in.retry_most = MINUTE;
	in.attempts = 7;
	CHECK_INT(back_off_of(&in), 15 * MINUTE);
}

static void
exhausted(void)
{
	TransitionInput in = input(OUTCOME_FAILED);

	in.attempts = 19;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 15 * MINUTE,
			.attempts = 19);
	in.attempts = 20;
	BECOMES(in, .status = RUN_PAUSED, .permanent = true, .exhausted = true, .attempts = 20);
	in.attempts = 21;
	BECOMES(in, .status = RUN_PAUSED, .permanent = true, .exhausted = true, .attempts = 21);
	in.outcome = OUTCOME_UNCERTAIN;
	BECOMES(in, .status = RUN_PAUSED, .permanent = true, .exhausted = true, .attempts = 21);
	in.max_attempts = in.attempts = 1;
	BECOMES(in, .status = RUN_PAUSED, .permanent = true, .exhausted = true, .attempts = 1);
}

static void
without_end(void)
{
	TransitionInput in = input(OUTCOME_FAILED);

	in.max_attempts = 0;
	in.attempts = 1000000;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 15 * MINUTE,
			.attempts = 1000000);
}

static void
refused(void)
{
	TransitionInput in = input(OUTCOME_REFUSED);

	in.retry_after = 60 * MINUTE;
	in.has_next = true;
	BECOMES(in, .status = RUN_PAUSED, .permanent = true, .attempts = 3);
}

static void
uncertain(void)
{
	TransitionInput in = input(OUTCOME_UNCERTAIN);

	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 15 * MINUTE,
			.attempts = 3);
	in.hold = true;
	BECOMES(in, .status = RUN_PAUSED, .permanent = true, .attempts = 3);
	in.attempts = 20;
	BECOMES(in, .status = RUN_PAUSED, .permanent = true, .attempts = 20);
}

/* Again only while the provider remembers the key. */
static void
uncertain_for_long(void)
{
	TransitionInput in = input(OUTCOME_UNCERTAIN);

	in.hold_at = NOW + 15 * MINUTE + 1;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 15 * MINUTE,
			.attempts = 3);
	in.hold_at--;
	BECOMES(in, .status = RUN_PAUSED, .permanent = true, .attempts = 3);
	/* what is certain has no need of it */
	in.outcome = OUTCOME_FAILED;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 15 * MINUTE,
			.attempts = 3);
}

static void
opted_out(void)
{
	TransitionInput in = input(OUTCOME_STOPPED);

	BECOMES(in, .status = RUN_CANCELLED, .permanent = true, .attempts = 3);
}

/* Given back as it was found: due as before, without an attempt. */
static void
given_back(void)
{
	TransitionInput in = input(OUTCOME_UNSENT);

	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW - 7 * MINUTE, .attempts = 2);
	in.outcome = OUTCOME_PENDING;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW - 7 * MINUTE, .attempts = 2);
	in.attempts = 1;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW - 7 * MINUTE, .attempts = 0);
}

/* An edit has made its step's time a later one: what is no attempt waits until that. */
static void
edited(void)
{
	static const CadenceOutcome no_attempts[] = {OUTCOME_UNSENT, OUTCOME_DEFERRED, OUTCOME_PUT_OFF,
												 OUTCOME_UNRESOLVED, OUTCOME_WAITING};

	for (size_t i = 0; i < sizeof(no_attempts) / sizeof(*no_attempts); i++)
	{
		TransitionInput in = input(no_attempts[i]);

		in.until = NOW + MINUTE;
		in.not_before = NOW + 2880 * MINUTE;
		BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 2880 * MINUTE,
				.attempts = 2);
		/* and no shorter than it would wait anyway */
		in.not_before = NOW - 9 * MINUTE;
		CHECK(cadence_transition(&in).next_due > in.not_before);
		in.not_before = INT64_MAX;
		CHECK(cadence_transition(&in).next_due < INT64_C(9223371331200000000));
	}
}

/* What was tried comes back by itself, unless another step has come in its place. */
static void
edited_and_tried(void)
{
	TransitionInput in = input(OUTCOME_FAILED);

	in.not_before = NOW + 2880 * MINUTE;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 15 * MINUTE,
			.attempts = 3);
	in.gone = true;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 2880 * MINUTE,
			.attempts = 3);
	in.outcome = OUTCOME_OTHERWISE;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 2880 * MINUTE,
			.attempts = 3);
	in.outcome = OUTCOME_HELD;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 2880 * MINUTE,
			.attempts = 3);
	in.outcome = OUTCOME_UNCERTAIN;
	in.hold_at = NOW + 1440 * MINUTE;
	BECOMES(in, .status = RUN_ACTIVE, .has_due = true, .next_due = NOW + 2880 * MINUTE,
			.attempts = 3);
	in.outcome = OUTCOME_REFUSED;
	BECOMES(in, .status = RUN_PAUSED, .permanent = true, .attempts = 3);
}

int
main(void)
{
	RUN_GROUP("transition: times that are none", beyond_time);
	RUN_GROUP("transition: sent, a next step is scheduled", sent_with_next);
	RUN_GROUP("transition: sent with the last attempt", sent_at_the_limit);
	RUN_GROUP("transition: held for review", held);
	RUN_GROUP("transition: held for review, as a late answer says", late_and_held);
	RUN_GROUP("transition: sent again after a late failure", sent_again);
	RUN_GROUP("transition: not sent again, since it has arrived", not_sent_again);
	RUN_GROUP("transition: reopened", reopened);
	RUN_GROUP("transition: sent, it was the last step", sent_last);
	RUN_GROUP("transition: no step was left", no_step);
	RUN_GROUP("transition: unresolved", unresolved);
	RUN_GROUP("transition: unresolved for long", unresolved_for_long);
	RUN_GROUP("transition: inactive cadence", waiting);
	RUN_GROUP("transition: dispatch failed", failed);
	RUN_GROUP("transition: Retry-After where it is later", retry_after);
	RUN_GROUP("transition: put off", put_off);
	RUN_GROUP("transition: in another form", otherwise);
	RUN_GROUP("transition: put off for longer each time", put_off_for_long);
	RUN_GROUP("transition: put off after an interruption", put_off_after_an_interruption);
	RUN_GROUP("transition: back-off grows up to a ceiling", back_off);
	RUN_GROUP("transition: jitter is at most a tenth", jitter);
	RUN_GROUP("transition: factor 1 is a fixed delay", factor_one);
	RUN_GROUP("transition: max_attempts reached", exhausted);
	RUN_GROUP("transition: max_attempts 0 has no end", without_end);
	RUN_GROUP("transition: refused for good", refused);
	RUN_GROUP("transition: uncertain, retry or hold", uncertain);
	RUN_GROUP("transition: uncertain, and the key forgotten", uncertain_for_long);
	RUN_GROUP("transition: opted out", opted_out);
	RUN_GROUP("transition: given back", given_back);
	RUN_GROUP("transition: put off, its step's time edited", edited);
	RUN_GROUP("transition: tried, its step edited", edited_and_tried);
	return check_result();
}
