/*
 * second_look.c
 *		Claimed runs that are not as their claim has found them.
 *
 * Between a claim and its record there may be an hour, of which an edit of the cadence
 * may make much: what comes after a message that is on its way, and when; when a step is
 * due that is put off. An edit writes to each run of the cadence that is claimed
 * (edit.c), so those that are where their claim has put them need no second look.
 *
 * But what comes behind the end writes to nobody. Of what is about to finish it is asked
 * whether there is more by now: one question for all that end with one step.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/statement.h"
#include "record/second_look.h"
#include "schema/calendar.h"
#include "schema/edition.h"
#include "schema/policy.h"

struct CadenceSecondLook
{
	Statement grown;
	Statement lock;
	Statement look;
	CadenceCalendars *calendars;
	MemoryContext context; /* of what the last one has found */
};

static const RowsetColumn end_columns[] = {
	{"n", INT4OID}, {"cadence_id", UUIDOID}, {"ordem", INT4OID}};
static const RowsetColumn claimed_columns[] = {{"n", INT4OID},		  {"id", UUIDOID},
											   {"claim_id", UUIDOID}, {"lease_end", TIMESTAMPTZOID},
											   {"attempt", INT4OID},  {"step_id", UUIDOID},
											   {"ordem", INT4OID}};

enum
{
	AGAIN_NUMBER = 1,
	AGAIN_STEP_DUE,
	AGAIN_IS_GONE,
	AGAIN_NEXT_ID,
	AGAIN_NEXT_ORDEM,
	AGAIN_NEXT_TEMPLATE,
	AGAIN_NEXT_TIME
};

/* A bigger number of an adopted bigint column is no step's. */
#define IS_STEP "x.ordem " LE " 2147483647"

#define IS_NEW NOT_HAD("x", "r")

/* As move.c looks for it. */
#define CLAIMED_RUN                                                                 \
	"FROM " ROWSET_NAME " AS d JOIN %s AS r ON r.id " EQ " d.id AND r.claim_id " EQ \
	" d.claim_id AND r.next_run_at " EQ " d.lease_end AND r.attempts " EQ " d.attempt"

static char *
grown_sql(const CadenceTables *t)
{
	return psprintf("SELECT d.n FROM " ROWSET_NAME " AS d WHERE EXISTS (SELECT FROM %s AS x "
					"WHERE x.cadence_id " EQ " d.cadence_id AND x.ordem " GT " d.ordem AND " IS_STEP
					")",
					t->steps);
}

static char *
lock_sql(const CadenceTables *t)
{
	return psprintf("SELECT pg_catalog.count(*) FROM (SELECT r.id " CLAIMED_RUN
					" ORDER BY r.id FOR NO KEY UPDATE OF r) AS l",
					t->runs);
}

/* From where the edit has said on, else behind the step, whatever its number is now. */
static char *
from_sql(const CadenceTables *t)
{
	return psprintf(
		"COALESCE((" EDITION_PENDING(
			"r.edicao") ")::pg_catalog.int8, "
						"(SELECT s.ordem::pg_catalog.int8 OPERATOR(pg_catalog.+) 1 FROM %s AS s "
						"WHERE s.id " EQ " d.step_id AND s.cadence_id " EQ
						" r.cadence_id LIMIT 1), "
						"d.ordem::pg_catalog.int8 OPERATOR(pg_catalog.+) 1, "
						"r.next_step_ordem::pg_catalog.int8)",
		t->steps);
}

static char *
look_sql(const CadenceTables *t)
{
	return psprintf("SELECT d.n, r.step_due_at::timestamptz, %s, y.id::pg_catalog.uuid, "
					"y.ordem::pg_catalog.int4, y.template_codigo::pg_catalog.text, %s " CLAIMED_RUN
					" LEFT JOIN LATERAL (SELECT x.* FROM %s AS x WHERE x.cadence_id " EQ
					" r.cadence_id AND x.ordem " GE " %s AND " IS_STEP
					" AND x.id IS DISTINCT FROM d.step_id AND " IS_NEW
					" ORDER BY x.ordem LIMIT 1) AS y ON true",
					cadence_edition_is_over(t, "r"), cadence_step_time_columns("y"), t->runs,
					t->steps, from_sql(t));
}

/* In the current memory context. */
CadenceSecondLook *
cadence_second_look_create(const CadenceTables *t)
{
	CadenceSecondLook *l = palloc0(sizeof(*l));

	l->grown = ROWS_STATEMENT("looking for steps behind the end", grown_sql(t), SPI_OK_SELECT);
	l->lock = ROWS_STATEMENT("locking runs that were changed", lock_sql(t), SPI_OK_SELECT);
	l->look = ROWS_STATEMENT("looking again at runs", look_sql(t), SPI_OK_SELECT);
	l->grown.latest = l->lock.latest = l->look.latest = true;
	l->calendars = cadence_calendars_create(t, false);
	l->context = AllocSetContextCreate(CurrentMemoryContext, "cadence_runner second look",
									   ALLOCSET_DEFAULT_SIZES);
	return l;
}

/* ---- what has grown ---------------------------------------------------------------------- */

static bool
finishes(const CadenceStep *step)
{
	return step->has_step && step->has_cadence && step->transition.advance && !step->has_next;
}

static bool
ends_alike(const CadenceStep *a, const CadenceStep *b)
{
	return a->ordem == b->ordem && memcmp(&a->cadence_id, &b->cadence_id, UUID_LEN) == 0;
}

/* For each that finishes, the first that finishes alike; whether any does. */
static bool
find_ends(CadenceStep **steps, int n, const bool *grown, int *ends)
{
	int *firsts = palloc(sizeof(*firsts) * Max(n, 1));
	int nfirsts = 0;

	for (int i = 0; i < n; i++)
	{
		int k = 0;

		ends[i] = -1;
		if (grown[i] || !finishes(steps[i]))
			continue;
		while (k < nfirsts && !ends_alike(steps[i], steps[firsts[k]]))
			k++;
		if (k == nfirsts)
			firsts[nfirsts++] = i;
		ends[i] = firsts[k];
	}
	pfree(firsts);
	return nfirsts > 0;
}

/*
 * Which of some steps, whose transitions are known, are not the last ones of their
 * cadences any more, as they were when they were claimed; but for those of which that
 * is said already.
 */
void
cadence_steps_find_grown(CadenceSecondLook *l, CadenceStep **steps, int n, bool *grown)
{
	int *ends = palloc(sizeof(*ends) * Max(n, 1));
	Rowset rows;

	if (!find_ends(steps, n, grown, ends))
	{
		pfree(ends);
		return;
	}
	rowset_begin(&rows, end_columns, lengthof(end_columns));
	for (int i = 0; i < n; i++)
	{
		if (ends[i] != i)
			continue;
		rowset_put_int(&rows, i);
		rowset_put_uuid(&rows, &steps[i]->cadence_id);
		rowset_put_int(&rows, steps[i]->ordem);
	}
	statement_execute(&l->grown, NULL, NULL, 0);
	rowset_end(&rows);
	for (uint64 k = 0; k < SPI_processed; k++)
		grown[row_int(SPI_tuptable->tupdesc, SPI_tuptable->vals[k], AGAIN_NUMBER, 0)] = true;
	SPI_freetuptable(SPI_tuptable);
	for (int i = 0; i < n; i++)
		grown[i] = grown[i] || (ends[i] >= 0 && grown[ends[i]]);
	pfree(ends);
}

/* ---- a second look ----------------------------------------------------------------------- */

static void
begin_claimed(Rowset *rows, CadenceStep **steps, int n)
{
	rowset_begin(rows, claimed_columns, lengthof(claimed_columns));
	for (int i = 0; i < n; i++)
	{
		rowset_put_int(rows, i);
		rowset_put_uuid(rows, &steps[i]->run_id);
		rowset_put_uuid(rows, &steps[i]->claim_id);
		rowset_put_time(rows, steps[i]->lease_end);
		rowset_put_int(rows, steps[i]->attempts_claimed);
		rowset_put_if(rows, steps[i]->has_step, UUIDPGetDatum(&steps[i]->step_id));
		rowset_put_if(rows, steps[i]->has_step, Int32GetDatum(steps[i]->ordem));
	}
}

/* It is passed by, and nobody has tried to send it. */
static bool
is_passed_by(const CadenceStep *step)
{
	return step->outcome == OUTCOME_SKIPPED ||
		   (step->outcome == OUTCOME_REFUSED && step->goes_on && step->answer.at == 0);
}

/* Whether a step is passed by that an edit has put off is decided when it is due. */
static void
give_back(CadenceStep *step)
{
	if (step->not_before == 0 || !is_passed_by(step))
		return;
	step->outcome = OUTCOME_UNSENT;
	step->attempts = step->attempts_claimed;
}

/* A time that the claim has not known is an edit's. */
static void
read_again(CadenceSecondLook *l, CadenceStep *step, TupleDesc desc, HeapTuple row)
{
	MemoryContext old = MemoryContextSwitchTo(l->context);
	TimestampTz due = row_time(desc, row, AGAIN_STEP_DUE, step->first_due);
	bool isnull;
	Datum id = SPI_getbinval(row, desc, AGAIN_NEXT_ID, &isnull);

	step->has_changed = true;
	step->not_before = due > step->first_due ? due : 0;
	step->is_gone = row_true(desc, row, AGAIN_IS_GONE);
	step->has_next = !isnull;
	if (!isnull)
		step->next_id = *DatumGetUUIDP(id);
	step->next_ordem = row_int(desc, row, AGAIN_NEXT_ORDEM, 0);
	step->next_template = row_text(desc, row, AGAIN_NEXT_TEMPLATE, ROW_KEY_MAX);
	cadence_step_time_read(desc, row, AGAIN_NEXT_TIME, &step->next_time);
	give_back(step);
	MemoryContextSwitchTo(old);
}

/* The calendars of those whose next step is due in their own time. */
static void
find_calendars(CadenceSecondLook *l, CadenceStep **steps, int n)
{
	MemoryContext old = MemoryContextSwitchTo(l->context);
	CadenceLead *leads = palloc(sizeof(*leads) * n);
	Calendar *found = palloc0(sizeof(*found) * n);
	int nsome = 0;

	for (int i = 0; i < n; i++)
	{
		if (!steps[i]->has_changed || !steps[i]->has_next ||
			!step_needs_calendar(&steps[i]->next_time))
			continue;
		leads[nsome] = (CadenceLead){.lead_id = steps[i]->lead_id, .empresa = steps[i]->empresa};
		steps[i]->calendar = &found[nsome++];
	}
	if (nsome > 0)
	{
		cadence_calendars_refresh(l->calendars);
		cadence_calendars_find(l->calendars, leads, nsome, found);
	}
	MemoryContextSwitchTo(old);
}

/* What an earlier look has found, before a record that was undone. */
static void
forget(CadenceSecondLook *l, CadenceStep **steps, int n)
{
	MemoryContextReset(l->context);
	for (int i = 0; i < n; i++)
	{
		if (!steps[i]->has_changed)
			continue;
		steps[i]->next_template = NULL;
		steps[i]->next_time = (StepTime){0};
		steps[i]->calendar = NULL;
	}
}

/*
 * Locks those of some claimed runs whose claims are still ours, inside the caller's
 * transaction, and reads what they come to as of then. That lives until the next look:
 * a step that has changed is decided about after one alone.
 */
void
cadence_steps_look_again(CadenceSecondLook *l, CadenceStep **steps, int n)
{
	SPITupleTable *table;
	uint64 found;
	Rowset rows;

	/* first: what an error has left of a statement's rows, in the memory that is emptied */
	begin_claimed(&rows, steps, n);
	forget(l, steps, n);
	statement_execute(&l->lock, NULL, NULL, 0);
	SPI_freetuptable(SPI_tuptable);
	statement_execute(&l->look, NULL, NULL, 0);
	rowset_end(&rows);
	table = SPI_tuptable;
	found = SPI_processed;
	for (uint64 k = 0; k < found; k++)
		read_again(l, steps[row_int(table->tupdesc, table->vals[k], AGAIN_NUMBER, 0)],
				   table->tupdesc, table->vals[k]);
	SPI_freetuptable(table);
	find_calendars(l, steps, n);
}
