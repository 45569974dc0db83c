/*
 * reopen.c
 *		cadence_reopen(): steps that were added behind the end reach runs that have
 *		finished.
 *
 * Of each lead its newest run in the cadence counts: if that has had its last step,
 * and there are steps behind it now, it goes on with the first of them, as
 * rules/transition.c says. What was ended by somebody before its last step is not
 * touched, nor is a lead that is in the cadence again.
 *
 * Many runs are moved at once, in the caller's transaction and with the caller's
 * rights. Should somebody enrol one of their leads at this moment, the index knows, and
 * that one is left out.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/lock.h"
#include "base/row.h"
#include "base/statement.h"
#include "base/transaction.h"
#include "record/edit.h"
#include "record/event.h"
#include "record/move.h"
#include "schema/calendar.h"
#include "schema/edition.h"
#include "schema/key.h"
#include "schema/policy.h"

PG_FUNCTION_INFO_V1(cadence_reopen);
PG_FUNCTION_INFO_V1(cadence_reopen_by_id);

/* So many runs are moved by one statement. */
#define CHUNK 2000

#define DECISION "REABERTA"

/* A call's own statements, and the runs that it looks at. */
typedef struct Reopening
{
	CadenceMover *mover;
	CadenceEvents *events;
	CadenceCalendars *calendars;
	Statement find;
	Statement lock;
	Statement read;
	Datum *ids;
	int n;
	int64 reopened;
	int64 reopened_now; /* of the chunk under way */
} Reopening;

static const Oid id_types[] = {UUIDOID};
static const Oid ids_types[] = {UUIDARRAYOID};

/* ---- statements -------------------------------------------------------------------- */

/* Each lead's newest run of the cadence, where it has had its last step. */
static char *
find_sql(const CadenceTables *t)
{
	return psprintf("SELECT l.id FROM (SELECT DISTINCT ON (r.lead_id, r.empresa) r.id::uuid, "
					"r.status " EQ " 'CONCLUIDA' AND r.next_step_ordem IS NULL AS has_ended "
					"FROM %s AS r WHERE r.cadence_id " EQ " $1 "
					"ORDER BY r.lead_id, r.empresa, r.created_at DESC NULLS LAST, r.id DESC) AS l "
					"WHERE l.has_ended ORDER BY l.id",
					t->runs);
}

enum
{
	READ_ID = 1,
	READ_LEAD_ID,
	READ_EMPRESA,
	READ_STARTED_AT,
	READ_HAS_STEP,
	READ_OTHER_ACTIVE,
	READ_ORDEM,
	READ_TEMPLATE,
	READ_TIME
};

/*
 * Behind the last of the steps that it has had, as they stand now. Of a run from before
 * there were ids, what was there when it ended counts as had.
 */
static char *
read_sql(const CadenceTables *t)
{
	return psprintf(
		"SELECT r.id::uuid, r.lead_id::text, r.empresa::text, r.started_at::timestamptz, "
		"r.next_step_ordem IS NOT NULL, "
		"EXISTS (SELECT FROM %s AS o WHERE %s AND %s AND o.cadence_id " EQ " r.cadence_id "
		"AND (o.status " EQ " 'ATIVA' OR o.status " EQ " 'PAUSADA')), "
		"s.ordem::int4, s.template_codigo::text, %s FROM %s AS r "
		"CROSS JOIN LATERAL (SELECT COALESCE((SELECT pg_catalog.max(x.ordem) FROM %s AS x "
		"WHERE x.cadence_id " EQ " r.cadence_id AND x.id " EQ " ANY (r.passos_enviados)), "
		"r.last_step_ordem) AS last) AS l "
		"LEFT JOIN LATERAL (SELECT x.* FROM %s AS x WHERE x.cadence_id " EQ " r.cadence_id "
		"AND (x.ordem " GT " l.last) IS NOT FALSE AND " NOT_HAD(
			"x", "r") " AND x.ordem " LE " 2147483647 AND (r.passos_enviados IS NOT NULL OR l.last "
					  "IS NULL OR x.created_at " GT
					  " r.updated_at) ORDER BY x.ordem LIMIT 1) AS s ON true "
					  "WHERE r.id " EQ " ANY ($1) AND r.status " EQ
					  " 'CONCLUIDA' AND s.id IS NOT NULL",
		t->runs, cadence_key_is(t, "lead_cadence_runs", "o", "lead_id", "r.lead_id"),
		cadence_key_is(t, "lead_cadence_runs", "o", "empresa", "r.empresa"),
		cadence_step_time_columns("s"), t->runs, t->steps, t->steps);
}

static Reopening *
create_reopening(const CadenceTables *t)
{
	Reopening *r = palloc0(sizeof(*r));

	r->mover = cadence_mover_create(t);
	r->events = cadence_events_create(t);
	r->calendars = cadence_calendars_create(t, false);
	r->find = STATEMENT("looking for finished runs", find_sql(t), id_types, SPI_OK_SELECT);
	r->lock = STATEMENT("locking finished runs",
						psprintf("SELECT pg_catalog.count(*) FROM (SELECT r.id FROM %s AS r "
								 "WHERE r.id " EQ " ANY ($1) ORDER BY r.id FOR NO KEY UPDATE) AS l",
								 t->runs),
						ids_types, SPI_OK_SELECT);
	r->read = STATEMENT("reading finished runs", read_sql(t), ids_types, SPI_OK_SELECT);
	r->find.latest = r->lock.latest = r->read.latest = true;
	return r;
}

/* ---- some runs --------------------------------------------------------------------- */

static void
read_run(TupleDesc desc, HeapTuple row, LockedRun *run)
{
	memset(run, 0, sizeof(*run));
	(void) row_uuid(desc, row, READ_ID, &run->id);
	run->lead_id = row_text(desc, row, READ_LEAD_ID, ROW_KEY_MAX);
	run->empresa = row_text(desc, row, READ_EMPRESA, ROW_KEY_MAX);
	run->next_ordem = row_int(desc, row, READ_ORDEM, 0);
	run->next_template = row_text(desc, row, READ_TEMPLATE, ROW_KEY_MAX);
	run->in.status = RUN_DONE;
	run->in.has_step = row_true(desc, row, READ_HAS_STEP);
	run->in.other_active = row_true(desc, row, READ_OTHER_ACTIVE);
	run->in.has_next = true;
	cadence_step_time_read(desc, row, READ_TIME, &run->in.next_time);
	run->in.started_at =
		row_time(desc, row, READ_STARTED_AT, GetCurrentTransactionStartTimestamp());
}

static void
find_calendars(Reopening *r, LockedRun *runs, int n)
{
	CadenceLead *leads = palloc(sizeof(*leads) * Max(n, 1));
	Calendar *calendars = palloc0(sizeof(*calendars) * Max(n, 1));
	bool any = false;

	for (int i = 0; i < n; i++)
	{
		leads[i] = (CadenceLead){.lead_id = runs[i].lead_id, .empresa = runs[i].empresa};
		any = any || step_needs_calendar(&runs[i].in.next_time);
		runs[i].in.calendar = &calendars[i];
	}
	if (any)
		cadence_calendars_find(r->calendars, leads, n, calendars);
}

/* In their order; how many of them go on. */
static int
read_runs(Reopening *r, Datum ids, LockedRun **runs, RunTransition **to)
{
	SPITupleTable *table;
	int all;
	int n = 0;

	statement_execute(&r->read, &ids, NULL, 0);
	table = SPI_tuptable;
	all = (int) SPI_processed;
	*runs = palloc(sizeof(**runs) * Max(all, 1));
	*to = palloc(sizeof(**to) * Max(all, 1));
	for (int i = 0; i < all; i++)
		read_run(table->tupdesc, table->vals[i], &(*runs)[i]);
	SPI_freetuptable(table);
	find_calendars(r, *runs, all);
	for (int i = 0; i < all; i++)
	{
		RunTransition next =
			cadence_run_transition(&(*runs)[i], ACT_REOPEN, GetCurrentTransactionStartTimestamp());

		if (next.refusal != REFUSAL_NONE)
			continue;
		(*runs)[n] = (*runs)[i];
		(*to)[n++] = next;
	}
	return n;
}

static void
write_events(Reopening *r, const LockedRun *runs, const RunTransition *to, int n)
{
	CadenceEvent *events = palloc0(sizeof(*events) * Max(n, 1));

	for (int i = 0; i < n; i++)
		events[i] = (CadenceEvent){.run_id = &runs[i].id,
								   .has_ordem = true,
								   .ordem = runs[i].next_ordem,
								   .template_codigo = runs[i].next_template,
								   .type = "AGENDADO",
								   .detalhes = event_scheduled_details(to[i].next_due, DECISION)};
	cadence_events_write(r->events, events, n);
}

/* In a subtransaction. */
static void
reopen_some(void *arg, int first, int n)
{
	Reopening *r = arg;
	Datum ids = PointerGetDatum(
		construct_array(&r->ids[first], n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	LockedRun *runs;
	RunTransition *to;

	r->reopened_now = 0;
	statement_execute(&r->lock, &ids, NULL, 0);
	SPI_freetuptable(SPI_tuptable);
	n = read_runs(r, ids, &runs, &to);
	if (n == 0)
		return;
	cadence_runs_move(r->mover, runs, to, n);
	r->reopened_now = n;
	write_events(r, runs, to, n);
}

/* Some at once, or, where one of them was enrolled at this moment, each for itself. */
static void
reopen_chunk(Reopening *r, int first, int n)
{
	ErrorData *error = cadence_try(reopen_some, r, first, n, false);

	if (error == NULL)
	{
		r->reopened += r->reopened_now;
		return;
	}
	if (!cadence_is_active_twice(error))
		ThrowErrorData(error);
	for (int i = 0; n > 1 && i < n; i++)
		reopen_chunk(r, first + i, 1);
}

/* ---- the cadence ------------------------------------------------------------------- */

static void
find_runs(Reopening *r, Datum cadence)
{
	statement_execute(&r->find, &cadence, NULL, 0);
	r->n = (int) SPI_processed;
	r->ids = palloc(sizeof(Datum) * Max(r->n, 1));
	for (int i = 0; i < r->n; i++)
	{
		pg_uuid_t *id = palloc(UUID_LEN);

		(void) row_uuid(SPI_tuptable->tupdesc, SPI_tuptable->vals[i], 1, id);
		r->ids[i] = UUIDPGetDatum(id);
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * SPI keeps what it knows rows by in the memory context of whoever names the first, which
 * must not be a chunk's.
 */
static void
name_no_rows(void)
{
	static const RowsetColumn columns[] = {{"id", UUIDOID}};
	Rowset none;

	rowset_begin(&none, columns, lengthof(columns));
	rowset_end(&none);
}

/* Inside an SPI connection; how many runs go on. */
static int64
reopen(const CadenceTables *t, Datum cadence, Datum lock_key)
{
	Reopening *r = create_reopening(t);
	MemoryContext chunk;
	MemoryContext old;

	(void) cadence_steps_keep(DatumGetUUIDP(cadence));
	/* nobody makes a run of that cadence active until we have ended */
	if (!cadence_active_is_guarded(t))
		cadence_lock_hold(CADENCE_LOCK_ENROLMENT, DatumGetInt64(lock_key));
	find_runs(r, cadence);
	name_no_rows();
	chunk =
		AllocSetContextCreate(CurrentMemoryContext, "cadence_runner runs", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(chunk);
	for (int first = 0; first < r->n; first += CHUNK)
	{
		CHECK_FOR_INTERRUPTS();
		cadence_calendars_refresh(r->calendars);
		reopen_chunk(r, first, Min(CHUNK, r->n - first));
		MemoryContextReset(chunk);
	}
	MemoryContextSwitchTo(old);
	return r->reopened;
}

static int64
reopen_found(const CadenceTables *t, Statement *find, Datum *values, const char *nulls,
			 const char *name)
{
	bool isnull;
	TupleDesc desc;
	HeapTuple row;

	statement_execute(find, values, nulls, 2);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND), errmsg("cadence \"%s\" does not exist", name),
				 errhint("Cadences are named by the column cadences.codigo.")));
	if (SPI_processed > 1)
		ereport(ERROR, (errcode(ERRCODE_TOO_MANY_ROWS),
						errmsg("several companies have a cadence \"%s\"", name),
						errhint("Name the one that is meant in the argument empresa.")));
	desc = SPI_tuptable->tupdesc;
	row = SPI_tuptable->vals[0];
	return reopen(t, SPI_getbinval(row, desc, 1, &isnull), SPI_getbinval(row, desc, 2, &isnull));
}

#define FOUND "x.id::uuid, " CADENCE_KEY("x.id") " FROM %s AS x WHERE "

/*
 * cadence_reopen(cadence text, empresa text DEFAULT NULL) -> bigint: how many finished
 * runs go on with steps that they have not had. cadence is its codigo, or its id.
 *
 * Errors: 22004 for a null; P0002 when there is no such cadence, P0003 when several
 * companies have it and none is named.
 */
Datum
cadence_reopen(PG_FUNCTION_ARGS)
{
	static const Oid types[] = {TEXTOID, TEXTOID};
	const CadenceTables *t = cadence_tables_load(cadence_extension_schema());
	Datum values[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};
	char nulls[] = {' ', PG_ARGISNULL(1) ? 'n' : ' '};
	Statement find;
	int64 n;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("cadence must not be null")));
	(void) SPI_connect();
	find = STATEMENT("looking for a cadence",
					 psprintf("SELECT DISTINCT ON (x.empresa::text) " FOUND "(%s OR x.id::text " EQ
							  " pg_catalog.lower($1)) AND ($2 IS NULL OR %s) "
							  "ORDER BY x.empresa::text, x.updated_at DESC NULLS LAST",
							  t->cadences, cadence_key_is(t, "cadences", "x", "codigo", "$1"),
							  cadence_key_is(t, "cadences", "x", "empresa", "$2")),
					 types, SPI_OK_SELECT);
	n = reopen_found(t, &find, values, nulls, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	SPI_finish();
	PG_RETURN_INT64(n);
}

/* cadence_reopen(cadence uuid) -> bigint: the same by its id. */
Datum
cadence_reopen_by_id(PG_FUNCTION_ARGS)
{
	const CadenceTables *t = cadence_tables_load(cadence_extension_schema());
	Datum values[] = {PG_GETARG_DATUM(0)};
	Statement find;
	int64 n;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("cadence must not be null")));
	(void) SPI_connect();
	find =
		STATEMENT("looking for a cadence", psprintf("SELECT " FOUND "x.id " EQ " $1", t->cadences),
				  id_types, SPI_OK_SELECT);
	n = reopen_found(t, &find, values, NULL,
					 DatumGetCString(DirectFunctionCall1(uuid_out, PG_GETARG_DATUM(0))));
	SPI_finish();
	PG_RETURN_INT64(n);
}
