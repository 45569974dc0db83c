/*
 * steps.c
 *		cadence_steps_edited(): the triggers of cadence_steps.
 *
 * Steps may be inserted, moved, changed and removed while runs are in their cadence.
 * Whoever may edit them need have no right to its runs: what becomes of these is
 * written as the tables' owner.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "record/edit.h"
#include "schema/barrier.h"

PG_FUNCTION_INFO_V1(cadence_steps_edited);

/* Whether there are triggers, but for our own, that may write what the statement does not name. */
static bool
others_write(Relation steps)
{
	const TriggerDesc *triggers = steps->trigdesc;

	for (int i = 0; i < triggers->numtriggers; i++)
	{
		const Trigger *t = &triggers->triggers[i];

		if (TRIGGER_TYPE_MATCHES(t->tgtype, TRIGGER_TYPE_ROW, TRIGGER_TYPE_BEFORE,
								 TRIGGER_TYPE_UPDATE) &&
			strcmp(t->tgname, "cadence_runner_policy") != 0)
			return true;
	}
	return false;
}

/* Whether a statement writes to what decides when a run has which step. */
static bool
concerns_runs(const TriggerData *trigger)
{
	static const char *const columns[] = {
		"id",	   "cadence_id", "ordem", "offset_minutos", "offset_referencia",
		"horario", "dias_uteis"};
	Oid relid = RelationGetRelid(trigger->tg_relation);

	if (!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) || others_write(trigger->tg_relation))
		return true;
	for (size_t i = 0; i < lengthof(columns); i++)
		if (bms_is_member(get_attnum(relid, columns[i]) - FirstLowInvalidHeapAttributeNumber,
						  trigger->tg_updatedcols))
			return true;
	return false;
}

static StepsEdit
edit_of(const TriggerData *trigger)
{
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		return STEPS_INSERTED;
	return TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ? STEPS_DELETED : STEPS_UPDATED;
}

static bool
is_named(const char *name, const char *wanted)
{
	return name != NULL && strcmp(name, wanted) == 0;
}

/*
 * Only our own trigger on our own table: of another's the rows' types, or what is taken for
 * the transition tables, would run with the rights of the tables' owner.
 */
static void
check_trigger(const TriggerData *trigger, const CadenceTables *t)
{
	const Trigger *is = trigger->tg_trigger;
	bool has_before = is_named(is->tgoldtable, STEPS_BEFORE);
	bool has_after = is_named(is->tgnewtable, STEPS_AFTER);

	if (RelationGetRelid(trigger->tg_relation) != get_relname_relid("cadence_steps", t->schema))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("cadence_steps_edited() is for table cadence_steps only")));
	if (has_before != !TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		has_after != !TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("trigger \"%s\" lacks the transition tables of "
							   "cadence_steps_edited()",
							   is->tgname),
						errhint("Drop it, and call cadence_create_tables().")));
}

static void
edit(TriggerData *trigger)
{
	const CadenceTables *tables;
	bool concerned;

	/* those who drop the tables one by one are not kept from it */
	if (cadence_tables_missing(cadence_extension_schema()) != NULL)
		return;
	tables = cadence_tables_cached();
	check_trigger(trigger, tables);
	(void) SPI_connect();
	(void) SPI_register_trigger_data(trigger);
	concerned = cadence_steps_edit(tables, edit_of(trigger));
	SPI_finish();
	/* what was claimed before is not sent any more, or not yet */
	if (concerned && edit_of(trigger) != STEPS_INSERTED)
		cadence_barrier_raise(tables->schema);
}

/* cadence_steps_edited() -> trigger: runs follow the steps that they stand before. */
Datum
cadence_steps_edited(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event) || TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("cadence_steps_edited() must be called as a trigger after a "
							   "statement")));
	if (concerns_runs(trigger))
		edit(trigger);
	PG_RETURN_POINTER(NULL);
}
