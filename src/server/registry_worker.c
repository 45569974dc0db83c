/*
 * registry_worker.c
 *		The registry as a probe or a worker has it: its own place, and who wakes it.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

#include "server/registry_parts.h"

/* Of a probe or a worker. */
static ResidentDatabase *my_database;
static ResidentWorker *mine; /* NULL: neither */
static int my_number = -1;
static bool said_why; /* this process ends */

static bool
has_served(void)
{
	return mine->activity != RESIDENT_STARTING;
}

/* On every way out, also the server's own. */
static void
detach(int code, Datum arg)
{
	registry_lock();
	mine->pid = mine->in_flight = mine->waiting = 0;
	my_database->ended_at = GetCurrentTimestamp();
	/* a commit has woken it when it did not look any more */
	if (my_number == 0 && pg_atomic_exchange_u32(&mine->woken, 0) != 0)
		my_database->hurry = true;
	if (!said_why && !my_database->paused)
		registry_set_problem(my_database, !has_served(),
							 has_served() ? "its process was ended; the server's log says why"
										  : "it could not connect; the server's log says why");
	registry_wake_supervisor();
	registry_unlock();
}

/*
 * Enters this process into its place, as a worker or a probe; false when it is
 * not wanted, any more or a second time.
 */
bool
registry_attach(const char *name, Oid database, int number)
{
	ResidentDatabase *d;
	bool wanted;

	registry_lock();
	d = registry_entry(name);
	wanted = d != NULL && d->database == database && !d->paused &&
			 (number == RESIDENT_PROBE || number < d->nworkers) && d->workers[number].pid == 0;
	if (wanted)
	{
		my_database = d;
		my_number = number;
		mine = &d->workers[number];
		mine->pid = MyProcPid;
		mine->activity = RESIDENT_STARTING;
		mine->started_at = mine->seen_at = GetCurrentTimestamp();
		mine->wake_at = 0;
	}
	registry_unlock();
	if (wanted)
		before_shmem_exit(detach, (Datum) 0);
	return wanted;
}

/* Which of its database's workers this one is, from 0; -1 in any other process. */
int
registry_number(void)
{
	return my_number;
}

/* Of this probe or worker; what others write there is read without the lock. */
const ResidentDatabase *
registry_database(void)
{
	return my_database;
}

/* Nobody is missing who was ended by it. */
static void
forget_problem(void)
{
	registry_lock();
	my_database->problem[0] = '\0';
	registry_wake_supervisor();
	registry_unlock();
}

/* Why this process ends; NULL: it was told to, or has done what it was for. */
void
registry_ended(const char *problem)
{
	said_why = true;
	if (problem == NULL && has_served())
		forget_problem();
	if (problem == NULL)
		return;
	registry_lock();
	registry_set_problem(my_database, !has_served(), problem);
	registry_unlock();
}

/* What a worker does until it goes round its loop again. */
void
registry_working(ResidentActivity activity, TimestampTz wake_at, int in_flight, int waiting)
{
	mine->seen_at = GetCurrentTimestamp();
	mine->wake_at = wake_at;
	mine->in_flight = in_flight;
	mine->waiting = waiting;
	mine->activity = activity;
	if (my_database->problem[0] != '\0' &&
		registry_first_missing(my_database) == my_database->nworkers &&
		mine->seen_at - my_database->ended_at > RESIDENT_SETTLED_US)
		forget_problem();
}

/* It has recorded a step. */
void
registry_executed(void)
{
	mine->last_execution = GetCurrentTimestamp();
}

/* Whether a commit, or a peer, has asked for a look since the last call. */
bool
registry_was_woken(void)
{
	return pg_atomic_exchange_u32(&mine->woken, 0) != 0;
}

/* ---- waking ------------------------------------------------------------------- */

/*
 * SIGUSR1 without a reason is ignored by every other process of the server; the
 * worker's own handler also ends a wait for sockets, which a latch does not.
 */
static void
wake_worker(ResidentWorker *w)
{
	if (w->pid == 0 || pg_atomic_exchange_u32(&w->woken, 1) != 0)
		return;
	/* this process looks for itself, after its own transaction */
	if (w != mine)
		kill(w->pid, SIGUSR1);
}

/* There is more to do than one can take: the other workers of the database look, too. */
void
registry_wake_peers(void)
{
	LWLockAcquire(resident_registry->lock, LW_SHARED);
	for (int i = 0; i < CADENCE_WORKERS_MAX; i++)
		if (i != my_number)
			wake_worker(&my_database->workers[i]);
	LWLockRelease(resident_registry->lock);
}

/*
 * Something has changed for the workers of a database. One of them looks at
 * once, the first that runs. Where number 0 is missing, it is tried again soon.
 */
void
registry_wake(Oid database)
{
	if (resident_registry == NULL)
		return;
	LWLockAcquire(resident_registry->lock, LW_SHARED);
	for (int i = 0; i < CADENCE_DATABASES_MAX; i++)
	{
		ResidentDatabase *d = &resident_registry->databases[i];
		int first = 0;

		if (!d->used || d->database != database)
			continue;
		while (first < CADENCE_WORKERS_MAX - 1 && d->workers[first].pid == 0)
			first++;
		wake_worker(&d->workers[first]);
		if (d->workers[0].pid == 0 && !d->hurry)
		{
			d->hurry = true;
			registry_wake_supervisor();
		}
	}
	LWLockRelease(resident_registry->lock);
}
