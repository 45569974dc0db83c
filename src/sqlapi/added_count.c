/*
 * added_count.c
 *		Runs that have begun, counted by step and day.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/compare.h"
#include "base/row.h"
#include "base/statement.h"
#include "base/transaction.h"
#include "record/tally.h"
#include "schema/calendar.h"
#include "schema/key.h"
#include "sqlapi/added_parts.h"

static const RowsetColumn noted_columns[] = {{"n", INT4OID},
											 {"cadence", UUIDOID},
											 {"ordem", INT4OID},
											 {"step", UUIDOID},
											 {"empresa", TEXTOID}};

enum
{
	FOUND_N = 1,
	FOUND_STEP,
	FOUND_ZONE
};

/* To which step runs have come: before the one that they stand at, those that they have had. */
static char *
find_sql(const CadenceTables *t)
{
	return psprintf("SELECT d.n, s.id, (SELECT " SHORT_TEXT(
						"k.fuso_horario", "100") " FROM %s AS k WHERE %s LIMIT 1) FROM " ROWSET_NAME
												 " AS d CROSS JOIN LATERAL ("
												 "SELECT d.step AS id WHERE d.step IS NOT NULL "
												 "UNION ALL (SELECT x.id::pg_catalog.uuid "
												 "FROM %s AS x WHERE x.cadence_id " EQ
												 " d.cadence AND x.ordem " GE
												 " d.ordem ORDER BY x.ordem LIMIT 1)) AS s",
					t->empresas, cadence_key_is(t, "cadence_empresas", "k", "empresa", "d.empresa"),
					t->steps);
}

/* Kept with the session's tables. */
typedef struct Counting
{
	const CadenceTables *tables;
	CadenceTally *tally;
	Statement find;
} Counting;

static void *
make_counting(const CadenceTables *t)
{
	Counting *made = palloc(sizeof(*made));

	made->tables = t;
	made->tally = cadence_tally_create(t);
	made->find = ROWS_STATEMENT("counting enrolments", find_sql(t), SPI_OK_SELECT);
	return made;
}

/* In which step and day each of them is counted: how many rows. */
static int
find_steps(Counting *c, const Noted *noted, int nnoted, TallyRow *rows)
{
	Rowset set;
	int n = 0;

	rowset_begin(&set, noted_columns, lengthof(noted_columns));
	for (int i = 0; i < nnoted; i++)
	{
		if (noted[i].relation != c->tables->runs_oid)
			continue;
		rowset_put_int(&set, i);
		rowset_put_uuid(&set, &noted[i].cadence);
		rowset_put_if(&set, noted[i].has_ordem, Int32GetDatum(noted[i].ordem));
		rowset_put_if(&set, noted[i].has_step, UUIDPGetDatum(&noted[i].step));
		rowset_put_text(&set, noted[i].empresa);
	}
	statement_execute(&c->find, NULL, NULL, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple found = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		const Noted *one = &noted[row_int(desc, found, FOUND_N, 0)];
		pg_uuid_t *step = palloc(sizeof(*step));
		int32 *day = palloc(sizeof(*day));

		(void) row_uuid(desc, found, FOUND_STEP, step);
		*day = cadence_cohort_day(row_text(desc, found, FOUND_ZONE, ROW_KEY_MAX), one->began);
		rows[n++] = (TallyRow){.empresa = one->empresa,
							   .cadence = &one->cadence,
							   .step = step,
							   .day = day,
							   .mark = "entered",
							   .n = one->n};
	}
	SPI_freetuptable(SPI_tuptable);
	rowset_end(&set);
	return n;
}

static int
compare_rows(const void *left, const void *right)
{
	const TallyRow *a = left;
	const TallyRow *b = right;
	int order;

	COMPARE(*a->day, *b->day);
	order = memcmp(a->cadence, b->cadence, UUID_LEN);
	if (order == 0)
		order = memcmp(a->step, b->step, UUID_LEN);
	return order != 0 ? order : strcmp(a->empresa, b->empresa);
}

static int
merge(TallyRow *rows, int n)
{
	int kept = 0;

	qsort(rows, n, sizeof(*rows), compare_rows);
	for (int i = 0; i < n; i++)
		if (kept > 0 && compare_rows(&rows[kept - 1], &rows[i]) == 0)
			rows[kept - 1].n += rows[i].n;
		else
			rows[kept++] = rows[i];
	return kept;
}

/*
 * In a transaction that has no snapshot any more. Those who have dropped the tables, or
 * the extension, count nothing.
 */
static void
count_noted(void *arg, int first, int n)
{
	static TablesCompanion counting;
	const Noted *noted = arg;
	const CadenceTables *t;
	CadenceCaller caller;
	Counting *c;
	TallyRow *rows;
	int nrows;

	PushActiveSnapshot(GetTransactionSnapshot());
	if (OidIsValid(get_extension_oid("cadence_runner", true)) &&
		cadence_tables_missing(cadence_extension_schema()) == NULL)
	{
		t = cadence_tables_cached();
		c = cadence_tables_companion(&counting, t, make_counting);
		caller = cadence_owner_begin(t->owner);
		(void) SPI_connect();
		rows = palloc_extended(sizeof(*rows) * (Size) n, MCXT_ALLOC_HUGE);
		nrows = find_steps(c, noted, n, rows);
		tally_insert(c->tally, rows, merge(rows, nrows));
		SPI_finish();
		cadence_owner_end(caller);
	}
	PopActiveSnapshot();
}

/* Before the transaction commits, in one subtransaction: what goes wrong is a warning. */
void
added_count(void)
{
	MemoryContext context = AllocSetContextCreate(TopTransactionContext, "cadence_runner added",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	ErrorData *error;
	int n;
	const Noted *noted = added_noted(&n);

	error = cadence_try(count_noted, (void *) noted, 0, n, false);
	if (error != NULL)
		ereport(WARNING, (errcode(error->sqlerrcode),
						  errmsg("enrolments could not be counted: %s", error->message)));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
