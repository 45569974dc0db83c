/*
 * registry.c
 *		What the server's processes know of the resident workers.
 *
 * Shared memory holds who is running and what to wake, never work: work is in
 * the tables. It exists only where the library is preloaded; everywhere else
 * all of this does nothing.
 *
 * Nobody keeps a state of a database: it follows from which of its processes
 * are there, from whether somebody has paused it, and from its last problem. A
 * process enters its place when it starts, if it is wanted, and leaves it on
 * every way out: a supervisor that was restarted goes by what it finds here, and
 * one process too many ends without a word.
 *
 * One lock for all of it, held for some instructions only, and never while
 * another is taken. Signals are sent under it, so that they never reach a
 * process that has taken over a number.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/clip.h"
#include "provider/provider_stats.h"
#include "server/registry.h"

#define TRANCHE "cadence_runner"

typedef struct Registry
{
	LWLock *lock;
	Latch *supervisor; /* NULL: none runs */
	ResidentDatabase databases[CADENCE_DATABASES_MAX];
} Registry;

static Registry *registry;

/* Of a probe or a worker. */
static ResidentDatabase *my_database;
static ResidentWorker *mine; /* NULL: neither */
static int my_number = -1;
static bool said_why; /* this process ends */

/* How often somebody who waits for workers to end looks. */
#define ENDING_POLL_MS 10

static shmem_request_hook_type next_request_hook;
static shmem_startup_hook_type next_startup_hook;

/* ---- the memory ------------------------------------------------------------- */

static void
on_request(void)
{
	if (next_request_hook != NULL)
		next_request_hook();
	RequestAddinShmemSpace(MAXALIGN(sizeof(Registry)) + cadence_provider_stats_size());
	RequestNamedLWLockTranche(TRANCHE, 2);
}

/* After a crash the server comes here again, with fresh memory. */
static void
on_startup(void)
{
	bool found;
	LWLockPadded *locks;

	if (next_startup_hook != NULL)
		next_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	locks = GetNamedLWLockTranche(TRANCHE);
	registry = ShmemInitStruct("cadence_runner residents", sizeof(Registry), &found);
	if (!found)
	{
		memset(registry, 0, sizeof(Registry));
		registry->lock = &locks[0].lock;
	}
	cadence_provider_stats_attach(&locks[1].lock);
	LWLockRelease(AddinShmemInitLock);
}

/*
 * To be called from _PG_init() while the server loads its preloaded libraries.
 */
void
cadence_registry_install(void)
{
	next_request_hook = shmem_request_hook;
	shmem_request_hook = on_request;
	next_startup_hook = shmem_startup_hook;
	shmem_startup_hook = on_startup;
}

bool
cadence_registry_exists(void)
{
	return registry != NULL;
}

static void
lock_registry(void)
{
	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
}

static void
unlock_registry(void)
{
	LWLockRelease(registry->lock);
}

static void
wake_supervisor(void)
{
	if (registry->supervisor != NULL)
		SetLatch(registry->supervisor);
}

/* ---- under the lock ----------------------------------------------------------- */

/* The first worker that a database lacks; its number of workers, when it lacks none. */
int
registry_first_missing(const ResidentDatabase *d)
{
	int i = 0;

	while (i < d->nworkers && d->workers[i].pid != 0)
		i++;
	return i;
}

static void
set_problem(ResidentDatabase *d, bool is_refusal, const char *problem)
{
	strlcpy(d->problem, problem, cadence_text_fits(problem, CADENCE_PROBLEM_MAX) + 1);
	d->is_refusal = is_refusal;
	d->ended_at = GetCurrentTimestamp();
	wake_supervisor();
}

static bool
has_process(const ResidentDatabase *d)
{
	for (int i = 0; i <= RESIDENT_PROBE; i++)
		if (d->workers[i].pid != 0)
			return true;
	return false;
}

/* Those behind the first so many workers; with 0, the probe too. */
static void
end_processes(ResidentDatabase *d, int first)
{
	for (int i = first; i <= RESIDENT_PROBE; i++)
		if (d->workers[i].pid != 0 && (i < RESIDENT_PROBE || first == 0))
			kill(d->workers[i].pid, SIGTERM);
}

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

static ResidentDatabase *
find_by_name(const char *name)
{
	for (int i = 0; i < CADENCE_DATABASES_MAX; i++)
		if (registry->databases[i].used && strcmp(registry->databases[i].name, name) == 0)
			return &registry->databases[i];
	return NULL;
}

/* ---- the supervisor's side ---------------------------------------------------- */

static void
detach_supervisor(int code, Datum arg)
{
	lock_registry();
	registry->supervisor = NULL;
	unlock_registry();
}

void
registry_attach_supervisor(void)
{
	lock_registry();
	registry->supervisor = MyLatch;
	unlock_registry();
	before_shmem_exit(detach_supervisor, (Datum) 0);
}

static bool
is_listed(List *names, const char *name)
{
	ListCell *cell;

	foreach (cell, names)
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	return false;
}

/* An entry whose workers are still ending is not used again before they have ended. */
static ResidentDatabase *
add_database(const char *name)
{
	for (int i = 0; i < CADENCE_DATABASES_MAX; i++)
	{
		ResidentDatabase *d = &registry->databases[i];

		if (d->used || has_process(d))
			continue;
		memset(d, 0, sizeof(*d));
		for (int k = 0; k <= RESIDENT_PROBE; k++)
			pg_atomic_init_u32(&d->workers[k].woken, 0);
		d->used = true;
		strlcpy(d->name, name, NAMEDATALEN);
		return d;
	}
	ereport(LOG, (errmsg("no place is free for resident workers in database \"%s\"", name),
				  errdetail("There can be %d such databases at a time.", CADENCE_DATABASES_MAX)));
	return NULL;
}

/*
 * One entry for each of the names, for so many workers each; those of others,
 * and those that are too many, are told to end.
 */
void
registry_sync(List *names, int nworkers)
{
	ListCell *cell;

	lock_registry();
	for (int i = 0; i < CADENCE_DATABASES_MAX; i++)
	{
		ResidentDatabase *d = &registry->databases[i];

		if (!d->used)
			continue;
		d->used = is_listed(names, d->name);
		end_processes(d, d->used ? nworkers : 0);
	}
	foreach (cell, names)
	{
		ResidentDatabase *d = find_by_name(lfirst(cell));

		if (d == NULL)
			d = add_database(lfirst(cell));
		if (d != NULL)
			d->nworkers = nworkers;
	}
	unlock_registry();
}

/* A probe is about to be started in the database that its name leads to. */
void
registry_begin(int entry, Oid database)
{
	lock_registry();
	registry->databases[entry].database = database;
	registry->databases[entry].hurry = false;
	unlock_registry();
}

/* It could not be started. */
void
registry_refuse(int entry, const char *problem)
{
	lock_registry();
	set_problem(&registry->databases[entry], true, problem);
	unlock_registry();
}

/* ---- the side of a probe or a worker -------------------------------------------- */

static bool
has_served(void)
{
	return mine->activity != RESIDENT_STARTING;
}

/* On every way out, also the server's own. */
static void
detach(int code, Datum arg)
{
	lock_registry();
	mine->pid = mine->in_flight = mine->waiting = 0;
	my_database->ended_at = GetCurrentTimestamp();
	/* a commit has woken it when it did not look any more */
	if (my_number == 0 && pg_atomic_exchange_u32(&mine->woken, 0) != 0)
		my_database->hurry = true;
	if (!said_why && !my_database->paused)
		set_problem(my_database, !has_served(),
					has_served() ? "its process was ended; the server's log says why"
								 : "it could not connect; the server's log says why");
	wake_supervisor();
	unlock_registry();
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

	lock_registry();
	d = find_by_name(name);
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
	unlock_registry();
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
	lock_registry();
	my_database->problem[0] = '\0';
	wake_supervisor();
	unlock_registry();
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
	lock_registry();
	set_problem(my_database, !has_served(), problem);
	unlock_registry();
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

/* There is more to do than one can take: the other workers of the database look, too. */
void
registry_wake_peers(void)
{
	LWLockAcquire(registry->lock, LW_SHARED);
	for (int i = 0; i < CADENCE_WORKERS_MAX; i++)
		if (i != my_number)
			wake_worker(&my_database->workers[i]);
	LWLockRelease(registry->lock);
}

/* ---- everybody's side ------------------------------------------------------------- */

void
registry_read(int entry, ResidentDatabase *copy)
{
	LWLockAcquire(registry->lock, LW_SHARED);
	*copy = registry->databases[entry];
	LWLockRelease(registry->lock);
}

/* The entry of a database; false when it is not to have a worker. */
bool
registry_find(const char *name, ResidentDatabase *copy)
{
	ResidentDatabase *d;

	if (registry == NULL)
		return false;
	LWLockAcquire(registry->lock, LW_SHARED);
	d = find_by_name(name);
	if (d != NULL)
		*copy = *d;
	LWLockRelease(registry->lock);
	return d != NULL;
}

/* In a word that people read: what number 0 does, or why it is not there. */
const char *
registry_state(const ResidentDatabase *d)
{
	static const char *const activities[] = {[RESIDENT_STARTING] = "starting",
											 [RESIDENT_WORKING] = "working",
											 [RESIDENT_SLEEPING] = "sleeping",
											 [RESIDENT_DISABLED] = "disabled"};

	if (d->paused)
		return "paused";
	if (d->workers[0].pid != 0)
		return activities[d->workers[0].activity];
	if (d->problem[0] != '\0')
		return d->is_refusal ? "waiting" : "failed";
	return "starting";
}

/* Why a worker that shall run does not; empty when there is no such reason. */
const char *
registry_problem(const ResidentDatabase *d)
{
	for (int i = 0; i < d->nworkers; i++)
		if (d->workers[i].pid == 0 || d->workers[i].activity == RESIDENT_STARTING)
			return d->problem;
	return "";
}

/*
 * Something has changed for the workers of a database. One of them looks at
 * once, the first that runs. Where number 0 is missing, it is tried again soon.
 */
void
registry_wake(Oid database)
{
	if (registry == NULL)
		return;
	LWLockAcquire(registry->lock, LW_SHARED);
	for (int i = 0; i < CADENCE_DATABASES_MAX; i++)
	{
		ResidentDatabase *d = &registry->databases[i];
		int first = 0;

		if (!d->used || d->database != database)
			continue;
		while (first < CADENCE_WORKERS_MAX - 1 && d->workers[first].pid == 0)
			first++;
		wake_worker(&d->workers[first]);
		if (d->workers[0].pid == 0 && !d->hurry)
		{
			d->hurry = true;
			wake_supervisor();
		}
	}
	LWLockRelease(registry->lock);
}

static bool
is_gone(const char *name)
{
	ResidentDatabase d;

	return !registry_find(name, &d) || !has_process(&d);
}

/*
 * Keeps workers out of a database until somebody resumes it, and waits until
 * those that run have ended; false when that takes longer.
 *
 * The caller has made sure that there is an entry.
 */
bool
registry_pause(const char *name, int timeout_ms)
{
	ResidentDatabase *d;
	TimestampTz until = GetCurrentTimestamp() + timeout_ms * INT64CONST(1000);

	lock_registry();
	d = find_by_name(name);
	if (d != NULL)
	{
		d->paused = true;
		d->problem[0] = '\0';
		end_processes(d, 0);
	}
	unlock_registry();

	while (!is_gone(name) && GetCurrentTimestamp() < until)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ENDING_POLL_MS,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return is_gone(name);
}

/* False when it was not paused. */
bool
registry_resume(const char *name)
{
	ResidentDatabase *d;
	bool was_paused;

	lock_registry();
	d = find_by_name(name);
	was_paused = d != NULL && d->paused;
	if (was_paused)
	{
		d->paused = false;
		/* its name may lead to another database now */
		d->database = InvalidOid;
		wake_supervisor();
	}
	unlock_registry();
	return was_paused;
}
