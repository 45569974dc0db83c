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
#include "provider/options.h"
#include "provider/provider.h"
#include "provider/sender_state.h"
#include "schema/tables.h"

PG_FUNCTION_INFO_V1(cadence_provider_pause);
PG_FUNCTION_INFO_V1(cadence_provider_resume);

static ForeignServer *
require_server(const char *name)
{
	ForeignServer *server = GetForeignServerByName(name, true);

	if (server == NULL || !list_member_oid(cadence_provider_servers(), server->serverid))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("server \"%s\" of cadence_provider does not exist", name)));
	if (cadence_is_no_sender(name))
		ereport(ERROR, (errcode(ERRCODE_INVALID_NAME), errmsg("server \"%s\" is no sender", name),
						errdetail("Names that begin with \"limit_group \" or \"domain \" are those "
								  "of limits that servers share, or have for a domain."),
						errhint("ALTER SERVER ... RENAME TO gives it another.")));
	return server;
}

/* Whoever is put off while a sender is shut comes back at the end of its round, or soon after. A
 * wait has an end, whatever the row says (see rules/transition.c). */
#define LATEST_ROUND "(" NOW " OPERATOR(pg_catalog.+) interval '367 days')"
#define ROUND_ENDS                                                              \
	"(LEAST(GREATEST(s.open_until, s.round_until, " NOW "), " LATEST_ROUND ") " \
	"OPERATOR(pg_catalog.+) interval '1 minute')"

/*
 * Makes due what waits since a sender is shut, by what each run's last event says.
 * Others that have the same time keep it.
 */
static void
let_go(const CadenceTables *t, Datum server)
{
	static const Oid types[] = {TEXTOID};
	Statement update = STATEMENT(
		"making due what waits for a sender",
		psprintf("UPDATE %s SET next_run_at = " NOW ", updated_at = " NOW " WHERE id " EQ " ANY ("
				 "SELECT r.id FROM %s AS s JOIN %s AS r ON r.next_run_at " GT " " NOW
				 " AND r.next_run_at " LE " " ROUND_ENDS " JOIN LATERAL "
				 "(SELECT x.detalhes FROM %s AS x WHERE x.lead_cadence_run_id " EQ " r.id "
				 "ORDER BY x.created_at DESC, x.id DESC LIMIT 1) AS e "
				 "ON e.detalhes " JSON_TEXT " 'provedor' " EQ " $1 AND e.detalhes " JSON_TEXT
				 " 'codigo' " EQ " ANY ('{PROVEDOR_PARADO,PROVEDOR_PAUSADO}') "
				 "WHERE s.server " EQ " $1 AND r.status " EQ " 'ATIVA' AND r.claim_id IS NULL "
				 "ORDER BY r.id FOR UPDATE OF r SKIP LOCKED)",
				 t->runs, t->sender_states, t->runs, t->events),
		types, SPI_OK_UPDATE);

	statement_execute(&update, &server, NULL, 0);
}

/* Changes a sender's state, whose row may not be there yet; inside an SPI connection. */
static void
set_state(const CadenceTables *tables, Datum server, const char *assignments, Datum reason,
		  bool has_reason)
{
	static const Oid types[] = {TEXTOID, TEXTOID};
	Datum values[] = {server, reason};
	Statement statement =
		STATEMENT("changing a sender's state",
				  psprintf("INSERT INTO %s AS s (server, paused_at, pause_reason) "
						   "VALUES ($1, CASE WHEN $2 IS NULL THEN NULL ELSE " NOW " END, $2) "
						   "ON CONFLICT (server) DO UPDATE SET %s",
						   tables->sender_states, assignments),
				  types, SPI_OK_INSERT);

	statement_execute(&statement, values, has_reason ? NULL : " n", 0);
}

/* The tables, connected to SPI; the server is one of ours. */
static CadenceTables *
begin_call(FunctionCallInfo fcinfo, ForeignServer **server)
{
	CadenceTables *tables;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("server must not be null")));
	tables = cadence_tables_load(cadence_extension_schema());
	*server = require_server(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	(void) SPI_connect();
	return tables;
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
	ForeignServer *server;
	CadenceTables *tables = begin_call(fcinfo, &server);
	Datum reason = PG_ARGISNULL(1) ? CStringGetTextDatum("") : PG_GETARG_DATUM(1);

	set_state(tables, PG_GETARG_DATUM(0),
			  "paused_at = " NOW ", pause_reason = excluded.pause_reason", reason, true);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * cadence_provider_resume(server text) -> void: opens what was paused by hand, a
 * breaker that has opened by itself, and what the provider has asked to wait for.
 * What waits since the server is shut is due at once.
 *
 * Errors: as cadence_provider_pause(), and 42501 without the right to read
 * lead_cadence_events and to change lead_cadence_runs.
 */
Datum
cadence_provider_resume(PG_FUNCTION_ARGS)
{
	ForeignServer *server;
	CadenceTables *tables = begin_call(fcinfo, &server);
	const char *group = cadence_option_get(server->options, "limit_group");

	let_go(tables, PG_GETARG_DATUM(0));
	set_state(tables, PG_GETARG_DATUM(0),
			  "paused_at = NULL, pause_reason = NULL, open_since = NULL, open_until = NULL, "
			  "open_reason = NULL, openings = 0, last_answers = NULL, next_at = NULL, round_until "
			  "= NULL, waiting = 0, "
			  "waited = 0, new_since = NULL, new_until = NULL, new_reason = NULL, new_stops = 0, "
			  "slow_until = NULL, slow_downs = 0",
			  (Datum) 0, false);
	if (group != NULL)
		set_state(tables, CStringGetTextDatum(cadence_limit_group_key(group)),
				  "next_at = NULL, slow_until = NULL, slow_downs = 0", (Datum) 0, false);
	SPI_finish();
	PG_RETURN_VOID();
}
