/*
 * validator.c
 *		cadence_provider_validator(): refuses a wrong option when it is written,
 *		not when a message is due.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "provider/options.h"
#include "provider/protocol.h"

PG_FUNCTION_INFO_V1(cadence_provider_validator);

/* A value is repeated, but not where it may carry a password: "user:password@host". */
static void
refuse_value(const char *name, const char *value, const char *expected)
{
	if (strchr(value, '@') != NULL)
		value = "...";
	ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
					errmsg("invalid value for option \"%s\": \"%s\"", name, value),
					errhint("%s", expected)));
}

static void
refuse_unknown(Oid catalog, const CadenceProtocol *protocol, const char *name)
{
	char *valid = cadence_option_names(catalog, protocol);

	ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_OPTION_NAME), errmsg("invalid option \"%s\"", name),
					valid[0] != '\0'
						? errhint("Valid options here are: %s.", valid)
						: errhint("There are no valid options here; they belong to the server "
								  "and to the user mapping.")));
}

/*
 * Only what the promise needs is checked: the scheme, a host, and no password
 * in the address (every user may read a server's options). Whether the rest is
 * a URL is the transport's to say.
 */
static void
check_url(const CadenceProtocol *protocol, const char *name, const char *value)
{
	const char *host = NULL;
	size_t authority;

	for (const char *const *scheme = protocol->schemes; *scheme != NULL && host == NULL; scheme++)
	{
		size_t len = strlen(*scheme);

		if (pg_strncasecmp(value, *scheme, len) == 0 && strncmp(value + len, "://", 3) == 0)
			host = value + len + 3;
	}
	if (host == NULL)
		refuse_value(name, value,
					 psprintf("A URL starts with one of these, and \"://\": %s.",
							  cadence_protocol_words(protocol->schemes)));

	authority = strcspn(host, "/?#");
	if (authority == 0 || host[0] == ':')
		refuse_value(name, value, "A URL names a host.");
	if (memchr(host, '@', authority) != NULL)
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
						errmsg("option \"%s\" must not contain a user or a password", name),
						errhint("Put username and password into a user mapping: everybody may "
								"read a server's options.")));
	if (strpbrk(value, " \t\"<>\\^`{|}") != NULL)
		refuse_value(name, value,
					 "Blanks and other special characters are written as %xx in a URL.");
}

static void
check_word(const char *name, const char *value, const char *const *words)
{
	for (int i = 0; words[i] != NULL; i++)
		if (pg_strcasecmp(value, words[i]) == 0)
			return;
	refuse_value(name, value, psprintf("One of: %s.", cadence_protocol_words(words)));
}

/* As it is compared with the URL's: without a scheme, a port or a path. */
static void
check_host(const char *name, const char *value)
{
	if (strpbrk(value, "/?#@ ") != NULL || (value[0] != '[' && strchr(value, ':') != NULL))
		refuse_value(name, value, "The name of a host, without a port.");
}

static void
check_number(const OptionRule *rule, const char *value)
{
	double number;

	if (cadence_option_number(rule, value, &number))
		return;
	if (rule->kind == OPTION_DURATION)
		refuse_value(rule->name, value,
					 "A duration from 1ms to 10min; without a unit: milliseconds.");
	refuse_value(rule->name, value, psprintf("A number from %g to %g.", rule->min, rule->max));
}

static void
check_secret_file(const char *name, const char *value)
{
	if (!superuser())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("only a superuser may set option \"%s\"", name),
						errdetail("It makes the server read a file with the server's rights.")));
	if (!is_absolute_path(value))
		refuse_value(name, value, "A secret's file is named by its absolute path.");
}

static void
check_value(const CadenceProtocol *protocol, const OptionRule *rule, const char *value)
{
	static const char *const policies[] = {"retry", "hold", NULL};
	bool flag;

	switch (rule->kind)
	{
		case OPTION_CANAL:
			check_word(rule->name, value, protocol->channels);
			break;
		case OPTION_UNCERTAIN:
			check_word(rule->name, value, policies);
			break;
		case OPTION_URL:
			check_url(protocol, rule->name, value);
			break;
		case OPTION_HOST:
			check_host(rule->name, value);
			break;
		case OPTION_DURATION:
		case OPTION_COUNT:
		case OPTION_RATE:
			check_number(rule, value);
			break;
		case OPTION_BOOL:
			if (!parse_bool(value, &flag))
				refuse_value(rule->name, value, "Either on or off.");
			break;
		case OPTION_PROTOCOL:
		case OPTION_NAME:
		case OPTION_SECRET:
			break;
	}
}

static void
check_option(Oid catalog, const CadenceProtocol *protocol, DefElem *option)
{
	const char *value = defGetString(option);
	bool from_file;
	const OptionRule *rule = cadence_option_find(catalog, protocol, option->defname, &from_file);

	if (rule == NULL)
		refuse_unknown(catalog, protocol, option->defname);
	/* A control character would end a header's line; the value may be a secret. */
	if (value[0] == '\0' || cadence_has_control_characters(value))
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
						errmsg("option \"%s\" must not be empty or contain control characters",
							   option->defname)));
	if (from_file)
		check_secret_file(option->defname, value);
	else
		check_value(protocol, rule, value);
}

static void
require(List *options, const char *name)
{
	if (cadence_option_get(options, name) == NULL)
		ereport(ERROR, (errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
						errmsg("option \"%s\" is required", name)));
}

/* A secret's value or its file, whichever is given; NULL: neither. */
static const char *
given_as(List *options, const char *name)
{
	char *file = psprintf("%s_file", name);

	if (cadence_option_get(options, name) != NULL)
		return name;
	return cadence_option_get(options, file) != NULL ? file : NULL;
}

static void
forbid_pair(const char *a, const char *b)
{
	ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
					errmsg("options \"%s\" and \"%s\" exclude each other", a, b)));
}

static void
check_secret(List *options, const OptionRule *rule)
{
	const char *given = given_as(options, rule->name);
	const char *other = rule->excludes != NULL ? given_as(options, rule->excludes) : NULL;
	char *file = psprintf("%s_file", rule->name);
	bool has_file = cadence_option_get(options, file) != NULL;

	if (has_file && strcmp(given, rule->name) == 0)
		forbid_pair(rule->name, file);
	if (given != NULL && other != NULL)
		forbid_pair(given, other);
	if (has_file && cadence_option_get(options, "host") == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("option \"host\" is required where a secret comes from a file"),
				 errhint("It names the host of the server's url: to no other will it be sent.")));
}

/* What no single option shows: the ones that must be there, and the pairs that must not. */
static void
check_together(List *options, Oid catalog)
{
	if (catalog == ForeignServerRelationId)
	{
		require(options, "canal");
		require(options, "url");
	}
	for (int i = 0; catalog == UserMappingRelationId && cadence_protocols[i] != NULL; i++)
		for (const OptionRule *rule = cadence_protocols[i]->options; rule->name != NULL; rule++)
			if (rule->kind == OPTION_SECRET)
				check_secret(options, rule);
}

/* Of a server; a mapping does not say. */
static const CadenceProtocol *
protocol_of(List *options, Oid catalog)
{
	const char *name = cadence_option_get(options, "protocol");
	const CadenceProtocol *protocol = cadence_protocol_find(name);
	StringInfoData names;

	if (catalog != ForeignServerRelationId)
		return NULL;
	if (protocol != NULL)
		return protocol;
	initStringInfo(&names);
	for (int i = 0; cadence_protocols[i] != NULL; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", cadence_protocols[i]->name);
	refuse_value("protocol", name, psprintf("One of: %s.", names.data));
	pg_unreachable();
}

/*
 * cadence_provider_validator(options text[], catalog oid) -> void
 *
 * Errors: HV00D for a name that is no option here, HV024 for a value of the
 * wrong type or outside its range, HV002 for a missing option, 42501 for a
 * *_file option set by somebody else than a superuser.
 */
Datum
cadence_provider_validator(PG_FUNCTION_ARGS)
{
	List *options = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid catalog = PG_GETARG_OID(1);
	const CadenceProtocol *protocol = protocol_of(options, catalog);
	ListCell *cell;

	foreach (cell, options)
		check_option(catalog, protocol, lfirst_node(DefElem, cell));
	check_together(options, catalog);
	PG_RETURN_VOID();
}
