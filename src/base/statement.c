/*
 * statement.c
 *		A prepared statement of ours, and the rows that it works on.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/statement.h"

/* What a batch's messages may take (see MESSAGE_BYTES_MAX in recording.c) stays in memory. */
#define ROWSET_MEMORY_KB (64 * 1024)

static StatementGuard statement_guard;

void
statement_set_guard(StatementGuard guard)
{
	statement_guard = guard;
}

static void
free_plan(void *plan)
{
	SPI_freeplan(plan);
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
	MemoryContextCallback *callback =
		statement->in_query ? NULL : MemoryContextAlloc(statement->context, sizeof(*callback));
	SPIPlanPtr plan = SPI_prepare_cursor(sql, statement->nargs, (Oid *) statement->types,
										 CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL || (!statement->in_query && SPI_keepplan(plan) != 0))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("could not prepare %s: %s", statement->what,
							   SPI_result_code_string(SPI_result))));
	statement->plan = plan;
	if (statement->in_query)
		return;
	*callback = (MemoryContextCallback){.func = free_plan, .arg = plan};
	MemoryContextRegisterResetCallback(statement->context, callback);
}

static int
execute_plan(const Statement *statement, Datum *values, const char *nulls, int limit)
{
	if (statement->latest)
		return SPI_execute_snapshot(statement->plan, values, nulls, GetLatestSnapshot(),
									InvalidSnapshot, false, true, limit);
	return SPI_execute_plan(statement->plan, values, nulls, statement->in_query, limit);
}

/* One of a statement's arguments; NULL: null. */
void
statement_put_text(Datum *values, char *nulls, int n, const char *text)
{
	values[n] = text != NULL ? CStringGetTextDatum(text) : (Datum) 0;
	nulls[n] = text != NULL ? ' ' : 'n';
}

/* The same; 0: null. */
void
statement_put_time(Datum *values, char *nulls, int n, TimestampTz at)
{
	values[n] = TimestampTzGetDatum(at);
	nulls[n] = at != 0 ? ' ' : 'n';
}

/*
 * Runs a statement inside an SPI connection, for at most limit rows if that is
 * not 0. The rows are in SPI_tuptable; whoever reads a column as of a type has
 * cast it to that in the statement's text, since a plan follows ALTER TABLE.
 *
 * SPI leaves its own memory context behind, which ends with the connection;
 * here the caller's stays the current one. A trigger may set whatever it likes:
 * in a worker that must not reach the next statement.
 */
void
statement_execute(Statement *statement, Datum *values, const char *nulls, int limit)
{
	MemoryContext context = CurrentMemoryContext;
	int level;
	int rc;

	if (statement->plan == NULL)
		prepare(statement);
	if (statement_guard != NULL)
		statement_guard(statement->plan);
	level = MyBackendType == B_BG_WORKER ? NewGUCNestLevel() : 0;
	rc = execute_plan(statement, values, nulls, limit);
	if (level > 0)
		AtEOXact_GUC(false, level);
	MemoryContextSwitchTo(context);
	if (rc != statement->expected)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("%s failed: %s", statement->what, SPI_result_code_string(rc))));
}

/* ---- rows ------------------------------------------------------------------------- */

/*
 * An empty set, known to the statements of the open SPI connection by its name
 * until rowset_end(): a tuplestore that a statement's text names like a table,
 * as a trigger's text names its transition tables. Beside arrays and unnest() it
 * saves a function scan per column.
 *
 * The planner is told that it has one row. A plan is kept for the session,
 * whatever its batches and the tables become: one row makes the planner look
 * each of them up by its key. With more it would rather join the whole table, or
 * rows by columns that a whole batch has in common.
 */
void
rowset_begin_as(Rowset *rows, const char *name, const RowsetColumn *columns, int ncolumns)
{
	EphemeralNamedRelation relation = palloc0(sizeof(EphemeralNamedRelationData));
	int rc;

	Assert(ncolumns <= ROWSET_COLUMNS_MAX);
	rows->name = name;
	rows->desc = CreateTemplateTupleDesc(ncolumns);
	for (int i = 0; i < ncolumns; i++)
		TupleDescInitEntry(rows->desc, i + 1, columns[i].name, columns[i].type, -1, 0);
	rows->store = tuplestore_begin_heap(false, false, ROWSET_MEMORY_KB);
	rows->n = rows->column = 0;

	/* an error may have left one behind */
	(void) SPI_unregister_relation(name);
	relation->md.name = pstrdup(name);
	relation->md.tupdesc = rows->desc;
	relation->md.enrtype = ENR_NAMED_TUPLESTORE;
	relation->md.enrtuples = 1;
	relation->reldata = rows->store;
	rc = SPI_register_relation(relation);
	if (rc != SPI_OK_REL_REGISTER)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not register a batch of rows: %s", SPI_result_code_string(rc))));
}

void
rowset_end(Rowset *rows)
{
	SPI_unregister_relation(rows->name);
	tuplestore_end(rows->store);
}

/* Null where there is no value. */
void
rowset_put_if(Rowset *rows, bool has_value, Datum value)
{
	rows->values[rows->column] = value;
	rows->nulls[rows->column] = !has_value;
	if (++rows->column < rows->desc->natts)
		return;
	tuplestore_putvalues(rows->store, rows->desc, rows->values, rows->nulls);
	rows->column = 0;
	rows->n++;
}

void
rowset_put_text(Rowset *rows, const char *value)
{
	rowset_put_if(rows, value != NULL, value != NULL ? CStringGetTextDatum(value) : (Datum) 0);
}
