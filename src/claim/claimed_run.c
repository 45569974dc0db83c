/*
 * claimed_run.c
 *		A row of the runs, as the step that it stands at.
 *
 * One list of columns and one reader, for the claim, the forecast and whoever asks why a
 * run does not go: all of them see the same.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/statement.h"
#include "claim/claimed_run.h"
#include "schema/edition.h"

/* The columns of a run's row, in the order of cadence_claimed_run_columns(). */
enum
{
	RUN_ID = 1,
	RUN_CTID,
	RUN_NEXT_RUN_AT,
	RUN_LEAD_ID,
	RUN_EMPRESA,
	RUN_ATTEMPTS,
	RUN_CADENCE_ID,
	RUN_NEXT_STEP_ORDEM,
	RUN_HAS_BEGUN,
	RUN_STARTED_AT,
	RUN_STEP_DUE_AT,
	RUN_HAD,
	RUN_EDITION,
	RUN_BEGAN
};

StaticAssertDecl(RUN_BEGAN == CLAIMED_RUN_NCOLUMNS, "a run's row has other columns");

/* In SQL: what a statement that reads runs, as r, selects of them, in this order. */
char *
cadence_claimed_run_columns(const CadenceTables *t)
{
	return psprintf(
		"r.id::uuid, r.ctid, r.next_run_at::timestamptz, r.lead_id::text, "
		"r.empresa::text, " CLAMPED_INT(
			"COALESCE(r.attempts, 0)") ", "
									   "r.cadence_id::uuid, " CLAMPED_INT(
										   "r.next_step_ordem") ", "
																"COALESCE(r.last_step_ordem, 0) " GT
																" 0, r.started_at::timestamptz, "
																"r.step_due_at::timestamptz, "
																"r.passos_enviados::uuid[], %s, "
																"COALESCE(r.started_at, "
																"r.created_at)::timestamptz",
		cadence_edition_column(t, "r"));
}

/* A value that is not too long to be read; 0: there is none. */
static Datum
short_value(TupleDesc desc, HeapTuple row, int column, Size max)
{
	bool isnull;
	Datum value = SPI_getbinval(row, desc, column, &isnull);

	if (isnull || toast_raw_datum_size(value) > max)
		return (Datum) 0;
	return PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
}

/* Which steps it has had, and under which numbers it knows its own. */
static void
read_history(CadenceStep *step, TupleDesc desc, HeapTuple row)
{
	Datum had = short_value(desc, row, RUN_HAD, ROW_FIELD_MAX);
	Datum edition = short_value(desc, row, RUN_EDITION, EDITION_MAX);

	if (had != 0 && !ARR_HASNULL(DatumGetArrayTypeP(had)))
	{
		ArrayType *array = DatumGetArrayTypeP(had);

		step->had = (const pg_uuid_t *) ARR_DATA_PTR(array);
		step->nhad = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	}
	if (edition != 0)
		step->edition = DatumGetJsonbP(edition);
	step->has_pending = cadence_edition_pending(step->edition, &step->pending);
}

/*
 * A step of a run, to be resolved, in the current memory context. The row has
 * the columns of cadence_claimed_run_columns(). A lead or company that is too long for
 * one counts as none.
 */
CadenceStep *
cadence_claimed_run(HeapTuple row, TupleDesc desc)
{
	CadenceStep *step = palloc0(sizeof(*step));
	bool isnull;

	if (!row_uuid(desc, row, RUN_ID, &step->run_id))
		ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION), errmsg("a run has no id")));
	cadence_uuid_text(&step->run_id, step->run_id_text);
	step->seen = *(ItemPointer) DatumGetPointer(SPI_getbinval(row, desc, RUN_CTID, &isnull));
	step->due = row_time(desc, row, RUN_NEXT_RUN_AT, DT_NOBEGIN);
	step->lead_id = row_text(desc, row, RUN_LEAD_ID, ROW_KEY_MAX);
	step->empresa = row_text(desc, row, RUN_EMPRESA, ROW_KEY_MAX);
	step->attempts = row_int(desc, row, RUN_ATTEMPTS, 0);
	step->has_cadence = row_uuid(desc, row, RUN_CADENCE_ID, &step->cadence_id);
	step->has_position = !row_is_null(desc, row, RUN_NEXT_STEP_ORDEM);
	step->position = row_int(desc, row, RUN_NEXT_STEP_ORDEM, 0);
	step->has_begun = row_true(desc, row, RUN_HAS_BEGUN);
	step->started_at = row_time(desc, row, RUN_STARTED_AT, step->due);
	step->first_due = row_time(desc, row, RUN_STEP_DUE_AT, step->due);
	step->began = row_time(desc, row, RUN_BEGAN, DT_NOBEGIN);
	read_history(step, desc, row);
	return step;
}
