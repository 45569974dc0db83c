/*
 * metrics_gauges.c
 *		Gauges of the tables: what is due, how many runs there are, which servers are shut.
 *
 * What is due is found by the index by which it is claimed.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/statement.h"
#include "sqlapi/metrics_parts.h"

/* More due runs are not counted. */
#define DUE_MAX 100000

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
	exposition_int(x, "", "", metrics_int(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
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
		char *status = metrics_text(row, desc, 1);

		counted_at = row_time(desc, row, 3, 0);
		if (status[0] != '\0')
			exposition_int(x, "", metrics_label("status", status), metrics_int(row, desc, 2));
	}
	exposition_family(x, "cadence_runs_counted_timestamp_seconds", "gauge",
					  "When runs were last counted.");
	if (counted_at != 0)
		metrics_put_time(x, "", counted_at);
	SPI_freetuptable(SPI_tuptable);
}

static void
put_shut(Exposition *x, SPITupleTable *states, uint64 n, int column)
{
	for (uint64 i = 0; i < n; i++)
		exposition_int(x, "",
					   metrics_label("server", metrics_text(states->vals[i], states->tupdesc, 1)),
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

void
metrics_put_last_calls(Exposition *x, const Totals *totals)
{
	exposition_family(x, "cadence_webhook_last_received_timestamp_seconds", "gauge",
					  "When a webhook was last called by who it is for.");
	for (int i = 0; i < totals->n; i++)
		if (strcmp(totals->list[i].kind, "webhook") == 0 &&
			strcmp(totals->list[i].outcome, "ok") == 0)
			metrics_put_time(x, metrics_label("server", totals->list[i].server),
							 totals->list[i].last_at);
}

/* Inside an SPI connection, as the owner of the tables. */
void
metrics_put_table_gauges(Exposition *x, const CadenceTables *t)
{
	put_due(x, t);
	put_stock(x, t);
	put_senders(x, t);
}
