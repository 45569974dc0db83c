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
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/lock.h"
#include "base/rowset.h"
#include "base/statement.h"
#include "record/move.h"
#include "schema/key.h"

struct CadenceMover
{
	Statement by_ctid;
	Statement by_id;
	Statement decided;
	Statement lock;
	Statement look;
	bool guarded; /* by the unique index */
};

/* The claim id of a run that an attempt was made for, never recorded, and nobody's any more. */
static const pg_uuid_t interrupted_claim;
#define INTERRUPTED_CLAIM "'00000000-0000-0000-0000-000000000000'"

static const RowsetColumn move_columns[] = {
	{"n", INT4OID},				   /* the step's number in the batch */
	{"id", UUIDOID},			   /* of the run */
	{"ctid_claimed", TIDOID},	   /* where the claim has put it */
	{"claim_id", UUIDOID},		   /* that must still be the run's */
	{"lease_end", TIMESTAMPTZOID}, /* and its next_run_at */
	{"attempt", INT4OID},		   /* and its attempts */
	{"status", TEXTOID},
	{"advance", BOOLOID}, /* past the step */
	{"ordem", INT4OID},
	{"next_ordem", INT4OID},
	{"next_due", TIMESTAMPTZOID},
	{"attempts", INT4OID},
	{"claim_stays", BOOLOID},
	{"claim_after", UUIDOID}};

/* See cadence_create_tables(). */
#define ACTIVE_INDEX "lead_cadence_runs_active_idx"

/* What the move returns. */
enum
{
	MOVED_NUMBER = 1, /* of the step in the batch */
	MOVED_AS_DECIDED  /* not paused or cancelled meanwhile */
};

enum
{
	LOCKED_STATUS = 1,
	LOCKED_LEAD_ID,
	LOCKED_CLAIMED,
	LOCKED_INTERRUPTED,
	LOCKED_DUE,
	LOCKED_ATTEMPTS,
	LOCKED_ORDEM,
	LOCKED_CADENCE_KEY
};

enum
{
	LOOK_TEMPLATE = 1,
	LOOK_NEXT_ORDEM,
	LOOK_NEXT_OFFSET,
	LOOK_NEXT_TEMPLATE,
	LOOK_UNCERTAIN,
	LOOK_ATTEMPT,
	LOOK_ATTEMPTED_AT,
	LOOK_OTHER_ACTIVE
};

static const Oid run_types[] = {UUIDOID};

static char *
move_sql(const CadenceTables *t, const char *status, const char *due, const char *condition)
{
	return psprintf("UPDATE %s AS r SET status = %s, "
					"last_step_ordem = CASE WHEN d.advance THEN COALESCE(d.ordem, "
					"r.last_step_ordem) ELSE r.last_step_ordem END, "
					"next_step_ordem = CASE WHEN d.advance THEN d.next_ordem "
					"ELSE r.next_step_ordem END, "
					"next_run_at = %s, attempts = d.attempts, "
					"claim_id = CASE WHEN d.claim_stays THEN r.claim_id ELSE d.claim_after END, "
					"updated_at = " NOW " FROM " ROWSET_NAME " AS d WHERE %sr.id " EQ " d.id "
					"RETURNING d.n, r.status::text " EQ " d.status",
					t->runs, status, due, condition);
}

static char *
claimed_sql(const CadenceTables *t, const char *where)
{
	return move_sql(t,
					psprintf("CASE WHEN r.status " EQ " 'ATIVA' THEN d.status::%s ELSE r.status "
							 "END",
							 t->run_status_type),
					"CASE WHEN r.status::text " EQ " 'CANCELADA' THEN NULL ELSE d.next_due END",
					psprintf("%s(r.claim_id " EQ " d.claim_id) IS TRUE AND (r.next_run_at " EQ
							 " d.lease_end) IS TRUE AND (r.attempts " EQ " d.attempt) IS TRUE AND ",
							 where));
}

static char *
lock_sql(const CadenceTables *t)
{
	return psprintf("SELECT r.status::text, r.lead_id::text, r.claim_id IS NOT NULL, "
					"(r.claim_id " EQ " " INTERRUPTED_CLAIM
					") IS TRUE, r.next_run_at::timestamptz, "
					"r.attempts::int4, r.next_step_ordem::int4, " CADENCE_KEY(
						"r.cadence_id") " "
										"FROM %s AS r WHERE r.id " EQ " $1 FOR UPDATE",
					t->runs);
}

/*
 * The step that a run stands before, the one after it, and the last attempt at
 * it; a late answer that has settled nothing leaves the question open.
 */
static char *
look_sql(const CadenceTables *t)
{
	return psprintf(
		"SELECT s.template_codigo::text, n.ordem::int4, n.offset_minutos::int4, "
		"n.template_codigo::text, (e.detalhes " JSON_TEXT " 'codigo' " EQ " 'INCERTO') IS TRUE, "
		"e.detalhes::jsonb, e.created_at::timestamptz, "
		"EXISTS (SELECT FROM %s AS o WHERE %s "
		"AND o.cadence_id " EQ " r.cadence_id AND o.status " EQ " 'ATIVA' AND o.id " NE " r.id) "
		"FROM %s AS r "
		"LEFT JOIN LATERAL (SELECT x.template_codigo FROM %s AS x "
		"WHERE x.cadence_id " EQ " r.cadence_id AND x.ordem " GE " r.next_step_ordem "
		"ORDER BY x.ordem LIMIT 1) AS s ON true "
		"LEFT JOIN LATERAL (SELECT x.ordem, x.offset_minutos, x.template_codigo FROM %s AS x "
		"WHERE x.cadence_id " EQ " r.cadence_id AND x.ordem " GT " r.next_step_ordem "
		"ORDER BY x.ordem LIMIT 1) AS n ON true "
		"LEFT JOIN LATERAL (SELECT x.detalhes, x.created_at FROM %s AS x "
		"WHERE x.lead_cadence_run_id " EQ " r.id AND x.step_ordem " EQ " r.next_step_ordem "
		"AND x.detalhes " JSON_TEXT " 'tardio' IS NULL "
		"ORDER BY x.created_at DESC, x.id DESC LIMIT 1) AS e ON true "
		"WHERE r.id " EQ " $1",
		t->runs, cadence_key_is(t, "lead_cadence_runs", "o", "lead_id", "r.lead_id"), t->runs,
		t->steps, t->steps, t->events);
}

/*
 * In the current memory context.
 */
CadenceMover *
cadence_mover_create(const CadenceTables *t)
{
	CadenceMover *m = palloc0(sizeof(*m));

	m->by_ctid =
		ROWS_STATEMENT("moving runs on", claimed_sql(t, "r.ctid " EQ " d.ctid_claimed AND "),
					   SPI_OK_UPDATE_RETURNING);
	m->by_id = ROWS_STATEMENT("moving runs on", claimed_sql(t, ""), SPI_OK_UPDATE_RETURNING);
	m->decided = ROWS_STATEMENT(
		"moving a run", move_sql(t, psprintf("d.status::%s", t->run_status_type), "d.next_due", ""),
		SPI_OK_UPDATE_RETURNING);
	m->lock = STATEMENT("locking a run", lock_sql(t), run_types, SPI_OK_SELECT);
	m->look = STATEMENT("looking at a run", look_sql(t), run_types, SPI_OK_SELECT);
	m->look.latest = true;
	m->guarded = cadence_active_is_guarded(t);
	return m;
}

/*
 * Whether a unique index keeps a lead from being active twice in a cadence.
 */
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

/*
 * Whether the error being caught is that index's.
 */
bool
cadence_is_active_twice(void)
{
	ErrorData *error = CopyErrorData();

	return error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION && error->constraint_name != NULL &&
		   strcmp(error->constraint_name, ACTIVE_INDEX) == 0;
}

static const char *
status_text(RunStatus status)
{
	switch (status)
	{
		case RUN_ACTIVE:
			return "ATIVA";
		case RUN_DONE:
			return "CONCLUIDA";
		case RUN_PAUSED:
			return "PAUSADA";
		case RUN_CANCELLED:
			return "CANCELADA";
	}
	pg_unreachable();
}

/* An adopted enum may have other words: such a run is nobody's to move. */
static RunStatus
status_of(const char *text)
{
	for (RunStatus status = RUN_ACTIVE; status < RUN_CANCELLED; status++)
		if (text != NULL && strcmp(text, status_text(status)) == 0)
			return status;
	return RUN_CANCELLED;
}

static void
put_int_if(Rowset *rows, bool known, int value)
{
	if (known)
		rowset_put_int(rows, value);
	else
		rowset_put_null(rows);
}

/* The second half of a move's row: what the run becomes. */
static void
put_transition(Rowset *rows, const RunTransition *to, bool has_ordem, int ordem, bool has_next,
			   int next_ordem)
{
	rowset_put_text(rows, status_text(to->status));
	rowset_put_bool(rows, to->advance);
	put_int_if(rows, to->advance && has_ordem, ordem);
	put_int_if(rows, to->advance && has_next, next_ordem);
	if (to->has_due)
		rowset_put_time(rows, to->next_due);
	else
		rowset_put_null(rows);
	rowset_put_int(rows, to->attempts);
	rowset_put_bool(rows, to->claim == CLAIM_STAYS);
	if (to->claim == CLAIM_INTERRUPTED)
		rowset_put_uuid(rows, &interrupted_claim);
	else
		rowset_put_null(rows);
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
	put_transition(rows, &step->transition, step->has_step, step->ordem,
				   step->has_step && step->has_next, step->next_ordem);
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
 * Moves claimed runs as their steps' transitions say, inside the caller's
 * transaction, and notes whose claims were lost. Nearly all are where their
 * claim has put them, which saves a look-up in an index; those that somebody has
 * changed since are looked for by their ids.
 */
void
cadence_steps_move(CadenceMover *m, CadenceStep **steps, int n)
{
	for (int i = 0; i < n; i++)
		steps[i]->lost = true;
	if (move_lost(&m->by_ctid, steps, n) < n)
		(void) move_lost(&m->by_id, steps, n);
}

/*
 * Moves a run that cadence_run_lock() has locked in this transaction.
 */
void
cadence_run_move(CadenceMover *m, const LockedRun *run, const RunTransition *to)
{
	Rowset rows;

	rowset_begin(&rows, move_columns, lengthof(move_columns));
	rowset_put_int(&rows, 0);
	rowset_put_uuid(&rows, &run->id);
	for (int i = 0; i < 4; i++)
		rowset_put_null(&rows);
	put_transition(&rows, to, run->has_ordem, run->ordem, run->has_next, run->next_ordem);
	statement_execute(&m->decided, NULL, NULL, 0);
	rowset_end(&rows);
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("a trigger or a rule has kept run %s from being changed",
						DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&run->id))))));
}

/* ---- a locked run ----------------------------------------------------------------- */

/* A value of the only row. */
static Datum
value_at(int column, bool *has_value)
{
	bool isnull;
	Datum value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull);

	*has_value = !isnull;
	return value;
}

static char *
text_at(int column)
{
	bool has_value;
	Datum value = value_at(column, &has_value);

	return has_value ? TextDatumGetCString(value) : NULL;
}

static int
int_at(int column, bool *has_value)
{
	Datum value = value_at(column, has_value);

	return *has_value ? DatumGetInt32(value) : 0;
}

static bool
is_true_at(int column)
{
	bool has_value;
	Datum value = value_at(column, &has_value);

	return has_value && DatumGetBool(value);
}

static void
read_locked(LockedRun *run)
{
	bool has_attempts;

	run->status_text = text_at(LOCKED_STATUS);
	run->status = status_of(run->status_text);
	run->lead_id = text_at(LOCKED_LEAD_ID);
	run->interrupted = is_true_at(LOCKED_INTERRUPTED);
	run->claimed = is_true_at(LOCKED_CLAIMED) && !run->interrupted;
	run->due = DatumGetTimestampTz(value_at(LOCKED_DUE, &run->has_due));
	run->attempts = int_at(LOCKED_ATTEMPTS, &has_attempts);
	run->ordem = int_at(LOCKED_ORDEM, &run->has_ordem);
}

static void
read_looked_at(LockedRun *run)
{
	bool has_time;
	bool has_offset;

	run->template_codigo = text_at(LOOK_TEMPLATE);
	run->next_ordem = int_at(LOOK_NEXT_ORDEM, &run->has_next);
	run->next_offset = int_at(LOOK_NEXT_OFFSET, &has_offset);
	run->next_template = text_at(LOOK_NEXT_TEMPLATE);
	if (is_true_at(LOOK_UNCERTAIN))
	{
		Datum details = value_at(LOOK_ATTEMPT, &run->has_attempt);

		run->attempt = JsonbPGetDatum(DatumGetJsonbPCopy(details));
		run->attempted_at = DatumGetTimestampTz(value_at(LOOK_ATTEMPTED_AT, &has_time));
	}
	run->uncertain = run->interrupted || run->has_attempt;
	run->other_active = is_true_at(LOOK_OTHER_ACTIVE);
}

/*
 * Locks a run until the transaction ends and reads it and its step, inside the
 * caller's SPI connection; false: there is none.
 */
bool
cadence_run_lock(CadenceMover *m, const pg_uuid_t *id, LockedRun *run)
{
	Datum values[] = {UUIDPGetDatum(id)};

	memset(run, 0, sizeof(*run));
	run->id = *id;
	statement_execute(&m->lock, values, NULL, 0);
	if (SPI_processed == 0)
		return false;
	read_locked(run);
	if (!m->guarded && run->status == RUN_PAUSED)
		cadence_lock_hold(CADENCE_LOCK_ENROLMENT, value_at(LOCKED_CADENCE_KEY, &(bool){false}));
	SPI_freetuptable(SPI_tuptable);

	statement_execute(&m->look, values, NULL, 0);
	if (SPI_processed == 0)
		ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						errmsg("could not see the run that was locked")));
	read_looked_at(run);
	SPI_freetuptable(SPI_tuptable);
	return true;
}

/*
 * What an act makes of a locked run; at is when it happened.
 */
RunTransition
cadence_run_transition(const LockedRun *run, RunAct act, TimestampTz at)
{
	TransitionInput in = {.act = act,
						  .status = run->status,
						  .claimed = run->claimed,
						  .uncertain = run->uncertain,
						  .other_active = run->other_active,
						  .attempts = run->attempts,
						  .has_due = run->has_due,
						  .due = run->due,
						  .has_next = run->has_next,
						  .next_offset = run->next_offset,
						  .at = at};

	return cadence_transition(&in);
}
