/*
 * row.c
 *		The SELECT that a step is resolved from, and its columns.
 *
 * An adopted lead_contacts may lack the unique constraint that ours has. The
 * lookup is therefore a LIMIT 1 over the most recently updated row, so that no
 * join ever multiplies a run. Values are compared through text where an adopted
 * column may be an enum; for text columns that cast costs no index.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "resolve/row.h"
#include "base/statement.h"

/*
 * source is what stands after FROM under the name r, with ROW_SOURCE_COLUMNS.
 * The order of the output is that of the enum in row.h.
 */
char *
cadence_row_select(const CadenceTables *t, const char *source)
{
	return psprintf("SELECT r.id, r.lead_id::text, r.empresa::text, r.next_run_at, "
					"r.attempts::int4, r.cadence_id, r.next_step_ordem::int4, "
					"r.ctid, k.id IS NOT NULL, k.* FROM %s AS r "
					"LEFT JOIN LATERAL (SELECT x.* FROM %s AS x WHERE x.lead_id " EQ
					" r.lead_id AND x.empresa::text " EQ " r.empresa::text "
					"ORDER BY x.updated_at DESC NULLS LAST LIMIT 1) AS k ON true",
					source, t->contacts);
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
	for (int i = ROW_CONTACT_FIRST; i <= desc->natts; i++)
	{
		const char *column = NameStr(TupleDescAttr(desc, i - 1)->attname);

		if (strlen(column) == len && memcmp(column, name, len) == 0)
			return i;
	}
	return 0;
}

void
contact_columns_find(ContactColumns *columns, TupleDesc desc)
{
	columns->desc = desc;
	columns->nome = contact_column(desc, "nome", 4);
	columns->primeiro_nome = contact_column(desc, "primeiro_nome", 13);
	columns->email = contact_column(desc, "email", 5);
	columns->telefone = contact_column(desc, "telefone", 8);
	columns->opt_out = contact_column(desc, "opt_out", 7);
	columns->opt_out_motivo = contact_column(desc, "opt_out_motivo", 14);
}
