/*
 * status.c
 *		cadence_runner_status(): how the installation is; cadence_pause_worker() and
 *		cadence_resume_worker(): a database without its resident workers for a while.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/json.h"
#include "base/settings.h"
#include "base/statement.h"
#include "base/transaction.h"
#include "inbound/events.h"
#include "provider/options.h"
#include "provider/protocol.h"
#include "provider/provider.h"
#include "provider/provider_stats.h"
#include "schema/tables.h"
#include "server/registry.h"
#include "sqlapi/status.h"
#include "sqlapi/status_rules.h"

PG_FUNCTION_INFO_V1(cadence_runner_status);
PG_FUNCTION_INFO_V1(cadence_pause_worker);
PG_FUNCTION_INFO_V1(cadence_resume_worker);

/* More due runs are not counted. */
#define COUNT_MAX 1000000

/* Twice what a worker takes to end that has messages under way, and finds its tables locked. */
#define PAUSE_TIMEOUT_MS 10000

enum
{
	STATUS_DATABASE,
	STATUS_WORKERS,
	STATUS_PID,
	STATUS_STATE,
	STATUS_SINCE,
	STATUS_SEEN,
	STATUS_PROBLEM,
	STATUS_LAST_EXECUTION,
	STATUS_IN_FLIGHT,
	STATUS_WAITING,
	STATUS_NEXT_LOOK,
	STATUS_TABLES,						 /* due_now and the columns after it: what the tables say */
	STATUS_WARNINGS = STATUS_TABLES + 9, /* the last of them */
	STATUS_PROVIDERS,
	STATUS_COLUMNS
};

/* ---- what the tables say ------------------------------------------------------------ */

/* A row of the status, as text; NULL for a null. */
typedef struct StatusRow
{
	char *values[STATUS_COLUMNS];
	TimestampTz well_from; /* an execution that failed before is over */
} StatusRow;

/* As people read them: no parts of a second, and a colon only before something. */
#define SECOND(time) "pg_catalog.date_trunc('second', " time ")"
#define WHY(text) "CASE WHEN " text " " NE " '' THEN pg_catalog.concat(': ', " text ") END"

/*
 * Who does not send, since when, how many wait, and why in the provider's words;
 * and which templates are stopped there. The formatter would tear the text apart
 * at each macro.
 */
/* clang-format off */
static char *
shut_sql(const CadenceTables *t)
{
	return psprintf(
		"ARRAY(SELECT x.line FROM %s AS s CROSS JOIN LATERAL (VALUES "
		"(CASE WHEN s.paused_at IS NOT NULL THEN pg_catalog.format("
		"'server \"%%s\" has been paused since %%s, until cadence_provider_resume(); %%s wait%%s', "
		"s.server, " SECOND("s.paused_at") ", GREATEST(s.waiting, s.waited), "
		WHY("s.pause_reason") ") WHEN s.open_since IS NOT NULL THEN pg_catalog.format("
		"'server \"%%s\" has sent nothing since %%s, and is tried again at %%s; %%s wait%%s', "
		"s.server, " SECOND("s.open_since") ", " SECOND("s.open_until") ", "
		"GREATEST(s.waiting, s.waited), " WHY("s.open_reason") ") END), "
		"(CASE WHEN s.new_until " GT " $1 THEN pg_catalog.format("
		"'server \"%%s\" has written to nobody first since %%s, and does again at %%s%%s', "
		"s.server, " SECOND("s.new_since") ", " SECOND("s.new_until") ", "
		WHY("s.new_reason") ") END)) AS x (line) WHERE x.line IS NOT NULL ORDER BY x.line) "
		"OPERATOR(pg_catalog.||) ARRAY(SELECT pg_catalog.format('template \"%%s\" of company "
		"\"%%s\" has been stopped at server \"%%s\" since %%s, and is tried again at %%s%%s', "
		"m.codigo, m.empresa, m.servidor, " SECOND("m.em") ", " SECOND("m.tentar_em") ", "
		WHY("m.motivo") ") FROM %s AS m ORDER BY m.codigo, m.empresa, m.servidor)",
		t->sender_states, t->stopped_templates);
}
/* clang-format on */

/*
 * What webhooks have told that was not taken: how much, since when, and how many
 * messages in a day were of nobody who is known, wherever they are kept. Counted
 * from the newest, by an index, and no further than that.
 */
static char *
rejected_sql(const CadenceTables *t)
{
	return psprintf(
		"(SELECT pg_catalog.count(*) FROM (SELECT FROM %s AS x LIMIT %d) AS y), "
		"(SELECT x.em FROM %s AS x ORDER BY x.em DESC, x.id DESC LIMIT 1), "
		"(SELECT pg_catalog.count(*) FROM (SELECT FROM %s AS m WHERE m.lead_id IS NULL "
		"AND m.recebido_em " GE
		" ($1 OPERATOR(pg_catalog.-) interval '1 day') LIMIT %d) AS y) OPERATOR(pg_catalog.+) "
		"(SELECT pg_catalog.count(*) FROM (SELECT FROM %s AS x WHERE x.em " GE
		" ($1 OPERATOR(pg_catalog.-) interval '1 day') "
		"AND x.motivo " EQ " '" CADENCE_UNMATCHED "' LIMIT %d) AS y), ",
		t->rejected, COUNT_MAX, t->rejected, t->messages, COUNT_MAX, t->rejected, COUNT_MAX);
}

/* A warning, where there was something in the last hour. What it says may be a person's. */
static char *
rejected_lately_sql(const CadenceTables *t)
{
	return psprintf(
		"(SELECT CASE WHEN pg_catalog.count(*) " GT " 0 THEN pg_catalog.format("
		"'%%s answers or receipts could not be taken in the last hour, the last at %%s from server "
		"\"%%s\": look at cadence_rejected, and call cadence_rejected_retry()', "
		"pg_catalog.count(*), " SECOND(
			"pg_catalog.max(y.em)") ", "
									"(SELECT x.server FROM %s AS x ORDER BY x.em DESC, x.id DESC "
									"LIMIT 1)) END "
									"FROM (SELECT x.em FROM %s AS x WHERE x.em " GE
									" ($1 OPERATOR(pg_catalog.-) interval '1 hour') AND "
									"x.motivo " NE " '" CADENCE_EARLY "' LIMIT %d) AS y)",
		t->rejected, t->rejected, COUNT_MAX);
}

/* A warning, where news were given up. */
static char *
stopped_news_sql(const CadenceTables *t)
{
	return psprintf("(SELECT CASE WHEN pg_catalog.count(*) " GT " 0 THEN pg_catalog.format("
					"'%%s news for other tools could not be delivered, and are not tried again "
					"(cadence_outbox, status PARADA); the last: %%s', pg_catalog.count(*), "
					"(SELECT o.erro FROM %s AS o WHERE o.status " EQ " 'PARADA' "
					"ORDER BY o.id DESC LIMIT 1)) END FROM (SELECT FROM %s AS o WHERE o.status " EQ
					" 'PARADA' LIMIT %d) AS y)",
					t->outbox, t->outbox, COUNT_MAX);
}

/* A warning, where news wait for long, among those that come first. */
static char *
waiting_news_sql(const CadenceTables *t)
{
	return psprintf(
		"(SELECT CASE WHEN pg_catalog.count(*) " GT " 0 THEN pg_catalog.format("
		"'%%s news for other tools have waited for more than an hour (cadence_outbox, status "
		"PENDENTE), the oldest since %%s%%s', pg_catalog.count(*), " SECOND(
			"pg_catalog.min(y.created_at)") ", "
											"pg_catalog.concat(CASE WHEN pg_catalog.max(y.erro) IS "
											"NOT NULL THEN ': ' END, "
											"pg_catalog.max(y.erro))) END FROM (SELECT "
											"o.created_at, o.erro FROM %s AS o WHERE "
											"o.status " EQ
											" 'PENDENTE' ORDER BY o.next_run_at, o.id LIMIT %d) AS "
											"y WHERE y.created_at " LT
											" ($1 OPERATOR(pg_catalog.-) interval '1 hour'))",
		t->outbox, COUNT_MAX);
}

/* Set for whoever wants no numbers, but what is wrong: those take as long as there are rows. */
bool cadence_status_is_brief;

/* Brief: so many due runs are enough to be overdue. */
#define BRIEF_COUNT_MAX 1000

/* How many runs are held: each that is paused is looked at. */
static char *
uncertain_sql(const CadenceTables *t)
{
	if (cadence_status_is_brief)
		return "NULL::pg_catalog.int8, ";
	return psprintf("(SELECT pg_catalog.count(*) FROM %s AS r WHERE r.status " EQ " 'PAUSADA' "
					"AND (SELECT e.detalhes " JSON_TEXT " 'codigo' FROM %s AS e "
					"WHERE e.lead_cadence_run_id " EQ " r.id AND e.detalhes " JSON_TEXT
					" 'tardio' IS NULL "
					"ORDER BY e.created_at DESC, e.id DESC LIMIT 1) " EQ " 'INCERTO'), ",
					t->runs, t->events);
}

/* From STATUS_TABLES to STATUS_WARNINGS. */
static char *
state_sql(const CadenceTables *t)
{
	return psprintf(
		"SELECT d.n, d.oldest, d.lag, "
		/* one look-up for each claim, by the index of the due runs */
		"COALESCE((SELECT pg_catalog.sum((SELECT pg_catalog.count(*) FROM %s AS r "
		"WHERE r.status " EQ " 'ATIVA' AND r.next_run_at " GE " c.lease_end "
		"AND r.next_run_at " LE " c.lease_end AND (r.claim_id " EQ
		" c.claim_id) IS TRUE)) FROM %s AS c WHERE c.lease_end " GT " $1), 0), "
		"%s(SELECT r.next_run_at FROM %s AS r WHERE r.status " EQ " 'ATIVA' "
		"AND r.next_run_at " GT " $1 ORDER BY r.next_run_at, r.id LIMIT 1), "
		"%spg_catalog.array_cat(pg_catalog.array_remove(ARRAY[$2, "
		"(SELECT CASE WHEN pg_catalog.count(*) " GT " 0 THEN pg_catalog.format("
		"'active without next_run_at, so never due: %%s', pg_catalog.count(*)) END "
		"FROM %s AS r WHERE r.status " EQ " 'ATIVA' AND r.next_run_at IS NULL), "
		"(SELECT CASE WHEN l.executed_at " GE " $3 THEN "
		"pg_catalog.format('the last execution failed: %%s', l.details " JSON_TEXT " 'erro') END "
		"FROM (SELECT x.details, x.executed_at FROM %s AS x ORDER BY x.executed_at DESC LIMIT 1) "
		"AS l WHERE l.details " JSON_TEXT " 'erro' IS NOT NULL), %s, %s, %s], NULL), "
		"pg_catalog.array_cat($4, %s)) FROM (SELECT x.n, x.oldest, CASE WHEN "
		"pg_catalog.isfinite(x.oldest) "
		"THEN $1 OPERATOR(pg_catalog.-) x.oldest END AS lag FROM (SELECT "
		"(SELECT pg_catalog.count(*) FROM (SELECT FROM %s AS r WHERE r.status " EQ
		" 'ATIVA' AND r.next_run_at " LE " $1 LIMIT %d) AS y) AS n, "
		"(SELECT r.next_run_at::pg_catalog.timestamptz FROM %s AS r WHERE r.status " EQ
		" 'ATIVA' AND r.next_run_at " LE " $1 ORDER BY r.next_run_at, r.id LIMIT 1) AS oldest) "
		"AS x) AS d",
		t->runs, t->claims, uncertain_sql(t), t->runs, rejected_sql(t), t->runs, t->logs,
		rejected_lately_sql(t), stopped_news_sql(t), waiting_news_sql(t), shut_sql(t), t->runs,
		cadence_status_is_brief ? BRIEF_COUNT_MAX : COUNT_MAX, t->runs);
}

/* As the owner of the tables: whoever may call needs no right on any of them. */
static void
read_as_owner(const CadenceTables *t, StatusRow *row)
{
	static const Oid types[] = {TIMESTAMPTZOID, TEXTOID, TIMESTAMPTZOID, TEXTARRAYOID};
	MemoryContext context = CurrentMemoryContext;
	CadenceCaller caller = cadence_owner_begin(t->owner);
	Statement read = STATEMENT("reading the state", state_sql(t), types, SPI_OK_SELECT);
	const char *not_armed = RecoveryInProgress() ? NULL : cadence_arming_problem(t);
	Datum values[] = {TimestampTzGetDatum(GetCurrentTimestamp()), (Datum) 0,
					  TimestampTzGetDatum(row->well_from), (Datum) 0};

	if (not_armed != NULL)
		values[1] = CStringGetTextDatum(psprintf("nothing may be sent from here: %s", not_armed));
	read.in_query = true;
	(void) SPI_connect();
	/* what SPI has made goes with its connection */
	MemoryContextSwitchTo(context);
	values[3] = cadence_rule_problems(t);
	statement_execute(&read, values, not_armed != NULL ? NULL : " n  ", 1);
	for (int i = STATUS_TABLES; i <= STATUS_WARNINGS; i++)
		row->values[i] =
			SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i - STATUS_TABLES + 1);
	SPI_finish();
	cadence_owner_end(caller);
	if (row->values[STATUS_PROBLEM] == NULL)
		row->values[STATUS_PROBLEM] = unconstify(char *, not_armed);
}

static void
read_or_refuse(void *row, int first, int n)
{
	Oid schema = cadence_extension_schema();
	const char *missing = cadence_tables_missing(schema);

	if (missing != NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("table %s does not exist: call cadence_create_tables()", missing)));
	read_as_owner(cadence_tables_load(schema), row);
}

/* The last server's protocol, which is the next one's most often. */
typedef struct Spoken
{
	const char *protocol; /* NULL: none yet */
	Definition *definition;
} Spoken;

/* NULL: nobody has defined it. */
static const Definition *
definition_of(Spoken *spoken, const char *protocol)
{
	List *found;

	if (protocol == NULL)
		protocol = CADENCE_PROTOCOL_DEFAULT;
	if (spoken->protocol != NULL && strcmp(spoken->protocol, protocol) == 0)
		return spoken->definition;
	found = cadence_protocols_read(protocol);
	spoken->protocol = protocol;
	spoken->definition =
		found != NIL ? cadence_protocol_compile(((CadenceProtocol *) linitial(found))->definition)
					 : NULL;
	return spoken->definition;
}

/* A server's option whose value its provider takes no longer from a day on: both are said. */
static void
add_end(JsonObject *json, ForeignServer *server, Spoken *spoken)
{
	const Definition *d = definition_of(spoken, cadence_option_get(server->options, "protocol"));

	for (size_t i = 0; d != NULL && i < d->options.n; i++)
	{
		const DefinitionOption *option = &d->options.list[i];
		const char *value = cadence_option_get(server->options, option->name);

		if (value == NULL)
			value = option->otherwise;
		for (size_t k = 0; value != NULL && k < option->nends; k++)
			if (strcmp(option->ends[k].value, value) == 0)
			{
				json_add_text(json, "version", value);
				json_add_text(json, "version_ends", option->ends[k].date);
			}
	}
}

static Datum
provider_json(ForeignServer *server, Spoken *spoken)
{
	JsonObject json = json_begin();
	CadenceProviderStats stats;

	json_add_text(&json, "server", server->servername);
	json_add_text(&json, "canal", cadence_option_get(server->options, "canal"));
	json_add_text(&json, "empresa", cadence_option_get(server->options, "empresa"));
	add_end(&json, server, spoken);
	if (cadence_provider_stats_read(server->serverid, &stats))
	{
		json_add_int(&json, "in_flight", stats.in_flight);
		json_add_int(&json, "sent_last_hour", stats.sent);
		json_add_int(&json, "failed_last_hour", stats.failed);
		if (stats.last_error_at != 0)
		{
			json_add_text(&json, "last_error", stats.last_error);
			json_add_time(&json, "last_error_at", stats.last_error_at);
		}
	}
	return json_end(&json);
}

static char *
providers_json(void)
{
	List *objects = NIL;
	Spoken spoken = {0};
	ListCell *cell;
	Jsonb *all;

	foreach (cell, cadence_provider_servers())
	{
		ForeignServer *server = GetForeignServerExtended(lfirst_oid(cell), FSV_MISSING_OK);

		/* it may have been dropped since */
		if (server != NULL)
			objects = lappend(objects, DatumGetPointer(provider_json(server, &spoken)));
	}
	all = DatumGetJsonbP(json_array(objects));
	return JsonbToCString(NULL, &all->root, VARSIZE(all));
}

/*
 * A missing table, what the gate refuses, or an error of the reading itself is
 * told and not raised: who asks what is wrong shall hear the rest, too.
 */
static void
fill_tables(StatusRow *row)
{
	ErrorData *error = cadence_try(read_or_refuse, row, 0, 0, false);
	Datum message;

	if (error == NULL)
	{
		row->values[STATUS_PROVIDERS] = providers_json();
		return;
	}
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
		ReThrowError(error);
	if (row->values[STATUS_PROBLEM] == NULL)
		row->values[STATUS_PROBLEM] = error->message;
	message = CStringGetTextDatum(error->message);
	row->values[STATUS_WARNINGS] = OidOutputFunctionCall(
		F_ARRAY_OUT, PointerGetDatum(construct_array(&message, 1, TEXTOID, -1, false, 'i')));
}

/* ---- the status ------------------------------------------------------------------- */

static char *
time_text(TimestampTz at)
{
	return at != 0 ? pstrdup(timestamptz_to_str(at)) : NULL;
}

/* Of a database's workers: how many there are, what number 0 does, and what goes for all. */
static void
fill_workers(StatusRow *row, const ResidentDatabase *d)
{
	char **values = row->values;
	const ResidentWorker *first = &d->workers[0];
	TimestampTz last_execution = 0;
	TimestampTz seen_at = DT_NOEND;
	int in_flight = 0;
	int waiting = 0;
	int running = 0;

	for (int i = 0; i < CADENCE_WORKERS_MAX; i++)
	{
		const ResidentWorker *w = &d->workers[i];

		running += w->pid != 0;
		in_flight += w->in_flight;
		waiting += w->waiting;
		last_execution = Max(last_execution, w->last_execution);
		if (w->pid != 0)
			seen_at = Min(seen_at, w->seen_at);
	}
	values[STATUS_DATABASE] = pstrdup(d->name);
	values[STATUS_STATE] = pstrdup(registry_state(d));
	if (registry_problem(d)[0] != '\0')
		values[STATUS_PROBLEM] = pstrdup(registry_problem(d));
	values[STATUS_LAST_EXECUTION] = time_text(last_execution);
	values[STATUS_WORKERS] = psprintf("%d", running);
	if (running > 0)
	{
		values[STATUS_IN_FLIGHT] = psprintf("%d", in_flight);
		values[STATUS_WAITING] = psprintf("%d", waiting);
	}
	if (first->pid == 0)
		return;
	values[STATUS_PID] = psprintf("%d", first->pid);
	values[STATUS_SINCE] = time_text(first->started_at);
	values[STATUS_SEEN] = time_text(seen_at);
	values[STATUS_NEXT_LOOK] = time_text(first->wake_at);
	/* since it has begun, if it has either recorded something or lived for a while */
	if (first->activity != RESIDENT_STARTING &&
		(first->last_execution > first->started_at ||
		 first->seen_at - first->started_at > RESIDENT_SETTLED_US))
		row->well_from = first->started_at;
}

static void
put_row(ReturnSetInfo *result, const ResidentDatabase *d, bool is_here)
{
	StatusRow row = {.well_from = DT_NOBEGIN};

	if (d != NULL)
		fill_workers(&row, d);
	else
	{
		row.values[STATUS_DATABASE] = get_database_name(MyDatabaseId);
		row.values[STATUS_STATE] = RecoveryInProgress()		   ? "standby"
								   : cadence_registry_exists() ? "not configured"
															   : "not preloaded";
	}
	if (is_here)
		fill_tables(&row);
	tuplestore_puttuple(
		result->setResult,
		BuildTupleFromCStrings(TupleDescGetAttInMetadata(result->setDesc), row.values));
}

/*
 * cadence_runner_status() -> setof record: a row for each database that has
 * resident workers, and one for this database, which alone has what its tables
 * say.
 */
Datum
cadence_runner_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	char *here = get_database_name(MyDatabaseId);
	/* the values are written and read again as text */
	int guc_level = cadence_use_text_format();
	ResidentDatabase d;

	InitMaterializedSRF(fcinfo, 0);
	put_row(result, registry_find(here, &d) ? &d : NULL, true);
	for (int i = 0; cadence_registry_exists() && i < CADENCE_DATABASES_MAX; i++)
	{
		registry_read(i, &d);
		if (d.used && strcmp(d.name, here) != 0)
			put_row(result, &d, false);
	}
	AtEOXact_GUC(true, guc_level);
	PG_RETURN_VOID();
}

/* ---- pausing ------------------------------------------------------------------------ */

/*
 * Errors: 3D000 when there is no such database; 42501 when it is another's;
 * 55000 where it can not have, or shall not have, resident workers.
 */
static void
check_database(const char *name)
{
	Oid database = get_database_oid(name, false);
	ResidentDatabase d;

	if (!cadence_owns_database(database, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_DATABASE, name);
	if (!cadence_registry_exists())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this server has no resident workers"),
				 errdetail("The library cadence_runner is not preloaded."),
				 errhint("Add it to shared_preload_libraries, and start the server again.")));
	if (!registry_find(name, &d))
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("database \"%s\" has no resident worker", name),
			 errhint("cadence_runner.databases lists the databases that have resident workers.")));
}

/*
 * cadence_pause_worker(database name) -> void: tells the resident workers of a
 * database to end, waits until they have, and keeps them out until
 * cadence_resume_worker() or a restart of the server: for what needs a database
 * to itself. The pause belongs to no session, since whoever renames a database
 * must have left it.
 *
 * Errors: those of check_database(); 55006 when they have not ended in time:
 * they are still told to, so it can be called again.
 */
Datum
cadence_pause_worker(PG_FUNCTION_ARGS)
{
	const char *name = NameStr(*PG_GETARG_NAME(0));

	check_database(name);
	if (!registry_pause(name, PAUSE_TIMEOUT_MS))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("the resident workers of database \"%s\" have not ended yet", name),
						errdetail("They were told to, and none will be started."),
						errhint("Call cadence_pause_worker() again, or cadence_resume_worker().")));
	PG_RETURN_VOID();
}

/*
 * cadence_resume_worker(database name) -> void: ends a pause.
 *
 * Errors: those of check_database(); 55000 when there is no pause.
 */
Datum
cadence_resume_worker(PG_FUNCTION_ARGS)
{
	const char *name = NameStr(*PG_GETARG_NAME(0));

	check_database(name);
	if (!registry_resume(name))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the resident worker of database \"%s\" is not paused", name)));
	PG_RETURN_VOID();
}
