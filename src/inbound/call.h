/*
 * call.h
 *		One call of a webhook, as it came.
 */
#ifndef CADENCE_CALL_H
#define CADENCE_CALL_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "provider/configuration.h"
#include "rules/receive.h"

/* Larger ones are not read. */
#define CALL_BODY_MAX (4 * 1024 * 1024)
#define CALL_REST_MAX (64 * 1024)

typedef struct InboundCall
{
	const CadenceConfiguration *configuration; /* of the server that was called */
	const ReceiveRules *rules;
	const char **values; /* the server's options and secrets, by number */
	List *headers;		 /* InboundHeader */
	const char *query;	 /* without "?" */
	const char *path_secret;
	const char *body;
	size_t body_len;

	struct json_t *json; /* NULL: it was not parsed yet, or is none */
	bool was_parsed;
	const char *problem; /* why it is none */
} InboundCall;

typedef struct InboundHeader
{
	char *name;
	char *value;
} InboundHeader;

extern List *cadence_call_headers(Jsonb *headers);
extern const char *cadence_call_header(void *call, const char *name); /* a ReceiveHeader */
extern struct json_t *cadence_call_json(InboundCall *call);

#endif
