/*
 * request.c
 *		One request, from its first line to its answer.
 *
 * libmicrohttpd calls request_begin() with the first line, request_go_on() once
 * all headers are there, for each piece of the body, and when it is whole, and
 * request_end() at the end. From when a call of the database is submitted until
 * it is done the connection is suspended: nothing of the client is read, and
 * only the clock looks at it.
 */
#include "request.h"

#include <stdlib.h>
#include <string.h>

#include "body.h"
#include "client.h"
#include "headers.h"
#include "log.h"
#include "loop.h"
#include "peer.h"
#include "pool.h"
#include "reply.h"
#include "files.h"
#include "route.h"
#include "target.h"

#define HEADER_BYTES_MAX (16 * 1024)
#define WAIT_MS 5000
#define SEND_MS 10000
#define METHOD_BYTES 16
#define SAFE_PATH_BYTES 100
#define CLIENT_LEFT 499 /* as nginx's log has it; nobody gets such an answer */

/* COMING -> CALLING or ANSWERED; CALLING -> CALLED -> ANSWERED; COMING -> CUT. */
typedef enum State
{
	COMING,
	CALLING, /* suspended */
	CALLED,	 /* the answer is there, libmicrohttpd has not asked for it yet */
	ANSWERED,
	CUT
} State;

struct Request
{
	Call call; /* the first member: it is what the pool knows */
	State state;
	Client *client;
	struct MHD_Connection *connection;
	int64_t since;
	int64_t called_at;
	unsigned int status;
	bool is_checked;

	char *path; /* with the query behind its end */
	const char *query;
	const char *where; /* in libmicrohttpd's memory: where the target began */
	size_t target_len;
	char method[METHOD_BYTES];
	Route route;
	Peer peer;
	Text headers;
	Body body;
	PGresult *answer;
};

static const Conf *conf;
static bool is_closing;
static bool was_resumed;
static int count;

void
request_open(const Conf *with)
{
	conf = with;
	is_closing = false;
}

/* From now on nobody is served who comes anew. */
void
request_refuse_new(void)
{
	is_closing = true;
}

int
request_count(void)
{
	return count;
}

/* Whether libmicrohttpd has to be run once more: nothing else tells it that a connection goes on.
 */
bool
request_was_resumed(void)
{
	bool was = was_resumed;

	was_resumed = false;
	return was;
}

/* ---- the first line ------------------------------------------------------- */

/* Nothing is decoded: what is checked is what the database sees. */
size_t
request_unescape(void *arg, struct MHD_Connection *connection, char *text)
{
	(void) arg;
	(void) connection;
	return strlen(text);
}

void *
request_begin(void *arg, const char *target, struct MHD_Connection *connection)
{
	Client *client = client_of(connection);
	Request *request = client != NULL ? calloc(1, sizeof(Request)) : NULL;
	char *query;

	(void) arg;
	if (request == NULL || (request->path = strdup(target != NULL ? target : "")) == NULL)
	{
		free(request);
		return NULL;
	}
	request->where = target;
	request->target_len = strlen(request->path);
	query = strchr(request->path, '?');
	if (query != NULL)
		*query++ = '\0';
	request->query = query;
	request->client = client;
	request->connection = connection;
	request->since = loop_now();
	client->request = request;
	count++;
	return request;
}

/* ---- answers -------------------------------------------------------------- */

static enum MHD_Result
send_reply(Request *request, Reply reply)
{
	enum MHD_Result result = MHD_NO;

	request->state = ANSWERED;
	request->status = reply.status;
	if (reply.response != NULL)
	{
		result = MHD_queue_response(request->connection, reply.status, reply.response);
		MHD_destroy_response(reply.response);
	}
	return result;
}

static enum MHD_Result
refuse(Request *request, unsigned int status)
{
	return send_reply(request, reply_refusal(status, request->route.kind == ROUTE_UNSUBSCRIBE));
}

static enum MHD_Result
send_file(Request *request)
{
	const File *file = files_find(request->path);
	const char *etag = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
												   MHD_HTTP_HEADER_IF_NONE_MATCH);
	struct MHD_Response *response;

	if (file == NULL)
		return refuse(request, MHD_HTTP_NOT_FOUND);
	request->state = ANSWERED;
	response = files_answer(file, etag, &request->status);
	return MHD_queue_response(request->connection, request->status, response);
}

/* ---- the headers ---------------------------------------------------------- */

/*
 * A zero in the first line ends the target for libmicrohttpd, whose versions
 * that do not refuse it leave the rest of the line between target and version.
 */
static bool
has_hidden_part(const Request *request, const char *version)
{
	uintptr_t end = (uintptr_t) request->where + request->target_len + 1;
	uintptr_t at = (uintptr_t) version;

	return request->where != NULL && at > end && at - end < HEADER_BYTES_MAX;
}

static size_t
header_bytes(const Request *request)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	return info != NULL ? info->header_size : 0;
}

static bool
is_method_known(const char *method)
{
	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
		   strcmp(method, "POST") == 0 || strcmp(method, "OPTIONS") == 0;
}

static bool
is_body_too_large(const Request *request, const Headers *headers)
{
	const Header *length = headers_find(headers, "content-length");

	return length != NULL && strtoull(length->value, NULL, 10) > request->route.body_limit;
}

/* 0: it may go on; else the status of the refusal. */
static unsigned int
check_headers(const Request *request, const Headers *headers, const char *version)
{
	if (headers->are_many || header_bytes(request) > HEADER_BYTES_MAX)
		return MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE;
	if (headers->are_bad || !headers_name_one_host(headers, version) ||
		!headers_mean_one_length(headers, version) || has_hidden_part(request, version) ||
		!target_is_good(request->path, request->query))
		return MHD_HTTP_BAD_REQUEST;
	if (!is_method_known(request->method))
		return MHD_HTTP_METHOD_NOT_ALLOWED;
	if (request->route.kind == ROUTE_FILE && headers_have_body(headers))
		return MHD_HTTP_BAD_REQUEST;
	if (is_body_too_large(request, headers))
		return MHD_HTTP_CONTENT_TOO_LARGE;
	if (is_closing || client_count() > CLIENTS_MAX)
		return MHD_HTTP_SERVICE_UNAVAILABLE;
	/* whoever brings none takes none of the few places of those who do */
	if (request->route.kind == ROUTE_EXECUTION && headers_find(headers, "authorization") == NULL)
		return MHD_HTTP_UNAUTHORIZED;
	return request->route.any_host ? 0 : headers_check_host(headers, conf->hosts);
}

static void
find_peer(Request *request, const Headers *headers)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	peer_find(&request->peer, info != NULL ? info->client_addr : NULL, headers,
			  conf->trusted_proxy);
}

static enum MHD_Result
take_headers(Request *request, const char *method, const char *version)
{
	Headers headers;
	unsigned int refusal;

	request->is_checked = true;
	strncpy(request->method, method, METHOD_BYTES - 1);
	request->route = route_find(request->method, request->path);
	headers_read(&headers, request->connection);
	refusal = check_headers(request, &headers, version);
	find_peer(request, &headers);
	if (refusal == 0 && request->route.kind != ROUTE_FILE)
		headers_add_json(&headers, &request->headers, request->peer.is_proxy);
	headers_free(&headers);
	if (request->headers.broken)
		refusal = MHD_HTTP_SERVICE_UNAVAILABLE;
	return refusal != 0 ? refuse(request, refusal) : MHD_YES;
}

/* ---- the body ------------------------------------------------------------- */

static void
cut(Request *request, unsigned int status)
{
	request->state = CUT;
	request->status = status;
	body_free(&request->body);
	client_cut(request->client, status);
}

static void
take_body(Request *request, const char *data, size_t size)
{
	if (request->state != COMING)
		return;
	if (request->body.len + size > request->route.body_limit)
		cut(request, MHD_HTTP_CONTENT_TOO_LARGE);
	else if (!body_add(&request->body, data, size))
		cut(request, MHD_HTTP_SERVICE_UNAVAILABLE);
}

/* ---- the call ------------------------------------------------------------- */

static void
call_sent(Call *call)
{
	Request *request = (Request *) call;

	body_free(&request->body);
	text_free(&request->headers);
}

static void
call_done(Call *call, PGresult *answer)
{
	Request *request = (Request *) call;

	request->answer = answer;
	request->state = CALLED;
	was_resumed = true;
	MHD_resume_connection(request->connection);
}

static void
fill_call(Request *request)
{
	Call *call = &request->call;
	const char *values[CALL_VALUES] = {request->method,
									   request->path,
									   request->query,
									   request->headers.data,
									   request->body.data != NULL ? request->body.data : "",
									   request->peer.address[0] != '\0' ? request->peer.address
																		: NULL};

	memcpy(call->values, values, sizeof(values));
	call->lengths[4] = (int) request->body.len;
	call->is_execution = request->route.kind == ROUTE_EXECUTION;
	call->timeout_ms = request->route.timeout_ms;
	call->sent = call_sent;
	call->done = call_done;
}

/* Suspended first: the call may be done before it has been submitted. */
static enum MHD_Result
begin_call(Request *request)
{
	fill_call(request);
	request->state = CALLING;
	request->called_at = loop_now();
	MHD_suspend_connection(request->connection);
	if (pool_submit(&request->call) != POOL_TAKEN)
		call_done(&request->call, NULL);
	return MHD_YES;
}

static enum MHD_Result
end_call(Request *request)
{
	PGresult *answer = request->answer;
	int64_t until = loop_now() + SEND_MS;

	request->answer = NULL;
	if (request->client->deadline < until)
		request->client->deadline = until;
	return send_reply(request, reply_answer(answer, request->route.kind == ROUTE_UNSUBSCRIBE));
}

/* ---- what libmicrohttpd calls --------------------------------------------- */

static enum MHD_Result
is_whole(Request *request)
{
	if (request->state == CALLED)
		return end_call(request);
	if (request->state != COMING)
		return request->state == CUT ? MHD_NO : MHD_YES;
	return request->route.kind == ROUTE_FILE ? send_file(request) : begin_call(request);
}

enum MHD_Result
request_go_on(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
			  const char *version, const char *data, size_t *size, void **context)
{
	Request *request = *context;

	(void) arg;
	(void) connection;
	(void) url;
	if (request == NULL)
		return MHD_NO;
	if (!request->is_checked)
		return take_headers(request, method, version);
	if (*size == 0)
		return is_whole(request);
	take_body(request, data, *size);
	*size = 0;
	return MHD_YES;
}

/* By libmicrohttpd, in the middle of what came; 0: it was not. */
static unsigned int
refused_early(const Request *request)
{
	const union MHD_ConnectionInfo *info =
		request->state == COMING
			? MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_HTTP_STATUS)
			: NULL;

	return info != NULL ? info->http_status : 0;
}

/* What libmicrohttpd has refused it ends as if the client had left. */
static void
write_log(const Request *request, bool has_left)
{
	char safe[SAFE_PATH_BYTES];
	unsigned int status = refused_early(request);

	if (status == 0 && !has_left)
		status = request->status;
	route_safe_path(request->path, safe, sizeof(safe));
	log_request(is_method_known(request->method) ? request->method : "-", safe,
				status == 0 ? CLIENT_LEFT : status, loop_now() - request->since);
}

/* Its client is free for another one. */
void
request_free(Request *request)
{
	request->client->request = NULL;
	client_restart(request->client);
	if (request->state == CALLING)
		pool_drop(&request->call);
	PQclear(request->answer);
	body_free(&request->body);
	text_free(&request->headers);
	free(request->path);
	free(request);
	count--;
}

void
request_end(void *arg, struct MHD_Connection *connection, void **context,
			enum MHD_RequestTerminationCode code)
{
	Request *request = *context;

	(void) arg;
	(void) connection;
	if (request == NULL)
		return;
	*context = NULL;
	write_log(request, request->state != CUT && code != MHD_REQUEST_TERMINATED_COMPLETED_OK);
	request_free(request);
}

/* ---- what the clock calls ------------------------------------------------- */

/* Whether it is the client that everybody waits for. */
bool
request_is_coming(const Request *request)
{
	return request->state == COMING;
}

static void
give_up(Request *request)
{
	pool_drop(&request->call);
	call_done(&request->call, NULL);
}

/* Its time is over. An execution takes as long as it takes, whether its client has left or not. */
void
request_late(Request *request)
{
	if (request->state == COMING)
		cut(request, MHD_HTTP_REQUEST_TIMEOUT);
	else if (request->state == CALLING && !request->call.is_execution)
		give_up(request);
	else if (request->state == ANSWERED || request->state == CUT)
		client_cut(request->client, 0);
}

/* Nobody waits long for a connection, nor keeps a place for a client who is gone. */
void
request_look(Request *request, int64_t now)
{
	if (request->state == CALLING && request->call.is_waiting &&
		(now - request->called_at >= WAIT_MS || client_is_gone(request->client)))
		give_up(request);
}
