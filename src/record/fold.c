/*
 * fold.c
 *		What was counted, put together: cadence_deltas becomes cadence_counts and
 *		cadence_cohorts; and how many runs stand where.
 *
 * One statement deletes deltas and adds them, so that whoever reads both in one
 * snapshot has each of them once. Of those who fold one does it, and the others
 * leave it to that one: they never wait for each other, nor does anybody who counts.
 *
 * Runs by status are no sum of what we have seen, since an application may write
 * to its runs what it likes: they are counted, by those who want to know, and so
 * rarely that it takes a small part of the time.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "nodes/makefuncs.h"
#include "storage/bufmgr.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/lock.h"
#include "base/row.h"
#include "base/statement.h"
#include "record/fold.h"

/* So many are folded by one statement. */
#define FOLD_ROWS 20000

/* The minutes and hours of so long are kept, of all kinds. */
#define MINUTES_KEPT "48 hours"
#define HOURS_KEPT "400 days"
#define KINDS                                                                                \
	"attempt,error,due_to_send,send_duration,execution_duration,execution,delivery,inbound," \
	"opt_out,webhook,http"

/* So many pages may wait where somebody waits for the fold. */
#define FEW_PAGES 16

/* Keys of the lock of those who fold, and of those who count. */
#define FOLDING 0
#define COUNTING 1

/* ---- folding ----------------------------------------------------------------------------- */

#define PLUS "OPERATOR(pg_catalog.+)"

/* A sum of microseconds that has no room stays where it is. */
static char *
saturated(const char *sum)
{
	return psprintf("LEAST(%s, 9223372036854775807)::pg_catalog.int8", sum);
}

/* What of a delta each grain keeps; cadence_rollup_counts() says the same of what is not folded. */
#define GRAINS                                                 \
	"(VALUES ('TOTAL', '-infinity'::pg_catalog.timestamptz), " \
	"('HOUR', pg_catalog.date_trunc('hour', m.at, 'UTC')), "   \
	"('MINUTE', pg_catalog.date_trunc('minute', m.at, 'UTC'))) AS g (grain, at)"
#define BUCKETS                                           \
	"(SELECT ''::pg_catalog.text AS code, m.n UNION ALL " \
	"SELECT k.key, k.value::pg_catalog.int8 FROM pg_catalog.jsonb_each_text(m.buckets) AS k) AS b"
/* A minute is a point of a line, whoever's it is. */
static char *
of_all_but_minutes(const char *column)
{
	return psprintf("CASE WHEN g.grain " EQ " 'MINUTE' THEN '' ELSE %s END", column);
}

static char *
of_hours(const char *column)
{
	return psprintf("CASE WHEN g.grain " EQ " 'HOUR' THEN %s ELSE '' END", column);
}

static char *
counted_sql(const CadenceTables *t)
{
	char *sum = saturated("pg_catalog.sum(CASE WHEN b.code " EQ " '' THEN m.us ELSE 0 END)");
	char *added = saturated("c.us::pg_catalog.numeric " PLUS " EXCLUDED.us::pg_catalog.numeric");

	return psprintf(
		"counted AS (INSERT INTO %s AS c (grain, kind, at, empresa, server, canal, outcome, code, "
		"template, cadence, n, us, first_at, last_at) "
		"SELECT g.grain, m.kind, g.at, %s, m.server, %s, m.outcome, "
		"CASE WHEN b.code " NE " '' THEN b.code WHEN g.grain " EQ " 'MINUTE' THEN '' "
		"ELSE m.code END, %s, %s, pg_catalog.sum(b.n), %s, "
		"pg_catalog.min(m.first_at), pg_catalog.max(m.last_at) "
		"FROM moved AS m CROSS JOIN LATERAL " GRAINS " CROSS JOIN LATERAL " BUCKETS
		" WHERE m.kind " NE " '' AND (m.kind " EQ " 'attempt' OR g.grain " NE " 'MINUTE') "
		"GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 "
		"ON CONFLICT (grain, kind, at, server, outcome, code, canal, template, empresa, cadence) "
		"DO UPDATE SET n = c.n " PLUS " EXCLUDED.n, us = %s, "
		"first_at = LEAST(c.first_at, EXCLUDED.first_at), "
		"last_at = GREATEST(c.last_at, EXCLUDED.last_at))",
		t->counts, of_all_but_minutes("COALESCE(m.empresa, '')"), of_all_but_minutes("m.canal"),
		of_hours("m.template"), of_hours("COALESCE(m.cadence::pg_catalog.text, '')"), sum, added);
}

/*
 * What was counted in all, folded or not; of companies, those that are listed in $1 with
 * commas between them. Ordered by kind and server.
 */
char *
cadence_totals_sql(const CadenceTables *t)
{
	return psprintf(
		"SELECT x.kind, CASE WHEN x.empresa " EQ
		" ANY (pg_catalog.regexp_split_to_array($1, '\\s*,\\s*')) THEN x.empresa ELSE '' END, "
		"x.server, x.canal, x.outcome, x.code, pg_catalog.sum(x.n)::pg_catalog.int8, %s, "
		"pg_catalog.max(x.last_at) "
		"FROM (SELECT c.kind, c.empresa, c.server, c.canal, c.outcome, c.code, c.n, c.us, "
		"c.last_at FROM %s AS c WHERE c.grain " EQ " 'TOTAL' UNION ALL "
		"SELECT m.kind, m.empresa, m.server, m.canal, m.outcome, "
		"CASE WHEN b.code " NE " '' THEN b.code ELSE m.code END, b.n, "
		"CASE WHEN b.code " EQ " '' THEN m.us ELSE 0 END, m.last_at "
		"FROM %s AS m CROSS JOIN LATERAL " BUCKETS " WHERE m.kind " NE " '') AS x "
		"GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 3, 6, 2, 4, 5",
		saturated("pg_catalog.sum(x.us)"), t->counts, t->deltas);
}

static const char *const marks[] = {"entered",	 "sent",   "delivered", "read",	  "replied",
									"opted_out", "failed", "skipped",	"stopped"};

static char *
walked_sql(const CadenceTables *t)
{
	StringInfoData names, sums, changes;

	initStringInfo(&names);
	initStringInfo(&sums);
	initStringInfo(&changes);
	for (size_t i = 0; i < lengthof(marks); i++)
	{
		appendStringInfo(&names, ", %s", marks[i]);
		appendStringInfo(&sums,
						 ", COALESCE(pg_catalog.sum(m.n) FILTER (WHERE k.mark " EQ " '%s'), 0)",
						 marks[i]);
		appendStringInfo(&changes, "%s%s = c.%s " PLUS " EXCLUDED.%s", i > 0 ? ", " : "", marks[i],
						 marks[i], marks[i]);
	}
	return psprintf("walked AS (INSERT INTO %s AS c (cadence, step, day, empresa%s) "
					"SELECT m.cadence, k.step, m.day, COALESCE(m.empresa, '')%s FROM moved AS m "
					"CROSS JOIN LATERAL (VALUES (m.step, m.mark), (m.next_step, 'entered')) "
					"AS k (step, mark) WHERE k.step IS NOT NULL AND k.mark " NE " '' "
					"AND m.cadence IS NOT NULL AND m.day IS NOT NULL GROUP BY 1, 2, 3, 4 "
					"ON CONFLICT (cadence, step, day, empresa) DO UPDATE SET %s)",
					t->cohorts, names.data, sums.data, changes.data);
}

static char *
fold_sql(const CadenceTables *t)
{
	return psprintf("WITH moved AS (DELETE FROM %s AS d WHERE d.id " EQ " ANY (ARRAY("
					"SELECT x.id FROM %s AS x LIMIT %d FOR UPDATE SKIP LOCKED)) "
					"RETURNING d.*), %s, %s SELECT pg_catalog.count(*) FROM moved",
					t->deltas, t->deltas, FOLD_ROWS, counted_sql(t), walked_sql(t));
}

static int64
fold_some(Statement *fold)
{
	bool isnull;
	int64 n;

	statement_execute(fold, NULL, NULL, 0);
	n = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return n;
}

/* By the beginning of the index. */
static void
forget(const CadenceTables *t, const char *grain, const char *kept)
{
	Statement forget =
		ROWS_STATEMENT("forgetting old counts",
					   psprintf("DELETE FROM %s AS c WHERE c.grain " EQ " '%s' AND c.kind " EQ
								" ANY ('{" KINDS "}'::pg_catalog.text[]) AND c.at " LT " (" NOW
								" OPERATOR(pg_catalog.-) interval '%s')",
								t->counts, grain, kept),
					   SPI_OK_DELETE);

	statement_execute(&forget, NULL, NULL, 0);
}

/*
 * Folds some, inside the caller's transaction and SPI connection, as the owner of the
 * tables; whether there may be more, for another transaction. Another who does it is not
 * waited for, nor is it done where the transaction sees no more than it did at its
 * beginning.
 */
bool
cadence_fold(const CadenceTables *t)
{
	Statement fold;
	int64 n;

	if (IsolationUsesXactSnapshot() || !cadence_lock_try(CADENCE_LOCK_FOLD, FOLDING, false))
		return false;
	fold = ROWS_STATEMENT("folding what was counted", fold_sql(t), SPI_OK_SELECT);
	n = fold_some(&fold);
	if (n == 0)
		return false;
	forget(t, "MINUTE", MINUTES_KEPT);
	forget(t, "HOUR", HOURS_KEPT);
	return n == FOLD_ROWS;
}

/*
 * Whether enough waits to be folded, by the size of the table. Whoever reads adds what is
 * not folded: some pages cost him less than planning the fold costs an execution of one
 * step.
 */
bool
cadence_fold_is_worth(const CadenceTables *t)
{
	Relation deltas =
		table_openrv(makeRangeVar(t->schema_name, pstrdup("cadence_deltas"), -1), AccessShareLock);
	bool worth = deltas->rd_rel->relkind != RELKIND_RELATION ||
				 RelationGetNumberOfBlocks(deltas) > FEW_PAGES;

	table_close(deltas, NoLock);
	return worth;
}

/* ---- the stock --------------------------------------------------------------------------- */

/*
 * The row without a status says when it was counted, and how many milliseconds that
 * took: it is old after a minute, or fifty times as long.
 */
bool
cadence_stock_is_old(const CadenceTables *t)
{
	Statement look = ROWS_STATEMENT(
		"looking when runs were counted",
		psprintf("SELECT pg_catalog.clock_timestamp() " GE " (s.counted_at OPERATOR(pg_catalog.+) "
				 "GREATEST(interval '1 minute', interval '50 milliseconds' "
				 "OPERATOR(pg_catalog.*) s.runs)) OR s.counted_at " GT
				 " pg_catalog.clock_timestamp() FROM %s AS s WHERE s.cadence " EQ
				 " '' AND s.ordem " EQ " -1 AND s.status " EQ " '' AND s.empresa " EQ " ''",
				 t->stock),
		SPI_OK_SELECT);
	bool old;

	look.latest = true;
	statement_execute(&look, NULL, NULL, 1);
	old = SPI_processed == 0 || row_true(SPI_tuptable->tupdesc, SPI_tuptable->vals[0], 1);
	SPI_freetuptable(SPI_tuptable);
	return old;
}

static void
replace(const CadenceTables *t)
{
	static const Oid types[] = {TIMESTAMPTZOID};
	Datum values[] = {TimestampTzGetDatum(GetCurrentTimestamp())};
	Statement clear = ROWS_STATEMENT("clearing what runs there were",
									 psprintf("DELETE FROM %s AS s", t->stock), SPI_OK_DELETE);
	Statement count = STATEMENT(
		"counting runs",
		psprintf("INSERT INTO %s (empresa, cadence, ordem, status, runs, counted_at) "
				 "SELECT pg_catalog.\"left\"(x.empresa, 100), x.cadence, x.ordem, x.status, "
				 "pg_catalog.sum(x.n), $1 FROM (SELECT COALESCE(r.empresa::pg_catalog.text, '') AS "
				 "empresa, "
				 "COALESCE(r.cadence_id::pg_catalog.text, '') AS cadence, "
				 "COALESCE(r.next_step_ordem, -1) AS ordem, "
				 "COALESCE(r.status::pg_catalog.text, '?') AS status, "
				 "pg_catalog.count(*) AS n FROM %s AS r "
				 "GROUP BY r.empresa, r.cadence_id, r.next_step_ordem, r.status) AS x "
				 "GROUP BY 1, 2, 3, 4",
				 t->stock, t->runs),
		types, SPI_OK_INSERT);
	Statement sign =
		STATEMENT("noting when runs were counted",
				  psprintf("INSERT INTO %s (empresa, cadence, ordem, status, runs, counted_at) "
						   "VALUES ('', '', -1, '', pg_catalog.date_part('epoch', "
						   "pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) $1) "
						   "OPERATOR(pg_catalog.*) 1000, $1)",
						   t->stock),
				  types, SPI_OK_INSERT);

	statement_execute(&clear, NULL, NULL, 0);
	statement_execute(&count, values, NULL, 0);
	statement_execute(&sign, values, NULL, 0);
}

/*
 * Counts the runs, inside the caller's transaction and SPI connection, as the owner of
 * the tables; false: another does it now, or has just done it. All of a table is read
 * once, which an index would only make longer.
 */
bool
cadence_stock_count(const CadenceTables *t, bool only_if_old)
{
	int level;

	if (IsolationUsesXactSnapshot() || !cadence_lock_try(CADENCE_LOCK_FOLD, COUNTING, false) ||
		(only_if_old && !cadence_stock_is_old(t)))
		return false;
	level = NewGUCNestLevel();
	(void) set_config_option("enable_seqscan", "on", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	replace(t);
	AtEOXact_GUC(true, level);
	return true;
}
