/*
 * array.c
 *		Building one array per column, for statements that take a whole batch.
 *
 * Values stay binary from here to the table: no array is written as text and
 * parsed again.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "base/array.h"

void
column_init(ColumnArray *column, Oid type, int capacity)
{
	column->type = type;
	column->values = palloc(sizeof(Datum) * Max(capacity, 1));
	column->nulls = palloc(sizeof(bool) * Max(capacity, 1));
	column->n = 0;
}

static void
add(ColumnArray *column, Datum value, bool isnull)
{
	column->values[column->n] = value;
	column->nulls[column->n] = isnull;
	column->n++;
}

void
column_add_null(ColumnArray *column)
{
	add(column, (Datum) 0, true);
}

void
column_add_bool(ColumnArray *column, bool value)
{
	add(column, BoolGetDatum(value), false);
}

void
column_add_int(ColumnArray *column, int value)
{
	add(column, Int32GetDatum(value), false);
}

void
column_add_time(ColumnArray *column, TimestampTz value)
{
	add(column, TimestampTzGetDatum(value), false);
}

/* The value is not copied: it must live until column_array(). */
void
column_add_uuid(ColumnArray *column, const pg_uuid_t *value)
{
	add(column, UUIDPGetDatum(value), false);
}

void
column_add_text(ColumnArray *column, const char *value)
{
	if (value == NULL)
		column_add_null(column);
	else
		add(column, CStringGetTextDatum(value), false);
}

Datum
column_array(const ColumnArray *column)
{
	int dims[1] = {column->n};
	int lower_bounds[1] = {1};
	int16 len;
	bool by_value;
	char align;

	get_typlenbyvalalign(column->type, &len, &by_value, &align);
	return PointerGetDatum(construct_md_array(column->values, column->nulls, 1, dims, lower_bounds,
											  column->type, len, by_value, align));
}
