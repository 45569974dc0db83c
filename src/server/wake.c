/*
 * wake.c
 *		A commit that concerns the resident worker wakes it.
 *
 * Nothing is sent along: the worker looks into the tables. So a wake-up that is
 * lost (a prepared transaction, session_replication_role = replica) costs time
 * and nothing else, and one that was for nothing costs a look.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"

#include "server/registry.h"

PG_FUNCTION_INFO_V1(cadence_wake);
PG_FUNCTION_INFO_V1(cadence_wake_worker);

static bool wanted; /* by the transaction under way */

static void
at_end_of_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			if (wanted)
				registry_wake(MyDatabaseId);
			wanted = false;
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			wanted = false;
			break;
		default:
			break;
	}
}

/*
 * The transaction under way will wake this database's worker when it commits.
 */
static void
wake_at_commit(void)
{
	static bool registered = false;

	if (!cadence_registry_exists())
		return;
	if (!registered)
		RegisterXactCallback(at_end_of_transaction, NULL);
	registered = true;
	wanted = true;
}

/*
 * The worker's own claims and moves tell it nothing new. What a trigger of the
 * application does inside its transactions may.
 */
static bool
is_own_move(const TriggerData *trigger)
{
	return registry_number() >= 0 && TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) &&
		   DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0)) < 2;
}

/*
 * cadence_wake() -> trigger: on the tables that tell the resident worker what
 * to do. Does nothing where no library was preloaded.
 */
Datum
cadence_wake(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("cadence_wake() must be called as a trigger")));
	if (is_own_move((TriggerData *) fcinfo->context))
		PG_RETURN_POINTER(NULL);
	wake_at_commit();
	PG_RETURN_POINTER(NULL);
}

/*
 * cadence_wake_worker() -> void: when this transaction commits, this database's
 * resident worker looks, which makes sure of the extension. The extension's
 * script ends with it.
 */
Datum
cadence_wake_worker(PG_FUNCTION_ARGS)
{
	wake_at_commit();
	PG_RETURN_VOID();
}
