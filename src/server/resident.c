/*
 * resident.c
 *		The processes of a database with resident workers: the probe that finds
 *		out as whom to connect, and the workers that it then starts.
 *
 * A process can connect only once, and a worker must do so as the owner of the
 * tables; so a probe goes first. It is connected as the bootstrap superuser. It
 * reads catalogs and nothing else: no statement, no function, no type of
 * anybody's is run by it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "libpq/pqsignal.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/interrupt.h"
#include "schema/tables.h"
#include "server/registry.h"
#include "server/resident.h"

PGDLLEXPORT void cadence_probe_main(Datum main_arg);
PGDLLEXPORT void cadence_resident_main(Datum main_arg);

/* What a probe or a worker is started with, in bgw_extra. */
typedef struct ResidentTicket
{
	int entry;
	uint32 launch;
	int number;
	Oid database;
	Oid schema; /* the probe's find, as is the next */
	Oid owner;
	char name[NAMEDATALEN];
} ResidentTicket;

StaticAssertDecl(sizeof(ResidentTicket) <= BGW_EXTRALEN, "the ticket must fit into bgw_extra");

/* ---- starting ------------------------------------------------------------------- */

static bool
start_process(const char *function, const char *type, const ResidentTicket *ticket)
{
	BackgroundWorker worker = {0};

	snprintf(worker.bgw_name, BGW_MAXLEN, "%s %s", type, ticket->name);
	strlcpy(worker.bgw_type, type, BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "cadence_runner", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, function, BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	memcpy(worker.bgw_extra, ticket, sizeof(*ticket));
	return RegisterDynamicBackgroundWorker(&worker, NULL);
}

bool
cadence_probe_start(int entry, uint32 launch, Oid database, const char *name)
{
	ResidentTicket ticket = {
		.entry = entry, .launch = launch, .number = RESIDENT_PROBE, .database = database};

	strlcpy(ticket.name, name, NAMEDATALEN);
	return start_process("cadence_probe_main", "cadence_runner probe", &ticket);
}

/* What is missing, as far as the server has room; why not all of it, if so. */
static char *
start_workers(ResidentTicket ticket)
{
	for (ticket.number = 0; ticket.number < CADENCE_WORKERS_MAX; ticket.number++)
		if (registry_is_missing(ticket.number) &&
			!start_process("cadence_resident_main", "cadence_runner resident", &ticket))
			return CADENCE_NO_SLOT;
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
	if (!registry_attach(ticket.entry, ticket.launch, ticket.number))
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
