/*
 * pool.h
 *		The servers that may serve a channel and a company, and which of them a
 *		person's message goes to.
 */
#ifndef CADENCE_POOL_H
#define CADENCE_POOL_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "provider/provider.h"
#include "provider/sender_state.h"

typedef struct CadencePool
{
	List *members; /* of CadenceProvider; NIL: nobody serves them */

	/* what has to be known of a person before a message goes out */
	bool is_tracked;  /* by whom, and when, the last one was sent */
	bool is_timed;	  /* when exactly */
	bool has_answers; /* whether it was answered */
	bool has_domains; /* limits depend on the recipient */
} CadencePool;

/* Who is to be written to, as far as the choice depends on it. */
typedef struct CadencePerson
{
	const char *lead_id;
	const char *server; /* that has written last; NULL: none */
	bool is_new;		/* a first touch */
} CadencePerson;

extern CadencePool *cadence_pool_of(const CadenceProviders *providers, const char *canal,
									const char *empresa);
extern CadenceProvider *cadence_pool_server(const CadencePool *pool, Oid server);
extern CadenceProvider *cadence_pool_choose(const CadencePool *pool, CadenceSenderStates *states,
											const CadencePerson *person, TimestampTz now);

#endif
