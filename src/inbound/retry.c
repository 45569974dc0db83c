/*
 * retry.c
 *		cadence_rejected_retry(): what was rejected is tried again.
 *
 * An event that was read is acted upon as it was read. One that no rule knew is
 * read again from the whole call, with all others that came with it: they
 * happen once, however often they are told.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/row.h"
#include "base/statement.h"
#include "base/transaction.h"
#include "inbound/events.h"
#include "inbound/sender.h"

PG_FUNCTION_INFO_V1(cadence_rejected_retry);

/* So many are read at once. */
#define ROWS_MAX 100
#define ROW_TEXT_MAX (8 * 1024 * 1024)

typedef struct RejectedEvent
{
	pg_uuid_t id;
	char *server;
	char *empresa;
	char *event; /* as it was read; NULL: it was not */
	char *body;	 /* the whole call, or the element where it is that; NULL: not kept */
} RejectedEvent;

typedef struct Retry
{
	const CadenceTables *tables;
	Statement look;
	Statement remove;
	Statement keep;
	Datum only; /* of this server; 0: of all */
	Datum now;	/* which of them this transaction has not tried */
	MemoryContext scratch;
} Retry;

/* ---- rows ------------------------------------------------------------------------------- */

/* For so long what came early is expected; then it was nobody's, but for a failure. */
#define EARLY_IS "x.motivo " EQ " '" CADENCE_EARLY "' AND "
#define EARLY_SINCE "($2 OPERATOR(pg_catalog.-) interval '10 minutes')"

/* Of which rows: "" of all. */
static Retry *
begin_retry(const CadenceTables *t, const char *which)
{
	static const Oid look_types[] = {TEXTOID, TIMESTAMPTZOID};
	static const Oid remove_types[] = {UUIDOID};
	static const Oid keep_types[] = {UUIDOID, TEXTOID, TEXTOID, TIMESTAMPTZOID};
	Retry *r = palloc0(sizeof(*r));

	r->tables = t;
	r->look = STATEMENT(
		"looking for rejected events",
		psprintf("SELECT x.id::pg_catalog.uuid, x.server, x.evento::pg_catalog.text, "
				 "COALESCE(x.corpo, x.elemento)::pg_catalog.text, x.empresa FROM %s AS x "
				 "WHERE %s x.id IS NOT NULL AND ($1 IS NULL OR x.server " EQ
				 " $1) AND (x.tentado_em IS NULL OR "
				 "x.tentado_em " LT " $2) ORDER BY x.em, x.id LIMIT %d FOR UPDATE SKIP LOCKED",
				 t->rejected, which, ROWS_MAX),
		look_types, SPI_OK_SELECT);
	r->remove = STATEMENT("taking a rejected event",
						  psprintf("DELETE FROM %s WHERE id " EQ " $1", t->rejected), remove_types,
						  SPI_OK_DELETE);
	r->keep =
		STATEMENT("rejecting an event again",
				  psprintf("UPDATE %s SET motivo = $2, codigo = $3, tentado_em = $4, "
						   "tentativas = tentativas OPERATOR(pg_catalog.+) 1 WHERE id " EQ " $1",
						   t->rejected),
				  keep_types, SPI_OK_UPDATE);
	r->now = TimestampTzGetDatum(GetCurrentTimestamp());
	r->scratch = AllocSetContextCreate(CurrentMemoryContext, "cadence_runner rejected event",
									   ALLOCSET_DEFAULT_SIZES);
	return r;
}

/* The next rows, locked until the transaction ends, in the current memory context. */
static int
look(Retry *r, RejectedEvent *rows)
{
	Datum values[] = {r->only, r->now};
	MemoryContext context = CurrentMemoryContext;
	int n;

	(void) SPI_connect();
	MemoryContextSwitchTo(context);
	statement_execute(&r->look, values, r->only == 0 ? "n " : NULL, 0);
	n = SPI_processed;
	for (int i = 0; i < n; i++)
	{
		HeapTuple tuple = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;

		(void) row_uuid(desc, tuple, 1, &rows[i].id);
		rows[i].server = row_text(desc, tuple, 2, ROW_KEY_MAX);
		rows[i].event = row_text(desc, tuple, 3, ROW_TEXT_MAX);
		rows[i].body = row_text(desc, tuple, 4, ROW_TEXT_MAX);
		rows[i].empresa = row_text(desc, tuple, 5, ROW_KEY_MAX);
	}
	SPI_finish();
	MemoryContextSwitchTo(context);
	return n;
}

static void
put_back(Retry *r, const RejectedEvent *row, const InboundOutcome *outcome)
{
	Datum values[] = {UUIDPGetDatum(&row->id),
					  outcome->refused != NULL ? CStringGetTextDatum(outcome->refused) : (Datum) 0,
					  outcome->sqlstate != 0
						  ? CStringGetTextDatum(unpack_sql_state(outcome->sqlstate))
						  : (Datum) 0,
					  r->now};

	(void) SPI_connect();
	if (outcome->refused == NULL)
		statement_execute(&r->remove, values, NULL, 0);
	else
		statement_execute(&r->keep, values, outcome->sqlstate != 0 ? NULL : "  n ", 0);
	SPI_finish();
}

/* ---- one of them ------------------------------------------------------------------------ */

typedef struct Again
{
	const InboundSender *from;
	MemoryContext context;
	InboundOutcome first; /* that was refused */
} Again;

static bool
take_again(void *arg, const ReceivedEvent *event)
{
	Again *again = arg;
	InboundOutcome outcome = cadence_event_take(again->from, event);

	if (outcome.refused != NULL && again->first.refused == NULL)
		again->first = (InboundOutcome){MemoryContextStrdup(again->context, outcome.refused),
										outcome.sqlstate};
	return true;
}

static InboundOutcome
read_again(const CadenceConfiguration *c, const InboundSender *from, const char *text)
{
	static const char *const none[FIELD_COUNT] = {NULL};
	Again again = {.from = from, .context = CurrentMemoryContext};
	struct json_t *body = text != NULL ? cadence_json_load(text) : NULL;
	ErrorData *error;

	if (body == NULL)
		return (InboundOutcome){.refused = "not enough of it was kept to read it again"};
	error = cadence_events_read(c->definition->receive, cadence_configuration_values(c, none), NULL,
								body, take_again, &again);
	if (error != NULL)
		ThrowErrorData(error);
	return again.first;
}

static InboundOutcome
try_again(const CadenceTables *tables, const RejectedEvent *row)
{
	const CadenceConfiguration *c =
		row->server != NULL ? cadence_inbound_find(tables, row->server) : NULL;
	const InboundSender *from = c != NULL ? cadence_inbound_sender(tables, c) : NULL;
	ReceivedEvent event;

	if (c == NULL)
		return (InboundOutcome){.refused = "its server is gone, or has no webhook"};
	if (from->empresa == NULL || row->empresa == NULL ? from->empresa != row->empresa
													  : strcmp(from->empresa, row->empresa) != 0)
		return (InboundOutcome){.refused = "its server is another company's now"};
	if (row->event == NULL)
		return read_again(c, from, row->body);
	if (!cadence_event_from_json(cadence_json_load(row->event), &event))
		return (InboundOutcome){.refused = "evento is not what was written there"};
	return cadence_event_take(from, &event);
}

static int64
try_rows(Retry *r, RejectedEvent *rows, int n)
{
	int64 taken = 0;

	for (int i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(r->scratch);
		InboundOutcome outcome;

		CHECK_FOR_INTERRUPTS();
		outcome = try_again(r->tables, &rows[i]);
		put_back(r, &rows[i], &outcome);
		taken += outcome.refused == NULL ? 1 : 0;
		MemoryContextSwitchTo(old);
		MemoryContextReset(r->scratch);
	}
	return taken;
}

/* Of those rows, as many as are read at once; how many there were. */
static int
retry_some(Retry *r, int64 *taken)
{
	MemoryContext batch = AllocSetContextCreate(
		CurrentMemoryContext, "cadence_runner rejected events", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(batch);
	RejectedEvent *rows = palloc0(sizeof(*rows) * ROWS_MAX);
	int n = look(r, rows);

	*taken += try_rows(r, rows, n);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(batch);
	return n;
}

/* They were nobody's. A failure must not get lost: it is one that nobody is known by. */
static void
give_up_late(const Retry *r)
{
	static const Oid types[] = {TEXTOID, TIMESTAMPTZOID};
	Datum values[] = {(Datum) 0, r->now};
	Statement keep = STATEMENT("keeping failures of nobody's messages",
							   psprintf("UPDATE %s AS x SET motivo = '" CADENCE_UNMATCHED
										"' WHERE " EARLY_IS "x.em " LT " " EARLY_SINCE
										" AND x.evento " JSON_TEXT " 'told' " EQ " 'failed'",
										r->tables->rejected),
							   types, SPI_OK_UPDATE);
	Statement forget =
		STATEMENT("forgetting receipts of nobody's messages",
				  psprintf("DELETE FROM %s AS x WHERE " EARLY_IS "x.em " LT " " EARLY_SINCE,
						   r->tables->rejected),
				  types, SPI_OK_DELETE);

	(void) SPI_connect();
	statement_execute(&keep, values, "n ", 0);
	statement_execute(&forget, values, "n ", 0);
	SPI_finish();
}

/* Tries again what came before its message, as the tables' owner; how many still are. */
int64
cadence_retry_early(const CadenceTables *tables)
{
	Retry *r = begin_retry(tables, EARLY_IS "x.em " GE " " EARLY_SINCE " AND ");
	int64 taken = 0;
	int n = retry_some(r, &taken);

	give_up_late(r);
	return n - taken;
}

/*
 * cadence_rejected_retry(server text DEFAULT NULL) -> bigint: tries all that is in
 * cadence_rejected again, or what came from that server; how many were taken. Those
 * are gone from there.
 *
 * Errors: 42P01 and what else keeps the tables from being found.
 */
Datum
cadence_rejected_retry(PG_FUNCTION_ARGS)
{
	const CadenceTables *tables = cadence_tables_cached();
	CadenceCaller caller = cadence_inbound_begin(tables);
	Retry *r = begin_retry(tables, "");
	int64 taken = 0;

	r->only = PG_ARGISNULL(0) ? (Datum) 0 : PG_GETARG_DATUM(0);
	while (retry_some(r, &taken) == ROWS_MAX)
		;
	cadence_owner_end(caller);
	PG_RETURN_INT64(taken);
}
