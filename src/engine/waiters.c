/*
 * waiters.c
 *		Answers for the callers who wait for their turn.
 *
 * An execution that finds nothing due has found it for those, too, who were
 * waiting before it began: what was due then would have been due to it. Instead
 * of a process for each of them that finds the same, it writes the log rows of
 * their executions and sends each its summary.
 *
 * Whoever gets no answer, for whatever reason, has an execution of its own, and
 * with it the true error.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "storage/shm_toc.h"

#include "server/admission.h"
#include "base/compat.h"
#include "base/interrupt.h"
#include "engine/pipeline_state.h"
#include "server/ticket.h"
#include "base/transaction.h"

/* So many at most are answered at once: their log rows are one transaction. */
#define WAITERS_MAX 256

typedef struct Waiter
{
	dsm_segment *segment;
	shm_mq_handle *queue;
	CadenceSummary *summary;
} Waiter;

/*
 * The segments of those who wait now, in the current memory context. To be
 * called before the start of the execution is read from the clock.
 */
List *
waiters_see(void)
{
	List *segments = NIL;
	LockData *locks;
	dsm_handle handle;

	if (!admission_others_wait())
		return NIL;
	locks = GetLockStatusData();
	for (int i = 0; i < locks->nelements && list_length(segments) < WAITERS_MAX; i++)
		if (ticket_of_lock(&locks->locks[i].locktag, &handle))
			segments = lappend_oid(segments, handle);
	pfree(locks->locks);
	pfree(locks);
	return segments;
}

/* Takes one's ticket and its place as the sender of its messages, if both are free. */
static void
take(Pipeline *p, dsm_segment *segment)
{
	shm_toc *toc = shm_toc_attach(CADENCE_DSM_MAGIC, dsm_segment_address(segment));
	CadenceShared *shared;
	Waiter *waiter;
	shm_mq *mq;

	shared = toc != NULL ? shm_toc_lookup(toc, CADENCE_DSM_KEY_HEADER, true) : NULL;
	if (shared == NULL || shared->schema != p->shared->schema ||
		shared->owner != p->shared->owner || !ticket_take(shared))
	{
		dsm_detach(segment);
		return;
	}
	mq = shm_toc_lookup(toc, CADENCE_DSM_KEY_QUEUE, false);
	shm_mq_set_sender(mq, MyProc);
	waiter = palloc(sizeof(Waiter));
	waiter->segment = segment;
	waiter->queue = shm_mq_attach(mq, segment, NULL);
	waiter->summary = cadence_summary_create(pnstrdup(shared->trigger, CADENCE_TRIGGER_MAX - 1), 0);
	waiter->summary->started_at = p->summary->started_at;
	p->waiters = lappend(p->waiters, waiter);
}

static bool
has_found_nothing(const Pipeline *p)
{
	return p->exhausted && p->orphans_sought && p->found == 0 && !cadence_stop_requested();
}

/*
 * Takes the tickets of those who were seen, if the execution has found nothing.
 * They are free to go first: then there is none to take.
 */
static void
take_tickets(Pipeline *p)
{
	ListCell *cell;

	foreach (cell, p->seen_waiting)
	{
		dsm_segment *segment = dsm_attach(lfirst_oid(cell));

		if (segment == NULL)
			continue;
		dsm_pin_mapping(segment);
		take(p, segment);
	}
}

static void
log_all(Pipeline *p)
{
	ListCell *cell;

	cadence_xact_begin(p->tables, "cadence_runner: logging for those who waited");
	foreach (cell, p->waiters)
	{
		Waiter *waiter = lfirst(cell);

		cadence_summary_finish(waiter->summary);
		cadence_log_write(p->log, waiter->summary);
	}
	cadence_xact_commit();
}

/* The queue has room for a summary without results: nobody is waited for. */
static void
send_summary(const Waiter *waiter)
{
	char *json = cadence_summary_json(waiter->summary);
	char type = CADENCE_MESSAGE_SUMMARY;
	shm_mq_iovec parts[] = {{&type, 1}, {json, strlen(json)}};

	(void) cadence_mq_sendv(waiter->queue, parts, lengthof(parts));
}

static void
answer_all(Pipeline *p)
{
	ListCell *cell;

	take_tickets(p);
	if (p->waiters == NIL)
		return;
	log_all(p);
	foreach (cell, p->waiters)
		send_summary(lfirst(cell));
}

/* Whoever still listens hears that nothing more will come. */
static void
let_go(Pipeline *p)
{
	ListCell *cell;

	foreach (cell, p->waiters)
		dsm_detach(((Waiter *) lfirst(cell))->segment);
	p->waiters = NIL;
}

/*
 * Answers for those who were seen waiting, if the execution has found nothing.
 * An error is none of this execution: they will meet it themselves.
 */
void
waiters_answer(Pipeline *p)
{
	MemoryContext old;

	if (p->seen_waiting == NIL || !has_found_nothing(p))
		return;
	old = MemoryContextSwitchTo(p->context);
	PG_TRY();
	{
		answer_all(p);
	}
	PG_CATCH();
	{
		ErrorData *error = turn_catch_error(p->context);

		cadence_forget_cancel();
		ereport(DEBUG1,
				(errmsg_internal("callers who wait were not answered: %s", error->message)));
		FreeErrorData(error);
	}
	PG_END_TRY();
	let_go(p);
	MemoryContextSwitchTo(old);
}

/*
 * Whether others may begin now: all is taken, and none of those who wait is
 * about to be answered for.
 */
bool
waiters_may_begin(const Pipeline *p)
{
	return p->exhausted && (p->found > 0 || p->seen_waiting == NIL);
}
