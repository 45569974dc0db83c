/*
 * http_login.c
 *		Coming in by a secret, and going: a session is a cookie, and is stored nowhere.
 *
 * Another site's page may send its visitors' browsers here: without this check it could
 * have them come in as somebody else, or go.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "utils/builtins.h"
#include "utils/inet.h"
#include "utils/timestamp.h"

#include "base/transaction.h"
#include "rules/http_body.h"
#include "rules/http_text.h"
#include "sqlapi/http.h"
#include "sqlapi/secret.h"

#define COOKIE_FOR "; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age="

/* For a browser without scripts; others get JSON. */
#define REFUSED_PAGE                                                                            \
	"<!DOCTYPE html>\n<html lang=\"pt-BR\">\n<head>\n<meta charset=\"utf-8\">\n"                \
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"                \
	"<title>Código recusado / Code refused</title>\n</head>\n<body>\n<main>\n"                 \
	"<h1>Código recusado / Code refused</h1>\n"                                                \
	"<p>O código de acesso não confere. / <span lang=\"en\">The access code is wrong.</span>" \
	"</p>\n<p><a href=\"/\">Tentar de novo / <span lang=\"en\">Try again</span></a></p>\n"      \
	"</main>\n</body>\n</html>\n"

/* What neither says is no browser's. */
static bool
is_of_another_site(const HttpRequest *request)
{
	const char *site = http_header(request, "sec-fetch-site");
	const char *origin = http_header(request, "origin");

	if (site != NULL && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
		return true;
	return origin != NULL && !http_is_same_origin(origin, http_header(request, "host"));
}

static void
go_home(HttpAnswer *answer, const char *session, int seconds)
{
	answer->status = 303;
	http_set_header(answer, "Location", "/");
	http_set_header(answer, "Set-Cookie",
					psprintf("%s=%s" COOKIE_FOR "%d", HTTP_SESSION_COOKIE, session, seconds));
}

static bool
is_json(const HttpRequest *request)
{
	static const char json[] = "application/json";
	const char *type = http_header(request, "content-type");

	return type != NULL && pg_strncasecmp(type, json, sizeof(json) - 1) == 0;
}

static bool
read_token(const HttpRequest *request, char *token, size_t size)
{
	HttpField field = is_json(request)
						  ? http_json_field(request->body, request->body_len, "token", token, size)
						  : http_form_field(request->body, request->body_len, "token", token, size);

	return field == HTTP_FIELD_TEXT;
}

static void
refuse_token(const HttpRequest *request, HttpAnswer *answer)
{
	if (is_json(request))
		http_refuse(answer, 401, 0, NULL);
	else
		http_answer_text(answer, 401, "text/html; charset=utf-8", REFUSED_PAGE);
}

static const char *
peer_name(const HttpRequest *request)
{
	return request->peer != (Datum) 0
			   ? DatumGetCString(DirectFunctionCall1(inet_out, request->peer))
			   : "unknown";
}

/* Whoever may look at people's data has come in: that is kept. */
static void
note_login(const HttpRequest *request, const HttpVisitor *visitor)
{
	/* the statement may have the secret */
	ereport(LOG, (errhidestmt(true), errmsg("cadence_runner: \"%s\" has come in from %s",
											visitor->name, peer_name(request))));
}

/* So that guessing leaves a trace, but does not fill a disk. */
void
http_note_refusal(const HttpRequest *request)
{
	static TimestampTz noted_at = 0;
	TimestampTz now = GetCurrentTimestamp();

	if (now >= noted_at && now < noted_at + USECS_PER_SEC)
		return;
	noted_at = now;
	ereport(LOG, (errhidestmt(true),
				  errmsg("cadence_runner: a wrong token has come from %s", peer_name(request))));
}

/* POST /login with a field "token". */
void
http_login(const HttpRequest *request, HttpAnswer *answer)
{
	char *token = palloc(HTTP_TOKEN_MAX + 1);
	char *session = NULL;
	HttpVisitor visitor = {0};

	if (is_of_another_site(request))
	{
		http_refuse(answer, 403, 0, NULL);
		return;
	}
	if (read_token(request, token, HTTP_TOKEN_MAX + 1))
		visitor = http_visitor_by_token(cadence_tables_load(cadence_extension_schema()), token,
										strlen(token), &session);
	if ((visitor.rights & HTTP_PAGES) == 0)
	{
		http_note_refusal(request);
		refuse_token(request, answer);
		return;
	}
	note_login(request, &visitor);
	go_home(answer, session, HTTP_SESSION_SECONDS);
}

/*
 * What a copy of the cookie would still open is ended with the sessions of that secret, all
 * of them: that is for one that is a person's own. Where that can not be written it stays,
 * and the browser forgets the cookie all the same.
 */
static void
end_sessions(void *arg, int first, int n)
{
	const HttpRequest *request = arg;

	cadence_secret_end_sessions(request->tables, request->visitor.name);
}

static void
try_to_end_sessions(const HttpRequest *request)
{
	const HttpVisitor *visitor = &request->visitor;
	ErrorData *error;

	if (visitor->rights == 0 || !cadence_secret_is_somebodys(visitor->name) || XactReadOnly ||
		RecoveryInProgress())
		return;
	error = cadence_try(end_sessions, unconstify(HttpRequest *, request), 0, 0, false);
	if (error != NULL && ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
		ThrowErrorData(error);
	if (error != NULL)
		ereport(LOG, (errmsg("sessions of \"%s\" go on after a logout: %s", visitor->name,
							 error->message)));
}

/* POST /logout: the browser forgets the session. */
void
http_logout(const HttpRequest *request, HttpAnswer *answer)
{
	if (is_of_another_site(request))
	{
		http_refuse(answer, 403, 0, NULL);
		return;
	}
	try_to_end_sessions(request);
	go_home(answer, "", 0);
}
