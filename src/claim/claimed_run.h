/*
 * claimed_run.h
 *		A run's row, as a step begins with it.
 */
#ifndef CADENCE_CLAIMED_RUN_H
#define CADENCE_CLAIMED_RUN_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"

#include "step.h"

/* What a statement that reads runs under this name selects or returns, in this order. */
#define CLAIMED_RUN_COLUMNS(run)                                                                 \
	run ".id::uuid, " run ".ctid, " run ".next_run_at::timestamptz, " run ".lead_id::text, " run \
		".empresa::text, COALESCE(" run ".attempts, 0)::int4, " run ".cadence_id::uuid, " run    \
		".next_step_ordem::int4"

#define CLAIMED_RUN_TYPES \
	UUIDOID, TIDOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, INT4OID, UUIDOID, INT4OID

/* The first of them: whatever else a statement returns stands behind. */
#define CLAIMED_RUN_ID 1
#define CLAIMED_RUN_NCOLUMNS 8

extern CadenceStep *cadence_claimed_run(HeapTuple row, TupleDesc desc);

#endif
