/*
 * abandoned.c
 *		Claims whose worker is gone.
 *
 * After a crash the claims of the dead are in the tables, each until its lease
 * ends. Nobody will record them: their runs are made due at once, so that the
 * next look takes them, sees that an attempt was interrupted, and says so. A run
 * that was moved since, by somebody who knows nothing of claims (the old edge
 * function), no longer has the next_run_at of its claim, and is left alone.
 *
 * Runs that were paused or cancelled while their message was under way are due
 * to nobody. For those the uncertain attempt is noted here.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/rowset.h"
#include "base/statement.h"
#include "base/subtransaction.h"
#include "claim/abandoned.h"

/* So many runs that are no longer active are looked at, at most. */
#define INACTIVE_MAX 1000

struct CadenceAbandoned
{
	const CadenceClaimant *claimant;
	Statement find;
	Statement find_runs;
	Statement release;
	Statement note;
	Statement forget;
};

/* The name by which statements know the claims of the dead. */
#define DEAD_CLAIMS "cadence_dead_claims"

/* A claim, with its lease or of a run that is not active any more; then such a run. */
enum
{
	FOUND_CLAIM = 1,
	FOUND_LEASE_END,
	FOUND_RUN
};

typedef struct AbandonedRun
{
	pg_uuid_t id;
	pg_uuid_t claim_id;
	bool active;
} AbandonedRun;

/* What one search is at. */
typedef struct Search
{
	CadenceAbandoned *abandoned;
	TimestampTz due;
	AbandonedRun *runs;
	int n;
	int released;
} Search;

static const Oid find_returns[] = {UUIDOID, TIMESTAMPTZOID, UUIDOID};
static const Oid run_returns[] = {UUIDOID, UUIDOID};
static const Oid release_types[] = {TIMESTAMPTZOID};
static const Oid forget_types[] = {TIMESTAMPTZOID};
static const RowsetColumn claim_columns[] = {{"claim_id", UUIDOID}, {"lease_end", TIMESTAMPTZOID}};
static const RowsetColumn run_columns[] = {{"id", UUIDOID}, {"claim_id", UUIDOID}};

/*
 * The runs r that a claim c has. Its lease's end as a range: for that the
 * planner expects the same whatever it knows of the column, while a single value
 * may stand for most of a table whose runs fell due together.
 */
#define RUNS_OF_CLAIM                                               \
	"r.status " EQ " 'ATIVA' AND r.next_run_at " GE " c.lease_end " \
	"AND r.next_run_at " LE " c.lease_end AND (r.claim_id " EQ " c.claim_id) IS TRUE"

/* All claims there are, and the claimed runs that are not active. */
static char *
find_sql(const CadenceTables *t)
{
	return psprintf("SELECT c.claim_id, c.lease_end, NULL::uuid FROM %s AS c UNION ALL "
					"(SELECT r.claim_id::uuid, NULL::timestamptz, r.id::uuid FROM %s AS r "
					"WHERE r.claim_id IS NOT NULL AND r.status " NE " 'ATIVA' "
					"ORDER BY r.claim_id LIMIT %d)",
					t->claims, t->runs, INACTIVE_MAX);
}

static char *
find_runs_sql(const CadenceTables *t)
{
	return psprintf("SELECT s.id, c.claim_id FROM " DEAD_CLAIMS " AS c, LATERAL (SELECT r.id::uuid "
					"FROM %s AS r WHERE " RUNS_OF_CLAIM " FOR UPDATE SKIP LOCKED) AS s",
					t->runs);
}

static char *
release_sql(const CadenceTables *t)
{
	return psprintf("UPDATE %s AS r SET next_run_at = $1, updated_at = " NOW " FROM " ROWSET_NAME
					" AS d WHERE r.id " EQ " d.id AND (r.claim_id " EQ " d.claim_id) IS TRUE "
					"AND (r.status " EQ " 'ATIVA') IS TRUE",
					t->runs);
}

/* A paused run keeps its next_run_at, a cancelled one has none. */
static char *
note_sql(const CadenceTables *t)
{
	return psprintf(
		"WITH noted AS (UPDATE %s AS r SET claim_id = NULL, updated_at = " NOW ", "
		"next_run_at = CASE WHEN r.status::text " EQ
		" 'CANCELADA' THEN NULL ELSE r.next_run_at END "
		"FROM " ROWSET_NAME " AS d WHERE r.id " EQ " d.id "
		"AND (r.claim_id " EQ " d.claim_id) IS TRUE AND (r.status " NE " 'ATIVA') IS TRUE "
		"RETURNING r.id, r.cadence_id, r.next_step_ordem, r.attempts) "
		"INSERT INTO %s (id, lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, "
		"detalhes, created_at) "
		"SELECT pg_catalog.gen_random_uuid(), h.id, h.next_step_ordem, "
		"(SELECT x.template_codigo FROM %s AS x WHERE x.cadence_id " EQ " h.cadence_id "
		"AND x.ordem " GE " h.next_step_ordem ORDER BY x.ordem LIMIT 1), 'ERRO', "
		"pg_catalog.jsonb_build_object('codigo', 'INCERTO', 'erro', "
		"'an attempt was interrupted; whether it was sent is unknown', 'tentativa', "
		"h.attempts), " NOW " FROM noted AS h",
		t->runs, t->events, t->steps);
}

/* Those of which no run is left: none will have them again. After its lease a claim is nobody's. */
static char *
forget_sql(const CadenceTables *t)
{
	return psprintf("DELETE FROM %s AS c USING " DEAD_CLAIMS " AS d WHERE c.claim_id " EQ
					" d.claim_id AND (c.lease_end " LE " $1 OR (SELECT r.id FROM %s AS r "
					"WHERE " RUNS_OF_CLAIM " LIMIT 1) IS NULL)",
					t->claims, t->runs);
}

/*
 * In the current memory context.
 */
CadenceAbandoned *
cadence_abandoned_create(const CadenceTables *t, const CadenceClaimant *claimant)
{
	CadenceAbandoned *a = palloc0(sizeof(*a));

	a->claimant = claimant;
	a->find = (Statement){
		.what = "looking for abandoned claims", .sql = find_sql(t), .expected = SPI_OK_SELECT};
	STATEMENT_RETURNS(a->find, find_returns);
	a->find_runs = ROWS_STATEMENT("looking for abandoned claims", find_runs_sql(t), SPI_OK_SELECT);
	STATEMENT_RETURNS(a->find_runs, run_returns);
	a->release =
		STATEMENT("releasing abandoned claims", release_sql(t), release_types, SPI_OK_UPDATE);
	a->note = ROWS_STATEMENT("noting abandoned claims", note_sql(t), SPI_OK_INSERT);
	a->forget = STATEMENT("forgetting claims", forget_sql(t), forget_types, SPI_OK_DELETE);
	return a;
}

static void
add_run(Search *s, const pg_uuid_t *id, const pg_uuid_t *claim_id, bool active)
{
	s->runs[s->n++] = (AbandonedRun){.id = *id, .claim_id = *claim_id, .active = active};
}

/* One row of a search: an inactive run is kept, a claim goes into the set. */
static void
sort_out(Search *s, HeapTuple row, TupleDesc desc, Rowset *claims)
{
	bool isnull;
	Datum claim_id = SPI_getbinval(row, desc, FOUND_CLAIM, &isnull);
	Datum lease_end = SPI_getbinval(row, desc, FOUND_LEASE_END, &isnull);
	bool is_claim = !isnull;
	Datum run = SPI_getbinval(row, desc, FOUND_RUN, &isnull);

	if (!cadence_claimant_lock_dead(s->abandoned->claimant, DatumGetUUIDP(claim_id)))
		return;
	if (!is_claim)
	{
		if (!isnull)
			add_run(s, DatumGetUUIDP(run), DatumGetUUIDP(claim_id), false);
		return;
	}
	rowset_put_uuid(claims, DatumGetUUIDP(claim_id));
	rowset_put_time(claims, DatumGetTimestampTz(lease_end));
}

/* After its end the runs of a lease are due as they are, in their own order. */
static void
find_runs(Search *s)
{
	bool isnull;

	statement_execute(&s->abandoned->find_runs, NULL, NULL, 0);
	if (SPI_processed > 0)
		s->runs = repalloc(s->runs, sizeof(AbandonedRun) * (s->n + SPI_processed));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		Datum id = SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull);
		Datum claim_id = SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull);

		add_run(s, DatumGetUUIDP(id), DatumGetUUIDP(claim_id), true);
	}
}

/* A part of the runs, all of them active or none. */
static void
work_on(void *arg, int first, int n)
{
	Search *s = arg;
	Datum values[] = {TimestampTzGetDatum(s->due)};
	Rowset rows;

	rowset_begin(&rows, run_columns, lengthof(run_columns));
	for (int i = first; i < first + n; i++)
	{
		rowset_put_uuid(&rows, &s->runs[i].id);
		rowset_put_uuid(&rows, &s->runs[i].claim_id);
	}
	if (s->runs[first].active)
		statement_execute(&s->abandoned->release, values, NULL, 0);
	else
		statement_execute(&s->abandoned->note, NULL, NULL, 0);
	rowset_end(&rows);
}

/* Its lease ends by time. */
static bool
note_refusal(void *arg, int item, const ErrorData *error)
{
	Search *s = arg;

	ereport(DEBUG1, (errcode(error->sqlerrcode),
					 errmsg("an abandoned claim could not be released: %s", error->message)));
	s->released -= s->runs[item].active ? 1 : 0;
	return true;
}

static void
work_on_all(Search *s)
{
	int inactive = 0;

	while (inactive < s->n && !s->runs[inactive].active)
		inactive++;
	s->released = s->n - inactive;
	if (inactive > 0)
		(void) cadence_divide(work_on, note_refusal, s, 0, inactive);
	if (s->released > 0)
		(void) cadence_divide(work_on, note_refusal, s, inactive, s->n - inactive);
}

/*
 * Makes runs due, at the given time, whose claims were left by workers that are
 * gone, inside the caller's transaction, which then must not wait for anything.
 * The claim ids stay: they say that an attempt was interrupted. Says of runs
 * that were paused or cancelled meanwhile that an attempt is uncertain.
 *
 * Returns how many were made due.
 */
int
cadence_abandoned_release(CadenceAbandoned *a, TimestampTz due)
{
	Search s = {.abandoned = a, .due = due};
	Datum values[] = {TimestampTzGetDatum(GetCurrentTimestamp())};
	Rowset claims;

	statement_execute(&a->find, NULL, NULL, 0);
	if (SPI_processed == 0)
		return 0;
	s.runs = palloc(sizeof(AbandonedRun) * SPI_processed);
	rowset_begin_as(&claims, DEAD_CLAIMS, claim_columns, lengthof(claim_columns));
	for (uint64 i = 0; i < SPI_processed; i++)
		sort_out(&s, SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &claims);
	if (claims.n > 0)
		find_runs(&s);
	work_on_all(&s);
	if (claims.n > 0)
		statement_execute(&a->forget, values, NULL, 0);
	rowset_end(&claims);
	return s.released;
}
