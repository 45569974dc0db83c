/*
 * provider.h
 *		Where messages go: the servers of the wrapper cadence_provider.
 */
#ifndef CADENCE_PROVIDER_H
#define CADENCE_PROVIDER_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "lib/ilist.h"
#include "nodes/pg_list.h"

typedef struct CadenceProvider
{
	Oid server;
	MemoryContext texts;	/* what the pointers below lead to */
	MemoryContext outdated; /* what transfers under way may still point to */
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

	/* secrets: they go to the transport and nowhere else */
	char *bearer_token;
	char *username;
	char *password;
	char *basic_credentials; /* both, as HTTP Basic writes them */

	char *problem;	/* NULL, or why it can not be used */
	int generation; /* changes whenever the above may have changed */
	bool gone;		/* dropped, or no longer ours to use */

	/* the queue's state */
	dlist_head waiting;
	int nwaiting;
	int in_flight;
	TimestampTz next_start;	   /* by max_rate */
	TimestampTz last_progress; /* when a step of it last started or ended */
	TimestampTz full_since;	   /* it has steps waiting that can not start; 0: it has not */
} CadenceProvider;

/*
 * What to go past: runs that would only wait for a provider that is held up.
 * Lists of texts: "CHANNEL company" for providers of one company, "CHANNEL" for
 * those of any, and every "CHANNEL company" that has one of its own.
 */
typedef struct CadenceBlocked
{
	List *pairs;
	List *channels;
	List *served;
	char *signature; /* all of it as one text */
} CadenceBlocked;

typedef struct CadenceProviders CadenceProviders;

extern CadenceProviders *cadence_providers_create(Oid owner);
extern void cadence_providers_refresh(CadenceProviders *providers);
extern CadenceProvider *cadence_provider_choose(const CadenceProviders *providers,
												const char *canal, const char *empresa,
												const char *lead_id);
extern void cadence_providers_expire(void);
extern void cadence_provider_is_idle(CadenceProvider *provider);
extern List *cadence_providers_list(const CadenceProviders *providers);

#endif
