/*
 * supervisor.c
 *		Keeps one resident worker in each database of cadence_runner.databases.
 *
 * One process, in no database, started with the server once recovery is over.
 * It can not look into a database, and a worker can connect only once, as the
 * owner of the tables; so a probe goes first and finds out who that is. A probe
 * that finds no extension, or a reason why nothing may be sent, is tried again
 * later, and its reason is logged once.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/procarray.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "base/compat.h"
#include "server/registry.h"
#include "base/settings.h"
#include "server/supervisor.h"

PGDLLEXPORT void cadence_supervisor_main(Datum main_arg);

/* A worker that ends is back after this time; one that goes on failing, later and later. */
#define RESTART_MS 500
#define RESTART_MAX_MS 30000

/* A worker that lived so long has not failed at its start. */
#define SETTLED_MS 10000

/* A process that was asked for and has not come. */
#define START_TIMEOUT_MS 30000

/* A wish to try again now is granted so often: to a database without, and to a worker that fails.
 */
#define HURRY_MS 500
#define HURRY_FAILED_MS 5000

#define CHECK_MS 60000

/* What only the supervisor knows of a slot. */
typedef struct Watch
{
	uint32
		launch; /* of the slot when this was written: another name has come since, if it differs */
	char name[NAMEDATALEN];
	TimestampTz begun_at;
	TimestampTz retry_at;
	TimestampTz start_at; /* not before this time, of a worker that has failed */
	int delay_ms;
	bool failed;					   /* its worker is put off until then */
	char failure[CADENCE_PROBLEM_MAX]; /* of the worker, until the next probe has its say */
	char logged[CADENCE_PROBLEM_MAX];
} Watch;

static Watch watches[CADENCE_RESIDENTS_MAX];

/*
 * To be called from _PG_init() while the server loads its preloaded libraries.
 */
void
cadence_supervisor_register(void)
{
	BackgroundWorker worker = {0};

	strlcpy(worker.bgw_name, "cadence_runner supervisor", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "cadence_runner supervisor", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "cadence_runner", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "cadence_supervisor_main", BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 1;
	RegisterBackgroundWorker(&worker);
}

/* ---- starting ---------------------------------------------------------------- */

static bool
start_process(const char *function, const char *type, const char *database, ResidentTicket ticket)
{
	BackgroundWorker worker = {0};

	snprintf(worker.bgw_name, BGW_MAXLEN, "%s %s", type, database);
	strlcpy(worker.bgw_type, type, BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "cadence_runner", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, function, BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	memcpy(worker.bgw_extra, &ticket, sizeof(ticket));
	return RegisterDynamicBackgroundWorker(&worker, NULL);
}

/*
 * By a scan of the whole catalog: without a database, and before any backend
 * has written the server's cache file, its indexes can not be used.
 */
static Oid
find_database(const char *name)
{
	Relation rel;
	TableScanDesc scan;
	HeapTuple tuple;
	Oid database = InvalidOid;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);

		if (strcmp(NameStr(form->datname), name) == 0)
			database = form->oid;
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	return database;
}

static void
start(int number, const ResidentSlot *slot, ResidentState state, Oid database)
{
	bool is_probe = state == RESIDENT_PROBING;
	ResidentTicket ticket = {.slot = number, .launch = registry_begin(number, state, database)};

	watches[number].begun_at = GetCurrentTimestamp();
	if (!start_process(is_probe ? "cadence_probe_main" : "cadence_resident_main",
					   is_probe ? "cadence_runner probe" : "cadence_runner resident", slot->name,
					   ticket))
		registry_refuse(number, "no background worker slot is free; raise max_worker_processes");
}

static void
probe(int number, const ResidentSlot *slot)
{
	Oid database = find_database(slot->name);

	watches[number].begun_at = GetCurrentTimestamp();
	if (OidIsValid(database))
		start(number, slot, RESIDENT_PROBING, database);
	else
	{
		(void) registry_begin(number, RESIDENT_OFF, InvalidOid);
		registry_refuse(number, "the database does not exist");
	}
}

/* ---- watching ------------------------------------------------------------------ */

/* Said once, until something else is to be said. */
static void
log_problem(Watch *w, const char *problem)
{
	if (strcmp(w->logged, problem) == 0)
		return;
	strlcpy(w->logged, problem, CADENCE_PROBLEM_MAX);
	ereport(LOG, (errmsg("cadence_runner does not run in database \"%s\": %s", w->name, problem)));
}

static TimestampTz
later(Watch *w, TimestampTz now)
{
	w->delay_ms = w->delay_ms == 0 ? RESTART_MS : Min(w->delay_ms * 2, RESTART_MAX_MS);
	return now + w->delay_ms * INT64CONST(1000);
}

/*
 * It ended: soon again if that was not its own fault. What a worker failed with
 * may only be the consequence of something else, so a probe looks at once.
 */
static void
note_end(Watch *w, const ResidentSlot *slot, TimestampTz now)
{
	if (slot->state == RESIDENT_STOPPED || now - w->begun_at > SETTLED_MS * INT64CONST(1000))
		w->delay_ms = 0;
	w->retry_at = w->start_at = later(w, now);
	if (slot->state == RESIDENT_FAILED)
	{
		strlcpy(w->failure, slot->problem, CADENCE_PROBLEM_MAX);
		w->retry_at = now;
	}
	else if (slot->state == RESIDENT_REFUSED)
	{
		w->failure[0] = '\0';
		log_problem(w, slot->problem);
	}
}

static int
ms_until(TimestampTz at, TimestampTz now)
{
	return at <= now ? 0 : (int) Min((at - now) / 1000 + 1, CHECK_MS);
}

/* A slot that has got another name since we looked has no history. */
static Watch *
watch_of(int number, const ResidentSlot *slot)
{
	Watch *w = &watches[number];

	if (strcmp(w->name, slot->name) != 0)
	{
		memset(w, 0, sizeof(*w));
		strlcpy(w->name, slot->name, NAMEDATALEN);
	}
	return w;
}

/* Somebody holds the database for himself, as long as he lives. */
static bool
is_held(int number, const ResidentSlot *slot)
{
	if (slot->held_by == 0)
		return false;
	if (BackendPidGetProc(slot->held_by) != NULL)
		return true;
	registry_clear_hold(number);
	return false;
}

static int
wait_to_retry(int number, const ResidentSlot *slot, Watch *w, TimestampTz now)
{
	int hurry_ms = w->failed ? HURRY_FAILED_MS : HURRY_MS;

	if (slot->hurry)
		w->retry_at = w->start_at = Min(w->retry_at, w->begun_at + hurry_ms * INT64CONST(1000));
	/* a clock that was set back */
	if (w->retry_at > now + RESTART_MAX_MS * INT64CONST(1000))
		w->retry_at = w->start_at = now;
	if (w->retry_at > now)
		return ms_until(w->retry_at, now);
	probe(number, slot);
	return 0;
}

static int
wait_for_start(int number, const ResidentSlot *slot, Watch *w, TimestampTz now)
{
	TimestampTz until;

	/* a supervisor before this one has started it */
	if (w->begun_at == 0)
		w->begun_at = now;
	until = w->begun_at + START_TIMEOUT_MS * INT64CONST(1000);
	if (slot->pid == 0 && now >= until)
	{
		registry_refuse(number, "its process could not be started");
		return 0;
	}
	return Max(ms_until(until, now), 1000);
}

/* The probe found nothing wrong: a worker that has failed has done so by itself. */
static void
start_probed(int number, const ResidentSlot *slot, Watch *w, TimestampTz now)
{
	if (w->failure[0] != '\0')
		log_problem(w, w->failure);
	w->failure[0] = '\0';
	w->failed = now < w->start_at;
	if (!w->failed)
		start(number, slot, RESIDENT_STARTING, slot->database);
	else
	{
		w->retry_at = w->start_at;
		registry_settle(number, RESIDENT_PROBED, RESIDENT_OFF);
	}
}

/* Does what is to be done for a slot; returns how long it can be left alone, in milliseconds. */
static int
tend(int number)
{
	TimestampTz now = GetCurrentTimestamp();
	ResidentSlot slot;
	Watch *w;

	registry_read(number, &slot);
	if (!slot.used)
		return CHECK_MS;
	w = watch_of(number, &slot);
	if (is_held(number, &slot))
		return 1000;
	switch (slot.state)
	{
		case RESIDENT_OFF:
			if (slot.pid != 0)
				return 1000;
			return wait_to_retry(number, &slot, w, now);
		case RESIDENT_PROBING:
		case RESIDENT_STARTING:
			return wait_for_start(number, &slot, w, now);
		case RESIDENT_PROBED:
			if (slot.pid != 0)
				return 1000;
			start_probed(number, &slot, w, now);
			return 1000;
		case RESIDENT_REFUSED:
		case RESIDENT_FAILED:
		case RESIDENT_STOPPED:
			if (slot.pid != 0)
				return 1000;
			note_end(w, &slot, now);
			registry_settle(number, slot.state, RESIDENT_OFF);
			return 0;
		case RESIDENT_WORKING:
		case RESIDENT_SLEEPING:
		case RESIDENT_DISABLED:
			w->logged[0] = '\0';
			return CHECK_MS;
	}
	pg_unreachable();
}

/* ---- the process ------------------------------------------------------------------ */

static void
sync_with_settings(void)
{
	char *copy = pstrdup(cadence_databases);
	List *names;

	if (!SplitIdentifierString(copy, ',', &names))
		names = NIL;
	registry_sync(names);
	list_free(names);
	pfree(copy);
}

static int
tend_all(void)
{
	int wait_ms = CHECK_MS;

	for (int i = 0; i < CADENCE_RESIDENTS_MAX; i++)
		wait_ms = Min(wait_ms, tend(i));
	return wait_ms;
}

void
cadence_supervisor_main(Datum main_arg)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	registry_attach_supervisor();
	sync_with_settings();
	pgstat_report_activity(STATE_IDLE, NULL);

	while (!ShutdownRequestPending)
	{
		int wait_ms;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			sync_with_settings();
		}
		wait_ms = tend_all();
		if (wait_ms > 0)
			(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, wait_ms,
							 PG_WAIT_EXTENSION);
	}
	/* any other way out, and the server would not start it again */
	proc_exit(1);
}
