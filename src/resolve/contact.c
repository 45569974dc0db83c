/*
 * contact.c
 *		The contacts of steps: whoever a message is for.
 *
 * An adopted lead_contacts may lack the unique constraint that ours has. The
 * lookup is therefore a LIMIT 1 over the most recently updated row, so that no
 * join ever multiplies a run. Rows come with all their columns, of which long
 * ones are pointers: what is fetched is decided when it is known how long it is.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

#include "base/row.h"
#include "base/settings.h"
#include "base/statement.h"
#include "resolve/contact.h"
#include "schema/key.h"

/* Where the contact's own columns begin, in the rows that are found. */
#define FIRST_COLUMN 2

struct CadenceContacts
{
	Statement find;
};

static const RowsetColumn wanted_columns[] = {
	{"n", INT4OID}, {"lead_id", TEXTOID}, {"empresa", TEXTOID}};

/* in_query: for one call in somebody's query, inside its SPI connection. */
CadenceContacts *
cadence_contacts_create(const CadenceTables *t, bool in_query)
{
	CadenceContacts *contacts = palloc0(sizeof(*contacts));

	contacts->find = ROWS_STATEMENT(
		"looking for contacts",
		psprintf("SELECT d.n, k.* FROM " ROWSET_NAME " AS d CROSS JOIN LATERAL "
				 "(SELECT x.* FROM %s AS x WHERE %s AND %s "
				 "ORDER BY x.updated_at DESC NULLS LAST, x.id DESC LIMIT 1) AS k",
				 t->contacts, cadence_key_is(t, "lead_contacts", "x", "lead_id", "d.lead_id"),
				 cadence_key_is(t, "lead_contacts", "x", "empresa", "d.empresa")),
		SPI_OK_SELECT);
	contacts->find.in_query = in_query;
	return contacts;
}

/*
 * The number of the contact's column of that name; 0 when it has none.
 */
int
contact_column(const ContactColumns *columns, const char *name, size_t len)
{
	for (int i = FIRST_COLUMN; i <= columns->desc->natts; i++)
	{
		const char *column = NameStr(TupleDescAttr(columns->desc, i - 1)->attname);

		if (strlen(column) == len && memcmp(column, name, len) == 0)
			return i;
	}
	return 0;
}

/*
 * Whether cadence_runner.hidden_columns names a column.
 */
bool
contact_hides(const ContactColumns *columns, const char *name, size_t len)
{
	ListCell *cell;

	foreach (cell, columns->hidden)
	{
		const char *hidden = lfirst(cell);

		if (strlen(hidden) == len && memcmp(hidden, name, len) == 0)
			return true;
	}
	return false;
}

/*
 * The rows come with whatever columns there are, so that no statement misses one that
 * was renamed or dropped: whoever has opted out by it would be written to.
 */
static int
column_that_forbids(const ContactColumns *columns, const char *name)
{
	int column = contact_column(columns, name, strlen(name));

	if (column == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"lead_contacts\" does not exist", name),
				 errdetail("It says who is not to be written to, or when: nothing is sent "
						   "without it."),
				 errhint("Where it was renamed, give it its name back; where it was dropped, "
						 "cadence_create_tables() adds it, with nothing in it.")));
	return column;
}

static void
find_columns(ContactColumns *columns, TupleDesc desc)
{
#define COLUMN(name) contact_column(columns, name, strlen(name))

	columns->desc = desc;
	(void) SplitIdentifierString(pstrdup(cadence_hidden_columns), ',', &columns->hidden);
	columns->lead_id = COLUMN("lead_id");
	columns->empresa = COLUMN("empresa");
	columns->nome = COLUMN("nome");
	columns->primeiro_nome = COLUMN("primeiro_nome");
	columns->email = COLUMN("email");
	columns->email_placeholder = COLUMN("email_placeholder");
	columns->telefone = COLUMN("telefone");
	columns->telefone_e164 = COLUMN("telefone_e164");
	columns->opt_out = column_that_forbids(columns, "opt_out");
	columns->opt_out_motivo = COLUMN("opt_out_motivo");
	columns->fuso_horario = column_that_forbids(columns, "fuso_horario");
	columns->uf = COLUMN("uf");
}

/*
 * Finds the contacts of steps, inside an SPI connection: a row for each step,
 * which belongs to that connection, or NULL, and where their columns are.
 */
void
cadence_contacts_find(CadenceContacts *contacts, CadenceStep **steps, int n,
					  ContactColumns *columns, HeapTuple *rows)
{
	Rowset wanted;

	memset(rows, 0, sizeof(HeapTuple) * n);
	rowset_begin(&wanted, wanted_columns, lengthof(wanted_columns));
	for (int i = 0; i < n; i++)
	{
		rowset_put_int(&wanted, i);
		rowset_put_text(&wanted, steps[i]->lead_id);
		rowset_put_text(&wanted, steps[i]->empresa);
	}
	statement_execute(&contacts->find, NULL, NULL, 0);
	rowset_end(&wanted);
	find_columns(columns, SPI_tuptable->tupdesc);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];

		rows[row_int(columns->desc, row, 1, 0)] = row;
	}
}
