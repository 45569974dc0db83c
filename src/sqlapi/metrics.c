/*
 * metrics.c
 *		cadence_metrics(): what monitoring wants to know, as text.
 *
 * Counters are sums that are kept (sql/71_rollup.sql), so that no scrape counts a
 * table, and none of them falls when old rows are removed. What is due is found by
 * the index by which it is claimed. All is read as the owner of the tables: whoever
 * may execute the function sees the numbers and nothing else, and needs no other
 * right. No label names a person, a run or a template.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/row.h"
#include "base/settings.h"
#include "base/statement.h"
#include "base/transaction.h"
#include "provider/provider.h"
#include "provider/provider_stats.h"
#include "record/fold.h"
#include "record/tally.h"
#include "schema/tables.h"
#include "server/registry.h"
#include "sqlapi/exposition.h"
#include "sqlapi/health_reason.h"
#include "sqlapi/rollup.h"
#include "sqlapi/status.h"

PG_FUNCTION_INFO_V1(cadence_metrics);

/* More due runs are not counted. */
#define DUE_MAX 100000

/* A sum that is kept. */
typedef struct Total
{
	char *kind;
	char *empresa; /* "" but for those that the setting lists */
	char *server;
	char *canal;
	char *outcome;
	char *code;
	int64 n;
	int64 us;
	TimestampTz last_at;
} Total;

typedef struct Totals
{
	Total *list;
	int n;
} Totals;

/* ---- reading ---------------------------------------------------------------------------- */

static int64
int_of(HeapTuple row, TupleDesc desc, int column)
{
	bool isnull;
	Datum value = SPI_getbinval(row, desc, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

static char *
text_of(HeapTuple row, TupleDesc desc, int column)
{
	char *text = row_text(desc, row, column, ROW_KEY_MAX);

	return text != NULL ? text : pstrdup("");
}

static Totals
read_totals(const CadenceTables *t)
{
	static const Oid types[] = {TEXTOID};
	Statement read =
		STATEMENT("reading what was counted", cadence_totals_sql(t), types, SPI_OK_SELECT);
	Datum values[] = {CStringGetTextDatum(cadence_metrics_empresas)};
	Totals totals;

	statement_execute(&read, values, NULL, 0);
	totals.n = (int) SPI_processed;
	totals.list = palloc(sizeof(Total) * Max(totals.n, 1));
	for (int i = 0; i < totals.n; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;

		totals.list[i] = (Total){.kind = text_of(row, desc, TOTAL_KIND),
								 .empresa = text_of(row, desc, TOTAL_EMPRESA),
								 .server = text_of(row, desc, TOTAL_SERVER),
								 .canal = text_of(row, desc, TOTAL_CANAL),
								 .outcome = text_of(row, desc, TOTAL_OUTCOME),
								 .code = text_of(row, desc, TOTAL_CODE),
								 .n = int_of(row, desc, TOTAL_N),
								 .us = int_of(row, desc, TOTAL_US),
								 .last_at = row_time(desc, row, TOTAL_LAST_AT, 0)};
	}
	SPI_freetuptable(SPI_tuptable);
	return totals;
}

/* ---- counters --------------------------------------------------------------------------- */

typedef struct Label
{
	const char *name;
	size_t field; /* of Total */
} Label;

#define FIELD(name) offsetof(Total, name)
#define LABELS_MAX 3

typedef struct Counter
{
	const char *name;
	const char *help;
	const char *kind;
	const char *code;		  /* only those; NULL: all */
	const char *of_companies; /* the same, of those that the setting lists; NULL: there is none */
	Label labels[LABELS_MAX]; /* as many as have names */
} Counter;

static const Counter counters[] = {
	{"cadence_attempts_total",
	 "Steps that executions have handled, by what became of them.",
	 "attempt",
	 NULL,
	 "cadence_attempts_by_company_total",
	 {{"server", FIELD(server)}, {"channel", FIELD(canal)}, {"outcome", FIELD(outcome)}}},
	{"cadence_errors_total",
	 "Errors of steps, by the code of their events.",
	 "error",
	 NULL,
	 NULL,
	 {{"code", FIELD(code)}}},
	{"cadence_executions_total",
	 "Executions, and minutes of work of resident workers, by who has asked for them.",
	 "execution",
	 NULL,
	 NULL,
	 {{"trigger", FIELD(code)}, {"result", FIELD(outcome)}}},
	{"cadence_deliveries_total",
	 "Receipts of messages, each counted once.",
	 "delivery",
	 "done",
	 "cadence_deliveries_by_company_total",
	 {{"server", FIELD(server)}, {"channel", FIELD(canal)}, {"status", FIELD(outcome)}}},
	{"cadence_inbound_total",
	 "Events other than receipts that were told by webhooks, or by hand.",
	 "inbound",
	 NULL,
	 NULL,
	 {{"server", FIELD(server)}, {"kind", FIELD(outcome)}, {"result", FIELD(code)}}},
	{"cadence_opt_outs_total",
	 "People who want no more messages, by how they have said so.",
	 "opt_out",
	 NULL,
	 "cadence_opt_outs_by_company_total",
	 {{"channel", FIELD(canal)}, {"kind", FIELD(outcome)}}},
	{"cadence_webhooks_total",
	 "Calls of webhooks, by how they were answered.",
	 "webhook",
	 NULL,
	 NULL,
	 {{"server", FIELD(server)}, {"result", FIELD(outcome)}}},
	{"cadence_http_requests_total",
	 "Requests over HTTP that have reached the database.",
	 "http",
	 NULL,
	 NULL,
	 {{"route", FIELD(server)}, {"method", FIELD(outcome)}, {"code", FIELD(code)}}}};

/* One of a family's samples. */
typedef struct Sample
{
	char *labels;
	int64 n;
} Sample;

static int
compare_samples(const void *a, const void *b)
{
	return strcmp(((const Sample *) a)->labels, ((const Sample *) b)->labels);
}

static char *
labels_of(const Total *total, const Counter *c, bool of_company)
{
	StringInfoData labels;

	initStringInfo(&labels);
	for (int i = 0; i < LABELS_MAX && c->labels[i].name != NULL; i++)
		exposition_label(&labels, c->labels[i].name,
						 *(char *const *) ((const char *) total + c->labels[i].field));
	if (of_company)
		exposition_label(&labels, "empresa", total->empresa);
	return labels.data;
}

/* Totals tell apart more than the labels do: what has the same labels is one sample. */
static void
put_samples(Exposition *x, Sample *list, int n)
{
	qsort(list, n, sizeof(*list), compare_samples);
	for (int i = 0; i < n; i++)
	{
		int64 sum = list[i].n;

		while (i + 1 < n && strcmp(list[i].labels, list[i + 1].labels) == 0)
			sum += list[++i].n;
		exposition_int(x, "", list[i].labels, sum);
	}
}

/* Of all, whoever is listed: so that a counter does not fall when the setting changes. */
static void
put_counter(Exposition *x, const Totals *totals, const Counter *c, bool of_companies)
{
	Sample *list = palloc(sizeof(Sample) * Max(totals->n, 1));
	int n = 0;

	for (int i = 0; i < totals->n; i++)
	{
		const Total *total = &totals->list[i];

		if (strcmp(total->kind, c->kind) == 0 &&
			(c->code == NULL || strcmp(total->code, c->code) == 0) &&
			(!of_companies || total->empresa[0] != '\0'))
			list[n++] = (Sample){labels_of(total, c, of_companies), total->n};
	}
	exposition_family(x, of_companies ? c->of_companies : c->name, "counter",
					  of_companies ? psprintf("%s By company.", c->help) : c->help);
	put_samples(x, list, n);
	pfree(list);
}

/* ---- histograms ---------------------------------------------------------------------------- */

typedef struct Histogram
{
	const char *name;
	const char *help;
	const char *kind;
	const double *bounds;
	const int *nbounds;
	bool by_server;
} Histogram;

static const Histogram histograms[] = {
	{"cadence_due_to_send_seconds", "How long after it was due a message has left.", "due_to_send",
	 tally_due_bounds, &tally_due_nbounds, false},
	{"cadence_send_duration_seconds", "How long a provider took to answer.", "send_duration",
	 tally_send_bounds, &tally_send_nbounds, true},
	{"cadence_execution_duration_seconds", "How long an execution took.", "execution_duration",
	 tally_execution_bounds, &tally_execution_nbounds, false}};

static int
bucket_of(const Histogram *h, const char *code)
{
	double bound = strcmp(code, "+Inf") == 0 ? h->bounds[*h->nbounds - 1] : strtod(code, NULL);
	int i = 0;

	/* one that was counted by other bounds is in the next larger bucket */
	while (i < *h->nbounds - 1 && bound > h->bounds[i])
		i++;
	return i;
}

/* Those of one server, which follow each other: where the next begin. */
static int
put_series(Exposition *x, const Histogram *h, const Totals *totals, int first)
{
	const char *server = totals->list[first].server;
	int64 n[TALLY_BUCKETS_MAX] = {0};
	int64 us = 0;
	StringInfoData labels;
	int i = first;

	for (; i < totals->n && strcmp(totals->list[i].kind, h->kind) == 0 &&
		   strcmp(totals->list[i].server, server) == 0;
		 i++)
	{
		us += totals->list[i].us;
		if (totals->list[i].code[0] != '\0')
			n[bucket_of(h, totals->list[i].code)] += totals->list[i].n;
	}
	initStringInfo(&labels);
	if (h->by_server)
		exposition_label(&labels, "server", server);
	exposition_histogram(x, labels.data, h->bounds, *h->nbounds, n, us);
	return i;
}

static void
put_histogram(Exposition *x, const Histogram *h, const Totals *totals)
{
	int i = 0;

	exposition_family(x, h->name, "histogram", h->help);
	while (i < totals->n)
		if (strcmp(totals->list[i].kind, h->kind) == 0)
			i = put_series(x, h, totals, i);
		else
			i++;
}

/* ---- gauges of tables ------------------------------------------------------------------------ */

static void
put_due(Exposition *x, const CadenceTables *t)
{
	Statement read = ROWS_STATEMENT(
		"reading what is due",
		psprintf("SELECT (SELECT pg_catalog.count(*) FROM (SELECT FROM %s AS r WHERE r.status " EQ
				 " 'ATIVA' AND r.next_run_at " LE " " NOW " LIMIT %d) AS y), "
				 "(SELECT r.next_run_at::pg_catalog.timestamptz FROM %s AS r WHERE r.status " EQ
				 " 'ATIVA' AND r.next_run_at " LE " " NOW " ORDER BY r.next_run_at, r.id LIMIT 1)",
				 t->runs, DUE_MAX, t->runs),
		SPI_OK_SELECT);
	TimestampTz oldest;

	statement_execute(&read, NULL, NULL, 1);
	exposition_family(x, "cadence_due_runs", "gauge",
					  "Runs that are due and not taken, counted up to 100000.");
	exposition_int(x, "", "", int_of(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	oldest = row_time(SPI_tuptable->tupdesc, SPI_tuptable->vals[0], 2, 0);
	exposition_family(x, "cadence_oldest_due_age_seconds", "gauge",
					  "How long the oldest of them has been due; 0 where nothing is.");
	exposition_seconds(x, "", "",
					   oldest == 0 || TIMESTAMP_NOT_FINITE(oldest)
						   ? 0
						   : Max(GetCurrentTransactionStartTimestamp() - oldest, 0));
	SPI_freetuptable(SPI_tuptable);
}

static void
put_time(Exposition *x, const char *labels, TimestampTz at)
{
	exposition_seconds(x, "", labels,
					   at + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY);
}

static char *
one_label(const char *name, const char *value)
{
	StringInfoData labels;

	initStringInfo(&labels);
	exposition_label(&labels, name, value);
	return labels.data;
}

static void
put_stock(Exposition *x, const CadenceTables *t)
{
	Statement read = ROWS_STATEMENT(
		"reading how many runs there are",
		psprintf("SELECT s.status, pg_catalog.sum(s.runs)::pg_catalog.int8, "
				 "pg_catalog.max(s.counted_at) FROM %s AS s GROUP BY s.status ORDER BY s.status",
				 t->stock),
		SPI_OK_SELECT);
	TimestampTz counted_at = 0;

	statement_execute(&read, NULL, NULL, 0);
	exposition_family(x, "cadence_runs", "gauge", "Runs by status, as they were last counted.");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		char *status = text_of(row, desc, 1);

		counted_at = row_time(desc, row, 3, 0);
		if (status[0] != '\0')
			exposition_int(x, "", one_label("status", status), int_of(row, desc, 2));
	}
	exposition_family(x, "cadence_runs_counted_timestamp_seconds", "gauge",
					  "When runs were last counted.");
	if (counted_at != 0)
		put_time(x, "", counted_at);
	SPI_freetuptable(SPI_tuptable);
}

static void
put_shut(Exposition *x, SPITupleTable *states, uint64 n, int column)
{
	for (uint64 i = 0; i < n; i++)
		exposition_int(x, "", one_label("server", text_of(states->vals[i], states->tupdesc, 1)),
					   row_true(states->tupdesc, states->vals[i], column) ? 1 : 0);
}

static void
put_senders(Exposition *x, const CadenceTables *t)
{
	Statement read =
		ROWS_STATEMENT("reading states of senders",
					   psprintf("SELECT s.server::pg_catalog.text, s.open_since IS NOT NULL, "
								"s.paused_at IS NOT NULL FROM %s AS s ORDER BY s.server",
								t->sender_states),
					   SPI_OK_SELECT);
	SPITupleTable *states;
	uint64 n;

	statement_execute(&read, NULL, NULL, 0);
	states = SPI_tuptable;
	n = SPI_processed;
	exposition_family(
		x, "cadence_breaker_open", "gauge",
		"Whether a server's breaker is open: it has failed, and is tried now and then.");
	put_shut(x, states, n, 2);
	exposition_family(x, "cadence_server_paused", "gauge", "Whether somebody has paused a server.");
	put_shut(x, states, n, 3);
	SPI_freetuptable(states);
}

static void
put_last_calls(Exposition *x, const Totals *totals)
{
	exposition_family(x, "cadence_webhook_last_received_timestamp_seconds", "gauge",
					  "When a webhook was last called by who it is for.");
	for (int i = 0; i < totals->n; i++)
		if (strcmp(totals->list[i].kind, "webhook") == 0 &&
			strcmp(totals->list[i].outcome, "ok") == 0)
			put_time(x, one_label("server", totals->list[i].server), totals->list[i].last_at);
}

/* ---- gauges of the server -------------------------------------------------------------------- */

static void
put_in_flight(Exposition *x)
{
	ListCell *cell;

	exposition_family(x, "cadence_in_flight_messages", "gauge",
					  "Messages that are under way now, where the library is preloaded.");
	foreach (cell, cadence_provider_servers())
	{
		ForeignServer *server = GetForeignServerExtended(lfirst_oid(cell), FSV_MISSING_OK);
		CadenceProviderStats stats;

		if (server != NULL && cadence_provider_stats_read(server->serverid, &stats))
			exposition_int(x, "", one_label("server", server->servername), stats.in_flight);
	}
}

static void
put_worker(Exposition *x)
{
	ResidentDatabase d;
	TimestampTz seen_at = DT_NOEND;

	exposition_family(
		x, "cadence_worker_last_seen_timestamp_seconds", "gauge",
		"When all resident workers of this database had last gone round their loops.");
	if (!cadence_registry_exists() || !registry_find(get_database_name(MyDatabaseId), &d))
		return;
	for (int i = 0; i < CADENCE_WORKERS_MAX; i++)
		if (d.workers[i].pid != 0)
			seen_at = Min(seen_at, d.workers[i].seen_at);
	if (seen_at != DT_NOEND)
		put_time(x, "", seen_at);
}

/* ---- health ---------------------------------------------------------------------------------- */

/*
 * What cadence_health() says, as its own owner: it reads no table but as the tables'
 * owner, and whoever scrapes need not be allowed to execute it.
 */
static ArrayType *
read_reasons(const char *schema)
{
	char *sql = psprintf("SELECT reasons FROM %s.cadence_health()", quote_identifier(schema));
	MemoryContext context = CurrentMemoryContext;
	volatile bool found = false;
	bool isnull = true;
	Datum value = 0;

	cadence_status_is_brief = true;
	PG_TRY();
	{
		found = SPI_execute(sql, false, 1) == SPI_OK_SELECT && SPI_processed > 0;
	}
	PG_FINALLY();
	{
		cadence_status_is_brief = false;
	}
	PG_END_TRY();
	/* SPI has left its own behind, which ends with the connection */
	MemoryContextSwitchTo(context);
	if (found)
		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	return isnull ? NULL : DatumGetArrayTypePCopy(value);
}

static Oid
health_owner(Oid schema)
{
	Oid types[] = {INTERVALOID};
	oidvector *args = buildoidvector(types, 1);
	HeapTuple tuple = SearchSysCache3(PROCNAMEARGSNSP, CStringGetDatum("cadence_health"),
									  PointerGetDatum(args), ObjectIdGetDatum(schema));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
						errmsg("function cadence_health() does not exist")));
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return owner;
}

static void
put_reasons(Exposition *x, ArrayType *reasons)
{
	int64 n[HEALTH_REASONS] = {0};
	Datum *lines = NULL;
	int nlines = 0;

	if (reasons != NULL)
		deconstruct_array(reasons, TEXTOID, -1, false, TYPALIGN_INT, &lines, NULL, &nlines);
	for (int i = 0; i < nlines; i++)
		n[health_reason_of(TextDatumGetCString(lines[i]))]++;
	exposition_family(x, "cadence_healthy", "gauge",
					  "Whether messages leave as they should, as cadence_health() says.");
	exposition_int(x, "", "", reasons != NULL && nlines == 0);
	exposition_family(x, "cadence_unhealthy", "gauge",
					  "Reasons why not, by kind; cadence_health() has them in words.");
	for (int i = 0; i < HEALTH_REASONS; i++)
		exposition_int(x, "", one_label("reason", health_reason_name(i)), n[i]);
}

static void
put_health(Exposition *x, Oid schema)
{
	MemoryContext context = CurrentMemoryContext;
	CadenceCaller caller = cadence_owner_begin(health_owner(schema));
	char *name = get_namespace_name(schema);
	ArrayType *reasons;

	(void) SPI_connect();
	/* what SPI has made goes with its connection */
	MemoryContextSwitchTo(context);
	reasons = read_reasons(name);
	SPI_finish();
	cadence_owner_end(caller);
	put_reasons(x, reasons);
}

/* ---- all of it ------------------------------------------------------------------------------- */

typedef struct Scrape
{
	Exposition exposition;
	const CadenceTables *tables; /* NULL: there are none, or they are not to be used */
} Scrape;

static void
find_tables(void *arg, int first, int n)
{
	((Scrape *) arg)->tables = cadence_tables_cached();
}

static void
want(void *arg, int first, int n)
{
	cadence_rollup_want(((Scrape *) arg)->tables);
}

static void
put_tables(Exposition *x, const CadenceTables *t)
{
	MemoryContext context = CurrentMemoryContext;
	CadenceCaller caller = cadence_owner_begin(t->owner);
	Totals totals;

	(void) SPI_connect();
	/* what SPI has made goes with its connection; the text must not */
	MemoryContextSwitchTo(context);
	put_due(x, t);
	put_stock(x, t);
	put_senders(x, t);
	totals = read_totals(t);
	for (size_t i = 0; i < lengthof(counters); i++)
	{
		put_counter(x, &totals, &counters[i], false);
		if (counters[i].of_companies != NULL)
			put_counter(x, &totals, &counters[i], true);
	}
	for (size_t i = 0; i < lengthof(histograms); i++)
		put_histogram(x, &histograms[i], &totals);
	put_last_calls(x, &totals);
	SPI_finish();
	cadence_owner_end(caller);
}

/* What keeps the tables from being used is a reason of the health. */
static void
try_or_leave(void (*work)(void *arg, int first, int n), Scrape *scrape)
{
	ErrorData *error = cadence_try(work, scrape, 0, 0, false);

	if (error != NULL && ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
		ThrowErrorData(error);
}

/*
 * cadence_metrics(openmetrics boolean DEFAULT false) -> text: all metrics, in Prometheus'
 * text format, or in that of OpenMetrics. On a standby, too.
 *
 * Errors: 55000 where there is no extension of this version.
 */
Datum
cadence_metrics(PG_FUNCTION_ARGS)
{
	Oid schema = cadence_extension_schema();
	Scrape scrape = {.tables = NULL};
	Exposition *x = &scrape.exposition;

	exposition_begin(x, PG_GETARG_BOOL(0));
	exposition_family(x, "cadence_info", "gauge", "The version of cadence_runner.");
	exposition_int(x, "", one_label("version", CADENCE_VERSION), 1);
	put_health(x, schema);
	put_worker(x);
	put_in_flight(x);
	try_or_leave(find_tables, &scrape);
	if (scrape.tables != NULL)
	{
		try_or_leave(want, &scrape);
		put_tables(x, scrape.tables);
	}
	PG_RETURN_TEXT_P(cstring_to_text(exposition_end(x)));
}
