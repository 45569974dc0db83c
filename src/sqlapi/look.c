/*
 * look.c
 *		A run and its next step, for who asks about them in a query.
 *
 * Runs the SELECT and the code that an execution resolves with, over the caller's own
 * rights, and changes nothing.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/uuid.h"

#include "base/row.h"
#include "base/statement.h"
#include "base/transaction.h"
#include "claim/claimed_run.h"
#include "resolve/conversation.h"
#include "sqlapi/look.h"

/* Behind the columns of a claim. */
enum
{
	LOOK_STATUS = CLAIMED_RUN_NCOLUMNS + 1,
	LOOK_HAS_DUE,
	LOOK_CLAIM,
	LOOK_CHANGED_AT
};

static char *
run_sql(const CadenceTables *t)
{
	return psprintf("SELECT %s, r.status::text, r.next_run_at IS NOT NULL, r.claim_id::uuid, "
					"r.updated_at::timestamptz FROM %s AS r WHERE r.id " EQ " $1",
					cadence_claimed_run_columns(t), t->runs);
}

/*
 * What a statement with the id of a run, $1, says of it, as SPI's only row, with the
 * caller's own rights.
 *
 * Errors: P0002 when it says nothing.
 */
HeapTuple
run_look_find(char *sql, Datum run_id)
{
	static const Oid types[] = {UUIDOID};
	Statement find = STATEMENT("looking for the run", sql, types, SPI_OK_SELECT);

	find.in_query = true;
	statement_execute(&find, &run_id, NULL, 1);
	if (SPI_processed == 0)
		ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND),
						errmsg("run %s does not exist",
							   DatumGetCString(DirectFunctionCall1(uuid_out, run_id)))));
	return SPI_tuptable->vals[0];
}

static void
read_run(RunLook *look, Datum run_id)
{
	HeapTuple row = run_look_find(run_sql(look->tables), run_id);
	TupleDesc desc = SPI_tuptable->tupdesc;

	look->status = SPI_getvalue(row, desc, LOOK_STATUS);
	look->has_due = row_true(desc, row, LOOK_HAS_DUE);
	look->has_claim = row_uuid(desc, row, LOOK_CLAIM, &look->claim_id);
	look->changed_at = row_time(desc, row, LOOK_CHANGED_AT, 0);
	look->step = cadence_claimed_run(row, desc);
	/* as a claim would */
	look->step->attempts++;
}

/*
 * Reads a run, and makes ready what resolves its step; connects to SPI, until
 * run_look_end().
 *
 * Errors: P0002 when there is no such run; 42P01 without tables; 42501 without the right
 * to read them.
 */
void
run_look_begin(RunLook *look, Datum run_id)
{
	CadenceTables *tables = cadence_tables_load(cadence_extension_schema());

	memset(look, 0, sizeof(*look));
	look->tables = tables;
	look->providers = cadence_providers_create(tables->owner);
	cadence_providers_refresh(look->providers);
	look->guc_level = cadence_use_text_format();
	(void) SPI_connect();
	read_run(look, run_id);
	look->states = cadence_sender_states_create(tables);
	look->rulings = cadence_rulings_create(tables, true);
	look->resolver = cadence_resolver_create(tables, look->providers, look->rulings, true);
}

/*
 * Which sender a resolved step would go to, as far as an execution that began now would
 * find it. with_state: what is known of that, and of whom its person was last written to
 * by, is read in any case.
 */
void
run_look_at_sender(const RunLook *look, bool with_state)
{
	CadenceStep *step = look->step;
	bool is_chosen = step->conversation != NULL && list_length(step->pool->members) > 1;

	if (with_state || is_chosen)
		cadence_sender_states_read(look->states);
	if (is_chosen || (with_state && step->conversation != NULL))
		cadence_conversations_find(cadence_conversations_create(look->tables, true), &step, 1);
	cadence_resolve_providers(look->resolver, look->states, &step, 1);
}

void
run_look_end(const RunLook *look)
{
	SPI_finish();
	AtEOXact_GUC(true, look->guc_level);
}
