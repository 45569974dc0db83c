/*
 * move.c
 *		The one writer of what rules/transition.c has decided of runs.
 *
 * A claimed run is moved only if its claim is still ours: claim id, end of the
 * lease and attempt are as the claim has made them. Nothing is read or locked
 * before; a run that was paused or cancelled meanwhile keeps that status, but
 * moves past the step that was sent. Any other run is locked and read first,
 * and is moved as it was found.
 *
 * Whether another run of the same lead is active in the cadence, a unique index
 * guards where the tables are ours. Adopted ones may have such runs already, and
 * no index; there, who makes a run active takes its cadence's lock first and
 * looks with a snapshot that is newer than that.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/statement.h"
#include "record/move_parts.h"
#include "schema/edition.h"

/* The claim id of a run that an attempt was made for, never recorded, and nobody's any more. */
static const pg_uuid_t interrupted_claim;

static const RowsetColumn move_columns[] = {
	{"n", INT4OID},				   /* the step's number in the batch */
	{"id", UUIDOID},			   /* of the run */
	{"ctid_claimed", TIDOID},	   /* where the claim has put it */
	{"claim_id", UUIDOID},		   /* that must still be the run's */
	{"lease_end", TIMESTAMPTZOID}, /* and its next_run_at */
	{"attempt", INT4OID},		   /* and its attempts */
	{"decided", BOOLOID},		   /* of a locked run: as it was found, whatever its claim */
	{"status", TEXTOID},
	{"advance", BOOLOID}, /* past the step */
	{"ordem", INT4OID},
	{"next_ordem", INT4OID},
	{"next_due", TIMESTAMPTZOID},
	{"attempts", INT4OID},
	{"claim_stays", BOOLOID},
	{"claim_after", UUIDOID},
	{"counts_from", TIMESTAMPTZOID},
	{"step_due", TIMESTAMPTZOID}, /* that it keeps, where its step stays */
	{"step_id", UUIDOID},		  /* that it has had now, */
	{"goes_back", BOOLOID}};	  /* or is to have again */

#define PENDING EDITION_PENDING("r.edicao")

/* See cadence_create_tables(). */
#define ACTIVE_INDEX "lead_cadence_runs_active_idx"

/* What the move returns. */
enum
{
	MOVED_NUMBER = 1, /* of the step in the batch */
	MOVED_AS_DECIDED  /* not paused or cancelled meanwhile */
};

/* So many of the steps that a run has had are known. */
#define HAD_MAX "1000"

/* One from before there were ids has had the steps up to its last one. */
static char *
had_sql(const CadenceTables *t)
{
	return psprintf("CASE WHEN NOT d.advance OR d.step_id IS NULL THEN r.passos_enviados "
					"WHEN d.goes_back THEN "
					"pg_catalog.array_remove(r.passos_enviados::uuid[], d.step_id) "
					"WHEN r.passos_enviados IS NULL AND r.last_step_ordem IS NOT NULL THEN "
					"pg_catalog.array_append(ARRAY(SELECT x.id::uuid FROM %s AS x "
					"WHERE x.cadence_id " EQ " r.cadence_id AND x.ordem " LE " r.last_step_ordem "
					"AND x.id " NE " d.step_id ORDER BY x.ordem LIMIT " HAD_MAX "), d.step_id) "
					"WHEN pg_catalog.cardinality(r.passos_enviados) " GE " " HAD_MAX " THEN "
					"pg_catalog.array_append((r.passos_enviados::uuid[])[2:" HAD_MAX
					"], d.step_id) "
					"ELSE pg_catalog.array_append(r.passos_enviados::uuid[], d.step_id) END",
					t->steps);
}

/* Where an edit has put steps before the one that it stayed before, these come now. */
static char *
next_sql(const CadenceTables *t)
{
	return psprintf("CASE WHEN NOT d.advance THEN r.next_step_ordem "
					"WHEN d.goes_back OR d.next_ordem IS NULL OR " PENDING " IS NULL "
					"THEN d.next_ordem ELSE COALESCE((SELECT pg_catalog.min(x.ordem) FROM %s AS x "
					"WHERE x.cadence_id " EQ " r.cadence_id AND x.ordem " GE " " PENDING
					" AND x.id IS DISTINCT FROM d.step_id AND " IS_NEW "), d.next_ordem) "
					"END",
					t->steps);
}

/* It may have another number than when it was claimed. */
static char *
last_sql(const CadenceTables *t)
{
	return psprintf("CASE WHEN d.advance THEN COALESCE(CASE WHEN r.edicao IS NOT NULL THEN "
					"(SELECT x.ordem FROM %s AS x WHERE x.id " EQ " d.step_id LIMIT 1) END, "
					"d.ordem, r.last_step_ordem) ELSE r.last_step_ordem END",
					t->steps);
}

/*
 * where is how a run is found. A claimed one that was paused or cancelled
 * meanwhile keeps that status.
 */
static char *
move_sql(const CadenceTables *t, const char *where)
{
	return psprintf(
		"UPDATE %s AS r SET "
		"status = CASE WHEN d.decided OR r.status " EQ " 'ATIVA' THEN d.status::%s "
		"ELSE r.status END, "
		"last_step_ordem = %s, next_step_ordem = %s, passos_enviados = %s, "
		"edicao = CASE WHEN d.advance AND NOT d.goes_back AND r.edicao IS NOT NULL THEN '{}' "
		"ELSE r.edicao END, "
		"next_run_at = CASE WHEN d.decided OR r.status::text " NE " 'CANCELADA' "
		"THEN d.next_due END, attempts = d.attempts, "
		"counts_from = CASE WHEN d.advance THEN d.counts_from ELSE r.counts_from END, "
		"step_due_at = CASE WHEN NOT d.advance THEN COALESCE(r.step_due_at, d.step_due) END, "
		"claim_id = CASE WHEN d.claim_stays THEN r.claim_id ELSE d.claim_after END, "
		"updated_at = " NOW " FROM " ROWSET_NAME " AS d WHERE %s AND r.id " EQ " d.id "
		"AND (d.decided OR ((r.claim_id " EQ " d.claim_id) IS TRUE "
		"AND (r.next_run_at " EQ " d.lease_end) IS TRUE "
		"AND (r.attempts " EQ " d.attempt) IS TRUE)) "
		"RETURNING d.n, r.status::text " EQ " d.status",
		t->runs, t->run_status_type, last_sql(t), next_sql(t), had_sql(t), where);
}

/* In the current memory context. */
CadenceMover *
cadence_mover_create(const CadenceTables *t)
{
	CadenceMover *m = palloc0(sizeof(*m));

	m->by_ctid = ROWS_STATEMENT(
		"moving runs on", /* once more as a filter: minor versions of 2025 and before do not look at
			  the row's place again where they have waited for it */
		move_sql(t, "r.ctid " EQ " d.ctid_claimed AND (r.ctid " EQ " d.ctid_claimed) IS TRUE"),
		SPI_OK_UPDATE_RETURNING);
	m->by_id = ROWS_STATEMENT("moving runs on", move_sql(t, "true"), SPI_OK_UPDATE_RETURNING);
	move_locks_prepare(m, t);
	m->outbox = cadence_outbox_create(t);
	m->tally = cadence_tally_create(t);
	m->calendars = cadence_calendars_create(t, false);
	return m;
}

/* Whether a unique index keeps a lead from being active twice in a cadence. */
bool
cadence_active_is_guarded(const CadenceTables *t)
{
	Oid index = get_relname_relid(ACTIVE_INDEX, t->schema);
	HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	bool guarded = false;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);

		guarded = form->indrelid == t->runs_oid && form->indisunique && form->indisvalid;
		ReleaseSysCache(tuple);
	}
	return guarded;
}

/* Whether an error is that index's. */
bool
cadence_is_active_twice(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION && error->constraint_name != NULL &&
		   strcmp(error->constraint_name, ACTIVE_INDEX) == 0;
}

const char *const move_status_texts[] = {[RUN_ACTIVE] = "ATIVA",
										 [RUN_DONE] = "CONCLUIDA",
										 [RUN_PAUSED] = "PAUSADA",
										 [RUN_CANCELLED] = "CANCELADA"};

/* When its step was due first, where that is to be known: what is far from any day is not. */
static void
put_step_due(Rowset *rows, bool is_kept, TimestampTz due)
{
	rowset_put_if(rows, is_kept && !TIMESTAMP_NOT_FINITE(due), TimestampTzGetDatum(due));
}

/* The second half of a move's row: what the run becomes. */
static void
put_transition(Rowset *rows, const RunTransition *to, bool has_ordem, int ordem, bool has_next,
			   int next_ordem)
{
	rowset_put_text(rows, move_status_texts[to->status]);
	rowset_put_bool(rows, to->advance);
	rowset_put_if(rows, to->advance && has_ordem, Int32GetDatum(ordem));
	rowset_put_if(rows, to->advance && has_next, Int32GetDatum(next_ordem));
	rowset_put_if(rows, to->has_due, TimestampTzGetDatum(to->next_due));
	rowset_put_int(rows, to->attempts);
	rowset_put_bool(rows, to->claim == CLAIM_STAYS);
	rowset_put_if(rows, to->claim == CLAIM_INTERRUPTED, UUIDPGetDatum(&interrupted_claim));
	rowset_put_if(rows, to->counts_from != 0, TimestampTzGetDatum(to->counts_from));
}

/* And the end of it. */
static void
put_had(Rowset *rows, const RunTransition *to, bool has_step, const pg_uuid_t *step)
{
	rowset_put_if(rows, to->advance && has_step, UUIDPGetDatum(step));
	rowset_put_bool(rows, to->goes_back);
}

static void
put_step(Rowset *rows, const CadenceStep *step, int number)
{
	rowset_put_int(rows, number);
	rowset_put_uuid(rows, &step->run_id);
	rowset_put_datum(rows, PointerGetDatum(&step->ctid));
	rowset_put_uuid(rows, &step->claim_id);
	rowset_put_time(rows, step->lease_end);
	rowset_put_int(rows, step->attempts_claimed);
	rowset_put_bool(rows, false);
	/* who was passed by has had no message */
	put_transition(rows, &step->transition, step->has_step && step->outcome == OUTCOME_SENT,
				   step->ordem, step->has_next, step->next_ordem);
	put_step_due(rows, step->valid_for_us != 0 || step->outcome == OUTCOME_DEFERRED,
				 step->first_due);
	put_had(rows, &step->transition, step->has_step, &step->step_id);
}

/* Moves those of the runs that are not moved yet; returns how many it found. */
static int
move_lost(Statement *move, CadenceStep **steps, int n)
{
	Rowset rows;
	int moved;

	rowset_begin(&rows, move_columns, lengthof(move_columns));
	for (int i = 0; i < n; i++)
		if (steps[i]->lost)
			put_step(&rows, steps[i], i);
	statement_execute(move, NULL, NULL, 0);
	rowset_end(&rows);
	moved = SPI_processed;
	for (int i = 0; i < moved; i++)
	{
		bool isnull;
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		CadenceStep *step = steps[DatumGetInt32(SPI_getbinval(row, desc, MOVED_NUMBER, &isnull))];

		step->lost = false;
		step->as_decided = DatumGetBool(SPI_getbinval(row, desc, MOVED_AS_DECIDED, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
	return moved;
}

/*
 * Moves claimed runs as their steps' transitions say, inside the caller's transaction,
 * and notes which were not found. Nearly all are where their claim has put them, which
 * saves a look-up in an index.
 */
void
cadence_steps_move(CadenceMover *m, CadenceStep **steps, int n)
{
	for (int i = 0; i < n; i++)
		steps[i]->lost = true;
	if (n > 0)
		(void) move_lost(&m->by_ctid, steps, n);
}

/* Those that somebody has changed since, by their ids; the claims of the others are lost. */
void
cadence_steps_move_changed(CadenceMover *m, CadenceStep **steps, int n)
{
	for (int i = 0; i < n; i++)
		steps[i]->lost = true;
	(void) move_lost(&m->by_id, steps, n);
}

/* It stays before its step, which is due later than it was. */
static bool
was_due_before(const LockedRun *run, const RunTransition *to)
{
	return run->in.has_due && !run->in.claimed && !to->advance && to->has_due &&
		   to->next_due > run->in.due;
}

static void
put_run(Rowset *rows, const LockedRun *run, const RunTransition *to, int number)
{
	rowset_put_int(rows, number);
	rowset_put_uuid(rows, &run->id);
	for (int i = 0; i < 4; i++)
		rowset_put_null(rows);
	rowset_put_bool(rows, true);
	put_transition(rows, to, run->has_ordem, run->ordem, run->in.has_next, run->next_ordem);
	put_step_due(rows, was_due_before(run, to), run->in.due);
	if (to->goes_back)
		put_had(rows, to, run->has_had, &run->last_had);
	else
		put_had(rows, to, run->has_step_id, &run->step_id);
}

/* Those that were moved are marked, in the order in which they were given. */
static void
check_moved(const LockedRun *runs, int n)
{
	bool *moved = palloc0(sizeof(bool) * n);

	for (uint64 i = 0; i < SPI_processed; i++)
		moved[row_int(SPI_tuptable->tupdesc, SPI_tuptable->vals[i], MOVED_NUMBER, 0)] = true;
	SPI_freetuptable(SPI_tuptable);
	for (int i = 0; i < n; i++)
		if (!moved[i])
			ereport(ERROR, (errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
							errmsg("a trigger or a rule has kept run %s from being changed",
								   DatumGetCString(DirectFunctionCall1(
									   uuid_out, UUIDPGetDatum(&runs[i].id))))));
	pfree(moved);
}

/* Moves runs that were locked in this transaction. */
void
cadence_runs_move(CadenceMover *m, const LockedRun *runs, const RunTransition *to, int n)
{
	Rowset rows;

	rowset_begin(&rows, move_columns, lengthof(move_columns));
	for (int i = 0; i < n; i++)
		put_run(&rows, &runs[i], &to[i], i);
	statement_execute(&m->by_id, NULL, NULL, 0);
	rowset_end(&rows);
	check_moved(runs, n);
	move_count(m, runs, to, n);
	for (int i = 0; i < n; i++)
		if (to[i].status == RUN_DONE)
			cadence_outbox_finished(m->outbox, &runs[i].id);
}

void
cadence_run_move(CadenceMover *m, const LockedRun *run, const RunTransition *to)
{
	cadence_runs_move(m, run, to, 1);
}
