/*
 * pool.c
 *		The connections to the database, and the calls that wait for one.
 *
 * All of them are kept open, so that a call need not wait for one to be made and
 * so that executions have theirs whatever strangers do. They are made one at a
 * time, while the database is away less and less often, and nobody is kept
 * waiting for it.
 */
#include "pool.h"

#include <string.h>

#include "log.h"
#include "queue.h"
#include "session.h"

#define SESSIONS 10
#define STRANGERS_WAITING_MAX 200
#define EXECUTIONS_WAITING_MAX 32
#define STRETCHED_MAX 2
#define CONNECT_MS 10000
#define FIRST_RETRY_MS 100
#define LAST_RETRY_MS 10000
#define LOOK_MS 1000

static struct
{
	const Conf *conf;
	Session sessions[SESSIONS];
	Queue queue;
	int failures; /* since a connection was last made */
	int64_t retry_at;
	int64_t stretched_at; /* when one was last closed for it */
	bool said_away;
} pool;

/* Two are kept for executions. In turns: where not all can be had, each kind has some. */
void
pool_open(const Conf *conf)
{
	memset(&pool, 0, sizeof(pool));
	pool.conf = conf;
	for (int i = 0; i < SESSIONS; i++)
		pool.sessions[i].for_executions = i == 1 || i == 3;
}

/* ---- who is served -------------------------------------------------------- */

static int
count_stretched(bool for_executions)
{
	int n = 0;

	for (int i = 0; i < SESSIONS; i++)
		n += pool.sessions[i].for_executions == for_executions && pool.sessions[i].is_stretched;
	return n;
}

/* Large texts go through few connections: each keeps as much memory as the largest has taken. */
static bool
may_take(const Session *session, const Call *call)
{
	return session->state == SESSION_IDLE && session->for_executions == call->is_execution &&
		   (!session_stretches(call) || session->is_stretched ||
			count_stretched(call->is_execution) < STRETCHED_MAX);
}

static void
serve(Session *session)
{
	Call **place = &pool.queue.first;
	Call *call;

	while ((call = *place) != NULL && !may_take(session, call))
		place = &call->next;
	if (call == NULL)
		return;
	queue_take_out(&pool.queue, place);
	session_call(session, pool.conf, call);
}

/* There may be none. */
static Session *
find_idle(const Call *call)
{
	for (int i = 0; i < SESSIONS; i++)
		if (may_take(&pool.sessions[i], call))
			return &pool.sessions[i];
	return NULL;
}

/* ---- sessions ------------------------------------------------------------- */

/*
 * One after the other, in their order: where the server refuses some of them, it must not be those
 * of one kind.
 */
static void
connect_next(void)
{
	Session *next = NULL;

	for (int i = SESSIONS - 1; i >= 0; i--)
	{
		if (pool.sessions[i].state == SESSION_CONNECTING)
			return;
		if (pool.sessions[i].state == SESSION_AWAY)
			next = &pool.sessions[i];
	}
	if (next != NULL)
		session_connect(next, pool.conf);
}

/* Whether there is a connection of that kind, or may soon be one. */
static bool
is_there(bool for_executions)
{
	if (pool.failures == 0)
		return true;
	for (int i = 0; i < SESSIONS; i++)
		if (pool.sessions[i].for_executions == for_executions &&
			pool.sessions[i].state > SESSION_CONNECTING)
			return true;
	return false;
}

static void
end_call(Session *session, PGresult *answer)
{
	Call *call = session->call;

	session->call = NULL;
	if (call != NULL)
		call->done(call, answer);
	else
		PQclear(answer);
}

/* Nobody waits for what is not there. */
static void
turn_away(bool is_execution)
{
	Call **place;

	while (!is_there(is_execution) && *(place = queue_first(&pool.queue, is_execution)) != NULL)
	{
		Call *call = *place;

		queue_take_out(&pool.queue, place);
		call->done(call, NULL);
	}
}

static void
count_failure(void)
{
	int64_t now = loop_now();
	int64_t wait = FIRST_RETRY_MS;

	for (int i = 0; i < pool.failures && wait < LAST_RETRY_MS; i++)
		wait *= 2;
	pool.failures++;
	pool.retry_at = now + (wait < LAST_RETRY_MS ? wait : LAST_RETRY_MS);
}

static void
say_away(const char *why)
{
	if (!pool.said_away)
		log_line("the database is away: %.*s", (int) strcspn(why, "\n"), why);
	pool.said_away = true;
}

void
pool_lost(Session *session, const char *why)
{
	Call *call = session->call;
	bool was_connecting = session->state == SESSION_CONNECTING;

	say_away(why);
	session_close(session);
	if (was_connecting)
		count_failure();
	session->call = call;
	end_call(session, NULL);
	turn_away(false);
	turn_away(true);
}

void
pool_connected(Session *session)
{
	if (pool.said_away)
		log_line("the database is back");
	pool.said_away = false;
	pool.failures = 0;
	pool.retry_at = 0;
	serve(session);
	connect_next();
}

void
pool_answered(Session *session)
{
	PGresult *answer = session->answer;

	session->answer = NULL;
	end_call(session, answer);
	serve(session);
}

/* ---- for others ----------------------------------------------------------- */

/* Once it is taken, call->done() is called, maybe at once, unless the call is dropped before. */
PoolVerdict
pool_submit(Call *call)
{
	Session *session;

	if (!is_there(call->is_execution))
		return POOL_AWAY;
	if (pool.queue.waiting[call->is_execution] >=
		(call->is_execution ? EXECUTIONS_WAITING_MAX : STRANGERS_WAITING_MAX))
		return POOL_FULL;
	queue_append(&pool.queue, call);
	/* a large one that has waited may come first */
	while (call->is_waiting && (session = find_idle(call)) != NULL)
		serve(session);
	return POOL_TAKEN;
}

/* Its caller has no more use for it. The server ends what it has begun, by its own time-out. */
void
pool_drop(Call *call)
{
	if (queue_drop(&pool.queue, call))
		return;
	for (int i = 0; i < SESSIONS; i++)
		if (pool.sessions[i].call == call)
			session_close(&pool.sessions[i]);
}

static void
end_slow_connects(int64_t now)
{
	for (int i = 0; i < SESSIONS; i++)
		if (pool.sessions[i].state == SESSION_CONNECTING &&
			now - pool.sessions[i].since > CONNECT_MS)
			pool_lost(&pool.sessions[i], "it does not answer");
}

/*
 * Gives memory back. One at most in each second: whoever sends large texts must not have
 * connections made as fast as that.
 */
static void
close_stretched(int64_t now)
{
	if (now < pool.stretched_at + LOOK_MS)
		return;
	for (int i = 0; i < SESSIONS; i++)
	{
		if (pool.sessions[i].state != SESSION_IDLE || !pool.sessions[i].is_stretched)
			continue;
		session_close(&pool.sessions[i]);
		pool.stretched_at = now;
		return;
	}
}

/* What is to be done at a time; the milliseconds until the next look. */
int64_t
pool_tick(void)
{
	int64_t now = loop_now();

	end_slow_connects(now);
	close_stretched(now);
	if (now >= pool.retry_at)
		connect_next();
	now = loop_now();
	return pool.retry_at > now && pool.retry_at - now < LOOK_MS ? pool.retry_at - now : LOOK_MS;
}

/* Whoever waits or is served has lost its connection. */
void
pool_close(void)
{
	while (pool.queue.first != NULL)
	{
		Call *call = pool.queue.first;

		queue_take_out(&pool.queue, &pool.queue.first);
		call->done(call, NULL);
	}
	for (int i = 0; i < SESSIONS; i++)
	{
		Call *call = pool.sessions[i].call;

		session_close(&pool.sessions[i]);
		pool.sessions[i].call = call;
		end_call(&pool.sessions[i], NULL);
	}
}
