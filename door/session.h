/*
 * session.h
 *		One connection to the database, which never makes anybody wait.
 */
#ifndef DOOR_SESSION_H
#define DOOR_SESSION_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf.h"
#include "loop.h"
#include "pool.h"

/*
 * SESSION_AWAY -> CONNECTING -> IDLE -> SETTING or CALLING; SETTING -> CALLING;
 * CALLING -> IDLE; from each to AWAY.
 */
typedef enum SessionState
{
	SESSION_AWAY,
	SESSION_CONNECTING,
	SESSION_IDLE,
	SESSION_SETTING, /* the time-out of the call that follows */
	SESSION_CALLING
} SessionState;

typedef struct Session
{
	SessionState state;
	bool for_executions;
	const char *schema; /* of cadence_http() */
	PGconn *connection;
	Watch watch;
	int64_t since;	/* when it began to connect */
	int timeout_ms; /* what the server has been told; less than 0: nothing yet */
	Call *call;
	PGresult *answer;
	bool is_stretched; /* a large text has gone through it, whose memory it keeps */
} Session;

extern bool session_stretches(const Call *call);
extern void session_connect(Session *session, const Conf *conf);
extern void session_call(Session *session, const Conf *conf, Call *call);
extern void session_close(Session *session);

/* The pool's, which a session tells what has become of it. */
extern void pool_connected(Session *session);
extern void pool_lost(Session *session, const char *why);
extern void pool_answered(Session *session);

#endif
