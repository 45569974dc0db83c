/*
 * status.c
 *		cadence_runner_status(): how the installation is.
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

#include "base/json.h"
#include "base/statement.h"
#include "base/transaction.h"
#include "provider/options.h"
#include "provider/protocol.h"
#include "provider/provider.h"
#include "provider/provider_stats.h"
#include "schema/tables.h"
#include "server/registry.h"
#include "sqlapi/status.h"
#include "sqlapi/status_rules.h"

PG_FUNCTION_INFO_V1(cadence_runner_status);

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

/* As the owner of the tables: whoever may call needs no right on any of them. */
static void
read_as_owner(const CadenceTables *t, StatusRow *row)
{
	static const Oid types[] = {TIMESTAMPTZOID, TEXTOID, TIMESTAMPTZOID, TEXTARRAYOID};
	MemoryContext context = CurrentMemoryContext;
	CadenceCaller caller = cadence_owner_begin(t->owner);
	Statement read = STATEMENT("reading the state", cadence_status_sql(t), types, SPI_OK_SELECT);
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
