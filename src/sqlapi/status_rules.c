/*
 * status_rules.c
 *		Rules that never let anything through, for cadence_health(): what is written before
 *		its trigger was there, or past it, and views that can not be asked.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/row.h"
#include "base/statement.h"
#include "rules/window.h"
#include "schema/calendar.h"
#include "schema/exits.h"
#include "sqlapi/status_rules.h"

/* So many rows are looked at, of cadences and of companies; so many problems are named. */
#define ROWS_MAX "10000"
#define PROBLEMS_MAX 20

enum
{
	RULE_KIND = 1, /* "cadence" or "company" */
	RULE_NAME,
	RULE_HAS_WINDOW,
	RULE_WINDOW, /* null where there is one: it is too long */
	RULE_ZONE,
	RULE_CAP /* the column of one that is used up from the start */
};

typedef struct Problems
{
	Datum list[PROBLEMS_MAX];
	int n;
} Problems;

static void
add(Problems *problems, char *text)
{
	if (problems->n < PROBLEMS_MAX)
		problems->list[problems->n++] = CStringGetTextDatum(text);
}

#define USED_UP(column) "WHEN x." column " " LE " 0 THEN '" column "'::text "

/* The formatter would tear the text apart at each macro. */
/* clang-format off */
static char *
rules_sql(const CadenceTables *t)
{
	return psprintf(
		"(SELECT 'cadence'::text, " SHORT_TEXT("x.codigo", "1000") ", x.janela IS NOT NULL, "
		SHORT_TEXT("x.janela", "8192") ", NULL::text, "
		"CASE " USED_UP("max_por_dia") USED_UP("max_novos_por_dia") "END FROM %s AS x "
		"WHERE x.ativo IS NOT FALSE AND (x.janela IS NOT NULL OR x.max_por_dia " LE " 0 "
		"OR x.max_novos_por_dia " LE " 0) ORDER BY x.codigo LIMIT " ROWS_MAX ") UNION ALL "
		"(SELECT 'company'::text, " SHORT_TEXT("x.empresa", "1000") ", x.janela IS NOT NULL, "
		SHORT_TEXT("x.janela", "8192") ", " SHORT_TEXT("x.fuso_horario", "100") ", "
		"CASE " USED_UP("max_por_dia") USED_UP("max_por_lead_dia") "END FROM %s AS x "
		"WHERE x.janela IS NOT NULL OR x.fuso_horario IS NOT NULL OR x.max_por_dia " LE " 0 "
		"OR x.max_por_lead_dia " LE " 0 ORDER BY x.empresa LIMIT " ROWS_MAX ")",
		t->cadences, t->empresas);
}
/* clang-format on */

static void
check_window(const char *whose, const char *window, Problems *problems)
{
	char problem[WINDOW_PROBLEM_SIZE] = "it is longer than 8192 bytes";
	Window ignored;

	if (window == NULL || !window_read(window, strlen(window), &ignored, problem))
		add(problems, psprintf("%s sends nothing: its janela is no window: %s", whose, problem));
}

static void
check_row(TupleDesc desc, HeapTuple row, Problems *problems)
{
	char *name = row_text(desc, row, RULE_NAME, ROW_KEY_MAX);
	char *whose =
		psprintf("%s \"%s\"", SPI_getvalue(row, desc, RULE_KIND), name != NULL ? name : "");
	char *zone = row_text(desc, row, RULE_ZONE, ROW_KEY_MAX);
	char *cap = SPI_getvalue(row, desc, RULE_CAP);

	if (row_true(desc, row, RULE_HAS_WINDOW))
		check_window(whose, row_text(desc, row, RULE_WINDOW, ROW_FIELD_MAX), problems);
	if (zone != NULL && *zone != '\0' && cadence_zone_find(zone) == NULL)
		add(problems, psprintf("%s sends nothing that depends on the time there: its fuso_horario "
							   "\"%s\" is no time zone that this server knows",
							   whose, zone));
	if (cap != NULL)
		add(problems, psprintf("%s sends nothing: its %s lets none through", whose, cap));
}

static void
check_rows(const CadenceTables *t, Problems *problems)
{
	Statement read = {.what = "looking for rules",
					  .sql = rules_sql(t),
					  .expected = SPI_OK_SELECT,
					  .in_query = true,
					  .context = CurrentMemoryContext};

	statement_execute(&read, NULL, NULL, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
		check_row(SPI_tuptable->tupdesc, SPI_tuptable->vals[i], problems);
	SPI_freetuptable(SPI_tuptable);
}

/*
 * A text[] of the rules that never let anything through, and of views that can not be
 * asked; inside an SPI connection, as the tables' owner. In the current memory context.
 */
Datum
cadence_rule_problems(const CadenceTables *t)
{
	const char *problem = cadence_exits_problem(cadence_exits_create(t, true));
	Problems problems = {.n = 0};

	if (problem != NULL)
		add(&problems, psprintf("nothing is sent while a view can not be asked: %s", problem));
	check_rows(t, &problems);
	return PointerGetDatum(
		construct_array(problems.list, problems.n, TEXTOID, -1, false, TYPALIGN_INT));
}
