/*
 * status.c
 *		cadence_runner_status() and cadence_health(): how the installation is, for
 *		people and for alerts.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "base/json.h"
#include "base/settings.h"
#include "provider/options.h"
#include "provider/provider.h"
#include "provider/provider_stats.h"
#include "server/registry.h"
#include "sqlapi/state_queries.h"

PG_FUNCTION_INFO_V1(cadence_runner_status);
PG_FUNCTION_INFO_V1(cadence_health);

/* A worker goes round its loop at least once a minute. */
#define STUCK_US (150 * USECS_PER_SEC)

/* So many failures in a row, and nothing sent, are no accident. */
#define FAILING_MIN 5

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

static Datum
providers_json(void)
{
	StringInfoData json;
	ListCell *cell;

	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	foreach (cell, cadence_provider_servers())
		append_provider(&json, GetForeignServer(lfirst_oid(cell)));
	appendStringInfoChar(&json, ']');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

/* ---- the status ------------------------------------------------------------------- */

typedef struct StatusRow
{
	Datum values[STATUS_COLUMNS];
	bool nulls[STATUS_COLUMNS];
} StatusRow;

static void
set(StatusRow *row, int column, Datum value)
{
	row->nulls[column] = false;
	row->values[column] = value;
}

static void
set_text(StatusRow *row, int column, const char *text)
{
	if (text != NULL && text[0] != '\0')
		set(row, column, CStringGetTextDatum(text));
}

static void
set_time(StatusRow *row, int column, TimestampTz at)
{
	if (at != 0)
		set(row, column, TimestampTzGetDatum(at));
}

/* Of a database's workers: how many there are, what number 0 does, and the sums of all. */
static void
fill_workers(StatusRow *row, const ResidentDatabase *d)
{
	const ResidentWorker *first = &d->workers[0];
	TimestampTz last_execution = 0;
	int64 in_flight = 0;
	int64 waiting = 0;
	int running = 0;

	for (int i = 0; i < CADENCE_WORKERS_MAX; i++)
	{
		const ResidentWorker *w = &d->workers[i];

		running += w->pid != 0;
		in_flight += w->in_flight;
		waiting += w->waiting;
		last_execution = Max(last_execution, w->last_execution);
	}
	set_text(row, STATUS_DATABASE, d->name);
	set_text(row, STATUS_STATE, registry_state(d));
	set_text(row, STATUS_PROBLEM, registry_problem(d));
	set_time(row, STATUS_LAST_EXECUTION, last_execution);
	set(row, STATUS_WORKERS, Int32GetDatum(running));
	if (running > 0)
	{
		set(row, STATUS_IN_FLIGHT, Int64GetDatum(in_flight));
		set(row, STATUS_WAITING, Int64GetDatum(waiting));
	}
	if (first->pid == 0)
		return;
	set(row, STATUS_PID, Int32GetDatum(first->pid));
	set_time(row, STATUS_SINCE, first->started_at);
	set_time(row, STATUS_SEEN, first->seen_at);
	set_time(row, STATUS_NEXT_LOOK, first->wake_at);
}

static void
fill_state(StatusRow *row)
{
	CadenceState s;
	char *none = cadence_state_read(&s);

	if (row->nulls[STATUS_PROBLEM])
		set_text(row, STATUS_PROBLEM, none != NULL ? none : s.not_armed);
	if (none != NULL)
		return;
	set(row, STATUS_DUE, Int64GetDatum(s.due));
	set_time(row, STATUS_OLDEST_DUE, s.oldest_due);
	if (s.oldest_due != 0 && !TIMESTAMP_NOT_FINITE(s.oldest_due))
		set(row, STATUS_LAG,
			DirectFunctionCall2(timestamp_mi, TimestampTzGetDatum(GetCurrentTimestamp()),
								TimestampTzGetDatum(s.oldest_due)));
	set(row, STATUS_CLAIMED, Int64GetDatum(s.claimed));
	set(row, STATUS_UNCERTAIN, Int64GetDatum(s.uncertain));
	set_time(row, STATUS_NEXT_DUE, s.next_due);
	set(row, STATUS_PROVIDERS, providers_json());
}

static const char *
state_without_worker(void)
{
	if (RecoveryInProgress())
		return "standby";
	return cadence_registry_exists() ? "not configured" : "not preloaded";
}

static void
put_row(ReturnSetInfo *result, const ResidentDatabase *d, bool is_here)
{
	StatusRow row;

	memset(row.values, 0, sizeof(row.values));
	memset(row.nulls, true, sizeof(row.nulls));
	if (d != NULL)
		fill_workers(&row, d);
	else
	{
		set_text(&row, STATUS_DATABASE, get_database_name(MyDatabaseId));
		set_text(&row, STATUS_STATE, state_without_worker());
	}
	if (is_here)
		fill_state(&row);
	tuplestore_putvalues(result->setResult, result->setDesc, row.values, row.nulls);
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
	ResidentDatabase d;

	InitMaterializedSRF(fcinfo, 0);
	put_row(result, registry_find(here, &d) ? &d : NULL, true);
	for (int i = 0; cadence_registry_exists() && i < CADENCE_DATABASES_MAX; i++)
	{
		registry_read(i, &d);
		if (d.used && strcmp(d.name, here) != 0)
			put_row(result, &d, false);
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
judge_workers(ArrayBuildState **reasons)
{
	ResidentDatabase d;
	TimestampTz now = GetCurrentTimestamp();

	if (RecoveryInProgress() || !registry_find(get_database_name(MyDatabaseId), &d))
		return;
	if (d.paused)
		add_reason(reasons, pstrdup("the resident worker is paused, until somebody calls "
									"cadence_resume_worker() or the server is started again"));
	else if (d.workers[0].pid == 0 || d.workers[0].activity == RESIDENT_STARTING)
		add_reason(reasons,
				   psprintf("the resident worker does not run: it is %s%s%s", registry_state(&d),
							d.problem[0] != '\0' ? ": " : "", d.problem));
	for (int i = 0; i < CADENCE_WORKERS_MAX; i++)
		if (d.workers[i].pid != 0 && now - d.workers[i].seen_at > STUCK_US)
			add_reason(reasons, psprintf("the resident worker is stuck: it was last heard of at %s",
										 timestamptz_to_str(d.workers[i].seen_at)));
}

/* A worker that has begun since, and either recorded something or lived for a while. */
static bool
worker_got_over(TimestampTz failed_at)
{
	ResidentDatabase d;
	const ResidentWorker *w = &d.workers[0];

	return registry_find(get_database_name(MyDatabaseId), &d) && w->pid != 0 &&
		   w->activity != RESIDENT_STARTING && w->started_at > failed_at &&
		   (w->last_execution > w->started_at || w->seen_at - w->started_at > RESIDENT_SETTLED_US);
}

static void
judge_state(ArrayBuildState **reasons, double max_lag_us)
{
	CadenceState s;
	char *none = cadence_state_read(&s);

	if (none != NULL)
	{
		add_reason(reasons, none);
		return;
	}
	if (s.not_armed != NULL)
		add_reason(reasons, psprintf("nothing may be sent from here: %s", s.not_armed));
	if (s.oldest_due != 0 && (double) GetCurrentTimestamp() - (double) s.oldest_due > max_lag_us)
		add_reason(reasons, psprintf("overdue: " INT64_FORMAT " due, the oldest since %s", s.due,
									 timestamptz_to_str(s.oldest_due)));
	if (s.never_due > 0)
		add_reason(reasons, psprintf("active without next_run_at, so never due: " INT64_FORMAT,
									 s.never_due));
	if (s.last_failure != NULL && !worker_got_over(s.last_failed_at))
		add_reason(reasons, psprintf("the last execution failed: %s", s.last_failure));
}

static void
judge_providers(ArrayBuildState **reasons)
{
	ListCell *cell;

	foreach (cell, cadence_provider_servers())
	{
		ForeignServer *server = GetForeignServer(lfirst_oid(cell));
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
	judge_workers(&reasons);
	judge_state(&reasons, max_lag_us);
	judge_providers(&reasons);
	values[0] = BoolGetDatum(reasons->nelems == 0);
	values[1] = makeArrayResult(reasons, CurrentMemoryContext);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
