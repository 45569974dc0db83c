/*
 * rebuild.c
 *		cadence_rollup_rebuild(): what happened before anybody counted, counted.
 *
 * Exactly once, beside whoever works on the tables: all that writes what counts is
 * waited for, and waits, until the transaction ends. What those had done is in the
 * tables then, with the deltas that say so, which are counted anew; what comes after
 * is counted as it comes. Locks are taken as the caller, who is waited with, and in the
 * order in which executions write; the rest is done as the owner of the tables, whose
 * types and triggers get nobody else's rights.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "base/statement.h"
#include "record/fold.h"
#include "schema/calendar.h"
#include "schema/tables.h"

PG_FUNCTION_INFO_V1(cadence_rollup_rebuild);
PG_FUNCTION_INFO_V1(cadence_rollup_day);

static const char *const writers[] = {"lead_cadence_runs", "lead_cadence_events",
									  "lead_messages",	   "contact_opt_outs",
									  "cadence_deltas",	   "cadence_runner_logs"};

static void
check_caller(const CadenceTables *t)
{
	if (!cadence_may_become(GetUserId(), t->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" may not count anew", GetUserNameFromId(GetUserId(), false)),
				 errdetail("Members of role \"%s\", which owns the tables, may.",
						   GetUserNameFromId(t->owner, false))));
	if (IsolationUsesXactSnapshot())
		ereport(ERROR, (errcode(ERRCODE_INVALID_TRANSACTION_STATE),
						errmsg("nothing can be counted anew by a transaction that sees no more "
							   "than it did at its beginning"),
						errhint("Call it in a transaction that is READ COMMITTED.")));
}

/* Whoever waits holds up all who write to what is locked already: not for long. */
static void
keep_others_out(const CadenceTables *t)
{
	int level = NewGUCNestLevel();

	if (LockTimeout == 0)
		(void) set_config_option("lock_timeout", "5s", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
								 true, 0, false);
	for (size_t i = 0; i < lengthof(writers); i++)
		LockRelationOid(get_relname_relid(writers[i], t->schema), ShareRowExclusiveLock);
	cadence_guard_wait(t);
	AtEOXact_GUC(true, level);
}

static void
call(const CadenceTables *t, const char *function)
{
	Statement call = ROWS_STATEMENT(
		"counting what was there before",
		psprintf("SELECT %s.%s()", quote_identifier(t->schema_name), function), SPI_OK_SELECT);

	statement_execute(&call, NULL, NULL, 0);
	SPI_freetuptable(SPI_tuptable);
}

/*
 * cadence_rollup_rebuild(counts boolean, cohorts boolean) -> void: what the tables say
 * is what was counted.
 *
 * Errors: 42501 unless the caller may become the tables' owner, 25000 in a
 * transaction with one snapshot; 55P03, after lock_timeout or five seconds, and 40P01
 * where somebody holds a table.
 */
Datum
cadence_rollup_rebuild(PG_FUNCTION_ARGS)
{
	const CadenceTables *t = cadence_tables_cached();
	CadenceCaller caller;

	check_caller(t);
	keep_others_out(t);
	caller = cadence_owner_begin(t->owner);
	(void) SPI_connect();
	if (PG_GETARG_BOOL(0))
		call(t, "cadence_recount_counts");
	if (PG_GETARG_BOOL(1))
		call(t, "cadence_recount_cohorts");
	while (cadence_fold(t))
		CHECK_FOR_INTERRUPTS();
	(void) cadence_stock_count(t, false);
	SPI_finish();
	cadence_owner_end(caller);
	PG_RETURN_VOID();
}

/* cadence_rollup_day(zone text, began timestamptz) -> date: the day of a cohort. */
Datum
cadence_rollup_day(PG_FUNCTION_ARGS)
{
	char *zone = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));

	PG_RETURN_DATEADT(
		cadence_cohort_day(zone, PG_ARGISNULL(1) ? DT_NOBEGIN : PG_GETARG_TIMESTAMPTZ(1)));
}
