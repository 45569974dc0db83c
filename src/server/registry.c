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
 * one process too many ends without a word. Its side is in registry_worker.c, the
 * supervisor's in registry_supervisor.c.
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
#include "server/registry_parts.h"

#define TRANCHE "cadence_runner"

Registry *resident_registry; /* NULL: it is not preloaded */

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
	resident_registry = ShmemInitStruct("cadence_runner residents", sizeof(Registry), &found);
	if (!found)
	{
		memset(resident_registry, 0, sizeof(Registry));
		resident_registry->lock = &locks[0].lock;
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
	return resident_registry != NULL;
}

void
registry_lock(void)
{
	LWLockAcquire(resident_registry->lock, LW_EXCLUSIVE);
}

void
registry_unlock(void)
{
	LWLockRelease(resident_registry->lock);
}

void
registry_wake_supervisor(void)
{
	if (resident_registry->supervisor != NULL)
		SetLatch(resident_registry->supervisor);
}

/* ---- under the lock ----------------------------------------------------------- */

void
registry_set_problem(ResidentDatabase *d, bool is_refusal, const char *problem)
{
	strlcpy(d->problem, problem, cadence_text_fits(problem, CADENCE_PROBLEM_MAX) + 1);
	d->is_refusal = is_refusal;
	d->ended_at = GetCurrentTimestamp();
	registry_wake_supervisor();
}

bool
registry_has_process(const ResidentDatabase *d)
{
	for (int i = 0; i <= RESIDENT_PROBE; i++)
		if (d->workers[i].pid != 0)
			return true;
	return false;
}

/* Those behind the first so many workers; with 0, the probe too. */
void
registry_end_processes(ResidentDatabase *d, int first)
{
	for (int i = first; i <= RESIDENT_PROBE; i++)
		if (d->workers[i].pid != 0 && (i < RESIDENT_PROBE || first == 0))
			kill(d->workers[i].pid, SIGTERM);
}

ResidentDatabase *
registry_entry(const char *name)
{
	for (int i = 0; i < CADENCE_DATABASES_MAX; i++)
		if (resident_registry->databases[i].used &&
			strcmp(resident_registry->databases[i].name, name) == 0)
			return &resident_registry->databases[i];
	return NULL;
}

/* ---- everybody's side ------------------------------------------------------------- */

void
registry_read(int entry, ResidentDatabase *copy)
{
	LWLockAcquire(resident_registry->lock, LW_SHARED);
	*copy = resident_registry->databases[entry];
	LWLockRelease(resident_registry->lock);
}

/* The entry of a database; false when it is not to have a worker. */
bool
registry_find(const char *name, ResidentDatabase *copy)
{
	ResidentDatabase *d;

	if (resident_registry == NULL)
		return false;
	LWLockAcquire(resident_registry->lock, LW_SHARED);
	d = registry_entry(name);
	if (d != NULL)
		*copy = *d;
	LWLockRelease(resident_registry->lock);
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

static bool
is_gone(const char *name)
{
	ResidentDatabase d;

	return !registry_find(name, &d) || !registry_has_process(&d);
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

	registry_lock();
	d = registry_entry(name);
	if (d != NULL)
	{
		d->paused = true;
		d->problem[0] = '\0';
		registry_end_processes(d, 0);
	}
	registry_unlock();

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

	registry_lock();
	d = registry_entry(name);
	was_paused = d != NULL && d->paused;
	if (was_paused)
	{
		d->paused = false;
		/* its name may lead to another database now */
		d->database = InvalidOid;
		registry_wake_supervisor();
	}
	registry_unlock();
	return was_paused;
}
