/*
 * rejected.h
 *		cadence_rejected: what came and could not be understood or stored.
 */
#ifndef CADENCE_REJECTED_H
#define CADENCE_REJECTED_H

#include "base/statement.h"
#include "inbound/act.h"
#include "inbound/call.h"

/* Of one call. */
typedef struct InboundRejections
{
	const InboundSender *from;	 /* whose the event is that is taken now */
	const InboundSender *called; /* whose webhook was called */
	List *named;				 /* what is known of other senders that the call names: events.c */
	InboundCall *call;
	MemoryContext context; /* the call's */
	Statement insert;
	char *body;			 /* the whole call as JSON, if it is short; NULL: not yet, or not */
	bool body_was_taken; /* of which it was found out */
	int64 n;
	int64 dropped; /* so many more were not kept */
	int conflicts; /* so many events met a lock */
} InboundRejections;

extern InboundRejections *cadence_rejections_begin(const InboundSender *from, InboundCall *call);
extern ErrorData *cadence_reject(InboundRejections *rejections, const ReceivedEvent *event,
								 const char *reason, int sqlstate);
extern ErrorData *cadence_reject_body(InboundRejections *rejections, const char *reason);
extern void cadence_rejections_end(InboundRejections *rejections);

/* kept_json.c */
extern char *cadence_event_json(const ReceivedEvent *event);
extern bool cadence_event_from_json(struct json_t *json, ReceivedEvent *event);
extern char *cadence_json_text(const struct json_t *json, size_t max, size_t *len);
extern struct json_t *cadence_json_load(const char *text);

#endif
