/*
 * claim.c
 *		Claim: takes due runs, so that no other execution has them.
 *
 * Two statements of one transaction. The first looks at the next due runs
 * without a lock, oldest first, from where the last look ended: dead entries
 * at the head of the due index are read once and not again. The second locks
 * what of those nobody else has locked and moves their next_run_at to the end
 * of the lease. What was seen but not taken is reported as skipped.
 *
 * The lock is the move of next_run_at itself, so that the old edge function,
 * whose conditional UPDATE compares that column, can run beside us. A run that
 * was moved between look and lock is taken only if it is still due: the row
 * lock, not the value read, keeps everybody else from it until the commit.
 *
 * The batch size stands in the first statement as a literal: with a parameter
 * there the planner, which can not know that it is small, may prefer to sort
 * the whole table. The second looks where the first has seen the runs, which
 * saves two look-ups in an index for each; for what is not there any more it
 * asks for "id = ANY (...)": joined on id, it would hash a scan of all runs. Its
 * other conditions say IS TRUE, which no index serves: with statistics from
 * before the runs fell due the planner would rather scan all that is due, for
 * every batch.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/array.h"
#include "claim/claim.h"
#include "resolve/row.h"
#include "base/rowset.h"
#include "base/statement.h"

/* So many are remembered; each of them costs a claim that fails once. */
#define REFUSED_MAX 1000

/* Runs that fall due in the past, since a transaction took its time to commit. */
#define SLACK_US (10 * USECS_PER_SEC)

/* A last batch is not divided into less than this: each part costs a commit. */
#define PORTION_MIN 100

/* A pass from the very start may take one part in so many of a worker's time. */
#define FULL_PASS_SHARE 20

/* One way through what is due. */
typedef struct Pass
{
	Statement look;
	CadenceCursor *cursor; /* where the last committed look ended: own, or the execution's */
	CadenceCursor own;
	CadenceCursor next; /* where the one under way ends */

	/* of passes that are repeated */
	bool is_full;				 /* it began at the very start */
	int64 cost_us;				 /* of its looks */
	TimestampTz covered_until;	 /* the last one went so far */
	TimestampTz full_not_before; /* the next one need not begin at the start */
} Pass;

struct CadenceClaims
{
	Pass all;
	Pass bypass;
	Pass *under_way;
	Statement take_by_ctid;
	Statement take_by_id;
	Statement recheck;
	Statement next_due;
	int batch_size;
	TimestampTz due_until;
	char *bypassed; /* what the bypass went past, as text; NULL: nothing yet */
	MemoryContext context;

	pg_uuid_t refused[REFUSED_MAX]; /* runs that their table does not let us take */
	int nrefused;
};

enum
{
	LOOK_ID = 1,
	LOOK_NEXT_RUN_AT,
	LOOK_INTERRUPTED,
	LOOK_LEAD_ID,
	LOOK_STEP_ORDEM,
	LOOK_CTID
};

static const RowsetColumn seen_columns[] = {{"id", UUIDOID}, {"ctid_seen", TIDOID}};
static const RowsetColumn recheck_columns[] = {
	{"n", INT4OID}, {"id", UUIDOID}, {"claim_id", UUIDOID}, {"lease_end", TIMESTAMPTZOID}};

static const Oid look_types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, UUIDOID,	  UUIDARRAYOID,
								 TEXTARRAYOID,	 TEXTARRAYOID,	 TEXTARRAYOID};
static const Oid next_due_types[] = {TIMESTAMPTZOID};
static const Oid take_types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, UUIDOID, UUIDARRAYOID};

/*
 * Goes past runs whose next step would meet a provider that is held up: one of
 * the company's own ($5: channel and company), or one for any company ($6:
 * channel), where the company has none of its own ($7).
 */
static char *
past_held_up_sql(const CadenceTables *t)
{
	return psprintf("AND NOT EXISTS (SELECT FROM (SELECT pg_catalog.upper(x.canal::text) AS canal, "
					"pg_catalog.concat(pg_catalog.upper(x.canal::text), ' ', r.empresa::text) "
					"AS pair FROM %s AS x WHERE x.cadence_id " EQ " r.cadence_id "
					"AND x.ordem " GE " r.next_step_ordem ORDER BY x.ordem LIMIT 1) AS s "
					"WHERE s.pair " EQ " ANY ($5) OR (s.canal " EQ " ANY ($6) "
					"AND NOT s.pair " EQ " ANY ($7))) ",
					t->steps);
}

static char *
look_sql(const CadenceTables *t, int batch_size, const char *condition)
{
	return psprintf("SELECT r.id, r.next_run_at, r.claim_id IS NOT NULL, r.lead_id::text, "
					"r.next_step_ordem::int4, r.ctid FROM %s AS r "
					"WHERE r.status " EQ " 'ATIVA' AND r.next_run_at " LE " $1 "
					"AND (r.next_run_at, r.id) " GT " ($2, $3) AND NOT r.id " EQ " ANY ($4) "
					"%sORDER BY r.next_run_at, r.id LIMIT %d",
					t->runs, condition, batch_size);
}

static char *
next_due_sql(const CadenceTables *t)
{
	return psprintf("SELECT next_run_at FROM %s WHERE status " EQ " 'ATIVA' "
					"AND next_run_at " GT " $1 ORDER BY next_run_at, id LIMIT 1",
					t->runs);
}

/* rows says which of the runs, after "UPDATE runs AS u SET ..."; it locks them. */
static char *
take_sql(const CadenceTables *t, const char *rows)
{
	return psprintf("WITH taken AS (UPDATE %s AS u SET next_run_at = $2, claim_id = $3, "
					"attempts = COALESCE(u.attempts, 0) OPERATOR(pg_catalog.+) 1, "
					"updated_at = " NOW " %s AND (u.status " EQ " 'ATIVA') IS TRUE "
					"AND (u.next_run_at " LE " $1) IS TRUE RETURNING " ROW_SOURCE_COLUMNS ") %s",
					t->runs, rows, cadence_row_select(t, "taken"));
}

#define IS_FREE                          \
	"(l.status " EQ " 'ATIVA') IS TRUE " \
	"AND (l.next_run_at " LE " $1) IS TRUE FOR UPDATE OF l SKIP LOCKED"

/* By the ctids under which they were seen: neither look-up needs an index. */
static char *
take_by_ctid_sql(const CadenceTables *t)
{
	return take_sql(t,
					psprintf("FROM (SELECT l.id AS run, l.ctid AS ctid_locked FROM " ROWSET_NAME
							 " AS d JOIN %s AS l ON l.ctid " EQ " d.ctid_seen AND l.id " EQ " d.id "
							 "WHERE " IS_FREE ") AS s "
							 "WHERE u.ctid " EQ " s.ctid_locked AND u.id " EQ " s.run",
							 t->runs));
}

static char *
take_by_id_sql(const CadenceTables *t)
{
	return take_sql(t, psprintf("WHERE u.id " EQ " ANY (ARRAY(SELECT l.id FROM %s AS l "
								"WHERE l.id " EQ " ANY ($4) AND " IS_FREE "))",
								t->runs));
}

static char *
recheck_sql(const CadenceTables *t)
{
	return psprintf("SELECT d.n FROM " ROWSET_NAME " AS d, %s AS r WHERE r.id " EQ " d.id "
					"AND (r.claim_id " EQ " d.claim_id) IS TRUE "
					"AND (r.next_run_at " EQ " d.lease_end) IS TRUE "
					"AND (r.status " EQ " 'ATIVA') IS TRUE "
					"AND COALESCE((SELECT c.ativo FROM %s AS c WHERE c.id " EQ " r.cadence_id "
					"LIMIT 1), true) "
					"AND NOT COALESCE((SELECT k.opt_out FROM %s AS k "
					"WHERE k.lead_id " EQ " r.lead_id AND k.empresa::text " EQ " r.empresa::text "
					"ORDER BY k.updated_at DESC NULLS LAST LIMIT 1), false)",
					t->runs, t->cadences, t->contacts);
}

/*
 * Prepares claims of runs that are due at due_until, in the current memory
 * context.
 */
CadenceClaims *
cadence_claims_create(const CadenceTables *t, TimestampTz due_until, int batch_size)
{
	CadenceClaims *claims = palloc0(sizeof(*claims));

	claims->context = CurrentMemoryContext;
	claims->batch_size = batch_size;
	claims->due_until = due_until;
	claims->all.own.after_due = claims->bypass.own.after_due = DT_NOBEGIN;
	claims->all.cursor = &claims->all.own;
	claims->bypass.cursor = &claims->bypass.own;
	claims->all.look =
		STATEMENT("looking for due runs", look_sql(t, batch_size, ""), look_types, SPI_OK_SELECT);
	claims->bypass.look =
		STATEMENT("looking for due runs", look_sql(t, batch_size, past_held_up_sql(t)), look_types,
				  SPI_OK_SELECT);
	claims->take_by_ctid =
		STATEMENT("taking due runs", take_by_ctid_sql(t), take_types, SPI_OK_SELECT);
	claims->take_by_id = STATEMENT("taking due runs", take_by_id_sql(t), take_types, SPI_OK_SELECT);
	claims->recheck =
		ROWS_STATEMENT("looking at claimed runs again", recheck_sql(t), SPI_OK_SELECT);
	claims->next_due =
		STATEMENT("looking for the next due run", next_due_sql(t), next_due_types, SPI_OK_SELECT);
	return claims;
}

static void
read_due_run(DueRun *run, HeapTuple row, TupleDesc desc)
{
	bool isnull;
	Datum value;

	run->id = *DatumGetUUIDP(SPI_getbinval(row, desc, LOOK_ID, &isnull));
	run->due = DatumGetTimestampTz(SPI_getbinval(row, desc, LOOK_NEXT_RUN_AT, &isnull));
	run->interrupted = DatumGetBool(SPI_getbinval(row, desc, LOOK_INTERRUPTED, &isnull));
	value = SPI_getbinval(row, desc, LOOK_LEAD_ID, &isnull);
	run->lead_id = isnull ? NULL : TextDatumGetCString(value);
	value = SPI_getbinval(row, desc, LOOK_STEP_ORDEM, &isnull);
	run->step_ordem = isnull ? -1 : DatumGetInt32(value);
	run->ctid = *(ItemPointer) DatumGetPointer(SPI_getbinval(row, desc, LOOK_CTID, &isnull));
	run->row = NULL;
}

static Datum
text_array(List *texts)
{
	ColumnArray column;
	ListCell *cell;

	column_init(&column, TEXTOID, Max(list_length(texts), 1));
	foreach (cell, texts)
		column_add_text(&column, lfirst(cell));
	return column_array(&column);
}

static Datum
refused_array(const CadenceClaims *claims)
{
	ColumnArray column;

	column_init(&column, UUIDOID, Max(claims->nrefused, 1));
	for (int i = 0; i < claims->nrefused; i++)
		column_add_uuid(&column, &claims->refused[i]);
	return column_array(&column);
}

static void
read_due_runs(ClaimResult *result)
{
	result->nseen = SPI_processed;
	result->seen = palloc(sizeof(DueRun) * Max(result->nseen, 1));
	for (int i = 0; i < result->nseen; i++)
		read_due_run(&result->seen[i], SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	SPI_freetuptable(SPI_tuptable);
}

/* Of the last batch a worker takes its share: so they end at about the same time. */
static void
leave_to_others(ClaimResult *result, int sharers)
{
	int portion = Max(result->nseen / Max(sharers, 1), PORTION_MIN);

	if (!result->last || portion >= result->nseen)
		return;
	result->nseen = portion;
	result->last = false;
}

static void
look(CadenceClaims *claims, Pass *pass, const ClaimTerms *terms, ClaimResult *result)
{
	const CadenceBlocked *blocked = terms->blocked;
	Datum values[] = {TimestampTzGetDatum(claims->due_until),
					  TimestampTzGetDatum(pass->cursor->after_due),
					  UUIDPGetDatum(&pass->cursor->after_id),
					  refused_array(claims),
					  text_array(blocked != NULL ? blocked->pairs : NIL),
					  text_array(blocked != NULL ? blocked->channels : NIL),
					  text_array(blocked != NULL ? blocked->served : NIL)};
	TimestampTz started_at = GetCurrentTimestamp();

	statement_execute(&pass->look, values, NULL, terms->limit);
	pass->cost_us += Max(GetCurrentTimestamp() - started_at, 0);
	read_due_runs(result);
	result->last = result->nseen < (terms->limit > 0 ? terms->limit : claims->batch_size);
	leave_to_others(result, terms->sharers);

	claims->under_way = pass;
	pass->next = *pass->cursor;
	if (result->nseen > 0)
	{
		pass->next.after_due = result->seen[result->nseen - 1].due;
		pass->next.after_id = result->seen[result->nseen - 1].id;
	}
}

/* When the first run after those that are due now will be. */
static void
look_ahead(CadenceClaims *claims, ClaimResult *result)
{
	Datum values[] = {TimestampTzGetDatum(claims->due_until)};
	bool isnull;

	result->next_due = DT_NOEND;
	statement_execute(&claims->next_due, values, NULL, 1);
	if (SPI_processed > 0)
		result->next_due = DatumGetTimestampTz(
			SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
}

/* A bypass that goes past others than the last one has not seen what that went past. */
static void
prepare_bypass(CadenceClaims *claims, const CadenceBlocked *blocked)
{
	if (claims->bypassed != NULL && strcmp(claims->bypassed, blocked->signature) == 0)
		return;
	if (claims->bypassed != NULL)
		pfree(claims->bypassed);
	claims->bypassed = MemoryContextStrdup(claims->context, blocked->signature);
	claims->bypass.cursor->after_due = DT_NOBEGIN;
	claims->bypass.is_full = true;
}

static int
by_id(const void *a, const void *b)
{
	return memcmp(&(*(DueRun *const *) a)->id, &(*(DueRun *const *) b)->id, UUID_LEN);
}

/* Of the runs that are not taken. */
static Datum
free_ids(DueRun **sorted, int n)
{
	ColumnArray ids;

	column_init(&ids, UUIDOID, n);
	for (int i = 0; i < n; i++)
		if (sorted[i]->row == NULL)
			column_add_uuid(&ids, &sorted[i]->id);
	return column_array(&ids);
}

static DueRun *
seen_run(DueRun **sorted, int n, const pg_uuid_t *id)
{
	DueRun wanted = {.id = *id};
	DueRun *key = &wanted;
	DueRun **found = bsearch(&key, sorted, n, sizeof(DueRun *), by_id);

	if (found == NULL || (*found)->row != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("the claim returned a run twice, or one that it was not asked for")));
	return *found;
}

/* Gives the seen runs their claimed rows: those of the table come in any order. */
static void
match_rows(ClaimResult *result, DueRun **sorted)
{
	TupleDesc desc = SPI_tuptable->tupdesc;

	result->desc = desc;
	result->nrows += SPI_processed;
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		bool isnull;
		Datum id = SPI_getbinval(row, desc, ROW_RUN_ID, &isnull);

		seen_run(sorted, result->nseen, DatumGetUUIDP(id))->row = row;
	}
}

/*
 * Takes what is free of the runs that were seen, until lease_end, in the same
 * transaction. Nearly all of it is where it was seen; what somebody has changed
 * since the look, and left due, is found by its id.
 *
 * Nothing is taken before that commits; cadence_claim_commit() then makes the
 * next look start behind this one.
 */
void
cadence_claim_take(CadenceClaims *claims, const pg_uuid_t *claim_id, TimestampTz lease_end,
				   ClaimResult *result)
{
	int n = result->nseen;
	DueRun **sorted = palloc(sizeof(DueRun *) * n);
	Datum values[] = {TimestampTzGetDatum(claims->due_until), TimestampTzGetDatum(lease_end),
					  UUIDPGetDatum(claim_id), (Datum) 0};
	Rowset rows;

	if (n == 0)
		return;
	rowset_begin(&rows, seen_columns, lengthof(seen_columns));
	for (int i = 0; i < n; i++)
	{
		sorted[i] = &result->seen[i];
		rowset_put_uuid(&rows, &sorted[i]->id);
		rowset_put_datum(&rows, PointerGetDatum(&sorted[i]->ctid));
	}
	qsort(sorted, n, sizeof(DueRun *), by_id);
	statement_execute(&claims->take_by_ctid, values, "   n", 0);
	rowset_end(&rows);
	match_rows(result, sorted);
	if (result->nrows == n)
		return;
	values[3] = free_ids(sorted, n);
	statement_execute(&claims->take_by_id, values, NULL, 0);
	match_rows(result, sorted);
}

/*
 * Looks at the next due runs, inside the caller's transaction, without a lock.
 */
void
cadence_claim_look(CadenceClaims *claims, const ClaimTerms *terms, ClaimResult *result)
{
	memset(result, 0, sizeof(*result));
	if (terms->blocked != NULL)
		prepare_bypass(claims, terms->blocked);
	look(claims, terms->blocked != NULL ? &claims->bypass : &claims->all, terms, result);
	if (result->last && terms->ahead)
		look_ahead(claims, result);
}

/*
 * Says of claimed steps whether they may still be sent: a run may have been
 * paused or cancelled, a contact may have opted out, while they waited for
 * their provider.
 */
void
cadence_claim_recheck(CadenceClaims *claims, CadenceStep **steps, int n, bool *valid)
{
	Rowset rows;

	memset(valid, 0, n * sizeof(bool));
	rowset_begin(&rows, recheck_columns, lengthof(recheck_columns));
	for (int i = 0; i < n; i++)
	{
		rowset_put_int(&rows, i);
		rowset_put_uuid(&rows, &steps[i]->run_id);
		rowset_put_uuid(&rows, &steps[i]->batch->claim_id);
		rowset_put_time(&rows, steps[i]->lease_end);
	}
	statement_execute(&claims->recheck, NULL, NULL, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
		valid[row_int(SPI_tuptable->tupdesc, SPI_tuptable->vals[i], 1, 0)] = true;
	SPI_freetuptable(SPI_tuptable);
	rowset_end(&rows);
}

/* A pass has come to its end: what it cost decides how often it begins at the start. */
static void
end_pass(CadenceClaims *claims, Pass *pass)
{
	pass->covered_until = claims->due_until;
	if (pass->is_full)
		pass->full_not_before = GetCurrentTimestamp() + pass->cost_us * FULL_PASS_SHARE;
}

/* The next look starts behind the one under way. */
void
cadence_claim_commit(CadenceClaims *claims, const ClaimResult *result)
{
	*claims->under_way->cursor = claims->under_way->next;
	if (result->last)
		end_pass(claims, claims->under_way);
}

/*
 * Begins a pass again. Most begin where the last one ended, with some slack:
 * behind an old snapshot, dead entries at the head of the index are read again
 * by every pass that begins at the start.
 */
static void
restart(Pass *pass, TimestampTz now)
{
	pass->is_full = now >= pass->full_not_before || now < pass->covered_until - SLACK_US;
	pass->cost_us = 0;
	pass->cursor->after_due = pass->is_full ? DT_NOBEGIN : pass->covered_until - SLACK_US;
	memset(&pass->cursor->after_id, 0, sizeof(pg_uuid_t));
}

/*
 * From here on, what is due by now counts. A pass through all of it that has
 * not come to its end goes on.
 */
void
cadence_claims_renew(CadenceClaims *claims, TimestampTz now, bool all_ended)
{
	claims->due_until = now;
	if (all_ended)
		restart(&claims->all, now);
	restart(&claims->bypass, now);
}

/* A run that can not be taken is left out until cadence_claims_forgive(). */
void
cadence_claims_refuse(CadenceClaims *claims, const pg_uuid_t *id)
{
	if (claims->nrefused < REFUSED_MAX)
		claims->refused[claims->nrefused++] = *id;
}

void
cadence_claims_forgive(CadenceClaims *claims)
{
	claims->nrefused = 0;
}

/*
 * From here on, looks go on where those of other workers ended. Who looks must
 * hold the execution's claim lock until after cadence_claim_commit().
 */
void
cadence_claims_share(CadenceClaims *claims, CadenceCursor *cursor)
{
	claims->all.cursor = cursor;
}

void
cadence_claims_copy_cursor(const CadenceClaims *claims, CadenceCursor *cursor)
{
	*cursor = *claims->all.cursor;
}
