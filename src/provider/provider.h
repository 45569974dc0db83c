/*
 * provider.h
 *		Where messages go: the servers of the wrapper cadence_provider, and what
 *		this process knows of each, beside its configuration.
 */
#ifndef CADENCE_PROVIDER_H
#define CADENCE_PROVIDER_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "lib/ilist.h"
#include "nodes/pg_list.h"

#include "provider/configuration.h"
#include "provider/request.h"
#include "rules/sender_history.h"

/* The channel of servers to which news go, and no messages. */
#define CADENCE_NEWS_CHANNEL "EVENTOS"

typedef struct CadenceProvider
{
	Oid server;
	CadenceConfiguration *configuration; /* the latest */
	bool gone;							 /* dropped, or no longer ours to use */

	/* the queue's */
	dlist_head waiting;
	int nwaiting;
	int in_flight;
	TimestampTz last_progress; /* when a request of it last started or ended */
	TimestampTz blocked_since; /* it has requests waiting that can not start; 0: it has not */

	/* what the engine keeps of its limits and its breaker */
	struct CadenceSenderState *sender_state; /* NULL: to be found by its configuration */
	struct CadenceSenderState *limits_state; /* the same, or its group's */
	TimestampTz shut_until;					 /* by its breaker, or by hand; 0: it is open */
	TimestampTz tripped_until; /* the same, as this process has found and not yet recorded */
	TimestampTz slow_until;	   /* the provider has asked for less */
	TimestampTz slow_tripped_until;
	TimestampTz new_until; /* nobody is written to first */
	TimestampTz new_tripped_until;
	TimestampTz next_start; /* in this process, however late the last one was */
	SenderHistory history;	/* with what is not yet recorded */
} CadenceProvider;

typedef struct CadenceProviders CadenceProviders;

extern CadenceProviders *cadence_providers_create(Oid owner);
extern void cadence_providers_refresh(CadenceProviders *providers);
extern void cadence_providers_expire(void);
extern List *cadence_provider_servers(void);
extern CadenceConfiguration *cadence_provider_named(Oid owner, const char *name);
extern List *cadence_news_companies(Oid owner);
extern List *cadence_providers_list(const CadenceProviders *providers);
extern void cadence_request_assign(CadenceRequest *request, CadenceProvider *provider,
								   MemoryContext context);

#endif
