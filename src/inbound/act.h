/*
 * act.h
 *		What an event of a provider's webhook does.
 */
#ifndef CADENCE_ACT_H
#define CADENCE_ACT_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "rules/received.h"
#include "schema/tables.h"

/* Between an event's times, which count from 1970, and PostgreSQL's. */
#define UNIX_EPOCH_US ((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/* Whose webhook was called. */
typedef struct InboundSender
{
	Oid server;				 /* InvalidOid: none, it is a caller's own word */
	const char *server_name; /* NULL: none */
	const char *empresa;	 /* whose server it is; NULL: of any company */
	const char *canal;
	const CadenceTables *tables;
	const struct Definition *definition; /* of its protocol; NULL: it was not read */
	bool is_international; /* its numbers come with their country, with or without "+" */
	const char *source;	   /* who says so, where it is no server; NULL: the tables' owner */
} InboundSender;

typedef enum InboundResult
{
	INBOUND_DONE,
	INBOUND_REPEATED,  /* it was told before, or says nothing new */
	INBOUND_UNMATCHED, /* of nobody, or of no message, that is known here */
	INBOUND_EARLY,	   /* of no message that is known yet: somebody is sending some */
	INBOUND_NOTHING	   /* it is nothing for us */
} InboundResult;

extern const char *const cadence_inbound_results[]; /* their names */

/* By which somebody can be blocked, or found later; WhatsApp's own names are no addresses. */
static inline bool
inbound_has_address(const ReceivedEvent *event)
{
	return event->fields[RECEIVED_PHONE] != NULL || event->fields[RECEIVED_EMAIL] != NULL;
}

extern void cadence_inbound_count_call(const CadenceTables *tables, const char *server,
									   const char *outcome, bool was_taken);
extern InboundResult cadence_inbound_act(const InboundSender *from, const ReceivedEvent *event);

#endif
