/*
 * helpers.c
 *		Several workers for one execution.
 *
 * One process that alternates SQL and transfers leaves a core idle. When the
 * first claim shows that there is more than a batch to do, the worker that
 * leads the execution starts helpers. They run the same pipeline; each sends
 * its part of the summary to the leader, which alone logs.
 *
 * The workers of one execution never skip each other: they claim in turn, under
 * a session-level advisory lock, and go on where the last of them ended. An
 * advisory lock, since a claim may itself wait for locks, be cancelled, and be
 * part of a deadlock that the server has to see.
 *
 * Limits count per execution. max_in_flight is divided among the workers; where
 * a server has limits of its own, the leader stays alone.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "libpq/pqmq.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "utils/memutils.h"

#include "interrupt.h"
#include "launch.h"
#include "pipeline_state.h"
#include "settings.h"

#define HELPERS_POLL_MS 100

static bool
has_limited_provider(const Pipeline *p)
{
	ListCell *cell;

	foreach (cell, cadence_providers_list(p->providers))
		if (((CadenceProvider *) lfirst(cell))->limited)
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
	company->max_in_flight = Max(cadence_max_in_flight / nworkers, 1);
	company->claim_lock = dsm_segment_handle(p->helpers->segment);
	cadence_claims_copy_cursor(p->claims, &company->cursor);
}

/*
 * Starts helpers, as many as settings and server allow, once per execution.
 */
void
helpers_start(Pipeline *p)
{
	int wanted = Min(cadence_workers, CADENCE_WORKERS_MAX) - 1;

	p->alone = true;
	if (wanted < 1 || cadence_max_in_flight < 2 || has_limited_provider(p))
		return;
	p->helpers = launch_create(p->context, wanted);
	fill_header(p, p->helpers->shared, wanted + 1);
	for (int i = 0; i < wanted; i++)
		if (!launch_start(p->helpers))
			break;
	if (p->helpers->nworkers == 0)
		return;
	p->company = p->helpers->shared;
	p->max_in_flight = p->company->max_in_flight;
	cadence_claims_share(p->claims, &p->company->cursor);
}

void
helpers_stop(Pipeline *p)
{
	if (p->helpers != NULL)
		launch_stop(p->helpers);
}

/* Lets the caller's deadlock check see them. */
static void
publish_pids(Pipeline *p)
{
	for (int i = 0; i < p->helpers->nworkers; i++)
	{
		pid_t pid;

		if (GetBackgroundWorkerPid(p->helpers->workers[i].handle, &pid) == BGWH_STARTED)
			p->shared->helper_pids[i] = pid;
	}
	p->shared->nhelpers = p->helpers->nworkers;
}

/* A helper's message: its share, its error, or a notice for the caller. */
static void
handle_message(Pipeline *p, StringInfo message, ErrorData **error, bool *shared)
{
	char type = pq_getmsgbyte(message);
	ErrorData edata;

	if (type == CADENCE_MESSAGE_SHARE)
	{
		cadence_summary_merge(p->summary, message);
		*shared = true;
	}
	else if (type == 'N' || type == 'E')
	{
		pq_parse_errornotice(message, &edata);
		if (edata.elevel < ERROR)
			ThrowErrorData(&edata);
		else if (*error == NULL)
		{
			*error = palloc(sizeof(ErrorData));
			**error = edata;
			(*error)->elevel = ERROR;
		}
	}
}

static ErrorData *
lost_helper(void)
{
	ErrorData *error = palloc0(sizeof(*error));

	error->elevel = ERROR;
	error->sqlerrcode = ERRCODE_INTERNAL_ERROR;
	error->message = pstrdup("a worker of the execution ended without a result");
	error->hint = pstrdup("The server's log says why.");
	return error;
}

/* Reads all that one helper has to say by now; true when it is gone. */
static bool
hear_out(Pipeline *p, int number, ErrorData **error, bool *shared)
{
	StringInfoData message;
	LaunchNews news;

	initStringInfo(&message);
	while ((news = launch_receive(p->helpers, number, &message)) == LAUNCH_MESSAGE)
		handle_message(p, &message, error, shared);
	pfree(message.data);
	return news == LAUNCH_GONE;
}

/*
 * Waits for the helpers and merges what they did; returns the first error of
 * one of them, NULL if there was none. A stop is passed on to them.
 */
ErrorData *
helpers_wait(Pipeline *p)
{
	bool gone[CADENCE_WORKERS_MAX] = {false};
	bool shared[CADENCE_WORKERS_MAX] = {false};
	ErrorData *error = NULL;
	int left;

	if (p->helpers == NULL)
		return NULL;
	publish_pids(p);
	do
	{
		left = 0;
		if (cadence_stop_requested() || !cadence_enabled)
			helpers_stop(p);
		for (int i = 0; i < p->helpers->nworkers; i++)
		{
			gone[i] = gone[i] || hear_out(p, i, &error, &shared[i]);
			left += gone[i] ? 0 : 1;
		}
		if (left > 0)
		{
			(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
							 HELPERS_POLL_MS, PG_WAIT_EXTENSION);
			cadence_process_interrupts();
		}
	} while (left > 0);
	for (int i = 0; i < p->helpers->nworkers; i++)
		if (!shared[i] && error == NULL)
			error = lost_helper();
	launch_end(p->helpers);
	p->helpers = NULL;
	return error;
}

static void
claim_lock_tag(const Pipeline *p, LOCKTAG *tag)
{
	/* the class of two-key advisory locks, with a first key that is ours */
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, CADENCE_DSM_MAGIC, p->company->claim_lock, 2);
}

/*
 * Held from before a look until its claim is committed and the cursor moved.
 */
void
helpers_lock_claims(Pipeline *p)
{
	LOCKTAG tag;

	if (p->company == NULL)
		return;
	claim_lock_tag(p, &tag);
	(void) LockAcquire(&tag, ExclusiveLock, true, false);
	p->holds_claims = true;
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
