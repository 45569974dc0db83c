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

#include "provider/provider.h"
#include "rules/limits.h"
#include "rules/sender_history.h"
#include "schema/tables.h"

typedef struct CadenceSenderState
{
	char *key;		/* the server's name, its limit_group, or a domain that it writes to */
	bool is_locked; /* by this transaction; what was changed is saved only then */
	bool changed;

	LimitUse limits;
	int ngiven_people; /* chosen since it was read for so many who had no sender, not yet counted */
	TimestampTz first_used; /* 0: never */
	bool has_plan;			/* when what this process puts off can go */
	LimitUse plan;

	/* of the senders whose limits these are, together */
	int in_flight;
	int permits; /* so many may be under way in this process */
	bool permits_are_new;
	pg_uuid_t permits_of; /* the claim that has them */

	/* the breaker; 0: it is closed */
	SenderHistory history; /* whether it should be */
	TimestampTz open_since;
	TimestampTz open_until;
	char *open_reason;	   /* in the provider's words */
	int openings;		   /* in a row */
	TimestampTz opened_at; /* the last time, by this process */
	TimestampTz paused_at; /* by hand; 0: it is not */
	char *pause_reason;

	/* what it puts off while it is shut, a round after the other, each step once in each */
	TimestampTz round_until; /* when all of them come back */
	int waiting;
	int waited; /* in the round before */

	/* people who were not written to before can not be for a while; 0: they can */
	TimestampTz new_since;
	TimestampTz new_until;
	char *new_reason;
	int new_stops; /* in a row */

	/* the provider has asked for less, without a word that says until when */
	TimestampTz slow_until;
	int slow_downs; /* in a row */
} CadenceSenderState;

typedef struct CadenceSenderStates CadenceSenderStates;

extern CadenceSenderState *cadence_sender_state(CadenceSenderStates *states, const char *key);
extern CadenceSenderState *cadence_sender_of(CadenceSenderStates *states, CadenceProvider *p);
extern CadenceSenderState *cadence_limits_of(CadenceSenderStates *states, CadenceProvider *p);
extern LimitRules cadence_limit_rules(const CadenceConfiguration *c, const CadenceSenderState *s,
									  TimestampTz now);
extern LimitUse *cadence_sender_plan(CadenceSenderState *state);
extern int cadence_sender_in_flight(const CadenceProvider *p);
extern char *cadence_domain_limit_key(const CadenceConfiguration *c, const char *domain);
extern char *cadence_limit_group_key(const char *group);
extern bool cadence_sender_is_idle(const List *providers, const CadenceProvider *p);
extern void cadence_sender_note_given(CadenceSenderStates *states, CadenceProvider *p);
extern void cadence_sender_state_keep(CadenceSenderState *state, char **text, const char *to);
extern void cadence_sender_open_breaker(CadenceSenderState *state, const char *why, int64 wait_us,
										TimestampTz now);
extern bool cadence_sender_close_breaker(CadenceSenderState *state);

/* sender_rows.c */
extern CadenceSenderStates *cadence_sender_states_create(const CadenceTables *tables);
extern CadenceSenderStates *cadence_sender_states_begin(const CadenceSenderStates *kept);
extern void cadence_sender_states_read(CadenceSenderStates *states);
extern void cadence_sender_states_lock(CadenceSenderStates *states, List *wanted, bool wait);
extern void cadence_sender_states_save(CadenceSenderStates *states);

/* sender_permits.c */
extern int cadence_sender_permits(CadenceSenderStates *states, const char *key,
								  const pg_uuid_t *claim_id, int wanted, int most);

#endif
