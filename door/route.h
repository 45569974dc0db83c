/*
 * route.h
 *		What a request is for, as far as its limits depend on it. What happens at a route
 *		is the database's.
 */
#ifndef DOOR_ROUTE_H
#define DOOR_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

typedef enum RouteKind
{
	ROUTE_FILE,		   /* of the dashboard: answered here */
	ROUTE_EXECUTION,   /* takes as long as it takes, on a connection kept for such */
	ROUTE_WEBHOOK,	   /* large bodies */
	ROUTE_UNSUBSCRIBE, /* a person at a browser */
	ROUTE_READ,		   /* must not keep anybody waiting */
	ROUTE_OTHER
} RouteKind;

typedef struct Route
{
	RouteKind kind;
	size_t body_limit;
	int timeout_ms; /* of the call; 0: none */
	bool any_host;	/* called by programs, which may know us by any name */
} Route;

extern Route route_find(const char *method, const char *path);
extern void route_safe_path(const char *path, char *safe, size_t room);

#endif
