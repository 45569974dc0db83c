/*
 * rollup.c
 *		cadence_rollup_refresh(), cadence_http_count(): what was counted is put together,
 *		and who asks for that.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "base/transaction.h"
#include "record/fold.h"
#include "record/tally.h"
#include "server/counter.h"
#include "sqlapi/rollup.h"

PG_FUNCTION_INFO_V1(cadence_rollup_refresh);
PG_FUNCTION_INFO_V1(cadence_http_count);

/* ---- what was counted, together -------------------------------------------------------------- */

static void
fold(void *arg, int first, int n)
{
	(void) cadence_fold(arg);
}

static void
count(void *arg, int first, int n)
{
	(void) cadence_stock_count(arg, false);
}

/* Neither undoes the other. */
static void
try_to(CadenceWork work, const CadenceTables *tables)
{
	ErrorData *error = cadence_try(work, (void *) tables, 0, 0, false);

	if (error == NULL)
		return;
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
		ThrowErrorData(error);
	ereport(WARNING, (errcode(error->sqlerrcode),
					  errmsg("what was counted could not be put together: %s", error->message)));
}

/*
 * Has another process count the runs, and fold, where that is long ago: whoever only
 * reads neither waits for it, nor keeps others from it for as long as her transaction lasts.
 */
void
cadence_rollup_want(const CadenceTables *tables)
{
	CadenceCaller caller;
	bool is_old;

	if (RecoveryInProgress())
		return;
	caller = cadence_owner_begin(tables->owner);
	(void) SPI_connect();
	is_old = cadence_stock_is_old(tables);
	SPI_finish();
	cadence_owner_end(caller);
	if (is_old)
		cadence_counter_start(tables);
}

/*
 * cadence_rollup_refresh(count_now boolean) -> void: folds some of what was counted, and
 * counts the runs where count_now says so, now and in the caller's transaction. Where
 * nothing can be written it does nothing.
 *
 * Errors: those of cadence_tables_cached().
 */
Datum
cadence_rollup_refresh(PG_FUNCTION_ARGS)
{
	const CadenceTables *tables = cadence_tables_cached();
	CadenceCaller caller;

	if (XactReadOnly || RecoveryInProgress())
		PG_RETURN_VOID();
	caller = cadence_owner_begin(tables->owner);
	(void) SPI_connect();
	try_to(fold, tables);
	if (PG_GETARG_BOOL(0))
		try_to(count, tables);
	SPI_finish();
	cadence_owner_end(caller);
	PG_RETURN_VOID();
}

/* ---- requests -------------------------------------------------------------------------------- */

/*
 * cadence_http_count(route text, method text, code int) -> void: counts a request to the
 * door, where anything can be written; of closed sets, all three.
 */
Datum
cadence_http_count(PG_FUNCTION_ARGS)
{
	const CadenceTables *tables = cadence_tables_cached();
	TallyRow row = {.kind = "http",
					.server = text_to_cstring(PG_GETARG_TEXT_PP(0)),
					.outcome = text_to_cstring(PG_GETARG_TEXT_PP(1)),
					.code = psprintf("%d", PG_GETARG_INT32(2)),
					.n = 1};

	if (XactReadOnly || RecoveryInProgress())
		PG_RETURN_VOID();
	(void) SPI_connect();
	cadence_tally_write(cadence_tally_create(tables), &row, 1);
	SPI_finish();
	PG_RETURN_VOID();
}
