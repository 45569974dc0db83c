/*
 * metrics_counters.c
 *		Counters: sums of what has happened, by labels of closed sets.
 */
#include "postgres.h"

#include "sqlapi/metrics_parts.h"

typedef struct Label
{
	const char *name;
	size_t field; /* of Total */
} Label;

#define FIELD(name) offsetof(Total, name)
#define LABELS_MAX 3

typedef struct Counter
{
	const char *name;
	const char *help;
	const char *kind;
	const char *code;		  /* only those; NULL: all */
	const char *of_companies; /* the same, of those that the setting lists; NULL: there is none */
	Label labels[LABELS_MAX]; /* as many as have names */
} Counter;

static const Counter counters[] = {
	{"cadence_attempts_total",
	 "Steps that executions have handled, by what became of them.",
	 "attempt",
	 NULL,
	 "cadence_attempts_by_company_total",
	 {{"server", FIELD(server)}, {"channel", FIELD(canal)}, {"outcome", FIELD(outcome)}}},
	{"cadence_errors_total",
	 "Errors of steps, by the code of their events.",
	 "error",
	 NULL,
	 NULL,
	 {{"code", FIELD(code)}}},
	{"cadence_executions_total",
	 "Executions, and minutes of work of resident workers, by who has asked for them.",
	 "execution",
	 NULL,
	 NULL,
	 {{"trigger", FIELD(code)}, {"result", FIELD(outcome)}}},
	{"cadence_deliveries_total",
	 "Receipts of messages, each counted once.",
	 "delivery",
	 "done",
	 "cadence_deliveries_by_company_total",
	 {{"server", FIELD(server)}, {"channel", FIELD(canal)}, {"status", FIELD(outcome)}}},
	{"cadence_inbound_total",
	 "Events other than receipts that were told by webhooks, or by hand.",
	 "inbound",
	 NULL,
	 NULL,
	 {{"server", FIELD(server)}, {"kind", FIELD(outcome)}, {"result", FIELD(code)}}},
	{"cadence_opt_outs_total",
	 "People who want no more messages, by how they have said so.",
	 "opt_out",
	 NULL,
	 "cadence_opt_outs_by_company_total",
	 {{"channel", FIELD(canal)}, {"kind", FIELD(outcome)}}},
	{"cadence_webhooks_total",
	 "Calls of webhooks, by how they were answered.",
	 "webhook",
	 NULL,
	 NULL,
	 {{"server", FIELD(server)}, {"result", FIELD(outcome)}}},
	{"cadence_http_requests_total",
	 "Requests over HTTP that have reached the database.",
	 "http",
	 NULL,
	 NULL,
	 {{"route", FIELD(server)}, {"method", FIELD(outcome)}, {"code", FIELD(code)}}}};

/* One of a family's samples. */
typedef struct Sample
{
	char *labels;
	int64 n;
} Sample;

static int
compare_samples(const void *a, const void *b)
{
	return strcmp(((const Sample *) a)->labels, ((const Sample *) b)->labels);
}

static char *
labels_of(const Total *total, const Counter *c, bool of_company)
{
	StringInfoData labels;

	initStringInfo(&labels);
	for (int i = 0; i < LABELS_MAX && c->labels[i].name != NULL; i++)
		exposition_label(&labels, c->labels[i].name,
						 *(char *const *) ((const char *) total + c->labels[i].field));
	if (of_company)
		exposition_label(&labels, "empresa", total->empresa);
	return labels.data;
}

/* Totals tell apart more than the labels do: what has the same labels is one sample. */
static void
put_samples(Exposition *x, Sample *list, int n)
{
	qsort(list, n, sizeof(*list), compare_samples);
	for (int i = 0; i < n; i++)
	{
		int64 sum = list[i].n;

		while (i + 1 < n && strcmp(list[i].labels, list[i + 1].labels) == 0)
			sum += list[++i].n;
		exposition_int(x, "", list[i].labels, sum);
	}
}

/* Of all, whoever is listed: so that a counter does not fall when the setting changes. */
static void
put_counter(Exposition *x, const Totals *totals, const Counter *c, bool of_companies)
{
	Sample *list = palloc(sizeof(Sample) * Max(totals->n, 1));
	int n = 0;

	for (int i = 0; i < totals->n; i++)
	{
		const Total *total = &totals->list[i];

		if (strcmp(total->kind, c->kind) == 0 &&
			(c->code == NULL || strcmp(total->code, c->code) == 0) &&
			(!of_companies || total->empresa[0] != '\0'))
			list[n++] = (Sample){labels_of(total, c, of_companies), total->n};
	}
	exposition_family(x, of_companies ? c->of_companies : c->name, "counter",
					  of_companies ? psprintf("%s By company.", c->help) : c->help);
	put_samples(x, list, n);
	pfree(list);
}

void
metrics_put_counters(Exposition *x, const Totals *totals)
{
	for (size_t i = 0; i < lengthof(counters); i++)
	{
		put_counter(x, totals, &counters[i], false);
		if (counters[i].of_companies != NULL)
			put_counter(x, totals, &counters[i], true);
	}
}
