/*
 * record_news.c
 *		What became of news.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/interrupt.h"
#include "base/transaction.h"
#include "record/pieces.h"

/* Of news there is nothing to record but what became of them. */
static void
settle_news(void *arg, int first, int n)
{
	RecordRetry *retry = arg;
	CadenceStep **steps = &retry->steps[first];

	for (int i = 0; i < n; i++)
	{
		/* that nobody serves them: since they are there */
		if (steps[i]->outcome == OUTCOME_UNRESOLVED)
			steps[i]->same_since = steps[i]->news_since;
		steps[i]->transition = record_decide(steps[i], ACT_ATTEMPT);
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
	RecordRetry *retry = arg;
	CadenceStep *step = retry->steps[item];

	step->recorded = !sqlstate_is_of_the_moment(error->sqlerrcode) ||
					 error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
					 GetCurrentTimestamp() >= step->lease_end - RECORD_LAST_CHANCE_US;
	if (!step->recorded)
		return ++retry->unsettled < RECORD_UNSETTLED_MAX && !cadence_stop_requested();
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
	RecordRetry retry = {.recorder = r, .steps = palloc(sizeof(*steps) * Max(n, 1))};
	ErrorData *error;
	bool all = true;

	n = record_only(steps, n, true, retry.steps);
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
