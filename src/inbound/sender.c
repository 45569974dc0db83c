/*
 * sender.c
 *		The server whose webhook was called, and working as the tables' owner.
 */
#include "postgres.h"

#include "foreign/foreign.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "inbound/sender.h"
#include "provider/options.h"
#include "provider/provider.h"
#include "rules/receive.h"

/*
 * As whoever looks something up for somebody else does, with the tables' schema on
 * the search path: triggers of adopted tables name theirs without one. Undone by
 * cadence_owner_end().
 */
CadenceCaller
cadence_inbound_begin(const CadenceTables *tables)
{
	CadenceCaller caller = cadence_owner_begin(tables->owner);

	(void) set_config_option(
		"search_path", psprintf("pg_catalog, %s, pg_temp", quote_identifier(tables->schema_name)),
		PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return caller;
}

/*
 * The server of that name, for as long as the current memory context; NULL: there
 * is none that counts and whose protocol has a webhook. Whatever keeps it from
 * sending, it may hear.
 */
const CadenceConfiguration *
cadence_inbound_find(const CadenceTables *tables, const char *name)
{
	const CadenceConfiguration *c = cadence_provider_named(tables->owner, name);

	if (c == NULL || c->definition == NULL || c->definition->receive == NULL || c->values == NULL)
		return NULL;
	return c;
}

/* NULL: it is gone. */
static const char *
protocol_of(Oid oid, const char **name)
{
	ForeignServer *server = GetForeignServerExtended(oid, FSV_MISSING_OK);
	const char *protocol = server != NULL ? cadence_option_get(server->options, "protocol") : NULL;

	*name = server != NULL ? server->servername : NULL;
	return protocol != NULL || server == NULL ? protocol : CADENCE_PROTOCOL_DEFAULT;
}

/*
 * Another server of the same protocol whose option, by its number among Values, has that
 * value; as cadence_inbound_find().
 */
const CadenceConfiguration *
cadence_inbound_find_by(const CadenceTables *tables, const CadenceConfiguration *like, int option,
						const char *value)
{
	const char *name;
	const char *protocol = protocol_of(like->server, &name);
	ListCell *cell;

	foreach (cell, cadence_provider_servers())
	{
		const char *its = protocol_of(lfirst_oid(cell), &name);
		const CadenceConfiguration *c;

		if (protocol == NULL || its == NULL || lfirst_oid(cell) == like->server ||
			strcmp(its, protocol) != 0 || (c = cadence_inbound_find(tables, name)) == NULL)
			continue;
		if (c->values[option - FIELD_COUNT] != NULL &&
			strcmp(c->values[option - FIELD_COUNT], value) == 0)
			return c;
	}
	return NULL;
}

InboundSender *
cadence_inbound_sender(const CadenceTables *tables, const CadenceConfiguration *c)
{
	InboundSender *sender = palloc0(sizeof(*sender));

	sender->server = c->server;
	sender->server_name = c->name;
	sender->empresa = c->empresa;
	sender->canal = c->canal;
	sender->tables = tables;
	sender->definition = c->definition;
	sender->is_international = c->definition->receive->is_international;
	return sender;
}
