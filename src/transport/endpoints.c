/*
 * endpoints.c
 *		All endpoints, and the sockets that they share.
 *
 * libcurl's resolver makes threads, which must never run one of the server's signal
 * handlers: signals are masked wherever such a thread can be born, and a thread
 * inherits the mask.
 */
#include "postgres.h"

#include <signal.h>
#include <sys/socket.h>

#include "storage/fd.h"

#include "transport/endpoints.h"

void
endpoints_init(Endpoints *s, const TransferGate *gate)
{
	*s = (Endpoints){.gate = gate};
	dlist_init(&s->list);
}

void
endpoints_free(Endpoints *s)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &s->list)
	{
		dlist_delete(iter.cur);
		endpoint_free(dlist_container(Endpoint, node, iter.cur));
	}
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

void
endpoints_resize(Endpoints *s, int max_in_flight)
{
	dlist_iter iter;

	s->capacity = socket_limit(max_in_flight);
	dlist_foreach(iter, &s->list)
		endpoint_limit(dlist_container(Endpoint, node, iter.cur), s->capacity);
}

/* ---- whose transfers ------------------------------------------------------------------ */

/* The server's, made when there is none; NULL when memory is short. */
static Endpoint *
get_endpoint(Endpoints *s, Oid server)
{
	Endpoint *e;
	dlist_iter iter;

	dlist_foreach(iter, &s->list)
	{
		e = dlist_container(Endpoint, node, iter.cur);
		if (e->server == server)
		{
			dlist_move_head(&s->list, &e->node);
			return e;
		}
	}
	e = endpoint_create(server, s->sockets, s->capacity, s->gate);
	if (e != NULL)
		dlist_push_head(&s->list, &e->node);
	return e;
}

/*
 * Takes a transfer, and with it a connection, from the endpoint that has gone
 * unused for longest. It keeps what it has under way.
 */
static void
take_unused(Endpoints *s)
{
	dlist_node *node = dlist_tail_node(&s->list);

	for (;;)
	{
		Endpoint *e = dlist_container(Endpoint, node, node);

		if (dlist_is_empty(&e->active) && node != dlist_head_node(&s->list))
		{
			s->ntransfers -= e->ntransfers;
			dlist_delete(node);
			endpoint_free(e);
			return;
		}
		if (!dlist_is_empty(&e->free))
		{
			s->ntransfers--;
			endpoint_drop_free_transfer(e);
			endpoint_limit(e, Max(e->ntransfers, 1));
			return;
		}
		if (!dlist_has_prev(&s->list, node))
			return;
		node = dlist_prev_node(&s->list, node);
	}
}

/* The endpoint with a transfer that is free; NULL when there is none. */
Endpoint *
endpoints_get_ready(Endpoints *s, Oid server)
{
	Endpoint *e = get_endpoint(s, server);

	if (e == NULL || !dlist_is_empty(&e->free))
		return e;
	while (s->ntransfers >= s->capacity)
	{
		int before = s->ntransfers;

		take_unused(s);
		if (s->ntransfers == before)
			return NULL;
	}
	if (!endpoint_add_transfer(e))
		return NULL;
	s->ntransfers++;
	endpoint_limit(e, s->capacity);
	return e;
}

/* ---- work ----------------------------------------------------------------------------- */

/* A connection that nobody uses has spoken: it must not be used again. */
static void
end_idle(const SocketEvent *ready)
{
	(void) shutdown(ready->fd, SHUT_RDWR);
	if (((Endpoint *) ready->owner)->trust == ENDPOINT_ON_TRIAL)
		endpoint_distrust(ready->owner);
}

/* They are told of once. */
void
endpoints_end_idle(const SocketEvent *ready, int n)
{
	for (int i = 0; i < n; i++)
		if (ready[i].owner != NULL && ready[i].events == 0)
			end_idle(&ready[i]);
}

/* What is new starts last, so that it does not get a connection that has spoken unasked. */
void
endpoints_act(Endpoints *s, const SocketEvent *ready, int n)
{
	sigset_t all;
	sigset_t saved;
	dlist_iter iter;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &saved);
	for (int i = 0; i < n; i++)
		if (ready[i].owner != NULL && ready[i].events != 0)
			endpoint_act(ready[i].owner, ready[i].fd, ready[i].events);
	dlist_foreach(iter, &s->list) endpoint_act_on_timer(dlist_container(Endpoint, node, iter.cur));
	sigprocmask(SIG_SETMASK, &saved, NULL);
}

/* When the first timer of libcurl's runs out, by monotonic_us(); NO_TIMER: there is none. */
int64
endpoints_timer(const Endpoints *s)
{
	int64 first = NO_TIMER;
	dlist_iter iter;

	dlist_foreach(iter, (dlist_head *) &s->list) first =
		Min(first, endpoint_timer(dlist_container(Endpoint, node, iter.cur)));
	return first;
}

static void
ask_unsent_of(const Endpoint *e, CadenceMayBegin may_begin, void *arg)
{
	dlist_iter iter;

	dlist_foreach(iter, (dlist_head *) &e->active)
	{
		Transfer *t = dlist_container(Transfer, node, iter.cur);

		if (t->request != NULL && !t->asked && !t->was_stopped && !may_begin(t->request, arg))
			t->was_stopped = true;
	}
}

/* What has not left and must not begin is stopped. */
void
endpoints_ask_unsent(Endpoints *s, CadenceMayBegin may_begin, void *arg)
{
	dlist_iter iter;

	dlist_foreach(iter, &s->list)
		ask_unsent_of(dlist_container(Endpoint, node, iter.cur), may_begin, arg);
}
