/*
 * options.h
 *		The options of servers and user mappings: one table for the validator
 *		that checks them and for the code that reads them.
 */
#ifndef CADENCE_OPTIONS_H
#define CADENCE_OPTIONS_H

#include "postgres.h"

#include "nodes/parsenodes.h"

typedef enum OptionKind
{
	OPTION_NAME,	 /* any text without control characters */
	OPTION_CANAL,	 /* WHATSAPP, SMS or EMAIL */
	OPTION_URL,		 /* http or https */
	OPTION_PROTOCOL, /* webhook */
	OPTION_DURATION, /* with a unit, default milliseconds */
	OPTION_COUNT,
	OPTION_RATE,
	OPTION_UNCERTAIN, /* retry or hold */
	OPTION_BOOL,
	OPTION_SECRET,
	OPTION_SECRET_FILE /* superuser only */
} OptionKind;

typedef struct OptionRule
{
	const char *name;
	Oid catalog; /* of what it is an option */
	OptionKind kind;
	double min;
	double max;
} OptionRule;

extern const OptionRule *cadence_option_find(Oid catalog, const char *name);
extern char *cadence_option_names(Oid catalog);
extern const char *cadence_option_get(List *options, const char *name);
extern bool cadence_option_number(const OptionRule *rule, const char *value, double *number);
extern bool cadence_has_control_characters(const char *text);

#endif
