/*
 * protocols.c
 *		The guard of cadence_protocols, and cadence_protocol_check().
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/rel.h"

#include "base/clip.h"
#include "provider/options.h"
#include "provider/protocol.h"
#include "provider/provider.h"

PG_FUNCTION_INFO_V1(cadence_protocols_guard);
PG_FUNCTION_INFO_V1(cadence_protocol_check);

/* ---- problems ------------------------------------------------------------------------- */

static void
add_problem(void *arg, const char *pointer, const char *problem)
{
	StringInfo problems = arg;

	appendStringInfo(problems, "%s%s: %s", problems->len > 0 ? "\n" : "",
					 *pointer != '\0' ? pointer : "/", problem);
}

/* Its limits are a server's options, and checked as those. */
static bool
check_limits(const Definition *d, DefinitionReport report, void *arg)
{
	bool ok = true;

	for (size_t i = 0; i < d->limits.n; i++)
	{
		const DefinitionOption *limit = &d->limits.list[i];
		const OptionRule *rule = cadence_option_common(ForeignServerRelationId, limit->name);
		const char *expected = cadence_option_expected(d, rule, limit->otherwise);

		if (limit->otherwise[0] == '\0' || cadence_has_control_characters(limit->otherwise))
			expected = "It must not be empty or contain control characters.";
		if (expected == NULL)
			continue;
		ok = false;
		report(arg, psprintf("/limits/%s", limit->name),
			   psprintf("can not be \"%.*s\". %s", cadence_text_fits(limit->otherwise, 61),
						limit->otherwise, expected));
	}
	return ok;
}

static Definition *
compile(const char *json, DefinitionReport report, void *arg)
{
	Definition *d = definition_compile(json, strlen(json), report, arg);

	if (d == NULL || check_limits(d, report, arg))
		return d;
	definition_free(d);
	return NULL;
}

/* All that is wrong with a definition is one error. */
static Definition *
compile_or_fail(const char *name, Datum value)
{
	Jsonb *jsonb = DatumGetJsonbP(value);
	char *json = JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
	StringInfoData problems;
	Definition *d;

	initStringInfo(&problems);
	d = compile(json, add_problem, &problems);
	if (d == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the definition of protocol \"%s\" has problems", name),
						errdetail("%s", problems.len > 0 ? problems.data : "out of memory"),
						errhint("cadence_protocol_check() lists them, each with where it is.")));
	return d;
}

static void
add_problem_row(void *arg, const char *pointer, const char *problem)
{
	ReturnSetInfo *set = arg;
	Datum values[] = {CStringGetTextDatum(pointer), CStringGetTextDatum(problem)};
	bool nulls[] = {false, false};

	tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
}

/*
 * cadence_protocol_check(definition jsonb) -> setof (path text, problem text):
 * what is wrong with a definition, with a JSON pointer to where; nothing when
 * it can be used.
 */
Datum
cadence_protocol_check(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	Jsonb *jsonb = PG_GETARG_JSONB_P(0);
	char *json = JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));

	InitMaterializedSRF(fcinfo, 0);
	definition_free(compile(json, add_problem_row, set));
	PG_RETURN_NULL();
}

/* ---- the guard ------------------------------------------------------------------------ */

/* The servers of a protocol; with d only those with an option that it does not take, or lacks. */
static char *
servers_of(const char *protocol, const Definition *d)
{
	List *servers = cadence_provider_servers();
	StringInfoData names;
	ListCell *cell;

	initStringInfo(&names);
	foreach (cell, servers)
	{
		/* it may have been dropped since */
		ForeignServer *server = GetForeignServerExtended(lfirst_oid(cell), FSV_MISSING_OK);
		const char *of = server != NULL ? cadence_option_get(server->options, "protocol") : NULL;
		const char *problem = NULL;

		if (server == NULL ||
			pg_strcasecmp(of != NULL ? of : CADENCE_PROTOCOL_DEFAULT, protocol) != 0 ||
			(d != NULL && (problem = cadence_options_problem(server->options, d)) == NULL))
			continue;
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", server->servername);
		if (problem != NULL)
			appendStringInfo(&names, " (%s)", problem);
	}
	return names.len > 0 ? names.data : NULL;
}

static void
check_removal(const char *name)
{
	char *servers = servers_of(name, NULL);

	if (servers != NULL)
		ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
						errmsg("protocol \"%s\" is used", name),
						errdetail("By these servers: %s.", servers), errhint("Drop them first.")));
}

static void
check_definition(const char *name, Datum value)
{
	Definition *d = compile_or_fail(name, value);
	char *servers = servers_of(name, d);

	definition_free(d);
	if (servers != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("the definition of protocol \"%s\" does not fit servers that use it", name),
				 errdetail("It does not take the options of these: %s.", servers)));
}

/* A row as it is, or is to be. */
typedef struct ProtocolRow
{
	char *name;
	Datum definition;
	bool built_in;
} ProtocolRow;

/* Another table's columns would be taken for what they are not. */
static bool
has_protocols(Relation relation)
{
	static const Oid types[] = {
		[PROTOCOL_NAME] = TEXTOID, [PROTOCOL_DEFINITION] = JSONBOID, [PROTOCOL_BUILT_IN] = BOOLOID};
	TupleDesc desc = RelationGetDescr(relation);

	for (int i = PROTOCOL_NAME; i <= PROTOCOL_BUILT_IN; i++)
		if (i > desc->natts || TupleDescAttr(desc, i - 1)->atttypid != types[i])
			return false;
	return true;
}

static ProtocolRow
read_row(const TriggerData *trigger, HeapTuple row)
{
	TupleDesc desc = RelationGetDescr(trigger->tg_relation);
	ProtocolRow read = {0};
	bool isnull;
	Datum name = heap_getattr(row, PROTOCOL_NAME, desc, &isnull);

	if (!isnull)
		read.name = TextDatumGetCString(name);
	read.definition = heap_getattr(row, PROTOCOL_DEFINITION, desc, &isnull);
	if (read.name == NULL || isnull)
		ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION),
						errmsg("a protocol needs a name and a definition")));
	read.built_in = DatumGetBool(heap_getattr(row, PROTOCOL_BUILT_IN, desc, &isnull)) && !isnull;
	return read;
}

static void
refuse_change(const ProtocolRow *row)
{
	if (row->built_in && !creating_extension)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("protocol \"%s\" is built in", row->name),
						errhint("Define one of another name.")));
}

/*
 * cadence_protocols_guard() -> trigger: before each row of cadence_protocols that
 * is written, and before a truncation. Lets processes that use it know.
 *
 * Errors: 22023 for a definition with problems, 55000 for a built-in protocol,
 * 2BP01 where servers use it, 39P01 of another table.
 */
Datum
cadence_protocols_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	ProtocolRow old = {0};
	ProtocolRow new = {0};

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("cadence_protocols can only be changed row by row")));
	if (!has_protocols(trigger->tg_relation))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("cadence_protocols_guard() is for table cadence_protocols only")));
	CacheInvalidateRelcache(trigger->tg_relation);
	if (!TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		old = read_row(trigger, trigger->tg_trigtuple);
	if (!TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		new = read_row(trigger, TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple
																		   : trigger->tg_trigtuple);
	/* what a publication of all tables brings is here already */
	if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA &&
		(old.built_in || new.built_in))
		PG_RETURN_POINTER(NULL);
	refuse_change(&old);
	refuse_change(&new);
	if (old.name != NULL && (new.name == NULL || strcmp(old.name, new.name) != 0))
		check_removal(old.name);
	if (new.name != NULL)
		check_definition(new.name, new.definition);
	PG_RETURN_POINTER(TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple
																 : trigger->tg_trigtuple);
}
