/*
 * provider_stats.c
 *		What every provider is sent, as all processes of the server see it.
 *
 * Counted per minute, in a ring of an hour. For people who look at the status,
 * not for decisions: it starts anew with the server, and exists only where the
 * library is preloaded. One lock guards all of it, held for a few memory
 * accesses.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "base/clip.h"
#include "provider/provider.h"
#include "provider/provider_stats.h"

/* More providers than that are not counted. */
#define PROVIDERS_MAX 256

#define MINUTES 60

typedef struct Minute
{
	int64 number; /* minutes since the epoch */
	uint32 sent;
	uint32 failed;
} Minute;

typedef struct Counters
{
	Oid database; /* 0: free */
	Oid server;
	int in_flight;
	Minute minutes[MINUTES];
	TimestampTz last_error_at;
	char last_error[CADENCE_PROVIDER_ERROR_MAX];
} Counters;

typedef struct SharedStats
{
	LWLock *lock;
	Counters counters[PROVIDERS_MAX];
} SharedStats;

static SharedStats *shared;
static int published[PROVIDERS_MAX]; /* what this process has added to in_flight */

Size
cadence_provider_stats_size(void)
{
	return MAXALIGN(sizeof(SharedStats));
}

/* Called with the server's lock for such set-ups held. */
void
cadence_provider_stats_attach(LWLock *lock)
{
	bool found;

	shared = ShmemInitStruct("cadence_runner provider statistics", sizeof(SharedStats), &found);
	if (!found)
	{
		memset(shared, 0, sizeof(SharedStats));
		shared->lock = lock;
	}
}

static int64
minute_of(TimestampTz at)
{
	return Max(at / USECS_PER_MINUTE, 0);
}

/* Nothing for an hour: its place may be another's. */
static bool
is_forgotten(const Counters *c)
{
	int64 now = minute_of(GetCurrentTimestamp());

	if (c->in_flight != 0)
		return false;
	for (int i = 0; i < MINUTES; i++)
		if (c->minutes[i].number > now - MINUTES)
			return false;
	return true;
}

/* The counters of one server; NULL when there are none, or no more. */
static Counters *
find(Oid server, bool create)
{
	Counters *unused = NULL;

	for (int i = 0; i < PROVIDERS_MAX; i++)
	{
		Counters *c = &shared->counters[i];

		if (c->database == MyDatabaseId && c->server == server)
			return c;
		if (unused == NULL && c->database == InvalidOid)
			unused = c;
	}
	if (!create)
		return NULL;
	for (int i = 0; i < PROVIDERS_MAX && unused == NULL; i++)
		if (is_forgotten(&shared->counters[i]))
			unused = &shared->counters[i];
	if (unused == NULL)
		return NULL;
	memset(unused, 0, sizeof(*unused));
	unused->database = MyDatabaseId;
	unused->server = server;
	return unused;
}

static Minute *
this_minute(Counters *c, int64 number)
{
	Minute *m = &c->minutes[number % MINUTES];

	if (m->number != number)
		*m = (Minute){.number = number};
	return m;
}

/*
 * Counts an attempt that has ended, with its error where it was not sent.
 */
void
cadence_provider_stats_count(Oid server, bool sent, const char *error)
{
	TimestampTz now;
	Counters *c;
	int len;

	if (shared == NULL)
		return;
	now = GetCurrentTimestamp();
	error = error != NULL ? error : "";
	len = cadence_text_fits(error, CADENCE_PROVIDER_ERROR_MAX);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	c = find(server, true);
	if (c != NULL && sent)
		this_minute(c, minute_of(now))->sent++;
	else if (c != NULL)
	{
		this_minute(c, minute_of(now))->failed++;
		c->last_error_at = now;
		strlcpy(c->last_error, error, len + 1);
	}
	LWLockRelease(shared->lock);
}

static void
withdraw(int code, Datum arg)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < PROVIDERS_MAX; i++)
	{
		shared->counters[i].in_flight -= published[i];
		published[i] = 0;
	}
	LWLockRelease(shared->lock);
}

/*
 * Says how many messages this process has under way to each provider.
 */
void
cadence_provider_stats_publish(List *providers)
{
	static bool registered = false;
	ListCell *cell;

	if (shared == NULL)
		return;
	if (!registered)
		before_shmem_exit(withdraw, (Datum) 0);
	registered = true;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	foreach (cell, providers)
	{
		const CadenceProvider *p = lfirst(cell);
		Counters *c = find(p->server, p->in_flight > 0);
		int i;

		if (c == NULL)
			continue;
		i = c - shared->counters;
		c->in_flight += p->in_flight - published[i];
		published[i] = p->in_flight;
	}
	LWLockRelease(shared->lock);
}

/*
 * The statistics of one server of this database; false where nothing is counted.
 */
bool
cadence_provider_stats_read(Oid server, CadenceProviderStats *result)
{
	const Counters *c;
	int64 now = minute_of(GetCurrentTimestamp());

	memset(result, 0, sizeof(*result));
	if (shared == NULL)
		return false;
	LWLockAcquire(shared->lock, LW_SHARED);
	c = find(server, false);
	if (c != NULL)
	{
		result->in_flight = c->in_flight;
		for (int i = 0; i < MINUTES; i++)
			if (c->minutes[i].number > now - MINUTES && c->minutes[i].number <= now)
			{
				result->sent += c->minutes[i].sent;
				result->failed += c->minutes[i].failed;
			}
		result->last_error_at = c->last_error_at;
		strlcpy(result->last_error, c->last_error, CADENCE_PROVIDER_ERROR_MAX);
	}
	LWLockRelease(shared->lock);
	return true;
}
