/*
 * row.h
 *		The values of a row that somebody else has filled in.
 */
#ifndef CADENCE_ROW_H
#define CADENCE_ROW_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"
#include "datatype/timestamp.h"
#include "utils/uuid.h"

/* What keys, codes and addresses may have, and what any other field may. */
#define ROW_KEY_MAX 1000
#define ROW_FIELD_MAX (64 * 1024)

/* Column 0 stands for one that is not there: null. */
extern bool row_read_text(TupleDesc desc, HeapTuple row, int column, int max, char **text);
extern char *row_text(TupleDesc desc, HeapTuple row, int column, int max);
extern int row_int(TupleDesc desc, HeapTuple row, int column, int otherwise);
extern TimestampTz row_time(TupleDesc desc, HeapTuple row, int column, TimestampTz otherwise);
/* False, and nothing is changed, where it is null. */
extern bool row_uuid(TupleDesc desc, HeapTuple row, int column, pg_uuid_t *id);
/* A copy, in the current memory context; NULL where it is null. */
extern pg_uuid_t *row_uuid_copy(TupleDesc desc, HeapTuple row, int column);
extern bool row_true(TupleDesc desc, HeapTuple row, int column);
extern bool row_is_null(TupleDesc desc, HeapTuple row, int column);

#endif
