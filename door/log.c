/*
 * log.c
 *		Lines on standard error.
 *
 * One thread serves everybody, so a reader of the log that stops reading must
 * not stop it: a line that does not fit into the pipe at once is dropped, and
 * how many were is said when there is room again.
 */
#include "log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Below PIPE_BUF: a pipe that is ready takes that much without waiting. */
#define LINE_MAX_BYTES 1024

static bool with_requests = true;
static unsigned long dropped;

/* False: only what goes wrong. */
void
log_requests(bool wanted)
{
	with_requests = wanted;
}

/* The journal has its own times. */
static size_t
write_time(char *line, size_t room)
{
	time_t now = time(NULL);
	struct tm parts;

	if (getenv("JOURNAL_STREAM") != NULL)
		return 0;
	gmtime_r(&now, &parts);
	return strftime(line, room, "%Y-%m-%dT%H:%M:%SZ ", &parts);
}

static bool
is_writable(void)
{
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&out, 1, 0) == 1 && (out.revents & POLLOUT) != 0;
}

static void
write_line(char *line, size_t used)
{
	if (!is_writable())
		dropped++;
	else if (write(STDERR_FILENO, line, used) < 0)
		dropped++;
}

static void __attribute__((format(printf, 1, 0))) format_line(const char *format, va_list arguments)
{
	char line[LINE_MAX_BYTES];
	size_t used = write_time(line, sizeof(line));
	int more = vsnprintf(line + used, sizeof(line) - used - 1, format, arguments);

	if (more < 0)
		return;
	used += (size_t) more < sizeof(line) - used - 1 ? (size_t) more : sizeof(line) - used - 2;
	line[used++] = '\n';
	write_line(line, used);
}

void
log_line(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	format_line(format, arguments);
	va_end(arguments);
	if (dropped > 0 && is_writable())
	{
		unsigned long n = dropped;

		dropped = 0;
		log_line("%lu lines were not written: nobody read them", n);
	}
}

void
log_request(const char *method, const char *path, unsigned int status, int64_t ms)
{
	if (with_requests || status >= 500)
		log_line("%s %s %u %lld ms", method, path, status, (long long) ms);
}
