/*
 * pausing.c
 *		cadence_pause_worker() and cadence_resume_worker(): a database without its
 *		resident workers for a while.
 */
#include "postgres.h"

#include "commands/dbcommands.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"

#include "base/compat.h"
#include "server/registry.h"

PG_FUNCTION_INFO_V1(cadence_pause_worker);
PG_FUNCTION_INFO_V1(cadence_resume_worker);

/* Twice what a worker takes to end that has messages under way, and finds its tables locked. */
#define PAUSE_TIMEOUT_MS 10000

/*
 * Errors: 3D000 when there is no such database; 42501 when it is another's;
 * 55000 where it can not have, or shall not have, resident workers.
 */
static void
check_database(const char *name)
{
	Oid database = get_database_oid(name, false);
	ResidentDatabase d;

	if (!cadence_owns_database(database, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_DATABASE, name);
	if (!cadence_registry_exists())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this server has no resident workers"),
				 errdetail("The library cadence_runner is not preloaded."),
				 errhint("Add it to shared_preload_libraries, and start the server again.")));
	if (!registry_find(name, &d))
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("database \"%s\" has no resident worker", name),
			 errhint("cadence_runner.databases lists the databases that have resident workers.")));
}

/*
 * cadence_pause_worker(database name) -> void: tells the resident workers of a
 * database to end, waits until they have, and keeps them out until
 * cadence_resume_worker() or a restart of the server: for what needs a database
 * to itself. The pause belongs to no session, since whoever renames a database
 * must have left it.
 *
 * Errors: those of check_database(); 55006 when they have not ended in time:
 * they are still told to, so it can be called again.
 */
Datum
cadence_pause_worker(PG_FUNCTION_ARGS)
{
	const char *name = NameStr(*PG_GETARG_NAME(0));

	check_database(name);
	if (!registry_pause(name, PAUSE_TIMEOUT_MS))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("the resident workers of database \"%s\" have not ended yet", name),
						errdetail("They were told to, and none will be started."),
						errhint("Call cadence_pause_worker() again, or cadence_resume_worker().")));
	PG_RETURN_VOID();
}

/*
 * cadence_resume_worker(database name) -> void: ends a pause.
 *
 * Errors: those of check_database(); 55000 when there is no pause.
 */
Datum
cadence_resume_worker(PG_FUNCTION_ARGS)
{
	const char *name = NameStr(*PG_GETARG_NAME(0));

	check_database(name);
	if (!registry_resume(name))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the resident worker of database \"%s\" is not paused", name)));
	PG_RETURN_VOID();
}
