/*
 * traffic.h
 *		What every provider is sent, in shared memory: in flight now, sent and
 *		failed in the last hour, the last error.
 */
#ifndef CADENCE_TRAFFIC_H
#define CADENCE_TRAFFIC_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "storage/lwlock.h"

#include "step.h"

#define CADENCE_TRAFFIC_ERROR_MAX 256

typedef struct ProviderTraffic
{
	Oid server;
	int in_flight;
	int64 sent;	  /* in the last hour */
	int64 failed; /* in the last hour */
	TimestampTz last_error_at;
	char last_error[CADENCE_TRAFFIC_ERROR_MAX];
} ProviderTraffic;

extern Size cadence_traffic_size(void);
extern void cadence_traffic_attach(LWLock *lock);
extern void cadence_traffic_count(CadenceStep **steps, int n);
extern void cadence_traffic_publish(List *providers);
extern bool cadence_traffic_read(Oid server, ProviderTraffic *traffic);

#endif
