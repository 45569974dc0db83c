/*
 * options.h
 *		The options of servers and user mappings: one table for the validator
 *		that checks them and for the code that reads them. Those of one protocol
 *		stand in its definition.
 */
#ifndef CADENCE_OPTIONS_H
#define CADENCE_OPTIONS_H

#include "postgres.h"

#include "nodes/parsenodes.h"

typedef enum OptionKind
{
	OPTION_NAME,	 /* any text without control characters */
	OPTION_CANAL,	 /* WHATSAPP, SMS or EMAIL */
	OPTION_URL,		 /* of one of its protocol's schemes */
	OPTION_PROTOCOL, /* the name of one */
	OPTION_DURATION, /* with a unit, default milliseconds */
	OPTION_COUNT,
	OPTION_RATE,
	OPTION_UNCERTAIN, /* retry or hold */
	OPTION_BOOL,
	OPTION_HOST,
	OPTION_SECRET /* may come from a file instead, NAME_file */
} OptionKind;

typedef struct OptionRule
{
	const char *name;
	Oid catalog; /* of what it is an option */
	OptionKind kind;
	double min;
	double max;
	const char *excludes; /* a secret that there can not be beside this one */
} OptionRule;

struct CadenceProtocol;

extern const OptionRule *cadence_option_find(Oid catalog, const struct CadenceProtocol *protocol,
											 const char *name, bool *from_file);
extern char *cadence_option_names(Oid catalog, const struct CadenceProtocol *protocol);
extern const char *cadence_option_get(List *options, const char *name);
extern bool cadence_option_number(const OptionRule *rule, const char *value, double *number);
extern bool cadence_has_control_characters(const char *text);
extern char *cadence_url_host(const char *url);

#endif
