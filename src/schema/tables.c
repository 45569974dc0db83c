/*
 * tables.c
 *		The tables of one installation: where they are, and acting as their owner.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/lock.h"
#include "base/transaction.h"
#include "schema/tables.h"

PG_FUNCTION_INFO_V1(cadence_lock_tables);

#define CREATE_TABLES_HINT \
	"Call %s.cadence_create_tables(): it creates what is missing and keeps what is there."

#define FIELD(name) offsetof(CadenceTables, name)

/*
 * kinds: the columns that our statements read or write as one type. w: text or
 * an enum, t: text, u: uuid, i: a whole number, b: boolean, z: timestamptz,
 * j: jsonb, y: bytea, v: interval, c: time, d: date, a: uuid[]. cadence_misfits says the same of
 * those that are to be adopted.
 */
const CadenceTable cadence_table_list[] = {
	{"cadences", FIELD(cadences), false,
	 "u:id w:empresa t:codigo b:ativo j:janela v:janela_espalha i:prioridade i:max_por_dia "
	 "i:max_novos_por_dia w:reentrada b:exclusiva"},
	{"cadence_steps", FIELD(steps), false,
	 "u:id u:cadence_id i:ordem i:offset_minutos w:canal t:template_codigo b:parar_se_responder "
	 "w:offset_referencia c:horario b:dias_uteis v:validade w:se_falhar"},
	{"lead_contacts", FIELD(contacts), false,
	 "t:lead_id w:empresa t:nome t:primeiro_nome t:email t:telefone b:opt_out t:opt_out_motivo "
	 "t:fuso_horario"},
	{"message_templates", FIELD(templates), false,
	 "w:empresa w:canal t:codigo t:conteudo b:ativo z:updated_at t:assunto t:html j:midia "
	 "j:whatsapp"},
	{"lead_cadence_runs", FIELD(runs), true,
	 "u:id t:lead_id w:empresa u:cadence_id w:status z:started_at i:last_step_ordem "
	 "i:next_step_ordem z:next_run_at z:created_at z:updated_at i:attempts u:claim_id "
	 "a:passos_enviados z:counts_from z:step_due_at j:edicao"},
	{"lead_cadence_events", FIELD(events), true,
	 "u:id u:lead_cadence_run_id i:step_ordem t:template_codigo w:tipo_evento j:detalhes "
	 "z:created_at"},
	{"lead_messages", FIELD(messages), true,
	 "u:id t:lead_id w:empresa w:canal w:direcao t:conteudo w:estado z:enviado_em u:run_id "
	 "i:step_ordem t:template_codigo t:whatsapp_message_id t:email_message_id t:sms_message_id "
	 "z:entregue_em z:lido_em z:recebido_em t:erro_detalhe z:created_at"},
	{"cadence_empresas", FIELD(empresas), false,
	 "t:empresa t:nome t:pais t:fuso_horario t:uf j:janela v:janela_espalha i:max_por_lead_dia "
	 "i:max_por_dia v:intervalo_minimo"},
	{"cadence_runner_logs", FIELD(logs), true,
	 "u:id z:executed_at i:steps_executed i:errors i:runs_touched i:duration_ms j:details "
	 "w:trigger_source"},
	{"cadence_claims", FIELD(claims), true, "u:claim_id z:lease_end z:claimed_at j:permits"},
	{"cadence_provider_state", FIELD(sender_states), true,
	 "t:server z:next_at z:last_at t:used z:first_used_at z:open_since z:open_until t:open_reason "
	 "i:openings z:paused_at t:pause_reason z:round_until i:waiting i:waited z:new_since "
	 "z:new_until t:new_reason i:new_stops z:slow_until i:slow_downs"},
	{"cadence_conversations", FIELD(conversations), true,
	 "t:empresa t:lead_id t:canal t:server z:last_sent_at u:last_key"},
	{"contact_opt_outs", FIELD(opt_outs), true,
	 "u:id t:lead_id t:empresa t:canal t:categoria t:motivo t:origem z:em"},
	{"cadence_dead_addresses", FIELD(dead_addresses), true,
	 "t:endereco t:canal t:empresa t:motivo t:servidor z:em i:devolucoes"},
	{"cadence_stopped_templates", FIELD(stopped_templates), true,
	 "t:codigo t:empresa t:canal t:servidor t:versao t:motivo z:em z:tentar_em i:tentativas"},
	{"cadence_rejected", FIELD(rejected), true,
	 "u:id t:server t:empresa z:em t:motivo t:codigo j:evento j:elemento j:corpo i:tentativas "
	 "z:tentado_em"},
	{"lead_identities", FIELD(identities), true,
	 "t:lead_id t:empresa t:kind t:value t:source z:created_at"},
	{"cadence_opt_out_words", FIELD(opt_out_words), false, "t:word b:opts_in b:all_channels"},
	{"cadence_blocklist", FIELD(blocklist), true,
	 "t:kind y:value_hash t:empresa t:reason t:source z:created_at"},
	{"cadence_keys", FIELD(keys), false, "t:name y:key"},
	{"cadence_outbox", FIELD(outbox), true,
	 "u:id t:empresa t:evento u:run_id t:lead_id j:corpo t:status z:next_run_at i:attempts "
	 "u:claim_id z:entregue_em t:erro z:created_at z:updated_at"},
	{"cadence_feriados", FIELD(holidays), false, "d:dia t:pais t:uf t:empresa"},
	{"cadence_usage", FIELD(usage), true, "t:empresa t:scope t:name d:day i:used z:last_at"},
	{"cadence_deltas", FIELD(deltas), true,
	 "u:id t:kind z:at t:empresa t:server t:canal t:outcome t:code t:template u:cadence u:step "
	 "u:next_step d:day t:mark i:n i:us j:buckets z:first_at z:last_at"},
	{"cadence_counts", FIELD(counts), true,
	 "t:grain t:kind z:at t:empresa t:server t:canal t:outcome t:code t:template t:cadence i:n "
	 "i:us z:first_at z:last_at"},
	{"cadence_cohorts", FIELD(cohorts), true,
	 "u:cadence u:step d:day t:empresa i:entered i:sent i:delivered i:read i:replied i:opted_out "
	 "i:failed i:skipped i:stopped"},
	{"cadence_stock", FIELD(stock), true,
	 "t:empresa t:cadence i:ordem t:status i:runs z:counted_at"},
	{"cadence_secrets", FIELD(secrets), true, "t:name y:digest y:session_key z:created_at"},
	{"cadence_arming", FIELD(arming), false, NULL}};

/* ---- the extension ------------------------------------------------------------------- */

/*
 * Binary and SQL objects are installed by different commands, so they can
 * differ: a new library with old objects would run statements that do not fit.
 */
static void
check_version(Relation rel, HeapTuple tuple)
{
	bool isnull;
	Datum version =
		heap_getattr(tuple, Anum_pg_extension_extversion, RelationGetDescr(rel), &isnull);
	char *installed = isnull ? pstrdup("unknown") : TextDatumGetCString(version);

	if (strcmp(installed, CADENCE_VERSION) != 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the loaded library of cadence_runner is version %s, but the "
							   "extension in this database is version %s",
							   CADENCE_VERSION, installed),
						errhint("Run ALTER EXTENSION cadence_runner UPDATE, or install the "
								"library of version %s and reconnect.",
								installed)));
}

/*
 * The schema of the extension, which is also the schema of its tables.
 *
 * Errors: 55000 when there is no extension in this database, or when its SQL
 * objects are not of this binary's version.
 */
Oid
cadence_extension_schema(void)
{
	Relation rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	Oid schema = InvalidOid;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("cadence_runner"));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		check_version(rel, tuple);
		schema = ((Form_pg_extension) GETSTRUCT(tuple))->extnamespace;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	if (!OidIsValid(schema))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("extension \"cadence_runner\" does not exist in this database")));
	return schema;
}

/* ---- the tables ---------------------------------------------------------------------- */

/*
 * The name of a table that a schema lacks; NULL when all are there.
 */
const char *
cadence_tables_missing(Oid schema)
{
	for (size_t i = 0; i < lengthof(cadence_table_list); i++)
		if (!OidIsValid(get_relname_relid(cadence_table_list[i].name, schema)))
			return cadence_table_list[i].name;
	return NULL;
}

static Oid
find_table(const CadenceTables *t, const char *name)
{
	Oid oid = get_relname_relid(name, t->schema);

	if (!OidIsValid(oid))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("table \"%s.%s\" does not exist", t->schema_name, name),
						errhint(CREATE_TABLES_HINT, quote_identifier(t->schema_name))));
	return oid;
}

static Oid
column_type(const CadenceTables *t, const char *table, const char *column)
{
	Oid relation = find_table(t, table);
	AttrNumber number = get_attnum(relation, column);

	if (number == InvalidAttrNumber)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("column \"%s\" of table \"%s.%s\" does not exist", column,
							   t->schema_name, table),
						errhint(CREATE_TABLES_HINT, quote_identifier(t->schema_name))));
	return get_atttype(relation, number);
}

/* As text that a cast understands whatever the search path. */
static char *
type_name(const CadenceTables *t, const char *table, const char *column)
{
	return format_type_be_qualified(column_type(t, table, column));
}

/* Whether a column can hold a word: an enum may not have it. */
static bool
has_word(const CadenceTables *t, const char *table, const char *column, const char *word)
{
	Oid type = getBaseType(column_type(t, table, column));

	return !type_is_enum(type) ||
		   SearchSysCacheExists2(ENUMTYPOIDNAME, ObjectIdGetDatum(type), CStringGetDatum(word));
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
	for (size_t i = 0; i < lengthof(cadence_table_list); i++)
	{
		const CadenceTable *table = &cadence_table_list[i];
		Oid oid = find_table(t, table->name);

		if (i < CADENCE_TABLE_COUNT)
			t->oids[i] = oid;
		*(char **) ((char *) t + table->field) =
			quote_qualified_identifier(t->schema_name, table->name);
	}
	t->guard = cadence_guard_create(t);
	t->arming_oid = find_table(t, "cadence_arming");
	t->runs_oid = find_table(t, "lead_cadence_runs");
	t->owner = cadence_relation_owner(t->runs_oid);

	/* ours, and a sign that the installation was adopted */
	(void) column_type(t, "lead_cadence_runs", "attempts");
	(void) column_type(t, "lead_cadence_runs", "claim_id");
	(void) column_type(t, "lead_cadence_runs", "counts_from");
	(void) column_type(t, "lead_cadence_runs", "step_due_at");
	(void) column_type(t, "lead_cadence_runs", "edicao");

	t->run_status_type = type_name(t, "lead_cadence_runs", "status");
	t->event_type_type = type_name(t, "lead_cadence_events", "tipo_evento");
	t->message_empresa_type = type_name(t, "lead_messages", "empresa");
	t->message_canal_type = type_name(t, "lead_messages", "canal");
	t->event_knows_reply = has_word(t, "lead_cadence_events", "tipo_evento", "RESPOSTA_DETECTADA");
	t->message_knows_uncertain = has_word(t, "lead_messages", "estado", "INCERTO");
	t->message_knows_delivered = has_word(t, "lead_messages", "estado", "ENTREGUE");
	t->message_knows_read = has_word(t, "lead_messages", "estado", "LIDO");
	t->message_knows_failed = has_word(t, "lead_messages", "estado", "ERRO");
	t->log_trigger_type = type_name(t, "cadence_runner_logs", "trigger_source");
	t->log_knows_worker = has_word(t, "cadence_runner_logs", "trigger_source", "WORKER");
	cadence_gate_open(t);
	return t;
}

/*
 * cadence_lock_tables() -> void: of those who make the tables of this database one
 * works at a time; the others wait until its transaction ends.
 */
Datum
cadence_lock_tables(PG_FUNCTION_ARGS)
{
	cadence_lock_hold(CADENCE_LOCK_TABLES, 0);
	PG_RETURN_VOID();
}

/* ---- owners -------------------------------------------------------------------------- */

/*
 * What the catalog row of an object has in a column of type oid; InvalidOid
 * where there is no such object.
 */
Oid
cadence_catalog_oid(int cache, Oid object, AttrNumber column)
{
	HeapTuple tuple = SearchSysCache1(cache, ObjectIdGetDatum(object));
	Oid value = InvalidOid;
	bool isnull;

	if (HeapTupleIsValid(tuple))
	{
		value = DatumGetObjectId(SysCacheGetAttr(cache, tuple, column, &isnull));
		ReleaseSysCache(tuple);
	}
	return value;
}

Oid
cadence_relation_owner(Oid relation)
{
	return cadence_catalog_oid(RELOID, relation, Anum_pg_class_relowner);
}

/* Whether a column, if it is there, forbids null: an adopted one may. */
bool
cadence_column_is_required(Oid relation, const char *column)
{
	HeapTuple tuple = SearchSysCacheAttName(relation, column);
	bool is_required =
		HeapTupleIsValid(tuple) && ((Form_pg_attribute) GETSTRUCT(tuple))->attnotnull;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return is_required;
}

/* A value for a column; an adopted table may forbid null there, which becomes a neutral one. */
char *
cadence_value_or(Oid relation, const char *column, const char *value, const char *otherwise)
{
	if (!cadence_column_is_required(relation, column))
		return pstrdup(value);
	return psprintf("COALESCE(%s, %s)", value, otherwise);
}

/* Whether contacts have numbers in E.164 beside those that somebody has typed. */
bool
cadence_contacts_have_e164(const CadenceTables *tables)
{
	Oid contacts = get_relname_relid("lead_contacts", tables->schema);

	return get_attnum(contacts, "telefone_e164") != InvalidAttrNumber;
}

/*
 * Before 17 the server lets no background worker connect as a role that may
 * not log in; said here, since the server's own message names no way out.
 */
void
cadence_owner_check_connect(Oid owner)
{
	char *name = GetUserNameFromId(owner, false);
	HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(owner));
	bool may_log_in = true;

	if (HeapTupleIsValid(tuple))
	{
		may_log_in = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
		ReleaseSysCache(tuple);
	}
	if (CADENCE_OWNER_MUST_LOG_IN && !may_log_in)
		ereport(ERROR, (errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
						errmsg("the owner of lead_cadence_runs, role \"%s\", may not log in", name),
						errdetail("An execution connects as that role."),
						errhint("Run ALTER ROLE %s LOGIN; it needs no password.",
								quote_identifier(name))));
}

/*
 * What is done for somebody else is done as the owner of the tables, in a
 * security-restricted operation: what hangs on them gets nobody else's rights, nor
 * may who locks them hold the caller up for long. After an error, the end of the transaction brings
 * the caller back.
 */
CadenceCaller
cadence_owner_begin(Oid owner)
{
	static const char *const settings[][2] = {
		{"search_path", "pg_catalog, pg_temp"},
		{"lock_timeout", "1s"},
		/* a policy that would hide rows is an error, and not nothing */
		{"row_security", "off"},
		/* what a text or a comparison means, and what an index finds, is not the caller's */
		{"standard_conforming_strings", "on"},
		{"transform_null_equals", "off"},
		{"gin_fuzzy_search_limit", "0"},
		/* every statement of ours has its index: see cadence_session_init() */
		{"enable_seqscan", "off"},
		{"enable_bitmapscan", "off"},
		/* plans that are kept must not depend on whoever called first */
		{"enable_indexscan", "on"},
		{"enable_nestloop", "on"},
		{"plan_cache_mode", "auto"},
		/* what a disabled scan is said to cost would have it compiled */
		{"jit", "off"}};
	CadenceCaller caller = {.guc_level = NewGUCNestLevel()};

	GetUserIdAndSecContext(&caller.user, &caller.security);
	SetUserIdAndSecContext(owner, caller.security | SECURITY_LOCAL_USERID_CHANGE |
									  SECURITY_RESTRICTED_OPERATION);
	for (size_t i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	return caller;
}

void
cadence_owner_end(CadenceCaller caller)
{
	AtEOXact_GUC(false, caller.guc_level);
	SetUserIdAndSecContext(caller.user, caller.security);
}
