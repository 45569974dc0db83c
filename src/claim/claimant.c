/*
 * claimant.c
 *		This worker as one who claims: its claim's id, the lease's end, and the
 *		lock that shows that it lives. README.md explains how claims work.
 *
 * A claim's id is a UUID of version 8. Its first half is the worker's, and the
 * key of a lock that the worker holds as long as it lives; the second is of the
 * lease. All that is claimed before a lease has become too short has the same
 * id and the same end, and one row of cadence_claims.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/lock.h"
#include "base/statement.h"
#include "base/uuid.h"
#include "claim/claimant.h"

/* A new lease is longer than asked for by one part in so many, and serves until that is gone. */
#define LEASE_SHARED_PART 4

struct CadenceClaimant
{
	Statement insert;
	Statement delete;
	pg_uuid_t id;
	TimestampTz lease_end;
	bool has_lock;
	bool has_row; /* of this id, and committed */
};

static const Oid insert_types[] = {UUIDOID, TIMESTAMPTZOID};
static const Oid delete_types[] = {UUIDOID, UUIDOID, TIMESTAMPTZOID};

/* Of a worker, alive or not, whose claim has this id. */
static uint64
lock_key(const pg_uuid_t *id)
{
	uint64 key;

	memcpy(&key, id->data, sizeof(key));
	return key;
}

/*
 * In the current memory context.
 */
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
	return c;
}

static void
become_claimant(CadenceClaimant *c)
{
	do
	{
		cadence_random_bytes(c->id.data, UUID_LEN);
		cadence_uuid_set_version(&c->id, 8);
	} while (!cadence_lock_try(CADENCE_LOCK_CLAIMANT, lock_key(&c->id), true));
	c->has_lock = true;
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
	if (!c->has_lock)
		become_claimant(c);
	forget(c, now);
	cadence_random_bytes(&c->id.data[UUID_LEN / 2], UUID_LEN / 2);
	cadence_uuid_set_version(&c->id, 8);
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

const pg_uuid_t *
cadence_claimant_id(const CadenceClaimant *c)
{
	return &c->id;
}

TimestampTz
cadence_claimant_lease_end(const CadenceClaimant *c)
{
	return c->lease_end;
}

/*
 * Whether the worker of a claim is gone. Then its lock is held until the end of
 * the transaction under way, so that nobody else takes care of the same claim.
 */
bool
cadence_claimant_lock_dead(const CadenceClaimant *c, const pg_uuid_t *claim_id)
{
	if (c->has_lock && lock_key(claim_id) == lock_key(&c->id))
		return false;
	return cadence_lock_try(CADENCE_LOCK_CLAIMANT, lock_key(claim_id), false);
}
