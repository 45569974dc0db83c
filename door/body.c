/*
 * body.c
 *		The body of a request while it comes.
 *
 * 256 clients could send 4 MB each: large bodies together have a limit, too. Small
 * ones have none but that of clients, so that whoever sends large ones slowly keeps
 * nobody else out. What a client has only announced takes nothing.
 */
#include "body.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES 1024
#define SMALL_BYTES (64 * 1024)
#define LARGE_BYTES_MAX (8 * 1024 * 1024)

static size_t large_bytes;

/* What counts of a body that has so much room. */
static size_t
counted(size_t room)
{
	return room > SMALL_BYTES ? room : 0;
}

static bool
make_room(Body *body, size_t more)
{
	size_t room = body->room > 0 ? body->room : FIRST_BYTES;
	char *data;

	while (room < body->len + more)
		room *= 2;
	if (room == body->room)
		return true;
	if (large_bytes - counted(body->room) + counted(room) > LARGE_BYTES_MAX ||
		(data = realloc(body->data, room)) == NULL)
		return false;
	large_bytes += counted(room) - counted(body->room);
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
	large_bytes -= counted(body->room);
	free(body->data);
	memset(body, 0, sizeof(*body));
}
