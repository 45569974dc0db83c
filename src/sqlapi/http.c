/*
 * http.c
 *		cadence_http(): one request over HTTP, from its parts to its answer.
 *
 * Whatever speaks HTTP calls it, as a role that may execute this and nothing else.
 * What a request may do is decided here, by the secret that it brings; the work is done
 * as the owner of the tables, by functions of ours that are found by their name, and
 * nothing of a request is ever part of a statement's text.
 *
 * A request is answered, whatever happens: each is worked on in a subtransaction, and an
 * error that undoes it becomes an answer. What ends the session, as a shutdown does, is
 * no error and ends it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "base/transaction.h"
#include "inbound/call.h"
#include "sqlapi/http.h"

#define BODY_MAX (64 * 1024)

PG_FUNCTION_INFO_V1(cadence_http);

enum
{
	ARG_METHOD,
	ARG_PATH,
	ARG_QUERY,
	ARG_HEADERS,
	ARG_BODY,
	ARG_PEER
};

static const HttpRoute routes[] = {{.pattern = "/functions/v1/cadence-runner",
									.methods = HTTP_POST | HTTP_OPTIONS,
									.needs = HTTP_RUN,
									.body_max = BODY_MAX,
									.handler = http_run,
									.refuse = http_refuse_run},
								   {.pattern = "/webhooks/",
									.methods = HTTP_ANY,
									.body_max = CALL_BODY_MAX,
									.handler = http_webhook,
									.refuse = http_refuse},
								   {.pattern = "/u/",
									.methods = HTTP_GET | HTTP_POST,
									.body_max = BODY_MAX,
									.handler = http_unsubscribe,
									.refuse = http_refuse},
								   {.pattern = "/health",
									.methods = HTTP_GET,
									.asks = HTTP_HEALTH | HTTP_PAGES | HTTP_PEOPLE,
									.takes_sessions = true,
									.body_max = BODY_MAX,
									.handler = http_health,
									.refuse = http_refuse_health},
								   {.pattern = "/metrics",
									.methods = HTTP_GET,
									.needs = HTTP_METRICS,
									.body_max = BODY_MAX,
									.handler = http_metrics,
									.refuse = http_refuse},
								   {.pattern = "/login",
									.methods = HTTP_POST,
									.body_max = BODY_MAX,
									.handler = http_login,
									.refuse = http_refuse},
								   {.pattern = "/logout",
									.methods = HTTP_POST,
									.asks = HTTP_PAGES,
									.takes_sessions = true,
									.body_max = BODY_MAX,
									.handler = http_logout,
									.refuse = http_refuse},
								   {.pattern = "/api/",
									.methods = HTTP_GET,
									.needs = HTTP_PAGES,
									.takes_sessions = true,
									.body_max = BODY_MAX,
									.handler = http_api,
									.refuse = http_refuse}};

/* ---- which route ------------------------------------------------------------------------ */

/* What the path has behind the route's own; NULL: it is another's. */
static const char *
rest_of(const HttpRoute *route, const char *path)
{
	size_t len = strlen(route->pattern);

	if (strncmp(path, route->pattern, len) != 0)
		return NULL;
	return route->pattern[len - 1] == '/' || path[len] == '\0' ? path + len : NULL;
}

static const HttpRoute *
find_route(HttpRequest *request)
{
	for (size_t i = 0; i < lengthof(routes); i++)
		if ((request->rest = rest_of(&routes[i], request->path)) != NULL)
			return &routes[i];
	return NULL;
}

static const struct
{
	const char *name;
	int bit;
} methods[] = {
	{"GET", HTTP_GET}, {"HEAD", HTTP_GET}, {"POST", HTTP_POST}, {"OPTIONS", HTTP_OPTIONS}};

/* A constant, also for what nobody has heard of. */
static const char *
known_method(const char *method)
{
	for (size_t i = 0; i < lengthof(methods); i++)
		if (strcmp(method, methods[i].name) == 0)
			return methods[i].name;
	return "other";
}

static bool
takes_method(const HttpRoute *route, const char *method)
{
	if ((route->methods & HTTP_ANY) != 0)
		return true;
	for (size_t i = 0; i < lengthof(methods); i++)
		if ((route->methods & methods[i].bit) != 0 && strcmp(method, methods[i].name) == 0)
			return true;
	return false;
}

static char *
allowed_methods(const HttpRoute *route)
{
	StringInfoData list;

	initStringInfo(&list);
	for (size_t i = 0; i < lengthof(methods); i++)
		if ((route->methods & methods[i].bit) != 0)
			appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", methods[i].name);
	return list.data;
}

/* ---- working on it ---------------------------------------------------------------------- */

/* Somebody has forgotten it: said once to whoever reads the log, and to no stranger. */
static void
warn_of_no_secret(void)
{
	static bool was_said = false;

	if (!was_said)
		ereport(LOG, (errhidestmt(true),
					  errmsg("cadence_runner starts no execution over HTTP: there is no secret "
							 "for it"),
					  errhint("Call cadence_secret_set() for service_role or cron.")));
	was_said = true;
}

/* False: it was refused. */
static bool
lets_in(const HttpRoute *route, HttpRequest *request, HttpAnswer *answer)
{
	/* a browser asks so before it sends anything of a page's */
	if ((route->needs | route->asks) == 0 || strcmp(request->method, "OPTIONS") == 0)
		return true;
	request->tables = cadence_tables_load(cadence_extension_schema());
	request->visitor = http_visitor(request, route->takes_sessions);
	if (route->needs == 0)
		request->visitor.rights &= route->asks;
	if (route->needs == 0 || (request->visitor.rights & route->needs) != 0)
		return true;
	if (route->needs == HTTP_RUN && (request->visitor.there_are & HTTP_RUN) == 0)
	{
		warn_of_no_secret();
		route->refuse(answer, 503, 0, NULL);
	}
	else
	{
		if (http_header(request, "authorization") != NULL)
			http_note_refusal(request);
		route->refuse(answer, 401, 0, NULL);
	}
	return false;
}

typedef struct Work
{
	const HttpRoute *route;
	HttpRequest *request;
	HttpAnswer *answer;
} Work;

static void
work(void *arg, int first, int n)
{
	const Work *w = arg;

	if (lets_in(w->route, w->request, w->answer))
		w->route->handler(w->request, w->answer);
}

/* ---- what has failed --------------------------------------------------------------------- */

/* An execution that was not begun, or only in vain, may be another time. */
static int
status_of_execution(int sqlstate)
{
	switch (sqlstate)
	{
		case ERRCODE_UNDEFINED_TABLE:
		case ERRCODE_READ_ONLY_SQL_TRANSACTION:
		case ERRCODE_CONFIGURATION_LIMIT_EXCEEDED:
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
		case ERRCODE_QUERY_CANCELED:
			return 503;
	}
	return 500;
}

static int
status_of(const HttpRoute *route, int sqlstate)
{
	int category = ERRCODE_TO_CATEGORY(sqlstate);

	if (route->needs == HTTP_RUN)
		return status_of_execution(sqlstate);
	if (sqlstate == ERRCODE_NO_DATA_FOUND)
		return 404;
	if (category == ERRCODE_DATA_EXCEPTION)
		return 400;
	/* nor where the tables are missing, or this is a standby */
	if (sqlstate_is_of_the_moment(sqlstate) || sqlstate == ERRCODE_UNDEFINED_TABLE ||
		category == ERRCODE_INVALID_TRANSACTION_STATE ||
		category == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE)
		return 503;
	return 500;
}

/*
 * An error may have people's data in its text. What the functions of pages say of a
 * parameter has none.
 */
static bool
may_see(const HttpVisitor *visitor, int sqlstate)
{
	if (!http_masks_people(visitor))
		return visitor->rights != 0;
	return sqlstate == ERRCODE_INVALID_PARAMETER_VALUE || sqlstate == ERRCODE_NO_DATA_FOUND;
}

/* Strangers may cause the same as often as they like. */
static bool
may_log(void)
{
	static TimestampTz logged_at = 0;
	TimestampTz now = GetCurrentTimestamp();

	if (now >= logged_at && now < logged_at + USECS_PER_SEC)
		return false;
	logged_at = now;
	return true;
}

static void
answer_error(const HttpRoute *route, const HttpRequest *request, HttpAnswer *answer,
			 const ErrorData *error)
{
	int status = status_of(route, error->sqlerrcode);

	if (status >= 500 && may_log())
		ereport(LOG, (errcode(error->sqlerrcode), errhidestmt(true),
					  errmsg("cadence_runner: a request for %s has failed: %s", route->pattern,
							 error->message),
					  error->detail != NULL ? errdetail("%s", error->detail) : 0,
					  error->hint != NULL ? errhint("%s", error->hint) : 0));
	*answer = (HttpAnswer){0};
	route->refuse(answer, status, error->sqlerrcode,
				  may_see(&request->visitor, error->sqlerrcode) ? error->message : NULL);
}

/* ---- the whole --------------------------------------------------------------------------- */

static void
serve(HttpRequest *request, HttpAnswer *answer)
{
	const HttpRoute *route = find_route(request);
	Work w = {route, request, answer};
	ErrorData *error;

	if (route == NULL)
		http_refuse(answer, 404, 0, NULL);
	else if (!takes_method(route, request->method))
	{
		route->refuse(answer, 405, 0, NULL);
		http_set_header(answer, "Allow", allowed_methods(route));
	}
	else if (request->body_len > route->body_max)
		route->refuse(answer, 413, 0, NULL);
	else if ((error = cadence_try(work, &w, 0, 0, false)) != NULL)
		answer_error(route, request, answer, error);
	http_count(route != NULL ? route->pattern : "other", known_method(request->method),
			   answer->status);
}

static char *
text_arg(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

static HttpRequest
read_request(FunctionCallInfo fcinfo)
{
	HttpRequest request = {.method = text_arg(fcinfo, ARG_METHOD),
						   .path = text_arg(fcinfo, ARG_PATH),
						   .query = text_arg(fcinfo, ARG_QUERY),
						   .headers =
							   PG_ARGISNULL(ARG_HEADERS) ? NULL : PG_GETARG_JSONB_P(ARG_HEADERS),
						   .body = "",
						   .peer = PG_ARGISNULL(ARG_PEER) ? (Datum) 0 : PG_GETARG_DATUM(ARG_PEER)};

	if (request.method == NULL)
		request.method = "";
	if (request.path == NULL)
		request.path = "";
	/* something else has no names to look for */
	if (request.headers != NULL && !JB_ROOT_IS_OBJECT(request.headers))
		request.headers = NULL;
	if (!PG_ARGISNULL(ARG_BODY))
	{
		bytea *body = PG_GETARG_BYTEA_PP(ARG_BODY);

		request.body = VARDATA_ANY(body);
		request.body_len = VARSIZE_ANY_EXHDR(body);
	}
	return request;
}

static Datum
answer_row(FunctionCallInfo fcinfo, const HttpAnswer *answer)
{
	bytea *body = palloc(VARHDRSZ + answer->body_len);
	Datum values[] = {Int32GetDatum(answer->status), http_answer_headers(answer),
					  PointerGetDatum(body)};
	bool nulls[lengthof(values)] = {false};
	TupleDesc desc;

	SET_VARSIZE(body, VARHDRSZ + answer->body_len);
	if (answer->body_len > 0)
		memcpy(VARDATA(body), answer->body, answer->body_len);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("cadence_http() returns a row")));
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/*
 * cadence_http(method text, path text, query text, headers jsonb, body bytea, peer inet)
 * -> (status int, headers jsonb, body bytea): what to answer to a request. path and query
 * are as they came; headers is an object of texts, by names in lower case.
 *
 * Errors: none that a request could cause.
 */
Datum
cadence_http(PG_FUNCTION_ARGS)
{
	HttpRequest request = read_request(fcinfo);
	HttpAnswer answer = {0};
	int level = cadence_use_text_format();

	serve(&request, &answer);
	AtEOXact_GUC(false, level);
	PG_RETURN_DATUM(answer_row(fcinfo, &answer));
}
