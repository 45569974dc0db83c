/*
 * options.c
 *		The options of servers and user mappings.
 */
#include "postgres.h"

#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "utils/guc.h"

#include "provider/options.h"

static const OptionRule rules[] = {
	{"canal", ForeignServerRelationId, OPTION_CANAL, 0, 0},
	{"empresa", ForeignServerRelationId, OPTION_NAME, 0, 0},
	{"url", ForeignServerRelationId, OPTION_URL, 0, 0},
	{"protocol", ForeignServerRelationId, OPTION_PROTOCOL, 0, 0},
	{"timeout", ForeignServerRelationId, OPTION_DURATION, 1, 600000},
	{"connect_timeout", ForeignServerRelationId, OPTION_DURATION, 1, 600000},
	{"max_in_flight", ForeignServerRelationId, OPTION_COUNT, 1, 10000},
	{"max_rate", ForeignServerRelationId, OPTION_RATE, 0.01, 1000000},
	{"on_uncertain", ForeignServerRelationId, OPTION_UNCERTAIN, 0, 0},
	{"record_message", ForeignServerRelationId, OPTION_BOOL, 0, 0},
	{"bearer_token", UserMappingRelationId, OPTION_SECRET, 0, 0},
	{"username", UserMappingRelationId, OPTION_SECRET, 0, 0},
	{"password", UserMappingRelationId, OPTION_SECRET, 0, 0},
	{"bearer_token_file", UserMappingRelationId, OPTION_SECRET_FILE, 0, 0},
	{"username_file", UserMappingRelationId, OPTION_SECRET_FILE, 0, 0},
	{"password_file", UserMappingRelationId, OPTION_SECRET_FILE, 0, 0},
};

const OptionRule *
cadence_option_find(Oid catalog, const char *name)
{
	for (size_t i = 0; i < lengthof(rules); i++)
		if (rules[i].catalog == catalog && strcmp(rules[i].name, name) == 0)
			return &rules[i];
	return NULL;
}

/* The valid names for a hint; empty when the object takes no options. */
char *
cadence_option_names(Oid catalog)
{
	StringInfoData names;

	initStringInfo(&names);
	for (size_t i = 0; i < lengthof(rules); i++)
		if (rules[i].catalog == catalog)
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", rules[i].name);
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
