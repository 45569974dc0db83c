/*
 * refused.c
 *		A record that is refused.
 *
 * When a batch fails, some row of it does, perhaps only by a deferred constraint.
 * Whose fault that is shows in recording a step alone: halves are recorded in
 * subtransactions until those that are refused are single steps, and of a step
 * that its tables refuse, each piece is recorded in a subtransaction of its own.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/interrupt.h"
#include "base/transaction.h"
#include "record/pieces.h"

/* What only this step meets so many times is its own, though it looks like the server's. */
#define REFUSALS_MAX 3

/* A trigger that takes longer has its row tried alone. */
#define TRY_TIMEOUT_MS 1000

/* What is not recorded after this time waits for another transaction: leases end meanwhile. */
#define RETRY_US (10 * USECS_PER_SEC)

/* Only what its deferred constraints have accepted, too, counts as recorded. */
static void
record_some(void *arg, int first, int n)
{
	RecordRetry *retry = arg;

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
	RecordRetry retry = {.recorder = r, .steps = &step, .piece = piece, .until = DT_NOEND};

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
	record_events(r, steps, n);
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
		note_problem(step, try_piece(r, step, record_events));
	note_problem(step, try_piece(r, step, record_messages));
	note_problem(step, try_piece(r, step, record_news_of_runs));
	record_counts(r, &step, 1);
	step->recorded = true;
	return true;
}

/* A step was refused alone. What only the moment prevents is tried again. */
static bool
refused_alone(void *arg, int item, const ErrorData *error)
{
	RecordRetry *retry = arg;
	CadenceStep *step = retry->steps[item];
	bool last_chance = !sqlstate_is_of_the_moment(error->sqlerrcode) ||
					   GetCurrentTimestamp() >= step->lease_end - RECORD_LAST_CHANCE_US;

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
	return ++retry->unsettled < RECORD_UNSETTLED_MAX && !cadence_stop_requested();
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
	RecordRetry retry = {.recorder = r,
						 .steps = palloc(sizeof(*steps) * Max(n, 1)),
						 .piece = record_whole,
						 .until = GetCurrentTimestamp() + RETRY_US};
	int nrecorded = 0;

	n = record_only(steps, n, false, retry.steps);
	steps = retry.steps;
	for (int i = 0; i < n; i++)
		steps[i]->recorded = false;
	(void) cadence_divide(record_some, refused_alone, &retry, 0, n);
	for (int i = 0; i < n; i++)
		nrecorded += steps[i]->recorded ? 1 : 0;
	return nrecorded == n ||
		   ((nrecorded > 0 || retry.unsettled < RECORD_UNSETTLED_MAX) && !cadence_stop_requested());
}
