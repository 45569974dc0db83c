/*
 * protocol.h
 *		How a provider's API is spoken: the rows of cadence_protocols.
 */
#ifndef CADENCE_PROTOCOL_H
#define CADENCE_PROTOCOL_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "rules/definition.h"

/* The protocol of a server that names none. */
#define CADENCE_PROTOCOL_DEFAULT "webhook"

/* The table's columns. */
enum
{
	PROTOCOL_NAME = 1,
	PROTOCOL_DEFINITION,
	PROTOCOL_BUILT_IN
};

typedef struct CadenceProtocol
{
	char *name;
	char *definition; /* JSON */
} CadenceProtocol;

extern Oid cadence_protocols_table(void);
extern List *cadence_protocols_read(const char *name);
extern Definition *cadence_protocol_compile(const char *json);
extern char *cadence_protocol_words(const char *const *words);

#endif
