/*
 * admission.c
 *		How many executions of one database begin at once.
 *
 * Executions that meet share what is due and need no protection from each
 * other. But each costs a process or several, and on few cores many of them
 * only stand in each other's way. So while one is under way, others join it one
 * after the other, with a pause between them: whoever joins sees all that is
 * due by then, and those who wait mostly find it done, or are told so without
 * having to look (see waiters.c).
 *
 * Nobody waits for the end of another: that may be held up by its providers for
 * as long as those like. What is due meanwhile is taken by who joins next.
 *
 * The places are session-level advisory locks of the callers: they are free
 * again whatever happens to a caller, and are seen in pg_locks. Those who wait
 * share one more, by which whoever leaves a place finds the next to wake.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"

#include "server/admission.h"
#include "base/compat.h"

/* The first of the two numbers of our locks among advisory locks with two. */
#define ADMISSION_LOCK_CLASS 0x43414447

/*
 * The first is held to the end by who comes first, the second for a moment by
 * who came last, the third by all who wait for the second.
 */
enum
{
	PLACE_FIRST = 1,
	PLACE_LAST = 2,
	PLACE_WAITING = 4
};

/*
 * So long after its last claim nobody joins an execution: who joins one at full
 * speed only makes both slower. And so long after it has entered at most: half
 * of the two seconds that a due step may be late.
 */
#define JOINING_MS 500
#define JOINING_MOST_MS 1000

/* A caller waits for so long at most, and looks so often even if nobody wakes it. */
#define PATIENCE_MS 10000
#define POLL_MS 100

static void
place_tag(int place, LOCKTAG *tag)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, ADMISSION_LOCK_CLASS, place, 2);
}

static LOCKMODE
place_mode(int place)
{
	return place == PLACE_WAITING ? ShareLock : ExclusiveLock;
}

static bool
take(Admission *admission, int place)
{
	LOCKTAG tag;

	place_tag(place, &tag);
	if (LockAcquire(&tag, place_mode(place), true, true) == LOCKACQUIRE_NOT_AVAIL)
		return false;
	admission->places |= place;
	return true;
}

static void
leave(Admission *admission, int place)
{
	LOCKTAG tag;

	if (!(admission->places & place))
		return;
	place_tag(place, &tag);
	(void) LockRelease(&tag, place_mode(place), true);
	admission->places &= ~place;
}

/* Whoever has waited longest: the server lists a lock's holders in their order. */
static void
wake_next(void)
{
	LOCKTAG tag;
	VirtualTransactionId *waiting;
	PGPROC *next;
	int n;

	place_tag(PLACE_WAITING, &tag);
	waiting = GetLockConflicts(&tag, ExclusiveLock, &n);
	next = n > 0 ? cadence_process_of(waiting[0]) : NULL;
	if (next != NULL)
		SetLatch(&next->procLatch);
	pfree(waiting);
}

/* By a clock that nobody sets. */
static long
elapsed_ms(const instr_time *since)
{
	instr_time now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, *since);
	return (long) INSTR_TIME_GET_MILLISEC(now);
}

/* Until it is worth another try, or an answer has come. */
void
admission_wait(void)
{
	int rc = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, POLL_MS,
					   PG_WAIT_EXTENSION);

	if (rc & WL_LATCH_SET)
		ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* False: not yet, and the caller is among those who wait. */
static bool
try_to_enter(Admission *admission)
{
	if (take(admission, PLACE_LAST))
		return true;
	if (!admission->waits)
	{
		admission->waits = true;
		INSTR_TIME_SET_CURRENT(admission->waits_since);
	}
	else if (elapsed_ms(&admission->waits_since) >= PATIENCE_MS)
		return true;
	if (!(admission->places & PLACE_WAITING))
		(void) take(admission, PLACE_WAITING);
	return false;
}

/*
 * Takes a place among the executions of this database, if it is free or the
 * caller has waited for it some seconds; false: to be tried again after an
 * admission_wait(). The caller must admission_leave() on every way out, also
 * after an error here.
 */
bool
admission_enter(Admission *admission)
{
	if (!try_to_enter(admission))
		return false;
	leave(admission, PLACE_WAITING);
	admission->is_first = take(admission, PLACE_FIRST);
	INSTR_TIME_SET_CURRENT(admission->entered_at);
	admission->claimed_at = admission->entered_at;
	return true;
}

/* Whether any caller waits for a place in this database. */
bool
admission_others_wait(void)
{
	VirtualTransactionId *waiting;
	LOCKTAG tag;
	int n;

	place_tag(PLACE_WAITING, &tag);
	waiting = GetLockConflicts(&tag, ExclusiveLock, &n);
	pfree(waiting);
	return n > 0;
}

/* The execution is getting on: it has claimed something, and goes on claiming. */
void
admission_note_claim(Admission *admission)
{
	INSTR_TIME_SET_CURRENT(admission->claimed_at);
}

/*
 * Lets the next one join now: what is due by then is nothing to this execution.
 */
void
admission_make_way(Admission *admission)
{
	if (!(admission->places & PLACE_LAST))
		return;
	leave(admission, PLACE_LAST);
	wake_next();
}

/*
 * Lets the next one join when it is time for that; returns after how many
 * milliseconds to call again, at most the given number.
 */
long
admission_pass_on(Admission *admission, long at_most_ms)
{
	long ms;

	if (!(admission->places & PLACE_LAST))
		return at_most_ms;
	ms = Min(JOINING_MS - elapsed_ms(&admission->claimed_at),
			 JOINING_MOST_MS - elapsed_ms(&admission->entered_at));
	if (ms > 0)
		return Min(ms, at_most_ms);
	admission_make_way(admission);
	return at_most_ms;
}

/* Calling it with no place taken does nothing. */
void
admission_leave(Admission *admission)
{
	leave(admission, PLACE_WAITING);
	leave(admission, PLACE_FIRST);
	admission_make_way(admission);
}
