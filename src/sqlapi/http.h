/*
 * http.h
 *		A request over HTTP, what is answered, and who asks.
 */
#ifndef CADENCE_HTTP_H
#define CADENCE_HTTP_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "schema/tables.h"

/* The longest token that is looked at. */
#define HTTP_TOKEN_MAX 4096

/* A browser sends it back to this host alone, and shows it to no script. */
#define HTTP_SESSION_COOKIE "__Host-cadence"
#define HTTP_SESSION_SECONDS (12 * 3600)

/* What a secret opens. */
#define HTTP_RUN 0x01	  /* an execution */
#define HTTP_HEALTH 0x02  /* why it is not well */
#define HTTP_METRICS 0x04 /* numbers */
#define HTTP_PAGES 0x08	  /* the dashboard, */
#define HTTP_PEOPLE 0x10  /* and whose data it is */

typedef struct HttpVisitor
{
	int rights;		  /* 0: a stranger */
	const char *name; /* of the secret */
	int there_are;	  /* rights that any secret gives */
} HttpVisitor;

typedef struct HttpRequest
{
	const char *method;
	const char *path;  /* as it came, without the query */
	const char *query; /* as it came, or NULL */
	Jsonb *headers;	   /* an object of texts, by names in lower case */
	const char *body;
	size_t body_len;
	Datum peer; /* inet; 0: unknown */

	/* for its handler */
	const char *rest;			 /* of the path, behind the route's own */
	const CadenceTables *tables; /* NULL: it is not asked who this is */
	HttpVisitor visitor;
} HttpRequest;

typedef struct HttpAnswer
{
	int status;
	List *headers; /* names and values, one after the other */
	const char *body;
	size_t body_len;
} HttpAnswer;

typedef void (*HttpHandler)(const HttpRequest *request, HttpAnswer *answer);

/* detail: for whoever may see it, else NULL */
typedef void (*HttpRefusal)(HttpAnswer *answer, int status, int sqlstate, const char *detail);

#define HTTP_GET 0x01 /* and HEAD */
#define HTTP_POST 0x02
#define HTTP_OPTIONS 0x04
#define HTTP_ANY 0x08 /* the handler knows */

typedef struct HttpRoute
{
	const char *pattern; /* a path; one that ends in "/" is what a path begins with */
	int methods;
	int needs;			 /* rights, one of which will do; 0: nothing */
	int asks;			 /* rights that make a difference, where none is needed */
	bool takes_sessions; /* not only a token in the request itself */
	size_t body_max;
	HttpHandler handler;
	HttpRefusal refuse;
} HttpRoute;

/* http_route.c */
extern const HttpRoute *http_find_route(HttpRequest *request);
extern bool http_takes_method(const HttpRoute *route, const char *method);
extern char *http_allowed_methods(const HttpRoute *route);
extern const char *http_known_method(const char *method);

/* http_answer.c */
extern const char *http_header(const HttpRequest *request, const char *name);
extern void http_set_header(HttpAnswer *answer, const char *name, const char *value);
extern void http_answer_text(HttpAnswer *answer, int status, const char *type, const char *text);
extern void http_answer_json(HttpAnswer *answer, int status, Datum jsonb);
extern void http_answer_row(HttpAnswer *answer, Datum row);
extern void http_refuse(HttpAnswer *answer, int status, int sqlstate, const char *detail);
extern Datum http_answer_headers(const HttpAnswer *answer);

/* http_call.c */
extern Oid http_function(const char *name, const Oid *types, int n, Oid result);
extern Datum http_call(Oid function, const NullableDatum *args, int n, bool *isnull);
extern Datum http_call_as_owner(const HttpRequest *request, Oid function, const NullableDatum *args,
								int n, bool *isnull);

/* http_count.c */
extern void http_count(const char *route, const char *method, int status);

/* http_error.c */
extern void http_answer_error(const HttpRoute *route, const HttpRequest *request,
							  HttpAnswer *answer, const ErrorData *error);

/* http_visitor.c */
extern bool http_masks_people(const HttpVisitor *visitor);
extern HttpVisitor http_visitor(const HttpRequest *request, bool takes_sessions);
extern HttpVisitor http_visitor_by_token(const CadenceTables *tables, const char *token, size_t len,
										 char **session);

/* the handlers */
extern void http_run(const HttpRequest *request, HttpAnswer *answer); /* http_run.c */
extern void http_refuse_run(HttpAnswer *answer, int status, int sqlstate, const char *detail);
extern void http_webhook(const HttpRequest *request, HttpAnswer *answer); /* http_people.c */
extern void http_unsubscribe(const HttpRequest *request, HttpAnswer *answer);
extern void http_health(const HttpRequest *request, HttpAnswer *answer); /* http_status.c */
extern void http_refuse_health(HttpAnswer *answer, int status, int sqlstate, const char *detail);
extern void http_metrics(const HttpRequest *request, HttpAnswer *answer);
extern void http_login(const HttpRequest *request, HttpAnswer *answer); /* http_login.c */
extern void http_note_refusal(const HttpRequest *request);
extern void http_logout(const HttpRequest *request, HttpAnswer *answer);
extern void http_api(const HttpRequest *request, HttpAnswer *answer); /* http_api.c */

#endif
