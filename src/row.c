/*
 * row.c
 *		The SELECT that a step is resolved from, and its columns.
 *
 * An adopted table may lack the unique constraints that ours have. Each lookup
 * is therefore a LIMIT 1 over the most recently updated row, so that no join
 * ever multiplies a run. Values are compared through text where an adopted
 * column may be an enum; for text columns that cast costs no index.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "row.h"
#include "statement.h"

/*
 * source is what stands after FROM under the name r, with the columns of
 * lead_cadence_runs. The order of the output is that of the enum in row.h.
 */
char *
cadence_row_select(const CadenceTables *t, const char *source)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql,
					 "SELECT r.id, r.lead_id::text, r.empresa::text, r.next_run_at, "
					 "r.attempts::int4, "
					 "CASE WHEN c.id IS NULL THEN NULL ELSE COALESCE(c.ativo, true) END, "
					 "s.ordem::int4, s.canal::text, s.template_codigo::text, "
					 "n.ordem::int4, n.offset_minutos::int4, n.template_codigo::text, "
					 "t.id, COALESCE(t.ativo, true), t.conteudo::text, e.nome::text, "
					 "k.id IS NOT NULL, k.* FROM %s AS r ",
					 source);
	appendStringInfo(&sql,
					 "LEFT JOIN LATERAL (SELECT x.id, x.ativo FROM %s AS x "
					 "WHERE x.id " EQ " r.cadence_id LIMIT 1) AS c ON true ",
					 t->cadences);
	appendStringInfo(&sql,
					 "LEFT JOIN LATERAL (SELECT x.ordem, x.canal, x.template_codigo FROM %s AS x "
					 "WHERE x.cadence_id " EQ " r.cadence_id AND x.ordem " GE " r.next_step_ordem "
					 "ORDER BY x.ordem LIMIT 1) AS s ON true ",
					 t->steps);
	appendStringInfo(&sql,
					 "LEFT JOIN LATERAL (SELECT x.ordem, x.offset_minutos, x.template_codigo "
					 "FROM %s AS x WHERE x.cadence_id " EQ " r.cadence_id "
					 "AND x.ordem " GT " s.ordem ORDER BY x.ordem LIMIT 1) AS n ON true ",
					 t->steps);
	appendStringInfo(&sql,
					 "LEFT JOIN LATERAL (SELECT x.id, x.ativo, x.conteudo FROM %s AS x "
					 "WHERE x.codigo " EQ " s.template_codigo "
					 "AND x.empresa::text " EQ " r.empresa::text "
					 "ORDER BY x.updated_at DESC NULLS LAST LIMIT 1) AS t ON true ",
					 t->templates);
	appendStringInfo(&sql,
					 "LEFT JOIN LATERAL (SELECT x.nome FROM %s AS x "
					 "WHERE x.empresa " EQ " r.empresa::text LIMIT 1) AS e ON true ",
					 t->empresas);
	appendStringInfo(&sql,
					 "LEFT JOIN LATERAL (SELECT x.* FROM %s AS x "
					 "WHERE x.lead_id " EQ " r.lead_id AND x.empresa::text " EQ " r.empresa::text "
					 "ORDER BY x.updated_at DESC NULLS LAST LIMIT 1) AS k ON true",
					 t->contacts);
	return sql.data;
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
