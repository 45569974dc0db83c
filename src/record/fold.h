/*
 * fold.h
 *		What was counted, put together.
 */
#ifndef CADENCE_FOLD_H
#define CADENCE_FOLD_H

#include "postgres.h"

#include "schema/tables.h"

/* What cadence_totals_sql() reads. */
enum
{
	TOTAL_KIND = 1,
	TOTAL_EMPRESA,
	TOTAL_SERVER,
	TOTAL_CANAL,
	TOTAL_OUTCOME,
	TOTAL_CODE,
	TOTAL_N,
	TOTAL_US,
	TOTAL_LAST_AT
};

extern char *cadence_totals_sql(const CadenceTables *tables);
extern bool cadence_fold(const CadenceTables *tables);
extern bool cadence_fold_is_worth(const CadenceTables *tables);
extern bool cadence_stock_count(const CadenceTables *tables, bool only_if_old);
extern bool cadence_stock_is_old(const CadenceTables *tables);

#endif
