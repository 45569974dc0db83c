/*
 * rowset.h
 *		The rows that a statement works on: a relation of its own, in memory.
 */
#ifndef CADENCE_ROWSET_H
#define CADENCE_ROWSET_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "datatype/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"

#define ROWSET_COLUMNS_MAX 16

/* The name that a statement's text knows the rows by. */
#define ROWSET_NAME "cadence_batch"

typedef struct RowsetColumn
{
	const char *name;
	Oid type;
} RowsetColumn;

typedef struct Rowset
{
	const char *name;
	TupleDesc desc;
	Tuplestorestate *store;
	int n; /* rows */

	/* of the row that is being put together */
	int column;
	Datum values[ROWSET_COLUMNS_MAX];
	bool nulls[ROWSET_COLUMNS_MAX];
} Rowset;

extern void rowset_begin(Rowset *rows, const RowsetColumn *columns, int ncolumns);
extern void rowset_begin_as(Rowset *rows, const char *name, const RowsetColumn *columns,
							int ncolumns);
extern void rowset_end(Rowset *rows);

/* Each fills in the next column; the last one of a row stores it. */
extern void rowset_put_null(Rowset *rows);
extern void rowset_put_bool(Rowset *rows, bool value);
extern void rowset_put_int(Rowset *rows, int value);
extern void rowset_put_time(Rowset *rows, TimestampTz value);
extern void rowset_put_uuid(Rowset *rows, const pg_uuid_t *value);
extern void rowset_put_datum(Rowset *rows, Datum value);
extern void rowset_put_if(Rowset *rows, bool has_value, Datum value);
extern void rowset_put_text(Rowset *rows, const char *value);

#endif
