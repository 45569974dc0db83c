/*
 * run.c
 *		cadence_run(): the caller's side of an execution.
 *
 * An execution commits between its stages, which a function can not do, so a
 * background worker does the work in a session of its own, connected as the
 * tables' owner. The caller starts it and waits, and takes it along on every
 * way out (see launch.c).
 *
 * Callers begin one after the other, in the order of a lock's queue: an
 * execution that meets another would mostly find nothing left. The next one
 * begins when there is nothing left to take, or after some time: nobody waits
 * for another's providers.
 *
 * The worker may wait for a lock that its own caller holds. That is a deadlock
 * which the server can not see, since the caller waits for a latch and not for
 * a lock. The caller looks for it every deadlock_timeout.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "libpq/pqmq.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/latch.h"
#include "storage/procarray.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/lock.h"
#include "base/settings.h"
#include "schema/tables.h"
#include "server/launch.h"

/* A caller waits so long for its turn at most. */
#define TURN_MS 10000

PG_FUNCTION_INFO_V1(cadence_run);

/* Whether this session has its turn: the lock that other callers wait for. */
static bool has_turn = false;

/* One of the words that a caller may say; the resident worker has its own. */
static const char *
checked_trigger(FunctionCallInfo fcinfo)
{
	static const char *const triggers[] = {"CRON", "MANUAL", "TEST"};
	const char *given = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));

	for (size_t i = 0; i < lengthof(triggers); i++)
		if (given != NULL && strcmp(given, triggers[i]) == 0)
			return triggers[i];
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					given == NULL ? errmsg("the trigger of an execution must not be null")
								  : errmsg("invalid trigger of an execution: \"%s\"", given),
					errhint("Use CRON, MANUAL or TEST.")));
}

static void
check_server_state(void)
{
	/* each execution would start the next, until no worker slot is left */
	if (MyBgworkerEntry != NULL && strncmp(MyBgworkerEntry->bgw_type, "cadence_runner", 14) == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("cadence_run() can not be called by an execution"),
						errdetail("A trigger on the tables of cadence_runner calls it."),
						errhint("Drop that trigger: runs that become due while an execution is "
								"under way are the next one's.")));
	PreventCommandDuringRecovery("cadence_run()");
	PreventCommandIfReadOnly("cadence_run()");
	if (!cadence_enabled)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("cadence_runner is switched off"),
						errhint("Set cadence_runner.enabled to on.")));
	if (GetDatabaseEncoding() != PG_UTF8)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cadence_runner needs a database with encoding UTF8"),
						errdetail("This database has encoding %s.", GetDatabaseEncodingName())));
}

static Launch *
start_execution(const CadenceTables *tables, const char *trigger)
{
	/* The callback on the segment may run after the portal's memory is gone. */
	Launch *launch = launch_create(TopTransactionContext);

	if (launch == NULL)
		ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
						errmsg("no dynamic shared memory segment is free for the execution"),
						errhint("Raise max_connections, or run fewer executions at once.")));
	launch->shared->database = MyDatabaseId;
	launch->shared->schema = tables->schema;
	launch->shared->owner = tables->owner;
	strlcpy(launch->shared->trigger, trigger, CADENCE_TRIGGER_MAX);
	if (!launch_start(launch, 0))
		ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
						errmsg("no background worker slot is free for the execution"),
						errhint("Raise max_worker_processes, or run fewer executions at once.")));
	return launch;
}

/* The execution's processes. */
static List *
worker_pids(Launch *launch)
{
	List *pids = NIL;

	for (int i = 0; i < CADENCE_WORKERS_MAX; i++)
		if (launch->shared->pids[i] != 0)
			pids = list_append_unique_int(pids, launch->shared->pids[i]);
	return pids;
}

/* Whether a process of the execution waits, directly or through others, for this session. */
static bool
execution_waits_for_us(Launch *launch)
{
	List *waiting = worker_pids(launch);

	for (int i = 0; i < list_length(waiting); i++)
	{
		Datum pids = DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(list_nth_int(waiting, i)));
		ArrayType *array = DatumGetArrayTypeP(pids);
		int n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
		int32 *blockers = (int32 *) ARR_DATA_PTR(array);

		for (int k = 0; k < n; k++)
		{
			if (blockers[k] == MyProcPid)
				return true;
			/* 0 stands for a prepared transaction, which waits for nobody */
			if (blockers[k] != 0)
				waiting = list_append_unique_int(waiting, blockers[k]);
		}
	}
	return false;
}

static void
end_turn(void)
{
	if (has_turn)
		cadence_lock_release(CADENCE_LOCK_EXECUTION, 0);
	has_turn = false;
}

/* Handles one message of the worker; returns the summary if it is the one. */
static char *
handle_message(StringInfo message)
{
	char type = pq_getmsgbyte(message);
	ErrorData edata;

	switch (type)
	{
		case 'E':
		case 'N':
			/* its error becomes ours, a FATAL one too: our session goes on */
			pq_parse_errornotice(message, &edata);
			edata.elevel = Min(edata.elevel, ERROR);
			ThrowErrorData(&edata);
			return NULL;
		case CADENCE_MESSAGE_ALL_TAKEN:
			end_turn();
			return NULL;
		case CADENCE_MESSAGE_SUMMARY:
			return pnstrdup(message->data + message->cursor, message->len - message->cursor);
		default:
			ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
							errmsg("unexpected message of type \"%c\" from the execution's worker",
								   type)));
	}
}

static void
check_deadlock(Launch *launch)
{
	if (execution_waits_for_us(launch))
		ereport(ERROR, (errcode(ERRCODE_T_R_DEADLOCK_DETECTED), errmsg("deadlock detected"),
						errdetail("The execution waits for a lock that this transaction holds, "
								  "and this transaction waits for the execution."),
						errhint("Call cadence_run() in a transaction of its own.")));
}

static char *
wait_for_summary(Launch *launch)
{
	TimestampTz last_check = GetCurrentTimestamp();
	StringInfoData message;
	char *summary = NULL;

	initStringInfo(&message);
	while (summary == NULL)
	{
		shm_mq_result result = launch_receive(launch, 0, &message);

		if (result == SHM_MQ_SUCCESS)
			summary = handle_message(&message);
		else if (result == SHM_MQ_DETACHED)
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
							errmsg("the execution's worker ended without a result"),
							errhint("The server's log says why.")));
		else
		{
			(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
							 DeadlockTimeout, PG_WAIT_EXTENSION);
			ResetLatch(MyLatch);
			CHECK_FOR_INTERRUPTS();
			if (TimestampDifferenceExceeds(last_check, GetCurrentTimestamp(), DeadlockTimeout))
			{
				last_check = GetCurrentTimestamp();
				check_deadlock(launch);
			}
		}
	}
	return summary;
}

/*
 * cadence_run(trigger text) -> jsonb: one execution over all that is due now.
 *
 * trigger is CRON, MANUAL or TEST; it only names the caller in the log.
 *
 * Errors: 22023 for another trigger or NULL; 25006 in a read-only transaction
 * or on a standby; 42P01 without tables; 28000 when the tables' owner may not
 * log in; 53400 without a free worker slot; 55000 when switched off; 40P01 when
 * the caller's own transaction is in the way; else what the worker raised.
 */
Datum
cadence_run(PG_FUNCTION_ARGS)
{
	const char *trigger = checked_trigger(fcinfo);
	CadenceTables *tables;
	char *volatile summary = NULL;

	check_server_state();
	tables = cadence_tables_load(cadence_extension_schema());
	cadence_owner_check_connect(tables->owner);

	has_turn = cadence_lock_try(CADENCE_LOCK_EXECUTION, 0, true) ||
			   cadence_lock_wait(CADENCE_LOCK_EXECUTION, 0, TURN_MS);
	PG_TRY();
	{
		Launch *launch = start_execution(tables, trigger);

		summary = wait_for_summary(launch);
		launch_wait(launch);
		dsm_detach(launch->segment);
	}
	PG_FINALLY();
	{
		end_turn();
	}
	PG_END_TRY();
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(summary)));
}
