/*
 * sender_state.h
 *		What all executions know of a sender: what it has been given to do, and
 *		whether it is shut. A row of cadence_provider_state.
 */
#ifndef CADENCE_SENDER_STATE_H
#define CADENCE_SENDER_STATE_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/uuid.h"

#include "rules/limits.h"
#include "rules/sender_history.h"
#include "schema/tables.h"

typedef struct CadenceSenderState
{
	char *key; /* the server's name, or its limit_group */
	bool changed;

	LimitUse limits;
	TimestampTz first_used; /* 0: never */

	/* the breaker; 0: it is closed */
	SenderHistory history; /* whether it should be */
	TimestampTz open_since;
	TimestampTz open_until;
	char *open_reason;	   /* in the provider's words */
	int openings;		   /* in a row */
	TimestampTz opened_at; /* the last time, by this process */
	TimestampTz paused_at; /* by hand; 0: it is not */
	char *pause_reason;
} CadenceSenderState;

typedef struct CadenceSenderStates CadenceSenderStates;

extern CadenceSenderStates *cadence_sender_states_create(const CadenceTables *tables);
extern void cadence_sender_states_read(CadenceSenderStates *states);
extern CadenceSenderState *cadence_sender_state(CadenceSenderStates *states, const char *key);
extern void cadence_sender_states_lock(CadenceSenderStates *states, List *wanted);
extern void cadence_sender_states_save(CadenceSenderStates *states);
extern int cadence_sender_permits(CadenceSenderStates *states, const char *key,
								  const pg_uuid_t *claim_id, int wanted, int most);

#endif
