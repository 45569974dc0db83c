/*
 * claim.h
 *		Claim: takes due runs, so that no other execution has them.
 */
#ifndef CADENCE_CLAIM_H
#define CADENCE_CLAIM_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/uuid.h"

#include "claim/claimant.h"
#include "provider/queue.h"
#include "schema/tables.h"
#include "step.h"

typedef struct CadenceClaims CadenceClaims;

typedef enum CadenceLookKind
{
	CADENCE_LOOK_ALL,	 /* what is due, oldest first */
	CADENCE_LOOK_BYPASS, /* the same, past those whose provider is blocked */
	CADENCE_LOOK_NEWS	 /* of cadence_outbox */
} CadenceLookKind;

#define CADENCE_LOOK_KINDS (CADENCE_LOOK_NEWS + 1)

/* So many news are taken at once, at most. */
#define CADENCE_NEWS_BATCH_MAX 100

/* What one look has found, in due order. In the memory context that it was made in. */
typedef struct CadenceLook
{
	CadenceLookKind kind;
	CadenceStep **runs;
	int n;
	bool last; /* nothing that is due and free is left behind them */
} CadenceLook;

extern CadenceClaims *cadence_claims_create(const CadenceTables *tables, TimestampTz due_until,
											int batch_size);
extern void cadence_claims_look(CadenceClaims *claims, CadenceLookKind kind,
								const CadenceBlocked *blocked, CadenceLook *look);
extern void cadence_claims_take(CadenceClaims *claims, const CadenceClaimant *claimant,
								const CadenceLook *look, int first, int n, CadenceStep **steps);
extern void cadence_claims_refuse(CadenceClaims *claims, const pg_uuid_t *run_id);
extern void cadence_claims_accept(CadenceClaims *claims, const CadenceLook *look, int n);
extern void cadence_claims_restart(CadenceClaims *claims, TimestampTz due_until, bool full);
extern TimestampTz cadence_claims_next(CadenceClaims *claims, CadenceLookKind kind);
extern int cadence_claims_held(CadenceClaims *claims, CadenceStep ***runs);

#endif
