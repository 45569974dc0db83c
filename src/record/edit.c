/*
 * edit.c
 *		What an edit of a cadence's steps makes of the runs that are in it.
 *
 * A run knows where it stands by a number, which operators set by hand; what it has
 * had, it knows by ids. When numbers change, it goes on to the first of the steps
 * that were still to come, in their new order, so that nothing is left out and, by
 * the ids, nothing comes twice. A step that is inserted between what it has had and
 * what it stands before is its next one. One that is removed is passed by, since the
 * number that it had leads to the one behind it.
 *
 * A run at whose step somebody works, or has tried already, stays before that step,
 * whatever its number is now. What the edit has put before it comes afterwards: the
 * column edicao says from which number on (pendente), as which other steps it was
 * tried, whose place it has taken (era), and of what its idempotency key was made
 * (chave), all of the step that it names (passo). Where that step is gone, nothing of
 * it counts any more. A run of which that column is not null has met other numbers
 * than those of now: its keys are made of the steps' ids, and by these its events are
 * known.
 *
 * Whoever has claimed a run finds that its row has changed, and looks again at what it
 * comes to (second_look.c). When a step is due that it stays before, step_due_at says
 * to that: next_run_at is the end of the lease.
 *
 * First all runs of the cadence are locked that have not ended, and then they are
 * looked at with a newer snapshot: whoever moves one at this moment has done so, or
 * finds that its row has changed, and moves it by what stands there.
 *
 * No index serves this: each claim and each move of a run would write to it, and
 * people edit cadences now and then.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/compat.h"
#include "base/row.h"
#include "base/statement.h"
#include "record/edit.h"
#include "record/move.h"
#include "record/tally.h"
#include "schema/edition.h"
#include "schema/calendar.h"
#include "schema/policy.h"

/* So many runs are written by one statement. */
#define CHUNK 5000

/* So many removed steps are remembered until the transaction's end. */
#define REMOVED_MAX 10000

/* A step that the statement has changed. */
typedef struct EditedStep
{
	pg_uuid_t cadence;
	pg_uuid_t id;
	bool has_was;
	int was; /* its number before */
	bool has_now;
	int now;
	bool has_era;
	pg_uuid_t era; /* whose place it has taken */
	bool times;	   /* when it is due is another time */
	bool at_end;
} EditedStep;

/* Runs of a cadence that are alike, and what becomes of them. */
typedef struct RunGroup
{
	Datum *ids;
	int n;
	Datum next;
	Datum last;
	bool has_last;
	bool changed;
	Datum edition;	 /* 0: as it is */
	Datum had;		 /* 0: as it is */
	bool is_claimed; /* by somebody who has to find that its row has changed */
	bool retime;
	StepTime time;
	pg_uuid_t *to;	 /* the step that they have come to by the edit; NULL: none */
	pg_uuid_t *from; /* and the one to which they are to come again; NULL: none */
} RunGroup;

typedef struct StepsEditing
{
	Statement look;
	Statement lock;
	Statement group;
	Statement read;
	Statement write;
	CadenceCalendars *calendars;
	CadenceTally *tally;
	EditedStep *steps;
	int n;
	bool renumbers;
} StepsEditing;

#define IS_OPEN "(r.status " EQ " 'ATIVA' OR r.status " EQ " 'PAUSADA')"
#define IS_BUSY "(r.claim_id IS NOT NULL OR COALESCE(r.attempts, 0) " GT " 0)"
#define IS_CLAIMED "(r.claim_id " NE " " INTERRUPTED_CLAIM ") IS TRUE"

/* By its claim, which counts as one. */
#define IS_TRIED "(COALESCE(r.attempts, 0) " GT " 1)"

static const Oid cadence_types[] = {UUIDOID};
static const Oid ids_types[] = {UUIDARRAYOID};
static const Oid write_types[] = {INT4OID, INT4OID, JSONBOID, UUIDARRAYOID, BOOLOID};
static const RowsetColumn edited_columns[] = {{"cadence_id", UUIDOID}, {"id", UUIDOID},
											  {"was", INT4OID},		   {"now", INT4OID},
											  {"era", UUIDOID},		   {"times", BOOLOID}};
static const RowsetColumn write_columns[] = {{"id", UUIDOID}, {"due", TIMESTAMPTZOID}};

/* ---- what was edited --------------------------------------------------------------- */

enum
{
	EDITED_CADENCE = 1,
	EDITED_ID,
	EDITED_WAS,
	EDITED_NOW,
	EDITED_TIMES,
	EDITED_AT_END
};

/* A number of an adopted bigint column, as near as an int comes. */
static char *
as_int(const char *number)
{
	return psprintf("CASE WHEN %s IS NOT NULL THEN GREATEST(LEAST(%s, 2147483647), -2147483648) "
					"END::int4",
					number, number);
}

static char *
time_of(const char *x)
{
	return psprintf("(COALESCE(%s.offset_minutos, 0), %s.offset_referencia::text, "
					"%s.horario::time, COALESCE(%s.dias_uteis, false))",
					x, x, x, x);
}

static char *
look_sql(const CadenceTables *t, StepsEdit edit)
{
	switch (edit)
	{
		case STEPS_INSERTED:
			return psprintf("SELECT n.cadence_id::uuid, n.id::uuid, NULL::int4, %s, true, "
							"NOT EXISTS (SELECT FROM %s AS x WHERE x.cadence_id " EQ
							" n.cadence_id AND x.ordem " GT " n.ordem AND NOT EXISTS "
							"(SELECT FROM " STEPS_AFTER " AS m WHERE m.id " EQ " x.id)) "
							"FROM " STEPS_AFTER " AS n",
							as_int("n.ordem"), t->steps);
		case STEPS_DELETED:
			return psprintf("SELECT o.cadence_id::uuid, o.id::uuid, %s, NULL::int4, false, false "
							"FROM " STEPS_BEFORE " AS o",
							as_int("o.ordem"));
		case STEPS_UPDATED:
			break;
	}
	return psprintf(
		"SELECT COALESCE(n.cadence_id, o.cadence_id)::uuid, COALESCE(n.id, o.id)::uuid, "
		"%s, %s, %s IS DISTINCT FROM %s, false "
		"FROM " STEPS_BEFORE " AS o FULL JOIN " STEPS_AFTER " AS n "
		"ON n.id " EQ " o.id AND n.cadence_id " EQ " o.cadence_id "
		"WHERE o.ordem IS DISTINCT FROM n.ordem OR %s IS DISTINCT FROM %s",
		as_int("o.ordem"), as_int("n.ordem"), time_of("o"), time_of("n"), time_of("o"),
		time_of("n"));
}

/*
 * Steps that the transaction has removed so far. Who saves a cadence by removing all
 * steps and inserting them anew has not put them between others.
 */
static EditedStep *removed;
static int nremoved;
static LocalTransactionId removed_in;

static void
remember(const EditedStep *step)
{
	if (removed == NULL || removed_in != cadence_local_xid())
	{
		removed = MemoryContextAlloc(TopTransactionContext, sizeof(EditedStep) * REMOVED_MAX);
		removed_in = cadence_local_xid();
		nremoved = 0;
	}
	if (nremoved < REMOVED_MAX)
		removed[nremoved++] = *step;
}

static bool
is_same(const pg_uuid_t *a, const pg_uuid_t *b)
{
	return memcmp(a, b, UUID_LEN) == 0;
}

/* Which of them an inserted one is again, or takes the place of; whether there were any. */
static bool
recall(EditedStep *step)
{
	const EditedStep *same = NULL;
	bool any = false;

	if (removed == NULL || removed_in != cadence_local_xid())
		return false;
	for (int i = 0; i < nremoved; i++)
	{
		if (!is_same(&removed[i].cadence, &step->cadence))
			continue;
		any = true;
		if (is_same(&removed[i].id, &step->id))
			same = &removed[i];
		else if (removed[i].was == step->now && (same == NULL || !is_same(&same->id, &step->id)))
			same = &removed[i];
	}
	if (same != NULL)
	{
		step->has_was = true;
		step->was = same->was;
		step->has_era = !is_same(&same->id, &step->id);
		step->era = same->id;
	}
	return any;
}

/* What lies behind all others concerns no run: whoever gets there finds it. */
static bool
concerns_runs(StepsEdit edit, EditedStep *step)
{
	if (edit == STEPS_DELETED)
		remember(step);
	return edit != STEPS_INSERTED || recall(step) || !step->at_end;
}

static void
look(StepsEditing *e, StepsEdit edit)
{
	SPITupleTable *table;
	uint64 rows;

	statement_execute(&e->look, NULL, NULL, 0);
	table = SPI_tuptable;
	rows = SPI_processed;
	e->steps = palloc(sizeof(EditedStep) * Max(rows, 1));
	for (uint64 i = 0; i < rows; i++)
	{
		EditedStep *step = &e->steps[e->n];
		HeapTuple row = table->vals[i];
		TupleDesc desc = table->tupdesc;
		bool isnull;

		if (row_is_null(desc, row, EDITED_CADENCE) || row_is_null(desc, row, EDITED_ID))
			continue;
		step->cadence = *DatumGetUUIDP(SPI_getbinval(row, desc, EDITED_CADENCE, &isnull));
		step->id = *DatumGetUUIDP(SPI_getbinval(row, desc, EDITED_ID, &isnull));
		step->has_was = !row_is_null(desc, row, EDITED_WAS);
		step->was = row_int(desc, row, EDITED_WAS, 0);
		step->has_now = !row_is_null(desc, row, EDITED_NOW);
		step->now = row_int(desc, row, EDITED_NOW, 0);
		step->times = row_true(desc, row, EDITED_TIMES);
		step->at_end = row_true(desc, row, EDITED_AT_END);
		step->has_era = false;
		if (!concerns_runs(edit, step))
			continue;
		e->renumbers =
			e->renumbers || (step->has_now && (!step->has_was || step->was != step->now));
		e->n++;
	}
	SPI_freetuptable(table);
}

/* ---- runs that are alike ----------------------------------------------------------- */

enum
{
	GROUP_IDS = 1,
	GROUP_BUSY,
	GROUP_MARKED, /* the step that it stays before has gone, or another has come in its place */
	GROUP_NEXT,
	GROUP_LAST,
	GROUP_NEW_NEXT,
	GROUP_NEW_LAST,
	GROUP_EDITION,
	GROUP_HAD, /* what it has had, where its numbers told that so far; NULL: it knows */
	GROUP_RETIME,
	GROUP_TO,
	GROUP_FROM,
	GROUP_CLAIMED,
	GROUP_TIME
};

/* Of a run from before there were ids, what lies up to its last step counts as had. */
#define HAD "(COALESCE(x.id " EQ " ANY (g.had), x.was " LE " g.last)) IS TRUE"

/*
 * Passed by without having been had, by somebody's hand: it stays so where a run goes
 * back to a step that was put before it, unless it was moved itself.
 */
#define PASSED "x.was " LT " b.first AND x.was " EQ " x.now AND x.now " GE " f.now AND NOT " HAD

#define OLD(member) "g.edicao " JSON_TEXT " '" member "'"
#define WAS_OF(id) OLD("passo") " " EQ " " id "::text"
#define FORMER "COALESCE(g.edicao OPERATOR(pg_catalog.->) 'era', '[]')"

/* What is remembered of the step that a run stays before. */
static char *
edition_sql(void)
{
	const char *key =
		"CASE WHEN s.id IS NULL OR " WAS_OF("s.id") " THEN " OLD("chave") " WHEN " WAS_OF(
			"s.era") " THEN COALESCE(" OLD("chave") ", s.era::text) "
													"WHEN g.edicao IS NULL THEN s.was::text ELSE "
													"s.era::text END";
	const char *former = "CASE WHEN s.id IS NULL OR " WAS_OF("s.id") " OR " WAS_OF(
		"s.era") " THEN " FORMER " ELSE '[]' END OPERATOR(pg_catalog.||) "
				 "CASE WHEN s.era IS NOT NULL AND pg_catalog.jsonb_array_length(" FORMER ") " LT
				 " 50 "
				 "THEN pg_catalog.to_jsonb(s.era::text) ELSE '[]' END";

	return psprintf("pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object("
					"'passo', COALESCE(s.id::text, " OLD("passo") "), 'chave', %s, "
																  "'era', NULLIF(%s, '[]'), "
																  "'pendente', f.now))",
					key, former);
}

/*
 * The steps of a cadence: their numbers before the edit, and now. One that has the number
 * which an edited one had before has come with the same statement, which has updated some
 * and inserted others.
 */
static char *
layout_sql(const CadenceTables *t)
{
	char *number = as_int("s.ordem");

	return psprintf("SELECT s.cadence_id, s.id, CASE WHEN e.id IS NOT NULL THEN e.was "
					"WHEN NOT EXISTS (SELECT FROM " ROWSET_NAME " AS o WHERE o.cadence_id " EQ
					" s.cadence_id AND o.was " EQ " %s AND o.now IS NOT NULL) THEN %s END "
					"AS was, %s AS now, e.era, COALESCE(e.times, false) AS times FROM %s AS s "
					"LEFT JOIN " ROWSET_NAME " AS e ON e.id " EQ " s.id "
					"AND e.cadence_id " EQ " s.cadence_id "
					"WHERE s.cadence_id " EQ " $1 AND s.ordem " LE " 2147483647 "
					"UNION ALL SELECT e.cadence_id, e.id, e.was, NULL::int4, NULL::uuid, false "
					"FROM " ROWSET_NAME " AS e WHERE e.now IS NULL",
					number, number, number, t->steps);
}

static char *
alike_sql(const CadenceTables *t)
{
	return psprintf(
		"SELECT r.cadence_id, %s AS next, %s AS last, r.passos_enviados::uuid[] AS had, "
		"r.edicao::jsonb, " IS_BUSY " AS busy, " IS_CLAIMED " AS claimed, " IS_TRIED " AS tried, "
		"pg_catalog.array_agg(r.id::uuid) AS ids "
		"FROM %s AS r WHERE r.cadence_id " EQ " $1 AND " IS_OPEN " "
		"AND r.next_step_ordem IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6, 7, 8",
		as_int("r.next_step_ordem"), as_int("r.last_step_ordem"), t->runs);
}

/* What is looked for among the steps of a run's cadence. */
#define AMONG_STEPS "FROM layout AS x WHERE x.cadence_id " EQ " g.cadence_id AND "

/* What a run stood before; nothing, where an earlier edit has removed what it has tried. */
#define STOOD_BEFORE                                                                           \
	"SELECT x.* " AMONG_STEPS "x.was " GE " g.next AND NOT " HAD                               \
	" AND NOT (g.busy AND " OLD("passo") " IS NOT NULL AND NOT EXISTS (SELECT FROM layout AS " \
										 "y WHERE " WAS_OF("y.id") " OR " WAS_OF(              \
											 "y.era") ")) ORDER BY x.was, x.id LIMIT 1"

#define NEW_LAST \
	"COALESCE((SELECT pg_catalog.min(x.now) " AMONG_STEPS "x.was " EQ " g.last), g.last)"

/*
 * From which number before the edit on steps are to come, and, as numbers of now, behind
 * which and from which on a new one comes next.
 */
static char *
bounds_sql(void)
{
	return "SELECT b.first, GREATEST(CASE WHEN g.last " LT " g.next THEN " NEW_LAST " END, "
		   "(SELECT x.now " AMONG_STEPS "x.was " LT " g.next AND x.now IS NOT NULL AND " HAD " "
		   "ORDER BY x.was DESC LIMIT 1)) AS floor, "
		   "COALESCE((SELECT CASE WHEN x.now " NE " x.was THEN x.now END " AMONG_STEPS "x.was " GE
		   " b.first AND x.now IS NOT NULL ORDER BY x.was LIMIT 1), b.first) AS start, "
		   "g.last IS NULL AND pg_catalog.cardinality(COALESCE(g.had, '{}')) " EQ " 0 AS is_new "
		   "FROM (SELECT LEAST(g.next, " EDITION_PENDING("g.edicao") ") AS first) AS b";
}

/* What comes now, or, of a run that stays before its step, after that. */
#define COMES                                                                              \
	"SELECT x.* " AMONG_STEPS "x.now IS NOT NULL AND NOT " HAD " AND "                     \
	"CASE WHEN x.was IS NULL THEN x.now " GE " b.start OR (x.now " GT " b.floor) IS TRUE " \
	"OR b.is_new ELSE x.was " GE " b.first END "                                           \
	"AND NOT (g.busy AND (x.id " EQ " s.id) IS TRUE) ORDER BY x.now, x.id LIMIT 1"

/* What was had, or passed by, and only the numbers have told so. */
#define TOLD_BY_NUMBERS                                                                 \
	"SELECT ARRAY(SELECT x.id " AMONG_STEPS "((g.had IS NULL AND x.was " LE " g.last) " \
	"OR (" PASSED ")) ORDER BY x.was, x.id) AS ids"

/* What comes now has another time: of a run that stays before its step, that, or what it is over
 * to. */
#define RETIMED                                                                               \
	"CASE WHEN NOT g.busy THEN f.id IS NOT NULL AND (f.id IS DISTINCT FROM s.id OR f.times) " \
	"WHEN s.now IS NULL THEN f.id IS NOT NULL "                                               \
	"ELSE s.times AND (s.era IS NOT NULL OR (g.claimed AND NOT g.tried)) END"

#define TIMED "CASE WHEN g.busy AND s.now IS NOT NULL THEN s.id ELSE f.id END"

static char *
group_sql(const CadenceTables *t)
{
	return psprintf(
		"WITH layout AS MATERIALIZED (%s), groups AS MATERIALIZED (%s) "
		"SELECT g.ids, g.busy, g.busy AND s.id IS NOT NULL AND (s.now IS NULL OR "
		"s.era IS NOT NULL), g.next, g.last, CASE WHEN g.busy AND s.now IS NOT NULL THEN s.now "
		"WHEN f.id IS NULL OR (f.id " EQ " s.id AND f.now " EQ " f.was) THEN g.next "
		"ELSE f.now END, " NEW_LAST ", CASE WHEN g.busy THEN %s ELSE '{}' END, "
		"CASE WHEN h.ids " NE
		" '{}' THEN COALESCE(g.had, '{}') OPERATOR(pg_catalog.||) h.ids END, " RETIMED ", "
		"CASE WHEN NOT g.busy AND f.id IS DISTINCT FROM s.id THEN f.id::pg_catalog.uuid END, "
		"CASE WHEN NOT g.busy AND f.id IS DISTINCT FROM s.id AND s.now IS NOT NULL "
		"THEN s.id::pg_catalog.uuid END, g.claimed, %s "
		"FROM groups AS g "
		"LEFT JOIN LATERAL (" STOOD_BEFORE ") AS s ON true "
		"CROSS JOIN LATERAL (%s) AS b "
		"LEFT JOIN LATERAL (" COMES ") AS f ON true "
		"CROSS JOIN LATERAL (" TOLD_BY_NUMBERS ") AS h "
		"LEFT JOIN LATERAL (SELECT x.* FROM %s AS x WHERE x.id " EQ " " TIMED
		" LIMIT 1) AS y ON true",
		layout_sql(t), alike_sql(t), edition_sql(), cadence_step_time_columns("y"), bounds_sql(),
		t->steps);
}

/* A value that is there, in the current memory context; 0: it is not. */
static Datum
copied(TupleDesc desc, HeapTuple row, int column)
{
	bool isnull;
	Datum value = SPI_getbinval(row, desc, column, &isnull);

	return isnull ? (Datum) 0 : PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
}

static pg_uuid_t *
read_id(TupleDesc desc, HeapTuple row, int column)
{
	bool isnull;
	Datum value = SPI_getbinval(row, desc, column, &isnull);

	return isnull ? NULL : memcpy(palloc(sizeof(pg_uuid_t)), DatumGetUUIDP(value), UUID_LEN);
}

static void
read_group(const StepsEditing *e, TupleDesc desc, HeapTuple row, RunGroup *g)
{
	bool is_busy = row_true(desc, row, GROUP_BUSY);
	int before = row_int(desc, row, GROUP_NEXT, 0);
	int next = row_int(desc, row, GROUP_NEW_NEXT, 0);
	bool *nulls;

	memset(g, 0, sizeof(*g));
	deconstruct_array(DatumGetArrayTypeP(copied(desc, row, GROUP_IDS)), UUIDOID, UUID_LEN, false,
					  TYPALIGN_CHAR, &g->ids, &nulls, &g->n);
	/* the number of one that is removed leads to the one behind it, unless others wait before it */
	g->next = Int32GetDatum(e->renumbers || next < before ? next : before);
	g->has_last = !row_is_null(desc, row, GROUP_NEW_LAST);
	g->last = Int32GetDatum(row_int(desc, row, GROUP_NEW_LAST, 0));
	g->had = e->renumbers ? copied(desc, row, GROUP_HAD) : (Datum) 0;
	g->changed = before != DatumGetInt32(g->next) ||
				 row_int(desc, row, GROUP_LAST, 0) != DatumGetInt32(g->last) || g->had != 0 ||
				 (e->renumbers && is_busy) || row_true(desc, row, GROUP_MARKED);
	g->edition = g->changed ? copied(desc, row, GROUP_EDITION) : (Datum) 0;
	g->is_claimed = row_true(desc, row, GROUP_CLAIMED);
	g->retime = row_true(desc, row, GROUP_RETIME);
	g->to = read_id(desc, row, GROUP_TO);
	g->from = read_id(desc, row, GROUP_FROM);
	if (g->retime)
		cadence_step_time_read(desc, row, GROUP_TIME, &g->time);
}

static RunGroup *
find_groups(StepsEditing *e, int *n)
{
	Datum cadence = UUIDPGetDatum(&e->steps[0].cadence);
	SPITupleTable *table;
	RunGroup *groups;
	Rowset rows;

	rowset_begin(&rows, edited_columns, lengthof(edited_columns));
	for (int i = 0; i < e->n; i++)
	{
		rowset_put_uuid(&rows, &e->steps[i].cadence);
		rowset_put_uuid(&rows, &e->steps[i].id);
		rowset_put_if(&rows, e->steps[i].has_was, Int32GetDatum(e->steps[i].was));
		rowset_put_if(&rows, e->steps[i].has_now, Int32GetDatum(e->steps[i].now));
		rowset_put_if(&rows, e->steps[i].has_era, UUIDPGetDatum(&e->steps[i].era));
		rowset_put_bool(&rows, e->steps[i].times);
	}
	statement_execute(&e->group, &cadence, NULL, 0);
	rowset_end(&rows);
	table = SPI_tuptable;
	*n = (int) SPI_processed;
	groups = palloc(sizeof(*groups) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		read_group(e, table->tupdesc, table->vals[i], &groups[i]);
	SPI_freetuptable(table);
	return groups;
}

/* ---- what becomes of them ---------------------------------------------------------- */

enum
{
	TIMED_ID = 1,
	TIMED_LEAD,
	TIMED_EMPRESA,
	TIMED_COUNTS_FROM,
	TIMED_STARTED_AT
};

/* What their time counts from; null: it may have been made by hand, or there is none. */
static char *
read_sql(const CadenceTables *t)
{
	return psprintf("SELECT r.id::uuid, r.lead_id::text, r.empresa::text, "
					"CASE WHEN r.next_run_at IS NOT NULL THEN r.counts_from::timestamptz END, "
					"COALESCE(r.started_at::timestamptz, r.counts_from) FROM %s AS r "
					"WHERE r.id " EQ " ANY ($1)",
					t->runs);
}

/* Where its claim ends, and it stays before its step, a claimed one goes by step_due_at. */
static char *
write_sql(const CadenceTables *t)
{
	return psprintf("UPDATE %s AS r SET next_step_ordem = $1, last_step_ordem = $2, "
					"edicao = COALESCE($3, r.edicao), "
					"passos_enviados = COALESCE($4, r.passos_enviados), "
					"next_run_at = CASE WHEN $5 THEN r.next_run_at "
					"ELSE COALESCE(d.due, r.next_run_at) END, "
					"step_due_at = CASE WHEN $5 THEN COALESCE(d.due, r.step_due_at) "
					"WHEN d.due IS NULL THEN r.step_due_at END, "
					"updated_at = " NOW " FROM " ROWSET_NAME " AS d WHERE r.id " EQ " d.id",
					t->runs);
}

/* The person's calendar, where the step's time depends on it. */
static Calendar *
find_calendars(StepsEditing *e, SPITupleTable *table, int n)
{
	CadenceLead *leads = palloc(sizeof(CadenceLead) * Max(n, 1));
	Calendar *calendars = palloc0(sizeof(Calendar) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		leads[i].lead_id = row_text(table->tupdesc, table->vals[i], TIMED_LEAD, ROW_KEY_MAX);
		leads[i].empresa = row_text(table->tupdesc, table->vals[i], TIMED_EMPRESA, ROW_KEY_MAX);
	}
	cadence_calendars_find(e->calendars, leads, n, calendars);
	return calendars;
}

/* Puts those of some runs that are to be written, with their times. */
static void
put_times(StepsEditing *e, const RunGroup *g, SPITupleTable *table, int n, Rowset *rows)
{
	Calendar *calendars = step_needs_calendar(&g->time) ? find_calendars(e, table, n) : NULL;
	TimestampTz now = GetCurrentTimestamp();

	rowset_begin(rows, write_columns, lengthof(write_columns));
	for (int i = 0; i < n; i++)
	{
		TupleDesc desc = table->tupdesc;
		HeapTuple row = table->vals[i];
		bool is_ours = !row_is_null(desc, row, TIMED_COUNTS_FROM);
		bool isnull;

		if (!is_ours && !g->changed && !g->is_claimed)
			continue;
		rowset_put_datum(rows, SPI_getbinval(row, desc, TIMED_ID, &isnull));
		rowset_put_if(
			rows, is_ours,
			TimestampTzGetDatum(step_due(&g->time, row_time(desc, row, TIMED_COUNTS_FROM, now),
										 row_time(desc, row, TIMED_STARTED_AT, now), now,
										 calendars != NULL ? &calendars[i] : NULL)));
	}
}

static void
write_rows(StepsEditing *e, const RunGroup *g, Rowset *rows)
{
	Datum values[] = {g->next, g->last, g->edition, g->had, BoolGetDatum(g->is_claimed)};
	char nulls[] = {' ', g->has_last ? ' ' : 'n', g->edition != 0 ? ' ' : 'n',
					g->had != 0 ? ' ' : 'n', ' '};

	if (rows->n > 0)
		statement_execute(&e->write, values, nulls, 0);
	rowset_end(rows);
}

static void
write_times(StepsEditing *e, const RunGroup *g, Datum *ids, int n)
{
	Datum array = PointerGetDatum(construct_array(ids, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	SPITupleTable *table;
	Rowset rows;

	statement_execute(&e->read, &array, NULL, 0);
	table = SPI_tuptable;
	put_times(e, g, table, (int) SPI_processed, &rows);
	write_rows(e, g, &rows);
	SPI_freetuptable(table);
}

static void
write_places(StepsEditing *e, const RunGroup *g, Datum *ids, int n)
{
	Rowset rows;

	rowset_begin(&rows, write_columns, lengthof(write_columns));
	for (int i = 0; i < n; i++)
	{
		rowset_put_datum(&rows, ids[i]);
		rowset_put_null(&rows);
	}
	write_rows(e, g, &rows);
}

/* To which step runs have come, and that they have not come to another yet. */
static void
count_places(StepsEditing *e, const RunGroup *g, Datum *ids, int n)
{
	TallyRun *list = palloc(sizeof(*list) * 2 * Max(n, 1));
	int nlist = 0;

	for (int is_from = 0; is_from <= 1; is_from++)
		for (int i = 0; (is_from ? g->from : g->to) != NULL && i < n; i++)
			list[nlist++] = (TallyRun){.row = {.mark = "entered", .n = is_from ? -1 : 1},
									   .run = *DatumGetUUIDP(ids[i]),
									   .step = is_from ? g->from : g->to};
	cadence_tally_runs(e->tally, list, nlist);
}

static void
write_group(StepsEditing *e, const RunGroup *g)
{
	MemoryContext chunk =
		AllocSetContextCreate(CurrentMemoryContext, "cadence_runner runs", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(chunk);

	for (int i = 0; i < g->n; i += CHUNK)
	{
		int n = Min(CHUNK, g->n - i);

		if (g->retime)
			write_times(e, g, &g->ids[i], n);
		else if (g->changed || g->is_claimed)
			write_places(e, g, &g->ids[i], n);
		count_places(e, g, &g->ids[i], n);
		MemoryContextReset(chunk);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(chunk);
}

/* ---- one edit ---------------------------------------------------------------------- */

static void
create_statements(StepsEditing *e, const CadenceTables *t, StepsEdit edit)
{
	e->look = ROWS_STATEMENT("looking at edited steps", look_sql(t, edit), SPI_OK_SELECT);
	e->lock = STATEMENT("locking the runs of a cadence",
						psprintf("SELECT pg_catalog.count(*) FROM (SELECT r.id FROM %s AS r "
								 "WHERE r.cadence_id " EQ " $1 AND " IS_OPEN
								 " ORDER BY r.id FOR NO KEY UPDATE) AS l",
								 t->runs),
						cadence_types, SPI_OK_SELECT);
	e->group =
		STATEMENT("looking at the runs of a cadence", group_sql(t), cadence_types, SPI_OK_SELECT);
	e->read = STATEMENT("reading when runs count from", read_sql(t), ids_types, SPI_OK_SELECT);
	e->write = STATEMENT("moving runs after an edit", write_sql(t), write_types, SPI_OK_UPDATE);
	e->lock.latest = e->group.latest = e->read.latest = e->write.latest = true;
	e->calendars = cadence_calendars_create(t, false);
	e->tally = cadence_tally_create(t);
}

static void
set_here(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}

/*
 * Whoever edits waits for executions that write, which wait for nobody longer than a
 * second; so of a worker and an editor who wait for each other it is the worker who
 * tries again. All runs of a cadence are read at once.
 */
static void
settle_down(const CadenceTables *t)
{
	static const char *const settings[][2] = {{"lock_timeout", "30s"},
											  {"deadlock_timeout", "5s"},
											  {"enable_seqscan", "on"},
											  {"enable_bitmapscan", "on"}};

	for (size_t i = 0; i < lengthof(settings); i++)
		set_here(settings[i][0], settings[i][1]);
	/* triggers of the runs may name tables without a schema, as in the worker's own session */
	set_here("search_path", psprintf("pg_catalog, %s, pg_temp", quote_identifier(t->schema_name)));
}

static int
by_cadence(const void *a, const void *b)
{
	return memcmp(&((const EditedStep *) a)->cadence, &((const EditedStep *) b)->cadence, UUID_LEN);
}

/* Of a cadence, which all steps that were edited belong to. */
static void
move_runs(StepsEditing *e)
{
	Datum cadence = UUIDPGetDatum(&e->steps[0].cadence);
	RunGroup *groups;
	int n;

	statement_execute(&e->lock, &cadence, NULL, 0);
	SPI_freetuptable(SPI_tuptable);
	groups = find_groups(e, &n);
	cadence_calendars_refresh(e->calendars);
	for (int i = 0; i < n; i++)
		write_group(e, &groups[i]);
}

/* One cadence after the other: what a statement has edited may be thousands. */
static void
move_runs_of_all(StepsEditing *e)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "cadence_runner edit", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	EditedStep *end = e->steps + e->n;

	for (; e->steps < end; e->steps += e->n)
	{
		for (e->n = 1; e->steps + e->n < end && by_cadence(e->steps, e->steps + e->n) == 0;)
			e->n++;
		move_runs(e);
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/*
 * Keeps the runs right that are in cadences whose steps a statement has edited, as the
 * tables' owner, inside an SPI connection that knows the transition tables. False: that
 * concerns none.
 */
bool
cadence_steps_edit(const CadenceTables *t, StepsEdit edit)
{
	StepsEditing *e = palloc0(sizeof(*e));
	CadenceCaller caller = cadence_owner_begin(t->owner);
	bool is_concerned;

	/* of their owner's own edit deferred triggers may wait for the transaction's end */
	if (caller.user == t->owner)
		SetUserIdAndSecContext(caller.user, caller.security | SECURITY_LOCAL_USERID_CHANGE);
	settle_down(t);
	create_statements(e, t, edit);
	look(e, edit);
	is_concerned = e->n > 0;
	qsort(e->steps, e->n, sizeof(EditedStep), by_cadence);
	move_runs_of_all(e);
	cadence_owner_end(caller);
	return is_concerned;
}
