/*
 * utility.c
 *		Commands that concern a resident worker.
 *
 * Some need a database for themselves: DROP DATABASE, ALTER DATABASE ... RENAME
 * or SET TABLESPACE, CREATE DATABASE with it as the template. The server would
 * refuse them as long as a worker is connected there, so the worker is told to
 * leave first, if whoever asks may do so at all, and comes back afterwards.
 *
 * Others change the extension itself, or who feeds its tables: its worker, or
 * the supervisor where there is none, looks again when they commit.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "server/registry.h"
#include "server/utility.h"
#include "server/wake.h"

#define POLL_MS 10

/* As long as the server itself would wait for others to leave, and a worker's wind-down. */
#define WAIT_MAX_MS 8000

static ProcessUtility_hook_type next_hook;

static List *held; /* databases, by the transaction under way */

static const char *
template_of(const CreatedbStmt *stmt)
{
	ListCell *cell;

	foreach (cell, stmt->options)
	{
		DefElem *option = lfirst(cell);

		if (strcmp(option->defname, "template") == 0 && option->arg != NULL)
			return defGetString(option);
	}
	return NULL;
}

static bool
sets_tablespace(const AlterDatabaseStmt *stmt)
{
	ListCell *cell;

	foreach (cell, stmt->options)
		if (strcmp(((DefElem *) lfirst(cell))->defname, "tablespace") == 0)
			return true;
	return false;
}

/* The database that a command needs for itself; NULL: none. */
static const char *
claimed_database(const Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_DropdbStmt:
			return ((const DropdbStmt *) stmt)->dbname;
		case T_CreatedbStmt:
			return template_of((const CreatedbStmt *) stmt);
		case T_RenameStmt:
			return ((const RenameStmt *) stmt)->renameType == OBJECT_DATABASE
					   ? ((const RenameStmt *) stmt)->subname
					   : NULL;
		case T_AlterDatabaseStmt:
			return sets_tablespace((const AlterDatabaseStmt *) stmt)
					   ? ((const AlterDatabaseStmt *) stmt)->dbname
					   : NULL;
		default:
			return NULL;
	}
}

/* One that the command would refuse anyway must not stop a worker. */
static Oid
claimable(const char *name)
{
	Oid database = name != NULL ? get_database_oid(name, true) : InvalidOid;

	if (!OidIsValid(database) || database == MyDatabaseId ||
		!cadence_owns_database(database, GetUserId()))
		return InvalidOid;
	return database;
}

static void
wait_until_left(Oid database)
{
	for (int waited = 0; !registry_hold(database) && waited < WAIT_MAX_MS; waited += POLL_MS)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, POLL_MS,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

static bool
concerns_worker(const Node *stmt)
{
	ListCell *cell;

	switch (nodeTag(stmt))
	{
		case T_CreateExtensionStmt:
			return strcmp(((const CreateExtensionStmt *) stmt)->extname, "cadence_runner") == 0;
		case T_CreateSubscriptionStmt:
		case T_AlterSubscriptionStmt:
		case T_DropSubscriptionStmt:
			return true;
		case T_AlterExtensionStmt:
			return strcmp(((const AlterExtensionStmt *) stmt)->extname, "cadence_runner") == 0;
		case T_DropStmt:
			if (((const DropStmt *) stmt)->removeType != OBJECT_EXTENSION)
				return false;
			foreach (cell, ((const DropStmt *) stmt)->objects)
				if (strcmp(strVal(lfirst(cell)), "cadence_runner") == 0)
					return true;
			return false;
		default:
			return false;
	}
}

/*
 * The worker comes back when the command's transaction has ended: before that,
 * others still see the database as it was.
 */
static void
release_at_end(XactEvent event, void *arg)
{
	ListCell *cell;

	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	foreach (cell, held)
		registry_release(lfirst_oid(cell));
	list_free(held);
	held = NIL;
}

static void
hold(Oid database)
{
	static bool registered = false;
	MemoryContext old;

	if (!registered)
		RegisterXactCallback(release_at_end, NULL);
	registered = true;
	old = MemoryContextSwitchTo(TopMemoryContext);
	held = list_append_unique_oid(held, database);
	MemoryContextSwitchTo(old);
	wait_until_left(database);
}

static void
on_utility(PlannedStmt *pstmt, const char *query, bool read_only, ProcessUtilityContext context,
		   ParamListInfo params, QueryEnvironment *environment, DestReceiver *dest,
		   QueryCompletion *completion)
{
	bool concerns_us = concerns_worker(pstmt->utilityStmt);
	Oid database = claimable(claimed_database(pstmt->utilityStmt));

	if (OidIsValid(database))
		hold(database);
	if (next_hook != NULL)
		next_hook(pstmt, query, read_only, context, params, environment, dest, completion);
	else
		standard_ProcessUtility(pstmt, query, read_only, context, params, environment, dest,
								completion);
	if (concerns_us)
		cadence_wake_at_commit(WISH_LOOK | WISH_CHECK);
}

/*
 * To be called from _PG_init() while the server loads its preloaded libraries.
 */
void
cadence_utility_install(void)
{
	next_hook = ProcessUtility_hook;
	ProcessUtility_hook = on_utility;
}
