/*
 * window.c
 *		Whether a person has written to us lately: free text may then be sent.
 *
 * WhatsApp opens a window of 24 hours with each message of the person's
 * (https://developers.facebook.com/docs/whatsapp/cloud-api/guides/send-messages).
 * Asked only for steps whose template names an approved one.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"

#include "base/row.h"
#include "base/statement.h"
#include "resolve/window.h"
#include "schema/key.h"

struct CadenceWindows
{
	Statement find;
};

static const RowsetColumn wanted_columns[] = {
	{"n", INT4OID}, {"lead_id", TEXTOID}, {"empresa", TEXTOID}, {"canal", TEXTOID}};

#define CHANNEL(text) "pg_catalog.upper((" text ") COLLATE pg_catalog.\"C\")"

/* in_query: for one call in somebody's query, inside its SPI connection. */
CadenceWindows *
cadence_windows_create(const CadenceTables *t, bool in_query)
{
	CadenceWindows *windows = palloc0(sizeof(*windows));
	char *sql = psprintf(
		"SELECT w.n FROM " ROWSET_NAME " AS w WHERE EXISTS (SELECT FROM %s AS m WHERE %s AND %s "
		"AND m.direcao " EQ " 'INBOUND' AND m.recebido_em " GT " (" NOW
		" OPERATOR(pg_catalog.-) interval '24 hours') "
		"AND " CHANNEL(SHORT_TEXT("m.canal", "100")) " " EQ " " CHANNEL("w.canal") ")",
		t->messages, cadence_key_is(t, "lead_messages", "m", "lead_id", "w.lead_id"),
		cadence_key_is(t, "lead_messages", "m", "empresa", "w.empresa"));

	windows->find = ROWS_STATEMENT("looking for what people have written", sql, SPI_OK_SELECT);
	windows->find.in_query = in_query;
	return windows;
}

/* Notes it in the steps, inside an SPI connection. */
void
cadence_windows_find(CadenceWindows *windows, CadenceStep **steps, int n)
{
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
	}
	statement_execute(&windows->find, NULL, NULL, 0);
	rowset_end(&wanted);
	for (uint64 i = 0; i < SPI_processed; i++)
		steps[row_int(SPI_tuptable->tupdesc, SPI_tuptable->vals[i], 1, 0)]->window_is_open = true;
	SPI_freetuptable(SPI_tuptable);
}
