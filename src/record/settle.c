/*
 * settle.c
 *		What became of an attempt that was uncertain, or held for review: the row of
 *		its message and its events. An operator says so, or a receipt.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/timestamp.h"

#include "record/settle.h"

/* From when the next step counts: from the attempt, not from the decision. */
TimestampTz
cadence_settle_time(const LockedRun *run, bool sent)
{
	return sent && run->has_attempt ? run->attempted_at : GetCurrentTransactionStartTimestamp();
}

/* An event about the step that the run stands before. */
CadenceEvent
cadence_run_event(const LockedRun *run, const char *type, Datum details)
{
	return (CadenceEvent){.run_id = &run->id,
						  .has_ordem = run->has_ordem,
						  .ordem = run->ordem,
						  .template_codigo = run->template_codigo,
						  .type = type,
						  .detalhes = details};
}

/* Of a run that was moved to what its transition says; inside an SPI connection. */
void
cadence_settle_write(CadenceEvents *events, CadenceMessageRows *messages, const LockedRun *run,
					 const RunTransition *to, bool sent)
{
	CadenceEvent list[2];
	int n = 1;

	cadence_message_row_settle(messages, &run->id, &run->key, sent,
							   run->has_attempt ? run->attempted_at
												: GetCurrentTransactionStartTimestamp());
	if (!sent)
		list[0] = cadence_run_event(
			run, "AGENDADO",
			event_unsent_details(to->next_due, run->has_step_id ? &run->step_id : NULL));
	else
		list[0] = cadence_run_event(run, "DISPARADO",
									event_settled_details(run->has_attempt ? &run->attempt : NULL));
	if (sent && to->has_due)
		list[n++] = (CadenceEvent){.run_id = &run->id,
								   .has_ordem = true,
								   .ordem = run->next_ordem,
								   .template_codigo = run->next_template,
								   .type = "AGENDADO",
								   .detalhes = event_scheduled_details(to->next_due, NULL)};
	cadence_events_write(events, list, n);
}
