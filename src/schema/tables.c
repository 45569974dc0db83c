/*
 * tables.c
 *		The tables of one installation.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/transaction.h"
#include "schema/gate.h"
#include "schema/tables.h"

#define CREATE_TABLES_HINT \
	"Call %s.cadence_create_tables(): it creates what is missing and keeps what is there."

static Oid
find_table(const CadenceTables *tables, const char *name)
{
	Oid oid = get_relname_relid(name, tables->schema);

	if (!OidIsValid(oid))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("table \"%s.%s\" does not exist", tables->schema_name, name),
						errhint(CREATE_TABLES_HINT, quote_identifier(tables->schema_name))));
	return oid;
}

static char *
qualified(CadenceTables *tables, int number, const char *name)
{
	tables->oids[number] = find_table(tables, name);
	return quote_qualified_identifier(tables->schema_name, name);
}

const char *const cadence_table_names[] = {
	"cadences",			 "cadence_steps",	  "lead_contacts",
	"message_templates", "lead_cadence_runs", "lead_cadence_events",
	"lead_messages",	 "cadence_empresas",  "cadence_runner_logs",
	"cadence_claims",	 "cadence_arming"};

/*
 * The name of a table that a schema lacks; NULL when all are there.
 */
const char *
cadence_tables_missing(Oid schema)
{
	for (size_t i = 0; i < lengthof(cadence_table_names); i++)
		if (!OidIsValid(get_relname_relid(cadence_table_names[i], schema)))
			return cadence_table_names[i];
	return NULL;
}

/* The type of a column, as text that a cast understands whatever the search path. */
static char *
column_type(const CadenceTables *tables, const char *table, const char *column)
{
	Oid oid = find_table(tables, table);
	AttrNumber attnum = get_attnum(oid, column);

	if (attnum == InvalidAttrNumber)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("column \"%s\" of table \"%s.%s\" does not exist", column,
							   tables->schema_name, table),
						errhint(CREATE_TABLES_HINT, quote_identifier(tables->schema_name))));
	return format_type_be_qualified(get_atttype(oid, attnum));
}

/* Whether a column can hold a word: an enum may not have it. */
static bool
has_word(const CadenceTables *tables, const char *table, const char *column, const char *word)
{
	Oid relation = find_table(tables, table);
	Oid type = getBaseType(get_atttype(relation, get_attnum(relation, column)));

	return !type_is_enum(type) ||
		   SearchSysCacheExists2(ENUMTYPOIDNAME, ObjectIdGetDatum(type), CStringGetDatum(word));
}

Oid
cadence_tables_owner(Oid relation)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

/*
 * Looks the tables of a schema up, in the current memory context.
 *
 * Errors: 42P01 or 42703 with cadence_create_tables() in the hint when a table
 * or one of our own columns is missing; else what the gate says.
 */
CadenceTables *
cadence_tables_load(Oid schema)
{
	CadenceTables *t = palloc0(sizeof(*t));

	cadence_xact_set_check(cadence_gate_check);
	t->schema = schema;
	t->schema_name = get_namespace_name(schema);
	if (t->schema_name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA), errmsg("schema %u does not exist", schema)));

	t->cadences = qualified(t, 0, "cadences");
	t->steps = qualified(t, 1, "cadence_steps");
	t->contacts = qualified(t, 2, "lead_contacts");
	t->templates = qualified(t, 3, "message_templates");
	t->runs = qualified(t, 4, "lead_cadence_runs");
	t->events = qualified(t, 5, "lead_cadence_events");
	t->messages = qualified(t, 6, "lead_messages");
	t->empresas = qualified(t, 7, "cadence_empresas");
	t->logs = qualified(t, 8, "cadence_runner_logs");
	t->claims = qualified(t, 9, "cadence_claims");
	t->arming_oid = find_table(t, "cadence_arming");
	t->arming = quote_qualified_identifier(t->schema_name, "cadence_arming");

	t->runs_oid = find_table(t, "lead_cadence_runs");
	t->owner = cadence_tables_owner(t->runs_oid);

	/* ours, and a sign that the installation was adopted */
	column_type(t, "lead_cadence_runs", "attempts");
	column_type(t, "lead_cadence_runs", "claim_id");

	t->run_status_type = column_type(t, "lead_cadence_runs", "status");
	t->event_type_type = column_type(t, "lead_cadence_events", "tipo_evento");
	t->message_empresa_type = column_type(t, "lead_messages", "empresa");
	t->message_canal_type = column_type(t, "lead_messages", "canal");
	t->message_direcao_type = column_type(t, "lead_messages", "direcao");
	t->message_estado_type = column_type(t, "lead_messages", "estado");
	t->log_trigger_type = column_type(t, "cadence_runner_logs", "trigger_source");
	t->log_knows_worker = has_word(t, "cadence_runner_logs", "trigger_source", "WORKER");
	cadence_gate_open(t);
	return t;
}
