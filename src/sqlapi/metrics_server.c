/*
 * metrics_server.c
 *		Gauges of the server's memory: what is under way, and when workers were last seen.
 */
#include "postgres.h"

#include "commands/dbcommands.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "provider/provider.h"
#include "provider/provider_stats.h"
#include "server/registry.h"
#include "sqlapi/metrics_parts.h"

void
metrics_put_in_flight(Exposition *x)
{
	ListCell *cell;

	exposition_family(x, "cadence_in_flight_messages", "gauge",
					  "Messages that are under way now, where the library is preloaded.");
	foreach (cell, cadence_provider_servers())
	{
		ForeignServer *server = GetForeignServerExtended(lfirst_oid(cell), FSV_MISSING_OK);
		CadenceProviderStats stats;

		if (server != NULL && cadence_provider_stats_read(server->serverid, &stats))
			exposition_int(x, "", metrics_label("server", server->servername), stats.in_flight);
	}
}

void
metrics_put_worker(Exposition *x)
{
	ResidentDatabase d;
	TimestampTz seen_at = DT_NOEND;

	exposition_family(
		x, "cadence_worker_last_seen_timestamp_seconds", "gauge",
		"When all resident workers of this database had last gone round their loops.");
	if (!cadence_registry_exists() || !registry_find(get_database_name(MyDatabaseId), &d))
		return;
	for (int i = 0; i < CADENCE_WORKERS_MAX; i++)
		if (d.workers[i].pid != 0)
			seen_at = Min(seen_at, d.workers[i].seen_at);
	if (seen_at != DT_NOEND)
		metrics_put_time(x, "", seen_at);
}
