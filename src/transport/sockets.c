/*
 * sockets.c
 *		The sockets that a process waits for.
 *
 * epoll, where there is one: with a thousand messages under way, asking the
 * kernel about each of them for every few that are ready costs more than all
 * the rest of a step. poll() elsewhere.
 *
 * A socket may be closed, and its number be another one's, without a word to
 * us: the kernel then has forgotten it. What is known here of a number is
 * therefore only taken as a guess of which call will do.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "transport/sockets.h"

#if defined(__linux__) && !defined(SOCKETS_USE_POLL)
#define USE_EPOLL 1
#include <sys/epoll.h>
#else
#include <poll.h>
#endif

/* So many events are taken from the kernel at once. */
#define EVENTS_MAX 256

struct Sockets
{
#ifdef USE_EPOLL
	int epoll;
	unsigned char *known; /* by number: what the kernel was last told */
#else
	struct pollfd *polled;
#endif
	unsigned char *wanted; /* by number */
	int size;			   /* of the arrays */
};

/* Makes room for a number; false when memory is short. */
static bool
make_room(Sockets *s, int fd)
{
	int size = s->size == 0 ? 256 : s->size;
	unsigned char *wanted;

	while (size <= fd)
		size *= 2;
	if (size == s->size)
		return true;
	wanted = realloc(s->wanted, size);
	if (wanted == NULL)
		return false;
	s->wanted = wanted;
	memset(s->wanted + s->size, 0, size - s->size);
#ifdef USE_EPOLL
	{
		unsigned char *known = realloc(s->known, size);

		if (known == NULL)
			return false;
		s->known = known;
		memset(s->known + s->size, 0, size - s->size);
	}
#else
	{
		struct pollfd *polled = realloc(s->polled, size * sizeof(struct pollfd));

		if (polled == NULL)
			return false;
		s->polled = polled;
	}
#endif
	s->size = size;
	return true;
}

/* NULL when the kernel has no more of what it takes. */
Sockets *
sockets_create(void)
{
	Sockets *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
#ifdef USE_EPOLL
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll < 0)
	{
		free(s);
		return NULL;
	}
#endif
	return s;
}

void
sockets_free(Sockets *s)
{
#ifdef USE_EPOLL
	close(s->epoll);
	free(s->known);
#else
	free(s->polled);
#endif
	free(s->wanted);
	free(s);
}

#ifdef USE_EPOLL

static bool
tell_kernel(Sockets *s, int fd, int events)
{
	struct epoll_event event = {.data.fd = fd};
	int first = s->known[fd] != 0 ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	int second = s->known[fd] != 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

	if (events & SOCKET_READ)
		event.events |= EPOLLIN;
	if (events & SOCKET_WRITE)
		event.events |= EPOLLOUT;
	s->known[fd] = events;
	return epoll_ctl(s->epoll, first, fd, &event) == 0 ||
		   ((errno == ENOENT || errno == EEXIST) && epoll_ctl(s->epoll, second, fd, &event) == 0);
}

static void
forget(Sockets *s, int fd)
{
	struct epoll_event unused = {0};

	(void) epoll_ctl(s->epoll, EPOLL_CTL_DEL, fd, &unused);
	s->known[fd] = 0;
}

#endif

/*
 * Watches a socket for events from now on; for none: no more. Returns false
 * when the kernel refuses.
 *
 * One that is no longer watched stays with the kernel until it says something:
 * a connection that is kept will mostly be used again before.
 */
bool
sockets_watch(Sockets *s, int fd, int events)
{
	if (!make_room(s, fd))
		return false;
	s->wanted[fd] = events;
#ifdef USE_EPOLL
	return events == 0 || tell_kernel(s, fd, events);
#else
	return true;
#endif
}

#ifdef USE_EPOLL

/*
 * Waits until a socket is ready, at most so long; returns how many are, or -1
 * with errno, EINTR after a signal.
 */
int
sockets_wait(Sockets *s, int timeout_ms, SocketEvent *ready, int most)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(s->epoll, events, most < EVENTS_MAX ? most : EVENTS_MAX, timeout_ms);
	int nready = 0;

	for (int i = 0; i < n; i++)
	{
		int fd = events[i].data.fd;

		if (s->wanted[fd] == 0)
		{
			forget(s, fd);
			continue;
		}
		ready[nready].fd = fd;
		ready[nready].events = ((events[i].events & EPOLLIN) ? SOCKET_READ : 0) |
							   ((events[i].events & EPOLLOUT) ? SOCKET_WRITE : 0) |
							   ((events[i].events & (EPOLLERR | EPOLLHUP)) ? SOCKET_FAILED : 0);
		nready++;
	}
	return n < 0 ? n : nready;
}

#else

int
sockets_wait(Sockets *s, int timeout_ms, SocketEvent *ready, int most)
{
	int npolled = 0;
	int nready = 0;
	int n;

	for (int fd = 0; fd < s->size; fd++)
	{
		if (s->wanted[fd] == 0)
			continue;
		s->polled[npolled++] =
			(struct pollfd){.fd = fd,
							.events = ((s->wanted[fd] & SOCKET_READ) ? POLLIN : 0) |
									  ((s->wanted[fd] & SOCKET_WRITE) ? POLLOUT : 0)};
	}
	n = poll(s->polled, npolled, timeout_ms);
	for (int i = 0; i < npolled && n > 0 && nready < most; i++)
	{
		int events = s->polled[i].revents;

		if (events == 0)
			continue;
		ready[nready].fd = s->polled[i].fd;
		ready[nready].events = ((events & POLLIN) ? SOCKET_READ : 0) |
							   ((events & POLLOUT) ? SOCKET_WRITE : 0) |
							   ((events & (POLLERR | POLLHUP | POLLNVAL)) ? SOCKET_FAILED : 0);
		nready++;
	}
	return n < 0 ? n : nready;
}

#endif
