/*
 * why_server.c
 *		What keeps everything from being sent from this server: a standby, tables that are
 *		not armed, the switch, and that nothing looks for due steps.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/settings.h"
#include "base/statement.h"
#include "server/registry.h"
#include "sqlapi/why.h"

/* Whoever executes less often than this is not taken to do so at all. */
#define LATELY_US (65 * 60 * USECS_PER_SEC)

/* ---- pg_cron ------------------------------------------------------------------------- */

/* pg_cron's own table of jobs; InvalidOid: it is not in this database. */
static Oid
jobs_table(void)
{
	Oid schema = get_namespace_oid("cron", true);
	Oid table = OidIsValid(schema) ? get_relname_relid("job", schema) : InvalidOid;
	Oid extension = get_extension_oid("pg_cron", true);

	if (!OidIsValid(table) || !OidIsValid(extension) ||
		getExtensionOfObject(RelationRelationId, table) != extension)
		return InvalidOid;
	return table;
}

static bool
is_job(TupleDesc desc, HeapTuple row, const char *database, const char *command)
{
	char *its_database = SPI_getvalue(row, desc, SPI_fnumber(desc, "database"));
	char *its_command = SPI_getvalue(row, desc, SPI_fnumber(desc, "command"));
	int active = SPI_fnumber(desc, "active");

	return active > 0 && row_true(desc, row, active) && its_database != NULL &&
		   strcmp(its_database, database) == 0 && its_command != NULL &&
		   strstr(its_command, command) != NULL;
}

/*
 * Whether pg_cron executes here. Read without a statement: its policy shows to each role
 * their own jobs only, and nothing but whether there is one is told.
 */
static bool
has_job(void)
{
	Oid table = jobs_table();
	char *database = get_database_name(MyDatabaseId);
	bool found = false;
	SysScanDesc scan;
	Relation rel;
	HeapTuple row;

	if (!OidIsValid(table))
		return false;
	rel = table_open(table, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, GetActiveSnapshot(), 0, NULL);
	while (!found && HeapTupleIsValid(row = systable_getnext(scan)))
		found = is_job(RelationGetDescr(rel), row, database, "cadence_run");
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* ---- who looks ----------------------------------------------------------------------- */

static bool
has_worker(const ResidentDatabase *d)
{
	for (int i = 0; i < CADENCE_WORKERS_MAX; i++)
		if (d->workers[i].pid != 0)
			return true;
	return false;
}

/* 0: never, or so long ago that nothing is left of it. */
static TimestampTz
last_execution(const CadenceTables *t)
{
	Statement find = {.what = "looking for the last execution",
					  .sql = psprintf("SELECT l.executed_at::timestamptz FROM %s AS l "
									  "ORDER BY l.executed_at DESC LIMIT 1",
									  t->logs),
					  .expected = SPI_OK_SELECT,
					  .in_query = true,
					  .context = CurrentMemoryContext};

	statement_execute(&find, NULL, NULL, 1);
	if (SPI_processed == 0)
		return 0;
	return row_time(SPI_tuptable->tupdesc, SPI_tuptable->vals[0], 1, 0);
}

static void
put_no_worker(const Why *why)
{
	TimestampTz last = last_execution(why->look.tables);
	char *here = get_database_name(MyDatabaseId);
	ResidentDatabase d;
	bool is_resident = cadence_registry_exists() && registry_find(here, &d);
	WhyReason r;

	if ((is_resident && has_worker(&d)) || last > why->now - LATELY_US || has_job())
		return;
	r = why_reason(why, REASON_NO_WORKER);
	r.since = last;
	if (is_resident)
		why_add(&r, DETAIL_STATUS, registry_state(&d));
	if (is_resident && registry_problem(&d)[0] != '\0')
		why_add(&r, DETAIL_WHY, registry_problem(&d));
	why_put(&r);
}

void
why_put_server(const Why *why)
{
	const char *problem;
	WhyReason r;

	if (RecoveryInProgress())
	{
		r = why_reason(why, REASON_STANDBY);
		why_put(&r);
		return;
	}
	problem = cadence_arming_problem(why->look.tables);
	if (problem != NULL)
	{
		r = why_reason(why, REASON_NOT_ARMED);
		why_add(&r, DETAIL_WHY, problem);
		why_put(&r);
	}
	if (!cadence_enabled)
	{
		r = why_reason(why, REASON_SWITCHED_OFF);
		why_put(&r);
	}
	put_no_worker(why);
}
