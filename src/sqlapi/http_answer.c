/*
 * http_answer.c
 *		What is answered to a request over HTTP.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/executor.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/typcache.h"

#include "base/json.h"
#include "sqlapi/http.h"

/* Of what is not for a browser to keep, to guess at, or to show inside of something else. */
static const char *const careful[][2] = {
	{"Cache-Control", "no-store"},
	{"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
	{"Referrer-Policy", "no-referrer"},
	{"X-Content-Type-Options", "nosniff"}};

static const struct
{
	int status;
	int sqlstate;
	const char *message;
} refusals[] = {{400, ERRCODE_INVALID_PARAMETER_VALUE, "the request can not be read"},
				{401, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, "the token is missing or wrong"},
				{403, ERRCODE_INSUFFICIENT_PRIVILEGE, "another site has sent this"},
				{404, ERRCODE_NO_DATA_FOUND, "there is nothing here"},
				{405, ERRCODE_FEATURE_NOT_SUPPORTED, "the method is not allowed"},
				{413, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "the request is too large"},
				{500, ERRCODE_INTERNAL_ERROR, "this has failed"},
				{503, ERRCODE_CANNOT_CONNECT_NOW, "this is not possible now"}};

/* In lower case; NULL: it did not come. */
const char *
http_header(const HttpRequest *request, const char *name)
{
	return request->headers == NULL ? NULL : json_get_text(&request->headers->root, name);
}

/* In the place of one of that name, in whatever case. */
void
http_set_header(HttpAnswer *answer, const char *name, const char *value)
{
	for (int i = 0; i < list_length(answer->headers); i += 2)
		if (pg_strcasecmp(list_nth(answer->headers, i), name) == 0)
		{
			lfirst(list_nth_cell(answer->headers, i + 1)) = pstrdup(value);
			return;
		}
	answer->headers = lappend(lappend(answer->headers, pstrdup(name)), pstrdup(value));
}

void
http_answer_text(HttpAnswer *answer, int status, const char *type, const char *text)
{
	answer->status = status;
	answer->body = text;
	answer->body_len = strlen(text);
	http_set_header(answer, "Content-Type", type);
}

void
http_answer_json(HttpAnswer *answer, int status, Datum jsonb)
{
	Jsonb *json = DatumGetJsonbP(jsonb);

	http_answer_text(answer, status, "application/json; charset=utf-8",
					 JsonbToCString(NULL, &json->root, VARSIZE(json)));
}

/*
 * An error as JSON. sqlstate may be 0, and what it is about is said to whoever may see
 * it; a stranger hears what the status means, and no more.
 */
void
http_refuse(HttpAnswer *answer, int status, int sqlstate, const char *detail)
{
	JsonObject whole = json_begin();
	JsonObject error = json_begin();
	size_t i = 0;

	while (i < lengthof(refusals) - 1 && refusals[i].status != status)
		i++;
	json_add_text(&error, "code",
				  unpack_sql_state(sqlstate != 0 ? sqlstate : refusals[i].sqlstate));
	json_add_text(&error, "message", detail != NULL ? detail : refusals[i].message);
	json_add_jsonb(&whole, "error", json_end(&error));
	http_answer_json(answer, status, json_end(&whole));
	if (status == 401)
		http_set_header(answer, "WWW-Authenticate", "Bearer");
	if (status == 503)
		http_set_header(answer, "Retry-After", "5");
}

/* ---- from a function that has answered -------------------------------------------------- */

static void
take_headers(HttpAnswer *answer, Jsonb *headers)
{
	JsonbIterator *it = JsonbIteratorInit(&headers->root);
	char *name = NULL;
	JsonbValue value;
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE && value.type == jbvString)
			http_set_header(answer, name, pnstrdup(value.val.string.val, value.val.string.len));
	}
}

static Datum
part_of(HeapTupleHeader tuple, const char *name)
{
	bool isnull;
	Datum value = GetAttributeByName(tuple, name, &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR), errmsg("an answer came without its %s", name)));
	return value;
}

/* A row (status int, headers jsonb, body text), as it is. */
void
http_answer_row(HttpAnswer *answer, Datum row)
{
	HeapTupleHeader tuple = DatumGetHeapTupleHeader(row);

	answer->status = DatumGetInt32(part_of(tuple, "status"));
	take_headers(answer, DatumGetJsonbP(part_of(tuple, "headers")));
	answer->body = TextDatumGetCString(part_of(tuple, "body"));
	answer->body_len = strlen(answer->body);
}

/* ---- all of it --------------------------------------------------------------------------- */

static bool
has_header(const HttpAnswer *answer, const char *name)
{
	for (int i = 0; i < list_length(answer->headers); i += 2)
		if (pg_strcasecmp(list_nth(answer->headers, i), name) == 0)
			return true;
	return false;
}

/* An object of texts. */
Datum
http_answer_headers(const HttpAnswer *answer)
{
	JsonObject json = json_begin();

	for (size_t i = 0; i < lengthof(careful); i++)
		if (!has_header(answer, careful[i][0]))
			json_add_text(&json, careful[i][0], careful[i][1]);
	for (int i = 0; i < list_length(answer->headers); i += 2)
		json_add_text(&json, list_nth(answer->headers, i), list_nth(answer->headers, i + 1));
	return json_end(&json);
}
