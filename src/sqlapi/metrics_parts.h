/*
 * metrics_parts.h
 *		What the files of the metrics share.
 */
#ifndef CADENCE_METRICS_PARTS_H
#define CADENCE_METRICS_PARTS_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "access/htup.h"
#include "access/tupdesc.h"

#include "schema/tables.h"
#include "sqlapi/exposition.h"

/* A sum that is kept. */
typedef struct Total
{
	char *kind;
	char *empresa; /* "" but for those that the setting lists */
	char *server;
	char *canal;
	char *outcome;
	char *code;
	int64 n;
	int64 us;
	TimestampTz last_at;
} Total;

typedef struct Totals
{
	Total *list; /* by kind and server */
	int n;
} Totals;

/* metrics_totals.c */
extern int64 metrics_int(HeapTuple row, TupleDesc desc, int column);
extern char *metrics_text(HeapTuple row, TupleDesc desc, int column);
extern char *metrics_label(const char *name, const char *value);
extern void metrics_put_time(Exposition *x, const char *labels, TimestampTz at);
extern Totals metrics_read_totals(const CadenceTables *tables);

/* metrics_counters.c, metrics_histograms.c */
extern void metrics_put_counters(Exposition *x, const Totals *totals);
extern void metrics_put_histograms(Exposition *x, const Totals *totals);

/* metrics_gauges.c */
extern void metrics_put_table_gauges(Exposition *x, const CadenceTables *tables);
extern void metrics_put_last_calls(Exposition *x, const Totals *totals);

/* metrics_server.c */
extern void metrics_put_worker(Exposition *x);
extern void metrics_put_in_flight(Exposition *x);

/* metrics_health.c */
extern void metrics_put_health(Exposition *x, Oid schema);

#endif
