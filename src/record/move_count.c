/*
 * move_count.c
 *		What moves count as that are no execution's.
 */
#include "postgres.h"

#include "base/json.h"
#include "record/move_parts.h"

/* It was sent after all, as somebody has said who is no execution: those count what they send. */
static void
count_as_sent(TallyRun *counted, const LockedRun *run, const RunTransition *to)
{
	JsonbContainer *attempt = &DatumGetJsonbP(run->attempt)->root;

	counted->row.kind = "attempt";
	counted->row.outcome = "sent";
	counted->row.server = json_get_text(attempt, "provedor");
	counted->row.canal = json_get_text(attempt, "canal");
	counted->row.template_codigo = run->template_codigo;
	counted->row.first_at = to->counts_from;
}

/* At most two of each move. */
static int
count_move(const LockedRun *run, const RunTransition *to, TallyRun *counted)
{
	TallyRun step = {.run = run->id, .row.n = 1};
	int n = 0;

	if (!to->advance)
		return 0;
	if (to->goes_back)
	{
		step.row.n = -1;
		step.row.mark = "entered";
		step.step = &run->step_id;
		if (run->has_step_id)
			counted[n++] = step;
		step.row.mark = "sent";
		step.step = &run->last_had;
		if (run->has_had)
			counted[n++] = step;
		return n;
	}
	step.step = run->has_step_id ? &run->step_id : NULL;
	step.row.mark = run->has_step_id ? "sent" : NULL;
	step.has_next = run->in.has_next;
	step.next_ordem = run->next_ordem;
	if (run->has_attempt && run->in.outcome == OUTCOME_PENDING)
		count_as_sent(&step, run, to);
	counted[n++] = step;
	return n;
}

/* Of runs that were moved. */
void
move_count(CadenceMover *m, const LockedRun *runs, const RunTransition *to, int n)
{
	TallyRun *counted = palloc(sizeof(*counted) * 2 * Max(n, 1));
	int ncounted = 0;

	for (int i = 0; i < n; i++)
		ncounted += count_move(&runs[i], &to[i], &counted[ncounted]);
	cadence_tally_runs(m->tally, counted, ncounted);
	pfree(counted);
}
