/*
 * senders.c
 *		cadence_provider_pause() and cadence_provider_resume(): a sender is shut
 *		and opened by hand.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "utils/builtins.h"

#include "base/statement.h"
#include "provider/provider.h"
#include "schema/tables.h"

PG_FUNCTION_INFO_V1(cadence_provider_pause);
PG_FUNCTION_INFO_V1(cadence_provider_resume);

static void
require_server(const char *name)
{
	ForeignServer *server = GetForeignServerByName(name, true);

	if (server == NULL || !list_member_oid(cadence_provider_servers(), server->serverid))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("server \"%s\" of cadence_provider does not exist", name)));
}

/* Changes a sender's state, whose row may not be there yet. */
static void
set_state(Datum server, const char *assignments, Datum reason, bool has_reason)
{
	CadenceTables *tables = cadence_tables_load(cadence_extension_schema());
	static const Oid types[] = {TEXTOID, TEXTOID};
	Datum values[] = {server, reason};
	Statement statement =
		STATEMENT("changing a sender's state",
				  psprintf("INSERT INTO %s AS s (server, paused_at, pause_reason) "
						   "VALUES ($1, CASE WHEN $2 IS NULL THEN NULL ELSE " NOW " END, $2) "
						   "ON CONFLICT (server) DO UPDATE SET %s",
						   tables->sender_states, assignments),
				  types, SPI_OK_INSERT);

	require_server(TextDatumGetCString(server));
	if (SPI_connect() != SPI_OK_CONNECT)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("SPI_connect failed")));
	statement_execute(&statement, values, has_reason ? NULL : " n", 0);
	SPI_finish();
}

/*
 * cadence_provider_pause(server text, motivo text DEFAULT NULL) -> void: nothing
 * leaves by this server until cadence_provider_resume(); what is due to it waits,
 * and uses no attempt.
 *
 * Errors: 42704 when there is no such server of the wrapper; 42501 without the
 * right to write cadence_provider_state.
 */
Datum
cadence_provider_pause(PG_FUNCTION_ARGS)
{
	bool has_reason = !PG_ARGISNULL(1);

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("server must not be null")));
	set_state(PG_GETARG_DATUM(0), "paused_at = " NOW ", pause_reason = excluded.pause_reason",
			  has_reason ? PG_GETARG_DATUM(1) : CStringGetTextDatum(""), true);
	PG_RETURN_VOID();
}

/*
 * cadence_provider_resume(server text) -> void: opens what was paused by hand, a
 * breaker that has opened by itself, and what the provider has asked to wait for.
 *
 * Errors: as cadence_provider_pause().
 */
Datum
cadence_provider_resume(PG_FUNCTION_ARGS)
{
	set_state(PG_GETARG_DATUM(0),
			  "paused_at = NULL, pause_reason = NULL, open_since = NULL, open_until = NULL, "
			  "open_reason = NULL, openings = 0, last_answers = NULL, next_at = NULL, round_until "
			  "= NULL, waiting = 0, "
			  "waited = 0, new_since = NULL, new_until = NULL, new_reason = NULL, new_stops = 0, "
			  "slow_until = NULL, slow_downs = 0",
			  (Datum) 0, false);
	PG_RETURN_VOID();
}
