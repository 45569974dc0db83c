/*
 * marks.c
 *		What earlier answers have said about a step's person, address or template.
 *
 * The tables that remember it are empty, or nearly so: a claim asks once whether
 * they are, and looks its steps up only where they are not.
 *
 * A template that its provider has stopped is tried by one message at a time, for
 * all that wait for it: a claim that finds the time come takes the try, and the
 * others of its template wait for what that shows. Nobody waits for a row here:
 * one that is locked is somebody else's to try.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/timestamp.h"

#include "base/row.h"
#include "base/statement.h"
#include "provider/provider.h"
#include "resolve/marks.h"
#include "rules/address_key.h"
#include "schema/blocklist.h"
#include "schema/key.h"
#include "schema/marks.h"

/* What a try takes at most until its answer is recorded. */
#define PROBE_WAIT "interval '2 minutes'"
#define PROBE_WAIT_US (120 * USECS_PER_SEC)

struct CadenceMarks
{
	bool in_query;
	Statement any;
	Statement people;
	Statement templates;
	Statement probe;
	CadenceBlocklist *blocklist;
	bool any_templates; /* as the last look has found */
};

enum
{
	ANY_PEOPLE = 1,
	ANY_TEMPLATES
};

static const RowsetColumn person_columns[] = {{"n", INT4OID},		  {"lead_id", TEXTOID},
											  {"empresa", TEXTOID},	  {"canal", TEXTOID},
											  {"categoria", TEXTOID}, {"endereco", TEXTOID}};

enum
{
	PERSON_NUMBER = 1,
	PERSON_HAS_OPTED_OUT,
	PERSON_OF_CATEGORY,
	PERSON_MOTIVO,
	PERSON_IS_DEAD,
	PERSON_DEAD_MOTIVO,
	PERSON_DEAD_SERVER
};

static const RowsetColumn template_columns[] = {{"n", INT4OID},		   {"codigo", TEXTOID},
												{"empresa", TEXTOID},  {"canal", TEXTOID},
												{"servidor", TEXTOID}, {"versao", TEXTOID}};

enum
{
	TEMPLATE_NUMBER = 1,
	TEMPLATE_IS_SAME, /* as the one that was stopped */
	TEMPLATE_TRY_AT,
	TEMPLATE_MOTIVO
};

static char *
any_sql(const CadenceTables *t)
{
	return psprintf("SELECT EXISTS (SELECT FROM %s) OR EXISTS (SELECT FROM %s), "
					"EXISTS (SELECT FROM %s)",
					t->opt_outs, t->dead_addresses, t->stopped_templates);
}

/* An opt-out of everything before one of a category. */
static char *
people_sql(const CadenceTables *t)
{
	return psprintf("SELECT d.n, o.motivo IS NOT NULL, o.of_category, o.motivo, "
					"a.motivo IS NOT NULL, a.motivo, a.servidor FROM " ROWSET_NAME " AS d "
					"LEFT JOIN LATERAL (SELECT x.categoria IS NOT NULL AS of_category, "
					"COALESCE(x.motivo::text, '') AS motivo FROM %s AS x WHERE %s AND %s "
					"ORDER BY x.categoria IS NOT NULL LIMIT 1) AS o ON true "
					"LEFT JOIN LATERAL (SELECT COALESCE(x.motivo::text, '') AS motivo, "
					"COALESCE(x.servidor::text, '?') AS servidor "
					"FROM %s AS x WHERE x.endereco " EQ " d.endereco AND x.canal " EQ
					" " MARK_WORD("d.canal") " AND " MARK_IS_DEAD(
						"x") " AND %s LIMIT 1) AS a ON true "
							 "WHERE o.motivo IS NOT NULL OR a.motivo IS NOT NULL",
					t->opt_outs, cadence_opt_out_is_of(t, "x", "d.lead_id", "d.empresa"),
					cadence_opt_out_forbids("x", "d.canal", "d.categoria"), t->dead_addresses,
					cadence_key_is(t, "lead_contacts", "x", "empresa", "d.empresa"));
}

static char *
templates_sql(const CadenceTables *t)
{
	return psprintf("SELECT d.n, m.versao " EQ " d.versao, m.tentar_em::timestamptz, "
					"m.motivo::text FROM " ROWSET_NAME " AS d JOIN %s AS m "
					"ON " MARK_OF_TEMPLATE("m"),
					t->stopped_templates);
}

/*
 * One step for each template, since a row is changed once. Others that look at it
 * meanwhile wait for what the try shows.
 */
static char *
probe_sql(const CadenceTables *t)
{
	return psprintf("UPDATE %s AS m SET tentar_em = " NOW " OPERATOR(pg_catalog.+) " PROBE_WAIT
					" FROM " ROWSET_NAME " AS d CROSS JOIN LATERAL (SELECT x.ctid FROM %s AS x "
					"WHERE " MARK_OF_TEMPLATE(
						"x") " AND x.tentar_em " LE " " NOW " FOR UPDATE SKIP LOCKED) AS f "
							 "WHERE m.ctid " EQ
							 " f.ctid AND " MARK_OF_TEMPLATE("m") " RETURNING d.n",
					t->stopped_templates, t->stopped_templates);
}

/* In the current memory context. in_query: for one call in somebody's query. */
CadenceMarks *
cadence_marks_create(const CadenceTables *t, bool in_query)
{
	CadenceMarks *marks = palloc0(sizeof(*marks));

	marks->in_query = in_query;
	marks->any = ROWS_STATEMENT("looking for marks", any_sql(t), SPI_OK_SELECT);
	marks->people =
		ROWS_STATEMENT("looking for opt-outs and dead addresses", people_sql(t), SPI_OK_SELECT);
	marks->templates =
		ROWS_STATEMENT("looking for stopped templates", templates_sql(t), SPI_OK_SELECT);
	marks->probe =
		ROWS_STATEMENT("trying stopped templates", probe_sql(t), SPI_OK_UPDATE_RETURNING);
	marks->blocklist = cadence_blocklist_create(t, in_query);
	marks->any.in_query = marks->people.in_query = marks->templates.in_query = in_query;
	return marks;
}

/* ---- people -------------------------------------------------------------------------- */

/* Whether there is somebody to write to, as far as is known; a waiting run waits. */
static bool
is_for_somebody(const CadenceStep *step)
{
	return step->has_step &&
		   (step->outcome == OUTCOME_PENDING || step->outcome == OUTCOME_UNRESOLVED);
}

static void
put_person(Rowset *rows, const CadenceStep *step, int number)
{
	char key[ADDRESS_KEY_SIZE];
	bool is_email = step->canal != NULL && pg_strcasecmp(step->canal, "EMAIL") == 0;

	if (step->recipient != NULL)
		address_key(step->recipient, is_email, step->pais, key);
	rowset_put_int(rows, number);
	rowset_put_text(rows, step->lead_id);
	rowset_put_text(rows, step->empresa);
	rowset_put_text(rows, step->canal);
	rowset_put_text(rows, step->categoria);
	rowset_put_text(rows, step->recipient != NULL ? key : NULL);
}

static void
read_person(PersonMarks *person, TupleDesc desc, HeapTuple row)
{
	person->has_opted_out = row_true(desc, row, PERSON_HAS_OPTED_OUT);
	person->of_category = row_true(desc, row, PERSON_OF_CATEGORY);
	person->motivo = row_text(desc, row, PERSON_MOTIVO, ROW_FIELD_MAX);
	person->is_dead = row_true(desc, row, PERSON_IS_DEAD);
	person->dead_motivo = row_text(desc, row, PERSON_DEAD_MOTIVO, ROW_FIELD_MAX);
	person->dead_server = row_text(desc, row, PERSON_DEAD_SERVER, ROW_KEY_MAX);
}

static void
find_people(CadenceMarks *marks, CadenceStep **steps, int n, PersonMarks *found)
{
	Rowset rows;

	rowset_begin(&rows, person_columns, lengthof(person_columns));
	for (int i = 0; i < n; i++)
		if (is_for_somebody(steps[i]))
			put_person(&rows, steps[i], i);
	statement_execute(&marks->people, NULL, NULL, 0);
	rowset_end(&rows);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;

		read_person(&found[row_int(desc, row, PERSON_NUMBER, 0)], desc, row);
	}
	SPI_freetuptable(SPI_tuptable);
}

/* As an address for the blocklist, which has one for all spellings. */
static void
put_lookup(BlocklistLookup *lookup, const CadenceStep *step)
{
	StaticAssertStmt(sizeof(lookup->address) >= ADDRESS_ONE_SIZE, "an address has to fit");
	lookup->empresa = step->empresa;
	lookup->is_email = step->canal != NULL && pg_strcasecmp(step->canal, "EMAIL") == 0;
	if (step->recipient == NULL ||
		!address_reached(step->recipient, lookup->is_email, step->pais, lookup->address))
		lookup->address[0] = '\0';
}

/* Notes whom nobody may write to. *found is made where it is not there and somebody is. */
static void
find_blocked(CadenceMarks *marks, CadenceStep **steps, int n, PersonMarks **found)
{
	BlocklistLookup *lookups = palloc0(sizeof(*lookups) * Max(n, 1));

	for (int i = 0; i < n; i++)
		if (is_for_somebody(steps[i]))
			put_lookup(&lookups[i], steps[i]);
	if (cadence_blocklist_find(marks->blocklist, lookups, n) > 0 && *found == NULL)
		*found = palloc0(sizeof(**found) * n);
	for (int i = 0; i < n; i++)
		if (lookups[i].is_blocked)
		{
			(*found)[i].is_blocked = true;
			(*found)[i].blocked_reason = lookups[i].reason;
		}
	pfree(lookups);
}

/*
 * What is remembered of the people that steps are for, inside an SPI connection,
 * for each step; NULL: nothing of anybody.
 */
const PersonMarks *
cadence_marks_of_people(CadenceMarks *marks, CadenceStep **steps, int n)
{
	PersonMarks *found = NULL;
	bool any_people;

	statement_execute(&marks->any, NULL, NULL, 0);
	any_people = row_true(SPI_tuptable->tupdesc, SPI_tuptable->vals[0], ANY_PEOPLE);
	marks->any_templates = row_true(SPI_tuptable->tupdesc, SPI_tuptable->vals[0], ANY_TEMPLATES);
	SPI_freetuptable(SPI_tuptable);
	if (any_people)
	{
		found = palloc0(sizeof(*found) * Max(n, 1));
		find_people(marks, steps, n, found);
	}
	if (cadence_blocklist_begin(marks->blocklist))
		find_blocked(marks, steps, n, &found);
	return found;
}

/* ---- templates ----------------------------------------------------------------------- */

static void
put_template(Rowset *rows, const CadenceStep *step, int number)
{
	rowset_put_int(rows, number);
	rowset_put_text(rows, step->template_codigo);
	rowset_put_text(rows, step->empresa);
	rowset_put_text(rows, step->canal);
	rowset_put_text(rows, step->request.configuration->name);
	rowset_put_text(rows, step->template_version);
}

/* Not now, and no attempt. */
static void
put_off(CadenceStep *step, const char *motivo, int64 wait_us)
{
	step->outcome = OUTCOME_PUT_OFF;
	step->reason.code = cadence_classes[CLASS_TEMPLATE_STOPPED].code;
	step->reason.text =
		psprintf("template \"%s\" is stopped at server \"%s\": %s", step->template_codigo,
				 step->request.configuration->name, motivo != NULL ? motivo : "");
	step->answer.retry_after_us = Max(wait_us, USECS_PER_SEC);
}

/*
 * Notes which templates are marked, and puts off what waits for one that is
 * still the same. Those whose time has come go into the set.
 */
static void
read_templates(CadenceStep **steps, Rowset *due)
{
	TimestampTz now = GetCurrentTimestamp();

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		int number = row_int(desc, row, TEMPLATE_NUMBER, 0);
		TimestampTz at = row_time(desc, row, TEMPLATE_TRY_AT, 0);

		steps[number]->template_is_marked = true;
		if (!row_true(desc, row, TEMPLATE_IS_SAME))
			continue;
		put_off(steps[number], row_text(desc, row, TEMPLATE_MOTIVO, ROW_FIELD_MAX),
				at > now ? at - now : PROBE_WAIT_US);
		if (at <= now)
			put_template(due, steps[number], number);
	}
	SPI_freetuptable(SPI_tuptable);
}

static void
let_through(CadenceStep *step)
{
	step->outcome = OUTCOME_PENDING;
	step->reason = (CadenceReason){NULL, NULL};
	step->answer.retry_after_us = 0;
	step->is_template_probe = true;
}

/* Who only asks what would be sent takes no try, and shows the message. */
static void
take_probes(CadenceMarks *marks, CadenceStep **steps)
{
	statement_execute(&marks->probe, NULL, NULL, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
		let_through(steps[row_int(SPI_tuptable->tupdesc, SPI_tuptable->vals[i], 1, 0)]);
	SPI_freetuptable(SPI_tuptable);
}

/*
 * Puts off resolved steps whose approved template is stopped, but for those that
 * try it; inside an SPI connection, after cadence_marks_of_people().
 */
void
cadence_marks_of_templates(CadenceMarks *marks, CadenceStep **steps, int n)
{
	Rowset rows;
	Rowset due;

	if (!marks->any_templates)
		return;
	rowset_begin(&rows, template_columns, lengthof(template_columns));
	for (int i = 0; i < n; i++)
		if (steps[i]->outcome == OUTCOME_PENDING && steps[i]->template_version != NULL)
			put_template(&rows, steps[i], i);
	if (rows.n > 0)
		statement_execute(&marks->templates, NULL, NULL, 0);
	rowset_end(&rows);
	if (rows.n == 0)
		return;
	rowset_begin(&due, template_columns, lengthof(template_columns));
	read_templates(steps, &due);
	if (due.n > 0 && !marks->in_query)
		take_probes(marks, steps);
	rowset_end(&due);
}
