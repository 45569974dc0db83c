/*
 * execution.h
 *		What a worker and its starter share: a DSM segment with this header and,
 *		per worker, a message queue towards the starter.
 *
 * The caller of cadence_run() starts one worker, which leads the execution. If
 * there is much to do, that worker starts helpers, with a segment of its own.
 */
#ifndef CADENCE_EXECUTION_H
#define CADENCE_EXECUTION_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "utils/uuid.h"

#define CADENCE_DSM_MAGIC 0xCADE0002
#define CADENCE_DSM_KEY_HEADER 1
#define CADENCE_DSM_KEY_QUEUE 2 /* and up, one per worker */
#define CADENCE_QUEUE_SIZE 65536

/* The most workers that one execution can have. */
#define CADENCE_WORKERS_MAX 16

/* Messages that carry a result; errors and notices use the protocol's own types. */
#define CADENCE_MESSAGE_SUMMARY 'd'	  /* JSON, from the leader to the caller */
#define CADENCE_MESSAGE_CLAIMED 'c'	  /* empty, from the leader: and there is more to claim */
#define CADENCE_MESSAGE_ALL_TAKEN 't' /* empty, from the leader: nothing due is left to claim */
#define CADENCE_MESSAGE_SHARE 's'	  /* a helper's part of the summary, to the leader */

/* The longest trigger's name, with its terminator. */
#define CADENCE_TRIGGER_MAX 8

/* Of a caller's ticket; any other value is the process that answers it. */
#define TICKET_NONE 0
#define TICKET_OFFERED 1 /* no backend has this number: it is init's */

/* Where the next look for due runs starts. */
typedef struct CadenceCursor
{
	TimestampTz after_due;
	pg_uuid_t after_id;
} CadenceCursor;

typedef struct CadenceShared
{
	Oid database;
	Oid schema; /* of the extension */
	Oid owner;	/* of the runs: who the worker connects as */
	char trigger[CADENCE_TRIGGER_MAX];
	pg_atomic_uint32 starter_gone; /* set before the workers are told to stop */

	/* leader's segment only */
	pg_atomic_uint32 ticket; /* of a caller who waits: see ticket.c */
	bool alone;				 /* others have an execution under way: no helpers */
	/* the helpers' processes, for the caller's deadlock check */
	volatile int nhelpers;
	volatile int helper_pids[CADENCE_WORKERS_MAX];

	/* helpers' segment only */
	bool is_help;
	TimestampTz due_until;		/* of the execution */
	int max_in_flight;			/* of each worker */
	volatile int nworkers;		/* of the execution, the leader among them */
	uint32 claim_lock;			/* key of the advisory lock that guards the cursor */
	pg_atomic_uint32 wind_down; /* claim nothing more, end what is under way */
	volatile bool has_claimed[CADENCE_WORKERS_MAX];
	CadenceCursor cursor;
} CadenceShared;

#endif
