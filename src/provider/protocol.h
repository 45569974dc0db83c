/*
 * protocol.h
 *		How a provider's API is spoken.
 *
 * The one place where the rest of the house meets a protocol: options and
 * validator learn its options here, a configuration its headers, the transport
 * what to send and what an answer means.
 */
#ifndef CADENCE_PROTOCOL_H
#define CADENCE_PROTOCOL_H

#include "postgres.h"

#include "provider/options.h"
#include "rules/protocol.h"

struct CadenceConfiguration;

typedef struct CadenceProtocol
{
	const char *name;
	const char *const *channels; /* that it can serve, NULL at the end */
	const char *const *schemes;	 /* of its URLs, NULL at the end; they choose the transport */
	const OptionRule *options;	 /* its own, beside the common ones; no name at the end */
	bool hold;					 /* on_uncertain where a server does not say */
	const char *key_header;		 /* where the idempotency key goes; NULL: nowhere */

	/* Fills in a configuration's headers, and which of its texts are never to be repeated. */
	void (*prepare)(struct CadenceConfiguration *configuration);

	/* A message's request, malloc'd; NULL when it can not be made. No palloc, no ereport. */
	char *(*build)(const MessageFields *message);

	/* What an answer says. No palloc, no ereport. */
	void (*read)(const AnswerText *answer, AnswerReading *reading);
} CadenceProtocol;

extern const CadenceProtocol *const cadence_protocols[]; /* NULL at the end */
extern const CadenceProtocol cadence_protocol_webhook;

extern const CadenceProtocol *cadence_protocol_find(const char *name);
extern char *cadence_protocol_words(const char *const *words);

#endif
