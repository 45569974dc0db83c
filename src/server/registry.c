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
 * process enters its place when it starts and leaves it on every way out, so a
 * supervisor that was restarted goes by what it finds here.
 *
 * One lock for all of it, held for some instructions only, and never while
 * another is taken. Signals are sent under it, so that they never reach a
 * process that has taken over a number.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "provider/provider_stats.h"
#include "server/registry.h"

#define TRANCHE "cadence_runner"

typedef struct Registry
{
	LWLock *lock;
	Latch *supervisor;		  /* NULL: none runs */
	ConditionVariable ending; /* a process has left its place */
	ResidentDatabase databases[CADENCE_DATABASES_MAX];
} Registry;

static Registry *registry;

/* Of a probe or a worker. */
static ResidentDatabase *my_database;
static ResidentWorker *mine; /* NULL: not a worker */
static int my_number = RESIDENT_PROBE;
static bool said_why; /* this process ends */

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

static void
init_database(ResidentDatabase *d)
{
	uint32 launch = d->launch;

	memset(d, 0, sizeof(*d));
	d->launch = launch + 1;
	for (int i = 0; i < CADENCE_WORKERS_MAX; i++)
		pg_atomic_init_u32(&d->workers[i].woken, 0);
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
		ConditionVariableInit(&registry->ending);
		for (int i = 0; i < CADENCE_DATABASES_MAX; i++)
			init_database(&registry->databases[i]);
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

/* Whoever was asked for and has not come yet is not wanted any more. */
static void
end_start(ResidentDatabase *d)
{
	d->launch++;
	d->starting = false;
}

/* The first worker that a database lacks; its number of workers, when it lacks none. */
int
registry_first_missing(const ResidentDatabase *d)
{
	int i = 0;

	while (i < d->nworkers && d->workers[i].pid != 0)
		i++;
	return i;
}

/* A probe's problem is that of the first worker that it did not start. */
static void
set_problem(ResidentDatabase *d, int number, bool is_refusal, const char *problem)
{
	strlcpy(d->problem, problem, CADENCE_PROBLEM_MAX);
	d->culprit =
		number == RESIDENT_PROBE ? Min(registry_first_missing(d), d->nworkers - 1) : number;
	d->is_refusal = is_refusal;
	d->starting = false;
	d->ended_at = GetCurrentTimestamp();
	wake_supervisor();
}

static bool
has_process(const ResidentDatabase *d)
{
	for (int i = 0; i < CADENCE_WORKERS_MAX; i++)
		if (d->workers[i].pid != 0)
			return true;
	return d->probe_pid != 0;
}

static void
end_processes(ResidentDatabase *d, int from)
{
	for (int i = from; i < CADENCE_WORKERS_MAX; i++)
		if (d->workers[i].pid != 0)
			kill(d->workers[i].pid, SIGTERM);
	if (from == 0 && d->probe_pid != 0)
		kill(d->probe_pid, SIGTERM);
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
		init_database(d);
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
		if (!d->used)
			end_start(d);
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

/*
 * A probe is about to be started; returns the number by which it, and those
 * that it starts, will be recognised.
 */
uint32
registry_begin(int entry, Oid database)
{
	ResidentDatabase *d = &registry->databases[entry];
	uint32 launch;

	lock_registry();
	launch = ++d->launch;
	d->database = database;
	d->starting = true;
	d->hurry = false;
	unlock_registry();
	return launch;
}

/* It could not be started. */
void
registry_refuse(int entry, const char *problem)
{
	ResidentDatabase *d = &registry->databases[entry];

	lock_registry();
	end_start(d);
	set_problem(d, RESIDENT_PROBE, true, problem);
	unlock_registry();
}

/* ---- the side of a probe or a worker -------------------------------------------- */

/* On every way out, also the server's own. */
static void
detach(int code, Datum arg)
{
	bool has_served = mine != NULL && mine->activity != RESIDENT_STARTING;

	lock_registry();
	if (mine == NULL)
		my_database->probe_pid = 0;
	else
	{
		/* what it was asked for while it ended is its successor's */
		if (pg_atomic_exchange_u32(&mine->woken, 0) != 0)
			my_database->hurry = true;
		mine->pid = mine->in_flight = mine->waiting = 0;
		my_database->starting = false;
		my_database->ended_at = GetCurrentTimestamp();
	}
	if (!said_why && !my_database->paused)
		set_problem(my_database, my_number, false,
					has_served ? "its process was ended; the server's log says why"
							   : "it could not connect; the server's log says why");
	wake_supervisor();
	unlock_registry();
	ConditionVariableBroadcast(&registry->ending);
}

/*
 * Enters this process into its place, as a worker or a probe; false when it is
 * not wanted any more.
 */
bool
registry_attach(int entry, uint32 launch, int number)
{
	ResidentDatabase *d = &registry->databases[entry];
	int *pid = number == RESIDENT_PROBE ? &d->probe_pid : &d->workers[number].pid;
	bool wanted;

	lock_registry();
	wanted = d->used && d->launch == launch && *pid == 0;
	if (wanted)
	{
		*pid = MyProcPid;
		my_database = d;
		my_number = number;
	}
	if (wanted && number != RESIDENT_PROBE)
	{
		mine = &d->workers[number];
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

/* How many workers its database shall have. */
int
registry_workers(void)
{
	return my_database->nworkers;
}

/* Whether a probe has to start a worker. */
bool
registry_is_missing(int number)
{
	return number < my_database->nworkers && my_database->workers[number].pid == 0;
}

/* This worker has got over what had ended the one before it. */
static void
forget_problem(void)
{
	if (my_database->problem[0] == '\0' || my_database->culprit != my_number)
		return;
	lock_registry();
	my_database->problem[0] = '\0';
	wake_supervisor();
	unlock_registry();
}

/* Why this process ends; NULL: it was told to, or has done what it was for. */
void
registry_ended(const char *problem)
{
	bool has_served = mine != NULL && mine->activity != RESIDENT_STARTING;

	lock_registry();
	said_why = true;
	if (problem != NULL)
		set_problem(my_database, my_number, !has_served, problem);
	unlock_registry();
	if (problem == NULL && has_served)
		forget_problem();
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
	if (mine->seen_at - mine->started_at > RESIDENT_SETTLED_US)
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
	return d->starting ? "starting" : "stopped";
}

/* Why a worker that shall run does not; empty when there is no such reason. */
const char *
registry_problem(const ResidentDatabase *d)
{
	const ResidentWorker *culprit = &d->workers[d->culprit];

	return culprit->pid != 0 && culprit->activity != RESIDENT_STARTING ? "" : d->problem;
}

/*
 * Something has changed for the workers of a database. One of them looks at
 * once, the first that runs. Where number 0 is missing, a start is tried again.
 */
void
registry_wake(Oid database)
{
	int first;

	if (registry == NULL)
		return;
	LWLockAcquire(registry->lock, LW_SHARED);
	for (int i = 0; i < CADENCE_DATABASES_MAX; i++)
	{
		ResidentDatabase *d = &registry->databases[i];

		/* without an OID, it may not have existed until now */
		if (!d->used || (d->database != database && d->database != InvalidOid))
			continue;
		for (first = 0; first < CADENCE_WORKERS_MAX - 1 && d->workers[first].pid == 0;)
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
		end_start(d);
		end_processes(d, 0);
	}
	unlock_registry();

	ConditionVariablePrepareToSleep(&registry->ending);
	while (!is_gone(name) && GetCurrentTimestamp() < until)
		(void) ConditionVariableTimedSleep(
			&registry->ending,
			Max(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until), 1),
			PG_WAIT_EXTENSION);
	ConditionVariableCancelSleep();
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
		d->hurry = true;
		wake_supervisor();
	}
	unlock_registry();
	return was_paused;
}
