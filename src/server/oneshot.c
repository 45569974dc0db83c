/*
 * oneshot.c
 *		The background worker behind cadence_run(), and its peers: one execution
 *		over all that is due at its start.
 *
 * Errors go to the starter through the message queue, also those that the
 * server raises before this process is connected: the queue is made the
 * client's place first of all.
 *
 * When the first claim shows that there is more than a batch to do, the first worker
 * starts peers (peers.c). Each runs the same pipeline; at its end it sends its part of
 * the summary to the first, which alone logs.
 */
#include "postgres.h"

/* Of a client's connection nothing is used here: no library's headers are needed for it. */
#undef ENABLE_GSS
#undef USE_OPENSSL
#include "libpq/libpq.h"

#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/interrupt.h"
#include "base/settings.h"
#include "base/transaction.h"
#include "engine/pipeline.h"
#include "server/counter.h"
#include "server/launch.h"
#include "server/peers.h"

PGDLLEXPORT void cadence_worker_main(Datum main_arg);

/* The longest wait before a stop, settings or peers are looked at. */
#define WAIT_MS 1000

/* So long it tells news when no run is left to claim; the rest is the next execution's. */
#define NEWS_US (10 * USECS_PER_SEC)

typedef struct Execution
{
	Pipeline pipeline;
	dsm_segment *segment; /* with the starter */
	bool is_peer;
	Peers peers;
	bool abandoned_sought; /* and found, for this execution */
	bool told_all_taken;
	TimestampTz runs_ended_at; /* no run was left to claim; 0: there are some */
} Execution;

static const PQcommMethods *to_queue;

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

/* A server that hears news slowly, or many of them, does not hold up its end. */
static void
leave_news(Execution *e)
{
	Pipeline *p = &e->pipeline;

	if (!claiming_runs_have_ended(&p->claiming))
		return;
	if (e->runs_ended_at == 0)
		e->runs_ended_at = p->now;
	if (p->now - e->runs_ended_at >= NEWS_US)
		claiming_leave_news(&p->claiming);
	e->runs_ended_at = Min(e->runs_ended_at, p->now);
}

/*
 * Tells the caller, once, that others need not wait for this execution any more: nor
 * for its news.
 */
static void
tell_all_taken(Execution *e)
{
	const Claiming *claiming = &e->pipeline.claiming;

	if (e->told_all_taken || (!claiming_runs_have_ended(claiming) && !claiming_is_full(claiming)))
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

static void
run_until_finished(Execution *e)
{
	Pipeline *p = &e->pipeline;

	while (!is_finished(e))
	{
		cadence_process_interrupts();
		if (cadence_stop_requested() || !cadence_enabled)
			return;
		(void) pipeline_read_clock(p);
		pipeline_turn(p);
		seek_abandoned(e);
		leave_news(e);
		if (!e->is_peer)
		{
			if (p->claiming.more)
				peers_start(&e->peers);
			else
				peers_work_alone(&e->peers);
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
	const CadenceShared *shared = dsm_segment_address(e->segment);

	if (e->is_peer)
	{
		pipeline_prepare(p, shared->schema, shared->due_until, shared->max_in_flight);
		cadence_session_quiet();
		return;
	}
	pipeline_prepare(p, shared->schema, p->summary->started_at, cadence_max_in_flight);
	peers_leave_room(&e->peers);
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

/* Somebody waits for an operator's execution, which leaves no process behind it, either. */
static void
tidy(Pipeline *p)
{
	(void) pipeline_tidy(p, strcmp(p->summary->trigger, "CRON") != 0);
	if (p->stock_is_old && cadence_summary_total(p->summary) > 0)
		cadence_counter_start(p->tables);
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

	peers_wait(&e->peers);
	if (error == NULL)
		error = e->peers.error;
	if (error != NULL)
		pipeline_note_failure(p, error);
	if (p->tables != NULL)
		pipeline_log(p, error == NULL);
	if (p->tables != NULL && !cadence_stop_requested())
		tidy(p);
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

/*
 * What the starter hears is in the server's own encoding, whatever a role, a
 * database or a trigger has set: also what their encoding lacks. Called before
 * anything that is raised is sent.
 */
static void
speak_server_encoding(void *arg)
{
	(void) SetClientEncoding(GetDatabaseEncoding());
}

/*
 * A starter that does not read must not stop the worker: it hears no more
 * notices than the queue holds with ease.
 */
static int
put_message(char type, const char *data, size_t len)
{
	static size_t notices = 0;

	if (type == 'N' && (notices += len) > CADENCE_QUEUE_SIZE / 2)
		return 0;
	return to_queue->putmessage(type, data, len);
}

/* Messages of this process go into the queue through us from now on. */
static void
redirect_messages(void)
{
	static PQcommMethods methods;
	static ErrorContextCallback callback = {.callback = speak_server_encoding};

	to_queue = PqCommMethods;
	methods = *to_queue;
	methods.putmessage = put_message;
	PqCommMethods = &methods;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
}

void
cadence_worker_main(Datum main_arg)
{
	Execution *e = MemoryContextAllocZero(TopMemoryContext, sizeof(*e));
	CadenceShared *shared;
	int number;

	cadence_interrupts_install(false);
	BackgroundWorkerUnblockSignals();
	e->segment = launch_attach(main_arg, &number);
	e->is_peer = number > 0;
	e->peers = (Peers){.pipeline = &e->pipeline, .segment = e->segment};
	shared = dsm_segment_address(e->segment);
	redirect_messages();
	BackgroundWorkerInitializeConnectionByOid(shared->database, shared->owner,
											  CADENCE_WORKER_FLAGS);
	if (cadence_stop_requested() && !cadence_stop_is_urgent())
		proc_exit(0);

	(void) pipeline_begin(&e->pipeline, shared->trigger);
	if (e->is_peer)
		execute_as_peer(e);
	else
	{
		char *summary = execute(e);

		send_message(CADENCE_MESSAGE_SUMMARY, summary, strlen(summary));
	}
	proc_exit(0);
}
