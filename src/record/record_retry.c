/*
 * record_retry.c
 *		Record, where a batch was refused: step by step, and piece by piece.
 *
 * Some row of it was, perhaps only by a deferred constraint. Each step is
 * recorded in a subtransaction of its own, and of a step that its tables refuse,
 * each piece in one of its own.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "base/interrupt.h"
#include "record/record.h"
#include "base/sqlerror.h"
#include "base/transaction.h"

/* What the moment prevents is tried as a whole until so shortly before the lease's end. */
#define LAST_CHANCE_US (5 * USECS_PER_SEC)

/* So many steps that wait for a lock in vain are enough: the rest would wait as long. */
#define UNSETTLED_MAX 3

/* One piece of one step, in a subtransaction; NULL, or the error that undid it. */
static ErrorData *
try_record(CadenceRecorder *r, CadenceStep *step, RecordPiece piece)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		cadence_record_piece(r, &step, 1, piece);
		cadence_xact_fire_deferred();
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

/* Of the moment, not of the row: a lock, a deadlock, a full disk, a stop. */
static bool
is_of_the_moment(const ErrorData *error)
{
	return error != NULL &&
		   (sqlstate_is_conflict(error->sqlerrcode) || sqlstate_is_server_state(error->sqlerrcode));
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
 * must not be sent again.
 */
static void
record_in_pieces(CadenceRecorder *r, CadenceStep *step)
{
	ErrorData *error = try_record(r, step, RECORD_MOVE);

	note_problem(step, error);
	if (error != NULL)
		error = try_record(r, step, RECORD_PAUSE);
	if (error != NULL)
		warn_unmoved(step, error);
	note_problem(step, try_record(r, step, RECORD_EVENTS));
	note_problem(step, try_record(r, step, RECORD_MESSAGE));
	step->recorded = true;
}

/*
 * Records one step of a batch that failed, and says whether it is settled. What
 * only the moment prevents is tried again until shortly before the claim ends.
 */
static bool
record_one(CadenceRecorder *r, CadenceStep *step)
{
	ErrorData *error = try_record(r, step, RECORD_ALL);

	step->recorded = error == NULL;
	if (is_of_the_moment(error) && GetCurrentTimestamp() < step->lease_end - LAST_CHANCE_US)
		return false;
	if (error != NULL)
	{
		note_problem(step, error);
		record_in_pieces(r, step);
	}
	return true;
}

/*
 * Records the steps of a batch that failed, each by itself, inside the caller's
 * transaction. A step that only the moment prevented keeps recorded = false.
 *
 * Returns false when that happened so often that a whole table must be locked,
 * or when a stop was heard: every further step would wait as long.
 */
bool
cadence_record_one_by_one(CadenceRecorder *r, CadenceStep **steps, int n)
{
	int unsettled = 0;

	for (int i = 0; i < n; i++)
		steps[i]->recorded = false;
	for (int i = 0; i < n; i++)
	{
		if (!record_one(r, steps[i]))
			unsettled++;
		if (unsettled >= UNSETTLED_MAX || (unsettled > 0 && cadence_stop_requested()))
			return false;
	}
	return true;
}
