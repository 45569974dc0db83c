/*
 * route.c
 *		What a request is for, as far as its limits depend on it.
 *
 * The names that we are known by matter where a browser asks for pages: a page
 * of somebody else's, whose name has been made to lead here, could read them.
 * Whoever else comes brings a token or a signature, and gains nothing by a name.
 */
#include "route.h"

#include <stdio.h>
#include <string.h>

#define SMALL_BODY (64 * 1024)
#define LARGE_BODY (4 * 1024 * 1024)
#define READ_MS 2000
#define CALL_MS 25000
#define EXECUTION_PATH "/functions/v1/cadence-runner"

#define SERVER_NAME_MAX 63
#define UNKNOWN_NAME_MAX 20

static bool
begins(const char *path, const char *prefix)
{
	return strncmp(path, prefix, strlen(prefix)) == 0;
}

static bool
is_get(const char *method)
{
	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

Route
route_find(const char *method, const char *path)
{
	if (is_get(method) && (strcmp(path, "/") == 0 || begins(path, "/static/")))
		return (Route){.kind = ROUTE_FILE};
	if (strcmp(method, "POST") == 0 && strcmp(path, EXECUTION_PATH) == 0)
		return (Route){.kind = ROUTE_EXECUTION, .body_limit = SMALL_BODY, .any_host = true};
	if (begins(path, "/webhooks/"))
		return (Route){ROUTE_WEBHOOK, LARGE_BODY, CALL_MS, true};
	if (begins(path, "/u/"))
		return (Route){ROUTE_UNSUBSCRIBE, SMALL_BODY, CALL_MS, true};
	if (is_get(method) && begins(path, "/api/"))
		return (Route){ROUTE_READ, SMALL_BODY, READ_MS, false};
	if (is_get(method) && (strcmp(path, "/metrics") == 0 || strcmp(path, "/health") == 0))
		return (Route){ROUTE_READ, SMALL_BODY, READ_MS, true};
	return (Route){ROUTE_OTHER, SMALL_BODY, CALL_MS,
				   strcmp(path, "/health") == 0 || begins(path, "/functions/")};
}

/* How many bytes of a text are a name without anything strange in it. */
static size_t
name_length(const char *text)
{
	return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_.-ABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

static bool
is_known(const char *path)
{
	static const char *const known[] = {"/",	   "/health",	   "/metrics",	  "/login",
										"/logout", "/favicon.ico", "/robots.txt", EXECUTION_PATH};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(path, known[i]) == 0)
			return true;
	return false;
}

/* The prefix, and the name behind it if it is not too long to be one; the rest may be a secret. */
static void
write_safe(char *safe, size_t room, const char *prefix, const char *rest, size_t longest)
{
	size_t len = name_length(rest);

	if (len > longest)
		len = 0;
	snprintf(safe, room, "%s%.*s%s", prefix, (int) len, rest, rest[len] != '\0' ? "..." : "");
}

/*
 * As much of a path as may be written down: tokens stand in those of webhooks
 * and of links, and in what somebody has mistaken for one of them.
 */
void
route_safe_path(const char *path, char *safe, size_t room)
{
	if (is_known(path))
		snprintf(safe, room, "%s", path);
	else if (begins(path, "/u/"))
		snprintf(safe, room, "/u/...");
	else if (begins(path, "/webhooks/"))
		write_safe(safe, room, "/webhooks/", path + strlen("/webhooks/"), SERVER_NAME_MAX);
	else if (begins(path, "/static/"))
		write_safe(safe, room, "/static/", path + strlen("/static/"), SERVER_NAME_MAX);
	else if (begins(path, "/api/"))
		write_safe(safe, room, "/api/", path + strlen("/api/"), UNKNOWN_NAME_MAX);
	else if (*path == '/')
		write_safe(safe, room, "/", path + 1, UNKNOWN_NAME_MAX);
	else
		snprintf(safe, room, "...");
}
