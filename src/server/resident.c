/*
 * resident.c
 *		The processes that keep a database's resident workers running: a
 *		supervisor, the probe that finds out as whom to connect, and the workers
 *		that it then starts.
 *
 * The supervisor is one process, in no database, started with the server once
 * recovery is over. It can not look into a database: where workers are missing
 * it starts a probe, which starts them or says why not. A start that leads to
 * nothing is tried again later and later, and its reason is logged once.
 *
 * A process can connect only once, and a worker must do so as the owner of the
 * tables; so a probe goes first. It is connected as the bootstrap superuser. It
 * reads catalogs and nothing else: no statement, no function, no type of
 * anybody's is run by it.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "libpq/pqsignal.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "base/compat.h"
#include "base/interrupt.h"
#include "base/settings.h"
#include "schema/tables.h"
#include "server/launch.h"
#include "server/registry.h"
#include "server/resident.h"

PGDLLEXPORT void cadence_supervisor_main(Datum main_arg);
PGDLLEXPORT void cadence_probe_main(Datum main_arg);
PGDLLEXPORT void cadence_resident_main(Datum main_arg);

#define NO_SLOT "no background worker slot is free; raise max_worker_processes"

/* A worker that ends is back after this time. */
#define RESTART_MS 500

/*
 * What goes wrong again is tried later and later: up to the first where a worker
 * could not begin, or a commit asks for one, and else up to the second, since
 * what fails at its work leaves a row in the log of the executions each time.
 */
#define RETRY_SOON_MS 5000
#define RETRY_MAX_MS 30000

#define CHECK_MS 60000

/* What only the supervisor knows of an entry. A new one has no problem, and so no history. */
typedef struct Watch
{
	TimestampTz begun_at;		   /* the last start */
	int delay_ms;				   /* from there to the next */
	BackgroundWorkerHandle *probe; /* NULL: none of this supervisor's */
	char logged[CADENCE_PROBLEM_MAX];
} Watch;

static Watch watches[CADENCE_DATABASES_MAX];

/* What a probe or a worker is started with, in bgw_extra. */
typedef struct ResidentTicket
{
	int number;
	Oid database;
	Oid schema; /* the probe's find, as is the next */
	Oid owner;
	char name[NAMEDATALEN];
} ResidentTicket;

StaticAssertDecl(sizeof(ResidentTicket) <= BGW_EXTRALEN, "the ticket must fit into bgw_extra");

/* ---- starting ------------------------------------------------------------------- */

static bool
start_process(const char *function, const char *type, const ResidentTicket *ticket,
			  BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker;

	launch_describe(&worker, function, type, ticket->name);
	memcpy(worker.bgw_extra, ticket, sizeof(*ticket));
	worker.bgw_notify_pid = MyProcPid;
	return RegisterDynamicBackgroundWorker(&worker, handle);
}

static bool
start_probe(Oid database, const char *name, BackgroundWorkerHandle **probe)
{
	ResidentTicket ticket = {.number = RESIDENT_PROBE, .database = database};

	strlcpy(ticket.name, name, NAMEDATALEN);
	return start_process("cadence_probe_main", "cadence_runner probe", &ticket, probe);
}

/* What is missing, as far as the server has room; why not all of it, if so. */
static char *
start_workers(ResidentTicket ticket)
{
	const ResidentDatabase *d = registry_database();
	BackgroundWorkerHandle *handle;
	pid_t pid;

	for (ticket.number = 0; ticket.number < d->nworkers; ticket.number++)
	{
		if (d->workers[ticket.number].pid != 0)
			continue;
		if (!start_process("cadence_resident_main", "cadence_runner resident", &ticket, &handle))
			return NO_SLOT;
		/* or the supervisor, who waits for this process only, would start another */
		(void) WaitForBackgroundWorkerStartup(handle, &pid);
	}
	return NULL;
}

/* ---- looking around --------------------------------------------------------------- */

/* The error under way, as one line. */
static char *
describe_error(MemoryContext context)
{
	ErrorData *error;
	char *text;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	text = error->hint != NULL ? psprintf("%s (%s)", error->message, error->hint)
							   : pstrdup(error->message);
	FreeErrorData(error);
	return text;
}

static void
look_around(ResidentTicket *ticket)
{
	CadenceTables *tables;
	char *found = get_database_name(MyDatabaseId);

	if (found == NULL || strcmp(found, ticket->name) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_DATABASE), errmsg("the database has got another name")));
	if (GetDatabaseEncoding() != PG_UTF8)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("its encoding is %s, not UTF8", GetDatabaseEncodingName())));
	tables = cadence_tables_load(cadence_extension_schema());
	cadence_owner_check_connect(tables->owner);
	ticket->schema = tables->schema;
	ticket->owner = tables->owner;
}

/* Why no worker can begin here; NULL: nothing is in its way, and the ticket says where. */
static char *
find_obstacle(ResidentTicket *ticket)
{
	MemoryContext context = CurrentMemoryContext;
	char *volatile obstacle = NULL;

	StartTransactionCommand();
	PG_TRY();
	{
		look_around(ticket);
	}
	PG_CATCH();
	{
		obstacle = describe_error(context);
	}
	PG_END_TRY();
	AbortOutOfAnyTransaction();
	MemoryContextSwitchTo(context);
	return obstacle;
}

/* ---- the processes ------------------------------------------------------------------ */

/* Whoever is not wanted any more leaves without a word. */
static ResidentTicket
enter_place(void)
{
	ResidentTicket ticket;

	memcpy(&ticket, MyBgworkerEntry->bgw_extra, sizeof(ticket));
	if (!registry_attach(ticket.name, ticket.database, ticket.number))
		proc_exit(0);
	return ticket;
}

void
cadence_probe_main(Datum main_arg)
{
	ResidentTicket ticket;
	char *obstacle;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	ticket = enter_place();
	BackgroundWorkerInitializeConnectionByOid(ticket.database, InvalidOid, 0);
	obstacle = find_obstacle(&ticket);
	if (obstacle == NULL)
		obstacle = start_workers(ticket);
	registry_ended(obstacle);
	proc_exit(0);
}

/*
 * An error has been logged in the tables where that was possible; the
 * supervisor says it in the server's log, once, and tries again. What a worker
 * fails with may be the consequence of something that a probe would find: then
 * that is the reason.
 */
void
cadence_resident_main(Datum main_arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResidentTicket ticket;
	char *volatile problem = NULL;

	cadence_interrupts_install(true);
	BackgroundWorkerUnblockSignals();
	ticket = enter_place();
	BackgroundWorkerInitializeConnectionByOid(ticket.database, ticket.owner, CADENCE_WORKER_FLAGS);
	PG_TRY();
	{
		cadence_serve(ticket.schema);
	}
	PG_CATCH();
	{
		char *obstacle;

		problem = describe_error(context);
		AbortOutOfAnyTransaction();
		MemoryContextSwitchTo(context);
		obstacle = cadence_stop_requested() ? NULL : find_obstacle(&ticket);
		problem = obstacle != NULL ? obstacle : problem;
	}
	PG_END_TRY();
	registry_ended(problem);
	proc_exit(0);
}

/* ---- the supervisor -------------------------------------------------------------- */

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

	registry_begin(entry, database);
	if (!OidIsValid(database))
		registry_refuse(entry, "the database does not exist");
	else if (!allows_connections)
		registry_refuse(entry, "the database does not allow connections");
	else if (!start_probe(database, d->name, &watches[entry].probe))
		registry_refuse(entry, NO_SLOT);
}

/* Whether a probe is under way, perhaps one of the supervisor before this one. */
static bool
is_starting(Watch *w, const ResidentDatabase *d)
{
	BgwHandleStatus status = BGWH_STOPPED;
	pid_t pid;

	if (w->probe != NULL)
		status = GetBackgroundWorkerPid(w->probe, &pid);
	if (status == BGWH_STARTED || status == BGWH_NOT_YET_STARTED)
		return true;
	if (w->probe != NULL)
		pfree(w->probe);
	w->probe = NULL;
	return d->workers[RESIDENT_PROBE].pid != 0;
}

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

/*
 * Does what is to be done for a database; returns the time when it wants to be
 * looked at again. While there is a problem, starts come later and later.
 */
static TimestampTz
tend(int entry, TimestampTz now)
{
	ResidentDatabase d;
	Watch *w = &watches[entry];
	TimestampTz at;
	int delay_ms;

	registry_read(entry, &d);
	if (!d.used)
		return DT_NOEND;
	log_problem(w, &d);
	if (d.problem[0] == '\0')
		w->delay_ms = RESTART_MS;
	if (d.paused || registry_first_missing(&d) == d.nworkers)
		return DT_NOEND;
	if (is_starting(w, &d))
		return after(now, RESTART_MS);
	delay_ms = Min(w->delay_ms, d.is_refusal || d.hurry ? RETRY_SOON_MS : RETRY_MAX_MS);
	at = Max(after(w->begun_at, delay_ms), after(d.ended_at, RESTART_MS));
	/* unless the clock was set back */
	if (at > now && w->begun_at <= now && d.ended_at <= now)
		return at;
	w->begun_at = now;
	w->delay_ms = Min(Max(w->delay_ms * 2, RESTART_MS), RETRY_MAX_MS);
	start(entry, &d);
	return after(now, RESTART_MS);
}

void
cadence_supervisor_register(void)
{
	BackgroundWorker worker;

	launch_describe(&worker, "cadence_supervisor_main", "cadence_runner supervisor", "");
	worker.bgw_restart_time = 1;
	RegisterBackgroundWorker(&worker);
}

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
