# Libraries that are loaded before libc and stand in for functions of it.

package Cadence::Preload;

use strict;
use warnings;

use Exporter qw(import);
use FindBin;
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
	return preload('clock', slurp_file("$FindBin::RealBin/../clock.c"));
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
