/*
 * recording.c
 *		The recording part of a pipeline.
 *
 * What can not be recorded as a whole has been sent all the same: its steps are
 * then recorded each for itself.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/settings.h"
#include "base/transaction.h"
#include "base/uuid.h"
#include "engine/conversing.h"
#include "engine/recording.h"
#include "provider/provider.h"
#include "provider/provider_stats.h"

/* A finished step is recorded after this time even if few others are. */
#define RECORD_DELAY_US (200 * INT64CONST(1000))

/* The pause after a record that a lock has prevented. */
#define BLOCKED_US USECS_PER_SEC

/* The pause in settling news where their table is locked. */
#define NEWS_BLOCKED_US (5 * USECS_PER_SEC)

/* Messages that are done but not recorded, and those in flight, in bytes. */
#define MESSAGE_BYTES_MAX (16 * 1024 * 1024)

void
recording_init(Recording *r, MemoryContext context, Limiting *limiting)
{
	memset(r, 0, sizeof(*r));
	r->context = context;
	r->batches = AllocSetContextCreate(context, "cadence_runner batches", ALLOCSET_SMALL_SIZES);
	r->limiting = limiting;
	r->next_due = DT_NOEND;
}

void
recording_prepare(Recording *r, const CadenceTables *tables)
{
	r->recorder = cadence_recorder_create(tables);
	r->conversations = cadence_conversations_create(tables, false);
}

/* ---- steps and their memory ------------------------------------------------------- */

/* Doubled without end, they would leave a third of a batch's memory unused. */
#define BLOCK_MAX (64 * 1024)

CadenceBatch *
recording_new_batch(Recording *r)
{
	MemoryContext context =
		AllocSetContextCreate(r->batches, "cadence_runner batch", ALLOCSET_DEFAULT_MINSIZE,
							  ALLOCSET_DEFAULT_INITSIZE, BLOCK_MAX);
	CadenceBatch *batch = MemoryContextAllocZero(context, sizeof(*batch));

	batch->context = context;
	return batch;
}

static void
end_batch(Recording *r, CadenceBatch *batch)
{
	r->nbatches--;
	MemoryContextDelete(batch->context);
}

/* Its steps are claimed: so many are to be recorded from here on. */
void
recording_begin_batch(Recording *r, CadenceBatch *batch, int nsteps)
{
	batch->live = nsteps;
	r->live += nsteps;
	r->nbatches++;
	if (nsteps == 0)
		end_batch(r, batch);
}

/* Whether all batches take less than that, or are fewer than least. */
bool
recording_has_memory(const Recording *r, Size most, int least)
{
	return r->nbatches < least || MemoryContextMemAllocated(r->batches, true) < most;
}

/* A step has ended. */
void
recording_add(Recording *r, CadenceStep *step)
{
	if (r->n == r->capacity)
	{
		r->capacity = Max(r->capacity * 2, 64);
		r->steps = r->steps != NULL
					   ? repalloc(r->steps, r->capacity * sizeof(CadenceStep *))
					   : MemoryContextAlloc(r->context, r->capacity * sizeof(CadenceStep *));
	}
	if (r->n == 0)
		r->since = GetCurrentTimestamp();
	r->steps[r->n++] = step;
}

/* All that was made of its template, but for the category, which its answer may speak of. */
static void
release_texts(CadenceStep *step)
{
	const CadenceTemplate *t = step->template;

	for (int i = 0; t != NULL && i < t->ntexts; i++)
	{
		MessageField field = t->texts[i].field;

		if (field == FIELD_TEMPLATE_CATEGORY || step->texts[field] == NULL)
			continue;
		pfree((char *) step->texts[field]);
		step->texts[field] = NULL;
	}
}

/* What was kept of an earlier attempt stays, but for the message itself. */
void
recording_release_message(Recording *r, CadenceStep *step)
{
	if (step->message == NULL)
		return;
	r->message_bytes -= step->message_len;
	if (step->kept != NULL)
		pfree(step->message);
	else
		release_texts(step);
	step->message = NULL;
}

static void
release_step(Recording *r, CadenceStep *step)
{
	CadenceBatch *batch = step->batch;

	recording_release_message(r, step);
	r->live--;
	if (--batch->live == 0)
		end_batch(r, batch);
}

/* Whether nothing more is to be sent before something is recorded. */
bool
recording_is_full(const Recording *r)
{
	return r->blocked || r->message_bytes >= MESSAGE_BYTES_MAX;
}

/*
 * Whether it is time to record: also because nothing else is to do (idle), or
 * since the transaction of a claim saves a commit (with_claim).
 */
bool
recording_is_due(const Recording *r, bool idle, bool with_claim)
{
	TimestampTz now = GetCurrentTimestamp();

	if (r->n == 0 || now < r->not_before)
		return false;
	return idle || with_claim || r->n >= cadence_batch_size ||
		   r->message_bytes > MESSAGE_BYTES_MAX / 2 || now - r->since >= RECORD_DELAY_US;
}

int
recording_wait_ms(const Recording *r, int at_most_ms)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz until = Max(r->since + RECORD_DELAY_US, r->not_before);

	if (r->n == 0)
		return at_most_ms;
	return until <= now ? 0 : (int) Min((until - now + 999) / 1000, at_most_ms);
}

/* ---- the summary -------------------------------------------------------------------- */

static const char *
result_status(const CadenceStep *step)
{
	if (step->record_problem != NULL)
		return "ERRO";
	switch (step->outcome)
	{
		case OUTCOME_SENT:
			return step->has_next ? "DISPARADO" : "CONCLUIDA";
		case OUTCOME_NO_STEP:
			return "CONCLUIDA";
		case OUTCOME_WAITING:
		case OUTCOME_PUT_OFF:
		case OUTCOME_DEFERRED:
		case OUTCOME_SKIPPED:
		case OUTCOME_HELD:
			return "SKIPPED";
		default:
			return "ERRO";
	}
}

static const char *
result_message(const CadenceStep *step)
{
	if (step->record_problem != NULL)
		return psprintf("%s, but not fully recorded: %s",
						step->reason.text == NULL ? "done" : step->reason.text,
						step->record_problem);
	switch (step->outcome)
	{
		case OUTCOME_SENT:
			return psprintf("sent by %s%s", step->canal,
							step->lost ? ", but the run had been taken by somebody else" : "");
		case OUTCOME_NO_STEP:
			return "no step was left";
		default:
			return step->reason.text;
	}
}

/*
 * A step that was given back is due as before: it does not count, nor do news. What
 * is made for the report goes with the step's batch.
 */
static void
report_step(Recording *r, const CadenceStep *step)
{
	MemoryContext old = MemoryContextSwitchTo(step->batch->context);
	SummaryResult result = {.run_id = step->run_id_text,
							.lead_id = step->lead_id,
							.step_ordem = step->has_step ? &step->ordem : NULL,
							.template_codigo = step->template_codigo};

	if (step->outcome != OUTCOME_UNSENT && !step->is_news)
	{
		result.status = result_status(step);
		result.message = result_message(step);
		cadence_summary_add(r->summary, &result);
	}
	MemoryContextSwitchTo(old);
}

/* A run that never became a step; position NULL: it has none. */
void
recording_report(Recording *r, const pg_uuid_t *run, const char *lead_id, const int *position,
				 const char *status, const char *message)
{
	char id[UUID_TEXT_SIZE];
	SummaryResult result = {.run_id = id,
							.lead_id = lead_id,
							.step_ordem = position,
							.status = status,
							.message = message};

	cadence_uuid_text(run, id);
	cadence_summary_add(r->summary, &result);
}

/* ---- recording ----------------------------------------------------------------------- */

/* What was no attempt now says nothing about its provider. */
static void
count_attempts(const Recording *r)
{
	for (int i = 0; i < r->n; i++)
	{
		const CadenceStep *step = r->steps[i];
		bool was_attempted =
			step->request.provider != NULL && step->answer.at != 0 &&
			(cadence_was_accepted(step) || step->outcome == OUTCOME_FAILED ||
			 step->outcome == OUTCOME_REFUSED || step->outcome == OUTCOME_UNCERTAIN);

		if (was_attempted)
			cadence_provider_stats_count(step->request.provider->server, cadence_was_accepted(step),
										 step->reason.text);
	}
}

/* After the commit: what was recorded is reported and forgotten, the rest stays. */
void
recording_settle(Recording *r)
{
	int kept = 0;

	count_attempts(r);
	for (int i = 0; i < r->n; i++)
	{
		CadenceStep *step = r->steps[i];

		if (!step->recorded)
		{
			r->steps[kept++] = step;
			continue;
		}
		if (!step->lost && step->transition.has_due && step->transition.status == RUN_ACTIVE)
			r->next_due = Min(r->next_due, step->transition.next_due);
		report_step(r, step);
		release_step(r, step);
	}
	r->n = kept;
	r->since = GetCurrentTimestamp();
	r->not_before = kept > 0 ? r->since + BLOCKED_US : 0;
}

static void
mark_recorded(Recording *r)
{
	for (int i = 0; i < r->n; i++)
		r->steps[i]->recorded = true;
	r->blocked = false;
}

/* Those that a lock keeps from being settled hold up nothing else. */
static void
write_news(Recording *r)
{
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < r->n; i++)
		if (r->steps[i]->is_news)
			r->steps[i]->recorded = false;
	if (now < r->news_not_before && now >= r->news_not_before - NEWS_BLOCKED_US)
		return;
	r->news_not_before = 0;
	if (!cadence_record_news(r->recorder, r->steps, r->n))
		r->news_not_before = GetCurrentTimestamp() + NEWS_BLOCKED_US;
}

static void
write_all(void *arg, int first, int n)
{
	Recording *r = arg;

	cadence_record_marks(r->recorder, &r->steps[first], n);
	limiting_let_go(r->limiting);
	cadence_record(r->recorder, &r->steps[first], n);
}

static void
learn(void *arg, int first, int n)
{
	Recording *r = arg;

	limiting_learn(r->limiting, &r->steps[first], n);
}

/* Whether the record changes states of senders. */
bool
recording_teaches(const Recording *r)
{
	return limiting_can_learn(r->limiting, r->steps, r->n);
}

/*
 * What is learned of senders does not depend on what a row of the record refuses,
 * and says when steps are due again. The record does not depend on it, either.
 */
static void
write_lessons(Recording *r)
{
	ErrorData *error = NULL;

	if (recording_teaches(r))
		error = cadence_try(learn, r, 0, r->n, true);
	/* once: its record may have to be written again */
	for (int i = 0; i < r->n && error == NULL; i++)
		r->steps[i]->has_taught = true;
	if (error == NULL)
		return;
	if (sqlstate_is_conflict(error->sqlerrcode))
		limiting_note_conflict(r->limiting);
	else
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("what answers say of senders could not be noted: %s", error->message)));
	FreeErrorData(error);
	cadence_xact_arm_timeout();
}

/*
 * All that is to be recorded, inside the caller's transaction, each step for
 * itself where some are refused; settled after its commit. What only the moment
 * prevents stays to be recorded.
 */
void
recording_write(Recording *r)
{
	ErrorData *error;

	conversing_settle(r->conversations, r->steps, r->n);
	write_lessons(r);
	error = cadence_try(write_all, r, 0, r->n, true);
	if (error == NULL)
		mark_recorded(r);
	else
		r->blocked = !cadence_record_one_by_one(r->recorder, r->steps, r->n);
	write_news(r);
}

/* What must be known before the process ends, where the whole can not be written. */
void
recording_write_essentials(Recording *r, const CadenceTables *tables)
{
	cadence_xact_begin(tables, "cadence_runner: recording before the stop");
	cadence_record_essentials(r->recorder, r->steps, r->n);
	(void) cadence_record_news(r->recorder, r->steps, r->n);
	cadence_xact_commit();
	mark_recorded(r);
	recording_settle(r);
}
