/*
 * edit_groups.c
 *		Runs of an edited cadence that are alike, and what the edit makes of them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"

#include "base/row.h"
#include "record/edit_parts.h"
#include "record/move.h"
#include "schema/edition.h"
#include "schema/policy.h"

#define IS_BUSY "(r.claim_id IS NOT NULL OR COALESCE(r.attempts, 0) " GT " 0)"
#define IS_CLAIMED "(r.claim_id " NE " " INTERRUPTED_CLAIM ") IS TRUE"

/* By its claim, which counts as one. */
#define IS_TRIED "(COALESCE(r.attempts, 0) " GT " 1)"

static const RowsetColumn edited_columns[] = {{"cadence_id", UUIDOID}, {"id", UUIDOID},
											  {"was", INT4OID},		   {"now", INT4OID},
											  {"era", UUIDOID},		   {"times", BOOLOID}};

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
	const char *number = CLAMPED_INT("s.ordem");

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
		CLAMPED_INT("r.next_step_ordem"), CLAMPED_INT("r.last_step_ordem"), t->runs);
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
	g->to = row_uuid_copy(desc, row, GROUP_TO);
	g->from = row_uuid_copy(desc, row, GROUP_FROM);
	if (g->retime)
		cadence_step_time_read(desc, row, GROUP_TIME, &g->time);
}

/* Those of the cadence that all of the edited steps belong to, as its runs are now. */
RunGroup *
edit_groups_find(StepsEditing *e, int *n)
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

void
edit_groups_prepare(StepsEditing *e, const CadenceTables *t)
{
	static const Oid types[] = {UUIDOID};

	e->group = STATEMENT("looking at the runs of a cadence", group_sql(t), types, SPI_OK_SELECT);
	e->group.latest = true;
}
