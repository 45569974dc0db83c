/*
 * peers.c
 *		Several workers for one execution.
 *
 * One process that alternates SQL and transfers leaves a core idle. When the
 * first claim shows that there is more than a batch to do, the first worker
 * starts peers. Each runs the same pipeline with looks of its own: row locks are
 * between them, and what one has taken the others do not see. At its end each
 * sends its part of the summary to the first, which alone logs.
 *
 * Limits count per execution. max_in_flight is divided among the workers; where
 * a server has limits of its own, the first stays alone.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "libpq/pqmq.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/interrupt.h"
#include "base/settings.h"
#include "server/peers.h"

#define POLL_MS 100

/* Whether a server has limits of its own, which hold for one worker. */
bool
peers_are_barred(const Pipeline *p)
{
	ListCell *cell;

	foreach (cell, cadence_providers_list(p->providers))
		if (((CadenceProvider *) lfirst(cell))->configuration->limited)
			return true;
	return false;
}

static void
fill_header(const Peers *peers, const Pipeline *p, CadenceShared *header, int nworkers)
{
	header->database = peers->shared->database;
	header->schema = peers->shared->schema;
	header->owner = peers->shared->owner;
	strlcpy(header->trigger, peers->shared->trigger, CADENCE_TRIGGER_MAX);
	header->is_peer = true;
	header->due_until = p->summary->started_at;
	header->max_in_flight = cadence_max_in_flight / nworkers;
}

/*
 * Starts peers, as many as settings and server allow, once per execution. This
 * worker keeps what they do not use of max_in_flight.
 */
void
peers_start(Peers *peers, Pipeline *p)
{
	int wanted = Min(Min(cadence_workers, CADENCE_WORKERS_MAX), cadence_max_in_flight) - 1;

	if (peers->asked)
		return;
	peers->asked = true;
	if (wanted < 1 || peers_are_barred(p))
		return;
	peers->launch = launch_create(p->context, wanted);
	if (peers->launch == NULL)
		return;
	dsm_pin_mapping(peers->launch->segment);
	fill_header(peers, p, peers->launch->shared, wanted + 1);
	for (int i = 0; i < wanted; i++)
		if (!launch_start(peers->launch))
			break;
	sender_resize(&p->sender, cadence_max_in_flight -
								  peers->launch->nworkers * peers->launch->shared->max_in_flight);
}

/*
 * Passes a stop on. Any other end only asks them to claim nothing more: what
 * they have under way ends by itself.
 */
void
peers_stop(Peers *peers)
{
	if (peers->launch == NULL)
		return;
	pg_atomic_write_u32(&peers->launch->shared->ending, 1);
	if (cadence_stop_requested())
		launch_stop(peers->launch, cadence_stop_is_urgent());
}

/* Lets the caller's deadlock check see them. */
static void
publish_pids(const Peers *peers)
{
	for (int i = 0; i < peers->launch->nworkers; i++)
	{
		pid_t pid;
		bool runs = GetBackgroundWorkerPid(peers->launch->workers[i].handle, &pid) == BGWH_STARTED;

		peers->shared->peer_pids[i] = runs ? pid : 0;
	}
	peers->shared->npeers = peers->launch->nworkers;
}

/* The first error wins: others often follow from it. */
static void
note_error(Peers *peers, const ErrorData *error)
{
	MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(peers->launch));

	if (peers->error == NULL)
	{
		peers->error = palloc(sizeof(ErrorData));
		*peers->error = *error;
		peers->error->elevel = ERROR;
	}
	MemoryContextSwitchTo(old);
}

/*
 * A peer's share, or its error. One that has no share to send has claimed
 * nothing, perhaps since it could not even connect: nobody misses it.
 */
static void
handle_message(Peers *peers, Pipeline *p, LaunchedWorker *peer, StringInfo message)
{
	char type = pq_getmsgbyte(message);
	ErrorData edata;

	if (type == CADENCE_MESSAGE_SHARE)
	{
		cadence_summary_merge(p->summary, message);
		peer->delivered = true;
	}
	else if (type == 'E')
	{
		pq_parse_errornotice(message, &edata);
		if (peer->delivered)
			note_error(peers, &edata);
	}
}

/* Reads all that one peer has to say by now. */
static void
receive(Peers *peers, Pipeline *p, int number)
{
	LaunchedWorker *peer = &peers->launch->workers[number];
	StringInfoData message;
	shm_mq_result news;

	initStringInfo(&message);
	while ((news = launch_receive(peers->launch, number, &message)) == SHM_MQ_SUCCESS)
		handle_message(peers, p, peer, &message);
	pfree(message.data);
	peer->gone = news == SHM_MQ_DETACHED;
}

static bool
receive_all(Peers *peers, Pipeline *p)
{
	bool all_gone = true;

	for (int i = 0; i < peers->launch->nworkers; i++)
	{
		if (!peers->launch->workers[i].gone)
			receive(peers, p, i);
		all_gone = all_gone && peers->launch->workers[i].gone;
	}
	return all_gone;
}

/*
 * Waits for the peers' results and merges what they did; their first error is
 * kept. A stop is passed on to them. May be called again after an error, and
 * goes on where it was.
 */
void
peers_wait(Peers *peers, Pipeline *p)
{
	if (peers->launch == NULL)
		return;
	while (!receive_all(peers, p))
	{
		if (cadence_stop_requested())
			peers_stop(peers);
		publish_pids(peers);
		cadence_sleep(POLL_MS);
		cadence_process_interrupts();
	}
	cadence_forget_cancel();
}

/*
 * Waits until the peers' processes are gone, too: when the execution has ended,
 * so have they.
 */
void
peers_end(Peers *peers)
{
	if (peers->launch != NULL)
		launch_end(peers->launch);
	peers->launch = NULL;
}
