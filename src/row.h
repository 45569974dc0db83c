/*
 * row.h
 *		The row that a step is resolved from: the columns of one SELECT, which
 *		the claim runs over what it has taken and cadence_preview() over one run.
 */
#ifndef CADENCE_ROW_H
#define CADENCE_ROW_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"

#include "tables.h"

enum
{
	ROW_RUN_ID = 1,
	ROW_LEAD_ID,
	ROW_EMPRESA,
	ROW_NEXT_RUN_AT,
	ROW_ATTEMPTS,
	ROW_CADENCE_ATIVO, /* NULL: no such cadence */
	ROW_STEP_ORDEM,	   /* NULL: no step left */
	ROW_STEP_CANAL,
	ROW_STEP_TEMPLATE,
	ROW_NEXT_ORDEM,
	ROW_NEXT_OFFSET,
	ROW_NEXT_TEMPLATE,
	ROW_TEMPLATE_ID, /* NULL: no such template */
	ROW_TEMPLATE_ATIVO,
	ROW_TEMPLATE_TEXT,
	ROW_EMPRESA_NOME,
	ROW_HAS_CONTACT,
	ROW_CONTACT_FIRST /* from here on, the contact's own columns */
};

/* Column 0 stands for one that is not there: null. */
extern char *row_text(TupleDesc desc, HeapTuple row, int column);
extern int row_int(TupleDesc desc, HeapTuple row, int column, int otherwise);
extern bool row_true(TupleDesc desc, HeapTuple row, int column);
extern bool row_is_null(TupleDesc desc, HeapTuple row, int column);

extern char *cadence_row_select(const CadenceTables *tables, const char *source);

#endif
