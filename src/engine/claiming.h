/*
 * claiming.h
 *		The claiming part of a pipeline: when to claim, what, and what becomes of
 *		a claim that is refused.
 */
#ifndef CADENCE_CLAIMING_H
#define CADENCE_CLAIMING_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "claim/claim.h"
#include "claim/claimant.h"
#include "claim/recheck.h"
#include "engine/limiting.h"
#include "engine/recording.h"
#include "engine/sender.h"
#include "provider/provider.h"
#include "resolve/conversation.h"
#include "resolve/resolve.h"
#include "schema/tables.h"

/* How old the knowledge that a waiting message is still wanted may become. */
#define CLAIMING_RECHECK_US USECS_PER_SEC

struct ClaimAttempt;

typedef struct Claiming
{
	Sender *sender;
	Recording *recording;
	Limiting *limiting;
	const CadenceTables *tables;
	CadenceProviders *providers;
	CadenceClaims *claims;
	CadenceRechecks *rechecks;
	CadenceClaimant *claimant;
	CadenceResolver *resolver;
	CadenceConversations *conversations;
	CadenceRulings *rulings;
	struct ClaimAttempt *attempt; /* under way; NULL: there is none, or it has failed */
	TimestampTz recheck_not_before;
	TimestampTz crossed_not_before; /* for the barrier's sake alone */
	bool patient;					/* goes on after any number of conflicts */
	bool ahead;						/* asks when the next run is due, where there is none */
	bool ended[CADENCE_LOOK_KINDS]; /* by kind of look: nothing due and free was left behind the
									   last one */
	CadenceLookKind last;			/* kind of look */
	bool has_looked;				/* since the way through what is due began */
	int freed[CADENCE_LOOK_KINDS];	/* of the queue, as of the last look past what is blocked: what
									   is free since is behind it */
	bool more;	   /* the first look has found a whole batch: there may be more than one */
	int conflicts; /* claims that met a lock, one after the other */
	int news_conflicts;
	bool news_wait; /* all that are left are of servers that are blocked */
	TimestampTz not_before;
	TimestampTz news_not_before; /* their table could not be read; 0: it could */
	TimestampTz next_due;		 /* as far as the last looks know; in the past: held by others */
	int64 found;				 /* so many due runs were seen */
} Claiming;

typedef enum ClaimWanted
{
	CLAIM_NOTHING = -1,
	CLAIM_ALL = CADENCE_LOOK_ALL,
	CLAIM_BYPASS = CADENCE_LOOK_BYPASS,
	CLAIM_NEWS = CADENCE_LOOK_NEWS
} ClaimWanted;

extern void claiming_init(Claiming *claiming, Sender *sender, Recording *recording,
						  Limiting *limiting);
extern void claiming_prepare(Claiming *claiming, const CadenceTables *tables,
							 CadenceProviders *providers, TimestampTz due_until, int batch_size);
extern bool claiming_has_ended(const Claiming *claiming);
extern bool claiming_runs_have_ended(const Claiming *claiming);
extern void claiming_claim(Claiming *claiming, ClaimWanted kind);
extern void claiming_accept(Claiming *claiming);
extern void claiming_release_abandoned(Claiming *claiming, TimestampTz due);
extern void claiming_report_held(Claiming *claiming);
extern void claiming_end_looks(Claiming *claiming);
extern void claiming_restart(Claiming *claiming, TimestampTz due_until, bool full);
extern bool claiming_has_put_news_off(const Claiming *claiming);
extern void claiming_put_news_off(Claiming *claiming);

/* claim_attempt.c */
extern int64 claiming_lease_us(const CadenceProviders *providers);

/* claiming_when.c */
extern ClaimWanted claiming_wants(const Claiming *claiming);
extern int claiming_wait_ms(const Claiming *claiming, int at_most_ms);
extern bool claiming_is_full(const Claiming *claiming);

/* rechecking.c */
extern bool claiming_wants_recheck(const Claiming *claiming);
extern bool claiming_recheck(Claiming *claiming);
extern uint64 claiming_look_again(void *claiming, CadenceStep **steps, int n);
extern void claiming_leave_news(Claiming *claiming);

#endif
