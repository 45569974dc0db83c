/*
 * received.c
 *		The vocabulary of what comes back, and what each kind of event needs.
 */
#include "rules/receive.h"

#include <string.h>

const char *const received_kind_names[RECEIVED_KINDS] = {
	[RECEIVED_MESSAGE] = "message",		[RECEIVED_ECHO] = "echo",
	[RECEIVED_RECEIPT] = "receipt",		[RECEIVED_OPT_OUT] = "opt_out",
	[RECEIVED_OPT_IN] = "opt_in",		[RECEIVED_BOUNCE] = "bounce",
	[RECEIVED_COMPLAINT] = "complaint", [RECEIVED_SENDER] = "sender",
	[RECEIVED_IDENTITY] = "identity"};

const char *const received_state_names[RECEIVED_STATES] = {
	[STATE_SENT] = "sent",			 [STATE_DELIVERED] = "delivered",
	[STATE_READ] = "read",			 [STATE_FAILED] = "failed",
	[STATE_CONNECTED] = "connected", [STATE_DISCONNECTED] = "disconnected",
	[STATE_BANNED] = "banned",		 [STATE_QUALITY] = "quality",
	[STATE_HARD] = "hard",			 [STATE_SOFT] = "soft"};

const char *const received_field_names[RECEIVED_FIELDS] = {
	[RECEIVED_ID] = "id",			[RECEIVED_OTHER_ID] = "other_id",
	[RECEIVED_KEY] = "key",			[RECEIVED_FROM] = "from",
	[RECEIVED_TO] = "to",			[RECEIVED_TEXT] = "text",
	[RECEIVED_MEDIA] = "media",		[RECEIVED_MEDIA_TYPE] = "media_type",
	[RECEIVED_NAME] = "name",		[RECEIVED_TIME] = "time",
	[RECEIVED_STATE] = "state",		[RECEIVED_CODE] = "code",
	[RECEIVED_ERROR] = "error",		[RECEIVED_PHONE] = "phone",
	[RECEIVED_EMAIL] = "email",		[RECEIVED_LID] = "lid",
	[RECEIVED_USER_ID] = "user_id", [RECEIVED_QUOTES] = "quotes",
	[RECEIVED_SUBJECT] = "subject", [RECEIVED_OLD] = "old",
	[RECEIVED_NEW] = "new",			[RECEIVED_CHANNEL] = "channel"};

#define BIT(field) (1UL << (field))
#define WHO (BIT(RECEIVED_PHONE) | BIT(RECEIVED_EMAIL) | BIT(RECEIVED_LID) | BIT(RECEIVED_USER_ID))
#define WHICH (BIT(RECEIVED_ID) | BIT(RECEIVED_OTHER_ID) | BIT(RECEIVED_KEY))

/* Of each set of fields one at least. */
static const struct
{
	unsigned long first;
	unsigned long second;
} needs[RECEIVED_KINDS] = {[RECEIVED_MESSAGE] = {BIT(RECEIVED_ID), WHO},
						   [RECEIVED_ECHO] = {BIT(RECEIVED_ID), WHO},
						   [RECEIVED_RECEIPT] = {BIT(RECEIVED_STATE), WHICH},
						   [RECEIVED_OPT_OUT] = {WHO | WHICH, 0},
						   [RECEIVED_OPT_IN] = {WHO | WHICH, 0},
						   [RECEIVED_BOUNCE] = {BIT(RECEIVED_STATE), WHO | WHICH},
						   [RECEIVED_COMPLAINT] = {WHO | WHICH, 0},
						   [RECEIVED_SENDER] = {BIT(RECEIVED_STATE), 0},
						   [RECEIVED_IDENTITY] = {BIT(RECEIVED_NEW), WHO | BIT(RECEIVED_OLD)}};

static const char *
named(unsigned long any)
{
	if (any == BIT(RECEIVED_ID))
		return "has no id";
	if (any == BIT(RECEIVED_STATE))
		return "has no state that is known";
	if (any == BIT(RECEIVED_NEW))
		return "does not say what is new";
	if (any == WHICH)
		return "names no message: neither id nor key";
	if (any == WHO)
		return "names nobody: no phone, email, lid or user_id";
	return "names neither a person nor a message";
}

/* What an event of that kind lacks whose fields are these, a bit for each; NULL: nothing. */
const char *
received_lacks(ReceivedKind kind, unsigned long fields)
{
	if (needs[kind].first != 0 && (needs[kind].first & fields) == 0)
		return named(needs[kind].first);
	if (needs[kind].second != 0 && (needs[kind].second & fields) == 0)
		return named(needs[kind].second);
	return NULL;
}

/* A state by its name; STATE_NONE when events of that kind have none such. */
ReceivedState
received_state_named(ReceivedKind kind, const char *name)
{
	static const struct
	{
		ReceivedState first;
		ReceivedState last;
	} states[RECEIVED_KINDS] = {[RECEIVED_RECEIPT] = {STATE_SENT, STATE_FAILED},
								[RECEIVED_SENDER] = {STATE_CONNECTED, STATE_QUALITY},
								[RECEIVED_BOUNCE] = {STATE_HARD, STATE_SOFT}};

	for (ReceivedState state = states[kind].first; state != STATE_NONE; state++)
	{
		if (strcmp(received_state_names[state], name) == 0)
			return state;
		if (state == states[kind].last)
			break;
	}
	return STATE_NONE;
}
