/*
 * rowset.c
 *		The rows that a statement works on: a relation of its own, in memory.
 *
 * A tuplestore that the statement's text names like a table, as a trigger's
 * text names its transition tables. Beside arrays and unnest() it saves a
 * function scan per column, and the planner is told how many rows there are
 * instead of guessing.
 *
 * It is told one. A plan is kept for the session, whatever its batches and the
 * tables become: one row makes the planner look each of them up by its key.
 * With more it would rather join the whole table, or rows by columns that a
 * whole batch has in common.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/queryenvironment.h"
#include "utils/timestamp.h"

#include "base/rowset.h"

/* What a batch's messages may take (see MESSAGE_BYTES_MAX in pipeline.c) stays in memory. */
#define ROWSET_MEMORY_KB (64 * 1024)

/*
 * An empty set, known to the statements of the open SPI connection by its name
 * until rowset_end().
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

/* The one set of most statements. */
void
rowset_begin(Rowset *rows, const RowsetColumn *columns, int ncolumns)
{
	rowset_begin_as(rows, ROWSET_NAME, columns, ncolumns);
}

void
rowset_end(Rowset *rows)
{
	SPI_unregister_relation(rows->name);
	tuplestore_end(rows->store);
}

static void
put(Rowset *rows, Datum value, bool isnull)
{
	rows->values[rows->column] = value;
	rows->nulls[rows->column] = isnull;
	if (++rows->column < rows->desc->natts)
		return;
	tuplestore_putvalues(rows->store, rows->desc, rows->values, rows->nulls);
	rows->column = 0;
	rows->n++;
}

void
rowset_put_null(Rowset *rows)
{
	put(rows, (Datum) 0, true);
}

void
rowset_put_bool(Rowset *rows, bool value)
{
	put(rows, BoolGetDatum(value), false);
}

void
rowset_put_int(Rowset *rows, int value)
{
	put(rows, Int32GetDatum(value), false);
}

void
rowset_put_time(Rowset *rows, TimestampTz value)
{
	put(rows, TimestampTzGetDatum(value), false);
}

/* The value is not copied: it must live until the row's last column. */
void
rowset_put_uuid(Rowset *rows, const pg_uuid_t *value)
{
	put(rows, UUIDPGetDatum(value), false);
}

/* For a type that has no function of its own here. */
void
rowset_put_datum(Rowset *rows, Datum value)
{
	put(rows, value, false);
}

/* Null where there is no value. */
void
rowset_put_if(Rowset *rows, bool has_value, Datum value)
{
	put(rows, value, !has_value);
}

void
rowset_put_text(Rowset *rows, const char *value)
{
	if (value == NULL)
		rowset_put_null(rows);
	else
		put(rows, CStringGetTextDatum(value), false);
}
