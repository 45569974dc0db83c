/*
 * metrics_totals.c
 *		Sums that are kept (sql/71_rollup.sql), as all metrics that only grow are made of
 *		them, and how values of rows become samples.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/settings.h"
#include "base/statement.h"
#include "record/fold.h"
#include "sqlapi/metrics_parts.h"

int64
metrics_int(HeapTuple row, TupleDesc desc, int column)
{
	bool isnull;
	Datum value = SPI_getbinval(row, desc, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

char *
metrics_text(HeapTuple row, TupleDesc desc, int column)
{
	char *text = row_text(desc, row, column, ROW_KEY_MAX);

	return text != NULL ? text : pstrdup("");
}

Totals
metrics_read_totals(const CadenceTables *t)
{
	static const Oid types[] = {TEXTOID};
	Statement read =
		STATEMENT("reading what was counted", cadence_totals_sql(t), types, SPI_OK_SELECT);
	Datum values[] = {CStringGetTextDatum(cadence_metrics_empresas)};
	Totals totals;

	statement_execute(&read, values, NULL, 0);
	totals.n = (int) SPI_processed;
	totals.list = palloc(sizeof(Total) * Max(totals.n, 1));
	for (int i = 0; i < totals.n; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;

		totals.list[i] = (Total){.kind = metrics_text(row, desc, TOTAL_KIND),
								 .empresa = metrics_text(row, desc, TOTAL_EMPRESA),
								 .server = metrics_text(row, desc, TOTAL_SERVER),
								 .canal = metrics_text(row, desc, TOTAL_CANAL),
								 .outcome = metrics_text(row, desc, TOTAL_OUTCOME),
								 .code = metrics_text(row, desc, TOTAL_CODE),
								 .n = metrics_int(row, desc, TOTAL_N),
								 .us = metrics_int(row, desc, TOTAL_US),
								 .last_at = row_time(desc, row, TOTAL_LAST_AT, 0)};
	}
	SPI_freetuptable(SPI_tuptable);
	return totals;
}

/* ---- samples ----------------------------------------------------------------------------- */

char *
metrics_label(const char *name, const char *value)
{
	StringInfoData labels;

	initStringInfo(&labels);
	exposition_label(&labels, name, value);
	return labels.data;
}

void
metrics_put_time(Exposition *x, const char *labels, TimestampTz at)
{
	exposition_seconds(x, "", labels,
					   at + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY);
}
