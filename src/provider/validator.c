/*
 * validator.c
 *		cadence_provider_validator(): refuses a wrong option when it is written,
 *		not when a message is due.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
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
refuse_unknown(Oid catalog, List *definitions, const char *name)
{
	char *valid = cadence_option_names(catalog, definitions);

	ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_OPTION_NAME), errmsg("invalid option \"%s\"", name),
					valid[0] != '\0'
						? errhint("Valid options here are: %s.", valid)
						: errhint("There are no valid options here; they belong to the server "
								  "and to the user mapping.")));
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

/* Not with its value, which is a secret. */
static void
refuse_short(const char *name, size_t min_length)
{
	ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
					errmsg("option \"%s\" must have %zu characters or more", name, min_length),
					errhint("Whoever knows the webhook's address may call it: openssl rand -hex 32 "
							"makes a secret that nobody guesses.")));
}

/* One of a protocol's own, of any of these; false: it is none. */
static bool
check_own(Oid catalog, List *definitions, const char *name, const char *value)
{
	ListCell *cell;

	foreach (cell, definitions)
	{
		const Definition *d = lfirst(cell);
		bool is_secret = catalog == UserMappingRelationId;
		bool from_file;
		const DefinitionOption *own =
			cadence_option_own(is_secret ? &d->secrets : &d->options, name, &from_file);

		if (own == NULL || (from_file && !is_secret))
			continue;
		if (from_file)
			check_secret_file(name, value);
		else if (strlen(value) < own->min_length)
			refuse_short(name, own->min_length);
		else if (own->values != NULL && !cadence_option_is_one_of(value, own->values))
			refuse_value(name, value, psprintf("One of: %s.", cadence_protocol_words(own->values)));
		return true;
	}
	return false;
}

static void
check_option(Oid catalog, List *definitions, DefElem *option)
{
	const char *name = option->defname;
	const char *value = defGetString(option);
	const OptionRule *rule = cadence_option_common(catalog, name);
	const char *expected;
	bool is_own =
		rule == NULL && (catalog == ForeignServerRelationId || catalog == UserMappingRelationId);

	/* A control character would end a header's line; the value may be a secret. */
	if ((rule != NULL || is_own) && (value[0] == '\0' || cadence_has_control_characters(value)))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("option \"%s\" must not be empty or contain control characters", name)));
	if (rule != NULL)
	{
		expected = cadence_option_expected(linitial(definitions), rule, value);
		if (expected != NULL)
			refuse_value(name, value, expected);
	}
	else if (!is_own || !check_own(catalog, definitions, name, value))
		refuse_unknown(catalog, definitions, name);
}

/* An option's value or its file, whichever is given; NULL: neither. */
static const char *
given_as(List *options, const char *name)
{
	char *file = psprintf("%s_file", name);

	if (cadence_option_get(options, name) != NULL)
		return name;
	return cadence_option_get(options, file) != NULL ? file : NULL;
}

static void
require(const char *name, const char *alternative)
{
	ereport(ERROR, (errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
					errmsg("option \"%s\" is required", name),
					alternative != NULL ? errhint("Or option \"%s\".", alternative) : 0));
}

static void
check_required(List *options, const Definition *d)
{
	const DefinitionOption *missing = cadence_option_missing(options, d);

	if (cadence_option_get(options, "canal") == NULL)
		require("canal", NULL);
	if (missing != NULL)
		require(missing->name, missing->alternative);
}

static void
forbid_pair(const char *a, const char *b)
{
	ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
					errmsg("options \"%s\" and \"%s\" exclude each other", a, b)));
}

static void
check_secret(List *options, const DefinitionOption *own)
{
	const char *given = given_as(options, own->name);
	const char *other = own->excludes != NULL ? given_as(options, own->excludes) : NULL;
	char *file = psprintf("%s_file", own->name);

	if (cadence_option_get(options, file) != NULL && strcmp(given, own->name) == 0)
		forbid_pair(own->name, file);
	if (given != NULL && other != NULL)
		forbid_pair(given, other);
}

static void
check_files(List *options, const DefinitionOptions *secrets)
{
	for (size_t i = 0; i < secrets->n; i++)
		if (cadence_option_get(options, psprintf("%s_file", secrets->list[i].name)) != NULL &&
			cadence_option_get(options, "host") == NULL)
			ereport(
				ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("option \"host\" is required where a secret comes from a file"),
				 errhint("It names the host of the server's url: to no other will it be sent.")));
}

/* What no single option shows. A mapping does not say which protocol its server has. */
static void
check_together(List *options, Oid catalog, List *definitions)
{
	ListCell *cell;

	if (catalog == ForeignServerRelationId)
		check_required(options, linitial(definitions));
	if (catalog != UserMappingRelationId)
		return;
	foreach (cell, definitions)
	{
		const DefinitionOptions *secrets = &((Definition *) lfirst(cell))->secrets;

		for (size_t i = 0; i < secrets->n; i++)
			check_secret(options, &secrets->list[i]);
	}
	foreach (cell, definitions)
		check_files(options, &((Definition *) lfirst(cell))->secrets);
}

static List *
compile_all(List *protocols)
{
	List *definitions = NIL;
	ListCell *cell;

	foreach (cell, protocols)
	{
		Definition *d = cadence_protocol_compile(((CadenceProtocol *) lfirst(cell))->definition);

		if (d != NULL)
			definitions = lappend(definitions, d);
	}
	return definitions;
}

static void
refuse_protocol(const char *name)
{
	List *protocols = cadence_protocols_read(NULL);
	StringInfoData names;
	ListCell *cell;

	initStringInfo(&names);
	foreach (cell, protocols)
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "",
						 ((CadenceProtocol *) lfirst(cell))->name);
	refuse_value("protocol", name,
				 psprintf("One of: %s. cadence_protocol_define() makes others.", names.data));
}

/*
 * The definition of a server's protocol; of anything else, all. NIL where the
 * protocol is unknown and a dump is being restored, which brings its definition
 * later: a dump says so as it does for functions that name what is not there yet.
 */
static List *
definitions_for(List *options, Oid catalog)
{
	const char *name = cadence_option_get(options, "protocol");
	List *definitions;

	if (catalog != ForeignServerRelationId)
		return compile_all(cadence_protocols_read(NULL));
	if (name == NULL)
		name = CADENCE_PROTOCOL_DEFAULT;
	definitions = compile_all(cadence_protocols_read(name));
	if (definitions == NIL && check_function_bodies)
		refuse_protocol(name);
	return definitions;
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
	List *definitions;
	ListCell *cell;

	/* the wrapper itself is made, without options, before there are protocols */
	if (options == NIL && catalog == ForeignDataWrapperRelationId)
		PG_RETURN_VOID();
	definitions = definitions_for(options, catalog);
	if (definitions == NIL)
		PG_RETURN_VOID();
	foreach (cell, options)
		check_option(catalog, definitions, lfirst_node(DefElem, cell));
	check_together(options, catalog, definitions);
	PG_RETURN_VOID();
}
