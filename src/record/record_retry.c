/*
 * record_retry.c
 *		Record, where a batch was refused: in halves, and piece by piece.
 *
 * Some row of it was, perhaps only by a deferred constraint. Whose fault that is
 * shows in recording a step alone: halves are recorded in subtransactions until
 * those that are refused are single steps, and of a step that its tables refuse,
 * each piece is recorded in a subtransaction of its own.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/interrupt.h"
#include "base/subtransaction.h"
#include "base/transaction.h"
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

typedef struct Retry
{
	CadenceRecorder *recorder;
	CadenceStep **steps;
	RecordPiece piece;
	TimestampTz until;
	int unsettled;
} Retry;

/* Only what its deferred constraints have accepted, too, counts as recorded. */
static void
record_some(void *arg, int first, int n)
{
	Retry *retry = arg;

	if (GetCurrentTimestamp() >= retry->until)
		return;
	enable_timeout_after(STATEMENT_TIMEOUT, TRY_TIMEOUT_MS);
	cadence_record(retry->recorder, &retry->steps[first], n, retry->piece);
	cadence_xact_fire_deferred();
	cadence_xact_arm_timeout();
	for (int i = first; retry->piece == RECORD_ALL && i < first + n; i++)
		retry->steps[i]->recorded = true;
}

static ErrorData *
try_piece(CadenceRecorder *r, CadenceStep *step, RecordPiece piece)
{
	Retry retry = {.recorder = r, .steps = &step, .piece = piece, .until = DT_NOEND};

	return cadence_try(record_some, &retry, 0, 1, true);
}

/* Of the moment, not of the row: a lock, a deadlock, a full disk, a stop. */
static bool
is_of_the_moment(const ErrorData *error)
{
	return sqlstate_is_conflict(error->sqlerrcode) || sqlstate_is_server_state(error->sqlerrcode);
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

/*
 * Writes the pieces of a step that its tables take, each by itself. That the
 * run moves on, or is at least paused, matters most: a message that was sent
 * must not be sent again. Unless it is the last chance, a run that can not be
 * moved on is left for later; then the answer is false.
 */
static bool
record_in_pieces(CadenceRecorder *r, CadenceStep *step, bool last_chance)
{
	ErrorData *error = try_piece(r, step, RECORD_MOVE);

	if (error != NULL && !last_chance)
		return false;
	note_problem(step, error);
	if (error != NULL)
		error = try_piece(r, step, RECORD_PAUSE);
	if (error != NULL)
		warn_unmoved(step, error);
	note_problem(step, try_piece(r, step, RECORD_EVENTS));
	note_problem(step, try_piece(r, step, RECORD_MESSAGE));
	step->recorded = true;
	return true;
}

/* A step was refused alone. What only the moment prevents is tried again. */
static bool
refused_alone(void *arg, int item, const ErrorData *error)
{
	Retry *retry = arg;
	CadenceStep *step = retry->steps[item];
	bool last_chance =
		!is_of_the_moment(error) || GetCurrentTimestamp() >= step->lease_end - LAST_CHANCE_US;

	/* cancelled alone, and not by a stop: a trigger of its own takes too long */
	if (last_chance || error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
		++step->refusals >= REFUSALS_MAX)
	{
		note_problem(step, error);
		if (record_in_pieces(retry->recorder, step, last_chance))
			return true;
		step->record_problem = NULL;
	}
	return ++retry->unsettled < UNSETTLED_MAX && !cadence_stop_requested();
}

/* Those that wait are the last to be tried next time; returns how many do not. */
static int
put_unrecorded_last(CadenceStep **steps, int n)
{
	CadenceStep **waiting = palloc(sizeof(CadenceStep *) * Max(n, 1));
	int nrecorded = 0;
	int nwaiting = 0;

	for (int i = 0; i < n; i++)
		if (steps[i]->recorded)
			steps[nrecorded++] = steps[i];
		else
			waiting[nwaiting++] = steps[i];
	memcpy(&steps[nrecorded], waiting, sizeof(CadenceStep *) * nwaiting);
	pfree(waiting);
	return nrecorded;
}

/*
 * Records what can be recorded of a batch that failed, inside the caller's
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
				   .steps = steps,
				   .piece = RECORD_ALL,
				   .until = GetCurrentTimestamp() + RETRY_US};
	int nrecorded;

	for (int i = 0; i < n; i++)
		steps[i]->recorded = false;
	(void) cadence_divide(record_some, refused_alone, &retry, 0, n);
	cadence_xact_arm_timeout();
	nrecorded = put_unrecorded_last(steps, n);
	return nrecorded == n ||
		   ((nrecorded > 0 || retry.unsettled < UNSETTLED_MAX) && !cadence_stop_requested());
}
