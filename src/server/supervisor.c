/*
 * supervisor.c
 *		Keeps resident workers in each database of cadence_runner.databases.
 *
 * One process, in no database, started with the server once recovery is over.
 * It can not look into a database: where workers are missing it starts a probe
 * (see resident.c), which starts them or says why not. A start that leads to
 * nothing is tried again later and later, and its reason is logged once.
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
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "base/settings.h"
#include "server/registry.h"
#include "server/resident.h"

PGDLLEXPORT void cadence_supervisor_main(Datum main_arg);

/* A worker that ends is back after this time. */
#define RESTART_MS 500

/* What goes wrong again is tried later and later, up to: where it could not begin, and where it
 * failed at its work, which leaves a row in the log of the executions each time. */
#define RETRY_REFUSED_MAX_MS 5000
#define RETRY_FAILED_MAX_MS 30000

/* A wish to try again now is granted so often. */
#define HURRY_REFUSED_MS 500
#define HURRY_FAILED_MS 5000

/* Processes that were asked for and have not come. */
#define START_TIMEOUT_MS 30000

#define CHECK_MS 60000

/* What only the supervisor knows of an entry. A new one has no problem, and so no history. */
typedef struct Watch
{
	TimestampTz begun_at; /* the last start */
	int delay_ms;		  /* from there to the next, if it is a failure */
	char logged[CADENCE_PROBLEM_MAX];
} Watch;

static Watch watches[CADENCE_DATABASES_MAX];

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

/*
 * By a scan of the whole catalog: without a database, and before any backend
 * has written the server's cache file, its indexes can not be used.
 */
static Oid
find_database(const char *name, bool *allows_connections)
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

		if (strcmp(NameStr(form->datname), name) != 0)
			continue;
		database = form->oid;
		*allows_connections = form->datallowconn;
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	return database;
}

static void
start(int entry, const ResidentDatabase *d)
{
	bool allows_connections = false;
	Oid database = find_database(d->name, &allows_connections);
	uint32 launch = registry_begin(entry, database);

	if (!OidIsValid(database))
		registry_refuse(entry, "the database does not exist");
	else if (!allows_connections)
		registry_refuse(entry, "the database does not allow connections");
	else if (!cadence_probe_start(entry, launch, database, d->name))
		registry_refuse(entry, CADENCE_NO_SLOT);
}

/* ---- watching ------------------------------------------------------------------ */

/* Said once, until it is over or something else is to be said. */
static void
log_problem(Watch *w, const ResidentDatabase *d)
{
	if (strcmp(w->logged, d->problem) == 0)
		return;
	strlcpy(w->logged, d->problem, CADENCE_PROBLEM_MAX);
	if (d->problem[0] != '\0')
		ereport(LOG, (errmsg("cadence_runner does not run in database \"%s\": %s", d->name,
							 d->problem)));
}

static TimestampTz
after(TimestampTz at, int ms)
{
	return at + ms * INT64CONST(1000);
}

static TimestampTz
next_start(const Watch *w, const ResidentDatabase *d, TimestampTz now)
{
	int delay_ms = d->problem[0] != '\0' ? w->delay_ms : RESTART_MS;

	if (d->hurry)
		delay_ms = Min(delay_ms, d->is_refusal ? HURRY_REFUSED_MS : HURRY_FAILED_MS);
	/* the clock was set back */
	if (w->begun_at > now || d->ended_at > now)
		return now;
	return Max(after(w->begun_at, delay_ms), after(d->ended_at, RESTART_MS));
}

/* Later and later, as long as there is a problem. */
static int
next_delay(const Watch *w, const ResidentDatabase *d)
{
	if (d->problem[0] == '\0')
		return RESTART_MS;
	return Min(Max(w->delay_ms * 2, RESTART_MS),
			   d->is_refusal ? RETRY_REFUSED_MAX_MS : RETRY_FAILED_MAX_MS);
}

/* Does what is to be done for a database; returns the time when it wants to be looked at again. */
static TimestampTz
tend(int entry, TimestampTz now)
{
	ResidentDatabase d;
	Watch *w = &watches[entry];
	TimestampTz at;

	registry_read(entry, &d);
	if (!d.used)
		return DT_NOEND;
	log_problem(w, &d);
	if (d.paused || registry_first_missing(&d) == d.nworkers)
		return DT_NOEND;
	if (d.starting || d.probe_pid != 0)
	{
		/* a supervisor before this one may have asked for them */
		w->begun_at = w->begun_at == 0 ? now : Min(w->begun_at, now);
		at = after(w->begun_at, START_TIMEOUT_MS);
		if (now >= at)
			registry_refuse(entry, "its processes have not started");
		return Max(at, after(now, RESTART_MS));
	}
	at = next_start(w, &d, now);
	if (at > now)
		return at;
	w->delay_ms = next_delay(w, &d);
	w->begun_at = now;
	start(entry, &d);
	return after(now, RESTART_MS);
}

/* ---- the process ------------------------------------------------------------------ */

/*
 * The databases, and so many workers for each that half of the server's
 * background workers are left to others.
 */
static void
follow_settings(void)
{
	char *copy = pstrdup(cadence_databases);
	List *names;

	if (!SplitIdentifierString(copy, ',', &names))
		names = NIL;
	registry_sync(
		names, Max(Min(cadence_workers, max_worker_processes / 2 / Max(list_length(names), 1)), 1));
	list_free(names);
	pfree(copy);
}

static int
tend_all(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz next = after(now, CHECK_MS);

	for (int i = 0; i < CADENCE_DATABASES_MAX; i++)
		next = Min(next, tend(i, now));
	return (int) TimestampDifferenceMilliseconds(now, next);
}

void
cadence_supervisor_main(Datum main_arg)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	registry_attach_supervisor();
	follow_settings();
	pgstat_report_activity(STATE_IDLE, NULL);

	while (!ShutdownRequestPending)
	{
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			follow_settings();
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, tend_all(),
						 PG_WAIT_EXTENSION);
	}
	/* any other way out, and the server would not start it again */
	proc_exit(1);
}
