/*
 * check_read.c
 *		The cadence that is meant, and its steps' rows.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

#include "base/row.h"
#include "base/statement.h"
#include "resolve/step_lookup.h"
#include "schema/key.h"
#include "sqlapi/check_parts.h"

/* A cadence has a few steps. */
#define STEPS_MAX "1000"

/* The cadence that is meant. */
static void
find_cadence(Check *c, const char *codigo, const char *empresa)
{
	static const Oid types[] = {TEXTOID, TEXTOID};
	const CadenceTables *t = c->tables;
	Statement look = STATEMENT(
		"looking for a cadence",
		psprintf("SELECT DISTINCT ON (x.empresa::text) x.id::uuid, x.empresa::text, "
				 "COALESCE(x.ativo, true), %s FROM %s AS x WHERE %s AND ($2 IS NULL OR %s) "
				 "ORDER BY x.empresa::text, x.updated_at DESC NULLS LAST",
				 SHORT_TEXT("x.reentrada", "100"), t->cadences,
				 cadence_key_is(t, "cadences", "x", "codigo", "$1"),
				 cadence_key_is(t, "cadences", "x", "empresa", "$2")),
		types, SPI_OK_SELECT);
	Datum values[] = {CStringGetTextDatum(codigo),
					  empresa != NULL ? CStringGetTextDatum(empresa) : (Datum) 0};
	char nulls[] = {' ', empresa != NULL ? ' ' : 'n'};
	HeapTuple row;
	TupleDesc desc;

	look.in_query = true;
	statement_execute(&look, values, nulls, 2);
	if (SPI_processed == 0)
		ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND),
						empresa == NULL ? errmsg("cadence \"%s\" does not exist", codigo)
										: errmsg("cadence \"%s\" of company \"%s\" does not exist",
												 codigo, empresa),
						errhint("Cadences are named by the column cadences.codigo.")));
	if (SPI_processed > 1)
		ereport(ERROR, (errcode(ERRCODE_TOO_MANY_ROWS),
						errmsg("several companies have a cadence \"%s\"", codigo),
						errhint("Name the one that is meant in the argument empresa.")));
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	(void) row_uuid(desc, row, 1, &c->cadence);
	c->empresa = row_text(desc, row, 2, ROW_KEY_MAX);
	c->is_enabled = row_true(desc, row, 3);
	c->reentry = row_text(desc, row, 4, ROW_KEY_MAX);
}

static void
read_step(const Check *c, CheckedStep *step, TupleDesc desc, HeapTuple row)
{
	step->step.has_cadence = true;
	step->step.cadence_id = c->cadence;
	step->step.empresa = c->empresa;
	step->step.has_position = true;
	step->step.position = row_int(desc, row, 1, 0);
	step->is_again = row_true(desc, row, 2);
	step->reference = row_text(desc, row, 3, ROW_KEY_MAX);
	step->if_it_fails = row_text(desc, row, 4, ROW_KEY_MAX);
	cadence_step_time_read(desc, row, 5, &step->time);
}

static void
read_steps(Check *c)
{
	static const Oid types[] = {UUIDOID};
	Datum values[] = {UUIDPGetDatum(&c->cadence)};
	Statement look = STATEMENT(
		"reading a cadence's steps",
		psprintf("SELECT GREATEST(x.ordem, -2147483648)::int4, EXISTS (SELECT FROM %s AS o "
				 "WHERE o.cadence_id " EQ " $1 AND o.ordem " EQ " x.ordem AND o.id " NE
				 " x.id), %s, %s, %s FROM %s AS x WHERE x.cadence_id " EQ " $1 "
				 "AND x.ordem " LE " 2147483647 ORDER BY x.ordem, x.id LIMIT " STEPS_MAX,
				 c->tables->steps, SHORT_TEXT("x.offset_referencia", "100"),
				 SHORT_TEXT("x.se_falhar", "100"), cadence_step_time_columns("x"),
				 c->tables->steps),
		types, SPI_OK_SELECT);

	look.in_query = true;
	statement_execute(&look, values, NULL, 0);
	c->n = (int) SPI_processed;
	c->steps = palloc0(sizeof(CheckedStep) * Max(c->n, 1));
	for (int i = 0; i < c->n; i++)
		read_step(c, &c->steps[i], SPI_tuptable->tupdesc, SPI_tuptable->vals[i]);
	SPI_freetuptable(SPI_tuptable);
}

/* Inside an SPI connection. */
void
check_read(Check *c, const char *codigo, const char *empresa)
{
	find_cadence(c, codigo, empresa);
	read_steps(c);
}
