/*
 * configuration.h
 *		What one server and its user mapping say, as it was read: never changed,
 *		replaced by a new one when the catalog or a secret's file changes.
 *
 * Counted: it is freed when the last one that holds it lets go.
 */
#ifndef CADENCE_CONFIGURATION_H
#define CADENCE_CONFIGURATION_H

#include "postgres.h"

#include "foreign/foreign.h"
#include "nodes/pg_list.h"
#include "utils/memutils.h"

#include "provider/protocol.h"
#include "provider/secret.h"
#include "rules/limits.h"

/* Of mails to the mailboxes of one domain. */
typedef struct CadenceDomainLimit
{
	char *domain;
	int per_minute;
} CadenceDomainLimit;

typedef struct CadenceConfiguration
{
	MemoryContext context; /* all of it */
	int holders;

	Oid server;
	Definition *definition; /* of its protocol */
	char *name;
	char *canal;
	char *empresa; /* NULL: any */
	char *url;
	int timeout;		 /* milliseconds */
	int connect_timeout; /* milliseconds */
	int max_in_flight;
	bool max_in_flight_is_own; /* an option says so: it counts over all executions */
	LimitRules limits;
	char *limit_group;		/* NULL: they are the server's alone */
	int64 min_gap_us;		/* between two messages to one person, 0: none */
	bool quiet_until_reply; /* nobody who has not answered is written to again */
	CadenceDomainLimit *domains;
	int ndomains;
	int warm_up_from;
	int warm_up_to;
	int64 warm_up_us;  /* 0: none */
	int breaker_after; /* failures in a row, 0: never */
	int breaker_for;   /* milliseconds, the first time */
	bool hold;		   /* on_uncertain = 'hold' */
	int64 hold_after;  /* or by default, so many microseconds after the first attempt; 0: never */
	bool record_message;
	const char *problem; /* NULL, or why it can not be used */

	/* these go to the transport and nowhere else */
	CadenceSecret *secrets; /* in the definition's order, as many as it has */
	const char **values;	/* options and secrets, by their numbers among Values */
	char **basic;			/* by operation: a whole header line, NULL: none */
	List *hidden;			/* texts that an answer may repeat, and nobody else */
} CadenceConfiguration;

extern bool cadence_is_no_sender(const char *server);
extern CadenceConfiguration *cadence_configuration_read(const ForeignServer *server, List *mapping);
extern const char **cadence_configuration_values(const CadenceConfiguration *c,
												 const char *const *fields);
extern const CadenceDomainLimit *cadence_configuration_domain_limit(const CadenceConfiguration *c,
																	const char *address);
extern bool cadence_configuration_is_outdated(const CadenceConfiguration *c);
extern void cadence_configuration_hold_in(CadenceConfiguration *c, MemoryContext context);

static inline void
cadence_configuration_hold(CadenceConfiguration *c)
{
	c->holders++;
}

static inline void
cadence_configuration_release(CadenceConfiguration *c)
{
	if (--c->holders == 0)
		MemoryContextDelete(c->context);
}

/*
 * Of an option of the protocol's own, or a secret; NULL: it has none. Here, since the
 * transport asks as well, and calls no function of the other library.
 */
static inline const char *
cadence_configuration_value(const CadenceConfiguration *c, const char *name)
{
	const DefinitionOptions *lists[] = {&c->definition->options, &c->definition->secrets};
	size_t before = 0;

	for (int i = 0; i < 2; i++)
	{
		for (size_t k = 0; k < lists[i]->n; k++)
			if (strcmp(lists[i]->list[k].name, name) == 0)
				return c->values[before + k];
		before += lists[i]->n;
	}
	return NULL;
}

#endif
