/*
 * claimed_run.c
 *		A run's row, as a step begins with it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "claim/claimed_run.h"

enum
{
	RUN_ID = CLAIMED_RUN_ID,
	RUN_CTID,
	RUN_NEXT_RUN_AT,
	RUN_LEAD_ID,
	RUN_EMPRESA,
	RUN_ATTEMPTS,
	RUN_CADENCE_ID,
	RUN_NEXT_STEP_ORDEM
};

/*
 * A step of a run, to be resolved, in the current memory context. The row has
 * the columns of CLAIMED_RUN_COLUMNS(), their types checked. A lead or company
 * that is too long for one counts as none.
 */
CadenceStep *
cadence_claimed_run(HeapTuple row, TupleDesc desc)
{
	CadenceStep *step = palloc0(sizeof(*step));
	bool isnull;
	Datum value;

	value = SPI_getbinval(row, desc, RUN_ID, &isnull);
	if (isnull)
		ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION), errmsg("a run has no id")));
	step->run_id = *DatumGetUUIDP(value);
	cadence_uuid_text(&step->run_id, step->run_id_text);
	step->ctid = *(ItemPointer) DatumGetPointer(SPI_getbinval(row, desc, RUN_CTID, &isnull));
	value = SPI_getbinval(row, desc, RUN_NEXT_RUN_AT, &isnull);
	step->lease_end = isnull ? DT_NOBEGIN : DatumGetTimestampTz(value);
	step->lead_id = row_text(desc, row, RUN_LEAD_ID, ROW_KEY_MAX);
	step->empresa = row_text(desc, row, RUN_EMPRESA, ROW_KEY_MAX);
	step->attempts = step->attempts_claimed =
		DatumGetInt32(SPI_getbinval(row, desc, RUN_ATTEMPTS, &isnull));
	value = SPI_getbinval(row, desc, RUN_CADENCE_ID, &isnull);
	step->has_cadence = !isnull;
	if (!isnull)
		step->cadence_id = *DatumGetUUIDP(value);
	value = SPI_getbinval(row, desc, RUN_NEXT_STEP_ORDEM, &isnull);
	step->has_position = !isnull;
	step->position = isnull ? 0 : DatumGetInt32(value);
	return step;
}
