/*
 * loop.c
 *		The one place that waits.
 *
 * There are eight things to wait for: libmicrohttpd's own set of sockets, a
 * signal, and the connections to the database. One event is taken at a time, so
 * that none is about a socket that another's handler has just closed.
 */
#include "loop.h"

#include <time.h>
#include <unistd.h>

static int epoll = -1;

bool
loop_open(void)
{
	epoll = epoll_create1(EPOLL_CLOEXEC);
	return epoll >= 0;
}

void
loop_close(void)
{
	close(epoll);
	epoll = -1;
}

/*
 * Waits for these events of this socket from now on. libpq may close a socket
 * and open another one under the same number: it is always taken anew.
 */
bool
loop_watch(Watch *watch, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	loop_forget(watch);
	watch->fd = fd;
	watch->watched = epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
	return watch->watched;
}

/* A socket that is closed has left the set by itself, so that this fails is no error. */
void
loop_forget(Watch *watch)
{
	if (watch->watched)
		epoll_ctl(epoll, EPOLL_CTL_DEL, watch->fd, NULL);
	watch->watched = false;
}

/* Milliseconds of a clock that nobody sets. */
int64_t
loop_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
loop_wait(int64_t ms)
{
	struct epoll_event event;

	if (epoll_wait(epoll, &event, 1, ms < 0 ? 0 : (int) ms) == 1)
	{
		Watch *watch = event.data.ptr;

		watch->ready(watch->arg);
	}
}
