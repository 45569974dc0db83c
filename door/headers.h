/*
 * headers.h
 *		The headers of a request: whether they can be trusted to mean one thing, and their
 *		text for the database.
 */
#ifndef DOOR_HEADERS_H
#define DOOR_HEADERS_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

#include "text.h"

#define HEADERS_MAX 128

typedef struct Header
{
	char *name; /* in lower case */
	const char *value;
	size_t len;
} Header;

typedef struct Headers
{
	Header list[HEADERS_MAX];
	int n;
	bool are_bad;
	bool are_many;
} Headers;

extern void headers_read(Headers *headers, struct MHD_Connection *connection);
extern void headers_free(Headers *headers);
extern const Header *headers_find(const Headers *headers, const char *name);
extern bool headers_name_one_host(const Headers *headers, const char *version);
extern bool headers_mean_one_length(const Headers *headers, const char *version);
extern bool headers_have_body(const Headers *headers);
extern unsigned int headers_check_host(const Headers *headers, const char *hosts);
extern void headers_add_json(const Headers *headers, Text *text, bool from_proxy);

#endif
