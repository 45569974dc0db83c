/*
 * dispatch.c
 *		Dispatch: sends requests to their providers, many at once.
 *
 * One event loop over the connections of all endpoints. libcurl's callbacks run
 * on libcurl's stack: none of them allocates from PostgreSQL or raises an error.
 *
 * No transaction is open here and no snapshot is held.
 */
#include "postgres.h"

#include "fmgr.h"
#include "postmaster/postmaster.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "transport/dispatch.h"
#include "transport/endpoint.h"
#include "transport/endpoints.h"

PG_MODULE_MAGIC;

/* So many sockets are looked at before new transfers get their turn. */
#define READY_MAX 256

struct CadenceDispatcher
{
	bool has_ended; /* then there are no endpoints, and so nothing of libcurl's */
	Endpoints endpoints;
	Sockets *sockets;
	int wakeup_fd;
	CadenceIsCrossed is_crossed;
	void *is_crossed_arg;
	TransferGate gate; /* the same, for each transfer that would begin */
	bool has_yielded;  /* the last turn was nobody's, so that it can be looked at */
	int in_flight;
	dlist_head done; /* requests */
	MemoryContextCallback cleanup;
};

/* ---- life ----------------------------------------------------------------------- */

/* Called when the memory context goes. */
static void
destroy(void *arg)
{
	CadenceDispatcher *d = arg;

	endpoints_free(&d->endpoints);
	if (d->sockets != NULL)
	{
		sockets_free(d->sockets);
		ReleaseExternalFD();
	}
	d->sockets = NULL;
	d->has_ended = true;
}

static void
resize(CadenceDispatcher *d, int max_in_flight)
{
	endpoints_resize(&d->endpoints, max_in_flight);
}

/* A new set, of the two that are no connection: who wakes us, and the postmaster. */
static bool
open_sockets(CadenceDispatcher *d)
{
	d->sockets = d->endpoints.sockets = sockets_create();
	return d->sockets != NULL && sockets_watch(d->sockets, d->wakeup_fd, SOCKET_READ, NULL) &&
		   sockets_watch(d->sockets, postmaster_alive_fds[POSTMASTER_FD_WATCH], SOCKET_READ, NULL);
}

/* Called inside libcurl: where it can not be asked, nothing begins. */
static bool
is_shut(void *arg)
{
	CadenceDispatcher *d = arg;
	MemoryContext context = CurrentMemoryContext;
	volatile bool shut = true;

	PG_TRY();
	{
		shut = d->is_crossed(d->is_crossed_arg);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	return shut;
}

static CadenceDispatcher *
create(int max_in_flight, int wakeup_fd, CadenceIsCrossed is_crossed, void *arg)
{
	CadenceDispatcher *d = palloc0(sizeof(*d));

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		ereport(ERROR, (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
						errmsg("could not initialise libcurl")));
	endpoints_init(&d->endpoints, &d->gate);
	dlist_init(&d->done);
	d->wakeup_fd = wakeup_fd;
	d->is_crossed = is_crossed;
	d->is_crossed_arg = arg;
	d->gate = (TransferGate){is_shut, d};
	d->cleanup.func = destroy;
	d->cleanup.arg = d;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &d->cleanup);
	ReserveExternalFD();
	if (!open_sockets(d))
		ereport(ERROR, (errcode_for_socket_access(),
						errmsg("could not wait for connections to providers: %m")));
	resize(d, max_in_flight);
	return d;
}

/* ---- what the engine calls -------------------------------------------------------- */

static int
capacity(const CadenceDispatcher *d)
{
	return d->endpoints.capacity;
}

static int
in_flight(const CadenceDispatcher *d)
{
	return d->in_flight;
}

static void
finish(CadenceDispatcher *d, CadenceRequest *request)
{
	dlist_push_tail(&d->done, &request->node);
}

static void
finish_unsent(CadenceDispatcher *d, CadenceRequest *request, const char *why)
{
	request->answer->outcome = OUTCOME_UNSENT;
	request->answer->reason = unconstify(char *, why);
	finish(d, request);
}

static void
start(CadenceDispatcher *d, CadenceRequest *request)
{
	Endpoint *e =
		d->has_ended ? NULL : endpoints_get_ready(&d->endpoints, request->configuration->server);

	d->in_flight++;
	if (e == NULL)
		finish_unsent(d, request, d->has_ended ? "the execution has ended" : "out of memory");
	else if (endpoint_start(e, request) != NULL)
		finish(d, request);
}

static void
collect(CadenceDispatcher *d)
{
	dlist_iter iter;

	dlist_foreach(iter, &d->endpoints.list)
	{
		Endpoint *e = dlist_container(Endpoint, node, iter.cur);
		CadenceRequest *request;

		if (e->problem != NULL)
			ereport(ERROR, (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
							errmsg("libcurl failed: %s", e->problem)));
		while ((request = endpoint_collect(e)) != NULL)
			finish(d, request);
	}
}

/*
 * Whether this turn is to be left to whoever looks at what has not left. Not two in a
 * row: what has left goes on however fast its looks are asked for.
 */
static bool
yields(CadenceDispatcher *d)
{
	d->has_yielded = !d->has_ended && !d->has_yielded && d->is_crossed(d->is_crossed_arg);
	return d->has_yielded;
}

/* Waits for sockets, at most so long, and does what is to be done then; false: it has yielded. */
static bool
work_once(CadenceDispatcher *d, int timeout_ms)
{
	SocketEvent ready[READY_MAX];
	int n = sockets_wait(d->sockets, timeout_ms, ready, READY_MAX);

	if (n < 0 && errno != EINTR)
		ereport(ERROR, (errcode_for_socket_access(),
						errmsg("could not wait for the connections to providers: %m")));
	for (int i = 0; i < n; i++)
		if (ready[i].fd == postmaster_alive_fds[POSTMASTER_FD_WATCH] && !PostmasterIsAlive())
			proc_exit(1);
	endpoints_end_idle(ready, Max(n, 0));
	if (yields(d))
		return false;
	endpoints_act(&d->endpoints, ready, Max(n, 0));
	collect(d);
	return true;
}

/* How long until a timer of libcurl's runs out, in milliseconds, at most as given. */
static int
until_timer(CadenceDispatcher *d, int at_most_ms)
{
	int64 first;
	int64 left;

	if (!dlist_is_empty(&d->done))
		return 0;
	first = endpoints_timer(&d->endpoints);
	if (first == NO_TIMER || at_most_ms <= 0)
		return at_most_ms;
	left = first == 0 ? 0 : first - monotonic_us();
	return left <= 0 ? 0 : (int) Min((left + 999) / 1000, at_most_ms);
}

static bool
work(CadenceDispatcher *d, int timeout_ms)
{
	if (d->sockets == NULL)
	{
		pg_usleep(Min(timeout_ms, 100) * 1000L);
		return true;
	}
	/* what was started since starts before the wait */
	if ((timeout_ms <= 0 || until_timer(d, 1) == 0) && !work_once(d, 0))
		return false;
	timeout_ms = until_timer(d, timeout_ms);
	return timeout_ms <= 0 || work_once(d, timeout_ms);
}

static CadenceRequest *
next_done(CadenceDispatcher *d)
{
	if (dlist_is_empty(&d->done))
		return NULL;
	d->in_flight--;
	return dlist_container(CadenceRequest, node, dlist_pop_head_node(&d->done));
}

/* What is under way, or only that of which nothing has left. */
static void
break_off(CadenceDispatcher *d, Endpoint *e, bool only_unsent)
{
	dlist_iter iter;

	dlist_foreach(iter, &e->active)
	{
		Transfer *t = dlist_container(Transfer, node, iter.cur);
		CadenceRequest *request = t->request;

		if (request == NULL || (only_unsent && t->asked))
			continue;
		strlcpy(t->error, "the execution was stopped", sizeof(t->error));
		transfer_end(t, CURLE_OPERATION_TIMEDOUT);
		transfer_note_broken_off(request);
		finish(d, request);
	}
}

static void
ask_unsent(CadenceDispatcher *d, CadenceMayBegin may_begin, void *arg)
{
	endpoints_ask_unsent(&d->endpoints, may_begin, arg);
}

/* The handles stay where they are until libcurl is done with them: see abandon(). */
static void
withdraw(CadenceDispatcher *d)
{
	dlist_iter iter;

	dlist_foreach(iter, &d->endpoints.list)
		break_off(d, dlist_container(Endpoint, node, iter.cur), true);
}

/*
 * What is under way is broken off now. The endpoints are left to themselves, for
 * good: taking a handle out may wait for its resolver's thread, and the process
 * is about to end.
 */
static void
abandon(CadenceDispatcher *d)
{
	dlist_iter iter;

	if (d->has_ended)
		return;
	dlist_foreach(iter, &d->endpoints.list)
		break_off(d, dlist_container(Endpoint, node, iter.cur), false);
	d->has_ended = true;
	dlist_init(&d->endpoints.list);
	sockets_free(d->sockets);
	if (!open_sockets(d))
	{
		sockets_free(d->sockets);
		d->sockets = NULL;
		ReleaseExternalFD();
	}
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
													   .ask_unsent = ask_unsent,
													   .withdraw = withdraw,
													   .abandon = abandon};

	return &functions;
}
