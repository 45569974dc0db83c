/*
 * reply.c
 *		What a person has written to us, and what somebody has written to a person
 *		by hand.
 *
 * Each is a row of lead_messages, whose id is made of the provider's: of a thousand
 * that tell the same, one writes it, and the others find it. What follows is done by
 * that one, in the same transaction.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/clip.h"
#include "base/json.h"
#include "base/lock.h"
#include "inbound/acts.h"

struct InboundReplies
{
	bool is_guarded;	  /* a unique index keeps a message from being there twice */
	bool takes_strangers; /* lead_id may be null */
	Statement find;
	Statement insert_in;
	Statement insert_out;
};

static const Oid find_types[] = {UUIDOID};
static const Oid insert_types[] = {UUIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID,
								   UUIDOID, INT4OID, TEXTOID, TEXTOID, TEXTOID};

/* ---- statements ---------------------------------------------------------------------- */

/* Whether a column alone has a unique index, in which nothing is left out. */
static bool
is_unique(Oid relation, const char *name)
{
	AttrNumber number = get_attnum(relation, name);
	Relation rel = table_open(relation, AccessShareLock);
	List *indexes = RelationGetIndexList(rel);
	bool found = false;
	ListCell *cell;

	foreach (cell, indexes)
	{
		HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(cell)));
		Form_pg_index form;

		if (!HeapTupleIsValid(tuple))
			continue;
		form = (Form_pg_index) GETSTRUCT(tuple);
		if (form->indisunique && form->indisvalid && form->indimmediate && form->indnkeyatts == 1 &&
			form->indkey.values[0] == number && heap_attisnull(tuple, Anum_pg_index_indpred, NULL))
			found = true;
		ReleaseSysCache(tuple);
	}
	list_free(indexes);
	table_close(rel, NoLock);
	return found;
}

static char *
insert_sql(const CadenceTables *t, const char *direcao, const char *time, const char *estado)
{
	return psprintf("INSERT INTO %s (id, lead_id, empresa, canal, direcao, conteudo, estado, %s, "
					"run_id, step_ordem, whatsapp_message_id, email_message_id, sms_message_id, "
					"created_at, updated_at) VALUES ($1, $2, $3::%s, $4::%s, '%s', $5, %s, $6, $7, "
					"$8, $9, $10, $11, " NOW ", " NOW ") ON CONFLICT DO NOTHING",
					t->messages, time, t->message_empresa_type, t->message_canal_type, direcao,
					estado);
}

/* What came in has no state, unless an adopted column wants one. */
static const char *
state_of_answers(const CadenceTables *t, Oid messages)
{
	if (!cadence_column_is_required(messages, "estado"))
		return "NULL";
	return t->message_knows_delivered ? "'ENTREGUE'" : "'ENVIADO'";
}

/* In the current memory context. */
struct InboundReplies *
inbound_replies_create(const CadenceTables *t)
{
	struct InboundReplies *r = palloc0(sizeof(*r));
	Oid messages = get_relname_relid("lead_messages", t->schema);

	r->is_guarded = is_unique(messages, "id");
	r->takes_strangers = !cadence_column_is_required(messages, "lead_id");
	r->find = STATEMENT("looking for a message that was told before",
						psprintf("SELECT 1 FROM %s AS m WHERE m.id " EQ " $1", t->messages),
						find_types, SPI_OK_SELECT);
	r->find.latest = true;
	r->insert_in = STATEMENT("writing an answer",
							 insert_sql(t, "INBOUND", "recebido_em", state_of_answers(t, messages)),
							 insert_types, SPI_OK_INSERT);
	r->insert_out = STATEMENT("writing a message that was sent by hand",
							  insert_sql(t, "OUTBOUND", "enviado_em", "'ENVIADO'"), insert_types,
							  SPI_OK_INSERT);
	return r;
}

/* ---- a message's row ------------------------------------------------------------------ */

/* For the names of messages that came in, or were sent by hand. */
static const pg_uuid_t names = {{0x8d, 0x1c, 0x3b, 0x52, 0x6e, 0x0f, 0x4a, 0x57, 0x9b, 0x21, 0xc4,
								 0x7a, 0xe5, 0x16, 0x90, 0x3d}};

/* One that has no id of its provider's is known by who has sent what when, if that is told. */
static void
message_id(const InboundEvent *e, const char *empresa, bool comes_in, pg_uuid_t *id)
{
	const char *own = inbound_field(e, RECEIVED_ID);
	const char *text = inbound_field(e, RECEIVED_TEXT);
	const char *email = inbound_field(e, RECEIVED_EMAIL);
	char *name;

	if (own == NULL && !e->event->has_time)
	{
		cadence_uuid_v7(id);
		return;
	}
	if (own == NULL)
		own = psprintf(INT64_FORMAT "\n%s\n%s\n%s", e->event->time_us, e->phone,
					   email != NULL ? email : "", text != NULL ? text : "");
	name = psprintf("%s\n%s\n%s\n%s", empresa, e->canal, comes_in ? "in" : "out", own);
	cadence_uuid_v5(&names, name, id);
	pfree(name);
}

/* An adopted column may forbid null. */
static const char *
content_of(const InboundEvent *e)
{
	static const ReceivedField fields[] = {RECEIVED_TEXT, RECEIVED_SUBJECT, RECEIVED_MEDIA};

	for (size_t i = 0; i < lengthof(fields); i++)
		if (inbound_field(e, fields[i]) != NULL)
			return inbound_field(e, fields[i]);
	return "";
}

static bool
is_there(const InboundEvent *e, const pg_uuid_t *id)
{
	Datum values[] = {UUIDPGetDatum(id)};
	bool found;

	statement_execute(&e->acts->replies->find, values, NULL, 1);
	found = SPI_processed > 0;
	SPI_freetuptable(SPI_tuptable);
	return found;
}

/* So many locks are held at most, however many messages one transaction brings. */
#define MESSAGE_LOCKS 256

/*
 * Writes a message's row, of a person whose lead may be unknown; false: it was told
 * before. Who tells the same at this moment waits here for what becomes of us.
 */
static bool
write_message(const InboundEvent *e, const InboundPerson *person, bool comes_in,
			  const InboundMessage *quoted, pg_uuid_t *id)
{
	struct InboundReplies *r = e->acts->replies;
	Datum values[lengthof(insert_types)];
	char nulls[lengthof(insert_types)];

	memset(nulls, ' ', sizeof(nulls));
	message_id(e, person->empresa, comes_in, id);
	if (!r->is_guarded)
		cadence_lock_hold(CADENCE_LOCK_MESSAGE,
						  hash_bytes_extended(id->data, UUID_LEN, 0) % MESSAGE_LOCKS);
	if (is_there(e, id))
		return false;
	values[0] = UUIDPGetDatum(id);
	statement_put_text(values, nulls, 1, person->lead_id);
	statement_put_text(values, nulls, 2, person->empresa);
	statement_put_text(values, nulls, 3, e->canal);
	statement_put_text(values, nulls, 4, content_of(e));
	values[5] = TimestampTzGetDatum(e->at);
	nulls[6] = nulls[7] = quoted != NULL && quoted->has_step ? ' ' : 'n';
	values[6] = quoted != NULL ? UUIDPGetDatum(&quoted->run_id) : (Datum) 0;
	values[7] = quoted != NULL ? Int32GetDatum(quoted->ordem) : (Datum) 0;
	inbound_put_id(e, values, nulls, 8);
	statement_execute(comes_in ? &r->insert_in : &r->insert_out, values, nulls, 0);
	/* another's row of the same message, or a trigger, may have kept ours out */
	return SPI_processed > 0 || !is_there(e, id);
}

/* ---- a person's ------------------------------------------------------------------------ */

/* Of nobody who is known here; kept where the table takes it, as is_kept_as_message() says. */
static InboundResult
from_stranger(const InboundEvent *e)
{
	InboundPerson nobody = {NULL, (char *) e->from->empresa};
	pg_uuid_t id;

	if (e->acts->replies->takes_strangers && nobody.empresa != NULL &&
		inbound_has_address(e->event) && !write_message(e, &nobody, true, NULL, &id))
		return INBOUND_REPEATED;
	if (!e->event->is_auto)
		inbound_hear_stranger(e);
	return INBOUND_UNMATCHED;
}

/* Who is known otherwise may write from a number that its contact does not have. */
static void
learn(const InboundEvent *e, const InboundPersons *people, bool is_quoting)
{
	bool is_known_otherwise = is_quoting || inbound_field(e, RECEIVED_LID) != NULL ||
							  inbound_field(e, RECEIVED_USER_ID) != NULL;
	InboundPersons here = *people;

	inbound_learn(e, &people->list[0]);
	if (is_known_otherwise && e->phone[0] != '\0' && !inbound_find_address(e, &here))
		(void) inbound_learn_as(e, &people->list[0], "phone", e->phone);
}

/* So much of a text is told; its row has the rest. */
#define NEWS_TEXT_MAX (64 * 1024)

/* For other tools: who has answered, and what. */
static void
write_news(const InboundEvent *e, const InboundPerson *person, const pg_uuid_t *run_id,
		   const pg_uuid_t *id)
{
	CadenceNews news = {
		.event = "reply", .empresa = person->empresa, .lead_id = person->lead_id, .run_id = run_id};
	const char *text = content_of(e);
	char message[UUID_TEXT_SIZE];
	JsonObject details;

	if (!cadence_outbox_is_heard(e->acts->outbox))
		return;
	cadence_uuid_text(id, message);
	details = json_begin();
	json_add_text(&details, "canal", e->canal);
	json_add_text(&details, "texto", pnstrdup(text, cadence_text_fits(text, NEWS_TEXT_MAX)));
	json_add_text(&details, "mensagem", message);
	json_add_text_if(&details, "provedor", e->from->server_name);
	news.details = json_end(&details);
	cadence_outbox_write(e->acts->outbox, &news, 1);
}

/*
 * An answer: its row, and whoever has answered gets no more where the next step
 * says so. A machine's is kept, and stops nothing.
 */
InboundResult
inbound_message(InboundEvent *e)
{
	InboundStop stop = {.reason = STOP_REPLY};
	InboundPersons people = {.n = 0};
	InboundMessage quoted;
	bool is_quoting = inbound_find_quoted(e, &quoted) && quoted.person.lead_id != NULL &&
					  quoted.person.empresa != NULL;
	pg_uuid_t id;

	if (is_quoting)
	{
		people.list[people.n++] = quoted.person;
		(void) inbound_find_address(e, &people);
	}
	else
		inbound_find_people(e, &people);
	if (people.n == 0)
		return from_stranger(e);
	if (!write_message(e, &people.list[0], true, is_quoting ? &quoted : NULL, &id))
		return INBOUND_REPEATED;
	learn(e, &people, is_quoting);
	if (e->event->is_auto)
		return INBOUND_DONE;
	stop.answer = &id;
	if (!inbound_hear_wish(e, &people, &id))
		(void) inbound_stop_all(e, &people, &stop);
	e->answer = id;
	e->reply = memcpy(palloc(sizeof(InboundPerson)), &people.list[0], sizeof(InboundPerson));
	write_news(e, &people.list[0], is_quoting && quoted.has_step ? &quoted.run_id : NULL, &id);
	return INBOUND_DONE;
}

/* ---- by hand --------------------------------------------------------------------------- */

static bool
is_sending_to_any(const InboundEvent *e, const InboundPersons *people)
{
	InboundPersons in_order = inbound_in_order(people);
	bool is_sending = false;

	for (int i = 0; i < in_order.n; i++)
		if (inbound_is_sending(e, &in_order.list[i]))
			is_sending = true;
	return is_sending;
}

/*
 * Written from our number: by somebody who has taken over, unless it is what we have
 * sent through the API, which some gateways echo as well. That has a row; or it has
 * none yet, while it is under way.
 */
InboundResult
inbound_echo(InboundEvent *e)
{
	InboundStop stop = {.reason = STOP_BY_HAND};
	InboundPersons people = {.n = 0};
	InboundMessage own;
	pg_uuid_t id;

	if (inbound_find_sent(e, &own))
		return inbound_note_receipt(e, &own, STATE_SENT) ? INBOUND_DONE : INBOUND_NOTHING;
	inbound_find_people(e, &people);
	if (people.n == 0)
		return INBOUND_UNMATCHED;
	inbound_learn(e, &people.list[0]);
	if (is_sending_to_any(e, &people))
		return INBOUND_NOTHING;
	if (!write_message(e, &people.list[0], false, NULL, &id))
		return INBOUND_REPEATED;
	if (inbound_server_says(e, "on_echo", "ignore"))
		return INBOUND_DONE;
	stop.answer = &id;
	(void) inbound_stop_all(e, &people, &stop);
	return INBOUND_DONE;
}
