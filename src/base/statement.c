/*
 * statement.c
 *		A prepared statement of ours.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "nodes/parsenodes.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/statement.h"

static void
free_plan(void *plan)
{
	SPI_freeplan(plan);
}

static void
free_plan_with(MemoryContext context, SPIPlanPtr plan)
{
	MemoryContextCallback *callback = MemoryContextAlloc(context, sizeof(*callback));

	*callback = (MemoryContextCallback){.func = free_plan, .arg = plan};
	MemoryContextRegisterResetCallback(context, callback);
}

/*
 * A plan for all values, from the first time on: none of ours is better for
 * knowing them, and one that was made for a large batch may be.
 */
static void
prepare(Statement *statement)
{
	/* its name is what logs, statistics and tests know it by */
	char *sql = psprintf("/* cadence_runner: %s */ %s", statement->what, statement->sql);
	SPIPlanPtr plan = SPI_prepare_cursor(sql, statement->nargs, (Oid *) statement->types,
										 CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL || (!statement->in_query && SPI_keepplan(plan) != 0))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("could not prepare %s: %s", statement->what,
							   SPI_result_code_string(SPI_result))));
	statement->plan = plan;
	if (statement->context != NULL && !statement->in_query)
		free_plan_with(statement->context, plan);
}

static int
run(Statement *statement, Datum *values, const char *nulls, int limit)
{
	if (statement->latest)
		return SPI_execute_snapshot(statement->plan, values, nulls, GetLatestSnapshot(),
									InvalidSnapshot, false, true, limit);
	return SPI_execute_plan(statement->plan, values, nulls, statement->in_query, limit);
}

/*
 * A table may be altered under a plan, which then follows: values of another
 * type than their reader believes would be followed into nowhere.
 */
static void
check_types(const Statement *statement)
{
	TupleDesc desc = SPI_tuptable->tupdesc;

	for (int i = 0; i < statement->nreturns; i++)
		if (i >= desc->natts || TupleDescAttr(desc, i)->atttypid != statement->returns[i])
			ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
							errmsg("%s failed: a column has changed its type", statement->what)));
}

/*
 * Runs a statement inside an SPI connection, for at most limit rows if that is
 * not 0. The rows are in SPI_tuptable.
 *
 * SPI leaves its own memory context behind, which ends with the connection;
 * here the caller's stays the current one.
 */
void
statement_execute(Statement *statement, Datum *values, const char *nulls, int limit)
{
	MemoryContext context = CurrentMemoryContext;
	int rc;

	if (statement->plan == NULL)
		prepare(statement);
	rc = run(statement, values, nulls, limit);
	MemoryContextSwitchTo(context);
	if (rc != statement->expected)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("%s failed: %s", statement->what, SPI_result_code_string(rc))));
	if (statement->returns != NULL)
		check_types(statement);
}
