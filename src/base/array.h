/*
 * array.h
 *		Building one array per column, for statements that take a whole batch.
 */
#ifndef CADENCE_ARRAY_H
#define CADENCE_ARRAY_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/uuid.h"

typedef struct ColumnArray
{
	Oid type;
	Datum *values;
	bool *nulls;
	int n;
} ColumnArray;

extern void column_init(ColumnArray *column, Oid type, int capacity);
extern void column_add_null(ColumnArray *column);
extern void column_add_bool(ColumnArray *column, bool value);
extern void column_add_int(ColumnArray *column, int value);
extern void column_add_time(ColumnArray *column, TimestampTz value);
extern void column_add_uuid(ColumnArray *column, const pg_uuid_t *value);
extern void column_add_text(ColumnArray *column, const char *value);
extern Datum column_array(const ColumnArray *column);

#endif
