/*
 * smtp_sink.c
 *		A mail server that takes every mail and throws it away.
 *
 * One thread and epoll; connections are kept. It offers what the client may use
 * (pipelining, 8-bit text and addresses), asks for no log-in and no TLS, and
 * looks at a mail only for its end. The line "GET /count HTTP/1.0" in the place
 * of a command is answered with the number of mails so far.
 *
 *		smtp_sink
 *
 * listens on 127.0.0.1, on a free port, and prints "PID n" and "PORT n".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#define CONNECTIONS_MAX 65536
#define INPUT_MAX 65536
#define OUTPUT_MAX 4096
#define EVENTS_MAX 512

#define MAIL_END "\r\n.\r\n"

typedef struct Connection
{
	int in_mail;
	size_t have;
	char *input;
	size_t say; /* what has yet to be said, when all that has come is read */
	char output[OUTPUT_MAX];
} Connection;

static Connection *connections[CONNECTIONS_MAX];
static unsigned long mails;

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static int
listen_here(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *) &address, length) != 0 || listen(fd, 8192) != 0 ||
		getsockname(fd, (struct sockaddr *) &address, &length) != 0)
		fail("listen");
	printf("PID %d\nPORT %d\n", (int) getpid(), ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

/* One that says more than it listens to is of no use here. */
static void
say(Connection *c, const char *what)
{
	size_t length = strlen(what);

	if (c->say + length <= OUTPUT_MAX)
	{
		memcpy(c->output + c->say, what, length);
		c->say += length;
	}
}

/* An answer is shorter than any socket's buffer: it leaves in one piece or never. */
static int
send_all(int fd, Connection *c)
{
	size_t length = c->say;

	c->say = 0;
	return length == 0 || write(fd, c->output, length) == (ssize_t) length;
}

static void
accept_all(int epoll, int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
	{
		struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
		Connection *c;
		int on = 1;

		if (fd >= CONNECTIONS_MAX || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		{
			close(fd);
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		c = connections[fd];
		if (c == NULL)
		{
			c = connections[fd] = malloc(sizeof(Connection));
			c->input = malloc(INPUT_MAX);
		}
		c->in_mail = 0;
		c->have = c->say = 0;
		say(c, "220 sink ESMTP\r\n");
		if (!send_all(fd, c))
			close(fd);
	}
}

static int
is_command(const char *line, const char *command)
{
	return strncasecmp(line, command, strlen(command)) == 0;
}

static void
say_count(Connection *c)
{
	char number[32];

	snprintf(number, sizeof(number), "%lu\n", mails);
	say(c, number);
}

/* The empty line after that; who hung up before it came would reset the connection. */
static int
ends_request(const char *line)
{
	return is_command(line, "\r\n");
}

/* False when the connection is to end. */
static int
act_on_command(Connection *c, const char *line)
{
	if (is_command(line, "EHLO"))
		say(c, "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n");
	else if (is_command(line, "DATA"))
	{
		say(c, "354 go on\r\n");
		c->in_mail = 1;
	}
	else if (is_command(line, "QUIT"))
		say(c, "221 bye\r\n");
	else if (is_command(line, "GET /count"))
		say_count(c);
	else if (!ends_request(line))
		say(c, "250 ok\r\n");
	return !is_command(line, "QUIT") && !ends_request(line);
}

/* How many bytes of what is there were a whole command, or as much of a mail as is over. */
static size_t
take_mail(Connection *c, const char *from, size_t length)
{
	const char *end = memmem(from, length, MAIL_END, strlen(MAIL_END));

	if (end == NULL)
		/* the end may have come in part */
		return length < strlen(MAIL_END) ? 0 : length - (strlen(MAIL_END) - 1);
	mails++;
	c->in_mail = 0;
	say(c, "250 taken\r\n");
	return end + strlen(MAIL_END) - from;
}

/* Takes what has come as far as it is whole; false when the connection is to end. */
static int
take_all(Connection *c)
{
	size_t at = 0;
	int goes_on = 1;

	while (goes_on && at < c->have)
	{
		const char *from = c->input + at;
		const char *end = memchr(from, '\n', c->have - at);
		size_t taken;

		if (c->in_mail)
			taken = take_mail(c, from, c->have - at);
		else
		{
			taken = end != NULL ? (size_t) (end + 1 - from) : 0;
			goes_on = end == NULL || act_on_command(c, from);
		}
		if (taken == 0)
			break;
		at += taken;
	}
	memmove(c->input, c->input + at, c->have - at);
	c->have -= at;
	return goes_on && c->have < INPUT_MAX;
}

/*
 * A mail that came in part is acknowledged at once: a client that leaves small
 * pieces to the kernel's care (Nagle) would wait 40 ms for that before it says the
 * end, and would be measured by our kernel's patience.
 */
static void
acknowledge(int fd, const Connection *c)
{
	int on = 1;

	if (c->in_mail)
		setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

static void
serve(int fd)
{
	Connection *c = connections[fd];
	ssize_t n = read(fd, c->input + c->have, INPUT_MAX - c->have);
	int goes_on = n > 0;

	if (goes_on)
	{
		c->have += n;
		goes_on = take_all(c);
		goes_on = send_all(fd, c) && goes_on;
		acknowledge(fd, c);
	}
	if (!goes_on)
		close(fd);
}

int
main(void)
{
	struct epoll_event events[EVENTS_MAX];
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	event.data.fd = listen_here();
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event) != 0)
		fail("epoll");
	for (;;)
	{
		int n = epoll_wait(epoll, events, EVENTS_MAX, -1);

		for (int i = 0; i < n; i++)
		{
			if (events[i].data.fd == event.data.fd)
				accept_all(epoll, event.data.fd);
			else
				serve(events[i].data.fd);
		}
	}
}
