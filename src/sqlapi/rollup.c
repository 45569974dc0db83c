/*
 * rollup.c
 *		cadence_runs_added(), cadence_rollup_refresh(), cadence_http_count(): what is
 *		counted beside executions and webhooks, and that it is put together.
 *
 * Whoever enrols, by our functions or by a plain INSERT, brings runs to a step: a
 * trigger of the statement counts them.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/row.h"
#include "base/statement.h"
#include "base/transaction.h"
#include "record/fold.h"
#include "record/tally.h"
#include "schema/calendar.h"
#include "schema/key.h"
#include "server/counter.h"
#include "sqlapi/rollup.h"

PG_FUNCTION_INFO_V1(cadence_runs_added);
PG_FUNCTION_INFO_V1(cadence_rollup_refresh);
PG_FUNCTION_INFO_V1(cadence_http_count);

#define ADDED "cadence_runs_added"

/* ---- statements, kept with the session's tables -------------------------------------------- */

typedef struct Counting
{
	const CadenceTables *tables;
	CadenceTally *tally;
	Statement added;
} Counting;

static Counting *counting;

static void
forget_counting(void *arg)
{
	if (counting == arg)
		counting = NULL;
}

/*
 * To which steps runs have come: before the one that they stand at, those that they have
 * had. A quarter of an hour is of one day everywhere.
 */
static char *
added_sql(const CadenceTables *t)
{
	const char *began = "pg_catalog.date_bin('15 minutes', COALESCE(a.started_at, a.created_at)"
						"::pg_catalog.timestamptz, '2000-01-01 00:00+00')";

	return psprintf(
		"SELECT q.empresa, q.cadence_id, q.step, q.began, q.n, (SELECT " SHORT_TEXT(
			"k.fuso_horario", "100") " FROM %s AS k WHERE %s LIMIT 1) FROM ("
									 "SELECT g.empresa, g.cadence_id, s.id AS step, g.began, g.n "
									 "FROM (SELECT a.empresa::pg_catalog.text AS empresa, "
									 "a.cadence_id::pg_catalog.uuid AS cadence_id, "
									 "a.next_step_ordem AS ordem, %s AS began, "
									 "pg_catalog.count(*) AS n FROM " ADDED
									 " AS a GROUP BY 1, 2, 3, 4) AS g CROSS JOIN LATERAL ("
									 "SELECT x.id::pg_catalog.uuid AS id FROM %s AS x "
									 "WHERE x.cadence_id " EQ " g.cadence_id AND x.ordem " GE
									 " g.ordem ORDER BY x.ordem LIMIT 1) AS s UNION ALL "
									 "SELECT a.empresa::pg_catalog.text, "
									 "a.cadence_id::pg_catalog.uuid, h.id, %s, "
									 "pg_catalog.count(*) FROM " ADDED " AS a CROSS JOIN LATERAL "
									 "(SELECT DISTINCT u.id FROM pg_catalog.unnest("
									 "a.passos_enviados::pg_catalog.uuid[]) AS u (id)) AS h "
									 "WHERE h.id IS NOT NULL GROUP BY 1, 2, 3, 4) AS q "
									 "WHERE q.cadence_id IS NOT NULL",
		t->empresas, cadence_key_is(t, "cadence_empresas", "k", "empresa", "q.empresa"), began,
		t->steps, began);
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
	made->added = ROWS_STATEMENT("counting enrolments", added_sql(t), SPI_OK_SELECT);
	callback = palloc(sizeof(*callback));
	*callback = (MemoryContextCallback){.func = forget_counting, .arg = made};
	MemoryContextRegisterResetCallback(context, callback);
	MemoryContextSwitchTo(old);
	/* an error on the way has left nothing behind */
	MemoryContextSetParent(context, GetMemoryChunkContext((void *) t));
	return counting = made;
}

/* ---- enrolments ------------------------------------------------------------------------------ */

enum
{
	ADDED_EMPRESA = 1,
	ADDED_CADENCE,
	ADDED_STEP,
	ADDED_BEGAN,
	ADDED_N,
	ADDED_ZONE
};

static pg_uuid_t *
read_id(TupleDesc desc, HeapTuple row, int column)
{
	bool isnull;
	Datum value = SPI_getbinval(row, desc, column, &isnull);

	return isnull ? NULL : memcpy(palloc(sizeof(pg_uuid_t)), DatumGetUUIDP(value), UUID_LEN);
}

static TallyRow
read_added(TupleDesc desc, HeapTuple row)
{
	int32 *day = palloc(sizeof(*day));
	bool isnull;

	*day = cadence_cohort_day(row_text(desc, row, ADDED_ZONE, ROW_KEY_MAX),
							  row_time(desc, row, ADDED_BEGAN, DT_NOBEGIN));
	return (TallyRow){.empresa = row_text(desc, row, ADDED_EMPRESA, ROW_KEY_MAX),
					  .cadence = read_id(desc, row, ADDED_CADENCE),
					  .step = read_id(desc, row, ADDED_STEP),
					  .day = day,
					  .mark = "entered",
					  .n = DatumGetInt64(SPI_getbinval(row, desc, ADDED_N, &isnull))};
}

/* As the owner of the tables, inside an SPI connection that knows the transition table. */
static void
count_added(Counting *c)
{
	TallyRow *rows;
	int n;

	statement_execute(&c->added, NULL, NULL, 0);
	n = (int) SPI_processed;
	rows = palloc(sizeof(*rows) * Max(n, 1));
	for (int i = 0; i < n; i++)
		rows[i] = read_added(SPI_tuptable->tupdesc, SPI_tuptable->vals[i]);
	SPI_freetuptable(SPI_tuptable);
	cadence_tally_write(c->tally, rows, n);
}

/*
 * Only our own trigger on our own table: of another's the rows' types, or what is taken for
 * the transition table, would run with the rights of the tables' owner.
 */
static void
check_trigger(const TriggerData *trigger, const CadenceTables *t)
{
	const char *rows = trigger->tg_trigger->tgnewtable;

	if (RelationGetRelid(trigger->tg_relation) != t->runs_oid)
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("cadence_runs_added() is for table lead_cadence_runs only")));
	if (rows == NULL || strcmp(rows, ADDED) != 0)
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("trigger \"%s\" lacks the transition table of cadence_runs_added()",
							   trigger->tg_trigger->tgname),
						errhint("Drop it, and call cadence_create_tables().")));
}

typedef struct Added
{
	const CadenceTables *tables;
	TriggerData *trigger;
} Added;

static void
count_as_owner(void *arg, int first, int n)
{
	Added *added = arg;
	Counting *c = counting_of(added->tables);
	CadenceCaller caller = cadence_owner_begin(added->tables->owner);

	(void) SPI_connect();
	(void) SPI_register_trigger_data(added->trigger);
	count_added(c);
	SPI_finish();
	cadence_owner_end(caller);
}

/*
 * cadence_runs_added() -> trigger: counts the runs that a statement has inserted. What
 * goes wrong there keeps nobody from enrolling.
 */
Datum
cadence_runs_added(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Added added = {.trigger = trigger};
	ErrorData *error;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event) || !TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("cadence_runs_added() must be called as a trigger after a "
							   "statement that inserts")));
	/* those who drop the tables one by one are not kept from it */
	if (cadence_tables_missing(cadence_extension_schema()) != NULL)
		PG_RETURN_POINTER(NULL);
	added.tables = cadence_tables_cached();
	check_trigger(trigger, added.tables);
	error = cadence_try(count_as_owner, &added, 0, 0, false);
	if (error != NULL && ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
		ReThrowError(error);
	if (error != NULL)
		ereport(WARNING, (errcode(error->sqlerrcode),
						  errmsg("enrolments could not be counted: %s", error->message)));
	PG_RETURN_POINTER(NULL);
}

/* ---- what was counted, together -------------------------------------------------------------- */

/*
 * Folds what was counted, and sees to it that the runs are counted where that is long
 * ago: by another process, or now where there is no number yet or count_now says so. Where
 * nothing can be written it does nothing.
 */
void
cadence_rollup_keep(const CadenceTables *tables, bool count_now)
{
	CadenceCaller caller;
	bool was_counted;
	bool is_old;

	if (XactReadOnly || RecoveryInProgress())
		return;
	caller = cadence_owner_begin(tables->owner);
	(void) SPI_connect();
	(void) cadence_fold(tables);
	is_old = cadence_stock_is_old(tables, &was_counted);
	if (count_now || !was_counted)
		(void) cadence_stock_count(tables, !count_now);
	else if (is_old)
		cadence_counter_start(tables);
	SPI_finish();
	cadence_owner_end(caller);
}

/*
 * cadence_rollup_refresh(count_now boolean) -> void: the same, for who has the right to
 * execute it.
 *
 * Errors: those of cadence_tables_cached().
 */
Datum
cadence_rollup_refresh(PG_FUNCTION_ARGS)
{
	cadence_rollup_keep(cadence_tables_cached(), PG_GETARG_BOOL(0));
	PG_RETURN_VOID();
}

/* ---- requests -------------------------------------------------------------------------------- */

/* Counts a request to the door, where anything can be written; of closed sets, all three. */
void
cadence_count_request(const CadenceTables *tables, const char *route, const char *method,
					  int status)
{
	TallyRow row = {
		.kind = "http", .server = route, .outcome = method, .code = psprintf("%d", status), .n = 1};
	Counting *c;

	if (XactReadOnly || RecoveryInProgress())
		return;
	c = counting_of(tables);
	(void) SPI_connect();
	cadence_tally_write(c->tally, &row, 1);
	SPI_finish();
}

/* cadence_http_count(route text, method text, code int) -> void: the same. */
Datum
cadence_http_count(PG_FUNCTION_ARGS)
{
	cadence_count_request(cadence_tables_cached(), text_to_cstring(PG_GETARG_TEXT_PP(0)),
						  text_to_cstring(PG_GETARG_TEXT_PP(1)), PG_GETARG_INT32(2));
	PG_RETURN_VOID();
}
