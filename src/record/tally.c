/*
 * tally.c
 *		What has happened, counted: rows of cadence_deltas.
 *
 * Rows are only added, so that nobody waits here for another, and in the
 * transaction of what they count. Who does something that counts need have no right
 * to these tables: they are written as their owner. Where they can not be written,
 * what was done counts nowhere, and is done all the same.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/date.h"
#include "utils/timestamp.h"

#include "base/json.h"
#include "record/tally_parts.h"

const pg_uuid_t tally_no_step = {{0}};

static const RowsetColumn delta_columns[] = {{"kind", TEXTOID},
											 {"at", TIMESTAMPTZOID},
											 {"empresa", TEXTOID},
											 {"server", TEXTOID},
											 {"canal", TEXTOID},
											 {"outcome", TEXTOID},
											 {"code", TEXTOID},
											 {"template", TEXTOID},
											 {"cadence", UUIDOID},
											 {"step", UUIDOID},
											 {"next_step", UUIDOID},
											 {"day", DATEOID},
											 {"mark", TEXTOID},
											 {"n", INT8OID},
											 {"us", INT8OID},
											 {"buckets", JSONBOID},
											 {"first_at", TIMESTAMPTZOID},
											 {"last_at", TIMESTAMPTZOID}};

/* What goes into a key of an index is short, whatever somebody has written. */
static char *
key_text(const char *column)
{
	return psprintf("COALESCE(pg_catalog.\"left\"(d.%s, 100), '')", column);
}

/* Of a closed set. */
#define KEY_CANAL                                                                               \
	"CASE WHEN d.canal IS NULL OR d.canal " EQ " '' THEN '' WHEN pg_catalog.upper(d.canal) " EQ \
	" ANY ('{WHATSAPP,SMS,EMAIL}'::pg_catalog.text[]) THEN pg_catalog.upper(d.canal) ELSE '?' END"

static char *
insert_sql(const CadenceTables *t)
{
	return psprintf(
		"INSERT INTO %s (id, kind, at, empresa, server, canal, outcome, code, template, cadence, "
		"step, next_step, day, mark, n, us, buckets, first_at, last_at) "
		"SELECT pg_catalog.gen_random_uuid(), COALESCE(d.kind, ''), d.at, %s, %s, " KEY_CANAL
		", %s, %s, %s, d.cadence, d.step, d.next_step, d.day, COALESCE(d.mark, ''), d.n, d.us, "
		"d.buckets, d.first_at, d.last_at FROM " ROWSET_NAME " AS d",
		t->deltas, key_text("empresa"), key_text("server"), key_text("outcome"), key_text("code"),
		key_text("template"));
}

/* In the current memory context. */
CadenceTally *
cadence_tally_create(const CadenceTables *t)
{
	CadenceTally *tally = palloc0(sizeof(*tally));

	tally->tables = t;
	tally->insert = ROWS_STATEMENT("counting", insert_sql(t), SPI_OK_INSERT);
	tally_runs_prepare(tally);
	return tally;
}

/* ---- as the owner -------------------------------------------------------------------- */

TallyWriter
tally_begin(const CadenceTally *tally)
{
	TallyWriter writer = {.is_other = GetUserId() != tally->tables->owner};

	if (writer.is_other)
		writer.caller = cadence_owner_begin(tally->tables->owner);
	return writer;
}

void
tally_end(const TallyWriter *writer)
{
	if (writer->is_other)
		cadence_owner_end(writer->caller);
}

/* ---- rows ---------------------------------------------------------------------------- */

static void
put_id(Rowset *rows, const pg_uuid_t *id)
{
	rowset_put_if(rows, id != NULL, UUIDPGetDatum(id));
}

static void
put_row(Rowset *rows, const TallyRow *row, TimestampTz now)
{
	TimestampTz first = row->first_at != 0 ? row->first_at : now;
	TimestampTz last = row->last_at != 0 ? row->last_at : first;

	rowset_put_text(rows, row->kind);
	rowset_put_time(rows, tally_minute(first));
	rowset_put_text(rows, row->empresa);
	rowset_put_text(rows, row->server);
	rowset_put_text(rows, row->canal);
	rowset_put_text(rows, row->outcome);
	rowset_put_text(rows, row->code);
	rowset_put_text(rows, row->template_codigo);
	put_id(rows, row->cadence);
	put_id(rows, row->step);
	put_id(rows, row->next_step);
	rowset_put_if(rows, row->day != NULL, DateADTGetDatum(row->day != NULL ? *row->day : 0));
	rowset_put_text(rows, row->mark);
	rowset_put_datum(rows, Int64GetDatum(row->n));
	rowset_put_datum(rows, Int64GetDatum(row->us));
	rowset_put_if(rows, row->buckets != 0, row->buckets);
	rowset_put_time(rows, first);
	rowset_put_time(rows, last);
}

void
tally_insert(CadenceTally *tally, const TallyRow *list, int n)
{
	TimestampTz now = GetCurrentTimestamp();
	TallyWriter writer;
	Rowset rows;

	if (n == 0)
		return;
	writer = tally_begin(tally);
	rowset_begin_as(&rows, ROWSET_NAME, delta_columns, lengthof(delta_columns));
	for (int i = 0; i < n; i++)
		put_row(&rows, &list[i], now);
	statement_execute(&tally->insert, NULL, NULL, 0);
	rowset_end(&rows);
	tally_end(&writer);
}

/* ---- what goes wrong ----------------------------------------------------------------- */

/* That a worker's statement is cancelled means that it took too long; a stop is raised anyway. */
void
tally_try(CadenceWork work, void *arg, int n)
{
	ErrorData *error = cadence_try(work, arg, 0, n, false);

	if (error == NULL)
		return;
	if (MyBackendType != B_BG_WORKER &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
		ThrowErrorData(error);
	ereport(WARNING, (errcode(error->sqlerrcode),
					  errmsg("what was done could not be counted: %s", error->message)));
	FreeErrorData(error);
}

typedef struct SomeRows
{
	CadenceTally *tally;
	const TallyRow *rows;
} SomeRows;

static void
insert_some(void *arg, int first, int n)
{
	SomeRows *some = arg;

	tally_insert(some->tally, &some->rows[first], n);
}

/* All of a row is of one minute. */
void
cadence_tally_write(CadenceTally *tally, const TallyRow *rows, int n)
{
	SomeRows some = {tally, rows};

	if (n > 0)
		tally_try(insert_some, &some, n);
}

/* ---- durations ------------------------------------------------------------------------- */

/* They are labels of metrics: one that is changed begins a new series. */
const double tally_due_bounds[] = {0.1, 0.25, 0.5, 1,	2.5,  5,	 10,
								   30,	60,	  300, 900, 3600, 21600, INFINITY};
const double tally_send_bounds[] = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, INFINITY};
const double tally_execution_bounds[] = {0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, INFINITY};
const int tally_due_nbounds = lengthof(tally_due_bounds);
const int tally_send_nbounds = lengthof(tally_send_bounds);
const int tally_execution_nbounds = lengthof(tally_execution_bounds);

void
tally_observe(TallyHistogram *h, int64 us)
{
	double seconds;
	int i = 0;

	/* next_run_at may be anything; what took longer than a day took a day */
	us = Max(Min(us, USECS_PER_DAY), 0);
	seconds = us / (double) USECS_PER_SEC;
	while (i < h->nbounds - 1 && seconds > h->bounds[i])
		i++;
	h->n[i]++;
	h->count++;
	h->us += us;
}

static char *
bound_text(double bound)
{
	return isinf(bound) ? "+Inf" : psprintf("%g", bound);
}

/* Puts what was observed into a row. */
void
tally_histogram_row(const TallyHistogram *h, TallyRow *row)
{
	JsonObject buckets = json_begin();

	for (int i = 0; i < h->nbounds; i++)
		if (h->n[i] > 0)
			json_add_int(&buckets, bound_text(h->bounds[i]), h->n[i]);
	row->buckets = json_end(&buckets);
	row->n = h->count;
	row->us = h->us;
}
