/*
 * json.h
 *		Building jsonb member by member, and reading single members.
 */
#ifndef CADENCE_JSON_H
#define CADENCE_JSON_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/*
 * An object that is being built, in the current memory context. What is added is not copied
 * before the end: it must last until then.
 */
typedef JsonbParseState *JsonObject;

extern JsonObject json_begin(void);
extern Datum json_end(JsonObject *json);
extern Datum json_array(List *objects);

extern void json_add_text(JsonObject *json, const char *key, const char *value);
extern void json_add_text_if(JsonObject *json, const char *key, const char *value);
extern void json_add_int(JsonObject *json, const char *key, int64 value);
extern void json_add_bool(JsonObject *json, const char *key, bool value);
extern void json_add_time(JsonObject *json, const char *key, TimestampTz value);
extern void json_add_jsonb(JsonObject *json, const char *key, Datum value);

/* Of an object that somebody else may have written: what is not there, or no such value. */
extern JsonbContainer *json_get_object(JsonbContainer *object, const char *key);
extern char *json_get_text(JsonbContainer *object, const char *key);
extern double json_get_number(JsonbContainer *object, const char *key);
extern bool json_get_true(JsonbContainer *object, const char *key);

#endif
