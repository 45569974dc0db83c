/*
 * added.c
 *		cadence_runs_added(): how many runs have begun, by step and day.
 *
 * Whoever enrols, by our functions or by a plain INSERT, brings runs to a step. A
 * trigger of the statement only notes in memory what it has inserted: nothing is looked
 * up or locked there, so nothing of ours can refuse an application's INSERT. When the
 * transaction commits, what was noted is counted, in one subtransaction. Where that goes
 * wrong, those runs have begun without being counted.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"

#include "base/row.h"
#include "base/statement.h"
#include "base/transaction.h"
#include "record/tally.h"
#include "schema/calendar.h"
#include "schema/key.h"

PG_FUNCTION_INFO_V1(cadence_runs_added);

/* ---- what was noted ------------------------------------------------------------------------- */

/* So many runs of a subtransaction that are alike. */
typedef struct Noted
{
	SubTransactionId subxact;
	Oid relation;
	pg_uuid_t cadence;
	bool has_step; /* that they have had */
	pg_uuid_t step;
	bool has_ordem; /* or before which they stand */
	int32 ordem;
	const char *empresa;
	TimestampTz began; /* a quarter of an hour is of one day everywhere */
	int64 n;
} Noted;

/*
 * In the order of their subtransactions, so that those of the innermost are the last. In
 * the transaction's memory; where more differ than NOTED_FINE, days are those of UTC.
 */
#define NOTED_FIRST 64
#define NOTED_FINE 40000

static Noted *noted;
static int nnoted;
static int noted_max;
static List *companies;

static void
forget(void)
{
	noted = NULL;
	nnoted = noted_max = 0;
	companies = NIL;
}

#define COMPARE(a, b)                  \
	do                                 \
	{                                  \
		if ((a) != (b))                \
			return (a) < (b) ? -1 : 1; \
	} while (0)

static int
compare_noted(const void *left, const void *right)
{
	const Noted *a = left;
	const Noted *b = right;
	int order;

	COMPARE(a->subxact, b->subxact);
	COMPARE(a->relation, b->relation);
	COMPARE(a->has_step, b->has_step);
	COMPARE(a->has_ordem, b->has_ordem);
	COMPARE(a->ordem, b->ordem);
	COMPARE(a->began, b->began);
	order = memcmp(&a->cadence, &b->cadence, UUID_LEN);
	if (order == 0)
		order = memcmp(&a->step, &b->step, UUID_LEN);
	return order != 0 ? order : strcmp(a->empresa, b->empresa);
}

static void
put_together(void)
{
	int kept = 0;

	qsort(noted, nnoted, sizeof(*noted), compare_noted);
	for (int i = 0; i < nnoted; i++)
		if (kept > 0 && compare_noted(&noted[kept - 1], &noted[i]) == 0)
			noted[kept - 1].n += noted[i].n;
		else
			noted[kept++] = noted[i];
	nnoted = kept;
}

static void
make_room(void)
{
	if (noted == NULL)
	{
		noted_max = NOTED_FIRST;
		noted = MemoryContextAlloc(TopTransactionContext, sizeof(*noted) * noted_max);
	}
	if (nnoted < noted_max)
		return;
	put_together();
	if (nnoted > noted_max / 2)
	{
		noted_max *= 2;
		noted = repalloc_huge(noted, sizeof(*noted) * noted_max);
	}
}

/* The beginning of a day, an hour or the like. */
static TimestampTz
beginning(TimestampTz at, int64 unit)
{
	int64 rest = at % unit;

	return at - rest - (rest < 0 ? unit : 0);
}

static void
note(Noted one)
{
	if (nnoted > NOTED_FINE && !TIMESTAMP_NOT_FINITE(one.began))
		one.began = beginning(one.began, USECS_PER_DAY) + USECS_PER_DAY / 2;
	one.n = 1;
	/* the run before was like this one, and is noted as itself and before its step */
	for (int i = nnoted - 1; i >= Max(nnoted - 2, 0); i--)
		if (compare_noted(&noted[i], &one) == 0)
		{
			noted[i].n++;
			return;
		}
	make_room();
	noted[nnoted++] = one;
}

/* ---- the rows of a statement ------------------------------------------------------------------
 */

/* Numbers of their columns; 0: there is none of that type, and it is null. */
typedef struct Columns
{
	int cadence_id;
	int empresa;
	int next_step_ordem;
	int started_at;
	int created_at;
	int passos_enviados;
	Oid empresa_type;
	Oid ordem_type;
} Columns;

static int
find_column(TupleDesc desc, const char *name, Oid *type)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		if (!column->attisdropped && strcmp(NameStr(column->attname), name) == 0)
		{
			*type = getBaseType(column->atttypid);
			return i + 1;
		}
	}
	return 0;
}

static int
find_column_of(TupleDesc desc, const char *name, Oid wanted)
{
	Oid type = InvalidOid;
	int number = find_column(desc, name, &type);

	return type == wanted ? number : 0;
}

static Columns
find_columns(TupleDesc desc)
{
	Columns c = {.cadence_id = find_column_of(desc, "cadence_id", UUIDOID),
				 .started_at = find_column_of(desc, "started_at", TIMESTAMPTZOID),
				 .created_at = find_column_of(desc, "created_at", TIMESTAMPTZOID),
				 .passos_enviados = find_column_of(desc, "passos_enviados", UUIDARRAYOID)};

	c.empresa = find_column(desc, "empresa", &c.empresa_type);
	c.next_step_ordem = find_column(desc, "next_step_ordem", &c.ordem_type);
	return c;
}

static bool
read_column(TupleTableSlot *row, int number, Datum *value)
{
	bool isnull = true;

	if (number > 0)
		*value = slot_getattr(row, number, &isnull);
	return !isnull;
}

static bool
read_ordem(TupleTableSlot *row, const Columns *c, int32 *ordem)
{
	Datum value;

	if (!read_column(row, c->next_step_ordem, &value))
		return false;
	if (c->ordem_type == INT4OID)
		*ordem = DatumGetInt32(value);
	else if (c->ordem_type == INT2OID)
		*ordem = DatumGetInt16(value);
	else if (c->ordem_type == INT8OID)
		*ordem = (int32) Max(Min(DatumGetInt64(value), PG_INT32_MAX), PG_INT32_MIN);
	else
		return false;
	return true;
}

/* Few differ, so that they are kept once. */
static const char *
read_empresa(TupleTableSlot *row, const Columns *c)
{
	MemoryContext old;
	ListCell *cell;
	Datum value;
	char *name = "";
	Oid output;
	bool is_varlena;

	if (read_column(row, c->empresa, &value))
	{
		getTypeOutputInfo(c->empresa_type, &output, &is_varlena);
		name = OidOutputFunctionCall(output, value);
	}
	foreach (cell, companies)
		if (strcmp(lfirst(cell), name) == 0)
			return lfirst(cell);
	old = MemoryContextSwitchTo(TopTransactionContext);
	name = pstrdup(name);
	companies = lappend(companies, name);
	MemoryContextSwitchTo(old);
	return name;
}

static TimestampTz
read_began(TupleTableSlot *row, const Columns *c)
{
	TimestampTz began;
	Datum value;

	if (!read_column(row, c->started_at, &value) && !read_column(row, c->created_at, &value))
		return DT_NOBEGIN;
	began = DatumGetTimestampTz(value);
	return TIMESTAMP_NOT_FINITE(began) ? began : beginning(began, 15 * USECS_PER_MINUTE);
}

/* Each of them once. */
static void
note_had(Noted one, ArrayType *had)
{
	Datum *ids;
	bool *nulls;
	int n;

	deconstruct_array(had, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR, &ids, &nulls, &n);
	one.has_step = true;
	one.has_ordem = false;
	one.ordem = 0;
	for (int i = 0; i < n; i++)
	{
		int k = 0;

		if (nulls[i])
			continue;
		one.step = *DatumGetUUIDP(ids[i]);
		while (k < i && (nulls[k] || memcmp(DatumGetUUIDP(ids[k]), &one.step, UUID_LEN) != 0))
			k++;
		if (k == i)
			note(one);
	}
}

static void
note_row(TupleTableSlot *row, Oid relation, const Columns *c)
{
	Noted one;
	Datum value;

	/* with its padding, since all of it is copied */
	memset(&one, 0, sizeof(one));
	one.subxact = GetCurrentSubTransactionId();
	one.relation = relation;
	if (!read_column(row, c->cadence_id, &value))
		return;
	one.cadence = *DatumGetUUIDP(value);
	one.empresa = read_empresa(row, c);
	one.began = read_began(row, c);
	one.has_step = true;
	one.step = tally_no_step;
	note(one);
	one.has_step = false;
	one.has_ordem = read_ordem(row, c, &one.ordem);
	if (one.has_ordem)
		note(one);
	if (read_column(row, c->passos_enviados, &value))
		note_had(one, DatumGetArrayTypeP(value));
}

static void
note_rows(TriggerData *trigger)
{
	Tuplestorestate *rows = trigger->tg_newtable;
	TupleDesc desc = RelationGetDescr(trigger->tg_relation);
	Columns columns = find_columns(desc);
	TupleTableSlot *row = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "cadence_runner added", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;

	/* others read it, too, each by a pointer of its own */
	tuplestore_select_read_pointer(rows, tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND));
	tuplestore_rescan(rows);
	while (tuplestore_gettupleslot(rows, true, false, row))
	{
		/* the row itself, which may come from a file, is the slot's until the next */
		old = MemoryContextSwitchTo(context);
		note_row(row, RelationGetRelid(trigger->tg_relation), &columns);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	ExecDropSingleTupleTableSlot(row);
	MemoryContextDelete(context);
}

/* ---- counting -----------------------------------------------------------------------------------
 */

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

static Counting *counting;

static void
forget_counting(void *arg)
{
	if (counting == arg)
		counting = NULL;
}

static Counting *
counting_of(const CadenceTables *t)
{
	MemoryContext context;
	MemoryContext old;
	MemoryContextCallback *callback;
	Counting *made;

	if (counting != NULL && counting->tables == t)
		return counting;
	context = AllocSetContextCreate(CurrentMemoryContext, "cadence_runner counting",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	made = palloc0(sizeof(*made));
	made->tables = t;
	made->tally = cadence_tally_create(t);
	made->find = ROWS_STATEMENT("counting enrolments", find_sql(t), SPI_OK_SELECT);
	callback = palloc(sizeof(*callback));
	*callback = (MemoryContextCallback){.func = forget_counting, .arg = made};
	MemoryContextRegisterResetCallback(context, callback);
	MemoryContextSwitchTo(old);
	/* an error on the way has left nothing behind */
	MemoryContextSetParent(context, GetMemoryChunkContext((void *) t));
	return counting = made;
}

static int
find_steps(Counting *c, TallyRow *rows)
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
		bool isnull;

		*step = *DatumGetUUIDP(SPI_getbinval(found, desc, FOUND_STEP, &isnull));
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
 * In a transaction that has no snapshot any more. Those who have dropped the tables, or the
 * extension, count nothing.
 */
static void
count_noted(void *arg, int first, int n)
{
	const CadenceTables *t;
	CadenceCaller caller;
	Counting *c;
	TallyRow *rows;

	PushActiveSnapshot(GetTransactionSnapshot());
	if (OidIsValid(get_extension_oid("cadence_runner", true)) &&
		cadence_tables_missing(cadence_extension_schema()) == NULL)
	{
		t = cadence_tables_cached();
		c = counting_of(t);
		caller = cadence_owner_begin(t->owner);
		(void) SPI_connect();
		rows = palloc_extended(sizeof(*rows) * (Size) nnoted, MCXT_ALLOC_HUGE);
		n = find_steps(c, rows);
		tally_insert(c->tally, rows, merge(rows, n));
		SPI_finish();
		cadence_owner_end(caller);
	}
	PopActiveSnapshot();
}

/* ---- the transaction's end
 * ------------------------------------------------------------------------ */

static void
at_end(XactEvent event, void *arg)
{
	MemoryContext context;
	MemoryContext old;
	ErrorData *error;

	if (nnoted > 0 && (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE))
	{
		context = AllocSetContextCreate(TopTransactionContext, "cadence_runner added",
										ALLOCSET_DEFAULT_SIZES);
		old = MemoryContextSwitchTo(context);
		put_together();
		error = cadence_try(count_noted, NULL, 0, 0, false);
		if (error != NULL)
			ereport(WARNING, (errcode(error->sqlerrcode),
							  errmsg("enrolments could not be counted: %s", error->message)));
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
	}
	forget();
}

static void
at_end_of_part(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		while (nnoted > 0 && noted[nnoted - 1].subxact == mine)
			nnoted--;
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		for (int i = nnoted - 1; i >= 0 && noted[i].subxact == mine; i--)
			noted[i].subxact = parent;
}

/*
 * cadence_runs_added() -> trigger: notes the runs that a statement has inserted.
 *
 * Errors: 39P01 where it is no such trigger.
 */
Datum
cadence_runs_added(PG_FUNCTION_ARGS)
{
	static bool registered = false;
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event) || !TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("cadence_runs_added() must be called as a trigger after a "
							   "statement that inserts")));
	if (!registered)
	{
		RegisterXactCallback(at_end, NULL);
		RegisterSubXactCallback(at_end_of_part, NULL);
		registered = true;
	}
	if (trigger->tg_newtable != NULL)
		note_rows(trigger);
	PG_RETURN_POINTER(NULL);
}
