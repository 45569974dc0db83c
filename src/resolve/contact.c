/*
 * contact.c
 *		The contacts of steps: whoever a message is for.
 *
 * An adopted lead_contacts may lack the unique constraint that ours has. The
 * lookup is therefore a LIMIT 1 over the most recently updated row, so that no
 * join ever multiplies a run. Values are compared through text where an adopted
 * column may be an enum; for text columns that cast costs no index.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/rowset.h"
#include "base/statement.h"
#include "resolve/contact.h"

struct CadenceContacts
{
	Statement find;
};

static const RowsetColumn wanted_columns[] = {
	{"n", INT4OID}, {"lead_id", TEXTOID}, {"empresa", TEXTOID}};

static const Oid find_returns[] = {INT4OID};

/* in_query: for one call in somebody's query, inside its SPI connection. */
CadenceContacts *
cadence_contacts_create(const CadenceTables *t, bool in_query)
{
	CadenceContacts *contacts = palloc0(sizeof(*contacts));

	contacts->find =
		ROWS_STATEMENT("looking for contacts",
					   psprintf("SELECT d.n, k.* FROM " ROWSET_NAME " AS d CROSS JOIN LATERAL "
								"(SELECT x.* FROM %s AS x WHERE x.lead_id " EQ " d.lead_id "
								"AND x.empresa::text " EQ " d.empresa "
								"ORDER BY x.updated_at DESC NULLS LAST LIMIT 1) AS k",
								t->contacts),
					   SPI_OK_SELECT);
	STATEMENT_RETURNS(contacts->find, find_returns);
	contacts->find.in_query = in_query;
	return contacts;
}

/*
 * A column as text, in the current memory context; NULL for a null.
 */
char *
row_text(TupleDesc desc, HeapTuple row, int column)
{
	Form_pg_attribute attribute;
	Oid output;
	bool is_varlena;
	bool isnull;
	Datum value;

	if (column == 0)
		return NULL;
	value = heap_getattr(row, column, desc, &isnull);
	if (isnull)
		return NULL;
	attribute = TupleDescAttr(desc, column - 1);
	if (attribute->atttypid == TEXTOID || attribute->atttypid == VARCHAROID)
		return TextDatumGetCString(value);
	getTypeOutputInfo(attribute->atttypid, &output, &is_varlena);
	return OidOutputFunctionCall(output, value);
}

int
row_int(TupleDesc desc, HeapTuple row, int column, int otherwise)
{
	bool isnull;
	Datum value = heap_getattr(row, column, desc, &isnull);

	return isnull ? otherwise : DatumGetInt32(value);
}

bool
row_true(TupleDesc desc, HeapTuple row, int column)
{
	bool isnull;
	Datum value;

	if (column == 0)
		return false;
	value = heap_getattr(row, column, desc, &isnull);
	return !isnull && DatumGetBool(value);
}

bool
row_is_null(TupleDesc desc, HeapTuple row, int column)
{
	return heap_attisnull(row, column, desc);
}

/*
 * The number of the contact's column of that name; 0 when it has none.
 */
int
contact_column(TupleDesc desc, const char *name, size_t len)
{
	for (int i = CONTACT_FIRST_COLUMN; i <= desc->natts; i++)
	{
		const char *column = NameStr(TupleDescAttr(desc, i - 1)->attname);

		if (strlen(column) == len && memcmp(column, name, len) == 0)
			return i;
	}
	return 0;
}

/* One that is to be a boolean, and is. */
static int
bool_column(TupleDesc desc, const char *name)
{
	int column = contact_column(desc, name, strlen(name));

	if (column != 0 && TupleDescAttr(desc, column - 1)->atttypid != BOOLOID)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("column \"%s\" of table lead_contacts is of type %s, not boolean",
							   name, format_type_be(TupleDescAttr(desc, column - 1)->atttypid))));
	return column;
}

static void
find_columns(ContactColumns *columns, TupleDesc desc)
{
	columns->desc = desc;
	columns->nome = contact_column(desc, "nome", 4);
	columns->primeiro_nome = contact_column(desc, "primeiro_nome", 13);
	columns->email = contact_column(desc, "email", 5);
	columns->telefone = contact_column(desc, "telefone", 8);
	columns->opt_out = bool_column(desc, "opt_out");
	columns->opt_out_motivo = contact_column(desc, "opt_out_motivo", 14);
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
