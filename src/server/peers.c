/*
 * peers.c
 *		Other workers for an execution that has more to do than one.
 *
 * One process that alternates SQL and transfers leaves a core idle. Where there is
 * more than a batch to do, the first worker starts peers. Each runs the same pipeline
 * with looks of its own: row locks are between them, and what one has taken the
 * others do not see. At its end each sends its part of the summary to the first,
 * which alone logs. Limits count per execution: max_in_flight is divided among the
 * workers, and a server's own by permits (engine/limiting_permits.c).
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "libpq/pqmq.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/interrupt.h"
#include "base/settings.h"
#include "server/peers.h"

/* How often the peers are looked at that are waited for. */
#define POLL_MS 100

static int
most_workers(void)
{
	return Min(Min(cadence_workers, CADENCE_WORKERS_MAX), cadence_max_in_flight);
}

/* What this worker may have under way beside so many peers. */
static int
beside(int peers)
{
	return cadence_max_in_flight - peers * (cadence_max_in_flight / most_workers());
}

/* Where there is nothing for peers to do, all is this worker's. */
void
peers_work_alone(Peers *peers)
{
	Sender *sender = &peers->pipeline->sender;

	if (!peers->sought && sender->max_in_flight != cadence_max_in_flight)
		sender_resize(sender, cadence_max_in_flight);
}

/* What is started before it is known whether there will be peers leaves room for theirs. */
void
peers_leave_room(Peers *peers)
{
	sender_resize(&peers->pipeline->sender, beside(most_workers() - 1));
}

/*
 * Starts peers, as many as settings and server allow, once per execution. This
 * worker keeps what they do not use of max_in_flight.
 */
void
peers_start(Peers *peers)
{
	Pipeline *p = peers->pipeline;
	int most = most_workers();
	int started = 0;
	CadenceShared *shared;

	if (peers->sought)
		return;
	peers->sought = true;
	if (most < 2)
		return;
	peers->launch = launch_open(p->context, peers->segment);
	shared = peers->launch->shared;
	shared->due_until = p->summary->started_at;
	shared->max_in_flight = cadence_max_in_flight / most;
	while (started < most - 1 && launch_start(peers->launch, started + 1))
		started++;
	pipeline_resize(p, beside(started));
}

/* They claim nothing more; what they have under way ends by itself, unless this stop is urgent. */
void
peers_stop(Peers *peers)
{
	if (peers->launch != NULL)
		launch_stop(peers->launch, cadence_stop_is_urgent());
}

/* The first error wins: others often follow from it. */
static void
note_error(Peers *peers, const ErrorData *error)
{
	if (peers->error != NULL)
		return;
	peers->error = MemoryContextAlloc(peers->pipeline->context, sizeof(ErrorData));
	*peers->error = *error;
	peers->error->elevel = ERROR;
}

/*
 * A peer's share, or its error. One that has no share to send has claimed
 * nothing, perhaps since it could not even connect: nobody misses it.
 */
static void
handle_message(Peers *peers, LaunchedWorker *peer, StringInfo message)
{
	char type = pq_getmsgbyte(message);
	ErrorData edata;

	if (type == CADENCE_MESSAGE_SHARE)
	{
		cadence_summary_merge(peers->pipeline->summary, message);
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
receive(Peers *peers, int number)
{
	LaunchedWorker *peer = &peers->launch->workers[number];
	StringInfoData message;
	shm_mq_result news;

	initStringInfo(&message);
	while ((news = launch_receive(peers->launch, number, &message)) == SHM_MQ_SUCCESS)
		handle_message(peers, peer, &message);
	pfree(message.data);
	peer->gone = news == SHM_MQ_DETACHED;
}

static bool
receive_all(Peers *peers)
{
	bool all_gone = true;

	for (int i = 1; i < CADENCE_WORKERS_MAX; i++)
	{
		LaunchedWorker *peer = &peers->launch->workers[i];

		if (peer->handle != NULL && !peer->gone)
			receive(peers, i);
		all_gone = all_gone && (peer->handle == NULL || peer->gone);
	}
	return all_gone;
}

/*
 * Waits for the peers' results and merges what they did, then for the end of
 * their processes: when the execution has ended, so have they. Their first error
 * is kept. Nothing interrupts this, since their claims must not outlive the
 * execution's log: a stop or a cancel is passed on.
 */
void
peers_wait(Peers *peers)
{
	if (peers->launch == NULL)
		return;
	while (!receive_all(peers))
	{
		if (cadence_stop_requested() || QueryCancelPending)
			peers_stop(peers);
		cadence_sleep(POLL_MS);
		cadence_drain_wakeups();
	}
	cadence_forget_cancel();
	launch_wait(peers->launch);
}
