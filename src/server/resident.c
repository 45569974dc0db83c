/*
 * resident.c
 *		The processes of a database with a resident worker: the probe that finds
 *		out as whom to connect, and the worker.
 *
 * The probe is connected as the bootstrap superuser. It reads catalogs and
 * nothing else: no statement, no function, no type of anybody's is run by it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "libpq/pqsignal.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "schema/extension.h"
#include "base/interrupt.h"
#include "schema/owner.h"
#include "server/registry.h"
#include "server/resident.h"
#include "server/supervisor.h"
#include "schema/tables.h"

PGDLLEXPORT void cadence_probe_main(Datum main_arg);
PGDLLEXPORT void cadence_resident_main(Datum main_arg);

/* Whoever is not wanted any more leaves without a word. */
static ResidentSlot
enter_slot(void)
{
	ResidentTicket ticket;
	ResidentSlot slot;

	memcpy(&ticket, MyBgworkerEntry->bgw_extra, sizeof(ticket));
	if (!registry_attach(ticket.slot, ticket.launch, &slot))
		proc_exit(0);
	return slot;
}

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
look_around(const char *name)
{
	CadenceTables *tables;
	char *found = get_database_name(MyDatabaseId);

	if (found == NULL || strcmp(found, name) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_DATABASE), errmsg("the database has got another name")));
	if (GetDatabaseEncoding() != PG_UTF8)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("its encoding is %s, not UTF8", GetDatabaseEncodingName())));
	tables = cadence_tables_load(cadence_extension_schema());
	cadence_owner_check_connect(tables->owner);
	registry_found(tables->schema, tables->owner);
}

void
cadence_probe_main(Datum main_arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResidentSlot slot;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	slot = enter_slot();
	BackgroundWorkerInitializeConnectionByOid(slot.database, InvalidOid, 0);
	StartTransactionCommand();
	PG_TRY();
	{
		look_around(slot.name);
	}
	PG_CATCH();
	{
		registry_failed(describe_error(context));
	}
	PG_END_TRY();
	AbortOutOfAnyTransaction();
	proc_exit(0);
}

/*
 * An error has been logged in the tables where that was possible; the
 * supervisor says it in the server's log, once, and tries again.
 */
void
cadence_resident_main(Datum main_arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResidentSlot slot;

	cadence_interrupts_install();
	BackgroundWorkerUnblockSignals();
	slot = enter_slot();
	BackgroundWorkerInitializeConnectionByOid(slot.database, slot.owner, CADENCE_WORKER_FLAGS);
	PG_TRY();
	{
		cadence_serve(slot.schema);
	}
	PG_CATCH();
	{
		registry_failed(describe_error(context));
		AbortOutOfAnyTransaction();
	}
	PG_END_TRY();
	proc_exit(0);
}
