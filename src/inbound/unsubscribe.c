/*
 * unsubscribe.c
 *		A person has followed the link in a message, and wants no more.
 *
 * As an opt-out that a provider tells: it counts for every lead of the company that
 * has the contact's address, since a message to any of them reaches the same person.
 */
#include "postgres.h"

#include "executor/spi.h"

#include "inbound/acts.h"
#include "inbound/unsubscribe.h"

/* The address that the person's messages go to is the event's; without one the lead is all. */
static void
set_address(InboundEvent *e, ReceivedEvent *event, const InboundPerson *person)
{
	char *pais;
	char *stored = inbound_address_of(e, person, &pais);

	if (stored == NULL)
		return;
	if (strcmp(e->canal, "EMAIL") == 0)
		event->fields[RECEIVED_EMAIL] = stored;
	else if (!phone_e164(stored, pais, e->phone))
		e->phone[0] = '\0';
}

/*
 * In the caller's transaction, as the owner of the tables, outside an SPI connection;
 * false: it was known.
 *
 * Errors: as cadence_inbound_act().
 */
bool
cadence_inbound_unsubscribe(const CadenceTables *tables, const Unsubscribe *who)
{
	InboundSender from = {.empresa = who->empresa,
						  .canal = who->canal,
						  .tables = tables,
						  .source = "cadence_unsubscribe"};
	ReceivedEvent event = {.kind = RECEIVED_OPT_OUT};
	InboundStop stop = {.reason = STOP_WISH, .canal = who->canal};
	InboundPersons people = {.list = {{(char *) who->lead_id, (char *) who->empresa}}, .n = 1};
	InboundEvent e;
	bool is_new;

	inbound_event_begin(&e, &from, &event);
	set_address(&e, &event, &people.list[0]);
	(void) inbound_find_address(&e, &people);
	is_new = inbound_opt_out(&e, &people, &stop, NULL);
	SPI_finish();
	return is_new;
}
