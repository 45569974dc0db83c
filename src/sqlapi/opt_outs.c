/*
 * opt_outs.c
 *		cadence_opt_out() and cadence_opt_in(): who does not want to be written to,
 *		and who does again.
 *
 * They work in the caller's transaction and with the caller's rights, and are
 * written in contact_opt_outs, where what providers say is written, too.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/formatting.h"

#include "base/row.h"
#include "base/statement.h"
#include "base/transaction.h"
#include "schema/marks.h"

PG_FUNCTION_INFO_V1(cadence_opt_out);
PG_FUNCTION_INFO_V1(cadence_opt_in);

static const char *const channels[] = {"WHATSAPP", "SMS", "EMAIL"};

/* One that is misspelt would forbid nothing. NULL: all channels. */
static char *
channel_arg(FunctionCallInfo fcinfo, int n)
{
	char *given;
	char *canal;

	if (PG_ARGISNULL(n))
		return NULL;
	given = text_to_cstring(PG_GETARG_TEXT_PP(n));
	canal = asc_toupper(given, strlen(given));
	for (size_t i = 0; i < lengthof(channels); i++)
		if (strcmp(channels[i], canal) == 0)
			return canal;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("\"%s\" is no channel", given),
					errhint("Channels are WHATSAPP, SMS and EMAIL; null means all of them.")));
}

static void
require_person(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("lead_id and empresa must not be null")));
}

static void
connect_spi(void)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("SPI_connect failed")));
}

/* Whom an opt-out is of. */
typedef struct Person
{
	const CadenceTables *tables;
	Datum values[2];
	bool is_known;
} Person;

/* As the tables' owner: who notes an opt-out need not be allowed to read them. */
static void
look_for(void *arg, int first, int n)
{
	static const Oid types[] = {TEXTOID, TEXTOID};
	Person *p = arg;
	const CadenceTables *t = p->tables;
	char *is_theirs = cadence_opt_out_is_of(t, "x", "$1", "$2");
	Statement look =
		STATEMENT("looking for the person",
				  psprintf("SELECT EXISTS (SELECT FROM %s AS x WHERE %s) OR EXISTS (SELECT FROM %s "
						   "AS x WHERE x.status " EQ " 'ATIVA' AND %s)",
						   t->contacts, is_theirs, t->runs, is_theirs),
				  types, SPI_OK_SELECT);
	CadenceCaller caller = cadence_owner_begin(t->owner);

	connect_spi();
	statement_execute(&look, p->values, NULL, 0);
	p->is_known = row_true(SPI_tuptable->tupdesc, SPI_tuptable->vals[0], 1);
	SPI_finish();
	cadence_owner_end(caller);
}

/*
 * A company that is misspelt forbids nothing, too. But it may be somebody who has not
 * come to the tables yet, or is gone from there: what was said is not lost.
 */
static void
warn_of_stranger(const CadenceTables *t, Datum lead_id, Datum empresa)
{
	Person p = {.tables = t, .values = {lead_id, empresa}};
	ErrorData *error = cadence_try(look_for, &p, 0, 0, false);

	if (error != NULL && ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
		ReThrowError(error);
	if (error == NULL && !p.is_known)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("lead \"%s\" has neither a contact nor an active run in company \"%s\"",
						TextDatumGetCString(lead_id), TextDatumGetCString(empresa)),
				 errdetail("The opt-out is noted, and counts for this spelling.")));
}

/*
 * cadence_opt_out(lead_id text, empresa text, canal text, motivo text): from the
 * commit on no execution claims a message to that lead by that channel, or by any
 * where it is null. What has been said before stays as it was said.
 *
 * Errors: 22004 for a null lead or company; 22023 for what is no channel; 42501
 * without the right to write contact_opt_outs.
 */
Datum
cadence_opt_out(PG_FUNCTION_ARGS)
{
	static const Oid types[] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	char *canal = channel_arg(fcinfo, 2);
	CadenceTables *t = cadence_tables_load(cadence_extension_schema());
	Statement insert =
		STATEMENT("noting an opt-out",
				  psprintf("INSERT INTO %s (id, lead_id, empresa, canal, motivo, origem, em) "
						   "VALUES (pg_catalog.gen_random_uuid(), $1, $2, $3, $4, $5, " NOW ") "
						   "ON CONFLICT DO NOTHING",
						   t->opt_outs),
				  types, SPI_OK_INSERT);
	Datum values[] = {PG_ARGISNULL(0) ? (Datum) 0 : PG_GETARG_DATUM(0),
					  PG_ARGISNULL(1) ? (Datum) 0 : PG_GETARG_DATUM(1),
					  canal != NULL ? CStringGetTextDatum(canal) : (Datum) 0,
					  PG_ARGISNULL(3) ? (Datum) 0 : PG_GETARG_DATUM(3),
					  CStringGetTextDatum(GetUserNameFromId(GetUserId(), false))};
	const char nulls[] = {' ', ' ', canal != NULL ? ' ' : 'n', PG_ARGISNULL(3) ? 'n' : ' ', ' '};

	require_person(fcinfo);
	connect_spi();
	statement_execute(&insert, values, nulls, 0);
	SPI_finish();
	warn_of_stranger(t, values[0], values[1]);
	PG_RETURN_VOID();
}

/* Who was out of all channels, and is in by one again, stays out of the others. */
static char *
opt_in_sql(const CadenceTables *t)
{
	return psprintf(
		"WITH gone AS (DELETE FROM %s AS o WHERE %s AND ($3 IS NULL OR o.canal IS NULL "
		"OR " MARK_WORD(
			"o.canal") " " EQ " $3) "
					   "RETURNING o.lead_id, o.empresa, o.canal, o.categoria, o.motivo, o.origem, "
					   "o.em), "
					   "others AS (INSERT INTO %s (id, lead_id, empresa, canal, categoria, motivo, "
					   "origem, em) "
					   "SELECT pg_catalog.gen_random_uuid(), g.lead_id, g.empresa, c.canal, "
					   "g.categoria, "
					   "g.motivo, g.origem, g.em FROM gone AS g CROSS JOIN (VALUES "
					   "('%s'::pg_catalog.text), "
					   "('%s'), ('%s')) AS c(canal) WHERE g.canal IS NULL AND c.canal " NE " $3 "
					   "ON CONFLICT DO NOTHING) SELECT pg_catalog.count(*) FROM gone",
		t->opt_outs, cadence_opt_out_is_of(t, "o", "$1", "$2"), t->opt_outs, channels[0],
		channels[1], channels[2]);
}

/*
 * cadence_opt_in(lead_id text, empresa text, canal text) -> boolean: takes back
 * what was noted of that channel, or of all where it is null; false: nothing was.
 * The contact's own opt_out is not touched.
 *
 * Errors: as cadence_opt_out().
 */
Datum
cadence_opt_in(PG_FUNCTION_ARGS)
{
	static const Oid types[] = {TEXTOID, TEXTOID, TEXTOID};
	char *canal = channel_arg(fcinfo, 2);
	CadenceTables *t = cadence_tables_load(cadence_extension_schema());
	Statement delete = STATEMENT("taking opt-outs back", opt_in_sql(t), types, SPI_OK_SELECT);
	Datum values[] = {PG_ARGISNULL(0) ? (Datum) 0 : PG_GETARG_DATUM(0),
					  PG_ARGISNULL(1) ? (Datum) 0 : PG_GETARG_DATUM(1),
					  canal != NULL ? CStringGetTextDatum(canal) : (Datum) 0};
	bool isnull;
	int64 n;

	require_person(fcinfo);
	connect_spi();
	statement_execute(&delete, values, canal != NULL ? NULL : "  n", 0);
	n = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	PG_RETURN_BOOL(n > 0);
}
