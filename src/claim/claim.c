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
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/statement.h"
#include "claim/claim.h"
#include "claim/claim_statements.h"
#include "claim/claimed_run.h"

/* So many runs that their table refuses to have claimed are remembered. */
#define REFUSED_MAX 100

/* Such a run is tried again after this time. */
#define REFUSED_WAIT_US (5 * 60 * USECS_PER_SEC)

/* So many news are taken at once, of so many bytes; a longer one was not written by us. */
#define NEWS_BYTES_MAX (4 * 1024 * 1024)
#define NEWS_MAX (512 * 1024)

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
	ClaimStatements statements;
	int batch_size;
	Cursor cursor[CADENCE_LOOK_KINDS];
	TimestampTz began_at[CADENCE_LOOK_KINDS]; /* where the way through what is due began */
	TimestampTz due_until;					  /* and where it ends */
	char *past[CADENCE_LOOK_KINDS]; /* what the last such look went past; NULL: there was none */
	MemoryContext context;
	RefusedRun refused[REFUSED_MAX];
	int nrefused; /* so many there were; the last of them are remembered */
};

static const RowsetColumn refused_columns[] = {{"id", UUIDOID}};
static const RowsetColumn blocked_columns[] = {{"what", TEXTOID}, {"value", TEXTOID}};
static const RowsetColumn take_columns[] = {{"id", UUIDOID}, {"ctid_seen", TIDOID}, {"n", INT4OID}};

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
	claim_statements_prepare(&claims->statements, t, batch_size);
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
	Datum corpo = SPI_getbinval(row, desc, LOOK_NEWS, &isnull);
	Size size = isnull ? 0 : toast_raw_datum_size(corpo);

	step->is_news = true;
	step->news_since = row_time(desc, row, LOOK_NEWS_SINCE, 0);
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
	step->interrupted = row_true(desc, row, LOOK_INTERRUPTED);
	step->is_early = !step->is_news && row_true(desc, row, LOOK_REPLACED) &&
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
	statement_execute(&claims->statements.look[kind], values, NULL, 0);
	look->kind = kind;
	look->n = read_runs(&look->runs);
	look->last = look->n < claim_batch_size(kind, claims->batch_size);
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
	for (int kind = 0; kind < CADENCE_LOOK_KINDS; kind++)
	{
		if (full)
			claims->cursor[kind] = (Cursor){.due = DT_NOBEGIN};
		claims->began_at[kind] = claims->cursor[kind].due;
	}
}

/*
 * When the first run, or the first of the news, is due that is still in the table, of
 * those that the way through it has met or will: in the past, where others hold it.
 * DT_NOEND where there is none.
 */
TimestampTz
cadence_claims_next(CadenceClaims *claims, CadenceLookKind kind)
{
	Datum values[] = {TimestampTzGetDatum(claims->began_at[kind])};
	TimestampTz next = DT_NOEND;
	Rowset refused;

	begin_refused(claims, &refused);
	statement_execute(&claims->statements.next[kind], values, NULL, 1);
	if (SPI_processed > 0)
		next = row_time(SPI_tuptable->tupdesc, SPI_tuptable->vals[0], 1, next);
	SPI_freetuptable(SPI_tuptable);
	rowset_end(&refused);
	return next;
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
	statement_execute(&claims->statements.take[look->kind], values, NULL, 0);
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

	statement_execute(&claims->statements.held, values, NULL, 0);
	n = read_runs(runs);
	SPI_freetuptable(SPI_tuptable);
	return n;
}
