/*
 * listen.c
 *		The socket on which clients come: one that the system's manager has opened and
 *		hands over, else one of our own.
 */
#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"

/* By the protocol of systemd's socket activation, which needs no library. */
#define FIRST_HANDED_OVER 3

/* How many sockets were handed over to this process. */
static int
handed_over(void)
{
	const char *pid = getenv("LISTEN_PID");
	const char *count = getenv("LISTEN_FDS");

	return pid != NULL && count != NULL && atol(pid) == (long) getpid() ? atoi(count) : 0;
}

/* Clients are known by their address, so a socket of another kind is of no use. */
static bool
is_listening_tcp(int fd)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	int is_listening = 0;
	socklen_t int_size = sizeof(is_listening);

	return getsockname(fd, (struct sockaddr *) &address, &size) == 0 &&
		   (address.ss_family == AF_INET || address.ss_family == AF_INET6) &&
		   getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &int_size) == 0 && is_listening;
}

static int
take_over(int count)
{
	if (count != 1 || !is_listening_tcp(FIRST_HANDED_OVER))
	{
		log_line("what is handed over has to be one listening TCP socket");
		return -1;
	}
	fcntl(FIRST_HANDED_OVER, F_SETFD, FD_CLOEXEC);
	fcntl(FIRST_HANDED_OVER, F_SETFL, fcntl(FIRST_HANDED_OVER, F_GETFL) | O_NONBLOCK);
	return FIRST_HANDED_OVER;
}

static int
open_socket(const struct addrinfo *address)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
					address->ai_protocol);
	int on = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0)
	{
		close(fd);
		return -1;
	}
	return fd;
}

static int
open_own(const Conf *conf)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
							 .ai_socktype = SOCK_STREAM};
	struct addrinfo *address;
	int fd;

	if (getaddrinfo(conf->listen, conf->port, &hints, &address) != 0)
		address = NULL;
	fd = address != NULL ? open_socket(address) : -1;
	if (fd < 0)
		log_line("cannot listen on %s, port %s: %s", conf->listen, conf->port, strerror(errno));
	if (address != NULL)
		freeaddrinfo(address);
	return fd;
}

/* Less than zero: it has been said why. */
int
listen_open(const Conf *conf)
{
	int count = handed_over();

	return count > 0 ? take_over(count) : open_own(conf);
}

/* Where clients come, on standard output, since a port of 0 is chosen by the system. */
void
listen_say(int fd)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	char host[NI_MAXHOST];
	char port[NI_MAXSERV];

	if (getsockname(fd, (struct sockaddr *) &address, &size) != 0 ||
		getnameinfo((struct sockaddr *) &address, size, host, sizeof(host), port, sizeof(port),
					NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return;
	printf(address.ss_family == AF_INET6 ? "listening on http://[%s]:%s\n"
										 : "listening on http://%s:%s\n",
		   host, port);
	fflush(stdout);
}
