/*
 * http_status.c
 *		Whether it is well, and numbers, for whoever watches.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "base/json.h"
#include "rules/http_text.h"
#include "sqlapi/http.h"

#define METRICS "text/plain; version=0.0.4; charset=utf-8"
#define OPEN_METRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* How long a due step may wait, as for cadence_health() by itself. */
#define MAX_LAG "5 minutes"

/* So long a stranger's answer is not looked for again, in each session. */
#define KNOWN_FOR USECS_PER_SEC

/* cadence_health()'s row; NULL where it has none. */
static HeapTupleHeader
health_row(const HttpRequest *request)
{
	static const Oid types[] = {INTERVALOID};
	NullableDatum args[] = {{DirectFunctionCall3(interval_in, CStringGetDatum(MAX_LAG),
												 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)),
							 false}};
	bool isnull;
	Datum row = http_call_as_owner(request, http_function("cadence_health", types, 1, RECORDOID),
								   args, 1, &isnull);

	return isnull ? NULL : DatumGetHeapTupleHeader(row);
}

static bool
row_is_ok(HeapTupleHeader row)
{
	bool isnull = true;
	Datum value = row != NULL ? GetAttributeByName(row, "ok", &isnull) : (Datum) 0;

	return !isnull && DatumGetBool(value);
}

/* A reason may have a provider's words in it, or somebody's. */
static Datum
masked_text(const HttpRequest *request, Datum text)
{
	static const Oid types[] = {TEXTOID, TEXTOID};
	NullableDatum args[] = {{text, false}, {CStringGetTextDatum("reason"), false}};
	bool isnull;
	Datum masked = http_call_as_owner(request, http_function("cadence_mask", types, 2, TEXTOID),
									  args, 2, &isnull);

	return isnull ? CStringGetTextDatum("") : masked;
}

static Datum
texts_json(const HttpRequest *request, Datum array)
{
	JsonbParseState *json = NULL;
	Datum *texts;
	int n;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &texts, NULL,
					  &n);
	pushJsonbValue(&json, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < n; i++)
	{
		char *one = TextDatumGetCString(request != NULL && http_masks_people(&request->visitor)
											? masked_text(request, texts[i])
											: texts[i]);
		JsonbValue value = {.type = jbvString, .val.string = {.val = one, .len = strlen(one)}};

		pushJsonbValue(&json, WJB_ELEM, &value);
	}
	return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&json, WJB_END_ARRAY, NULL)));
}

/* Where it can not even be asked, it is not well. */
void
http_refuse_health(HttpAnswer *answer, int status, int sqlstate, const char *detail)
{
	JsonObject json = json_begin();

	if (status < 500)
	{
		http_refuse(answer, status, sqlstate, detail);
		return;
	}
	json_add_bool(&json, "ok", false);
	if (detail != NULL)
	{
		Datum reason = CStringGetTextDatum(detail);

		json_add_jsonb(&json, "reasons",
					   texts_json(NULL, PointerGetDatum(construct_array(&reason, 1, TEXTOID, -1,
																		false, TYPALIGN_INT))));
	}
	http_answer_json(answer, 503, json_end(&json));
}

/* It takes some milliseconds to find out, and strangers may ask as often as they like. */
static void
answer_stranger(const HttpRequest *request, HttpAnswer *answer)
{
	static TimestampTz known_at = 0;
	static bool is_ok;
	TimestampTz now = GetCurrentTimestamp();
	JsonObject json = json_begin();

	if (now < known_at || now >= known_at + KNOWN_FOR)
	{
		/* where it can not be found out, nor is that tried again at once */
		is_ok = false;
		known_at = now;
		is_ok = row_is_ok(health_row(request));
	}
	json_add_bool(&json, "ok", is_ok);
	http_answer_json(answer, is_ok ? 200 : 503, json_end(&json));
}

/* A stranger hears yes or no; who has a token why not. */
void
http_health(const HttpRequest *request, HttpAnswer *answer)
{
	JsonObject json;
	HeapTupleHeader row;
	bool is_ok;
	bool isnull = true;
	Datum value;

	if ((request->visitor.rights & HTTP_HEALTH) == 0)
	{
		answer_stranger(request, answer);
		return;
	}
	row = health_row(request);
	is_ok = row_is_ok(row);
	json = json_begin();
	json_add_bool(&json, "ok", is_ok);
	value = row != NULL ? GetAttributeByName(row, "reasons", &isnull) : (Datum) 0;
	if (!isnull)
		json_add_jsonb(&json, "reasons", texts_json(request, value));
	http_answer_json(answer, is_ok ? 200 : 503, json_end(&json));
}

void
http_metrics(const HttpRequest *request, HttpAnswer *answer)
{
	static const Oid types[] = {BOOLOID};
	const char *accept = http_header(request, "accept");
	int open = http_quality(accept, "application/openmetrics-text");
	bool is_open = open > 0 && open >= http_quality(accept, "text/plain");
	NullableDatum args[] = {{BoolGetDatum(is_open), false}};
	bool isnull;
	Datum numbers = http_call_as_owner(request, http_function("cadence_metrics", types, 1, TEXTOID),
									   args, 1, &isnull);

	http_answer_text(answer, 200, is_open ? OPEN_METRICS : METRICS,
					 isnull ? "" : TextDatumGetCString(numbers));
}
