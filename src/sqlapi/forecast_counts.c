/*
 * forecast_counts.c
 *		What has been sent so far, of what the policies count.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/settings.h"
#include "base/uuid.h"
#include "sqlapi/forecast_parts.h"

typedef struct CountEntry
{
	uint64 key;
	ForecastCount *count;
} CountEntry;

void
forecast_counts_begin(Loader *l)
{
	l->usages = cadence_usages_create(l->forecast->tables, true);
	l->counts = forecast_table(l, "cadence_forecast counts", sizeof(uint64), sizeof(CountEntry));
}

/* Of a company, or a cadence: whoever counts for one shares it. */
ForecastCount *
forecast_count(Loader *l, uint64 key)
{
	bool found;
	CountEntry *entry = hash_search(l->counts, &key, HASH_ENTER, &found);

	if (!found)
	{
		entry->count = MemoryContextAllocZero(l->forecast->context, sizeof(ForecastCount));
		entry->count->last_at = CALENDAR_NEVER;
	}
	return entry->count;
}

static void
read_counts(Loader *l, UsageRow **rows, ForecastCount **counts, int n)
{
	cadence_usages_find(l->usages, rows, n);
	for (int i = 0; i < n; i++)
	{
		counts[i]->day = rows[i]->day;
		counts[i]->used = rows[i]->used;
		/* a clock that was wrong may have counted it */
		if (rows[i]->last_at != 0 &&
			rows[i]->last_at <= l->forecast->now + cadence_lease * USECS_PER_SEC)
			counts[i]->last_at = rows[i]->last_at;
	}
}

static UsageRow *
usage_row(Loader *l, const char *scope, const char *name, const char *empresa,
		  const ForecastCalendar *c)
{
	UsageRow *row = palloc0(sizeof(*row));

	row->scope = scope;
	row->name = name != NULL ? name : "";
	row->empresa = empresa != NULL ? empresa : "";
	row->day = calendar_day(&c->calendar, l->forecast->now);
	return row;
}

/* One of those that are read one by one, since they are few. */
static void
read_count(Loader *l, const PlannedCadence *plan, const char *scope, const char *name,
		   const char *empresa, ForecastCount *count)
{
	UsageRow *row = usage_row(l, scope, name, empresa, plan->policy.company);

	read_counts(l, &row, &count, 1);
}

/* When the company's calendar is known. */
void
forecast_counts_of_plan(Loader *l, const PlannedCadence *plan, const char *empresa)
{
	const int *max = plan->policy.max;
	ForecastCount *const *counts = plan->policy.counts;
	char cadence[UUID_TEXT_SIZE];

	cadence_uuid_text(&plan->cadence_id, cadence);
	if (max[DECIDE_CAP_COMPANY] != 0)
		read_count(l, plan, "EMPRESA", "", empresa, counts[DECIDE_CAP_COMPANY]);
	if (max[DECIDE_CAP_CADENCE] != 0)
		read_count(l, plan, "CADENCIA", cadence, "", counts[DECIDE_CAP_CADENCE]);
	if (max[DECIDE_CAP_NEW] != 0)
		read_count(l, plan, "NOVOS", cadence, "", counts[DECIDE_CAP_NEW]);
}

typedef struct PersonRow
{
	UsageRow *row;
	ForecastCount *count;
} PersonRow;

static int
compare_rows(const void *a, const void *b)
{
	return cadence_usage_compare(((const PersonRow *) a)->row, ((const PersonRow *) b)->row);
}

/* Of people whom something counts for. */
void
forecast_counts_of_people(Loader *l, Member *members, int n)
{
	PersonRow *all = palloc(sizeof(*all) * Max(n, 1));
	UsageRow **rows = palloc(sizeof(*rows) * Max(n, 1));
	ForecastCount **counts = palloc(sizeof(*counts) * Max(n, 1));
	int nall = 0;
	int nrows = 0;

	for (int i = 0; i < n; i++)
	{
		const PlannedRun *run = members[i].run;

		if (run == NULL || (run->plan->policy.max[DECIDE_CAP_PERSON] == 0 &&
							run->plan->policy.decide.min_gap == 0))
			continue;
		all[nall++] =
			(PersonRow){.row = usage_row(l, "LEAD", members[i].step->ruling->lead_id,
										 members[i].step->ruling->empresa, run->run.person),
						.count = run->run.count};
	}
	qsort(all, nall, sizeof(*all), compare_rows);
	for (int i = 0; i < nall; i++)
	{
		if (nrows > 0 && cadence_usage_compare(rows[nrows - 1], all[i].row) == 0)
			continue;
		rows[nrows] = all[i].row;
		counts[nrows++] = all[i].count;
	}
	if (nrows > 0)
		read_counts(l, rows, counts, nrows);
}
