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

#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "base/transaction.h"
#include "sqlapi/metrics_parts.h"
#include "sqlapi/rollup.h"

PG_FUNCTION_INFO_V1(cadence_metrics);

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
	metrics_put_table_gauges(x, t);
	totals = metrics_read_totals(t);
	metrics_put_counters(x, &totals);
	metrics_put_histograms(x, &totals);
	metrics_put_last_calls(x, &totals);
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
	exposition_int(x, "", metrics_label("version", CADENCE_VERSION), 1);
	metrics_put_health(x, schema);
	metrics_put_worker(x);
	metrics_put_in_flight(x);
	try_or_leave(find_tables, &scrape);
	if (scrape.tables != NULL)
	{
		try_or_leave(want, &scrape);
		put_tables(x, scrape.tables);
	}
	PG_RETURN_TEXT_P(cstring_to_text(exposition_end(x)));
}
