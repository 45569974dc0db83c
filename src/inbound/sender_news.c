/*
 * sender_news.c
 *		What a provider tells about a sender of ours: it is connected, or not any
 *		more, or banned.
 *
 * One that can not send is shut as by its own answers: its breaker opens, and tries
 * with one message whether it sends again. The state is read and changed under its
 * lock, as a record does.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "inbound/acts.h"
#include "rules/class.h"

/* A session comes back in minutes; who is banned is not asked each minute whether he still is. */
#define BANNED_WAIT_US (1800 * USECS_PER_SEC)

/* Its state, locked; NULL: no server is meant. */
static CadenceSenderState *
lock_state(const InboundEvent *e, CadenceSenderStates *states)
{
	CadenceSenderState *s;

	if (e->from->server_name == NULL)
		return NULL;
	s = cadence_sender_state(states, e->from->server_name);
	cadence_sender_states_lock(states, list_make1(s), true);
	return s;
}

/* For whoever may shut it later, when other rows are locked. */
void
inbound_lock_sender(const InboundEvent *e)
{
	(void) lock_state(e, cadence_sender_states_begin(e->acts->senders));
}

/* True: it was not known. */
static bool
shut(const InboundEvent *e, const char *why, int64 wait_us)
{
	CadenceSenderStates *states = cadence_sender_states_begin(e->acts->senders);
	CadenceSenderState *s = lock_state(e, states);
	bool was_open;

	if (s == NULL)
		return false;
	was_open = s->open_since != 0;
	cadence_sender_open_breaker(s, why, wait_us, GetCurrentTimestamp());
	cadence_sender_states_save(states);
	return !was_open;
}

/* As long as after an answer of that class, for each message that tells it. */
void
inbound_shut_sender(const InboundEvent *e, const char *why)
{
	(void) shut(e, why, cadence_classes[CLASS_STOPPED].wait_s * USECS_PER_SEC);
}

/* Not by what is older than the reason for which it is shut, however late it is told. */
static bool
open_again(const InboundEvent *e)
{
	CadenceSenderStates *states = cadence_sender_states_begin(e->acts->senders);
	CadenceSenderState *s = lock_state(e, states);
	bool is_new;

	if (s == NULL || s->open_since == 0 || (e->event->has_time && e->at < s->open_since))
		return false;
	is_new = cadence_sender_close_breaker(s);
	cadence_sender_states_save(states);
	return is_new;
}

InboundResult
inbound_sender_news(InboundEvent *e)
{
	bool is_new = false;

	switch (e->event->state)
	{
		case STATE_CONNECTED:
			is_new = open_again(e);
			break;
		case STATE_DISCONNECTED:
			is_new = shut(e, inbound_reason(e, "disconnected"),
						  cadence_classes[CLASS_STOPPED].wait_s * USECS_PER_SEC);
			break;
		case STATE_BANNED:
			is_new = shut(e, inbound_reason(e, "banned"), BANNED_WAIT_US);
			break;
		default:
			return INBOUND_NOTHING;
	}
	return is_new ? INBOUND_DONE : INBOUND_REPEATED;
}
