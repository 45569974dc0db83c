/*
 * edit_steps.c
 *		What a statement has done with the steps of cadences.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/row.h"
#include "record/edit_parts.h"

/* So many removed steps are remembered until the transaction's end. */
#define REMOVED_MAX 10000

enum
{
	EDITED_CADENCE = 1,
	EDITED_ID,
	EDITED_WAS,
	EDITED_NOW,
	EDITED_TIMES,
	EDITED_AT_END
};

static char *
time_of(const char *x)
{
	return psprintf("(COALESCE(%s.offset_minutos, 0), %s.offset_referencia::text, "
					"%s.horario::time, COALESCE(%s.dias_uteis, false))",
					x, x, x, x);
}

static char *
look_sql(const CadenceTables *t, StepsEdit edit)
{
	switch (edit)
	{
		case STEPS_INSERTED:
			return psprintf("SELECT n.cadence_id::uuid, n.id::uuid, NULL::int4, %s, true, "
							"NOT EXISTS (SELECT FROM %s AS x WHERE x.cadence_id " EQ
							" n.cadence_id AND x.ordem " GT " n.ordem AND NOT EXISTS "
							"(SELECT FROM " STEPS_AFTER " AS m WHERE m.id " EQ " x.id)) "
							"FROM " STEPS_AFTER " AS n",
							CLAMPED_INT("n.ordem"), t->steps);
		case STEPS_DELETED:
			return psprintf("SELECT o.cadence_id::uuid, o.id::uuid, %s, NULL::int4, false, false "
							"FROM " STEPS_BEFORE " AS o",
							CLAMPED_INT("o.ordem"));
		case STEPS_UPDATED:
			break;
	}
	return psprintf(
		"SELECT COALESCE(n.cadence_id, o.cadence_id)::uuid, COALESCE(n.id, o.id)::uuid, "
		"%s, %s, %s IS DISTINCT FROM %s, false "
		"FROM " STEPS_BEFORE " AS o FULL JOIN " STEPS_AFTER " AS n "
		"ON n.id " EQ " o.id AND n.cadence_id " EQ " o.cadence_id "
		"WHERE o.ordem IS DISTINCT FROM n.ordem OR %s IS DISTINCT FROM %s",
		CLAMPED_INT("o.ordem"), CLAMPED_INT("n.ordem"), time_of("o"), time_of("n"), time_of("o"),
		time_of("n"));
}

/*
 * Steps that the transaction has removed so far. Who saves a cadence by removing all
 * steps and inserting them anew has not put them between others.
 */
static EditedStep *removed;
static int nremoved;
static LocalTransactionId removed_in;

static void
remember(const EditedStep *step)
{
	if (removed == NULL || removed_in != cadence_local_xid())
	{
		removed = MemoryContextAlloc(TopTransactionContext, sizeof(EditedStep) * REMOVED_MAX);
		removed_in = cadence_local_xid();
		nremoved = 0;
	}
	if (nremoved < REMOVED_MAX)
		removed[nremoved++] = *step;
}

static bool
is_same(const pg_uuid_t *a, const pg_uuid_t *b)
{
	return memcmp(a, b, UUID_LEN) == 0;
}

/* Which of them an inserted one is again, or takes the place of; whether there were any. */
static bool
recall(EditedStep *step)
{
	const EditedStep *same = NULL;
	bool any = false;

	if (removed == NULL || removed_in != cadence_local_xid())
		return false;
	for (int i = 0; i < nremoved; i++)
	{
		if (!is_same(&removed[i].cadence, &step->cadence))
			continue;
		any = true;
		if (is_same(&removed[i].id, &step->id))
			same = &removed[i];
		else if (removed[i].was == step->now && (same == NULL || !is_same(&same->id, &step->id)))
			same = &removed[i];
	}
	if (same != NULL)
	{
		step->has_was = true;
		step->was = same->was;
		step->has_era = !is_same(&same->id, &step->id);
		step->era = same->id;
	}
	return any;
}

/* What lies behind all others concerns no run: whoever gets there finds it. */
static bool
concerns_runs(StepsEdit edit, EditedStep *step)
{
	if (edit == STEPS_DELETED)
		remember(step);
	return edit != STEPS_INSERTED || recall(step) || !step->at_end;
}

/* Those of them that concern runs, and whether they have got other numbers. */
void
edit_steps_look(StepsEditing *e, StepsEdit edit)
{
	SPITupleTable *table;
	uint64 rows;

	statement_execute(&e->look, NULL, NULL, 0);
	table = SPI_tuptable;
	rows = SPI_processed;
	e->steps = palloc(sizeof(EditedStep) * Max(rows, 1));
	for (uint64 i = 0; i < rows; i++)
	{
		EditedStep *step = &e->steps[e->n];
		HeapTuple row = table->vals[i];
		TupleDesc desc = table->tupdesc;

		if (!row_uuid(desc, row, EDITED_CADENCE, &step->cadence) ||
			!row_uuid(desc, row, EDITED_ID, &step->id))
			continue;
		step->has_was = !row_is_null(desc, row, EDITED_WAS);
		step->was = row_int(desc, row, EDITED_WAS, 0);
		step->has_now = !row_is_null(desc, row, EDITED_NOW);
		step->now = row_int(desc, row, EDITED_NOW, 0);
		step->times = row_true(desc, row, EDITED_TIMES);
		step->at_end = row_true(desc, row, EDITED_AT_END);
		step->has_era = false;
		if (!concerns_runs(edit, step))
			continue;
		e->renumbers =
			e->renumbers || (step->has_now && (!step->has_was || step->was != step->now));
		e->n++;
	}
	SPI_freetuptable(table);
}

void
edit_steps_prepare(StepsEditing *e, const CadenceTables *t, StepsEdit edit)
{
	e->look = ROWS_STATEMENT("looking at edited steps", look_sql(t, edit), SPI_OK_SELECT);
}
