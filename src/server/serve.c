/*
 * serve.c
 *		What a resident worker runs: an execution without an end.
 *
 * The same turns as those of an execution, with a moving end: whenever the
 * worker is woken by a commit, or the next due time has come, what is due by
 * now counts. In between it sleeps. A wake-up can be lost, so it looks once a
 * minute whatever happens.
 *
 * What a commit has made due may lie anywhere: a look that it asks for begins at
 * the very start, and comes after a pause where those cost much (dead entries
 * that an old snapshot keeps). A look at a time that was known before goes on
 * where the last one ended.
 *
 * It logs what it did at most once a minute, and nothing when it did nothing.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/interrupt.h"
#include "base/settings.h"
#include "base/transaction.h"
#include "engine/pipeline.h"
#include "server/counter.h"
#include "server/registry.h"
#include "server/resident.h"

#define LOOK_US (60 * USECS_PER_SEC)
#define LOG_US (60 * USECS_PER_SEC)

/*
 * Runs that were due and held by somebody else are looked at again after this
 * time; so is what falls due while a look can not come to its end.
 */
#define AGAIN_US USECS_PER_SEC

/* Commits are granted a look for one part in so many of the worker's time, within these limits. */
#define WOKEN_LOOK_SHARE 20
#define WOKEN_LOOK_LEAST_US (10 * INT64CONST(1000))
#define WOKEN_LOOK_MOST_US USECS_PER_SEC

/* How often old log rows go, and what was counted is folded: when there is more, and otherwise. */
#define PRUNE_MORE_US USECS_PER_SEC
#define PRUNE_US (60 * USECS_PER_SEC)

/* How often, at most, it looks for claims whose worker is gone. */
#define ABANDONED_US (5 * USECS_PER_SEC)

typedef struct Service
{
	Pipeline pipeline;
	Oid schema;
	MemoryContext period; /* of the summary since the last log row */
	MemoryContext claims; /* of what depends on batch_size */
	int batch_size;
	TimestampTz now;
	TimestampTz next_look;
	bool woken;				/* to look before that, from the start */
	TimestampTz not_before; /* such a look */
	TimestampTz look_began_at;
	TimestampTz full_look_began_at; /* the last that began at the start */
	TimestampTz next_prune;
	bool has_worked; /* since it had the runs counted */
	TimestampTz next_abandoned;
	TimestampTz retry_abandoned; /* the last time was in vain */
	bool disabled;
	bool prepared;
} Service;

/* ---- what it does now and then ------------------------------------------------------- */

static void
begin_period(Service *s)
{
	MemoryContext old;

	MemoryContextReset(s->period);
	old = MemoryContextSwitchTo(s->period);
	pipeline_set_summary(&s->pipeline, cadence_summary_create("WORKER", cadence_log_results));
	MemoryContextSwitchTo(old);
}

/* What was done since the last row becomes one, when a minute of it has passed. */
static void
log_period(Service *s)
{
	CadenceSummary *summary = s->pipeline.summary;

	if (cadence_summary_total(summary) == 0)
	{
		summary->started_at = s->now;
		return;
	}
	if (s->now - summary->started_at < LOG_US)
		return;
	pipeline_log(&s->pipeline, false);
	begin_period(s);
	s->next_prune = s->now;
	s->has_worked = true;
}

static void
prune(Service *s)
{
	if (s->now < s->next_prune)
		return;
	s->next_prune = s->now + (pipeline_tidy(&s->pipeline, false) ? PRUNE_MORE_US : PRUNE_US);
	if (!s->pipeline.stock_is_old || !s->has_worked)
		return;
	cadence_counter_start(s->pipeline.tables);
	s->has_worked = false;
}

/* Claims with another batch size; those that were made stay. */
static void
create_claims(Service *s)
{
	MemoryContext old;

	cadence_xact_begin(s->pipeline.tables, "cadence_runner: starting");
	MemoryContextReset(s->claims);
	old = MemoryContextSwitchTo(s->claims);
	s->batch_size = cadence_batch_size;
	s->pipeline.claiming.claims = cadence_claims_create(s->pipeline.tables, s->now, s->batch_size);
	MemoryContextSwitchTo(old);
	cadence_xact_commit();
}

static void
look_at_once(Service *s)
{
	s->woken = true;
	s->not_before = s->now;
}

static void
follow_settings(Service *s)
{
	cadence_providers_expire();
	s->pipeline.summary->max_results = cadence_log_results;
	if (s->batch_size != cadence_batch_size)
		create_claims(s);
	look_at_once(s);
}

/* After a clock was set back, nothing may wait for a time that is an hour away once more. */
static void
read_clock(Service *s)
{
	bool went_back = pipeline_read_clock(&s->pipeline);

	s->now = s->pipeline.now;
	if (!went_back)
		return;
	look_at_once(s);
	s->next_look = s->next_abandoned = s->now;
	s->next_prune = s->now + PRUNE_US;
	s->pipeline.summary->started_at = Min(s->pipeline.summary->started_at, s->now);
}

/* ---- looking --------------------------------------------------------------------------- */

/* Limits count per database: max_in_flight is divided among its workers. */
static int
share_of_in_flight(void)
{
	return Max(cadence_max_in_flight / registry_database()->nworkers, 1);
}

/* From here on, what is due by now counts. */
static void
begin_look(Service *s)
{
	int share = share_of_in_flight();
	bool full = (s->woken && s->now >= s->not_before) || s->now - s->full_look_began_at >= LOOK_US;

	if (share != s->pipeline.sender.max_in_flight)
		pipeline_resize(&s->pipeline, share);
	claiming_restart(&s->pipeline.claiming, s->now, full);
	s->pipeline.recording.next_due = DT_NOEND;
	s->look_began_at = s->now;
	s->next_look = Min(s->now + LOOK_US, s->retry_abandoned);
	if (full)
	{
		s->full_look_began_at = s->now;
		s->woken = false;
		s->not_before = s->now + AGAIN_US;
	}
}

/* A look has come to its end: when is the next one? */
static void
end_look(Service *s)
{
	const Claiming *c = &s->pipeline.claiming;
	int64 pause = Max(s->now - s->look_began_at, 0) * WOKEN_LOOK_SHARE;

	if (s->full_look_began_at == s->look_began_at)
	{
		s->not_before = s->now;
		if (c->found == 0)
			s->not_before += Min(Max(pause, WOKEN_LOOK_LEAST_US), WOKEN_LOOK_MOST_US);
	}
	if (c->next_due > s->look_began_at)
		s->next_look = Min(s->next_look, c->next_due);
	else
	{
		/* held by somebody else, and to be met again */
		s->next_look = Min(s->next_look, s->now + AGAIN_US);
		s->full_look_began_at = 0;
	}
}

/* After a turn. */
static void
plan_next_look(Service *s, bool was_looking)
{
	s->next_look = Min(s->next_look, s->pipeline.recording.next_due);
	if (!claiming_runs_have_ended(&s->pipeline.claiming))
		/* a blocked provider may keep it from its end: what falls due to others is looked for */
		s->next_look = Min(s->next_look, s->look_began_at + AGAIN_US);
	else if (was_looking)
		end_look(s);
}

static void
release_abandoned(Pipeline *p)
{
	claiming_release_abandoned(&p->claiming, p->now);
}

static void
seek_abandoned(Service *s)
{
	if (s->now < s->next_abandoned)
		return;
	s->next_abandoned = s->now + ABANDONED_US;
	s->retry_abandoned =
		pipeline_try(&s->pipeline, release_abandoned) ? DT_NOEND : s->next_abandoned;
}

static void
look_if_due(Service *s)
{
	if (s->disabled)
		return;
	s->woken = registry_was_woken() || s->woken;
	if (s->now < s->next_look && (!s->woken || s->now < s->not_before))
		return;
	seek_abandoned(s);
	begin_look(s);
}

/* What waits is given back by the sender, which asks before each start. */
static void
follow_switch(Service *s)
{
	if (s->disabled == !cadence_enabled)
		return;
	s->disabled = !cadence_enabled;
	look_at_once(s);
	if (s->disabled)
		claiming_end_looks(&s->pipeline.claiming);
}

/* ---- waiting --------------------------------------------------------------------------- */

static int
ms_to_wait(const Service *s)
{
	const Pipeline *p = &s->pipeline;
	TimestampTz until = s->disabled ? s->now + LOOK_US : s->next_look;

	if (s->woken && !s->disabled)
		until = Min(until, s->not_before);
	if (cadence_summary_total(p->summary) > 0)
		until = Min(until, p->summary->started_at + LOG_US);
	until = Min(until, s->next_prune);
	return until <= s->now ? 0 : (int) Min((until - s->now + 999) / 1000, LOOK_US / 1000);
}

static void
wait_for_something(Service *s)
{
	Pipeline *p = &s->pipeline;
	int ms = claiming_wait_ms(&p->claiming, ms_to_wait(s));
	bool busy = pipeline_is_busy(p);

	registry_working(s->disabled ? RESIDENT_DISABLED
					 : busy		 ? RESIDENT_WORKING
								 : RESIDENT_SLEEPING,
					 s->now + ms * INT64CONST(1000), p->sender.queue.in_flight,
					 p->sender.queue.waiting);
	if (busy)
	{
		pipeline_wait(p, ms);
		return;
	}
	if (ms > 1000)
		pgstat_report_stat(true);
	sender_publish(&p->sender);
	if (ms > 0)
		cadence_sleep(ms);
}

/* ---- the service ------------------------------------------------------------------------ */

static void
turn(Service *s)
{
	Pipeline *p = &s->pipeline;
	bool was_looking = !claiming_runs_have_ended(&p->claiming);
	int live = p->recording.live;

	pipeline_turn(p);
	read_clock(s);
	if (p->recording.live < live)
		registry_executed();
	/* more than a batch is enough for others, too */
	if (registry_number() == 0 && was_looking && p->claiming.found >= s->batch_size &&
		!claiming_has_ended(&p->claiming))
		registry_wake_peers();
	plan_next_look(s, was_looking);
}

static void
serve(Service *s)
{
	while (!cadence_stop_requested())
	{
		cadence_process_interrupts();
		read_clock(s);
		if (cadence_settings_changed())
			follow_settings(s);
		follow_switch(s);
		look_if_due(s);
		turn(s);
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
	pipeline_prepare(p, s->schema, s->now, cadence_max_in_flight);
	create_claims(s);
	p->claiming.patient = true;
	p->claiming.ahead = registry_number() == 0;
	claiming_end_looks(&p->claiming);
	s->next_prune = s->now + LOG_US;
	s->retry_abandoned = DT_NOEND;
	look_at_once(s);
	s->prepared = true;
}

static void
end_service(Service *s, ErrorData *error)
{
	Pipeline *p = &s->pipeline;

	/* one that could not begin is the supervisor's to tell of */
	if (!s->prepared)
		return;
	pipeline_shutdown(p, true);
	if (error != NULL)
		pipeline_note_failure(p, error);
	if (error != NULL || cadence_summary_total(p->summary) > 0)
		pipeline_log(p, false);
	else
		pipeline_end_claims(p);
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

	s->schema = schema;
	(void) pipeline_begin(&s->pipeline, "WORKER");
	PG_TRY();
	{
		prepare(s);
		serve(s);
	}
	PG_CATCH();
	{
		error = pipeline_catch(&s->pipeline);
		if (cadence_stop_requested() && error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			error = NULL;
	}
	PG_END_TRY();
	end_service(s, error);
	if (error != NULL)
		ThrowErrorData(error);
}
