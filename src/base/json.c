/*
 * json.c
 *		Building JSON objects member by member, with the server's own escaping.
 *
 * Each function appends "key": value to an object whose opening brace is
 * there already, with a comma where one is needed.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "base/json.h"

static void
add_key(StringInfo json, const char *key)
{
	if (json->len > 0 && json->data[json->len - 1] != '{')
		appendStringInfoString(json, ", ");
	escape_json(json, key);
	appendStringInfoString(json, ": ");
}

void
json_add_text(StringInfo json, const char *key, const char *value)
{
	add_key(json, key);
	if (value != NULL)
		escape_json(json, value);
	else
		appendStringInfoString(json, "null");
}

void
json_add_int(StringInfo json, const char *key, int64 value)
{
	add_key(json, key);
	appendStringInfo(json, INT64_FORMAT, value);
}

void
json_add_bool(StringInfo json, const char *key, bool value)
{
	add_key(json, key);
	appendStringInfoString(json, value ? "true" : "false");
}

void
json_add_time(StringInfo json, const char *key, TimestampTz value)
{
	char buffer[MAXDATELEN + 1];

	add_key(json, key);
	JsonEncodeDateTime(buffer, TimestampTzGetDatum(value), TIMESTAMPTZOID, NULL);
	escape_json(json, buffer);
}
