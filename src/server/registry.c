/*
 * registry.c
 *		What the server's processes know of the resident workers.
 *
 * Shared memory holds who is running and what to wake, never work: work is in
 * the tables. It exists only where the library is preloaded; everywhere else
 * all of this does nothing.
 *
 * Each slot says by itself whether its worker runs: the worker enters its
 * process when it starts and takes it out on every way out. A supervisor that
 * was restarted goes by that, as does a backend that wants the database for
 * itself. Signals are sent under the lock that protects the entry, so that they
 * never reach a process that has taken over a number.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "server/registry.h"
#include "provider/provider_stats.h"

#define TRANCHE "cadence_runner"

typedef struct Registry
{
	LWLock *lock;
	Latch *supervisor; /* NULL: none runs */
	ResidentSlot slots[CADENCE_RESIDENTS_MAX];
} Registry;

static Registry *registry;
static ResidentSlot *mine; /* of a probe or a worker */

static shmem_startup_hook_type next_startup_hook;

/* ---- the memory ------------------------------------------------------------- */

static void
request_memory(void)
{
	RequestAddinShmemSpace(MAXALIGN(sizeof(Registry)) + cadence_provider_stats_size());
	RequestNamedLWLockTranche(TRANCHE, 2);
}

#if CADENCE_HAS_SHMEM_REQUEST_HOOK
static shmem_request_hook_type next_request_hook;

static void
on_request(void)
{
	if (next_request_hook != NULL)
		next_request_hook();
	request_memory();
}
#endif

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
		for (int i = 0; i < CADENCE_RESIDENTS_MAX; i++)
			pg_atomic_init_u32(&registry->slots[i].wishes, 0);
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
#if CADENCE_HAS_SHMEM_REQUEST_HOOK
	next_request_hook = shmem_request_hook;
	shmem_request_hook = on_request;
#else
	request_memory();
#endif
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

static void
set_problem(ResidentSlot *slot, const char *problem)
{
	strlcpy(slot->problem, problem, CADENCE_PROBLEM_MAX);
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
is_wanted(List *names, const char *name)
{
	ListCell *cell;

	foreach (cell, names)
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	return false;
}

static ResidentSlot *
find_by_name(const char *name)
{
	for (int i = 0; i < CADENCE_RESIDENTS_MAX; i++)
		if (registry->slots[i].used && strcmp(registry->slots[i].name, name) == 0)
			return &registry->slots[i];
	return NULL;
}

/* A slot whose worker is still ending is not used again before it has ended. */
static ResidentSlot *
find_free(void)
{
	for (int i = 0; i < CADENCE_RESIDENTS_MAX; i++)
		if (!registry->slots[i].used && registry->slots[i].pid == 0)
			return &registry->slots[i];
	return NULL;
}

static void
take_slot(ResidentSlot *slot, const char *name)
{
	uint32 launch = slot->launch;

	memset(slot, 0, sizeof(*slot));
	pg_atomic_init_u32(&slot->wishes, 0);
	slot->launch = launch + 1;
	slot->used = true;
	strlcpy(slot->name, name, NAMEDATALEN);
}

/*
 * One slot for each of the names; workers of others are told to end.
 */
void
registry_sync(List *names)
{
	ListCell *cell;

	lock_registry();
	for (int i = 0; i < CADENCE_RESIDENTS_MAX; i++)
	{
		ResidentSlot *slot = &registry->slots[i];

		if (!slot->used || is_wanted(names, slot->name))
			continue;
		slot->used = false;
		slot->launch++;
		if (slot->pid != 0)
			kill(slot->pid, SIGTERM);
	}
	foreach (cell, names)
	{
		ResidentSlot *slot;

		if (find_by_name(lfirst(cell)) != NULL)
			continue;
		slot = find_free();
		if (slot != NULL)
			take_slot(slot, lfirst(cell));
		else
			ereport(LOG, (errmsg("no place is free for a resident worker in database \"%s\"",
								 (char *) lfirst(cell)),
						  errdetail("There are %d.", CADENCE_RESIDENTS_MAX)));
	}
	unlock_registry();
}

void
registry_read(int number, ResidentSlot *copy)
{
	LWLockAcquire(registry->lock, LW_SHARED);
	*copy = registry->slots[number];
	LWLockRelease(registry->lock);
}

/*
 * A process is about to be started for a slot; returns the number by which it
 * will be recognised.
 */
uint32
registry_begin(int number, ResidentState state, Oid database)
{
	ResidentSlot *slot = &registry->slots[number];
	uint32 launch;

	lock_registry();
	slot->state = state;
	slot->database = database;
	slot->hurry = false;
	launch = ++slot->launch;
	unlock_registry();
	return launch;
}

void
registry_refuse(int number, const char *problem)
{
	lock_registry();
	registry->slots[number].state = RESIDENT_REFUSED;
	registry->slots[number].launch++;
	set_problem(&registry->slots[number], problem);
	unlock_registry();
}

/* Changes a state that nobody else has changed meanwhile. */
void
registry_settle(int number, ResidentState from, ResidentState to)
{
	lock_registry();
	if (registry->slots[number].state == from)
		registry->slots[number].state = to;
	registry->slots[number].hurry = false;
	unlock_registry();
}

/* The backend that held it is gone without a word. */
void
registry_clear_hold(int number)
{
	lock_registry();
	registry->slots[number].held_by = 0;
	unlock_registry();
}

/* ---- the side of a probe or a worker -------------------------------------------- */

static void
detach(int code, Datum arg)
{
	lock_registry();
	if (mine->pid != MyProcPid)
	{
		unlock_registry();
		return;
	}
	mine->pid = 0;
	mine->in_flight = mine->waiting = 0;
	if (mine->state == RESIDENT_WORKING || mine->state == RESIDENT_SLEEPING ||
		mine->state == RESIDENT_DISABLED)
		mine->state = RESIDENT_STOPPED;
	else if (mine->state == RESIDENT_PROBING || mine->state == RESIDENT_STARTING)
	{
		mine->state = mine->state == RESIDENT_PROBING ? RESIDENT_REFUSED : RESIDENT_FAILED;
		if (mine->problem[0] == '\0')
			set_problem(mine, "it could not connect; the server's log says why");
	}
	wake_supervisor();
	unlock_registry();
}

/*
 * Enters this process into its slot; false when it is not wanted any more.
 */
bool
registry_attach(int number, uint32 launch, ResidentSlot *copy)
{
	ResidentSlot *slot;
	bool wanted;

	if (registry == NULL || number < 0 || number >= CADENCE_RESIDENTS_MAX)
		return false;
	slot = &registry->slots[number];
	lock_registry();
	/* one that is still winding down must not find another in its place */
	wanted = slot->used && slot->launch == launch && slot->held_by == 0 && slot->pid == 0;
	if (wanted)
	{
		slot->pid = MyProcPid;
		/* what a worker has failed with is to be seen until the next one runs */
		if (slot->state != RESIDENT_PROBING)
			slot->problem[0] = '\0';
		slot->started_at = slot->seen_at = GetCurrentTimestamp();
		*copy = *slot;
	}
	unlock_registry();
	if (wanted)
	{
		mine = slot;
		before_shmem_exit(detach, (Datum) 0);
	}
	return wanted;
}

/* The probe's good news. */
void
registry_found(Oid schema, Oid owner)
{
	lock_registry();
	mine->schema = schema;
	mine->owner = owner;
	mine->state = RESIDENT_PROBED;
	unlock_registry();
}

/* Why a probe refuses, or a worker ends. */
void
registry_failed(const char *problem)
{
	lock_registry();
	mine->state = mine->state == RESIDENT_PROBING ? RESIDENT_REFUSED : RESIDENT_FAILED;
	set_problem(mine, problem);
	unlock_registry();
}

/* Without a lock: each is written by this process alone, and read by whoever wants to know. */
void
registry_working(ResidentState state, TimestampTz wake_at, int in_flight, int waiting)
{
	mine->seen_at = GetCurrentTimestamp();
	mine->wake_at = wake_at;
	mine->in_flight = in_flight;
	mine->waiting = waiting;
	mine->state = state;
}

void
registry_executed(void)
{
	if (mine != NULL)
		mine->last_execution = GetCurrentTimestamp();
}

/* Whether this process is a resident worker. */
bool
registry_is_resident(void)
{
	return mine != NULL;
}

/* What commits have asked for since the last call. */
uint32
registry_take_wishes(void)
{
	return pg_atomic_exchange_u32(&mine->wishes, 0);
}

/* ---- everybody's side ------------------------------------------------------------- */

/*
 * Something has changed for the workers of a database: one that runs looks at
 * once, one that does not is tried again.
 *
 * SIGUSR1 without a reason is ignored by every other process of the server; the
 * worker's own handler also ends a wait for sockets, which a latch does not.
 */
void
registry_wake(Oid database, uint32 wishes)
{
	if (registry == NULL)
		return;
	LWLockAcquire(registry->lock, LW_SHARED);
	for (int i = 0; i < CADENCE_RESIDENTS_MAX; i++)
	{
		ResidentSlot *slot = &registry->slots[i];

		if (!slot->used)
			continue;
		if (slot == mine && slot->pid == MyProcPid)
		{
			/* it looks for itself, after its own transaction */
			pg_atomic_fetch_or_u32(&slot->wishes, wishes);
			continue;
		}
		/* without a process, its database may not have existed until now */
		if (slot->pid == 0 && (slot->database == database || slot->database == InvalidOid))
		{
			if (!slot->hurry)
			{
				slot->hurry = true;
				wake_supervisor();
			}
		}
		else if (slot->pid != 0 && slot->database == database &&
				 (pg_atomic_fetch_or_u32(&slot->wishes, wishes) & wishes) != wishes)
			kill(slot->pid, SIGUSR1);
	}
	LWLockRelease(registry->lock);
}

static ResidentSlot *
find_by_database(Oid database)
{
	for (int i = 0; i < CADENCE_RESIDENTS_MAX; i++)
		if (registry->slots[i].used && registry->slots[i].database == database)
			return &registry->slots[i];
	return NULL;
}

/*
 * Keeps the worker out of a database until registry_release(), and tells the
 * one that runs to end. False when there is still one: call again.
 */
bool
registry_hold(Oid database)
{
	ResidentSlot *slot;
	bool gone = true;

	if (registry == NULL)
		return true;
	lock_registry();
	slot = find_by_database(database);
	if (slot != NULL)
	{
		gone = slot->pid == 0;
		if (slot->held_by != MyProcPid)
		{
			slot->held_by = MyProcPid;
			slot->launch++;
			if (!gone)
				kill(slot->pid, SIGTERM);
		}
	}
	unlock_registry();
	return gone;
}

void
registry_release(Oid database)
{
	ResidentSlot *slot;

	if (registry == NULL)
		return;
	lock_registry();
	slot = find_by_database(database);
	if (slot != NULL && slot->held_by == MyProcPid)
	{
		slot->held_by = 0;
		/* its name may lead elsewhere now, or nowhere; a worker that has not left yet stays known
		 */
		if (slot->pid == 0)
		{
			slot->database = InvalidOid;
			slot->state = RESIDENT_OFF;
		}
		slot->hurry = true;
		wake_supervisor();
	}
	unlock_registry();
}

const char *
registry_state_name(ResidentState state)
{
	switch (state)
	{
		case RESIDENT_OFF:
		case RESIDENT_STOPPED:
			return "stopped";
		case RESIDENT_PROBING:
		case RESIDENT_PROBED:
		case RESIDENT_STARTING:
			return "starting";
		case RESIDENT_REFUSED:
			return "waiting";
		case RESIDENT_WORKING:
			return "working";
		case RESIDENT_SLEEPING:
			return "sleeping";
		case RESIDENT_DISABLED:
			return "disabled";
		case RESIDENT_FAILED:
			return "failed";
	}
	pg_unreachable();
}
