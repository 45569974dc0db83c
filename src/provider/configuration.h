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

typedef struct CadenceConfiguration
{
	MemoryContext context; /* all of it */
	int holders;

	Oid server;
	const CadenceProtocol *protocol;
	char *name;
	char *canal;
	char *empresa; /* NULL: any */
	char *url;
	int timeout;		 /* milliseconds */
	int connect_timeout; /* milliseconds */
	int max_in_flight;
	double max_rate; /* messages per second, 0: no limit */
	bool limited;	 /* has a max_in_flight or a max_rate of its own */
	bool hold;		 /* on_uncertain = 'hold' */
	bool record_message;
	const char *problem; /* NULL, or why it can not be used */

	/* these go to the transport and nowhere else */
	CadenceSecret *secrets;
	int nsecrets;
	List *headers; /* whole lines */
	List *hidden;  /* texts that an answer may repeat, and nobody else */
} CadenceConfiguration;

extern CadenceConfiguration *cadence_configuration_read(const ForeignServer *server, List *mapping);
extern char *cadence_configuration_secret(const CadenceConfiguration *c, const char *name);
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

#endif
