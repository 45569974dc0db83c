/*
 * claimed_run.h
 *		A row of the runs, as the step that it stands at: for claims, and for who asks
 *		what one would find.
 */
#ifndef CADENCE_CLAIMED_RUN_H
#define CADENCE_CLAIMED_RUN_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"

#include "schema/tables.h"
#include "step.h"

/* Whatever else a statement selects stands behind cadence_claimed_run_columns(). */
#define CLAIMED_RUN_NCOLUMNS 14

extern char *cadence_claimed_run_columns(const CadenceTables *tables);
extern CadenceStep *cadence_claimed_run(HeapTuple row, TupleDesc desc);

#endif
