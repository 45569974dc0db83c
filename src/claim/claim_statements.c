/*
 * claim_statements.c
 *		The statements of a claim.
 *
 * The batch size stands in a look as a literal: with a parameter there the planner, which
 * can not know that it is small, may prefer to sort the whole table.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"

#include "claim/claim_statements.h"
#include "schema/edition.h"

/* So many runs that others hold are reported at most. */
#define HELD_MAX 10000

static const Oid look_types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, UUIDOID};
static const Oid take_types[] = {TIMESTAMPTZOID, UUIDOID};
static const Oid time_types[] = {TIMESTAMPTZOID};

#define NOT_REFUSED "NOT r.id " EQ " ANY (ARRAY(SELECT f.id FROM " REFUSED_NAME " AS f))"

#define ANY_BLOCKED(what) \
	"ANY (ARRAY(SELECT b.value FROM " BLOCKED_NAME " AS b WHERE b.what " EQ " '" what "'))"

/*
 * Goes past runs whose next step would meet a blocked provider: one of the
 * company's own (par: channel and company), or one for any company (canal),
 * where the company has none of its own (served).
 */
#define IS_NEW NOT_HAD("x", "r")
#define CANAL SHORT_TEXT("x.canal", "100")

static char *
past_blocked_sql(const CadenceTables *t)
{
	return psprintf(
		"AND NOT EXISTS (SELECT FROM (SELECT pg_catalog.upper(" CANAL ") AS canal, "
		"pg_catalog.concat(pg_catalog.upper(" CANAL "), ' '::text, " SHORT_TEXT(
			"r.empresa", "1000") ") "
								 "AS par FROM %s AS x WHERE x.cadence_id " EQ " r.cadence_id "
								 "AND x.ordem " GE " r.next_step_ordem AND " IS_NEW
								 " ORDER BY x.ordem LIMIT 1) AS s "
								 "WHERE s.par " EQ
								 " " ANY_BLOCKED("par") " OR (s.canal " EQ " " ANY_BLOCKED(
									 "canal") " AND NOT s.par " EQ " " ANY_BLOCKED("served") ")) ",
		t->steps);
}

static char *
look_sql(const CadenceTables *t, int batch_size, const char *condition)
{
	char *is_over = cadence_edition_is_over(t, "r");

	return psprintf("SELECT %s, r.claim_id IS NOT NULL AND NOT %s, r.claim_id IS NOT NULL AND %s "
					"FROM %s AS r "
					"WHERE r.status " EQ " 'ATIVA' AND r.next_run_at " LE " $1 "
					"AND (r.next_run_at, r.id) " GT " ($2, $3) AND " NOT_REFUSED " %s"
					"ORDER BY r.next_run_at, r.id LIMIT %d FOR UPDATE OF r SKIP LOCKED",
					cadence_claimed_run_columns(t), is_over, is_over, t->runs, condition,
					batch_size);
}

/*
 * News have the columns of a run, as far as they have them. A lead is who may fail
 * without its provider's fault: each is its own. Those of a company whose server is
 * blocked are gone past, as runs are.
 */
#define NEWS_PAIR \
	"pg_catalog.concat('" CADENCE_NEWS_CHANNEL " '::text, " SHORT_TEXT("r.empresa", "1000") ")"

static char *
look_news_sql(const CadenceTables *t, int batch_size)
{
	return psprintf(
		"SELECT r.id::uuid, r.ctid, r.next_run_at::timestamptz, r.id::text, r.empresa::text, "
		"r.attempts::int4, NULL::uuid, NULL::int4, false, r.created_at::timestamptz, "
		"NULL::timestamptz, NULL::uuid[], NULL::jsonb, NULL::timestamptz, r.claim_id IS NOT NULL, "
		"r.corpo::jsonb, "
		"r.created_at::timestamptz FROM %s AS r WHERE r.status " EQ " 'PENDENTE' "
		"AND r.next_run_at " LE " $1 AND (r.next_run_at, r.id) " GT " ($2, $3) AND " NOT_REFUSED
		" AND NOT " NEWS_PAIR " " EQ
		" " ANY_BLOCKED("par") " AND (NOT EXISTS (SELECT FROM " BLOCKED_NAME
							   " AS b WHERE b.what " EQ " 'canal') "
							   "OR " NEWS_PAIR " " EQ
							   " " ANY_BLOCKED("served") ") "
														 "ORDER BY r.next_run_at, r.id LIMIT %d "
														 "FOR UPDATE OF r SKIP LOCKED",
		t->outbox, batch_size);
}

#define ONE_MORE "COALESCE(u.attempts, 0) OPERATOR(pg_catalog.+) 1"

static char *
take_sql(const char *relation, const char *attempts, const char *more)
{
	return psprintf(
		"UPDATE %s AS u SET next_run_at = $1, claim_id = $2, attempts = %s, updated_at = " NOW
		"%s FROM " ROWSET_NAME " AS d WHERE u.ctid " EQ " d.ctid_seen AND u.id " EQ
		" d.id RETURNING d.n, u.ctid, u.next_run_at::timestamptz, " CLAMPED_INT("u.attempts"),
		relation, attempts, more);
}

/* What was tried of a step that is gone is no attempt at the one that has come in its place. */
static char *
take_runs_sql(const CadenceTables *t)
{
	char *is_over = cadence_edition_is_over(t, "u");

	return take_sql(t->runs, psprintf("CASE WHEN %s THEN 1 ELSE " ONE_MORE " END", is_over),
					psprintf(", edicao = CASE WHEN %s THEN '{}' ELSE u.edicao END", is_over));
}

static char *
next_due_sql(const char *relation, const char *status)
{
	return psprintf("SELECT r.next_run_at::timestamptz FROM %s AS r WHERE r.status " EQ
					" '%s' AND r.next_run_at " GE " $1 AND " NOT_REFUSED
					" ORDER BY r.next_run_at, r.id LIMIT 1",
					relation, status);
}

/* Due, and neither taken by this execution nor free for it. */
static char *
held_sql(const CadenceTables *t)
{
#define DUE_RUNS                                                              \
	"FROM %s AS r WHERE r.status " EQ " 'ATIVA' AND r.next_run_at " LE " $1 " \
	"ORDER BY r.next_run_at, r.id LIMIT %d"

	return psprintf("WITH open AS MATERIALIZED (SELECT r.id " DUE_RUNS " FOR UPDATE SKIP LOCKED) "
					"SELECT %s FROM (SELECT r.*, r.ctid " DUE_RUNS
					") AS r WHERE NOT EXISTS (SELECT FROM open AS o WHERE o.id " EQ " r.id)",
					t->runs, HELD_MAX, cadence_claimed_run_columns(t), t->runs, HELD_MAX);
}

/* How many rows a look of a kind takes at most. */
int
claim_batch_size(CadenceLookKind kind, int batch_size)
{
	return kind == CADENCE_LOOK_NEWS ? Min(batch_size, CADENCE_NEWS_BATCH_MAX) : batch_size;
}

/* In the current memory context. */
void
claim_statements_prepare(ClaimStatements *s, const CadenceTables *t, int batch_size)
{
	s->look[CADENCE_LOOK_ALL] =
		STATEMENT("looking for due runs", look_sql(t, batch_size, ""), look_types, SPI_OK_SELECT);
	s->look[CADENCE_LOOK_BYPASS] =
		STATEMENT("looking for due runs", look_sql(t, batch_size, past_blocked_sql(t)), look_types,
				  SPI_OK_SELECT);
	s->look[CADENCE_LOOK_NEWS] = STATEMENT(
		"looking for news", look_news_sql(t, claim_batch_size(CADENCE_LOOK_NEWS, batch_size)),
		look_types, SPI_OK_SELECT);
	s->take[CADENCE_LOOK_ALL] = s->take[CADENCE_LOOK_BYPASS] =
		STATEMENT("taking due runs", take_runs_sql(t), take_types, SPI_OK_UPDATE_RETURNING);
	s->take[CADENCE_LOOK_NEWS] = STATEMENT("taking news", take_sql(t->outbox, ONE_MORE, ""),
										   take_types, SPI_OK_UPDATE_RETURNING);
	s->next[CADENCE_LOOK_ALL] = STATEMENT(
		"looking for the next due run", next_due_sql(t->runs, "ATIVA"), time_types, SPI_OK_SELECT);
	s->next[CADENCE_LOOK_NEWS] =
		STATEMENT("looking for the next news", next_due_sql(t->outbox, "PENDENTE"), time_types,
				  SPI_OK_SELECT);
	s->held =
		STATEMENT("looking for runs that others hold", held_sql(t), time_types, SPI_OK_SELECT);
}
