/*
 * endpoint.c
 *		One server's side of the transport.
 *
 * A multi handle of its own, and with it connections of its own: what one
 * server's provider sends too much can never be another one's answer, though
 * both have the same host.
 *
 * Some providers close a connection after each answer without saying so. A
 * request that meets such a connection is uncertain, so connections are on trial
 * at first: each request has a new one, and what is kept is watched. Once one has
 * lasted for a while they are used again. A provider that was seen to hang up is
 * not trusted for a while, a longer one each time.
 */
#include "postgres.h"

#include <time.h>

#include "storage/fd.h"

#include "transport/endpoint.h"

/*
 * A connection that is kept for so long, and for two ways to the provider and
 * back, is not one that is closed after an answer.
 */
#define TRIAL_US (10 * INT64CONST(1000))

/* No connection is used again for so long, twice as long each time. */
#define DISTRUST_US (60 * USECS_PER_SEC)
#define DISTRUST_DOUBLINGS 6

int64
monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * USECS_PER_SEC + now.tv_nsec / 1000;
}

/* ---- libcurl's callbacks: no palloc, no ereport ------------------------ */

static int
watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
	Endpoint *e = arg;
	int events = 0;

	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		events |= SOCKET_READ;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		events |= SOCKET_WRITE;
	if (!sockets_watch(e->sockets, fd, events, e))
		e->problem = "a socket can not be watched";
	return 0;
}

static int
set_timer(CURLM *multi, long timeout_ms, void *arg)
{
	Endpoint *e = arg;

	if (timeout_ms < 0)
		e->timer_at = NO_TIMER;
	else
		e->timer_at = timeout_ms == 0 ? 0 : monotonic_us() + (int64) timeout_ms * 1000;
	return 0;
}

/* ---- life -------------------------------------------------------------------- */

/* NULL when memory is short. */
Endpoint *
endpoint_create(Oid server, Sockets *sockets, int max_connections)
{
	Endpoint *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	e->multi = curl_multi_init();
	if (e->multi == NULL)
	{
		free(e);
		return NULL;
	}
	e->server = server;
	e->sockets = sockets;
	e->timer_at = NO_TIMER;
	dlist_init(&e->active);
	dlist_init(&e->free);
	curl_multi_setopt(e->multi, CURLMOPT_PIPELINING, (long) CURLPIPE_NOTHING);
	curl_multi_setopt(e->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(e->multi, CURLMOPT_SOCKETDATA, e);
	curl_multi_setopt(e->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(e->multi, CURLMOPT_TIMERDATA, e);
	endpoint_limit(e, max_connections);
	return e;
}

static void
free_transfer(Endpoint *e, Transfer *t)
{
	dlist_delete(&t->node);
	transfer_free(t);
	e->ntransfers--;
	ReleaseExternalFD();
}

/* Its connections end. */
void
endpoint_free(Endpoint *e)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &e->active)
	{
		Transfer *t = dlist_container(Transfer, node, iter.cur);

		curl_multi_remove_handle(e->multi, t->easy);
		free_transfer(e, t);
	}
	while (!dlist_is_empty(&e->free))
		endpoint_drop_free_transfer(e);
	curl_multi_cleanup(e->multi);
	sockets_disown(e->sockets, e);
	free(e);
}

/* So many connections may be open, those that are kept included. */
void
endpoint_limit(Endpoint *e, int max_connections)
{
	curl_multi_setopt(e->multi, CURLMOPT_MAXCONNECTS, (long) max_connections);
	curl_multi_setopt(e->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long) max_connections);
}

/*
 * One more transfer. A socket is counted for each: libcurl does not tell of
 * every one that it closes, so they can not be counted one by one.
 */
bool
endpoint_add_transfer(Endpoint *e)
{
	Transfer *t = transfer_create(e);

	if (t == NULL)
		return false;
	ReserveExternalFD();
	dlist_push_head(&e->free, &t->node);
	e->ntransfers++;
	return true;
}

void
endpoint_drop_free_transfer(Endpoint *e)
{
	free_transfer(e, dlist_head_element(Transfer, node, &e->free));
}

/* ---- trust --------------------------------------------------------------------- */

/* A connection has ended without a word, or spoken unasked. */
void
endpoint_distrust(Endpoint *e)
{
	if (e->trust == ENDPOINT_HANGS_UP)
		return;
	e->trust = ENDPOINT_HANGS_UP;
	e->trust_until = monotonic_us() + (DISTRUST_US << Min(e->hang_ups, DISTRUST_DOUBLINGS));
	e->hang_ups++;
}

static ConnectionUse
connection_use(Endpoint *e)
{
	if (e->trust == ENDPOINT_KEEPS)
		return CONNECTION_KEPT;
	if (e->trust_until != 0 && monotonic_us() >= e->trust_until)
	{
		e->trust = e->trust == ENDPOINT_ON_TRIAL ? ENDPOINT_KEEPS : ENDPOINT_ON_TRIAL;
		e->trust_until = 0;
		return e->trust == ENDPOINT_KEEPS ? CONNECTION_KEPT : CONNECTION_ON_TRIAL;
	}
	return e->trust == ENDPOINT_ON_TRIAL ? CONNECTION_ON_TRIAL : CONNECTION_FOR_ONE;
}

static void
learn_from(Endpoint *e, const Transfer *t, CURLcode code)
{
	if (transfer_met_bad_connection(t, code))
		endpoint_distrust(e);
	else if (code == CURLE_OK && e->trust == ENDPOINT_ON_TRIAL && e->trust_until == 0)
	{
		curl_off_t connect_us = 0;

		(void) curl_easy_getinfo(t->easy, CURLINFO_CONNECT_TIME_T, &connect_us);
		e->trust_until = monotonic_us() + TRIAL_US + 2 * connect_us;
	}
}

/* ---- work ---------------------------------------------------------------------- */

/*
 * Starts a request with a free transfer, of which there must be one. Returns
 * NULL, or why it could not be started: its answer then says so.
 */
const char *
endpoint_start(Endpoint *e, CadenceRequest *request)
{
	Transfer *t = dlist_head_element(Transfer, node, &e->free);
	const char *problem = "the request could not be built";
	CURLMcode rc;

	if (transfer_prepare(t, request, connection_use(e)))
	{
		rc = curl_multi_add_handle(e->multi, t->easy);
		problem = rc != CURLM_OK ? curl_multi_strerror(rc) : NULL;
	}
	if (problem != NULL)
	{
		transfer_end_unsent(t, problem);
		return problem;
	}
	dlist_delete(&t->node);
	dlist_push_head(&e->active, &t->node);
	return NULL;
}

void
endpoint_act(Endpoint *e, int fd, int events)
{
	int running;
	CURLMcode rc = curl_multi_socket_action(e->multi, fd,
											((events & SOCKET_READ) ? CURL_CSELECT_IN : 0) |
												((events & SOCKET_WRITE) ? CURL_CSELECT_OUT : 0) |
												((events & SOCKET_FAILED) ? CURL_CSELECT_ERR : 0),
											&running);

	if (rc != CURLM_OK)
		e->problem = curl_multi_strerror(rc);
}

/* libcurl's own time-outs, and the start of what was added. */
void
endpoint_act_on_timer(Endpoint *e)
{
	if (e->timer_at == NO_TIMER || (e->timer_at > 0 && e->timer_at > monotonic_us()))
		return;
	e->timer_at = NO_TIMER;
	endpoint_act(e, CURL_SOCKET_TIMEOUT, 0);
}

/*
 * A request that has ended, its answer filled in; NULL when there is none.
 */
CadenceRequest *
endpoint_collect(Endpoint *e)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(e->multi, &left)) != NULL)
	{
		CURLcode code = message->data.result;
		CadenceRequest *request;
		Transfer *t;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **) &t);
		request = t->request;
		if (request != NULL)
			learn_from(e, t, code);
		curl_multi_remove_handle(e->multi, t->easy);
		if (request != NULL)
			transfer_end(t, code);
		dlist_delete(&t->node);
		dlist_push_head(&e->free, &t->node);
		if (request != NULL)
			return request;
	}
	return NULL;
}
