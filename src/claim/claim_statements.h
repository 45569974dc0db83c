/*
 * claim_statements.h
 *		The statements of a claim, and the rows that they work on and return.
 */
#ifndef CADENCE_CLAIM_STATEMENTS_H
#define CADENCE_CLAIM_STATEMENTS_H

#include "postgres.h"

#include "base/statement.h"
#include "claim/claim.h"
#include "claim/claimed_run.h"
#include "schema/tables.h"

/* The names by which a look knows what it goes past. */
#define REFUSED_NAME "cadence_refused"
#define BLOCKED_NAME "cadence_blocked"

/* What a look returns behind the columns of a run: of runs, and of news. */
enum
{
	LOOK_INTERRUPTED = CLAIMED_RUN_NCOLUMNS + 1,
	LOOK_REPLACED,
	LOOK_NEWS = LOOK_REPLACED,
	LOOK_NEWS_SINCE
};

/* What taking returns. */
enum
{
	TAKEN_NUMBER = 1,
	TAKEN_CTID,
	TAKEN_LEASE_END,
	TAKEN_ATTEMPTS
};

typedef struct ClaimStatements
{
	Statement look[CADENCE_LOOK_KINDS];
	Statement take[CADENCE_LOOK_KINDS];
	Statement next[CADENCE_LOOK_KINDS]; /* none of CADENCE_LOOK_BYPASS: nobody asks */
	Statement held;
} ClaimStatements;

extern void claim_statements_prepare(ClaimStatements *statements, const CadenceTables *tables,
									 int batch_size);
extern int claim_batch_size(CadenceLookKind kind, int batch_size);

#endif
