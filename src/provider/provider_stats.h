/*
 * provider_stats.h
 *		What every provider is sent, in shared memory: in flight now, sent and
 *		failed in the last hour, the last error.
 */
#ifndef CADENCE_PROVIDER_STATS_H
#define CADENCE_PROVIDER_STATS_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "storage/lwlock.h"

#define CADENCE_PROVIDER_ERROR_MAX 256

typedef struct CadenceProviderStats
{
	int in_flight;
	int64 sent;	  /* in the last hour */
	int64 failed; /* in the last hour */
	TimestampTz last_error_at;
	char last_error[CADENCE_PROVIDER_ERROR_MAX];
} CadenceProviderStats;

extern Size cadence_provider_stats_size(void);
extern void cadence_provider_stats_attach(LWLock *lock);
extern void cadence_provider_stats_count(Oid server, bool sent, const char *error);
extern void cadence_provider_stats_publish(List *providers);
extern bool cadence_provider_stats_read(Oid server, CadenceProviderStats *stats);

#endif
