/*
 * unsubscribe.c
 *		A person has followed the link in a message, and wants no more.
 *
 * As an opt-out that a provider tells: it counts for every lead of the company that
 * has the contact's address, since a message to any of them reaches the same person.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/memutils.h"

#include "base/transaction.h"
#include "inbound/acts.h"
#include "inbound/unsubscribe.h"

/*
 * The address that the person's messages go to is the event's, in a memory context that
 * outlives the SPI connection; without one the lead is all.
 */
static void
set_address(InboundEvent *e, ReceivedEvent *event, const InboundPerson *person,
			MemoryContext context)
{
	char *pais;
	char *stored = inbound_address_of(e, person, &pais);

	if (stored == NULL)
		return;
	if (strcmp(e->canal, "EMAIL") == 0)
		event->fields[RECEIVED_EMAIL] = MemoryContextStrdup(context, stored);
	else if (!phone_e164(stored, pais, e->phone))
		e->phone[0] = '\0';
}

static InboundSender
sender_of(const CadenceTables *tables, const Unsubscribe *who)
{
	return (InboundSender){
		.empresa = who->empresa, .canal = who->canal, .tables = tables, .source = BLOCK_BY_LINK};
}

static void
block(void *arg, int first, int n)
{
	(void) SPI_connect();
	(void) inbound_block(arg, BLOCK_OPT_OUT);
	SPI_finish();
}

/* A list whose key is lost must not undo what was noted. */
static void
block_mailbox(InboundEvent *e)
{
	ErrorData *error = cadence_try(block, e, 0, 0, false);

	if (error != NULL && error->sqlerrcode != ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE)
		ReThrowError(error);
	if (error != NULL)
		ereport(WARNING, (errcode(error->sqlerrcode), errmsg("%s", error->message)));
}

/*
 * In the caller's transaction, as the owner of the tables, outside an SPI connection;
 * false: it was known. A mailbox is blocked, too, for that company: whoever comes to
 * have it there later is the same person.
 *
 * Errors: as cadence_inbound_act().
 */
bool
cadence_inbound_unsubscribe(const CadenceTables *tables, const Unsubscribe *who)
{
	InboundSender from = sender_of(tables, who);
	ReceivedEvent event = {.kind = RECEIVED_OPT_OUT};
	InboundStop stop = {.reason = STOP_WISH, .canal = who->canal};
	InboundPersons people = {.list = {{(char *) who->lead_id, (char *) who->empresa}}, .n = 1};
	MemoryContext context = CurrentMemoryContext;
	InboundEvent e;
	bool is_new;

	inbound_event_begin(&e, &from, &event);
	set_address(&e, &event, &people.list[0], context);
	(void) inbound_find_address(&e, &people);
	is_new = inbound_opt_out(&e, &people, &stop, NULL);
	SPI_finish();
	if (event.fields[RECEIVED_EMAIL] != NULL)
		block_mailbox(&e);
	return is_new;
}

/* Takes a mailbox off the list again that a link has put there; as the same. */
void
cadence_inbound_resubscribe(const CadenceTables *tables, const Unsubscribe *who)
{
	InboundSender from = sender_of(tables, who);
	ReceivedEvent event = {.kind = RECEIVED_OPT_IN};
	InboundPerson person = {(char *) who->lead_id, (char *) who->empresa};
	InboundEvent e;

	inbound_event_begin(&e, &from, &event);
	set_address(&e, &event, &person, CurrentMemoryContext);
	(void) inbound_unblock(&e);
	SPI_finish();
}
