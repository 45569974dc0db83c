/*
 * request.h
 *		One message on its way to a provider: what the queue orders and the
 *		transport sends. It is embedded in what it belongs to, so who gets it back
 *		finds that again.
 */
#ifndef CADENCE_REQUEST_H
#define CADENCE_REQUEST_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "lib/ilist.h"

#include "provider/configuration.h"
#include "rules/protocol.h"

/* What became of it, filled in by the transport. */
typedef struct CadenceAnswer
{
	CadenceOutcome outcome; /* OUTCOME_UNSENT: it was not begun */
	const char *code;		/* for machines; NULL: it was sent */
	char *reason;			/* for people */
	long http_status;		/* 0: none */
	int64 retry_after_us;	/* 0: not asked for */
	int64 elapsed_us;
	TimestampTz at;
	char *message_id; /* NULL: none */
} CadenceAnswer;

struct CadenceProvider;

typedef struct CadenceRequest
{
	dlist_node node;					 /* in its provider's queue, or in the transport */
	struct CadenceProvider *provider;	 /* NULL: none was chosen */
	CadenceConfiguration *configuration; /* of the provider, held by the context */
	MemoryContext context;				 /* where the answer's texts go */
	MessageFields message;
	const char *key; /* the idempotency key, a UUID */
	CadenceAnswer *answer;
} CadenceRequest;

#endif
