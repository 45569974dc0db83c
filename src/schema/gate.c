/*
 * gate.c
 *		Whether the tables are the ones that were found, and in safe hands.
 *
 * Whoever owns a table, a partition of it, a column's type or a trigger's
 * function decides what runs when we read or write there. That must be nobody
 * who could not act as the owner of the runs anyway. And a table that was
 * dropped and made again under its name is another's; a column that has changed
 * its type would be read as what it is no more.
 *
 * All of it is looked at when the tables are loaded, and again in each of the
 * transactions of a worker, which keeps them; guard.c sees to it that nothing
 * changes between the look and the statement. Everything is read from the catalogs, where nobody's
 * function, policy or right has a say.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "schema/tables.h"

/* ---- what a column must be ----------------------------------------------------------- */

static bool
fits(char kind, Oid type)
{
	static const struct
	{
		char kind;
		Oid base;
	} plain[] = {{'u', UUIDOID},	 {'i', INT2OID},		{'i', INT4OID},	 {'i', INT8OID},
				 {'b', BOOLOID},	 {'z', TIMESTAMPTZOID}, {'j', JSONBOID}, {'y', BYTEAOID},
				 {'v', INTERVALOID}, {'c', TIMEOID},		{'d', DATEOID},	 {'a', UUIDARRAYOID}};
	Oid base = getBaseType(type);

	for (size_t i = 0; i < lengthof(plain); i++)
		if (plain[i].kind == kind && plain[i].base == base)
			return true;
	if (kind == 'w' && type_is_enum(type))
		return true;
	return (kind == 'w' || kind == 't') && TypeCategory(base) == TYPCATEGORY_STRING &&
		   base != BPCHAROID && base != NAMEOID;
}

static void
check_kinds(Oid relation, const char *kinds)
{
	char *list = pstrdup(kinds);
	char *rest = list;
	char *item;

	while ((item = strsep(&rest, " ")) != NULL)
	{
		AttrNumber number = get_attnum(relation, item + 2);
		Oid type = number != InvalidAttrNumber ? get_atttype(relation, number) : InvalidOid;

		if (OidIsValid(type) && !fits(item[0], type))
			ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
							errmsg("column \"%s\" of table \"%s\" is of type %s, which "
								   "cadence_runner can not use",
								   item + 2, get_rel_name(relation), format_type_be(type)),
							errhint("The view cadence_misfits lists what it should be.")));
	}
	pfree(list);
}

/* ---- whose it is --------------------------------------------------------------------- */

/* Whether a role could do as the owner of the runs whatever it would do through us. */
bool
cadence_gate_trusts(Oid owner, Oid role)
{
	return role == owner || cadence_may_become(role, owner);
}

static void
distrust(const CadenceTables *t, const char *what, Oid role, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("%s does not belong to the owner of lead_cadence_runs", what),
					errdetail("What role \"%s\" makes of it would run with the rights of role "
							  "\"%s\".",
							  GetUserNameFromId(role, true), GetUserNameFromId(t->owner, true)),
					errhint("%s", hint)));
}

static void check_row(const CadenceTables *t, const char *table, TupleDesc row);

/* A domain's checks and a type's casts are its owner's. */
static void
check_type(const CadenceTables *t, const char *table, Oid type)
{
	Oid owner;

	if (type < FirstNormalObjectId)
		return;
	check_stack_depth();
	owner = cadence_catalog_oid(TYPEOID, type, Anum_pg_type_typowner);
	if (!OidIsValid(owner))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("type %u was dropped", type)));
	if (!cadence_gate_trusts(t->owner, owner))
		distrust(t, psprintf("type %s of table \"%s\"", format_type_be(type), table), owner,
				 "Give it to that role with ALTER TYPE ... OWNER TO.");
	check_type(t, table, cadence_catalog_oid(TYPEOID, type, Anum_pg_type_typbasetype));
	check_type(t, table, cadence_catalog_oid(TYPEOID, type, Anum_pg_type_typelem));
	if (get_typtype(type) == TYPTYPE_COMPOSITE)
	{
		TupleDesc row = lookup_rowtype_tupdesc(type, -1);

		check_row(t, table, row);
		ReleaseTupleDesc(row);
	}
}

static void
check_row(const CadenceTables *t, const char *table, TupleDesc row)
{
	for (int i = 0; i < row->natts; i++)
		if (!TupleDescAttr(row, i)->attisdropped)
			check_type(t, table, TupleDescAttr(row, i)->atttypid);
}

/* Who has TRIGGER on a table brings a function of hers. */
static void
check_triggers(const CadenceTables *t, const char *table, const TriggerDesc *triggers)
{
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];
		Oid owner = cadence_catalog_oid(PROCOID, trigger->tgfoid, Anum_pg_proc_proowner);

		if (!trigger->tgisinternal && OidIsValid(owner) && !cadence_gate_trusts(t->owner, owner))
			distrust(
				t,
				psprintf("the function of trigger \"%s\" of table \"%s\"", trigger->tgname, table),
				owner,
				"Drop the trigger and REVOKE TRIGGER on the table, or change the function's "
				"owner.");
	}
}

/*
 * A table of ours, or a partition or inheritor of one; its columns. What the
 * relation's cache has is copied: it may be made anew by any look at a catalog.
 */
static TupleDesc
check_relation(const CadenceTables *t, Oid relation)
{
	Relation rel = RelationIdGetRelation(relation);
	const char *name;
	TupleDesc columns;
	TriggerDesc *triggers;
	FormData_pg_class form;

	if (!RelationIsValid(rel))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("a partition of the tables of cadence_runner was dropped")));
	memcpy(&form, rel->rd_rel, CLASS_TUPLE_SIZE);
	name = pstrdup(NameStr(form.relname));
	columns = CreateTupleDescCopy(RelationGetDescr(rel));
	triggers = CopyTriggerDesc(rel->trigdesc);
	RelationClose(rel);

	if (form.relkind != RELKIND_RELATION && form.relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is not a table", name)));
	if (!cadence_gate_trusts(t->owner, form.relowner))
		distrust(t, psprintf("table \"%s\"", name), form.relowner,
				 "Give it to that role with ALTER TABLE ... OWNER TO.");
	check_row(t, name, columns);
	check_triggers(t, name, triggers);
	return columns;
}

static TupleDesc
check_table(const CadenceTables *t, int i)
{
	TupleDesc columns = check_relation(t, t->oids[i]);
	ListCell *cell;

	if (has_subclass(t->oids[i]))
		foreach (cell, find_all_inheritors(t->oids[i], NoLock, NULL))
			(void) check_relation(t, lfirst_oid(cell));
	check_kinds(t->oids[i], cadence_table_list[i].kinds);
	return columns;
}

/*
 * The tables that were just found, whoever reads them.
 *
 * Errors: 42501, 42809 or 42804 when one is in other hands, no table, or has a
 * column of a type that no statement is written for.
 */
void
cadence_gate_open(CadenceTables *t)
{
	for (int i = 0; i < CADENCE_TABLE_COUNT; i++)
		t->columns[i] = check_table(t, i);
}

/* ---- whether they are the same ------------------------------------------------------- */

static void
check_same_table(const CadenceTables *t, int i)
{
	const char *name = cadence_table_list[i].name;
	char *schema = get_namespace_name(t->schema);

	if (schema == NULL || strcmp(schema, t->schema_name) != 0 ||
		get_relname_relid(name, t->schema) != t->oids[i])
		ereport(
			ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("table \"%s.%s\" is no longer the one that was found", t->schema_name, name),
			 errdetail("It was dropped or renamed."),
			 errhint("Start a new execution, after cadence_create_tables() where it is missing.")));
}

/* One that is gone is found missing by the statement that wants it. */
static void
check_same_columns(Oid relation, TupleDesc known)
{
	for (int i = 0; i < known->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(known, i);
		AttrNumber number =
			column->attisdropped ? 0 : get_attnum(relation, NameStr(column->attname));

		if (number != 0 && get_atttype(relation, number) != column->atttypid)
			ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
							errmsg("column \"%s\" of table \"%s\" has changed its type",
								   NameStr(column->attname), get_rel_name(relation)),
							errhint("A new execution finds the new type.")));
	}
}

/* One of the tables again, which is locked now. */
void
cadence_gate_look(const CadenceTables *t, int i)
{
	check_same_table(t, i);
	check_same_columns(t->oids[i], t->columns[i]);
	(void) check_table(t, i);
}

/*
 * The tables of a worker, in each of its transactions: it has connected as the
 * owner that it found at its start, and going on after the tables have changed
 * hands would run the new owner's triggers with the old owner's rights.
 */
void
cadence_gate_check(const CadenceTables *t)
{
	Oid owner;

	cadence_guard_lock(t);
	for (int i = 0; i < CADENCE_TABLE_COUNT; i++)
		check_same_table(t, i);
	owner = cadence_relation_owner(t->runs_oid);
	if (owner != GetSessionUserId() || owner != GetUserId())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("the owner of table %s has changed during the execution", t->runs),
						errhint("Start a new execution: it connects as the new owner.")));
	for (int i = 0; i < CADENCE_TABLE_COUNT; i++)
		cadence_gate_look(t, i);
}
