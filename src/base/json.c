/*
 * json.c
 *		Building jsonb member by member: as text each value would be written and
 *		parsed again.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "base/json.h"

static JsonbValue
string_value(const char *text)
{
	return (JsonbValue){.type = jbvString,
						.val.string = {.val = (char *) text, .len = strlen(text)}};
}

static JsonbValue
jsonb_value(Datum value)
{
	Jsonb *jsonb = DatumGetJsonbP(value);

	return (JsonbValue){.type = jbvBinary,
						.val.binary = {.data = &jsonb->root, .len = VARSIZE(jsonb) - VARHDRSZ}};
}

static void
add(JsonObject *json, const char *key, JsonbValue value)
{
	JsonbValue key_value = string_value(key);

	pushJsonbValue(json, WJB_KEY, &key_value);
	pushJsonbValue(json, WJB_VALUE, &value);
}

JsonObject
json_begin(void)
{
	JsonObject json = NULL;

	pushJsonbValue(&json, WJB_BEGIN_OBJECT, NULL);
	return json;
}

Datum
json_end(JsonObject *json)
{
	return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(json, WJB_END_OBJECT, NULL)));
}

Datum
json_array(List *objects)
{
	JsonbParseState *json = NULL;
	ListCell *cell;

	pushJsonbValue(&json, WJB_BEGIN_ARRAY, NULL);
	foreach (cell, objects)
	{
		JsonbValue value = jsonb_value(PointerGetDatum(lfirst(cell)));

		pushJsonbValue(&json, WJB_ELEM, &value);
	}
	return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&json, WJB_END_ARRAY, NULL)));
}

/* NULL becomes null. */
void
json_add_text(JsonObject *json, const char *key, const char *value)
{
	add(json, key, value != NULL ? string_value(value) : (JsonbValue){.type = jbvNull});
}

/* NULL is left out. */
void
json_add_text_if(JsonObject *json, const char *key, const char *value)
{
	if (value != NULL)
		json_add_text(json, key, value);
}

void
json_add_int(JsonObject *json, const char *key, int64 value)
{
	add(json, key, (JsonbValue){.type = jbvNumeric, .val.numeric = int64_to_numeric(value)});
}

void
json_add_bool(JsonObject *json, const char *key, bool value)
{
	add(json, key, (JsonbValue){.type = jbvBool, .val.boolean = value});
}

void
json_add_time(JsonObject *json, const char *key, TimestampTz value)
{
	json_add_text(json, key,
				  JsonEncodeDateTime(NULL, TimestampTzGetDatum(value), TIMESTAMPTZOID, NULL));
}

void
json_add_jsonb(JsonObject *json, const char *key, Datum value)
{
	add(json, key, jsonb_value(value));
}

/* ---- reading ------------------------------------------------------------------------ */

static bool
find(JsonbContainer *object, const char *key, enum jbvType type, JsonbValue *value)
{
	return object != NULL && JsonContainerIsObject(object) &&
		   getKeyJsonValueFromContainer(object, key, strlen(key), value) != NULL &&
		   value->type == type;
}

/* NULL: none. It points into the one that it is in. */
JsonbContainer *
json_get_object(JsonbContainer *object, const char *key)
{
	JsonbValue value;

	return find(object, key, jbvBinary, &value) ? value.val.binary.data : NULL;
}

/* NULL: none. In the current memory context, however long it is. */
char *
json_get_text(JsonbContainer *object, const char *key)
{
	JsonbValue value;

	return find(object, key, jbvString, &value)
			   ? pnstrdup(value.val.string.val, value.val.string.len)
			   : NULL;
}

/* 0: none. */
double
json_get_number(JsonbContainer *object, const char *key)
{
	JsonbValue value;

	if (!find(object, key, jbvNumeric, &value))
		return 0;
	return DatumGetFloat8(
		DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value.val.numeric)));
}

bool
json_get_true(JsonbContainer *object, const char *key)
{
	JsonbValue value;

	return find(object, key, jbvBool, &value) && value.val.boolean;
}
