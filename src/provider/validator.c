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
refuse_unknown(Oid catalog, const char *name)
{
	char *valid = cadence_option_names(catalog);

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
check_url(const char *name, const char *value)
{
	const char *host = NULL;
	size_t authority;

	if (pg_strncasecmp(value, "https://", 8) == 0)
		host = value + 8;
	else if (pg_strncasecmp(value, "http://", 7) == 0)
		host = value + 7;
	if (host == NULL)
		refuse_value(name, value, "A URL starts with http:// or https://.");

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
check_one_of(const char *name, const char *value, const char *const *words, const char *expected)
{
	for (; *words != NULL; words++)
		if (pg_strcasecmp(value, *words) == 0)
			return;
	refuse_value(name, value, expected);
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
check_secret_file(const OptionRule *rule, const char *value)
{
	if (!superuser())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("only a superuser may set option \"%s\"", rule->name),
						errdetail("It makes the server read a file with the server's rights.")));
	if (!is_absolute_path(value))
		refuse_value(rule->name, value, "A secret's file is named by its absolute path.");
}

static void
check_option(const OptionRule *rule, const char *value)
{
	static const char *const canais[] = {"WHATSAPP", "SMS", "EMAIL", NULL};
	static const char *const protocols[] = {"webhook", NULL};
	static const char *const policies[] = {"retry", "hold", NULL};
	bool flag;

	/* A control character would end a header's line; the value may be a secret. */
	if (value[0] == '\0' || cadence_has_control_characters(value))
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
						errmsg("option \"%s\" must not be empty or contain control characters",
							   rule->name)));
	switch (rule->kind)
	{
		case OPTION_CANAL:
			check_one_of(rule->name, value, canais, "Channels are WHATSAPP, SMS and EMAIL.");
			break;
		case OPTION_PROTOCOL:
			check_one_of(rule->name, value, protocols, "The protocol is webhook.");
			break;
		case OPTION_UNCERTAIN:
			check_one_of(rule->name, value, policies, "Either retry or hold.");
			break;
		case OPTION_URL:
			check_url(rule->name, value);
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
		case OPTION_SECRET_FILE:
			check_secret_file(rule, value);
			break;
		case OPTION_NAME:
		case OPTION_SECRET:
			break;
	}
}

static void
require(List *options, const char *name)
{
	if (cadence_option_get(options, name) == NULL)
		ereport(ERROR, (errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
						errmsg("option \"%s\" is required", name)));
}

static void
forbid_pair(List *options, const char *a, const char *b)
{
	if (cadence_option_get(options, a) != NULL && cadence_option_get(options, b) != NULL)
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
						errmsg("options \"%s\" and \"%s\" exclude each other", a, b)));
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
	else if (catalog == UserMappingRelationId)
	{
		forbid_pair(options, "bearer_token", "bearer_token_file");
		forbid_pair(options, "username", "username_file");
		forbid_pair(options, "password", "password_file");
		forbid_pair(options, "bearer_token", "username");
		forbid_pair(options, "bearer_token", "username_file");
		forbid_pair(options, "bearer_token_file", "username");
		forbid_pair(options, "bearer_token_file", "username_file");
	}
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
	ListCell *cell;

	foreach (cell, options)
	{
		DefElem *option = lfirst_node(DefElem, cell);
		const OptionRule *rule = cadence_option_find(catalog, option->defname);

		if (rule == NULL)
			refuse_unknown(catalog, option->defname);
		check_option(rule, defGetString(option));
	}
	check_together(options, catalog);
	PG_RETURN_VOID();
}
