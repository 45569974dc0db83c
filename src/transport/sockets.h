/*
 * sockets.h
 *		The sockets that a process waits for.
 *
 * Pure C: no PostgreSQL, no libcurl; nothing here raises an error.
 */
#ifndef CADENCE_SOCKETS_H
#define CADENCE_SOCKETS_H

#include <stdbool.h>

/* For what a socket is watched, or is ready. */
#define SOCKET_READ 1
#define SOCKET_WRITE 2
#define SOCKET_FAILED 4 /* only as an event */

typedef struct SocketEvent
{
	int fd;
	int events;	 /* 0: it has spoken, although nobody waits for it any more */
	void *owner; /* as it was last watched; NULL where that is gone */
} SocketEvent;

typedef struct Sockets Sockets;

extern Sockets *sockets_create(void);
extern void sockets_free(Sockets *sockets);
extern bool sockets_watch(Sockets *sockets, int fd, int events, void *owner);
extern void sockets_disown(Sockets *sockets, const void *owner);
extern int sockets_wait(Sockets *sockets, int timeout_ms, SocketEvent *ready, int most);

#endif
