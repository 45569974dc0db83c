/*
 * rejected.c
 *		cadence_rejected: what came and could not be understood or stored.
 *
 * Whoever looks there sees the element, what was read of it, and of a short call all
 * that came with it, by which the rules can be tried again. Nothing is kept that
 * holds a secret of the server's, wherever it stands; nor the text of a body that
 * can not be read, where the definition says that bodies hold secrets: nobody
 * could find them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/settings.h"
#include "base/transaction.h"
#include "base/uuid.h"
#include "inbound/rejected.h"
#include "rules/text.h"

#define ELEMENT_MAX (64 * 1024)
#define BODY_MAX (8 * 1024)
#define REASON_MAX 1000

/* A shorter one may stand anywhere by chance. */
#define SECRET_MIN 8

/* ---- what is kept ---------------------------------------------------------------------- */

static bool
holds_secret(const CadenceConfiguration *c, const char *text, size_t len)
{
	ListCell *cell;

	foreach (cell, c->hidden)
	{
		const char *secret = lfirst(cell);

		if (strlen(secret) >= SECRET_MIN && memmem(text, len, secret, strlen(secret)) != NULL)
			return true;
	}
	return false;
}

/* A value as JSON; NULL where it is longer than that, or holds a secret. */
static char *
kept_json(const InboundRejections *r, const struct json_t *json, size_t max)
{
	size_t len;
	char *text = cadence_json_text(json, max, &len);

	return text != NULL && !holds_secret(r->call->configuration, text, len) ? text : NULL;
}

/* The whole call, which all that is rejected of it has in common. */
static const char *
kept_body(InboundRejections *r)
{
	MemoryContext old;

	if (r->body_was_taken)
		return r->body;
	old = MemoryContextSwitchTo(r->context);
	r->body = kept_json(r, r->call->json, BODY_MAX);
	r->body_was_taken = true;
	MemoryContextSwitchTo(old);
	return r->body;
}

/* The beginning of a body that is no JSON, as a text of JSON; NULL: none of it may be kept. */
static char *
kept_text(const InboundRejections *r)
{
	size_t len = Min(r->call->body_len, BODY_MAX);
	char *text = palloc(len + 1);
	StringInfoData json;

	if (r->call->rules->nscrub > 0 ||
		holds_secret(r->call->configuration, r->call->body, r->call->body_len))
		return NULL;
	memcpy(text, r->call->body, len);
	text[len] = '\0';
	text_mend(text, len);
	initStringInfo(&json);
	escape_json(&json, text);
	return json.data;
}

/* By which two that say the same can be told. */
static char *
body_hash(const InboundCall *call)
{
	uint8 digest[PG_SHA256_DIGEST_LENGTH];
	char hex[PG_SHA256_DIGEST_LENGTH * 2 + 1];
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);
	bool failed = context == NULL || pg_cryptohash_init(context) < 0 ||
				  pg_cryptohash_update(context, (const uint8 *) call->body, call->body_len) < 0 ||
				  pg_cryptohash_final(context, digest, sizeof(digest)) < 0;

	if (context != NULL)
		pg_cryptohash_free(context);
	if (failed)
		return "unknown";
	hex[hex_encode((char *) digest, sizeof(digest), hex)] = '\0';
	return pstrdup(hex);
}

/* ---- rows ------------------------------------------------------------------------------- */

/* In the current memory context, in which it stays. */
InboundRejections *
cadence_rejections_begin(const InboundSender *from, InboundCall *call)
{
	static const Oid types[] = {UUIDOID, TEXTOID, TEXTOID, TEXTOID,
								TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	InboundRejections *r = palloc0(sizeof(*r));

	r->from = r->called = from;
	r->call = call;
	r->context = CurrentMemoryContext;
	r->insert = STATEMENT(
		"rejecting an event",
		psprintf("INSERT INTO %s (id, server, empresa, motivo, codigo, evento, elemento, "
				 "corpo, em, tentativas) VALUES ($1, $2, $3, $4, $5, "
				 "$6::pg_catalog.jsonb, $7::pg_catalog.jsonb, $8::pg_catalog.jsonb, " NOW ", 1)",
				 from->tables->rejected),
		types, SPI_OK_INSERT);
	return r;
}

typedef struct RejectedRow
{
	InboundRejections *rejections;
	const char *reason;
	int sqlstate; /* 0: it was not an error */
	const char *event;
	const char *element;
	const char *body;
} RejectedRow;

static void
insert_row(void *arg, int first, int n)
{
	RejectedRow *row = arg;
	const InboundSender *from = row->rejections->from;
	pg_uuid_t id;
	Datum values[8] = {UUIDPGetDatum(&id)};
	char nulls[8] = {' '};

	cadence_uuid_v7(&id);
	(void) SPI_connect();
	statement_put_text(values, nulls, 1, from->server_name);
	statement_put_text(values, nulls, 2, from->empresa);
	statement_put_text(values, nulls, 3, row->reason);
	statement_put_text(values, nulls, 4,
					   row->sqlstate != 0 ? unpack_sql_state(row->sqlstate) : NULL);
	statement_put_text(values, nulls, 5, row->event);
	statement_put_text(values, nulls, 6, row->element);
	statement_put_text(values, nulls, 7, row->body);
	statement_execute(&row->rejections->insert, values, nulls, 0);
	SPI_finish();
}

/* Without what the table would not take of it, before it is given up. */
static ErrorData *
write_row(RejectedRow *row)
{
	ErrorData *error = cadence_try(insert_row, row, 0, 1, false);

	if (error != NULL && ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_OPERATOR_INTERVENTION)
	{
		row->event = row->element = row->body = NULL;
		error = cadence_try(insert_row, row, 0, 1, false);
	}
	if (error == NULL)
		row->rejections->n++;
	return error;
}

/* An event, and why it is not taken. Returns why that could not be written; NULL: it was. */
ErrorData *
cadence_reject(InboundRejections *r, const ReceivedEvent *event, const char *reason, int sqlstate)
{
	RejectedRow row = {.rejections = r,
					   .reason = pnstrdup(reason, pg_mbcliplen(reason, strlen(reason), REASON_MAX)),
					   .sqlstate = sqlstate};

	if (event->kind != RECEIVED_UNKNOWN)
		row.event = cadence_event_json(event);
	if (row.event != NULL && holds_secret(r->call->configuration, row.event, strlen(row.event)))
		row.event = NULL;
	row.element = kept_json(r, event->element, ELEMENT_MAX);
	if (event->element != r->call->json)
		row.body = kept_body(r);
	return write_row(&row);
}

/* A body of which nothing could be read. */
ErrorData *
cadence_reject_body(InboundRejections *r, const char *reason)
{
	RejectedRow row = {.rejections = r,
					   .reason = psprintf("%s (%zu bytes, SHA-256 %s)", reason, r->call->body_len,
										  body_hash(r->call)),
					   .body = kept_text(r)};

	return write_row(&row);
}

/* ---- old ones --------------------------------------------------------------------------- */

/* So many at once. */
#define FORGOTTEN_MAX 1000

static void
forget_old(void *arg, int first, int n)
{
	static const Oid types[] = {TIMESTAMPTZOID};
	const InboundRejections *r = arg;
	Datum before =
		TimestampTzGetDatum(GetCurrentTimestamp() - cadence_log_retention * USECS_PER_MINUTE);
	Statement delete = STATEMENT(
		"forgetting old rejected events",
		psprintf("DELETE FROM %s WHERE id " EQ " ANY (SELECT x.id FROM %s AS x WHERE x.em " LT
				 " $1 ORDER BY x.em LIMIT %d FOR UPDATE SKIP LOCKED)",
				 r->from->tables->rejected, r->from->tables->rejected, FORGOTTEN_MAX),
		types, SPI_OK_DELETE);

	(void) SPI_connect();
	statement_execute(&delete, &before, NULL, 0);
	SPI_finish();
}

/*
 * Whoever adds rows takes the oldest away once they are older than an execution's
 * log may be: a provider that tells what nobody knows fills no disk. That it does not
 * work now is no reason to refuse the call.
 */
void
cadence_rejections_end(InboundRejections *r)
{
	ErrorData *error = NULL;

	if (r->n > 0 && cadence_log_retention > 0)
		error = cadence_try(forget_old, r, 0, 0, false);
	if (error != NULL && ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
		ThrowErrorData(error);
}
