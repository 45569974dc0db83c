/*
 * runlog.c
 *		Log: one row per execution, however many workers served it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "record/runlog.h"
#include "base/settings.h"
#include "base/statement.h"
#include "base/uuid.h"

/* Old rows leave in small numbers, so that no execution pays for a long absence. */
#define PRUNE_ROWS 1000

struct CadenceLog
{
	const CadenceTables *tables;
	Statement insert;
	Statement prune;
};

static const Oid insert_types[] = {UUIDOID, INT4OID, INT4OID, INT4OID, INT4OID, TEXTOID, TEXTOID};
static const Oid prune_types[] = {TIMESTAMPTZOID};

/*
 * In the current memory context.
 */
CadenceLog *
cadence_log_create(const CadenceTables *t)
{
	CadenceLog *log = palloc0(sizeof(*log));

	log->tables = t;
	log->insert =
		STATEMENT("writing the log",
				  psprintf("INSERT INTO %s (id, executed_at, steps_executed, errors, runs_touched, "
						   "duration_ms, details, trigger_source) "
						   "VALUES ($1, " NOW ", $2, $3, $4, $5, $6::jsonb, $7::%s)",
						   t->logs, t->log_trigger_type),
				  insert_types, SPI_OK_INSERT);
	log->prune = STATEMENT("removing old log rows",
						   psprintf("DELETE FROM %s WHERE id " EQ
									" ANY (ARRAY(SELECT id FROM %s WHERE executed_at " LT
									" $1 ORDER BY executed_at LIMIT %d FOR UPDATE SKIP LOCKED))",
									t->logs, t->logs, PRUNE_ROWS),
						   prune_types, SPI_OK_DELETE);
	return log;
}

/* An adopted enum may not know the word for the resident worker. */
static const char *
trigger_word(const CadenceTables *t, const char *word)
{
	return strcmp(word, "WORKER") == 0 && !t->log_knows_worker ? "CRON" : word;
}

/*
 * Writes the execution's row inside the caller's transaction. An execution
 * that failed counts one error more than its steps had.
 */
void
cadence_log_write(CadenceLog *log, const CadenceSummary *summary)
{
	pg_uuid_t id;
	Datum values[lengthof(insert_types)];

	cadence_uuid_v7(&id);
	values[0] = UUIDPGetDatum(&id);
	values[1] = Int32GetDatum(Min(summary->success, PG_INT32_MAX));
	values[2] = Int32GetDatum(
		Min(summary->errors + (summary->failure_message != NULL ? 1 : 0), PG_INT32_MAX));
	values[3] = Int32GetDatum(Min(cadence_summary_total(summary), PG_INT32_MAX));
	values[4] = Int32GetDatum(Min(cadence_summary_duration_ms(summary), PG_INT32_MAX));
	values[5] = CStringGetTextDatum(cadence_summary_details(summary));
	values[6] = CStringGetTextDatum(trigger_word(log->tables, summary->trigger));
	statement_execute(&log->insert, values, NULL, 0);
}

/*
 * Removes rows older than cadence_runner.log_retention, the oldest first; true
 * when there may be more of them.
 */
bool
cadence_log_prune(CadenceLog *log)
{
	Datum values[1];

	if (cadence_log_retention == 0)
		return false;
	values[0] =
		TimestampTzGetDatum(GetCurrentTimestamp() - cadence_log_retention * USECS_PER_MINUTE);
	statement_execute(&log->prune, values, NULL, 0);
	return SPI_processed == PRUNE_ROWS;
}
