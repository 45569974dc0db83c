/*
 * record.c
 *		Record: message rows, event rows and the run's move.
 *
 * A batch is three statements whatever its size, and some more where answers say
 * something for later runs (mark.c). The first of the three moves the runs and
 * tells which claims are still ours; where one is not, somebody else has the
 * run, and only the late answer is kept as an event. Unless that answer is what
 * the run is held for: then it settles the run, as an operator would.
 * What becomes of a batch that is refused is in refused.c.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/json.h"
#include "base/settings.h"
#include "record/pieces.h"
#include "rules/reason.h"

/* In the current memory context. */
CadenceRecorder *
cadence_recorder_create(const CadenceTables *t)
{
	CadenceRecorder *r = palloc0(sizeof(*r));

	r->mover = cadence_mover_create(t);
	r->second_look = cadence_second_look_create(t);
	r->events = cadence_events_create(t);
	r->marker = cadence_marker_create(t);
	r->messages = cadence_message_rows_create(t);
	r->outbox = cadence_outbox_create(t);
	r->tally = cadence_tally_create(t);
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
	if (step->outcome == OUTCOME_PUT_OFF && step->put_off_at != 0 && step->answer.at == 0)
		return step->put_off_at;
	return step->answer.at != 0 ? step->answer.at : GetCurrentTimestamp();
}

/* What the transition needs to know, from the step and the settings. */
RunTransition
record_decide(const CadenceStep *step, RunAct act)
{
	TransitionInput in = {.act = act,
						  .outcome = step->outcome,
						  .interrupted = step->interrupted,
						  .attempts = step->attempts,
						  .max_attempts = cadence_max_attempts,
						  .hold = step->holds || (step->request.provider != NULL &&
												  step->request.configuration->hold),
						  .hold_at = hold_at(step),
						  .has_next = step->has_next,
						  .next_time = step->next_time,
						  .started_at = step->started_at,
						  .calendar = step->calendar,
						  .until = step->until,
						  .not_before = step->not_before,
						  .gone = step->is_gone,
						  .goes_on = step->goes_on,
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
decide(CadenceStep **steps, int n, RunAct act)
{
	for (int i = 0; i < n; i++)
	{
		steps[i]->transition = record_decide(steps[i], act);
		steps[i]->late = false;
	}
}

/* Those that are where their claim has put them, or the others; how many. */
static int
only(CadenceStep **steps, int n, const bool *others, bool is_other, CadenceStep **some)
{
	int nsome = 0;

	for (int i = 0; i < n; i++)
		if (others[i] == is_other)
			some[nsome++] = steps[i];
	return nsome;
}

/* What has changed since the claim is looked at again, and decided by what it is now. */
static void
move_runs(CadenceRecorder *r, CadenceStep **steps, int n, RunAct act)
{
	CadenceStep **some = palloc(sizeof(*some) * Max(n, 1));
	bool *others = palloc(sizeof(*others) * Max(n, 1));
	int nsome;

	if (act == ACT_ATTEMPT)
		cadence_events_date(r->events, steps, n);
	for (int i = 0; i < n; i++)
		others[i] = steps[i]->has_changed;
	decide(some, only(steps, n, others, false, some), act);
	cadence_steps_find_grown(r->second_look, steps, n, others);
	cadence_steps_move(r->mover, some, only(steps, n, others, false, some));
	for (int i = 0; i < n; i++)
		others[i] = others[i] || steps[i]->lost;
	nsome = only(steps, n, others, true, some);
	if (nsome > 0)
	{
		cadence_steps_look_again(r->second_look, some, nsome);
		decide(some, nsome, act);
		cadence_steps_move_changed(r->mover, some, nsome);
	}
	pfree(others);
	pfree(some);
}

/* Whether that is what the run is paused for, and nobody who wanted it so. */
static bool
is_held(const CadenceStep *step, const LockedRun *run)
{
	return step->request.configuration->hold ||
		   (run->has_attempt && json_get_true(&DatumGetJsonbP(run->attempt)->root, "permanente"));
}

/* Whether a run stands before a step still. */
static bool
is_before(const LockedRun *run, const CadenceStep *step)
{
	if (run->edition == NULL)
		return run->ordem == step->ordem;
	return run->has_step_id && memcmp(&run->step_id, &step->step_id, UUID_LEN) == 0;
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
		!cadence_run_lock(r->mover, &step->run_id, &run) || !is_before(&run, step) ||
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
		case OUTCOME_DEFERRED:
			return GetCurrentTimestamp() - USECS_PER_DAY;
		default:
			return 0;
	}
}

/* It goes when it can, without anybody's doing. */
static bool
is_only_a_limit(const char *code)
{
	static const CadenceReasonCode rules[] = {
		REASON_WINDOW,		REASON_HOLIDAY,		REASON_MIN_GAP, REASON_CAP_PERSON,
		REASON_CAP_COMPANY, REASON_CAP_CADENCE, REASON_CAP_NEW};

	for (size_t i = 0; i < lengthof(rules); i++)
		if (strcmp(code, cadence_reasons[rules[i]].code) == 0)
			return true;
	return strcmp(code, "LIMITE") == 0 || strcmp(code, "INTERVALO") == 0;
}

static bool
says_nothing(const CadenceStep *step)
{
	return step->outcome == OUTCOME_NO_STEP || step->outcome == OUTCOME_UNSENT ||
		   ((step->outcome == OUTCOME_PUT_OFF || step->outcome == OUTCOME_DEFERRED) &&
			is_only_a_limit(step->reason.code)) ||
		   ((step->outcome == OUTCOME_WAITING || step->held != NULL) && step->lost);
}

/* At most two events per step. */
static int
events_of(CadenceStep *s, CadenceEvent *events)
{
	bool is_sent = s->outcome == OUTCOME_SENT;
	int n = 0;

	s->has_error_event = false;
	if (says_nothing(s))
		return 0;
	events[n++] = (CadenceEvent){.run_id = &s->run_id,
								 .has_ordem = s->has_step,
								 .ordem = s->ordem,
								 .template_codigo = s->template_codigo,
								 .type = is_sent ? "DISPARADO" : "ERRO",
								 .detalhes = event_step_details(s),
								 .said_since = said_since(s),
								 .is_written = is_sent ? NULL : &s->has_error_event};
	if (s->transition.advance && !s->lost && s->as_decided && s->transition.has_due)
		events[n++] =
			(CadenceEvent){.run_id = &s->run_id,
						   .has_ordem = true,
						   .ordem = s->next_ordem,
						   .template_codigo = s->next_template,
						   .type = "AGENDADO",
						   .detalhes = event_scheduled_details(s->transition.next_due, NULL)};
	return n;
}

void
record_events(CadenceRecorder *r, CadenceStep **steps, int n)
{
	CadenceEvent *events = palloc(sizeof(CadenceEvent) * 2 * Max(n, 1));
	int nevents = 0;

	for (int i = 0; i < n; i++)
		nevents += events_of(steps[i], &events[nevents]);
	cadence_events_write(r->events, events, nevents);
	pfree(events);
}

void
record_messages(CadenceRecorder *r, CadenceStep **steps, int n)
{
	cadence_message_rows_write(r->messages, steps, n);
}

/* What the moves are news of. */
void
record_news_of_runs(CadenceRecorder *r, CadenceStep **steps, int n)
{
	cadence_outbox_steps(r->outbox, steps, n);
}

/* Those that are a run's, or news; how many. */
int
record_only(CadenceStep **steps, int n, bool is_news, CadenceStep **some)
{
	int nsome = 0;

	for (int i = 0; i < n; i++)
		if (steps[i]->is_news == is_news)
			some[nsome++] = steps[i];
	return nsome;
}

/* The pieces of a record: the moves, or instead of moves that are refused, pauses. */
void
record_moves(CadenceRecorder *r, CadenceStep **steps, int n)
{
	move_runs(r, steps, n, ACT_ATTEMPT);
	for (int i = 0; i < n; i++)
		settle_late(r, steps[i]);
}

void
record_pauses(CadenceRecorder *r, CadenceStep **steps, int n)
{
	move_runs(r, steps, n, ACT_UNWRITABLE);
}

/* The last piece, which refuses nothing: what all that counts as. */
void
record_counts(CadenceRecorder *r, CadenceStep **steps, int n)
{
	cadence_tally_steps(r->tally, steps, n);
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

	cadence_marks_write(r->marker, runs, record_only(steps, n, false, runs));
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
	int nruns = record_only(steps, n, false, some);

	record_moves(r, some, nruns);
	record_events(r, some, nruns);
	record_messages(r, some, nruns);
	record_news_of_runs(r, some, nruns);
	record_counts(r, some, nruns);
	pfree(some);
}

void
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
	int nruns = record_only(steps, n, false, some);

	for (int i = 0; i < nruns; i++)
		if (cadence_was_accepted(some[i]) && some[i]->record_problem == NULL)
			some[i]->record_problem = "the message row could not be written before the stop";
		else if (cadence_marks_any(some[i]) && some[i]->record_problem == NULL)
			some[i]->record_problem = "what it says could not be remembered before the stop";
	record_moves(r, some, nruns);
	record_events(r, some, nruns);
	record_news_of_runs(r, some, nruns);
	record_counts(r, some, nruns);
}
