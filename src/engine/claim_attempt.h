/*
 * claim_attempt.h
 *		One try to claim, until its transaction has ended.
 */
#ifndef CADENCE_CLAIM_ATTEMPT_H
#define CADENCE_CLAIM_ATTEMPT_H

#include "postgres.h"

#include "engine/claiming.h"

/* How often claims meet a lock before the execution, or the run whose fault it is, is given up. */
#define CLAIM_CONFLICTS_MAX 10

/* One try. Its memory is the batch's. */
typedef struct ClaimAttempt
{
	Claiming *claiming;
	CadenceBatch *batch;
	CadenceLook look;
	CadenceStep **steps;  /* as many as the look has runs; NULL: not taken */
	const char **refused; /* by run: why it can not be claimed; NULL: it can */
	TimestampTz looked_at;
	uint64 barrier;	 /* as of then */
	bool hears_news; /* somebody does */
	bool goes_past;	 /* what is due to a provider that is blocked */
	int conflicts;	 /* so many runs were refused by what may pass */
	int look_again;	 /* the first of them; -1: there is none */
} ClaimAttempt;

extern ClaimAttempt *claim_attempt_create(Claiming *claiming, CadenceLookKind kind);
extern ErrorData *claim_attempt_make(ClaimAttempt *attempt);
extern int *claim_attempt_conflicts(const ClaimAttempt *attempt);

#endif
