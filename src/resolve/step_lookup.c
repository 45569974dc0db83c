/*
 * position.c
 *		What all runs have in common that stand before the same step of a cadence,
 *		for the same company.
 *
 * Cadences, steps, templates and companies are few, and the runs of a batch are
 * many: they are looked up once per batch for each combination, instead of once
 * per run. They are never older than that: who switches a cadence off or edits
 * a template must not wait for an execution's end.
 *
 * An adopted message_templates may lack the unique constraint that ours has:
 * the most recently updated row counts.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"

#include "resolve/step_lookup.h"
#include "resolve/contact.h"
#include "base/rowset.h"
#include "base/statement.h"

struct CadencePositions
{
	Statement find;
};

static const RowsetColumn wanted_columns[] = {
	{"n", INT4OID}, {"cadence_id", UUIDOID}, {"next_step_ordem", INT4OID}, {"empresa", TEXTOID}};

enum
{
	FOUND_NUMBER = 1,
	FOUND_HAS_CADENCE,
	FOUND_IS_ACTIVE,
	FOUND_ORDEM, /* NULL: no step left */
	FOUND_CANAL,
	FOUND_TEMPLATE_CODIGO,
	FOUND_NEXT_ORDEM,
	FOUND_NEXT_OFFSET,
	FOUND_NEXT_TEMPLATE,
	FOUND_HAS_TEMPLATE,
	FOUND_TEMPLATE_IS_ACTIVE,
	FOUND_TEMPLATE_TEXT,
	FOUND_EMPRESA_NOME
};

static const Oid find_returns[] = {INT4OID, BOOLOID, BOOLOID, INT4OID, TEXTOID, TEXTOID, INT4OID,
								   INT4OID, TEXTOID, BOOLOID, BOOLOID, TEXTOID, TEXTOID};

static char *
find_sql(const CadenceTables *t)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(
		&sql, "SELECT r.n, c.id IS NOT NULL, COALESCE(c.ativo, true), "
			  "s.ordem::int4, s.canal::text, s.template_codigo::text, "
			  "n.ordem::int4, n.offset_minutos::int4, n.template_codigo::text, "
			  "t.id IS NOT NULL, COALESCE(t.ativo, true), t.conteudo::text, e.nome::text "
			  "FROM " ROWSET_NAME " AS r ");
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
					 "WHERE x.codigo " EQ " s.template_codigo AND x.empresa::text " EQ " r.empresa "
					 "ORDER BY x.updated_at DESC NULLS LAST LIMIT 1) AS t ON true ",
					 t->templates);
	appendStringInfo(&sql,
					 "LEFT JOIN LATERAL (SELECT x.nome FROM %s AS x "
					 "WHERE x.empresa " EQ " r.empresa LIMIT 1) AS e ON true",
					 t->empresas);
	return sql.data;
}

/* in_query: for one call in somebody's query, inside its SPI connection. */
CadencePositions *
cadence_positions_create(const CadenceTables *t, bool in_query)
{
	CadencePositions *positions = palloc0(sizeof(*positions));

	positions->find = ROWS_STATEMENT("looking for steps", find_sql(t), SPI_OK_SELECT);
	STATEMENT_RETURNS(positions->find, find_returns);
	positions->find.in_query = in_query;
	return positions;
}

static void
put_wanted(Rowset *rows, const CadencePosition *position, int number)
{
	rowset_put_int(rows, number);
	if (position->cadence_id != NULL)
		rowset_put_uuid(rows, position->cadence_id);
	else
		rowset_put_null(rows);
	if (position->has_next_step_ordem)
		rowset_put_int(rows, position->next_step_ordem);
	else
		rowset_put_null(rows);
	rowset_put_text(rows, position->empresa);
}

static void
read_found(CadencePosition *position, TupleDesc desc, HeapTuple row)
{
	position->has_cadence = row_true(desc, row, FOUND_HAS_CADENCE);
	position->is_active = row_true(desc, row, FOUND_IS_ACTIVE);
	position->has_step = !row_is_null(desc, row, FOUND_ORDEM);
	position->ordem = row_int(desc, row, FOUND_ORDEM, 0);
	position->canal = row_text(desc, row, FOUND_CANAL);
	position->template_codigo = row_text(desc, row, FOUND_TEMPLATE_CODIGO);
	position->has_next = !row_is_null(desc, row, FOUND_NEXT_ORDEM);
	position->next_ordem = row_int(desc, row, FOUND_NEXT_ORDEM, 0);
	position->next_offset = row_int(desc, row, FOUND_NEXT_OFFSET, 0);
	position->next_template = row_text(desc, row, FOUND_NEXT_TEMPLATE);
	position->has_template = row_true(desc, row, FOUND_HAS_TEMPLATE);
	position->template_is_active = row_true(desc, row, FOUND_TEMPLATE_IS_ACTIVE);
	position->template_text = row_text(desc, row, FOUND_TEMPLATE_TEXT);
	position->empresa_nome = row_text(desc, row, FOUND_EMPRESA_NOME);
}

/*
 * Fills in what is there for positions of which the first four members are set,
 * in the current memory context, inside an SPI connection.
 */
void
cadence_positions_find(CadencePositions *positions, CadencePosition **wanted, int n)
{
	Rowset rows;

	rowset_begin(&rows, wanted_columns, lengthof(wanted_columns));
	for (int i = 0; i < n; i++)
		put_wanted(&rows, wanted[i], i);
	statement_execute(&positions->find, NULL, NULL, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;

		read_found(wanted[row_int(desc, row, FOUND_NUMBER, 0)], desc, row);
	}
	SPI_freetuptable(SPI_tuptable);
	rowset_end(&rows);
}
