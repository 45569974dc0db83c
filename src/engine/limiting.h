/*
 * limiting.h
 *		What senders may do: which claimed steps may start, and when; and what
 *		answers say about their sender.
 */
#ifndef CADENCE_LIMITING_H
#define CADENCE_LIMITING_H

#include "postgres.h"

#include "provider/provider.h"
#include "provider/sender_state.h"
#include "step.h"

typedef struct Limiting
{
	CadenceSenderStates *states;
	const CadenceProviders *providers;
	double share;				 /* of a sender's max_in_flight, by the workers of the execution */
	TimestampTz impatient_until; /* states that somebody else has locked are not waited for */
} Limiting;

/* What keeps a step from starting, as far as its sender's limits do. */
typedef struct LimitingWait
{
	TimestampTz until;
	TimestampTz since;	/* 0: not known */
	const char *domain; /* NULL: not that of its mailbox */
	bool is_first;		/* it would be the first message to its person, and there are none now */
} LimitingWait;

extern void limiting_prepare(Limiting *limiting, const CadenceTables *tables,
							 const CadenceProviders *providers);
extern void limiting_refresh(Limiting *limiting, const pg_uuid_t *claim_id);
extern bool limiting_has_locked(Limiting *limiting, const CadenceStep *step);
extern bool limiting_is_patient(const Limiting *limiting);
extern void limiting_note_conflict(Limiting *limiting);
extern void limiting_lock(Limiting *limiting, CadenceStep **steps, int n);
extern void limiting_apply(Limiting *limiting, CadenceStep **steps, int n,
						   const pg_uuid_t *claim_id);
extern void limiting_note_shut(Limiting *limiting);
extern CadenceSenderState *limiting_domain(Limiting *limiting, const CadenceStep *step,
										   LimitRules *rules);
extern List *limiting_states(Limiting *limiting, const CadenceStep *step, List *wanted);

/* limiting_start.c */
extern bool limiting_waits(Limiting *limiting, const CadenceStep *step, TimestampTz now,
						   LimitingWait *wait);
extern TimestampTz limiting_latest_start(const CadenceConfiguration *c, TimestampTz lease_end,
										 TimestampTz leave_by);

/* limiting_permits.c */
extern void limiting_let_go(Limiting *limiting);

/* learning.c */
extern void limiting_judge(CadenceStep *step);
extern bool limiting_can_learn(Limiting *limiting, CadenceStep **steps, int n);
extern void limiting_learn(Limiting *limiting, CadenceStep **steps, int n);

#endif
