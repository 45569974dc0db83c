/*
 * kept_lookup.c
 *		What earlier attempts at steps have left to the next one.
 *
 * Asked only for steps that were attempted before: a first attempt costs nothing.
 * A message of which nobody knows whether it arrived is sent again as it was,
 * whatever its template and its contact have become: a provider that knows the
 * key must find the same message under it, and a person must not get two
 * different ones. Where the provider has said that the 24-hour window is closed,
 * it is, until the person writes again; where it holds the message for review,
 * that is not sent again at all. And what was answered, so that the same is
 * known when it comes again.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/statement.h"
#include "provider/kept.h"
#include "resolve/kept_lookup.h"
#include "schema/edition.h"

struct CadenceKeptLookup
{
	Statement find;
};

static const RowsetColumn wanted_columns[] = {
	{"n", INT4OID}, {"run_id", UUIDOID}, {"ordem", INT4OID}, {"names", TEXTARRAYOID}};

enum
{
	FOUND_NUMBER = 1,
	FOUND_EVENT
};

/* in_query: for one call in somebody's query, inside its SPI connection. */
CadenceKeptLookup *
cadence_kept_lookup_create(const CadenceTables *t, bool in_query)
{
	CadenceKeptLookup *lookup = palloc0(sizeof(*lookup));

	lookup->find = ROWS_STATEMENT("looking for earlier attempts",
								  psprintf("SELECT d.n, e.* FROM " ROWSET_NAME
										   " AS d CROSS JOIN LATERAL %s AS e "
										   "ORDER BY d.n, e.created_at DESC, e.id DESC",
										   kept_events_sql(t, "d.run_id", "d.ordem", "d.names")),
								  SPI_OK_SELECT);
	lookup->find.in_query = in_query;
	return lookup;
}

static void
note(const KeptSearch *search, CadenceStep *step)
{
	step->kept = search->request;
	step->held = search->held;
	step->earlier = search->answers != NULL ? search->answers->data : NULL;
	if (search->closed_at != 0 &&
		(step->heard_at <= search->closed_at || step->heard_at > GetCurrentTimestamp()))
		step->window_is_open = false;
}

/* Where the batch has no room for what is large, the step has its turn in another one. */
static void
read_event(TupleDesc desc, HeapTuple row, KeptSearch *search, CadenceStep *step)
{
	CHECK_FOR_INTERRUPTS();
	if (!search->is_over && kept_event_size(desc, row, FOUND_EVENT) > LARGE_TEXT &&
		!step_lookup_has_room())
	{
		search->is_over = search->answers_are_over = true;
		step->outcome = OUTCOME_UNSENT;
	}
	kept_search(search, desc, row, FOUND_EVENT);
	note(search, step);
}

/*
 * Notes in steps what was left to them, in the current memory context, inside an
 * SPI connection. found is what is there for each.
 */
void
cadence_kept_lookup_find(CadenceKeptLookup *lookup, CadenceStep **steps, int n,
						 CadenceStepLookup **found)
{
	Rowset wanted;

	rowset_begin(&wanted, wanted_columns, lengthof(wanted_columns));
	for (int i = 0; i < n; i++)
	{
		NumberedStep step = {&steps[i]->run_id, &found[i]->step_id, found[i]->ordem,
							 steps[i]->edition};
		Datum names;

		if (steps[i]->attempts <= 1 || !found[i]->has_step)
			continue;
		rowset_put_int(&wanted, i);
		rowset_put_uuid(&wanted, &steps[i]->run_id);
		rowset_put_int(&wanted, step.ordem);
		names = cadence_step_names(&step);
		rowset_put_if(&wanted, names != 0, names);
	}
	if (wanted.n > 0)
	{
		KeptSearch *searches = palloc0(sizeof(*searches) * n);

		statement_execute(&lookup->find, NULL, NULL, 0);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			HeapTuple row = SPI_tuptable->vals[i];
			TupleDesc desc = SPI_tuptable->tupdesc;
			int number = row_int(desc, row, FOUND_NUMBER, 0);

			read_event(desc, row, &searches[number], steps[number]);
		}
		SPI_freetuptable(SPI_tuptable);
		pfree(searches);
	}
	rowset_end(&wanted);
}
