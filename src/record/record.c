/*
 * record.c
 *		Record: message rows, event rows and the run's move.
 *
 * A batch is three statements whatever its size. The first moves the runs and
 * tells which claims are still ours; where one is not, somebody else has the
 * run, and only the late answer is kept as an event. Unless that answer is what
 * the run is held for: then it settles the run, as an operator would.
 *
 * When a batch fails, some row of it does: see record_retry.c.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "record/event.h"
#include "rules/transition.h"
#include "provider/provider.h"
#include "record/record.h"
#include "base/rowset.h"
#include "base/settings.h"
#include "base/statement.h"

struct CadenceRecorder
{
	Statement move_by_ctid;
	Statement move_by_id;
	Statement settle;
	Statement pause;
	Statement events;
	Statement event_once;
	Statement messages;
};

/* A run's move. */
static const RowsetColumn move_columns[] = {
	{"n", INT4OID},				   /* the step's number in the batch */
	{"id", UUIDOID},			   /* of the run */
	{"ctid_claimed", TIDOID},	   /* where the claim has put it */
	{"claim_id", UUIDOID},		   /* that must still be the run's */
	{"lease_end", TIMESTAMPTZOID}, /* and its next_run_at */
	{"status", TEXTOID},
	{"advance", BOOLOID}, /* past the step */
	{"ordem", INT4OID},
	{"next_ordem", INT4OID},
	{"next_due", TIMESTAMPTZOID},
	{"attempts", INT4OID},
	{"keep_claim", BOOLOID}};

/* What the move returns. */
enum
{
	MOVED_NUMBER = 1, /* of the step in the batch */
	MOVED_AS_PLANNED  /* not paused or cancelled meanwhile */
};

static const RowsetColumn event_columns[] = {{"id", UUIDOID},	 {"run_id", UUIDOID},
											 {"ordem", INT4OID}, {"template", TEXTOID},
											 {"tipo", TEXTOID},	 {"detalhes", JSONBOID}};

static const RowsetColumn message_columns[] = {
	{"id", UUIDOID},	   {"lead_id", TEXTOID},  {"empresa", TEXTOID},
	{"canal", TEXTOID},	   {"conteudo", TEXTOID}, {"run_id", UUIDOID},
	{"ordem", INT4OID},	   {"template", TEXTOID}, {"enviado_em", TIMESTAMPTZOID},
	{"whatsapp", TEXTOID}, {"email", TEXTOID}};

static const Oid pause_types[] = {UUIDOID, UUIDOID, TIMESTAMPTZOID};
static const Oid event_once_types[] = {UUIDOID, UUIDOID, INT4OID, TEXTOID, TEXTOID, JSONBOID};

/*
 * A run that was paused or cancelled while its message was under way keeps
 * that status, but moves past the step that was sent.
 */
static char *
move_sql(const CadenceTables *t, const char *condition)
{
	return psprintf(
		"UPDATE %s AS r SET "
		"status = CASE WHEN r.status " EQ " 'ATIVA' THEN d.status::%s ELSE r.status END, "
		"last_step_ordem = CASE WHEN d.advance THEN COALESCE(d.ordem, r.last_step_ordem) "
		"ELSE r.last_step_ordem END, "
		"next_step_ordem = CASE WHEN d.advance THEN d.next_ordem ELSE r.next_step_ordem END, "
		"next_run_at = CASE WHEN r.status::text " EQ " 'CANCELADA' THEN NULL "
		"ELSE d.next_due END, attempts = d.attempts, "
		"claim_id = CASE WHEN d.keep_claim THEN r.claim_id END, updated_at = " NOW " "
		"FROM " ROWSET_NAME " AS d WHERE %sr.id " EQ " d.id "
		"AND (r.claim_id " EQ " d.claim_id) IS TRUE AND (r.next_run_at " EQ
		" d.lease_end) IS TRUE RETURNING d.n, r.status::text " EQ " d.status",
		t->runs, t->run_status_type, condition);
}

/* A run that is held since nobody knew what has just been learned; it is active again. */
static char *
settle_sql(const CadenceTables *t)
{
	return psprintf(
		"UPDATE %s AS r SET status = d.status::%s, last_step_ordem = d.ordem, "
		"next_step_ordem = d.next_ordem, next_run_at = d.next_due, attempts = d.attempts, "
		"updated_at = " NOW " "
		"FROM " ROWSET_NAME " AS d WHERE r.id " EQ " d.id AND (r.status " EQ " 'PAUSADA') IS TRUE "
		"AND r.claim_id IS NULL AND r.next_step_ordem " EQ " d.ordem "
		"AND (SELECT e.detalhes " JSON_TEXT " 'codigo' FROM %s AS e "
		"WHERE e.lead_cadence_run_id " EQ " r.id AND e.detalhes " JSON_TEXT " 'tardio' IS NULL "
		"ORDER BY e.created_at DESC, e.id DESC LIMIT 1) " EQ " 'INCERTO' AND (d.status " NE
		" 'ATIVA' OR NOT EXISTS (SELECT FROM %s AS o "
		"WHERE o.lead_id " EQ " r.lead_id AND o.cadence_id " EQ " r.cadence_id "
		"AND o.status " EQ " 'ATIVA')) RETURNING d.n",
		t->runs, t->run_status_type, t->events, t->runs);
}

static char *
pause_sql(const CadenceTables *t)
{
	return psprintf("UPDATE %s SET status = 'PAUSADA', claim_id = NULL, updated_at = " NOW " "
					"WHERE id " EQ " $1 AND claim_id " EQ " $2 AND next_run_at " EQ " $3",
					t->runs);
}

static char *
events_sql(const CadenceTables *t)
{
	return psprintf("INSERT INTO %s (id, lead_cadence_run_id, step_ordem, template_codigo, "
					"tipo_evento, detalhes, created_at) "
					"SELECT d.id, d.run_id, d.ordem, d.template, d.tipo::%s, d.detalhes, " NOW
					" FROM " ROWSET_NAME " AS d",
					t->events, t->event_type_type);
}

/* Unless the run's last event says the same already. */
static char *
event_once_sql(const CadenceTables *t)
{
	return psprintf("INSERT INTO %s (id, lead_cadence_run_id, step_ordem, template_codigo, "
					"tipo_evento, detalhes, created_at) "
					"SELECT $1, $2, $3, $4, $5::%s, $6, " NOW " "
					"WHERE COALESCE((SELECT e.detalhes " JSON_TEXT " 'codigo' FROM %s AS e "
					"WHERE e.lead_cadence_run_id " EQ " $2 "
					"ORDER BY e.created_at DESC, e.id DESC LIMIT 1), '') " NE " ($6 " JSON_TEXT
					" 'codigo')",
					t->events, t->event_type_type, t->events);
}

static char *
messages_sql(const CadenceTables *t)
{
	return psprintf(
		"INSERT INTO %s (id, lead_id, empresa, canal, direcao, conteudo, estado, "
		"run_id, enviado_em, step_ordem, template_codigo, whatsapp_message_id, "
		"email_message_id, created_at, updated_at) "
		"SELECT d.id, d.lead_id, d.empresa::%s, d.canal::%s, 'OUTBOUND', d.conteudo, "
		"'ENVIADO', d.run_id, d.enviado_em, d.ordem, d.template, d.whatsapp, d.email, " NOW ", " NOW
		" FROM " ROWSET_NAME " AS d",
		t->messages, t->message_empresa_type, t->message_canal_type);
}

CadenceRecorder *
cadence_recorder_create(const CadenceTables *t)
{
	CadenceRecorder *r = palloc0(sizeof(*r));

	r->move_by_ctid =
		ROWS_STATEMENT("moving runs on", move_sql(t, "r.ctid " EQ " d.ctid_claimed AND "),
					   SPI_OK_UPDATE_RETURNING);
	r->move_by_id = ROWS_STATEMENT("moving runs on", move_sql(t, ""), SPI_OK_UPDATE_RETURNING);
	r->settle = ROWS_STATEMENT("settling runs", settle_sql(t), SPI_OK_UPDATE_RETURNING);
	r->pause = STATEMENT("pausing a run", pause_sql(t), pause_types, SPI_OK_UPDATE);
	r->events = ROWS_STATEMENT("writing events", events_sql(t), SPI_OK_INSERT);
	r->event_once =
		STATEMENT("writing an event", event_once_sql(t), event_once_types, SPI_OK_INSERT);
	r->messages = ROWS_STATEMENT("writing messages", messages_sql(t), SPI_OK_INSERT);
	return r;
}

/* Runs a statement over the rows, if there are any; its result is in SPI_tuptable. */
static void
execute_rows(Statement *statement, Rowset *rows)
{
	if (rows->n > 0)
		statement_execute(statement, NULL, NULL, 0);
	else
		SPI_processed = 0;
	rowset_end(rows);
}

/* What the plan needs to know, from the step and the settings. */
static RunPlan
plan_step(const CadenceStep *step)
{
	PlanInput in = {.outcome = step->outcome,
					.attempts = step->attempts,
					.max_attempts = cadence_max_attempts,
					.hold = step->request.provider != NULL && step->request.configuration->hold,
					.has_next = step->outcome == OUTCOME_SENT && step->has_next,
					.next_offset = step->next_offset,
					.at = step->answer.at != 0 ? step->answer.at : GetCurrentTimestamp(),
					.due = step->due,
					.retry_after = step->answer.retry_after_us,
					.retry_failed = cadence_retry_dispatch * USECS_PER_SEC,
					.retry_unresolved = cadence_retry_unresolved * USECS_PER_SEC};

	return plan_run(&in);
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

/*
 * An earlier attempt that was never recorded stays on the run's mind until the
 * step is settled: looked at again for another reason, it is still uncertain.
 */
static bool
keeps_claim(const CadenceStep *step)
{
	return step->interrupted &&
		   (step->outcome == OUTCOME_UNRESOLVED || step->outcome == OUTCOME_WAITING ||
			step->outcome == OUTCOME_UNSENT);
}

static void
put_int_if(Rowset *rows, bool known, int value)
{
	if (known)
		rowset_put_int(rows, value);
	else
		rowset_put_null(rows);
}

static void
add_move(Rowset *rows, const CadenceStep *step, int number)
{
	const RunPlan *plan = &step->plan;
	bool moved_on = plan->advance && step->has_step;

	rowset_put_int(rows, number);
	rowset_put_uuid(rows, &step->run_id);
	rowset_put_datum(rows, PointerGetDatum(&step->ctid));
	rowset_put_uuid(rows, &step->claim_id);
	rowset_put_time(rows, step->lease_end);
	rowset_put_text(rows, status_text(plan->status));
	rowset_put_bool(rows, plan->advance);
	put_int_if(rows, moved_on, step->ordem);
	put_int_if(rows, moved_on && step->has_next, step->next_ordem);
	if (plan->has_due)
		rowset_put_time(rows, plan->next_due);
	else
		rowset_put_null(rows);
	rowset_put_int(rows, plan->attempts);
	rowset_put_bool(rows, keeps_claim(step));
}

/* Moves those of the runs that are not moved yet; returns how many it found. */
static int
move_lost(Statement *move, CadenceStep **steps, int n)
{
	Rowset rows;

	rowset_begin(&rows, move_columns, lengthof(move_columns));
	for (int i = 0; i < n; i++)
		if (steps[i]->lost)
			add_move(&rows, steps[i], i);
	execute_rows(move, &rows);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool isnull;
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		CadenceStep *step = steps[DatumGetInt32(SPI_getbinval(row, desc, MOVED_NUMBER, &isnull))];

		step->lost = false;
		step->as_planned = DatumGetBool(SPI_getbinval(row, desc, MOVED_AS_PLANNED, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
	return (int) SPI_processed;
}

/*
 * Moves the runs and notes whose claims were lost. Nearly all are where their
 * claim has put them, which saves a look-up in an index; those that somebody has
 * changed since are looked for by their ids.
 */
static void
move_runs(CadenceRecorder *r, CadenceStep **steps, int n)
{
	for (int i = 0; i < n; i++)
	{
		steps[i]->plan = plan_step(steps[i]);
		steps[i]->lost = true;
	}
	if (move_lost(&r->move_by_ctid, steps, n) < n)
		(void) move_lost(&r->move_by_id, steps, n);
}

static bool
may_settle(const CadenceStep *step)
{
	return step->lost && step->outcome == OUTCOME_SENT && step->request.configuration->hold;
}

/* Answers that came too late for their own claims, and not too late to be of use. */
static void
settle_late(CadenceRecorder *r, CadenceStep **steps, int n)
{
	Rowset rows;

	rowset_begin(&rows, move_columns, lengthof(move_columns));
	for (int i = 0; i < n; i++)
		if (may_settle(steps[i]))
			add_move(&rows, steps[i], i);
	execute_rows(&r->settle, &rows);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool isnull;
		CadenceStep *step = steps[DatumGetInt32(
			SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, MOVED_NUMBER, &isnull))];

		step->lost = false;
		step->late = step->as_planned = true;
	}
}

static void
pause_run(CadenceRecorder *r, CadenceStep *step)
{
	Datum values[] = {UUIDPGetDatum(&step->run_id), UUIDPGetDatum(&step->claim_id),
					  TimestampTzGetDatum(step->lease_end)};

	step->plan = (RunPlan){.status = RUN_PAUSED, .permanent = true};
	step->as_planned = false;
	statement_execute(&r->pause, values, NULL, 0);
	step->lost = SPI_processed == 0;
}

static void
add_event(Rowset *rows, const CadenceStep *step, bool has_ordem, int ordem,
		  const char *template_codigo, const char *type, Datum details)
{
	pg_uuid_t id;

	cadence_uuid_v7(&id);
	rowset_put_uuid(rows, &id);
	rowset_put_uuid(rows, &step->run_id);
	put_int_if(rows, has_ordem, ordem);
	rowset_put_text(rows, template_codigo);
	rowset_put_text(rows, type);
	rowset_put_datum(rows, details);
}

/* At most two events per step. */
static void
insert_events(CadenceRecorder *r, CadenceStep **steps, int n)
{
	Rowset rows;

	rowset_begin(&rows, event_columns, lengthof(event_columns));
	for (int i = 0; i < n; i++)
	{
		const CadenceStep *s = steps[i];

		if (s->outcome == OUTCOME_SENT)
			add_event(&rows, s, true, s->ordem, s->template_codigo, "DISPARADO",
					  event_sent_details(s));
		else if (s->outcome != OUTCOME_NO_STEP && s->outcome != OUTCOME_UNSENT &&
				 s->outcome != OUTCOME_WAITING)
			add_event(&rows, s, s->has_step, s->ordem, s->template_codigo, "ERRO",
					  event_error_details(s));
		if (s->outcome == OUTCOME_SENT && !s->lost && s->as_planned && s->plan.has_due)
			add_event(&rows, s, true, s->next_ordem, s->next_template, "AGENDADO",
					  event_scheduled_details(s));
	}
	execute_rows(&r->events, &rows);
}

/* An inactive cadence is said once per pause, not every time that its runs come by. */
static void
insert_waiting_events(CadenceRecorder *r, CadenceStep **steps, int n)
{
	for (int i = 0; i < n; i++)
	{
		const CadenceStep *s = steps[i];
		pg_uuid_t id;
		char nulls[] = "      ";
		Datum values[lengthof(event_once_types)];

		if (s->outcome != OUTCOME_WAITING || s->lost)
			continue;
		cadence_uuid_v7(&id);
		values[0] = UUIDPGetDatum(&id);
		values[1] = UUIDPGetDatum(&s->run_id);
		values[2] = Int32GetDatum(s->ordem);
		values[4] = CStringGetTextDatum("ERRO");
		values[5] = event_error_details(s);
		if (!s->has_step)
			nulls[2] = 'n';
		if (s->template_codigo != NULL)
			values[3] = CStringGetTextDatum(s->template_codigo);
		else
			nulls[3] = 'n';
		statement_execute(&r->event_once, values, nulls, 0);
	}
}

static void
add_message(Rowset *rows, const CadenceStep *step)
{
	bool is_whatsapp = pg_strcasecmp(step->canal, "WHATSAPP") == 0;
	bool is_email = pg_strcasecmp(step->canal, "EMAIL") == 0;
	pg_uuid_t id;

	cadence_uuid_v7(&id);
	rowset_put_uuid(rows, &id);
	rowset_put_text(rows, step->lead_id);
	rowset_put_text(rows, step->empresa);
	rowset_put_text(rows, step->canal);
	rowset_put_text(rows, step->message);
	rowset_put_uuid(rows, &step->run_id);
	rowset_put_int(rows, step->ordem);
	rowset_put_text(rows, step->template_codigo);
	rowset_put_time(rows, step->answer.at);
	rowset_put_text(rows, is_whatsapp ? step->answer.message_id : NULL);
	rowset_put_text(rows, is_email ? step->answer.message_id : NULL);
}

static void
insert_messages(CadenceRecorder *r, CadenceStep **steps, int n)
{
	Rowset rows;

	rowset_begin(&rows, message_columns, lengthof(message_columns));
	for (int i = 0; i < n; i++)
		if (steps[i]->outcome == OUTCOME_SENT && steps[i]->request.configuration->record_message)
			add_message(&rows, steps[i]);
	execute_rows(&r->messages, &rows);
}

/*
 * Writes one piece of the record of some steps, inside the caller's transaction.
 */
void
cadence_record_piece(CadenceRecorder *r, CadenceStep **steps, int n, RecordPiece piece)
{
	if (piece == RECORD_ALL || piece == RECORD_MOVE)
	{
		move_runs(r, steps, n);
		settle_late(r, steps, n);
	}
	if (piece == RECORD_PAUSE)
		for (int i = 0; i < n; i++)
			pause_run(r, steps[i]);
	if (piece == RECORD_ALL || piece == RECORD_EVENTS)
	{
		insert_events(r, steps, n);
		insert_waiting_events(r, steps, n);
	}
	if (piece == RECORD_ALL || piece == RECORD_MESSAGE)
		insert_messages(r, steps, n);
}

/*
 * Records a batch inside the caller's transaction. Each step's plan and lost
 * are set; recorded is the caller's to set, after the commit.
 */
void
cadence_record(CadenceRecorder *r, CadenceStep **steps, int n)
{
	cadence_record_piece(r, steps, n, RECORD_ALL);
}

/*
 * The last chance before a stop, with a table locked: the runs' moves and the
 * events, so that what was sent is not sent again. The message rows are lost,
 * and the events say so.
 */
void
cadence_record_essentials(CadenceRecorder *r, CadenceStep **steps, int n)
{
	for (int i = 0; i < n; i++)
		if (steps[i]->outcome == OUTCOME_SENT && steps[i]->record_problem == NULL)
			steps[i]->record_problem = "the message row could not be written before the stop";
	cadence_record_piece(r, steps, n, RECORD_MOVE);
	cadence_record_piece(r, steps, n, RECORD_EVENTS);
}
