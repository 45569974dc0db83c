/*
 * serve.c
 *		What a resident worker runs: an execution without an end.
 *
 * The same turns as those of an execution, with a moving end: whenever the
 * worker is woken by a commit, or the next due time has come, what is due by
 * now counts. In between it sleeps. A wake-up can be lost, so it looks once a
 * minute whatever happens.
 *
 * It logs what it did at most once a minute, and nothing when it did nothing.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "engine/execution.h"
#include "base/interrupt.h"
#include "engine/pipeline_state.h"
#include "server/registry.h"
#include "server/resident.h"
#include "base/settings.h"
#include "provider/provider_stats.h"
#include "base/transaction.h"

#define LOOK_US (60 * USECS_PER_SEC)
#define LOG_US (60 * USECS_PER_SEC)

/* Runs that were due and held by somebody else are looked at again after this time. */
#define LEFT_OVER_US USECS_PER_SEC

/* Commits that wake the worker for nothing slow its looks down to one in this time. */
#define IDLE_LOOK_US (10 * INT64CONST(1000))

/* How often old log rows go: when there are more of them, and otherwise. */
#define PRUNE_MORE_US USECS_PER_SEC
#define PRUNE_US (3600 * USECS_PER_SEC)

/* How often, at most, it looks for claims whose process is gone. */
#define ORPHANS_US (5 * USECS_PER_SEC)

typedef struct Service
{
	Pipeline pipeline;
	CadenceShared shared;
	MemoryContext period; /* of the summary since the last log row */
	MemoryContext claims; /* of what depends on batch_size */
	int batch_size;
	TimestampTz now;
	TimestampTz next_look;
	TimestampTz not_before; /* a look that a commit asks for */
	int64 patience_us;		/* how long such a look is put off */
	TimestampTz next_check; /* of the extension */
	TimestampTz next_prune;
	TimestampTz next_orphans;
	TimestampTz retry_orphans;	/* the last time was in vain */
	TimestampTz next_forgiving; /* of runs that their table does not let us take */
	bool disabled;
	bool prepared;
} Service;

/* ---- what it does now and then ------------------------------------------------- */

static void
begin_period(Service *s)
{
	MemoryContext old;

	MemoryContextReset(s->period);
	old = MemoryContextSwitchTo(s->period);
	s->pipeline.summary = cadence_summary_create(s->shared.trigger, cadence_log_results);
	MemoryContextSwitchTo(old);
}

/* What was done since the last row becomes one, when a minute of it has passed. */
static void
log_period(Service *s)
{
	Pipeline *p = &s->pipeline;

	if (cadence_summary_total(p->summary) == 0)
	{
		p->summary->started_at = s->now;
		return;
	}
	if (s->now - p->summary->started_at < LOG_US)
		return;
	pipeline_log(p);
	begin_period(s);
	s->next_prune = s->now;
}

static void
prune(Service *s)
{
	if (s->now < s->next_prune)
		return;
	pipeline_attempt(&s->pipeline, pipeline_prune_log);
	s->next_prune = s->now + (s->pipeline.more_to_prune ? PRUNE_MORE_US : PRUNE_US);
}

/*
 * An extension that was dropped, moved or upgraded, or tables that may not send
 * any more, end this worker. Every claim makes sure of that, too; this is for
 * the time when there is nothing to claim.
 */
static void
check_licence(Service *s)
{
	if (s->now < s->next_check)
		return;
	s->next_check = s->now + LOOK_US;
	cadence_xact_begin(s->pipeline.tables, "cadence_runner: looking for the extension");
	turn_check_licence(&s->pipeline);
	cadence_xact_commit();
}

static void
create_claims(Service *s)
{
	MemoryContext old;

	MemoryContextReset(s->claims);
	old = MemoryContextSwitchTo(s->claims);
	s->batch_size = cadence_batch_size;
	s->pipeline.claims = cadence_claims_create(s->pipeline.tables, s->now, s->batch_size);
	MemoryContextSwitchTo(old);
}

static void
follow_settings(Service *s)
{
	cadence_providers_expire();
	pipeline_resize(&s->pipeline);
	s->pipeline.summary->max_results = cadence_log_results;
	if (s->batch_size != cadence_batch_size)
		create_claims(s);
	s->next_look = s->now;
}

/* After a clock was set back, nothing may wait for a time that is an hour away once more. */
static void
read_clock(Service *s)
{
	bool went_back = pipeline_read_clock(&s->pipeline);

	s->now = s->pipeline.now;
	if (!went_back)
		return;
	s->next_look = s->not_before = s->next_check = s->now;
	s->next_orphans = s->next_forgiving = s->now;
	s->next_prune = s->now + PRUNE_US;
	s->pipeline.summary->started_at = Min(s->pipeline.summary->started_at, s->now);
}

/* ---- looking ----------------------------------------------------------------------- */

static void
begin_look(Service *s)
{
	Pipeline *p = &s->pipeline;

	if (s->now >= s->next_forgiving)
	{
		cadence_claims_forgive(p->claims);
		s->next_forgiving = s->now + LOOK_US;
	}
	cadence_claims_renew(p->claims, s->now, p->exhausted);
	p->exhausted = p->bypass_exhausted = false;
	p->left_over = false;
	p->next_due = DT_NOEND;
	p->found = 0;
	s->next_look = Min(s->now + LOOK_US, s->retry_orphans);
}

/* After a turn: when is the next look? */
static void
plan_next_look(Service *s, bool was_looking)
{
	Pipeline *p = &s->pipeline;

	s->next_look = Min(s->next_look, p->next_due);
	if (!was_looking || !p->exhausted)
		return;
	if (p->left_over)
		s->next_look = Min(s->next_look, s->now + LEFT_OVER_US);
	s->patience_us = p->found > 0 ? 0 : Min(Max(s->patience_us * 2, 1000), IDLE_LOOK_US);
	s->not_before = s->now + s->patience_us;
}

static void
release_orphans(Service *s)
{
	if (s->now < s->next_orphans)
		return;
	s->next_orphans = s->now + ORPHANS_US;
	if (!pipeline_attempt(&s->pipeline, turn_release_orphans) ||
		!pipeline_attempt(&s->pipeline, turn_note_halted) ||
		!pipeline_attempt(&s->pipeline, turn_forget_claims))
		s->retry_orphans = s->next_orphans;
	else
		s->retry_orphans = DT_NOEND;
}

static void
hear_wishes(Service *s)
{
	uint32 wishes = registry_take_wishes();

	if (wishes != 0)
		s->next_look = Min(s->next_look, Max(s->not_before, s->now));
	if ((wishes & WISH_CHECK) != 0)
	{
		s->next_check = s->now;
		s->next_look = s->now;
	}
}

static void
look_if_due(Service *s)
{
	if (s->disabled)
		return;
	hear_wishes(s);
	if (s->now < s->next_look)
		return;
	check_licence(s);
	release_orphans(s);
	begin_look(s);
}

static void
follow_switch(Service *s)
{
	if (s->disabled == !cadence_enabled)
		return;
	s->disabled = !cadence_enabled;
	s->next_look = s->now;
	if (s->disabled)
	{
		pipeline_give_back_waiting(&s->pipeline);
		s->pipeline.exhausted = true;
	}
}

/* ---- waiting ------------------------------------------------------------------------ */

static int64
us_to_wait(const Service *s)
{
	const Pipeline *p = &s->pipeline;
	TimestampTz until = s->disabled ? s->now + LOOK_US : s->next_look;

	if (turn_wants_claim(p) != CLAIM_NOTHING)
		return 0;
	if (cadence_summary_total(p->summary) > 0)
		until = Min(until, p->summary->started_at + LOG_US);
	until = Min(until, s->next_prune);
	if (p->queue.waiting > 0)
		until = Min(until, p->checked_at + USECS_PER_SEC);
	if (p->record_not_before > 0)
		until = Min(until, p->record_not_before);
	if (!p->exhausted && p->claim_not_before > s->now)
		until = Min(until, p->claim_not_before);
	return Max(until - s->now, 0);
}

static void
sleep_until_woken(Service *s, int ms)
{
	if (ms > 1000)
		pgstat_report_stat(true);
	cadence_provider_stats_publish(s->pipeline.queue.providers);
	/* The latch alone would not do: a wait for a lock inside a transaction may have reset it. */
	(void) WaitLatchOrSocket(MyLatch,
							 WL_LATCH_SET | WL_SOCKET_READABLE | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
							 cadence_wakeup_fd(), ms, PG_WAIT_EXTENSION);
}

static void
wait_for_something(Service *s)
{
	Pipeline *p = &s->pipeline;
	int64 us = us_to_wait(s);
	int ms = (int) Min((us + 999) / 1000, LOOK_US / 1000);
	bool busy = pipeline_is_busy(p) || p->record_not_before > 0;

	registry_working(s->disabled ? RESIDENT_DISABLED
					 : busy		 ? RESIDENT_WORKING
								 : RESIDENT_SLEEPING,
					 s->now + us, p->queue.in_flight, p->queue.waiting);
	if (p->queue.in_flight > 0 || p->queue.waiting > 0 || p->record_not_before > 0)
		pipeline_wait(p, ms);
	else if (ms > 0 && p->done.n == 0)
		sleep_until_woken(s, ms);
}

/* ---- the service --------------------------------------------------------------------- */

static void
serve(Service *s)
{
	Pipeline *p = &s->pipeline;

	while (!cadence_stop_requested())
	{
		bool was_looking;

		cadence_process_interrupts();
		read_clock(s);
		if (cadence_settings_changed())
			follow_settings(s);
		follow_switch(s);
		look_if_due(s);
		was_looking = !p->exhausted;
		pipeline_turn(p);
		read_clock(s);
		plan_next_look(s, was_looking);
		if (!s->disabled)
			hear_wishes(s);
		log_period(s);
		prune(s);
		wait_for_something(s);
	}
}

static void
prepare(Service *s)
{
	Pipeline *p = &s->pipeline;

	s->now = GetCurrentTimestamp();
	s->period = AllocSetContextCreate(p->context, "cadence_runner period", ALLOCSET_DEFAULT_SIZES);
	s->claims = AllocSetContextCreate(p->context, "cadence_runner claims", ALLOCSET_SMALL_SIZES);
	begin_period(s);
	pipeline_prepare(p);
	create_claims(s);
	p->alone = true;
	p->resident = true;
	p->exhausted = true;
	p->next_due = DT_NOEND;
	s->next_look = s->now;
	s->next_prune = s->now + LOG_US;
	s->retry_orphans = DT_NOEND;
	s->prepared = true;
}

static void
end_service(Service *s, ErrorData *error)
{
	Pipeline *p = &s->pipeline;

	/* one that could not begin is the supervisor's to tell of */
	if (!s->prepared)
		return;
	pipeline_wind_down(p);
	if (error != NULL)
		pipeline_note_failure(p, error);
	if (error != NULL || cadence_summary_total(p->summary) > 0)
		pipeline_log(p);
}

/*
 * Serves the database that this process is connected to, as the owner of the
 * tables in the given schema, until it is told to stop.
 *
 * An error is raised after it was logged.
 */
void
cadence_serve(Oid schema)
{
	Service *s = MemoryContextAllocZero(TopMemoryContext, sizeof(*s));
	ErrorData *volatile error = NULL;

	s->shared.schema = schema;
	s->shared.database = MyDatabaseId;
	strlcpy(s->shared.trigger, "WORKER", CADENCE_TRIGGER_MAX);
	(void) pipeline_begin(&s->pipeline, &s->shared);
	PG_TRY();
	{
		prepare(s);
		serve(s);
	}
	PG_CATCH();
	{
		error = turn_catch_error(s->pipeline.context);
		if (cadence_stop_requested() && error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			error = NULL;
	}
	PG_END_TRY();
	end_service(s, error);
	if (error != NULL)
		ThrowErrorData(error);
}
