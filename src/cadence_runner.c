/*
 * cadence_runner.c
 *		The library's entry point.
 *
 * This library holds the SQL functions and every stage of an execution but the
 * transport. libcurl costs each process that maps it some megabytes and
 * milliseconds, so dispatch lives in a library of its own, which only a worker
 * loads when it is about to send (as the server does with libpqwalreceiver).
 *
 * Nothing of it needs to be preloaded but the resident workers.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "base/settings.h"
#include "schema/tables.h"
#include "server/registry.h"
#include "server/resident.h"

PG_MODULE_MAGIC;

void _PG_init(void);

void
_PG_init(void)
{
	cadence_define_settings();
	/* pg_upgrade starts a server to restore a schema, not to send anything */
	if (process_shared_preload_libraries_in_progress && !IsBinaryUpgrade)
	{
		cadence_arming_preload();
		cadence_registry_install();
		cadence_supervisor_register();
	}
}
