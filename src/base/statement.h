/*
 * statement.h
 *		A prepared statement of ours, and the operators that it is written with.
 */
#ifndef CADENCE_STATEMENT_H
#define CADENCE_STATEMENT_H

#include "postgres.h"

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

typedef struct Statement
{
	const char *what; /* its name, also in an error's text */
	char *sql;
	int nargs;
	const Oid *types;
	int expected;		/* SPI's result code */
	const Oid *returns; /* what the columns that are read must be; NULL: none is read as its type */
	int nreturns;
	bool in_query; /* part of somebody's query: sees what that sees, and its plan is not kept */
	bool latest;   /* sees what is committed now, whatever the transaction's isolation */
	MemoryContext context; /* its plan goes with this one; NULL: with the session */
	void *plan;			   /* prepared at the first use */
} Statement;

#define STATEMENT(purpose, text, argtypes, result) \
	((Statement){.what = (purpose),                \
				 .sql = (text),                    \
				 .nargs = lengthof(argtypes),      \
				 .types = (argtypes),              \
				 .expected = (result),             \
				 .context = CurrentMemoryContext})

/* One that works on the rows of a Rowset (see rowset.h). */
#define ROWS_STATEMENT(purpose, text, result) \
	((Statement){                             \
		.what = (purpose), .sql = (text), .expected = (result), .context = CurrentMemoryContext})

/* What a statement's columns must be: its reader takes the values as such. */
#define STATEMENT_RETURNS(statement, resulttypes) \
	((statement).returns = (resulttypes), (statement).nreturns = lengthof(resulttypes))

extern void statement_execute(Statement *statement, Datum *values, const char *nulls, int limit);

#endif
