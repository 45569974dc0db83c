/*
 * record.c
 *		Record: message rows, event rows and the run's move.
 *
 * A batch is three statements whatever its size, and some more where answers say
 * something for later runs (mark.c). The first of the three moves the runs and
 * tells which claims are still ours; where one is not, somebody else has the
 * run, and only the late answer is kept as an event. Unless that answer is what
 * the run is held for: then it settles the run, as an operator would.
 *
 * When a batch fails, some row of it does, perhaps only by a deferred constraint.
 * Whose fault that is shows in recording a step alone: halves are recorded in
 * subtransactions until those that are refused are single steps, and of a step
 * that its tables refuse, each piece is recorded in a subtransaction of its own.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/interrupt.h"
#include "base/json.h"
#include "base/settings.h"
#include "base/statement.h"
#include "base/transaction.h"
#include "provider/provider.h"
#include "record/event.h"
#include "record/mark.h"
#include "record/message_rows.h"
#include "record/move.h"
#include "record/outbox.h"
#include "record/record.h"

/* What the moment prevents is tried as a whole until so shortly before the lease's end. */
#define LAST_CHANCE_US (5 * USECS_PER_SEC)

/* So many steps that wait for a lock in vain are enough for one transaction. */
#define UNSETTLED_MAX 3

/* What only this step meets so many times is its own, though it looks like the server's. */
#define REFUSALS_MAX 3

/* A trigger that takes longer has its row tried alone. */
#define TRY_TIMEOUT_MS 1000

/* What is not recorded after this time waits for another transaction: leases end meanwhile. */
#define RETRY_US (10 * USECS_PER_SEC)

struct CadenceRecorder
{
	CadenceMover *mover;
	CadenceEvents *events;
	CadenceMarker *marker;
	CadenceMessageRows *messages;
	CadenceOutbox *outbox;
};

typedef void (*RecordPiece)(CadenceRecorder *r, CadenceStep **steps, int n);

/* A batch that was refused. */
typedef struct Retry
{
	CadenceRecorder *recorder;
	CadenceStep **steps;
	RecordPiece piece;
	TimestampTz until;
	int unsettled;
} Retry;

/* In the current memory context. */
CadenceRecorder *
cadence_recorder_create(const CadenceTables *t)
{
	CadenceRecorder *r = palloc0(sizeof(*r));

	r->mover = cadence_mover_create(t);
	r->events = cadence_events_create(t);
	r->marker = cadence_marker_create(t);
	r->messages = cadence_message_rows_create(t);
	r->outbox = cadence_outbox_create(t);
	return r;
}

/* From -1 to 1, by run and attempt. */
static double
jitter_of(const CadenceStep *step)
{
	uint32 hash = hash_bytes_uint32(step->attempts) ^
				  hash_bytes((const unsigned char *) &step->run_id, sizeof(step->run_id));

	return hash / (double) PG_UINT32_MAX * 2 - 1;
}

/* From when on an uncertain attempt is not repeated; 0: there is no such time. */
static TimestampTz
hold_at(const CadenceStep *step)
{
	TimestampTz since = step->kept != NULL	   ? step->kept->since
						: step->answer.at != 0 ? step->answer.at - step->answer.elapsed_us
											   : GetCurrentTimestamp();

	if (step->request.provider == NULL || step->request.configuration->hold_after == 0)
		return 0;
	return since + step->request.configuration->hold_after;
}

/* The next step counts from the attempt, also where that was held for review. */
static TimestampTz
decided_at(const CadenceStep *step)
{
	if (step->held != NULL)
		return step->held->at;
	return step->answer.at != 0 ? step->answer.at : GetCurrentTimestamp();
}

/* What the transition needs to know, from the step and the settings. */
static RunTransition
decide(const CadenceStep *step, RunAct act)
{
	TransitionInput in = {.act = act,
						  .outcome = step->outcome,
						  .interrupted = step->interrupted,
						  .attempts = step->attempts,
						  .max_attempts = cadence_max_attempts,
						  .hold = step->holds || (step->request.provider != NULL &&
												  step->request.configuration->hold),
						  .hold_at = hold_at(step),
						  .has_next = step->outcome == OUTCOME_SENT && step->has_next,
						  .next_offset = step->next_offset,
						  .at = decided_at(step),
						  .has_due = true,
						  .due = act == ACT_ATTEMPT ? step->due : step->lease_end,
						  .retry_after = step->answer.retry_after_us,
						  .retry_failed = cadence_retry_dispatch * USECS_PER_SEC,
						  .retry_factor = cadence_retry_factor,
						  .retry_most = cadence_retry_dispatch_max * USECS_PER_SEC,
						  .jitter = jitter_of(step),
						  .retry_unresolved = cadence_retry_unresolved * USECS_PER_SEC};

	if (step->same_since != 0)
		in.same_for = in.at - step->same_since;
	return cadence_transition(&in);
}

static void
move_runs(CadenceRecorder *r, CadenceStep **steps, int n, RunAct act)
{
	if (act == ACT_ATTEMPT)
		cadence_events_date(r->events, steps, n);
	for (int i = 0; i < n; i++)
	{
		steps[i]->transition = decide(steps[i], act);
		steps[i]->late = false;
	}
	cadence_steps_move(r->mover, steps, n);
}

/* Whether that is what the run is paused for, and nobody who wanted it so. */
static bool
is_held(const CadenceStep *step, const LockedRun *run)
{
	return step->request.configuration->hold ||
		   (run->has_attempt && json_get_true(&DatumGetJsonbP(run->attempt)->root, "permanente"));
}

/*
 * An answer that came too late for its own claim, but not too late to be of use:
 * the run is held since nobody knew what has just been learned.
 */
static void
settle_late(CadenceRecorder *r, CadenceStep *step)
{
	LockedRun run;
	RunTransition to;

	if (!step->lost || !cadence_was_accepted(step) || step->held != NULL ||
		!cadence_run_lock(r->mover, &step->run_id, &run) || run.ordem != step->ordem ||
		!is_held(step, &run))
		return;
	run.in.outcome = step->outcome;
	run.in.retry_after = step->answer.retry_after_us;
	to = cadence_run_transition(&run, ACT_LATE_ANSWER, step->answer.at);
	if (to.refusal != REFUSAL_NONE)
		return;
	cadence_run_move(r->mover, &run, &to);
	step->transition = to;
	step->has_next = run.in.has_next;
	step->next_ordem = run.next_ordem;
	step->next_template = run.next_template != NULL
							  ? MemoryContextStrdup(step->batch->context, run.next_template)
							  : NULL;
	step->lost = false;
	step->as_decided = true;
	/* that a message is held is what its last event says */
	step->late = step->outcome == OUTCOME_SENT;
}

/*
 * Since when an event that says the same need not be said again: an inactive
 * cadence once per pause, and what keeps a step from being sent once a day. What
 * comes more and more rarely is said each time: the last one says how rarely.
 */
static TimestampTz
said_since(const CadenceStep *step)
{
	if (cadence_wait_grows(step))
		return 0;
	switch (step->outcome)
	{
		case OUTCOME_WAITING:
			return DT_NOBEGIN;
		case OUTCOME_UNRESOLVED:
		case OUTCOME_PUT_OFF:
			return GetCurrentTimestamp() - USECS_PER_DAY;
		default:
			return 0;
	}
}

/* It goes when it can, without anybody's doing. */
static bool
is_only_a_limit(const char *code)
{
	return strcmp(code, "LIMITE") == 0 || strcmp(code, "INTERVALO") == 0;
}

static bool
says_nothing(const CadenceStep *step)
{
	return step->outcome == OUTCOME_NO_STEP || step->outcome == OUTCOME_UNSENT ||
		   (step->outcome == OUTCOME_PUT_OFF && is_only_a_limit(step->reason.code)) ||
		   ((step->outcome == OUTCOME_WAITING || step->held != NULL) && step->lost);
}

/* At most two events per step. */
static int
events_of(const CadenceStep *s, CadenceEvent *events)
{
	bool is_sent = s->outcome == OUTCOME_SENT;
	int n = 0;

	if (says_nothing(s))
		return 0;
	events[n++] = (CadenceEvent){.run_id = &s->run_id,
								 .has_ordem = s->has_step,
								 .ordem = s->ordem,
								 .template_codigo = s->template_codigo,
								 .type = is_sent ? "DISPARADO" : "ERRO",
								 .detalhes = event_step_details(s),
								 .said_since = said_since(s)};
	if (is_sent && !s->lost && s->as_decided && s->transition.has_due)
		events[n++] =
			(CadenceEvent){.run_id = &s->run_id,
						   .has_ordem = true,
						   .ordem = s->next_ordem,
						   .template_codigo = s->next_template,
						   .type = "AGENDADO",
						   .detalhes = event_scheduled_details(s->transition.next_due, NULL)};
	return n;
}

static void
insert_events(CadenceRecorder *r, CadenceStep **steps, int n)
{
	CadenceEvent *events = palloc(sizeof(CadenceEvent) * 2 * Max(n, 1));
	int nevents = 0;

	for (int i = 0; i < n; i++)
		nevents += events_of(steps[i], &events[nevents]);
	cadence_events_write(r->events, events, nevents);
	pfree(events);
}

static void
write_messages(CadenceRecorder *r, CadenceStep **steps, int n)
{
	cadence_message_rows_write(r->messages, steps, n);
}

/* What the moves are news of. */
static void
write_news(CadenceRecorder *r, CadenceStep **steps, int n)
{
	cadence_outbox_steps(r->outbox, steps, n);
}

/* Those that are a run's, or news; how many. */
static int
only(CadenceStep **steps, int n, bool is_news, CadenceStep **some)
{
	int nsome = 0;

	for (int i = 0; i < n; i++)
		if (steps[i]->is_news == is_news)
			some[nsome++] = steps[i];
	return nsome;
}

/* The pieces of a record: the moves, or instead of moves that are refused, pauses. */
static void
record_moves(CadenceRecorder *r, CadenceStep **steps, int n)
{
	move_runs(r, steps, n, ACT_ATTEMPT);
	for (int i = 0; i < n; i++)
		settle_late(r, steps[i]);
}

static void
record_pauses(CadenceRecorder *r, CadenceStep **steps, int n)
{
	move_runs(r, steps, n, ACT_UNWRITABLE);
}

/*
 * Writes what later runs must know of the answers, inside the caller's
 * transaction; after the states of senders, before anything else is locked: who
 * waits for another's mark must hold nothing that the other may want.
 */
void
cadence_record_marks(CadenceRecorder *r, CadenceStep **steps, int n)
{
	CadenceStep **runs = palloc(sizeof(*runs) * Max(n, 1));

	cadence_marks_write(r->marker, runs, only(steps, n, false, runs));
	pfree(runs);
}

/*
 * Writes the record of those of some steps that are runs' inside the caller's
 * transaction, after their marks. Each step's transition and lost are set; recorded
 * is the caller's to set, after the commit.
 */
void
cadence_record(CadenceRecorder *r, CadenceStep **steps, int n)
{
	CadenceStep **some = palloc(sizeof(*some) * Max(n, 1));
	int nruns = only(steps, n, false, some);

	record_moves(r, some, nruns);
	insert_events(r, some, nruns);
	write_messages(r, some, nruns);
	write_news(r, some, nruns);
	pfree(some);
}

static void
record_whole(CadenceRecorder *r, CadenceStep **steps, int n)
{
	cadence_record_marks(r, steps, n);
	cadence_record(r, steps, n);
}

/*
 * The last chance before a stop, with a table locked: the runs' moves and the
 * events, so that what was sent is not sent again. The message rows are lost,
 * and what answers say for later runs, and the events say so.
 */
void
cadence_record_essentials(CadenceRecorder *r, CadenceStep **steps, int n)
{
	CadenceStep **some = palloc(sizeof(*some) * Max(n, 1));
	int nruns = only(steps, n, false, some);

	for (int i = 0; i < nruns; i++)
		if (cadence_was_accepted(some[i]) && some[i]->record_problem == NULL)
			some[i]->record_problem = "the message row could not be written before the stop";
		else if (cadence_marks_any(some[i]) && some[i]->record_problem == NULL)
			some[i]->record_problem = "what it says could not be remembered before the stop";
	record_moves(r, some, nruns);
	insert_events(r, some, nruns);
	write_news(r, some, nruns);
}

/* ---- where that was refused --------------------------------------------------------- */

/* Only what its deferred constraints have accepted, too, counts as recorded. */
static void
record_some(void *arg, int first, int n)
{
	Retry *retry = arg;

	if (GetCurrentTimestamp() >= retry->until)
		return;
	enable_timeout_after(STATEMENT_TIMEOUT, TRY_TIMEOUT_MS);
	retry->piece(retry->recorder, &retry->steps[first], n);
	cadence_xact_fire_deferred();
	cadence_xact_arm_timeout();
	for (int i = first; retry->piece == record_whole && i < first + n; i++)
		retry->steps[i]->recorded = true;
}

static ErrorData *
try_piece(CadenceRecorder *r, CadenceStep *step, RecordPiece piece)
{
	Retry retry = {.recorder = r, .steps = &step, .piece = piece, .until = DT_NOEND};

	return cadence_try(record_some, &retry, 0, 1, true);
}

/* The first error says why a step is not recorded as it should be. */
static void
note_problem(CadenceStep *step, const ErrorData *error)
{
	if (error != NULL && step->record_problem == NULL)
		step->record_problem = MemoryContextStrdup(step->batch->context, error->message);
}

static void
warn_unmoved(const CadenceStep *step, const ErrorData *error)
{
	ereport(WARNING, (errcode(error->sqlerrcode),
					  errmsg("run %s could not be moved on: %s", step->run_id_text, error->message),
					  errhint("It is due again when its lease ends, and then uncertain.")));
}

static void
record_moves_and_events(CadenceRecorder *r, CadenceStep **steps, int n)
{
	record_moves(r, steps, n);
	insert_events(r, steps, n);
}

/*
 * Writes the pieces of a step that its tables take, each by itself. That the
 * run moves on, or is at least paused, matters most: a message that was sent
 * must not be sent again. Unless it is the last chance, a run that can not be
 * moved on, or not with its events, is left for later; then the answer is false.
 */
static bool
record_in_pieces(CadenceRecorder *r, CadenceStep *step, bool last_chance)
{
	ErrorData *error = try_piece(r, step, record_moves_and_events);
	bool is_said = error == NULL;

	if (error != NULL && !last_chance)
		return false;
	note_problem(step, error);
	/* only its event says that a message is held: its run stays before the step with that */
	if (error != NULL && step->outcome != OUTCOME_HELD)
		error = try_piece(r, step, record_moves);
	if (error != NULL)
		error = try_piece(r, step, record_pauses);
	if (error != NULL)
		warn_unmoved(step, error);
	note_problem(step, try_piece(r, step, cadence_record_marks));
	if (!is_said)
		note_problem(step, try_piece(r, step, insert_events));
	note_problem(step, try_piece(r, step, write_messages));
	note_problem(step, try_piece(r, step, write_news));
	step->recorded = true;
	return true;
}

/* A step was refused alone. What only the moment prevents is tried again. */
static bool
refused_alone(void *arg, int item, const ErrorData *error)
{
	Retry *retry = arg;
	CadenceStep *step = retry->steps[item];
	bool last_chance = !sqlstate_is_of_the_moment(error->sqlerrcode) ||
					   GetCurrentTimestamp() >= step->lease_end - LAST_CHANCE_US;

	/*
	 * Cancelled alone, and not by a stop: a trigger of its own takes too long. A full disk is
	 * never a step's own.
	 */
	if (last_chance || error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
		(error->sqlerrcode != ERRCODE_DISK_FULL && ++step->refusals >= REFUSALS_MAX))
	{
		note_problem(step, error);
		if (record_in_pieces(retry->recorder, step, last_chance))
			return true;
		step->record_problem = NULL;
	}
	return ++retry->unsettled < UNSETTLED_MAX && !cadence_stop_requested();
}

/*
 * Records what can be recorded of the runs of a batch that failed, inside the caller's
 * transaction. A step that only the moment prevented keeps recorded = false.
 *
 * Returns false when several waited and nothing could be recorded, as when a
 * whole table is locked, or when a stop was heard: every further step would wait
 * as long.
 */
bool
cadence_record_one_by_one(CadenceRecorder *r, CadenceStep **steps, int n)
{
	Retry retry = {.recorder = r,
				   .steps = palloc(sizeof(*steps) * Max(n, 1)),
				   .piece = record_whole,
				   .until = GetCurrentTimestamp() + RETRY_US};
	int nrecorded = 0;

	n = only(steps, n, false, retry.steps);
	steps = retry.steps;
	for (int i = 0; i < n; i++)
		steps[i]->recorded = false;
	(void) cadence_divide(record_some, refused_alone, &retry, 0, n);
	for (int i = 0; i < n; i++)
		nrecorded += steps[i]->recorded ? 1 : 0;
	return nrecorded == n ||
		   ((nrecorded > 0 || retry.unsettled < UNSETTLED_MAX) && !cadence_stop_requested());
}

/* ---- news ---------------------------------------------------------------------------- */

/* Of news there is nothing to record but what became of them. */
static void
settle_news(void *arg, int first, int n)
{
	Retry *retry = arg;
	CadenceStep **steps = &retry->steps[first];

	for (int i = 0; i < n; i++)
	{
		/* that nobody serves them: since they are there */
		if (steps[i]->outcome == OUTCOME_UNRESOLVED)
			steps[i]->same_since = steps[i]->news_since;
		steps[i]->transition = decide(steps[i], ACT_ATTEMPT);
	}
	cadence_outbox_settle(retry->recorder->outbox, steps, n);
	cadence_xact_fire_deferred();
	for (int i = 0; i < n; i++)
		steps[i]->recorded = true;
}

/* A row that can not be settled is due again when its lease ends, and then uncertain. */
static bool
news_refused(void *arg, int item, const ErrorData *error)
{
	Retry *retry = arg;
	CadenceStep *step = retry->steps[item];

	step->recorded = !sqlstate_is_of_the_moment(error->sqlerrcode) ||
					 error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
					 GetCurrentTimestamp() >= step->lease_end - LAST_CHANCE_US;
	if (!step->recorded)
		return ++retry->unsettled < UNSETTLED_MAX && !cadence_stop_requested();
	ereport(WARNING, (errcode(error->sqlerrcode), errmsg("news %s could not be settled: %s",
														 step->run_id_text, error->message)));
	return true;
}

/*
 * Settles those of some steps that are news, inside the caller's transaction and by
 * themselves: nothing of the runs depends on them. What only the moment prevents keeps
 * recorded = false; then the answer is false.
 */
bool
cadence_record_news(CadenceRecorder *r, CadenceStep **steps, int n)
{
	Retry retry = {.recorder = r, .steps = palloc(sizeof(*steps) * Max(n, 1))};
	ErrorData *error;
	bool all = true;

	n = only(steps, n, true, retry.steps);
	for (int i = 0; i < n; i++)
		retry.steps[i]->recorded = false;
	error = n > 0 ? cadence_try(settle_news, &retry, 0, n, false) : NULL;
	if (error != NULL)
	{
		for (int i = 0; i < n; i++)
			retry.steps[i]->recorded = false;
		(void) cadence_divide(settle_news, news_refused, &retry, 0, n);
		FreeErrorData(error);
	}
	for (int i = 0; i < n; i++)
		all = all && retry.steps[i]->recorded;
	pfree(retry.steps);
	return all;
}
