/*
 * launch.h
 *		Starting workers and hearing from them: what cadence_run() does with the
 *		worker that executes for it, and that worker with its peers.
 *
 * They share a DSM segment with a header and, per worker, a message queue
 * towards the starter.
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

#define CADENCE_DSM_MAGIC 0xCADE0003
#define CADENCE_DSM_KEY_HEADER 1
#define CADENCE_DSM_KEY_QUEUE 2 /* and up, one per worker */
#define CADENCE_QUEUE_SIZE 65536

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
	Oid owner;	/* of the runs: who the worker connects as */
	char trigger[CADENCE_TRIGGER_MAX];

	/* caller's segment only: the peers' processes, for its deadlock check */
	volatile int npeers;
	volatile int peer_pids[CADENCE_WORKERS_MAX];

	/* peers' segment only */
	bool is_peer;
	TimestampTz due_until;	 /* of the execution */
	int max_in_flight;		 /* of each worker */
	pg_atomic_uint32 ending; /* claim nothing more, end what is under way */
} CadenceShared;

typedef struct LaunchedWorker
{
	shm_mq_handle *queue;
	BackgroundWorkerHandle *handle;
	bool delivered; /* its result has arrived: the starter's to note */
	bool gone;
} LaunchedWorker;

typedef struct Launch
{
	dsm_segment *segment;
	CadenceShared *shared;
	int nworkers; /* started */
	LaunchedWorker workers[CADENCE_WORKERS_MAX];
} Launch;

extern Launch *launch_create(MemoryContext context, int nqueues);
extern bool launch_start(Launch *launch);
extern void launch_stop(Launch *launch, bool urgent);
extern void launch_end(Launch *launch);
extern shm_mq_result launch_receive(Launch *launch, int number, StringInfo message);

#endif
