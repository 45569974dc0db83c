/*
 * edit_write.c
 *		Writes what an edit makes of runs: where they stand, and when they are due.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "record/edit_parts.h"

/* So many runs are written by one statement. */
#define CHUNK 5000

static const Oid ids_types[] = {UUIDARRAYOID};
static const Oid write_types[] = {INT4OID, INT4OID, JSONBOID, UUIDARRAYOID, BOOLOID};
static const RowsetColumn write_columns[] = {{"id", UUIDOID}, {"due", TIMESTAMPTZOID}};

enum
{
	TIMED_ID = 1,
	TIMED_LEAD,
	TIMED_EMPRESA,
	TIMED_COUNTS_FROM,
	TIMED_STARTED_AT
};

/* What their time counts from; null: it may have been made by hand, or there is none. */
static char *
read_sql(const CadenceTables *t)
{
	return psprintf("SELECT r.id::uuid, r.lead_id::text, r.empresa::text, "
					"CASE WHEN r.next_run_at IS NOT NULL THEN r.counts_from::timestamptz END, "
					"COALESCE(r.started_at::timestamptz, r.counts_from) FROM %s AS r "
					"WHERE r.id " EQ " ANY ($1)",
					t->runs);
}

/* Where its claim ends, and it stays before its step, a claimed one goes by step_due_at. */
static char *
write_sql(const CadenceTables *t)
{
	return psprintf("UPDATE %s AS r SET next_step_ordem = $1, last_step_ordem = $2, "
					"edicao = COALESCE($3, r.edicao), "
					"passos_enviados = COALESCE($4, r.passos_enviados), "
					"next_run_at = CASE WHEN $5 THEN r.next_run_at "
					"ELSE COALESCE(d.due, r.next_run_at) END, "
					"step_due_at = CASE WHEN $5 THEN COALESCE(d.due, r.step_due_at) "
					"WHEN d.due IS NULL THEN r.step_due_at END, "
					"updated_at = " NOW " FROM " ROWSET_NAME " AS d WHERE r.id " EQ " d.id",
					t->runs);
}

/* The person's calendar, where the step's time depends on it. */
static Calendar *
find_calendars(StepsEditing *e, SPITupleTable *table, int n)
{
	CadenceLead *leads = palloc(sizeof(CadenceLead) * Max(n, 1));
	Calendar *calendars = palloc0(sizeof(Calendar) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		leads[i].lead_id = row_text(table->tupdesc, table->vals[i], TIMED_LEAD, ROW_KEY_MAX);
		leads[i].empresa = row_text(table->tupdesc, table->vals[i], TIMED_EMPRESA, ROW_KEY_MAX);
	}
	cadence_calendars_find(e->calendars, leads, n, calendars);
	return calendars;
}

/* Puts those of some runs that are to be written, with their times. */
static void
put_times(StepsEditing *e, const RunGroup *g, SPITupleTable *table, int n, Rowset *rows)
{
	Calendar *calendars = step_needs_calendar(&g->time) ? find_calendars(e, table, n) : NULL;
	TimestampTz now = GetCurrentTimestamp();

	rowset_begin(rows, write_columns, lengthof(write_columns));
	for (int i = 0; i < n; i++)
	{
		TupleDesc desc = table->tupdesc;
		HeapTuple row = table->vals[i];
		bool is_ours = !row_is_null(desc, row, TIMED_COUNTS_FROM);
		bool isnull;

		if (!is_ours && !g->changed && !g->is_claimed)
			continue;
		rowset_put_datum(rows, SPI_getbinval(row, desc, TIMED_ID, &isnull));
		rowset_put_if(
			rows, is_ours,
			TimestampTzGetDatum(step_due(&g->time, row_time(desc, row, TIMED_COUNTS_FROM, now),
										 row_time(desc, row, TIMED_STARTED_AT, now), now,
										 calendars != NULL ? &calendars[i] : NULL)));
	}
}

static void
write_rows(StepsEditing *e, const RunGroup *g, Rowset *rows)
{
	Datum values[] = {g->next, g->last, g->edition, g->had, BoolGetDatum(g->is_claimed)};
	char nulls[] = {' ', g->has_last ? ' ' : 'n', g->edition != 0 ? ' ' : 'n',
					g->had != 0 ? ' ' : 'n', ' '};

	if (rows->n > 0)
		statement_execute(&e->write, values, nulls, 0);
	rowset_end(rows);
}

static void
write_times(StepsEditing *e, const RunGroup *g, Datum *ids, int n)
{
	Datum array = PointerGetDatum(construct_array(ids, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	SPITupleTable *table;
	Rowset rows;

	statement_execute(&e->read, &array, NULL, 0);
	table = SPI_tuptable;
	put_times(e, g, table, (int) SPI_processed, &rows);
	write_rows(e, g, &rows);
	SPI_freetuptable(table);
}

static void
write_places(StepsEditing *e, const RunGroup *g, Datum *ids, int n)
{
	Rowset rows;

	rowset_begin(&rows, write_columns, lengthof(write_columns));
	for (int i = 0; i < n; i++)
	{
		rowset_put_datum(&rows, ids[i]);
		rowset_put_null(&rows);
	}
	write_rows(e, g, &rows);
}

/* To which step runs have come, and that they have not come to another yet. */
static void
count_places(StepsEditing *e, const RunGroup *g, Datum *ids, int n)
{
	TallyRun *list = palloc(sizeof(*list) * 2 * Max(n, 1));
	int nlist = 0;

	for (int is_from = 0; is_from <= 1; is_from++)
		for (int i = 0; (is_from ? g->from : g->to) != NULL && i < n; i++)
			list[nlist++] = (TallyRun){.row = {.mark = "entered", .n = is_from ? -1 : 1},
									   .run = *DatumGetUUIDP(ids[i]),
									   .step = is_from ? g->from : g->to};
	cadence_tally_runs(e->tally, list, nlist);
}

void
edit_write_group(StepsEditing *e, const RunGroup *g)
{
	MemoryContext chunk =
		AllocSetContextCreate(CurrentMemoryContext, "cadence_runner runs", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(chunk);

	for (int i = 0; i < g->n; i += CHUNK)
	{
		int n = Min(CHUNK, g->n - i);

		if (g->retime)
			write_times(e, g, &g->ids[i], n);
		else if (g->changed || g->is_claimed)
			write_places(e, g, &g->ids[i], n);
		count_places(e, g, &g->ids[i], n);
		MemoryContextReset(chunk);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(chunk);
}

void
edit_write_prepare(StepsEditing *e, const CadenceTables *t)
{
	e->read = STATEMENT("reading when runs count from", read_sql(t), ids_types, SPI_OK_SELECT);
	e->write = STATEMENT("moving runs after an edit", write_sql(t), write_types, SPI_OK_UPDATE);
	e->read.latest = e->write.latest = true;
	e->calendars = cadence_calendars_create(t, false);
	e->tally = cadence_tally_create(t);
}
