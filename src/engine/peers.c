/*
 * helpers.c
 *		Several workers for one execution.
 *
 * One process that alternates SQL and transfers leaves a core idle. When the
 * first look shows that there is more than a batch to do, the worker that
 * leads the execution starts helpers. They run the same pipeline; each sends
 * its part of the summary to the leader, which alone logs.
 *
 * The workers of one execution never skip each other: they claim in turn, under
 * a session-level advisory lock, and go on where the last of them ended. An
 * advisory lock, since it is held across a transaction that may wait for other
 * locks and be cancelled; nobody waits for it (see helpers_lock_claims()).
 *
 * Limits count per execution. max_in_flight is divided among the workers; where
 * a server has limits of its own, the leader stays alone. So it does while
 * another execution is under way, whose workers have the cores.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "libpq/pqmq.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "utils/memutils.h"

#include "base/interrupt.h"
#include "server/launch.h"
#include "engine/pipeline_state.h"
#include "base/settings.h"

#define HELPERS_POLL_MS 100

static bool
has_limited_provider(const Pipeline *p)
{
	ListCell *cell;

	foreach (cell, cadence_providers_list(p->providers))
		if (((CadenceProvider *) lfirst(cell))->configuration->limited)
			return true;
	return false;
}

static void
fill_header(Pipeline *p, CadenceShared *company, int nworkers)
{
	company->database = p->shared->database;
	company->schema = p->shared->schema;
	company->owner = p->shared->owner;
	strlcpy(company->trigger, p->shared->trigger, CADENCE_TRIGGER_MAX);
	company->is_help = true;
	company->due_until = p->summary->started_at;
	company->max_in_flight = cadence_max_in_flight / nworkers;
	company->claim_lock = dsm_segment_handle(p->helpers->segment);
	cadence_claims_copy_cursor(p->claims, &company->cursor);
}

/* How many workers the execution has. */
int
helpers_count_workers(const Pipeline *p)
{
	return p->company != NULL ? p->company->nworkers : 1;
}

static void
start_workers(Launch *helpers, int wanted)
{
	for (int i = 0; i < wanted; i++)
		if (!launch_start(helpers))
			break;
	helpers->shared->nworkers = helpers->nworkers + 1;
}

/*
 * Starts helpers, as many as settings and server allow, once per execution.
 * They come to claim while its first claim is being made: this worker has the
 * claim lock from before they start. It keeps what they do not use of
 * max_in_flight.
 */
void
helpers_start(Pipeline *p)
{
	int wanted = Min(Min(cadence_workers, CADENCE_WORKERS_MAX), cadence_max_in_flight) - 1;

	p->alone = true;
	if (wanted < 1 || p->shared->alone || has_limited_provider(p))
		return;
	p->helpers = launch_create(p->context, wanted);
	if (p->helpers == NULL)
		return;
	/* the transaction that is under way ends before they do */
	dsm_pin_mapping(p->helpers->segment);
	fill_header(p, p->helpers->shared, wanted + 1);
	p->company = p->helpers->shared;
	(void) helpers_lock_claims(p);
	cadence_claims_share(p->claims, &p->company->cursor);
	start_workers(p->helpers, wanted);
	p->max_in_flight -= p->helpers->nworkers * p->company->max_in_flight;
}

/*
 * Passes a stop on. Any other end only asks them to claim nothing more: what
 * they have under way ends by itself.
 */
void
helpers_stop(Pipeline *p)
{
	if (p->helpers == NULL)
		return;
	pg_atomic_write_u32(&p->helpers->shared->wind_down, 1);
	if (cadence_stop_requested())
		launch_stop(p->helpers);
}

/* Whether a helper has been asked to end. */
bool
helpers_are_ending(const Pipeline *p)
{
	return p->company != NULL && pg_atomic_read_u32(&p->company->wind_down) != 0;
}

/* Lets the caller's deadlock check see them. */
static void
publish_pids(Pipeline *p)
{
	for (int i = 0; i < p->helpers->nworkers; i++)
	{
		pid_t pid;

		p->shared->helper_pids[i] =
			GetBackgroundWorkerPid(p->helpers->workers[i].handle, &pid) == BGWH_STARTED ? pid : 0;
	}
	p->shared->nhelpers = p->helpers->nworkers;
}

/* The first error wins: others often follow from it. */
static void
note_error(Pipeline *p, const ErrorData *error)
{
	MemoryContext old = MemoryContextSwitchTo(p->context);

	if (p->helper_error == NULL)
	{
		p->helper_error = palloc(sizeof(ErrorData));
		*p->helper_error = *error;
		p->helper_error->elevel = ERROR;
	}
	MemoryContextSwitchTo(old);
}

/* A helper's message: its share, its error, or a notice for the caller. */
static void
handle_message(Pipeline *p, LaunchedWorker *helper, StringInfo message)
{
	char type = pq_getmsgbyte(message);
	ErrorData edata;

	if (type == CADENCE_MESSAGE_SHARE)
	{
		cadence_summary_merge(p->summary, message);
		helper->delivered = true;
	}
	else if (type == 'N' || type == 'E')
	{
		pq_parse_errornotice(message, &edata);
		if (edata.elevel < ERROR)
			ThrowErrorData(&edata);
		else if (p->helpers->shared->has_claimed[helper - p->helpers->workers])
			note_error(p, &edata);
	}
}

/*
 * A helper that ended without a share has left its claims to their leases. If
 * it had none, perhaps since it could not even connect, nobody misses it.
 */
static void
note_lost_helper(Pipeline *p, int number)
{
	ErrorData error = {.sqlerrcode = ERRCODE_INTERNAL_ERROR,
					   .message = "a worker of the execution ended without a result",
					   .hint = "The server's log says why."};

	if (p->helpers->shared->has_claimed[number])
		note_error(p, &error);
}

/* Reads all that one helper has to say by now. */
static void
hear_out(Pipeline *p, int number)
{
	LaunchedWorker *helper = &p->helpers->workers[number];
	StringInfoData message;
	LaunchNews news;

	initStringInfo(&message);
	while ((news = launch_receive(p->helpers, number, &message)) == LAUNCH_MESSAGE)
		handle_message(p, helper, &message);
	pfree(message.data);
	helper->gone = news == LAUNCH_GONE;
	if (helper->gone && !helper->delivered)
		note_lost_helper(p, number);
}

static int
count_at_work(const Pipeline *p)
{
	int n = 0;

	for (int i = 0; i < p->helpers->nworkers; i++)
		n += p->helpers->workers[i].gone || p->helpers->workers[i].delivered ? 0 : 1;
	return n;
}

/*
 * Hears what there is to hear, without waiting. A helper whose queue is full
 * waits for that.
 */
void
helpers_listen(Pipeline *p)
{
	if (p->helpers == NULL)
		return;
	publish_pids(p);
	for (int i = 0; i < p->helpers->nworkers; i++)
		if (!p->helpers->workers[i].gone)
			hear_out(p, i);
}

/*
 * Waits for the helpers' results and merges what they did; their first error is
 * in helper_error. A stop is passed on to them. May be called again after an
 * error, and goes on where it was.
 */
void
helpers_wait(Pipeline *p)
{
	if (p->helpers == NULL)
		return;
	for (;;)
	{
		if (cadence_stop_requested())
			helpers_stop(p);
		helpers_listen(p);
		if (count_at_work(p) == 0)
			break;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, HELPERS_POLL_MS,
						 PG_WAIT_EXTENSION);
		cadence_process_interrupts();
	}
	cadence_forget_cancel();
}

/*
 * Waits until the helpers' processes are gone, too: when the execution has
 * ended, so have they.
 */
void
helpers_end(Pipeline *p)
{
	if (p->helpers != NULL)
		launch_end(p->helpers);
	p->helpers = NULL;
}

static void
claim_lock_tag(const Pipeline *p, LOCKTAG *tag)
{
	/* the class of two-key advisory locks, with a first key that is ours */
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, CADENCE_DSM_MAGIC, p->company->claim_lock, 2);
}

/*
 * Held from before a look until its claim is committed and the cursor moved.
 * False when another worker has it: nobody waits for it, since a worker has
 * transfers to drive, and a lock that is waited for with a record's row locks
 * in hand would be the start of a deadlock.
 */
bool
helpers_lock_claims(Pipeline *p)
{
	LOCKTAG tag;

	if (p->company == NULL || p->holds_claims)
		return true;
	claim_lock_tag(p, &tag);
	if (LockAcquire(&tag, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		return false;
	p->holds_claims = true;
	if (p->company == p->shared)
	{
		int number;

		memcpy(&number, MyBgworkerEntry->bgw_extra, sizeof(int));
		p->company->has_claimed[number] = true;
	}
	return true;
}

void
helpers_unlock_claims(Pipeline *p)
{
	LOCKTAG tag;

	if (!p->holds_claims)
		return;
	claim_lock_tag(p, &tag);
	(void) LockRelease(&tag, ExclusiveLock, true);
	p->holds_claims = false;
}
