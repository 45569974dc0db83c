/*
 * event.c
 *		Events: what has happened to a run, for people to read.
 *
 * What the message's row says anyway is left out of the details of what was sent,
 * which are much of what a step writes.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/json.h"
#include "base/row.h"
#include "base/statement.h"
#include "base/uuid.h"
#include "provider/provider.h"
#include "record/event.h"
#include "record/tally.h"

struct CadenceEvents
{
	Statement insert;
	Statement insert_told; /* says which */
	Statement date;
	CadenceTally *tally;
};

static const RowsetColumn event_columns[] = {{"id", UUIDOID},
											 {"run_id", UUIDOID},
											 {"ordem", INT4OID},
											 {"template", TEXTOID},
											 {"tipo", TEXTOID},
											 {"detalhes", JSONBOID},
											 {"said_since", TIMESTAMPTZOID}};

static const RowsetColumn reason_columns[] = {
	{"n", INT4OID}, {"run_id", UUIDOID}, {"codigo", TEXTOID}};

/* The run's last event, in a query over rows that name runs. */
#define LAST_EVENT                                   \
	"(SELECT x.detalhes, x.created_at FROM %s AS x " \
	"WHERE x.lead_cadence_run_id " EQ " d.run_id "   \
	"ORDER BY x.created_at DESC, x.id DESC LIMIT 1) AS e "
#define CODE "e.detalhes " JSON_TEXT " 'codigo' " EQ " "

/*
 * The last one says how it stands with a run, and a transaction of somebody's may have
 * begun long before that: not when it began is the event's date. One for all of a
 * statement's rows, which their ids keep in order.
 */
#define WRITTEN_NOW "(SELECT pg_catalog.clock_timestamp())"

enum
{
	DATED_NUMBER = 1,
	DATED_AT
};

static char *
insert_sql(const CadenceTables *t)
{
	Oid events = get_relname_relid("lead_cadence_events", t->schema);

	return psprintf("INSERT INTO %s (id, lead_cadence_run_id, step_ordem, template_codigo, "
					"tipo_evento, detalhes, created_at) "
					"SELECT d.id, d.run_id, %s, %s, d.tipo::%s, d.detalhes, " WRITTEN_NOW
					" FROM " ROWSET_NAME " AS d WHERE d.said_since IS NULL OR NOT EXISTS ("
					"SELECT FROM " LAST_EVENT "WHERE e.created_at " GE " d.said_since "
					"AND " CODE "(d.detalhes " JSON_TEXT " 'codigo') AND e.detalhes " JSON_TEXT
					" 'erro' " EQ " (d.detalhes " JSON_TEXT " 'erro'))",
					t->events, cadence_value_or(events, "step_ordem", "d.ordem", "0"),
					cadence_value_or(events, "template_codigo", "d.template", "''"),
					t->event_type_type, t->events);
}

static char *
date_sql(const CadenceTables *t)
{
	return psprintf("SELECT d.n, e.created_at::timestamptz FROM " ROWSET_NAME
					" AS d CROSS JOIN LATERAL " LAST_EVENT "WHERE " CODE "d.codigo",
					t->events);
}

/* In the current memory context. */
CadenceEvents *
cadence_events_create(const CadenceTables *t)
{
	CadenceEvents *events = palloc0(sizeof(*events));

	events->insert = ROWS_STATEMENT("writing events", insert_sql(t), SPI_OK_INSERT);
	events->insert_told = ROWS_STATEMENT(
		"writing events", psprintf("%s RETURNING id::pg_catalog.uuid", insert_sql(t)),
		SPI_OK_INSERT_RETURNING);
	events->tally = cadence_tally_create(t);
	events->date = ROWS_STATEMENT("dating reasons", date_sql(t), SPI_OK_SELECT);
	return events;
}

/*
 * Whether a step is put off for longer each time: where nobody says until when,
 * and nobody else waits with it.
 */
bool
cadence_wait_grows(const CadenceStep *step)
{
	return step->outcome == OUTCOME_PUT_OFF && step->answer.at != 0 &&
		   step->answer.class == CLASS_LATER && !step->answer.says_when &&
		   !step->answer.stops_first_touches;
}

/*
 * Since when unresolved steps have been so for the same reason, as their last
 * event says; and since when those that wait longer each time have waited. That
 * the reason is said again once a day makes no difference: the wait is at its
 * longest by then, and the new event as old at the next look.
 */
void
cadence_events_date(CadenceEvents *events, CadenceStep **steps, int n)
{
	Rowset rows;

	rowset_begin(&rows, reason_columns, lengthof(reason_columns));
	for (int i = 0; i < n; i++)
	{
		if (steps[i]->outcome != OUTCOME_UNRESOLVED && !cadence_wait_grows(steps[i]))
			continue;
		rowset_put_int(&rows, i);
		rowset_put_uuid(&rows, &steps[i]->run_id);
		rowset_put_text(&rows, steps[i]->reason.code);
	}
	if (rows.n > 0)
	{
		statement_execute(&events->date, NULL, NULL, 0);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			HeapTuple row = SPI_tuptable->vals[i];
			TupleDesc desc = SPI_tuptable->tupdesc;

			steps[row_int(desc, row, DATED_NUMBER, 0)]->same_since =
				row_time(desc, row, DATED_AT, 0);
		}
		SPI_freetuptable(SPI_tuptable);
	}
	rowset_end(&rows);
}

static bool
is_error(const CadenceEvent *event)
{
	return strcmp(event->type, "ERRO") == 0;
}

/* Under an id of ours. */
static void
put_event(Rowset *rows, const CadenceEvent *event, pg_uuid_t *id)
{
	cadence_uuid_v7(id);
	rowset_put_uuid(rows, id);
	rowset_put_uuid(rows, event->run_id);
	rowset_put_if(rows, event->has_ordem, Int32GetDatum(event->ordem));
	rowset_put_text(rows, event->template_codigo);
	rowset_put_text(rows, event->type);
	rowset_put_datum(rows, event->detalhes);
	rowset_put_if(rows, event->said_since != 0, TimestampTzGetDatum(event->said_since));
}

/* ---- errors are counted --------------------------------------------------------------- */

static TallyRun
count_error(const CadenceEvent *event)
{
	JsonbContainer *details = &DatumGetJsonbP(event->detalhes)->root;

	return (TallyRun){.row = {.kind = "error",
							  .server = json_get_text(details, "provedor"),
							  .canal = json_get_text(details, "canal"),
							  .code = json_get_text(details, "codigo"),
							  .template_codigo = event->template_codigo,
							  .n = 1},
					  .run = *event->run_id};
}

static void
count_errors(CadenceEvents *events, const CadenceEvent *list, const bool *written, int n)
{
	TallyRun *counted = palloc(sizeof(*counted) * Max(n, 1));
	int ncounted = 0;

	for (int i = 0; i < n; i++)
		if (is_error(&list[i]) && list[i].is_written != NULL)
			*list[i].is_written = written[i];
		else if (is_error(&list[i]) && written[i])
			counted[ncounted++] = count_error(&list[i]);
	cadence_tally_runs(events->tally, counted, ncounted);
	pfree(counted);
}

/* ---- writing ---------------------------------------------------------------------------- */

static int
compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, UUID_LEN);
}

/* Which of them the statement has written: neither those that say nothing new, nor what a trigger
 * has kept out. */
static void
find_written(const pg_uuid_t *ids, bool *written, int n)
{
	pg_uuid_t *found = palloc(sizeof(*found) * Max(SPI_processed, 1));
	size_t nfound = 0;

	for (uint64 i = 0; i < SPI_processed; i++)
		if (row_uuid(SPI_tuptable->tupdesc, SPI_tuptable->vals[i], 1, &found[nfound]))
			nfound++;
	qsort(found, nfound, sizeof(*found), compare_ids);
	for (int i = 0; i < n; i++)
		written[i] = bsearch(&ids[i], found, nfound, sizeof(*found), compare_ids) != NULL;
	pfree(found);
}

/* Writes events inside the caller's transaction and SPI connection. */
void
cadence_events_write(CadenceEvents *events, const CadenceEvent *list, int n)
{
	pg_uuid_t *ids = palloc(sizeof(*ids) * Max(n, 1));
	bool *written = palloc0(sizeof(*written) * Max(n, 1));
	bool has_errors = false;
	Rowset rows;

	if (n == 0)
		return;
	rowset_begin(&rows, event_columns, lengthof(event_columns));
	for (int i = 0; i < n; i++)
	{
		put_event(&rows, &list[i], &ids[i]);
		has_errors = has_errors || is_error(&list[i]);
	}
	statement_execute(has_errors ? &events->insert_told : &events->insert, NULL, NULL, 0);
	rowset_end(&rows);
	if (has_errors)
	{
		find_written(ids, written, n);
		SPI_freetuptable(SPI_tuptable);
		count_errors(events, list, written, n);
	}
	pfree(written);
	pfree(ids);
}

/* ---- the column "detalhes" ---------------------------------------------------------- */

/* decision: of an operator, in one word; NULL: none. */
static void
add_decision(JsonObject *details, const char *decision)
{
	if (decision == NULL)
		return;
	json_add_text(details, "decidido", decision);
	json_add_text(details, "por", GetUserNameFromId(GetUserId(), false));
}

/* By it the step is known when its number has become another one's. */
static void
add_step_id(JsonObject *details, const pg_uuid_t *id)
{
	char *text = palloc(UUID_TEXT_SIZE);

	cadence_uuid_text(id, text);
	json_add_text(details, "passo", text);
}

Datum
event_scheduled_details(TimestampTz due, const char *decision)
{
	JsonObject details = json_begin();

	json_add_time(&details, "next_run_at", due);
	add_decision(&details, decision);
	return json_end(&details);
}

/* Of a step that was not sent after all, and is tried again. step: NULL: there is none. */
Datum
event_unsent_details(TimestampTz due, const pg_uuid_t *step)
{
	JsonObject details = json_begin();

	json_add_time(&details, "next_run_at", due);
	if (step != NULL)
		add_step_id(&details, step);
	add_decision(&details, "NAO_ENVIADO");
	return json_end(&details);
}

/* The first uncertain attempt's is what all later ones send. */
static bool
keeps_request(const CadenceStep *step)
{
	return step->outcome == OUTCOME_UNCERTAIN && step->texts != NULL && step->kept == NULL &&
		   !step->lost;
}

/* Without what is not true any more of an attempt that was sent after all. */
static Datum
without_doubt(Datum details)
{
	static const char *const no_more[] = {"codigo", "erro",	   "permanente", "proxima_tentativa",
										  "pedido", "resposta"};

	for (size_t i = 0; i < lengthof(no_more); i++)
		details = DirectFunctionCall2(jsonb_delete, details, CStringGetTextDatum(no_more[i]));
	return details;
}

/* Of what was held for review, and counts as sent now. */
static Datum
let_go_details(const CadenceStep *step)
{
	JsonObject details = json_begin();

	json_add_text_if(&details, "registro", step->record_problem);
	return without_doubt(
		DirectFunctionCall2(jsonb_concat, step->held->details, json_end(&details)));
}

/*
 * Of an attempt. That of what was sent leaves out what the message's row says;
 * the key is needed to ask a provider about what is uncertain.
 */
Datum
event_step_details(const CadenceStep *step)
{
	JsonObject details = json_begin();
	bool is_sent = step->outcome == OUTCOME_SENT;
	bool has_message = false;
	int http_status = step->answer.http_status;

	if (step->held != NULL)
		return let_go_details(step);
	if (is_sent)
		has_message = step->request.configuration->record_message;
	json_add_text_if(&details, "canal",
					 has_message && step->record_problem == NULL ? NULL : step->canal);
	if (step->request.provider != NULL)
	{
		json_add_text(&details, "provedor", step->request.configuration->name);
		json_add_int(&details, "tentativa", step->attempts);
		if (step->has_step && (!is_sent || step->edition != NULL))
			add_step_id(&details, &step->step_id);
	}
	if (!is_sent && step->key_text[0] != '\0')
		json_add_text(&details, "chave", step->key_text);
	if (step->answer.elapsed_us > 0)
		json_add_int(&details, "duracao_ms", step->answer.elapsed_us / 1000);
	if (step->lost || step->late)
		json_add_bool(&details, "tardio", true);
	json_add_text_if(&details, "registro", step->record_problem);
	if (http_status != 0 && !(is_sent && http_status == 200))
		json_add_int(&details, "http_status", http_status);
	if (cadence_was_accepted(step))
		json_add_text_if(&details, "message_id", step->answer.message_id);
	if (is_sent)
		return json_end(&details);

	json_add_text(&details, "codigo", step->reason.code);
	json_add_text(&details, "erro", step->reason.text);
	if (step->answer.number != 0 && step->outcome != OUTCOME_PUT_OFF)
		json_add_int(&details, "resposta", step->answer.number);
	json_add_text_if(&details, "motivo", step->opt_out_motivo);
	if (!step->lost && step->transition.permanent)
		json_add_bool(&details, "permanente", true);
	if (!step->lost && step->transition.exhausted)
		json_add_bool(&details, "tentativas_esgotadas", true);
	if (keeps_request(step))
		kept_add(&details, step->request.configuration->server, step->operation, step->texts);
	if (!step->lost && step->as_decided && step->transition.has_due)
		json_add_time(&details, "proxima_tentativa", step->transition.next_due);
	return json_end(&details);
}

Datum
event_cancelled_details(const char *motivo)
{
	JsonObject details = json_begin();

	json_add_text(&details, "codigo", "CANCELADA");
	json_add_text(&details, "erro", "the run was cancelled");
	json_add_text_if(&details, "motivo", motivo);
	json_add_bool(&details, "permanente", true);
	return json_end(&details);
}

/* Of an attempt that was sent after all: what its own event says of it, if it has one. */
Datum
event_settled_details(const Datum *uncertain)
{
	JsonObject details = json_begin();
	Datum result;

	add_decision(&details, "ENVIADO");
	result = json_end(&details);
	if (uncertain == NULL)
		return result;
	return without_doubt(DirectFunctionCall2(jsonb_concat, *uncertain, result));
}
