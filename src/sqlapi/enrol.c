/*
 * enrol.c
 *		cadence_enroll() and cadence_enroll_many(): a lead, or many, are enrolled in
 *		a cadence.
 *
 * They work in the caller's transaction and with the caller's rights. What a call has
 * prepared is kept for the query that it is a part of: fifty thousand leads may be
 * enrolled by one, too.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/row.h"
#include "base/statement.h"
#include "schema/key.h"
#include "sqlapi/enrolment.h"

PG_FUNCTION_INFO_V1(cadence_enroll);
PG_FUNCTION_INFO_V1(cadence_enroll_many);

/* What the calls of one query share. */
typedef struct EnrolCalls
{
	CadenceChoice *choice;
	CadenceEnrolment *enrolment;
	Statement sort;
} EnrolCalls;

/* Leads in the order of their ids as the runs' column compares them, and the first of each. */
static char *
sort_sql(const CadenceTables *t)
{
	return psprintf("SELECT k.n, pg_catalog.first_value(k.n) OVER (PARTITION BY k.id ORDER BY k.n) "
					"FROM (SELECT d.n, %s AS id FROM " ROWSET_NAME " AS d) AS k "
					"ORDER BY k.id, k.n",
					cadence_key_of(t, "lead_cadence_runs", "lead_id", "d.lead_id"));
}

enum
{
	SORTED_NUMBER = 1,
	SORTED_FIRST
};

static void *
make_calls(const CadenceTables *t)
{
	EnrolCalls *calls = palloc0(sizeof(*calls));

	calls->choice = cadence_choice_create(t);
	calls->enrolment = cadence_enrolment_create(t);
	calls->sort = ROWS_STATEMENT("sorting leads", sort_sql(t), SPI_OK_SELECT);
	return calls;
}

/* Connects to SPI, in whose memory what follows is. */
static EnrolCalls *
begin_call(FunctionCallInfo fcinfo)
{
	EnrolCalls *calls = cadence_query_companion(fcinfo, make_calls);

	(void) SPI_connect();
	return calls;
}

static void
require(FunctionCallInfo fcinfo, const char *leads)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("%s, cadence_codigo and start_at must not be null", leads)));
}

static EnrolWish
wish_of(FunctionCallInfo fcinfo)
{
	return (EnrolWish){.codigo = text_to_cstring(PG_GETARG_TEXT_PP(1)),
					   .empresa = PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3)),
					   .start = PG_GETARG_TIMESTAMPTZ(2)};
}

static bool
is_lead(Datum lead_id, bool is_null)
{
	Size length = is_null ? 0 : VARSIZE_ANY_EXHDR(DatumGetPointer(lead_id));

	return length > 0 && length <= ROW_KEY_MAX;
}

/* ---- one ---------------------------------------------------------------------------- */

/* No contact can be found by such an id: its run would wait for ever. */
static void
require_lead(Datum lead_id)
{
	if (!is_lead(lead_id, false))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a lead_id has 1 to %d bytes", ROW_KEY_MAX),
						errhint("It is that of the lead's row in lead_contacts.")));
}

static void
refuse(const EnrolLead *lead, const EnrolWish *wish)
{
	const char *id = TextDatumGetCString(lead->lead_id);

	if (lead->result == ENROL_PASSED)
		ereport(ERROR, (errcode(ERRCODE_UNIQUE_VIOLATION),
						errmsg("lead \"%s\" has been in cadence \"%s\" already", id, wish->codigo),
						errhint("A lead is enrolled in it once: cadences.reentrada is UMA_VEZ.")));
	if (lead->result == ENROL_ELSEWHERE)
		ereport(ERROR, (errcode(ERRCODE_UNIQUE_VIOLATION),
						errmsg("lead \"%s\" is in cadence \"%s\", which is exclusive as \"%s\" is",
							   id, lead->other, wish->codigo),
						errhint("Cancel that run first, with cadence_cancel().")));
	cadence_enrol_refuse_active(lead, wish);
}

/*
 * cadence_enroll(lead_id text, cadence_codigo text, start_at timestamptz,
 * empresa text) -> uuid of the run.
 *
 * Errors: 22004 for a null; 22023 for what can be no lead; P0002 when there is no such cadence,
 * P0003 when several companies have it and none is named; 55000 when it is inactive or has no
 * steps; 23505 when the lead is active in it already, has been in it and may be only once, or is in
 * another cadence and both are exclusive.
 */
Datum
cadence_enroll(PG_FUNCTION_ARGS)
{
	pg_uuid_t *id = palloc(UUID_LEN);
	EnrolCalls *calls = begin_call(fcinfo);
	EnrolLead lead = {0};
	EnrolLead *leads[] = {&lead};
	EnrolWish wish;

	require(fcinfo, "lead_id");
	wish = wish_of(fcinfo);
	lead.lead_id = PointerGetDatum(PG_GETARG_TEXT_PP(0));
	require_lead(lead.lead_id);
	cadence_enrolment_open(calls->enrolment, &wish,
						   cadence_choice_make(calls->choice, &wish, leads, 1));
	cadence_enrolment_add(calls->enrolment, leads, 1);
	if (!enrol_begins(lead.result))
		refuse(&lead, &wish);
	*id = lead.run;
	SPI_finish();
	PG_RETURN_UUID_P(id);
}

/* ---- many --------------------------------------------------------------------------- */

static EnrolLead *
read_leads(ArrayType *array, bool **are_null, int *n)
{
	Datum *values;
	EnrolLead *leads;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, are_null, n);
	leads = palloc_extended(sizeof(*leads) * Max(*n, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < *n; i++)
	{
		leads[i].lead_id = values[i];
		leads[i].result = is_lead(values[i], (*are_null)[i]) ? ENROL_NEW : ENROL_INVALID;
	}
	pfree(values);
	return leads;
}

/* Those that can be enrolled, each once and in order; first_of: of the others, whom they repeat. */
static int
sort_leads(EnrolCalls *calls, EnrolLead *leads, int n, EnrolLead **sorted, int *first_of)
{
	Rowset rows;
	int nsorted = 0;
	static const RowsetColumn columns[] = {{"n", INT4OID}, {"lead_id", TEXTOID}};

	rowset_begin(&rows, columns, lengthof(columns));
	for (int i = 0; i < n; i++)
		if (leads[i].result != ENROL_INVALID)
		{
			rowset_put_int(&rows, i);
			rowset_put_datum(&rows, leads[i].lead_id);
		}
	statement_execute(&calls->sort, NULL, NULL, 0);
	rowset_end(&rows);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		int number = row_int(SPI_tuptable->tupdesc, SPI_tuptable->vals[i], SORTED_NUMBER, 0);

		first_of[number] = row_int(SPI_tuptable->tupdesc, SPI_tuptable->vals[i], SORTED_FIRST, 0);
		if (first_of[number] == number)
			sorted[nsorted++] = &leads[number];
		else
			leads[number].result = ENROL_REPEATED;
	}
	SPI_freetuptable(SPI_tuptable);
	return nsorted;
}

/* A chunk's memory is its own. */
static void
add_leads(CadenceEnrolment *enrolment, EnrolLead **sorted, int n)
{
	MemoryContext chunk = AllocSetContextCreate(CurrentMemoryContext, "cadence_runner enrolment",
												ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(chunk);

	for (int first = 0; first < n; first += ENROL_CHUNK)
	{
		CHECK_FOR_INTERRUPTS();
		cadence_enrolment_add(enrolment, sorted + first, Min(n - first, ENROL_CHUNK));
		MemoryContextReset(chunk);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(chunk);
}

static const char *const result_words[] = {[ENROL_NEW] = "INSCRITO",
										   [ENROL_OVER] = "INSCRITO",
										   [ENROL_ACTIVE] = "JA_ATIVO",
										   [ENROL_PASSED] = "JA_PASSOU",
										   [ENROL_ELSEWHERE] = "EM_OUTRA_EXCLUSIVA",
										   [ENROL_REPEATED] = "REPETIDO",
										   [ENROL_INVALID] = "INVALIDO"};

/* NULL: there is nothing to say. */
static const char *
motivo_of(const EnrolLead *lead, bool is_null)
{
	switch (lead->result)
	{
		case ENROL_NEW:
			return lead->has_contact ? NULL : "sem contato";
		case ENROL_OVER:
			return lead->has_contact ? "reentrada" : "reentrada, sem contato";
		case ENROL_ELSEWHERE:
			return lead->other;
		case ENROL_INVALID:
			if (is_null)
				return "lead_id nulo";
			return VARSIZE_ANY_EXHDR(DatumGetPointer(lead->lead_id)) == 0 ? "lead_id vazio"
																		  : "lead_id longo demais";
		default:
			return NULL;
	}
}

/* In the order in which they were given. */
static void
put_results(ReturnSetInfo *result, EnrolLead *leads, const bool *are_null, const int *first_of,
			int n)
{
	for (int i = 0; i < n; i++)
	{
		const EnrolLead *lead = &leads[i];
		const EnrolLead *first = lead->result == ENROL_REPEATED ? &leads[first_of[i]] : lead;
		const char *motivo = motivo_of(lead, are_null[i]);
		Datum values[4] = {lead->lead_id, UUIDPGetDatum(&first->run),
						   CStringGetTextDatum(result_words[lead->result])};
		bool nulls[4] = {are_null[i], !first->has_run, false, motivo == NULL};

		values[3] = motivo != NULL ? CStringGetTextDatum(motivo) : (Datum) 0;
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		pfree(DatumGetPointer(values[2]));
		if (motivo != NULL)
			pfree(DatumGetPointer(values[3]));
	}
}

/*
 * cadence_enroll_many(lead_ids text[], cadence_codigo text, start_at timestamptz,
 * empresa text) -> setof (lead_id, run, resultado, motivo), in the order of the array.
 *
 * Errors: those of cadence_enroll() that are about the cadence, and of
 * cadence_enrolment_add(). What is about a lead is a result.
 */
Datum
cadence_enroll_many(PG_FUNCTION_ARGS)
{
	MemoryContext own = CurrentMemoryContext;
	EnrolCalls *calls;
	EnrolLead *leads;
	EnrolLead **sorted;
	EnrolWish wish;
	bool *are_null;
	int *first_of;
	int n;
	int nsorted;

	require(fcinfo, "lead_ids");
	InitMaterializedSRF(fcinfo, 0);
	calls = begin_call(fcinfo);
	MemoryContextSwitchTo(own);
	wish = wish_of(fcinfo);
	wish.wants_contact = true;
	leads = read_leads(PG_GETARG_ARRAYTYPE_P(0), &are_null, &n);
	sorted = palloc_extended(sizeof(*sorted) * Max(n, 1), MCXT_ALLOC_HUGE);
	first_of = palloc_extended(sizeof(*first_of) * Max(n, 1), MCXT_ALLOC_HUGE);
	nsorted = sort_leads(calls, leads, n, sorted, first_of);
	cadence_enrolment_open(calls->enrolment, &wish,
						   cadence_choice_make(calls->choice, &wish, sorted, nsorted));
	add_leads(calls->enrolment, sorted, nsorted);
	SPI_finish();
	MemoryContextSwitchTo(own);
	put_results((ReturnSetInfo *) fcinfo->resultinfo, leads, are_null, first_of, n);
	PG_RETURN_VOID();
}
