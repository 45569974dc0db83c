/*
 * oneshot.c
 *		The background worker behind cadence_run(), and its peers: one execution
 *		over all that is due at its start.
 *
 * Errors go to the starter through the message queue, also those that the
 * server raises before this process is connected: the queue is made the
 * client's place first of all.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "libpq/pqmq.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "storage/shm_toc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "base/compat.h"
#include "base/interrupt.h"
#include "base/settings.h"
#include "base/transaction.h"
#include "engine/pipeline.h"
#include "server/peers.h"

PGDLLEXPORT void cadence_worker_main(Datum main_arg);

/* The longest wait before a stop, settings or peers are looked at. */
#define WAIT_MS 1000

typedef struct Execution
{
	Pipeline pipeline;
	CadenceShared *shared;
	Peers peers;
	bool abandoned_sought; /* and found, for this execution */
	bool told_all_taken;
} Execution;

/* What a notice takes in the queue towards the starter beside its texts, about. */
#define NOTICE_OVERHEAD 512

static emit_log_hook_type next_log_hook;

/* ---- the turns -------------------------------------------------------------------------- */

static void
release_abandoned(Pipeline *p)
{
	claiming_release_abandoned(&p->claiming, p->summary->started_at);
}

/* Once, and not before the first messages are under way: it may take its time. */
static void
seek_abandoned(Execution *e)
{
	if (e->abandoned_sought)
		return;
	e->abandoned_sought = true;
	(void) pipeline_try(&e->pipeline, release_abandoned);
}

/* Tells the caller, once, that others need not wait for this execution any more. */
static void
tell_all_taken(Execution *e)
{
	const Claiming *claiming = &e->pipeline.claiming;

	if (e->told_all_taken || (!claiming_has_ended(claiming) && !claiming_is_full(claiming)))
		return;
	e->told_all_taken = true;
	pq_putemptymessage(CADENCE_MESSAGE_ALL_TAKEN);
}

static bool
is_finished(const Execution *e)
{
	return claiming_has_ended(&e->pipeline.claiming) && e->abandoned_sought &&
		   !pipeline_is_busy(&e->pipeline);
}

static bool
is_to_end(const Execution *e)
{
	return cadence_stop_requested() || !cadence_enabled ||
		   (e->shared->is_peer && pg_atomic_read_u32(&e->shared->ending) != 0);
}

static void
run_until_finished(Execution *e)
{
	Pipeline *p = &e->pipeline;

	while (!is_finished(e))
	{
		cadence_process_interrupts();
		if (is_to_end(e))
			return;
		(void) pipeline_read_clock(p);
		pipeline_turn(p);
		seek_abandoned(e);
		if (!e->shared->is_peer)
		{
			if (p->claiming.more)
				peers_start(&e->peers, p);
			tell_all_taken(e);
		}
		if (!is_finished(e))
			pipeline_wait(p, WAIT_MS);
	}
}

/* ---- the whole -------------------------------------------------------------------------- */

static ErrorData *
stopped_error(void)
{
	ErrorData *error = palloc0(sizeof(*error));

	error->elevel = ERROR;
	if (cadence_enabled)
	{
		error->sqlerrcode = ERRCODE_ADMIN_SHUTDOWN;
		error->message = pstrdup("the execution was stopped before it had finished");
		error->hint = pstrdup("What it had not sent is due as before; the log row has the counts.");
	}
	else
	{
		error->sqlerrcode = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
		error->message = pstrdup("cadence_runner was switched off during the execution");
	}
	return error;
}

static void
prepare(Execution *e)
{
	Pipeline *p = &e->pipeline;
	const CadenceShared *shared = e->shared;

	if (shared->is_peer)
	{
		pipeline_prepare(p, shared->schema, shared->due_until, shared->max_in_flight);
		cadence_session_quiet();
	}
	else
		pipeline_prepare(p, shared->schema, p->summary->started_at, cadence_max_in_flight);
}

/* A stop cancels the statement that it meets: that is how it was heard, not what went wrong. */
static bool
was_stopped(const Execution *e, const ErrorData *error)
{
	if (error == NULL)
		return !is_finished(e);
	return cadence_stop_requested() && error->sqlerrcode == ERRCODE_QUERY_CANCELED;
}

/* Runs to the end, whichever; the error, NULL if there was none. */
static ErrorData *
run_to_the_end(Execution *e)
{
	ErrorData *volatile error = NULL;

	PG_TRY();
	{
		prepare(e);
		run_until_finished(e);
	}
	PG_CATCH();
	{
		error = pipeline_catch(&e->pipeline);
	}
	PG_END_TRY();
	if (was_stopped(e, error))
		error = stopped_error();
	if (error != NULL)
		peers_stop(&e->peers);
	if (error != NULL && e->pipeline.tables != NULL)
		pipeline_shutdown(&e->pipeline, false);
	return error;
}

/* They are waited for whatever happens: their claims must not outlive the execution's log. */
static void
wait_for_peers(Execution *e)
{
	for (int i = 0; i < 2; i++)
	{
		volatile bool failed = false;

		PG_TRY();
		{
			peers_wait(&e->peers, &e->pipeline);
		}
		PG_CATCH();
		{
			FreeErrorData(pipeline_catch(&e->pipeline));
			failed = true;
		}
		PG_END_TRY();
		if (!failed)
			return;
		peers_stop(&e->peers);
		cadence_forget_cancel();
	}
}

/*
 * One execution over all that is due now; its summary as JSON. An error is
 * raised after it was logged.
 */
static char *
execute(Execution *e)
{
	Pipeline *p = &e->pipeline;
	ErrorData *error = run_to_the_end(e);

	wait_for_peers(e);
	if (error == NULL)
		error = e->peers.error;
	if (error != NULL)
		pipeline_note_failure(p, error);
	if (p->tables != NULL)
		pipeline_log(p, error == NULL);
	if (error == NULL)
		(void) pipeline_prune_log(p);
	peers_end(&e->peers);
	if (error != NULL)
		ThrowErrorData(error);
	return cadence_summary_json(p->summary);
}

static void
send_message(char type, const char *data, int len)
{
	StringInfoData message;

	pq_beginmessage(&message, type);
	pq_sendbytes(&message, data, len);
	pq_endmessage(&message);
}

/* A peer's part: what it has done counts, whatever its error. */
static void
execute_as_peer(Execution *e)
{
	ErrorData *error;
	StringInfo share;

	e->abandoned_sought = true;
	error = run_to_the_end(e);
	if (e->pipeline.tables != NULL)
		pipeline_end_claims(&e->pipeline);
	share = cadence_summary_share(e->pipeline.summary);
	/* A stop must not tear the share in two; a starter that is gone ends the wait. */
	HOLD_INTERRUPTS();
	send_message(CADENCE_MESSAGE_SHARE, share->data, share->len);
	RESUME_INTERRUPTS();
	if (error != NULL)
		ThrowErrorData(error);
}

/* ---- the process ------------------------------------------------------------------------ */

/* A starter that does not read must not stop the worker: more notices are only in the log. */
static void
limit_notices(ErrorData *error)
{
	static size_t bytes = 0;

	if (next_log_hook != NULL)
		next_log_hook(error);
	if (error->elevel >= ERROR || !error->output_to_client)
		return;
	bytes += NOTICE_OVERHEAD + (error->message != NULL ? strlen(error->message) : 0) +
			 (error->context != NULL ? strlen(error->context) : 0);
	error->output_to_client = bytes < CADENCE_QUEUE_SIZE / 2;
}

/*
 * Maps the starter's segment and sends messages there from now on. A starter
 * that is gone already has taken it along: then nobody wants this worker.
 */
static CadenceShared *
attach_to_starter(Datum main_arg)
{
	dsm_segment *segment;
	int number;
	shm_toc *toc;
	shm_mq *mq;

	CurrentResourceOwner = ResourceOwnerCreate(NULL, "cadence_runner");
	segment = dsm_attach(DatumGetUInt32(main_arg));
	if (segment == NULL)
		proc_exit(0);
	toc = shm_toc_attach(CADENCE_DSM_MAGIC, dsm_segment_address(segment));
	if (toc == NULL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("bad magic number in dynamic shared memory segment")));
	memcpy(&number, MyBgworkerEntry->bgw_extra, sizeof(int));
	mq = shm_toc_lookup(toc, CADENCE_DSM_KEY_QUEUE + number, false);
	shm_mq_set_sender(mq, MyProc);
	pq_redirect_to_shm_mq(segment, shm_mq_attach(mq, segment, NULL));
	next_log_hook = emit_log_hook;
	emit_log_hook = limit_notices;
	dsm_pin_mapping(segment);
	return shm_toc_lookup(toc, CADENCE_DSM_KEY_HEADER, false);
}

void
cadence_worker_main(Datum main_arg)
{
	CadenceShared *shared;
	Execution *execution;

	cadence_interrupts_install(false);
	BackgroundWorkerUnblockSignals();
	shared = attach_to_starter(main_arg);
	BackgroundWorkerInitializeConnectionByOid(shared->database, shared->owner,
											  CADENCE_WORKER_FLAGS);
	if (cadence_stop_requested() && !cadence_stop_is_urgent())
		proc_exit(0);

	execution = MemoryContextAllocZero(TopMemoryContext, sizeof(*execution));
	execution->shared = execution->peers.shared = shared;
	(void) pipeline_begin(&execution->pipeline, shared->trigger);
	if (shared->is_peer)
		execute_as_peer(execution);
	else
	{
		char *summary = execute(execution);

		send_message(CADENCE_MESSAGE_SUMMARY, summary, strlen(summary));
	}
	proc_exit(0);
}
