/*
 * usage.c
 *		How much of each cap a day has had: rows of cadence_usage.
 *
 * A claim locks the rows of what it is about to send, in the order of their keys, as
 * the last thing that it may have to wait for; what a record has to give back is given
 * back in a transaction of its own. So nobody waits for them who holds one.
 *
 * A row is of the day that it last counted: another day has had nothing.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/date.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/statement.h"
#include "resolve/usage.h"

struct CadenceUsages
{
	Statement find;
	Statement make;
	Statement write;
	Statement give_back;
	bool in_query;
};

static const RowsetColumn key_columns[] = {
	{"n", INT4OID}, {"scope", TEXTOID}, {"name", TEXTOID}, {"empresa", TEXTOID}, {"day", DATEOID}};

static const RowsetColumn write_columns[] = {
	{"n", INT4OID},	  {"scope", TEXTOID}, {"name", TEXTOID},		  {"empresa", TEXTOID},
	{"day", DATEOID}, {"used", INT4OID},  {"last_at", TIMESTAMPTZOID}};

static const RowsetColumn return_columns[] = {{"n", INT4OID},
											  {"scope", TEXTOID},
											  {"name", TEXTOID},
											  {"empresa", TEXTOID},
											  {"day", DATEOID},
											  {"back", INT4OID},
											  {"taken_at", TIMESTAMPTZOID},
											  {"before", TIMESTAMPTZOID}};

#define SAME_KEY "u.name " EQ " d.name AND u.scope " EQ " d.scope AND u.empresa " EQ " d.empresa"

/* In the current memory context. in_query: for one look in somebody's query, without a lock. */
CadenceUsages *
cadence_usages_create(const CadenceTables *t, bool in_query)
{
	CadenceUsages *u = palloc0(sizeof(*u));

	u->in_query = in_query;
	u->find = ROWS_STATEMENT(
		"looking for what caps have had",
		psprintf(
			"SELECT d.n, u.used::int4, u.last_at::timestamptz, "
			"(u.day OPERATOR(pg_catalog.-) '2000-01-01'::pg_catalog.date)::int4 FROM " ROWSET_NAME
			" AS d, %s AS u WHERE " SAME_KEY " ORDER BY d.n%s",
			t->usage, in_query ? "" : " FOR NO KEY UPDATE OF u"),
		SPI_OK_SELECT);
	u->find.in_query = in_query;
	/* what somebody else has committed while the rows were waited for counts */
	u->find.latest = !in_query;
	u->make = ROWS_STATEMENT("making rows for caps",
							 psprintf("INSERT INTO %s (scope, name, empresa, day) SELECT d.scope, "
									  "d.name, d.empresa, d.day FROM " ROWSET_NAME " AS d "
									  "ORDER BY d.n ON CONFLICT (name, scope, empresa) DO NOTHING",
									  t->usage),
							 SPI_OK_INSERT);
	u->write = ROWS_STATEMENT("counting for caps",
							  psprintf("UPDATE %s AS u SET day = d.day, used = d.used, "
									   "last_at = d.last_at FROM " ROWSET_NAME " AS d "
									   "WHERE " SAME_KEY,
									   t->usage),
							  SPI_OK_UPDATE);
	/* who waits for a row gives back what it has then */
	u->give_back = ROWS_STATEMENT(
		"giving back what caps have had",
		psprintf("UPDATE %s AS u SET used = GREATEST(u.used OPERATOR(pg_catalog.-) CASE WHEN "
				 "u.day " EQ " d.day THEN d.back ELSE 0 END, 0), last_at = CASE WHEN u.last_at " EQ
				 " d.taken_at THEN d.before ELSE u.last_at END FROM " ROWSET_NAME " AS d "
				 "WHERE " SAME_KEY,
				 t->usage),
		SPI_OK_UPDATE);
	return u;
}

/* The order in which rows are locked. */
int
cadence_usage_compare(const UsageRow *a, const UsageRow *b)
{
	int order = strcmp(a->name, b->name);

	if (order == 0)
		order = strcmp(a->scope, b->scope);
	return order != 0 ? order : strcmp(a->empresa, b->empresa);
}

static void
put_key(Rowset *rows, int number, const UsageRow *row)
{
	rowset_put_int(rows, number);
	rowset_put_text(rows, row->scope);
	rowset_put_text(rows, row->name);
	rowset_put_text(rows, row->empresa);
	rowset_put_datum(rows, DateADTGetDatum(row->day));
}

/* Executes a statement over the rows of which there is none yet; how many those are. */
static int
over_missing(Statement *statement, UsageRow **rows, const bool *is_there, int n)
{
	Rowset set;
	int nmissing;

	rowset_begin(&set, key_columns, lengthof(key_columns));
	for (int i = 0; i < n; i++)
		if (!is_there[i])
			put_key(&set, i, rows[i]);
	nmissing = set.n;
	if (nmissing > 0)
		statement_execute(statement, NULL, NULL, 0);
	rowset_end(&set);
	return nmissing;
}

/* How many of them were found. */
static int
find(CadenceUsages *u, UsageRow **rows, bool *is_there, int n)
{
	int nfound;

	if (over_missing(&u->find, rows, is_there, n) == 0)
		return 0;
	nfound = SPI_processed;
	for (int i = 0; i < nfound; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		int number = row_int(desc, row, 1, 0);

		is_there[number] = true;
		rows[number]->used = row_int(desc, row, 2, 0);
		rows[number]->last_at = row_time(desc, row, 3, 0);
		rows[number]->day = row_int(desc, row, 4, 0);
	}
	SPI_freetuptable(SPI_tuptable);
	return nfound;
}

/* A trigger or a rule may keep rows from being made: then nothing would be counted. */
static void
check_all_there(UsageRow **rows, const bool *is_there, int n)
{
	for (int i = 0; i < n; i++)
		if (!is_there[i])
			ereport(ERROR, (errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
							errmsg("a trigger or a rule keeps table cadence_usage from counting")));
}

/*
 * Reads how much was used, and locks that until the transaction ends; inside an SPI
 * connection. rows are in cadence_usage_compare()'s order, and no two of one key.
 */
void
cadence_usages_find(CadenceUsages *u, UsageRow **rows, int n)
{
	bool *is_there = palloc0(sizeof(bool) * Max(n, 1));

	if (n > 0 && find(u, rows, is_there, n) < n && !u->in_query)
	{
		(void) over_missing(&u->make, rows, is_there, n);
		(void) find(u, rows, is_there, n);
		check_all_there(rows, is_there, n);
	}
	pfree(is_there);
}

/*
 * What a day that begins has had: nothing. Who has waited for the row may be of the day
 * before; a day that is further ahead was counted by a clock that was wrong.
 */
void
cadence_usage_begin_day(UsageRow *row, int32 day)
{
	if (row->day == day || row->day == day + 1)
		return;
	row->day = day;
	row->used = 0;
}

/* Writes those of locked rows that were changed; in the same transaction. */
void
cadence_usages_write(CadenceUsages *u, UsageRow **rows, int n)
{
	Rowset set;

	if (n == 0)
		return;
	rowset_begin(&set, write_columns, lengthof(write_columns));
	for (int i = 0; i < n; i++)
	{
		if (!rows[i]->is_changed)
			continue;
		put_key(&set, i, rows[i]);
		rowset_put_int(&set, rows[i]->used);
		rowset_put_if(&set, rows[i]->last_at != 0, TimestampTzGetDatum(rows[i]->last_at));
		rows[i]->is_changed = false;
	}
	if (set.n > 0)
		statement_execute(&u->write, NULL, NULL, 0);
	rowset_end(&set);
}

/* Gives back what was taken; each row is named once. In a transaction that locks nothing else. */
void
cadence_usages_return(CadenceUsages *u, const UsageReturn *returns, int n)
{
	Rowset set;

	if (n == 0)
		return;
	rowset_begin(&set, return_columns, lengthof(return_columns));
	for (int i = 0; i < n; i++)
	{
		put_key(&set, i, returns[i].row);
		rowset_put_int(&set, returns[i].n);
		rowset_put_if(&set, returns[i].taken_at != 0, TimestampTzGetDatum(returns[i].taken_at));
		rowset_put_if(&set, returns[i].before != 0, TimestampTzGetDatum(returns[i].before));
	}
	statement_execute(&u->give_back, NULL, NULL, 0);
	rowset_end(&set);
}
