/*
 * launch.h
 *		Starting workers and hearing from them: what cadence_run() does with the
 *		worker that executes for it, and that worker with its peers.
 */
#ifndef CADENCE_LAUNCH_H
#define CADENCE_LAUNCH_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/shm_mq.h"

#include "server/execution.h"

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

typedef enum LaunchNews
{
	LAUNCH_SILENT,	/* nothing new */
	LAUNCH_MESSAGE, /* a message: its type is its first byte */
	LAUNCH_GONE		/* the worker has ended */
} LaunchNews;

extern Launch *launch_create(MemoryContext context, int nqueues);
extern bool launch_start(Launch *launch);
extern void launch_stop(Launch *launch, bool urgent);
extern void launch_end(Launch *launch);
extern LaunchNews launch_receive(Launch *launch, int number, StringInfo message);

#endif
