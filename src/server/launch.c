/*
 * launch.c
 *		Starting workers and hearing from them.
 *
 * A segment of shared memory carries the execution's header and one message
 * queue per worker, towards whoever started it. A callback on that segment
 * tells the workers to stop on every way out of the starter: error, cancel,
 * savepoint rollback, exit of the process.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/shm_toc.h"
#include "utils/memutils.h"

#include "server/launch.h"

/* On every way out, also after success, when the workers are gone already. */
static void
stop_workers(dsm_segment *segment, Datum arg)
{
	launch_stop((Launch *) DatumGetPointer(arg), false);
}

static void
create_queues(Launch *launch, shm_toc *toc, int nqueues)
{
	for (int i = 0; i < nqueues; i++)
	{
		shm_mq *mq = shm_mq_create(shm_toc_allocate(toc, CADENCE_QUEUE_SIZE), CADENCE_QUEUE_SIZE);

		shm_toc_insert(toc, CADENCE_DSM_KEY_QUEUE + i, mq);
		shm_mq_set_receiver(mq, MyProc);
		launch->workers[i].queue = shm_mq_attach(mq, launch->segment, NULL);
	}
}

/*
 * A segment for up to nqueues workers; NULL when the server has no more
 * segments. context must live as long as the segment's resource owner, since
 * the callback reads the result.
 */
Launch *
launch_create(MemoryContext context, int nqueues)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Launch *launch = palloc0(sizeof(*launch));
	shm_toc_estimator estimator;
	shm_toc *toc;
	Size size;

	shm_toc_initialize_estimator(&estimator);
	shm_toc_estimate_chunk(&estimator, sizeof(CadenceShared));
	for (int i = 0; i < nqueues; i++)
		shm_toc_estimate_chunk(&estimator, CADENCE_QUEUE_SIZE);
	shm_toc_estimate_keys(&estimator, 1 + nqueues);
	size = shm_toc_estimate(&estimator);

	launch->segment = dsm_create(size, DSM_CREATE_NULL_IF_MAXSEGMENTS);
	if (launch->segment == NULL)
	{
		MemoryContextSwitchTo(old);
		return NULL;
	}
	toc = shm_toc_create(CADENCE_DSM_MAGIC, dsm_segment_address(launch->segment), size);
	launch->shared = shm_toc_allocate(toc, sizeof(CadenceShared));
	memset(launch->shared, 0, sizeof(CadenceShared));
	pg_atomic_init_u32(&launch->shared->ending, 0);
	shm_toc_insert(toc, CADENCE_DSM_KEY_HEADER, launch->shared);
	create_queues(launch, toc, nqueues);
	on_dsm_detach(launch->segment, stop_workers, PointerGetDatum(launch));
	MemoryContextSwitchTo(old);
	return launch;
}

/*
 * Starts one more worker; false when the server has no free slot for it.
 */
bool
launch_start(Launch *launch)
{
	LaunchedWorker *w = &launch->workers[launch->nworkers];
	BackgroundWorker worker = {0};
	MemoryContext old;
	bool started;

	snprintf(worker.bgw_name, BGW_MAXLEN, "cadence_runner %s", launch->shared->trigger);
	strlcpy(worker.bgw_type, "cadence_runner", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "$libdir/cadence_runner", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "cadence_worker_main", BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(launch->segment));
	memcpy(worker.bgw_extra, &launch->nworkers, sizeof(int));
	worker.bgw_notify_pid = MyProcPid;

	old = MemoryContextSwitchTo(GetMemoryChunkContext(launch));
	started = RegisterDynamicBackgroundWorker(&worker, &w->handle);
	MemoryContextSwitchTo(old);
	if (!started)
		return false;
	shm_mq_set_handle(w->queue, w->handle);
	launch->nworkers++;
	return true;
}

/* urgent: also what is under way is to be broken off (see base/interrupt.c). */
void
launch_stop(Launch *launch, bool urgent)
{
	for (int i = 0; i < launch->nworkers; i++)
	{
		BackgroundWorkerHandle *handle = launch->workers[i].handle;
		pid_t pid;

		if (urgent || GetBackgroundWorkerPid(handle, &pid) != BGWH_STARTED)
			TerminateBackgroundWorker(handle);
		else
			(void) kill(pid, SIGUSR2);
	}
}

/*
 * Waits until all workers are gone: their slots are free again, and their
 * database can be dropped. Then lets go of the segment.
 */
void
launch_end(Launch *launch)
{
	for (int i = 0; i < launch->nworkers; i++)
		WaitForBackgroundWorkerShutdown(launch->workers[i].handle);
	dsm_detach(launch->segment);
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
