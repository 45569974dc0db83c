/*
 * barrier.c
 *		How often somebody has forbidden a message: an opt-out, a pause, a cancel.
 *
 * Whoever forbids one invalidates, with its commit, what other sessions know of a
 * relation that nobody reads. PostgreSQL tells them before the commit returns,
 * whatever the transaction was (a prepared one, too), and to ask whether anything
 * was told costs next to nothing. So a sender asks before each start, and looks at
 * the tables again only after somebody has said so.
 *
 * Nothing says whom it is about: that is what the tables are for.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "schema/barrier.h"

/* A type of ours: nobody reads or locks it. */
#define RELATION "cadence_barrier_state"

static Oid relation; /* the one that is followed */
static uint64 count = 1;

/* All caches are reset where too much was told at once. */
static void
note_raised(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == relation)
		count++;
}

/*
 * The transaction under way forbids messages, once it has committed. Of many statements of
 * one (sub)transaction the first says so for all.
 */
void
cadence_barrier_raise(Oid schema)
{
	static LocalTransactionId last_transaction;
	static SubTransactionId last_part;
	Oid relid = get_relname_relid(RELATION, schema);

	if (!OidIsValid(relid))
	{
		ereport(WARNING, (errcode(ERRCODE_UNDEFINED_OBJECT),
						  errmsg("type " RELATION " of cadence_runner is missing"),
						  errdetail("What is claimed already may be sent for another second.")));
		return;
	}
	if (last_transaction == cadence_local_xid() && last_part == GetCurrentSubTransactionId())
		return;
	CacheInvalidateRelcacheByRelid(relid);
	last_transaction = cadence_local_xid();
	last_part = GetCurrentSubTransactionId();
}

/* From here on cadence_barrier_count() tells; inside a transaction. */
void
cadence_barrier_follow(Oid schema)
{
	static bool registered = false;

	relation = get_relname_relid(RELATION, schema);
	if (!OidIsValid(relation))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("type " RELATION " of cadence_runner is missing"),
						errhint("Drop the extension and create it again: tables and rows stay.")));
	if (!registered)
		CacheRegisterRelcacheCallback(note_raised, (Datum) 0);
	registered = true;
}

/*
 * Another number after each time that somebody has forbidden something, inside a
 * transaction or outside. What was read by a statement that began after a number was
 * got is true for as long as that is the number.
 *
 * Outside, what was told marks entries of the caches as invalid, and reads no catalog.
 */
uint64
cadence_barrier_count(void)
{
	AcceptInvalidationMessages();
	return count;
}

/* Whether a relation is the one that stands for it, and has nothing else to tell. */
bool
cadence_barrier_is(Oid relid)
{
	return OidIsValid(relid) && relid == relation;
}
