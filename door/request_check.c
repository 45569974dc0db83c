/*
 * request_check.c
 *		What is refused by its first line and its headers.
 */
#include "request_parts.h"

#include <stdlib.h>
#include <string.h>

#include "target.h"

#define HEADER_BYTES_MAX (16 * 1024)

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

bool
request_has_known_method(const Request *request)
{
	const char *method = request->method;

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
unsigned int
request_check(const Request *request, const Headers *headers, const char *version,
			  const char *hosts, bool is_closing)
{
	if (headers->are_many || header_bytes(request) > HEADER_BYTES_MAX)
		return MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE;
	if (headers->are_bad || !headers_name_one_host(headers, version) ||
		!headers_mean_one_length(headers, version) || has_hidden_part(request, version) ||
		!target_is_good(request->path, request->query))
		return MHD_HTTP_BAD_REQUEST;
	if (!request_has_known_method(request))
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
	return request->route.any_host ? 0 : headers_check_host(headers, hosts);
}
