/*
 * record.c
 *		Record: message rows, event rows and the run's move.
 *
 * A batch is three statements whatever its size. The first moves the runs and
 * tells which claims are still ours; where one is not, somebody else has the
 * run, and only the late answer is kept as an event.
 *
 * When a batch fails, some row of it does, perhaps only by a deferred
 * constraint. Each step is then recorded in a subtransaction of its own, and
 * what the tables refuse of one step is left out piece by piece: that its run
 * moves on matters most, since a message that was sent must not be sent again.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "array.h"
#include "event.h"
#include "plan.h"
#include "provider.h"
#include "record.h"
#include "settings.h"
#include "transaction.h"

/* How much of a step is written; each level leaves out one thing more. */
typedef enum RecordLevel
{
	RECORD_ALL,
	RECORD_NO_MESSAGE,
	RECORD_MOVE_ONLY,
	RECORD_PAUSE_ONLY
} RecordLevel;

typedef struct Statement
{
	char *sql;
	int nargs;
	const Oid *types;
	SPIPlanPtr plan;
} Statement;

struct CadenceRecorder
{
	Statement move;
	Statement pause;
	Statement events;
	Statement event_once;
	Statement messages;
};

static const Oid move_types[] = {UUIDARRAYOID, UUIDARRAYOID,		TIMESTAMPTZARRAYOID,
								 TEXTARRAYOID, BOOLARRAYOID,		INT4ARRAYOID,
								 INT4ARRAYOID, TIMESTAMPTZARRAYOID, INT4ARRAYOID};
static const Oid pause_types[] = {UUIDOID, UUIDOID, TIMESTAMPTZOID};
static const Oid event_types[] = {UUIDARRAYOID, UUIDARRAYOID, INT4ARRAYOID,
								  TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID};
static const Oid event_once_types[] = {UUIDOID, UUIDOID, INT4OID, TEXTOID, TEXTOID, TEXTOID};
static const Oid message_types[] = {UUIDARRAYOID, TEXTARRAYOID, TEXTARRAYOID,		 TEXTARRAYOID,
									TEXTARRAYOID, UUIDARRAYOID, TIMESTAMPTZARRAYOID, INT4ARRAYOID,
									TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID};

/*
 * A run that was paused or cancelled while its message was under way keeps
 * that status, but moves past the step that was sent.
 */
static char *
move_sql(const CadenceTables *t)
{
	return psprintf(
		"UPDATE %s AS r SET "
		"status = CASE WHEN r.status = 'ATIVA' THEN d.status::%s ELSE r.status END, "
		"last_step_ordem = CASE WHEN d.advance THEN COALESCE(d.ordem, r.last_step_ordem) "
		"ELSE r.last_step_ordem END, "
		"next_step_ordem = CASE WHEN d.advance THEN d.next_ordem ELSE r.next_step_ordem END, "
		"next_run_at = d.next_due, attempts = d.attempts, claim_id = NULL, updated_at = now() "
		"FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) WITH ORDINALITY "
		"AS d(id, claim_id, lease_end, status, advance, ordem, next_ordem, next_due, attempts, n) "
		"WHERE r.id = ANY ($1) AND r.id = d.id AND r.claim_id = d.claim_id "
		"AND r.next_run_at = d.lease_end RETURNING d.n",
		t->runs, t->run_status_type);
}

static char *
pause_sql(const CadenceTables *t)
{
	return psprintf("UPDATE %s SET status = 'PAUSADA', claim_id = NULL "
					"WHERE id = $1 AND claim_id = $2 AND next_run_at = $3",
					t->runs);
}

static char *
events_sql(const CadenceTables *t)
{
	return psprintf("INSERT INTO %s (id, lead_cadence_run_id, step_ordem, template_codigo, "
					"tipo_evento, detalhes, created_at) "
					"SELECT d.id, d.run_id, d.ordem, d.template, d.tipo::%s, d.detalhes::jsonb, "
					"now() FROM unnest($1, $2, $3, $4, $5, $6) "
					"AS d(id, run_id, ordem, template, tipo, detalhes)",
					t->events, t->event_type_type);
}

/* Unless the run's last event says the same already. */
static char *
event_once_sql(const CadenceTables *t)
{
	return psprintf("INSERT INTO %s (id, lead_cadence_run_id, step_ordem, template_codigo, "
					"tipo_evento, detalhes, created_at) "
					"SELECT $1, $2, $3, $4, $5::%s, $6::jsonb, now() "
					"WHERE COALESCE((SELECT e.detalhes ->> 'codigo' FROM %s AS e "
					"WHERE e.lead_cadence_run_id = $2 ORDER BY e.created_at DESC, e.id DESC "
					"LIMIT 1), '') <> $6::jsonb ->> 'codigo'",
					t->events, t->event_type_type, t->events);
}

static char *
messages_sql(const CadenceTables *t)
{
	return psprintf("INSERT INTO %s (id, lead_id, empresa, canal, direcao, conteudo, estado, "
					"run_id, enviado_em, step_ordem, template_codigo, whatsapp_message_id, "
					"email_message_id, created_at, updated_at) "
					"SELECT d.id, d.lead_id, d.empresa::%s, d.canal::%s, 'OUTBOUND', d.conteudo, "
					"'ENVIADO', d.run_id, d.enviado_em, d.ordem, d.template, d.whatsapp, d.email, "
					"now(), now() FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) "
					"AS d(id, lead_id, empresa, canal, conteudo, run_id, enviado_em, ordem, "
					"template, whatsapp, email)",
					t->messages, t->message_empresa_type, t->message_canal_type);
}

#define STATEMENT(text, argtypes) \
	((Statement){.sql = (text), .nargs = lengthof(argtypes), .types = (argtypes)})

CadenceRecorder *
cadence_recorder_create(const CadenceTables *t)
{
	CadenceRecorder *r = palloc0(sizeof(*r));

	r->move = STATEMENT(move_sql(t), move_types);
	r->pause = STATEMENT(pause_sql(t), pause_types);
	r->events = STATEMENT(events_sql(t), event_types);
	r->event_once = STATEMENT(event_once_sql(t), event_once_types);
	r->messages = STATEMENT(messages_sql(t), message_types);
	return r;
}

static void
execute(Statement *statement, Datum *values, const char *nulls)
{
	int rc;

	if (statement->plan == NULL)
	{
		statement->plan = SPI_prepare(statement->sql, statement->nargs, (Oid *) statement->types);
		if (statement->plan == NULL || SPI_keepplan(statement->plan) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not prepare the record: %s",
															 SPI_result_code_string(SPI_result))));
	}
	rc = SPI_execute_plan(statement->plan, values, nulls, false, 0);
	if (rc < 0)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("recording failed: %s", SPI_result_code_string(rc))));
}

static void
execute_columns(Statement *statement, const ColumnArray *columns)
{
	Datum values[16];

	for (int i = 0; i < statement->nargs; i++)
		values[i] = column_array(&columns[i]);
	execute(statement, values, NULL);
}

static void
init_columns(ColumnArray *columns, const Statement *statement, int capacity)
{
	for (int i = 0; i < statement->nargs; i++)
		column_init(&columns[i], get_element_type(statement->types[i]), capacity);
}

/* What the plan needs to know, from the step and the settings. */
static RunPlan
plan_step(const CadenceStep *step)
{
	PlanInput in = {.outcome = step->outcome,
					.attempts = step->attempts,
					.max_attempts = cadence_max_attempts,
					.hold = step->provider != NULL && step->provider->hold,
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

static void
add_move(ColumnArray *c, const CadenceStep *step)
{
	const RunPlan *plan = &step->plan;
	bool moved_on = plan->advance && step->has_step;

	column_add_uuid(&c[0], &step->run_id);
	column_add_uuid(&c[1], &step->batch->claim_id);
	column_add_time(&c[2], step->lease_end);
	column_add_text(&c[3], status_text(plan->status));
	column_add_bool(&c[4], plan->advance);
	if (moved_on)
		column_add_int(&c[5], step->ordem);
	else
		column_add_null(&c[5]);
	if (moved_on && step->has_next)
		column_add_int(&c[6], step->next_ordem);
	else
		column_add_null(&c[6]);
	if (plan->has_due)
		column_add_time(&c[7], plan->next_due);
	else
		column_add_null(&c[7]);
	column_add_int(&c[8], plan->attempts);
}

/* Moves the runs and notes whose claims were lost. */
static void
move_runs(CadenceRecorder *r, CadenceStep **steps, int n)
{
	ColumnArray columns[lengthof(move_types)];

	init_columns(columns, &r->move, n);
	for (int i = 0; i < n; i++)
	{
		steps[i]->plan = plan_step(steps[i]);
		steps[i]->lost = true;
		add_move(columns, steps[i]);
	}
	execute_columns(&r->move, columns);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool isnull;
		Datum number = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);

		steps[DatumGetInt64(number) - 1]->lost = false;
	}
	SPI_freetuptable(SPI_tuptable);
}

static void
pause_run(CadenceRecorder *r, CadenceStep *step)
{
	Datum values[] = {UUIDPGetDatum(&step->run_id), UUIDPGetDatum(&step->batch->claim_id),
					  TimestampTzGetDatum(step->lease_end)};

	step->plan = (RunPlan){.status = RUN_PAUSED, .permanent = true};
	execute(&r->pause, values, NULL);
	step->lost = SPI_processed == 0;
}

static void
add_event(ColumnArray *c, pg_uuid_t *id, const CadenceStep *step, bool has_ordem, int ordem,
		  const char *template_codigo, const char *type, const char *details)
{
	cadence_uuid_v7(id);
	column_add_uuid(&c[0], id);
	column_add_uuid(&c[1], &step->run_id);
	if (has_ordem)
		column_add_int(&c[2], ordem);
	else
		column_add_null(&c[2]);
	column_add_text(&c[3], template_codigo);
	column_add_text(&c[4], type);
	column_add_text(&c[5], details);
}

/* At most two events per step. */
static void
insert_events(CadenceRecorder *r, CadenceStep **steps, int n)
{
	ColumnArray columns[lengthof(event_types)];
	pg_uuid_t *ids = palloc(sizeof(pg_uuid_t) * n * 2);

	init_columns(columns, &r->events, n * 2);
	for (int i = 0; i < n; i++)
	{
		const CadenceStep *s = steps[i];

		if (s->outcome == OUTCOME_SENT)
			add_event(columns, ids++, s, true, s->ordem, s->template_codigo, "DISPARADO",
					  event_sent_details(s));
		else if (s->outcome != OUTCOME_NO_STEP && s->outcome != OUTCOME_UNSENT &&
				 s->outcome != OUTCOME_WAITING)
			add_event(columns, ids++, s, s->has_step, s->ordem, s->template_codigo, "ERRO",
					  event_error_details(s));
		if (s->outcome == OUTCOME_SENT && !s->lost && s->plan.has_due)
			add_event(columns, ids++, s, true, s->next_ordem, s->next_template, "AGENDADO",
					  event_scheduled_details(s));
	}
	if (columns[0].n > 0)
		execute_columns(&r->events, columns);
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
		values[5] = CStringGetTextDatum(event_error_details(s));
		if (!s->has_step)
			nulls[2] = 'n';
		if (s->template_codigo != NULL)
			values[3] = CStringGetTextDatum(s->template_codigo);
		else
			nulls[3] = 'n';
		execute(&r->event_once, values, nulls);
	}
}

static void
add_message(ColumnArray *c, pg_uuid_t *id, const CadenceStep *step)
{
	bool is_whatsapp = pg_strcasecmp(step->canal, "WHATSAPP") == 0;
	bool is_email = pg_strcasecmp(step->canal, "EMAIL") == 0;

	cadence_uuid_v7(id);
	column_add_uuid(&c[0], id);
	column_add_text(&c[1], step->lead_id);
	column_add_text(&c[2], step->empresa);
	column_add_text(&c[3], step->canal);
	column_add_text(&c[4], step->message);
	column_add_uuid(&c[5], &step->run_id);
	column_add_time(&c[6], step->answer.at);
	column_add_int(&c[7], step->ordem);
	column_add_text(&c[8], step->template_codigo);
	column_add_text(&c[9], is_whatsapp ? step->answer.message_id : NULL);
	column_add_text(&c[10], is_email ? step->answer.message_id : NULL);
}

static void
insert_messages(CadenceRecorder *r, CadenceStep **steps, int n)
{
	ColumnArray columns[lengthof(message_types)];
	pg_uuid_t *ids = palloc(sizeof(pg_uuid_t) * n);

	init_columns(columns, &r->messages, n);
	for (int i = 0; i < n; i++)
		if (steps[i]->outcome == OUTCOME_SENT && steps[i]->provider->record_message)
			add_message(columns, ids++, steps[i]);
	if (columns[0].n > 0)
		execute_columns(&r->messages, columns);
}

static void
write_steps(CadenceRecorder *r, CadenceStep **steps, int n, RecordLevel level)
{
	if (level == RECORD_PAUSE_ONLY)
	{
		for (int i = 0; i < n; i++)
			pause_run(r, steps[i]);
		return;
	}
	move_runs(r, steps, n);
	if (level < RECORD_MOVE_ONLY)
	{
		insert_events(r, steps, n);
		insert_waiting_events(r, steps, n);
	}
	if (level < RECORD_NO_MESSAGE)
		insert_messages(r, steps, n);
}

/*
 * Records a batch inside the caller's transaction. Each step's plan and lost
 * are set; recorded is the caller's to set, after the commit.
 */
void
cadence_record(CadenceRecorder *r, CadenceStep **steps, int n)
{
	write_steps(r, steps, n, RECORD_ALL);
}

/* Errors that say nothing about the row: to be tried again as it is. */
static bool
is_about_the_moment(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_SYSTEM_ERROR:
			return true;
		default:
			return sqlstate == ERRCODE_LOCK_NOT_AVAILABLE;
	}
}

/* One step, in a subtransaction; NULL, or the error that undid it. */
static ErrorData *
try_record(CadenceRecorder *r, CadenceStep *step, RecordLevel level)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		write_steps(r, &step, 1, level);
		cadence_xact_fire_deferred();
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

/* The first error says why a step is not recorded as it should be. */
static void
note_problem(CadenceStep *step, const char *message)
{
	if (step->record_problem == NULL)
		step->record_problem = MemoryContextStrdup(step->batch->context, message);
}

static void
give_up(CadenceStep *step, const ErrorData *error)
{
	note_problem(step, error->message);
	step->recorded = true;
	ereport(WARNING, (errcode(error->sqlerrcode),
					  errmsg("run %s could not be recorded: %s", step->run_id_text, error->message),
					  errhint("It is due again when its lease ends, and may then be sent twice.")));
}

/*
 * Writes as much of a step as its tables take. What only the moment prevents
 * is worth another try while the claim lasts.
 */
static void
record_as_far_as_possible(CadenceRecorder *r, CadenceStep *step)
{
	ErrorData *error = NULL;

	for (RecordLevel level = RECORD_ALL; level <= RECORD_PAUSE_ONLY; level++)
	{
		error = try_record(r, step, level);
		if (error == NULL)
		{
			step->recorded = true;
			return;
		}
		if (is_about_the_moment(error->sqlerrcode))
			break;
		note_problem(step, error->message);
	}
	if (!is_about_the_moment(error->sqlerrcode) || GetCurrentTimestamp() >= step->lease_end)
		give_up(step, error);
}

/*
 * Records steps of a batch that failed, each by itself, inside the caller's
 * transaction. A step that only the moment prevented (a lock, a full disk)
 * keeps recorded = false.
 */
void
cadence_record_one_by_one(CadenceRecorder *r, CadenceStep **steps, int n)
{
	for (int i = 0; i < n; i++)
	{
		steps[i]->recorded = false;
		record_as_far_as_possible(r, steps[i]);
		CHECK_FOR_INTERRUPTS();
	}
}
