/*
 * request.c
 *		One request, from its first line to its answer.
 *
 * libmicrohttpd calls request_begin() with the first line, request_go_on() once
 * all headers are there, for each piece of the body, and when it is whole, and
 * request_end() at the end. What is looked at before anything is done is in
 * request_check.c, the body in request_body.c, what the database is asked in
 * request_call.c.
 */
#include "request.h"

#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "log.h"
#include "loop.h"
#include "request_parts.h"

#define WAIT_MS 5000
#define SAFE_PATH_BYTES 100
#define CLIENT_LEFT 499 /* as nginx's log has it; nobody gets such an answer */

static const Conf *conf;
static bool is_closing;
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
	refusal = request_check(request, &headers, version, conf->hosts, is_closing);
	find_peer(request, &headers);
	if (refusal == 0 && request->route.kind != ROUTE_FILE)
		headers_add_json(&headers, &request->headers, request->peer.is_proxy);
	headers_free(&headers);
	if (request->headers.broken)
		refusal = MHD_HTTP_SERVICE_UNAVAILABLE;
	return refusal != 0 ? refuse(request, refusal) : MHD_YES;
}

/* ---- what libmicrohttpd calls --------------------------------------------- */

static enum MHD_Result
is_whole(Request *request)
{
	if (request->state == CALLED)
		return send_reply(request, request_called(request));
	if (request->state != COMING)
		return request->state == CUT ? MHD_NO : MHD_YES;
	if (request->route.kind == ROUTE_FILE)
		return send_file(request);
	request_call(request);
	return MHD_YES;
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
	request_take_body(request, data, *size);
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
	log_request(request_has_known_method(request) ? request->method : "-", safe,
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

/* Its time is over. An execution takes as long as it takes, whether its client has left or not. */
void
request_late(Request *request)
{
	if (request->state == COMING)
		request_cut(request, MHD_HTTP_REQUEST_TIMEOUT);
	else if (request->state == CALLING && !request->call.is_execution)
		request_give_up(request);
	else if (request->state == ANSWERED || request->state == CUT)
		client_cut(request->client, 0);
}

/* Nobody waits long for a connection, nor keeps a place for a client who is gone. */
void
request_look(Request *request, int64_t now)
{
	if (request->state == CALLING && request->call.is_waiting &&
		(now - request->called_at >= WAIT_MS || client_is_gone(request->client)))
		request_give_up(request);
}
