/*
 * options.h
 *		The options of servers and user mappings: one table for the validator
 *		that checks them and for the code that reads them. Those of one protocol
 *		stand in its definition; its secrets may come from a file, as NAME_file.
 */
#ifndef CADENCE_OPTIONS_H
#define CADENCE_OPTIONS_H

#include "postgres.h"

#include "nodes/parsenodes.h"

#include "rules/definition.h"

typedef enum OptionKind
{
	OPTION_NAME,	 /* any text without control characters */
	OPTION_CANAL,	 /* WHATSAPP, SMS or EMAIL */
	OPTION_URL,		 /* http or smtp, as its protocol's transport */
	OPTION_PROTOCOL, /* the name of one */
	OPTION_DURATION, /* with a unit, default milliseconds */
	OPTION_PAUSE,	 /* the same, but its unit has to be said */
	OPTION_COUNT,
	OPTION_RATE,
	OPTION_UNCERTAIN, /* retry or hold */
	OPTION_ECHO,	  /* pause or ignore */
	OPTION_LATE,	  /* keep or resend */
	OPTION_BOOL,
	OPTION_GAP,		/* a duration, or two: '30s..60s' */
	OPTION_WARM_UP, /* '20..200/30d' */
	OPTION_DOMAINS, /* '{"gmail.com": 20}' */
	OPTION_HOST
} OptionKind;

typedef struct OptionRule
{
	const char *name;
	Oid catalog; /* of what it is an option */
	OptionKind kind;
	double min;
	double max;
} OptionRule;

extern const OptionRule *cadence_option_common(Oid catalog, const char *name);
extern const DefinitionOption *cadence_option_own(const DefinitionOptions *options,
												  const char *name, bool *from_file);
extern const DefinitionOption *cadence_option_missing(List *options, const Definition *definition);
extern const char *cadence_options_problem(List *options, const Definition *d);
extern char *cadence_option_names(Oid catalog, List *definitions);
extern const char *cadence_option_get(List *options, const char *name);
extern bool cadence_option_number(const OptionRule *rule, const char *value, double *number);
extern bool cadence_option_gap(const char *value, int64 *from_ms, int64 *to_ms);
extern bool cadence_option_warm_up(const char *value, int *from, int *to, int64 *over_ms);
extern bool cadence_option_is_one_of(const char *value, const char *const *words);
extern const char *cadence_option_expected(const Definition *d, const OptionRule *rule,
										   const char *value);
extern bool cadence_has_control_characters(const char *text);
extern char *cadence_url_host(const char *url);

#endif
