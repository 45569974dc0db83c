/*
 * claim.h
 *		Claim: takes due runs, so that no other execution has them.
 */
#ifndef CADENCE_CLAIM_H
#define CADENCE_CLAIM_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "storage/itemptr.h"
#include "utils/uuid.h"

#include "provider/queue.h"
#include "schema/tables.h"
#include "step.h"

typedef struct CadenceClaims CadenceClaims;

typedef enum CadenceLookKind
{
	CADENCE_LOOK_ALL,	/* what is due, oldest first */
	CADENCE_LOOK_BYPASS /* the same, past those whose provider is blocked */
} CadenceLookKind;

/* A due run that a look has locked. */
typedef struct CadenceDueRun
{
	pg_uuid_t id;
	ItemPointerData ctid;
	TimestampTz due;
	bool interrupted; /* an earlier claim was never recorded */
} CadenceDueRun;

/* What one look has found, in due order. In the memory context that it was made in. */
typedef struct CadenceLook
{
	CadenceLookKind kind;
	CadenceDueRun *runs;
	int n;
	bool last; /* nothing that is due and free is left behind them */
} CadenceLook;

/* Somebody else's run, for the summary. */
typedef struct CadenceHeldRun
{
	pg_uuid_t id;
	char *lead_id;
	bool has_position;
	int position;
} CadenceHeldRun;

extern CadenceClaims *cadence_claims_create(const CadenceTables *tables, TimestampTz due_until,
											int batch_size);
extern void cadence_claims_look(CadenceClaims *claims, CadenceLookKind kind,
								const CadenceBlocked *blocked, CadenceLook *look);
extern void cadence_claims_take(CadenceClaims *claims, const pg_uuid_t *claim_id,
								TimestampTz lease_end, const CadenceLook *look, int first, int n,
								CadenceStep **steps);
extern void cadence_claims_refuse(CadenceClaims *claims, const pg_uuid_t *run_id);
extern void cadence_claims_accept(CadenceClaims *claims, const CadenceLook *look, int n);
extern void cadence_claims_restart(CadenceClaims *claims, TimestampTz due_until, bool full);
extern TimestampTz cadence_claims_next_due(CadenceClaims *claims);
extern void cadence_claims_recheck(CadenceClaims *claims, CadenceStep **steps, int n, bool *valid);
extern int cadence_claims_held(CadenceClaims *claims, CadenceHeldRun **runs);

#endif
