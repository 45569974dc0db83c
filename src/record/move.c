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

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/json.h"
#include "base/lock.h"
#include "base/row.h"
#include "base/statement.h"
#include "record/move.h"
#include "record/outbox.h"
#include "record/tally.h"
#include "schema/calendar.h"
#include "schema/edition.h"
#include "schema/key.h"
#include "schema/policy.h"

struct CadenceMover
{
	Statement by_ctid;
	Statement by_id;
	Statement lock;
	Statement lock_many;
	Statement look;
	Statement sent;
	CadenceOutbox *outbox;
	CadenceTally *tally;
	CadenceCalendars *calendars;
};

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

/* Of a step x and a run r. */
#define IS_NEW NOT_HAD("x", "r")
#define PENDING EDITION_PENDING("r.edicao")

/* See cadence_create_tables(). */
#define ACTIVE_INDEX "lead_cadence_runs_active_idx"

/* What the move returns. */
enum
{
	MOVED_NUMBER = 1, /* of the step in the batch */
	MOVED_AS_DECIDED  /* not paused or cancelled meanwhile */
};

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

/* In the current memory context. */
CadenceMover *
cadence_mover_create(const CadenceTables *t)
{
	CadenceMover *m = palloc0(sizeof(*m));

	m->by_ctid = ROWS_STATEMENT("moving runs on", move_sql(t, "r.ctid " EQ " d.ctid_claimed"),
								SPI_OK_UPDATE_RETURNING);
	m->by_id = ROWS_STATEMENT("moving runs on", move_sql(t, "true"), SPI_OK_UPDATE_RETURNING);
	m->lock = STATEMENT("locking a run", lock_sql(t, cadence_active_is_guarded(t)), run_types,
						SPI_OK_SELECT);
	m->lock_many = ROWS_STATEMENT("locking runs", lock_many_sql(t), SPI_OK_SELECT);
	m->look = STATEMENT("looking at a run", look_sql(t), run_types, SPI_OK_SELECT);
	m->sent = STATEMENT("looking for what a run may have sent",
						psprintf("SELECT e.* FROM %s AS e ORDER BY e.created_at DESC, e.id DESC",
								 kept_events_sql(t, "$1", "$2", "$3")),
						step_types, SPI_OK_SELECT);
	m->outbox = cadence_outbox_create(t);
	m->tally = cadence_tally_create(t);
	m->calendars = cadence_calendars_create(t, false);
	m->look.latest = m->sent.latest = true;
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

static const char *const status_texts[] = {[RUN_ACTIVE] = "ATIVA",
										   [RUN_DONE] = "CONCLUIDA",
										   [RUN_PAUSED] = "PAUSADA",
										   [RUN_CANCELLED] = "CANCELADA"};

/* An adopted enum may have other words: such a run is nobody's to move. */
static RunStatus
status_of(const char *text)
{
	RunStatus status = RUN_ACTIVE;

	while (status < RUN_CANCELLED && (text == NULL || strcmp(text, status_texts[status]) != 0))
		status++;
	return status;
}

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
	rowset_put_text(rows, status_texts[to->status]);
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
				   step->ordem, step->has_step && step->has_next, step->next_ordem);
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

/* ---- what moves count as --------------------------------------------------------------- */

/* It was sent after all, as somebody has said who is no execution: those count what they send. */
static void
count_as_sent(TallyRun *counted, const LockedRun *run, const RunTransition *to)
{
	JsonbContainer *attempt = &DatumGetJsonbP(run->attempt)->root;

	counted->row.kind = "attempt";
	counted->row.outcome = "sent";
	counted->row.server = json_get_text(attempt, "provedor");
	counted->row.canal = json_get_text(attempt, "canal");
	counted->row.template_codigo = run->template_codigo;
	counted->row.first_at = to->counts_from;
}

/* At most two of each move. */
static int
count_move(const LockedRun *run, const RunTransition *to, TallyRun *counted)
{
	TallyRun step = {.run = run->id, .row.n = 1};
	int n = 0;

	if (!to->advance)
		return 0;
	if (to->goes_back)
	{
		step.row.n = -1;
		step.row.mark = "entered";
		step.step = &run->step_id;
		if (run->has_step_id)
			counted[n++] = step;
		step.row.mark = "sent";
		step.step = &run->last_had;
		if (run->has_had)
			counted[n++] = step;
		return n;
	}
	step.step = run->has_step_id ? &run->step_id : NULL;
	step.row.mark = run->has_step_id ? "sent" : NULL;
	step.has_next = run->in.has_next;
	step.next_ordem = run->next_ordem;
	if (run->has_attempt && run->in.outcome == OUTCOME_PENDING)
		count_as_sent(&step, run, to);
	counted[n++] = step;
	return n;
}

static void
count_moves(CadenceMover *m, const LockedRun *runs, const RunTransition *to, int n)
{
	TallyRun *counted = palloc(sizeof(*counted) * 2 * Max(n, 1));
	int ncounted = 0;

	for (int i = 0; i < n; i++)
		ncounted += count_move(&runs[i], &to[i], &counted[ncounted]);
	cadence_tally_runs(m->tally, counted, ncounted);
	pfree(counted);
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
	count_moves(m, runs, to, n);
	for (int i = 0; i < n; i++)
		if (to[i].status == RUN_DONE)
			cadence_outbox_finished(m->outbox, &runs[i].id);
}

void
cadence_run_move(CadenceMover *m, const LockedRun *run, const RunTransition *to)
{
	cadence_runs_move(m, run, to, 1);
}

/* ---- a locked run ----------------------------------------------------------------- */

static bool
read_id(TupleDesc desc, HeapTuple row, int column, pg_uuid_t *id)
{
	bool isnull;
	Datum value = SPI_getbinval(row, desc, column, &isnull);

	if (!isnull)
		*id = *DatumGetUUIDP(value);
	return !isnull;
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

	run->has_step_id = read_id(desc, row, LOOK_STEP_ID, &run->step_id);
	run->has_had = read_id(desc, row, LOOK_LAST_HAD, &run->last_had);
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
	bool isnull;

	run->id = *DatumGetUUIDP(SPI_getbinval(row, desc, MANY_ID, &isnull));
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
