/*
 * http_run.c
 *		An execution over HTTP: requests and answers are those of the edge function
 *		that this replaces, so that its jobs go on with another address.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "base/json.h"
#include "rules/http_body.h"
#include "sqlapi/http.h"

/* Longer ones are none. */
#define TRIGGER_MAX 32

/* A page of the application may ask, too: it has no cookie of ours, but the token. */
static void
let_pages_read(HttpAnswer *answer)
{
	http_set_header(answer, "Access-Control-Allow-Origin", "*");
	http_set_header(answer, "Access-Control-Allow-Headers",
					"authorization, x-client-info, apikey, content-type");
}

static const char *
said(int status)
{
	switch (status)
	{
		case 400:
			return "Trigger inválido";
		case 401:
			return "Unauthorized";
		case 405:
			return "Método não permitido";
		case 413:
			return "Corpo grande demais";
		case 503:
			return "Serviço indisponível";
		default:
			return "Erro interno do servidor";
	}
}

/* As the edge function has said it. */
void
http_refuse_run(HttpAnswer *answer, int status, int sqlstate, const char *detail)
{
	JsonObject json = json_begin();

	json_add_text(&json, "error", said(status));
	json_add_text_if(&json, "details", detail);
	if (detail != NULL && sqlstate != 0)
		json_add_text(&json, "code", unpack_sql_state(sqlstate));
	http_answer_json(answer, status, json_end(&json));
	let_pages_read(answer);
	if (status == 401)
		http_set_header(answer, "WWW-Authenticate", "Bearer");
	if (status == 503)
		http_set_header(answer, "Retry-After", "60");
}

/* What is no JSON has no trigger, as before; NULL: it is none of the three. */
static const char *
trigger_of(const HttpRequest *request)
{
	static const char *const known[] = {"CRON", "MANUAL", "TEST"};
	char given[TRIGGER_MAX];

	switch (http_json_field(request->body, request->body_len, "trigger", given, sizeof(given)))
	{
		case HTTP_FIELD_NONE:
			return known[0];
		case HTTP_FIELD_OTHER:
			return NULL;
		case HTTP_FIELD_TEXT:
			break;
	}
	for (size_t i = 0; i < lengthof(known); i++)
		if (strcmp(given, known[i]) == 0)
			return known[i];
	return NULL;
}

/*
 * The execution is its own worker's, who connects as the owner of the tables: nothing
 * here has to be done as somebody else.
 */
void
http_run(const HttpRequest *request, HttpAnswer *answer)
{
	static const Oid types[] = {TEXTOID};
	const char *trigger;
	NullableDatum args[1] = {{(Datum) 0, false}};
	bool isnull;

	if (strcmp(request->method, "OPTIONS") == 0)
	{
		answer->status = 200;
		let_pages_read(answer);
		return;
	}
	trigger = trigger_of(request);
	if (trigger == NULL)
	{
		http_refuse_run(answer, 400, 0, "trigger: CRON, MANUAL ou TEST");
		return;
	}
	args[0].value = CStringGetTextDatum(trigger);
	http_answer_json(answer, 200,
					 http_call(http_function("cadence_run", types, 1, JSONBOID), args, 1, &isnull));
	let_pages_read(answer);
}
