/*
 * status.c
 *		cadence_runner_status() and cadence_health(): how the installation is, for
 *		people and for alerts.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "sqlapi/state_queries.h"
#include "base/json.h"
#include "provider/options.h"
#include "server/registry.h"
#include "base/settings.h"
#include "provider/provider_stats.h"

PG_FUNCTION_INFO_V1(cadence_runner_status);
PG_FUNCTION_INFO_V1(cadence_health);

/* A worker goes round its loop at least once a minute. */
#define STUCK_US (150 * USECS_PER_SEC)

/* So many failures in a row, and nothing sent, are no accident. */
#define FAILING_MIN 5

enum
{
	STATUS_DATABASE,
	STATUS_PID,
	STATUS_STATE,
	STATUS_SINCE,
	STATUS_SEEN,
	STATUS_PROBLEM,
	STATUS_LAST_EXECUTION,
	STATUS_IN_FLIGHT,
	STATUS_WAITING,
	STATUS_NEXT_LOOK,
	STATUS_DUE,
	STATUS_OLDEST_DUE,
	STATUS_LAG,
	STATUS_CLAIMED,
	STATUS_UNCERTAIN,
	STATUS_NEXT_DUE,
	STATUS_PROVIDERS,
	STATUS_COLUMNS
};

/* ---- providers -------------------------------------------------------------------- */

static void
append_provider(StringInfo json, ForeignServer *server)
{
	CadenceProviderStats stats;

	if (json->len > 1)
		appendStringInfoString(json, ", ");
	appendStringInfoChar(json, '{');
	json_add_text(json, "server", server->servername);
	json_add_text(json, "canal", cadence_option_get(server->options, "canal"));
	json_add_text(json, "empresa", cadence_option_get(server->options, "empresa"));
	if (cadence_provider_stats_read(server->serverid, &stats))
	{
		json_add_int(json, "in_flight", stats.in_flight);
		json_add_int(json, "sent_last_hour", stats.sent);
		json_add_int(json, "failed_last_hour", stats.failed);
		if (stats.last_error_at != 0)
		{
			json_add_text(json, "last_error", stats.last_error);
			json_add_time(json, "last_error_at", stats.last_error_at);
		}
	}
	appendStringInfoChar(json, '}');
}

/* The servers of our wrapper, in the current memory context. */
static List *
our_servers(void)
{
	ForeignDataWrapper *wrapper = GetForeignDataWrapperByName("cadence_provider", false);
	Relation rel = table_open(ForeignServerRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	List *servers = NIL;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_foreign_server form = (Form_pg_foreign_server) GETSTRUCT(tuple);

		if (form->srvfdw == wrapper->fdwid)
			servers = lappend(servers, GetForeignServer(form->oid));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return servers;
}

static Datum
providers_json(void)
{
	StringInfoData json;
	ListCell *cell;

	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	foreach (cell, our_servers())
		append_provider(&json, lfirst(cell));
	appendStringInfoChar(&json, ']');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

/* ---- the status ------------------------------------------------------------------- */

static void
set_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL || text[0] == '\0';
	if (!nulls[column])
		values[column] = CStringGetTextDatum(text);
}

static void
set_time(Datum *values, bool *nulls, int column, TimestampTz at)
{
	nulls[column] = at == 0;
	values[column] = TimestampTzGetDatum(at);
}

static void
set_number(Datum *values, bool *nulls, int column, int64 number)
{
	nulls[column] = false;
	values[column] = Int64GetDatum(number);
}

static void
fill_worker(Datum *values, bool *nulls, const ResidentSlot *slot)
{
	set_text(values, nulls, STATUS_DATABASE, slot->name);
	set_text(values, nulls, STATUS_STATE, registry_state_name(slot->state));
	set_text(values, nulls, STATUS_PROBLEM, slot->problem);
	set_time(values, nulls, STATUS_LAST_EXECUTION, slot->last_execution);
	if (slot->pid == 0)
		return;
	nulls[STATUS_PID] = false;
	values[STATUS_PID] = Int32GetDatum(slot->pid);
	set_time(values, nulls, STATUS_SINCE, slot->started_at);
	set_time(values, nulls, STATUS_SEEN, slot->seen_at);
	set_time(values, nulls, STATUS_NEXT_LOOK, slot->wake_at);
	set_number(values, nulls, STATUS_IN_FLIGHT, slot->in_flight);
	set_number(values, nulls, STATUS_WAITING, slot->waiting);
}

static void
fill_figures(Datum *values, bool *nulls)
{
	CadenceFigures f;
	char *none = cadence_figures_read(&f);

	if (none != NULL)
	{
		if (nulls[STATUS_PROBLEM])
			set_text(values, nulls, STATUS_PROBLEM, none);
		return;
	}
	if (nulls[STATUS_PROBLEM])
		set_text(values, nulls, STATUS_PROBLEM, f.not_armed);
	set_number(values, nulls, STATUS_DUE, f.due);
	set_time(values, nulls, STATUS_OLDEST_DUE, f.oldest_due);
	nulls[STATUS_LAG] = f.oldest_due == 0 || TIMESTAMP_NOT_FINITE(f.oldest_due);
	if (!nulls[STATUS_LAG])
		values[STATUS_LAG] =
			DirectFunctionCall2(timestamp_mi, TimestampTzGetDatum(GetCurrentTimestamp()),
								TimestampTzGetDatum(f.oldest_due));
	set_number(values, nulls, STATUS_CLAIMED, f.claimed);
	set_number(values, nulls, STATUS_UNCERTAIN, f.uncertain);
	set_time(values, nulls, STATUS_NEXT_DUE, f.next_due);
	nulls[STATUS_PROVIDERS] = false;
	values[STATUS_PROVIDERS] = providers_json();
}

/* The slot of a database by its name; false when it is not to have a worker. */
static bool
find_slot(const char *database, ResidentSlot *slot)
{
	for (int i = 0; cadence_registry_exists() && i < CADENCE_RESIDENTS_MAX; i++)
	{
		registry_read(i, slot);
		if (slot->used && strcmp(slot->name, database) == 0)
			return true;
	}
	return false;
}

static const char *
state_without_worker(void)
{
	if (RecoveryInProgress())
		return "standby";
	return cadence_registry_exists() ? "not configured" : "not preloaded";
}

static void
put_row(ReturnSetInfo *result, const ResidentSlot *slot, const char *database, bool with_figures)
{
	Datum values[STATUS_COLUMNS] = {0};
	bool nulls[STATUS_COLUMNS];

	memset(nulls, true, sizeof(nulls));
	if (slot != NULL)
		fill_worker(values, nulls, slot);
	else
	{
		set_text(values, nulls, STATUS_DATABASE, database);
		set_text(values, nulls, STATUS_STATE, state_without_worker());
	}
	if (with_figures)
		fill_figures(values, nulls);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * cadence_runner_status() -> setof record: a row for each database that has a
 * resident worker, and one for this database, which alone has the figures of
 * its tables.
 */
Datum
cadence_runner_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	char *here = get_database_name(MyDatabaseId);
	ResidentSlot slot;

	InitMaterializedSRF(fcinfo, 0);
	put_row(result, find_slot(here, &slot) ? &slot : NULL, here, true);
	for (int i = 0; cadence_registry_exists() && i < CADENCE_RESIDENTS_MAX; i++)
	{
		registry_read(i, &slot);
		if (slot.used && strcmp(slot.name, here) != 0)
			put_row(result, &slot, NULL, false);
	}
	PG_RETURN_VOID();
}

/* ---- health ------------------------------------------------------------------------- */

static void
add_reason(ArrayBuildState **reasons, char *text)
{
	*reasons =
		accumArrayResult(*reasons, CStringGetTextDatum(text), false, TEXTOID, CurrentMemoryContext);
}

static void
judge_worker(ArrayBuildState **reasons)
{
	ResidentSlot slot;
	TimestampTz now = GetCurrentTimestamp();

	if (!find_slot(get_database_name(MyDatabaseId), &slot) || RecoveryInProgress())
		return;
	if (slot.pid == 0 || slot.state == RESIDENT_PROBING || slot.state == RESIDENT_STARTING)
		add_reason(reasons, psprintf("the resident worker does not run: it is %s%s%s",
									 registry_state_name(slot.state),
									 slot.problem[0] != '\0' ? ": " : "", slot.problem));
	else if (now - slot.seen_at > STUCK_US)
		add_reason(reasons, psprintf("the resident worker is stuck: it was last heard of at %s",
									 timestamptz_to_str(slot.seen_at)));
}

/* A worker that runs now has got over what was before. */
static bool
worker_began_after(TimestampTz at)
{
	ResidentSlot slot;

	return find_slot(get_database_name(MyDatabaseId), &slot) && slot.pid != 0 &&
		   slot.started_at > at;
}

static void
judge_figures(ArrayBuildState **reasons, double max_lag_us)
{
	CadenceFigures f;
	char *none = cadence_figures_read(&f);

	if (none != NULL)
	{
		add_reason(reasons, none);
		return;
	}
	if (f.not_armed != NULL)
		add_reason(reasons, psprintf("nothing may be sent from here: %s", f.not_armed));
	if (f.oldest_due != 0 && (double) GetCurrentTimestamp() - (double) f.oldest_due > max_lag_us)
		add_reason(reasons, psprintf("overdue: " INT64_FORMAT " due, the oldest since %s", f.due,
									 timestamptz_to_str(f.oldest_due)));
	if (f.never_due > 0)
		add_reason(reasons, psprintf("active without next_run_at, so never due: " INT64_FORMAT,
									 f.never_due));
	if (f.last_failure != NULL && !worker_began_after(f.last_failed_at))
		add_reason(reasons, psprintf("the last execution failed: %s", f.last_failure));
}

static void
judge_providers(ArrayBuildState **reasons)
{
	ListCell *cell;

	foreach (cell, our_servers())
	{
		ForeignServer *server = lfirst(cell);
		CadenceProviderStats stats;

		if (cadence_provider_stats_read(server->serverid, &stats) && stats.sent == 0 &&
			stats.failed >= FAILING_MIN)
			add_reason(reasons, psprintf("provider \"%s\" fails: " INT64_FORMAT
										 " failures and nothing sent in the last hour; %s",
										 server->servername, stats.failed, stats.last_error));
	}
}

/*
 * cadence_health(max_lag interval) -> (ok boolean, reasons text[]): whether this
 * database's messages leave as they should, or each reason why not.
 *
 * max_lag is how long a due step may wait.
 */
Datum
cadence_health(PG_FUNCTION_ARGS)
{
	Interval *max_lag = PG_GETARG_INTERVAL_P(0);
	double max_lag_us = max_lag->time + ((double) max_lag->month * DAYS_PER_MONTH + max_lag->day) *
											(double) USECS_PER_DAY;
	ArrayBuildState *reasons = initArrayResult(TEXTOID, CurrentMemoryContext, false);
	TupleDesc desc;
	Datum values[2];
	bool nulls[2] = {false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("function returning record called in context that cannot accept "
							   "type record")));
	if (!cadence_enabled)
		add_reason(&reasons, pstrdup("cadence_runner.enabled is off"));
	judge_worker(&reasons);
	judge_figures(&reasons, max_lag_us);
	judge_providers(&reasons);
	values[0] = BoolGetDatum(reasons->nelems == 0);
	values[1] = makeArrayResult(reasons, CurrentMemoryContext);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
