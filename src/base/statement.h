/*
 * statement.h
 *		A prepared statement of ours, the operators that it is written with, and
 *		the rows that it works on.
 */
#ifndef CADENCE_STATEMENT_H
#define CADENCE_STATEMENT_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "datatype/timestamp.h"
#include "utils/tuplestore.h"

/*
 * The tables' schema is on the search path, and others may create operators
 * there. For an adopted enum column pg_catalog has no exact operator, so one
 * of theirs would be chosen, and would run as the tables' owner. Our own text
 * therefore names every operator and function with its schema.
 */
#define EQ "OPERATOR(pg_catalog.=)"
#define NE "OPERATOR(pg_catalog.<>)"
#define LT "OPERATOR(pg_catalog.<)"
#define LE "OPERATOR(pg_catalog.<=)"
#define GT "OPERATOR(pg_catalog.>)"
#define GE "OPERATOR(pg_catalog.>=)"
#define JSON_TEXT "OPERATOR(pg_catalog.->>)"
#define NOW "pg_catalog.now()"

/* A column as text, NULL where that has more than so many bytes: its length costs nothing, its
 * value may. */
#define SHORT_TEXT(column, max)                                                                  \
	"CASE WHEN pg_catalog.octet_length(" column "::pg_catalog.text) " LE " " max " THEN " column \
	"::pg_catalog.text END"

/* A number of an adopted bigint column, as near as an int comes. */
#define CLAMPED_INT(number)             \
	"CASE WHEN " number " IS NOT NULL " \
	"THEN GREATEST(LEAST(" number ", 2147483647), -2147483648) END::int4"

typedef struct Statement
{
	const char *what; /* its name, also in an error's text */
	char *sql;
	int nargs;
	const Oid *types;
	int expected;  /* SPI's result code */
	bool in_query; /* part of somebody's query: sees what that sees, and its plan is not kept */
	bool latest;   /* sees what is committed now, whatever the transaction's isolation */
	MemoryContext context; /* its plan goes with this one */
	void *plan;			   /* prepared at the first use */
} Statement;

#define STATEMENT(purpose, text, argtypes, result) \
	((Statement){.what = (purpose),                \
				 .sql = (text),                    \
				 .nargs = lengthof(argtypes),      \
				 .types = (argtypes),              \
				 .expected = (result),             \
				 .context = CurrentMemoryContext})

/* One that works on the rows of a Rowset. */
#define ROWS_STATEMENT(purpose, text, result) \
	((Statement){                             \
		.what = (purpose), .sql = (text), .expected = (result), .context = CurrentMemoryContext})

/* The name that a statement's text knows these rows by. */
#define ROWSET_NAME "cadence_batch"
#define ROWSET_COLUMNS_MAX 20

typedef struct RowsetColumn
{
	const char *name;
	Oid type;
} RowsetColumn;

/* A relation of its own, in memory. */
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

/* Is shown the SPI plan of each statement before it is executed; set by what loads tables. */
typedef void (*StatementGuard)(void *plan);

extern void statement_set_guard(StatementGuard guard);
extern void statement_put_text(Datum *values, char *nulls, int n, const char *text);
extern void statement_put_time(Datum *values, char *nulls, int n, TimestampTz at);
extern void statement_execute(Statement *statement, Datum *values, const char *nulls, int limit);

extern void rowset_begin_as(Rowset *rows, const char *name, const RowsetColumn *columns,
							int ncolumns);
extern void rowset_end(Rowset *rows);

/* The one set of most statements. */
#define rowset_begin(rows, columns, ncolumns)                                             \
	(StaticAssertExpr((ncolumns) <= ROWSET_COLUMNS_MAX, "a rowset has too many columns"), \
	 rowset_begin_as(rows, ROWSET_NAME, columns, ncolumns))

/*
 * Each fills in the next column; the last one of a row stores it. Until then a
 * value that is passed by reference must live: it is not copied before.
 */
extern void rowset_put_if(Rowset *rows, bool has_value, Datum value);
extern void rowset_put_text(Rowset *rows, const char *value);
#define rowset_put_datum(rows, value) rowset_put_if(rows, true, value)
#define rowset_put_null(rows) rowset_put_if(rows, false, (Datum) 0)
#define rowset_put_bool(rows, value) rowset_put_datum(rows, BoolGetDatum(value))
#define rowset_put_int(rows, value) rowset_put_datum(rows, Int32GetDatum(value))
#define rowset_put_time(rows, value) rowset_put_datum(rows, TimestampTzGetDatum(value))
#define rowset_put_uuid(rows, value) rowset_put_datum(rows, UUIDPGetDatum(value))

#endif
