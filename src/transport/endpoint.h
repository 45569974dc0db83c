/*
 * endpoint.h
 *		One server's side of the transport: its connections, which nobody else
 *		uses, and its transfers.
 */
#ifndef CADENCE_ENDPOINT_H
#define CADENCE_ENDPOINT_H

#include "postgres.h"

#include "transport/sockets.h"
#include "transport/transfer.h"

/* What is known of the connections that it keeps. */
typedef enum EndpointTrust
{
	ENDPOINT_ON_TRIAL, /* nothing yet: none is used again. Next: KEEPS or HANGS_UP */
	ENDPOINT_KEEPS,	   /* one was seen to last: they are used again. Next: HANGS_UP */
	ENDPOINT_HANGS_UP  /* it closes them without a word: each request has its own. Next: ON_TRIAL */
} EndpointTrust;

typedef struct Endpoint
{
	dlist_node node; /* among the dispatcher's */
	Oid server;
	CURLM *multi;
	Sockets *sockets; /* the dispatcher's */
	const TransferGate *gate;
	int64 timer_at; /* when libcurl wants to be called, by monotonic_us(); or NO_TIMER */
	const char *problem;
	dlist_head active;
	dlist_head free; /* those with a connection first */
	int ntransfers;	 /* in both */
	int nmail;		 /* of these, with a connection for mail that is ours */
	EndpointTrust trust;
	int64 trust_until; /* when the trial or the distrust ends; 0: the trial has not begun */
	int hang_ups;
} Endpoint;

#define NO_TIMER PG_INT64_MAX

extern Endpoint *endpoint_create(Oid server, Sockets *sockets, int max_connections,
								 const TransferGate *gate);
extern void endpoint_free(Endpoint *e);
extern void endpoint_limit(Endpoint *e, int max_connections);
extern bool endpoint_add_transfer(Endpoint *e);
extern void endpoint_drop_free_transfer(Endpoint *e);
extern const char *endpoint_start(Endpoint *e, CadenceRequest *request);
extern void endpoint_act(Endpoint *e, int fd, int events);
extern int64 endpoint_timer(Endpoint *e);
extern void endpoint_act_on_timer(Endpoint *e);
extern void endpoint_distrust(Endpoint *e);
extern CadenceRequest *endpoint_collect(Endpoint *e);

#endif
