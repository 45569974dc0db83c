/*
 * enrol_cadence.c
 *		Which cadence leads are to be enrolled in.
 *
 * A code that several companies have is no guess: it is that of the company that is
 * named, else of the only one that knows the leads, all of them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "base/row.h"
#include "record/edit.h"
#include "record/move.h"
#include "schema/key.h"
#include "schema/policy.h"
#include "sqlapi/enrolment.h"

/* So many companies are named where a cadence's code has several. */
#define COMPANIES_MAX 20

#define COMPANIES "cadence_companies"

struct CadenceChoice
{
	Statement find;
	Statement count;
};

/* The cadences of a code, of each company the newest, with their first steps. */
static char *
find_sql(const CadenceTables *t)
{
	return psprintf(
		"SELECT c.id, c.empresa, c.ativo, c.reentrada, c.exclusiva, s.cadence_id IS NOT NULL, "
		"s.ordem, s.template_codigo, %s, %s, %s "
		"FROM (SELECT DISTINCT ON (x.empresa::text) x.id::uuid, x.empresa::text, "
		"COALESCE(x.ativo, true) AS ativo, x.reentrada::text, x.exclusiva FROM %s AS x "
		"WHERE %s AND ($2 IS NULL OR %s) "
		"ORDER BY x.empresa::text, x.updated_at DESC NULLS LAST) AS c "
		"LEFT JOIN LATERAL (SELECT x.cadence_id, x.ordem::int4, x.template_codigo::text, "
		"COALESCE(x.offset_minutos, 0) AS offset_minutos, x.offset_referencia, x.horario, "
		"x.dias_uteis FROM %s AS x WHERE x.cadence_id " EQ " c.id ORDER BY x.ordem LIMIT 1) AS s "
		"ON true ORDER BY c.empresa",
		CADENCE_KEY("c.id"), CADENCE_KEY("pg_catalog.lower(c.empresa)"),
		cadence_step_time_columns("s"), t->cadences,
		cadence_key_is(t, "cadences", "x", "codigo", "$1"),
		cadence_key_is(t, "cadences", "x", "empresa", "$2"), t->steps);
}

static const Oid find_types[] = {TEXTOID, TEXTOID};

enum
{
	FOUND_ID = 1,
	FOUND_EMPRESA,
	FOUND_IS_ENABLED,
	FOUND_REENTRY,
	FOUND_IS_EXCLUSIVE,
	FOUND_HAS_STEP,
	FOUND_ORDEM,
	FOUND_TEMPLATE,
	FOUND_KEY,
	FOUND_COMPANY_KEY,
	FOUND_TIME
};

/*
 * How many of the leads each company knows. A lead's contacts are few and companies may
 * be many: the fence keeps the planner from trying each lead with each of these.
 */
static char *
count_sql(const CadenceTables *t)
{
	return psprintf("SELECT c.n, pg_catalog.count(DISTINCT k.n) FROM (SELECT d.n, x.empresa "
					"FROM " ROWSET_NAME " AS d JOIN %s AS x ON %s OFFSET 0) AS k "
					"JOIN " COMPANIES " AS c ON %s GROUP BY c.n",
					t->contacts, cadence_key_is(t, "lead_contacts", "x", "lead_id", "d.lead_id"),
					cadence_key_is(t, "lead_contacts", "k", "empresa", "c.empresa"));
}

static const RowsetColumn company_columns[] = {{"n", INT4OID}, {"empresa", TEXTOID}};

/* In the current memory context. */
CadenceChoice *
cadence_choice_create(const CadenceTables *t)
{
	CadenceChoice *choice = palloc0(sizeof(*choice));

	choice->find = STATEMENT("looking for a cadence", find_sql(t), find_types, SPI_OK_SELECT);
	/* an older snapshot would not see what was changed meanwhile */
	choice->find.latest = true;
	choice->count = ROWS_STATEMENT("looking for whose leads they are", count_sql(t), SPI_OK_SELECT);
	return choice;
}

static void
read_cadence(EnrolCadence *c, TupleDesc desc, HeapTuple row)
{
	bool isnull;

	(void) row_uuid(desc, row, FOUND_ID, &c->id);
	c->empresa = SPI_getvalue(row, desc, FOUND_EMPRESA);
	c->is_enabled = row_true(desc, row, FOUND_IS_ENABLED);
	c->reentry = reentry_of(SPI_getvalue(row, desc, FOUND_REENTRY));
	c->is_exclusive = row_true(desc, row, FOUND_IS_EXCLUSIVE);
	c->has_step = row_true(desc, row, FOUND_HAS_STEP);
	c->has_ordem = !row_is_null(desc, row, FOUND_ORDEM);
	c->ordem = row_int(desc, row, FOUND_ORDEM, 0);
	c->template_codigo = SPI_getvalue(row, desc, FOUND_TEMPLATE);
	c->key = DatumGetInt64(SPI_getbinval(row, desc, FOUND_KEY, &isnull));
	c->company_key = DatumGetInt64(SPI_getbinval(row, desc, FOUND_COMPANY_KEY, &isnull));
	cadence_step_time_read(desc, row, FOUND_TIME, &c->time);
}

/* All cadences of that code, in the current memory context; how many. */
static int
find(CadenceChoice *choice, const EnrolWish *wish, EnrolCadence **found)
{
	Datum values[lengthof(find_types)];
	char nulls[lengthof(find_types)];
	int n;

	statement_put_text(values, nulls, 0, wish->codigo);
	statement_put_text(values, nulls, 1, wish->empresa);
	statement_execute(&choice->find, values, nulls, 0);
	n = SPI_processed;
	*found = palloc0(sizeof(EnrolCadence) * Max(n, 1));
	for (int i = 0; i < n; i++)
		read_cadence(&(*found)[i], SPI_tuptable->tupdesc, SPI_tuptable->vals[i]);
	SPI_freetuptable(SPI_tuptable);
	return n;
}

/* ---- of several companies ------------------------------------------------------------- */

static void
refuse_guess(const EnrolWish *wish, const EnrolCadence *found, int nfound)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < nfound && i < COMPANIES_MAX; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "",
						 found[i].empresa != NULL ? found[i].empresa : "null");
	if (nfound > COMPANIES_MAX)
		appendStringInfoString(&names, ", ...");
	ereport(ERROR, (errcode(ERRCODE_TOO_MANY_ROWS),
					errmsg("several companies have a cadence \"%s\": %s", wish->codigo, names.data),
					errhint("Name the one that is meant in the argument empresa.")));
}

static void
put_companies(Rowset *rows, const EnrolCadence *found, int nfound)
{
	rowset_begin_as(rows, COMPANIES, company_columns, lengthof(company_columns));
	for (int i = 0; i < nfound; i++)
	{
		rowset_put_int(rows, i);
		rowset_put_text(rows, found[i].empresa);
	}
}

/* Adds to the number of those whom each company knows. */
static void
count_known(CadenceChoice *choice, EnrolLead **leads, int n, int64 *known)
{
	Rowset rows;

	cadence_enrol_leads_begin(&rows, leads, n);
	statement_execute(&choice->count, NULL, NULL, 0);
	rowset_end(&rows);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		bool isnull;

		known[row_int(desc, row, 1, 0)] += DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
}

/* The one that knows all of the leads, where no other knows any. */
static int
find_company(CadenceChoice *choice, const EnrolWish *wish, const EnrolCadence *found, int nfound,
			 EnrolLead **leads, int n)
{
	int64 *known = palloc0(sizeof(int64) * nfound);
	Rowset companies;
	int chosen = -1;
	bool is_guess = false;

	put_companies(&companies, found, nfound);
	for (int first = 0; first < n; first += ENROL_CHUNK)
		count_known(choice, leads + first, Min(n - first, ENROL_CHUNK), known);
	rowset_end(&companies);
	for (int i = 0; i < nfound; i++)
		if (known[i] > 0)
		{
			is_guess = is_guess || chosen >= 0 || known[i] < n;
			chosen = i;
		}
	if (is_guess || chosen < 0)
		refuse_guess(wish, found, nfound);
	return chosen;
}

/* ---- */

static EnrolCadence *
choose(CadenceChoice *choice, const EnrolWish *wish, EnrolLead **leads, int n)
{
	EnrolCadence *found;
	int nfound = find(choice, wish, &found);

	if (nfound == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 wish->empresa == NULL ? errmsg("cadence \"%s\" does not exist", wish->codigo)
									   : errmsg("cadence \"%s\" of company \"%s\" does not exist",
												wish->codigo, wish->empresa),
				 errhint("Cadences are named by the column cadences.codigo.")));
	if (nfound > 1)
		found += find_company(choice, wish, found, nfound, leads, n);
	if (!found->is_enabled)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("cadence \"%s\" is inactive", wish->codigo),
						errhint("Set cadences.ativo to true.")));
	if (!found->has_step)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("cadence \"%s\" has no steps", wish->codigo),
						errhint("Insert rows into cadence_steps first.")));
	return found;
}

/*
 * The cadence that is meant for these leads, in the current memory context, inside an
 * SPI connection. Nobody else edits its steps until the transaction ends.
 *
 * Errors: P0002 when there is no such cadence, P0003 when several companies have it,
 * 55000 when it is inactive or has no steps.
 */
EnrolCadence *
cadence_choice_make(CadenceChoice *choice, const EnrolWish *wish, EnrolLead **leads, int n)
{
	EnrolCadence *found = choose(choice, wish, leads, n);

	while (cadence_steps_keep(&found->id))
		found = choose(choice, wish, leads, n);
	return found;
}
