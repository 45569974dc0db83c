/*
 * slow_sink.c
 *		A provider that accepts every message after a fixed time.
 *
 * One thread and epoll; connections are kept, and each has one request under
 * way. All wait equally long, so that the answers leave in the order in which
 * the requests came: a ring is all the timer that it takes. GET /count answers
 * at once with the number of requests so far, GET /times with when each of them
 * came, in microseconds, one a line.
 *
 *		slow_sink MILLISECONDS [PORT]
 *
 * listens on 127.0.0.1, on a free port where none is given, and prints
 * "PORT n".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 65536
#define REQUEST_MAX 16384
#define EVENTS_MAX 512

#define ANSWER_BODY "{\"success\":true,\"messageId\":\"m-1\"}"

typedef struct Connection
{
	uint32_t life; /* counts the connections that had this descriptor */
	size_t have;
	char *request;
} Connection;

typedef struct Pending
{
	int fd;
	uint32_t life;
	int64_t due_ns;
} Pending;

static Connection connections[CONNECTIONS_MAX];
static Pending ring[CONNECTIONS_MAX];
static size_t first, last; /* of the ring; they only grow */
static int64_t delay_ns;
static unsigned long requests;
static int64_t *times; /* when each of them came */
static size_t times_max;
static char answer[512];
static size_t answer_length;

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int
listen_here(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *) &address, length) != 0 || listen(fd, 8192) != 0 ||
		getsockname(fd, (struct sockaddr *) &address, &length) != 0)
		fail("listen");
	printf("PORT %d\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

static void
hang_up(int fd)
{
	connections[fd].life++;
	connections[fd].have = 0;
	close(fd);
}

static void
accept_all(int epoll, int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
	{
		struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
		int on = 1;

		if (fd >= CONNECTIONS_MAX || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		{
			close(fd);
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (connections[fd].request == NULL)
			connections[fd].request = malloc(REQUEST_MAX);
	}
}

/* An answer is shorter than any socket's buffer: it leaves in one piece or never. */
static void
write_all(int fd, const char *data, size_t length)
{
	if (write(fd, data, length) != (ssize_t) length)
		hang_up(fd);
}

static void
answer_count(int fd)
{
	char text[128];
	char number[32];
	int length = snprintf(number, sizeof(number), "%lu\n", requests);

	length = snprintf(text, sizeof(text),
					  "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
					  length, number);
	if (write(fd, text, length) < 0)
		perror("write");
	hang_up(fd);
}

static void
note_request(void)
{
	if (requests == times_max)
	{
		times_max = times_max == 0 ? 65536 : times_max * 2;
		times = realloc(times, times_max * sizeof(*times));
		if (times == NULL)
			fail("realloc");
	}
	times[requests++] = now_ns() / 1000;
}

/* More than a socket's buffer holds; nobody else is to be served meanwhile. */
static void
answer_times(int fd)
{
	(void) fcntl(fd, F_SETFL, 0);
	dprintf(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
	for (unsigned long i = 0; i < requests; i++)
		dprintf(fd, "%lld\n", (long long) times[i]);
	hang_up(fd);
}

/* Whether the request is there with all of its body. */
static int
is_complete(Connection *c)
{
	char *end, *field;
	size_t body = 0;

	c->request[c->have] = '\0';
	end = strstr(c->request, "\r\n\r\n");
	if (end == NULL)
		return 0;
	field = strcasestr(c->request, "\ncontent-length:");
	if (field != NULL && field < end)
		body = strtoul(field + strlen("\ncontent-length:"), NULL, 10);
	return c->have >= (size_t) (end + 4 - c->request) + body;
}

static void
serve(int fd)
{
	Connection *c = &connections[fd];
	ssize_t n = read(fd, c->request + c->have, REQUEST_MAX - 1 - c->have);

	if (n <= 0)
	{
		hang_up(fd);
		return;
	}
	c->have += n;
	if (!is_complete(c))
	{
		if (c->have >= REQUEST_MAX - 1)
			hang_up(fd);
		return;
	}
	c->have = 0;
	if (strncmp(c->request, "GET /times", 10) == 0)
	{
		answer_times(fd);
		return;
	}
	if (strncmp(c->request, "GET ", 4) == 0)
	{
		answer_count(fd);
		return;
	}
	note_request();
	if (delay_ns == 0)
		write_all(fd, answer, answer_length);
	else if (last - first < CONNECTIONS_MAX)
		ring[last++ % CONNECTIONS_MAX] = (Pending){fd, c->life, now_ns() + delay_ns};
}

/* Answers what is due; returns how long the next one has, or -1 for none. */
static int64_t
answer_due(void)
{
	int64_t now = now_ns();

	for (; first < last; first++)
	{
		const Pending *p = &ring[first % CONNECTIONS_MAX];

		if (p->due_ns > now)
			return p->due_ns - now;
		if (connections[p->fd].life == p->life)
			write_all(p->fd, answer, answer_length);
	}
	return -1;
}

int
main(int argc, char **argv)
{
	struct epoll_event events[EVENTS_MAX];
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (argc < 2 || argc > 3)
	{
		fputs("usage: slow_sink MILLISECONDS [PORT]\n", stderr);
		return 2;
	}
	delay_ns = (int64_t) (atof(argv[1]) * 1e6);
	answer_length = snprintf(answer, sizeof(answer),
							 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
							 "Content-Length: %zu\r\n\r\n%s",
							 strlen(ANSWER_BODY), ANSWER_BODY);
	event.data.fd = listen_here(argc == 3 ? atoi(argv[2]) : 0);
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event) != 0)
		fail("epoll");
	for (;;)
	{
		int64_t wait = answer_due();
		struct timespec timeout = {wait / 1000000000, wait % 1000000000};
		int n = epoll_pwait2(epoll, events, EVENTS_MAX, wait < 0 ? NULL : &timeout, NULL);

		for (int i = 0; i < n; i++)
		{
			if (events[i].data.fd == event.data.fd)
				accept_all(epoll, event.data.fd);
			else
				serve(events[i].data.fd);
		}
	}
}
