/*
 * request_parts.h
 *		What request.c, request_check.c, request_body.c and request_call.c share of a request.
 */
#ifndef DOOR_REQUEST_PARTS_H
#define DOOR_REQUEST_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "body.h"
#include "client.h"
#include "headers.h"
#include "peer.h"
#include "pool.h"
#include "reply.h"
#include "request.h"
#include "route.h"
#include "text.h"

#define METHOD_BYTES 16

/* COMING -> CALLING or ANSWERED; CALLING -> CALLED -> ANSWERED; COMING -> CUT. */
typedef enum State
{
	COMING,
	CALLING, /* suspended */
	CALLED,	 /* the answer is there, libmicrohttpd has not asked for it yet */
	ANSWERED,
	CUT
} State;

struct Request
{
	Call call; /* the first member: it is what the pool knows */
	State state;
	Client *client;
	struct MHD_Connection *connection;
	int64_t since;
	int64_t called_at;
	unsigned int status;
	bool is_checked;

	char *path; /* with the query behind its end */
	const char *query;
	const char *where; /* in libmicrohttpd's memory: where the target began */
	size_t target_len;
	char method[METHOD_BYTES];
	Route route;
	Peer peer;
	Text headers;
	Body body;
	PGresult *answer;
};

/* request_check.c */
extern bool request_has_known_method(const Request *request);
extern unsigned int request_check(const Request *request, const Headers *headers,
								  const char *version, const char *hosts, bool is_closing);

/* request_body.c */
extern void request_take_body(Request *request, const char *data, size_t size);
extern void request_cut(Request *request, unsigned int status);

/* request_call.c */
extern void request_call(Request *request);
extern Reply request_called(Request *request);
extern void request_give_up(Request *request);

#endif
