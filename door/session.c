/*
 * session.c
 *		One connection to the database, which never makes anybody wait: libpq's
 *		asynchronous functions, and the loop between them.
 *
 * A name of a host is looked up by libpq, which waits for it; the sample
 * configuration uses a socket or an address. Notices are not for anybody's eyes,
 * and neither are messages of errors: what a statement was about stands in them.
 */
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libpq never gives memory back that a large text has taken. */
#define STRETCHED_BYTES (256 * 1024)

/* Types of the values: text, text, text, jsonb, bytea, inet. */
static const Oid value_types[CALL_VALUES] = {25, 25, 25, 3802, 17, 869};
static const int value_formats[CALL_VALUES] = {0, 0, 0, 0, 1, 0};

static void session_ready(void *arg);

/* ---- what is said to the server ------------------------------------------- */

/* One line each, whatever is in it. */
static char *
call_text(PGconn *connection, const char *schema)
{
	static const char format[] =
		"SELECT h.status, h.body, (SELECT string_agg(translate(e.key || ': ' || e.value, "
		"chr(13) || chr(10), '  '), chr(10)) FROM jsonb_each_text(h.headers) AS e) "
		"FROM %s.cadence_http($1, $2, $3, $4, $5, $6) AS h";
	char *quoted = PQescapeIdentifier(connection, schema, strlen(schema));
	size_t room = sizeof(format) + (quoted != NULL ? strlen(quoted) : 0);
	char *text = quoted != NULL ? malloc(room) : NULL;

	if (text != NULL)
		snprintf(text, room, format, quoted);
	PQfreemem(quoted);
	return text;
}

static bool
send_setting(Session *session)
{
	char ms[16];
	const char *values[] = {ms};

	snprintf(ms, sizeof(ms), "%d", session->call->timeout_ms);
	session->state = SESSION_SETTING;
	return PQsendQueryParams(session->connection,
							 "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', "
							 "false), pg_catalog.set_config('statement_timeout', $1, false)",
							 1, NULL, values, NULL, NULL, 0) == 1;
}

static bool
send_call(Session *session, const char *schema)
{
	Call *call = session->call;
	char *text = call_text(session->connection, schema);
	bool is_sent =
		text != NULL && PQsendQueryParams(session->connection, text, CALL_VALUES, value_types,
										  call->values, call->lengths, value_formats, 1) == 1;

	session->state = SESSION_CALLING;
	free(text);
	if (is_sent && call->sent != NULL)
		call->sent(call);
	return is_sent;
}

/* What libpq still has for the server, and what it waits for. */
static bool
flush(Session *session)
{
	int left = PQflush(session->connection);

	return left >= 0 && loop_watch(&session->watch, PQsocket(session->connection),
								   left > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* ---- connecting ----------------------------------------------------------- */

static void
ignore_notice(void *arg, const PGresult *notice)
{
	(void) arg;
	(void) notice;
}

/* What the connection string says counts more, and what is null is left to the variables. */
static PGconn *
start_connection(const char *database)
{
	static const char *const names[] = {
		"user", "client_encoding", "fallback_application_name", "keepalives_idle", "dbname", NULL};
	const char *user = getenv("PGUSER") == NULL ? "cadence_door" : NULL;
	const char *const values[] = {user, "UTF8", "cadence_door", "30", database, NULL};

	return PQconnectStartParams(names, values, 1);
}

/* Nobody who reads strangers' bytes should be one. */
static bool
is_superuser(const PGconn *connection)
{
	const char *says = PQparameterStatus(connection, "is_superuser");

	return says == NULL || strcmp(says, "off") != 0;
}

static void
wait_for_connection(Session *session, PostgresPollingStatusType status)
{
	if (status == PGRES_POLLING_OK && is_superuser(session->connection))
		pool_lost(session, "this role is a superuser, and must be none");
	else if (status == PGRES_POLLING_OK)
	{
		PQsetnonblocking(session->connection, 1);
		PQsetNoticeReceiver(session->connection, ignore_notice, NULL);
		session->state = SESSION_IDLE;
		if (flush(session))
			pool_connected(session);
		else
			pool_lost(session, "the connection is of no use");
	}
	else if (status == PGRES_POLLING_FAILED ||
			 !loop_watch(&session->watch, PQsocket(session->connection),
						 status == PGRES_POLLING_WRITING ? EPOLLOUT : EPOLLIN))
		pool_lost(session, PQerrorMessage(session->connection));
}

void
session_connect(Session *session, const Conf *conf)
{
	session->watch.ready = session_ready;
	session->watch.arg = session;
	session->since = loop_now();
	session->timeout_ms = -1;
	session->state = SESSION_CONNECTING;
	session->connection = start_connection(conf->database);
	if (session->connection == NULL)
		pool_lost(session, "out of memory");
	else
		wait_for_connection(session, PQstatus(session->connection) == CONNECTION_BAD
										 ? PGRES_POLLING_FAILED
										 : PGRES_POLLING_WRITING);
}

/* ---- a call --------------------------------------------------------------- */

static void
send_next(Session *session, const char *schema)
{
	bool is_sent = session->timeout_ms == session->call->timeout_ms ? send_call(session, schema)
																	: send_setting(session);

	if (!is_sent || !flush(session))
		pool_lost(session, "the connection broke");
}

/* Whether a connection takes memory for it that it keeps. */
bool
session_stretches(const Call *call)
{
	return call->lengths[4] > STRETCHED_BYTES;
}

void
session_call(Session *session, const Conf *conf, Call *call)
{
	session->call = call;
	session->is_stretched = session->is_stretched || session_stretches(call);
	session->schema = conf->schema;
	send_next(session, session->schema);
}

/* The last answer is the one that counts; there is one unless the connection breaks between. */
static void
keep_answer(Session *session, PGresult *answer)
{
	PQclear(session->answer);
	session->answer = answer;
}

/* A connection that does not take its setting is of no use. */
static void
finish_statement(Session *session)
{
	bool was_setting = session->state == SESSION_SETTING;
	bool has_worked = session->answer != NULL && PQresultStatus(session->answer) == PGRES_TUPLES_OK;

	if (PQstatus(session->connection) != CONNECTION_OK || session->answer == NULL ||
		(was_setting && !has_worked))
	{
		pool_lost(session, "the connection broke");
		return;
	}
	if (was_setting)
	{
		keep_answer(session, NULL);
		session->timeout_ms = session->call->timeout_ms;
		send_next(session, session->schema);
		return;
	}
	session->is_stretched =
		session->is_stretched || PQresultMemorySize(session->answer) > STRETCHED_BYTES;
	session->state = SESSION_IDLE;
	pool_answered(session);
}

static void
read_answer(Session *session)
{
	while (!PQisBusy(session->connection))
	{
		PGresult *answer = PQgetResult(session->connection);

		if (answer == NULL)
		{
			finish_statement(session);
			return;
		}
		keep_answer(session, answer);
	}
}

static void
session_ready(void *arg)
{
	Session *session = arg;

	if (session->state == SESSION_CONNECTING)
		wait_for_connection(session, PQconnectPoll(session->connection));
	else if (session->state == SESSION_AWAY)
		loop_forget(&session->watch);
	else if (!PQconsumeInput(session->connection) || !flush(session))
		pool_lost(session, "the connection broke");
	else if (session->state != SESSION_IDLE)
		read_answer(session);
	else
		PQfreemem(PQnotifies(session->connection));
}

/* What it was about is the caller's. */
void
session_close(Session *session)
{
	loop_forget(&session->watch);
	keep_answer(session, NULL);
	PQfinish(session->connection);
	session->connection = NULL;
	session->state = SESSION_AWAY;
	session->call = NULL;
	session->is_stretched = false;
}
