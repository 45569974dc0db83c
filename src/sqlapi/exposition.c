/*
 * exposition.c
 *		Metrics as text: Prometheus' format 0.0.4, or OpenMetrics 1.0.
 *
 * They differ in three things: a counter's family is called without "_total" in
 * the latter, a bucket's bound has a point, and the end is said.
 */
#include "postgres.h"

#include <math.h>

#include "datatype/timestamp.h"

#include "sqlapi/exposition.h"

#define TOTAL "_total"

void
exposition_begin(Exposition *x, bool openmetrics)
{
	initStringInfo(&x->text);
	x->openmetrics = openmetrics;
	x->family = "";
}

/* A line is a line, and in OpenMetrics a quotation mark ends nothing. */
static void
put_escaped(StringInfo text, const char *value, bool quotes)
{
	for (const char *at = value; *at != '\0'; at++)
	{
		if (*at == '\n')
			appendStringInfoString(text, "\\n");
		else if (*at == '\\' || (*at == '"' && quotes))
			appendStringInfo(text, "\\%c", *at);
		else
			appendStringInfoChar(text, *at);
	}
}

static bool
is_counter(const char *name)
{
	size_t len = strlen(name);

	return len > strlen(TOTAL) && strcmp(name + len - strlen(TOTAL), TOTAL) == 0;
}

/* name: as its samples are called, but for the suffixes of a histogram. */
void
exposition_family(Exposition *x, const char *name, const char *type, const char *help)
{
	x->family = name;
	if (x->openmetrics && is_counter(name))
		name = pnstrdup(name, strlen(name) - strlen(TOTAL));
	appendStringInfo(&x->text, "# HELP %s ", name);
	put_escaped(&x->text, help, x->openmetrics);
	appendStringInfo(&x->text, "\n# TYPE %s %s\n", name, type);
}

/* Adds to labels, which begin empty. */
void
exposition_label(StringInfo labels, const char *name, const char *value)
{
	appendStringInfo(labels, "%s%s=\"", labels->len > 0 ? "," : "", name);
	put_escaped(labels, value, true);
	appendStringInfoChar(labels, '"');
}

static void
put_name(Exposition *x, const char *suffix, const char *labels)
{
	appendStringInfo(&x->text, "%s%s", x->family, suffix);
	if (labels[0] != '\0')
		appendStringInfo(&x->text, "{%s}", labels);
}

void
exposition_int(Exposition *x, const char *suffix, const char *labels, int64 value)
{
	put_name(x, suffix, labels);
	appendStringInfo(&x->text, " " INT64_FORMAT "\n", value);
}

/* Of microseconds. */
void
exposition_seconds(Exposition *x, const char *suffix, const char *labels, int64 us)
{
	uint64 rest = us < 0 ? -(uint64) us : (uint64) us;

	put_name(x, suffix, labels);
	appendStringInfo(&x->text, " %s" UINT64_FORMAT ".%06d\n", us < 0 ? "-" : "",
					 rest / USECS_PER_SEC, (int) (rest % USECS_PER_SEC));
}

static char *
bound_text(const Exposition *x, double bound)
{
	char *text = isinf(bound) ? "+Inf" : psprintf("%g", bound);

	if (x->openmetrics && !isinf(bound) && strchr(text, '.') == NULL)
		text = psprintf("%s.0", text);
	return text;
}

/* n: how many are in each bucket, and in none before it. The last bound has no end. */
void
exposition_histogram(Exposition *x, const char *labels, const double *bounds, int nbounds,
					 const int64 *n, int64 us)
{
	int64 all = 0;

	for (int i = 0; i < nbounds; i++)
	{
		StringInfoData bucket;

		initStringInfo(&bucket);
		appendStringInfoString(&bucket, labels);
		exposition_label(&bucket, "le", bound_text(x, bounds[i]));
		all += n[i];
		exposition_int(x, "_bucket", bucket.data, all);
	}
	exposition_seconds(x, "_sum", labels, us);
	exposition_int(x, "_count", labels, all);
}

char *
exposition_end(Exposition *x)
{
	if (x->openmetrics)
		appendStringInfoString(&x->text, "# EOF\n");
	return x->text.data;
}
