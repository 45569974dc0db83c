/*
 * heard.c
 *		When people have last written to us, by a step's channel.
 *
 * What came in is in lead_messages, and nowhere else: whoever writes it there has
 * answered. WhatsApp opens a window of 24 hours with each message of the person's,
 * in which free text may be sent
 * (https://developers.facebook.com/docs/whatsapp/cloud-api/guides/send-messages).
 *
 * Nobody's history is read to its end: who has not written on a channel among the
 * last so many that came in has not, and a time that no clock shows is none.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/statement.h"
#include "resolve/heard.h"
#include "schema/key.h"

#define WINDOW_US (24 * INT64CONST(3600) * USECS_PER_SEC)

#define MESSAGES_MAX "1000"

struct CadenceHeard
{
	Statement find;
};

static const RowsetColumn wanted_columns[] = {
	{"n", INT4OID}, {"lead_id", TEXTOID}, {"empresa", TEXTOID}, {"canal", TEXTOID}};

enum
{
	HEARD_NUMBER = 1,
	HEARD_AT
};

#define CHANNEL(text) "pg_catalog.upper((" text ") COLLATE pg_catalog.\"C\")"

/* in_query: for one call in somebody's query, inside its SPI connection. */
CadenceHeard *
cadence_heard_create(const CadenceTables *t, bool in_query)
{
	CadenceHeard *heard = palloc0(sizeof(*heard));
	char *sql = psprintf(
		"SELECT w.n, h.recebido_em::timestamptz FROM " ROWSET_NAME " AS w CROSS JOIN LATERAL "
		"(SELECT m.recebido_em FROM (SELECT x.* FROM %s AS x WHERE %s "
		"AND x.recebido_em IS NOT NULL "
		"AND x.recebido_em " LE " (" NOW " OPERATOR(pg_catalog.+) interval '1 hour') "
		"ORDER BY x.recebido_em DESC LIMIT " MESSAGES_MAX ") AS m "
		"WHERE %s AND m.direcao " EQ " 'INBOUND' "
		"AND " CHANNEL(SHORT_TEXT("m.canal", "100")) " " EQ " " CHANNEL(
			"w.canal") " ORDER BY m.recebido_em DESC LIMIT 1) AS h",
		t->messages, cadence_key_is(t, "lead_messages", "x", "lead_id", "w.lead_id"),
		cadence_key_is(t, "lead_messages", "m", "empresa", "w.empresa"));

	heard->find = ROWS_STATEMENT("looking for what people have written", sql, SPI_OK_SELECT);
	heard->find.in_query = in_query;
	return heard;
}

/* On other channels there is none: free text may always be sent. */
static bool
has_window(const CadenceStep *step)
{
	return step->canal != NULL && pg_strcasecmp(step->canal, "WHATSAPP") == 0;
}

/* Notes it in the steps, inside an SPI connection. */
void
cadence_heard_find(CadenceHeard *heard, CadenceStep **steps, int n)
{
	TimestampTz now = GetCurrentTimestamp();
	Rowset wanted;

	if (n == 0)
		return;
	rowset_begin(&wanted, wanted_columns, lengthof(wanted_columns));
	for (int i = 0; i < n; i++)
	{
		rowset_put_int(&wanted, i);
		rowset_put_text(&wanted, steps[i]->lead_id);
		rowset_put_text(&wanted, steps[i]->empresa);
		rowset_put_text(&wanted, steps[i]->canal);
		steps[i]->window_is_open = !has_window(steps[i]);
	}
	statement_execute(&heard->find, NULL, NULL, 0);
	rowset_end(&wanted);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		CadenceStep *step = steps[row_int(SPI_tuptable->tupdesc, row, HEARD_NUMBER, 0)];

		step->heard_at = row_time(SPI_tuptable->tupdesc, row, HEARD_AT, 0);
		step->window_is_open = !has_window(step) || step->heard_at > now - WINDOW_US;
	}
	SPI_freetuptable(SPI_tuptable);
}
