/*
 * progress.c
 *		The steps of an execution: their memory, and what is reported of them and
 *		of how far it is.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "engine/pipeline_state.h"
#include "server/registry.h"
#include "provider/provider_stats.h"
#include "base/uuid.h"

static void
list_add(Pipeline *p, StepList *list, CadenceStep *step)
{
	if (list->n == list->capacity)
	{
		list->capacity = Max(list->capacity * 2, 64);
		list->steps = list->steps != NULL
						  ? repalloc(list->steps, list->capacity * sizeof(CadenceStep *))
						  : MemoryContextAlloc(p->context, list->capacity * sizeof(CadenceStep *));
	}
	list->steps[list->n++] = step;
}

CadenceBatch *
progress_new_batch(Pipeline *p)
{
	MemoryContext context =
		AllocSetContextCreate(p->context, "cadence_runner batch", ALLOCSET_DEFAULT_SIZES);
	CadenceBatch *batch = MemoryContextAllocZero(context, sizeof(*batch));

	batch->context = context;
	return batch;
}

void
progress_release_message(Pipeline *p, CadenceStep *step)
{
	if (step->message == NULL)
		return;
	p->message_bytes -= step->message_len;
	pfree(step->message);
	step->message = NULL;
}

static void
release_step(Pipeline *p, CadenceStep *step)
{
	CadenceBatch *batch = step->batch;

	progress_release_message(p, step);
	if (--batch->live == 0)
		MemoryContextDelete(batch->context);
}

void
progress_step_done(Pipeline *p, CadenceStep *step)
{
	if (p->done.n == 0)
		p->done_since = GetCurrentTimestamp();
	list_add(p, &p->done, step);
}

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
 * A step that was given back is due as before: it does not count. What is made
 * for the report goes with the step's batch.
 */
static void
report_step(Pipeline *p, const CadenceStep *step)
{
	MemoryContext old = MemoryContextSwitchTo(step->batch->context);
	SummaryResult result = {.run_id = step->run_id_text,
							.lead_id = step->lead_id,
							.has_step = step->has_step,
							.step_ordem = step->ordem,
							.template_codigo = step->template_codigo};

	if (step->outcome != OUTCOME_UNSENT)
	{
		result.status = result_status(step);
		result.message = result_message(step);
		cadence_summary_add(p->summary, &result);
	}
	MemoryContextSwitchTo(old);
}

void
progress_report_run(Pipeline *p, const DueRun *run, const char *status, const char *message)
{
	char id[UUID_TEXT_SIZE];
	SummaryResult result = {.run_id = id,
							.lead_id = run->lead_id,
							.has_step = run->step_ordem >= 0,
							.step_ordem = run->step_ordem,
							.status = status,
							.message = message};

	cadence_uuid_text(&run->id, id);
	cadence_summary_add(p->summary, &result);
}

/* After the commit: what was recorded is reported and forgotten, the rest stays. */
void
progress_settle(Pipeline *p, bool all)
{
	int kept = 0;

	cadence_traffic_count(p->done.steps, p->done.n);
	registry_executed();
	for (int i = 0; i < p->done.n; i++)
	{
		CadenceStep *step = p->done.steps[i];

		if (!all && !step->recorded)
		{
			p->done.steps[kept++] = step;
			continue;
		}
		if (!step->lost && step->transition.has_due && step->transition.status == RUN_ACTIVE)
			p->next_due = Min(p->next_due, step->transition.next_due);
		report_step(p, step);
		release_step(p, step);
	}
	p->done.n = kept;
	p->done_since = GetCurrentTimestamp();
}

/* Not a resident worker, nor a helper. */
static bool
has_caller(const Pipeline *p)
{
	return !p->resident && p->company != p->shared;
}

/* Tells the caller that the execution is getting on, and not at its end yet. */
void
progress_tell_claimed(Pipeline *p)
{
	if (has_caller(p) && !p->all_taken_told)
		pq_putemptymessage(CADENCE_MESSAGE_CLAIMED);
}

/* Tells the caller, once, that others need not wait for this execution any more. */
void
progress_tell_all_taken(Pipeline *p)
{
	if (p->all_taken_told || !has_caller(p))
		return;
	p->all_taken_told = true;
	pq_putemptymessage(CADENCE_MESSAGE_ALL_TAKEN);
}
