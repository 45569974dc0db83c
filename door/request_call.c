/*
 * request_call.c
 *		The call of the database that a request waits for.
 *
 * From when it is submitted until it is done the connection is suspended: nothing of the
 * client is read, and only the clock looks at it.
 */
#include "request_parts.h"

#include <string.h>

#include "loop.h"

#define SEND_MS 10000

static bool was_resumed;

/* Whether libmicrohttpd has to be run once more: nothing else tells it that a connection goes on.
 */
bool
request_was_resumed(void)
{
	bool was = was_resumed;

	was_resumed = false;
	return was;
}

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
void
request_call(Request *request)
{
	fill_call(request);
	request->state = CALLING;
	request->called_at = loop_now();
	MHD_suspend_connection(request->connection);
	if (pool_submit(&request->call) != POOL_TAKEN)
		call_done(&request->call, NULL);
}

/* Of one that was called: its answer, for which there is some time from now on. */
Reply
request_called(Request *request)
{
	PGresult *answer = request->answer;
	int64_t until = loop_now() + SEND_MS;

	request->answer = NULL;
	if (request->client->deadline < until)
		request->client->deadline = until;
	return reply_answer(answer, request->route.kind == ROUTE_UNSUBSCRIBE);
}

/* It is answered that there is no service. */
void
request_give_up(Request *request)
{
	pool_drop(&request->call);
	call_done(&request->call, NULL);
}
