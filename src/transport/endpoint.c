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

#include "storage/fd.h"

#include "transport/endpoint.h"
#include "transport/mail.h"

/*
 * A connection that is kept for so long, and for two ways to the provider and
 * back, is not one that is closed after an answer.
 */
#define TRIAL_US (10 * INT64CONST(1000))

/* No connection is used again for so long, twice as long each time. */
#define DISTRUST_US (60 * USECS_PER_SEC)
#define DISTRUST_DOUBLINGS 6

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
endpoint_create(Oid server, Sockets *sockets, int max_connections, const TransferGate *gate)
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
	e->gate = gate;
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

/* Its connection, too, where it is ours. */
static void
take_out(Endpoint *e, Transfer *t)
{
	bool has_mail = mail_has_connection(t);

	if (has_mail)
	{
		(void) sockets_watch(e->sockets, t->mail.fd, 0, e);
		if (t->mail.state == MAIL_IDLE)
			mail_say_goodbye(t);
		e->nmail--;
	}
	curl_multi_remove_handle(e->multi, t->easy);
	if (has_mail)
		mail_connection_is_gone(t);
}

static void
free_transfer(Endpoint *e, Transfer *t)
{
	take_out(e, t);
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
		free_transfer(e, dlist_container(Transfer, node, iter.cur));
	while (!dlist_is_empty(&e->free))
		endpoint_drop_free_transfer(e);
	curl_multi_cleanup(e->multi);
	sockets_disown(e->sockets, e);
	free(e);
}

/*
 * So many connections may be open, those that are kept included; never fewer
 * than one for each transfer. A mail's stays with its transfer: those that wait
 * for one would wait for good.
 */
void
endpoint_limit(Endpoint *e, int max_connections)
{
	long most = Max(max_connections, e->ntransfers);

	curl_multi_setopt(e->multi, CURLMOPT_MAXCONNECTS, most);
	curl_multi_setopt(e->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, most);
}

/*
 * One more transfer. A socket is counted for each: libcurl does not tell of
 * every one that it closes, so they can not be counted one by one.
 */
bool
endpoint_add_transfer(Endpoint *e)
{
	Transfer *t = transfer_create(e->gate);

	if (t == NULL)
		return false;
	ReserveExternalFD();
	dlist_push_head(&e->free, &t->node);
	e->ntransfers++;
	return true;
}

/* The one that was used longest ago. */
void
endpoint_drop_free_transfer(Endpoint *e)
{
	free_transfer(e, dlist_tail_element(Transfer, node, &e->free));
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
	if (t->kind->met_bad_connection(t, code))
		endpoint_distrust(e);
	else if (code == CURLE_OK && e->trust == ENDPOINT_ON_TRIAL && e->trust_until == 0)
	{
		curl_off_t connect_us = 0;

		(void) curl_easy_getinfo(t->easy, CURLINFO_CONNECT_TIME_T, &connect_us);
		e->trust_until = monotonic_us() + TRIAL_US + 2 * connect_us;
	}
}

/* ---- mail: connections that are ours ------------------------------------------------ */

static void
watch_mail(Endpoint *e, Transfer *t)
{
	int events = SOCKET_READ | (t->mail.out_len > 0 ? SOCKET_WRITE : 0);

	if (!sockets_watch(e->sockets, t->mail.fd, events, e))
		e->problem = "a socket can not be watched";
}

/* A new connection where the one from before was over; without one the mail ends. */
static void
connect_again(Endpoint *e, Transfer *t)
{
	CURLMcode rc;

	take_out(e, t);
	mail_connect_again(t, monotonic_us());
	rc = curl_multi_add_handle(e->multi, t->easy);
	if (rc != CURLM_OK)
		e->problem = curl_multi_strerror(rc);
}

static void
act_on_mail(Endpoint *e, Transfer *t)
{
	mail_act(t, monotonic_us());
	if (t->mail.state == MAIL_STALE)
		connect_again(e, t);
	else
		watch_mail(e, t);
}

/* libcurl has logged in; false when there is no connection after all. */
static bool
take_connection(Endpoint *e, Transfer *t)
{
	if (t->request == NULL || !mail_take_connection(t))
		return false;
	e->nmail++;
	mail_start(t);
	act_on_mail(e, t);
	return true;
}

/* One that has a connection and no mail; it has spoken, so it is over. */
static void
act_on_idle(Endpoint *e, Transfer *t)
{
	if (!mail_idle_is_over(t))
		return;
	t->mail.state = MAIL_ENDED; /* no goodbye to who has gone */
	take_out(e, t);
	dlist_delete(&t->node);
	dlist_push_tail(&e->free, &t->node);
}

static Transfer *
find_mail(dlist_head *transfers, int fd)
{
	dlist_iter iter;

	dlist_foreach(iter, transfers)
	{
		Transfer *t = dlist_container(Transfer, node, iter.cur);

		if (mail_has_connection(t) && t->mail.fd == fd)
			return t;
	}
	return NULL;
}

/* Whether a socket is a connection of ours, on which then was acted. */
static bool
act_as_mail(Endpoint *e, int fd)
{
	Transfer *t;

	if (e->nmail == 0)
		return false;
	if ((t = find_mail(&e->active, fd)) != NULL)
		act_on_mail(e, t);
	else if ((t = find_mail(&e->free, fd)) != NULL)
		act_on_idle(e, t);
	return t != NULL;
}

/* Keeps its connection for the next mail, or does not. */
static void
end_mail(Endpoint *e, Transfer *t)
{
	if (t->mail.keep)
	{
		t->mail.state = MAIL_IDLE;
		t->mail.was_used = true;
		watch_mail(e, t);
	}
	else
		take_out(e, t);
}

/* The next mail that has ended; NULL: none. */
static Transfer *
find_ended_mail(Endpoint *e)
{
	dlist_iter iter;

	if (e->nmail == 0)
		return NULL;
	dlist_foreach(iter, &e->active)
	{
		Transfer *t = dlist_container(Transfer, node, iter.cur);

		if (t->mail.state == MAIL_ENDED)
			return t;
	}
	return NULL;
}

/* ---- work ---------------------------------------------------------------------- */

/*
 * A free one: with a connection that was made for this configuration, where
 * there is one.
 */
static Transfer *
choose_transfer(Endpoint *e, const CadenceRequest *request)
{
	Transfer *t = dlist_head_element(Transfer, node, &e->free);

	if (mail_has_connection(t) && t->configuration != request->configuration)
		take_out(e, t);
	return t;
}

/*
 * Starts a request with a free transfer, of which there must be one. Returns
 * NULL, or why it could not be started: its answer then says so.
 */
const char *
endpoint_start(Endpoint *e, CadenceRequest *request)
{
	Transfer *t = choose_transfer(e, request);
	const char *problem = "the request could not be built";
	CURLMcode rc = CURLM_OK;

	if (transfer_prepare(t, request, connection_use(e)))
	{
		if (mail_has_connection(t))
			mail_start(t);
		else
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
	CURLMcode rc;

	if (act_as_mail(e, fd))
		return;
	rc = curl_multi_socket_action(e->multi, fd,
								  ((events & SOCKET_READ) ? CURL_CSELECT_IN : 0) |
									  ((events & SOCKET_WRITE) ? CURL_CSELECT_OUT : 0) |
									  ((events & SOCKET_FAILED) ? CURL_CSELECT_ERR : 0),
								  &running);
	if (rc != CURLM_OK)
		e->problem = curl_multi_strerror(rc);
}

/* When it wants to be called, by monotonic_us(); or NO_TIMER. */
int64
endpoint_timer(Endpoint *e)
{
	int64 first = e->timer_at;
	dlist_iter iter;

	if (e->nmail == 0)
		return first;
	dlist_foreach(iter, &e->active)
	{
		const Transfer *t = dlist_container(Transfer, node, iter.cur);

		if (mail_has_connection(t))
			first = Min(first, t->mail.act_at);
	}
	return first;
}

static void
act_on_late_mail(Endpoint *e)
{
	int64 now = monotonic_us();
	dlist_iter iter;

	dlist_foreach(iter, &e->active)
	{
		Transfer *t = dlist_container(Transfer, node, iter.cur);

		if (mail_has_connection(t) && t->mail.act_at <= now)
			act_on_mail(e, t);
	}
}

/* libcurl's own time-outs and ours, and the start of what was added. */
void
endpoint_act_on_timer(Endpoint *e)
{
	if (e->nmail > 0)
		act_on_late_mail(e);
	if (e->timer_at == NO_TIMER || (e->timer_at > 0 && e->timer_at > monotonic_us()))
		return;
	e->timer_at = NO_TIMER;
	endpoint_act(e, CURL_SOCKET_TIMEOUT, 0);
}

/* Its request's answer is filled in, unless that was withdrawn. */
static CadenceRequest *
end_transfer(Endpoint *e, Transfer *t, CURLcode code)
{
	CadenceRequest *request = t->request;

	if (request != NULL)
		transfer_end(t, code);
	if (mail_has_connection(t))
		end_mail(e, t);
	dlist_delete(&t->node);
	if (mail_has_connection(t) || t->kind != &mail_transfer)
		dlist_push_head(&e->free, &t->node);
	else
		dlist_push_tail(&e->free, &t->node);
	return request;
}

/*
 * A request that has ended, its answer filled in; NULL when there is none.
 */
CadenceRequest *
endpoint_collect(Endpoint *e)
{
	CadenceRequest *request = NULL;
	CURLMsg *message;
	Transfer *t;
	int left;

	while (request == NULL && (message = curl_multi_info_read(e->multi, &left)) != NULL)
	{
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **) &t);
		if (code == CURLE_OK && t->kind == &mail_transfer)
		{
			if (take_connection(e, t))
				continue;
			code = CURLE_COULDNT_CONNECT;
		}
		if (t->request != NULL)
			learn_from(e, t, code);
		curl_multi_remove_handle(e->multi, t->easy);
		request = end_transfer(e, t, code);
	}
	while (request == NULL && (t = find_ended_mail(e)) != NULL)
		request = end_transfer(e, t, CURLE_OK);
	return request;
}
