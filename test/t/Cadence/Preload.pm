# Libraries that are loaded before libc and stand in for functions of it.

package Cadence::Preload;

use strict;
use warnings;

use Exporter qw(import);
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(preload clock_library silent_resolver other_authority);

# The path of the library that a text in C makes; next("name", type) in it is libc's own function.
sub preload
{
	my ($name, $text) = @_;
	my $directory = PostgreSQL::Test::Utils::tempdir($name);

	append_to_file("$directory/$name.c", <<"EOC");
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define next(name, type) ((type) dlsym(RTLD_NEXT, name))

$text
EOC
	system("cd $directory && cc -shared -fPIC -O1 -o $name.so $name.c -ldl >output 2>&1") == 0
	  or BAIL_OUT("no C compiler makes $name.so: " . slurp_file("$directory/output"));
	return "$directory/$name.so";
}

# A clock that can be set: what the time is, and so many seconds as the file holds that TEST_CLOCK
# names. (libfaketime 0.9.10 does not show a change of its file to processes that the server has
# forked before.)
sub clock_library
{
	return preload('clock', <<'C');
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

struct pair { long seconds; long rest; };
static volatile int64_t *ahead;

__attribute__((constructor)) static void map_offset(void)
{
	const char *path = getenv("TEST_CLOCK");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *map = fd >= 0 ? mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (fd >= 0)
		close(fd);
	if (map != MAP_FAILED)
		ahead = map;
}

static void now(struct timespec *ts, clockid_t id)
{
	syscall(SYS_clock_gettime, id, ts);
	if (ahead != NULL && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		ts->tv_sec += *ahead;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	now(ts, id);
	return 0;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec ts;

	now(&ts, CLOCK_REALTIME);
	((struct pair *) tv)->seconds = ts.tv_sec;
	((struct pair *) tv)->rest = ts.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *at)
{
	struct timespec ts;

	now(&ts, CLOCK_REALTIME);
	if (at != NULL)
		*at = ts.tv_sec;
	return ts.tv_sec;
}
C
}

# A name server that never answers: the name silent.example takes so many seconds, and has no
# address.
sub silent_resolver
{
	my ($seconds) = @_;
	return preload('names', <<"EOC");
typedef int (*Function)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
            struct addrinfo **result)
{
	if (name != NULL && strcmp(name, "silent.example") == 0)
	{
		sleep($seconds);
		return EAI_AGAIN;
	}
	return next("getaddrinfo", Function)(name, service, hints, result);
}
EOC
}

# A file of certificates in the place of those that the system trusts.
sub other_authority
{
	my ($file) = @_;
	return preload('authority', <<"EOC");
typedef FILE *(*Function)(const char *, const char *);

static const char *
instead_of(const char *path)
{
	return strstr(path, "/certs/ca-") != NULL ? "$file" : path;
}

FILE *
fopen(const char *path, const char *mode)
{
	return next("fopen", Function)(instead_of(path), mode);
}

FILE *
fopen64(const char *path, const char *mode)
{
	return next("fopen64", Function)(instead_of(path), mode);
}
EOC
}

1;
