/*
 * barrier.c
 *		cadence_barrier(): the trigger of whatever forbids messages.
 *
 * An opt-out, an entry of the blocklist, a run that is paused, cancelled or ended by
 * anybody, by a statement of the application as well as by a function of ours: no
 * execution starts a message without having seen it, once it has committed.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/interrupt.h"
#include "schema/barrier.h"

PG_FUNCTION_INFO_V1(cadence_barrier);

/*
 * A worker moves the runs that it has claimed itself, and nobody else's. What a trigger
 * of the application does inside its transactions may concern others.
 */
static bool
is_own_move(const TriggerData *trigger)
{
	return cadence_wakeup_fd() >= 0 &&
		   strcmp(RelationGetRelationName(trigger->tg_relation), "lead_cadence_runs") == 0 &&
		   DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0)) < 2;
}

/* Whether a statement writes to the column that the trigger's argument names, or there is none. */
static bool
concerns_us(const TriggerData *trigger)
{
	const Trigger *t = trigger->tg_trigger;
	AttrNumber column;

	if (t->tgnargs == 0 || !TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		return true;
	column = get_attnum(RelationGetRelid(trigger->tg_relation), t->tgargs[0]);
	return bms_is_member(column - FirstLowInvalidHeapAttributeNumber, trigger->tg_updatedcols);
}

/* cadence_barrier(column text) -> trigger: on the tables that say what must not be sent. */
Datum
cadence_barrier(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("cadence_barrier() must be called as a trigger")));
	if (concerns_us((TriggerData *) fcinfo->context) &&
		!is_own_move((TriggerData *) fcinfo->context))
		cadence_barrier_raise(get_func_namespace(fcinfo->flinfo->fn_oid));
	PG_RETURN_POINTER(NULL);
}
