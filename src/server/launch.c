/*
 * launch.c
 *		Starting workers and hearing from them.
 *
 * A segment of shared memory carries the execution's header and one message
 * queue per worker, towards whoever started it. A callback on that segment
 * tells the workers to stop on every way out of their starter: error, cancel,
 * savepoint rollback, exit of the process.
 */
#include "postgres.h"

#include <signal.h>

#include "libpq/pqmq.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "base/interrupt.h"
#include "server/launch.h"

/*
 * Describes a process of ours to the server. whose stands behind its type in its
 * name, and may be empty.
 */
void
launch_describe(BackgroundWorker *worker, const char *function, const char *type, const char *whose)
{
	memset(worker, 0, sizeof(*worker));
	snprintf(worker->bgw_name, BGW_MAXLEN, "%s%s%s", type, whose[0] != '\0' ? " " : "", whose);
	strlcpy(worker->bgw_type, type, BGW_MAXLEN);
	strlcpy(worker->bgw_library_name, "cadence_runner", BGW_MAXLEN);
	strlcpy(worker->bgw_function_name, function, BGW_MAXLEN);
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker->bgw_restart_time = BGW_NEVER_RESTART;
}

static shm_mq *
queue_of(dsm_segment *segment, int number)
{
	return (shm_mq *) ((char *) dsm_segment_address(segment) + MAXALIGN(sizeof(CadenceShared)) +
					   (Size) number * CADENCE_QUEUE_SIZE);
}

/* On every way out, also after success, when the workers are gone already. */
static void
stop_workers(dsm_segment *segment, Datum arg)
{
	launch_stop((Launch *) DatumGetPointer(arg), false);
}

/*
 * For a process that is attached to an execution's segment and will start
 * workers of it. context must live as long as the segment's mapping, since the
 * callback reads the result.
 */
Launch *
launch_open(MemoryContext context, dsm_segment *segment)
{
	Launch *launch = MemoryContextAllocZero(context, sizeof(*launch));

	launch->segment = segment;
	launch->shared = dsm_segment_address(segment);
	on_dsm_detach(segment, stop_workers, PointerGetDatum(launch));
	return launch;
}

/*
 * The same for a new execution; NULL when the server has no more segments.
 */
Launch *
launch_create(MemoryContext context)
{
	Size size = MAXALIGN(sizeof(CadenceShared)) + CADENCE_WORKERS_MAX * (Size) CADENCE_QUEUE_SIZE;
	dsm_segment *segment = dsm_create(size, DSM_CREATE_NULL_IF_MAXSEGMENTS);
	CadenceShared *shared;

	if (segment == NULL)
		return NULL;
	shared = dsm_segment_address(segment);
	memset(shared, 0, sizeof(*shared));
	for (int i = 0; i < CADENCE_WORKERS_MAX; i++)
		(void) shm_mq_create(queue_of(segment, i), CADENCE_QUEUE_SIZE);
	return launch_open(context, segment);
}

/*
 * Starts the worker of a number; false when the server has no free slot for it.
 */
bool
launch_start(Launch *launch, int number)
{
	LaunchedWorker *w = &launch->workers[number];
	shm_mq *mq = queue_of(launch->segment, number);
	MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(launch));
	BackgroundWorker worker;

	launch_describe(&worker, "cadence_worker_main", "cadence_runner", launch->shared->trigger);
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(launch->segment));
	memcpy(worker.bgw_extra, &number, sizeof(number));
	worker.bgw_notify_pid = MyProcPid;
	shm_mq_set_receiver(mq, MyProc);
	w->queue = shm_mq_attach(mq, launch->segment, NULL);
	if (RegisterDynamicBackgroundWorker(&worker, &w->handle))
		shm_mq_set_handle(w->queue, w->handle);
	MemoryContextSwitchTo(old);
	return w->handle != NULL;
}

/* urgent: also what is under way is to be broken off (see base/interrupt.c). */
void
launch_stop(Launch *launch, bool urgent)
{
	for (int i = 0; i < CADENCE_WORKERS_MAX; i++)
	{
		BackgroundWorkerHandle *handle = launch->workers[i].handle;
		pid_t pid;

		if (handle == NULL)
			continue;
		if (urgent || GetBackgroundWorkerPid(handle, &pid) != BGWH_STARTED)
			TerminateBackgroundWorker(handle);
		else
			(void) kill(pid, SIGUSR2);
	}
}

/*
 * Waits until all of them are gone: their slots are free again, and their
 * database can be dropped.
 */
void
launch_wait(Launch *launch)
{
	for (int i = 0; i < CADENCE_WORKERS_MAX; i++)
		if (launch->workers[i].handle != NULL)
			WaitForBackgroundWorkerShutdown(launch->workers[i].handle);
}

/*
 * The next message of a worker, if there is one, without waiting: its type is
 * its first byte. SHM_MQ_DETACHED: the worker has ended.
 */
shm_mq_result
launch_receive(Launch *launch, int number, StringInfo message)
{
	Size size;
	void *data;
	shm_mq_result result = shm_mq_receive(launch->workers[number].queue, &size, &data, true);

	resetStringInfo(message);
	if (result == SHM_MQ_SUCCESS)
		appendBinaryStringInfo(message, data, size);
	return result;
}

/* ---- the worker's side ---------------------------------------------------------------- */

/* For the caller's deadlock check it is not there any more. */
static void
forget_starter(dsm_segment *segment, Datum arg)
{
	CadenceShared *shared = dsm_segment_address(segment);

	shared->pids[DatumGetInt32(arg)] = 0;
}

/*
 * Maps the starter's segment and sends messages there from now on; tells which
 * worker this is. A starter that is gone already has taken it along: then nobody
 * wants this worker.
 */
dsm_segment *
launch_attach(Datum main_arg, int *number)
{
	dsm_segment *segment;
	CadenceShared *shared;
	shm_mq *mq;

	CurrentResourceOwner = ResourceOwnerCreate(NULL, "cadence_runner");
	segment = dsm_attach(DatumGetUInt32(main_arg));
	if (segment == NULL)
		proc_exit(0);
	memcpy(number, MyBgworkerEntry->bgw_extra, sizeof(*number));
	mq = queue_of(segment, *number);
	shm_mq_set_sender(mq, MyProc);
	pq_redirect_to_shm_mq(segment, shm_mq_attach(mq, segment, NULL));
	dsm_pin_mapping(segment);
	shared = dsm_segment_address(segment);
	shared->pids[*number] = MyProcPid;
	on_dsm_detach(segment, forget_starter, Int32GetDatum(*number));
	return segment;
}
