/*
 * sent.c
 *		Which of our messages an event speaks of.
 *
 * By its provider's id, which its row has, or by our key, which is the id of the row
 * of an attempt that is uncertain, or was. What another server has sent is not this
 * one's to tell of: a step's event says by which it went.
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "base/row.h"
#include "base/uuid.h"
#include "inbound/acts.h"
#include "schema/key.h"

static const char *const canals[] = {"WHATSAPP", "EMAIL", "SMS"};
static const char *const id_columns[] = {"whatsapp_message_id", "email_message_id",
										 "sms_message_id"};

struct InboundSent
{
	Statement by_id[lengthof(canals)];
	Statement by_key;
};

enum
{
	SENT_ID = 1,
	SENT_LEAD,
	SENT_EMPRESA,
	SENT_IS_OPEN,
	SENT_RUN,
	SENT_ORDEM,
	SENT_SERVER,
	SENT_TEMPLATE
};

static const Oid id_types[] = {TEXTOID, TEXTOID};
static const Oid key_types[] = {UUIDOID, TEXTOID};

static int
canal_number(const char *canal)
{
	int i = 0;

	while (i < (int) lengthof(canals) - 1 && strcmp(canals[i], canal) != 0)
		i++;
	return i;
}

/* Where a message's row has its provider's id: one of three arguments, from the first on. */
void
inbound_put_id(const InboundEvent *e, Datum *values, char *nulls, int first)
{
	for (int i = 0; i < (int) lengthof(canals); i++)
		statement_put_text(values, nulls, first + i,
						   i == canal_number(e->canal) ? inbound_field(e, RECEIVED_ID) : NULL);
}

static char *
find_sql(const CadenceTables *t, const char *where)
{
	return psprintf(
		"SELECT m.id::pg_catalog.uuid, m.lead_id::pg_catalog.text, m.empresa::pg_catalog.text, "
		"(m.estado::pg_catalog.text " EQ " 'INCERTO' "
		"OR m.erro_detalhe::pg_catalog.text " EQ " 'RETIDO') IS TRUE, "
		"m.run_id::pg_catalog.uuid, m.step_ordem::pg_catalog.int4, e.server, "
		"m.template_codigo::pg_catalog.text FROM %s AS m LEFT JOIN "
		"LATERAL "
		"(SELECT x.detalhes " JSON_TEXT " 'provedor' AS server FROM %s AS x "
		"WHERE x.lead_cadence_run_id " EQ " m.run_id AND x.step_ordem " EQ " m.step_ordem "
		"AND x.detalhes " JSON_TEXT " 'provedor' IS NOT NULL "
		"ORDER BY x.created_at DESC, x.id DESC LIMIT 1) AS e ON true "
		"WHERE %s AND m.id IS NOT NULL AND m.direcao " EQ " 'OUTBOUND' AND ($2 IS NULL OR %s) "
		"ORDER BY m.created_at DESC LIMIT 1",
		t->messages, t->events, where, cadence_key_is(t, "lead_messages", "m", "empresa", "$2"));
}

/* In the current memory context. */
struct InboundSent *
inbound_sent_create(const CadenceTables *t)
{
	struct InboundSent *s = palloc0(sizeof(*s));

	for (size_t i = 0; i < lengthof(canals); i++)
		s->by_id[i] = STATEMENT("looking for a message by its id",
								find_sql(t, psprintf("m.%s " EQ " $1", id_columns[i])), id_types,
								SPI_OK_SELECT);
	s->by_key = STATEMENT("looking for a message by its key", find_sql(t, "m.id " EQ " $1"),
						  key_types, SPI_OK_SELECT);
	return s;
}

/* One that was renamed has its old name in what was sent before. */
static bool
is_of_another(const InboundEvent *e, const char *server)
{
	return server != NULL && e->from->server_name != NULL &&
		   strcmp(server, e->from->server_name) != 0 &&
		   OidIsValid(get_foreign_server_oid(server, true));
}

static bool
read_found(const InboundEvent *e, InboundMessage *found)
{
	HeapTuple row = SPI_tuptable->vals[0];
	TupleDesc desc = SPI_tuptable->tupdesc;

	memset(found, 0, sizeof(*found));
	if (is_of_another(e, row_text(desc, row, SENT_SERVER, ROW_KEY_MAX)))
		return false;
	(void) row_uuid(desc, row, SENT_ID, &found->id);
	found->person.lead_id = row_text(desc, row, SENT_LEAD, ROW_KEY_MAX);
	found->person.empresa = row_text(desc, row, SENT_EMPRESA, ROW_KEY_MAX);
	found->is_open = row_true(desc, row, SENT_IS_OPEN);
	found->has_step =
		row_uuid(desc, row, SENT_RUN, &found->run_id) && !row_is_null(desc, row, SENT_ORDEM);
	found->ordem = row_int(desc, row, SENT_ORDEM, 0);
	found->template_codigo = row_text(desc, row, SENT_TEMPLATE, ROW_KEY_MAX);
	return true;
}

static bool
look(const InboundEvent *e, Statement *find, Datum key, InboundMessage *found)
{
	const char *empresa = e->from->empresa;
	Datum values[] = {key, empresa != NULL ? CStringGetTextDatum(empresa) : (Datum) 0};
	bool is_found;

	statement_execute(find, values, empresa != NULL ? NULL : " n", 1);
	is_found = SPI_processed > 0 && read_found(e, found);
	SPI_freetuptable(SPI_tuptable);
	return is_found;
}

static bool
find_by_id(const InboundEvent *e, const char *id, InboundMessage *found)
{
	return id != NULL &&
		   look(e, &e->acts->sent->by_id[canal_number(e->canal)], CStringGetTextDatum(id), found);
}

static bool
is_uuid(const char *text)
{
	int i = 0;

	for (; text[i] != '\0' && i < UUID_TEXT_SIZE; i++)
		if ((i == 8 || i == 13 || i == 18 || i == 23) ? text[i] != '-'
													  : !isxdigit((unsigned char) text[i]))
			return false;
	return i == UUID_TEXT_SIZE - 1;
}

static bool
find_by_key(const InboundEvent *e, InboundMessage *found)
{
	const char *key = inbound_field(e, RECEIVED_KEY);

	return key != NULL && is_uuid(key) &&
		   look(e, &e->acts->sent->by_key, DirectFunctionCall1(uuid_in, CStringGetDatum(key)),
				found);
}

/* The message that an event names; false: none that is known here. */
bool
inbound_find_sent(const InboundEvent *e, InboundMessage *found)
{
	return find_by_id(e, inbound_field(e, RECEIVED_ID), found) ||
		   find_by_id(e, inbound_field(e, RECEIVED_OTHER_ID), found) || find_by_key(e, found);
}

/* The one that a message answers. */
bool
inbound_find_quoted(const InboundEvent *e, InboundMessage *found)
{
	return find_by_id(e, inbound_field(e, RECEIVED_QUOTES), found);
}
