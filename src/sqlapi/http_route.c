/*
 * http_route.c
 *		Which paths there are, and by which methods.
 */
#include "postgres.h"

#include "inbound/call.h"
#include "sqlapi/http.h"

#define BODY_MAX (64 * 1024)

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

/* What the path has behind the route's own; NULL: it is another's. */
static const char *
rest_of(const HttpRoute *route, const char *path)
{
	size_t len = strlen(route->pattern);

	if (strncmp(path, route->pattern, len) != 0)
		return NULL;
	return route->pattern[len - 1] == '/' || path[len] == '\0' ? path + len : NULL;
}

/* NULL: there is none. What is behind the route's own is left in the request. */
const HttpRoute *
http_find_route(HttpRequest *request)
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
const char *
http_known_method(const char *method)
{
	for (size_t i = 0; i < lengthof(methods); i++)
		if (strcmp(method, methods[i].name) == 0)
			return methods[i].name;
	return "other";
}

bool
http_takes_method(const HttpRoute *route, const char *method)
{
	if ((route->methods & HTTP_ANY) != 0)
		return true;
	for (size_t i = 0; i < lengthof(methods); i++)
		if ((route->methods & methods[i].bit) != 0 && strcmp(method, methods[i].name) == 0)
			return true;
	return false;
}

/* As Allow has them. */
char *
http_allowed_methods(const HttpRoute *route)
{
	StringInfoData list;

	initStringInfo(&list);
	for (size_t i = 0; i < lengthof(methods); i++)
		if ((route->methods & methods[i].bit) != 0)
			appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", methods[i].name);
	return list.data;
}
