/*
 * ticket.c
 *		A caller's ticket while it waits for its turn.
 *
 * Whoever waits would mostly find that the executions before it have left it
 * nothing, at the cost of a process. So it offers its segment to them: one that
 * began after the ticket was offered, and finds nothing due, answers for it (see
 * waiters.c).
 *
 * Two processes may want the ticket at once, its caller and who answers: one
 * word in the segment says whose it is. Where the segment is, others read from
 * a session-level advisory lock of the caller: its key is the segment's handle.
 * So a ticket is gone with its session, and needs no shared memory of ours.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "server/ticket.h"

/* The first of the two numbers of our locks among advisory locks with two. */
#define TICKET_LOCK_CLASS 0x43414454

static void
ticket_tag(dsm_handle handle, LOCKTAG *tag)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, TICKET_LOCK_CLASS, handle, 2);
}

/* The caller must ticket_close() on every way out. */
void
ticket_offer(Ticket *ticket, Launch *launch)
{
	LOCKTAG tag;

	ticket->handle = dsm_segment_handle(launch->segment);
	pg_atomic_write_u32(&launch->shared->ticket, TICKET_OFFERED);
	ticket_tag(ticket->handle, &tag);
	ticket->locked = LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Takes the ticket back; false when somebody is answering, whose message will
 * come through the segment's queue.
 */
bool
ticket_withdraw(Ticket *ticket, Launch *launch)
{
	uint32 offered = TICKET_OFFERED;
	bool was_offered =
		pg_atomic_compare_exchange_u32(&launch->shared->ticket, &offered, TICKET_NONE);

	ticket_close(ticket);
	return was_offered;
}

/* Nobody finds it any more. Calling it with no ticket offered does nothing. */
void
ticket_close(Ticket *ticket)
{
	LOCKTAG tag;

	if (!ticket->locked)
		return;
	ticket->locked = false;
	ticket_tag(ticket->handle, &tag);
	(void) LockRelease(&tag, ExclusiveLock, true);
}

/* The process that answers, 0 if none does. */
int
ticket_answerer(CadenceShared *shared)
{
	uint32 ticket = pg_atomic_read_u32(&shared->ticket);

	return ticket == TICKET_OFFERED ? 0 : (int) ticket;
}

/* Whether a lock is that of a ticket in this database, and where its segment is. */
bool
ticket_of_lock(const LOCKTAG *tag, dsm_handle *handle)
{
	LOCKTAG own;

	*handle = tag->locktag_field3;
	ticket_tag(*handle, &own);
	return memcmp(tag, &own, sizeof(own)) == 0;
}

/* From now on the ticket's caller waits for this process; false when it does not. */
bool
ticket_take(CadenceShared *shared)
{
	uint32 offered = TICKET_OFFERED;

	return pg_atomic_compare_exchange_u32(&shared->ticket, &offered, MyProcPid);
}
