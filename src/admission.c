/*
 * admission.c
 *		How many executions of one database begin at once.
 *
 * Executions that meet share what is due and need no protection from each
 * other. But each costs a process or several, and on few cores many of them
 * only stand in each other's way. So while one is under way, others join it one
 * after the other, with a pause between them: whoever joins sees all that is
 * due by then, and those who wait mostly find it done.
 *
 * Nobody waits for the end of another: that may be held up by its providers for
 * as long as those like. What is due meanwhile is taken by who joins next.
 *
 * The places are session-level advisory locks of the callers: they are free
 * again whatever happens to a caller, and are seen in pg_locks.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lock.h"

#include "admission.h"

/* The first of the two numbers of our locks among advisory locks with two. */
#define ADMISSION_LOCK_CLASS 0x43414447

/* The first is held to the end by who comes first, the other for a moment by who came last. */
enum
{
	PLACE_FIRST = 1,
	PLACE_LAST = 2
};

/* So long nobody else joins: a small part of the two seconds that a due step may be late. */
#define JOINING_MS 500

/* A caller waits for so long at most, and looks so often whether a place is free. */
#define PATIENCE_MS 10000
#define POLL_MS 10

static void
place_tag(int place, LOCKTAG *tag)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, ADMISSION_LOCK_CLASS, place, 2);
}

static bool
take(Admission *admission, int place)
{
	LOCKTAG tag;

	place_tag(place, &tag);
	if (LockAcquire(&tag, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
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
	(void) LockRelease(&tag, ExclusiveLock, true);
	admission->places &= ~place;
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

static void
wait_a_moment(void)
{
	int rc = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, POLL_MS,
					   PG_WAIT_EXTENSION);

	if (rc & WL_LATCH_SET)
		ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * Waits for a place among the executions of this database, for some seconds at
 * most. The caller must admission_leave() on every way out, also after an error
 * here.
 */
void
admission_enter(Admission *admission)
{
	instr_time since;

	INSTR_TIME_SET_CURRENT(since);
	while (!take(admission, PLACE_LAST) && elapsed_ms(&since) < PATIENCE_MS)
		wait_a_moment();
	admission->is_first = take(admission, PLACE_FIRST);
	INSTR_TIME_SET_CURRENT(admission->entered_at);
}

/*
 * Lets the next one join now: what is due by then is nothing to this execution.
 */
void
admission_make_way(Admission *admission)
{
	leave(admission, PLACE_LAST);
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
	ms = JOINING_MS - elapsed_ms(&admission->entered_at);
	if (ms > 0)
		return Min(ms, at_most_ms);
	admission_make_way(admission);
	return at_most_ms;
}

/* Calling it with no place taken does nothing. */
void
admission_leave(Admission *admission)
{
	leave(admission, PLACE_FIRST);
	leave(admission, PLACE_LAST);
}
