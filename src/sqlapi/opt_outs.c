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

#include "base/row.h"
#include "base/statement.h"
#include "base/transaction.h"
#include "inbound/sender.h"
#include "inbound/unsubscribe.h"
#include "record/opt_outs.h"
#include "schema/marks.h"

PG_FUNCTION_INFO_V1(cadence_opt_out);
PG_FUNCTION_INFO_V1(cadence_opt_in);

/* One that is misspelt would forbid nothing. NULL: all channels. */
static const char *
channel_arg(FunctionCallInfo fcinfo, int n)
{
	char *given;
	const char *canal;

	if (PG_ARGISNULL(n))
		return NULL;
	given = text_to_cstring(PG_GETARG_TEXT_PP(n));
	canal = cadence_channel_named(given);
	if (canal == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("\"%s\" is no channel", given),
				 errhint("Channels are WHATSAPP, SMS and EMAIL; null means all of them.")));
	return canal;
}

static void
require_person(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("lead_id and empresa must not be null")));
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

	(void) SPI_connect();
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
	const char *canal = channel_arg(fcinfo, 2);
	CadenceTables *t = cadence_tables_load(cadence_extension_schema());
	OptOut said = {
		.canal = canal, .origem = GetUserNameFromId(GetUserId(), false), .how = "operator"};

	require_person(fcinfo);
	said.lead_id = text_to_cstring(PG_GETARG_TEXT_PP(0));
	said.empresa = text_to_cstring(PG_GETARG_TEXT_PP(1));
	said.motivo = PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3));
	(void) SPI_connect();
	(void) cadence_opt_outs_add(cadence_opt_outs_create(t), &said, 1);
	SPI_finish();
	warn_of_stranger(t, PG_GETARG_DATUM(0), PG_GETARG_DATUM(1));
	PG_RETURN_VOID();
}

/* What a link has blocked, where its opt-out was the caller's to take back. */
static void
resubscribe(const CadenceTables *t, const OptOut *said)
{
	Unsubscribe who = {.canal = "EMAIL", .lead_id = said->lead_id, .empresa = said->empresa};
	CadenceCaller caller = cadence_inbound_begin(t);

	cadence_inbound_resubscribe(t, &who);
	cadence_owner_end(caller);
}

/*
 * cadence_opt_in(lead_id text, empresa text, canal text) -> boolean: takes back
 * what was noted of that channel, or of all where it is null; false: nothing was.
 * The contact's own opt_out is not touched. Its mailbox is taken off the company's
 * blocklist where the link to unsubscribe has put it there.
 *
 * Errors: as cadence_opt_out().
 */
Datum
cadence_opt_in(PG_FUNCTION_ARGS)
{
	const char *canal = channel_arg(fcinfo, 2);
	CadenceTables *t = cadence_tables_load(cadence_extension_schema());
	OptOut said = {.canal = canal};
	int64 n;

	require_person(fcinfo);
	said.lead_id = text_to_cstring(PG_GETARG_TEXT_PP(0));
	said.empresa = text_to_cstring(PG_GETARG_TEXT_PP(1));
	(void) SPI_connect();
	n = cadence_opt_outs_remove(cadence_opt_outs_create(t), &said);
	SPI_finish();
	if (n > 0 && (canal == NULL || strcmp(canal, "EMAIL") == 0))
		resubscribe(t, &said);
	PG_RETURN_BOOL(n > 0);
}
