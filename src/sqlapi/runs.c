/*
 * runs.c
 *		What an operator may do with a run: cadence_pause(), cadence_resume(),
 *		cadence_cancel(), cadence_settle().
 *
 * They work in the caller's transaction and with the caller's rights. Each locks
 * its run, asks rules/transition.c, and applies the answer as the record of an
 * execution does. What a call has prepared is kept for the query that it is a part
 * of: fifty thousand runs may be resumed by one. No lock is taken for each, since
 * the lock table is small; see move.c for what keeps a lead from being active twice
 * in a cadence.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/uuid.h"

#include "record/event.h"
#include "record/message_rows.h"
#include "record/move.h"
#include "record/settle.h"

PG_FUNCTION_INFO_V1(cadence_pause);
PG_FUNCTION_INFO_V1(cadence_resume);
PG_FUNCTION_INFO_V1(cadence_cancel);
PG_FUNCTION_INFO_V1(cadence_settle);

/* What the calls of one query share. */
typedef struct RunCalls
{
	CadenceMover *mover;
	CadenceEvents *events;
	CadenceMessageRows *messages;
} RunCalls;

/* ---- a query's calls -------------------------------------------------------------- */

static void *
make_calls(const CadenceTables *t)
{
	RunCalls *calls = palloc0(sizeof(*calls));

	calls->mover = cadence_mover_create(t);
	calls->events = cadence_events_create(t);
	calls->messages = cadence_message_rows_create(t);
	return calls;
}

/* Connects to SPI. */
static RunCalls *
begin_call(FunctionCallInfo fcinfo)
{
	RunCalls *calls = cadence_query_companion(fcinfo, make_calls);

	(void) SPI_connect();
	return calls;
}

static Datum
end_call(void)
{
	SPI_finish();
	return (Datum) 0;
}

static char *
text_arg(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/* ---- a run that is there ---------------------------------------------------------- */

static const char *
uuid_text(const pg_uuid_t *id)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(id)));
}

/* How an act is refused in a status that it does not fit. */
static const struct
{
	const char *refusal;
	const char *hint;
} wordings[] = {
	[ACT_PAUSE] = {"it can not be paused", "Only a run that is ATIVA can be paused."},
	[ACT_RESUME] = {"it can not be resumed", "Only a run that is PAUSADA can be resumed."},
	[ACT_CANCEL] = {"it can not be cancelled",
					"Only a run that is ATIVA or PAUSADA can be cancelled."},
	[ACT_SETTLE_SENT] = {"there is nothing to settle",
						 "Only a run that is ATIVA or PAUSADA has a step that may be uncertain."},
	[ACT_SETTLE_UNSENT] = {"there is nothing to settle",
						   "Only a run that is ATIVA or PAUSADA has a step that may be uncertain."},
};

static void
refuse_other_active(const char *lead_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("lead \"%s\" is already active in this cadence with another run", lead_id),
			 errhint("Cancel one of the two runs, with cadence_cancel().")));
}

static void
refuse(const LockedRun *run, RunAct act, RunRefusal refusal)
{
	const char *id = uuid_text(&run->id);

	if (refusal == REFUSAL_STATUS)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("run %s is %s: %s", id, run->status_text, wordings[act].refusal),
						errhint("%s", wordings[act].hint)));
	if (refusal == REFUSAL_UNDER_WAY)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE), errmsg("run %s is being worked on", id),
						errhint("Try again when its attempt has ended.")));
	if (refusal == REFUSAL_CERTAIN)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the last attempt of run %s is not uncertain", id),
				 run->step_is_gone
					 ? errhint("The step that was tried was removed. The run goes on with the "
							   "next one, after cadence_resume() where it is paused.")
					 : errhint("Only an attempt whose event has the codigo INCERTO or RETIDO can "
							   "be settled.")));
	refuse_other_active(run->lead_id);
}

/* Somebody else may have made the lead active since we looked: the index knows. */
static void
move_run(RunCalls *calls, const LockedRun *run, const RunTransition *to)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		cadence_run_move(calls->mover, run, to);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		if (!cadence_is_active_twice(CopyErrorData()))
			PG_RE_THROW();
		FlushErrorState();
		refuse_other_active(run->lead_id);
	}
	PG_END_TRY();
}

/* Locks the run of the first argument, and moves it or says why not. */
static RunTransition
act_on_run(FunctionCallInfo fcinfo, RunCalls *calls, RunAct act, LockedRun *run)
{
	RunTransition to;

	if (PG_ARGISNULL(0) || !cadence_run_lock(calls->mover, PG_GETARG_UUID_P(0), run))
		ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND),
						errmsg("run %s does not exist",
							   PG_ARGISNULL(0) ? "null" : uuid_text(PG_GETARG_UUID_P(0)))));
	to = cadence_run_transition(run, act, cadence_settle_time(run, act == ACT_SETTLE_SENT));
	if (to.refusal != REFUSAL_NONE)
		refuse(run, act, to.refusal);
	move_run(calls, run, &to);
	return to;
}

/*
 * cadence_pause(run uuid): nothing more is sent until cadence_resume(); a
 * message that is under way is not called back.
 *
 * Errors: P0002 when there is no such run, 55000 unless it is ATIVA.
 */
Datum
cadence_pause(PG_FUNCTION_ARGS)
{
	LockedRun run;

	(void) act_on_run(fcinfo, begin_call(fcinfo), ACT_PAUSE, &run);
	return end_call();
}

/*
 * cadence_resume(run uuid): its next step is due at its time, or now if that has
 * passed, with all its attempts again.
 *
 * Errors: P0002 when there is no such run, 55000 unless it is PAUSADA, 23505
 * when another run of the same lead and cadence is active.
 */
Datum
cadence_resume(PG_FUNCTION_ARGS)
{
	LockedRun run;

	(void) act_on_run(fcinfo, begin_call(fcinfo), ACT_RESUME, &run);
	return end_call();
}

/*
 * cadence_cancel(run uuid, motivo text): for good.
 *
 * Errors: P0002 when there is no such run, 55000 unless it is ATIVA or PAUSADA.
 */
Datum
cadence_cancel(PG_FUNCTION_ARGS)
{
	RunCalls *calls = begin_call(fcinfo);
	const char *motivo = text_arg(fcinfo, 1);
	LockedRun run;
	CadenceEvent event;

	(void) act_on_run(fcinfo, calls, ACT_CANCEL, &run);
	event = cadence_run_event(&run, "ERRO", event_cancelled_details(motivo));
	cadence_events_write(calls->events, &event, 1);
	return end_call();
}

/*
 * cadence_settle(run uuid, sent boolean): whoever knows what became of an
 * attempt that is uncertain, or held for review, says so, and the run goes on as
 * if the provider had answered.
 *
 * Errors: 22004 for sent that is null, P0002 when there is no such run, 55000
 * when there is nothing to settle, 55006 while an attempt is under way, 23505
 * when another run of the same lead and cadence is active.
 */
Datum
cadence_settle(PG_FUNCTION_ARGS)
{
	RunCalls *calls = begin_call(fcinfo);
	bool sent = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	LockedRun run;
	RunTransition to;

	if (PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("sent must not be null")));
	to = act_on_run(fcinfo, calls, sent ? ACT_SETTLE_SENT : ACT_SETTLE_UNSENT, &run);
	cadence_settle_write(calls->events, calls->messages, &run, &to, sent);
	return end_call();
}
