/*
 * client.c
 *		Connections of clients, and how long each may take.
 *
 * libmicrohttpd knows how long nothing has come; a client who sends a byte now
 * and then could stay for ever. So each request has a deadline, and once a
 * second all of them are looked at. libmicrohttpd cannot answer in the middle of
 * a request: the answer is then written past it, and the connection is ended
 * from below, which it finds out as if the client had gone.
 */
#include "client.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "loop.h"
#include "reply.h"
#include "request.h"

#define WHOLE_MS 30000
#define IDLE_MS 10000

static Client *clients;
static int count;

static void
begin(struct MHD_Connection *connection, void **context)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	Client *client = calloc(1, sizeof(Client));

	*context = client;
	if (client == NULL)
		return;
	client->fd = info->connect_fd;
	client->next = clients;
	if (clients != NULL)
		clients->previous = client;
	clients = client;
	count++;
	client_restart(client);
}

static void
end(Client *client)
{
	if (client->request != NULL)
		request_free(client->request);
	if (client->previous != NULL)
		client->previous->next = client->next;
	else
		clients = client->next;
	if (client->next != NULL)
		client->next->previous = client->previous;
	count--;
	free(client);
}

/* libmicrohttpd says that a connection has begun or ended. */
void
client_notify(void *arg, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	(void) arg;
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		begin(connection, context);
	else if (*context != NULL)
		end(*context);
}

/* Null: there was no memory for it. */
Client *
client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info->socket_context;
}

int
client_count(void)
{
	return count;
}

/* The one after it, or the first after null. */
Client *
client_next(const Client *client)
{
	return client != NULL ? client->next : clients;
}

/* The time of another request begins. */
void
client_restart(Client *client)
{
	client->deadline = loop_now() + WHOLE_MS;
}

/* Ends a connection that has been answered nothing; a status of 0: without a word. */
void
client_cut(Client *client, unsigned int status)
{
	char bytes[512];
	size_t len = status != 0 ? reply_bytes(status, bytes, sizeof(bytes)) : 0;

	if (len > 0 && send(client->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		len = 0;
	shutdown(client->fd, SHUT_RDWR);
}

/* Milliseconds since something has come from the other end, where the system says so. */
static int64_t
idle_ms(const Client *client)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);

	if (getsockopt(client->fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
		return 0;
	return info.tcpi_last_data_recv;
}

/* Nobody is there to read an answer. */
bool
client_is_gone(const Client *client)
{
	struct pollfd socket = {.fd = client->fd, .events = 0};

	return poll(&socket, 1, 0) == 1 && (socket.revents & (POLLERR | POLLHUP)) != 0;
}

/*
 * Nothing more will come: libmicrohttpd is told once, by its epoll, and misses
 * it where the last bytes came together with the end.
 */
static bool
has_said_all(const Client *client)
{
	char next;

	return recv(client->fd, &next, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void
look_at(Client *client, int64_t now)
{
	bool is_late = now >= client->deadline;
	bool is_coming = client->request == NULL || request_is_coming(client->request);

	if (is_coming && has_said_all(client))
		client_cut(client, 0);
	else if (client->request == NULL)
	{
		if (is_late || idle_ms(client) >= IDLE_MS)
			client_cut(client, 0);
	}
	else if (is_late || (is_coming && idle_ms(client) >= IDLE_MS))
		request_late(client->request);
	else
		request_look(client->request, now);
}

/* Once a second. */
void
client_tick(void)
{
	int64_t now = loop_now();

	for (Client *client = clients; client != NULL; client = client->next)
		look_at(client, now);
}
