/*
 * orphans.c
 *		Claims whose process is gone.
 *
 * After a crash the claims of the dead are in the tables, each until its lease
 * ends. Nobody will record them: they are made due at once, so that the next
 * look takes them, sees that an attempt was interrupted, and says so. A run that
 * was moved since, by somebody who knows nothing of claims (the old edge
 * function), no longer has the next_run_at of its claim, and is left alone.
 *
 * Runs that were paused or cancelled while their message was under way are due
 * to nobody. For those the uncertain attempt is noted here.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/array.h"
#include "claim/claimant.h"
#include "claim/abandoned.h"
#include "base/statement.h"

/* So many halted claims are looked at, at most. */
#define HALTED_MAX 1000

struct CadenceOrphans
{
	Statement find;
	Statement release;
	Statement forget;
	Statement find_halted;
	Statement note_halted;

	/* what the last search has seen */
	MemoryContext found;
	Datum ended; /* claims that perhaps no run has any more, as an array */
	bool has_ended;
	bool halted;
};

static const Oid release_types[] = {UUIDARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZOID};
static const Oid forget_types[] = {UUIDARRAYOID};
static const Oid halted_types[] = {INT4OID};
static const Oid note_types[] = {UUIDARRAYOID, UUIDARRAYOID};

/*
 * The runs r that a claim c has. Its lease's end as a range: for that the
 * planner expects the same whatever it knows of the column, while a single value
 * may stand for most of a table whose runs fell due together.
 */
#define RUNS_OF_CLAIM                                               \
	"r.status " EQ " 'ATIVA' AND r.next_run_at " GE " c.lease_end " \
	"AND r.next_run_at " LE " c.lease_end AND (r.claim_id " EQ " c.claim_id) IS TRUE"

/* All claims there are, and those of runs that are not active. */
static char *
find_sql(const CadenceTables *t)
{
	return psprintf("SELECT c.claim_id, c.lease_end FROM %s AS c UNION ALL "
					"SELECT DISTINCT r.claim_id, NULL::timestamptz FROM %s AS r "
					"WHERE r.claim_id IS NOT NULL AND r.status " NE " 'ATIVA'",
					t->claims, t->runs);
}

/* A subquery that locks is not made part of a join: each claim's runs are looked up. */
static char *
release_sql(const CadenceTables *t)
{
	return psprintf("UPDATE %s SET next_run_at = $3, updated_at = " NOW " "
					"WHERE id " EQ " ANY (ARRAY(SELECT s.id "
					"FROM unnest($1, $2) AS c(claim_id, lease_end), LATERAL (SELECT r.id "
					"FROM %s AS r WHERE " RUNS_OF_CLAIM " FOR UPDATE SKIP LOCKED) AS s))",
					t->runs, t->runs);
}

/* Claims that no run has any more: none will have them again. */
static char *
forget_sql(const CadenceTables *t)
{
	return psprintf("DELETE FROM %s WHERE claim_id " EQ
					" ANY (ARRAY(SELECT c.claim_id FROM %s AS c "
					"WHERE c.claim_id " EQ " ANY ($1) AND (SELECT r.id FROM %s AS r "
					"WHERE " RUNS_OF_CLAIM " LIMIT 1) IS NULL AND (SELECT r.id FROM %s AS r "
					"WHERE r.claim_id " EQ " c.claim_id AND r.claim_id IS NOT NULL "
					"AND r.status " NE " 'ATIVA' LIMIT 1) IS NULL FOR UPDATE OF c SKIP LOCKED))",
					t->claims, t->claims, t->runs, t->runs);
}

static char *
find_halted_sql(const CadenceTables *t)
{
	return psprintf("SELECT id, claim_id FROM %s WHERE claim_id IS NOT NULL "
					"AND status " NE " 'ATIVA' ORDER BY claim_id LIMIT $1",
					t->runs);
}

/* A paused run keeps its next_run_at, a cancelled one has none. */
static char *
note_halted_sql(const CadenceTables *t)
{
	return psprintf(
		"WITH halted AS (UPDATE %s SET claim_id = NULL, updated_at = " NOW ", "
		"next_run_at = CASE WHEN status::text " EQ " 'CANCELADA' THEN NULL ELSE next_run_at END "
		"WHERE id " EQ " ANY (ARRAY(SELECT r.id FROM %s AS r "
		"JOIN unnest($1, $2) AS d(id, claim_id) ON r.id " EQ " d.id "
		"AND (r.claim_id " EQ " d.claim_id) IS TRUE FOR UPDATE OF r SKIP LOCKED)) "
		"RETURNING id, cadence_id, next_step_ordem, attempts) "
		"INSERT INTO %s (id, lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, "
		"detalhes, created_at) "
		"SELECT pg_catalog.gen_random_uuid(), h.id, h.next_step_ordem, "
		"(SELECT x.template_codigo FROM %s AS x WHERE x.cadence_id " EQ " h.cadence_id "
		"AND x.ordem " GE " h.next_step_ordem ORDER BY x.ordem LIMIT 1), 'ERRO', "
		"pg_catalog.jsonb_build_object('codigo', 'INCERTO', 'erro', "
		"'an attempt was interrupted; whether it was sent is unknown', 'tentativa', "
		"h.attempts), " NOW " FROM halted AS h",
		t->runs, t->runs, t->events, t->steps);
}

/*
 * In the current memory context.
 */
CadenceOrphans *
cadence_orphans_create(const CadenceTables *t)
{
	CadenceOrphans *o = palloc0(sizeof(*o));

	o->found =
		AllocSetContextCreate(CurrentMemoryContext, "cadence_runner orphans", ALLOCSET_SMALL_SIZES);
	o->find = (Statement){
		.what = "looking for abandoned claims", .sql = find_sql(t), .expected = SPI_OK_SELECT};
	o->release =
		STATEMENT("releasing abandoned claims", release_sql(t), release_types, SPI_OK_UPDATE);
	o->forget = STATEMENT("forgetting claims", forget_sql(t), forget_types, SPI_OK_DELETE);
	o->find_halted =
		STATEMENT("looking for halted claims", find_halted_sql(t), halted_types, SPI_OK_SELECT);
	o->note_halted =
		STATEMENT("noting halted claims", note_halted_sql(t), note_types, SPI_OK_INSERT);
	return o;
}

/*
 * Says of runs that were paused or cancelled while their message was under way,
 * by a process that is gone, that an attempt is uncertain. To be called after
 * cadence_orphans_release().
 */
void
cadence_orphans_note_halted(CadenceOrphans *o)
{
	Datum values[] = {Int32GetDatum(HALTED_MAX), 0};
	ColumnArray columns[2];

	if (!o->halted)
		return;
	statement_execute(&o->find_halted, values, NULL, 0);
	cadence_claimants_refresh();
	column_init(&columns[0], UUIDOID, Max(SPI_processed, 1));
	column_init(&columns[1], UUIDOID, Max(SPI_processed, 1));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool isnull;
		HeapTuple row = SPI_tuptable->vals[i];
		Datum id = SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull);
		Datum claim = SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull);

		if (cadence_claimant_is_alive(DatumGetUUIDP(claim)))
			continue;
		column_add_uuid(&columns[0], DatumGetUUIDP(id));
		column_add_uuid(&columns[1], DatumGetUUIDP(claim));
	}
	if (columns[0].n == 0)
		return;
	values[0] = column_array(&columns[0]);
	values[1] = column_array(&columns[1]);
	statement_execute(&o->note_halted, values, NULL, 0);
}

/* What a search has found. */
typedef struct Found
{
	/* of processes that are gone */
	ColumnArray claims;
	ColumnArray lease_ends;

	ColumnArray ended; /* claims that perhaps no run has any more */
} Found;

static void
add_claim(CadenceOrphans *o, Found *found, const pg_uuid_t *id, bool has_lease,
		  TimestampTz lease_end)
{
	bool is_alive = cadence_claimant_is_alive(id);
	bool has_passed = lease_end <= GetCurrentTimestamp();

	if (!has_lease)
	{
		o->halted = o->halted || !is_alive;
		return;
	}
	/* after its end the runs are due as they are, in their own order */
	if (!is_alive && !has_passed)
	{
		column_add_uuid(&found->claims, id);
		column_add_time(&found->lease_ends, lease_end);
	}
	if (!is_alive || has_passed)
		column_add_uuid(&found->ended, id);
}

static void
keep_ended(CadenceOrphans *o, const Found *found)
{
	MemoryContext old;

	MemoryContextReset(o->found);
	o->has_ended = found->ended.n > 0;
	if (!o->has_ended)
		return;
	old = MemoryContextSwitchTo(o->found);
	o->ended = column_array(&found->ended);
	MemoryContextSwitchTo(old);
}

static void
find(CadenceOrphans *o, Found *found)
{
	int n;

	o->halted = false;
	statement_execute(&o->find, NULL, NULL, 0);
	cadence_claimants_refresh();
	n = Max(SPI_processed, 1);
	column_init(&found->claims, UUIDOID, n);
	column_init(&found->lease_ends, TIMESTAMPTZOID, n);
	column_init(&found->ended, UUIDOID, n);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool isnull;
		bool has_none;
		HeapTuple row = SPI_tuptable->vals[i];
		Datum id = SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull);
		Datum lease_end = SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &has_none);

		add_claim(o, found, DatumGetUUIDP(id), !has_none,
				  has_none ? 0 : DatumGetTimestampTz(lease_end));
	}
}

/*
 * Makes runs due, at the given time, whose claims were left by processes that
 * are gone, inside the caller's transaction. The claim ids stay: they say that
 * an attempt was interrupted.
 *
 * Returns how many there were.
 */
uint64
cadence_orphans_release(CadenceOrphans *o, TimestampTz due)
{
	Found found;
	Datum values[3];

	find(o, &found);
	keep_ended(o, &found);
	if (found.claims.n == 0)
		return 0;
	values[0] = column_array(&found.claims);
	values[1] = column_array(&found.lease_ends);
	values[2] = TimestampTzGetDatum(due);
	statement_execute(&o->release, values, NULL, 0);
	return SPI_processed;
}

/*
 * Whether the last search has seen claims that perhaps no run has any more.
 */
bool
cadence_orphans_have_ended(const CadenceOrphans *o)
{
	return o->has_ended;
}

/*
 * Forgets those of them that no run has. To be called last, in a transaction of
 * its own: a run that refuses to be released is no reason to keep the rest.
 */
void
cadence_orphans_forget(CadenceOrphans *o)
{
	statement_execute(&o->forget, &o->ended, NULL, 0);
}
