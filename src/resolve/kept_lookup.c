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

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/timestamp.h"

#include "base/json.h"
#include "base/row.h"
#include "base/statement.h"
#include "provider/kept.h"
#include "resolve/kept_lookup.h"

struct CadenceKeptLookup
{
	Statement find;
};

static const RowsetColumn wanted_columns[] = {
	{"n", INT4OID}, {"run_id", UUIDOID}, {"ordem", INT4OID}};

enum
{
	FOUND_NUMBER = 1,
	FOUND_DETAILS,
	FOUND_WRITTEN_AT,
	FOUND_CODE,
	FOUND_IS_LEFT,
	FOUND_ANSWERS
};

/* The member is a part of an event's details, with names and the rest of them around it. */
#define DETAILS_MAX (KEPT_BYTES_MAX + 1024 * 1024)

/* in_query: for one call in somebody's query, inside its SPI connection. */
CadenceKeptLookup *
cadence_kept_lookup_create(const CadenceTables *t, bool in_query)
{
	CadenceKeptLookup *lookup = palloc0(sizeof(*lookup));

	lookup->find =
		ROWS_STATEMENT("looking for earlier attempts",
					   psprintf("SELECT d.n, e.detalhes, e.created_at, "
								"e.detalhes " JSON_TEXT " 'codigo', e.is_left, a.answers "
								"FROM " ROWSET_NAME " AS d "
								"LEFT JOIN LATERAL %s AS e ON true "
								"CROSS JOIN LATERAL %s AS a",
								kept_newest_sql(t, "d.run_id", "d.ordem"),
								kept_answers_sql(t, "d.run_id", "d.ordem")),
					   SPI_OK_SELECT);
	lookup->find.in_query = in_query;
	return lookup;
}

/* Where the batch has no room for what is large, the step has its turn in another one. */
static void
read_kept(TupleDesc desc, HeapTuple row, CadenceStep *step)
{
	bool isnull;
	Datum details = heap_getattr(row, FOUND_DETAILS, desc, &isnull);
	Size size = toast_raw_datum_size(details);

	if (size > DETAILS_MAX)
		return;
	if (size > LARGE_TEXT && !step_lookup_has_room())
		step->outcome = OUTCOME_UNSENT;
	else
		step->kept = kept_read(details, row_time(desc, row, FOUND_WRITTEN_AT, DT_NOBEGIN));
}

/* What is too large is not ours. */
static void
read_held(TupleDesc desc, HeapTuple row, CadenceStep *step)
{
	bool isnull;
	Datum details = heap_getattr(row, FOUND_DETAILS, desc, &isnull);
	JsonObject none = json_begin();

	step->held = palloc(sizeof(*step->held));
	step->held->at = row_time(desc, row, FOUND_WRITTEN_AT, GetCurrentTimestamp());
	step->held->details = toast_raw_datum_size(details) > LARGE_TEXT
							  ? json_end(&none)
							  : JsonbPGetDatum(DatumGetJsonbPCopy(details));
}

static bool
is_of(const char *code, CadenceClass class)
{
	return code != NULL && strcmp(code, cadence_classes[class].code) == 0;
}

static void
read_left(TupleDesc desc, HeapTuple row, CadenceStep *step)
{
	const char *code = row_text(desc, row, FOUND_CODE, ROW_KEY_MAX);

	step->earlier = row_text(desc, row, FOUND_ANSWERS, ROW_FIELD_MAX);
	if (!row_true(desc, row, FOUND_IS_LEFT))
		return;
	if (is_of(code, CLASS_HELD))
		read_held(desc, row, step);
	else if (!is_of(code, CLASS_WINDOW_CLOSED))
		read_kept(desc, row, step);
	else if (step->heard_at <= row_time(desc, row, FOUND_WRITTEN_AT, DT_NOEND))
		step->window_is_open = false;
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
		if (steps[i]->attempts <= 1 || !found[i]->has_step)
			continue;
		rowset_put_int(&wanted, i);
		rowset_put_uuid(&wanted, &steps[i]->run_id);
		rowset_put_int(&wanted, found[i]->ordem);
	}
	if (wanted.n > 0)
	{
		statement_execute(&lookup->find, NULL, NULL, 0);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			HeapTuple row = SPI_tuptable->vals[i];
			TupleDesc desc = SPI_tuptable->tupdesc;

			read_left(desc, row, steps[row_int(desc, row, FOUND_NUMBER, 0)]);
		}
		SPI_freetuptable(SPI_tuptable);
	}
	rowset_end(&wanted);
}
