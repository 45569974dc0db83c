/*
 * http_api.c
 *		Data for the dashboard's pages: each is a function in SQL, of a list that is closed.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "base/json.h"
#include "rules/http_text.h"
#include "rules/receive_form.h"
#include "sqlapi/http.h"
#include "sqlapi/secret.h"

#define QUERY_MAX 8192

static const char *const names[] = {"agora",	"servidores", "execucoes", "execucao",
									"agenda",	"erros",	  "erro",	   "cadencias",
									"cadencia", "pessoas",	  "pessoa"};

/* ---- the query ------------------------------------------------------------------------- */

static bool
is_text(const char *text, size_t len)
{
	return strlen(text) == len && pg_verify_mbstr(PG_UTF8, text, len, true);
}

/* False: what it has are no texts. The object's texts are the form's until it has ended. */
static bool
form_json(const Form *form, Datum *params)
{
	JsonObject json = json_begin();
	bool are_texts = true;

	for (size_t i = 0; i < form->n; i++)
	{
		const FormField *field = &form->fields[i];

		are_texts = are_texts && is_text(field->name, field->name_len) &&
					is_text(field->value, field->value_len);
		if (are_texts)
			json_add_text(&json, field->name, field->value);
	}
	*params = json_end(&json);
	return are_texts;
}

/* An object of texts; of a name that stands there twice, the last. False: it is none. */
static bool
read_query(const char *query, Datum *params)
{
	volatile bool are_texts = false;
	Form form;

	if (query == NULL)
		query = "";
	if (strlen(query) > QUERY_MAX || !form_read(query, strlen(query), &form))
		return false;
	PG_TRY();
	{
		are_texts = form_json(&form, params);
	}
	PG_FINALLY();
	{
		form_free(&form);
	}
	PG_END_TRY();
	return are_texts;
}

/* ---- the answer ------------------------------------------------------------------------- */

static char *
tag_of(const char *text, size_t len)
{
	uint8 digest[SECRET_DIGEST_SIZE];
	StringInfoData tag;

	cadence_secret_digest((const uint8 *) text, len, digest);
	initStringInfo(&tag);
	appendStringInfoChar(&tag, '"');
	for (int i = 0; i < SECRET_DIGEST_SIZE / 2; i++)
		appendStringInfo(&tag, "%02x", digest[i]);
	appendStringInfoChar(&tag, '"');
	return tag.data;
}

/* What a page has already is not sent again. */
static void
answer_tagged(const HttpRequest *request, HttpAnswer *answer, Datum jsonb)
{
	char *tag;

	http_answer_json(answer, 200, jsonb);
	tag = tag_of(answer->body, answer->body_len);
	http_set_header(answer, "ETag", tag);
	if (http_has_tag(http_header(request, "if-none-match"), tag))
	{
		answer->status = 304;
		answer->body_len = 0;
	}
}

static void
answer_me(const HttpRequest *request, HttpAnswer *answer)
{
	JsonObject json = json_begin();

	json_add_text(&json, "name", request->visitor.name);
	json_add_bool(&json, "people", (request->visitor.rights & HTTP_PEOPLE) != 0);
	answer_tagged(request, answer, json_end(&json));
}

static const char *
known_name(const char *given)
{
	for (size_t i = 0; i < lengthof(names); i++)
		if (strcmp(names[i], given) == 0)
			return names[i];
	return NULL;
}

static void
answer_by_function(const HttpRequest *request, HttpAnswer *answer, const char *name, Datum params)
{
	static const Oid types[] = {JSONBOID, BOOLOID};
	NullableDatum args[] = {{params, false},
							{BoolGetDatum((request->visitor.rights & HTTP_PEOPLE) != 0), false}};
	bool isnull;
	Datum result = http_call_as_owner(
		request, http_function(psprintf("cadence_api_%s", name), types, lengthof(types), JSONBOID),
		args, lengthof(args), &isnull);

	if (isnull)
		http_refuse(answer, 404, 0, NULL);
	else
		answer_tagged(request, answer, result);
}

/* GET /api/NAME?PARAMETER=VALUE */
void
http_api(const HttpRequest *request, HttpAnswer *answer)
{
	const char *name = known_name(request->rest);
	Datum params;

	if (strcmp(request->rest, "me") == 0)
		answer_me(request, answer);
	else if (name == NULL)
		http_refuse(answer, 404, 0, NULL);
	else if (!read_query(request->query, &params))
		http_refuse(answer, 400, 0, NULL);
	else
		answer_by_function(request, answer, name, params);
}
