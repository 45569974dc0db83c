/*
 * sockets_test.c
 *		The sockets that a process waits for.
 */
#include "transport/sockets.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

#define MANY 300

typedef struct Pair
{
	int ours;
	int theirs;
} Pair;

static Pair
make_pair(void)
{
	int fds[2] = {-1, -1};

	CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	return (Pair){fds[0], fds[1]};
}

static void
close_pair(Pair pair)
{
	close(pair.ours);
	close(pair.theirs);
}

static void
say(int fd)
{
	CHECK_INT(write(fd, "x", 1), 1);
}

static void
hear(int fd)
{
	char byte;

	CHECK_INT(read(fd, &byte, 1), 1);
}

static int owner;

#define SILENCE -1

/* What is said of one socket, without waiting. */
static int
events_of(Sockets *s, int fd)
{
	SocketEvent ready[8];
	int n = sockets_wait(s, 0, ready, 8);

	for (int i = 0; i < n; i++)
		if (ready[i].fd == fd)
		{
			CHECK(ready[i].owner == &owner);
			return ready[i].events;
		}
	return SILENCE;
}

static void
says_what_is_ready(void)
{
	Sockets *s = sockets_create();
	Pair pair = make_pair();

	CHECK(sockets_watch(s, pair.ours, SOCKET_READ, &owner));
	CHECK_INT(events_of(s, pair.ours), SILENCE);
	say(pair.theirs);
	CHECK_INT(events_of(s, pair.ours), SOCKET_READ);
	/* and says it again until it is read */
	CHECK_INT(events_of(s, pair.ours), SOCKET_READ);
	hear(pair.ours);
	CHECK_INT(events_of(s, pair.ours), SILENCE);
	CHECK(sockets_watch(s, pair.ours, SOCKET_WRITE, &owner));
	CHECK_INT(events_of(s, pair.ours), SOCKET_WRITE);
	CHECK(sockets_watch(s, pair.ours, SOCKET_READ | SOCKET_WRITE, &owner));
	say(pair.theirs);
	CHECK_INT(events_of(s, pair.ours), SOCKET_READ | SOCKET_WRITE);
	close_pair(pair);
	sockets_free(s);
}

static void
says_once_that_an_idle_one_has_spoken(void)
{
	Sockets *s = sockets_create();
	Pair pair = make_pair();

	CHECK(sockets_watch(s, pair.ours, SOCKET_READ, &owner));
	CHECK(sockets_watch(s, pair.ours, 0, &owner));
	say(pair.theirs);
	CHECK_INT(events_of(s, pair.ours), 0);
	CHECK_INT(events_of(s, pair.ours), SILENCE);
	/* watched again, what came meanwhile is still there */
	CHECK(sockets_watch(s, pair.ours, SOCKET_READ, &owner));
	CHECK_INT(events_of(s, pair.ours), SOCKET_READ);
	/* the same before the kernel has said anything */
	CHECK(sockets_watch(s, pair.ours, 0, &owner));
	CHECK(sockets_watch(s, pair.ours, SOCKET_READ, &owner));
	CHECK_INT(events_of(s, pair.ours), SOCKET_READ);
	close_pair(pair);
	sockets_free(s);
}

/* libcurl closes sockets without a word, and their numbers come back as other sockets. */
static void
takes_a_number_for_another_socket(void)
{
	Sockets *s = sockets_create();
	Pair first = make_pair();
	Pair second;
	int number = first.ours;

	CHECK(sockets_watch(s, number, SOCKET_READ, &owner));
	close_pair(first);
	second = make_pair();
	CHECK(second.ours == number);
	CHECK(sockets_watch(s, number, SOCKET_READ, &owner));
	say(second.theirs);
	CHECK_INT(events_of(s, number), SOCKET_READ);
	hear(number);

	/* the other way round: the kernel still knows a number that we have let go of */
	CHECK(sockets_watch(s, number, 0, &owner));
	say(second.theirs);
	CHECK_INT(events_of(s, number), 0);
	CHECK(sockets_watch(s, number, SOCKET_WRITE, &owner));
	CHECK_INT(events_of(s, number) & SOCKET_WRITE, SOCKET_WRITE);
	close_pair(second);
	sockets_free(s);
}

/* What hangs in a library's thread may outlive who asked for it. */
static void
forgets_an_owner(void)
{
	Sockets *s = sockets_create();
	SocketEvent ready[2];
	Pair pair = make_pair();

	CHECK(sockets_watch(s, pair.ours, SOCKET_READ, &owner));
	sockets_disown(s, &owner);
	say(pair.theirs);
	CHECK_INT(sockets_wait(s, 0, ready, 2), 1);
	CHECK(ready[0].owner == NULL);
	CHECK_INT(ready[0].events, 0);
	CHECK_INT(sockets_wait(s, 0, ready, 2), 0);
	close_pair(pair);
	sockets_free(s);
}

static void
says_that_the_other_end_is_gone(void)
{
	Sockets *s = sockets_create();
	Pair pair = make_pair();

	CHECK(sockets_watch(s, pair.ours, SOCKET_READ, &owner));
	close(pair.theirs);
	CHECK((events_of(s, pair.ours) & (SOCKET_READ | SOCKET_FAILED)) != 0);
	close(pair.ours);
	sockets_free(s);
}

/* None may be left out for ever because others are always ready. */
static void
serves_more_than_fit_at_once(void)
{
	Sockets *s = sockets_create();
	static Pair pairs[MANY];
	int heard = 0;

	for (int i = 0; i < MANY; i++)
	{
		pairs[i] = make_pair();
		CHECK(sockets_watch(s, pairs[i].ours, SOCKET_READ, &owner));
		say(pairs[i].theirs);
	}
	for (int round = 0; round < MANY && heard < MANY; round++)
	{
		SocketEvent ready[7];
		int n = sockets_wait(s, 0, ready, 7);

		CHECK(n > 0 && n <= 7);
		for (int i = 0; i < n; i++)
		{
			hear(ready[i].fd);
			heard++;
		}
	}
	CHECK_INT(heard, MANY);
	CHECK_INT(sockets_wait(s, 0, &(SocketEvent){0}, 1), 0);
	for (int i = 0; i < MANY; i++)
		close_pair(pairs[i]);
	sockets_free(s);
}

static void
waits_no_longer_than_asked(void)
{
	Sockets *s = sockets_create();
	SocketEvent ready[1];
	Pair pair = make_pair();

	CHECK_INT(sockets_wait(s, 1, ready, 1), 0);
	CHECK(sockets_watch(s, pair.ours, SOCKET_READ, &owner));
	CHECK_INT(sockets_wait(s, 1, ready, 1), 0);
	close_pair(pair);
	sockets_free(s);
}

/* Numbers far beyond the first, so that the arrays grow. */
static void
takes_high_numbers(void)
{
	Sockets *s = sockets_create();
	Pair pair = make_pair();
	int high = fcntl(pair.ours, F_DUPFD, 900);

	CHECK(high >= 900);
	CHECK(sockets_watch(s, high, SOCKET_READ, &owner));
	say(pair.theirs);
	CHECK_INT(events_of(s, high), SOCKET_READ);
	close(high);
	close_pair(pair);
	sockets_free(s);
}

int
main(void)
{
	struct rlimit files = {2048, 2048};

	/* fewer are enough where no more are allowed */
	(void) setrlimit(RLIMIT_NOFILE, &files);
	RUN_GROUP("sockets: says what is ready", says_what_is_ready);
	RUN_GROUP("sockets: says once that an idle one has spoken",
			  says_once_that_an_idle_one_has_spoken);
	RUN_GROUP("sockets: takes a number for another socket", takes_a_number_for_another_socket);
	RUN_GROUP("sockets: forgets an owner", forgets_an_owner);
	RUN_GROUP("sockets: says that the other end is gone", says_that_the_other_end_is_gone);
	RUN_GROUP("sockets: serves more than fit at once", serves_more_than_fit_at_once);
	RUN_GROUP("sockets: waits no longer than asked", waits_no_longer_than_asked);
	RUN_GROUP("sockets: takes high numbers", takes_high_numbers);
	return check_result();
}
