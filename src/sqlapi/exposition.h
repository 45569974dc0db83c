/*
 * exposition.h
 *		Metrics as text: Prometheus' format 0.0.4, or OpenMetrics 1.0.
 */
#ifndef CADENCE_EXPOSITION_H
#define CADENCE_EXPOSITION_H

#include "postgres.h"

#include "lib/stringinfo.h"

typedef struct Exposition
{
	StringInfoData text;
	bool openmetrics;
	const char *family; /* whose samples follow, without _total in OpenMetrics */
} Exposition;

extern void exposition_begin(Exposition *x, bool openmetrics);
extern void exposition_family(Exposition *x, const char *name, const char *type, const char *help);
extern void exposition_label(StringInfo labels, const char *name, const char *value);
extern void exposition_int(Exposition *x, const char *suffix, const char *labels, int64 value);
extern void exposition_seconds(Exposition *x, const char *suffix, const char *labels, int64 us);
extern void exposition_histogram(Exposition *x, const char *labels, const double *bounds,
								 int nbounds, const int64 *n, int64 us);
extern char *exposition_end(Exposition *x);

#endif
