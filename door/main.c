/*
 * main.c
 *		cadence_door: HTTP for cadence_runner.
 *
 * The server that reads strangers' bytes is a process of its own, which knows no
 * secret and decides nothing: each request is one call of cadence_http() in the
 * database, by a role that may do nothing else. One thread, which waits in one
 * place (loop.c) for clients (libmicrohttpd's own set of sockets) and for the
 * database (session.c).
 */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "client.h"
#include "conf.h"
#include "files.h"
#include "listen.h"
#include "log.h"
#include "loop.h"
#include "pool.h"
#include "request.h"

/* More than clients may be: who is one too many is told so, if there is room for that. */
#define CONNECTIONS (CLIENTS_MAX + 32)
/* 16 kB of headers, what libmicrohttpd notes about each, and the answer's. */
#define CONNECTION_BYTES (32 * 1024)
/* For what client.c does not see. */
#define TIMEOUT_SECONDS 12
#define TICK_MS 1000
#define GRACE_MS 5000
/* Larger texts are given back to the system at once. */
#define MAPPED_BYTES (64 * 1024)

typedef struct Door
{
	struct MHD_Daemon *daemon;
	int listener;
	int signals;
	Watch clients_watch;
	Watch signals_watch;
	bool is_ending;
	int64_t end_at;
	int64_t next_tick;
} Door;

static const char usage[] =
	"cadence_door serves HTTP for cadence_runner.\n"
	"\n"
	"Usage: cadence_door [OPTION]\n"
	"\n"
	"  -c, --config=FILE   read the configuration from FILE\n"
	"      --check         read configuration and dashboard, say what is wrong, and leave\n"
	"  -V, --version       print the version, and leave\n"
	"  -h, --help          print this, and leave\n"
	"\n"
	"The database is the one that the setting database and the PG* variables name.\n";

/* ---- signals -------------------------------------------------------------- */

static void
signal_came(void *arg)
{
	Door *door = arg;
	struct signalfd_siginfo info;

	if (read(door->signals, &info, sizeof(info)) != (ssize_t) sizeof(info) || door->is_ending)
		return;
	log_line("ending");
	door->is_ending = true;
	door->end_at = loop_now() + GRACE_MS;
	door->listener = MHD_quiesce_daemon(door->daemon);
	request_refuse_new();
}

/* Blocked, so that they come through the loop. */
static bool
open_signals(Door *door)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return false;
	door->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	door->signals_watch = (Watch){.ready = signal_came, .arg = door};
	return door->signals >= 0 && loop_watch(&door->signals_watch, door->signals, EPOLLIN);
}

/* ---- clients -------------------------------------------------------------- */

/* It is run at each turn in any case. */
static void
clients_came(void *arg)
{
	(void) arg;
}

/*
 * From 1.0 on its strict mode refuses what a server may refuse; without it, a
 * blank in a target is answered with where else to go, and a line may end without
 * a carriage return. Before, it refuses what headers.c does, and says so twice. By
 * the version that runs, since it goes by the same name as the one that was built
 * with.
 */
static int
strictness(void)
{
	return atoi(MHD_get_version()) >= 1;
}

static struct MHD_Daemon *
start_daemon(int listener)
{
	return MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, request_go_on, NULL,
		MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_STRICT_FOR_CLIENT, strictness(),
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int) CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t) CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int) TIMEOUT_SECONDS,
		MHD_OPTION_UNESCAPE_CALLBACK, request_unescape, NULL, MHD_OPTION_URI_LOG_CALLBACK,
		request_begin, NULL, MHD_OPTION_NOTIFY_COMPLETED, request_end, NULL,
		MHD_OPTION_NOTIFY_CONNECTION, client_notify, NULL, MHD_OPTION_END);
}

static bool
open_clients(Door *door, const Conf *conf)
{
	const union MHD_DaemonInfo *info;

	door->listener = listen_open(conf);
	if (door->listener < 0)
		return false;
	door->daemon = start_daemon(door->listener);
	if (door->daemon == NULL)
	{
		log_line("libmicrohttpd does not start: %s", strerror(errno));
		return false;
	}
	info = MHD_get_daemon_info(door->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	door->clients_watch = (Watch){.ready = clients_came};
	return loop_watch(&door->clients_watch, info->epoll_fd, EPOLLIN);
}

/* ---- the turn ------------------------------------------------------------- */

static int64_t
shorter(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Also where nothing seems to be due the clock looks once a second: a lost wake-up costs no more.
 */
static void
turn(Door *door)
{
	int64_t wait = shorter(pool_tick(), door->next_tick - loop_now());
	MHD_UNSIGNED_LONG_LONG clients;

	if (request_was_resumed())
		wait = 0;
	if (MHD_get_timeout(door->daemon, &clients) == MHD_YES && clients < TICK_MS)
		wait = shorter(wait, (int64_t) clients);
	loop_wait(wait);
	MHD_run(door->daemon);
	if (loop_now() >= door->next_tick)
	{
		door->next_tick = loop_now() + TICK_MS;
		client_tick();
	}
}

static bool
has_ended(const Door *door)
{
	return door->is_ending && (request_count() == 0 || loop_now() >= door->end_at);
}

/* Who still waits is told that there is no service, as far as one turn can do that. */
static void
end(Door *door)
{
	pool_close();
	if (door->daemon != NULL)
	{
		MHD_run(door->daemon);
		MHD_run(door->daemon);
		MHD_stop_daemon(door->daemon);
	}
	files_free();
	loop_close();
}

static int
serve(const Conf *conf)
{
	Door door = {.listener = -1};
	bool is_open;

	mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
	log_requests(strcmp(conf->log, "requests") == 0);
	pool_open(conf);
	request_open(conf);
	is_open = loop_open() && open_signals(&door) && files_load(conf->dashboard) &&
			  open_clients(&door, conf);
	if (is_open)
		listen_say(door.listener);
	while (is_open && !has_ended(&door))
		turn(&door);
	end(&door);
	return is_open ? 0 : 1;
}

/* ---- the command line ----------------------------------------------------- */

static int
check(const Conf *conf)
{
	bool is_good = files_load(conf->dashboard);

	files_free();
	puts(is_good ? "ok" : "not ok");
	return is_good ? 0 : 1;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
											{"check", no_argument, NULL, 'k'},
											{"version", no_argument, NULL, 'V'},
											{"help", no_argument, NULL, 'h'},
											{0}};
	const char *file = NULL;
	bool is_check = false;
	Conf conf;
	int option;
	int status;

	while ((option = getopt_long(argc, argv, "c:Vh", options, NULL)) != -1)
	{
		if (option == 'c')
			file = optarg;
		else if (option == 'k')
			is_check = true;
		else
		{
			fputs(option == 'V' ? "cadence_door " CADENCE_VERSION "\n" : usage,
				  option == '?' ? stderr : stdout);
			return option == '?' ? 2 : 0;
		}
	}
	if (optind < argc)
	{
		fputs(usage, stderr);
		return 2;
	}
	status = conf_read(&conf, file) ? 0 : 1;
	if (status == 0)
		status = is_check ? check(&conf) : serve(&conf);
	conf_free(&conf);
	return status;
}
