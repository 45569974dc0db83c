/*
 * launch.h
 *		Starting workers and hearing from them: what cadence_run() does with the
 *		worker that executes for it, and that worker with its peers.
 *
 * All of an execution share a DSM segment: a header and, per worker, a message
 * queue towards whoever has started it.
 */
#ifndef CADENCE_LAUNCH_H
#define CADENCE_LAUNCH_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "port/atomics.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/shm_mq.h"

#include "base/settings.h"

#define CADENCE_QUEUE_SIZE 32768

/* Messages that carry a result; errors and notices use the protocol's own types. */
#define CADENCE_MESSAGE_SUMMARY 'd'	  /* JSON, to the caller */
#define CADENCE_MESSAGE_ALL_TAKEN 't' /* empty, to the caller: another execution may begin */
#define CADENCE_MESSAGE_SHARE 's'	  /* a peer's part of the summary */

/* The longest trigger's name, with its terminator. */
#define CADENCE_TRIGGER_MAX 8

typedef struct CadenceShared
{
	Oid database;
	Oid schema; /* of the extension */
	Oid owner;	/* of the runs: who the workers connect as */
	char trigger[CADENCE_TRIGGER_MAX];
	volatile int pids[CADENCE_WORKERS_MAX]; /* for the caller's deadlock check; 0: none */

	/* the first worker's, before it starts its peers */
	TimestampTz due_until;
	int max_in_flight; /* of each of them */
} CadenceShared;

typedef struct LaunchedWorker
{
	shm_mq_handle *queue;
	BackgroundWorkerHandle *handle; /* NULL: not started */
	bool delivered;					/* its result has arrived: the starter's to note */
	bool gone;
} LaunchedWorker;

/* The workers that one process has started, by their numbers in the execution. */
typedef struct Launch
{
	dsm_segment *segment;
	CadenceShared *shared;
	LaunchedWorker workers[CADENCE_WORKERS_MAX];
} Launch;

extern void launch_describe(BackgroundWorker *worker, const char *function, const char *type,
							const char *whose);
extern Launch *launch_create(MemoryContext context);
extern Launch *launch_open(MemoryContext context, dsm_segment *segment);
extern bool launch_start(Launch *launch, int number);
extern void launch_stop(Launch *launch, bool urgent);
extern void launch_wait(Launch *launch);
extern shm_mq_result launch_receive(Launch *launch, int number, StringInfo message);
extern dsm_segment *launch_attach(Datum main_arg, int *number);

#endif
