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

/* A number of an adopted bigint column, as near as an int comes. */
#define CLAMPED_INT(number)             \
	"CASE WHEN " number " IS NOT NULL " \
	"THEN GREATEST(LEAST(" number ", 2147483647), -2147483648) END::int4"

/* What a statement that reads runs under this name selects or returns, in this order. */
#define CLAIMED_RUN_COLUMNS(run)                                                                 \
	run ".id::uuid, " run ".ctid, " run ".next_run_at::timestamptz, " run ".lead_id::text, " run \
		".empresa::text, " CLAMPED_INT(                                                          \
			"COALESCE(" run                                                                      \
			".attempts, 0)") ", " run ".cadence_id::uuid, " CLAMPED_INT(run ".next_step_ordem")

#define CLAIMED_RUN_TYPES \
	UUIDOID, TIDOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, INT4OID, UUIDOID, INT4OID

/* The first of them: whatever else a statement returns stands behind. */
#define CLAIMED_RUN_ID 1
#define CLAIMED_RUN_NCOLUMNS 8

extern CadenceStep *cadence_claimed_run(HeapTuple row, TupleDesc desc);

#endif
