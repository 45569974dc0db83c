/*
 * runs.c
 *		What an operator may do with a run: cadence_enroll(), cadence_pause(),
 *		cadence_resume(), cadence_cancel(), cadence_settle().
 *
 * They work in the caller's transaction and with the caller's rights. Each but
 * the first locks its run, asks rules/transition.c, and applies the answer as the
 * record of an execution does. What a call has prepared is kept for the query
 * that it is a part of: fifty thousand leads may be enrolled by one, and their
 * runs resumed. No lock is taken for each, since the lock table is small; see
 * move.c for what keeps a lead from being active twice in a cadence.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/lock.h"
#include "base/row.h"
#include "base/statement.h"
#include "base/uuid.h"
#include "record/event.h"
#include "record/message_rows.h"
#include "record/move.h"
#include "record/settle.h"
#include "schema/key.h"

PG_FUNCTION_INFO_V1(cadence_enroll);
PG_FUNCTION_INFO_V1(cadence_pause);
PG_FUNCTION_INFO_V1(cadence_resume);
PG_FUNCTION_INFO_V1(cadence_cancel);
PG_FUNCTION_INFO_V1(cadence_settle);

/* So many companies are named where a cadence's code has several. */
#define COMPANIES_MAX 20

/* What the calls of one query share. */
typedef struct RunCalls
{
	CadenceMover *mover;
	CadenceEvents *events;
	CadenceMessageRows *messages;
	bool guarded; /* a unique index keeps a lead from being active twice */
	Statement find;
	Statement insert;
} RunCalls;

/* ---- a query's calls -------------------------------------------------------------- */

/*
 * The cadences of that code, of each company the newest, with their first steps:
 * which of the companies know the lead, and where it is active already.
 */
static char *
find_sql(const CadenceTables *t)
{
	return psprintf(
		"SELECT c.id, c.empresa, c.ativo, EXISTS (SELECT FROM %s AS k WHERE %s AND %s), "
		"EXISTS (SELECT FROM %s AS r WHERE %s AND r.cadence_id " EQ " c.id "
		"AND r.status " EQ " 'ATIVA'), s.ordem, s.template_codigo, s.due, " CADENCE_KEY(
			"c.id") " FROM (SELECT DISTINCT ON (x.empresa::text) x.id::uuid, x.empresa::text, "
					"COALESCE(x.ativo, true) AS ativo FROM %s AS x WHERE %s "
					"AND ($3 IS NULL OR %s) "
					"ORDER BY x.empresa::text, x.updated_at DESC NULLS LAST) AS c "
					"LEFT JOIN LATERAL (SELECT x.ordem::int4, x.template_codigo::text, "
					"$4 OPERATOR(pg_catalog.+) pg_catalog.make_interval(mins => "
					"COALESCE(x.offset_minutos, 0)::int4) AS due FROM %s AS x "
					"WHERE x.cadence_id " EQ " c.id ORDER BY x.ordem LIMIT 1) AS s ON true "
					"ORDER BY c.empresa",
		t->contacts, cadence_key_is(t, "lead_contacts", "k", "lead_id", "$2"),
		cadence_key_is(t, "lead_contacts", "k", "empresa", "c.empresa"), t->runs,
		cadence_key_is(t, "lead_cadence_runs", "r", "lead_id", "$2"), t->cadences,
		cadence_key_is(t, "cadences", "x", "codigo", "$1"),
		cadence_key_is(t, "cadences", "x", "empresa", "$3"), t->steps);
}

static const Oid find_types[] = {TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID};

enum
{
	FOUND_ID = 1,
	FOUND_EMPRESA,
	FOUND_IS_ENABLED,
	FOUND_KNOWS_LEAD,
	FOUND_IS_ACTIVE, /* the lead, in this cadence */
	FOUND_ORDEM,
	FOUND_TEMPLATE,
	FOUND_DUE, /* null: it has no steps */
	FOUND_LOCK_KEY
};

static char *
insert_sql(const CadenceTables *t)
{
	Oid empresa = get_atttype(t->runs_oid, get_attnum(t->runs_oid, "empresa"));

	return psprintf("INSERT INTO %s (id, lead_id, empresa, cadence_id, status, started_at, "
					"next_step_ordem, next_run_at, attempts, created_at, updated_at) "
					"VALUES ($1, $2, $3::%s, $4, 'ATIVA', " NOW ", $5, $6, 0, " NOW ", " NOW ")",
					t->runs, format_type_be_qualified(empresa));
}

static const Oid insert_types[] = {UUIDOID, TEXTOID, TEXTOID, UUIDOID, INT4OID, TIMESTAMPTZOID};

/* Connects to SPI; what is prepared goes with the query, also where that fails. */
static RunCalls *
begin_call(FunctionCallInfo fcinfo)
{
	RunCalls *calls = fcinfo->flinfo->fn_extra;

	if (calls == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
		CadenceTables *t = cadence_tables_load(cadence_extension_schema());

		calls = palloc0(sizeof(*calls));
		calls->mover = cadence_mover_create(t);
		calls->events = cadence_events_create(t);
		calls->messages = cadence_message_rows_create(t);
		calls->guarded = cadence_active_is_guarded(t);
		calls->find = STATEMENT("looking for a cadence", find_sql(t), find_types, SPI_OK_SELECT);
		/* an older snapshot would not see who was enrolled meanwhile */
		calls->find.latest = true;
		calls->insert = STATEMENT("inserting a run", insert_sql(t), insert_types, SPI_OK_INSERT);
		MemoryContextSwitchTo(old);
		fcinfo->flinfo->fn_extra = calls;
	}
	(void) SPI_connect();
	return calls;
}

static Datum
end_call(void)
{
	SPI_finish();
	return (Datum) 0;
}

static char *
text_arg(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/* ---- a new run -------------------------------------------------------------------- */

static bool
is_true_at(uint64 row, int column)
{
	return row_true(SPI_tuptable->tupdesc, SPI_tuptable->vals[row], column);
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

static void
refuse_active(const char *lead_id, const char *codigo)
{
	ereport(ERROR, (errcode(ERRCODE_UNIQUE_VIOLATION),
					errmsg("lead \"%s\" is already active in cadence \"%s\"", lead_id, codigo),
					errhint("Cancel the active run first, with cadence_cancel().")));
}

/* What is asked for. */
typedef struct Enrolment
{
	char *lead_id;
	char *codigo;
	char *empresa; /* NULL: any */
	Datum start_at;
} Enrolment;

/*
 * Which of the cadences of that code is meant: the only one, or that of the only
 * company that knows the lead.
 */
static uint64
find_cadence(RunCalls *calls, const Enrolment *e)
{
	Datum wanted[] = {CStringGetTextDatum(e->codigo), CStringGetTextDatum(e->lead_id),
					  e->empresa != NULL ? CStringGetTextDatum(e->empresa) : (Datum) 0,
					  e->start_at};
	uint64 chosen = 0;
	int known = 0;

	statement_execute(&calls->find, wanted, e->empresa != NULL ? NULL : "  n ", 0);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 e->empresa == NULL ? errmsg("cadence \"%s\" does not exist", e->codigo)
									: errmsg("cadence \"%s\" of company \"%s\" does not exist",
											 e->codigo, e->empresa),
				 errhint("Cadences are named by the column cadences.codigo.")));
	for (uint64 i = 0; SPI_processed > 1 && i < SPI_processed; i++)
		if (is_true_at(i, FOUND_KNOWS_LEAD))
		{
			chosen = i;
			known++;
		}
	if (SPI_processed > 1 && known != 1)
		refuse_guess(e->codigo);
	if (!is_true_at(chosen, FOUND_IS_ENABLED))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("cadence \"%s\" is inactive", e->codigo),
						errhint("Set cadences.ativo to true.")));
	return chosen;
}

/* The index knows whether somebody else has made the lead active since we looked. */
static void
insert_run(RunCalls *calls, const Enrolment *e, Datum *values, const char *nulls)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		statement_execute(&calls->insert, values, nulls, 0);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		if (!cadence_is_active_twice(CopyErrorData()))
			PG_RE_THROW();
		FlushErrorState();
		refuse_active(e->lead_id, e->codigo);
	}
	PG_END_TRY();
}

/* Inserts a run of the cadence that was found, and its event. */
static void
enrol(RunCalls *calls, const Enrolment *e, uint64 found, const pg_uuid_t *id)
{
	TupleDesc desc = SPI_tuptable->tupdesc;
	HeapTuple row = SPI_tuptable->vals[found];
	bool no_ordem = row_is_null(desc, row, FOUND_ORDEM);
	bool isnull;
	Datum values[] = {UUIDPGetDatum(id),
					  CStringGetTextDatum(e->lead_id),
					  SPI_getbinval(row, desc, FOUND_EMPRESA, &isnull),
					  SPI_getbinval(row, desc, FOUND_ID, &isnull),
					  SPI_getbinval(row, desc, FOUND_ORDEM, &isnull),
					  SPI_getbinval(row, desc, FOUND_DUE, &isnull)};
	const char nulls[] = {
		' ', ' ', row_is_null(desc, row, FOUND_EMPRESA) ? 'n' : ' ', ' ', no_ordem ? 'n' : ' ',
		' '};
	CadenceEvent event = {.run_id = id,
						  .has_ordem = !no_ordem,
						  .ordem = row_int(desc, row, FOUND_ORDEM, 0),
						  .template_codigo = SPI_getvalue(row, desc, FOUND_TEMPLATE),
						  .type = "AGENDADO"};

	if (row_is_null(desc, row, FOUND_DUE))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("cadence \"%s\" has no steps", e->codigo),
						errhint("Insert rows into cadence_steps first.")));
	if (is_true_at(found, FOUND_IS_ACTIVE))
		refuse_active(e->lead_id, e->codigo);
	insert_run(calls, e, values, nulls);
	event.detalhes = event_scheduled_details(DatumGetTimestampTz(values[5]), NULL);
	cadence_events_write(calls->events, &event, 1);
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
	pg_uuid_t *id = palloc(UUID_LEN);
	RunCalls *calls = begin_call(fcinfo);
	Enrolment e = {text_arg(fcinfo, 0), text_arg(fcinfo, 1), text_arg(fcinfo, 3),
				   PG_GETARG_DATUM(2)};
	uint64 found;

	if (e.lead_id == NULL || e.codigo == NULL || PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("lead_id, cadence_codigo and start_at must not be null")));
	/* in this order they are taken where they are due together, and so in that of their pages */
	cadence_uuid_v7(id);
	found = find_cadence(calls, &e);
	if (!calls->guarded)
	{
		/* nobody makes a run of that cadence active until we have ended */
		cadence_lock_hold(CADENCE_LOCK_ENROLMENT,
						  SPI_getbinval(SPI_tuptable->vals[found], SPI_tuptable->tupdesc,
										FOUND_LOCK_KEY, &(bool){false}));
		found = find_cadence(calls, &e);
	}
	enrol(calls, &e, found, id);
	SPI_finish();
	PG_RETURN_UUID_P(id);
}

/* ---- a run that is there ---------------------------------------------------------- */

static const char *
uuid_text(const pg_uuid_t *id)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(id)));
}

/* How an act is refused in a status that it does not fit. */
static const struct
{
	const char *refusal;
	const char *hint;
} wordings[] = {
	[ACT_PAUSE] = {"it can not be paused", "Only a run that is ATIVA can be paused."},
	[ACT_RESUME] = {"it can not be resumed", "Only a run that is PAUSADA can be resumed."},
	[ACT_CANCEL] = {"it can not be cancelled",
					"Only a run that is ATIVA or PAUSADA can be cancelled."},
	[ACT_SETTLE_SENT] = {"there is nothing to settle",
						 "Only a run that is ATIVA or PAUSADA has a step that may be uncertain."},
	[ACT_SETTLE_UNSENT] = {"there is nothing to settle",
						   "Only a run that is ATIVA or PAUSADA has a step that may be uncertain."},
};

static void
refuse_other_active(const char *lead_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("lead \"%s\" is already active in this cadence with another run", lead_id),
			 errhint("Cancel one of the two runs, with cadence_cancel().")));
}

static void
refuse(const LockedRun *run, RunAct act, RunRefusal refusal)
{
	const char *id = uuid_text(&run->id);

	if (refusal == REFUSAL_STATUS)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("run %s is %s: %s", id, run->status_text, wordings[act].refusal),
						errhint("%s", wordings[act].hint)));
	if (refusal == REFUSAL_UNDER_WAY)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE), errmsg("run %s is being worked on", id),
						errhint("Try again when its attempt has ended.")));
	if (refusal == REFUSAL_CERTAIN)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the last attempt of run %s is not uncertain", id),
				 errhint("Only an attempt whose event has the codigo INCERTO or RETIDO can be "
						 "settled.")));
	refuse_other_active(run->lead_id);
}

/* Somebody else may have made the lead active since we looked: the index knows. */
static void
move_run(RunCalls *calls, const LockedRun *run, const RunTransition *to)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		cadence_run_move(calls->mover, run, to);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		if (!cadence_is_active_twice(CopyErrorData()))
			PG_RE_THROW();
		FlushErrorState();
		refuse_other_active(run->lead_id);
	}
	PG_END_TRY();
}

/* Locks the run of the first argument, and moves it or says why not. */
static RunTransition
act_on_run(FunctionCallInfo fcinfo, RunCalls *calls, RunAct act, LockedRun *run)
{
	RunTransition to;

	if (PG_ARGISNULL(0) || !cadence_run_lock(calls->mover, PG_GETARG_UUID_P(0), run))
		ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND),
						errmsg("run %s does not exist",
							   PG_ARGISNULL(0) ? "null" : uuid_text(PG_GETARG_UUID_P(0)))));
	to = cadence_run_transition(run, act, cadence_settle_time(run, act == ACT_SETTLE_SENT));
	if (to.refusal != REFUSAL_NONE)
		refuse(run, act, to.refusal);
	move_run(calls, run, &to);
	return to;
}

/*
 * cadence_pause(run uuid): nothing more is sent until cadence_resume(); a
 * message that is under way is not called back.
 *
 * Errors: P0002 when there is no such run, 55000 unless it is ATIVA.
 */
Datum
cadence_pause(PG_FUNCTION_ARGS)
{
	LockedRun run;

	(void) act_on_run(fcinfo, begin_call(fcinfo), ACT_PAUSE, &run);
	return end_call();
}

/*
 * cadence_resume(run uuid): its next step is due at its time, or now if that has
 * passed, with all its attempts again.
 *
 * Errors: P0002 when there is no such run, 55000 unless it is PAUSADA, 23505
 * when another run of the same lead and cadence is active.
 */
Datum
cadence_resume(PG_FUNCTION_ARGS)
{
	LockedRun run;

	(void) act_on_run(fcinfo, begin_call(fcinfo), ACT_RESUME, &run);
	return end_call();
}

/*
 * cadence_cancel(run uuid, motivo text): for good.
 *
 * Errors: P0002 when there is no such run, 55000 unless it is ATIVA or PAUSADA.
 */
Datum
cadence_cancel(PG_FUNCTION_ARGS)
{
	RunCalls *calls = begin_call(fcinfo);
	const char *motivo = text_arg(fcinfo, 1);
	LockedRun run;
	CadenceEvent event;

	(void) act_on_run(fcinfo, calls, ACT_CANCEL, &run);
	event = cadence_run_event(&run, "ERRO", event_cancelled_details(motivo));
	cadence_events_write(calls->events, &event, 1);
	return end_call();
}

/*
 * cadence_settle(run uuid, sent boolean): whoever knows what became of an
 * attempt that is uncertain, or held for review, says so, and the run goes on as
 * if the provider had answered.
 *
 * Errors: 22004 for sent that is null, P0002 when there is no such run, 55000
 * when there is nothing to settle, 55006 while an attempt is under way, 23505
 * when another run of the same lead and cadence is active.
 */
Datum
cadence_settle(PG_FUNCTION_ARGS)
{
	RunCalls *calls = begin_call(fcinfo);
	bool sent = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	LockedRun run;
	RunTransition to;

	if (PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("sent must not be null")));
	to = act_on_run(fcinfo, calls, sent ? ACT_SETTLE_SENT : ACT_SETTLE_UNSENT, &run);
	cadence_settle_write(calls->events, calls->messages, &run, &to, sent);
	return end_call();
}
