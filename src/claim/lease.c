/*
 * lease.c
 *		What is known of the claims of one transaction while they last.
 *
 * A claimed run carries its claim's id, and is found by the end of its lease,
 * which is its next_run_at. Which leases there are, so that those of a process
 * that is gone are found at once, is said by one row of cadence_claims for all
 * runs of a claim: an index over the runs' own ids would cost every step an
 * entry, and every search all of those that an old snapshot keeps.
 *
 * The row comes with the claim, and goes with the record of the last of its
 * runs. One that stays behind, since runs were recorded one by one, does no
 * harm: see orphans.c.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/array.h"
#include "claim/lease.h"
#include "base/statement.h"

struct CadenceLeases
{
	Statement begin;
	Statement end;
};

static const Oid begin_types[] = {UUIDOID, TIMESTAMPTZOID};
static const Oid end_types[] = {UUIDARRAYOID};

static char *
begin_sql(const CadenceTables *t)
{
	return psprintf("INSERT INTO %s (claim_id, lease_end, claimed_at) VALUES ($1, $2, " NOW ")",
					t->claims);
}

/* Nobody is waited for: whoever else has the row removes it. */
static char *
end_sql(const CadenceTables *t)
{
	return psprintf("DELETE FROM %s WHERE claim_id " EQ
					" ANY (ARRAY(SELECT c.claim_id FROM %s AS c "
					"WHERE c.claim_id " EQ " ANY ($1) FOR UPDATE SKIP LOCKED))",
					t->claims, t->claims);
}

/*
 * In the current memory context.
 */
CadenceLeases *
cadence_leases_create(const CadenceTables *t)
{
	CadenceLeases *leases = palloc0(sizeof(*leases));

	leases->begin = STATEMENT("noting a claim", begin_sql(t), begin_types, SPI_OK_INSERT);
	leases->end = STATEMENT("ending claims", end_sql(t), end_types, SPI_OK_DELETE);
	return leases;
}

/*
 * Notes a claim inside the transaction that makes it.
 */
void
cadence_lease_begin(CadenceLeases *leases, const pg_uuid_t *claim_id, TimestampTz lease_end)
{
	Datum values[] = {UUIDPGetDatum(claim_id), TimestampTzGetDatum(lease_end)};

	statement_execute(&leases->begin, values, NULL, 0);
}

/*
 * Forgets the claims of which the given steps are the last, inside the
 * transaction that records them.
 */
void
cadence_leases_end(CadenceLeases *leases, CadenceStep **steps, int n)
{
	ColumnArray ids;
	Datum values[1];

	column_init(&ids, UUIDOID, Max(n, 1));
	for (int i = 0; i < n; i++)
		steps[i]->batch->ending = 0;
	for (int i = 0; i < n; i++)
		if (++steps[i]->batch->ending == steps[i]->batch->live)
			column_add_uuid(&ids, &steps[i]->batch->claim_id);
	if (ids.n == 0)
		return;
	values[0] = column_array(&ids);
	statement_execute(&leases->end, values, NULL, 0);
}
