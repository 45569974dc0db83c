/*
 * events.h
 *		What a call tells, event by event.
 */
#ifndef CADENCE_EVENTS_H
#define CADENCE_EVENTS_H

#include "inbound/act.h"
#include "inbound/rejected.h"

struct ReceiveOwners;

/* Why an event is kept in cadence_rejected that is of nobody. */
#define CADENCE_UNMATCHED "nobody is known by what it names"

/* Or of a message that may be on its way into the tables: it is tried again by itself. */
#define CADENCE_EARLY "no message has that id yet"

/* What has become of an event. */
typedef struct InboundOutcome
{
	const char *refused; /* why; NULL: it was taken */
	int sqlstate;		 /* 0: it was not an error */
} InboundOutcome;

extern InboundOutcome cadence_event_take(const InboundSender *from, const ReceivedEvent *event);
extern ErrorData *cadence_events_read(const ReceiveRules *rules, const char *const *values,
									  const struct ReceiveOwners *owners, struct json_t *body,
									  ReceiveCallback take, void *arg);
extern bool cadence_events_take(InboundCall *call, const InboundSender *from);

/* retry.c */
extern int64 cadence_retry_early(const CadenceTables *tables);

#endif
