/*
 * metrics_histograms.c
 *		Histograms: how long what has happened took.
 */
#include "postgres.h"

#include "record/tally.h"
#include "sqlapi/metrics_parts.h"

typedef struct Histogram
{
	const char *name;
	const char *help;
	const char *kind;
	const double *bounds;
	const int *nbounds;
	bool by_server;
} Histogram;

static const Histogram histograms[] = {
	{"cadence_due_to_send_seconds", "How long after it was due a message has left.", "due_to_send",
	 tally_due_bounds, &tally_due_nbounds, false},
	{"cadence_send_duration_seconds", "How long a provider took to answer.", "send_duration",
	 tally_send_bounds, &tally_send_nbounds, true},
	{"cadence_execution_duration_seconds", "How long an execution took.", "execution_duration",
	 tally_execution_bounds, &tally_execution_nbounds, false}};

static int
bucket_of(const Histogram *h, const char *code)
{
	double bound = strcmp(code, "+Inf") == 0 ? h->bounds[*h->nbounds - 1] : strtod(code, NULL);
	int i = 0;

	/* one that was counted by other bounds is in the next larger bucket */
	while (i < *h->nbounds - 1 && bound > h->bounds[i])
		i++;
	return i;
}

/* Those of one server, which follow each other: where the next begin. */
static int
put_series(Exposition *x, const Histogram *h, const Totals *totals, int first)
{
	const char *server = totals->list[first].server;
	int64 n[TALLY_BUCKETS_MAX] = {0};
	int64 us = 0;
	StringInfoData labels;
	int i = first;

	for (; i < totals->n && strcmp(totals->list[i].kind, h->kind) == 0 &&
		   strcmp(totals->list[i].server, server) == 0;
		 i++)
	{
		us += totals->list[i].us;
		if (totals->list[i].code[0] != '\0')
			n[bucket_of(h, totals->list[i].code)] += totals->list[i].n;
	}
	initStringInfo(&labels);
	if (h->by_server)
		exposition_label(&labels, "server", server);
	exposition_histogram(x, labels.data, h->bounds, *h->nbounds, n, us);
	return i;
}

static void
put_histogram(Exposition *x, const Histogram *h, const Totals *totals)
{
	int i = 0;

	exposition_family(x, h->name, "histogram", h->help);
	while (i < totals->n)
		if (strcmp(totals->list[i].kind, h->kind) == 0)
			i = put_series(x, h, totals, i);
		else
			i++;
}

void
metrics_put_histograms(Exposition *x, const Totals *totals)
{
	for (size_t i = 0; i < lengthof(histograms); i++)
		put_histogram(x, &histograms[i], totals);
}
