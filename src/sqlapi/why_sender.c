/*
 * why_sender.c
 *		What the sender of a resolved step has against its leaving now: its breaker, a
 *		pause, its limits, and what it leaves between two messages to one person.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "engine/conversing.h"
#include "engine/limiting.h"
#include "sqlapi/why.h"

static WhyReason
of_sender(const Why *why, CadenceReasonCode reason)
{
	WhyReason r = why_reason(why, reason);

	why_add(&r, DETAIL_SERVER, why->look.step->request.configuration->name);
	return r;
}

static void
add_said(WhyReason *r, const char *said)
{
	if (said != NULL && *said != '\0')
		why_add(r, DETAIL_WHY, said);
}

/* Where it may try again, the step is the one message that does. */
static void
put_shut(const Why *why, const CadenceSenderState *s)
{
	WhyReason r;

	if (s->paused_at != 0)
	{
		r = of_sender(why, REASON_SENDER_PAUSED);
		r.since = s->paused_at;
		add_said(&r, s->pause_reason);
		why_put(&r);
	}
	if (s->open_since == 0 || why->now >= s->open_until)
		return;
	r = of_sender(why, REASON_BREAKER);
	r.since = s->open_since;
	add_said(&r, s->open_reason);
	why_clears(&r, DETAIL_PROBE, s->open_until);
	why_put(&r);
}

static void
put_conversation(const Why *why)
{
	const CadenceStep *step = why->look.step;
	CadenceReasonCode reason;
	ConversingWait wait;
	WhyReason r;

	if (!conversing_waits(step, why->now, &wait))
		return;
	reason = cadence_reason_of(wait.code);
	r = of_sender(why, reason);
	r.since = step->conversation->last.at;
	if (reason == REASON_PERSON_GAP)
		why_clears(&r, DETAIL_UNTIL, why->now + wait.us);
	why_put(&r);
}

static void
put_limits(const Why *why)
{
	Limiting limiting = {.states = why->look.states, .providers = why->look.providers};
	LimitingWait wait;
	WhyReason r;

	if (!limiting_waits(&limiting, why->look.step, why->now, &wait))
		return;
	r = of_sender(why, REASON_LIMIT);
	r.since = wait.since;
	if (wait.domain != NULL)
		why_add(&r, DETAIL_DOMAIN, wait.domain);
	if (wait.is_first)
		why_add(&r, DETAIL_FIRST_TOUCH, NULL);
	why_clears(&r, DETAIL_UNTIL, wait.until);
	why_put(&r);
}

/* Of a step that has a provider. */
void
why_put_sender(const Why *why)
{
	CadenceStep *step = why->look.step;

	if (step->request.provider == NULL)
		return;
	if (step->conversation != NULL && step->conversation->last.at != 0)
		step->is_first_touch = false;
	put_shut(why, cadence_sender_of(why->look.states, step->request.provider));
	if (step->outcome != OUTCOME_PENDING)
		return;
	put_conversation(why);
	put_limits(why);
}
