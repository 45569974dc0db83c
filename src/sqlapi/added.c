/*
 * added.c
 *		cadence_runs_added(): how many runs have begun, by step and day.
 *
 * Whoever enrols, by our functions or by a plain INSERT, brings runs to a step. A
 * trigger of the statement only notes in memory what it has inserted: nothing is looked
 * up or locked there, so nothing of ours can refuse an application's INSERT. When the
 * transaction commits, what was noted (added_noted.c) is counted (added_count.c), in one
 * subtransaction. Where that goes wrong, those runs have begun without being counted.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"

#include "record/tally.h"
#include "sqlapi/added_parts.h"

PG_FUNCTION_INFO_V1(cadence_runs_added);

/* ---- the rows of a statement ---------------------------------------------------------- */

/* Numbers of their columns; 0: there is none of that type, and it is null. */
typedef struct Columns
{
	int cadence_id;
	int empresa;
	int next_step_ordem;
	int started_at;
	int created_at;
	int passos_enviados;
	Oid empresa_type;
	Oid ordem_type;
} Columns;

static int
find_column(TupleDesc desc, const char *name, Oid *type)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		if (!column->attisdropped && strcmp(NameStr(column->attname), name) == 0)
		{
			*type = getBaseType(column->atttypid);
			return i + 1;
		}
	}
	return 0;
}

static int
find_column_of(TupleDesc desc, const char *name, Oid wanted)
{
	Oid type = InvalidOid;
	int number = find_column(desc, name, &type);

	return type == wanted ? number : 0;
}

static Columns
find_columns(TupleDesc desc)
{
	Columns c = {.cadence_id = find_column_of(desc, "cadence_id", UUIDOID),
				 .started_at = find_column_of(desc, "started_at", TIMESTAMPTZOID),
				 .created_at = find_column_of(desc, "created_at", TIMESTAMPTZOID),
				 .passos_enviados = find_column_of(desc, "passos_enviados", UUIDARRAYOID)};

	c.empresa = find_column(desc, "empresa", &c.empresa_type);
	c.next_step_ordem = find_column(desc, "next_step_ordem", &c.ordem_type);
	return c;
}

static bool
read_column(TupleTableSlot *row, int number, Datum *value)
{
	bool isnull = true;

	if (number > 0)
		*value = slot_getattr(row, number, &isnull);
	return !isnull;
}

static bool
read_ordem(TupleTableSlot *row, const Columns *c, int32 *ordem)
{
	Datum value;

	if (!read_column(row, c->next_step_ordem, &value))
		return false;
	if (c->ordem_type == INT4OID)
		*ordem = DatumGetInt32(value);
	else if (c->ordem_type == INT2OID)
		*ordem = DatumGetInt16(value);
	else if (c->ordem_type == INT8OID)
		*ordem = (int32) Max(Min(DatumGetInt64(value), PG_INT32_MAX), PG_INT32_MIN);
	else
		return false;
	return true;
}

static const char *
read_empresa(TupleTableSlot *row, const Columns *c)
{
	Datum value;
	Oid output;
	bool is_varlena;

	if (!read_column(row, c->empresa, &value))
		return added_company("");
	getTypeOutputInfo(c->empresa_type, &output, &is_varlena);
	return added_company(OidOutputFunctionCall(output, value));
}

static TimestampTz
read_began(TupleTableSlot *row, const Columns *c)
{
	TimestampTz began;
	Datum value;

	if (!read_column(row, c->started_at, &value) && !read_column(row, c->created_at, &value))
		return DT_NOBEGIN;
	began = DatumGetTimestampTz(value);
	return TIMESTAMP_NOT_FINITE(began) ? began : tally_beginning(began, 15 * USECS_PER_MINUTE);
}

/* Each of them once. */
static void
note_had(Noted one, ArrayType *had)
{
	Datum *ids;
	bool *nulls;
	int n;

	deconstruct_array(had, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR, &ids, &nulls, &n);
	one.has_step = true;
	one.has_ordem = false;
	one.ordem = 0;
	for (int i = 0; i < n; i++)
	{
		int k = 0;

		if (nulls[i])
			continue;
		one.step = *DatumGetUUIDP(ids[i]);
		while (k < i && (nulls[k] || memcmp(DatumGetUUIDP(ids[k]), &one.step, UUID_LEN) != 0))
			k++;
		if (k == i)
			added_note(one);
	}
}

static void
note_row(TupleTableSlot *row, Oid relation, const Columns *c)
{
	Noted one;
	Datum value;

	/* with its padding, since all of it is copied */
	memset(&one, 0, sizeof(one));
	one.subxact = GetCurrentSubTransactionId();
	one.relation = relation;
	if (!read_column(row, c->cadence_id, &value))
		return;
	one.cadence = *DatumGetUUIDP(value);
	one.empresa = read_empresa(row, c);
	one.began = read_began(row, c);
	one.has_step = true;
	one.step = tally_no_step;
	added_note(one);
	one.has_step = false;
	one.has_ordem = read_ordem(row, c, &one.ordem);
	if (one.has_ordem)
		added_note(one);
	if (read_column(row, c->passos_enviados, &value))
		note_had(one, DatumGetArrayTypeP(value));
}

static void
note_rows(TriggerData *trigger)
{
	Tuplestorestate *rows = trigger->tg_newtable;
	TupleDesc desc = RelationGetDescr(trigger->tg_relation);
	Columns columns = find_columns(desc);
	TupleTableSlot *row = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "cadence_runner added", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;

	/* others read it, too, each by a pointer of its own */
	tuplestore_select_read_pointer(rows, tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND));
	tuplestore_rescan(rows);
	while (tuplestore_gettupleslot(rows, true, false, row))
	{
		/* the row itself, which may come from a file, is the slot's until the next */
		old = MemoryContextSwitchTo(context);
		note_row(row, RelationGetRelid(trigger->tg_relation), &columns);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	ExecDropSingleTupleTableSlot(row);
	MemoryContextDelete(context);
}

/* ---- the trigger, and the transaction's end --------------------------------------------- */

static void
at_end(XactEvent event, void *arg)
{
	if (added_any() && (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE))
		added_count();
	added_forget();
}

static void
at_end_of_part(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	added_end_part(event, mine, parent);
}

/*
 * cadence_runs_added() -> trigger: notes the runs that a statement has inserted.
 *
 * Errors: 39P01 where it is no such trigger.
 */
Datum
cadence_runs_added(PG_FUNCTION_ARGS)
{
	static bool registered = false;
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event) || !TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("cadence_runs_added() must be called as a trigger after a "
							   "statement that inserts")));
	if (!registered)
	{
		RegisterXactCallback(at_end, NULL);
		RegisterSubXactCallback(at_end_of_part, NULL);
		registered = true;
	}
	if (trigger->tg_newtable != NULL)
		note_rows(trigger);
	PG_RETURN_POINTER(NULL);
}
