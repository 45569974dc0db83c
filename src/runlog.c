/*
 * runlog.c
 *		Log: one row per execution, however many workers served it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "runlog.h"
#include "settings.h"
#include "statement.h"
#include "uuid.h"

/* Old rows leave in small numbers, so that no execution pays for a long absence. */
#define PRUNE_ROWS 1000

/*
 * Writes the execution's row inside the caller's transaction. An execution
 * that failed counts one error more than its steps had.
 */
void
cadence_log_write(const CadenceTables *t, const CadenceSummary *summary)
{
	static const Oid types[] = {UUIDOID, INT4OID, INT4OID, INT4OID, INT4OID, TEXTOID, TEXTOID};
	Statement insert;
	pg_uuid_t id;
	Datum values[lengthof(types)];
	char *sql = psprintf("INSERT INTO %s (id, executed_at, steps_executed, errors, runs_touched, "
						 "duration_ms, details, trigger_source) "
						 "VALUES ($1, " NOW ", $2, $3, $4, $5, $6::jsonb, $7::%s)",
						 t->logs, t->log_trigger_type);

	cadence_uuid_v7(&id);
	values[0] = UUIDPGetDatum(&id);
	values[1] = Int32GetDatum(Min(summary->success, PG_INT32_MAX));
	values[2] = Int32GetDatum(
		Min(summary->errors + (summary->failure_message != NULL ? 1 : 0), PG_INT32_MAX));
	values[3] = Int32GetDatum(Min(cadence_summary_total(summary), PG_INT32_MAX));
	values[4] = Int32GetDatum(Min(cadence_summary_duration_ms(summary), PG_INT32_MAX));
	values[5] = CStringGetTextDatum(cadence_summary_details(summary));
	values[6] = CStringGetTextDatum(summary->trigger);
	insert = STATEMENT("writing the log", sql, types, SPI_OK_INSERT);
	statement_execute(&insert, values, NULL, 0);
}

/*
 * Removes rows older than cadence_runner.log_retention, the oldest first.
 */
void
cadence_log_prune(const CadenceTables *t)
{
	static const Oid types[] = {TIMESTAMPTZOID};
	Statement prune;
	Datum values[1];
	char *sql;

	if (cadence_log_retention == 0)
		return;
	values[0] =
		TimestampTzGetDatum(GetCurrentTimestamp() - cadence_log_retention * USECS_PER_MINUTE);
	sql = psprintf("DELETE FROM %s WHERE id " EQ
				   " ANY (ARRAY(SELECT id FROM %s WHERE executed_at " LT " $1 "
				   "ORDER BY executed_at LIMIT %d FOR UPDATE SKIP LOCKED))",
				   t->logs, t->logs, PRUNE_ROWS);
	prune = STATEMENT("removing old log rows", sql, types, SPI_OK_DELETE);
	statement_execute(&prune, values, NULL, 0);
}
