/*
 * conversing.c
 *		Whether a person may be written to again: not too soon, and not before an
 *		answer where the sender waits for one.
 *
 * Asked when a step is claimed, with its conversation locked. Another attempt at
 * the step that was sent last is no other message: neither waits for it.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/transaction.h"
#include "engine/conversing.h"

/* An answer is looked for after as long again as it has been waited for, within these. */
#define ANSWER_WAIT_MIN_US (10 * 60 * USECS_PER_SEC)
#define ANSWER_WAIT_MAX_US (60 * 60 * USECS_PER_SEC)

static bool
waits_for_answer(const CadenceStep *step)
{
	const CadenceConfiguration *c = step->request.configuration;
	const LastMessage *last = &step->conversation->last;

	return c->quiet_until_reply && last->server != NULL && strcmp(last->server, c->name) == 0 &&
		   last->at != 0 && step->heard_at <= last->at;
}

static int64
answer_wait(const CadenceStep *step, TimestampTz now)
{
	int64 waited = now - step->conversation->last.at;

	return Min(Max(waited, ANSWER_WAIT_MIN_US), ANSWER_WAIT_MAX_US);
}

/* Whether a step with a provider has to wait for its person, and why. */
bool
conversing_waits(const CadenceStep *step, TimestampTz now, ConversingWait *wait)
{
	const CadenceConversation *conversation = step->conversation;
	const CadenceConfiguration *c = step->request.configuration;
	TimestampTz last;

	if (conversation == NULL || !step->pool->is_timed)
		return false;
	last = conversation->last.at;
	if (conversation->is_busy)
		*wait = (ConversingWait){"INTERVALO", "another message to this person is being recorded",
								 USECS_PER_SEC};
	else if (cadence_conversation_is_same(step))
		return false;
	else if (waits_for_answer(step))
		*wait = (ConversingWait){
			"AGUARDA_RESPOSTA",
			psprintf("the person has not answered the last message of server \"%s\"", c->name),
			answer_wait(step, now)};
	else if (last != 0 && last > now - c->min_gap_us)
		*wait = (ConversingWait){
			"INTERVALO",
			psprintf("server \"%s\" leaves a pause between two messages to one person", c->name),
			last - now + c->min_gap_us};
	else
		return false;
	return true;
}

/* ---- after --------------------------------------------------------------------------- */

typedef struct Settling
{
	CadenceConversations *conversations;
	CadenceStep **steps;
} Settling;

static void
settle(void *arg, int first, int n)
{
	Settling *settling = arg;

	cadence_conversations_settle(settling->conversations, &settling->steps[first], n);
}

/* It stays as it was taken. What only the moment prevents would prevent the others, too. */
static bool
note_refusal(void *arg, int item, const ErrorData *error)
{
	return !sqlstate_is_of_the_moment(error->sqlerrcode);
}

static bool
has_taken(CadenceStep **steps, int n)
{
	for (int i = 0; i < n; i++)
		if (steps[i]->reserved_at != 0)
			return true;
	return false;
}

/*
 * Settles conversations; in the record's transaction. Whatever refuses that, the
 * record does not fail for it: a conversation that stays taken makes its person
 * wait, and nobody is written to too soon.
 */
void
conversing_settle(CadenceConversations *conversations, CadenceStep **steps, int n)
{
	Settling settling = {conversations, steps};
	ErrorData *error;

	if (!has_taken(steps, n))
		return;
	error = cadence_try(settle, &settling, 0, n, true);
	if (error == NULL)
		return;
	FreeErrorData(error);
	(void) cadence_divide(settle, note_refusal, &settling, 0, n);
}
