/*
 * claimant.c
 *		This worker as one who claims: its claim's id, the lease's end, and the
 *		lock that shows that it lives. README.md explains how claims work.
 *
 * The first half of a claim's id is the worker's, and the key of a lock that the
 * worker holds as long as it lives; the second is of the lease. All that is claimed
 * before a lease has become too short has the same id and the same end, and one row
 * of cadence_claims.
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
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "base/lock.h"
#include "base/statement.h"
#include "base/transaction.h"
#include "base/uuid.h"
#include "claim/claimant.h"
#include "schema/edition.h"

/* So many runs that are no longer active are looked at, at most. */
#define INACTIVE_MAX 1000

/* A new lease is longer than asked for by one part in so many, and serves until that is gone. */
#define LEASE_SHARED_PART 4

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
} AbandonedRun;

/* What one search is at. */
typedef struct Search
{
	CadenceClaimant *claimant;
	TimestampTz due;
	AbandonedRun *runs;
	int n;
	int nnews;
} Search;

static const Oid insert_types[] = {UUIDOID, TIMESTAMPTZOID};
static const Oid delete_types[] = {UUIDOID, UUIDOID, TIMESTAMPTZOID};
static const Oid time_types[] = {TIMESTAMPTZOID};
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
	return psprintf(
		"SELECT c.claim_id::uuid, c.lease_end::timestamptz, NULL::uuid FROM %s AS c UNION ALL "
		"(SELECT r.claim_id::uuid, NULL::timestamptz, r.id::uuid FROM %s AS r "
		"WHERE r.claim_id IS NOT NULL AND r.status " NE " 'ATIVA' "
		"ORDER BY r.claim_id LIMIT %d)",
		t->claims, t->runs, INACTIVE_MAX);
}

/* Of a step x and a run h. */
#define IS_NEW NOT_HAD("x", "h")

/* What is not active becomes nobody's. Of a step that was removed the number is another's now. */
static char *
release_sql(const CadenceTables *t)
{
	Oid events = get_relname_relid("lead_cadence_events", t->schema);
	char *step = psprintf("FROM %s AS x WHERE NOT h.is_over AND x.cadence_id " EQ
						  " h.cadence_id AND x.ordem " GE " h.next_step_ordem AND " IS_NEW
						  " ORDER BY x.ordem LIMIT 1",
						  t->steps);
	char *template = psprintf("(SELECT x.template_codigo %s)", step);
	char *ordem = psprintf(
		"COALESCE((SELECT x.ordem %s), CASE WHEN NOT h.is_over THEN h.next_step_ordem END)", step);

	return psprintf(
		"WITH released AS (UPDATE %s AS r SET updated_at = " NOW ", "
		"next_run_at = CASE WHEN r.status " EQ " 'ATIVA' THEN $1 "
		"WHEN r.status::text " EQ " 'CANCELADA' THEN NULL ELSE r.next_run_at END, "
		"claim_id = CASE WHEN r.status " EQ " 'ATIVA' THEN r.claim_id END "
		"FROM " ROWSET_NAME " AS d WHERE r.id " EQ " d.id AND (r.claim_id " EQ
		" d.claim_id) IS TRUE "
		"RETURNING r.id, r.status, r.cadence_id, r.next_step_ordem, r.passos_enviados, "
		"r.attempts, r.edicao, %s AS is_over) "
		"INSERT INTO %s (id, lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, "
		"detalhes, created_at) "
		"SELECT pg_catalog.gen_random_uuid(), h.id, %s, %s, 'ERRO', "
		"pg_catalog.jsonb_build_object('codigo', 'INCERTO', 'erro', "
		"'an attempt was interrupted; whether it was sent is unknown', 'tentativa', "
		"h.attempts, 'passo', COALESCE(h.edicao " JSON_TEXT " 'passo', (SELECT x.id::text %s))), "
		"pg_catalog.clock_timestamp() FROM released AS h WHERE h.status " NE " 'ATIVA' "
		"OR h.is_over",
		t->runs, cadence_edition_is_over(t, "r"), t->events,
		cadence_value_or(events, "step_ordem", ordem, "0"),
		cadence_value_or(events, "template_codigo", template, "''"), step);
}

/* Of a worker, alive or not, whose claim has this id. */
static uint64
lock_key(const pg_uuid_t *id)
{
	uint64 key;

	memcpy(&key, id->data, sizeof(key));
	return key;
}

/* In the current memory context. */
CadenceClaimant *
cadence_claimant_create(const CadenceTables *t)
{
	CadenceClaimant *c = palloc0(sizeof(*c));

	c->insert = STATEMENT("noting a claim",
						  psprintf("INSERT INTO %s (claim_id, lease_end, claimed_at) "
								   "VALUES ($1, $2, " NOW ")",
								   t->claims),
						  insert_types, SPI_OK_INSERT);
	/* this worker's: the first half of an id is the same in all of its claims */
	c->delete = STATEMENT("forgetting claims",
						  psprintf("DELETE FROM %s WHERE claim_id " GE " $1 AND claim_id " LE " $2 "
								   "AND lease_end " LE " $3",
								   t->claims),
						  delete_types, SPI_OK_DELETE);
	c->find = ROWS_STATEMENT("looking for abandoned claims", find_sql(t), SPI_OK_SELECT);
	c->find_runs =
		ROWS_STATEMENT("looking for abandoned claims",
					   psprintf("SELECT s.id, c.claim_id FROM " DEAD_CLAIMS " AS c, LATERAL "
								"(SELECT r.id::uuid FROM %s AS r WHERE " RUNS_OF_CLAIM
								" FOR UPDATE SKIP LOCKED) AS s",
								t->runs),
					   SPI_OK_SELECT);
	c->release = STATEMENT("releasing abandoned claims", release_sql(t), time_types, SPI_OK_INSERT);
	c->release_news = STATEMENT(
		"releasing abandoned claims of news",
		psprintf("UPDATE %s AS o SET next_run_at = $1, updated_at = " NOW " WHERE o.id " EQ
				 " ANY (ARRAY(SELECT x.id FROM " DEAD_CLAIMS " AS c, LATERAL (SELECT r.id FROM %s "
				 "AS r WHERE r.status " EQ " 'PENDENTE' AND r.next_run_at " GE " c.lease_end "
				 "AND r.next_run_at " LE " c.lease_end AND (r.claim_id " EQ " c.claim_id) IS TRUE "
				 "FOR UPDATE SKIP LOCKED) AS x))",
				 t->outbox, t->outbox),
		time_types, SPI_OK_UPDATE);
	/* of which no run is left: none will have them again; after its lease a claim is nobody's */
	c->forget =
		STATEMENT("forgetting claims",
				  psprintf("DELETE FROM %s AS c USING " DEAD_CLAIMS " AS d "
						   "WHERE c.claim_id " EQ " d.claim_id AND (c.lease_end " LE " $1 "
						   "OR (SELECT r.id FROM %s AS r WHERE " RUNS_OF_CLAIM " LIMIT 1) IS NULL)",
						   t->claims, t->runs),
				  time_types, SPI_OK_DELETE);
	return c;
}

/* Rows of this worker whose leases have ended at a time. */
static void
forget(CadenceClaimant *c, TimestampTz ended_at)
{
	pg_uuid_t first = c->id;
	pg_uuid_t last = c->id;
	Datum values[] = {UUIDPGetDatum(&first), UUIDPGetDatum(&last), TimestampTzGetDatum(ended_at)};

	memset(&first.data[UUID_LEN / 2], 0, UUID_LEN / 2);
	memset(&last.data[UUID_LEN / 2], 0xFF, UUID_LEN / 2);
	statement_execute(&c->delete, values, NULL, 0);
}

static void
begin_lease(CadenceClaimant *c, TimestampTz now, int64 lease_us)
{
	Datum values[2];

	c->has_row = false;
	while (!c->has_lock)
	{
		cadence_random_bytes(c->id.data, UUID_LEN / 2);
		c->has_lock = cadence_lock_try(CADENCE_LOCK_CLAIMANT, lock_key(&c->id), true);
	}
	forget(c, now);
	cadence_random_bytes(&c->id.data[UUID_LEN / 2], UUID_LEN / 2);
	c->lease_end = now + lease_us + lease_us / LEASE_SHARED_PART;
	c->lease_end += USECS_PER_SEC - c->lease_end % USECS_PER_SEC;
	values[0] = UUIDPGetDatum(&c->id);
	values[1] = TimestampTzGetDatum(c->lease_end);
	statement_execute(&c->insert, values, NULL, 0);
}

/*
 * Makes sure, inside the transaction of a claim, that the claim's lease lasts
 * for so long at least, and not for much longer.
 *
 * Its end is a whole second, which every column of times can hold.
 */
void
cadence_claimant_begin(CadenceClaimant *c, int64 lease_us)
{
	TimestampTz now = GetCurrentTimestamp();
	int64 left = c->lease_end - now;

	if (!c->has_row || left < lease_us ||
		left > lease_us + lease_us / LEASE_SHARED_PART + USECS_PER_SEC)
		begin_lease(c, now, lease_us);
}

/* The transaction that began the claim has committed. */
void
cadence_claimant_committed(CadenceClaimant *c)
{
	c->has_row = true;
}

/*
 * Forgets the claims of this worker, inside a transaction; only when each of
 * their runs is recorded.
 */
void
cadence_claimant_end(CadenceClaimant *c)
{
	if (c->has_row)
		forget(c, DT_NOEND);
	c->has_row = false;
}

/*
 * Whether the worker of a claim is gone. Then its lock is held until the end of
 * the transaction under way, so that nobody else takes care of the same claim.
 */
static bool
lock_dead(const CadenceClaimant *c, const pg_uuid_t *claim_id)
{
	if (c->has_lock && lock_key(claim_id) == lock_key(&c->id))
		return false;
	return cadence_lock_try(CADENCE_LOCK_CLAIMANT, lock_key(claim_id), false);
}

/* The claims of the dead go into the set, inactive runs among those that are found. */
static void
find_claims(Search *s, Rowset *claims)
{
	CadenceClaimant *c = s->claimant;

	statement_execute(&c->find, NULL, NULL, 0);
	s->runs = palloc(sizeof(AbandonedRun) * Max(SPI_processed, 1));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		bool isnull;
		bool is_claim;
		Datum claim_id = SPI_getbinval(row, desc, FOUND_CLAIM, &isnull);
		Datum run = SPI_getbinval(row, desc, FOUND_RUN, &is_claim);

		if (!lock_dead(c, DatumGetUUIDP(claim_id)))
			continue;
		if (is_claim)
		{
			rowset_put_datum(claims, claim_id);
			rowset_put_datum(claims, SPI_getbinval(row, desc, FOUND_LEASE_END, &isnull));
		}
		else
			s->runs[s->n++] =
				(AbandonedRun){.id = *DatumGetUUIDP(run), .claim_id = *DatumGetUUIDP(claim_id)};
	}
}

/* After its end the runs of a lease are due as they are, in their own order. */
static void
find_runs(Search *s)
{
	bool isnull;

	statement_execute(&s->claimant->find_runs, NULL, NULL, 0);
	s->runs = repalloc(s->runs, sizeof(AbandonedRun) * (s->n + SPI_processed + 1));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;

		s->runs[s->n].id = *DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
		s->runs[s->n++].claim_id = *DatumGetUUIDP(SPI_getbinval(row, desc, 2, &isnull));
	}
}

static void
release_some(void *arg, int first, int n)
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
	statement_execute(&s->claimant->release, values, NULL, 0);
	rowset_end(&rows);
}

static void
release_some_news(void *arg, int first, int n)
{
	Search *s = arg;
	Datum values[] = {TimestampTzGetDatum(s->due)};

	statement_execute(&s->claimant->release_news, values, NULL, 0);
	s->nnews = SPI_processed;
}

/* News of the claims of the dead; how many. Where that is refused their leases end by time. */
static int
release_news(Search *s)
{
	ErrorData *error = cadence_try(release_some_news, s, 0, 0, true);

	if (error != NULL)
		ereport(DEBUG1, (errcode(error->sqlerrcode),
						 errmsg("abandoned news could not be released: %s", error->message)));
	return error == NULL ? s->nnews : 0;
}

/* Its lease ends by time. */
static bool
note_refusal(void *arg, int item, const ErrorData *error)
{
	ereport(DEBUG1, (errcode(error->sqlerrcode),
					 errmsg("an abandoned claim could not be released: %s", error->message)));
	return true;
}

/*
 * Makes runs due, at the given time, whose claims were left by workers that are
 * gone, inside the caller's transaction, which then must not wait for anything.
 * The claim ids stay: they say that an attempt was interrupted. Says of runs
 * that were paused or cancelled meanwhile that an attempt is uncertain.
 *
 * Returns whether there were any.
 */
bool
cadence_abandoned_release(CadenceClaimant *c, TimestampTz due)
{
	Search s = {.claimant = c, .due = due};
	Datum values[] = {TimestampTzGetDatum(GetCurrentTimestamp())};
	Rowset claims;

	rowset_begin_as(&claims, DEAD_CLAIMS, claim_columns, lengthof(claim_columns));
	find_claims(&s, &claims);
	if (claims.n > 0)
		find_runs(&s);
	if (s.n > 0)
		(void) cadence_divide(release_some, note_refusal, &s, 0, s.n);
	if (claims.n > 0)
		s.n += release_news(&s);
	if (claims.n > 0)
		statement_execute(&c->forget, values, NULL, 0);
	rowset_end(&claims);
	return s.n > 0;
}
