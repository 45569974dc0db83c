/*
 * sockets.c
 *		The sockets that a process waits for.
 *
 * epoll, not libcurl's own waiting: with thousands of messages under way, asking
 * the kernel about each of them for every few that are ready costs more than all
 * the rest of a step.
 *
 * A socket may be closed, and its number be another one's, without a word to
 * us: the kernel then has forgotten it. What is known here of a number is
 * therefore only taken as a guess of which call will do.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "transport/sockets.h"

/* So many events are taken from the kernel at once. */
#define EVENTS_MAX 256

typedef struct Watched
{
	void *owner;
	unsigned char wanted;
	unsigned char known; /* what the kernel was last told */
} Watched;

struct Sockets
{
	int epoll;
	Watched *watched; /* by number */
	int size;
};

/* Makes room for a number; false when memory is short. */
static bool
make_room(Sockets *s, int fd)
{
	int size = s->size == 0 ? 256 : s->size;
	Watched *watched;

	while (size <= fd)
		size *= 2;
	if (size == s->size)
		return true;
	watched = realloc(s->watched, size * sizeof(Watched));
	if (watched == NULL)
		return false;
	memset(watched + s->size, 0, (size - s->size) * sizeof(Watched));
	s->watched = watched;
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
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll >= 0)
		return s;
	free(s);
	return NULL;
}

void
sockets_free(Sockets *s)
{
	if (s == NULL)
		return;
	close(s->epoll);
	free(s->watched);
	free(s);
}

static bool
tell_kernel(Sockets *s, int fd, int events)
{
	struct epoll_event event = {.data.fd = fd};
	int first = s->watched[fd].known != 0 ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	int second = first == EPOLL_CTL_ADD ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (events & SOCKET_READ)
		event.events |= EPOLLIN;
	if (events & SOCKET_WRITE)
		event.events |= EPOLLOUT;
	s->watched[fd].known = events;
	return epoll_ctl(s->epoll, first, fd, &event) == 0 ||
		   ((errno == ENOENT || errno == EEXIST) && epoll_ctl(s->epoll, second, fd, &event) == 0);
}

static void
forget(Sockets *s, int fd)
{
	struct epoll_event unused = {0};

	(void) epoll_ctl(s->epoll, EPOLL_CTL_DEL, fd, &unused);
	s->watched[fd].known = 0;
}

/*
 * Watches a socket for events from now on; for none: no more. Returns false
 * when the kernel refuses.
 *
 * One that is no longer watched stays with the kernel until it says something,
 * which is told once: a connection that is kept should have nothing to say.
 */
bool
sockets_watch(Sockets *s, int fd, int events, void *owner)
{
	if (!make_room(s, fd))
		return false;
	s->watched[fd].owner = owner;
	s->watched[fd].wanted = events;
	return events == 0 || tell_kernel(s, fd, events);
}

/*
 * Its owner is going away, perhaps before some of its sockets: a resolver's
 * thread that hangs keeps one.
 */
void
sockets_disown(Sockets *s, const void *owner)
{
	for (int fd = 0; fd < s->size; fd++)
		if (s->watched[fd].owner == owner)
		{
			s->watched[fd].owner = NULL;
			s->watched[fd].wanted = 0;
		}
}

/*
 * Waits until a socket is ready, at most so long; returns how many are, or -1
 * with errno, EINTR after a signal.
 */
int
sockets_wait(Sockets *s, int timeout_ms, SocketEvent *ready, int most)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(s->epoll, events, most < EVENTS_MAX ? most : EVENTS_MAX, timeout_ms);

	for (int i = 0; i < n; i++)
	{
		int fd = events[i].data.fd;
		int wanted = s->watched[fd].wanted;

		ready[i] = (SocketEvent){.fd = fd, .owner = s->watched[fd].owner};
		if (wanted == 0)
		{
			forget(s, fd);
			continue;
		}
		ready[i].events = ((events[i].events & EPOLLIN) ? SOCKET_READ : 0) |
						  ((events[i].events & EPOLLOUT) ? SOCKET_WRITE : 0) |
						  ((events[i].events & (EPOLLERR | EPOLLHUP)) ? SOCKET_FAILED : 0);
	}
	return n;
}
