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

#include "provider/options.h"
#include "rules/sender_history.h"

/* What all servers and mappings take, whatever their protocol. */
static const OptionRule common[] = {
	{"canal", ForeignServerRelationId, OPTION_CANAL, 0, 0},
	{"empresa", ForeignServerRelationId, OPTION_NAME, 0, 0},
	{"url", ForeignServerRelationId, OPTION_URL, 0, 0},
	{"protocol", ForeignServerRelationId, OPTION_PROTOCOL, 0, 0},
	{"timeout", ForeignServerRelationId, OPTION_DURATION, 1, 600000},
	{"connect_timeout", ForeignServerRelationId, OPTION_DURATION, 1, 600000},
	{"max_in_flight", ForeignServerRelationId, OPTION_COUNT, 1, 10000},
	{"max_rate", ForeignServerRelationId, OPTION_RATE, 0.01, 1000000},
	{"max_per_minute", ForeignServerRelationId, OPTION_COUNT, 1, 1000000},
	{"max_per_hour", ForeignServerRelationId, OPTION_COUNT, 1, 10000000},
	{"max_per_day", ForeignServerRelationId, OPTION_COUNT, 1, 100000000},
	{"max_new_per_day", ForeignServerRelationId, OPTION_COUNT, 1, 100000000},
	{"gap", ForeignServerRelationId, OPTION_GAP, 0, 0},
	{"min_gap", ForeignServerRelationId, OPTION_PAUSE, 0, 604800000},
	{"quiet_until_reply", ForeignServerRelationId, OPTION_BOOL, 0, 0},
	{"warm_up", ForeignServerRelationId, OPTION_WARM_UP, 0, 0},
	{"domain_limits", ForeignServerRelationId, OPTION_DOMAINS, 0, 0},
	{"limit_group", ForeignServerRelationId, OPTION_NAME, 0, 0},
	{"breaker_after", ForeignServerRelationId, OPTION_COUNT, 0, SENDER_HISTORY_MAX},
	{"breaker_for", ForeignServerRelationId, OPTION_DURATION, 1000, 1800000},
	{"on_uncertain", ForeignServerRelationId, OPTION_UNCERTAIN, 0, 0},
	{"on_echo", ForeignServerRelationId, OPTION_ECHO, 0, 0},
	{"on_late_failure", ForeignServerRelationId, OPTION_LATE, 0, 0},
	{"record_message", ForeignServerRelationId, OPTION_BOOL, 0, 0},
	{"host", UserMappingRelationId, OPTION_HOST, 0, 0},
	{NULL, InvalidOid, OPTION_NAME, 0, 0}};

/* Of those that all have; NULL: it is none. */
const OptionRule *
cadence_option_common(Oid catalog, const char *name)
{
	for (const OptionRule *rule = common; rule->name != NULL; rule++)
		if (rule->catalog == catalog && strcmp(rule->name, name) == 0)
			return rule;
	return NULL;
}

/* Of a definition's options, or of its secrets, whose file may be given instead. */
const DefinitionOption *
cadence_option_own(const DefinitionOptions *options, const char *name, bool *from_file)
{
	for (size_t i = 0; i < options->n; i++)
	{
		const DefinitionOption *option = &options->list[i];
		size_t len = strlen(option->name);

		if (strncmp(name, option->name, len) != 0)
			continue;
		*from_file = strcmp(name + len, "_file") == 0;
		if (name[len] == '\0' || *from_file)
			return option;
	}
	return NULL;
}

static bool
takes(const Definition *d, const char *name, const char *value)
{
	const OptionRule *rule = cadence_option_common(ForeignServerRelationId, name);
	const DefinitionOption *own;
	bool from_file;

	if (value[0] == '\0' || cadence_has_control_characters(value))
		return false;
	if (rule != NULL)
		return cadence_option_expected(d, rule, value) == NULL;
	own = cadence_option_own(&d->options, name, &from_file);
	return own != NULL && !from_file &&
		   (own->values == NULL || cadence_option_is_one_of(value, own->values));
}

/* The first that a server lacks; NULL: it has all that its protocol needs. */
const DefinitionOption *
cadence_option_missing(List *options, const Definition *d)
{
	for (size_t i = 0; i < d->options.n; i++)
	{
		const DefinitionOption *own = &d->options.list[i];

		if (own->required && own->otherwise == NULL &&
			cadence_option_get(options, own->name) == NULL &&
			(own->alternative == NULL || cadence_option_get(options, own->alternative) == NULL))
			return own;
	}
	return NULL;
}

/* The first that a server has and its protocol does not take, or lacks; NULL: it fits. */
const char *
cadence_options_problem(List *options, const Definition *d)
{
	const DefinitionOption *missing = cadence_option_missing(options, d);
	ListCell *cell;

	foreach (cell, options)
	{
		DefElem *option = lfirst_node(DefElem, cell);

		if (!takes(d, option->defname, defGetString(option)))
			return option->defname;
	}
	return missing != NULL ? missing->name : NULL;
}

static void
add_name(StringInfo names, const char *name)
{
	appendStringInfo(names, "%s%s", names->len > 0 ? ", " : "", name);
}

static bool
has_name(const char *names, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = strstr(names, name); at != NULL; at = strstr(at + 1, name))
		if ((at == names || at[-1] == ' ') && (at[len] == '\0' || at[len] == ','))
			return true;
	return false;
}

static void
add_own(StringInfo names, const Definition *d, Oid catalog)
{
	const DefinitionOptions *options = catalog == UserMappingRelationId ? &d->secrets : &d->options;

	for (size_t i = 0; i < options->n; i++)
	{
		const char *name = options->list[i].name;

		if (cadence_option_common(catalog, name) != NULL || has_name(names->data, name))
			continue;
		add_name(names, name);
		if (catalog == UserMappingRelationId)
			add_name(names, psprintf("%s_file", name));
	}
}

/* The valid names for a hint; empty when the object takes no options. */
char *
cadence_option_names(Oid catalog, List *definitions)
{
	StringInfoData names;
	ListCell *cell;

	initStringInfo(&names);
	for (const OptionRule *rule = common; rule->name != NULL; rule++)
		if (rule->catalog == catalog)
			add_name(&names, rule->name);
	if (names.len > 0)
		foreach (cell, definitions)
			add_own(&names, lfirst(cell), catalog);
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
