/*
 * orphans.c
 *		Claims whose process is gone.
 *
 * After a crash the claims of the dead are in the tables, each until its lease
 * ends. Nobody will record them: they are made due at once, so that the next
 * look takes them, sees that an attempt was interrupted, and says so.
 *
 * Runs that were paused or cancelled while their message was under way are due
 * to nobody. For those the uncertain attempt is noted here.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "array.h"
#include "claimant.h"
#include "orphans.h"
#include "statement.h"

/* So many halted claims are looked at, at most. */
#define HALTED_MAX 1000

struct CadenceOrphans
{
	Statement find;
	Statement release;
	Statement find_halted;
	Statement note_halted;
	bool halted; /* the last search has seen some */
};

static const Oid release_types[] = {UUIDARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZOID};
static const Oid halted_types[] = {INT4OID};
static const Oid note_types[] = {UUIDARRAYOID, UUIDARRAYOID};

/*
 * The leases that have not ended, each of them once, and the claims of runs that
 * are not active. One statement: behind an old snapshot it reads every claim
 * that there was since.
 */
static char *
find_sql(const CadenceTables *t)
{
	return psprintf("SELECT DISTINCT claim_id, CASE WHEN status " EQ
					" 'ATIVA' THEN next_run_at END "
					"FROM %s WHERE claim_id IS NOT NULL "
					"AND (status " NE " 'ATIVA' OR next_run_at " GT " " NOW ") IS TRUE",
					t->runs);
}

static char *
release_sql(const CadenceTables *t)
{
	return psprintf("UPDATE %s SET next_run_at = $3, updated_at = " NOW " "
					"WHERE id " EQ " ANY (ARRAY(SELECT r.id FROM %s AS r "
					"JOIN unnest($1, $2) AS d(claim_id, lease_end) "
					"ON r.next_run_at " EQ " d.lease_end AND r.claim_id " EQ " d.claim_id "
					"WHERE r.status " EQ " 'ATIVA' FOR UPDATE OF r SKIP LOCKED))",
					t->runs, t->runs);
}

static char *
find_halted_sql(const CadenceTables *t)
{
	return psprintf("SELECT id, claim_id FROM %s WHERE claim_id IS NOT NULL "
					"AND (status " NE " 'ATIVA') IS TRUE ORDER BY claim_id LIMIT $1",
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

	o->find = (Statement){
		.what = "looking for abandoned claims", .sql = find_sql(t), .expected = SPI_OK_SELECT};
	o->release =
		STATEMENT("releasing abandoned claims", release_sql(t), release_types, SPI_OK_UPDATE);
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
	Datum values[] = {0, 0, TimestampTzGetDatum(due)};
	ColumnArray columns[2];

	o->halted = false;
	statement_execute(&o->find, NULL, NULL, 0);
	cadence_claimants_refresh();
	column_init(&columns[0], UUIDOID, Max(SPI_processed, 1));
	column_init(&columns[1], TIMESTAMPTZOID, Max(SPI_processed, 1));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool isnull;
		bool is_halted; /* has no lease */
		HeapTuple row = SPI_tuptable->vals[i];
		Datum id = SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull);
		Datum at = SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &is_halted);

		if (cadence_claimant_is_alive(DatumGetUUIDP(id)))
			continue;
		o->halted = o->halted || is_halted;
		if (is_halted || !cadence_claim_has_lease(DatumGetUUIDP(id), DatumGetTimestampTz(at)))
			continue;
		column_add_uuid(&columns[0], DatumGetUUIDP(id));
		column_add_time(&columns[1], DatumGetTimestampTz(at));
	}
	if (columns[0].n == 0)
		return 0;
	values[0] = column_array(&columns[0]);
	values[1] = column_array(&columns[1]);
	statement_execute(&o->release, values, NULL, 0);
	return SPI_processed;
}
