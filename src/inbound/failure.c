/*
 * failure.c
 *		What comes back as failed after its provider had accepted it.
 *
 * What that says about the person, the address or the sender is remembered as if it
 * had been the answer, by the protocol's own rules. The run has gone on, and stays
 * where it is, unless the server's on_late_failure has its step sent again: once.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/json.h"
#include "base/row.h"
#include "inbound/acts.h"
#include "provider/options.h"
#include "record/mark.h"
#include "rules/late_class.h"
#include "schema/key.h"

struct InboundFailures
{
	CadenceMarker *marker;
	Statement address;
	Statement counted; /* whether any mails that were refused for the moment are */
	Statement alive;   /* it takes mails again */
};

enum
{
	ADDRESS_TELEFONE = 1,
	ADDRESS_EMAIL,
	ADDRESS_PAIS
};

static const Oid person_types[] = {TEXTOID, TEXTOID};
static const Oid company_types[] = {TEXTOID};
static const Oid alive_types[] = {TEXTOID, TEXTOID, TEXTOID};

/* As a step's recipient is chosen. */
static char *
address_sql(const CadenceTables *t)
{
	bool has_e164 = cadence_contacts_have_e164(t);

	return psprintf("SELECT %sx.telefone::pg_catalog.text%s, x.email::pg_catalog.text, "
					"(SELECT c.pais::pg_catalog.text FROM %s AS c WHERE %s LIMIT 1) "
					"FROM %s AS x WHERE %s AND %s ORDER BY x.updated_at DESC NULLS LAST, x.id DESC",
					has_e164 ? "COALESCE(NULLIF(x.telefone_e164::pg_catalog.text, ''), " : "",
					has_e164 ? ")" : "", t->empresas,
					cadence_key_is(t, "cadence_empresas", "c", "empresa", "x.empresa"), t->contacts,
					cadence_key_is(t, "lead_contacts", "x", "lead_id", "$1"),
					cadence_key_is(t, "lead_contacts", "x", "empresa", "$2"));
}

/* In the current memory context. */
struct InboundFailures *
inbound_failures_create(const CadenceTables *t)
{
	struct InboundFailures *f = palloc0(sizeof(*f));

	f->marker = cadence_marker_create(t);
	f->address = STATEMENT("looking for an address", address_sql(t), person_types, SPI_OK_SELECT);
	f->counted =
		STATEMENT("looking for mailboxes that have refused mails",
				  psprintf("SELECT 1 FROM %s AS a WHERE a.devolucoes IS NOT NULL AND a.empresa " EQ
						   " $1 LIMIT 1",
						   t->dead_addresses),
				  company_types, SPI_OK_SELECT);
	f->alive = STATEMENT("forgetting what a mailbox has refused",
						 psprintf("DELETE FROM %s AS a WHERE a.endereco " EQ " $1 AND a.canal " EQ
								  " $2 AND a.empresa " EQ " $3 AND a.devolucoes IS NOT NULL",
								  t->dead_addresses),
						 alive_types, SPI_OK_DELETE);
	return f;
}

/* ---- dead addresses ------------------------------------------------------------------ */

/* The address that a person's messages go to, as the contact has it; NULL: it has none. */
char *
inbound_address_of(const InboundEvent *e, const InboundPerson *person, char **pais)
{
	Datum values[] = {CStringGetTextDatum(person->lead_id), CStringGetTextDatum(person->empresa)};
	bool is_email = strcmp(e->canal, "EMAIL") == 0;
	char *stored = NULL;

	*pais = NULL;
	statement_execute(&e->acts->failures->address, values, NULL, 1);
	if (SPI_processed > 0)
	{
		TupleDesc desc = SPI_tuptable->tupdesc;
		HeapTuple row = SPI_tuptable->vals[0];

		stored = row_text(desc, row, is_email ? ADDRESS_EMAIL : ADDRESS_TELEFONE, ROW_KEY_MAX);
		*pais = row_text(desc, row, ADDRESS_PAIS, ROW_KEY_MAX);
	}
	SPI_freetuptable(SPI_tuptable);
	return stored != NULL && stored[0] != '\0' ? stored : NULL;
}

/* As it is kept: a mailbox that was told, or the person's own; false: there is none. */
static bool
address_of(const InboundEvent *e, const InboundPerson *person, const char *stored,
		   FailedAddress *address)
{
	bool is_email = stored != NULL || strcmp(e->canal, "EMAIL") == 0;
	char *pais = NULL;

	if (stored == NULL)
		stored = inbound_address_of(e, person, &pais);
	if (stored == NULL)
		return false;
	*address = (FailedAddress){.canal = e->canal,
							   .empresa = person->empresa,
							   .reason = inbound_reason(e, ""),
							   .source = e->source};
	address_key(stored, is_email, pais, address->key);
	return true;
}

/* The mailbox that an event names, else the person's. */
static bool
mailbox_of(const InboundEvent *e, const InboundPerson *person, FailedAddress *address)
{
	return address_of(e, person, inbound_field(e, RECEIVED_EMAIL), address);
}

static bool
any_counted(const InboundEvent *e, const char *empresa)
{
	Datum values[] = {CStringGetTextDatum(empresa)};
	bool found;

	statement_execute(&e->acts->failures->counted, values, NULL, 1);
	found = SPI_processed > 0;
	SPI_freetuptable(SPI_tuptable);
	return found;
}

/* A mail has arrived: what its mailbox has refused before is not in a row with what follows. */
void
inbound_mail_arrived(const InboundEvent *e, const InboundMessage *message)
{
	const InboundPerson *person = &message->person;
	FailedAddress address;
	Datum values[lengthof(alive_types)];

	if (strcmp(e->canal, "EMAIL") != 0 || person->lead_id == NULL || person->empresa == NULL ||
		!any_counted(e, person->empresa) || !mailbox_of(e, person, &address))
		return;
	values[0] = CStringGetTextDatum(address.key);
	values[1] = CStringGetTextDatum(e->canal);
	values[2] = CStringGetTextDatum(address.empresa);
	statement_execute(&e->acts->failures->alive, values, NULL, 0);
}

/* ---- late failures ------------------------------------------------------------------- */

/* The current one of a server; NULL: it has none that can be used. */
static Definition *
definition_of(Oid oid)
{
	ForeignServer *server = OidIsValid(oid) ? GetForeignServerExtended(oid, FSV_MISSING_OK) : NULL;
	const char *name = server != NULL ? cadence_option_get(server->options, "protocol") : NULL;
	List *protocols = NIL;

	if (server != NULL)
		protocols = cadence_protocols_read(name != NULL ? name : CADENCE_PROTOCOL_DEFAULT);
	if (protocols == NIL)
		return NULL;
	return cadence_protocol_compile(((CadenceProtocol *) linitial(protocols))->definition);
}

/* CLASS_COUNT: nobody knows. What is compiled for one failure goes with its context. */
static CadenceClass
class_of(const InboundEvent *e)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "cadence_runner late failure", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	const Definition *definition =
		e->from->definition != NULL ? e->from->definition : definition_of(e->from->server);
	CadenceClass class = CLASS_COUNT;

	if (definition != NULL)
		class = late_class(definition, e->canal, inbound_field(e, RECEIVED_CODE),
						   inbound_field(e, RECEIVED_ERROR));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return class;
}

/* "tardio": it says nothing of what the run does now. */
static void
write_event(const InboundEvent *e, const InboundMessage *message, CadenceClass class)
{
	JsonObject details = json_begin();
	CadenceEvent event = {
		.run_id = &message->run_id, .has_ordem = true, .ordem = message->ordem, .type = "ERRO"};

	if (!message->has_step)
		return;
	json_add_text(&details, "codigo",
				  class != CLASS_COUNT && cadence_classes[class].code != NULL
					  ? cadence_classes[class].code
					  : "FALHA_ENVIO");
	json_add_text(&details, "erro", inbound_reason(e, ""));
	json_add_text(&details, "canal", e->canal);
	json_add_text_if(&details, "provedor", e->from->server_name);
	json_add_text_if(&details, "message_id", inbound_field(e, RECEIVED_ID));
	json_add_bool(&details, "tardio", true);
	event.detalhes = json_end(&details);
	cadence_events_write(e->acts->events, &event, 1);
}

/* Before its message is locked: states of senders are, before anything else. */
void
inbound_expect_failure(const InboundEvent *e)
{
	if (class_of(e) == CLASS_STOPPED)
		inbound_lock_sender(e);
}

/* A message that was accepted has failed. */
void
inbound_late_failure(InboundEvent *e, const InboundMessage *message)
{
	CadenceClass class = class_of(e);
	InboundStop stop = {.reason = STOP_WISH, .canal = e->canal, .motivo = inbound_reason(e, "")};
	InboundPersons people = {.list = {message->person}, .n = 1};
	bool has_person = message->person.lead_id != NULL && message->person.empresa != NULL;
	FailedAddress address;

	if (class == CLASS_STOPPED)
		inbound_shut_sender(e, inbound_reason(e, ""));
	else if (class == CLASS_OPTED_OUT && has_person)
		(void) inbound_opt_out(e, &people, &stop, NULL);
	else if (class == CLASS_DEAD_ADDRESS && has_person &&
			 address_of(e, &message->person, NULL, &address))
		(void) cadence_marks_failed(e->acts->failures->marker, &address, 1, true);
	write_event(e, message, class);
	if (class == CLASS_RETRY)
		inbound_resend(e, message);
}

/* ---- mails --------------------------------------------------------------------------- */

/* Whose mail it was, and of which message; false: that is not known. */
static bool
find_people(const InboundEvent *e, InboundMessage *message, bool *is_of_message,
			InboundPersons *people)
{
	*is_of_message = inbound_find_sent(e, message);
	if (*is_of_message && message->person.lead_id != NULL && message->person.empresa != NULL)
		people->list[people->n++] = message->person;
	(void) inbound_find_address(e, people);
	return *is_of_message || people->n > 0;
}

/* Each mail counts once, however often it is told. */
static void
count_refusal(const InboundEvent *e, const InboundMessage *message)
{
	FailedAddress address;

	if (message->person.lead_id != NULL && message->person.empresa != NULL &&
		mailbox_of(e, &message->person, &address))
		(void) cadence_marks_failed(e->acts->failures->marker, &address, 1, false);
}

/* A mailbox that does not exist, or did not take a mail this time. */
InboundResult
inbound_bounce(InboundEvent *e)
{
	bool is_hard = e->event->state == STATE_HARD;
	InboundPersons people = {.n = 0};
	FailedAddress address;
	InboundMessage message;
	bool is_of_message;
	bool is_new = false;

	if (!find_people(e, &message, &is_of_message, &people))
		return INBOUND_UNMATCHED;
	for (int i = 0; i < people.n && is_hard; i++)
		if (mailbox_of(e, &people.list[i], &address) &&
			cadence_marks_failed(e->acts->failures->marker, &address, 1, true) > 0)
			is_new = true;
	if (is_of_message && inbound_note_receipt(e, &message, STATE_FAILED))
	{
		if (!is_hard)
			count_refusal(e, &message);
		write_event(e, &message, is_hard ? CLASS_DEAD_ADDRESS : CLASS_RETRY);
		if (!is_hard)
			inbound_resend(e, &message);
		is_new = true;
	}
	return is_new ? INBOUND_DONE : INBOUND_REPEATED;
}

/* It was delivered, and called spam: no more mails. */
InboundResult
inbound_complaint(InboundEvent *e)
{
	InboundStop stop = {.reason = STOP_WISH, .canal = e->canal};
	InboundPersons people = {.n = 0};
	InboundMessage message;
	bool is_of_message;
	bool is_new;

	if (!find_people(e, &message, &is_of_message, &people))
		return inbound_block(e, BLOCK_COMPLAINT);
	stop.motivo = inbound_reason(e, "complaint");
	is_new = people.n > 0 ? inbound_opt_out(e, &people, &stop, NULL)
						  : inbound_block(e, BLOCK_COMPLAINT) == INBOUND_DONE;
	if (is_of_message && inbound_note_receipt(e, &message, STATE_DELIVERED))
		is_new = true;
	return is_new ? INBOUND_DONE : INBOUND_REPEATED;
}
