/*
 * summary.c
 *		What an execution did, as the caller and the log row get it: one row,
 *		however many workers served it.
 *
 * Results are kept as finished jsonb, at most as many as will be shown and at
 * most so many bytes: an execution over a million runs costs no more memory
 * here than one over a thousand.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "libpq/pqformat.h"
#include "utils/memutils.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/json.h"
#include "base/settings.h"
#include "base/statement.h"
#include "base/uuid.h"
#include "record/outbox.h"
#include "record/summary.h"
#include "record/tally.h"

#define RESULTS_MAX_BYTES (400 * 1024)

/* Old log rows leave in small numbers, so that no execution pays for a long absence. */
#define PRUNE_ROWS 1000

CadenceSummary *
cadence_summary_create(const char *trigger, int max_results)
{
	CadenceSummary *summary = palloc0(sizeof(*summary));

	summary->context = CurrentMemoryContext;
	summary->scratch =
		AllocSetContextCreate(summary->context, "cadence_runner result", ALLOCSET_SMALL_SIZES);
	summary->trigger = trigger;
	summary->started_at = GetCurrentTimestamp();
	summary->max_results = max_results;
	return summary;
}

static bool
is_full(const CadenceSummary *summary)
{
	return list_length(summary->results) >= summary->max_results ||
		   summary->bytes > RESULTS_MAX_BYTES;
}

/* Whether one more is listed: that of an error where another one can make room for it. */
static bool
has_room(CadenceSummary *summary, bool is_error)
{
	if (!is_full(summary))
		return true;
	summary->truncated = true;
	return is_error && list_length(summary->results) > summary->nfailed;
}

static void
keep(CadenceSummary *summary, bool is_error, const void *object, Size size)
{
	MemoryContext old = MemoryContextSwitchTo(summary->context);
	void *copy = memcpy(palloc(size), object, size);

	if (is_full(summary))
	{
		void *last = llast(summary->results);

		summary->bytes -= VARSIZE(last);
		summary->results = list_delete_last(summary->results);
		pfree(last);
	}
	if (is_error)
		summary->results = list_insert_nth(summary->results, summary->nfailed++, copy);
	else
		summary->results = lappend(summary->results, copy);
	summary->bytes += size;
	MemoryContextSwitchTo(old);
}

/* Counts one result and keeps it for the list while there is room. */
void
cadence_summary_add(CadenceSummary *summary, const SummaryResult *r)
{
	bool is_error = strcmp(r->status, "ERRO") == 0;
	MemoryContext old;
	JsonObject json;
	Datum object;

	if (is_error)
		summary->errors++;
	else if (strcmp(r->status, "SKIPPED") == 0)
		summary->skipped++;
	else
		summary->success++;
	if (!has_room(summary, is_error))
		return;

	old = MemoryContextSwitchTo(summary->scratch);
	json = json_begin();
	json_add_text(&json, "runId", r->run_id);
	json_add_text(&json, "leadId", r->lead_id);
	if (r->step_ordem != NULL)
		json_add_int(&json, "stepOrdem", *r->step_ordem);
	else
		json_add_text(&json, "stepOrdem", NULL);
	json_add_text(&json, "templateCodigo", r->template_codigo);
	json_add_text(&json, "status", r->status);
	json_add_text(&json, is_error ? "erro" : "mensagem", r->message);
	object = json_end(&json);
	MemoryContextSwitchTo(old);
	keep(summary, is_error, DatumGetPointer(object), VARSIZE(DatumGetPointer(object)));
	MemoryContextReset(summary->scratch);
}

/* One worker's part of the summary, to be merged by the one that its caller hears. */
StringInfo
cadence_summary_share(const CadenceSummary *summary)
{
	StringInfo share = makeStringInfo();
	ListCell *cell;

	pq_sendint64(share, summary->success);
	pq_sendint64(share, summary->errors);
	pq_sendint64(share, summary->skipped);
	pq_sendbyte(share, summary->truncated);
	pq_sendint32(share, summary->nfailed);
	pq_sendint32(share, list_length(summary->results));
	foreach (cell, summary->results)
	{
		pq_sendint32(share, VARSIZE(lfirst(cell)));
		pq_sendbytes(share, lfirst(cell), VARSIZE(lfirst(cell)));
	}
	return share;
}

void
cadence_summary_merge(CadenceSummary *summary, StringInfo share)
{
	int nfailed;
	int n;

	summary->success += pq_getmsgint64(share);
	summary->errors += pq_getmsgint64(share);
	summary->skipped += pq_getmsgint64(share);
	if (pq_getmsgbyte(share))
		summary->truncated = true;
	nfailed = pq_getmsgint(share, 4);
	n = pq_getmsgint(share, 4);
	for (int i = 0; i < n; i++)
	{
		int size = pq_getmsgint(share, 4);
		const char *object = pq_getmsgbytes(share, size);

		if (has_room(summary, i < nfailed))
			keep(summary, i < nfailed, object, size);
	}
}

int64
cadence_summary_total(const CadenceSummary *summary)
{
	return summary->success + summary->errors + summary->skipped;
}

static int64
duration_ms(const CadenceSummary *summary)
{
	return Max(summary->finished_at - summary->started_at, 0) / 1000;
}

static void
add_results(JsonObject *json, const CadenceSummary *summary)
{
	json_add_jsonb(json, "results", json_array(summary->results));
	if (summary->truncated)
		json_add_bool(json, "results_truncated", true);
}

/* The value of cadence_run(). */
char *
cadence_summary_json(const CadenceSummary *summary)
{
	JsonObject counts = json_begin();
	JsonObject json = json_begin();
	Jsonb *whole;

	json_add_int(&counts, "total", cadence_summary_total(summary));
	json_add_int(&counts, "success", summary->success);
	json_add_int(&counts, "errors", summary->errors);
	json_add_int(&counts, "skipped", summary->skipped);
	json_add_int(&counts, "duration_ms", duration_ms(summary));
	json_add_text(&counts, "trigger_source", summary->trigger);
	json_add_bool(&json, "success", true);
	json_add_jsonb(&json, "summary", json_end(&counts));
	add_results(&json, summary);
	whole = DatumGetJsonbP(json_end(&json));
	return JsonbToCString(NULL, &whole->root, VARSIZE(whole));
}

/* The column "details" of the log row. */
static Datum
summary_details(const CadenceSummary *summary)
{
	JsonObject json = json_begin();

	add_results(&json, summary);
	json_add_time(&json, "started_at", summary->started_at);
	json_add_time(&json, "finished_at", summary->finished_at);
	if (summary->failure_message != NULL)
	{
		json_add_text(&json, "sqlstate", summary->failure_sqlstate);
		json_add_text(&json, "erro", summary->failure_message);
	}
	return json_end(&json);
}

/* ---- the log ------------------------------------------------------------------------- */

/* An adopted enum may not know the word for the resident worker. */
static const char *
trigger_word(const CadenceTables *t, const char *word)
{
	return strcmp(word, "WORKER") == 0 && !t->log_knows_worker ? "CRON" : word;
}

static Datum
as_int(int64 number)
{
	return Int32GetDatum(Min(number, PG_INT32_MAX));
}

/* A resident worker's row is no execution, but what it did in a minute or so: it took no time. */
static void
count_execution(const CadenceTables *t, const CadenceSummary *summary)
{
	TallyHistogram duration = {.bounds = tally_execution_bounds,
							   .nbounds = tally_execution_nbounds};
	TallyRow rows[] = {{.kind = "execution",
						.code = summary->trigger,
						.outcome = summary->failure_message != NULL ? "failed"
								   : summary->errors > 0			? "errors"
																	: "success",
						.n = 1},
					   {.kind = "execution_duration"}};
	bool is_one = strcmp(summary->trigger, "WORKER") != 0;

	tally_observe(&duration, summary->finished_at - summary->started_at);
	tally_histogram_row(&duration, &rows[1]);
	cadence_tally_write(cadence_tally_create(t), rows, is_one ? 2 : 1);
}

/*
 * Writes the row of an execution that ends now, inside the caller's transaction.
 * One that failed counts one error more than its steps had.
 */
void
cadence_log_write(const CadenceTables *t, CadenceSummary *summary)
{
	static const Oid types[] = {UUIDOID, INT4OID, INT4OID, INT4OID, INT4OID, JSONBOID, TEXTOID};
	Statement insert =
		STATEMENT("writing the log",
				  psprintf("INSERT INTO %s (id, executed_at, steps_executed, errors, runs_touched, "
						   "duration_ms, details, trigger_source) "
						   "VALUES ($1, " NOW ", $2, $3, $4, $5, $6, $7::%s)",
						   t->logs, t->log_trigger_type),
				  types, SPI_OK_INSERT);
	int64 errors = summary->errors + (summary->failure_message != NULL ? 1 : 0);
	Datum values[lengthof(types)];
	pg_uuid_t id;

	summary->finished_at = GetCurrentTimestamp();
	cadence_uuid_v7(&id);
	values[0] = UUIDPGetDatum(&id);
	values[1] = as_int(summary->success);
	values[2] = as_int(errors);
	values[3] = as_int(cadence_summary_total(summary));
	values[4] = as_int(duration_ms(summary));
	values[5] = summary_details(summary);
	values[6] = CStringGetTextDatum(trigger_word(t, summary->trigger));
	statement_execute(&insert, values, NULL, 0);
	count_execution(t, summary);
}

/*
 * Removes rows older than cadence_runner.log_retention, and news that were done with
 * before that, the oldest first; true when there may be more of them.
 */
bool
cadence_log_prune(const CadenceTables *t)
{
	static const Oid types[] = {TIMESTAMPTZOID};
	Statement prune = STATEMENT(
		"removing old log rows",
		psprintf("DELETE FROM %s WHERE id " EQ " ANY (ARRAY(SELECT id FROM %s WHERE executed_at " LT
				 " $1 ORDER BY executed_at LIMIT %d FOR UPDATE SKIP LOCKED))",
				 t->logs, t->logs, PRUNE_ROWS),
		types, SPI_OK_DELETE);
	Datum values[] = {
		TimestampTzGetDatum(GetCurrentTimestamp() - cadence_log_retention * USECS_PER_MINUTE)};

	bool more;

	if (cadence_log_retention == 0)
		return false;
	statement_execute(&prune, values, NULL, 0);
	more = SPI_processed == PRUNE_ROWS;
	return cadence_outbox_prune(t, DatumGetTimestampTz(values[0]), PRUNE_ROWS) || more;
}
