/*
 * sender_names.c
 *		cadence_follow_servers(): a sender's state goes by its server's name, so it
 *		goes where the name goes.
 *
 * An event trigger, since nothing else hears of a server that is dropped with its
 * owner, or is told a name's old value. It is done as the owner of the table:
 * whoever drops or renames a server need have no right on it, and whatever is
 * wrong with our tables keeps nobody from doing it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/statement.h"
#include "base/transaction.h"
#include "provider/configuration.h"
#include "schema/tables.h"

PG_FUNCTION_INFO_V1(cadence_follow_servers);

/* Of a server, or of a domain that it writes to; null for a group's row, which is no server's. */
#define SERVER_OF(column)                                    \
	"pg_catalog.\"substring\"(" column "::pg_catalog.text, " \
	"'^(?!limit_group )(?:domain [^ ]+ of )?(.*)$')"

static const Oid name_types[] = {TEXTOID, TEXTOID};

static Statement
forget_statement(const CadenceTables *t)
{
	Statement s = {
		.what = "forgetting a sender",
		.sql = psprintf(
			"DELETE FROM %s WHERE " SERVER_OF(
				"server") " " EQ " ANY (ARRAY("
						  "SELECT d.object_name FROM pg_catalog.pg_event_trigger_dropped_objects() "
						  "AS d WHERE d.object_type " EQ " 'server'))",
			t->sender_states),
		.expected = SPI_OK_DELETE,
		.context = CurrentMemoryContext};

	return s;
}

/* What another server of the new name has left makes room. */
static Statement
replace_statement(const CadenceTables *t)
{
	return STATEMENT("forgetting a sender",
					 psprintf("DELETE FROM %s WHERE " SERVER_OF("server") " " EQ " $2 AND $1 " NE
																		  " $2",
							  t->sender_states),
					 name_types, SPI_OK_DELETE);
}

static Statement
rename_statement(const CadenceTables *t)
{
	return STATEMENT("renaming a sender",
					 psprintf("UPDATE %s SET server = pg_catalog.concat(pg_catalog.\"substring\"("
							  "server::pg_catalog.text, '^domain [^ ]+ of '), $2) WHERE " SERVER_OF(
								  "server") " " EQ " $1",
							  t->sender_states),
					 name_types, SPI_OK_UPDATE);
}

/* NULL: it renames no server, or to a name that is none for a sender. */
static RenameStmt *
rename_of(const EventTriggerData *trigger)
{
	RenameStmt *rename = (RenameStmt *) trigger->parsetree;

	if (!IsA(rename, RenameStmt) || rename->renameType != OBJECT_FOREIGN_SERVER)
		return NULL;
	return cadence_is_no_sender(rename->newname) ? NULL : rename;
}

static void
follow(void *arg, int first, int n)
{
	const EventTriggerData *trigger = arg;
	Oid schema = cadence_extension_schema();
	RenameStmt *rename = rename_of(trigger);
	CadenceTables *t;
	CadenceCaller caller;
	Statement statements[2];
	int count = 0;
	Datum names[2] = {0};

	if (cadence_tables_missing(schema) != NULL)
		return;
	t = cadence_tables_load(schema);
	caller = cadence_owner_begin(
		cadence_relation_owner(get_relname_relid("cadence_provider_state", t->schema)));
	if (rename == NULL)
		statements[count++] = forget_statement(t);
	else
	{
		statements[count++] = replace_statement(t);
		statements[count++] = rename_statement(t);
		names[0] = CStringGetTextDatum(strVal(rename->object));
		names[1] = CStringGetTextDatum(rename->newname);
	}
	(void) SPI_connect();
	for (int i = 0; i < count; i++)
		statement_execute(&statements[i], names, NULL, 0);
	SPI_finish();
	cadence_owner_end(caller);
}

/*
 * cadence_follow_servers() -> event_trigger: on sql_drop, and at the end of ALTER
 * SERVER. What it can not do is a warning.
 */
Datum
cadence_follow_servers(PG_FUNCTION_ARGS)
{
	EventTriggerData *trigger = (EventTriggerData *) fcinfo->context;
	ErrorData *error;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("cadence_follow_servers() is an event trigger's function")));
	if (strcmp(trigger->event, "sql_drop") != 0 && rename_of(trigger) == NULL)
		PG_RETURN_NULL();
	error = cadence_try(follow, trigger, 0, 0, false);
	if (error != NULL && ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
		ReThrowError(error);
	if (error != NULL)
		ereport(WARNING, (errcode(error->sqlerrcode),
						  errmsg("cadence_provider_state has not followed the servers: %s",
								 error->message)));
	PG_RETURN_NULL();
}
