/*
 * execution.h
 *		What the caller of cadence_run() and its worker share: a DSM segment with
 *		this header and a message queue from the worker to the caller.
 */
#ifndef CADENCE_EXECUTION_H
#define CADENCE_EXECUTION_H

#include "postgres.h"

#include "port/atomics.h"

#define CADENCE_DSM_MAGIC 0xCADE0001
#define CADENCE_DSM_KEY_HEADER 1
#define CADENCE_DSM_KEY_QUEUE 2
#define CADENCE_QUEUE_SIZE 65536

/* The message that carries the summary; errors and notices use the protocol's own types. */
#define CADENCE_MESSAGE_SUMMARY 'd'

/* The longest trigger's name, with its terminator. */
#define CADENCE_TRIGGER_MAX 8

typedef struct CadenceShared
{
	Oid database;
	Oid schema; /* of the extension */
	Oid owner;	/* of the runs: who the worker connects as */
	char trigger[CADENCE_TRIGGER_MAX];
	pg_atomic_uint32 caller_gone; /* set before the worker is told to stop */
} CadenceShared;

#endif
