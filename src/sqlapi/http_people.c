/*
 * http_people.c
 *		What strangers call: providers their server's webhook, and people the link by
 *		which they want no more messages.
 *
 * Both functions answer for themselves, and prove by themselves who calls.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "rules/http_text.h"
#include "sqlapi/http.h"

static Datum
text_or_null(const char *text)
{
	return text != NULL ? CStringGetTextDatum(text) : (Datum) 0;
}

/* NULL: that is no text. */
static char *
decoded(const char *at, size_t len)
{
	char *to = palloc(len + 1);

	return http_decode(at, len, to) ? to : NULL;
}

static Datum
body_of(const HttpRequest *request)
{
	bytea *body = palloc(VARHDRSZ + request->body_len);

	SET_VARSIZE(body, VARHDRSZ + request->body_len);
	memcpy(VARDATA(body), request->body, request->body_len);
	return PointerGetDatum(body);
}

/* /webhooks/SERVER or /webhooks/SERVER/SECRET, where all that follows is the secret. */
void
http_webhook(const HttpRequest *request, HttpAnswer *answer)
{
	static const Oid types[] = {TEXTOID, TEXTOID, JSONBOID, TEXTOID, BYTEAOID, TEXTOID};
	const char *slash = strchr(request->rest, '/');
	char *server =
		decoded(request->rest, slash != NULL ? slash - request->rest : strlen(request->rest));
	char *secret = slash != NULL ? decoded(slash + 1, strlen(slash + 1)) : NULL;
	NullableDatum args[] = {{text_or_null(server), server == NULL},
							{CStringGetTextDatum(request->method), false},
							{JsonbPGetDatum(request->headers), request->headers == NULL},
							{text_or_null(request->query), request->query == NULL},
							{body_of(request), false},
							{text_or_null(secret), secret == NULL}};
	bool isnull;

	http_answer_row(answer,
					http_call(http_function("cadence_receive", types, lengthof(types), RECORDOID),
							  args, lengthof(args), &isnull));
}

/* GET asks, POST acts: a mailbox's own button as well as the page's (RFC 8058). */
void
http_unsubscribe(const HttpRequest *request, HttpAnswer *answer)
{
	static const Oid types[] = {TEXTOID, BOOLOID};
	char *token = decoded(request->rest, strlen(request->rest));
	NullableDatum args[] = {{text_or_null(token), token == NULL},
							{BoolGetDatum(strcmp(request->method, "POST") == 0), false}};
	bool isnull;

	http_answer_row(
		answer, http_call(http_function("cadence_unsubscribe", types, lengthof(types), RECORDOID),
						  args, lengthof(args), &isnull));
	if (answer->status == 503)
		http_set_header(answer, "Retry-After", "60");
}
