/*
 * dispatch.c
 *		Dispatch: sends resolved steps to their providers, many at once.
 *
 * One multi handle, whose easy handles are kept and used again, as are its
 * connections; what one of them does is request.c's.
 *
 * libcurl's callbacks run on libcurl's stack: none of them allocates from
 * PostgreSQL or raises an error. Its resolver makes threads, which must never
 * run one of the server's signal handlers: signals are masked wherever such a
 * thread can be born, and a thread inherits the mask.
 *
 * No transaction is open here and no snapshot is held.
 */
#include "postgres.h"

#include <signal.h>
#include <time.h>

#include "fmgr.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "transport/dispatch.h"
#include "transport/request.h"
#include "transport/sockets.h"

PG_MODULE_MAGIC;

#define NO_TIMER PG_INT64_MAX

/* So many sockets are looked at before new transfers get their turn. */
#define READY_MAX 256

struct CadenceDispatcher
{
	CURLM *multi;
	Sockets *sockets;
	const char *problem; /* what libcurl has said, or we to it */
	int64 timer_at;		 /* when libcurl wants to be called, by monotonic_us() */
	int wakeup_fd;
	int capacity;
	int in_flight;
	int ntransfers;
	Transfer **transfers; /* all that were ever made, malloc'd */
	slist_head free;
	slist_head done;
	MemoryContextCallback cleanup;
};

/* ---- signals ---------------------------------------------------------- */

static void
mask_signals(sigset_t *saved)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, saved);
}

static void
unmask_signals(const sigset_t *saved)
{
	sigprocmask(SIG_SETMASK, saved, NULL);
}

/* ---- libcurl's callbacks: no palloc, no ereport ------------------------ */

static int
watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
	CadenceDispatcher *d = arg;
	int events = 0;

	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		events |= SOCKET_READ;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		events |= SOCKET_WRITE;
	if (!sockets_watch(d->sockets, fd, events))
		d->problem = "a socket can not be watched";
	return 0;
}

static int64
monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * USECS_PER_SEC + now.tv_nsec / 1000;
}

static int
set_timer(CURLM *multi, long timeout_ms, void *arg)
{
	CadenceDispatcher *d = arg;

	if (timeout_ms < 0)
		d->timer_at = NO_TIMER;
	else
		d->timer_at = timeout_ms == 0 ? 0 : monotonic_us() + (int64) timeout_ms * 1000;
	return 0;
}

/* ---- handles ------------------------------------------------------------ */

/* NULL when memory is short. */
static Transfer *
new_transfer(CadenceDispatcher *d)
{
	Transfer *t = request_create();

	if (t == NULL)
		return NULL;
	/*
	 * A socket for each: libcurl does not tell of every one that it closes, so
	 * they can not be counted one by one. See socket_limit().
	 */
	ReserveExternalFD();
	d->transfers[d->ntransfers++] = t;
	return t;
}

static Transfer *
get_transfer(CadenceDispatcher *d)
{
	if (!slist_is_empty(&d->free))
		return slist_container(Transfer, node, slist_pop_head_node(&d->free));
	return d->ntransfers < d->capacity ? new_transfer(d) : NULL;
}

/* Called when the memory context goes, or is called again on what is gone already. */
static void
destroy(void *arg)
{
	CadenceDispatcher *d = arg;

	if (d->multi == NULL)
		return;
	for (int i = 0; i < d->ntransfers; i++)
	{
		Transfer *t = d->transfers[i];

		if (t->active)
			curl_multi_remove_handle(d->multi, t->easy);
		request_free(t);
		ReleaseExternalFD();
	}
	curl_multi_cleanup(d->multi);
	sockets_free(d->sockets);
	ReleaseExternalFD();
	free(d->transfers);
	d->multi = NULL;
	d->ntransfers = 0;
}

/*
 * Connections that wait to be used again hold a socket, too. The server lends
 * external code a third of its files.
 */
static int
socket_limit(int wanted)
{
	int lent = max_safe_fds / 3 - 8;

	if (wanted <= lent)
		return wanted;
	ereport(LOG, (errmsg("cadence_runner sends at most %d messages at once, not %d", lent, wanted),
				  errhint("Raise max_files_per_process.")));
	return Max(lent, 1);
}

static void
resize(CadenceDispatcher *d, int max_in_flight)
{
	int wanted = socket_limit(max_in_flight);
	Transfer **transfers = realloc(d->transfers, Max(wanted, d->ntransfers) * sizeof(Transfer *));

	if (transfers == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	d->transfers = transfers;
	d->capacity = wanted;
	curl_multi_setopt(d->multi, CURLMOPT_MAXCONNECTS, (long) wanted);
	curl_multi_setopt(d->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long) wanted);
}

static CadenceDispatcher *
create(int max_in_flight, int wakeup_fd)
{
	CadenceDispatcher *d = palloc0(sizeof(*d));

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		ereport(ERROR, (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
						errmsg("could not initialise libcurl")));
	d->wakeup_fd = wakeup_fd;
	slist_init(&d->free);
	slist_init(&d->done);
	d->timer_at = NO_TIMER;
	d->sockets = sockets_create();
	d->multi = d->sockets != NULL ? curl_multi_init() : NULL;
	if (d->multi == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	ReserveExternalFD();
	d->cleanup.func = destroy;
	d->cleanup.arg = d;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &d->cleanup);

	resize(d, max_in_flight);
	curl_multi_setopt(d->multi, CURLMOPT_PIPELINING, (long) CURLPIPE_NOTHING);
	curl_multi_setopt(d->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(d->multi, CURLMOPT_SOCKETDATA, d);
	curl_multi_setopt(d->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(d->multi, CURLMOPT_TIMERDATA, d);
	if (!sockets_watch(d->sockets, d->wakeup_fd, SOCKET_READ) ||
		!sockets_watch(d->sockets, postmaster_alive_fds[POSTMASTER_FD_WATCH], SOCKET_READ))
		d->problem = "a socket can not be watched";
	return d;
}

static void
finish(CadenceDispatcher *d, Transfer *t)
{
	request_end(t);
	slist_push_head(&d->done, &t->node);
}

static void
fail_at_start(CadenceDispatcher *d, Transfer *t, const char *why)
{
	request_judge_unsent(t, why);
	d->in_flight++;
	finish(d, t);
}

/* ---- what the pipeline calls -------------------------------------------- */

static int
capacity(const CadenceDispatcher *d)
{
	return d->capacity;
}

static int
in_flight(const CadenceDispatcher *d)
{
	return d->in_flight;
}

static void
start(CadenceDispatcher *d, CadenceStep *step)
{
	Transfer *t = get_transfer(d);
	CURLMcode rc;

	if (t == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	if (!request_prepare(t, step))
	{
		fail_at_start(d, t, "the request could not be built");
		return;
	}
	rc = curl_multi_add_handle(d->multi, t->easy);
	if (rc != CURLM_OK)
	{
		fail_at_start(d, t, curl_multi_strerror(rc));
		return;
	}
	t->active = true;
	d->in_flight++;
}

static void
collect(CadenceDispatcher *d)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(d->multi, &left)) != NULL)
	{
		Transfer *t;
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **) &t);
		request_judge(t, code);
		curl_multi_remove_handle(d->multi, t->easy);
		finish(d, t);
	}
}

static void
act(CadenceDispatcher *d, curl_socket_t fd, int events)
{
	int running;
	CURLMcode rc = curl_multi_socket_action(d->multi, fd, events, &running);

	if (rc != CURLM_OK)
		d->problem = curl_multi_strerror(rc);
}

/* libcurl's own time-outs, and the start of what was added. */
static void
act_on_timer(CadenceDispatcher *d)
{
	if (d->timer_at == NO_TIMER || (d->timer_at > 0 && d->timer_at > monotonic_us()))
		return;
	d->timer_at = NO_TIMER;
	act(d, CURL_SOCKET_TIMEOUT, 0);
}

static void
act_on(CadenceDispatcher *d, const SocketEvent *ready)
{
	if (ready->fd == d->wakeup_fd || ready->fd == postmaster_alive_fds[POSTMASTER_FD_WATCH])
		return;
	act(d, ready->fd,
		((ready->events & SOCKET_READ) ? CURL_CSELECT_IN : 0) |
			((ready->events & SOCKET_WRITE) ? CURL_CSELECT_OUT : 0) |
			((ready->events & SOCKET_FAILED) ? CURL_CSELECT_ERR : 0));
}

static void
act_on_all(CadenceDispatcher *d, const SocketEvent *ready, int n)
{
	sigset_t saved;

	mask_signals(&saved);
	for (int i = 0; i < n; i++)
		act_on(d, &ready[i]);
	act_on_timer(d);
	unmask_signals(&saved);
	if (d->problem != NULL)
		ereport(ERROR, (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
						errmsg("libcurl failed: %s", d->problem)));
	collect(d);
}

static bool
postmaster_spoke(const SocketEvent *ready, int n)
{
	for (int i = 0; i < n; i++)
		if (ready[i].fd == postmaster_alive_fds[POSTMASTER_FD_WATCH])
			return true;
	return false;
}

/* Until a socket is ready or libcurl's timer runs out, at most so long. */
static int
wait_ms(CadenceDispatcher *d, int at_most_ms)
{
	int64 left;

	if (!slist_is_empty(&d->done))
		return 0;
	if (d->timer_at == NO_TIMER)
		return at_most_ms;
	left = d->timer_at - monotonic_us();
	return left <= 0 ? 0 : (int) Min((left + 999) / 1000, at_most_ms);
}

static void
work(CadenceDispatcher *d, int timeout_ms)
{
	SocketEvent ready[READY_MAX];
	int n;

	act_on_all(d, NULL, 0);
	n = sockets_wait(d->sockets, wait_ms(d, timeout_ms), ready, READY_MAX);
	if (n < 0 && errno != EINTR)
		ereport(ERROR, (errcode_for_socket_access(),
						errmsg("could not wait for the connections to providers: %m")));
	if (postmaster_spoke(ready, n) && !PostmasterIsAlive())
		proc_exit(1);
	act_on_all(d, ready, Max(n, 0));
}

static CadenceStep *
next_done(CadenceDispatcher *d)
{
	Transfer *t;

	if (slist_is_empty(&d->done))
		return NULL;
	t = slist_container(Transfer, node, slist_pop_head_node(&d->done));
	slist_push_head(&d->free, &t->node);
	d->in_flight--;
	return t->step;
}

/*
 * Judges what is under way as broken off now. The handles stay where they are:
 * taking one out may wait for its resolver's thread, and the process is about
 * to end.
 */
static void
abandon(CadenceDispatcher *d)
{
	for (int i = 0; i < d->ntransfers; i++)
	{
		Transfer *t = d->transfers[i];

		if (!t->active)
			continue;
		strlcpy(t->error, "the execution was stopped", sizeof(t->error));
		request_judge(t, CURLE_OPERATION_TIMEDOUT);
		if (t->step->outcome == OUTCOME_FAILED)
			t->step->outcome = OUTCOME_UNSENT;
		t->active = false;
		slist_push_head(&d->done, &t->node);
	}
	d->multi = NULL;
}

extern PGDLLEXPORT const CadenceDispatchFunctions *cadence_dispatch_functions(void);

const CadenceDispatchFunctions *
cadence_dispatch_functions(void)
{
	static const CadenceDispatchFunctions functions = {.version = CADENCE_VERSION,
													   .create = create,
													   .capacity = capacity,
													   .resize = resize,
													   .in_flight = in_flight,
													   .start = start,
													   .work = work,
													   .next_done = next_done,
													   .abandon = abandon};

	return &functions;
}
