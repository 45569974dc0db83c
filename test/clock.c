/*
 * clock.c
 *		A library before libc that adds a number of seconds, from a file that TEST_CLOCK
 *		names, to what the time is: for all processes that have it, at once.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct pair
{
	long seconds;
	long rest;
};
static volatile int64_t *ahead;

__attribute__((constructor)) static void
map_offset(void)
{
	const char *path = getenv("TEST_CLOCK");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *map = fd >= 0 ? mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (fd >= 0)
		close(fd);
	if (map != MAP_FAILED)
		ahead = map;
}

static void
now(struct timespec *ts, clockid_t id)
{
	syscall(SYS_clock_gettime, id, ts);
	if (ahead != NULL && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		ts->tv_sec += *ahead;
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	now(ts, id);
	return 0;
}

int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec ts;

	now(&ts, CLOCK_REALTIME);
	((struct pair *) tv)->seconds = ts.tv_sec;
	((struct pair *) tv)->rest = ts.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *at)
{
	struct timespec ts;

	now(&ts, CLOCK_REALTIME);
	if (at != NULL)
		*at = ts.tv_sec;
	return ts.tv_sec;
}
