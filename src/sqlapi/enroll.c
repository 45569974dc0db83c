/*
 * enroll.c
 *		cadence_enroll(): a new run.
 *
 * In the caller's transaction and with the caller's rights. What a call has
 * prepared is kept for the query that it is a part of: fifty thousand leads may
 * be enrolled by one. No lock is taken for each, since the lock table is small;
 * see move.c for what keeps a lead from being active twice in a cadence.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/lock.h"
#include "base/statement.h"
#include "base/uuid.h"
#include "record/event.h"
#include "record/move.h"
#include "schema/extension.h"
#include "schema/key.h"

PG_FUNCTION_INFO_V1(cadence_enroll);

/* So many companies are named where a cadence's code has several. */
#define COMPANIES_MAX 20

/* What the calls of one query share. */
typedef struct EnrolCalls
{
	CadenceEvents *events;
	bool guarded; /* a unique index keeps a lead from being active twice */
	Statement find;
	Statement first_step;
	Statement active;
	Statement insert;
} EnrolCalls;

static const Oid find_types[] = {TEXTOID, TEXTOID, TEXTOID};
static const Oid first_step_types[] = {UUIDOID, TIMESTAMPTZOID};
static const Oid active_types[] = {TEXTOID, UUIDOID};
static const Oid insert_types[] = {UUIDOID, TEXTOID, TEXTOID, UUIDOID, INT4OID, TIMESTAMPTZOID};

/* Of each company that has a cadence of that code; where it has several, the newest. */
static char *
find_sql(const CadenceTables *t)
{
	return psprintf(
		"SELECT c.id, c.empresa, c.ativo, EXISTS (SELECT FROM %s AS k "
		"WHERE %s AND %s), "
		"" CADENCE_KEY(
			"c.id") " "
					"FROM (SELECT DISTINCT ON (x.empresa::text) x.id::uuid, x.empresa::text, "
					"COALESCE(x.ativo, true) AS ativo FROM %s AS x WHERE %s "
					"AND ($3 IS NULL OR %s) "
					"ORDER BY x.empresa::text, x.updated_at DESC NULLS LAST) AS c "
					"ORDER BY c.empresa",
		t->contacts, cadence_key_is(t, "lead_contacts", "k", "lead_id", "$2"),
		cadence_key_is(t, "lead_contacts", "k", "empresa", "c.empresa"), t->cadences,
		cadence_key_is(t, "cadences", "x", "codigo", "$1"),
		cadence_key_is(t, "cadences", "x", "empresa", "$3"));
}

enum
{
	FOUND_ID = 1,
	FOUND_EMPRESA,
	FOUND_IS_ACTIVE,
	FOUND_KNOWS_LEAD,
	FOUND_LOCK_KEY
};

static char *
first_step_sql(const CadenceTables *t)
{
	return psprintf("SELECT s.ordem::int4, s.template_codigo::text, $2 OPERATOR(pg_catalog.+) "
					"pg_catalog.make_interval(mins => COALESCE(s.offset_minutos, 0)::int4) "
					"FROM %s AS s WHERE s.cadence_id " EQ " $1 ORDER BY s.ordem LIMIT 1",
					t->steps);
}

enum
{
	FIRST_ORDEM = 1,
	FIRST_TEMPLATE,
	FIRST_DUE
};

static char *
active_sql(const CadenceTables *t)
{
	return psprintf("SELECT 1 FROM %s AS r WHERE %s AND r.cadence_id " EQ " $2 "
					"AND r.status " EQ " 'ATIVA'",
					t->runs, cadence_key_is(t, "lead_cadence_runs", "r", "lead_id", "$1"));
}

static char *
insert_sql(const CadenceTables *t)
{
	Oid empresa = get_atttype(t->runs_oid, get_attnum(t->runs_oid, "empresa"));

	return psprintf("INSERT INTO %s (id, lead_id, empresa, cadence_id, status, started_at, "
					"next_step_ordem, next_run_at, attempts, created_at, updated_at) "
					"VALUES ($1, $2, $3::%s, $4, 'ATIVA', " NOW ", $5, $6, 0, " NOW ", " NOW ")",
					t->runs, format_type_be_qualified(empresa));
}

/* Connects to SPI; what is prepared goes with the query, also where that fails. */
static EnrolCalls *
begin_call(FunctionCallInfo fcinfo)
{
	EnrolCalls *calls = fcinfo->flinfo->fn_extra;

	if (calls == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
		CadenceTables *t = cadence_tables_load(cadence_extension_schema());

		calls = palloc0(sizeof(*calls));
		calls->events = cadence_events_create(t);
		calls->guarded = cadence_active_is_guarded(t);
		calls->find = STATEMENT("looking for a cadence", find_sql(t), find_types, SPI_OK_SELECT);
		calls->first_step = STATEMENT("looking for a cadence's first step", first_step_sql(t),
									  first_step_types, SPI_OK_SELECT);
		calls->active =
			STATEMENT("looking for an active run", active_sql(t), active_types, SPI_OK_SELECT);
		calls->active.latest = true;
		calls->insert = STATEMENT("inserting a run", insert_sql(t), insert_types, SPI_OK_INSERT);
		MemoryContextSwitchTo(old);
		fcinfo->flinfo->fn_extra = calls;
	}
	if (SPI_connect() != SPI_OK_CONNECT)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("SPI_connect failed")));
	return calls;
}

static Datum
value_at(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

static bool
is_true_at(uint64 row, int column)
{
	bool isnull;
	Datum value = value_at(row, column, &isnull);

	return !isnull && DatumGetBool(value);
}

static void
refuse_guess(const char *codigo)
{
	StringInfoData names;

	initStringInfo(&names);
	for (uint64 i = 0; i < SPI_processed && i < COMPANIES_MAX; i++)
	{
		char *empresa = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, FOUND_EMPRESA);

		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", empresa != NULL ? empresa : "null");
	}
	if (SPI_processed > COMPANIES_MAX)
		appendStringInfoString(&names, ", ...");
	ereport(ERROR, (errcode(ERRCODE_TOO_MANY_ROWS),
					errmsg("several companies have a cadence \"%s\": %s", codigo, names.data),
					errhint("Name the one that is meant in the argument empresa.")));
}

/*
 * Which of the cadences of that code is meant: the only one, or that of the only
 * company that knows the lead.
 */
static uint64
choose_cadence(const char *codigo, const char *empresa)
{
	uint64 chosen = 0;
	int known = 0;

	if (SPI_processed == 0)
		ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND),
						empresa == NULL ? errmsg("cadence \"%s\" does not exist", codigo)
										: errmsg("cadence \"%s\" of company \"%s\" does not exist",
												 codigo, empresa),
						errhint("Cadences are named by the column cadences.codigo.")));
	for (uint64 i = 0; i < SPI_processed; i++)
		if (is_true_at(i, FOUND_KNOWS_LEAD))
		{
			chosen = i;
			known++;
		}
	if (SPI_processed > 1 && known != 1)
		refuse_guess(codigo);
	return SPI_processed > 1 ? chosen : 0;
}

/* What is inserted, by the parameter's number in insert_sql(), and of the event. */
enum
{
	NEW_ID,
	NEW_LEAD_ID,
	NEW_EMPRESA,
	NEW_CADENCE_ID,
	NEW_ORDEM,
	NEW_DUE,
	NEW_VALUES
};

static Datum
text_or_null(const char *text, char *null)
{
	*null = text != NULL ? ' ' : 'n';
	return text != NULL ? CStringGetTextDatum(text) : (Datum) 0;
}

/* Finds the cadence, and the lock of its enrolments where no index keeps them apart. */
static void
find_cadence(EnrolCalls *calls, const char *codigo, const char *empresa, Datum *values, char *nulls)
{
	Datum wanted[] = {CStringGetTextDatum(codigo), values[NEW_LEAD_ID], (Datum) 0};
	char wanted_nulls[] = "   ";
	uint64 row;
	bool isnull;

	wanted[2] = text_or_null(empresa, &wanted_nulls[2]);
	statement_execute(&calls->find, wanted, wanted_nulls, 0);
	row = choose_cadence(codigo, empresa);
	if (!is_true_at(row, FOUND_IS_ACTIVE))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("cadence \"%s\" is inactive", codigo),
						errhint("Set cadences.ativo to true.")));
	values[NEW_CADENCE_ID] = UUIDPGetDatum(
		memcpy(palloc(UUID_LEN), DatumGetUUIDP(value_at(row, FOUND_ID, &isnull)), UUID_LEN));
	values[NEW_EMPRESA] =
		text_or_null(SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, FOUND_EMPRESA),
					 &nulls[NEW_EMPRESA]);
	if (!calls->guarded)
		cadence_lock_hold(CADENCE_LOCK_ENROLMENT, value_at(row, FOUND_LOCK_KEY, &isnull));
}

/* Returns the step's template. */
static char *
find_first_step(EnrolCalls *calls, const char *codigo, TimestampTz start_at, Datum *values,
				char *nulls)
{
	Datum wanted[] = {values[NEW_CADENCE_ID], TimestampTzGetDatum(start_at)};
	bool isnull;

	statement_execute(&calls->first_step, wanted, NULL, 0);
	if (SPI_processed == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("cadence \"%s\" has no steps", codigo),
						errhint("Insert rows into cadence_steps first.")));
	values[NEW_ORDEM] = value_at(0, FIRST_ORDEM, &isnull);
	nulls[NEW_ORDEM] = isnull ? 'n' : ' ';
	values[NEW_DUE] = value_at(0, FIRST_DUE, &isnull);
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, FIRST_TEMPLATE);
}

static void
refuse_active(const char *lead_id, const char *codigo)
{
	ereport(ERROR, (errcode(ERRCODE_UNIQUE_VIOLATION),
					errmsg("lead \"%s\" is already active in cadence \"%s\"", lead_id, codigo),
					errhint("Cancel the active run first, with cadence_cancel().")));
}

static void
insert_run(EnrolCalls *calls, const char *lead_id, const char *codigo, Datum *values, char *nulls)
{
	Datum active[] = {values[NEW_LEAD_ID], values[NEW_CADENCE_ID]};
	MemoryContext context = CurrentMemoryContext;

	statement_execute(&calls->active, active, NULL, 1);
	if (SPI_processed > 0)
		refuse_active(lead_id, codigo);
	PG_TRY();
	{
		statement_execute(&calls->insert, values, nulls, 0);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		if (!cadence_is_active_twice())
			PG_RE_THROW();
		FlushErrorState();
		refuse_active(lead_id, codigo);
	}
	PG_END_TRY();
}

static char *
text_arg(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/*
 * cadence_enroll(lead_id text, cadence_codigo text, start_at timestamptz,
 * empresa text) -> uuid of the run, whose first step is due at start_at plus
 * that step's offset.
 *
 * Errors: 22004 for a null; P0002 when there is no such cadence, P0003 when
 * several companies have it and none is named; 55000 when it is inactive or has
 * no steps; 23505 when the lead is active in it already.
 */
Datum
cadence_enroll(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	EnrolCalls *calls = begin_call(fcinfo);
	char *lead_id = text_arg(fcinfo, 0);
	char *codigo = text_arg(fcinfo, 1);
	pg_uuid_t *run = MemoryContextAlloc(context, UUID_LEN);
	Datum values[NEW_VALUES];
	char nulls[] = "      ";
	bool isnull;
	CadenceEvent event = {.run_id = run, .type = "AGENDADO"};

	if (lead_id == NULL || codigo == NULL || PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("lead_id, cadence_codigo and start_at must not be null")));
	cadence_random_bytes(run->data, UUID_LEN);
	cadence_uuid_set_version(run, 4);
	values[NEW_ID] = UUIDPGetDatum(run);
	values[NEW_LEAD_ID] = CStringGetTextDatum(lead_id);
	find_cadence(calls, codigo, text_arg(fcinfo, 3), values, nulls);
	event.template_codigo = find_first_step(calls, codigo, PG_GETARG_TIMESTAMPTZ(2), values, nulls);
	insert_run(calls, lead_id, codigo, values, nulls);

	isnull = nulls[NEW_ORDEM] == 'n';
	event.has_ordem = !isnull;
	event.ordem = isnull ? 0 : DatumGetInt32(values[NEW_ORDEM]);
	event.detalhes = event_scheduled_details(DatumGetTimestampTz(values[NEW_DUE]), NULL);
	cadence_events_write(calls->events, &event, 1);
	SPI_finish();
	PG_RETURN_UUID_P(run);
}
