/*
 * options.c
 *		The options of servers and user mappings.
 */
#include "postgres.h"

#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "utils/formatting.h"
#include "utils/guc.h"

#include "provider/options.h"
#include "provider/protocol.h"

/* What all servers and mappings take, whatever their protocol. */
static const OptionRule common[] = {
	{"canal", ForeignServerRelationId, OPTION_CANAL, 0, 0, NULL},
	{"empresa", ForeignServerRelationId, OPTION_NAME, 0, 0, NULL},
	{"url", ForeignServerRelationId, OPTION_URL, 0, 0, NULL},
	{"protocol", ForeignServerRelationId, OPTION_PROTOCOL, 0, 0, NULL},
	{"timeout", ForeignServerRelationId, OPTION_DURATION, 1, 600000, NULL},
	{"connect_timeout", ForeignServerRelationId, OPTION_DURATION, 1, 600000, NULL},
	{"max_in_flight", ForeignServerRelationId, OPTION_COUNT, 1, 10000, NULL},
	{"max_rate", ForeignServerRelationId, OPTION_RATE, 0.01, 1000000, NULL},
	{"on_uncertain", ForeignServerRelationId, OPTION_UNCERTAIN, 0, 0, NULL},
	{"record_message", ForeignServerRelationId, OPTION_BOOL, 0, 0, NULL},
	{"host", UserMappingRelationId, OPTION_HOST, 0, 0, NULL},
	{NULL, InvalidOid, OPTION_NAME, 0, 0, NULL}};

static const OptionRule *
find_in(const OptionRule *rules, Oid catalog, const char *name, bool *from_file)
{
	for (; rules->name != NULL; rules++)
	{
		size_t len = strlen(rules->name);

		if (rules->catalog != catalog || strncmp(name, rules->name, len) != 0)
			continue;
		*from_file = rules->kind == OPTION_SECRET && strcmp(name + len, "_file") == 0;
		if (name[len] == '\0' || *from_file)
			return rules;
	}
	return NULL;
}

/*
 * The rule for an option's name, NULL where there is none. A mapping does not
 * say which protocol its server has, so those of all protocols count there: the
 * protocol given is NULL.
 */
const OptionRule *
cadence_option_find(Oid catalog, const CadenceProtocol *protocol, const char *name, bool *from_file)
{
	const OptionRule *rule = find_in(common, catalog, name, from_file);

	if (rule == NULL && protocol != NULL)
		return find_in(protocol->options, catalog, name, from_file);
	for (int i = 0; rule == NULL && protocol == NULL && cadence_protocols[i] != NULL; i++)
		rule = find_in(cadence_protocols[i]->options, catalog, name, from_file);
	return rule;
}

static void
add_names(StringInfo names, const OptionRule *rules, Oid catalog)
{
	for (; rules->name != NULL; rules++)
		if (rules->catalog == catalog)
			appendStringInfo(names, "%s%s%s", names->len > 0 ? ", " : "", rules->name,
							 rules->kind == OPTION_SECRET ? psprintf(", %s_file", rules->name)
														  : "");
}

/* The valid names for a hint; empty when the object takes no options. */
char *
cadence_option_names(Oid catalog, const CadenceProtocol *protocol)
{
	StringInfoData names;

	initStringInfo(&names);
	add_names(&names, common, catalog);
	for (int i = 0; cadence_protocols[i] != NULL; i++)
		if (protocol == NULL || protocol == cadence_protocols[i])
			add_names(&names, cadence_protocols[i]->options, catalog);
	return names.data;
}

const char *
cadence_option_get(List *options, const char *name)
{
	ListCell *cell;

	foreach (cell, options)
	{
		DefElem *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, name) == 0)
			return defGetString(option);
	}
	return NULL;
}

/*
 * Reads a number of the kinds that are numbers, in milliseconds for a
 * duration; false when it is none, or outside its range.
 */
bool
cadence_option_number(const OptionRule *rule, const char *value, double *number)
{
	int flags = rule->kind == OPTION_DURATION ? GUC_UNIT_MS : 0;
	int whole;

	if (rule->kind == OPTION_RATE)
	{
		if (!parse_real(value, number, 0, NULL))
			return false;
	}
	else if (parse_int(value, &whole, flags, NULL))
		*number = whole;
	else
		return false;
	return *number >= rule->min && *number <= rule->max;
}

bool
cadence_has_control_characters(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char) *text < 0x20 || *text == 0x7F)
			return true;
	return false;
}

/* A URL's host in small letters, without its port. The URL is one that the validator let pass. */
char *
cadence_url_host(const char *url)
{
	const char *host = strstr(url, "://");
	size_t len;

	host = host != NULL ? host + 3 : url;
	len = strcspn(host, "/?#");
	for (size_t i = len; i > 0 && host[i - 1] != ']'; i--)
		if (host[i - 1] == ':')
			len = i - 1;
	return asc_tolower(host, len);
}
