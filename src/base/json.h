/*
 * json.h
 *		Building JSON objects member by member, with the server's own escaping.
 */
#ifndef CADENCE_JSON_H
#define CADENCE_JSON_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"

extern void json_add_text(StringInfo json, const char *key, const char *value);
extern void json_add_int(StringInfo json, const char *key, int64 value);
extern void json_add_bool(StringInfo json, const char *key, bool value);
extern void json_add_time(StringInfo json, const char *key, TimestampTz value);

#endif
