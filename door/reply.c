/*
 * reply.c
 *		Answers: refusals of our own, and what the database says.
 *
 * After each of them the connection is closed: what follows on it was said to
 * somebody else, or is an attempt to have it seem so.
 */
#include "reply.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "log.h"

#define RETRY_AFTER "5"
#define REFUSAL_BYTES 256

typedef struct Refusal
{
	unsigned int status;
	const char *code; /* SQLSTATE */
	const char *message;
} Refusal;

/* The first is for what is not listed. */
static const Refusal refusals[] = {
	{500, "XX000", "the call failed"},
	{400, "22023", "the request is malformed"},
	{404, "02000", "there is no such page"},
	{405, "0A000", "this method is not supported"},
	{408, "57014", "the request took too long"},
	{413, "54000", "the body is too large"},
	{421, "22023", "this name is not served here"},
	{431, "54000", "the headers are too large"},
	{503, "57P03", "the service is not available for the moment"},
};

static const char person_text[] = "Não foi possível agora. Tente de novo em alguns minutos.\n"
								  "Not possible right now. Please try again in a few minutes.\n";

static void
add_header(struct MHD_Response *response, const char *name, const char *value)
{
	if (response != NULL)
		MHD_add_response_header(response, name, value);
}

/* ---- refusals ------------------------------------------------------------- */

static const Refusal *
find_refusal(unsigned int status)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (refusals[i].status == status)
			return &refusals[i];
	return &refusals[0];
}

static void
write_refusal(unsigned int status, char *text, size_t room)
{
	const Refusal *refusal = find_refusal(status);

	if (status == MHD_HTTP_UNAUTHORIZED)
		snprintf(text, room, "{\"error\": \"Unauthorized\"}");
	else
		snprintf(text, room, "{\"error\": {\"code\": \"%s\", \"message\": \"%s\"}}\n",
				 refusal->code, refusal->message);
}

/* A refusal as it goes over the wire, for where libmicrohttpd cannot say it any more. */
size_t
reply_bytes(unsigned int status, char *bytes, size_t room)
{
	char body[REFUSAL_BYTES];
	int len;

	write_refusal(status, body, sizeof(body));
	len = snprintf(bytes, room,
				   "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
				   "Cache-Control: no-store\r\nConnection: close\r\n%s\r\n%s",
				   status, MHD_get_reason_phrase_for(status), strlen(body),
				   status == MHD_HTTP_SERVICE_UNAVAILABLE ? "Retry-After: " RETRY_AFTER "\r\n" : "",
				   body);
	return len > 0 && (size_t) len < room ? (size_t) len : 0;
}

/* Of an execution only, and as cadence_http() says it there. */
static void
let_pages_read(struct MHD_Response *response)
{
	add_header(response, "Access-Control-Allow-Origin", "*");
	add_header(response, "Access-Control-Allow-Headers",
			   "authorization, x-client-info, apikey, content-type");
	add_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
}

/* To a person: one who has followed a link in a message, and cannot read JSON. */
Reply
reply_refusal(unsigned int status, bool to_a_person)
{
	bool is_plain = to_a_person && status >= 500;
	char text[REFUSAL_BYTES];
	Reply reply = {.status = status};

	if (is_plain)
		snprintf(text, sizeof(text), "%s", person_text);
	else
		write_refusal(status, text, sizeof(text));
	reply.response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY);
	add_header(reply.response, MHD_HTTP_HEADER_CONTENT_TYPE,
			   is_plain ? "text/plain; charset=utf-8" : "application/json");
	add_header(reply.response, MHD_HTTP_HEADER_CONNECTION, "close");
	add_header(reply.response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	add_header(reply.response, "X-Content-Type-Options", "nosniff");
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
		add_header(reply.response, MHD_HTTP_HEADER_RETRY_AFTER, RETRY_AFTER);
	if (status == MHD_HTTP_UNAUTHORIZED)
		let_pages_read(reply.response);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		add_header(reply.response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD, POST, OPTIONS");
	return reply;
}

/* ---- what the database says ----------------------------------------------- */

/* Whether it is only for the moment that the server cannot: class 08, 53 or 57. */
static unsigned int
status_of_error(const PGresult *answer)
{
	const char *code = PQresultErrorField(answer, PG_DIAG_SQLSTATE);

	if (code == NULL || strncmp(code, "08", 2) == 0 || strncmp(code, "53", 2) == 0 ||
		strncmp(code, "57", 2) == 0)
		return MHD_HTTP_SERVICE_UNAVAILABLE;
	return MHD_HTTP_INTERNAL_SERVER_ERROR;
}

/* No message: it may be about what a person wrote. But whoever installs this makes two mistakes. */
static void
log_error(const PGresult *answer)
{
	const char *code = PQresultErrorField(answer, PG_DIAG_SQLSTATE);

	if (code == NULL)
		code = "no SQLSTATE";
	if (strcmp(code, "42883") == 0 || strcmp(code, "3F000") == 0)
		log_line("cadence_http failed: %s: it is not in that schema of that database", code);
	else if (strcmp(code, "42501") == 0)
		log_line("cadence_http failed: %s: this role may not execute it", code);
	else
		log_line("cadence_http failed: %s", code);
}

/* What is about the connection is ours to say. */
static bool
is_ours(const char *name)
{
	static const char *const ours[] = {"connection", "content-length",	  "date",
									   "keep-alive", "transfer-encoding", "upgrade",
									   "trailer"};

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strcasecmp(name, ours[i]) == 0)
			return true;
	return false;
}

static bool
is_name(const char *text)
{
	return *text != '\0' &&
		   text[strspn(text, "-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")] ==
			   '\0';
}

/* Lines of "name: value"; the text is written over. */
static void
add_lines(struct MHD_Response *response, char *lines)
{
	char *rest = lines;
	char *line;

	while ((line = strsep(&rest, "\n")) != NULL)
	{
		char *value = strstr(line, ": ");

		if (value == NULL)
			continue;
		*value = '\0';
		if (is_name(line) && !is_ours(line))
			add_header(response, line, value + 2);
	}
}

static void
add_headers(struct MHD_Response *response, const PGresult *answer)
{
	char *lines = strdup(PQgetvalue(answer, 0, 2));

	if (lines != NULL)
		add_lines(response, lines);
	free(lines);
	add_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
}

static void
free_answer(void *arg)
{
	PQclear(arg);
}

static unsigned int
status_of(const PGresult *answer)
{
	uint32_t status;

	if (PQgetisnull(answer, 0, 0) || PQgetlength(answer, 0, 0) != sizeof(status))
		return 0;
	memcpy(&status, PQgetvalue(answer, 0, 0), sizeof(status));
	return ntohl(status);
}

/* Takes the answer, which is null where the connection was lost: its body is not copied. */
Reply
reply_answer(PGresult *answer, bool to_a_person)
{
	Reply reply;
	bool is_row = answer != NULL && PQresultStatus(answer) == PGRES_TUPLES_OK &&
				  PQntuples(answer) == 1 && PQnfields(answer) == 3;

	if (answer == NULL)
		return reply_refusal(MHD_HTTP_SERVICE_UNAVAILABLE, to_a_person);
	reply.status = is_row ? status_of(answer) : status_of_error(answer);
	if (!is_row)
		log_error(answer);
	if (!is_row || reply.status < 200 || reply.status > 599)
	{
		PQclear(answer);
		return reply_refusal(is_row ? MHD_HTTP_INTERNAL_SERVER_ERROR : reply.status, to_a_person);
	}
	reply.response = MHD_create_response_from_buffer_with_free_callback_cls(
		(size_t) PQgetlength(answer, 0, 1), PQgetvalue(answer, 0, 1), free_answer, answer);
	if (reply.response == NULL)
		PQclear(answer);
	else
		add_headers(reply.response, answer);
	return reply;
}
