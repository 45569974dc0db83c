/*
 * claim.h
 *		Claim: takes due runs, so that no other execution has them.
 */
#ifndef CADENCE_CLAIM_H
#define CADENCE_CLAIM_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"
#include "datatype/timestamp.h"
#include "storage/itemptr.h"
#include "utils/uuid.h"

#include "engine/execution.h"
#include "provider/queue.h"
#include "step.h"
#include "schema/tables.h"

typedef struct CadenceClaims CadenceClaims;

/* A due run as it was seen before the claim. */
typedef struct DueRun
{
	pg_uuid_t id;
	ItemPointerData ctid;
	TimestampTz due;
	bool interrupted; /* an earlier claim was never recorded */
	char *lead_id;
	int step_ordem; /* -1: none */
	HeapTuple row;	/* as claimed; NULL: somebody else holds it, or moved it since */
} DueRun;

/* What one claim is to look for, and how much of it to take. */
typedef struct ClaimTerms
{
	const CadenceBlocked *blocked; /* to go past; NULL: nothing */
	int limit;					   /* of the look, less than a batch; 0: a batch */
	int sharers;				   /* so many workers share the last batch */
	bool ahead;					   /* where nothing due is left: ask for the next due time */
} ClaimTerms;

/*
 * What one look found, in due order. Claimed rows and their descriptor belong to
 * the SPI connection of the transaction, the rest to the current memory context.
 */
typedef struct ClaimResult
{
	DueRun *seen;
	int nseen;
	TupleDesc desc;
	int nrows;			  /* so many of them were claimed */
	bool last;			  /* nothing due is left behind what was seen */
	TimestampTz next_due; /* if that was asked for: the first time after those due now */
} ClaimResult;

extern CadenceClaims *cadence_claims_create(const CadenceTables *tables, TimestampTz due_until,
											int batch_size);
extern void cadence_claims_copy_cursor(const CadenceClaims *claims, CadenceCursor *cursor);
extern void cadence_claims_share(CadenceClaims *claims, CadenceCursor *cursor);
extern void cadence_claims_renew(CadenceClaims *claims, TimestampTz now, bool all_ended);
extern void cadence_claims_refuse(CadenceClaims *claims, const pg_uuid_t *id);
extern void cadence_claims_forgive(CadenceClaims *claims);
extern void cadence_claim_look(CadenceClaims *claims, const ClaimTerms *terms, ClaimResult *result);
extern void cadence_claim_take(CadenceClaims *claims, const pg_uuid_t *claim_id,
							   TimestampTz lease_end, ClaimResult *result);
extern void cadence_claim_recheck(CadenceClaims *claims, CadenceStep **steps, int n, bool *valid);
extern void cadence_claim_commit(CadenceClaims *claims, const ClaimResult *result);

#endif
