/*
 * claim.c
 *		Claim: takes due runs, so that no other execution has them.
 *
 * Two statements of one transaction. The first looks at the next due runs,
 * oldest first, from where the last look ended (dead entries at the head of the
 * due index are read once and not again), and locks what nobody else has locked.
 * The second moves their next_run_at to the end of the lease, where the first
 * has seen them, which saves a look-up in an index for each.
 *
 * The lock is the move of next_run_at itself, so that the old edge function,
 * whose conditional UPDATE compares that column, can run beside us.
 *
 * The batch size stands in the first statement as a literal: with a parameter
 * there the planner, which can not know that it is small, may prefer to sort
 * the whole table.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/statement.h"
#include "claim/claim.h"
#include "schema/edition.h"

/* The names by which a look knows what it goes past. */
#define REFUSED_NAME "cadence_refused"
#define BLOCKED_NAME "cadence_blocked"

/* So many runs that their table refuses to have claimed are remembered. */
#define REFUSED_MAX 100

/* Such a run is tried again after this time. */
#define REFUSED_WAIT_US (5 * 60 * USECS_PER_SEC)

/* So many news are taken at once, of so many bytes; a longer one was not written by us. */
#define NEWS_BYTES_MAX (4 * 1024 * 1024)
#define NEWS_MAX (512 * 1024)

/* So many runs that others hold are reported at most. */
#define HELD_MAX 10000

/* Where the next look starts. */
typedef struct Cursor
{
	TimestampTz due;
	pg_uuid_t id;
} Cursor;

typedef struct RefusedRun
{
	pg_uuid_t id;
	TimestampTz until;
} RefusedRun;

struct CadenceClaims
{
	Statement look[CADENCE_LOOK_KINDS];
	Cursor cursor[CADENCE_LOOK_KINDS];
	Statement take;
	Statement take_news;
	Statement next_due;
	Statement next_news;
	Statement held;
	int batch_size;
	TimestampTz began_at;			/* where the way through what is due began */
	TimestampTz news_began_at;		/* and through news */
	TimestampTz due_until;			/* and where it ends */
	char *past[CADENCE_LOOK_KINDS]; /* what the last such look went past; NULL: there was none */
	MemoryContext context;
	RefusedRun refused[REFUSED_MAX];
	int nrefused; /* so many there were; the last of them are remembered */
};

/* The columns of a run's row, in the order of cadence_claimed_run_columns(). */
enum
{
	RUN_ID = 1,
	RUN_CTID,
	RUN_NEXT_RUN_AT,
	RUN_LEAD_ID,
	RUN_EMPRESA,
	RUN_ATTEMPTS,
	RUN_CADENCE_ID,
	RUN_NEXT_STEP_ORDEM,
	RUN_HAS_BEGUN,
	RUN_STARTED_AT,
	RUN_STEP_DUE_AT,
	RUN_HAD,
	RUN_EDITION,
	RUN_BEGAN,
	RUN_INTERRUPTED,
	RUN_REPLACED,
	RUN_NEWS = RUN_REPLACED,
	RUN_NEWS_SINCE
};

/* What taking runs returns. */
enum
{
	TAKEN_NUMBER = 1,
	TAKEN_CTID,
	TAKEN_LEASE_END,
	TAKEN_ATTEMPTS
};

static const RowsetColumn refused_columns[] = {{"id", UUIDOID}};
static const RowsetColumn blocked_columns[] = {{"what", TEXTOID}, {"value", TEXTOID}};
static const RowsetColumn take_columns[] = {{"id", UUIDOID}, {"ctid_seen", TIDOID}, {"n", INT4OID}};
static const Oid look_types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, UUIDOID};
static const Oid take_types[] = {TIMESTAMPTZOID, UUIDOID};
static const Oid time_types[] = {TIMESTAMPTZOID};

#define NOT_REFUSED "NOT r.id " EQ " ANY (ARRAY(SELECT f.id FROM " REFUSED_NAME " AS f))"

#define ANY_BLOCKED(what) \
	"ANY (ARRAY(SELECT b.value FROM " BLOCKED_NAME " AS b WHERE b.what " EQ " '" what "'))"

/*
 * Goes past runs whose next step would meet a blocked provider: one of the
 * company's own (par: channel and company), or one for any company (canal),
 * where the company has none of its own (served).
 */
#define IS_NEW NOT_HAD("x", "r")
#define CANAL SHORT_TEXT("x.canal", "100")

static char *
past_blocked_sql(const CadenceTables *t)
{
	return psprintf(
		"AND NOT EXISTS (SELECT FROM (SELECT pg_catalog.upper(" CANAL ") AS canal, "
		"pg_catalog.concat(pg_catalog.upper(" CANAL "), ' '::text, " SHORT_TEXT(
			"r.empresa", "1000") ") "
								 "AS par FROM %s AS x WHERE x.cadence_id " EQ " r.cadence_id "
								 "AND x.ordem " GE " r.next_step_ordem AND " IS_NEW
								 " ORDER BY x.ordem LIMIT 1) AS s "
								 "WHERE s.par " EQ
								 " " ANY_BLOCKED("par") " OR (s.canal " EQ " " ANY_BLOCKED(
									 "canal") " AND NOT s.par " EQ " " ANY_BLOCKED("served") ")) ",
		t->steps);
}

/* In SQL: what a statement that reads runs, as r, selects of them, in this order. */
char *
cadence_claimed_run_columns(const CadenceTables *t)
{
	return psprintf(
		"r.id::uuid, r.ctid, r.next_run_at::timestamptz, r.lead_id::text, "
		"r.empresa::text, " CLAMPED_INT(
			"COALESCE(r.attempts, 0)") ", "
									   "r.cadence_id::uuid, " CLAMPED_INT(
										   "r.next_step_ordem") ", "
																"COALESCE(r.last_step_ordem, 0) " GT
																" 0, r.started_at::timestamptz, "
																"r.step_due_at::timestamptz, "
																"r.passos_enviados::uuid[], %s, "
																"COALESCE(r.started_at, "
																"r.created_at)::timestamptz",
		cadence_edition_column(t, "r"));
}

static char *
look_sql(const CadenceTables *t, int batch_size, const char *condition)
{
	char *is_over = cadence_edition_is_over(t, "r");

	return psprintf("SELECT %s, r.claim_id IS NOT NULL AND NOT %s, r.claim_id IS NOT NULL AND %s "
					"FROM %s AS r "
					"WHERE r.status " EQ " 'ATIVA' AND r.next_run_at " LE " $1 "
					"AND (r.next_run_at, r.id) " GT " ($2, $3) AND " NOT_REFUSED " %s"
					"ORDER BY r.next_run_at, r.id LIMIT %d FOR UPDATE OF r SKIP LOCKED",
					cadence_claimed_run_columns(t), is_over, is_over, t->runs, condition,
					batch_size);
}

/*
 * News have the columns of a run, as far as they have them. A lead is who may fail
 * without its provider's fault: each is its own. Those of a company whose server is
 * blocked are gone past, as runs are.
 */
#define NEWS_PAIR \
	"pg_catalog.concat('" CADENCE_NEWS_CHANNEL " '::text, " SHORT_TEXT("r.empresa", "1000") ")"

static char *
look_news_sql(const CadenceTables *t, int batch_size)
{
	return psprintf(
		"SELECT r.id::uuid, r.ctid, r.next_run_at::timestamptz, r.id::text, r.empresa::text, "
		"r.attempts::int4, NULL::uuid, NULL::int4, false, r.created_at::timestamptz, "
		"NULL::timestamptz, NULL::uuid[], NULL::jsonb, NULL::timestamptz, r.claim_id IS NOT NULL, "
		"r.corpo::jsonb, "
		"r.created_at::timestamptz FROM %s AS r WHERE r.status " EQ " 'PENDENTE' "
		"AND r.next_run_at " LE " $1 AND (r.next_run_at, r.id) " GT " ($2, $3) AND " NOT_REFUSED
		" AND NOT " NEWS_PAIR " " EQ
		" " ANY_BLOCKED("par") " AND (NOT EXISTS (SELECT FROM " BLOCKED_NAME
							   " AS b WHERE b.what " EQ " 'canal') "
							   "OR " NEWS_PAIR " " EQ
							   " " ANY_BLOCKED("served") ") "
														 "ORDER BY r.next_run_at, r.id LIMIT %d "
														 "FOR UPDATE OF r SKIP LOCKED",
		t->outbox, batch_size);
}

#define ONE_MORE "COALESCE(u.attempts, 0) OPERATOR(pg_catalog.+) 1"

static char *
take_sql(const char *relation, const char *attempts, const char *more)
{
	return psprintf(
		"UPDATE %s AS u SET next_run_at = $1, claim_id = $2, attempts = %s, updated_at = " NOW
		"%s FROM " ROWSET_NAME " AS d WHERE u.ctid " EQ " d.ctid_seen AND u.id " EQ
		" d.id RETURNING d.n, u.ctid, u.next_run_at::timestamptz, " CLAMPED_INT("u.attempts"),
		relation, attempts, more);
}

/* What was tried of a step that is gone is no attempt at the one that has come in its place. */
static char *
take_runs_sql(const CadenceTables *t)
{
	char *is_over = cadence_edition_is_over(t, "u");

	return take_sql(t->runs, psprintf("CASE WHEN %s THEN 1 ELSE " ONE_MORE " END", is_over),
					psprintf(", edicao = CASE WHEN %s THEN '{}' ELSE u.edicao END", is_over));
}

static char *
next_due_sql(const char *relation, const char *status)
{
	return psprintf("SELECT r.next_run_at::timestamptz FROM %s AS r WHERE r.status " EQ
					" '%s' AND r.next_run_at " GE " $1 AND " NOT_REFUSED
					" ORDER BY r.next_run_at, r.id LIMIT 1",
					relation, status);
}

/* Due, and neither taken by this execution nor free for it. */
static char *
held_sql(const CadenceTables *t)
{
#define DUE_RUNS                                                              \
	"FROM %s AS r WHERE r.status " EQ " 'ATIVA' AND r.next_run_at " LE " $1 " \
	"ORDER BY r.next_run_at, r.id LIMIT %d"

	return psprintf("WITH open AS MATERIALIZED (SELECT r.id " DUE_RUNS " FOR UPDATE SKIP LOCKED) "
					"SELECT %s FROM (SELECT r.*, r.ctid " DUE_RUNS
					") AS r WHERE NOT EXISTS (SELECT FROM open AS o WHERE o.id " EQ " r.id)",
					t->runs, HELD_MAX, cadence_claimed_run_columns(t), t->runs, HELD_MAX);
}

static int
size_of(const CadenceClaims *claims, CadenceLookKind kind)
{
	return kind == CADENCE_LOOK_NEWS ? Min(claims->batch_size, CADENCE_NEWS_BATCH_MAX)
									 : claims->batch_size;
}

static void
create_statements(CadenceClaims *claims, const CadenceTables *t)
{
	claims->look[CADENCE_LOOK_ALL] = STATEMENT(
		"looking for due runs", look_sql(t, claims->batch_size, ""), look_types, SPI_OK_SELECT);
	claims->look[CADENCE_LOOK_BYPASS] =
		STATEMENT("looking for due runs", look_sql(t, claims->batch_size, past_blocked_sql(t)),
				  look_types, SPI_OK_SELECT);
	claims->look[CADENCE_LOOK_NEWS] =
		STATEMENT("looking for news", look_news_sql(t, size_of(claims, CADENCE_LOOK_NEWS)),
				  look_types, SPI_OK_SELECT);
	claims->take =
		STATEMENT("taking due runs", take_runs_sql(t), take_types, SPI_OK_UPDATE_RETURNING);
	claims->take_news = STATEMENT("taking news", take_sql(t->outbox, ONE_MORE, ""), take_types,
								  SPI_OK_UPDATE_RETURNING);
	claims->next_due = STATEMENT("looking for the next due run", next_due_sql(t->runs, "ATIVA"),
								 time_types, SPI_OK_SELECT);
	claims->next_news = STATEMENT("looking for the next news", next_due_sql(t->outbox, "PENDENTE"),
								  time_types, SPI_OK_SELECT);
	claims->held =
		STATEMENT("looking for runs that others hold", held_sql(t), time_types, SPI_OK_SELECT);
}

/*
 * Prepares claims of runs that are due at due_until, in the current memory
 * context, inside a transaction.
 */
CadenceClaims *
cadence_claims_create(const CadenceTables *t, TimestampTz due_until, int batch_size)
{
	CadenceClaims *claims = palloc0(sizeof(*claims));

	claims->context = CurrentMemoryContext;
	claims->batch_size = batch_size;
	create_statements(claims, t);
	cadence_claims_restart(claims, due_until, true);
	return claims;
}

/* ---- looking --------------------------------------------------------------------- */

static void
begin_refused(const CadenceClaims *claims, Rowset *rows)
{
	TimestampTz now = GetCurrentTimestamp();

	rowset_begin_as(rows, REFUSED_NAME, refused_columns, lengthof(refused_columns));
	for (int i = 0; i < Min(claims->nrefused, REFUSED_MAX); i++)
		if (claims->refused[i].until > now && claims->refused[i].until <= now + REFUSED_WAIT_US)
			rowset_put_uuid(rows, &claims->refused[i].id);
}

static void
put_blocked(Rowset *rows, const char *what, List *texts)
{
	ListCell *cell;

	foreach (cell, texts)
	{
		rowset_put_text(rows, what);
		rowset_put_text(rows, lfirst(cell));
	}
}

static void
begin_blocked(const CadenceBlocked *blocked, Rowset *rows)
{
	rowset_begin_as(rows, BLOCKED_NAME, blocked_columns, lengthof(blocked_columns));
	put_blocked(rows, "canal", blocked->channels);
	put_blocked(rows, "par", blocked->pairs);
	put_blocked(rows, "served", blocked->served);
}

/* A look that goes past others than the last one has not seen what that went past. */
static void
prepare_bypass(CadenceClaims *claims, CadenceLookKind kind, const CadenceBlocked *blocked)
{
	char *past = claims->past[kind];

	if (past != NULL && strcmp(past, blocked->signature) == 0)
		return;
	claims->past[kind] = MemoryContextStrdup(claims->context, blocked->signature);
	if (past != NULL)
		pfree(past);
	claims->cursor[kind] = (Cursor){.due = DT_NOBEGIN};
}

/* A value that is not too long to be read; 0: there is none. */
static Datum
short_value(TupleDesc desc, HeapTuple row, int column, Size max)
{
	bool isnull;
	Datum value = SPI_getbinval(row, desc, column, &isnull);

	if (isnull || toast_raw_datum_size(value) > max)
		return (Datum) 0;
	return PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
}

/* Which steps it has had, and under which numbers it knows its own. */
static void
read_history(CadenceStep *step, TupleDesc desc, HeapTuple row)
{
	Datum had = short_value(desc, row, RUN_HAD, ROW_FIELD_MAX);
	Datum edition = short_value(desc, row, RUN_EDITION, EDITION_MAX);

	if (had != 0 && !ARR_HASNULL(DatumGetArrayTypeP(had)))
	{
		ArrayType *array = DatumGetArrayTypeP(had);

		step->had = (const pg_uuid_t *) ARR_DATA_PTR(array);
		step->nhad = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	}
	if (edition != 0)
		step->edition = DatumGetJsonbP(edition);
	step->has_pending = cadence_edition_pending(step->edition, &step->pending);
}

/*
 * A step of a run, to be resolved, in the current memory context. The row has
 * the columns of cadence_claimed_run_columns(). A lead or company that is too long for
 * one counts as none.
 */
CadenceStep *
cadence_claimed_run(HeapTuple row, TupleDesc desc)
{
	CadenceStep *step = palloc0(sizeof(*step));
	bool isnull;

	if (!row_uuid(desc, row, RUN_ID, &step->run_id))
		ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION), errmsg("a run has no id")));
	cadence_uuid_text(&step->run_id, step->run_id_text);
	step->seen = *(ItemPointer) DatumGetPointer(SPI_getbinval(row, desc, RUN_CTID, &isnull));
	step->due = row_time(desc, row, RUN_NEXT_RUN_AT, DT_NOBEGIN);
	step->lead_id = row_text(desc, row, RUN_LEAD_ID, ROW_KEY_MAX);
	step->empresa = row_text(desc, row, RUN_EMPRESA, ROW_KEY_MAX);
	step->attempts = row_int(desc, row, RUN_ATTEMPTS, 0);
	step->has_cadence = row_uuid(desc, row, RUN_CADENCE_ID, &step->cadence_id);
	step->has_position = !row_is_null(desc, row, RUN_NEXT_STEP_ORDEM);
	step->position = row_int(desc, row, RUN_NEXT_STEP_ORDEM, 0);
	step->has_begun = row_true(desc, row, RUN_HAS_BEGUN);
	step->started_at = row_time(desc, row, RUN_STARTED_AT, step->due);
	step->first_due = row_time(desc, row, RUN_STEP_DUE_AT, step->due);
	step->began = row_time(desc, row, RUN_BEGAN, DT_NOBEGIN);
	read_history(step, desc, row);
	return step;
}

/* The rows of the last statement as steps: how many. */
static int
read_runs(CadenceStep ***steps)
{
	int n = SPI_processed;

	*steps = palloc(sizeof(CadenceStep *) * Max(n, 1));
	for (int i = 0; i < n; i++)
		(*steps)[i] = cadence_claimed_run(SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	return n;
}

/* How long one is is known before it is read: how many bytes were. */
static Size
read_news(CadenceStep *step, HeapTuple row, TupleDesc desc)
{
	bool isnull;
	Datum corpo = SPI_getbinval(row, desc, RUN_NEWS, &isnull);
	Size size = isnull ? 0 : toast_raw_datum_size(corpo);

	step->is_news = true;
	step->news_since = row_time(desc, row, RUN_NEWS_SINCE, 0);
	if (isnull || size > NEWS_MAX)
		return 0;
	step->news = (Jsonb *) PG_DETOAST_DATUM_COPY(corpo);
	return size;
}

/* What is more than a batch may take is left to the next look. */
static void
read_all_news(CadenceLook *look)
{
	Size bytes = 0;
	int n = 0;

	while (n < look->n && bytes < NEWS_BYTES_MAX)
	{
		bytes += read_news(look->runs[n], SPI_tuptable->vals[n], SPI_tuptable->tupdesc);
		n++;
	}
	look->last = look->last && n == look->n;
	look->n = n;
}

/*
 * How the claim that a run still has has ended. One whose step has gone is free to be
 * taken when that claim's lease ends, and that is no time of the step behind it.
 */
static void
read_claim_before(CadenceStep *step, HeapTuple row, TupleDesc desc)
{
	step->interrupted = row_true(desc, row, RUN_INTERRUPTED);
	step->is_early = !step->is_news && row_true(desc, row, RUN_REPLACED) &&
					 step->first_due > GetCurrentTimestamp();
}

/*
 * Looks at the next due runs and locks those that are free, inside the caller's
 * transaction. blocked says what a look at anything but all goes past.
 */
void
cadence_claims_look(CadenceClaims *claims, CadenceLookKind kind, const CadenceBlocked *blocked,
					CadenceLook *look)
{
	Cursor *cursor = &claims->cursor[kind];
	Datum values[] = {TimestampTzGetDatum(claims->due_until), (Datum) 0, (Datum) 0};
	Rowset refused;
	Rowset past;

	begin_refused(claims, &refused);
	if (kind != CADENCE_LOOK_ALL)
	{
		prepare_bypass(claims, kind, blocked);
		begin_blocked(blocked, &past);
	}
	values[1] = TimestampTzGetDatum(cursor->due);
	values[2] = UUIDPGetDatum(&cursor->id);
	statement_execute(&claims->look[kind], values, NULL, 0);
	look->kind = kind;
	look->n = read_runs(&look->runs);
	look->last = look->n < size_of(claims, kind);
	for (int i = 0; i < look->n; i++)
	{
		look->runs[i]->is_news = kind == CADENCE_LOOK_NEWS;
		read_claim_before(look->runs[i], SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	}
	if (kind == CADENCE_LOOK_NEWS)
		read_all_news(look);
	SPI_freetuptable(SPI_tuptable);
	rowset_end(&refused);
	if (kind != CADENCE_LOOK_ALL)
		rowset_end(&past);
}

/* The next look starts behind the first n runs of this one, whose transaction has committed. */
void
cadence_claims_accept(CadenceClaims *claims, const CadenceLook *look, int n)
{
	if (n == 0)
		return;
	claims->cursor[look->kind] =
		(Cursor){.due = look->runs[n - 1]->due, .id = look->runs[n - 1]->run_id};
}

/*
 * From here on, what is due at due_until counts. In full: looks begin at the
 * start of all that is due, where something may have come that lies before what
 * was seen; otherwise they go on where the last one ended.
 */
void
cadence_claims_restart(CadenceClaims *claims, TimestampTz due_until, bool full)
{
	claims->due_until = due_until;
	if (full)
		for (int kind = 0; kind < (int) lengthof(claims->cursor); kind++)
			claims->cursor[kind] = (Cursor){.due = DT_NOBEGIN};
	claims->began_at = claims->cursor[CADENCE_LOOK_ALL].due;
	claims->news_began_at = claims->cursor[CADENCE_LOOK_NEWS].due;
}

static TimestampTz
next_of(CadenceClaims *claims, Statement *look, TimestampTz from)
{
	Datum values[] = {TimestampTzGetDatum(from)};
	TimestampTz next = DT_NOEND;
	Rowset refused;
	bool isnull;

	begin_refused(claims, &refused);
	statement_execute(look, values, NULL, 1);
	if (SPI_processed > 0)
		next = DatumGetTimestampTz(
			SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	rowset_end(&refused);
	return next;
}

/*
 * When the first run is due that is still in the table, of those that the way
 * through it has met or will: in the past, where others hold it. DT_NOEND where there
 * is none.
 */
TimestampTz
cadence_claims_next_due(CadenceClaims *claims)
{
	return next_of(claims, &claims->next_due, claims->began_at);
}

/* The same of news. */
TimestampTz
cadence_claims_next_news(CadenceClaims *claims)
{
	return next_of(claims, &claims->next_news, claims->news_began_at);
}

/* ---- taking ---------------------------------------------------------------------- */

/*
 * Takes a part of what a look has locked, until the lease ends, in the same
 * transaction. steps, as many as the look has runs, gets those that were taken
 * and NULL for the others: a trigger may have kept a run as it was.
 */
void
cadence_claims_take(CadenceClaims *claims, const CadenceClaimant *claimant, const CadenceLook *look,
					int first, int n, CadenceStep **steps)
{
	Datum values[] = {TimestampTzGetDatum(claimant->lease_end), UUIDPGetDatum(&claimant->id)};
	Rowset rows;

	memset(&steps[first], 0, sizeof(CadenceStep *) * n);
	rowset_begin(&rows, take_columns, lengthof(take_columns));
	for (int i = first; i < first + n; i++)
	{
		rowset_put_uuid(&rows, &look->runs[i]->run_id);
		rowset_put_datum(&rows, PointerGetDatum(&look->runs[i]->seen));
		rowset_put_int(&rows, i);
	}
	statement_execute(look->kind == CADENCE_LOOK_NEWS ? &claims->take_news : &claims->take, values,
					  NULL, 0);
	rowset_end(&rows);
	for (uint64 k = 0; k < SPI_processed; k++)
	{
		HeapTuple row = SPI_tuptable->vals[k];
		TupleDesc desc = SPI_tuptable->tupdesc;
		int i = row_int(desc, row, TAKEN_NUMBER, 0);
		CadenceStep *step = look->runs[i];
		bool isnull;

		steps[i] = step;
		/* an earlier try, which was undone, may have resolved it */
		memset(&step->has_step, 0, sizeof(*step) - offsetof(CadenceStep, has_step));
		if (step->is_early)
		{
			step->outcome = OUTCOME_UNSENT;
			step->not_before = step->first_due;
		}
		step->ctid = *(ItemPointer) DatumGetPointer(SPI_getbinval(row, desc, TAKEN_CTID, &isnull));
		step->claim_id = claimant->id;
		step->lease_end = row_time(desc, row, TAKEN_LEASE_END, DT_NOBEGIN);
		step->attempts = step->attempts_claimed = row_int(desc, row, TAKEN_ATTEMPTS, 0);
	}
	SPI_freetuptable(SPI_tuptable);
}

/* A run that its table does not let us take is left alone for a while. */
void
cadence_claims_refuse(CadenceClaims *claims, const pg_uuid_t *run_id)
{
	claims->refused[claims->nrefused++ % REFUSED_MAX] =
		(RefusedRun){.id = *run_id, .until = GetCurrentTimestamp() + REFUSED_WAIT_US};
}

/*
 * Runs that are due and held by somebody else, when this execution has taken
 * what was free: how many, and, in the current memory context, which.
 */
int
cadence_claims_held(CadenceClaims *claims, CadenceStep ***runs)
{
	Datum values[] = {TimestampTzGetDatum(claims->due_until)};
	int n;

	statement_execute(&claims->held, values, NULL, 0);
	n = read_runs(runs);
	SPI_freetuptable(SPI_tuptable);
	return n;
}
