/*
 * locked_run.c
 *		Reads a run that somebody decides about, under its lock.
 *
 * It is locked first, and then read with a snapshot that is newer than the lock.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/timestamp.h"

#include "base/lock.h"
#include "base/row.h"
#include "record/move_parts.h"
#include "schema/edition.h"
#include "schema/key.h"
#include "schema/policy.h"

/* What is read of a locked run. */
enum
{
	LOOK_STATUS = 1,
	LOOK_LEAD_ID,
	LOOK_CLAIMED,
	LOOK_INTERRUPTED,
	LOOK_DUE,
	LOOK_ATTEMPTS,
	LOOK_ORDEM,
	LOOK_TEMPLATE,
	LOOK_NEXT_ORDEM,
	LOOK_NEXT_TEMPLATE,
	LOOK_UNCERTAIN,
	LOOK_ATTEMPT,
	LOOK_ATTEMPTED_AT,
	LOOK_OTHER_ACTIVE,
	LOOK_LAST_ORDEM,
	LOOK_EMPRESA,
	LOOK_STARTED_AT,
	LOOK_STEP_ID,
	LOOK_LAST_HAD,
	LOOK_EDITION,
	LOOK_IS_OVER, /* the step that it had stayed before is gone */
	LOOK_ATTEMPT_ORDEM,
	LOOK_NEXT_TIME
};

/* What is read of many. */
enum
{
	MANY_ID = 1,
	MANY_STATUS,
	MANY_CLAIMED,
	MANY_INTERRUPTED,
	MANY_DUE,
	MANY_ATTEMPTS,
	MANY_ORDEM,
	MANY_TEMPLATE
};

static const RowsetColumn id_columns[] = {{"id", UUIDOID}};

static const Oid run_types[] = {UUIDOID};
static const Oid step_types[] = {UUIDOID, INT4OID, TEXTARRAYOID};

/* An adopted enum may have other words: such a run is nobody's to move. */
static RunStatus
status_of(const char *text)
{
	RunStatus status = RUN_ACTIVE;

	while (status < RUN_CANCELLED && (text == NULL || strcmp(text, move_status_texts[status]) != 0))
		status++;
	return status;
}

/* Its cadence's key, where a lock has to stand for that: of what could become active. */
static char *
lock_sql(const CadenceTables *t, bool guarded)
{
	return psprintf("SELECT CASE WHEN %s AND r.status " NE
					" 'ATIVA' THEN " CADENCE_KEY("r.cadence_id") " END FROM %s AS r WHERE r.id " EQ
																 " $1 FOR NO KEY UPDATE",
					guarded ? "false" : "true", t->runs);
}

/*
 * A run, the step that it stands before, the one after it, and the last attempt at
 * it; a late answer that has settled nothing leaves the question open.
 */
static char *
look_sql(const CadenceTables *t)
{
	return psprintf(
		"SELECT r.status::text, r.lead_id::text, r.claim_id IS NOT NULL, "
		"(r.claim_id " EQ " " INTERRUPTED_CLAIM ") IS TRUE, r.next_run_at::timestamptz, "
		"r.attempts::int4, COALESCE(s.ordem, r.next_step_ordem)::int4, s.template_codigo::text, "
		"n.ordem::int4, "
		"n.template_codigo::text, (e.detalhes " JSON_TEXT " 'codigo' " EQ " 'INCERTO' "
		"OR e.detalhes " JSON_TEXT " 'codigo' " EQ " 'RETIDO') IS TRUE, "
		"e.detalhes::jsonb, e.created_at::timestamptz, "
		"EXISTS (SELECT FROM %s AS o WHERE %s "
		"AND o.cadence_id " EQ " r.cadence_id AND o.status " EQ " 'ATIVA' AND o.id " NE " r.id), "
		"r.last_step_ordem::int4, r.empresa::text, r.started_at::timestamptz, s.id::uuid, "
		"(r.passos_enviados::uuid[])[pg_catalog.cardinality(r.passos_enviados)], "
		"v.edicao, v.is_over, e.ordem, %s FROM %s AS r "
		"CROSS JOIN LATERAL (SELECT %s AS edicao, %s AS is_over) AS v "
		"LEFT JOIN LATERAL (SELECT x.id, x.ordem, x.template_codigo FROM %s AS x "
		"WHERE x.cadence_id " EQ " r.cadence_id AND x.ordem " GE " r.next_step_ordem "
		"AND " IS_NEW " ORDER BY x.ordem LIMIT 1) AS s ON true "
		"LEFT JOIN LATERAL (SELECT x.* FROM %s AS x "
		"WHERE x.cadence_id " EQ " r.cadence_id AND x.ordem " GE " COALESCE(" EDITION_PENDING(
			"v.edicao") "::int8, "
						"s.ordem::int8 OPERATOR(pg_catalog.+) 1) AND x.id " NE " s.id "
						"AND " IS_NEW " ORDER BY x.ordem LIMIT 1) AS n ON true "
						"LEFT JOIN LATERAL (SELECT x.detalhes, x.created_at, x.ordem FROM %s AS x "
						"WHERE x.detalhes " JSON_TEXT " 'tardio' IS NULL "
						"ORDER BY x.created_at DESC, x.id DESC LIMIT 1) AS e ON true "
						"WHERE r.id " EQ " $1",
		t->runs, cadence_key_is(t, "lead_cadence_runs", "o", "lead_id", "r.lead_id"),
		cadence_step_time_columns("n"), t->runs, cadence_edition_column(t, "r"),
		cadence_edition_is_over(t, "r"), t->steps, t->steps,
		kept_events_sql(t, "r.id", "COALESCE(s.ordem, r.next_step_ordem)",
						STEP_NAMES("s", "v.edicao")));
}

/* Many, as far as cancelling has to know them; none of them becomes active. */
static char *
lock_many_sql(const CadenceTables *t)
{
	return psprintf("SELECT r.id::uuid, r.status::text, r.claim_id IS NOT NULL, "
					"(r.claim_id " EQ " " INTERRUPTED_CLAIM
					") IS TRUE, r.next_run_at::timestamptz, "
					"r.attempts::int4, r.next_step_ordem::int4, s.template_codigo::text "
					"FROM " ROWSET_NAME " AS d JOIN %s AS r ON r.id " EQ " d.id "
					"LEFT JOIN LATERAL (SELECT x.template_codigo FROM %s AS x "
					"WHERE x.cadence_id " EQ " r.cadence_id AND x.ordem " GE " r.next_step_ordem "
					"ORDER BY x.ordem LIMIT 1) AS s ON true FOR NO KEY UPDATE OF r",
					t->runs, t->steps);
}

void
move_locks_prepare(CadenceMover *m, const CadenceTables *t)
{
	m->lock = STATEMENT("locking a run", lock_sql(t, cadence_active_is_guarded(t)), run_types,
						SPI_OK_SELECT);
	m->lock_many = ROWS_STATEMENT("locking runs", lock_many_sql(t), SPI_OK_SELECT);
	m->look = STATEMENT("looking at a run", look_sql(t), run_types, SPI_OK_SELECT);
	m->sent = STATEMENT("looking for what a run may have sent",
						psprintf("SELECT e.* FROM %s AS e ORDER BY e.created_at DESC, e.id DESC",
								 kept_events_sql(t, "$1", "$2", "$3")),
						step_types, SPI_OK_SELECT);
	m->look.latest = m->sent.latest = true;
}

static NumberedStep
numbered(const LockedRun *run)
{
	return (NumberedStep){&run->id, run->has_step_id ? &run->step_id : NULL, run->ordem,
						  run->edition};
}

/* By what its step is known. */
static void
read_step(LockedRun *run, TupleDesc desc, HeapTuple row)
{
	NumberedStep step;
	bool isnull;
	Datum edition = SPI_getbinval(row, desc, LOOK_EDITION, &isnull);

	run->has_step_id = row_uuid(desc, row, LOOK_STEP_ID, &run->step_id);
	run->has_had = row_uuid(desc, row, LOOK_LAST_HAD, &run->last_had);
	if (!isnull && toast_raw_datum_size(edition) <= EDITION_MAX)
		run->edition = DatumGetJsonbPCopy(edition);
	step = numbered(run);
	cadence_step_key(&step, &run->key);
}

/* Whether a run stands before the step that had that number when it was sent. */
bool
cadence_run_is_before(const LockedRun *run, int ordem)
{
	return run->has_ordem && ordem == (run->has_attempt ? run->attempt_ordem : run->ordem);
}

static void
read_run(LockedRun *run, TupleDesc desc, HeapTuple row)
{
	TransitionInput *in = &run->in;
	bool was_interrupted = row_true(desc, row, LOOK_INTERRUPTED);

	run->status_text = row_text(desc, row, LOOK_STATUS, ROW_KEY_MAX);
	run->lead_id = row_text(desc, row, LOOK_LEAD_ID, ROW_KEY_MAX);
	run->empresa = row_text(desc, row, LOOK_EMPRESA, ROW_KEY_MAX);
	run->has_ordem = !row_is_null(desc, row, LOOK_ORDEM);
	run->ordem = row_int(desc, row, LOOK_ORDEM, 0);
	run->has_last = !row_is_null(desc, row, LOOK_LAST_ORDEM);
	run->last_ordem = row_int(desc, row, LOOK_LAST_ORDEM, 0);
	run->template_codigo = row_text(desc, row, LOOK_TEMPLATE, ROW_KEY_MAX);
	run->next_ordem = row_int(desc, row, LOOK_NEXT_ORDEM, 0);
	run->next_template = row_text(desc, row, LOOK_NEXT_TEMPLATE, ROW_KEY_MAX);
	run->has_attempt = row_true(desc, row, LOOK_UNCERTAIN);
	if (run->has_attempt)
	{
		bool isnull;
		Datum details = SPI_getbinval(row, desc, LOOK_ATTEMPT, &isnull);

		run->attempt = JsonbPGetDatum(DatumGetJsonbPCopy(details));
		run->attempted_at = row_time(desc, row, LOOK_ATTEMPTED_AT, 0);
		run->attempt_ordem = row_int(desc, row, LOOK_ATTEMPT_ORDEM, run->ordem);
	}
	read_step(run, desc, row);
	in->status = status_of(run->status_text);
	/* whether a step that is gone was sent is no question any more */
	run->step_is_gone = row_true(desc, row, LOOK_IS_OVER);
	in->interrupted = was_interrupted && !run->step_is_gone;
	in->has_step = run->has_ordem;
	in->claimed = row_true(desc, row, LOOK_CLAIMED) && !was_interrupted;
	in->has_due = !row_is_null(desc, row, LOOK_DUE);
	in->due = row_time(desc, row, LOOK_DUE, 0);
	in->attempts = row_int(desc, row, LOOK_ATTEMPTS, 0);
	in->has_next = !row_is_null(desc, row, LOOK_NEXT_ORDEM);
	cadence_step_time_read(desc, row, LOOK_NEXT_TIME, &in->next_time);
	in->started_at =
		row_time(desc, row, LOOK_STARTED_AT, row_time(desc, row, LOOK_DUE, GetCurrentTimestamp()));
	in->uncertain = in->interrupted || run->has_attempt;
	in->other_active = row_true(desc, row, LOOK_OTHER_ACTIVE);
}

/* The next step is due in the person's time, where it says so. */
static void
find_calendar(CadenceMover *m, LockedRun *run)
{
	CadenceLead lead = {.lead_id = run->lead_id, .empresa = run->empresa};
	Calendar *calendar;

	if (!step_needs_calendar(&run->in.next_time))
		return;
	calendar = palloc0(sizeof(*calendar));
	cadence_calendars_refresh(m->calendars);
	cadence_calendars_find(m->calendars, &lead, 1, calendar);
	run->in.calendar = calendar;
}

/* Whether an attempt at a run's step has left something to the next. */
static bool
is_kept(CadenceMover *m, const LockedRun *run)
{
	NumberedStep step = numbered(run);
	Datum names = cadence_step_names(&step);
	Datum values[] = {UUIDPGetDatum(&run->id), Int32GetDatum(run->ordem), names};
	char nulls[] = {' ', ' ', names != 0 ? ' ' : 'n'};
	KeptSearch search = {0};

	statement_execute(&m->sent, values, nulls, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
		kept_search(&search, SPI_tuptable->tupdesc, SPI_tuptable->vals[i], 1);
	SPI_freetuptable(SPI_tuptable);
	return search.found;
}

/*
 * Locks a run until the transaction ends and reads it and its step, inside the
 * caller's SPI connection; false: there is none.
 */
bool
cadence_run_lock(CadenceMover *m, const pg_uuid_t *id, LockedRun *run)
{
	Datum values[] = {UUIDPGetDatum(id)};
	Datum cadence;
	bool isnull;

	memset(run, 0, sizeof(*run));
	run->id = *id;
	statement_execute(&m->lock, values, NULL, 0);
	if (SPI_processed == 0)
		return false;
	cadence = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (!isnull)
		cadence_lock_hold(CADENCE_LOCK_ENROLMENT, DatumGetInt64(cadence));
	SPI_freetuptable(SPI_tuptable);

	statement_execute(&m->look, values, NULL, 0);
	if (SPI_processed == 0)
		ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						errmsg("could not see the run that was locked")));
	read_run(run, SPI_tuptable->tupdesc, SPI_tuptable->vals[0]);
	SPI_freetuptable(SPI_tuptable);
	run->in.kept = run->has_ordem && is_kept(m, run);
	find_calendar(m, run);
	return true;
}

static void
read_one_of_many(LockedRun *run, TupleDesc desc, HeapTuple row)
{
	TransitionInput *in = &run->in;

	(void) row_uuid(desc, row, MANY_ID, &run->id);
	run->status_text = row_text(desc, row, MANY_STATUS, ROW_KEY_MAX);
	run->has_ordem = !row_is_null(desc, row, MANY_ORDEM);
	run->ordem = row_int(desc, row, MANY_ORDEM, 0);
	run->template_codigo = row_text(desc, row, MANY_TEMPLATE, ROW_KEY_MAX);
	in->status = status_of(run->status_text);
	in->interrupted = row_true(desc, row, MANY_INTERRUPTED);
	in->has_step = run->has_ordem;
	in->claimed = row_true(desc, row, MANY_CLAIMED) && !in->interrupted;
	in->has_due = !row_is_null(desc, row, MANY_DUE);
	in->due = row_time(desc, row, MANY_DUE, 0);
	in->attempts = row_int(desc, row, MANY_ATTEMPTS, 0);
}

/*
 * Locks many that are to be cancelled, in the order in which they come, and reads what
 * that has to know; how many of them there are.
 */
int
cadence_runs_lock(CadenceMover *m, const pg_uuid_t *ids, int n, LockedRun *runs)
{
	Rowset rows;
	int found;

	rowset_begin(&rows, id_columns, lengthof(id_columns));
	for (int i = 0; i < n; i++)
		rowset_put_uuid(&rows, &ids[i]);
	statement_execute(&m->lock_many, NULL, NULL, 0);
	rowset_end(&rows);
	found = SPI_processed;
	memset(runs, 0, sizeof(*runs) * found);
	for (int i = 0; i < found; i++)
		read_one_of_many(&runs[i], SPI_tuptable->tupdesc, SPI_tuptable->vals[i]);
	SPI_freetuptable(SPI_tuptable);
	return found;
}

/* What an act makes of a locked run; at is when it happened. */
RunTransition
cadence_run_transition(const LockedRun *run, RunAct act, TimestampTz at)
{
	TransitionInput in = run->in;

	in.act = act;
	in.at = at;
	return cadence_transition(&in);
}
