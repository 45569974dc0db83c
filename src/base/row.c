/*
 * row.c
 *		The values of a row that somebody else has filled in.
 *
 * A value may have a gigabyte, and the row only a pointer to it: its length is
 * looked at before it is fetched.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "base/row.h"

/* What is no string may grow when it is written out: 1e100000 has a few bytes. */
#define NO_STRING_MAX (8 * 1024)

static bool
is_longer(Form_pg_attribute attribute, Datum value, int max)
{
	if (attribute->attlen != -1)
		return false;
	if (TypeCategory(attribute->atttypid) != TYPCATEGORY_STRING)
		max = Min(max, NO_STRING_MAX);
	return toast_raw_datum_size(value) - VARHDRSZ > (Size) max;
}

/*
 * A column as text, in the current memory context, NULL for a null; false when
 * that has more than max bytes.
 */
bool
row_read_text(TupleDesc desc, HeapTuple row, int column, int max, char **text)
{
	Form_pg_attribute attribute;
	Oid output;
	bool is_varlena;
	bool isnull = true;
	Datum value = 0;

	*text = NULL;
	if (column != 0)
		value = heap_getattr(row, column, desc, &isnull);
	if (isnull)
		return true;
	attribute = TupleDescAttr(desc, column - 1);
	if (is_longer(attribute, value, max))
		return false;
	getTypeOutputInfo(attribute->atttypid, &output, &is_varlena);
	*text = OidOutputFunctionCall(output, value);
	if (strlen(*text) <= (Size) max)
		return true;
	pfree(*text);
	*text = NULL;
	return false;
}

/* The same, where what is too long counts as null. */
char *
row_text(TupleDesc desc, HeapTuple row, int column, int max)
{
	char *text;

	(void) row_read_text(desc, row, column, max, &text);
	return text;
}

int
row_int(TupleDesc desc, HeapTuple row, int column, int otherwise)
{
	bool isnull;
	Datum value = heap_getattr(row, column, desc, &isnull);

	return isnull ? otherwise : DatumGetInt32(value);
}

TimestampTz
row_time(TupleDesc desc, HeapTuple row, int column, TimestampTz otherwise)
{
	bool isnull;
	Datum value = heap_getattr(row, column, desc, &isnull);

	return isnull ? otherwise : DatumGetTimestampTz(value);
}

bool
row_uuid(TupleDesc desc, HeapTuple row, int column, pg_uuid_t *id)
{
	bool isnull;
	Datum value = heap_getattr(row, column, desc, &isnull);

	if (!isnull)
		*id = *DatumGetUUIDP(value);
	return !isnull;
}

pg_uuid_t *
row_uuid_copy(TupleDesc desc, HeapTuple row, int column)
{
	pg_uuid_t *id = palloc(sizeof(*id));

	if (row_uuid(desc, row, column, id))
		return id;
	pfree(id);
	return NULL;
}

/* Of a boolean, its value; of any other type, whether it says anything but no. */
bool
row_true(TupleDesc desc, HeapTuple row, int column)
{
	bool isnull = true;
	bool yes;
	Datum value = 0;
	char *text;

	if (column != 0)
		value = heap_getattr(row, column, desc, &isnull);
	if (isnull)
		return false;
	if (getBaseType(TupleDescAttr(desc, column - 1)->atttypid) == BOOLOID)
		return DatumGetBool(value);
	text = row_text(desc, row, column, ROW_KEY_MAX);
	return text == NULL || !parse_bool(text, &yes) || yes;
}

bool
row_is_null(TupleDesc desc, HeapTuple row, int column)
{
	return heap_attisnull(row, column, desc);
}
