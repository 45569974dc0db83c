/*
 * body.c
 *		The body of a request while it comes.
 *
 * 256 clients could send 4 MB each: all bodies together have a limit, too. What
 * a client has only announced takes nothing.
 */
#include "body.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES 1024
#define ALL_BYTES_MAX (16 * 1024 * 1024)

static size_t all_bytes;

static bool
make_room(Body *body, size_t more)
{
	size_t room = body->room > 0 ? body->room : FIRST_BYTES;
	char *data;

	while (room < body->len + more)
		room *= 2;
	if (room == body->room)
		return true;
	if (all_bytes + room - body->room > ALL_BYTES_MAX || (data = realloc(body->data, room)) == NULL)
		return false;
	all_bytes += room - body->room;
	body->data = data;
	body->room = room;
	return true;
}

/* False: there is no room for it. */
bool
body_add(Body *body, const char *data, size_t size)
{
	if (!make_room(body, size))
		return false;
	memcpy(body->data + body->len, data, size);
	body->len += size;
	return true;
}

void
body_free(Body *body)
{
	all_bytes -= body->room;
	free(body->data);
	memset(body, 0, sizeof(*body));
}
