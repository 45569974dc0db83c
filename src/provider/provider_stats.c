/*
 * traffic.c
 *		What every provider is sent, as all processes of the server see it.
 *
 * Counted per minute, in a ring of an hour. Figures for people who look at the
 * status, not for decisions: they start anew with the server, and exist only
 * where the library is preloaded.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

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
	char last_error[CADENCE_TRAFFIC_ERROR_MAX];
} Counters;

typedef struct Traffic
{
	LWLock *lock;
	Counters counters[PROVIDERS_MAX];
} Traffic;

static Traffic *traffic;
static int published[PROVIDERS_MAX]; /* what this process has added to in_flight */

Size
cadence_traffic_size(void)
{
	return MAXALIGN(sizeof(Traffic));
}

/* Called with the server's lock for such set-ups held. */
void
cadence_traffic_attach(LWLock *lock)
{
	bool found;

	traffic = ShmemInitStruct("cadence_runner traffic", sizeof(Traffic), &found);
	if (!found)
	{
		memset(traffic, 0, sizeof(Traffic));
		traffic->lock = lock;
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
		Counters *c = &traffic->counters[i];

		if (c->database == MyDatabaseId && c->server == server)
			return c;
		if (unused == NULL && c->database == InvalidOid)
			unused = c;
	}
	if (!create)
		return NULL;
	for (int i = 0; i < PROVIDERS_MAX && unused == NULL; i++)
		if (is_forgotten(&traffic->counters[i]))
			unused = &traffic->counters[i];
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

static void
count_step(const CadenceStep *step, TimestampTz now)
{
	Counters *c = find(step->provider->server, true);
	Minute *m;

	if (c == NULL)
		return;
	m = this_minute(c, minute_of(now));
	if (step->outcome == OUTCOME_SENT)
	{
		m->sent++;
		return;
	}
	m->failed++;
	c->last_error_at = now;
	strlcpy(c->last_error, step->reason.text != NULL ? step->reason.text : "",
			CADENCE_TRAFFIC_ERROR_MAX);
}

static bool
was_attempted(const CadenceStep *step)
{
	/* an interrupted attempt says nothing about its provider */
	return step->provider != NULL && !step->interrupted &&
		   (step->outcome == OUTCOME_SENT || step->outcome == OUTCOME_FAILED ||
			step->outcome == OUTCOME_REFUSED || step->outcome == OUTCOME_UNCERTAIN);
}

/*
 * Counts steps that have ended.
 */
void
cadence_traffic_count(CadenceStep **steps, int n)
{
	TimestampTz now;

	if (traffic == NULL)
		return;
	now = GetCurrentTimestamp();
	LWLockAcquire(traffic->lock, LW_EXCLUSIVE);
	for (int i = 0; i < n; i++)
		if (was_attempted(steps[i]))
			count_step(steps[i], now);
	LWLockRelease(traffic->lock);
}

static void
withdraw(int code, Datum arg)
{
	LWLockAcquire(traffic->lock, LW_EXCLUSIVE);
	for (int i = 0; i < PROVIDERS_MAX; i++)
	{
		traffic->counters[i].in_flight -= published[i];
		published[i] = 0;
	}
	LWLockRelease(traffic->lock);
}

/*
 * Says how many messages this process has under way to each provider.
 */
void
cadence_traffic_publish(List *providers)
{
	static bool registered = false;
	ListCell *cell;

	if (traffic == NULL)
		return;
	if (!registered)
		before_shmem_exit(withdraw, (Datum) 0);
	registered = true;
	LWLockAcquire(traffic->lock, LW_EXCLUSIVE);
	foreach (cell, providers)
	{
		const CadenceProvider *p = lfirst(cell);
		Counters *c = find(p->server, p->in_flight > 0);
		int i;

		if (c == NULL)
			continue;
		i = c - traffic->counters;
		c->in_flight += p->in_flight - published[i];
		published[i] = p->in_flight;
	}
	LWLockRelease(traffic->lock);
}

/*
 * The figures of one server of this database; false where nothing is counted.
 */
bool
cadence_traffic_read(Oid server, ProviderTraffic *result)
{
	const Counters *c;
	int64 now = minute_of(GetCurrentTimestamp());

	memset(result, 0, sizeof(*result));
	result->server = server;
	if (traffic == NULL)
		return false;
	LWLockAcquire(traffic->lock, LW_SHARED);
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
		strlcpy(result->last_error, c->last_error, CADENCE_TRAFFIC_ERROR_MAX);
	}
	LWLockRelease(traffic->lock);
	return true;
}
