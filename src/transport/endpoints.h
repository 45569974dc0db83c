/*
 * endpoints.h
 *		All endpoints, and the sockets that they share.
 */
#ifndef CADENCE_ENDPOINTS_H
#define CADENCE_ENDPOINTS_H

#include "postgres.h"

#include "transport/dispatch.h"
#include "transport/endpoint.h"

typedef struct Endpoints
{
	dlist_head list;  /* malloc'd, the latest used first */
	Sockets *sockets; /* the dispatcher's */
	const TransferGate *gate;
	int capacity;	/* transfers, of all of them, */
	int ntransfers; /* and how many there are */
} Endpoints;

extern void endpoints_init(Endpoints *endpoints, const TransferGate *gate);
extern void endpoints_free(Endpoints *endpoints);
extern void endpoints_resize(Endpoints *endpoints, int max_in_flight);
extern Endpoint *endpoints_get_ready(Endpoints *endpoints, Oid server);
extern void endpoints_end_idle(const SocketEvent *ready, int n);
extern void endpoints_act(Endpoints *endpoints, const SocketEvent *ready, int n);
extern int64 endpoints_timer(const Endpoints *endpoints);
extern void endpoints_ask_unsent(Endpoints *endpoints, CadenceMayBegin may_begin, void *arg);

#endif
