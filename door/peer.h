/*
 * peer.h
 *		Where a request came from.
 */
#ifndef DOOR_PEER_H
#define DOOR_PEER_H

#include <netinet/in.h>
#include <stdbool.h>

#include "headers.h"

typedef struct Peer
{
	char address[INET6_ADDRSTRLEN];
	bool is_proxy; /* the one whose word counts */
} Peer;

extern void peer_find(Peer *peer, const struct sockaddr *address, const Headers *headers,
					  const char *trusted_proxy);

#endif
