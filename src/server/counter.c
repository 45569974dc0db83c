/*
 * counter.c
 *		A process that folds, and counts the runs, so that nobody who asks waits.
 *
 * It is started by whoever finds that the stock is old, connects as the owner of the
 * tables, does both, and is gone. Of two that meet one leaves at once. Where the server
 * has no room for it, the stock stays as old as it is until somebody asks again.
 */
#include "postgres.h"

#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timeout.h"

#include "base/compat.h"
#include "base/transaction.h"
#include "record/fold.h"
#include "server/counter.h"
#include "server/launch.h"

PGDLLEXPORT void cadence_counter_main(Datum main_arg);

/* What it is started with, in bgw_extra. */
typedef struct CounterTicket
{
	Oid database;
	Oid schema;
	Oid owner;
} CounterTicket;

StaticAssertDecl(sizeof(CounterTicket) <= BGW_EXTRALEN, "the ticket must fit into bgw_extra");

/* Starts it, and does not wait. */
void
cadence_counter_start(const CadenceTables *tables)
{
	CounterTicket ticket = {
		.database = MyDatabaseId, .schema = tables->schema, .owner = tables->owner};
	BackgroundWorkerHandle *handle;
	BackgroundWorker worker;

	launch_describe(&worker, "cadence_counter_main", "cadence_runner counter", "");
	memcpy(worker.bgw_extra, &ticket, sizeof(ticket));
	(void) RegisterDynamicBackgroundWorker(&worker, &handle);
}

/* They outlive the transaction. */
static CadenceTables *
load(Oid schema)
{
	CadenceTables *tables;
	MemoryContext old;

	cadence_xact_begin(NULL, "cadence_runner: starting");
	/* whoever wants what it has locked does not wait for it, but it gives up */
	SetConfigOption("lock_timeout", "100ms", PGC_SUSET, PGC_S_OVERRIDE);
	old = MemoryContextSwitchTo(TopMemoryContext);
	tables = cadence_tables_load(schema);
	cadence_session_init(tables->schema_name);
	MemoryContextSwitchTo(old);
	cadence_xact_commit();
	return tables;
}

static void
count(const CadenceTables *tables)
{
	cadence_xact_begin(tables, "cadence_runner: counting runs");
	/* the larger the table, the longer */
	disable_timeout(STATEMENT_TIMEOUT, false);
	(void) cadence_stock_count(tables, true);
	cadence_xact_commit();
}

static bool
fold(const CadenceTables *tables)
{
	bool more;

	cadence_xact_begin(tables, "cadence_runner: folding what was counted");
	more = cadence_fold(tables);
	cadence_xact_commit();
	return more;
}

void
cadence_counter_main(Datum main_arg)
{
	CounterTicket ticket;
	CadenceTables *tables;

	memcpy(&ticket, MyBgworkerEntry->bgw_extra, sizeof(ticket));
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(ticket.database, ticket.owner, CADENCE_WORKER_FLAGS);
	tables = load(ticket.schema);
	while (fold(tables))
		;
	count(tables);
}
