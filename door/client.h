/*
 * client.h
 *		Connections of clients, and how long each may take.
 */
#ifndef DOOR_CLIENT_H
#define DOOR_CLIENT_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#define CLIENTS_MAX 256

struct Request;

typedef struct Client
{
	struct Client *previous;
	struct Client *next;
	int fd;
	int64_t deadline; /* of the request, or of its first byte */
	struct Request *request;
} Client;

extern void client_notify(void *arg, struct MHD_Connection *connection, void **context,
						  enum MHD_ConnectionNotificationCode code);
extern Client *client_of(struct MHD_Connection *connection);
extern int client_count(void);
extern Client *client_next(const Client *client);
extern void client_restart(Client *client);
extern void client_cut(Client *client, unsigned int status);
extern bool client_is_gone(const Client *client);
extern void client_tick(void);

#endif
