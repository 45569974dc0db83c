/*
 * row.h
 *		The row that a step is resolved from: a run and its contact, as one
 *		SELECT, which the claim runs over what it has taken and cadence_preview()
 *		over one run.
 */
#ifndef CADENCE_ROW_H
#define CADENCE_ROW_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"

#include "schema/tables.h"

enum
{
	ROW_RUN_ID = 1,
	ROW_LEAD_ID,
	ROW_EMPRESA,
	ROW_NEXT_RUN_AT,
	ROW_ATTEMPTS,
	ROW_CADENCE_ID,
	ROW_NEXT_STEP_ORDEM,
	ROW_CTID,
	ROW_HAS_CONTACT,
	ROW_CONTACT_FIRST /* from here on, the contact's own columns */
};

/* The columns of the runs that the SELECT's source must have. */
#define ROW_SOURCE_COLUMNS \
	"id, lead_id, empresa, next_run_at, attempts, cadence_id, next_step_ordem, ctid"

/* Columns of the contact that mean something to us, by number; 0: it has none. */
typedef struct ContactColumns
{
	TupleDesc desc;
	int nome;
	int primeiro_nome;
	int email;
	int telefone;
	int opt_out;
	int opt_out_motivo;
} ContactColumns;

/* Column 0 stands for one that is not there: null. */
extern char *row_text(TupleDesc desc, HeapTuple row, int column);
extern int row_int(TupleDesc desc, HeapTuple row, int column, int otherwise);
extern bool row_true(TupleDesc desc, HeapTuple row, int column);
extern bool row_is_null(TupleDesc desc, HeapTuple row, int column);

extern int contact_column(TupleDesc desc, const char *name, size_t len);
extern void contact_columns_find(ContactColumns *columns, TupleDesc desc);

extern char *cadence_row_select(const CadenceTables *tables, const char *source);

#endif
