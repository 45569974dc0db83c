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

#include "base/transaction.h"
#include "sqlapi/http.h"

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

/* ---- the whole --------------------------------------------------------------------------- */

static void
serve(HttpRequest *request, HttpAnswer *answer)
{
	const HttpRoute *route = http_find_route(request);
	Work w = {route, request, answer};
	ErrorData *error;

	if (route == NULL)
		http_refuse(answer, 404, 0, NULL);
	else if (!http_takes_method(route, request->method))
	{
		route->refuse(answer, 405, 0, NULL);
		http_set_header(answer, "Allow", http_allowed_methods(route));
	}
	else if (request->body_len > route->body_max)
		route->refuse(answer, 413, 0, NULL);
	else if ((error = cadence_try(work, &w, 0, 0, false)) != NULL)
		http_answer_error(route, request, answer, error);
	http_count(route != NULL ? route->pattern : "other", http_known_method(request->method),
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
