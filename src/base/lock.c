/*
 * lock.c
 *		Locks of ours, in the server's own lock manager.
 *
 * Their tags are of the kind "userlock", which no function of SQL makes: the
 * advisory locks that SQL knows have a kind of their own. They are seen in
 * pg_locks and by pg_blocking_pids(), and are free again whatever becomes of
 * their holders.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/guc.h"

#include "base/lock.h"
#include "base/transaction.h"

static void
set_tag(LOCKTAG *tag, CadenceLockKind kind, uint64 key)
{
	memset(tag, 0, sizeof(*tag));
	tag->locktag_field1 = MyDatabaseId;
	tag->locktag_field2 = (uint32) (key >> 32);
	tag->locktag_field3 = (uint32) key;
	tag->locktag_field4 = (uint16) kind;
	tag->locktag_type = LOCKTAG_USERLOCK;
	tag->locktag_lockmethodid = USER_LOCKMETHOD;
}

static bool
acquire(CadenceLockKind kind, uint64 key, bool session, bool dont_wait)
{
	LOCKTAG tag;

	set_tag(&tag, kind, key);
	return LockAcquire(&tag, ExclusiveLock, session, dont_wait) != LOCKACQUIRE_NOT_AVAIL;
}

/* Beside others who share it, else as cadence_lock_hold(); false: it was held so already. */
bool
cadence_lock_share(CadenceLockKind kind, uint64 key)
{
	LOCKTAG tag;

	set_tag(&tag, kind, key);
	return LockAcquire(&tag, ShareLock, false, false) == LOCKACQUIRE_OK;
}

/*
 * Takes a lock if nobody has it, for the session or for the transaction under
 * way; false when somebody has.
 */
bool
cadence_lock_try(CadenceLockKind kind, uint64 key, bool session)
{
	return acquire(kind, key, session, true);
}

/* Queues for a lock for the transaction under way, as long as its lock_timeout allows. */
void
cadence_lock_hold(CadenceLockKind kind, uint64 key)
{
	(void) acquire(kind, key, false, false);
}

/* What is waited for, and how long. */
typedef struct Wanted
{
	CadenceLockKind kind;
	uint64 key;
	int timeout_ms;
} Wanted;

static void
wait_for(void *arg, int first, int n)
{
	const Wanted *wanted = arg;

	(void) set_config_option("lock_timeout", psprintf("%dms", wanted->timeout_ms), PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) acquire(wanted->kind, wanted->key, true, false);
}

/*
 * Queues for a lock, in the server's own order, for the session. False when
 * that took longer than timeout_ms.
 *
 * In a subtransaction: an error in a lock's queue needs one to be got over.
 */
bool
cadence_lock_wait(CadenceLockKind kind, uint64 key, int timeout_ms)
{
	Wanted wanted = {.kind = kind, .key = key, .timeout_ms = timeout_ms};
	ErrorData *error = cadence_try(wait_for, &wanted, 0, 1, false);

	if (error != NULL && error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
		ReThrowError(error);
	return error == NULL;
}

/* One that is held by the session. */
void
cadence_lock_release(CadenceLockKind kind, uint64 key)
{
	LOCKTAG tag;

	set_tag(&tag, kind, key);
	(void) LockRelease(&tag, ExclusiveLock, true);
}
