/*
 * counter.c
 *		A process that counts the runs, so that nobody who asks how many there are waits.
 *
 * It is started by whoever reads a stock that is old, connects as the owner of the
 * tables, counts, and is gone. Of two that meet one leaves at once. Where the server
 * has no room for it, the stock stays as old as it is until somebody asks again.
 */
#include "postgres.h"

#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "tcop/tcopprot.h"
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

void
cadence_counter_main(Datum main_arg)
{
	CounterTicket ticket;
	CadenceTables *tables;

	memcpy(&ticket, MyBgworkerEntry->bgw_extra, sizeof(ticket));
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(ticket.database, ticket.owner, CADENCE_WORKER_FLAGS);
	cadence_xact_begin(NULL, "cadence_runner: counting runs");
	tables = cadence_tables_load(ticket.schema);
	cadence_session_init(tables->schema_name);
	/* the larger the table, the longer */
	disable_timeout(STATEMENT_TIMEOUT, false);
	(void) cadence_stock_count(tables, true);
	cadence_xact_commit();
}
