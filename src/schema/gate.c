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
 * All of it is looked at when the tables are loaded. A worker that keeps them
 * looks again, in each of its transactions, where the catalogs have changed:
 * the locks of its statements are taken first where nobody is in the way, so
 * that nothing changes between the look and the statement. Everything is read from the catalogs,
 *where nobody's function, policy or right has a say.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "schema/gate.h"

/* A column as it was when the tables were loaded. */
typedef struct KnownColumn
{
	Oid relation;
	Oid type;
	char name[NAMEDATALEN];
} KnownColumn;

/* Of the catalogs, as this process has heard of them. */
static uint64 changes = 1;

/* ---- what a column must be ----------------------------------------------------------- */

/*
 * By table, as in tables->oids: the columns that our statements read or write
 * as one type. w: text or an enum, t: text, u: uuid, i: a whole number,
 * b: boolean, z: timestamptz, j: jsonb. cadence_misfits says the same of those
 * that are to be adopted.
 */
static const char *const column_kinds[CADENCE_TABLE_COUNT] = {
	"u:id w:empresa t:codigo b:ativo",
	"u:id u:cadence_id i:ordem i:offset_minutos w:canal t:template_codigo b:parar_se_responder",
	"t:lead_id w:empresa t:nome t:primeiro_nome t:email t:telefone b:opt_out t:opt_out_motivo",
	"w:empresa w:canal t:codigo t:conteudo b:ativo z:updated_at",
	"u:id t:lead_id w:empresa u:cadence_id w:status z:started_at i:last_step_ordem "
	"i:next_step_ordem z:next_run_at z:created_at z:updated_at i:attempts u:claim_id",
	"u:id u:lead_cadence_run_id i:step_ordem t:template_codigo w:tipo_evento j:detalhes "
	"z:created_at",
	"u:id t:lead_id w:empresa w:canal w:direcao t:conteudo w:estado z:enviado_em u:run_id "
	"i:step_ordem t:template_codigo t:whatsapp_message_id t:email_message_id z:created_at",
	"t:empresa t:nome",
	"u:id z:executed_at i:steps_executed i:errors i:runs_touched i:duration_ms j:details "
	"w:trigger_source",
	"u:claim_id z:lease_end z:claimed_at"};

static bool
is_text(Oid base)
{
	char category;
	bool preferred;

	get_type_category_preferred(base, &category, &preferred);
	return category == TYPCATEGORY_STRING && base != BPCHAROID && base != NAMEOID;
}

static bool
fits(char kind, Oid type)
{
	Oid base = getBaseType(type);

	switch (kind)
	{
		case 'w':
			return is_text(base) || type_is_enum(type);
		case 't':
			return is_text(base);
		case 'u':
			return base == UUIDOID;
		case 'i':
			return base == INT2OID || base == INT4OID || base == INT8OID;
		case 'b':
			return base == BOOLOID;
		case 'z':
			return base == TIMESTAMPTZOID;
		default:
			return base == JSONBOID;
	}
}

static void
refuse_type(Oid relation, const char *column, Oid type)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of table \"%s\" is of type %s, which cadence_runner can not use",
					column, get_rel_name(relation), format_type_be(type)),
			 errhint("The view cadence_misfits lists what it should be.")));
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

		if (number != InvalidAttrNumber && !fits(item[0], get_atttype(relation, number)))
			refuse_type(relation, item + 2, get_atttype(relation, number));
	}
	pfree(list);
}

/* ---- whose it is --------------------------------------------------------------------- */

/* Whether a role could do as the owner of the runs whatever it would do through us. */
bool
cadence_gate_trusts(const CadenceTables *t, Oid role)
{
	return role == t->owner || is_member_of_role(role, t->owner);
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

static void check_type(const CadenceTables *t, Oid relation, Oid type);

/* The types of a row's columns. */
static void
check_row(const CadenceTables *t, Oid relation, Oid row)
{
	for (AttrNumber i = 1; get_attname(row, i, true) != NULL; i++)
	{
		Oid type = get_atttype(row, i);

		if (OidIsValid(type))
			check_type(t, relation, type);
	}
}

/* A domain's checks and a type's casts are its owner's. */
static void
check_type(const CadenceTables *t, Oid relation, Oid type)
{
	HeapTuple tuple;
	FormData_pg_type form;

	if (type < FirstNormalObjectId)
		return;
	check_stack_depth();
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("type %u was dropped", type)));
	memcpy(&form, GETSTRUCT(tuple), offsetof(FormData_pg_type, typcollation));
	ReleaseSysCache(tuple);
	if (!cadence_gate_trusts(t, form.typowner))
		distrust(t,
				 psprintf("type %s of table \"%s\"", format_type_be(type), get_rel_name(relation)),
				 form.typowner, "Give it to that role with ALTER TYPE ... OWNER TO.");
	if (form.typtype == TYPTYPE_DOMAIN)
		check_type(t, relation, form.typbasetype);
	else if (OidIsValid(form.typelem))
		check_type(t, relation, form.typelem);
	else if (form.typtype == TYPTYPE_COMPOSITE)
		check_row(t, relation, form.typrelid);
}

static Oid
function_owner(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

/* Who has TRIGGER on a table brings a function of hers. */
static void
check_triggers(const CadenceTables *t, Oid relation)
{
	Relation rel = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relation));
	scan = systable_beginscan(rel, TriggerRelidNameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);
		Oid owner = function_owner(form->tgfoid);

		if (!form->tgisinternal && OidIsValid(owner) && !cadence_gate_trusts(t, owner))
			distrust(t,
					 psprintf("the function of trigger \"%s\" of table \"%s\"",
							  NameStr(form->tgname), get_rel_name(relation)),
					 owner,
					 "Drop the trigger and REVOKE TRIGGER on the table, or change the "
					 "function's owner.");
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/* A table of ours, or a partition or inheritor of one. */
static void
check_relation(const CadenceTables *t, Oid relation)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	FormData_pg_class form;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("a partition of the tables of cadence_runner was dropped")));
	memcpy(&form, GETSTRUCT(tuple), CLASS_TUPLE_SIZE);
	ReleaseSysCache(tuple);
	if (form.relkind != RELKIND_RELATION && form.relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is not a table", get_rel_name(relation))));
	if (!cadence_gate_trusts(t, form.relowner))
		distrust(t, psprintf("table \"%s\"", get_rel_name(relation)), form.relowner,
				 "Give it to that role with ALTER TABLE ... OWNER TO.");
	check_row(t, relation, relation);
	check_triggers(t, relation);
}

static void
check_table(const CadenceTables *t, int i)
{
	ListCell *cell;

	if (!has_subclass(t->oids[i]))
		check_relation(t, t->oids[i]);
	else
		foreach (cell, find_all_inheritors(t->oids[i], NoLock, NULL))
			check_relation(t, lfirst_oid(cell));
	check_kinds(t->oids[i], column_kinds[i]);
}

/* ---- whether they are the same ------------------------------------------------------- */

static List *
remember_columns(List *columns, Oid relation)
{
	char *name;

	for (AttrNumber i = 1; (name = get_attname(relation, i, true)) != NULL; i++)
	{
		KnownColumn *column;

		if (!OidIsValid(get_atttype(relation, i)))
			continue;
		column = palloc(sizeof(*column));
		column->relation = relation;
		column->type = get_atttype(relation, i);
		strlcpy(column->name, name, NAMEDATALEN);
		columns = lappend(columns, column);
	}
	return columns;
}

/* One that is gone is found missing by the statement that wants it. */
static void
check_same_columns(const CadenceTables *t)
{
	ListCell *cell;

	foreach (cell, t->columns)
	{
		const KnownColumn *known = lfirst(cell);
		AttrNumber number = get_attnum(known->relation, known->name);

		if (number != InvalidAttrNumber && get_atttype(known->relation, number) != known->type)
			ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
							errmsg("column \"%s\" of table \"%s\" has changed its type",
								   known->name, get_rel_name(known->relation)),
							errhint("A new execution finds the new type.")));
	}
}

static void
check_same_tables(const CadenceTables *t)
{
	char *schema = get_namespace_name(t->schema);

	for (int i = 0; i < CADENCE_TABLE_COUNT; i++)
	{
		Oid now = schema == NULL || strcmp(schema, t->schema_name) != 0
					  ? InvalidOid
					  : get_relname_relid(cadence_table_names[i], t->schema);

		if (now != t->oids[i])
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("table \"%s.%s\" is no longer the one that was found", t->schema_name,
							cadence_table_names[i]),
					 errdetail("It was dropped or renamed."),
					 errhint("Start a new execution, after cadence_create_tables() where it is "
							 "missing.")));
	}
}

/* ---- the gate ------------------------------------------------------------------------ */

static void
on_syscache(Datum arg, int cache, uint32 hash)
{
	changes++;
}

static void
on_relcache(Datum arg, Oid relation)
{
	changes++;
}

static void
watch(void)
{
	static const int caches[] = {TYPEOID, PROCOID, NAMESPACEOID, AUTHOID, AUTHMEMROLEMEM};
	static bool watching = false;

	if (watching)
		return;
	CacheRegisterRelcacheCallback(on_relcache, 0);
	for (size_t i = 0; i < lengthof(caches); i++)
		CacheRegisterSyscacheCallback(caches[i], on_syscache, 0);
	watching = true;
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
	watch();
	for (int i = 0; i < CADENCE_TABLE_COUNT; i++)
	{
		check_table(t, i);
		t->columns = remember_columns(t->columns, t->oids[i]);
	}
}

/* Those that are only read must not wait for an index that is being made. */
static bool
is_only_read(int table)
{
	return table <= CADENCE_TABLE_TEMPLATES || table == CADENCE_TABLE_EMPRESAS;
}

static void
look_again(const CadenceTables *t)
{
	Oid owner = cadence_tables_owner(t->runs_oid);

	check_same_tables(t);
	if (owner != GetSessionUserId() || owner != GetUserId())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("the owner of table %s has changed during the execution", t->runs),
						errhint("Start a new execution: it connects as the new owner.")));
	check_same_columns(t);
	for (int i = 0; i < CADENCE_TABLE_COUNT; i++)
		check_table(t, i);
}

/*
 * The tables of a worker, in each of its transactions: it has connected as the
 * owner that it found at its start, and going on after the tables have changed
 * hands would run the new owner's triggers with the old owner's rights.
 */
void
cadence_gate_check(const CadenceTables *t)
{
	static uint64 looked_at = 0;
	uint64 now;

	/* one that somebody has locked is its statement's to wait for, which may do without it */
	for (int i = 0; i < CADENCE_TABLE_COUNT; i++)
		(void) ConditionalLockRelationOid(t->oids[i],
										  is_only_read(i) ? AccessShareLock : RowExclusiveLock);
	AcceptInvalidationMessages();
	now = changes;
	if (now == looked_at)
		return;
	look_again(t);
	looked_at = now;
}
